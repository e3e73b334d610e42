# SPDX-License-Identifier: Apache-2.0
"""mlock(2), mlock2(2), munlock(2), mlockall(2), munlockall(2) (mm/mlock.c).

There is no swap, so locking is accounting, limits, and faulting everything in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EAGAIN, EINVAL, ENOMEM, EPERM, Errno
from pygos.include.linux.mm import VM_ACCESS_FLAGS, VM_LOCKONFAULT, VM_PFNMAP
from pygos.include.linux.mm_types import VM_DONTEXPAND, VM_LOCKED, Vma
from pygos.include.linux.syscalls import Flags, Size, UserAddr, syscall
from pygos.include.uapi.mman import MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, MLOCK_ONFAULT
from pygos.include.uapi.resource import RLIMIT_MEMLOCK
from pygos.mm.fault import Fault
from pygos.mm.mmap import can_do_mlock, page_align
from pygos.mm.populate import mm_populate, populate_range
from pygos.mm.stack import rlimit
from pygos.mm.vma import isolate, merge_range, vmas_in

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_CAP_IPC_LOCK: Final = 14
_LOCKED_MASK: Final = VM_LOCKED | VM_LOCKONFAULT


@syscall
def mlock(task: Task, start: UserAddr, length: Size) -> int:
    """Lock memory. mlock(2). Errors: EPERM, ENOMEM (limit, holes), EAGAIN, EINVAL."""
    return _do_mlock(task, start, length, VM_LOCKED)


@syscall
def mlock2(task: Task, start: UserAddr, length: Size, flags: Flags) -> int:
    """Lock memory, perhaps only once it is touched. mlock2(2). Errors: as mlock(2)."""
    if flags & ~MLOCK_ONFAULT:
        raise EINVAL
    return _do_mlock(task, start, length, VM_LOCKED | (VM_LOCKONFAULT if flags else 0))


def _do_mlock(task: Task, start: int, length: int, flags: int) -> int:
    mm = task.mm
    assert mm is not None
    if not can_do_mlock(mm, task):
        raise EPERM
    length = page_align(length + (start & 0xFFF))
    start &= ~0xFFF
    if not task.cred.capable(_CAP_IPC_LOCK):
        locked = mm.locked_vm + (length >> 12)
        limit = rlimit(mm, RLIMIT_MEMLOCK) >> 12
        if locked > limit:
            locked -= _already_locked(mm, start, start + length)
        if locked > limit:
            raise ENOMEM
    _apply(mm, start, length, flags)
    if not flags & VM_LOCKONFAULT:
        _populate(mm, start, start + length)
    return 0


def _populate(mm: Mm, start: int, end: int) -> None:
    """Fault locked memory in; an error is one of the call. ENOMEM, EAGAIN."""
    try:
        for vma in vmas_in(mm, start, end):
            if not vma.flags & VM_ACCESS_FLAGS:
                raise ENOMEM
            populate_range(mm, max(vma.start, start), min(vma.end, end))
    except Fault:
        raise ENOMEM from None
    except Errno as error:
        raise (ENOMEM if isinstance(error, ENOMEM) else EAGAIN) from None


def _already_locked(mm: Mm, start: int, end: int) -> int:
    """How many pages of a range are locked."""
    return sum(
        (min(vma.end, end) - max(vma.start, start)) >> 12
        for vma in vmas_in(mm, start, end)
        if vma.flags & VM_LOCKED
    )


@syscall
def munlock(task: Task, start: UserAddr, length: Size) -> int:
    """Unlock memory. munlock(2). Errors: EINVAL (overflow), ENOMEM (holes)."""
    assert task.mm is not None
    length = page_align(length + (start & 0xFFF))
    _apply(task.mm, start & ~0xFFF, length, 0)
    return 0


def _apply(mm: Mm, start: int, length: int, flags: int) -> None:
    """Set the lock flags of all VMAs of a range; ENOMEM at the first hole."""
    end = start + length
    if end >= 1 << 64:
        raise EINVAL
    if end == start:
        return
    at = start
    try:
        for vma in vmas_in(mm, start, end):
            if vma.start > at:
                raise ENOMEM
            at = min(vma.end, end)
            _fixup(mm, vma, max(vma.start, start), at, flags)
    finally:
        merge_range(mm, start, at)
    if at < end:
        raise ENOMEM


def _fixup(mm: Mm, vma: Vma, start: int, end: int, lock: int) -> None:
    """Change the lock flags of a part of a VMA."""
    flags = vma.flags & ~_LOCKED_MASK | lock
    if flags == vma.flags or vma.flags & (VM_DONTEXPAND | VM_PFNMAP):
        return
    pages = (end - start) >> 12
    old = vma.flags
    isolate(mm, vma, start, end).flags = flags
    if flags & VM_LOCKED and not old & VM_LOCKED:
        mm.locked_vm += pages
    elif old & VM_LOCKED and not flags & VM_LOCKED:
        mm.locked_vm -= pages


@syscall
def mlockall(task: Task, flags: Flags) -> int:
    """Lock all memory, now or from now on. mlockall(2). Errors: EINVAL, EPERM, ENOMEM."""
    mm = task.mm
    assert mm is not None
    if not flags or flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) or flags == MCL_ONFAULT:
        raise EINVAL
    if not can_do_mlock(mm, task):
        raise EPERM
    over = mm.total_vm > rlimit(mm, RLIMIT_MEMLOCK) >> 12
    if over and flags & MCL_CURRENT and not task.cred.capable(_CAP_IPC_LOCK):
        raise ENOMEM
    lock = VM_LOCKED | (VM_LOCKONFAULT if flags & MCL_ONFAULT else 0)
    mm.def_flags = mm.def_flags & ~_LOCKED_MASK | (lock if flags & MCL_FUTURE else 0)
    if flags & MCL_CURRENT:
        _lock_all(mm, lock)
        if not flags & MCL_ONFAULT:
            for vma in tuple(mm.vmas):
                mm_populate(mm, vma.start, vma.end)
    return 0


@syscall
def munlockall(task: Task) -> int:
    """Unlock all memory. munlockall(2)."""
    assert task.mm is not None
    task.mm.def_flags &= ~_LOCKED_MASK
    _lock_all(task.mm, 0)
    return 0


def _lock_all(mm: Mm, lock: int) -> None:
    for vma in tuple(mm.vmas):
        _fixup(mm, vma, vma.start, vma.end, lock)
    if mm.vmas:
        merge_range(mm, mm.vmas[0].start, mm.vmas[-1].end)
