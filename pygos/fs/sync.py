# SPDX-License-Identifier: Apache-2.0
"""Writing back: sync(2), syncfs(2), fsync(2), sync_file_range(2). Reading ahead is mm's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EINVAL, ESPIPE
from pygos.include.linux.fs import (
    S_IFBLK,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
)
from pygos.include.linux.syscalls import FileArg, Long, UInt, syscall
from pygos.include.uapi.fs import (
    SYNC_FILE_RANGE_WAIT_AFTER,
    SYNC_FILE_RANGE_WAIT_BEFORE,
    SYNC_FILE_RANGE_WRITE,
)

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_RANGE_FLAGS = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER


@syscall
def sync(task: Task) -> int:
    """Write everything to its store. sync(2)."""
    for sb in tuple(task.machine.supers):
        sb.s_op.sync_fs(sb)
    return 0


@syscall
def syncfs(task: Task, file: FileArg) -> int:
    """Write the file's file system to its store. syncfs(2). Errors: EBADF, EIO."""
    sb = file.f_inode.i_sb
    sb.s_op.sync_fs(sb)
    return 0


@syscall
def fsync(task: Task, file: FileArg) -> int:
    """Write a file to its store. fsync(2). Errors: EBADF, EINVAL (pipes and such), EIO."""
    file.f_op.fsync(task, file, False)
    return 0


@syscall
def fdatasync(task: Task, file: FileArg) -> int:
    """Write a file's data to its store. fdatasync(2). Errors: see fsync."""
    file.f_op.fsync(task, file, True)
    return 0


@syscall
def sync_file_range(task: Task, file: FileArg, offset: Long, nbytes: Long, flags: UInt) -> int:
    """Write part of a file to its store. sync_file_range(2). Errors: EINVAL, ESPIPE, EIO."""
    inode = file.f_inode
    if flags & ~_RANGE_FLAGS or offset < 0 or nbytes < 0 or offset + nbytes >= 1 << 63:
        raise EINVAL
    if inode.i_mode & S_IFMT not in (S_IFREG, S_IFBLK, S_IFDIR, S_IFLNK):
        raise ESPIPE
    mapping = inode.i_mapping
    if flags and mapping is not None and mapping.dirty:
        file.f_op.fsync(task, file, True)
    return 0
