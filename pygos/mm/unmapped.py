# SPDX-License-Identifier: Apache-2.0
"""Where a mapping goes: get_unmapped_area(), top-down below mmap_base.

Programs with ADDR_COMPAT_LAYOUT (personality(2)) get the lowest hole above mmap_base.

``mm.gap_top`` and ``mm.gap_hole`` remember the last search: no hole that lies wholly above
gap_top (and below mmap_base) is larger than gap_hole.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL, ENOMEM, EPERM
from pygos.include.linux.mm import DEFAULT_MMAP_MIN_ADDR, MMF_LEGACY_LAYOUT, STACK_GUARD_GAP
from pygos.include.linux.mm_types import VM_GROWSDOWN
from pygos.include.linux.platform import TASK_SIZE
from pygos.include.uapi.mman import MAP_32BIT, MAP_FIXED
from pygos.mm.vma import find_vma

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import Vma
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_CAP_SYS_RAWIO: Final = 17
TASK_UNMAPPED_BASE: Final = TASK_SIZE // 3 & ~0xFFF
_LOW_32BIT, _HIGH_32BIT = 0x4000_0000, 0x8000_0000


def vm_start_gap(vma: Vma) -> int:
    """Where a VMA starts, with the guard gap below a stack."""
    if vma.flags & VM_GROWSDOWN:
        return max(vma.start - (STACK_GUARD_GAP << 12), 0)
    return vma.start


def mmap_min_addr(mm: Mm) -> int:
    """sysctl vm.mmap_min_addr."""
    return int(mm.machine.sysctl.get("vm.mmap_min_addr", DEFAULT_MMAP_MIN_ADDR))


def get_unmapped_area(mm: Mm, task: Task, addr: int, length: int, flags: int) -> int:
    """The address for a mapping. ENOMEM, EINVAL, EPERM (vm.mmap_min_addr)."""
    if length > TASK_SIZE:
        raise ENOMEM
    if flags & MAP_FIXED:
        if addr > TASK_SIZE - length:
            raise ENOMEM
        if addr & 0xFFF:
            raise EINVAL
        if addr < mmap_min_addr(mm) and not task.cred.capable(_CAP_SYS_RAWIO):
            raise EPERM
        return addr
    if addr:
        addr = max(addr & ~0xFFF, mmap_min_addr(mm))
        if addr <= TASK_SIZE - length:
            above = find_vma(mm, addr)
            if above is None or addr + length <= vm_start_gap(above):
                return addr
    if flags & MAP_32BIT:
        return _bottom_up(mm, _LOW_32BIT, _HIGH_32BIT, length)
    if mm.flags & MMF_LEGACY_LAYOUT:
        return _bottom_up(mm, mm.mmap_base, TASK_SIZE, length)
    found = _top_down(mm, length)
    return found if found else _bottom_up(mm, TASK_UNMAPPED_BASE, TASK_SIZE, length)


def _top_down(mm: Mm, length: int) -> int:
    """The highest hole of `length` below mmap_base, or 0."""
    top = mm.mmap_base
    hole = 0
    if length > mm.gap_hole and mm.gap_top < top:
        top, hole = mm.gap_top, mm.gap_hole
    floor = max(mmap_min_addr(mm), 4096)
    vmas = mm.vmas
    index = bisect_right(mm.starts, top) - 1
    if index + 1 < len(vmas):
        top = min(top, vm_start_gap(vmas[index + 1]))
    while index >= 0:
        vma = vmas[index]
        size = top - vma.end
        if size >= length:
            break
        if size > hole:
            hole = size
        start = vm_start_gap(vma)
        if start < top:
            top = start
        index -= 1
    if top - length < floor:
        return 0
    mm.gap_top, mm.gap_hole = top - length, hole
    return top - length


def _bottom_up(mm: Mm, low: int, high: int, length: int) -> int:
    """The lowest hole of `length` in [low, high). ENOMEM."""
    index = bisect_right(mm.starts, low) - 1
    if index >= 0 and mm.vmas[index].end > low:
        low = mm.vmas[index].end
    for vma in mm.vmas[index + 1 :]:
        if vm_start_gap(vma) - low >= length or vma.start >= high:
            break
        low = max(low, vma.end)
    if low + length > high:
        raise ENOMEM
    return low


def note_hole(mm: Mm, addr: int) -> None:
    """Something around `addr` was unmapped: keep what the last search knew true."""
    index = bisect_right(mm.starts, addr)
    start = mm.vmas[index - 1].end if index else 0
    end = mm.vmas[index].start if index < len(mm.vmas) else TASK_SIZE
    if end <= mm.gap_top:
        return
    if start < mm.gap_top:
        mm.gap_top = end
    elif end - start > mm.gap_hole:
        mm.gap_hole = end - start
