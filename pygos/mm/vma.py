# SPDX-License-Identifier: Apache-2.0
"""VMAs in their mm: lookup, insertion, splitting, merging, accounting (mm/vma.c).

``mm.vmas`` is sorted by start and ``mm.starts`` holds the same starts for bisect; only this
module changes them. A VMA with a file holds one reference of it; a VMA with a page cache is in
its ``i_mmap``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from pygos.include.errno import ENOMEM
from pygos.include.linux.mm import DEFAULT_MAX_MAP_COUNT, VM_DATA_MASK, VM_STACK
from pygos.include.linux.mm_types import VM_ACCOUNT, VM_EXEC, VM_LOCKED, VM_WRITE, Vma

if TYPE_CHECKING:
    from pygos.mm.mm import Mm


def vma_lookup(mm: Mm, addr: int) -> Vma | None:
    """The VMA that contains `addr`."""
    index = bisect_right(mm.starts, addr) - 1
    if index >= 0:
        vma = mm.vmas[index]
        if addr < vma.end:
            return vma
    return None


def find_vma(mm: Mm, addr: int) -> Vma | None:
    """The first VMA that ends above `addr` (it may start above it too)."""
    index = bisect_right(mm.starts, addr)
    if index and addr < mm.vmas[index - 1].end:
        return mm.vmas[index - 1]
    return mm.vmas[index] if index < len(mm.vmas) else None


def find_vma_prev(mm: Mm, addr: int) -> tuple[Vma | None, Vma | None]:
    """find_vma() and the VMA before it."""
    index = bisect_right(mm.starts, addr)
    if index and addr < mm.vmas[index - 1].end:
        index -= 1
    vma = mm.vmas[index] if index < len(mm.vmas) else None
    return vma, mm.vmas[index - 1] if index else None


def vmas_in(mm: Mm, start: int, end: int) -> list[Vma]:
    """All VMAs that overlap [start, end)."""
    first = bisect_right(mm.starts, start)
    if first and start < mm.vmas[first - 1].end:
        first -= 1
    return mm.vmas[first : bisect_left(mm.starts, end)]


def has_hole(mm: Mm, start: int, end: int) -> bool:
    """Is any page of [start, end) outside all VMAs?"""
    for vma in vmas_in(mm, start, end):
        if vma.start > start:
            return True
        start = vma.end
    return start < end


def vma_is_anonymous(vma: Vma) -> bool:
    """Private memory without anything behind it."""
    return vma.mapping is None and vma.vm_ops is None


def insert_vma(mm: Mm, vma: Vma) -> None:
    """Put a VMA where nothing is mapped."""
    index = bisect_left(mm.starts, vma.start)
    mm.starts.insert(index, vma.start)
    mm.vmas.insert(index, vma)
    if vma.mapping is not None:
        vma.mapping.i_mmap[vma] = None


def unlink_vma(mm: Mm, vma: Vma) -> None:
    """Take a VMA out of the mm (its file reference stays with the caller)."""
    index = bisect_left(mm.starts, vma.start)
    assert mm.vmas[index] is vma
    del mm.starts[index]
    del mm.vmas[index]
    if vma.mapping is not None:
        vma.mapping.i_mmap.pop(vma, None)


def move_start(mm: Mm, vma: Vma, start: int) -> None:
    """Change where a VMA starts; the order of VMAs must not change."""
    index = bisect_left(mm.starts, vma.start)
    assert mm.vmas[index] is vma
    mm.starts[index] = start
    vma.start = start


def copy_vma_struct(vma: Vma, mm: Mm, start: int, end: int) -> Vma:
    """A VMA like `vma` over [start, end), with its own file reference, not inserted."""
    new = Vma(mm, start, end, vma.flags)
    new.pgoff = vma.pgoff + ((start - vma.start) >> 12)
    new.file = vma.file
    new.mapping = vma.mapping
    new.vm_ops = vma.vm_ops
    new.name = vma.name
    new.private = vma.private
    if vma.file is not None:
        vma.file.f_count += 1
    if vma.vm_ops is not None:
        vma.vm_ops.open(new)
    return new


def max_map_count(mm: Mm) -> int:
    """sysctl vm.max_map_count."""
    return int(mm.machine.sysctl.get("vm.max_map_count", DEFAULT_MAX_MAP_COUNT))


def split_vma(mm: Mm, vma: Vma, addr: int) -> Vma:
    """Split a VMA at `addr` inside it; returns the upper part. ENOMEM: too many VMAs; EINVAL."""
    if len(mm.vmas) >= max_map_count(mm):
        raise ENOMEM
    if vma.vm_ops is not None:
        vma.vm_ops.may_split(vma, addr)
    upper = copy_vma_struct(vma, mm, addr, vma.end)
    vma.end = addr
    insert_vma(mm, upper)
    return upper


def isolate(mm: Mm, vma: Vma, start: int, end: int) -> Vma:
    """Split so that a VMA of its own covers what `vma` has of [start, end)."""
    if vma.start < start:
        vma = split_vma(mm, vma, start)
    if vma.end > end:
        split_vma(mm, vma, end)
    return vma


def can_merge(prev: Vma, vma: Vma) -> bool:
    """Could two VMAs, one ending where the other starts, be one?"""
    if (
        prev.end != vma.start
        or prev.flags != vma.flags
        or prev.file is not vma.file
        or prev.mapping is not vma.mapping
        or prev.vm_ops is not None
        or vma.vm_ops is not None
        or prev.name != vma.name
    ):
        return False
    if vma.mapping is None:
        return True
    return prev.pgoff + ((prev.end - prev.start) >> 12) == vma.pgoff


def merge_at(mm: Mm, addr: int) -> None:
    """Make the VMAs that meet at `addr` one if they can be."""
    index = bisect_left(mm.starts, addr)
    if not 0 < index < len(mm.starts) or mm.starts[index] != addr:
        return
    prev, vma = mm.vmas[index - 1], mm.vmas[index]
    if not can_merge(prev, vma):
        return
    unlink_vma(mm, vma)
    prev.end = vma.end
    if vma.file is not None:
        mm.machine.fs_hooks.fput(vma.file)


def add_vma(mm: Mm, vma: Vma) -> Vma:
    """Put a VMA where nothing is mapped, as part of its neighbours if it can be one with
    them; the VMA that covers the place then."""
    starts, vmas = mm.starts, mm.vmas
    index = bisect_left(starts, vma.start)
    above = vmas[index] if index < len(vmas) else None
    if above is not None and (above.start != vma.end or not can_merge(vma, above)):
        above = None
    below = vmas[index - 1] if index else None
    if below is not None and below.end == vma.start and can_merge(below, vma):
        below.end = vma.end
        if vma.file is not None:
            mm.machine.fs_hooks.fput(vma.file)
        if above is not None:
            merge_at(mm, above.start)
        return below
    if above is None:
        starts.insert(index, vma.start)
        vmas.insert(index, vma)
        if vma.mapping is not None:
            vma.mapping.i_mmap[vma] = None
        return vma
    starts[index] = above.start = vma.start
    above.pgoff = vma.pgoff
    if vma.file is not None:
        mm.machine.fs_hooks.fput(vma.file)
    return above


def merge_range(mm: Mm, start: int, end: int) -> None:
    """Merge what can be merged at and between `start` and `end`."""
    for vma in vmas_in(mm, start, end):
        merge_at(mm, vma.start)
    merge_at(mm, end)


def account(mm: Mm, flags: int, pages: int) -> None:
    """Add `pages` (may be negative) of a mapping with `flags` to the mm's totals."""
    if pages < 0 and mm.total_vm > mm.hiwater_vm:
        mm.hiwater_vm = mm.total_vm
    mm.total_vm += pages
    if flags & (VM_EXEC | VM_WRITE | VM_STACK) == VM_EXEC:
        mm.exec_vm += pages
    elif flags & VM_STACK:
        mm.stack_vm += pages
    elif flags & VM_DATA_MASK == VM_WRITE:
        mm.data_vm += pages
    if flags & VM_LOCKED:
        mm.locked_vm += pages
    if flags & VM_ACCOUNT:
        mm.machine.commit_pages += pages


def is_data(flags: int) -> bool:
    """Does a mapping count against RLIMIT_DATA?"""
    return flags & VM_DATA_MASK == VM_WRITE


def drop_vma(mm: Mm, vma: Vma) -> None:
    """The VMA is gone for good: give up what it holds."""
    if vma.vm_ops is not None:
        vma.vm_ops.close(vma)
    mapping = vma.mapping
    if vma.file is not None:
        mm.machine.fs_hooks.fput(vma.file)
    elif mapping is not None and not mapping.i_mmap:
        from pygos.mm.filemap import drop_mapping

        drop_mapping(mapping)  # shared anonymous memory: nobody else knows it
