# SPDX-License-Identifier: Apache-2.0
"""CPU time: what tasks have used, the clocks of it, and the timers on those clocks.

``account_cpu`` runs once for every trap, so it does nothing that nobody asked for. A group
that has a timer on one of its CPU clocks has a ``CpuTimers`` in ``group.itimers``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.linux.sched import SigInfo
from pygos.include.linux.timer import Timer, TimerQueue, TimerTarget
from pygos.include.uapi.resource import RLIM_INFINITY, RLIMIT_CPU, RLIMIT_RTTIME
from pygos.include.uapi.signal import SI_KERNEL, SIGKILL, SIGXCPU
from pygos.kernel.sigsend import send_sig_info

if TYPE_CHECKING:
    from pygos.include.linux.sched import SignalStruct, Task

_SEC: Final = 1_000_000_000
#: CPU timers are no finer than this, ns: as a tick of 1,000 Hz.
_SHORTEST: Final = 1_000_000
#: CPU clocks: user and system time; user time only.
CPUCLOCK_PROF: Final = 0
CPUCLOCK_VIRT: Final = 1
CPUCLOCK_SCHED: Final = 2


def account_cpu(task: Task, utime: int, stime: int) -> None:
    """One trap of `task` took `utime` ns in user mode and `stime` ns in the kernel.

    Sends SIGVTALRM, SIGPROF, SIGXCPU and the signals of CPU timers that have become due.
    """
    task.utime += utime
    task.stime += stime
    # What is accounted isn't in flight any more (thread_clock, group_clock).
    task.last_run += utime + stime
    group = task.group
    if group.itimers is not None and task.alive:
        group.itimers.run_cpu_timers(task, utime)
    if group.rlim[RLIMIT_CPU][0] != RLIM_INFINITY:
        _check_rlimit_cpu(task, group)
    if task.rt_priority and group.rlim[RLIMIT_RTTIME][0] != RLIM_INFINITY:
        _check_rlimit_rttime(task, utime + stime)


def _check_rlimit_rttime(task: Task, delta: int) -> None:
    """SIGXCPU after so many us without a sleep, again each second, SIGKILL at the hard limit."""
    entity = task.se
    if entity is None or not task.alive:
        return
    entity.rt_timeout += delta
    soft, hard = task.group.rlim[RLIMIT_RTTIME]
    used = entity.rt_timeout // 1000
    if used >= hard:
        send_sig_info(task, SigInfo(SIGKILL, SI_KERNEL), True)
    elif used >= soft:
        send_sig_info(task, SigInfo(SIGXCPU, SI_KERNEL), True)
        task.group.rlim[RLIMIT_RTTIME] = (soft + 1_000_000, hard)


def _check_rlimit_cpu(task: Task, group: SignalStruct) -> None:
    """SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one."""
    soft, hard = group.rlim[RLIMIT_CPU]
    used = sum(group_cputime(group)) // _SEC
    if used < soft or not task.alive:
        return
    if used >= hard:
        send_sig_info(task, SigInfo(SIGKILL, SI_KERNEL), True)
        return
    send_sig_info(task, SigInfo(SIGXCPU, SI_KERNEL), True)
    group.rlim[RLIMIT_CPU] = (used + 1, hard)


def task_cputime(task: Task) -> tuple[int, int]:
    """User and system time of a task to this moment, ns."""
    utime, stime = task.utime, task.stime
    if task.on_cpu:
        sched, now = task.machine.sched, task.machine.clock.monotonic()
        if sched.current is task:
            utime += max(0, sched.entered - task.last_run)
            stime += now - sched.entered
        else:
            utime += max(0, now - task.last_run)
    return utime, stime


def group_cputime(group: SignalStruct) -> tuple[int, int]:
    """User and system time of a thread group to this moment, dead threads included, ns."""
    utime, stime = group.utime, group.stime
    for thread in group.threads:
        user, system = task_cputime(thread) if thread.on_cpu else (thread.utime, thread.stime)
        utime += user
        stime += system
    return utime, stime


def thread_clock(task: Task, which: int) -> int:
    """A thread's CPU clock now, ns."""
    utime, stime = task_cputime(task)
    return utime if which == CPUCLOCK_VIRT else utime + stime


def group_clock(group: SignalStruct, which: int) -> int:
    """A process' CPU clock now, ns."""
    utime, stime = group_cputime(group)
    return utime if which == CPUCLOCK_VIRT else utime + stime


class CpuTimers:
    """Timers of one thread group: interval timers and timers on CPU clocks."""

    __slots__ = ("busy", "group", "itimer", "next_posix_id", "queues", "real", "watch")

    def __init__(self, group: SignalStruct) -> None:
        self.group = group
        #: The thread that looks at the timers has computed for some time.
        self.busy = False
        #: Interrupts threads that compute when a timer of theirs is due.
        self.watch: Timer | None = None
        #: (thread, or None for the process; CPUCLOCK_VIRT or _PROF) -> timers in its ns.
        self.queues: dict[tuple[Task | None, int], TimerQueue] = {}
        #: ITIMER_REAL; ITIMER_VIRTUAL and ITIMER_PROF by number (kernel/time/itimer.py).
        self.real: RealTimer | None = None
        self.itimer: dict[int, CpuItimer] = {}
        #: Where timer_create(2) begins to look for a free number.
        self.next_posix_id = 0

    def add(self, thread: Task | None, which: int, expires: int, target: TimerTarget) -> Timer:
        """Arm a timer on a CPU clock; cancel() disarms it."""
        key = (thread, CPUCLOCK_VIRT if which == CPUCLOCK_VIRT else CPUCLOCK_PROF)
        queue = self.queues.get(key)
        if queue is None:
            queue = self.queues[key] = TimerQueue()
        return queue.add(expires, target)

    def run_cpu_timers(self, task: Task, utime: int) -> None:
        """Expire what is due on the clocks of `task` and of its process."""
        self.busy = utime >= _SHORTEST
        for (thread, which), queue in tuple(self.queues.items()):
            if queue.next_deadline() is None:
                del self.queues[thread, which]
            elif thread is None:
                queue.run(group_clock(task.group, which))
            elif thread is task:
                queue.run(thread_clock(task, which))
            elif not thread.alive:
                del self.queues[thread, which]
        if self.queues:
            self._watch(task)

    def computing(self) -> Task:
        """The thread whose time is running out: it gets the signals of the process."""
        leader = self.group.leader
        current = leader.machine.sched.current
        if current is None or current.group is not self.group:
            return leader
        if not self.busy:
            for other in self.group.threads:
                if other is not current and (other.on_cpu or other.on_rq):
                    return other
        return current

    def _watch(self, task: Task) -> None:
        """See to it that the CPUs stop when the next timer is due, not when they happen to."""
        left = self._left()
        if left is None:
            return
        machine = task.machine
        due = machine.clock.monotonic() + max(left, _SHORTEST)
        watch = self.watch
        if watch is not None:
            if watch.target is not None and watch.deadline <= due:
                return
            watch.cancel()
        self.watch = machine.timers.add(due, self)

    def _left(self) -> int | None:
        """How long until a timer can be due, ns, if the threads that run now go on."""
        running = [thread for thread in self.group.threads if thread.on_cpu]
        left: int | None = None
        for (thread, which), queue in self.queues.items():
            deadline = queue.next_deadline()
            if deadline is None or not running:
                continue
            if thread is None:
                wait = (deadline - group_clock(self.group, which)) // len(running)
            elif thread.on_cpu:
                wait = deadline - thread_clock(thread, which)
            else:
                continue
            left = wait if left is None else min(left, wait)
        return left

    def expire(self, now: int) -> None:
        """TimerTarget protocol: stop the threads that compute, to look at their timers."""
        self.watch = None
        for thread in self.group.threads:
            if thread.on_cpu:
                thread.machine.sched.kick(thread)


def cpu_timers(group: SignalStruct) -> CpuTimers:
    """The group's timers, made at their first use."""
    timers: CpuTimers | None = group.itimers
    if timers is None:
        timers = group.itimers = CpuTimers(group)
    return timers


if TYPE_CHECKING:
    from pygos.kernel.time.itimer import CpuItimer, RealTimer
