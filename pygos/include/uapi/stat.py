# SPDX-License-Identifier: Apache-2.0
"""File types, modes and attributes: linux/stat.h, asm/stat.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import (
    CStruct,
    c_long,
    c_uint,
    c_ulong,
    i32,
    i64,
    u16,
    u32,
    u64,
    zeroed,
)

S_IFMT: Final = 0o0170000
S_IFSOCK: Final = 0o140000
S_IFLNK: Final = 0o120000
S_IFREG: Final = 0o100000
S_IFBLK: Final = 0o060000
S_IFDIR: Final = 0o040000
S_IFCHR: Final = 0o020000
S_IFIFO: Final = 0o010000
S_ISUID: Final = 0o004000
S_ISGID: Final = 0o002000
S_ISVTX: Final = 0o001000
S_IRWXU: Final = 0o0700
S_IRUSR: Final = 0o0400
S_IWUSR: Final = 0o0200
S_IXUSR: Final = 0o0100
S_IRWXG: Final = 0o0070
S_IRGRP: Final = 0o0040
S_IWGRP: Final = 0o0020
S_IXGRP: Final = 0o0010
S_IRWXO: Final = 0o0007
S_IROTH: Final = 0o0004
S_IWOTH: Final = 0o0002
S_IXOTH: Final = 0o0001

S_IRWXUGO: Final = 0o777
S_IALLUGO: Final = 0o7777
S_IRUGO: Final = 0o444
S_IWUGO: Final = 0o222
S_IXUGO: Final = 0o111

STATX_TYPE: Final = 0x00000001
STATX_MODE: Final = 0x00000002
STATX_NLINK: Final = 0x00000004
STATX_UID: Final = 0x00000008
STATX_GID: Final = 0x00000010
STATX_ATIME: Final = 0x00000020
STATX_MTIME: Final = 0x00000040
STATX_CTIME: Final = 0x00000080
STATX_INO: Final = 0x00000100
STATX_SIZE: Final = 0x00000200
STATX_BLOCKS: Final = 0x00000400
STATX_BASIC_STATS: Final = 0x000007FF
STATX_BTIME: Final = 0x00000800
STATX_MNT_ID: Final = 0x00001000
STATX_DIOALIGN: Final = 0x00002000
STATX__RESERVED: Final = 0x80000000
STATX_ALL: Final = 0x00000FFF

STATX_MNT_ID_UNIQUE: Final = 0x4000
STATX_SUBVOL: Final = 0x8000
STATX_WRITE_ATOMIC: Final = 0x10000
STATX_DIO_READ_ALIGN: Final = 0x20000

STATX_ATTR_COMPRESSED: Final = 0x00000004
STATX_ATTR_IMMUTABLE: Final = 0x00000010
STATX_ATTR_APPEND: Final = 0x00000020
STATX_ATTR_NODUMP: Final = 0x00000040
STATX_ATTR_ENCRYPTED: Final = 0x00000800
STATX_ATTR_AUTOMOUNT: Final = 0x00001000
STATX_ATTR_MOUNT_ROOT: Final = 0x00002000
STATX_ATTR_VERITY: Final = 0x00100000
STATX_ATTR_DAX: Final = 0x00200000

STATX_ATTR_WRITE_ATOMIC: Final = 0x400000


def S_ISLNK(mode: int) -> bool:
    """A symbolic link?"""
    return mode & S_IFMT == S_IFLNK


def S_ISREG(mode: int) -> bool:
    """A regular file?"""
    return mode & S_IFMT == S_IFREG


def S_ISDIR(mode: int) -> bool:
    """A directory?"""
    return mode & S_IFMT == S_IFDIR


def S_ISCHR(mode: int) -> bool:
    """A character device?"""
    return mode & S_IFMT == S_IFCHR


def S_ISBLK(mode: int) -> bool:
    """A block device?"""
    return mode & S_IFMT == S_IFBLK


def S_ISFIFO(mode: int) -> bool:
    """A FIFO or pipe?"""
    return mode & S_IFMT == S_IFIFO


def S_ISSOCK(mode: int) -> bool:
    """A socket?"""
    return mode & S_IFMT == S_IFSOCK


class Stat(CStruct):
    """struct stat of x86-64, 144 bytes."""

    st_dev: c_ulong = 0
    st_ino: c_ulong = 0
    st_nlink: c_ulong = 0
    st_mode: c_uint = 0
    st_uid: c_uint = 0
    st_gid: c_uint = 0
    pad0: c_uint = 0
    st_rdev: c_ulong = 0
    st_size: c_long = 0
    st_blksize: c_long = 0
    st_blocks: c_long = 0
    st_atime: c_ulong = 0
    st_atime_nsec: c_ulong = 0
    st_mtime: c_ulong = 0
    st_mtime_nsec: c_ulong = 0
    st_ctime: c_ulong = 0
    st_ctime_nsec: c_ulong = 0
    unused: Annotated[tuple[int, ...], c_long, 3] = (0, 0, 0)


class StatxTimestamp(CStruct):
    """struct statx_timestamp."""

    tv_sec: i64 = 0
    tv_nsec: u32 = 0
    reserved: i32 = 0


class Statx(CStruct):
    """struct statx, 256 bytes."""

    stx_mask: u32 = 0
    stx_blksize: u32 = 0
    stx_attributes: u64 = 0
    stx_nlink: u32 = 0
    stx_uid: u32 = 0
    stx_gid: u32 = 0
    stx_mode: u16 = 0
    spare0: u16 = 0
    stx_ino: u64 = 0
    stx_size: u64 = 0
    stx_blocks: u64 = 0
    stx_attributes_mask: u64 = 0
    stx_atime: StatxTimestamp = zeroed(StatxTimestamp)
    stx_btime: StatxTimestamp = zeroed(StatxTimestamp)
    stx_ctime: StatxTimestamp = zeroed(StatxTimestamp)
    stx_mtime: StatxTimestamp = zeroed(StatxTimestamp)
    stx_rdev_major: u32 = 0
    stx_rdev_minor: u32 = 0
    stx_dev_major: u32 = 0
    stx_dev_minor: u32 = 0
    stx_mnt_id: u64 = 0
    stx_dio_mem_align: u32 = 0
    stx_dio_offset_align: u32 = 0
    stx_subvol: u64 = 0
    stx_atomic_write_unit_min: u32 = 0
    stx_atomic_write_unit_max: u32 = 0
    stx_atomic_write_segments_max: u32 = 0
    stx_dio_read_offset_align: u32 = 0
    stx_atomic_write_unit_max_opt: u32 = 0
    spare2: u32 = 0
    spare3: Annotated[tuple[int, ...], u64, 8] = (0,) * 8
