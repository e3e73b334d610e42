# SPDX-License-Identifier: Apache-2.0
"""msync(2) (mm/msync.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EBUSY, EINVAL, ENOMEM
from pygos.include.linux.mm_types import VM_LOCKED, VM_SHARED
from pygos.include.linux.syscalls import Flags, Size, UserAddr, syscall
from pygos.include.uapi.mman import MS_ASYNC, MS_INVALIDATE, MS_SYNC
from pygos.mm.mmap import page_align
from pygos.mm.truncate import filemap_fdatawrite
from pygos.mm.vma import vmas_in

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


@syscall
def msync(task: Task, start: UserAddr, length: Size, flags: Flags) -> int:
    """Write the changes of shared file mappings back. msync(2).

    Errors: EINVAL, ENOMEM (holes), EBUSY (MS_INVALIDATE of locked memory), EIO.
    """
    mm = task.mm
    assert mm is not None
    if flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC):
        raise EINVAL
    if start & 0xFFF:
        raise EINVAL
    if flags & MS_ASYNC and flags & MS_SYNC:
        raise EINVAL
    end = start + page_align(length)
    if end < start or end >= 1 << 64 or (length and end == start):
        raise ENOMEM
    at = start
    hole = False
    for vma in vmas_in(mm, start, end):
        hole = hole or vma.start > at
        if flags & MS_INVALIDATE and vma.flags & VM_LOCKED:
            raise EBUSY
        mapping = vma.mapping
        stop = min(vma.end, end)
        if flags & MS_SYNC and vma.flags & VM_SHARED and mapping is not None and not mapping.keep:
            base = vma.pgoff - (vma.start >> 12)
            filemap_fdatawrite(mapping, base + (max(start, vma.start) >> 12), base + (stop >> 12))
        at = stop
    if hole or at < end:
        raise ENOMEM
    return 0
