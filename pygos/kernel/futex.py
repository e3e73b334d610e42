# SPDX-License-Identifier: Apache-2.0
"""futex(2): sleeping on a word of user memory.

``machine.futexes`` maps a key (where the word really is) to the waiters there, in order of
arrival. Kernel code runs in one thread, so looking at the word and joining the queue are one
step for every other caller; only other guest threads change words meanwhile, and
operations that modify one use compare-and-exchange.

A waiter is a ``FutexQ`` kept in ``task.restart`` while the call is in progress: it tells the
next invocation whether a wake-up, the deadline or a signal ended the sleep.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pygos.include.errno import (
    EAGAIN,
    EFAULT,
    EINVAL,
    ENOSYS,
    ERESTART_RESTARTBLOCK,
    ERESTARTSYS,
    ETIMEDOUT,
)
from pygos.include.linux.mm_types import VM_SHARED
from pygos.include.linux.platform import TASK_SIZE
from pygos.include.linux.syscalls import Int, UInt, UserAddr, syscall
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi import futex as uapi
from pygos.include.uapi.time import Timespec
from pygos.kernel.time.timekeeping import clock_was_set_queue, realtime_deadline
from pygos.kernel.time.timespec import KTIME_MAX, timespec_ns

if TYPE_CHECKING:
    from collections.abc import Callable

    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_M32: Final = 0xFFFF_FFFF
_PAGE_SHIFT: Final = 12
#: Commands that have a timeout in their fourth argument.
_TIMED: Final = frozenset(
    (
        uapi.FUTEX_WAIT, uapi.FUTEX_LOCK_PI, uapi.FUTEX_LOCK_PI2, uapi.FUTEX_WAIT_BITSET,
        uapi.FUTEX_WAIT_REQUEUE_PI,
    )
)  # fmt: skip
#: Commands for which FUTEX_CLOCK_REALTIME means something.
_REALTIME_OK: Final = frozenset(
    (uapi.FUTEX_WAIT_BITSET, uapi.FUTEX_WAIT_REQUEUE_PI, uapi.FUTEX_LOCK_PI2)
)

Key = tuple[Any, ...]
#: machine.misc: priority-inheriting locks (kernel/futex_pi.py: PiLocks).
PI_LOCKS: Final = "futex_pi_locks"


class FutexQ:
    """One waiter (struct futex_q). `key` is None once it has been woken or has left."""

    __slots__ = ("bitset", "key", "queue", "task")
    #: Waits for a lock with priority inheritance: only its own operations may wake it.
    pi = False

    def __init__(self, task: Task, key: Key, bitset: int) -> None:
        self.task = task
        self.key: Key | None = key
        self.bitset = bitset
        #: What the task sleeps on: survives a requeue to another key.
        self.queue = WaitQueue()

    def abandon(self, machine: Machine) -> None:
        """The waiter dies."""
        unqueue_me(machine, self)


class FutexWait:
    """task.restart of FUTEX_WAIT: the deadline (on the wall clock or not) and the waiter."""

    __slots__ = ("deadline", "realtime", "waiter")

    def __init__(self, deadline: int | None, realtime: bool) -> None:
        self.deadline = deadline
        self.realtime = realtime
        self.waiter: FutexQ | None = None

    def abandon(self, machine: Machine) -> None:
        """The waiting task dies."""
        if self.waiter is not None:
            self.waiter.abandon(machine)

    def passed(self, machine: Machine) -> bool:
        """Is the deadline over?"""
        if self.deadline is None:
            return False
        clock = machine.clock
        return (clock.realtime() if self.realtime else clock.monotonic()) >= self.deadline


# -- keys and queues


def get_futex_key(mm: Mm, addr: int, private: bool, write: bool = False) -> Key:
    """Where the word is: the same for all who share it. EINVAL unaligned; EFAULT.

    A word that may be shared must be there: its page is faulted in. `write`: the call is to
    change it, so memory that can only be read won't do.
    """
    if addr & 3:
        raise EINVAL
    if addr >= TASK_SIZE:
        raise EFAULT
    if not private:
        writable = _fault_in(mm, addr, write)
        at = bisect_right(mm.starts, addr) - 1
        if at < 0 or addr >= mm.vmas[at].end:
            raise EFAULT
        vma = mm.vmas[at]
        if not writable and vma.mapping is None:
            raise EFAULT
        if vma.mapping is not None and vma.flags & VM_SHARED:
            page = (addr - vma.start >> _PAGE_SHIFT) + vma.pgoff
            return vma.mapping, page, addr & 0xFFF
    return mm, addr


def _fault_in(mm: Mm, addr: int, write: bool) -> bool:
    """Bring the word's page in, for writing if that can be; could it? EFAULT."""
    try:
        mm.word_offset(addr, True)
        return True
    except EFAULT:
        if write:
            raise
    mm.word_offset(addr, False)
    return False


def _table(machine: Machine) -> dict[Key, dict[FutexQ, None]]:
    table: dict[Key, dict[FutexQ, None]] | None = machine.futexes
    if table is None:
        table = machine.futexes = {}
    return table


def queue_me(machine: Machine, waiter: FutexQ) -> None:
    """Join the queue of the waiter's key."""
    assert waiter.key is not None
    _table(machine).setdefault(waiter.key, {})[waiter] = None


def unqueue_me(machine: Machine, waiter: FutexQ) -> bool:
    """Leave the queue; False if the waiter had been woken already."""
    key = waiter.key
    if key is None:
        return False
    waiter.key = None
    table = _table(machine)
    waiters = table[key]
    del waiters[waiter]
    if not waiters:
        del table[key]
    return True


def _wake_waiter(machine: Machine, waiter: FutexQ) -> None:
    unqueue_me(machine, waiter)
    waiter.queue.wake_all()


def in_order(machine: Machine, waiters: dict[FutexQ, None]) -> tuple[FutexQ, ...]:
    """Those to wake first come first: by real-time priority, then by arrival."""
    if len(waiters) > 1 and machine.sched.realtime:
        return tuple(sorted(waiters, key=lambda waiter: -waiter.task.prio))
    return tuple(waiters)


def wake_key(machine: Machine, key: Key, count: int, bitset: int = _M32) -> int:
    """Wake up to `count` waiters whose bitset meets `bitset`; how many were."""
    waiters = _table(machine).get(key)
    if not waiters:
        return 0
    woken = 0
    for waiter in in_order(machine, waiters):
        if waiter.pi:
            raise EINVAL
        if waiter.bitset & bitset:
            _wake_waiter(machine, waiter)
            woken += 1
            if woken >= count:
                break
    return woken


def _mm(task: Task) -> Mm:
    assert task.mm is not None
    return task.mm


def read_word(task: Task, addr: int) -> int:
    """The word as it is now, read in one piece."""
    return task.machine.ram.mem32[_mm(task).word_offset(addr, False) >> 2]


# -- the call


@syscall
def futex(
    task: Task, uaddr: UserAddr, op: Int, val: UInt, utime: UserAddr, uaddr2: UserAddr, val3: UInt
) -> int:
    """Wait on a word of memory and wake those who do. futex(2).

    Errors: EAGAIN (the word has another value), EINTR, ETIMEDOUT, EFAULT, EINVAL, ENOSYS.
    """
    command = op & uapi.FUTEX_CMD_MASK
    private = bool(op & uapi.FUTEX_PRIVATE_FLAG)
    realtime = bool(op & uapi.FUTEX_CLOCK_REALTIME)
    if realtime and command not in _REALTIME_OK:
        raise ENOSYS
    if command == uapi.FUTEX_WAIT:
        return _wait(task, uaddr, private, val, _M32, utime, False, False)
    if command == uapi.FUTEX_WAKE:
        return _wake(task, uaddr, private, val, _M32)
    if command == uapi.FUTEX_WAIT_BITSET:
        return _wait(task, uaddr, private, val, val3, utime, True, realtime)
    if command == uapi.FUTEX_WAKE_BITSET:
        return _wake(task, uaddr, private, val, val3)
    # The fourth argument is a number here.
    val2 = _signed(utime)
    if command == uapi.FUTEX_REQUEUE:
        return _requeue(task, uaddr, private, _signed(val), val2, uaddr2, None)
    if command == uapi.FUTEX_CMP_REQUEUE:
        return _requeue(task, uaddr, private, _signed(val), val2, uaddr2, val3)
    if command == uapi.FUTEX_WAKE_OP:
        return _wake_op(task, uaddr, private, uaddr2, _signed(val), val2, val3)
    if command == uapi.FUTEX_CMP_REQUEUE_PI:
        from pygos.kernel.futex_pi import cmp_requeue_pi

        return cmp_requeue_pi(task, uaddr, private, _signed(val), val2, uaddr2, val3)
    if command == uapi.FUTEX_WAIT_REQUEUE_PI:
        from pygos.kernel.futex_pi import wait_requeue_pi

        return wait_requeue_pi(task, uaddr, private, val, utime, realtime, uaddr2)
    return _pi(task, command, uaddr, private, utime, realtime)


def _signed(value: int) -> int:
    value &= _M32
    return value - (1 << 32) if value >> 31 else value


def _pi(task: Task, command: int, uaddr: int, private: bool, utime: int, realtime: bool) -> int:
    from pygos.kernel import futex_pi

    if command == uapi.FUTEX_LOCK_PI:
        return futex_pi.lock_pi(task, uaddr, private, utime, True)
    if command == uapi.FUTEX_LOCK_PI2:
        return futex_pi.lock_pi(task, uaddr, private, utime, realtime)
    if command == uapi.FUTEX_TRYLOCK_PI:
        return futex_pi.trylock_pi(task, uaddr, private)
    if command == uapi.FUTEX_UNLOCK_PI:
        return futex_pi.unlock_pi(task, uaddr, private)
    raise ENOSYS


def read_deadline(task: Task, utime: int, absolute: bool, realtime: bool) -> FutexWait:
    """The timeout argument, taken once when a call starts. EFAULT, EINVAL."""
    if not utime:
        return FutexWait(None, False)
    ns = timespec_ns(Timespec.from_bytes(_mm(task).read(utime, Timespec.SIZE)))
    clock = task.machine.clock
    if not absolute:
        ns += clock.monotonic()
    elif not realtime:
        ns += -clock.boottime() + clock.monotonic()
        timens = task.nsproxy.time
        if timens is not None:
            ns -= timens.monotonic
    return FutexWait(min(ns, KTIME_MAX), realtime)


def sleep_until(task: Task, queue: WaitQueue, state: FutexWait, why: str) -> NoReturn:
    """Sleep on `queue` until the deadline of `state`; never returns."""
    deadline = state.deadline
    if deadline is None:
        wait_on(task, queue, why=why)
    if state.realtime:
        machine = task.machine
        mono = realtime_deadline(machine, deadline)
        wait_on(task, queue, clock_was_set_queue(machine), deadline=mono, why=why)
    wait_on(task, queue, deadline=deadline, why=why)


def _wait(
    task: Task, uaddr: int, private: bool, val: int, bitset: int, utime: int, absolute: bool,
    realtime: bool,
) -> int:  # fmt: skip
    """FUTEX_WAIT: sleep if the word is `val`, until woken (0)."""
    machine = task.machine
    state = task.restart
    if state is None:
        if not bitset:
            raise EINVAL
        state = task.restart = read_deadline(task, utime, absolute, realtime)
    waiter = state.waiter
    if waiter is None:
        key = get_futex_key(_mm(task), uaddr, private)
        if read_word(task, uaddr) != val:
            raise EAGAIN
        waiter = state.waiter = FutexQ(task, key, bitset)
        queue_me(machine, waiter)
    elif waiter.key is None:
        return 0
    if state.passed(machine):
        unqueue_me(machine, waiter)
        raise ETIMEDOUT
    if task.signal_pending():
        unqueue_me(machine, waiter)
        state.waiter = None
        raise ERESTARTSYS if state.deadline is None else ERESTART_RESTARTBLOCK
    sleep_until(task, waiter.queue, state, "futex_wait_queue")


def _wake(task: Task, uaddr: int, private: bool, count: int, bitset: int) -> int:
    if not bitset:
        raise EINVAL
    key = get_futex_key(_mm(task), uaddr, private)
    return wake_key(task.machine, key, max(1, _signed(count)), bitset)


def _requeue(
    task: Task, uaddr: int, private: bool, nr_wake: int, nr_requeue: int, uaddr2: int,
    expected: int | None,
) -> int:  # fmt: skip
    """FUTEX_(CMP_)REQUEUE: wake some, move others to another word."""
    if nr_wake < 0 or nr_requeue < 0:
        raise EINVAL
    mm = _mm(task)
    key, key2 = get_futex_key(mm, uaddr, private), get_futex_key(mm, uaddr2, private)
    if expected is not None and read_word(task, uaddr) != expected:
        raise EAGAIN
    return requeue(task.machine, key, key2, nr_wake, nr_requeue)


def requeue(machine: Machine, key: Key, key2: Key, nr_wake: int, nr_requeue: int) -> int:
    """Wake the first waiters of one word and move the next ones to another; how many."""
    done = 0
    for waiter in in_order(machine, _table(machine).get(key, {})):
        if done >= nr_wake + nr_requeue:
            break
        if waiter.pi:
            raise EINVAL
        if done < nr_wake:
            _wake_waiter(machine, waiter)
        elif key2 != key:
            unqueue_me(machine, waiter)
            waiter.key = key2
            queue_me(machine, waiter)
        done += 1
    return done


_OPS: Final[dict[int, Callable[[int, int], int]]] = {
    uapi.FUTEX_OP_SET: lambda old, arg: arg,
    uapi.FUTEX_OP_ADD: lambda old, arg: old + arg,
    uapi.FUTEX_OP_OR: lambda old, arg: old | arg,
    uapi.FUTEX_OP_ANDN: lambda old, arg: old & ~arg,
    uapi.FUTEX_OP_XOR: lambda old, arg: old ^ arg,
}
_COMPARISONS: Final[dict[int, Callable[[int, int], bool]]] = {
    uapi.FUTEX_OP_CMP_EQ: lambda old, arg: old == arg,
    uapi.FUTEX_OP_CMP_NE: lambda old, arg: old != arg,
    uapi.FUTEX_OP_CMP_LT: lambda old, arg: old < arg,
    uapi.FUTEX_OP_CMP_GE: lambda old, arg: old >= arg,
    uapi.FUTEX_OP_CMP_LE: lambda old, arg: old <= arg,
    uapi.FUTEX_OP_CMP_GT: lambda old, arg: old > arg,
}


def _sign12(value: int) -> int:
    value &= 0xFFF
    return value - 0x1000 if value & 0x800 else value


def _atomic_op(task: Task, encoded: int, uaddr2: int) -> bool:
    """Apply FUTEX_WAKE_OP's operation to the word; does the comparison hold? ENOSYS."""
    op, cmp = encoded >> 28 & 7, encoded >> 24 & 0xF
    oparg, cmparg = _sign12(encoded >> 12), _sign12(encoded)
    if encoded >> 28 & uapi.FUTEX_OP_OPARG_SHIFT:
        oparg = 1 << (oparg & 31)
    if op not in _OPS or cmp not in _COMPARISONS:
        raise ENOSYS
    ram = task.machine.ram
    offset = _mm(task).word_offset(uaddr2, True)
    while True:
        old = ram.mem32[offset >> 2]
        if ram.cmpxchg32(offset, old, _OPS[op](old, oparg) & _M32) == old:
            return _COMPARISONS[cmp](_signed(old), cmparg)


def _wake_op(
    task: Task, uaddr: int, private: bool, uaddr2: int, nr_wake: int, nr_wake2: int, encoded: int
) -> int:
    """FUTEX_WAKE_OP: change the second word, wake at the first, perhaps at the second."""
    machine, mm = task.machine, _mm(task)
    key, key2 = get_futex_key(mm, uaddr, private), get_futex_key(mm, uaddr2, private, True)
    holds = _atomic_op(task, encoded, uaddr2)
    woken = wake_key(machine, key, max(1, nr_wake))
    if holds:
        woken += wake_key(machine, key2, max(1, nr_wake2))
    return woken


# -- the end of a task's use of its memory


def mm_release(task: Task) -> None:
    """Exit and exec: give up robust locks, clear and wake clear_child_tid, leave queues."""
    from pygos.kernel.robust_list import exit_robust_list

    state = task.restart
    if isinstance(state, FutexWait):
        state.abandon(task.machine)
    mm = task.mm
    if mm is None:
        return
    if task.robust_list:
        exit_robust_list(task)
        task.robust_list = 0
    if PI_LOCKS in task.machine.misc:
        from pygos.kernel.futex_pi import exit_pi_locks

        exit_pi_locks(task)
    addr, task.clear_child_tid = task.clear_child_tid, 0
    if addr and mm.users > 1:
        # With nobody left to look at it, it isn't written (a core file shows the old value).
        try:
            mm.write_u32(addr, 0)
            wake_key(task.machine, get_futex_key(mm, addr, False), 1)
        except (EFAULT, EINVAL):
            pass
