# SPDX-License-Identifier: Apache-2.0
"""mprotect(2) and protection keys (mm/mprotect.c). No keys: the CPU isn't told about any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EACCES, EINVAL, ENOMEM, ENOSPC
from pygos.include.linux.mm import MMF_HAS_MDWE, VM_ACCESS_FLAGS
from pygos.include.linux.mm_types import (
    PTE_ANON,
    PTE_DIRTY,
    PTE_EXEC,
    PTE_HOSTED,
    PTE_READ,
    PTE_WRITE,
    VM_ACCOUNT,
    VM_EXEC,
    VM_GROWSDOWN,
    VM_NORESERVE,
    VM_SHARED,
    VM_WRITE,
    Vma,
)
from pygos.include.linux.platform import TASK_SIZE
from pygos.include.linux.syscalls import Int, Size, ULong, UserAddr, syscall
from pygos.include.uapi.mman import (
    PKEY_ACCESS_MASK,
    PROT_EXEC,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    PROT_READ,
    PROT_SEM,
    PROT_WRITE,
)
from pygos.mm.fault import pte_flags
from pygos.mm.mmap import check_sealed, may_expand_vm, page_align, prot_flags
from pygos.mm.overcommit import vm_enough_memory
from pygos.mm.tlb import present, protect_hosted, sync
from pygos.mm.vma import account, is_data, isolate, merge_range, vma_is_anonymous, vmas_in

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_PROT_KNOWN: Final = PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM
_READ_IMPLIES_EXEC: Final = 0x0400000
_BITS: Final = PTE_WRITE | PTE_EXEC | PTE_READ


@syscall
def mprotect(task: Task, start: UserAddr, length: Size, prot: ULong) -> int:
    """Set the protection of memory. mprotect(2).

    Errors: EINVAL (alignment, unknown bits), ENOMEM (holes, limits), EACCES (the file wasn't
    opened for that), EPERM (sealed).
    """
    assert task.mm is not None
    return do_mprotect(task.mm, task, start, length, prot)


@syscall
def pkey_mprotect(task: Task, start: UserAddr, length: Size, prot: ULong, pkey: Int) -> int:
    """mprotect(2) with a protection key; only -1 (none) exists. pkey_mprotect(2). EINVAL."""
    assert task.mm is not None
    if pkey != -1:
        raise EINVAL
    return do_mprotect(task.mm, task, start, length, prot)


@syscall
def pkey_alloc(task: Task, flags: ULong, init_val: ULong) -> int:
    """Allocate a protection key: there are none. pkey_alloc(2). EINVAL, ENOSPC."""
    if flags or init_val & ~PKEY_ACCESS_MASK:
        raise EINVAL
    raise ENOSPC


@syscall
def pkey_free(task: Task, pkey: Int) -> int:
    """Free a protection key: none is allocated. pkey_free(2). EINVAL."""
    raise EINVAL


def do_mprotect(mm: Mm, task: Task, start: int, length: int, prot: int) -> int:
    """As mprotect(2), in Linux's order of checks."""
    grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP)
    prot &= ~grows
    if grows == PROT_GROWSDOWN | PROT_GROWSUP or start & 0xFFF:
        raise EINVAL
    if not length:
        return 0
    end = start + page_align(length)
    if end <= start or end >= 1 << 64:
        raise ENOMEM
    if prot & ~_PROT_KNOWN:
        raise EINVAL
    if prot & PROT_READ and task.personality & _READ_IMPLIES_EXEC:
        prot |= PROT_EXEC
    vmas = vmas_in(mm, start, min(end, TASK_SIZE))
    if not vmas:
        raise ENOMEM
    if grows & PROT_GROWSDOWN:
        if not vmas[0].flags & VM_GROWSDOWN:
            raise EINVAL
        start = vmas[0].start
    elif grows or vmas[0].start > start:
        raise EINVAL if grows else ENOMEM
    _protect_vmas(mm, vmas, start, end, prot_flags(prot))
    return 0


def _protect_vmas(mm: Mm, vmas: list[Vma], start: int, end: int, prot: int) -> None:
    """VMA by VMA; what was changed before an error stays changed."""
    at = start
    try:
        for vma in vmas:
            if vma.start > at:
                raise ENOMEM
            check_sealed([vma])
            flags = vma.flags & ~VM_ACCESS_FLAGS | prot
            if flags & ~(flags >> 4) & VM_ACCESS_FLAGS:
                raise EACCES
            if mm.flags & MMF_HAS_MDWE and flags & VM_EXEC and (
                flags & VM_WRITE or not vma.flags & VM_EXEC
            ):
                raise EACCES
            at = min(vma.end, end)
            mprotect_fixup(mm, vma, max(vma.start, start), at, flags)
        if at < end:
            raise ENOMEM
    finally:
        merge_range(mm, start, at)


def mprotect_fixup(mm: Mm, vma: Vma, start: int, end: int, flags: int) -> None:
    """Give the part [start, end) of a VMA new flags, and its pages the protection."""
    old = vma.flags
    if flags == old:
        return
    if mm.patches is not None:
        mm.patches.withdraw(mm, start, end)
    pages = (end - start) >> 12
    if flags & VM_WRITE:
        if not may_expand_vm(mm, flags, 0) or (
            is_data(flags) and not is_data(old) and not may_expand_vm(mm, flags, pages)
        ):
            raise ENOMEM
        if not old & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE):
            vm_enough_memory(mm, pages)
            flags |= VM_ACCOUNT
    elif old & VM_ACCOUNT and vma_is_anonymous(vma) and not _touched(mm, vma):
        flags &= ~VM_ACCOUNT
    vma = isolate(mm, vma, start, end)
    account(mm, old, -pages)
    vma.flags = flags
    account(mm, flags, pages)
    change_protection(mm, vma)


def _touched(mm: Mm, vma: Vma) -> bool:
    """Does a VMA have any page of its own?"""
    return bool(present(mm, vma.start >> 12, vma.end >> 12))


def change_protection(mm: Mm, vma: Vma) -> None:
    """Bring the page table entries of a VMA (and the host) in line with its flags."""
    pt = mm.pt
    bits = pte_flags(vma)
    refcount = mm.zone.refcount
    shared = vma.flags & VM_SHARED
    tracked = shared and vma.mapping is not None and not vma.mapping.keep
    hosted = []
    for vpn in present(mm, vma.start >> 12, vma.end >> 12):
        pte = pt[vpn]
        new = pte & ~_BITS | bits
        if bits & PTE_WRITE:
            if shared:
                if tracked and not pte & PTE_DIRTY:
                    new &= ~PTE_WRITE
            elif not pte & PTE_ANON or refcount[pte >> 12] > 1:
                new &= ~PTE_WRITE
        if new != pte:
            pt[vpn] = new
            if pte & PTE_HOSTED:
                hosted.append(vpn)
    if hosted:
        protect_hosted(mm, hosted)
        if not vma.flags & VM_WRITE:
            sync(mm)
