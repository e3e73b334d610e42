# SPDX-License-Identifier: Apache-2.0
"""Taking pages out of the page cache (mm/truncate.c, mm/vmscan.c).

Every way out unmaps the pages first, in every mm that maps the file, and waits for CPUs that
run there, so that no program keeps a frame that may be used for something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import Errno
from pygos.include.linux.mm_types import PTE_DIRTY, PTE_HOSTED, PTE_WRITE, VM_SHARED
from pygos.mm.tlb import Gather, present, protect_hosted, sync

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import Mapping
    from pygos.mm.mm import Mm

_END = 1 << 52


def unmap_mapping_range(mapping: Mapping, first: int, end: int, even_cows: bool) -> None:
    """Unmap file pages [first, end) everywhere; `even_cows`: private copies too."""
    touched: dict[Mm, None] = {}
    for vma in mapping.i_mmap:
        base = vma.start >> 12
        lo = max(first - vma.pgoff + base, base)
        hi = min(end - vma.pgoff + base, vma.end >> 12)
        if lo >= hi:
            continue
        mm = vma.mm
        gather = Gather(mm)
        if even_cows:
            gather.zap(vma, lo, hi)
            gather.flush()
        else:
            gather.zap_file(vma, lo, hi)
        touched[mm] = None
    for mm in touched:
        sync(mm)


def drop_windows(mapping: Mapping) -> None:
    """Nobody reads the file in the stub any more, nor its pages through a window."""
    from pygos.mm.instub import drop_windows as drop

    drop(mapping)


def _remove_pages(mapping: Mapping, indices: Sequence[int]) -> int:
    """Take pages (already unmapped) out of the cache and free them; how many there were."""
    if mapping.windows:
        drop_windows(mapping)
    pages = mapping.pages
    zone = mapping.machine.zone
    frames = [pages.pop(index) for index in indices]
    count = len(frames)
    if not count:
        return 0
    zone.put_many(frames)
    zone.nr_file -= count
    if mapping.keep:
        zone.nr_shmem -= count
    if mapping.dirty:
        mapping.dirty.difference_update(indices)
    if not pages:
        zone.lru.pop(mapping, None)
    return count


def _indices(mapping: Mapping, first: int, end: int) -> list[int]:
    """Cached page indices in [first, end)."""
    pages = mapping.pages
    if first == 0 and end >= _END:
        return list(pages)
    if end - first <= len(pages):
        return [index for index in range(first, end) if index in pages]
    return [index for index in pages if first <= index < end]


def _zero_part(mapping: Mapping, start: int, end: int) -> None:
    """Zero bytes [start, end), which lie in one page, if it is cached."""
    pfn = mapping.pages.get(start >> 12)
    if pfn is not None and end > start:
        base = (pfn << 12) + (start & 0xFFF)
        mapping.machine.zone.mem[base : base + end - start] = bytes(end - start)
        if not mapping.keep:
            mapping.dirty.add(start >> 12)


def truncate_pagecache(mapping: Mapping, new_size: int) -> None:
    """The file ends at `new_size` now: drop the pages after it, zero the rest of the last."""
    first = (new_size + 4095) >> 12
    if mapping.windows:
        drop_windows(mapping)
    if not mapping.pages and not mapping.i_mmap:
        return
    unmap_mapping_range(mapping, first, _END, even_cows=True)
    gone = _indices(mapping, first, _END)
    if gone:
        mapping.a_ops.unreserve(mapping, _remove_pages(mapping, gone))
    if new_size & 0xFFF:
        _zero_part(mapping, new_size, (new_size + 4095) & ~0xFFF)


def pagecache_isize_extended(mapping: Mapping, old_size: int) -> None:
    """The file ends later than at `old_size` now: what a mapping wrote behind that is gone."""
    if mapping.windows:
        drop_windows(mapping)
    if old_size & 0xFFF and old_size >> 12 in mapping.pages:
        _zero_part(mapping, old_size, (old_size + 4095) & ~0xFFF)


def truncate_pagecache_range(mapping: Mapping, start: int, end: int) -> None:
    """Punch a hole of bytes [start, end): whole pages go, parts of pages are zeroed."""
    first, last = (start + 4095) >> 12, end >> 12
    if first > last:  # within one page
        _zero_part(mapping, start, end)
        return
    if start & 0xFFF:
        _zero_part(mapping, start, first << 12)
    if end & 0xFFF:
        _zero_part(mapping, last << 12, end)
    if first < last:
        unmap_mapping_range(mapping, first, last, even_cows=False)
        gone = _indices(mapping, first, last)
        if gone:
            mapping.a_ops.unreserve(mapping, _remove_pages(mapping, gone))


def invalidate_mapping(mapping: Mapping) -> None:
    """The store changed under us: forget all clean pages, also mapped ones."""
    invalidate_range(mapping, 0, _END)


def invalidate_range(mapping: Mapping, first: int, end: int) -> None:
    """Forget the clean pages in [first, end), also mapped ones."""
    if mapping.windows:
        drop_windows(mapping)
    gone = [index for index in _indices(mapping, first, end) if index not in mapping.dirty]
    if gone:
        unmap_mapping_range(mapping, min(gone), max(gone) + 1, even_cows=False)
        _remove_pages(mapping, gone)


def drop_mapping(mapping: Mapping) -> None:
    """The inode is evicted: all pages go, dirty or not."""
    if mapping.i_mmap:
        unmap_mapping_range(mapping, 0, _END, even_cows=True)
    count = _remove_pages(mapping, list(mapping.pages))
    if count:
        mapping.a_ops.unreserve(mapping, count)


# -- writeback


def filemap_fdatawrite(mapping: Mapping, first: int = 0, end: int = _END) -> None:
    """Write dirty pages [first, end) to the store. EIO and what the store raises."""
    dirty = sorted(index for index in mapping.dirty if first <= index < end)
    if not dirty:
        return
    clean_ptes(mapping, dirty[0], dirty[-1] + 1)
    mem = mapping.machine.zone.mem
    at = 0
    while at < len(dirty):
        stop = at + 1
        while stop < len(dirty) and dirty[stop] == dirty[stop - 1] + 1 and stop - at < 256:
            stop += 1
        run = dirty[at:stop]
        frames = [mapping.pages[index] for index in run]
        views = [mem[pfn << 12 : (pfn + 1) << 12] for pfn in frames]
        try:
            mapping.a_ops.write_pages(mapping, run[0], views)
        except Errno as error:
            mapping.wb_err = error.errno
            raise
        mapping.dirty.difference_update(run)
        at = stop


def clean_ptes(mapping: Mapping, first: int, end: int) -> None:
    """Write-protect shared mappings of pages about to be written, to see the next write."""
    mask = PTE_WRITE | PTE_DIRTY
    for vma in mapping.i_mmap:
        if not vma.flags & VM_SHARED:
            continue
        mm = vma.mm
        base = vma.start >> 12
        lo = max(first - vma.pgoff + base, base)
        hi = min(end - vma.pgoff + base, vma.end >> 12)
        pt = mm.pt
        vpns = [vpn for vpn in present(mm, lo, hi) if pt[vpn] & PTE_DIRTY] if lo < hi else []
        for vpn in vpns:
            pt[vpn] &= ~mask
        protect_hosted(mm, [vpn for vpn in vpns if pt[vpn] & PTE_HOSTED])
        if vpns:
            sync(mm)


# -- reclaim


class PageCacheShrinker:
    """Frees clean pages of reclaimable mappings, least recently used mappings first."""

    __slots__ = ("machine",)

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def shrink(self, target: int, direct: bool) -> int:
        """See page_alloc.Shrinker. What groups protect (memory.low) goes last, or never.

        Some pages are always left: they are the code that runs. If it had to be read anew for
        each page that a program takes, nothing would get on; it is better to kill in time.
        """
        zone = self.machine.zone
        target = min(target, zone.nr_file - zone.nr_shmem - zone.clean_min)
        if target <= 0:
            return 0
        if not zone.memcgs:
            return self._shrink(target, direct, ())
        from pygos.mm.memcontrol import note_low, protected_words

        spared = protected_words(zone, True)
        freed = self._shrink(target, direct, spared)
        if freed < target and spared:
            note_low(zone)
            freed += self._shrink(target - freed, direct, protected_words(zone, False))
        return freed

    def drop_all(self) -> None:
        """See page_alloc.Shrinker."""
        self._shrink(self.machine.zone.nr_file, False, ())

    def _shrink(self, target: int, direct: bool, spared: Collection[int]) -> int:
        """Two rounds: a mapping used since the last one is spared once."""
        zone = self.machine.zone
        freed = 0
        for _ in range(2):
            for mapping in tuple(zone.lru):
                if freed >= target:
                    return freed
                if direct and (mapping.i_mmap or mapping is zone.active_mapping):
                    continue
                if mapping.referenced:
                    mapping.referenced = False
                    zone.lru[mapping] = zone.lru.pop(mapping)
                    continue
                freed += _shrink_mapping(mapping, target - freed, spared)
        return freed


def reclaim_pages(mapping: Mapping, gone: Sequence[int]) -> int:
    """Take these clean pages out of the cache, unmapped first; how many there were."""
    if mapping.i_mmap:
        unmap_mapping_range(mapping, min(gone), max(gone) + 1, even_cows=False)
    return _remove_pages(mapping, gone)


def _shrink_mapping(mapping: Mapping, target: int, spared: Collection[int]) -> int:
    """Free up to `target` of a mapping's clean pages, oldest first, but for `spared` groups'."""
    gone: list[int] = []
    dirty = mapping.dirty
    owners = mapping.machine.zone.page_memcg if spared else None
    for index, pfn in mapping.pages.items():
        if index not in dirty and (owners is None or owners[pfn] not in spared):
            gone.append(index)
            if len(gone) >= target:
                break
    return reclaim_pages(mapping, gone) if gone else 0
