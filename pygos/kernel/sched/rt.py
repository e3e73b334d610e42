# SPDX-License-Identifier: Apache-2.0
"""The real-time class: SCHED_FIFO and SCHED_RR, by priority (``task.prio``).

``prio`` is the task's own priority, or a higher one that somebody who waits for its lock
lends it. Who computes can't be ended by others who get no CPU: when fair tasks have wanted a
CPU in vain for kernel.sched_rt_runtime_us, they go first for the rest of
kernel.sched_rt_period_us. (That counts time, not CPU time, as does Linux's fair server: what
the host does between two guests is nobody's CPU time.)
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from pygos.include.uapi.sched import SCHED_RESET_ON_FORK, SCHED_RR

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.sched.rq import RunQueue

_POLICY: Final = ~SCHED_RESET_ON_FORK


class RtClass:
    """Implements SchedClass."""

    __slots__ = ("queues", "rotates", "sched", "starving", "throttled", "told", "waiting")

    def __init__(self, sched: RunQueue) -> None:
        self.sched = sched
        #: Waiting tasks by priority, the next one first; no empty queue is kept.
        self.queues: dict[int, deque[Task]] = {}
        self.waiting = 0
        #: The running task that yielded, or has used up its slice, goes behind its equals.
        self.rotates: Task | None = None
        #: By CPU: since when fair tasks want it in vain; 0: they don't, or have just had it.
        self.starving = [0] * sched.machine.nr_cpus
        #: Fair tasks go first for a moment.
        self.throttled = False
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
        if self.throttled and self.sched.fair.root.wanted() & idle:
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
        if self.throttled and self.sched.fair.root.wanted() >> task.cpu_nr & 1:
            return True
        return other is not None and other.prio > task.prio

    def yield_task(self, task: Task) -> None:
        self.rotates = task

    # -- throttling

    def charge(self, task: Task, delta: int, now: int) -> None:
        if not self.throttled:
            cpu, fair = task.cpu_nr, self.sched.fair
            if not fair.waiting or not fair.root.wanted() >> cpu & 1:
                self.starving[cpu] = 0
            elif not self.starving[cpu]:
                self.starving[cpu] = now
            else:
                self._check_starving(now - self.starving[cpu], now)

    def _check_starving(self, wanted: int, now: int) -> None:
        """Fair tasks have wanted a CPU for so long and not had it, ns."""
        sysctl = self.sched.machine.sysctl
        runtime = int(sysctl.get("kernel.sched_rt_runtime_us", 950_000)) * 1000
        period = int(sysctl.get("kernel.sched_rt_period_us", 1_000_000)) * 1000
        if not 0 <= runtime < period or wanted < runtime:
            return
        sched = self.sched
        if not self.told:
            self.told = True
            sched.machine.printk.notice("sched: RT throttling activated")
        self.throttled = True
        sched.machine.timers.add(now + period - runtime, self)
        for task in sched.running:
            if task.sched_class is self:
                sched.resched(task)

    def expire(self, now: int) -> None:
        """TimerTarget: fair tasks have had their part."""
        self.throttled = False
        self.starving = [0] * len(self.starving)
        if self.waiting:
            for task in self.sched.running:
                if task.sched_class is self.sched.fair:
                    self.sched.resched(task)
