# SPDX-License-Identifier: Apache-2.0
"""Sleeping for a time: nanosleep(2), clock_nanosleep(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from pygos.include.errno import EINVAL, EOPNOTSUPP, ERESTART_RESTARTBLOCK, ERESTARTNOHAND
from pygos.include.linux.syscalls import In, Int, Out, syscall
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.time import (
    CLOCK_BOOTTIME_ALARM,
    CLOCK_MONOTONIC,
    CLOCK_MONOTONIC_COARSE,
    CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID,
    CLOCK_REALTIME,
    CLOCK_REALTIME_ALARM,
    CLOCK_REALTIME_COARSE,
    CLOCK_TAI,
    CLOCK_THREAD_CPUTIME_ID,
    TIMER_ABSTIME,
    Timespec,
)
from pygos.kernel.time.clocks import clock_read, cpu_clock_target
from pygos.kernel.time.cputime import cpu_timers
from pygos.kernel.time.timekeeping import clock_was_set_queue
from pygos.kernel.time.timespec import KTIME_MAX, timespec_ns, to_timespec

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.include.linux.timer import Timer

#: Clocks that can be read but not slept on.
_NO_SLEEP: Final = (
    CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
    CLOCK_THREAD_CPUTIME_ID, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM,
)  # fmt: skip
_WALL: Final = (CLOCK_REALTIME, CLOCK_TAI)


class Sleep:
    """task.restart of a sleeper: when it ends on its clock, ns."""

    __slots__ = ("clockid", "deadline")

    def __init__(self, clockid: int, deadline: int) -> None:
        self.clockid = clockid
        self.deadline = min(deadline, KTIME_MAX)


class CpuSleep(Sleep):
    """A sleep on a CPU clock: other threads must use up the time."""

    __slots__ = ("queue", "timer")

    def __init__(self, clockid: int, deadline: int) -> None:
        super().__init__(clockid, deadline)
        self.queue = WaitQueue()
        self.timer: Timer | None = None

    def expire(self, now: int) -> None:
        self.queue.wake_all()


@syscall
def nanosleep(task: Task, rqtp: In[Timespec], rmtp: Out[Timespec]) -> int:
    """Sleep for a time. nanosleep(2). EINTR with the time left in rmtp; EINVAL."""
    state = task.restart
    if state is None:
        ns = timespec_ns(rqtp)
        state = task.restart = Sleep(CLOCK_MONOTONIC, task.machine.clock.monotonic() + ns)
    now = task.machine.clock.monotonic()
    if now >= state.deadline:
        return 0
    if task.signal_pending():
        _give_rest(rmtp, state.deadline - now)
        raise ERESTART_RESTARTBLOCK
    wait_on(task, deadline=state.deadline, why="hrtimer_nanosleep")


def _give_rest(rmtp: Out[Timespec], rest: int) -> None:
    if rmtp:
        rmtp.put(to_timespec(rest))


@syscall
def clock_nanosleep(
    task: Task, which_clock: Int, flags: Int, rqtp: In[Timespec], rmtp: Out[Timespec]
) -> int:
    """Sleep on a clock, for a time or until one. clock_nanosleep(2).

    Errors: EINTR (never restarted by SA_RESTART), EINVAL, EOPNOTSUPP for clocks that can't
    be slept on.
    """
    if which_clock in _NO_SLEEP:
        raise EOPNOTSUPP
    if which_clock > CLOCK_TAI:
        raise EINVAL
    ns = timespec_ns(rqtp)
    absolute = bool(flags & TIMER_ABSTIME)
    state = task.restart
    if state is None:
        # The wall clock being set doesn't change how long a sleep for a time takes.
        clockid = CLOCK_MONOTONIC if which_clock in _WALL and not absolute else which_clock
        start = 0 if absolute else clock_read(task, clockid)
        state = task.restart = _new_sleep(task, clockid, start + ns)
    now = clock_read(task, state.clockid)
    if now >= state.deadline:
        return _end_sleep(state)
    if task.signal_pending():
        _end_sleep(state)
        if absolute:
            raise ERESTARTNOHAND
        _give_rest(rmtp, state.deadline - now)
        raise ERESTART_RESTARTBLOCK
    _sleep_on(task, state.clockid, state)


def _new_sleep(task: Task, clockid: int, deadline: int) -> Sleep:
    if clockid != CLOCK_PROCESS_CPUTIME_ID and clockid >= 0:
        return Sleep(clockid, deadline)
    target, per_thread, _which = cpu_clock_target(task, clockid)
    if per_thread and target is task:
        raise EINVAL  # one's own CPU clock stands still while one sleeps
    return CpuSleep(clockid, deadline)


def _end_sleep(state: Sleep) -> int:
    if isinstance(state, CpuSleep) and state.timer is not None:
        state.timer.cancel()
        state.timer = None
    return 0


def _sleep_on(task: Task, clockid: int, state: Sleep) -> NoReturn:
    """Wait for the deadline on the given clock; never returns."""
    machine = task.machine
    if isinstance(state, CpuSleep):
        if state.timer is None or state.timer.target is None:
            target, per_thread, which = cpu_clock_target(task, clockid)
            timers = cpu_timers(target.group)
            thread = target if per_thread else None
            state.timer = timers.add(thread, which, state.deadline, state)
        wait_on(task, state.queue, why="clock_nanosleep")
    rest = state.deadline - clock_read(task, clockid)
    deadline = machine.clock.monotonic() + rest
    if clockid in _WALL:
        wait_on(task, clock_was_set_queue(machine), deadline=deadline, why="hrtimer_nanosleep")
    wait_on(task, deadline=deadline, why="hrtimer_nanosleep")
