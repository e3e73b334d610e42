# SPDX-License-Identifier: Apache-2.0
"""Private copies of pages (mm/memory.c: wp_page_copy, do_cow_fault)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.linux.mm_types import PTE_ANON, PTE_HOSTED, PTE_WRITE
from pygos.mm.history import WRITE, note
from pygos.mm.tlb import enter_run, map_run, sync
from pygos.mm.window import charged_run, pte_flags, shrink, window

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import Mapping, Vma
    from pygos.mm.mm import Mm

#: Pages copied at once; powers of two.
COW_FILE_AROUND: Final = 8
COW_FILE_MOST: Final = 32
COW_ANON_AROUND: Final = 8


def _cow_anon(mm: Mm, vma: Vma, vpn: int, host: bool) -> None:
    """Copy a frame shared with another mm, and a few neighbours in the same case."""
    lo, hi = window(vma, vpn, COW_ANON_AROUND)
    lookup = mm.pt.get
    refcount = mm.zone.refcount
    mask = PTE_ANON | PTE_WRITE
    first, end = vpn, vpn + 1
    while first > lo and (p := lookup(first - 1, 0)) & mask == PTE_ANON and refcount[p >> 12] > 1:
        first -= 1
    while end < hi and (p := lookup(end, 0)) & mask == PTE_ANON and refcount[p >> 12] > 1:
        end += 1
    old = [mm.pt[page] for page in range(first, end)]
    first = _copy_pages(mm, vma, vpn, first, old, host)
    # What another running CPU can still see must not be freed (by the other owner) before.
    sync(mm)


def _cow_backed(mm: Mm, vma: Vma, vpn: int, host: bool) -> None:
    """Private copies of file pages: vpn and cached neighbours that aren't copied yet."""
    from pygos.mm.filemap import filemap_fault

    delta = vma.pgoff - (vma.start >> 12)
    mapping = vma.mapping
    mm.zone.current = mm
    if mapping is None:
        assert vma.vm_ops is not None
        pfn = vma.vm_ops.fault(vma, vpn + delta)
        _copy_pages(mm, vma, vpn, vpn, [pfn << 12 | mm.pt.get(vpn, 0) & PTE_HOSTED], host)
        return
    filemap_fault(mapping, vpn + delta, vma)
    lo, hi = window(vma, vpn, _file_around(mapping))
    hi = min(hi, ((mapping.host.i_size + 4095) >> 12) - delta)
    lookup, cached = mm.pt.get, mapping.pages
    first, end = vpn, vpn + 1
    while first > lo and not lookup(first - 1, 0) & PTE_ANON and first - 1 + delta in cached:
        first -= 1
    while end < hi and not lookup(end, 0) & PTE_ANON and end + delta in cached:
        end += 1
    old = [cached[page + delta] << 12 | lookup(page, 0) & PTE_HOSTED for page in range(first, end)]
    note(mapping, WRITE, first + delta, end + delta)
    _copy_pages(mm, vma, vpn, first, old, host)
    sync(mm)  # the cache may give its pages away without looking for them here


def _file_around(mapping: Mapping) -> int:
    """How many pages of a file to copy at a fault: more where faults have been many."""
    history = mapping.history
    if history is None:
        return COW_FILE_AROUND
    faults = len(history[WRITE].windows)
    return COW_FILE_AROUND if faults < 4 else COW_FILE_AROUND * 2 if faults < 8 else COW_FILE_MOST


def copy_cached(mm: Mm, vma: Vma, lo: int, hi: int) -> None:
    """Private copies of those pages [lo, hi) that are cached and not in the page table.

    Before they are needed: only while memory is plenty. OutOfMemory (of the memory group).
    """
    mapping, pt = vma.mapping, mm.pt
    assert mapping is not None
    delta = vma.pgoff - (vma.start >> 12)
    hi = min(hi, ((mapping.host.i_size + 4095) >> 12) - delta)
    if mm.zone.nr_free < mm.zone.high_wmark + hi - lo:
        return
    cached = mapping.pages
    while lo < hi:
        end = lo
        while end < hi and end not in pt and end + delta in cached:
            end += 1
        if end > lo:
            old = [cached[page] << 12 for page in range(lo + delta, end + delta)]
            _copy_pages(mm, vma, lo, lo, old, True)
        lo = end + 1


def _copy_pages(mm: Mm, vma: Vma, vpn: int, first: int, old: list[int], host: bool) -> int:
    """Give pages first.. copies of the frames in `old` (entries, in order); at least vpn.

    Anonymous originals lose a reference. Returns the first page copied.
    """
    zone = mm.zone
    zone.current = mm
    count = len(old)
    if count > 1 and zone.nr_free < zone.high_wmark:
        old, first, count = [old[vpn - first]], vpn, 1
    if mm.memcg is None:
        pfn, got = zone.alloc_run(count)
    else:
        pfn, got = charged_run(mm.memcg, count)
    if got < count:
        start, end = shrink(first, first + count, vpn, got)
        zone.put_many(range(pfn + end - start, pfn + got))
        old = old[start - first : end - first]
        first, count = start, end - start
    copy_frames(zone.mem, pfn << 12, old)
    _account_copies(mm, vma, first, count)
    pte = pfn << 12 | PTE_ANON | pte_flags(vma)
    if host or any(entry & PTE_HOSTED for entry in old):
        map_run(mm, first, pte, count)
    else:
        enter_run(mm, first, pte, count)
    shared = [entry >> 12 for entry in old if entry & PTE_ANON]
    if shared:
        zone.put_many(shared)
    return first


def copy_frames(mem: memoryview, at: int, ptes: list[int]) -> None:
    """Copy frames to one run of frames at byte `at`; neighbours go together."""
    source = end = ptes[0] & ~0xFFF
    for pte in ptes:
        if pte & ~0xFFF != end:
            mem[at : at + end - source] = mem[source:end]
            at += end - source
            source = end = pte & ~0xFFF
        end += 4096
    mem[at : at + end - source] = mem[source:end]


def _account_copies(mm: Mm, vma: Vma, first: int, count: int) -> None:
    """Pages first.. become anonymous: adjust the resident counts for what they were."""
    if mm.pt.keys().isdisjoint(range(first, first + count)):
        mm.rss_anon += count
        return
    lookup = mm.pt.get
    cached = 0
    for page in range(first, first + count):
        pte = lookup(page)
        if pte is None:
            mm.rss_anon += 1
        elif not pte & PTE_ANON:
            mm.rss_anon += 1
            cached += 1
    if cached:
        if vma.mapping is not None and vma.mapping.keep:
            mm.rss_shmem -= cached
        else:
            mm.rss_file -= cached
