# SPDX-License-Identifier: Apache-2.0
"""Priority-inheriting futexes: FUTEX_LOCK_PI and its relatives.

The word holds the owner's thread id; the kernel hands the lock over. Waiters are served in
order of their real-time priority, then of arrival. While they wait, the owner runs with the
highest priority among them, and so do owners of locks that the owner waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import (
    EAGAIN,
    EDEADLK,
    EFAULT,
    EPERM,
    ERESTARTNOINTR,
    ESRCH,
    ETIMEDOUT,
)
from pygos.include.linux.pid_namespace import find_task_by_vpid, pid_vnr
from pygos.include.uapi.futex import FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS
from pygos.kernel.futex import (
    PI_WAITERS,
    FutexQ,
    FutexWait,
    Key,
    get_futex_key,
    queue_me,
    read_deadline,
    sleep_until,
    unqueue_me,
)

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: How many locks priorities are passed along (max_lock_depth).
_MAX_CHAIN: Final = 1024
_M32: Final = 0xFFFF_FFFF
#: A deadline task lends the highest real-time priority: its bandwidth is its own.
MAX_LENT: Final = 99


class PiQ(FutexQ):
    """A waiter for a lock; the bitset never matches, so FUTEX_WAKE leaves it alone."""

    __slots__ = ("owner", "uaddr")

    def __init__(self, task: Task, key: Key, uaddr: int) -> None:
        super().__init__(task, key, 0)
        self.uaddr = uaddr
        #: Who holds the lock: it is lent the waiter's priority.
        self.owner: Task | None = None


def _join(machine: Machine, waiter: PiQ, owner: Task | None) -> None:
    queue_me(machine, waiter)
    machine.misc.setdefault(PI_WAITERS, {})[waiter] = None
    waiter.owner = owner
    _adjust(owner)


def _leave(machine: Machine, waiter: PiQ) -> None:
    unqueue_me(machine, waiter)
    machine.misc[PI_WAITERS].pop(waiter, None)
    owner, waiter.owner = waiter.owner, None
    _adjust(owner)


def lent_priority(task: Task) -> int:
    """The highest priority of those who wait for locks of `task`."""
    waiters: dict[PiQ, None] | None = task.machine.misc.get(PI_WAITERS)
    if not waiters:
        return 0
    most = max((q.task.prio for q in waiters if q.owner is task), default=0)
    return min(most, MAX_LENT)


def _adjust(task: Task | None) -> None:
    """The waiters of a task's locks have changed: so may its priority, and so on in a chain."""
    for _ in range(_MAX_CHAIN):
        if task is None or not task.alive or task.dl is not None:
            return
        prio = max(task.rt_priority, lent_priority(task))
        if prio == task.prio:
            return
        task.machine.sched.set_prio(task, prio)
        state = task.restart
        waiter = state.waiter if isinstance(state, FutexWait) else None
        task = waiter.owner if isinstance(waiter, PiQ) else None


def _waiters(machine: Machine, key: Key) -> list[PiQ]:
    """Those who wait for the lock, the next owner first."""
    found = [q for q in (machine.futexes or {}).get(key, ()) if isinstance(q, PiQ)]
    found.sort(key=lambda q: -q.task.prio)
    return found


def _try(task: Task, uaddr: int) -> bool:
    """Take a free lock, or mark it contended. True: it is ours. EDEADLK, ESRCH, EPERM."""
    mm, ram = task.mm, task.machine.ram
    assert mm is not None
    offset = mm.word_offset(uaddr, True)
    while True:
        old = ram.mem32[offset >> 2]
        owner = old & FUTEX_TID_MASK
        tid = pid_vnr(task, task.pid)
        if owner == tid:
            raise EDEADLK
        if not owner:
            new = tid | old & (FUTEX_OWNER_DIED | FUTEX_WAITERS)
        else:
            _check_owner(task, owner)
            new = old | FUTEX_WAITERS
        if old == new or ram.cmpxchg32(offset, old, new) == old:
            return not owner


def _check_owner(task: Task, tid: int) -> None:
    owner = find_task_by_vpid(task, tid)
    if owner is None or not owner.alive:
        raise ESRCH
    if owner.mm is None:
        raise EPERM


def lock_pi(task: Task, uaddr: int, private: bool, utime: int, realtime: bool) -> int:
    """FUTEX_LOCK_PI: own the lock, waiting for it (deadline absolute)."""
    machine, mm = task.machine, task.mm
    assert mm is not None
    state = task.restart
    if state is None:
        state = task.restart = read_deadline(task, utime, True, realtime)
    waiter = state.waiter
    if waiter is None:
        key = get_futex_key(mm, uaddr, private, True)
        if _try(task, uaddr):
            return 0
        waiter = state.waiter = PiQ(task, key, uaddr)
        offset = mm.word_offset(uaddr, True)
        owner = find_task_by_vpid(task, machine.ram.mem32[offset >> 2] & FUTEX_TID_MASK)
        _join(machine, waiter, owner)
    elif waiter.key is None:
        return 0  # handed over by unlock_pi
    if state.passed(machine):
        _leave(machine, waiter)
        raise ETIMEDOUT
    if task.signal_pending():
        _leave(machine, waiter)
        state.waiter = None
        raise ERESTARTNOINTR
    sleep_until(task, waiter.queue, state, "futex_lock_pi")


def trylock_pi(task: Task, uaddr: int, private: bool) -> int:
    """FUTEX_TRYLOCK_PI: take the lock if nobody holds it. EAGAIN."""
    assert task.mm is not None
    get_futex_key(task.mm, uaddr, private, True)
    ram = task.machine.ram
    offset = task.mm.word_offset(uaddr, True)
    while True:
        old = ram.mem32[offset >> 2]
        owner = old & FUTEX_TID_MASK
        tid = pid_vnr(task, task.pid)
        if owner == tid:
            raise EDEADLK
        if owner:
            _check_owner(task, owner)
            raise EAGAIN
        if ram.cmpxchg32(offset, old, tid | old & ~FUTEX_TID_MASK & _M32) == old:
            return 0


def unlock_pi(task: Task, uaddr: int, private: bool) -> int:
    """FUTEX_UNLOCK_PI: hand the lock to the first waiter, or free it. EPERM, EINVAL."""
    mm = task.mm
    assert mm is not None
    key = get_futex_key(mm, uaddr, private, True)
    if not _hand_over(task, key, mm.word_offset(uaddr, True), 0):
        raise EPERM
    return 0


def _hand_over(owner: Task, key: Key, offset: int, died: int) -> bool:
    """Give the lock to the first waiter, or free it; False if it isn't the owner's."""
    machine = owner.machine
    ram = machine.ram
    waiters = _waiters(machine, key)
    new = died
    if waiters:
        heir = waiters[0].task
        new |= pid_vnr(heir, heir.pid) | (FUTEX_WAITERS if len(waiters) > 1 else 0)
    while True:
        old = ram.mem32[offset >> 2]
        if old & FUTEX_TID_MASK != pid_vnr(owner, owner.pid):
            return False
        if ram.cmpxchg32(offset, old, new) == old:
            break
    if waiters:
        heir = waiters[0].task
        for waiter in waiters[1:]:
            waiter.owner = heir
        _leave(machine, waiters[0])
        _adjust(heir)
        waiters[0].queue.wake_all()
    return True


def exit_pi_locks(task: Task) -> None:
    """The task dies: locks that it holds and others wait for are handed over."""
    for waiter in tuple(task.machine.misc[PI_WAITERS]):
        key, mm = waiter.key, waiter.task.mm
        if waiter.task is task:
            _leave(task.machine, waiter)
        elif key is not None and mm is not None:
            try:
                _hand_over(task, key, mm.word_offset(waiter.uaddr, True), FUTEX_OWNER_DIED)
            except EFAULT:
                continue
