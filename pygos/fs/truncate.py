# SPDX-License-Identifier: Apache-2.0
"""Changing the size of files: truncate(2), ftruncate(2), fallocate(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.attr import do_truncate, vfs_truncate_checks
from pygos.fs.permission import mnt_want_write
from pygos.fs.walk import LOOKUP_FOLLOW, path_lookup
from pygos.include.errno import (
    EBADF,
    EFBIG,
    EINVAL,
    EISDIR,
    ENODEV,
    EOPNOTSUPP,
    EPERM,
    ESPIPE,
    ETXTBSY,
)
from pygos.include.linux.fs import (
    ATTR_CTIME,
    ATTR_MTIME,
    FMODE_WRITE,
    S_APPEND,
    S_IFBLK,
    S_IFDIR,
    S_IFIFO,
    S_IFMT,
    S_IFREG,
    S_IMMUTABLE,
)
from pygos.include.linux.syscalls import FileArg, Flags, Long, PathArg, syscall
from pygos.include.uapi.fcntl import AT_FDCWD
from pygos.include.uapi.fs import (
    FALLOC_FL_COLLAPSE_RANGE,
    FALLOC_FL_INSERT_RANGE,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_UNSHARE_RANGE,
    FALLOC_FL_ZERO_RANGE,
)

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_MODES = (
    FALLOC_FL_KEEP_SIZE
    | FALLOC_FL_PUNCH_HOLE
    | FALLOC_FL_COLLAPSE_RANGE
    | FALLOC_FL_ZERO_RANGE
    | FALLOC_FL_INSERT_RANGE
    | FALLOC_FL_UNSHARE_RANGE
)
_ALONE = (0, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_ZERO_RANGE)
_ALONE_TOO = (FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE)


@syscall
def truncate(task: Task, path: PathArg, length: Long) -> int:
    """Set the size of a file. truncate(2).

    Errors: EINVAL, EISDIR, EACCES, EPERM, EROFS, ETXTBSY, EFBIG, those of the path walk.
    """
    if length < 0:
        raise EINVAL
    place = path_lookup(task, AT_FDCWD, path, LOOKUP_FOLLOW)
    inode = place.inode
    kind = inode.i_mode & S_IFMT
    if kind == S_IFDIR:
        raise EISDIR
    if kind != S_IFREG:
        raise EINVAL
    mnt_want_write(place.mnt)
    vfs_truncate_checks(task, inode)
    do_truncate(task, place.dentry, length, 0)
    return 0


@syscall
def ftruncate(task: Task, file: FileArg, length: Long) -> int:
    """Set the size of an open file. ftruncate(2).

    Errors: EBADF, EINVAL (not a regular file open for writing), EPERM, EFBIG.
    """
    if length < 0:
        raise EINVAL
    inode = file.f_inode
    if inode.i_mode & S_IFMT != S_IFREG or not file.f_mode & FMODE_WRITE:
        raise EINVAL
    if inode.i_flags & S_APPEND:
        raise EPERM
    do_truncate(task, file.f_path.dentry, length, ATTR_MTIME | ATTR_CTIME)
    return 0


@syscall
def fallocate(task: Task, file: FileArg, mode: Flags, offset: Long, length: Long) -> int:
    """Allocate, free, zero a range of a file. fallocate(2).

    Errors: EINVAL, EBADF, EOPNOTSUPP, EPERM, ESPIPE, EISDIR, ENODEV, EFBIG, ETXTBSY, ENOSPC.
    """
    inode = file.f_inode
    if offset < 0 or length <= 0:
        raise EINVAL
    if mode & ~_MODES or mode & ~FALLOC_FL_KEEP_SIZE not in (*_ALONE, *_ALONE_TOO):
        raise EOPNOTSUPP
    if mode & FALLOC_FL_PUNCH_HOLE and not mode & FALLOC_FL_KEEP_SIZE:
        raise EOPNOTSUPP
    if (
        mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE)
        and mode & FALLOC_FL_KEEP_SIZE
    ):
        raise EOPNOTSUPP
    if not file.f_mode & FMODE_WRITE:
        raise EBADF
    if inode.i_flags & S_IMMUTABLE or (inode.i_flags & S_APPEND and mode & ~FALLOC_FL_KEEP_SIZE):
        raise EPERM
    if inode.i_writecount < 0:
        raise ETXTBSY
    kind = inode.i_mode & S_IFMT
    if kind not in (S_IFREG, S_IFBLK):
        raise ESPIPE if kind == S_IFIFO else EISDIR if kind == S_IFDIR else ENODEV
    if offset + length > inode.i_sb.s_maxbytes:
        raise EFBIG
    file.f_op.fallocate(task, file, mode, offset, length)
    return 0
