# SPDX-License-Identifier: Apache-2.0
"""Robust futexes: locks whose owner died are passed on (get_robust_list(2)).

A thread keeps a list of the locks it holds in its own memory; nothing in it is trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EFAULT, EINVAL, EPERM, ESRCH, Errno
from pygos.include.linux.pid_namespace import find_task_by_vpid, pid_vnr
from pygos.include.linux.syscalls import OutInt, Pid, Size, UserAddr, syscall
from pygos.include.uapi.capability import CAP_SYS_PTRACE
from pygos.include.uapi.futex import (
    FUTEX_OWNER_DIED,
    FUTEX_TID_MASK,
    FUTEX_WAITERS,
    ROBUST_LIST_LIMIT,
    RobustListHead,
)
from pygos.kernel.futex import get_futex_key, wake_key

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_M64: Final = (1 << 64) - 1


@syscall
def set_robust_list(task: Task, head: UserAddr, length: Size) -> int:
    """Say where the list of held robust locks is. set_robust_list(2). Errors: EINVAL."""
    if length != RobustListHead.SIZE:
        raise EINVAL
    task.robust_list = head
    return 0


@syscall
def get_robust_list(task: Task, pid: Pid, head_ptr: OutInt, len_ptr: OutInt) -> int:
    """Where a thread's list is. get_robust_list(2). Errors: EPERM, ESRCH, EFAULT."""
    target = task if pid == 0 else find_task_by_vpid(task, pid)
    if target is None:
        raise ESRCH
    mine, theirs = task.cred, target.cred
    same = target is task or mine.uid == theirs.euid == theirs.suid == theirs.uid
    if not same and not mine.capable(CAP_SYS_PTRACE):
        raise EPERM
    len_ptr.put64(RobustListHead.SIZE)
    head_ptr.put64(target.robust_list)
    return 0


def exit_robust_list(task: Task) -> None:
    """Mark the locks of a dying thread and wake one waiter for each."""
    mm = task.mm
    assert mm is not None
    head = task.robust_list
    try:
        fields = RobustListHead.from_bytes(mm.read(head, RobustListHead.SIZE))
        pending = fields.list_op_pending
        entry = fields.next
        for _ in range(ROBUST_LIST_LIMIT):
            at = entry & ~1
            if at == head:
                break
            following = mm.read_u64(at)
            if at != pending & ~1:
                _owner_died(task, at + fields.futex_offset & _M64, bool(entry & 1), False)
            entry = following
        if pending:
            at = (pending & ~1) + fields.futex_offset & _M64
            _owner_died(task, at, bool(pending & 1), True)
    except Errno:
        return


def _owner_died(task: Task, addr: int, pi: bool, pending: bool) -> None:
    """The lock word of one entry: say that its owner died. EFAULT, EINVAL ends the walk."""
    if addr & 3:
        raise EINVAL
    mm, machine = task.mm, task.machine
    assert mm is not None
    offset = mm.word_offset(addr, True)
    ram = machine.ram
    while True:
        old = ram.mem32[offset >> 2]
        if pending and not pi and not old:
            # Between unlocking and waking: the wake-up would be lost.
            wake_key(machine, get_futex_key(mm, addr, False), 1)
            return
        if old & FUTEX_TID_MASK != pid_vnr(task, task.pid):
            return
        if ram.cmpxchg32(offset, old, (old & FUTEX_WAITERS) | FUTEX_OWNER_DIED) == old:
            break
    if old & FUTEX_WAITERS and not pi:
        try:
            wake_key(machine, get_futex_key(mm, addr, False), 1)
        except EFAULT:
            pass
