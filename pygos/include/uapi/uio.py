# SPDX-License-Identifier: Apache-2.0
"""Vectored I/O: linux/uio.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, c_ptr, c_size_t

UIO_FASTIOV: Final = 8
UIO_MAXIOV: Final = 1024

#: What one read or write moves at most.
MAX_RW_COUNT: Final = 0x7FFFF000


class Iovec(CStruct):
    """struct iovec."""

    iov_base: c_ptr = 0
    iov_len: c_size_t = 0
