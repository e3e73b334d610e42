# SPDX-License-Identifier: Apache-2.0
"""Growing stacks: areas with VM_GROWSDOWN (mm/mmap.c: expand_stack)."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from pygos.include.errno import ENOMEM
from pygos.include.linux.mm import STACK_GUARD_GAP, VM_ACCESS_FLAGS
from pygos.include.linux.mm_types import VM_GROWSDOWN, VM_LOCKED, Vma
from pygos.include.uapi.resource import RLIM_INFINITY, RLIMIT_AS, RLIMIT_MEMLOCK, RLIMIT_STACK
from pygos.mm.vma import account, move_start

if TYPE_CHECKING:
    from pygos.mm.mm import Mm

#: A stack grows by this much at once if it may: deep recursion then faults 16 times less.
_STEP: Final = 16 << 12


def rlimit(mm: Mm, which: int) -> int:
    """The soft limit of the mm's owner; RLIM_INFINITY if it has none."""
    owner = mm.owner
    if owner is None or not owner.group.rlim:
        return RLIM_INFINITY
    return owner.group.rlim[which][0]


def expand_stack(mm: Mm, addr: int) -> Vma | None:
    """Grow the stack above `addr` down to it; None if there is none or it may not."""
    index = bisect_right(mm.starts, addr)
    if index >= len(mm.vmas):
        return None
    vma = mm.vmas[index]
    if not vma.flags & VM_GROWSDOWN:
        return None
    page = addr & ~0xFFF
    for start in (page & -_STEP, page):
        if start < vma.start and _may_grow(mm, vma, index, start):
            account(mm, vma.flags, (vma.start - start) >> 12)
            move_start(mm, vma, start)
            return vma
    return None


def _may_grow(mm: Mm, vma: Vma, index: int, start: int) -> bool:
    """Guard gap, RLIMIT_STACK, RLIMIT_AS, RLIMIT_MEMLOCK, overcommit (acct_stack_growth)."""
    from pygos.mm.overcommit import vm_enough_memory

    if start < int(mm.machine.sysctl.get("vm.mmap_min_addr", 65536)):
        return False
    grow = (vma.start - start) >> 12
    if index:
        prev = mm.vmas[index - 1]
        gap = 0 if prev.flags & VM_GROWSDOWN or not prev.flags & VM_ACCESS_FLAGS else (
            STACK_GUARD_GAP << 12
        )
        if start < prev.end + gap:
            return False
    if vma.end - start > rlimit(mm, RLIMIT_STACK):
        return False
    if (mm.total_vm + grow) << 12 > rlimit(mm, RLIMIT_AS):
        return False
    if vma.flags & VM_LOCKED and (mm.locked_vm + grow) << 12 > rlimit(mm, RLIMIT_MEMLOCK):
        return False
    try:
        vm_enough_memory(mm, grow)
    except ENOMEM:
        return False
    return True
