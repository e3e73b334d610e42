# SPDX-License-Identifier: Apache-2.0
"""Timers expire in order, at their time, once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pygos.include.linux.timer import Timer, TimerQueue

TIMES = st.integers(0, 50)


class Target:
    """Remembers when it was called."""

    def __init__(self, log: list[tuple[int, int]], number: int) -> None:
        self.log = log
        self.number = number

    def expire(self, now: int) -> None:
        self.log.append((now, self.number))


@given(st.lists(TIMES), st.lists(st.integers(0, 10)))
def test_timers_expire_in_order_and_not_before_their_time(
    deadlines: list[int], steps: list[int]
) -> None:
    queue, log, now = TimerQueue(), [], 0
    for number, deadline in enumerate(deadlines):
        queue.add(deadline, Target(log, number))
    due = sorted((deadline, number) for number, deadline in enumerate(deadlines))
    for step in [*steps, 100]:
        now += step
        queue.run(now)
        assert [n for _, n in log] == [n for d, n in due if d <= now]
        left = [d for d, _ in due if d > now]
        assert queue.next_deadline() == (left[0] if left else None)


@given(st.lists(st.tuples(TIMES, st.booleans())))
def test_cancelled_timers_never_expire(plan: list[tuple[int, bool]]) -> None:
    queue, log = TimerQueue(), []
    timers = [queue.add(when, Target(log, number)) for number, (when, _) in enumerate(plan)]
    for timer, (_, cancel) in zip(timers, plan, strict=True):
        if cancel:
            timer.cancel()
    kept = [when for when, cancel in plan if not cancel]
    assert queue.next_deadline() == (min(kept) if kept else None)
    queue.compact()
    queue.run(100)
    expected = sorted((when, n) for n, (when, cancel) in enumerate(plan) if not cancel)
    assert [n for _, n in log] == [n for _, n in expected]


def test_arming_and_cancelling_for_ever_stays_small() -> None:
    queue = TimerQueue()
    for n in range(20_000):
        queue.add(1_000_000 + n, Target([], n)).cancel()
    assert len(queue.heap) <= 4096


def test_a_target_may_arm_itself_again() -> None:
    class Periodic:
        def __init__(self, queue: TimerQueue) -> None:
            self.queue = queue
            self.times: list[int] = []

        def expire(self, now: int) -> None:
            self.times.append(now)
            self.queue.add(now + 10, self)

    queue = TimerQueue()
    periodic = Periodic(queue)
    queue.add(10, periodic)
    for now in (5, 10, 15, 20, 25, 30):
        queue.run(now)
    assert periodic.times == [10, 20, 30]


def test_a_target_may_cancel_another_due_now() -> None:
    class Killer:
        def __init__(self) -> None:
            self.victim: Timer | None = None

        def expire(self, now: int) -> None:
            assert self.victim is not None
            self.victim.cancel()

    queue, log, killer = TimerQueue(), [], Killer()
    queue.add(1, killer)
    killer.victim = queue.add(1, Target(log, 0))
    queue.run(1)
    assert log == []


def test_a_timer_knows_when_it_has_expired() -> None:
    queue = TimerQueue()
    timer = queue.add(1, Target([], 0))
    queue.run(1)
    assert timer.target is None
    timer.cancel()


def test_arming_many_in_an_expiry_keeps_the_queue_whole() -> None:
    """The heap may be rebuilt while it is run."""

    class Burst:
        def __init__(self, queue: TimerQueue, log: list[tuple[int, int]]) -> None:
            self.queue = queue
            self.log = log

        def expire(self, now: int) -> None:
            for n in range(5000):
                self.queue.add(now + 1, Target([], n)).cancel()
            self.queue.add(now, Target(self.log, 1))

    queue: TimerQueue = TimerQueue()
    log: list[tuple[int, int]] = []
    queue.add(1, Burst(queue, log))
    queue.add(2, Target(log, 2))
    queue.run(2)
    assert log == [(2, 2), (2, 1)]
