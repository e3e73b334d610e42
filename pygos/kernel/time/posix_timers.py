# SPDX-License-Identifier: Apache-2.0
"""POSIX timers: timer_create(2) and its relatives (kernel/time/posix-timers.c).

A timer has one siginfo of its own, queued at most once. While it is queued further expiries
only count; the timer is armed again when the signal is taken, and the siginfo then carries the
overruns. So a timer that nobody listens to costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EAGAIN, EBUSY, EINVAL, EOPNOTSUPP
from pygos.include.linux.pid_namespace import find_task_by_vpid
from pygos.include.linux.sched import SigInfo
from pygos.include.linux.syscalls import InOrNull, Int, Out, OutInt, fetch_first, syscall
from pygos.include.linux.wait import WaitQueue
from pygos.include.uapi.signal import (
    SI_TIMER,
    SIGALRM,
    SIGEV_NONE,
    SIGEV_SIGNAL,
    SIGEV_THREAD,
    SIGEV_THREAD_ID,
    Sigevent,
)
from pygos.include.uapi.time import (
    CLOCK_BOOTTIME,
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
    Itimerspec,
)
from pygos.kernel.sigqueue import charge, uncharge, unqueue_info
from pygos.kernel.sigsend import send_preallocated
from pygos.kernel.time.clocks import clock_read, cpu_clock_target
from pygos.kernel.time.cputime import cpu_timers, group_clock, thread_clock
from pygos.kernel.time.timekeeping import clock_was_set_queue
from pygos.kernel.time.timespec import KTIME_MAX, timespec_ns, to_timespec

if TYPE_CHECKING:
    from pygos.include.linux.sched import SignalStruct, Task
    from pygos.include.linux.timer import Timer

#: Clocks that can be read but have no timers (the alarm clocks need an RTC).
_NO_TIMER: Final = (
    CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
    CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM,
)  # fmt: skip
_WALL: Final = (CLOCK_REALTIME, CLOCK_TAI)
_INT_MAX: Final = (1 << 31) - 1
#: An ignored signal of a repeating timer is tried again no sooner than this, ns.
_IGNORED_MIN: Final = 1_000_000


class PosixTimer:
    """One timer of a thread group."""

    __slots__ = (
        "clockid", "cpu_clock", "deadline", "group", "info", "interval", "number",
        "overrun_last", "queued", "thread", "timer", "token", "wall",
    )  # fmt: skip

    def __init__(self, group: SignalStruct, number: int, clockid: int) -> None:
        self.group = group
        self.number = number
        self.clockid = clockid
        #: (task, per thread, CPUCLOCK_*) of a timer on a CPU clock.
        self.cpu_clock: tuple[Task, bool, int] | None = None
        #: None: no signal (SIGEV_NONE).
        self.info: SigInfo | None = None
        #: The thread that gets the signal (SIGEV_THREAD_ID); None: the process.
        self.thread: Task | None = None
        #: Next expiry on the timer's clock, 0: disarmed; interval; ns.
        self.deadline = 0
        self.interval = 0
        self.timer: Timer | None = None
        #: Armed for a wall time, so the clock being set matters.
        self.wall = False
        self.queued = False
        self.overrun_last = 0
        #: What counts for RLIMIT_SIGPENDING as long as the timer exists.
        self.token = SigInfo(0)

    # -- its clock

    def now(self) -> int:
        """The timer's clock: a relative timer on the wall clock counts monotonic time."""
        if self.cpu_clock is not None:
            target, per_thread, which = self.cpu_clock
            return thread_clock(target, which) if per_thread else group_clock(target.group, which)
        clockid = self.clockid
        if clockid in _WALL and not self.wall:
            clockid = CLOCK_MONOTONIC
        return clock_read(self.group.leader, clockid)

    def arm(self) -> None:
        """Put the next expiry in a timer queue."""
        if self.info is None:
            return  # nobody is told: reading computes it
        if self.cpu_clock is not None:
            target, per_thread, which = self.cpu_clock
            timers = cpu_timers(target.group)
            self.timer = timers.add(target if per_thread else None, which, self.deadline, self)
            return
        machine = self.group.leader.machine
        deadline = machine.clock.monotonic() + self.deadline - self.now()
        self.timer = machine.timers.add(min(deadline, KTIME_MAX), self)
        if self.wall:
            clock_was_set_queue(machine).add(self)

    def disarm(self) -> None:
        """No expiry any more; the pending signal stays."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.wall:
            clock_was_set_queue(self.group.leader.machine).remove(self)
        self.deadline = 0

    def wake(self, queue: WaitQueue, key: int) -> None:
        """The wall clock was set: find the new distance."""
        if self.timer is not None:
            self.timer.cancel()
            self.arm()

    # -- expiry

    def expire(self, now: int) -> None:
        """TimerTarget protocol."""
        self.timer = None
        if self.now() < self.deadline:
            self.arm()
            return
        info = self.info
        assert info is not None
        target = self.thread or cpu_timers(self.group).computing()
        if self.thread is not None and not self.thread.alive:
            return
        if not self.interval:
            self.deadline = 0
        if send_preallocated(target, info, self.thread is None):
            self.queued = True
        elif self.interval:
            self.forward(max(self.now(), self.deadline - self.interval + _IGNORED_MIN))
            self.arm()

    def forward(self, now: int) -> int:
        """Move the deadline beyond `now` by whole intervals; how many were missed."""
        missed = max(0, now - self.deadline) // self.interval
        self.deadline += (missed + 1) * self.interval
        return missed

    def signal_dequeued(self, info: SigInfo) -> SigInfo:
        """The signal is being taken: count overruns and arm a repeating timer again."""
        if info is not self.info or not self.queued:
            return info
        self.queued = False
        self.overrun_last = 0
        if self.interval and self.deadline:
            self.overrun_last = min(self.forward(self.now()), _INT_MAX)
            self.arm()
        return SigInfo(
            info.signo, SI_TIMER, value=info.value, timerid=self.number, overrun=self.overrun_last
        )

    def left(self) -> int:
        """ns until the next expiry, 0 if it is disarmed."""
        if not self.deadline:
            return 0
        now = self.now()
        deadline = self.deadline
        if self.interval and (self.info is None or self.queued) and deadline <= now:
            deadline += ((now - deadline) // self.interval + 1) * self.interval
        if deadline > now:
            return deadline - now
        return 0 if self.info is None else 1

    def cancel(self) -> None:
        """The timer is deleted, or its process ends."""
        self.disarm()
        machine = self.group.leader.machine
        uncharge(machine, self.token)
        if self.queued and self.info is not None:
            owner = self.group.shared_pending if self.thread is None else self.thread.pending
            unqueue_info(owner, self.info)


def exit_itimers(group: SignalStruct) -> None:
    """execve and exit: the process' POSIX timers are gone."""
    for timer in tuple(group.posix_timers.values()):
        timer.cancel()
    group.posix_timers.clear()


def _sigevent(task: Task, timer: PosixTimer, event: Sigevent | None) -> None:
    """What an expiry does. EINVAL."""
    if event is None:
        timer.info = SigInfo(SIGALRM, SI_TIMER, value=timer.number, timerid=timer.number)
        return
    notify = event.sigev_notify
    if notify == SIGEV_NONE:
        return
    if notify == SIGEV_SIGNAL | SIGEV_THREAD_ID:
        thread = find_task_by_vpid(task, event.sigev_tid)
        if thread is None or thread.group is not task.group:
            raise EINVAL
        timer.thread = thread
    elif notify not in (SIGEV_SIGNAL, SIGEV_THREAD):
        raise EINVAL
    if not 1 <= event.sigev_signo <= 64:
        raise EINVAL
    value = event.sigev_value
    timer.info = SigInfo(event.sigev_signo, SI_TIMER, value=value, timerid=timer.number)


def _check_clock(task: Task, timer: PosixTimer) -> None:
    clockid = timer.clockid
    if clockid in _NO_TIMER:
        raise EOPNOTSUPP
    if clockid in (CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID) or clockid < 0:
        timer.cpu_clock = cpu_clock_target(task, clockid)
    elif clockid not in (CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI):
        raise EINVAL


@syscall
def timer_create(
    task: Task, which_clock: Int, event: InOrNull[Sigevent], created_timer_id: OutInt
) -> int:
    """Make a timer, disarmed. timer_create(2).

    Errors: EAGAIN when RLIMIT_SIGPENDING is reached; EINVAL; EOPNOTSUPP; EFAULT.
    """
    fetch_first(event)
    group = task.group
    timers = cpu_timers(group)
    if group.timer_create_restore_ids:
        number = _wanted_id(task, created_timer_id.addr)
    else:
        number = timers.next_posix_id
        while number in group.posix_timers:
            number = (number + 1) & _INT_MAX
    timer = PosixTimer(group, number, which_clock)
    _check_clock(task, timer)
    if not charge(task, timer.token, False):
        raise EAGAIN
    try:
        if number in group.posix_timers:
            raise EBUSY
        _sigevent(task, timer, event)
        created_timer_id.put32(number)
    except BaseException:
        uncharge(task.machine, timer.token)
        raise
    if not group.timer_create_restore_ids:
        timers.next_posix_id = (number + 1) & _INT_MAX
    group.posix_timers[number] = timer
    return 0


def _wanted_id(task: Task, addr: int) -> int:
    """PR_TIMER_CREATE_RESTORE_IDS: the number that the timer is to have. EFAULT, EINVAL."""
    assert task.mm is not None
    number = task.mm.read_u32(addr)
    if number > _INT_MAX:
        raise EINVAL
    return number


def _find(task: Task, number: int) -> PosixTimer:
    timer: PosixTimer | None = task.group.posix_timers.get(number)
    if timer is None:
        raise EINVAL
    return timer


def _setting(timer: PosixTimer) -> Itimerspec:
    return Itimerspec(to_timespec(timer.interval), to_timespec(timer.left()))


@syscall
def timer_settime(
    task: Task, timer_id: Int, flags: Int, new: InOrNull[Itimerspec], old: Out[Itimerspec]
) -> int:
    """Arm or disarm a timer. timer_settime(2). Errors: EINVAL, EFAULT."""
    if new is None:
        raise EINVAL
    value, interval = timespec_ns(new.it_value), timespec_ns(new.it_interval)
    timer = _find(task, timer_id)
    before = _setting(timer)
    timer.disarm()
    if timer.queued and timer.info is not None:
        # A signal of the old setting doesn't arm the new one.
        timer.queued = False
        owner = timer.group.shared_pending if timer.thread is None else timer.thread.pending
        unqueue_info(owner, timer.info)
    timer.overrun_last = 0
    timer.interval = 0
    if value:
        timer.interval = interval
        absolute = bool(flags & TIMER_ABSTIME)
        timer.wall = absolute and timer.clockid in _WALL
        timer.deadline = min(value if absolute else timer.now() + value, KTIME_MAX)
        timer.arm()
    if old:
        old.put(before)
    return 0


@syscall
def timer_gettime(task: Task, timer_id: Int, setting: Out[Itimerspec]) -> int:
    """Time left and interval of a timer. timer_gettime(2). Errors: EINVAL, EFAULT."""
    setting.put(_setting(_find(task, timer_id)))
    return 0


@syscall
def timer_getoverrun(task: Task, timer_id: Int) -> int:
    """Expiries missed before the last signal. timer_getoverrun(2). Errors: EINVAL."""
    return _find(task, timer_id).overrun_last


@syscall
def timer_delete(task: Task, timer_id: Int) -> int:
    """Delete a timer. timer_delete(2). Errors: EINVAL."""
    timer = _find(task, timer_id)
    del task.group.posix_timers[timer_id]
    timer.cancel()
    return 0
