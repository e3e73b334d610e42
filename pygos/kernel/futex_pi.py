# SPDX-License-Identifier: Apache-2.0
"""Priority-inheriting futexes: FUTEX_LOCK_PI and its relatives, FUTEX_WAIT_REQUEUE_PI.

The word holds the owner's thread id; the kernel hands the lock over. Waiters are served in
order of their real-time priority, then of arrival. While they wait, the owner runs with the
highest priority among them, and so do owners of locks that the owner waits for.

A lock that somebody waits for has a ``PiState``; its waiters also stand in the futex table,
at the lock's key, as all waiters do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import (
    EAGAIN,
    EDEADLK,
    EFAULT,
    EINVAL,
    EPERM,
    ERESTARTNOINTR,
    ESRCH,
    ETIMEDOUT,
)
from pygos.include.linux.pid_namespace import find_task_by_vpid, pid_vnr
from pygos.include.uapi.futex import FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS
from pygos.kernel.futex import (
    PI_LOCKS,
    FutexQ,
    FutexWait,
    Key,
    get_futex_key,
    in_order,
    queue_me,
    read_deadline,
    read_word,
    sleep_until,
    unqueue_me,
)

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

#: How many locks priorities are passed along, and a circle is looked for (max_lock_depth).
_MAX_CHAIN: Final = 1024
#: A deadline task lends the highest real-time priority: its bandwidth is its own.
MAX_LENT: Final = 99


class PiState:
    """A lock that somebody waits for (struct futex_pi_state)."""

    __slots__ = ("key", "owner", "waiters")

    def __init__(self, key: Key) -> None:
        self.key = key
        #: None: it died and nobody could be given the lock.
        self.owner: Task | None = None
        self.waiters: dict[PiQ, None] = {}


class PiQ(FutexQ):
    """A waiter for a lock, or one that waits to be moved to a lock."""

    __slots__ = ("lock", "owns", "target", "uaddr")
    pi = True

    def __init__(self, task: Task, key: Key, uaddr: int, target: Key | None = None) -> None:
        super().__init__(task, key, 0)
        #: Where the lock is in its memory.
        self.uaddr = uaddr
        #: FUTEX_WAIT_REQUEUE_PI: the only lock it may be moved to.
        self.target = target
        #: What it waits for (None: still at the first futex), or has been given.
        self.lock: PiState | None = None
        self.owns = False

    def abandon(self, machine: Machine) -> None:
        """The waiter dies."""
        if self.lock is not None:
            _unblock(machine, self)
        else:
            unqueue_me(machine, self)


class PiLocks:
    """All locks with waiters, by key and by owner."""

    __slots__ = ("by_key", "owned")

    def __init__(self) -> None:
        self.by_key: dict[Key, PiState] = {}
        self.owned: dict[Task, dict[PiState, None]] = {}

    def give(self, lock: PiState, owner: Task | None) -> None:
        """Change the owner."""
        old = lock.owner
        if old is not None:
            held = self.owned[old]
            del held[lock]
            if not held:
                del self.owned[old]
        lock.owner = owner
        if owner is not None:
            self.owned.setdefault(owner, {})[lock] = None

    def drop(self, lock: PiState) -> None:
        """Nobody waits for it any more."""
        self.give(lock, None)
        del self.by_key[lock.key]


def _locks(machine: Machine) -> PiLocks:
    locks: Any = machine.misc.get(PI_LOCKS)
    if locks is None:
        locks = machine.misc[PI_LOCKS] = PiLocks()
    found: PiLocks = locks
    return found


# -- priorities


def lent_priority(task: Task) -> int:
    """The highest priority of those who wait for locks of `task`."""
    locks: PiLocks | None = task.machine.misc.get(PI_LOCKS)
    if locks is None or task not in locks.owned:
        return 0
    most = max(q.task.prio for lock in locks.owned[task] for q in lock.waiters)
    return min(most, MAX_LENT)


def _waits_for(task: Task) -> PiState | None:
    """The lock that a task waits for."""
    state = task.restart
    waiter = state.waiter if isinstance(state, FutexWait) else None
    return waiter.lock if isinstance(waiter, PiQ) and not waiter.owns else None


def adjust_prio(task: Task | None) -> None:
    """The waiters of a task's locks have changed: so may its priority, and so on in a chain."""
    for _ in range(_MAX_CHAIN):
        if task is None or not task.alive or task.dl is not None:
            return
        prio = max(task.rt_priority, lent_priority(task))
        if prio == task.prio:
            return
        task.machine.sched.set_prio(task, prio)
        lock = _waits_for(task)
        task = lock.owner if lock is not None else None


def prio_changed(task: Task) -> None:
    """A task has got another priority of its own: whoever it waits for must know."""
    lock = _waits_for(task)
    if lock is not None:
        adjust_prio(lock.owner)


def _circle(task: Task, lock: PiState) -> bool:
    """Does the owner of the lock wait for one of `task`, however indirectly?"""
    owner = lock.owner
    for _ in range(_MAX_CHAIN):
        if owner is task:
            return True
        next_lock = _waits_for(owner) if owner is not None else None
        if next_lock is None:
            return False
        owner = next_lock.owner
    return True


# -- waiting


def _block(machine: Machine, waiter: PiQ, lock: PiState) -> None:
    """Queue a waiter, whose key is that of the lock. EDEADLK."""
    if _circle(waiter.task, lock):
        if not lock.waiters:
            _locks(machine).drop(lock)
        raise EDEADLK
    queue_me(machine, waiter)
    lock.waiters[waiter] = None
    waiter.lock = lock
    adjust_prio(lock.owner)


def _unblock(machine: Machine, waiter: PiQ) -> None:
    """A waiter leaves: it gives up, or has been given the lock."""
    unqueue_me(machine, waiter)
    lock, waiter.lock = waiter.lock, None
    assert lock is not None
    del lock.waiters[waiter]
    owner = lock.owner
    if not lock.waiters:
        _locks(machine).drop(lock)
    adjust_prio(owner)


def _first(lock: PiState) -> PiQ:
    """The next owner."""
    return max(lock.waiters, key=lambda waiter: waiter.task.prio)


def _tid(task: Task) -> int:
    return pid_vnr(task, task.pid)


def _take(task: Task, mm: Mm, uaddr: int, key: Key, contended: bool) -> PiState | None:
    """Give a free lock to `task`, or mark it contended: the lock to wait for, or None: it is
    the task's now. With `contended` somebody else is about to wait for it.

    Errors: EDEADLK, EINVAL (not used as such a lock), ESRCH, EPERM.
    """
    machine = task.machine
    ram, tid = machine.ram, _tid(task)
    offset = mm.word_offset(uaddr, True)
    lock = _locks(machine).by_key.get(key)
    if lock is None and (machine.futexes or {}).get(key):
        raise EINVAL  # waiters of another kind
    while True:
        old = ram.mem32[offset >> 2]
        owner = old & FUTEX_TID_MASK
        if owner == tid:
            raise EDEADLK
        if lock is not None:
            _check_owner(lock, old)
            return lock
        if owner:
            new = old | FUTEX_WAITERS
        else:
            new = tid | old & FUTEX_OWNER_DIED | (FUTEX_WAITERS if contended else 0)
        if old == new or ram.cmpxchg32(offset, old, new) == old:
            break
    if owner:
        return _new_lock(machine, key, _owner(task, owner))
    if contended:
        _new_lock(machine, key, task)
    return None


def _check_owner(lock: PiState, word: int) -> None:
    """Is the word as the kernel left it? EINVAL."""
    tid = word & FUTEX_TID_MASK
    if lock.owner is None:
        if not word & FUTEX_OWNER_DIED or tid:
            raise EINVAL
    elif tid != _tid(lock.owner) and not (word & FUTEX_OWNER_DIED and not tid):
        raise EINVAL


def _owner(task: Task, tid: int) -> Task:
    owner = find_task_by_vpid(task, tid)
    if owner is None or not owner.alive:
        raise ESRCH
    if owner.mm is None:
        raise EPERM
    return owner


def _new_lock(machine: Machine, key: Key, owner: Task) -> PiState:
    locks = _locks(machine)
    lock = locks.by_key[key] = PiState(key)
    locks.give(lock, owner)
    return lock


# -- the calls


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
        lock = _take(task, mm, uaddr, key, False)
        if lock is None:
            return 0
        waiter = PiQ(task, key, uaddr)
        _block(machine, waiter, lock)
        state.waiter = waiter
    elif waiter.owns:
        return 0  # handed over by unlock_pi
    if state.passed(machine):
        _unblock(machine, waiter)
        raise ETIMEDOUT
    if task.signal_pending():
        _unblock(machine, waiter)
        state.waiter = None
        raise ERESTARTNOINTR
    sleep_until(task, waiter.queue, state, "futex_lock_pi")


def trylock_pi(task: Task, uaddr: int, private: bool) -> int:
    """FUTEX_TRYLOCK_PI: take the lock if nobody holds it. EAGAIN; errors of FUTEX_LOCK_PI."""
    mm = task.mm
    assert mm is not None
    key = get_futex_key(mm, uaddr, private, True)
    lock = _take(task, mm, uaddr, key, False)
    if lock is None:
        return 0
    if not lock.waiters:
        _locks(task.machine).drop(lock)
    raise EAGAIN


def unlock_pi(task: Task, uaddr: int, private: bool) -> int:
    """FUTEX_UNLOCK_PI: hand the lock to the first waiter, or free it. EPERM, EINVAL."""
    machine, mm = task.machine, task.mm
    assert mm is not None
    if read_word(task, uaddr) & FUTEX_TID_MASK != _tid(task):
        raise EPERM
    key = get_futex_key(mm, uaddr, private, True)
    lock = _locks(machine).by_key.get(key)
    others = (machine.futexes or {}).get(key)
    if lock is None and others:
        raise EINVAL
    if lock is not None and lock.owner is not task:
        raise EINVAL
    offset = mm.word_offset(uaddr, True)
    ram = machine.ram
    heir = _first(lock) if lock is not None else None
    new = FUTEX_WAITERS | _tid(heir.task) if heir is not None else 0
    while True:
        old = ram.mem32[offset >> 2]
        if old & FUTEX_TID_MASK != _tid(task):
            raise EINVAL if heir is not None else EPERM
        if ram.cmpxchg32(offset, old, new) == old:
            break
    if heir is not None:
        _give(machine, heir)
    return 0


def _give(machine: Machine, heir: PiQ) -> None:
    """The word says that the lock is the heir's: make it so."""
    lock = heir.lock
    assert lock is not None
    old = lock.owner
    _locks(machine).give(lock, heir.task)
    heir.owns = True
    _unblock(machine, heir)
    adjust_prio(old)
    heir.queue.wake_all()


def exit_pi_locks(task: Task) -> None:
    """The task dies: locks that it holds and others wait for are handed over."""
    machine = task.machine
    locks = _locks(machine)
    for lock in tuple(locks.owned.get(task, ())):
        locks.give(lock, None)
        heir = _first(lock)
        mm = heir.task.mm
        try:
            if mm is None:
                raise EFAULT
            offset = mm.word_offset(heir.uaddr, True)
        except EFAULT:
            continue
        ram, new = machine.ram, _tid(heir.task) | FUTEX_WAITERS | FUTEX_OWNER_DIED
        old = ram.mem32[offset >> 2]
        while (found := ram.cmpxchg32(offset, old, new)) != old:
            old = found
        _give(machine, heir)


# -- condition variables: wait at one word, be moved to a lock


def wait_requeue_pi(
    task: Task, uaddr: int, private: bool, val: int, utime: int, realtime: bool, uaddr2: int
) -> int:
    """FUTEX_WAIT_REQUEUE_PI: sleep if the word is `val` until given the lock at uaddr2.

    Errors: EAGAIN (another value; or a signal while waiting for the lock), EINVAL, ETIMEDOUT.
    """
    machine, mm = task.machine, task.mm
    assert mm is not None
    state = task.restart
    if state is None:
        if uaddr == uaddr2:
            raise EINVAL
        state = task.restart = read_deadline(task, utime, True, realtime)
    waiter = state.waiter
    if waiter is None:
        key2 = get_futex_key(mm, uaddr2, private, True)
        key = get_futex_key(mm, uaddr, private)
        if read_word(task, uaddr) != val:
            raise EAGAIN
        if key == key2:
            raise EINVAL
        waiter = state.waiter = PiQ(task, key, uaddr2, key2)
        queue_me(machine, waiter)
    elif waiter.owns:
        return 0
    if state.passed(machine):
        waiter.abandon(machine)
        raise ETIMEDOUT
    if task.signal_pending():
        moved = waiter.lock is not None
        waiter.abandon(machine)
        state.waiter = None
        # The value of the word has changed: user space takes the lock itself.
        raise EAGAIN if moved else ERESTARTNOINTR
    sleep_until(task, waiter.queue, state, "futex_wait_requeue_pi")


def cmp_requeue_pi(
    task: Task, uaddr: int, private: bool, nr_wake: int, nr_requeue: int, uaddr2: int, val: int
) -> int:
    """FUTEX_CMP_REQUEUE_PI: give the lock to the first waiter, or let it and others wait for
    it; how many. Errors: EAGAIN, EDEADLK, EINVAL (other waiters, or of another lock)."""
    machine, mm = task.machine, task.mm
    assert mm is not None
    if nr_wake < 0 or nr_requeue < 0 or uaddr == uaddr2 or nr_wake != 1:
        raise EINVAL
    key, key2 = get_futex_key(mm, uaddr, private), get_futex_key(mm, uaddr2, private, True)
    if key == key2:
        raise EINVAL
    if read_word(task, uaddr) != val:
        raise EAGAIN
    waiters = list(in_order(machine, (machine.futexes or {}).get(key, {})))
    if not waiters:
        return 0
    first = _movable(waiters[0], key2)
    lock = _take(first.task, mm, uaddr2, key2, nr_requeue > 0)
    count = 0
    if lock is None:
        count = 1
        unqueue_me(machine, waiters.pop(0))
        first.owns = True
        first.queue.wake_all()
        lock = _locks(machine).by_key.get(key2)
    if lock is not None:
        count = _move(machine, waiters, lock, count, 1 + nr_requeue)
    return count


def _movable(waiter: FutexQ, key2: Key) -> PiQ:
    """Only waiters of FUTEX_WAIT_REQUEUE_PI, and of the same lock, may be moved. EINVAL."""
    if not isinstance(waiter, PiQ) or waiter.lock is not None or waiter.target != key2:
        raise EINVAL
    return waiter


def _move(machine: Machine, waiters: list[FutexQ], lock: PiState, count: int, most: int) -> int:
    """Let waiters wait for the lock, up to `most` in all with `count` that are done."""
    try:
        for candidate in waiters:
            if count >= most:
                break
            waiter = _movable(candidate, lock.key)
            old = waiter.key
            unqueue_me(machine, waiter)
            waiter.key = lock.key
            try:
                _block(machine, waiter, lock)
            except EDEADLK:
                waiter.key = old
                queue_me(machine, waiter)
                raise
            count += 1
    finally:
        if not lock.waiters and lock.key in _locks(machine).by_key:
            _locks(machine).drop(lock)
    return count
