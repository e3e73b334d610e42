# SPDX-License-Identifier: Apache-2.0
"""Code of a program that the kernel has changed: where, what was there, and the way back.

An mm in which `syscall` instructions were turned into jumps (arch/x86/alternative.py) has a
``Patches``; all others have None. Changed pages are the mm's own copies. Each *site* has a
*slot* in a *pool*, a page of code that is mapped near the program's text. What the kernel
shows of the text and of instruction pointers is what it was before:

* ``original_ip`` gives the program's own address for one inside a slot or in the padding;
* ``original`` puts the program's own bytes into what was read of its memory;
* ``undo`` makes pages what they were, for whoever wants to change them or to see the CPU
  go through them (debuggers);
* ``zapped`` is told of pages that are gone. A pool that is unmapped takes its sites with it.

A slot is never used again: a thread may be in it that isn't stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.linux.mm_types import (
    PTE_ANON,
    VM_DONTDUMP,
    VM_EXEC,
    VM_MAYEXEC,
    VM_MAYREAD,
    VM_READ,
    Vma,
)
from pygos.include.linux.platform import Access
from pygos.mm.cow import _copy_pages
from pygos.mm.fault import anon_populate, fault_page
from pygos.mm.mmap import may_expand_vm
from pygos.mm.tlb import Gather, sync
from pygos.mm.unmapped import _top_down, mmap_min_addr, vm_start_gap
from pygos.mm.vma import account, insert_vma, max_map_count, vma_lookup

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_PAGE: Final = 4096
#: How far from a site its pool may be: a jump reaches 2 GiB.
REACH: Final = (1 << 31) - (1 << 20)
MAX_POOLS: Final = 16
_MAX_REFUSED: Final = 1024
POOL_NAME: Final = "[pygos]"
_POOL_FLAGS: Final = VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYEXEC | VM_DONTDUMP


class Site:
    """One changed instruction. `pieces`: (address, bytes before), that of the site first."""

    __slots__ = ("addr", "live", "pieces", "slot")

    def __init__(self, addr: int, slot: int, pieces: tuple[tuple[int, bytes], ...]) -> None:
        self.addr = addr
        self.slot = slot
        self.pieces = pieces
        #: Not undone: only padding may be left that a thread could still be in.
        self.live = True


class Patches:
    """What was changed in one mm. `ip`: the index of the instruction pointer in cpu.regs."""

    __slots__ = ("copied", "ip", "origin", "pages", "pools", "refused")

    def __init__(self, ip: int) -> None:
        self.ip = ip
        #: Page number -> its sites.
        self.pages: dict[int, list[Site]] = {}
        #: Address inside a slot or padding -> the program's own.
        self.origin: dict[int, int] = {}
        #: Address of a pool -> bytes used.
        self.pools: dict[int, int] = {}
        #: Changed pages that were the page cache's.
        self.copied: set[int] = set()
        #: Sites that stay as they are.
        self.refused: set[int] = set()

    def fork(self) -> Patches:
        """The same for a copy of the mm."""
        new = Patches(self.ip)
        new.pages = {vpn: list(sites) for vpn, sites in self.pages.items()}
        new.origin = self.origin.copy()
        new.pools = self.pools.copy()
        new.copied = self.copied.copy()
        new.refused = self.refused.copy()
        return new

    # -- what the program's own view is

    def original_ip(self, ip: int) -> int:
        """The program's own address for what a stopped CPU is at."""
        return self.origin.get(ip, ip)

    def original(self, addr: int, data: bytes) -> bytes:
        """`data`, read at `addr`, with the program's own bytes in it."""
        end = addr + len(data)
        out = None
        for vpn in range(addr >> 12, (end + 4095) >> 12) if len(data) < 1 << 20 else self.pages:
            for site in self.pages.get(vpn, ()):
                for start, old in site.pieces:
                    lo, hi = max(start, addr), min(start + len(old), end)
                    if lo < hi:
                        out = out or bytearray(data)
                        out[lo - addr : hi - addr] = old[lo - start : hi - start]
        return data if out is None else bytes(out)

    def settle(self, mm: Mm) -> None:
        """Move stopped threads out of slots and padding."""
        origin, ip = self.origin, self.ip
        for task in tuple(mm.machine.pids.tasks.values()):
            if task.mm is mm and task.cpu is not None:
                regs = task.cpu.regs
                found = origin.get(regs[ip])
                if found is not None:
                    regs[ip] = found

    # -- the way back

    def undo(self, mm: Mm, start: int, end: int) -> None:
        """Make all pages of [start, end) the program's own again; they stay so.

        While other threads run, padding stays changed: one may be on its way through it.
        """
        lo, hi = start >> 12, (end + 4095) >> 12
        self.settle(mm)
        for vpn in [vpn for vpn in self.pages if lo <= vpn < hi]:
            self._undo_page(mm, vpn)

    def undo_all(self, mm: Mm) -> None:
        """undo() for the whole mm."""
        self.undo(mm, 0, 1 << 47)

    def reveal(self, mm: Mm, ip: int) -> None:
        """A handler is told of the call before `ip` (SIGSYS) and may well look at its code."""
        self.undo(mm, ip - 2, ip)

    def withdraw(self, mm: Mm, start: int, end: int) -> None:
        """The program is about to change the mapping of [start, end) itself."""
        self.undo(mm, start, end)
        for pool in [pool for pool in self.pools if start <= pool < end]:
            self._pool_gone(mm, pool)

    def _undo_page(self, mm: Mm, vpn: int) -> None:
        sites = self.pages[vpn]
        self._restore(mm, vpn, sites)
        self.refused.update([site.addr for site in sites])

    def _restore(self, mm: Mm, vpn: int, sites: list[Site]) -> None:
        vma = vma_lookup(mm, vpn << 12)
        if vma is None or vpn not in mm.pt:
            self._forget_page(vpn)
            return
        running = others_run(mm, mm.machine.sched.current)
        padded = [site for site in sites if len(site.pieces) > 1]
        if vpn in self.copied and not (running and padded):
            gather = Gather(mm)
            gather.zap(vma, vpn, vpn + 1)  # calls zapped()
            gather.flush()
            return
        pieces = [site.pieces[0] for site in sites if site.live]
        if not running:
            pieces += [site.pieces[1] for site in padded]
        write_code(mm, vma, vpn, pieces, running)
        if running and padded:
            self.pages[vpn] = [Site(s.addr, s.slot, s.pieces[1:]) for s in padded]
            for site in self.pages[vpn]:
                site.live = False
        else:
            self._forget_page(vpn)

    def zapped(self, mm: Mm, lo: int, hi: int) -> None:
        """Pages [lo, hi) were taken out of the page table."""
        for vpn in [vpn for vpn in self.pages if lo <= vpn < hi]:
            self._forget_page(vpn)
        if self.refused:
            self.refused = {site for site in self.refused if not lo <= site >> 12 < hi}
        for pool in [pool for pool in self.pools if lo <= pool >> 12 < hi]:
            self._pool_gone(mm, pool)

    def _forget_page(self, vpn: int) -> None:
        self.copied.discard(vpn)
        for site in self.pages.pop(vpn):
            for start, _ in site.pieces:
                self.origin.pop(start, None)

    def _pool_gone(self, mm: Mm, pool: int) -> None:
        """The program has unmapped a pool: its sites can't jump there any more."""
        self.settle(mm)
        del self.pools[pool]
        for vpn in [
            vpn for vpn, sites in self.pages.items() if any(s.slot & ~0xFFF == pool for s in sites)
        ]:
            if vpn in self.pages:
                self._undo_page(mm, vpn)
        for ip in [ip for ip in self.origin if ip & ~0xFFF == pool]:
            del self.origin[ip]

    # -- making room

    def pool(self, mm: Mm, near: int, size: int) -> int:
        """Where `size` bytes of a pool near `near` are free, aligned to 16; 0: nowhere."""
        for pool, used in self.pools.items():
            if used + size <= _PAGE and abs(pool - near) < REACH:
                return pool + used
        if len(self.pools) >= MAX_POOLS:
            return 0
        pool = _map_pool(mm, near)
        if not pool:
            return 0
        self.pools[pool] = 0
        return pool

    def has(self, addr: int) -> bool:
        """Is the site at `addr` changed already?"""
        return any(site.addr == addr for site in self.pages.get(addr >> 12, ()))

    def take(self, addr: int, size: int) -> None:
        """The bytes that pool() found are used now."""
        self.pools[addr & ~0xFFF] = (addr & 0xFFF) + (size + 15 & ~15)

    def add(self, site: Site) -> None:
        """A site was changed."""
        self.pages.setdefault(site.addr >> 12, []).append(site)

    def refuse(self, site: int) -> None:
        """A site is not to be looked at again. A guest can make up any number of them."""
        if len(self.refused) >= _MAX_REFUSED:
            self.refused.clear()
        self.refused.add(site)


def others_run(mm: Mm, task: Task | None) -> bool:
    """Does a thread of the mm other than `task` run the program's code right now?"""
    return any(other.mm is mm and other is not task for other in mm.machine.sched.running)


def write_code(mm: Mm, vma: Vma, vpn: int, pieces: list[tuple[int, bytes]], running: bool) -> bool:
    """Write into a page of text that the program can't write, so that it alone sees it.

    If other threads are `running` they see the page as it was before or after all of
    `pieces`, (address, bytes). Returns whether the page was the page cache's before.
    OutOfMemory, Fault.
    """
    if vpn not in mm.pt:
        fault_page(mm, vpn << 12, Access.READ, False)
    pte = mm.pt[vpn]
    pfn = pte >> 12
    cached = not pte & PTE_ANON
    refcount = mm.zone.refcount
    kept = not cached and running
    copied = cached or running or refcount[pfn] > 1
    if copied:
        if kept:  # a running thread sees it until sync()
            refcount[pfn] += 1
        _copy_pages(mm, vma, vpn, vpn, [pte], False)
        pfn = mm.pt[vpn] >> 12
    base = (pfn - vpn) << 12
    for addr, code in pieces:
        mm.mem[base + addr : base + addr + len(code)] = code
    if copied:
        sync(mm)  # the cache may give its page away without looking for it here
        if kept:
            mm.zone.put_many([pte >> 12])
    return cached


def _map_pool(mm: Mm, near: int) -> int:
    """Map a new pool within reach of `near`; its address, or 0."""
    if len(mm.vmas) >= max_map_count(mm) or not may_expand_vm(mm, _POOL_FLAGS, 1):
        return 0
    addr = _place(mm, near)
    if not addr:
        return 0
    vma = Vma(mm, addr, addr + _PAGE, _POOL_FLAGS)
    vma.pgoff = addr >> 12
    vma.name = POOL_NAME
    insert_vma(mm, vma)
    account(mm, vma.flags, 1)
    vpn = addr >> 12
    anon_populate(mm, vma, vpn, vpn, vpn + 1, True)
    return addr


def _place(mm: Mm, near: int) -> int:
    """A page in a hole of the address space: as mmap(2) would choose, else the closest.

    Never where the heap grows, and not right below the lowest mapping if it can be helped:
    some programs take the first line of /proc/self/maps for their own.
    """
    if abs(mm.mmap_base - near) < REACH:
        addr = _top_down(mm, _PAGE)
        if addr and abs(addr - near) < REACH:
            return addr
    holes: list[int] = []
    heap_end = (mm.brk + 4095) & ~0xFFF
    end = lowest = max(mmap_min_addr(mm), _PAGE)
    for vma in mm.vmas:
        top = vm_start_gap(vma)
        if top - end >= _PAGE and end != heap_end:
            holes += (end, top - _PAGE) if end > lowest else ()
        end = vma.end
    holes = [hole for hole in holes if abs(hole - near) < REACH]
    if holes:
        return min(holes, key=lambda hole: abs(hole - near))
    below: int = mm.vmas[0].start - _PAGE if mm.vmas else 0
    return below if below >= lowest and near - below < REACH else 0
