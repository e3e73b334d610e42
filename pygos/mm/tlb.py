# SPDX-License-Identifier: Apache-2.0
"""Keeping the host's mappings in step with the page table, and taking pages out of it.

A page table entry with PTE_HOSTED is mapped in the stub with that very frame and protection.
Changing or dropping such an entry queues an operation of the address space; they are flushed
before any of its CPUs runs again. A frame that another CPU of the space could still reach
while it runs is only freed after ``space.shootdown()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.linux.mm_types import PTE_ANON, PTE_HOSTED, PTE_READ
from pygos.include.linux.platform import Prot

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import Vma
    from pygos.mm.mm import Mm

#: The host's protection by pte & 7 (PTE_WRITE 1, PTE_EXEC 2, PTE_READ 4).
PROT_OF: Final = (
    Prot.NONE,
    Prot.READ | Prot.WRITE,
    Prot.READ | Prot.EXEC,
    Prot.READ | Prot.WRITE | Prot.EXEC,
    Prot.READ,
    Prot.READ | Prot.WRITE,
    Prot.READ | Prot.EXEC,
    Prot.READ | Prot.WRITE | Prot.EXEC,
)
#: The same for pages that are about to be used.
_FILL_OF: Final = tuple([prot | Prot.POPULATE for prot in PROT_OF])


def enter_run(mm: Mm, vpn: int, pte: int, count: int) -> None:
    """Enter `count` pages in contiguous frames into the page table only."""
    ptes = range(pte, pte + (count << 12), 4096)
    mm.pt.update(zip(range(vpn, vpn + count), ptes, strict=True))


def map_run(mm: Mm, vpn: int, pte: int, count: int) -> None:
    """Enter `count` pages in contiguous frames, and map them in the host."""
    pte |= PTE_HOSTED
    ptes = range(pte, pte + (count << 12), 4096)
    mm.pt.update(zip(range(vpn, vpn + count), ptes, strict=True))
    mm.space.map(vpn << 12, pte >> 12, count, PROT_OF[pte & 7])


def fill_run(mm: Mm, vpn: int, pte: int, count: int) -> None:
    """As map_run(), for pages most of which are about to be used.

    The host takes 0.5 us for each first write to a page, 0.1 us to enter one of a run.
    """
    pte |= PTE_HOSTED
    ptes = range(pte, pte + (count << 12), 4096)
    mm.pt.update(zip(range(vpn, vpn + count), ptes, strict=True))
    mm.space.map(vpn << 12, pte >> 12, count, _FILL_OF[pte & 7])


def map_present(mm: Mm, lo: int, hi: int) -> None:
    """Map in the host what the page table has of pages [lo, hi) and the host hasn't."""
    lookup = mm.pt.get
    start = first = expected = 0
    for vpn in range(lo, hi):
        pte = lookup(vpn, 0)
        if pte & (PTE_READ | PTE_HOSTED) != PTE_READ:
            pte = 0
        if expected:
            if pte == expected:
                expected += 4096
                continue
            map_run(mm, start, first, vpn - start)
        start, first = vpn, pte
        expected = pte + 4096 if pte else 0
    if expected:
        map_run(mm, start, first, hi - start)


def protect_hosted(mm: Mm, vpns: list[int]) -> None:
    """Tell the host the new protection of hosted pages; `vpns` ascending, already in the pt."""
    if not vpns:
        return
    pt = mm.pt
    protect = mm.space.protect
    start = last = vpns[0]
    bits = pt[start] & 7
    for vpn in vpns[1:]:
        new = pt[vpn] & 7
        if vpn != last + 1 or new != bits:
            protect(start << 12, last + 1 - start, PROT_OF[bits])
            start, bits = vpn, new
        last = vpn
    protect(start << 12, last + 1 - start, PROT_OF[bits])


def present(mm: Mm, lo: int, hi: int) -> list[int]:
    """The page numbers in [lo, hi) that have an entry, ascending."""
    pt = mm.pt
    if hi - lo <= 4 * len(pt):
        return list(filter(pt.__contains__, range(lo, hi)))
    return sorted([vpn for vpn in pt if lo <= vpn < hi])


def sync(mm: Mm) -> None:
    """No running CPU of the mm uses a mapping any more that was changed before."""
    mm.space.shootdown()


class Gather:
    """Pages being taken out of one mm; flush() unmaps them in the host and frees frames."""

    __slots__ = ("frames", "hi", "lo", "mm")

    def __init__(self, mm: Mm) -> None:
        self.mm = mm
        self.frames: list[int] = []
        self.lo = self.hi = 0

    def zap(self, vma: Vma, lo: int, hi: int) -> None:
        """Take all pages [lo, hi) of a VMA out of the page table.

        Everything between the first and the last zap before a flush() must be zapped.
        """
        mm = self.mm
        vpns = present(mm, lo, hi)
        if not vpns:
            return
        ptes = list(map(mm.pt.pop, vpns))
        anon = [pte >> 12 for pte in ptes if pte & PTE_ANON]
        self._count(vma, len(anon), len(ptes) - len(anon))
        self.frames += anon
        if not self.hi or vpns[0] < self.lo:
            self.lo = vpns[0]
        if vpns[-1] >= self.hi:
            self.hi = vpns[-1] + 1
        if mm.patches is not None:
            mm.patches.zapped(mm, lo, hi)

    def zap_file(self, vma: Vma, lo: int, hi: int) -> None:
        """Take the pages of the page cache out, not the private copies; unmaps at once."""
        mm = self.mm
        pt = mm.pt
        vpns = [vpn for vpn in present(mm, lo, hi) if not pt[vpn] & PTE_ANON]
        self._count(vma, 0, len(vpns))
        start = end = 0
        for vpn in vpns:
            if not pt.pop(vpn) & PTE_HOSTED:
                continue
            if vpn != end:
                if end:
                    mm.space.unmap(start << 12, end - start)
                start = vpn
            end = vpn + 1
        if end:
            mm.space.unmap(start << 12, end - start)

    def _count(self, vma: Vma, anon: int, cached: int) -> None:
        mm = self.mm
        mm.update_hiwater()
        mm.rss_anon -= anon
        if vma.mapping is not None and vma.mapping.keep:
            mm.rss_shmem -= cached
        else:
            mm.rss_file -= cached

    def flush(self) -> None:
        """Unmap and free what was zapped.

        Pages of the page cache aren't freed, but nobody looks for them here any more when
        they leave it: they too must be out of reach now.
        """
        mm = self.mm
        if self.hi:
            mm.space.unmap(self.lo << 12, self.hi - self.lo)
            self.lo = self.hi = 0
            sync(mm)
        if self.frames:
            mm.zone.put_many(self.frames)
            self.frames = []
