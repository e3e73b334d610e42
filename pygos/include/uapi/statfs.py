# SPDX-License-Identifier: Apache-2.0
"""File system statistics: asm/statfs.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import CStruct, c_int, c_long, c_ulong, u64

ST_RDONLY: Final = 0x0001
ST_NOSUID: Final = 0x0002
ST_NODEV: Final = 0x0004
ST_NOEXEC: Final = 0x0008
ST_SYNCHRONOUS: Final = 0x0010

#: f_flags is valid: always set by the kernel.
ST_VALID: Final = 0x0020
ST_MANDLOCK: Final = 0x0040
ST_NOATIME: Final = 0x0400
ST_NODIRATIME: Final = 0x0800
ST_RELATIME: Final = 0x1000
ST_NOSYMFOLLOW: Final = 0x2000


class Statfs(CStruct):
    """struct statfs of x86-64, 120 bytes; f_fsid as one number."""

    f_type: c_long = 0
    f_bsize: c_long = 0
    f_blocks: u64 = 0
    f_bfree: u64 = 0
    f_bavail: u64 = 0
    f_files: u64 = 0
    f_ffree: u64 = 0
    f_fsid: u64 = 0
    f_namelen: c_long = 0
    f_frsize: c_long = 0
    f_flags: c_long = 0
    f_spare: Annotated[tuple[int, ...], c_long, 4] = (0, 0, 0, 0)


class Ustat(CStruct):
    """struct ustat of ustat(2)."""

    f_tfree: c_int = 0
    f_tinode: c_ulong = 0
    f_fname: Annotated[bytes, 6] = b""
    f_fpack: Annotated[bytes, 6] = b""
