# SPDX-License-Identifier: Apache-2.0
"""Regular files of tmpfs: page cache files that can be preallocated and punched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.attr import inode_newsize_ok
from pygos.fs.generic_file import GenericFileOperations
from pygos.fs.inode import current_time, file_remove_privs
from pygos.include.errno import ENOSPC, EOPNOTSUPP
from pygos.include.linux.platform import PAGE_SHIFT, PAGE_SIZE
from pygos.include.uapi.fs import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
from pygos.mm.filemap import (
    add_to_page_cache,
    alloc_cache_run,
    pagecache_isize_extended,
    truncate_pagecache_range,
)
from pygos.mm.oom import OutOfMemory

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import Mapping
    from pygos.include.linux.sched import Task


class TmpfsFileOperations(GenericFileOperations):
    """fallocate(2): preallocate (with or without KEEP_SIZE) and punch holes."""

    __slots__ = ()
    in_stub = True

    def fallocate(self, task: Task, file: File, mode: int, offset: int, length: int) -> None:
        if mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE):
            raise EOPNOTSUPP
        inode = file.f_inode
        mapping = inode.i_mapping
        assert mapping is not None
        file_remove_privs(task, file)
        if mode & FALLOC_FL_PUNCH_HOLE:
            truncate_pagecache_range(mapping, offset, offset + length)
            inode.i_mtime = inode.i_ctime = current_time(inode)
            return
        end = offset + length
        grow = not mode & FALLOC_FL_KEEP_SIZE and end > inode.i_size
        if grow:
            inode_newsize_ok(task, inode, end)
        preallocate(mapping, offset >> PAGE_SHIFT, (end + PAGE_SIZE - 1) >> PAGE_SHIFT)
        if grow:
            pagecache_isize_extended(mapping, inode.i_size)
            inode.i_size = end
        inode.i_mtime = inode.i_ctime = current_time(inode)


def preallocate(mapping: Mapping, start: int, end: int) -> None:
    """Zeroed pages for the holes in page range [start, end): all of them or, ENOSPC, none."""
    pages = mapping.pages
    zone = mapping.machine.zone
    missing = end - start - sum(1 for index in pages if start <= index < end)
    if not missing:
        return
    if missing > zone.nr_free - zone.high_wmark:
        raise ENOSPC
    mapping.a_ops.reserve(mapping, missing)
    index = start
    while missing:
        if index in pages:
            index += 1
            continue
        stop = index + 1
        while stop < end and stop not in pages:
            stop += 1
        try:
            pfn, size = alloc_cache_run(mapping, stop - index, True)
        except OutOfMemory:
            mapping.a_ops.unreserve(mapping, missing)
            raise
        add_to_page_cache(mapping, index, pfn, size)
        index += size
        missing -= size


TMPFS_FILE_FOPS: Final = TmpfsFileOperations()
