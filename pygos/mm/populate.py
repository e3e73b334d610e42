# SPDX-License-Identifier: Apache-2.0
"""Filling the page table ahead of use: MAP_POPULATE, mlock, exec (mm/gup.c: __mm_populate)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import Errno
from pygos.include.linux.mm import VM_ACCESS_FLAGS
from pygos.include.linux.mm_types import PTE_WRITE, VM_SHARED, VM_WRITE
from pygos.include.linux.platform import Access
from pygos.mm.fault import Fault, anon_populate, fault_page, map_cached
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


def premap_text(mm: Mm, vma: Vma) -> None:
    """Map all that the page cache has of a program's or library's text, in one go."""
    lo, hi = vma.start >> 12, vma.end >> 12
    if hi - lo > _PREMAP_PAGES or vma.flags & (VM_WRITE | VM_SHARED):
        return
    if vma.mapping is not None and vma.mapping.pages:
        map_cached(mm, vma, lo, hi, True)


def premap_data(mm: Mm, start: int, end: int) -> None:
    """Fault in a library's small data segment or bss: its loader writes to them at once."""
    if end - start > _DATA_PAGES << 12 or (start >> 12) in mm.pt:
        return
    vma = vma_lookup(mm, start)
    data = vma_lookup(mm, start - 1) if vma is not None and vma_is_anonymous(vma) else vma
    if vma is not None and data is not None and data.file is not None:
        fault_in_segment(mm, vma, start, end)


def fault_in_segment(mm: Mm, vma: Vma, start: int, end: int) -> None:
    """Make the first pages of a private writable segment the program's own right away."""
    if vma.mapping is not None and not vma.mapping.pages:
        return
    try:
        for vpn in range(start >> 12, min(end, start + (_DATA_PAGES << 12)) >> 12):
            if vpn not in mm.pt:
                fault_page(mm, vpn << 12, Access.UNKNOWN, True)
    except (Fault, Errno):
        pass  # the program's own access will tell
