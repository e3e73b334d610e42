# SPDX-License-Identifier: Apache-2.0
"""The newer futex calls: futex_waitv(2), and futex(2) taken apart: futex_wait, futex_wake,
futex_requeue.

Words are 32 bits wide; the flags are FUTEX2_*. Timeouts are absolute, on a clock of choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EAGAIN, EINVAL, ERESTARTSYS, ETIMEDOUT, Errno
from pygos.include.linux.syscalls import Int, UInt, ULong, UserAddr, syscall
from pygos.include.linux.wait import WaitQueue
from pygos.include.uapi.futex import (
    FUTEX2_PRIVATE,
    FUTEX2_SIZE_U32,
    FUTEX_WAITV_MAX,
    FutexWaitv,
)
from pygos.include.uapi.time import CLOCK_MONOTONIC, CLOCK_REALTIME
from pygos.kernel.futex import (
    FutexQ,
    FutexWait,
    get_futex_key,
    queue_me,
    read_deadline,
    read_word,
    requeue,
    sleep_until,
    unqueue_me,
    wake_key,
)

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

_M32: Final = 0xFFFF_FFFF


class FutexWaitvState(FutexWait):
    """task.restart of futex_waitv: one waiter per word; all sleep on one queue."""

    __slots__ = ("waiters", "words")

    def __init__(self, deadline: int | None, realtime: bool, words: list[FutexWaitv]) -> None:
        super().__init__(deadline, realtime)
        self.words = words
        self.waiters: list[FutexQ] = []

    def abandon(self, machine: Machine) -> None:
        for waiter in self.waiters:
            unqueue_me(machine, waiter)

    def leave(self, task: Task) -> int:
        """Leave all queues; the last word that has been woken, or -1."""
        woken = -1
        for index, waiter in enumerate(self.waiters):
            if not unqueue_me(task.machine, waiter):
                woken = index
        self.waiters = []
        return woken


def _is_private(flags: int) -> bool:
    """Check FUTEX2_* flags. EINVAL for other widths than 32 bits and unknown flags."""
    if flags & ~FUTEX2_PRIVATE != FUTEX2_SIZE_U32:
        raise EINVAL
    return bool(flags & FUTEX2_PRIVATE)


def _deadline(task: Task, timeout: int, clockid: int) -> tuple[int | None, bool]:
    """The absolute timeout, and whether it is on the wall clock. EFAULT, EINVAL."""
    if timeout and clockid not in (CLOCK_REALTIME, CLOCK_MONOTONIC):
        raise EINVAL
    state = read_deadline(task, timeout, True, clockid == CLOCK_REALTIME)
    return state.deadline, state.realtime


def _read_words(task: Task, addr: int, count: int) -> list[FutexWaitv]:
    """The vector of a call, checked. EFAULT, EINVAL."""
    mm = task.mm
    assert mm is not None
    words = []
    for at in range(addr, addr + count * FutexWaitv.SIZE, FutexWaitv.SIZE):
        word = FutexWaitv.from_bytes(mm.read(at, FutexWaitv.SIZE))
        _is_private(word.flags)
        if word.reserved or word.val > _M32:
            raise EINVAL
        words.append(word)
    return words


@syscall(partial="FUTEX2_NUMA and FUTEX2_MPOL are refused with EINVAL")
def futex_waitv(
    task: Task, waiters: UserAddr, nr_futexes: UInt, flags: UInt, timeout: UserAddr, clockid: Int
) -> int:
    """Wait until one of several words is woken; its index. futex_waitv(2).

    Errors: EAGAIN (a word has another value), EFAULT, EINTR, EINVAL, ETIMEDOUT.
    """
    if flags or not 0 < nr_futexes <= FUTEX_WAITV_MAX or not waiters:
        raise EINVAL
    state = task.restart
    if state is None:
        deadline, realtime = _deadline(task, timeout, clockid)
        words = _read_words(task, waiters, nr_futexes)
        state = task.restart = FutexWaitvState(deadline, realtime, words)
    assert isinstance(state, FutexWaitvState)
    if not state.waiters:
        _join_all(task, state)
    elif any(waiter.key is None for waiter in state.waiters):
        return state.leave(task)
    if state.passed(task.machine):
        state.leave(task)
        raise ETIMEDOUT
    if task.signal_pending():
        state.leave(task)
        raise ERESTARTSYS
    sleep_until(task, state.waiters[0].queue, state, "futex_wait_multiple")


def _join_all(task: Task, state: FutexWaitvState) -> None:
    """Queue up at every word. EAGAIN if one has changed."""
    mm = task.mm
    assert mm is not None
    keys = [get_futex_key(mm, word.uaddr, _is_private(word.flags)) for word in state.words]
    queue = WaitQueue()
    for word, key in zip(state.words, keys, strict=True):
        try:
            if read_word(task, word.uaddr) != word.val:
                raise EAGAIN
        except Errno:
            state.leave(task)
            raise
        waiter = FutexQ(task, key, _M32)
        waiter.queue = queue
        queue_me(task.machine, waiter)
        state.waiters.append(waiter)


@syscall(partial="FUTEX2_NUMA and FUTEX2_MPOL are refused with EINVAL")
def futex_wait(
    task: Task, uaddr: UserAddr, val: ULong, mask: ULong, flags: UInt, timeout: UserAddr,
    clockid: Int,
) -> int:  # fmt: skip
    """FUTEX_WAIT_BITSET as a call of its own. Errors: as futex(2)."""
    private = _is_private(flags)
    if val > _M32 or mask > _M32:
        raise EINVAL
    state = task.restart
    if state is None:
        deadline, realtime = _deadline(task, timeout, clockid)
        state = task.restart = FutexWait(deadline, realtime)
        if not mask:
            raise EINVAL
    assert task.mm is not None
    waiter = state.waiter
    if waiter is None:
        key = get_futex_key(task.mm, uaddr, private)
        if read_word(task, uaddr) != val:
            raise EAGAIN
        waiter = state.waiter = FutexQ(task, key, mask)
        queue_me(task.machine, waiter)
    elif waiter.key is None:
        return 0
    if state.passed(task.machine):
        unqueue_me(task.machine, waiter)
        raise ETIMEDOUT
    if task.signal_pending():
        unqueue_me(task.machine, waiter)
        state.waiter = None
        raise ERESTARTSYS
    sleep_until(task, waiter.queue, state, "futex_wait_queue")


@syscall(partial="FUTEX2_NUMA and FUTEX2_MPOL are refused with EINVAL")
def futex_wake(task: Task, uaddr: UserAddr, mask: ULong, nr: Int, flags: UInt) -> int:
    """FUTEX_WAKE_BITSET as a call of its own; a count of 0 wakes nobody."""
    private = _is_private(flags)
    if not 0 < mask <= _M32:
        raise EINVAL
    assert task.mm is not None
    key = get_futex_key(task.mm, uaddr, private)
    return wake_key(task.machine, key, max(1, nr), mask) if nr else 0


@syscall(partial="FUTEX2_NUMA and FUTEX2_MPOL are refused with EINVAL")
def futex_requeue(
    task: Task, waiters: UserAddr, flags: UInt, nr_wake: Int, nr_requeue: Int
) -> int:
    """FUTEX_CMP_REQUEUE as a call of its own: from the first word to the second."""
    if flags or not waiters:
        raise EINVAL
    first, second = _read_words(task, waiters, 2)
    if nr_wake < 0 or nr_requeue < 0:
        raise EINVAL
    mm = task.mm
    assert mm is not None
    key = get_futex_key(mm, first.uaddr, _is_private(first.flags))
    key2 = get_futex_key(mm, second.uaddr, _is_private(second.flags))
    if read_word(task, first.uaddr) != first.val:
        raise EAGAIN
    return requeue(task.machine, key, key2, nr_wake, nr_requeue)
