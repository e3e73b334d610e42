# SPDX-License-Identifier: Apache-2.0
"""Interval timers: setitimer(2), getitimer(2), alarm(2) (kernel/time/itimer.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL
from pygos.include.linux.sched import SigInfo
from pygos.include.linux.syscalls import InOrNull, Int, Out, UInt, syscall
from pygos.include.uapi.signal import SI_KERNEL, SIGALRM, SIGPROF, SIGVTALRM
from pygos.include.uapi.time import ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, Itimerval, Timeval
from pygos.kernel.sigsend import send_sig_info
from pygos.kernel.time.cputime import CPUCLOCK_PROF, CPUCLOCK_VIRT, cpu_timers, group_clock
from pygos.kernel.time.timespec import KTIME_MAX, timeval_ns, to_timeval

if TYPE_CHECKING:
    from pygos.include.linux.sched import SignalStruct, Task
    from pygos.include.linux.timer import Timer

_SEC: Final = 1_000_000_000
#: The least time left that is shown while a timer is armed, ns.
_TINY: Final = 1000
_CPU: Final = {
    ITIMER_VIRTUAL: (CPUCLOCK_VIRT, SIGVTALRM),
    ITIMER_PROF: (CPUCLOCK_PROF, SIGPROF),
}


class RealTimer:
    """ITIMER_REAL of a group; the armed Timer is in ``group.real_timer``.

    A repeating timer is armed again when its SIGALRM is taken, not when it is sent: so a
    program that blocks the signal can't keep the machine busy.
    """

    __slots__ = ("deadline", "group", "interval", "rearm")

    def __init__(self, group: SignalStruct) -> None:
        self.group = group
        self.deadline = 0
        self.interval = 0
        self.rearm = False

    def expire(self, now: int) -> None:
        group = self.group
        group.real_timer = None
        self.rearm = self.interval > 0
        send_sig_info(group.leader, SigInfo(SIGALRM, SI_KERNEL), True)

    def signal_dequeued(self) -> None:
        """SIGALRM was taken: the next expiry lies in the future."""
        if not self.rearm:
            return
        self.rearm = False
        machine = self.group.leader.machine
        now = machine.clock.monotonic()
        missed = max(0, now - self.deadline) // self.interval
        self.deadline += (missed + 1) * self.interval
        self.group.real_timer = machine.timers.add(self.deadline, self)

    def left(self, now: int) -> int:
        """ns until the next expiry; 0 if it isn't armed."""
        if self.group.real_timer is None:
            return 0
        return max(self.deadline - now, _TINY)


class CpuItimer:
    """ITIMER_VIRTUAL or ITIMER_PROF of a group."""

    __slots__ = ("deadline", "group", "interval", "signo", "timer", "which")

    def __init__(self, group: SignalStruct, which: int, signo: int) -> None:
        self.group = group
        self.which = which
        self.signo = signo
        self.deadline = 0
        self.interval = 0
        self.timer: Timer | None = None

    def expire(self, now: int) -> None:
        group = self.group
        self.timer = None
        if self.interval:
            self.deadline += (max(0, now - self.deadline) // self.interval + 1) * self.interval
            self.timer = cpu_timers(group).add(None, self.which, self.deadline, self)
        # The thread whose time it is gets the signal if it wants it: profilers count on that.
        target = cpu_timers(group).computing()
        send_sig_info(target, SigInfo(self.signo, SI_KERNEL), True)

    def left(self) -> int:
        """CPU ns until the next expiry; 0 if it isn't armed."""
        if self.timer is None:
            return 0
        return max(self.deadline - group_clock(self.group, self.which), _TINY)


def _get_real(task: Task) -> tuple[int, int]:
    timers = task.group.itimers
    real = timers.real if timers is not None else None
    if real is None:
        return 0, 0
    return real.left(task.machine.clock.monotonic()), real.interval


def _set_real(task: Task, value: int, interval: int) -> None:
    group, machine = task.group, task.machine
    timers = cpu_timers(group)
    if timers.real is None:
        timers.real = RealTimer(group)
    real = timers.real
    if group.real_timer is not None:
        group.real_timer.cancel()
        group.real_timer = None
    real.rearm = False
    real.interval = interval if value else 0
    if value:
        real.deadline = min(machine.clock.monotonic() + value, KTIME_MAX)
        group.real_timer = machine.timers.add(real.deadline, real)


def _get_cpu(task: Task, number: int) -> tuple[int, int]:
    timers = task.group.itimers
    timer = timers.itimer.get(number) if timers is not None else None
    return (timer.left(), timer.interval) if timer is not None else (0, 0)


def _set_cpu(task: Task, number: int, value: int, interval: int) -> None:
    group = task.group
    timers = cpu_timers(group)
    timer = timers.itimer.get(number)
    if timer is None:
        timer = timers.itimer[number] = CpuItimer(group, *_CPU[number])
    if timer.timer is not None:
        timer.timer.cancel()
        timer.timer = None
    timer.interval = interval
    if value:
        timer.deadline = group_clock(group, timer.which) + value
        timer.timer = timers.add(None, timer.which, timer.deadline, timer)


def _get(task: Task, number: int) -> tuple[int, int]:
    """(time left, interval) in ns. EINVAL."""
    if number == ITIMER_REAL:
        return _get_real(task)
    if number not in _CPU:
        raise EINVAL
    return _get_cpu(task, number)


def _put(out: Out[Itimerval], left: int, interval: int) -> None:
    out.put(Itimerval(to_timeval(interval), to_timeval(left)))


@syscall
def getitimer(task: Task, which: Int, value: Out[Itimerval]) -> int:
    """Read an interval timer. getitimer(2). Errors: EINVAL, EFAULT."""
    _put(value, *_get(task, which))
    return 0


@syscall
def setitimer(task: Task, which: Int, value: InOrNull[Itimerval], ovalue: Out[Itimerval]) -> int:
    """Set an interval timer; no value disarms it. setitimer(2). Errors: EINVAL, EFAULT."""
    value = value if value is not None else Itimerval(Timeval(), Timeval())
    ns, interval = timeval_ns(value.it_value), timeval_ns(value.it_interval)
    old = _get(task, which)
    if which == ITIMER_REAL:
        _set_real(task, ns, interval)
    else:
        _set_cpu(task, which, ns, interval)
    if ovalue:
        _put(ovalue, *old)
    return 0


@syscall
def alarm(task: Task, seconds: UInt) -> int:
    """SIGALRM after some seconds; returns what was left of the last alarm. alarm(2)."""
    left = _get_real(task)[0]
    _set_real(task, min(seconds, (1 << 31) - 1) * _SEC, 0)
    sec, rest = divmod(left, _SEC)
    # Never 0 while one was armed, else rounded.
    return sec + 1 if (not sec and rest) or rest >= _SEC // 2 else sec
