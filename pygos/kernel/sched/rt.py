# SPDX-License-Identifier: Apache-2.0
"""The real-time class: SCHED_FIFO and SCHED_RR, by priority (``task.prio``).

``prio`` is the task's own priority, or a higher one that somebody who waits for its lock
lends it. Of each `period` real-time tasks get `runtime` if fair ones wait for a CPU
(kernel.sched_rt_runtime_us, kernel.sched_rt_period_us), so that a loop can be ended.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from pygos.include.uapi.sched import SCHED_RESET_ON_FORK, SCHED_RR

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.include.linux.timer import Timer
    from pygos.kernel.sched.rq import RunQueue

_POLICY: Final = ~SCHED_RESET_ON_FORK


class RtClass:
    """Implements SchedClass."""

    __slots__ = (
        "period_end", "queues", "rotates", "sched", "throttled", "timer", "told", "used",
        "waiting",
    )  # fmt: skip

    def __init__(self, sched: RunQueue) -> None:
        self.sched = sched
        #: Waiting tasks by priority, the next one first; no empty queue is kept.
        self.queues: dict[int, deque[Task]] = {}
        self.waiting = 0
        #: The running task that yielded, or has used up its slice, goes behind its equals.
        self.rotates: Task | None = None
        self.used = 0
        self.period_end = 0
        self.throttled = False
        self.timer: Timer | None = None
        self.told = False

    def _add(self, task: Task, head: bool) -> None:
        queue = self.queues.get(task.prio)
        if queue is None:
            queue = self.queues[task.prio] = deque()
        if head:
            queue.appendleft(task)
        else:
            queue.append(task)
        self.waiting += 1
        self.sched.waiting += 1

    def enqueue(self, task: Task, woken: bool) -> None:
        if woken:
            task.se.rt_timeout = 0
        self._add(task, False)

    def enqueue_head(self, task: Task) -> None:
        """Its priority was lowered: it comes before its new equals."""
        self._add(task, True)

    def dequeue(self, task: Task) -> None:
        queue = self.queues[task.prio]
        queue.remove(task)
        if not queue:
            del self.queues[task.prio]
        self.waiting -= 1
        self.sched.waiting -= 1

    def _find(self, idle: int) -> Task | None:
        for prio in sorted(self.queues, reverse=True):
            for task in self.queues[prio]:
                if (task.cpus_allowed or -1) & idle:
                    return task
        return None

    def wants(self, task: Task, bit: int) -> bool:
        """Does a task here go before one of a lower class?"""
        return not self.throttled and self._find(bit) is not None

    def pick(self, idle: int, now: int) -> Task | None:
        if self.throttled and self.sched.fair.waiting:
            return None
        task = self._find(idle)
        if task is not None:
            self.dequeue(task)
        return task

    def put_prev(self, task: Task, head: bool) -> None:
        rotates, self.rotates = self.rotates is task, None
        self._add(task, not rotates)

    def start_running(self, task: Task) -> None: ...

    def stop_running(self, task: Task) -> None:
        if self.rotates is task:
            self.rotates = None

    def gives_way(self, task: Task, over: bool) -> bool:
        if over and task.policy & _POLICY == SCHED_RR:
            self.rotates = task
        other = self._find(1 << task.cpu_nr)
        if other is not None and other.prio == task.prio and self.rotates is task:
            return True
        self.rotates = None
        if self.throttled and self.sched.fair.waiting:
            return True
        return other is not None and other.prio > task.prio

    def yield_task(self, task: Task) -> None:
        self.rotates = task

    # -- throttling

    def charge(self, task: Task, delta: int, now: int) -> None:
        sysctl = self.sched.machine.sysctl
        runtime = int(sysctl.get("kernel.sched_rt_runtime_us", 950_000)) * 1000
        period = int(sysctl.get("kernel.sched_rt_period_us", 1_000_000)) * 1000
        if not 0 <= runtime < period:
            return
        if now >= self.period_end:
            self.period_end = now + period
            self.used = min(delta, runtime)
        else:
            self.used += delta
        if self.used > runtime * self.sched.machine.nr_cpus and not self.throttled:
            self._throttle()

    def _throttle(self) -> None:
        sched = self.sched
        if not self.told:
            self.told = True
            sched.machine.printk.notice("sched: RT throttling activated")
        self.throttled = True
        self.timer = sched.machine.timers.add(self.period_end, self)
        if sched.fair.waiting:
            for task in sched.running:
                if task.prio:
                    sched.resched(task)

    def expire(self, now: int) -> None:
        """TimerTarget: a new period begins."""
        self.throttled = False
        self.timer = None
        self.used = 0
        if self.waiting:
            for task in self.sched.running:
                if not task.prio:
                    self.sched.resched(task)
