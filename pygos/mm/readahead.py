# SPDX-License-Identifier: Apache-2.0
"""readahead(2), posix_fadvise(2), cachestat(2) (mm/readahead.c, mm/fadvise.c, mm/filemap.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EBADF, EINVAL, EOPNOTSUPP, ESPIPE
from pygos.include.linux.fs import FMODE_READ, S_IFIFO, S_IFMT
from pygos.include.linux.syscalls import FileArg, Flags, In, Int, Long, Out, Size, syscall
from pygos.include.uapi.mman import Cachestat, CachestatRange
from pygos.mm.filemap import filemap_fill
from pygos.mm.truncate import invalidate_range

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task

_POSIX_FADV_WILLNEED: Final = 3
_POSIX_FADV_DONTNEED: Final = 4
_FADV_LAST: Final = 5
#: One call reads at most this many pages ahead.
_MAX_PAGES: Final = 512


@syscall
def readahead(task: Task, file: FileArg, offset: Long, count: Size) -> int:
    """Read a part of a file into the page cache. readahead(2). EBADF, EINVAL."""
    if not file.f_mode & FMODE_READ:
        raise EBADF
    if file.f_inode.i_mapping is None or not file.f_inode.is_reg:
        raise EINVAL
    _willneed(file, offset, count)
    return 0


def _willneed(file: File, offset: int, count: int) -> None:
    mapping = file.f_inode.i_mapping
    if mapping is None or offset < 0:
        return
    end = min(offset + count, mapping.host.i_size) if count else mapping.host.i_size
    first = offset >> 12
    filemap_fill(mapping, first, min((end + 4095) >> 12, first + _MAX_PAGES))


@syscall
def fadvise64(task: Task, file: FileArg, offset: Long, length: Long, advice: Int) -> int:
    """Tell how a file will be read. posix_fadvise(2). Errors: ESPIPE (a pipe), EINVAL."""
    inode = file.f_inode
    if inode.i_mode & S_IFMT == S_IFIFO:
        raise ESPIPE
    if length < 0 or not 0 <= advice <= _FADV_LAST:
        raise EINVAL
    mapping = inode.i_mapping
    if mapping is None:
        return 0
    if advice == _POSIX_FADV_WILLNEED:
        _willneed(file, offset, length)
    elif advice == _POSIX_FADV_DONTNEED:
        end = offset + length if length else 1 << 63
        # Pages that are only partly in the range stay.
        last = end >> 12 if end < inode.i_size else (end + 4095) >> 12
        if not mapping.keep:
            invalidate_range(mapping, (offset + 4095) >> 12, last)
    return 0


@syscall
def cachestat(
    task: Task, file: FileArg, range: In[CachestatRange], stat: Out[Cachestat], flags: Flags
) -> int:
    """Count cached pages of a file. cachestat(2). Errors: EINVAL, EOPNOTSUPP, EFAULT."""
    if flags:
        raise EINVAL
    mapping = file.f_inode.i_mapping
    if mapping is None:
        raise EOPNOTSUPP
    first = range.off >> 12
    last = (range.off + range.len - 1) >> 12 if range.len else 1 << 52
    cached = sum(1 for index in mapping.pages if first <= index <= last)
    dirty = sum(1 for index in mapping.dirty if first <= index <= last)
    stat.put(Cachestat(nr_cache=cached, nr_dirty=dirty))
    return 0
