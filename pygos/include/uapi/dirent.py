# SPDX-License-Identifier: Apache-2.0
"""Directory entries: struct linux_dirent64 and DT_*."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, c_ulong, i64, u8, u16, u64

DT_UNKNOWN: Final = 0
DT_FIFO: Final = 1
DT_CHR: Final = 2
DT_DIR: Final = 4
DT_BLK: Final = 6
DT_REG: Final = 8
DT_LNK: Final = 10
DT_SOCK: Final = 12
DT_WHT: Final = 14

#: Where d_name begins in struct linux_dirent64 and in the old struct linux_dirent.
DIRENT64_NAME: Final = 19
DIRENT_NAME: Final = 18


class LinuxDirent64(CStruct, packed=True):
    """The head of struct linux_dirent64; the name with its NUL follows at once."""

    d_ino: u64 = 0
    d_off: i64 = 0
    d_reclen: u16 = 0
    d_type: u8 = 0


class LinuxDirent(CStruct, packed=True):
    """The head of struct linux_dirent of getdents(2); d_type is the last byte of the record."""

    d_ino: c_ulong = 0
    d_off: c_ulong = 0
    d_reclen: u16 = 0


def mode_to_dt(mode: int) -> int:
    """The DT_* of a file type in st_mode."""
    return mode >> 12 & 15
