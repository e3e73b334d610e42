# SPDX-License-Identifier: Apache-2.0
"""Opening files, fcntl(2), record locks: linux/fcntl.h, linux/openat2.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, c_int, c_long, c_short, u64

O_ACCMODE: Final = 0o0000003
O_RDONLY: Final = 0o0000000
O_WRONLY: Final = 0o0000001
O_RDWR: Final = 0o0000002
O_CREAT: Final = 0o0000100
O_EXCL: Final = 0o0000200
O_NOCTTY: Final = 0o0000400
O_TRUNC: Final = 0o0001000
O_APPEND: Final = 0o0002000
O_NONBLOCK: Final = 0o0004000
O_DSYNC: Final = 0o0010000
FASYNC: Final = 0o0020000
O_DIRECT: Final = 0o0040000
O_LARGEFILE: Final = 0o0100000
O_DIRECTORY: Final = 0o0200000
O_NOFOLLOW: Final = 0o0400000
O_NOATIME: Final = 0o1000000
O_CLOEXEC: Final = 0o2000000
O_SYNC: Final = 0o4010000
O_PATH: Final = 0o10000000
O_TMPFILE: Final = 0o20200000
O_NDELAY: Final = 0o4000

#: O_PATH opens keep these flags only.
O_PATH_FLAGS: Final = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC

#: Every flag that open(2) knows; openat2(2) refuses others.
VALID_OPEN_FLAGS: Final = (
    O_WRONLY | O_RDWR | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC
    | O_DSYNC | FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC
    | O_PATH | O_TMPFILE
)  # fmt: skip

F_DUPFD: Final = 0
F_GETFD: Final = 1
F_SETFD: Final = 2
F_GETFL: Final = 3
F_SETFL: Final = 4
F_GETLK: Final = 5
F_SETLK: Final = 6
F_SETLKW: Final = 7
F_SETOWN: Final = 8
F_GETOWN: Final = 9
F_SETSIG: Final = 10
F_GETSIG: Final = 11
F_SETOWN_EX: Final = 15
F_GETOWN_EX: Final = 16
F_GETOWNER_UIDS: Final = 17
F_OFD_GETLK: Final = 36
F_OFD_SETLK: Final = 37
F_OFD_SETLKW: Final = 38
F_RDLCK: Final = 0
F_WRLCK: Final = 1
F_UNLCK: Final = 2
F_EXLCK: Final = 4
F_SHLCK: Final = 8

F_SETLEASE: Final = 1024
F_GETLEASE: Final = 1025
F_CANCELLK: Final = 1029
F_DUPFD_CLOEXEC: Final = 1030
F_NOTIFY: Final = 1026
F_SETPIPE_SZ: Final = 1031
F_GETPIPE_SZ: Final = 1032
F_ADD_SEALS: Final = 1033
F_GET_SEALS: Final = 1034
F_SEAL_SEAL: Final = 0x0001
F_SEAL_SHRINK: Final = 0x0002
F_SEAL_GROW: Final = 0x0004
F_SEAL_WRITE: Final = 0x0008
F_SEAL_FUTURE_WRITE: Final = 0x0010
F_GET_RW_HINT: Final = 1035
F_SET_RW_HINT: Final = 1036
F_GET_FILE_RW_HINT: Final = 1037
F_SET_FILE_RW_HINT: Final = 1038

F_DUPFD_QUERY: Final = 1027
F_CREATED_QUERY: Final = 1028
F_SEAL_EXEC: Final = 0x0020

RWH_WRITE_LIFE_NOT_SET: Final = 0
RWH_WRITE_LIFE_NONE: Final = 1
RWH_WRITE_LIFE_SHORT: Final = 2
RWH_WRITE_LIFE_MEDIUM: Final = 3
RWH_WRITE_LIFE_LONG: Final = 4
RWH_WRITE_LIFE_EXTREME: Final = 5
RWF_WRITE_LIFE_NOT_SET: Final = 0

F_OWNER_TID: Final = 0
F_OWNER_PID: Final = 1
F_OWNER_PGRP: Final = 2
FD_CLOEXEC: Final = 1

LOCK_SH: Final = 1
LOCK_EX: Final = 2
LOCK_NB: Final = 4
LOCK_UN: Final = 8
LOCK_MAND: Final = 32
LOCK_READ: Final = 64
LOCK_WRITE: Final = 128
LOCK_RW: Final = 192

DN_ACCESS: Final = 0x00000001
DN_MODIFY: Final = 0x00000002
DN_CREATE: Final = 0x00000004
DN_DELETE: Final = 0x00000008
DN_RENAME: Final = 0x00000010
DN_ATTRIB: Final = 0x00000020
DN_MULTISHOT: Final = 0x80000000

AT_FDCWD: Final = -100
AT_SYMLINK_NOFOLLOW: Final = 0x100
AT_EACCESS: Final = 0x200
AT_REMOVEDIR: Final = 0x200
AT_SYMLINK_FOLLOW: Final = 0x400
AT_NO_AUTOMOUNT: Final = 0x800
AT_EMPTY_PATH: Final = 0x1000
AT_STATX_SYNC_TYPE: Final = 0x6000
AT_STATX_SYNC_AS_STAT: Final = 0x0000
AT_STATX_FORCE_SYNC: Final = 0x2000
AT_STATX_DONT_SYNC: Final = 0x4000

AT_RECURSIVE: Final = 0x8000

AT_RENAME_NOREPLACE: Final = 0x0001
AT_RENAME_EXCHANGE: Final = 0x0002
AT_RENAME_WHITEOUT: Final = 0x0004
AT_HANDLE_FID: Final = 0x200
AT_HANDLE_MNT_ID_UNIQUE: Final = 0x001
AT_HANDLE_CONNECTABLE: Final = 0x002
AT_EXECVE_CHECK: Final = 0x10000

SEEK_SET: Final = 0
SEEK_CUR: Final = 1
SEEK_END: Final = 2
SEEK_DATA: Final = 3
SEEK_HOLE: Final = 4

#: access(2)
F_OK: Final = 0
X_OK: Final = 1
W_OK: Final = 2
R_OK: Final = 4

RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10
RESOLVE_CACHED: Final = 0x20


class Flock(CStruct):
    """struct flock of F_GETLK, F_SETLK and their OFD kin; l_len 0 is "to the end"."""

    l_type: c_short = 0
    l_whence: c_short = 0
    l_start: c_long = 0
    l_len: c_long = 0
    l_pid: c_int = 0


class FOwnerEx(CStruct):
    """struct f_owner_ex of F_SETOWN_EX."""

    type: c_int = 0
    pid: c_int = 0


class OpenHow(CStruct):
    """struct open_how of openat2(2)."""

    flags: u64 = 0
    mode: u64 = 0
    resolve: u64 = 0
