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
#: Bytes of the second magic number.
MAGIC2_SIZE: Final = FP_XSTATE_MAGIC2_SIZE
XSAVE_MIN: Final = FXSAVE_SIZE + 64
SW_BYTES: Final = 464
#: In the header: which parts hold something; compaction (never in a frame); reserved.
XSTATE_BV: Final = 512
_XCOMP_BV: Final = 520
_MXCSR: Final = 24
_MXCSR_MASK: Final = 28
_DEFAULT_MXCSR_MASK: Final = 0xFFBF
XFEATURE_FPSSE: Final = 3
#: AMX tiles: a program has them only after ARCH_REQ_XCOMP_PERM, which there isn't here. They
#: are the last part of ptrace's images and not in frames: 8 KiB less on the signal stack.
XFEATURE_XTILE_DATA: Final = 1 << 18
_XTILE_DATA_SIZE: Final = 8192
_SW: Final = Struct("<IIQI28x")
_U64: Final = Struct("<Q")
_U32: Final = Struct("<I")
_MAGIC2: Final = FP_XSTATE_MAGIC2.to_bytes(4, "little")
_RESERVED: Final = bytes(XSAVE_MIN - _XCOMP_BV)


def has_xsave(image: bytes) -> bool:
    """Is there more than the old FXSAVE area?"""
    return len(image) >= XSAVE_MIN


def _default_size(image: bytes) -> int:
    """Bytes of an image without the parts that need a permission."""
    size = len(image)
    if _U64.unpack_from(image, SW_BYTES)[0] & XFEATURE_XTILE_DATA:
        size -= _XTILE_DATA_SIZE
    return size


def frame_size(image: bytes) -> int:
    """Bytes of the state in a frame, with the second magic number."""
    return _default_size(image) + FP_XSTATE_MAGIC2_SIZE if has_xsave(image) else FXSAVE_SIZE


def frame_image(image: bytes) -> bytes:
    """The bytes of ``frame_size`` that go into a signal frame."""
    if not has_xsave(image):
        return image[:SW_BYTES] + bytes(FXSAVE_SIZE - SW_BYTES)
    size = _default_size(image)
    out = bytearray(image[:size])
    features = _U64.unpack_from(image, SW_BYTES)[0] & ~XFEATURE_XTILE_DATA
    _SW.pack_into(out, SW_BYTES, FP_XSTATE_MAGIC1, size + FP_XSTATE_MAGIC2_SIZE, features, size)
    present = _U64.unpack_from(image, XSTATE_BV)[0]
    # Programs that know only FXSAVE change the FP and SSE parts without saying so.
    _U64.pack_into(out, XSTATE_BV, present | XFEATURE_FPSSE)
    return bytes(out) + _MAGIC2


class FpuShape:
    """What all images of this machine's CPUs have in common.

    The last conversion each way is kept: a program that gets many signals mostly computes
    nothing with its FPU between them.
    """

    __slots__ = (
        "_framed", "_restored", "features", "frame_size", "mxcsr_mask", "size", "software",
    )  # fmt: skip

    def __init__(self, image: bytes) -> None:
        self.size = len(image)
        #: Of that, what a frame has.
        self.frame_size = _default_size(image)
        #: The parts that a frame may have, and the bytes in which ptrace tells all.
        self.features = _U64.unpack_from(image, SW_BYTES)[0] & ~XFEATURE_XTILE_DATA
        self.software = image[SW_BYTES:FXSAVE_SIZE]
        self.mxcsr_mask = _U32.unpack_from(image, _MXCSR_MASK)[0] or _DEFAULT_MXCSR_MASK
        self._framed = self._restored = b"", b""

    def framed(self, image: bytes) -> bytes:
        """frame_image()."""
        last, frame = self._framed
        if last != image:
            frame = frame_image(image)
            self._framed = image, frame
        return frame

    def restored(self, data: bytes) -> bytes:
        """image_from_frame(). ValueError."""
        last, image = self._restored
        if last != data:
            image = image_from_frame(data, self)
            self._restored = data, image
        return image


def frame_extent(data: bytes, shape: FpuShape) -> tuple[int, int]:
    """How many bytes of a frame's image count, and which parts are in it.

    `data` is what lies at the fpstate pointer, as much as could be read. Without its magic
    numbers only the FXSAVE area counts, as for programs that know nothing else.
    """
    magic, extended, features, size = _SW.unpack_from(data, SW_BYTES)
    if (
        magic == FP_XSTATE_MAGIC1
        and XSAVE_MIN <= size <= shape.frame_size
        and size <= extended
        and data[size : size + 4] == _MAGIC2
    ):
        return size, features
    return FXSAVE_SIZE, XFEATURE_FPSSE


def image_from_frame(data: bytes, shape: FpuShape) -> bytes:
    """An XSAVE image for the CPU from a frame's: parts that the frame hasn't got are reset.

    ValueError for what the CPU would refuse: reserved bits in the header or MXCSR.
    """
    if shape.size < XSAVE_MIN:
        return data[:FXSAVE_SIZE]
    size, features = frame_extent(data, shape)
    out = bytearray(shape.size)
    out[:size] = data[:size]
    present = XFEATURE_FPSSE
    if size >= XSAVE_MIN:
        present = _U64.unpack_from(data, XSTATE_BV)[0]
        if present & ~shape.features or data[_XCOMP_BV:XSAVE_MIN] != _RESERVED:
            raise ValueError("reserved bits in the XSAVE header")
        present &= features
    if _U32.unpack_from(out, _MXCSR)[0] & ~shape.mxcsr_mask:
        raise ValueError("reserved bits in MXCSR")
    _U64.pack_into(out, XSTATE_BV, present & shape.features)
    out[SW_BYTES:FXSAVE_SIZE] = shape.software
    return bytes(out)
