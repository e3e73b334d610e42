# SPDX-License-Identifier: Apache-2.0
"""mremap(2) (mm/mremap.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EAGAIN, EFAULT, EINVAL, ENOMEM
from pygos.include.linux.mm import VM_PFNMAP
from pygos.include.linux.mm_types import (
    PTE_HOSTED,
    VM_ACCOUNT,
    VM_DONTEXPAND,
    VM_LOCKED,
    VM_MAYSHARE,
    VM_SHARED,
    Vma,
)
from pygos.include.linux.platform import TASK_SIZE
from pygos.include.linux.syscalls import Size, ULongFlags, UserAddr, syscall
from pygos.include.uapi.mman import (
    MAP_FIXED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
)
from pygos.mm.mmap import check_sealed, do_munmap, may_expand_vm, mlock_future_ok, page_align
from pygos.mm.overcommit import vm_enough_memory
from pygos.mm.populate import mm_populate
from pygos.mm.tlb import present, sync
from pygos.mm.unmapped import get_unmapped_area, vm_start_gap
from pygos.mm.vma import (
    account,
    copy_vma_struct,
    find_vma,
    insert_vma,
    isolate,
    max_map_count,
    merge_at,
    vma_lookup,
    vmas_in,
)

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_ALL: Final = MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP


@syscall
def mremap(
    task: Task, addr: UserAddr, old_len: Size, new_len: Size, flags: ULongFlags, new_addr: UserAddr
) -> int:
    """Grow, shrink or move a mapping; its new address. mremap(2).

    Errors: EINVAL, EFAULT (no or more than one mapping there), ENOMEM, EAGAIN (locked memory).
    """
    mm = task.mm
    assert mm is not None
    _check(addr, old_len, new_len, flags, new_addr)
    old_len, new_len = page_align(old_len), page_align(new_len)
    if not new_len:
        raise EINVAL
    vma = vma_lookup(mm, addr)
    if vma is None:
        raise EFAULT
    check_sealed([vma])
    if mm.patches is not None:
        mm.patches.withdraw(mm, addr, addr + old_len)
    if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP):
        return _mremap_to(mm, task, addr, old_len, new_len, flags, new_addr)
    if old_len >= new_len:
        if old_len > new_len:
            do_munmap(mm, addr + new_len, old_len - new_len)
        return addr
    vma = _vma_to_resize(mm, task, addr, old_len, new_len, flags)
    grow = new_len - old_len
    if old_len == vma.end - addr and _room_after(mm, vma, grow):
        return _expand(mm, vma, addr, old_len, grow)
    if not flags & MREMAP_MAYMOVE:
        raise ENOMEM
    new_addr = get_unmapped_area(mm, task, 0, new_len, 0)
    return _move(mm, vma, addr, old_len, new_len, new_addr, flags)


def _check(addr: int, old_len: int, new_len: int, flags: int, new_addr: int) -> None:
    """The checks on the arguments alone."""
    if flags & ~_ALL:
        raise EINVAL
    if flags & MREMAP_FIXED and not flags & MREMAP_MAYMOVE:
        raise EINVAL
    if flags & MREMAP_DONTUNMAP and (
        not flags & MREMAP_MAYMOVE or page_align(old_len) != page_align(new_len)
    ):
        raise EINVAL
    if addr & 0xFFF or not new_len:
        raise EINVAL
    if not flags & (MREMAP_FIXED | MREMAP_DONTUNMAP):
        return
    if new_addr & 0xFFF or new_len > TASK_SIZE or new_addr > TASK_SIZE - new_len:
        raise EINVAL
    if addr + old_len > new_addr and new_addr + new_len > addr:
        raise EINVAL


def _vma_to_resize(
    mm: Mm, task: Task, addr: int, old_len: int, new_len: int, flags: int
) -> Vma:
    """The VMA, checked for what is going to be done to it."""
    vma = vma_lookup(mm, addr)
    if vma is None:
        raise EFAULT
    if not old_len and not vma.flags & (VM_SHARED | VM_MAYSHARE):
        raise EINVAL
    if flags & MREMAP_DONTUNMAP and vma.flags & (VM_DONTEXPAND | VM_PFNMAP):
        raise EINVAL
    if old_len > vma.end - addr:
        raise EFAULT
    if new_len <= old_len:
        return vma
    pages = (new_len - old_len) >> 12
    pgoff = vma.pgoff + ((addr - vma.start) >> 12)
    if pgoff + (new_len >> 12) >= 1 << 52:
        raise EINVAL
    if vma.flags & (VM_DONTEXPAND | VM_PFNMAP):
        raise EFAULT
    if vma.flags & VM_LOCKED and not mlock_future_ok(mm, task, pages):
        raise EAGAIN
    if not may_expand_vm(mm, vma.flags, pages):
        raise ENOMEM
    return vma


def _room_after(mm: Mm, vma: Vma, grow: int) -> bool:
    """Can a VMA grow upwards in place?"""
    end = vma.end + grow
    if end > TASK_SIZE:
        return False
    above = find_vma(mm, vma.end)
    return above is None or end <= vm_start_gap(above)


def _expand(mm: Mm, vma: Vma, addr: int, old_len: int, grow: int) -> int:
    """Grow in place."""
    if vma.flags & VM_ACCOUNT:
        vm_enough_memory(mm, grow >> 12)
    vma.end += grow
    account(mm, vma.flags, grow >> 12)
    locked = vma.flags & VM_LOCKED
    merge_at(mm, vma.end)
    if locked:
        mm_populate(mm, addr + old_len, addr + old_len + grow)
    return addr


def _mremap_to(
    mm: Mm, task: Task, addr: int, old_len: int, new_len: int, flags: int, new_addr: int
) -> int:
    """Move to a given place (MREMAP_FIXED), or keep the old area empty (MREMAP_DONTUNMAP)."""
    if len(mm.vmas) + 2 >= max_map_count(mm) - 3:
        raise ENOMEM
    if flags & MREMAP_FIXED:
        do_munmap(mm, new_addr, new_len)
    if old_len > new_len:
        do_munmap(mm, addr + new_len, old_len - new_len)
        old_len = new_len
    vma = _vma_to_resize(mm, task, addr, old_len, new_len, flags)
    if flags & MREMAP_DONTUNMAP and not may_expand_vm(mm, vma.flags, old_len >> 12):
        raise ENOMEM
    place = MAP_FIXED if flags & MREMAP_FIXED else 0
    new_addr = get_unmapped_area(mm, task, new_addr, new_len, place)
    return _move(mm, vma, addr, old_len, new_len, new_addr, flags)


def _move(
    mm: Mm, vma: Vma, addr: int, old_len: int, new_len: int, new_addr: int, flags: int
) -> int:
    """Make a copy of the VMA at new_addr, move the pages, drop the old one."""
    if len(mm.vmas) >= max_map_count(mm) - 3:
        raise ENOMEM
    pages = new_len >> 12
    keeps = not old_len or flags & MREMAP_DONTUNMAP
    if vma.flags & VM_ACCOUNT:
        vm_enough_memory(mm, pages if keeps else (new_len - old_len) >> 12)
    if old_len:
        vma = isolate(mm, vma, addr, addr + old_len)
    new = copy_vma_struct(vma, mm, vma.start, vma.start + new_len)
    new.pgoff = vma.pgoff + ((addr - vma.start) >> 12)
    new.start, new.end = new_addr, new_addr + new_len
    move_page_tables(mm, addr, new_addr, old_len)
    insert_vma(mm, new)
    account(mm, new.flags, pages)
    locked = new.flags & VM_LOCKED
    if old_len and not keeps:
        do_munmap(mm, addr, old_len)
    elif keeps and old_len and locked:
        for old in vmas_in(mm, addr, addr + old_len):
            old.flags &= ~VM_LOCKED
            mm.locked_vm -= (old.end - old.start) >> 12
    merge_at(mm, new_addr + new_len)
    merge_at(mm, new_addr)
    if locked:
        mm_populate(mm, new_addr + old_len, new_addr + new_len)
    return new_addr


def move_page_tables(mm: Mm, old: int, new: int, length: int) -> None:
    """Move the entries of [old, old + length) to `new`; the host learns it by faults."""
    pt = mm.pt
    delta = (new - old) >> 12
    vpns = present(mm, old >> 12, (old + length) >> 12)
    ptes = [pt.pop(vpn) for vpn in vpns]
    pt.update({vpn + delta: p & ~PTE_HOSTED for vpn, p in zip(vpns, ptes, strict=True)})
    hosted = [vpn for vpn, pte in zip(vpns, ptes, strict=True) if pte & PTE_HOSTED]
    if hosted:
        mm.space.unmap(hosted[0] << 12, hosted[-1] + 1 - hosted[0])
        sync(mm)
