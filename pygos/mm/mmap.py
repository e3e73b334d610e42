# SPDX-License-Identifier: Apache-2.0
"""mmap(2), munmap(2), brk(2) and where mappings go (mm/mmap.c, mm/vma.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import (
    EACCES,
    EAGAIN,
    EBADF,
    EEXIST,
    EINVAL,
    ENODEV,
    ENOMEM,
    EOPNOTSUPP,
    EOVERFLOW,
    EPERM,
    Errno,
)
from pygos.include.linux.fs import FMODE_PATH, FMODE_READ, FMODE_WRITE, MNT_NOEXEC
from pygos.include.linux.mm import MMF_HAS_MDWE, VM_LOCKONFAULT, VM_SEALED
from pygos.include.linux.mm_types import (
    VM_ACCOUNT,
    VM_EXEC,
    VM_GROWSDOWN,
    VM_LOCKED,
    VM_MAYEXEC,
    VM_MAYREAD,
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_NORESERVE,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    Vma,
)
from pygos.include.linux.platform import TASK_SIZE
from pygos.include.linux.syscalls import Flags, Int, Size, ULong, UserAddr, syscall
from pygos.include.uapi import mman
from pygos.include.uapi.resource import RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK
from pygos.mm.overcommit import vm_enough_memory
from pygos.mm.populate import mm_populate, premap_bss, premap_file
from pygos.mm.shmem import shmem_zero_setup
from pygos.mm.stack import rlimit
from pygos.mm.tlb import Gather
from pygos.mm.unmapped import get_unmapped_area, note_hole, vm_start_gap
from pygos.mm.vma import (
    account,
    add_vma,
    drop_vma,
    find_vma,
    is_data,
    isolate,
    max_map_count,
    unlink_vma,
    vmas_in,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_CAP_IPC_LOCK: Final = 14
_VM_MAY: Final = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
_READ_IMPLIES_EXEC: Final = 0x0400000
#: A dynamic linker uses what it maps up to this size: its own heap, thread-local storage.
_LINKER_BYTES: Final = 0x4000
#: Flags that old kernels knew: MAP_SHARED ignores others.
_LEGACY_MASK: Final = (
    mman.MAP_SHARED | mman.MAP_PRIVATE | mman.MAP_FIXED | mman.MAP_ANONYMOUS | mman.MAP_DENYWRITE
    | mman.MAP_EXECUTABLE | mman.MAP_UNINITIALIZED | mman.MAP_GROWSDOWN | mman.MAP_LOCKED
    | mman.MAP_NORESERVE | mman.MAP_POPULATE | mman.MAP_NONBLOCK | mman.MAP_STACK
    | mman.MAP_HUGETLB | mman.MAP_32BIT | mman.MAP_ABOVE4G | mman.MAP_HUGE_2MB
    | mman.MAP_HUGE_1GB | mman.MAP_FIXED_NOREPLACE
)  # fmt: skip


def page_align(length: int) -> int:
    """Up to whole pages, in 64 bits: 0 on overflow."""
    return (length + 0xFFF) & 0xFFFF_FFFF_FFFF_F000


def prot_flags(prot: int) -> int:
    """VM_READ, VM_WRITE and VM_EXEC of PROT_* (the same bits)."""
    return prot & (VM_READ | VM_WRITE | VM_EXEC)


@syscall
def mmap(
    task: Task, addr: UserAddr, length: Size, prot: ULong, flags: Flags, fd: Int, offset: ULong
) -> int:
    """Map files or memory. mmap(2).

    Errors: EINVAL, EBADF, EACCES, ENODEV, ENOMEM, EEXIST, EPERM, EAGAIN (RLIMIT_MEMLOCK),
    EOVERFLOW, EOPNOTSUPP (MAP_SHARED_VALIDATE). No huge pages: MAP_HUGETLB gives EINVAL.
    """
    mm = task.mm
    assert mm is not None
    if offset & 0xFFF:
        raise EINVAL
    file = None
    if not flags & mman.MAP_ANONYMOUS:
        file = task.files.fd.get(fd)
        if file is None or file.f_mode & FMODE_PATH:
            raise EBADF
    if flags & mman.MAP_HUGETLB:
        raise EINVAL
    return do_mmap(mm, task, file, addr, length, prot, flags, offset >> 12)


def do_mmap(
    mm: Mm, task: Task, file: File | None, addr: int, length: int, prot: int, flags: int, pgoff: int
) -> int:
    """Map `length` bytes of `file` from page `pgoff` (or memory); the address. As mmap(2)."""
    if not length:
        raise EINVAL
    if prot & mman.PROT_READ and task.personality & _READ_IMPLIES_EXEC and not (
        file is not None and file.f_path.mnt.mnt_flags & MNT_NOEXEC
    ):
        prot |= mman.PROT_EXEC
    if flags & mman.MAP_FIXED_NOREPLACE:
        flags |= mman.MAP_FIXED
    length = page_align(length)
    if not length:
        raise ENOMEM
    if pgoff + (length >> 12) >= 1 << 64:
        raise EOVERFLOW
    if len(mm.vmas) > max_map_count(mm):
        raise ENOMEM
    addr = get_unmapped_area(mm, task, addr, length, flags)
    if flags & mman.MAP_FIXED_NOREPLACE and vmas_in(mm, addr, addr + length):
        raise EEXIST
    vm_flags = _calc_flags(mm, task, prot, flags)
    if vm_flags & VM_LOCKED and not mlock_future_ok(mm, task, length >> 12):
        raise EAGAIN
    if file is not None:
        vm_flags = file_flags(file, pgoff, length, flags, vm_flags)
    else:
        vm_flags = _anon_flags(flags, vm_flags)
        pgoff = addr >> 12
    if vm_flags & (VM_WRITE | VM_EXEC) == VM_WRITE | VM_EXEC and mm.flags & MMF_HAS_MDWE:
        raise EACCES
    if flags & mman.MAP_NORESERVE and mm.machine.sysctl.get("vm.overcommit_memory", 0) != 2:
        vm_flags |= VM_NORESERVE
    vma = mmap_region(mm, file, addr, length, vm_flags, pgoff)
    if vm_flags & (VM_LOCKED | VM_LOCKONFAULT) == VM_LOCKED or (
        flags & (mman.MAP_POPULATE | mman.MAP_NONBLOCK) == mman.MAP_POPULATE
    ):
        mm_populate(mm, addr, addr + length)
    elif not vm_flags & VM_SHARED:
        fixed = bool(flags & mman.MAP_FIXED)
        if vma.mapping is not None:
            premap_file(mm, vma, addr, addr + length, fixed)
        elif fixed and vm_flags & VM_WRITE:
            premap_bss(mm, addr, addr + length)
        elif mm.linking and vm_flags & VM_WRITE and length <= _LINKER_BYTES:
            mm_populate(mm, addr, addr + length)
    return addr


def _calc_flags(mm: Mm, task: Task, prot: int, flags: int) -> int:
    """VM_* of prot and flags, and EPERM for MAP_LOCKED without the right."""
    vm_flags = prot_flags(prot) | mm.def_flags | _VM_MAY
    if flags & mman.MAP_GROWSDOWN:
        vm_flags |= VM_GROWSDOWN
    if flags & mman.MAP_LOCKED:
        if not can_do_mlock(mm, task):
            raise EPERM
        vm_flags |= VM_LOCKED
    return vm_flags


def file_flags(file: File, pgoff: int, length: int, flags: int, vm_flags: int) -> int:
    """The checks of a file mapping, in Linux's order."""
    if pgoff > 1 << 52 or (pgoff << 12) + length > (1 << 63) - 1:
        raise EOVERFLOW
    kind = flags & mman.MAP_TYPE
    mode = file.f_mode
    if kind == mman.MAP_SHARED:
        flags &= _LEGACY_MASK
    elif kind == mman.MAP_SHARED_VALIDATE:
        if flags & ~(_LEGACY_MASK | mman.MAP_SHARED_VALIDATE):
            raise EOPNOTSUPP
    elif kind != mman.MAP_PRIVATE:
        raise EINVAL
    if kind != mman.MAP_PRIVATE:
        if vm_flags & VM_WRITE and not mode & FMODE_WRITE:
            raise EACCES
        vm_flags |= VM_SHARED | VM_MAYSHARE
        if not mode & FMODE_WRITE:
            vm_flags &= ~(VM_MAYWRITE | VM_SHARED)
    if not mode & FMODE_READ:
        raise EACCES
    if file.f_path.mnt.mnt_flags & MNT_NOEXEC:
        if vm_flags & VM_EXEC:
            raise EPERM
        vm_flags &= ~VM_MAYEXEC
    if file.f_inode.is_dir:
        raise ENODEV
    if vm_flags & VM_GROWSDOWN:
        raise EINVAL
    return vm_flags


def _anon_flags(flags: int, vm_flags: int) -> int:
    kind = flags & mman.MAP_TYPE
    if kind == mman.MAP_SHARED:
        if vm_flags & VM_GROWSDOWN:
            raise EINVAL
        return vm_flags | VM_SHARED | VM_MAYSHARE
    if kind != mman.MAP_PRIVATE:
        raise EINVAL
    return vm_flags


def can_do_mlock(mm: Mm, task: Task) -> bool:
    """May the task lock any memory?"""
    return rlimit(mm, RLIMIT_MEMLOCK) != 0 or task.cred.capable(_CAP_IPC_LOCK)


def mlock_future_ok(mm: Mm, task: Task, pages: int) -> bool:
    """May `pages` more be locked? RLIMIT_MEMLOCK."""
    if task.cred.capable(_CAP_IPC_LOCK):
        return True
    return (mm.locked_vm + pages) << 12 <= rlimit(mm, RLIMIT_MEMLOCK)


def may_expand_vm(mm: Mm, vm_flags: int, pages: int) -> bool:
    """RLIMIT_AS and RLIMIT_DATA for `pages` more."""
    owner = mm.owner
    if owner is None or not (limits := owner.group.rlim):
        return True
    if (mm.total_vm + pages) << 12 > limits[RLIMIT_AS][0]:
        return False
    return not is_data(vm_flags) or (mm.data_vm + pages) << 12 <= limits[RLIMIT_DATA][0]


def accountable(vm_flags: int) -> bool:
    """Is the mapping counted as promised memory?"""
    return vm_flags & (VM_NORESERVE | VM_SHARED | VM_WRITE) == VM_WRITE


def mmap_region(
    mm: Mm, file: File | None, addr: int, length: int, vm_flags: int, pgoff: int
) -> Vma:
    """Replace whatever is at [addr, addr + length) by a new mapping."""
    end = addr + length
    pages = length >> 12
    old = vmas_in(mm, addr, end)
    covered = sum([(min(v.end, end) - max(v.start, addr)) >> 12 for v in old]) if old else 0
    if not may_expand_vm(mm, vm_flags, pages - covered):
        raise ENOMEM
    if accountable(vm_flags):
        vm_enough_memory(mm, pages)
        vm_flags |= VM_ACCOUNT
    vma = Vma(mm, addr, end, vm_flags)
    vma.pgoff = pgoff
    if file is not None:
        call_mmap(mm.owner if mm.owner is not None else mm.machine.init_task, vma, file)
    elif vm_flags & VM_SHARED:
        shmem_zero_setup(vma)
    if old:
        try:
            do_munmap(mm, addr, length)
        except (ENOMEM, EPERM, EINVAL):
            drop_vma(mm, vma)
            raise
    account(mm, vma.flags, pages)
    return add_vma(mm, vma)


@syscall
def remap_file_pages(
    task: Task, start: UserAddr, size: Size, prot: ULong, pgoff: ULong, flags: ULong
) -> int:
    """Map other pages of the file at a part of a shared mapping. remap_file_pages(2).

    Emulated by a mapping of its own, as Linux does. Errors: EINVAL.
    """
    mm = task.mm
    assert mm is not None
    start &= ~0xFFF
    size &= ~0xFFF
    if prot or not size or start + size > TASK_SIZE or pgoff + (size >> 12) >= 1 << 64:
        raise EINVAL
    vmas = vmas_in(mm, start, start + size)
    if not vmas or vmas[0].start > start or not vmas[0].flags & VM_SHARED:
        raise EINVAL
    first = vmas[0]
    at = first.start
    for vma in vmas:
        if vma.start != at or vma.file is not first.file or vma.flags != first.flags:
            raise EINVAL
        at = vma.end
    if at < start + size or first.file is None:
        raise EINVAL
    new = flags & mman.MAP_NONBLOCK | mman.MAP_SHARED | mman.MAP_FIXED | mman.MAP_POPULATE
    do_mmap(mm, task, first.file, start, size, prot_flags(first.flags), new, pgoff)
    return 0


def call_mmap(task: Task, vma: Vma, file: File) -> None:
    """Let the file say what is behind the mapping; it holds a reference of the file."""
    file.f_count += 1
    vma.file = file
    try:
        file.f_op.mmap(task, file, vma)
    except Errno:
        task.machine.fs_hooks.fput(file)
        raise


# -- munmap


@syscall
def munmap(task: Task, addr: UserAddr, length: Size) -> int:
    """Remove mappings. munmap(2). Errors: EINVAL, ENOMEM (too many after a split), EPERM."""
    assert task.mm is not None
    task.mm.linking = False  # the last it does is to give up its cache
    do_munmap(task.mm, addr, length)
    return 0


def do_munmap(mm: Mm, addr: int, length: int) -> None:
    """Remove all of [addr, addr + length); pages are freed at once. As munmap(2)."""
    if addr & 0xFFF or addr > TASK_SIZE or length > TASK_SIZE - addr:
        raise EINVAL
    end = addr + page_align(length)
    if end == addr:
        raise EINVAL
    victims = vmas_in(mm, addr, end)
    if not victims:
        return
    check_sealed(victims)
    first, last = victims[0], victims[-1]
    if first.start < addr:
        victims[0] = isolate(mm, first, addr, end)
        if last is first:
            last = victims[0]
    if last.end > end:
        isolate(mm, last, addr, end)
    unmap_vmas(mm, victims)


def check_sealed(vmas: list[Vma]) -> None:
    """EPERM if any of the areas is sealed (mseal(2))."""
    for vma in vmas:
        if vma.flags & VM_SEALED:
            raise EPERM


def unmap_vmas(mm: Mm, victims: list[Vma]) -> None:
    """Remove whole VMAs, neighbours in the list also in memory."""
    gather = Gather(mm)
    for vma in victims:
        gather.zap(vma, vma.start >> 12, vma.end >> 12)
        unlink_vma(mm, vma)
        account(mm, vma.flags, -((vma.end - vma.start) >> 12))
    gather.flush()
    for vma in victims:
        drop_vma(mm, vma)
    note_hole(mm, victims[0].start)


# -- brk


@syscall
def brk(task: Task, addr: UserAddr) -> int:
    """Move the end of the heap; returns where it is now. brk(2). Never an error."""
    mm = task.mm
    assert mm is not None
    if addr < mm.start_brk or addr > TASK_SIZE:
        return mm.brk
    if (addr - mm.start_brk) + (mm.end_data - mm.start_data) > rlimit(mm, RLIMIT_DATA):
        return mm.brk
    new, old = page_align(addr), page_align(mm.brk)
    if new < old:
        try:
            do_munmap(mm, new, old - new)
        except (ENOMEM, EPERM):
            return mm.brk
    elif new > old:
        mm.linking = False
        if not _grow_brk(mm, task, old, new):
            return mm.brk
    mm.brk = addr
    if new > old and mm.def_flags & VM_LOCKED:
        mm_populate(mm, old, new)
    return addr


def _grow_brk(mm: Mm, task: Task, old: int, new: int) -> bool:
    """Map [old, new) as heap; False if it can't be."""
    above = find_vma(mm, old)
    if above is not None and new + 4096 > vm_start_gap(above):
        return False
    pages = (new - old) >> 12
    if mm.def_flags & VM_LOCKED and not mlock_future_ok(mm, task, pages):
        return False
    try:
        do_brk_flags(mm, old, new - old, 0)
    except ENOMEM:
        return False
    return True


def do_brk_flags(mm: Mm, addr: int, length: int, vm_flags: int) -> None:
    """Anonymous memory at the end of the heap. ENOMEM."""
    vm_flags |= VM_READ | VM_WRITE | _VM_MAY | VM_ACCOUNT | mm.def_flags
    pages = length >> 12
    if not may_expand_vm(mm, vm_flags, pages) or len(mm.vmas) > max_map_count(mm):
        raise ENOMEM
    vm_enough_memory(mm, pages)
    vma = Vma(mm, addr, addr + length, vm_flags)
    vma.pgoff = addr >> 12
    account(mm, vm_flags, pages)
    add_vma(mm, vma)
