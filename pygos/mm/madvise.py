# SPDX-License-Identifier: Apache-2.0
"""madvise(2) and process_madvise(2) (mm/madvise.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EACCES, EBADF, EFAULT, EINVAL, ENOMEM, EPERM
from pygos.include.linux.fs import FMODE_WRITE
from pygos.include.linux.mm import (
    VM_HUGEPAGE,
    VM_IO,
    VM_NOHUGEPAGE,
    VM_PFNMAP,
    VM_RAND_READ,
    VM_SEALED,
    VM_SEQ_READ,
)
from pygos.include.linux.mm_types import (
    VM_DONTCOPY,
    VM_DONTDUMP,
    VM_DONTEXPAND,
    VM_LOCKED,
    VM_SHARED,
    VM_WIPEONFORK,
    VM_WRITE,
    Vma,
)
from pygos.include.linux.syscalls import Int, Size, UserAddr, syscall
from pygos.include.uapi import mman
from pygos.mm.fault import Fault
from pygos.mm.filemap import filemap_fill, truncate_pagecache_range
from pygos.mm.mmap import page_align
from pygos.mm.populate import populate_range
from pygos.mm.tlb import Gather
from pygos.mm.vma import isolate, merge_range, vma_is_anonymous, vmas_in

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

#: advice -> (flags set, flags cleared)
_FLAG_ADVICE: Final = {
    mman.MADV_NORMAL: (0, VM_RAND_READ | VM_SEQ_READ),
    mman.MADV_SEQUENTIAL: (VM_SEQ_READ, VM_RAND_READ),
    mman.MADV_RANDOM: (VM_RAND_READ, VM_SEQ_READ),
    mman.MADV_DONTFORK: (VM_DONTCOPY, 0),
    mman.MADV_DOFORK: (0, VM_DONTCOPY),
    mman.MADV_WIPEONFORK: (VM_WIPEONFORK, 0),
    mman.MADV_KEEPONFORK: (0, VM_WIPEONFORK),
    mman.MADV_DONTDUMP: (VM_DONTDUMP, 0),
    mman.MADV_DODUMP: (0, VM_DONTDUMP),
    mman.MADV_HUGEPAGE: (VM_HUGEPAGE, VM_NOHUGEPAGE),
    mman.MADV_NOHUGEPAGE: (VM_NOHUGEPAGE, VM_HUGEPAGE),
}
_RANGE_ADVICE: Final = frozenset({
    mman.MADV_WILLNEED, mman.MADV_DONTNEED, mman.MADV_FREE, mman.MADV_REMOVE, mman.MADV_COLD,
    mman.MADV_PAGEOUT, mman.MADV_POPULATE_READ, mman.MADV_POPULATE_WRITE,
    mman.MADV_DONTNEED_LOCKED,
})  # fmt: skip
_CAP_SYS_ADMIN: Final = 21


@syscall
def madvise(task: Task, start: UserAddr, length: Size, advice: Int) -> int:
    """Tell how memory will be used, or do something to it. madvise(2).

    Errors: EINVAL, ENOMEM (holes), EACCES, EPERM, EBADF, EFAULT. Merging (KSM) and
    guard regions aren't there: EINVAL.
    """
    assert task.mm is not None
    if advice in (mman.MADV_HWPOISON, mman.MADV_SOFT_OFFLINE):
        raise EINVAL if task.cred.capable(_CAP_SYS_ADMIN) else EPERM
    return do_madvise(task.mm, start, length, advice)


def do_madvise(mm: Mm, start: int, length: int, advice: int) -> int:
    """As madvise(2) on any mm."""
    if advice not in _FLAG_ADVICE and advice not in _RANGE_ADVICE:
        raise EINVAL
    if start & 0xFFF:
        raise EINVAL
    size = page_align(length)
    if length and not size:
        raise EINVAL
    end = start + size
    if end >= 1 << 64:
        raise EINVAL
    if end == start:
        return 0
    if advice in (mman.MADV_POPULATE_READ, mman.MADV_POPULATE_WRITE):
        _populate(mm, start, end, advice == mman.MADV_POPULATE_WRITE)
    elif advice in _FLAG_ADVICE:
        _change_flags(mm, start, end, advice)
    else:
        _walk(mm, start, end, advice)
    return 0


def _walk(mm: Mm, start: int, end: int, advice: int) -> None:
    """Apply to each VMA; holes give ENOMEM in the end."""
    hole = False
    at = start
    for vma in vmas_in(mm, start, end):
        hole = hole or vma.start > at
        at = min(vma.end, end)
        _apply(mm, vma, max(vma.start, start), at, advice)
    if hole or at < end:
        raise ENOMEM


def _apply(mm: Mm, vma: Vma, start: int, end: int, advice: int) -> None:
    if advice == mman.MADV_WILLNEED:
        _willneed(vma, start, end)
    elif advice == mman.MADV_REMOVE:
        _remove(vma, start, end)
    elif advice == mman.MADV_FREE:
        if not vma_is_anonymous(vma):
            raise EINVAL
        _dontneed(mm, vma, start, end, VM_LOCKED)
    elif advice in (mman.MADV_COLD, mman.MADV_PAGEOUT):
        if vma.flags & (VM_LOCKED | VM_PFNMAP):
            raise EINVAL
    else:
        barred = VM_LOCKED if advice == mman.MADV_DONTNEED else 0
        _dontneed(mm, vma, start, end, barred)


def _willneed(vma: Vma, start: int, end: int) -> None:
    """Read the pages of a file ahead; nothing to do for memory."""
    mapping = vma.mapping
    if mapping is None:
        return
    first = vma.pgoff + ((start - vma.start) >> 12)
    last = min(first + ((end - start) >> 12), (mapping.host.i_size + 4095) >> 12)
    filemap_fill(mapping, first, min(last, first + 1024))


def _dontneed(mm: Mm, vma: Vma, start: int, end: int, barred: int) -> None:
    """Drop the pages: memory reads as zero, private file pages as the file again."""
    if vma.flags & (barred | VM_PFNMAP):
        raise EINVAL
    if vma.flags & VM_SEALED and not vma.flags & VM_WRITE and vma_is_anonymous(vma):
        raise EPERM  # discarding is a write in disguise
    gather = Gather(mm)
    gather.zap(vma, start >> 12, end >> 12)
    gather.flush()


def _remove(vma: Vma, start: int, end: int) -> None:
    """Punch a hole into the file of a shared mapping."""
    if vma.flags & VM_LOCKED or vma.mapping is None:
        raise EINVAL
    if vma.flags & (VM_SHARED | VM_WRITE) != VM_SHARED | VM_WRITE:
        raise EACCES
    file = vma.file
    if file is not None and not file.f_mode & FMODE_WRITE:
        raise EACCES
    first = (vma.pgoff << 12) + start - vma.start
    if file is None or vma.mapping.keep:
        truncate_pagecache_range(vma.mapping, first, first + end - start)
        return
    task = vma.mm.owner
    assert task is not None
    # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    file.f_op.fallocate(task, file, 3, first, end - start)


def _populate(mm: Mm, start: int, end: int, write: bool) -> None:
    """Fault a range in as the program would."""
    at = start
    for vma in vmas_in(mm, start, end):
        if vma.start > at:
            raise ENOMEM
        allowed = VM_WRITE if write else 7
        if vma.flags & (VM_PFNMAP | VM_IO) or not vma.flags & allowed:
            raise EINVAL
        at = vma.end
        try:
            populate_range(mm, max(vma.start, start), min(vma.end, end), write)
        except Fault:
            raise EFAULT from None
    if at < end:
        raise ENOMEM


def _check_flag_advice(vma: Vma, advice: int) -> None:
    if advice == mman.MADV_DOFORK and vma.flags & VM_IO:
        raise EINVAL
    if advice == mman.MADV_WIPEONFORK and not (
        vma_is_anonymous(vma) and vma.file is None and not vma.flags & VM_SHARED
    ):
        raise EINVAL
    if advice == mman.MADV_DODUMP and vma.flags & (VM_DONTEXPAND | VM_PFNMAP):
        raise EINVAL


def _change_flags(mm: Mm, start: int, end: int, advice: int) -> None:
    """Advice that is kept in the VMA's flags."""
    add, remove = _FLAG_ADVICE[advice]
    hole = False
    at = start
    try:
        for vma in vmas_in(mm, start, end):
            hole = hole or vma.start > at
            at = min(vma.end, end)
            _check_flag_advice(vma, advice)
            flags = vma.flags & ~remove | add
            if flags != vma.flags:
                isolate(mm, vma, max(vma.start, start), at).flags = flags
    finally:
        merge_range(mm, start, end)
    if hole or at < end:
        raise ENOMEM


def set_anon_name(mm: Mm, start: int, length: int, name: str | None) -> None:
    """prctl(PR_SET_VMA_ANON_NAME): name anonymous areas in /proc/PID/maps; None clears.

    EINVAL (alignment), ENOMEM (holes), EBADF (an area with a file).
    """
    if start & 0xFFF:
        raise EINVAL
    size = page_align(length)
    if length and not size:
        raise EINVAL
    hole = False
    at = start
    end = start + size
    for vma in vmas_in(mm, start, end):
        hole = hole or vma.start > at
        at = min(vma.end, end)
        if vma.file is not None or vma.vm_ops is not None:
            raise EBADF
        isolate(mm, vma, max(vma.start, start), at).name = f"[anon:{name}]" if name else ""
    merge_range(mm, start, end)
    if hole or at < end:
        raise ENOMEM
