# SPDX-License-Identifier: Apache-2.0
"""The machine's timer queue: absolute monotonic deadlines in ns.

A timer is an object with a method ``expire(now)``; no closures, so machines can be saved.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Protocol


class TimerTarget(Protocol):
    def expire(self, now: int) -> None:
        """The deadline has passed. Must not raise."""


class Timer:
    """One armed deadline. Cancelled ones stay in the heap until they surface."""

    __slots__ = ("deadline", "target")

    def __init__(self, deadline: int, target: TimerTarget) -> None:
        self.deadline = deadline
        self.target: TimerTarget | None = target

    def cancel(self) -> None:
        self.target = None


class TimerQueue:
    """A heap of timers, ordered by deadline, then by arming order."""

    __slots__ = ("heap", "seq")

    def __init__(self) -> None:
        self.heap: list[tuple[int, int, Timer]] = []
        self.seq = 0

    def add(self, deadline: int, target: TimerTarget) -> Timer:
        timer = Timer(deadline, target)
        self.seq += 1
        heappush(self.heap, (deadline, self.seq, timer))
        if self.seq & 0xFFF == 0:
            self.compact()
        return timer

    def compact(self) -> None:
        """Drop cancelled timers, so that arming and cancelling in a loop stays bounded."""
        self.heap = [entry for entry in self.heap if entry[2].target is not None]
        heapify(self.heap)

    def next_deadline(self) -> int | None:
        heap = self.heap
        while heap and heap[0][2].target is None:
            heappop(heap)
        return heap[0][0] if heap else None

    def run(self, now: int) -> None:
        """Expire all timers due at `now`."""
        heap = self.heap
        while heap and heap[0][0] <= now:
            timer = heappop(heap)[2]
            target = timer.target
            if target is not None:
                timer.target = None
                target.expire(now)
                heap = self.heap
