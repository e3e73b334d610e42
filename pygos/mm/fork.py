# SPDX-License-Identifier: Apache-2.0
"""Copying an address space for fork(2) (kernel/fork.c: dup_mmap, mm/memory.c: copy_page_range).

The page table is copied as a whole. Frames of private memory are shared: writable entries
become read-only on both sides and the frames get a reference; the first write copies. The
writable pages of a small program are copied right away.
Entries of the page cache need nothing. The child's stub starts as a clone of the parent's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.linux.mm import VM_LOCKONFAULT, mmf_init_flags
from pygos.include.linux.mm_types import (
    PTE_ANON,
    PTE_HOSTED,
    PTE_WRITE,
    VM_ACCOUNT,
    VM_DONTCOPY,
    VM_LOCKED,
    VM_WIPEONFORK,
    Vma,
)
from pygos.mm.cow import copy_frames
from pygos.mm.fault import charged_run
from pygos.mm.frames import get_frames
from pygos.mm.mm import Mm
from pygos.mm.overcommit import vm_enough_memory
from pygos.mm.tlb import enter_run, map_run, present, protect_hosted
from pygos.mm.vma import account

if TYPE_CHECKING:
    from pygos.include.linux.platform import Cpu

_COPIED: Final = (
    "arg_end", "arg_start", "auxv", "brk", "coredump_filter", "dumpable", "end_code", "end_data",
    "env_end", "env_start", "gap_hole", "gap_top", "memcg", "membarrier", "mmap_base", "owner",
    "start_brk", "start_code", "start_data", "start_stack", "user_ns",
)  # fmt: skip
#: Up to so many private pages are copied at once instead of at their first write.
_EAGER_PAGES: Final = 512


def dup_mm(mm: Mm, parent_cpu: Cpu) -> Mm:
    """A copy-on-write copy of `mm`, which `parent_cpu` (stopped) runs in. ENOMEM."""
    pages = sum((v.end - v.start) >> 12 for v in mm.vmas if v.flags & VM_ACCOUNT)
    vm_enough_memory(mm, pages)
    pt = mm.pt
    anon = [vpn for vpn, pte in pt.items() if pte & PTE_ANON]
    mine = [vpn for vpn in anon if pt[vpn] & PTE_WRITE]
    eager = len(mine) <= _EAGER_PAGES and mm.zone.nr_free > mm.zone.high_wmark + _EAGER_PAGES
    if eager and mm.memcg is not None and mm.memcg.headroom() <= _EAGER_PAGES:
        eager = False
    if not eager:
        _write_protect(mm, mine)
    child = Mm(mm.machine, mm.space.clone(parent_cpu))
    for name in _COPIED:
        setattr(child, name, getattr(mm, name))
    if mm.flags:
        child.flags = mmf_init_flags(mm.flags)
    if mm.exe_file is not None:
        mm.exe_file.f_count += 1
        mm.exe_file.f_inode.i_writecount -= 1
        child.exe_file = mm.exe_file
    child.pt = pt.copy()
    if eager and mine:
        get_frames(mm.zone, [pt[vpn] >> 12 for vpn in anon if not pt[vpn] & PTE_WRITE])
        mine.sort()
        _copy_frames(mm, child, mine)
    else:
        get_frames(mm.zone, [pt[vpn] >> 12 for vpn in anon])
    if mm.patches is not None:
        child.patches = mm.patches.fork()
    _dup_vmas(mm, child)
    child.rss_anon += mm.rss_anon
    child.rss_file += mm.rss_file
    child.rss_shmem += mm.rss_shmem
    return child


def _write_protect(mm: Mm, vpns: list[int]) -> None:
    """Make the private writable pages of the parent copy-on-write."""
    if not vpns:
        return
    pt = mm.pt
    pt.update({vpn: pt[vpn] ^ PTE_WRITE for vpn in vpns})
    protect_hosted(mm, sorted([vpn for vpn in vpns if pt[vpn] & PTE_HOSTED]))


def _copy_frames(mm: Mm, child: Mm, vpns: list[int]) -> None:
    """Give the child frames of its own for pages `vpns` (ascending), run by run.

    Copying a few hundred pages costs less than the faults of both sides that it saves.
    """
    at = 0
    while at < len(vpns):
        start = vpns[at]
        stop = at + 1
        while stop < len(vpns) and vpns[stop] - start == stop - at:
            stop += 1
        while at < stop:
            at += _copy_run(mm, child, vpns[at], stop - at)


def _copy_run(mm: Mm, child: Mm, vpn: int, count: int) -> int:
    """Copy up to `count` neighbouring pages into one run of frames; how many."""
    if mm.memcg is None:
        pfn, count = mm.zone.alloc_run(count)
    else:
        pfn, count = charged_run(mm.memcg, count)
    ptes = list(map(mm.pt.__getitem__, range(vpn, vpn + count)))
    copy_frames(mm.mem, pfn << 12, ptes)
    flags = [pte & 0xFFF for pte in ptes]
    at = 0
    while at < count:
        bits, end = flags[at], count
        if flags.count(bits) < count:
            end = at + 1
            while end < count and flags[end] == bits:
                end += 1
        _enter_copy(child, vpn + at, pfn + at << 12 | bits, end - at)
        at = end
    return count


def _enter_copy(child: Mm, vpn: int, pte: int, count: int) -> None:
    """The child's entries for copied pages, mapped in its stub where the parent's were."""
    if pte & PTE_HOSTED:
        map_run(child, vpn, pte, count)
    else:
        enter_run(child, vpn, pte, count)


def _dup_vmas(mm: Mm, child: Mm) -> None:
    """The child's areas. Its totals are the parent's but for areas that it doesn't get."""
    child.total_vm, child.data_vm = mm.total_vm, mm.data_vm
    child.exec_vm, child.stack_vm = mm.exec_vm, mm.stack_vm
    vmas = child.vmas
    promised = 0
    for vma in mm.vmas:
        flags = vma.flags & ~(VM_LOCKED | VM_LOCKONFAULT)
        pages = (vma.end - vma.start) >> 12
        if flags & VM_ACCOUNT:
            promised += pages
        if flags & VM_DONTCOPY:
            _forget(child, vma)
            account(child, flags, -pages)
            continue
        new = Vma(child, vma.start, vma.end, flags)
        new.pgoff, new.name, new.private = vma.pgoff, vma.name, vma.private
        new.mapping, new.vm_ops = vma.mapping, vma.vm_ops
        if vma.file is not None:
            new.file = vma.file
            vma.file.f_count += 1
        if new.vm_ops is not None:
            new.vm_ops.open(new)
        if flags & VM_WIPEONFORK:
            _forget(child, vma)
        vmas.append(new)
        if new.mapping is not None:
            new.mapping.i_mmap[new] = None
    mm.machine.commit_pages += promised
    child.starts = mm.starts.copy() if len(vmas) == len(mm.vmas) else [v.start for v in vmas]


def _forget(child: Mm, vma: Vma) -> None:
    """The child doesn't get the pages of an area (madvise: DONTFORK, WIPEONFORK)."""
    pt = child.pt
    lo, hi = vma.start >> 12, vma.end >> 12
    gone = [pt.pop(vpn) for vpn in present(child, lo, hi)]
    if child.patches is not None:
        child.patches.zapped(child, lo, hi)
    anon = [pte >> 12 for pte in gone if pte & PTE_ANON]
    child.zone.put_many(anon)
    child.rss_anon -= len(anon)
    if vma.mapping is not None and vma.mapping.keep:
        child.rss_shmem -= len(gone) - len(anon)
    else:
        child.rss_file -= len(gone) - len(anon)
    if any(pte & PTE_HOSTED for pte in gone):
        child.space.unmap(vma.start, hi - lo)


