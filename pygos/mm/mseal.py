# SPDX-License-Identifier: Apache-2.0
"""mseal(2): areas whose mapping can't be changed any more (mm/mseal.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EINVAL, ENOMEM
from pygos.include.linux.mm import VM_SEALED
from pygos.include.linux.syscalls import Size, ULong, UserAddr, syscall
from pygos.mm.mmap import page_align
from pygos.mm.vma import has_hole, isolate, merge_range, vmas_in

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


@syscall
def mseal(task: Task, start: UserAddr, length: Size, flags: ULong) -> int:
    """Seal memory against munmap, mprotect, mremap, MAP_FIXED. mseal(2).

    Errors: EINVAL (flags, alignment, overflow), ENOMEM (holes).
    """
    mm = task.mm
    assert mm is not None
    size = page_align(length)
    if flags or start & 0xFFF or (length and not size):
        raise EINVAL
    end = start + size
    if end >= 1 << 64:
        raise EINVAL
    if end == start:
        return 0
    if has_hole(mm, start, end):
        raise ENOMEM
    try:
        for vma in vmas_in(mm, start, end):
            if not vma.flags & VM_SEALED:
                at = max(vma.start, start)
                isolate(mm, vma, at, min(vma.end, end)).flags |= VM_SEALED
    finally:
        merge_range(mm, start, end)
    return 0
