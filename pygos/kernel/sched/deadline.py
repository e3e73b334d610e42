# SPDX-License-Identifier: Apache-2.0
"""The deadline class: SCHED_DEADLINE, earliest deadline first with constant bandwidth.

A task may run `runtime` ns in each `period`, and gets them before `deadline` ns of it have
passed; who has used them up is not run before the next period. What is promised in all is
kept below what real-time tasks may use of the CPUs (kernel.sched_rt_runtime_us).
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

from pygos.include.linux.sched import SigInfo
from pygos.include.uapi.sched import SCHED_FLAG_DL_OVERRUN
from pygos.include.uapi.signal import SI_KERNEL, SIGXCPU

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.include.linux.timer import Timer
    from pygos.kernel.sched.rq import RunQueue

#: Bandwidths are fractions of a CPU, shifted left by this.
BW_SHIFT: Final = 20
#: The least runtime, ns (1 << DL_SCALE).
MIN_RUNTIME: Final = 1 << 10
#: task.prio of a deadline task: above every real-time priority.
DL_PRIO: Final = 100
_GARBAGE: Final = 64


class DlEntity:
    """Parameters and state of one task (struct sched_dl_entity); it is in ``task.dl``."""

    __slots__ = (
        "bandwidth", "deadline", "due", "flags", "left", "period", "runtime", "sched", "stamp",
        "task", "throttled", "timer",
    )  # fmt: skip

    def __init__(self, task: Task, runtime: int, deadline: int, period: int, flags: int) -> None:
        self.task = task
        self.sched: RunQueue = task.machine.sched  # type: ignore[assignment]
        #: What was asked for, ns; `period` may be 0 for that of the deadline.
        self.runtime = runtime
        self.deadline = deadline
        self.period = period
        self.flags = flags
        self.bandwidth = (runtime << BW_SHIFT) // (period or deadline)
        #: What is left of the runtime; until when it should be had.
        self.left = 0
        self.due = 0
        #: Out of runtime until the next period.
        self.throttled = False
        self.timer: Timer | None = None
        #: The valid entry in the heap; 0: none.
        self.stamp = 0

    def next_period(self) -> int:
        """When the runtime is filled up again."""
        return self.due - self.deadline + (self.period or self.deadline)

    def refill(self, now: int) -> None:
        """Runtime for as many periods as it takes to have some; a new start if late."""
        while self.left <= 0 and self.due > now - (self.period or self.deadline):
            self.due += self.period or self.deadline
            self.left += self.runtime
        if self.left <= 0 or self.due < now:
            self.due, self.left = now + self.deadline, self.runtime
        self.throttled = False

    def expire(self, now: int) -> None:
        """TimerTarget: the next period of a throttled task begins."""
        self.timer = None
        self.sched.dl.unthrottle(self, now)


def _entity(task: Task) -> DlEntity:
    dl: DlEntity = task.dl
    return dl


class DeadlineClass:
    """Implements SchedClass."""

    __slots__ = ("heap", "sched", "stamp", "total", "waiting")

    def __init__(self, sched: RunQueue) -> None:
        self.sched = sched
        #: Waiting tasks that are not throttled: (due, stamp, task).
        self.heap: list[tuple[int, int, Task]] = []
        self.stamp = 0
        self.waiting = 0
        #: The sum of the bandwidths that have been promised.
        self.total = 0

    # -- the heap

    def _push(self, dl: DlEntity) -> None:
        self.stamp = dl.stamp = self.stamp + 1
        heappush(self.heap, (dl.due, dl.stamp, dl.task))
        self.waiting += 1
        self.sched.waiting += 1
        if len(self.heap) > 2 * self.waiting + _GARBAGE:
            self.heap = [entry for entry in self.heap if _valid(entry)]
            heapify(self.heap)

    def _drop(self, dl: DlEntity) -> None:
        dl.stamp = 0
        self.waiting -= 1
        self.sched.waiting -= 1

    def _find(self, idle: int) -> Task | None:
        heap = self.heap
        while heap and not _valid(heap[0]):
            heappop(heap)
        if heap and (heap[0][2].cpus_allowed or -1) & idle:
            return heap[0][2]
        fit = [e for e in heap if _valid(e) and (e[2].cpus_allowed or -1) & idle]
        return min(fit)[2] if fit else None

    # -- SchedClass

    def enqueue(self, task: Task, woken: bool) -> None:
        dl, now = _entity(task), self.sched.machine.clock.monotonic()
        if dl.throttled:
            self._sleep(dl, now)
            return
        # Woken with more runtime than it may use by its deadline without taking from others?
        if dl.due <= now or dl.left * dl.deadline > (dl.due - now) * dl.runtime:
            dl.due, dl.left = now + dl.deadline, dl.runtime
        self._push(dl)

    def _sleep(self, dl: DlEntity, now: int) -> None:
        """A throttled task waits for its next period."""
        if dl.timer is None:
            when = dl.next_period()
            if when <= now:
                dl.refill(now)
                self._push(dl)
            else:
                dl.timer = self.sched.machine.timers.add(when, dl)

    def unthrottle(self, dl: DlEntity, now: int) -> None:
        """The next period begins."""
        dl.refill(now)
        task = dl.task
        if task.on_rq and task.sched_class is self:
            self._push(dl)
            self.sched.check_preempt(task)

    def dequeue(self, task: Task) -> None:
        dl = _entity(task)
        if dl.stamp:
            self._drop(dl)
        if dl.timer is not None:
            dl.timer.cancel()
            dl.timer = None

    def wants(self, task: Task, bit: int) -> bool:
        return self._find(bit) is not None

    def pick(self, idle: int, now: int) -> Task | None:
        task = self._find(idle)
        if task is not None:
            self._drop(task.dl)
        return task

    def put_prev(self, task: Task, head: bool) -> None:
        dl = _entity(task)
        if dl.throttled:
            self._sleep(dl, self.sched.machine.clock.monotonic())
        else:
            self._push(dl)

    def start_running(self, task: Task) -> None:
        dl, now = _entity(task), self.sched.machine.clock.monotonic()
        dl.due, dl.left, dl.throttled = now + dl.deadline, dl.runtime, False

    def stop_running(self, task: Task) -> None: ...

    def charge(self, task: Task, delta: int, now: int) -> None:
        dl = _entity(task)
        dl.left -= delta
        if dl.left <= 0 and not dl.throttled:
            dl.throttled = True
            if dl.flags & SCHED_FLAG_DL_OVERRUN and task.alive:
                # Sent later: this may be in the middle of anything.
                self.sched.machine.timers.add(now, Overrun(task))

    def gives_way(self, task: Task, over: bool) -> bool:
        dl = _entity(task)
        if dl.throttled:
            return True
        other = self._find(1 << task.cpu_nr)
        return other is not None and _entity(other).due < dl.due

    def yield_task(self, task: Task) -> None:
        """No more runtime is needed in this period."""
        dl = _entity(task)
        dl.left = 0
        dl.throttled = True

    # -- admission

    def admit(self, task: Task, bandwidth: int) -> bool:
        """May a task have this bandwidth (instead of what it has)?"""
        sysctl = self.sched.machine.sysctl
        runtime = int(sysctl.get("kernel.sched_rt_runtime_us", 950_000))
        period = int(sysctl.get("kernel.sched_rt_period_us", 1_000_000))
        if runtime < 0:
            return True
        old = _entity(task).bandwidth if task.dl is not None else 0
        most = (runtime << BW_SHIFT) // period * self.sched.machine.nr_cpus
        return self.total - old + bandwidth <= most

    def release(self, task: Task) -> None:
        """The task gives its bandwidth back; it doesn't wait here."""
        dl = _entity(task)
        self.total -= dl.bandwidth
        if dl.timer is not None:
            dl.timer.cancel()
            dl.timer = None
        task.dl = None


def _valid(entry: tuple[int, int, Task]) -> bool:
    dl = entry[2].dl
    return dl is not None and bool(dl.stamp == entry[1])


class Overrun:
    """TimerTarget: SIGXCPU for a task that has used up its runtime and wants to know."""

    __slots__ = ("task",)

    def __init__(self, task: Task) -> None:
        self.task = task

    def expire(self, now: int) -> None:
        if self.task.alive:
            from pygos.kernel.sigsend import send_sig_info

            send_sig_info(self.task, SigInfo(SIGXCPU, SI_KERNEL), True)
