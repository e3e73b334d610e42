# SPDX-License-Identifier: Apache-2.0
"""Semaphore sets against a model that tries every sleeper again after every change."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pygos.include.errno import ERANGE
from pygos.include.linux.sched import SemUndoList, Task
from pygos.ipc.namespace import ipc_state
from pygos.ipc.semarray import (
    SemArray,
    SemOp,
    SemQueue,
    SemUndo,
    count_waiters,
    dequeue,
    enqueue,
    perform_ops,
    update_queue,
)
from tests.support.kernel import boot

NSEMS = 3
SEM_UNDO = 0x1000
OPS = st.lists(
    st.tuples(st.integers(0, NSEMS - 1), st.integers(-3, 3), st.sampled_from([0, 0, 0, SEM_UNDO])),
    min_size=1,
    max_size=4,
)


def try_ops(values: list[int], ops: list[SemOp]) -> list[int] | None:
    """The values afterwards, or None if the operations must wait."""
    new = list(values)
    for num, change, _ in ops:
        if (change == 0 and new[num]) or new[num] + change < 0:
            return None
        new[num] += change
    return new


class Semaphores(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        kernel = boot()
        self.machine = kernel.machine
        self.task = kernel.task
        self.state = ipc_state(self.machine)
        self.sma = SemArray(self.task, 0, 0o600, NSEMS)
        self.values = [0] * NSEMS
        #: Those who wait, in order, and what is undone for each process.
        self.pending: list[SemQueue] = []
        self.adjust: dict[SemUndoList, list[int]] = {}

    def process(self) -> tuple[Task, SemUndoList, SemUndo]:
        task = Task(self.machine, 100 + len(self.adjust))
        owner = SemUndoList()
        undo = SemUndo(self.state, owner, self.sma)
        self.state.charge(128)
        owner.undos[self.sma] = undo
        self.sma.undos[undo] = None
        self.adjust[owner] = [0] * NSEMS
        return task, owner, undo

    def note(self, queue: SemQueue) -> None:
        assert queue.undo is not None
        adjust = self.adjust[queue.undo.owner]
        for num, change, flags in queue.ops:
            if flags & SEM_UNDO:
                adjust[num] -= change

    def settle(self) -> None:
        """What Linux does, the simple way: those who wait for zero first, then in order."""
        progress = True
        while progress:
            progress = False
            for queue in sorted(self.pending, key=lambda q: any(op[1] for op in q.ops)):
                new = try_ops(self.values, queue.ops)
                if new is None:
                    continue
                changed = new != self.values
                self.values = new
                self.note(queue)
                self.pending.remove(queue)
                assert queue.error is None
                if changed:
                    progress = True
                    break

    @rule(ops=OPS)
    def operate(self, ops: list[SemOp]) -> None:
        task, _, undo = self.process()
        queue = SemQueue(task, self.sma, ops, undo)
        new = try_ops(self.values, ops)
        assert perform_ops(self.sma, queue) is (new is not None)
        if new is None:
            enqueue(self.sma, queue)
            self.pending.append(queue)
            return
        self.values = new
        self.note(queue)
        update_queue(self.sma, [op[0] for op in ops if op[1]])
        self.settle()

    @rule(num=st.integers(0, NSEMS - 1), value=st.integers(0, 5))
    def set_value(self, num: int, value: int) -> None:
        for undo in self.sma.undos:
            undo.forget(num)
        for adjust in self.adjust.values():
            adjust[num] = 0
        self.sma.vals[num] = value
        self.values[num] = value
        update_queue(self.sma, [num])
        self.settle()

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def interrupt(self, data: st.DataObject) -> None:
        queue = data.draw(st.sampled_from(self.pending))
        self.pending.remove(queue)
        dequeue(self.sma, queue)

    @rule(data=st.data())
    @precondition(lambda self: self.adjust)
    def end(self, data: st.DataObject) -> None:
        """A process that doesn't sleep ends: it gives back what it took."""
        asleep = {queue.undo.owner for queue in self.pending if queue.undo is not None}
        awake = [owner for owner in self.adjust if owner not in asleep]
        if not awake:
            return
        owner = data.draw(st.sampled_from(awake))
        adjust = self.adjust.pop(owner)
        self.values = [max(v + a, 0) for v, a in zip(self.values, adjust, strict=True)]
        owner.release(self.task)
        self.settle()

    @invariant()
    def same(self) -> None:
        assert list(self.sma.vals) == self.values
        waiting = [queue for queues in self.sma.waiting.values() for queue in queues]
        assert set(waiting) == set(self.pending)
        assert all(queue.error is False for queue in waiting)
        stopped = sum(count_waiters(self.sma, n, z) for n in range(NSEMS) for z in (False, True))
        assert stopped == len(self.pending)
        charged = sum(128 * (len(undo.adj) + 1) for undo in self.sma.undos)
        assert self.state.charged == charged


TestSemaphores = Semaphores.TestCase
TestSemaphores.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_value_out_of_range_changes_nothing() -> None:
    kernel = boot()
    sma = SemArray(kernel.task, 0, 0o600, 2)
    queue = SemQueue(kernel.task, sma, [(0, 5, 0), (1, 32767, 0), (1, 1, 0)], None)
    with pytest.raises(ERANGE):
        perform_ops(sma, queue)
    assert list(sma.vals) == [0, 0]
