# SPDX-License-Identifier: Apache-2.0
"""Thread areas of um-systrap: 16 KiB in which a guest thread and the kernel meet.

The first page holds a word that says who may go on, and what a stopped thread tells; the second
is for the kernel to write and the guest to read; the others are the stack on which the host
puts signal frames. The guest may write all but the second page at any time, so the kernel takes
each value once, copies it, and trusts none (stub.S has the layout).
"""

from __future__ import annotations

import struct
from typing import Final

from pygos.host.layout import AREA_SIZE, AREA_STACK, AREA_THREAD, STUB_AREAS
from pygos.include.linux.platform import PAGE_SIZE

#: The state word.
DEAD, RUN, REQ, REQ_ASLEEP, RUN_WATCHED = range(5)
# Offsets in the control page, as in stub.S.
C_SPIN: Final = 0x004
_C_XMASK, _C_FRAME, _C_STACK, _C_SAMPLE = 0x040, 0x050, 0x068, 0x160
#: Of so many calls that the stub can answer at a trap it hands one over.
SAMPLE: Final = 16
_STACK: Final = struct.Struct("<QiIQ")
_U64: Final = struct.Struct("<Q")
_UC_FPSTATE: Final = 0xE0
#: In the FPU state of a frame: bytes that belong to software (struct _fpx_sw_bytes).
SW_BYTES: Final = 464
FXSAVE_SIZE: Final = 512
_XSTATE_BV, _XCOMP_BV, _HEADER_END = 512, 520, 576
_MXCSR, _MXCSR_MASK = 24, 28
_DEFAULT_MXCSR_MASK: Final = 0xFFBF


class Area:
    """One area: where it is in the stub (`va`), in the kernel (`addr`), in the RAM (`pfn`)."""

    __slots__ = ("addr", "data", "index", "pfn", "va", "words")

    def __init__(self, index: int, unit: tuple[int, int, memoryview]) -> None:
        self.index = index
        self.va = STUB_AREAS + index * AREA_SIZE
        self.pfn, self.addr, self.words = unit
        self.data = self.words.cast("B")

    @property
    def state(self) -> int:
        return int(self.words[0]) & 0xFFFF_FFFF

    def prepare(self, xmask: int) -> None:
        """For a thread that is about to begin; it counts as running until it has come to rest."""
        self.data[:PAGE_SIZE] = bytes(PAGE_SIZE)
        self.words[0] = RUN
        self.words[_C_XMASK // 8] = xmask
        self.words[_C_SAMPLE // 8] = SAMPLE - 1 << 32
        stack = (self.va + AREA_STACK, 0, 0, AREA_SIZE - AREA_STACK)
        _STACK.pack_into(self.data, _C_STACK, *stack)

    @property
    def thread_page(self) -> memoryview:
        """The page that only the kernel writes, as u64."""
        start = AREA_THREAD // 8
        return self.words[start : start + PAGE_SIZE // 8]

    def keep_calls(self) -> None:
        """Nobody wants to see calls that the stub can answer."""
        self.words[_C_SAMPLE // 8] = 0x7FFF_FFFF_7FFF_FFFF

    @property
    def sampled(self) -> bool:
        """The thread has handed over a call of those that the stub would have answered."""
        return int(self.words[_C_SAMPLE // 8]) & 0xFFFF_FFFF == SAMPLE - 1

    def frame(self) -> tuple[int, int]:
        """Offsets in the area of the last signal's ucontext and of its FPU state; ValueError."""
        context = _U64.unpack_from(self.data, _C_FRAME)[0] - self.va
        if not 0 <= context < AREA_SIZE - _UC_FPSTATE - 8:
            raise ValueError(f"a signal frame at {context:#x} of a thread area")
        fpu = _U64.unpack_from(self.data, context + _UC_FPSTATE)[0] - self.va
        if not 0 <= fpu <= AREA_SIZE - FXSAVE_SIZE:
            raise ValueError(f"an FPU state at {fpu:#x} of a thread area")
        return context, fpu


class FrameShape:
    """Where in an area the host puts a signal frame, and how it looks: found out at boot with
    the first thread, before there is any guest code."""

    __slots__ = ("context", "features", "fpu", "mxcsr_mask", "size", "software")

    def __init__(self, area: Area) -> None:
        self.context, self.fpu = area.frame()
        self.software = bytes(area.data[self.fpu + SW_BYTES : self.fpu + FXSAVE_SIZE])
        # struct _fpx_sw_bytes: magic1, extended_size, xfeatures, xstate_size
        magic, _, self.features, self.size = struct.unpack_from("<IIQI", self.software)
        if magic != 0x46505853:
            self.features, self.size = 3, FXSAVE_SIZE
        image = area.data[self.fpu : self.fpu + FXSAVE_SIZE]
        self.mxcsr_mask = struct.unpack_from("<I", image, _MXCSR_MASK)[0] or _DEFAULT_MXCSR_MASK

    def check(self, image: bytes) -> None:
        """ValueError for an XSAVE image that the CPU would refuse."""
        present = _U64.unpack_from(image, _XSTATE_BV)[0]
        if present & ~self.features or any(image[_XCOMP_BV:_HEADER_END]):
            raise ValueError("reserved bits in the XSAVE header")
        if struct.unpack_from("<I", image, _MXCSR)[0] & ~self.mxcsr_mask:
            raise ValueError("reserved bits in MXCSR")
