# SPDX-License-Identifier: Apache-2.0
"""The stop class: tasks that are to die.

They go before all others as they need no CPU: they end before they would reach user mode.
So killing a crowd of tasks doesn't wait for those that compute.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.sched.rq import RunQueue


class StopClass:
    """Implements SchedClass."""

    __slots__ = ("queue", "sched", "waiting")

    def __init__(self, sched: RunQueue) -> None:
        self.sched = sched
        self.queue: deque[Task] = deque()
        self.waiting = 0

    def enqueue(self, task: Task, woken: bool) -> None:
        self.queue.append(task)
        self.waiting += 1
        self.sched.waiting += 1

    put_prev = enqueue

    def dequeue(self, task: Task) -> None:
        self.queue.remove(task)
        self.waiting -= 1
        self.sched.waiting -= 1

    def wants(self, task: Task, bit: int) -> bool:
        return bool(self.waiting)

    def pick(self, idle: int, now: int) -> Task | None:
        self.waiting -= 1
        self.sched.waiting -= 1
        return self.queue.popleft()

    def start_running(self, task: Task) -> None: ...

    def stop_running(self, task: Task) -> None: ...

    def charge(self, task: Task, delta: int, now: int) -> None: ...

    def gives_way(self, task: Task, over: bool) -> bool:
        return False

    def yield_task(self, task: Task) -> None: ...
