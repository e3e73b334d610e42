# SPDX-License-Identifier: Apache-2.0
"""Task groups: tasks that share CPU time as if they were one (struct task_group).

This is what cgroup's cpu controller stands on. A machine starts with none: tasks whose
``sched_group`` is None are in the root group, which has no object and costs nothing.

    group = TaskGroup(machine, parent)      # parent: a TaskGroup, or None for the root
    group.set_weight(1024)                  # cpu.weight 100; nice 0; 2 .. 262144
    group.set_idle(True)                    # cpu.idle
    group.set_bandwidth(quota, period, burst)  # ns; cpu.max; quota None: no limit
    group.attach(task)                      # move a task here, running or not
    detach(task)                            # ... or to the root
    group.cpu_time()                        # (user, system) ns of it and all below, to now
    group.nr_periods, .nr_throttled, .throttled_time(), .nr_bursts, .burst_time
    group.throttled                         # out of quota until the next period
    group.destroy()                         # it must have no tasks and no children

A child is born into its parent's group (kernel/schedcalls.py: sched_fork). Nothing has to be
done when a task exits. Real-time and deadline tasks are counted in cpu_time(), but neither
weight nor quota holds them back (cgroup v2 without RT_GROUP_SCHED).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.kernel.sched.cfs_rq import CfsRq
from pygos.kernel.sched.sched import NICE_0_LOAD, WEIGHT_IDLEPRIO, SchedEntity

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.include.linux.timer import Timer
    from pygos.kernel.sched.core import Sched

MIN_SHARES: Final = 2
MAX_SHARES: Final = 1 << 18
#: What cpu.max may say, ns.
MIN_PERIOD: Final = 1_000_000
MAX_PERIOD: Final = 1_000_000_000
MIN_QUOTA: Final = 1_000_000


class TaskGroup:
    """One group. Weights are relative to its siblings, tasks of the parent included."""

    __slots__ = (
        "burst", "burst_time", "cfs", "idle", "machine", "nr_bursts", "nr_periods",
        "nr_throttled", "parent", "period", "period_end", "quota", "runtime", "se", "shares",
        "stime", "throttled", "throttled_at", "throttled_ns", "timer", "used", "utime",
    )  # fmt: skip

    def __init__(self, machine: Machine, parent: TaskGroup | None = None) -> None:
        self.machine = machine
        self.parent = parent
        above: CfsRq = parent.cfs if parent is not None else _sched(machine).fair.root
        self.cfs: CfsRq = CfsRq(self, above.nr_cpus)
        self.se = SchedEntity(None, self, above)
        self.shares = NICE_0_LOAD
        self.idle = False
        #: CPU time of the group and all below that has been charged, ns.
        self.utime = 0
        self.stime = 0
        # -- bandwidth
        self.quota: int | None = None
        self.period = 100_000_000
        self.burst = 0
        #: What may still be used in this period, ns; what was, in it.
        self.runtime = 0
        self.used = 0
        self.period_end = 0
        self.timer: Timer | None = None
        self.throttled = False
        self.throttled_at = 0
        self.throttled_ns = 0
        self.nr_periods = 0
        self.nr_throttled = 0
        self.nr_bursts = 0
        self.burst_time = 0

    # -- what can be set

    def set_weight(self, shares: int) -> None:
        """Its share against its siblings, MIN_SHARES .. MAX_SHARES (others are clamped)."""
        self.shares = max(MIN_SHARES, min(MAX_SHARES, shares))
        self._reweight()

    def set_idle(self, idle: bool) -> None:
        """All of the group as SCHED_IDLE: the least weight, and it preempts nobody."""
        self.idle = idle
        self._reweight()

    def _reweight(self) -> None:
        _sched(self.machine).update()
        weight = WEIGHT_IDLEPRIO if self.idle else self.shares
        self.se.cfs.reweight(self.se, weight)

    def set_bandwidth(self, quota: int | None, period: int, burst: int = 0) -> None:
        """At most `quota` ns of CPU time in each `period` ns, all CPUs together.

        What was not used of earlier periods may be kept up to `burst`. None: no limit. The
        caller checks the ranges.
        """
        sched = _sched(self.machine)
        sched.update()
        self.quota, self.period, self.burst = quota, period, burst
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.throttled:
            self._unthrottle()
        if quota is not None:
            sched.fair.nr_limited += self.period_end == 0
            self.runtime, self.used = quota, 0
            self.period_end = self.machine.clock.monotonic() + period
        elif self.period_end:
            sched.fair.nr_limited -= 1
            self.period_end = 0

    # -- members

    def attach(self, task: Task) -> None:
        """Move a task into this group."""
        _sched(self.machine).change_group(task, self)

    def destroy(self) -> None:
        """The group is empty and goes away."""
        self.set_bandwidth(None, self.period)

    # -- usage

    def cpu_time(self) -> tuple[int, int]:
        """User and system time of the group and all below, running tasks to this moment, ns."""
        _sched(self.machine).update()
        return self.utime, self.stime

    def throttled_time(self) -> int:
        """How long it has been throttled in all, ns."""
        now = self.machine.clock.monotonic() if self.throttled else 0
        return self.throttled_ns + (now - self.throttled_at if self.throttled else 0)

    def account(self, utime: int, stime: int) -> None:
        """Somebody in it has used CPU time (core.py: charge)."""
        group: TaskGroup | None = self
        while group is not None:
            group.utime += utime
            group.stime += stime
            group = group.parent

    # -- bandwidth (called by fair.py for groups with a quota only)

    def use(self, delta: int, now: int) -> None:
        """Fair tasks in it have used `delta` ns: throttle it when the quota is used up."""
        if now >= self.period_end and not self.throttled:
            self._next_period(now)
        self.runtime -= delta
        self.used += delta
        if self.runtime <= 0 and not self.throttled:
            self._throttle(now)

    def left(self) -> int:
        """How long its tasks may run on until the quota is used up, ns, one CPU busy."""
        return max(self.runtime, 0)

    def _next_period(self, now: int) -> None:
        assert self.quota is not None
        passed = (now - self.period_end) // self.period + 1
        self.period_end += passed * self.period
        self.nr_periods += passed
        if self.burst and self.used > self.quota:
            self.nr_bursts += 1
            self.burst_time += self.used - self.quota
        self.used = 0
        self.runtime = min(self.runtime + passed * self.quota, self.quota + self.burst)

    def _throttle(self, now: int) -> None:
        self.throttled = True
        self.throttled_at = now
        self.nr_throttled += 1
        self.timer = self.machine.timers.add(self.period_end, self)
        sched = _sched(self.machine)
        sched.fair.throttle(self)
        sched.resched_group(self)

    def _unthrottle(self) -> None:
        self.throttled = False
        self.throttled_ns += self.machine.clock.monotonic() - self.throttled_at
        _sched(self.machine).fair.unthrottle(self)

    def expire(self, now: int) -> None:
        """TimerTarget: a period ends while the group is throttled."""
        self.timer = None
        self._next_period(now)
        if self.runtime > 0:
            self._unthrottle()
        else:
            self.timer = self.machine.timers.add(self.period_end, self)


def detach(task: Task) -> None:
    """Move a task to the root group."""
    _sched(task.machine).change_group(task, None)


def within(task: Task, group: TaskGroup) -> bool:
    """Is the task in this group or below it?"""
    at: TaskGroup | None = task.sched_group
    while at is not None:
        if at is group:
            return True
        at = at.parent
    return False


def _sched(machine: Machine) -> Sched:
    sched: Sched = machine.sched  # type: ignore[assignment]
    return sched
