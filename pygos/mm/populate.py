# SPDX-License-Identifier: Apache-2.0
"""Filling the page table ahead of use: MAP_POPULATE, mlock, exec (mm/gup.c: __mm_populate)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import Errno
from pygos.include.linux.mm import VM_ACCESS_FLAGS
from pygos.include.linux.mm_types import PTE_WRITE, VM_EXEC, VM_SHARED, VM_WRITE
from pygos.include.linux.platform import Access
from pygos.mm.cow import copy_cached
from pygos.mm.fault import Fault, anon_populate, fault_page, map_cached
from pygos.mm.history import EXEC, READ, WRITE, recorded
from pygos.mm.oom import OutOfMemory
from pygos.mm.vma import vma_is_anonymous, vma_lookup, vmas_in

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import Vma
    from pygos.mm.mm import Mm

_CHUNK: Final = 512
#: Program text up to this many pages is mapped at once as far as it is cached.
_PREMAP_PAGES: Final = 2048
#: As much of a writable segment is made the program's own when it is mapped.
_DATA_PAGES: Final = 16


def mm_populate(mm: Mm, start: int, end: int) -> None:
    """Fault in [start, end) as far as it goes; errors are ignored, as Linux does."""
    try:
        populate_range(mm, start, end)
    except (Fault, OutOfMemory):
        pass


def populate_range(mm: Mm, start: int, end: int, write: bool | None = None) -> None:
    """Fault all pages of [start, end) in, for writing where `write` (None: where private and
    writable). Fault, OutOfMemory; holes are skipped."""
    for vma in vmas_in(mm, start, end):
        if not vma.flags & VM_ACCESS_FLAGS:
            continue
        lo, hi = max(start, vma.start) >> 12, min(end, vma.end) >> 12
        if vma_is_anonymous(vma):
            _populate_anon(mm, vma, lo, hi)
        want = vma.flags & (VM_WRITE | VM_SHARED) == VM_WRITE if write is None else write
        _populate_rest(mm, lo, hi, want)


def _populate_anon(mm: Mm, vma: Vma, lo: int, hi: int) -> None:
    """Frames for the absent pages, in long runs."""
    pt = mm.pt
    while lo < hi:
        if lo in pt:
            lo += 1
            continue
        stop = lo + 1
        limit = min(hi, lo + _CHUNK)
        while stop < limit and stop not in pt:
            stop += 1
        lo += anon_populate(mm, vma, lo, lo, stop, True)


def _populate_rest(mm: Mm, lo: int, hi: int, write: bool) -> None:
    lookup = mm.pt.get
    access = Access.WRITE if write else Access.READ
    for vpn in range(lo, hi):
        pte = lookup(vpn, 0)
        if not pte or (write and not pte & PTE_WRITE):
            fault_page(mm, vpn << 12, access, True)


def premap_file(mm: Mm, vma: Vma, start: int, end: int, fixed: bool) -> None:
    """Map what is likely to be used of a file's private mapping [start, end) in `vma`.

    Cached program text as a whole; of the rest what others used before. Where a `fixed` one
    continues a mapping of the same file it is a segment of a library, and if it is writable
    the first pages are used anyway. Other programs may want to see the file change.
    """
    mapping = vma.mapping
    assert mapping is not None
    if not mapping.pages:
        return
    flags = vma.flags
    lo, hi = start >> 12, end >> 12
    if flags & VM_WRITE:
        below = vma_lookup(mm, start - 1) if fixed else None
        if below is not None and below.mapping is mapping:  # a program's or library's data
            copy_segment(mm, vma, lo, hi)
    elif flags & VM_EXEC and hi - lo <= _PREMAP_PAGES:
        map_cached(mm, vma, lo, hi, True, fresh=True)
    elif mapping.history is not None:
        delta = vma.pgoff - (vma.start >> 12)
        runs = recorded(mapping, EXEC if flags & VM_EXEC else READ, lo + delta, hi + delta)
        if not fixed:  # perhaps a library as a whole, other segments of which come next
            runs = [run for run in runs[:1] if run[0] == lo + delta]
        for first, last in runs:
            map_cached(mm, vma, first - delta, last - delta, True, fresh=True)


def copy_segment(mm: Mm, vma: Vma, lo: int, hi: int) -> None:
    """Copies of the first pages [lo, hi) of a writable segment, and of those used before."""
    mapping = vma.mapping
    assert mapping is not None
    delta = vma.pgoff - (vma.start >> 12)
    done = min(hi, lo + _DATA_PAGES)
    try:
        for first, last in recorded(mapping, WRITE, lo + delta, hi + delta):
            if first - delta > done:
                copy_cached(mm, vma, lo, done)
                lo = first - delta
            done = max(done, last - delta)
        copy_cached(mm, vma, lo, done)
    except Errno:
        pass  # of the group's memory: the program's own access will tell


def premap_bss(mm: Mm, start: int, end: int) -> None:
    """Fault in a library's small bss: its loader and it write to it at once."""
    if end - start > _DATA_PAGES << 12 or (start >> 12) in mm.pt:
        return
    vma = vma_lookup(mm, start)
    data = vma_lookup(mm, start - 1)
    if vma is None or data is None or data.file is None or not vma_is_anonymous(vma):
        return
    try:
        _populate_anon(mm, vma, start >> 12, end >> 12)
    except Errno:
        pass
