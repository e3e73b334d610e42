# SPDX-License-Identifier: Apache-2.0
"""Mappings of the kernel's own frames in programs: the vDSO and its data (special mappings).

Their frames aren't counted by mapping: a ``SpecialMapping`` knows how many VMAs show it. They
can be moved, protected and unmapped as a whole, never in part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL
from pygos.include.linux.mm_types import (
    PTE_EXEC,
    PTE_READ,
    VM_EXEC,
    Vma,
    VmOperations,
)
from pygos.mm.fault import SigBus
from pygos.mm.tlb import Gather, map_run, sync
from pygos.mm.vma import account, insert_vma

if TYPE_CHECKING:
    from pygos.mm.mm import Mm


class SpecialMapping:
    """Frames in the order of their pages (struct vm_special_mapping)."""

    __slots__ = ("name", "pfns", "users")

    def __init__(self, name: str, *pfns: int) -> None:
        self.name = name
        self.pfns = pfns
        #: VMAs that show it.
        self.users = 0

    def release(self) -> None:
        """The last VMA is gone."""


class SpecialVmOperations(VmOperations):
    """What all such VMAs do; ``vma.private`` is the SpecialMapping."""

    __slots__ = ()

    def fault(self, vma: Vma, index: int) -> int:
        pfns: tuple[int, ...] = vma.private.pfns
        if index >= len(pfns):
            raise SigBus
        return pfns[index]

    def open(self, vma: Vma) -> None:
        vma.private.users += 1

    def close(self, vma: Vma) -> None:
        _drop(vma.private)

    def may_split(self, vma: Vma, addr: int) -> None:
        raise EINVAL


SPECIAL_VM_OPS: Final = SpecialVmOperations()


def _drop(special: SpecialMapping) -> None:
    special.users -= 1
    if not special.users:
        special.release()


def install_special_mapping(mm: Mm, addr: int, special: SpecialMapping, flags: int) -> Vma:
    """Map all of it at `addr`, where nothing is, and enter its pages at once."""
    pages = len(special.pfns)
    vma = Vma(mm, addr, addr + (pages << 12), flags)
    vma.vm_ops = SPECIAL_VM_OPS
    vma.private = special
    vma.name = special.name
    special.users += 1
    insert_vma(mm, vma)
    account(mm, flags, pages)
    _enter(mm, vma)
    return vma


def replace_special(mm: Mm, special: SpecialMapping) -> None:
    """Show `special` where the mm shows another one of the same name."""
    for vma in mm.vmas:
        if vma.vm_ops is SPECIAL_VM_OPS and vma.name == special.name:
            old, vma.private = vma.private, special
            special.users += 1
            gather = Gather(mm)
            gather.zap(vma, vma.start >> 12, vma.end >> 12)
            gather.flush()
            sync(mm)
            _drop(old)


def _enter(mm: Mm, vma: Vma) -> None:
    """Enter the pages, neighbouring frames at a time."""
    bits = PTE_READ | (PTE_EXEC if vma.flags & VM_EXEC else 0)
    pfns = vma.private.pfns
    start = 0
    for index in range(1, len(pfns) + 1):
        if index == len(pfns) or pfns[index] != pfns[index - 1] + 1:
            pte = pfns[start] << 12 | bits
            map_run(mm, (vma.start >> 12) + start, pte, index - start)
            start = index
    mm.rss_file += len(pfns)
