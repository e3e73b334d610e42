# SPDX-License-Identifier: Apache-2.0
"""Writing back and reading ahead: sync(2), fsync(2), sync_file_range(2), fadvise64(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EBADF, EINVAL, ESPIPE
from pygos.include.linux.fs import (
    FMODE_READ,
    S_IFBLK,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
)
from pygos.include.linux.platform import PAGE_SHIFT
from pygos.include.linux.syscalls import FileArg, Int, Long, Size, UInt, syscall
from pygos.include.uapi.fs import (
    POSIX_FADV_DONTNEED,
    POSIX_FADV_NOREUSE,
    POSIX_FADV_WILLNEED,
    SYNC_FILE_RANGE_WAIT_AFTER,
    SYNC_FILE_RANGE_WAIT_BEFORE,
    SYNC_FILE_RANGE_WRITE,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import Mapping
    from pygos.include.linux.sched import Task

_RANGE_FLAGS = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER
#: Pages that one call reads ahead at most.
_MAX_READAHEAD = 1024


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
    if flags & ~_RANGE_FLAGS or offset < 0 or nbytes < 0 or offset + nbytes >= 1 << 63:
        raise EINVAL
    if file.f_inode.i_mode & S_IFMT not in (S_IFREG, S_IFBLK, S_IFDIR, S_IFLNK):
        raise ESPIPE
    mapping = file.f_inode.i_mapping
    if flags and mapping is not None and mapping.dirty:
        file.f_op.fsync(task, file, True)
    return 0


def _read_ahead(mapping: Mapping, offset: int, count: int) -> None:
    """Bring a range of a file into the page cache, as far as it goes in one call."""
    from pygos.mm.filemap import filemap_fill

    end = min(offset + count, mapping.host.i_size)
    first = offset >> PAGE_SHIFT
    last = (end + (1 << PAGE_SHIFT) - 1) >> PAGE_SHIFT
    if last > first:
        filemap_fill(mapping, first, min(last, first + _MAX_READAHEAD))


@syscall
def readahead(task: Task, file: FileArg, offset: Long, count: Size) -> int:
    """Read a file into the page cache. readahead(2). Errors: EBADF, EINVAL."""
    if not file.f_mode & FMODE_READ:
        raise EBADF
    mapping = file.f_inode.i_mapping
    if mapping is None or file.f_inode.i_mode & S_IFMT not in (S_IFREG, S_IFBLK):
        raise EINVAL
    if offset >= 0:
        _read_ahead(mapping, offset, count)
    return 0


def _dont_need(mapping: Mapping, offset: int, length: int) -> None:
    """Let go of a file that nobody maps, if all of it is meant."""
    if offset == 0 and not mapping.keep and not mapping.i_mmap and length >= mapping.host.i_size:
        from pygos.mm.filemap import invalidate_mapping

        invalidate_mapping(mapping)


def _advise(file: File, mapping: Mapping, offset: int, length: int, advice: int) -> None:
    if advice == POSIX_FADV_WILLNEED:
        _read_ahead(mapping, offset, length)
    elif advice == POSIX_FADV_DONTNEED:
        _dont_need(mapping, offset, length)


@syscall
def fadvise64(task: Task, file: FileArg, offset: Long, length: Long, advice: Int) -> int:
    """Announce how a file will be read. fadvise64(2). Errors: EINVAL, ESPIPE (a pipe)."""
    inode = file.f_inode
    if inode.i_mode & S_IFMT == S_IFIFO:
        raise ESPIPE
    if length < 0 or not 0 <= advice <= POSIX_FADV_NOREUSE:
        raise EINVAL
    mapping = inode.i_mapping
    if mapping is not None and offset >= 0:
        _advise(file, mapping, offset, length or inode.i_size, advice)
    return 0
