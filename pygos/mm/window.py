# SPDX-License-Identifier: Apache-2.0
"""What all kinds of faults need: which pages to serve along, their flags, charged frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.linux.mm import VM_ACCESS_FLAGS
from pygos.include.linux.mm_types import PTE_EXEC, PTE_READ, PTE_WRITE, VM_EXEC, VM_WRITE

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import Vma
    from pygos.mm.memcontrol import MemCgroup


def charged_run(
    memcg: MemCgroup, count: int, *, zero: bool = False, near: int = 0
) -> tuple[int, int]:
    """zone.alloc_run() for anonymous memory of a group. OutOfMemory."""
    from pygos.mm.memcontrol import ANON
    from pygos.mm.memcontrol import charged_run as charge

    return charge(memcg, count, ANON, zero=zero, near=near)


def window(vma: Vma, vpn: int, size: int) -> tuple[int, int]:
    """The aligned window of `size` pages around a page within its VMA, or a small VMA whole."""
    start = vma.start >> 12
    end = vma.end >> 12
    if end - start <= size + size:
        return start, end
    lo = vpn & -size
    hi = lo + size
    return (lo if lo > start else start), (hi if hi < end else end)


def pte_flags(vma: Vma) -> int:
    """The flags of an entry that may be read, and written unless the VMA forbids it."""
    flags = vma.flags
    bits = PTE_READ if flags & VM_ACCESS_FLAGS else 0
    if flags & VM_WRITE:
        bits |= PTE_WRITE
    if flags & VM_EXEC:
        bits |= PTE_EXEC
    return bits


def shrink(lo: int, hi: int, vpn: int, count: int) -> tuple[int, int]:
    """`count` pages of [lo, hi) that include vpn."""
    lo = max(lo, vpn - count + 1)
    return lo, min(hi, lo + count)
