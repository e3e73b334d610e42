# SPDX-License-Identifier: Apache-2.0
"""Page faults (mm/memory.c).

``handle_fault`` answers a fault of a program and maps the page in the host; ``fault_page``
with host=False answers the kernel's own accesses. Neighbours are served along: a stop of a
stub costs far more than a page.

* Anonymous memory: 16 aligned pages in one run of frames.
* Page cache: all cached pages of a 64-page window.
* Private copies: some neighbours of a file's page; of a page shared by fork a few.

Where the host can't tell what was tried (Access.UNKNOWN), private writable memory is made
writable at once; a wrong guess comes back as a write fault.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from pygos.include.linux.mm import (
    BUS_ADRERR,
    SEGV_ACCERR,
    SEGV_MAPERR,
    VM_ACCESS_FLAGS,
)
from pygos.include.linux.mm_types import (
    PTE_ANON,
    PTE_DIRTY,
    PTE_HOSTED,
    PTE_WRITE,
    VM_EXEC,
    VM_SHARED,
    VM_WRITE,
)
from pygos.include.linux.platform import Access
from pygos.mm.cow import _copy_pages, _cow_anon, _cow_backed
from pygos.mm.history import EXEC, READ, note
from pygos.mm.stack import expand_stack
from pygos.mm.tlb import PROT_OF, enter_run, fill_run, map_present, map_run
from pygos.mm.window import charged_run, pte_flags, shrink, window

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import Vma
    from pygos.mm.mm import Mm

__all__ = [
    "BusFault", "Fault", "SegvFault", "SigBus", "_anon_fault", "_backed_fault", "_copy_pages",
    "_cow_anon", "_cow_backed", "anon_populate", "charged_run", "fault_page", "handle_fault",
    "map_cached", "neighbours", "pte_flags", "window",
]  # fmt: skip

_READ, _WRITE, _EXEC, _UNKNOWN = Access.READ, Access.WRITE, Access.EXEC, Access.UNKNOWN
#: Pages served by one fault; powers of two.
ANON_AROUND: Final = 16
ANON_GROWING: Final = 64
ANON_MOST: Final = 256
#: Small areas are served as a whole: a new heap has 33 pages.
ANON_WHOLE: Final = 40
FILE_AROUND: Final = 64
REUSE_AROUND: Final = 64
#: So often in a row may the host stop for a page that it has.
_UNKNOWN_LIMIT: Final = 8
#: A private writable file mapping up to this many pages is copied at its first unknown touch.
_EAGER_COW_PAGES: Final = 4096


class Fault(Exception):
    """An access that can't be satisfied: a signal for the program, EFAULT for a call."""

    def __init__(self, addr: int, code: int) -> None:
        super().__init__(addr, code)
        self.addr = addr
        self.code = code


class SegvFault(Fault):
    """SIGSEGV; `code`: SEGV_MAPERR or SEGV_ACCERR."""


class BusFault(Fault):
    """SIGBUS; `code`: BUS_ADRERR."""


class SigBus(Exception):
    """Raised by VmOperations.fault and the page cache: there is no such page."""


def handle_fault(mm: Mm, addr: int, access: Access) -> None:
    """Answer a program's page fault. SegvFault, BusFault, OutOfMemory."""
    zone = mm.zone
    zone.current = mm
    if zone.nr_free < zone.low_wmark:
        zone.balance()
    if mm.memcg is not None:
        balance_memcg(mm)
    if not mm.oom_reaped:  # it is to die, and gets nothing more
        fault_page(mm, addr, access, True)


def balance_memcg(mm: Mm) -> None:
    """Make room below the limits of the group before the fault takes frames."""
    from pygos.mm.memcontrol import balance

    balance(mm)


def fault_page(mm: Mm, addr: int, access: Access, host: bool) -> None:
    """Make a page accessible; `host`: in the stub too. SegvFault, BusFault, OutOfMemory."""
    index = bisect_right(mm.starts, addr) - 1
    if index < 0 or addr >= (vma := mm.vmas[index]).end:
        grown = expand_stack(mm, addr)
        if grown is None:
            raise SegvFault(addr, SEGV_MAPERR)
        vma = grown
    flags = vma.flags
    if access is _WRITE:
        if not flags & VM_WRITE:
            raise SegvFault(addr, SEGV_ACCERR)
    elif not flags & (VM_EXEC if access is _EXEC else VM_ACCESS_FLAGS):
        raise SegvFault(addr, SEGV_ACCERR)
    vpn = addr >> 12
    pte = mm.pt.get(vpn)
    if pte is None:
        if vma.mapping is None and vma.vm_ops is None:
            _anon_fault(mm, vma, vpn, host)
        else:
            _backed_fault(mm, vma, vpn, access, host)
    elif access is _WRITE and not pte & PTE_WRITE:
        _write_fault(mm, vma, vpn, pte, host)
    elif host:
        _host_fault(mm, vma, addr, access, pte)


# -- anonymous memory


def _anon_fault(mm: Mm, vma: Vma, vpn: int, host: bool) -> None:
    """Zeroed frames for the pages around vpn that have none."""
    lo, hi = vma.start >> 12, vma.end >> 12
    if hi - lo > ANON_WHOLE:
        lo, hi = window(vma, vpn, ANON_AROUND)
    pt = mm.pt
    if not pt.keys().isdisjoint(range(lo, hi)):
        lo, hi = _absent_run(pt, lo, hi, vpn)
    if lo - 1 in pt and lo - ANON_AROUND in pt:  # it grows upwards: more at once
        size = ANON_MOST if lo - ANON_MOST in pt and lo - ANON_GROWING in pt else ANON_GROWING
        end = min(lo + size, vma.end >> 12)
        if end > hi:
            lo, hi = _absent_run(pt, lo, end, vpn)
    anon_populate(mm, vma, vpn, lo, hi, host)


def _absent_run(pt: dict[int, int], lo: int, hi: int, vpn: int) -> tuple[int, int]:
    """The largest part of [lo, hi) around vpn without any entry."""
    first, end = vpn, vpn + 1
    while first > lo and first - 1 not in pt:
        first -= 1
    while end < hi and end not in pt:
        end += 1
    return first, end


def anon_populate(mm: Mm, vma: Vma, vpn: int, lo: int, hi: int, host: bool) -> int:
    """Give absent pages [lo, hi) zeroed frames, at least vpn; returns how many pages."""
    zone = mm.zone
    zone.current = mm
    count = hi - lo
    if count > 1 and zone.nr_free < zone.high_wmark:
        lo, hi, count = vpn, vpn + 1, 1
    before = mm.pt.get(lo - 1, 0)
    near = (before >> 12) + 1 if before & PTE_ANON else 0
    if mm.memcg is None:
        pfn, count = zone.alloc_run(count, zero=True, near=near)
    else:
        pfn, count = charged_run(mm.memcg, count, zero=True, near=near)
    if count < hi - lo:
        lo, hi = shrink(lo, hi, vpn, count)
        if hi - lo < count:  # clipped at the end of the window
            zone.put_many(range(pfn + hi - lo, pfn + count))
            count = hi - lo
    pte = pfn << 12 | PTE_ANON | pte_flags(vma)
    mm.rss_anon += count
    if not host:
        enter_run(mm, lo, pte, count)
    elif count > ANON_AROUND:  # memory that is used from one end to the other
        fill_run(mm, lo, pte, count)
    else:
        map_run(mm, lo, pte, count)
    return count


# -- pages of files and drivers


def _backed_fault(mm: Mm, vma: Vma, vpn: int, access: Access, host: bool) -> None:
    flags = vma.flags
    addr = vpn << 12
    try:
        if not flags & VM_SHARED and flags & VM_WRITE and (
            access is _WRITE
            or (access is _UNKNOWN and vma.end - vma.start <= _EAGER_COW_PAGES << 12)
        ):
            _cow_backed(mm, vma, vpn, host)
        elif vma.mapping is None:
            _driver_fault(mm, vma, vpn, host)
        else:
            _file_fault(mm, vma, vpn, access, host)
    except SigBus:
        raise BusFault(addr, BUS_ADRERR) from None


def _driver_fault(mm: Mm, vma: Vma, vpn: int, host: bool) -> None:
    """One page that a driver gives."""
    assert vma.vm_ops is not None
    pfn = vma.vm_ops.fault(vma, vma.pgoff + vpn - (vma.start >> 12))
    bits = pte_flags(vma)
    if not vma.flags & VM_SHARED:
        bits &= ~PTE_WRITE
    mm.pt[vpn] = pfn << 12 | bits
    mm.rss_file += 1
    if host:
        map_present(mm, vpn, vpn + 1)


def file_pte_flags(vma: Vma) -> int:
    """Flags of entries for cached pages: writable only if shared and not tracked for dirt."""
    bits = pte_flags(vma)
    mapping = vma.mapping
    if not vma.flags & VM_SHARED or mapping is None or not mapping.keep:
        bits &= ~PTE_WRITE
    return bits


def _file_fault(mm: Mm, vma: Vma, vpn: int, access: Access, host: bool) -> None:
    """Map cached pages around vpn; for a write into a shared one mark it dirty."""
    from pygos.mm.filemap import filemap_fault

    mapping = vma.mapping
    assert mapping is not None
    mm.zone.current = mm
    delta = vma.pgoff - (vma.start >> 12)
    was_hole = mapping.keep and vma.file is not None and vpn + delta not in mapping.pages
    filemap_fault(mapping, vpn + delta, vma)
    lo, hi = (vpn, vpn + 1) if was_hole else window(vma, vpn, FILE_AROUND)
    if vma.file is None:  # shared anonymous memory, whose new pages may reach further
        hi = max(hi, min(vpn + FILE_AROUND, vma.end >> 12))
    flags = vma.flags
    if not flags & (VM_SHARED | VM_WRITE):
        note(mapping, EXEC if flags & VM_EXEC else READ, lo + delta, hi + delta)
    map_cached(mm, vma, lo, hi, host)
    if access is _WRITE and not (pte := mm.pt[vpn]) & PTE_WRITE:
        _write_fault(mm, vma, vpn, pte, host)


def neighbours(vpn: int, pfns: list[int | None]) -> list[tuple[int, int, int]]:
    """The runs (page, frame, count) of frames that follow one another, from page `vpn` on."""
    if pfns and (head := pfns[0]) is not None and pfns == list(range(head, head + len(pfns))):
        return [(vpn, head, len(pfns))]
    found: list[tuple[int, int, int]] = []
    start = first = after = -1  # of the run so far; `after` is -1 while there is none
    for page, pfn in enumerate(pfns, vpn):
        if pfn == after:
            after += 1
            continue
        if after >= 0:
            found.append((start, first, page - start))
        if pfn is None:
            after = -1
        else:
            start, first, after = page, pfn, pfn + 1
    if after >= 0:
        found.append((start, first, vpn + len(pfns) - start))
    return found


def map_cached(mm: Mm, vma: Vma, lo: int, hi: int, host: bool, fresh: bool = False) -> None:
    """Enter what the page cache has of the VMA's pages [lo, hi) and the page table hasn't.

    `fresh`: the page table has none of them.
    """
    mapping = vma.mapping
    assert mapping is not None
    delta = vma.pgoff - (vma.start >> 12)
    hi = min(hi, ((mapping.host.i_size + 4095) >> 12) - delta)
    if hi <= lo:
        return
    pt = mm.pt
    before = len(pt)
    bits = file_pte_flags(vma)
    pfns = list(map(mapping.pages.get, range(lo + delta, hi + delta)))
    if fresh or pt.keys().isdisjoint(range(lo, hi)):
        enter = map_run if host else enter_run
        for start, first, count in neighbours(lo, pfns):
            enter(mm, start, first << 12 | bits, count)
    else:
        for vpn, pfn in zip(range(lo, hi), pfns, strict=True):
            if pfn is not None and vpn not in pt:
                pt[vpn] = pfn << 12 | bits
        if host:
            map_present(mm, lo, hi)
    if mapping.keep:
        mm.rss_shmem += len(pt) - before
    else:
        mm.rss_file += len(pt) - before


# -- writes to pages that are there


def _write_fault(mm: Mm, vma: Vma, vpn: int, pte: int, host: bool) -> None:
    if vma.flags & VM_SHARED:
        _make_dirty(mm, vma, vpn, pte, host)
    elif not pte & PTE_ANON:
        _cow_backed(mm, vma, vpn, host)
    elif mm.zone.refcount[pte >> 12] == 1:
        _reuse(mm, vma, vpn, pte, host)
    else:
        _cow_anon(mm, vma, vpn, host)


def _make_dirty(mm: Mm, vma: Vma, vpn: int, pte: int, host: bool) -> None:
    """First write to a shared page since it was clean (page_mkwrite)."""
    mapping = vma.mapping
    if mapping is not None and not mapping.keep:
        mapping.dirty.add(vma.pgoff + vpn - (vma.start >> 12))
        inode = mapping.host
        inode.i_mtime = inode.i_ctime = mm.machine.clock.realtime()
    hosted = pte & PTE_HOSTED
    pte = pte & ~PTE_HOSTED | PTE_WRITE | PTE_DIRTY
    if host or hosted:
        map_run(mm, vpn, pte, 1)
    else:
        mm.pt[vpn] = pte


def _reuse(mm: Mm, vma: Vma, vpn: int, pte: int, host: bool) -> None:
    """The last owner of copied frames: make them writable again, neighbours too."""
    lo, hi = window(vma, vpn, REUSE_AROUND)
    pt = mm.pt
    lookup = pt.get
    refcount = mm.zone.refcount
    want = pte & (PTE_HOSTED | PTE_ANON)
    mask = PTE_HOSTED | PTE_ANON | PTE_WRITE
    first, end = vpn, vpn + 1
    while first > lo and (p := lookup(first - 1, 0)) & mask == want and refcount[p >> 12] == 1:
        first -= 1
    while end < hi and (p := lookup(end, 0)) & mask == want and refcount[p >> 12] == 1:
        end += 1
    for page in range(first, end):
        pt[page] |= PTE_WRITE
    if want & PTE_HOSTED:
        mm.space.protect(first << 12, end - first, PROT_OF[pte & 7 | PTE_WRITE])
    elif host:
        map_present(mm, first, end)


# -- pages that are there but not (any more) in the host


def _host_fault(mm: Mm, vma: Vma, addr: int, access: Access, pte: int) -> None:
    """Map what the kernel put into the page table, or what the host has lost."""
    vpn = addr >> 12
    if pte & PTE_HOSTED:
        if access is _UNKNOWN:
            if vma.flags & VM_WRITE and not pte & PTE_WRITE:
                _write_fault(mm, vma, vpn, pte, True)
                return
            _count_unknown(mm, addr)
        mm.pt[vpn] = pte & ~PTE_HOSTED
    map_present(mm, *window(vma, vpn, FILE_AROUND))


def _count_unknown(mm: Mm, addr: int) -> None:
    """The host has the page and still something isn't allowed, perhaps.

    Another thread may just have faulted it in. If it comes back again and again, it is an
    access that the area's protection forbids.
    """
    last, count = mm.unknown_fault
    if last == addr and count >= _UNKNOWN_LIMIT:
        mm.unknown_fault = (0, 0)
        raise SegvFault(addr, SEGV_ACCERR)
    mm.unknown_fault = (addr, count + 1 if last == addr else 1)
