# SPDX-License-Identifier: Apache-2.0
"""The FPU state in signal frames: XSAVE images with their software bytes and magics.

The image is the standard-format XSAVE area, as NT_X86_XSTATE has it: 512 bytes of FXSAVE
area, 64 bytes of header (which parts are there), then the extended parts. Its bytes 464..511
belong to software: ptrace keeps the mask of possible parts there, a signal frame a
``struct _fpx_sw_bytes``. After the image a frame has a second magic number.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from pygos.include.uapi.sigcontext import (
    FP_XSTATE_MAGIC1,
    FP_XSTATE_MAGIC2,
    FP_XSTATE_MAGIC2_SIZE,
)

FXSAVE_SIZE: Final = 512
XSAVE_MIN: Final = FXSAVE_SIZE + 64
SW_BYTES: Final = 464
#: In the header: which parts hold something; compaction (never in a frame); reserved.
XSTATE_BV: Final = 512
_XCOMP_BV: Final = 520
_MXCSR: Final = 24
_MXCSR_MASK: Final = 28
_DEFAULT_MXCSR_MASK: Final = 0xFFBF
XFEATURE_FPSSE: Final = 3
_SW: Final = Struct("<IIQI28x")
_U64: Final = Struct("<Q")
_U32: Final = Struct("<I")
_MAGIC2: Final = FP_XSTATE_MAGIC2.to_bytes(4, "little")


def has_xsave(image: bytes) -> bool:
    """Is there more than the old FXSAVE area?"""
    return len(image) >= XSAVE_MIN


def frame_size(image: bytes) -> int:
    """Bytes of the state in a frame, with the second magic number."""
    return len(image) + FP_XSTATE_MAGIC2_SIZE if has_xsave(image) else FXSAVE_SIZE


def frame_image(image: bytes) -> bytes:
    """The bytes of ``frame_size`` that go into a signal frame."""
    if not has_xsave(image):
        return image[:SW_BYTES] + bytes(FXSAVE_SIZE - SW_BYTES)
    out = bytearray(image)
    size = len(image)
    features = _U64.unpack_from(image, SW_BYTES)[0]
    _SW.pack_into(out, SW_BYTES, FP_XSTATE_MAGIC1, size + FP_XSTATE_MAGIC2_SIZE, features, size)
    present = _U64.unpack_from(image, XSTATE_BV)[0]
    # Programs that know only FXSAVE change the FP and SSE parts without saying so.
    _U64.pack_into(out, XSTATE_BV, present | XFEATURE_FPSSE)
    return bytes(out) + _MAGIC2


class FrameImage:
    """What a sigreturn found at the fpstate pointer: how much of it is to be read."""

    __slots__ = ("features", "size")

    def __init__(self, legacy: bytes, own_size: int) -> None:
        """`legacy`: the first 512 bytes; `own_size`: of this machine's images."""
        magic, extended, self.features, self.size = _SW.unpack_from(legacy, SW_BYTES)
        bad = magic != FP_XSTATE_MAGIC1 or not XSAVE_MIN <= self.size <= own_size
        if bad or self.size > extended:
            self.size = 0


def magic2_ok(data: bytes) -> bool:
    """Are these the four bytes after an extended image?"""
    return data == _MAGIC2


def image_from_frame(data: bytes, features: int, current: bytes) -> bytes:
    """An XSAVE image for the CPU from a frame's: parts that the frame hasn't got are reset.

    `data` is the frame's FXSAVE area or whole extended image; `features` the parts that it
    is said to have; `current` any image of this CPU, for its size and possible parts.
    ValueError for what the CPU would refuse: reserved bits in the header or MXCSR.
    """
    if not has_xsave(current):
        return data[:FXSAVE_SIZE]
    possible = _U64.unpack_from(current, SW_BYTES)[0]
    out = bytearray(len(current))
    out[: len(data)] = data
    if len(data) >= XSAVE_MIN:
        present = _U64.unpack_from(data, XSTATE_BV)[0]
        if present & ~possible or any(data[_XCOMP_BV:XSAVE_MIN]):
            raise ValueError("reserved bits in the XSAVE header")
        present &= features
    else:
        present = XFEATURE_FPSSE
    mask = _U32.unpack_from(current, _MXCSR_MASK)[0] or _DEFAULT_MXCSR_MASK
    if _U32.unpack_from(out, _MXCSR)[0] & ~mask:
        raise ValueError("reserved bits in MXCSR")
    _U64.pack_into(out, XSTATE_BV, present & possible)
    out[SW_BYTES:FXSAVE_SIZE] = current[SW_BYTES:FXSAVE_SIZE]
    return bytes(out)
