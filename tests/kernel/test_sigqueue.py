# SPDX-License-Identifier: Apache-2.0
"""The queues of pending signals against a simple model."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pygos.include.linux.sched import SigInfo, SigPending
from pygos.kernel.siginfo import siginfo_bytes
from pygos.kernel.signal import dequeue_signal, flush_sigqueue, send_sig_info
from pygos.kernel.sigqueue import SYNCHRONOUS, next_signal, sigpending_count
from tests.support.world import World

ALL = (1 << 64) - 1
SIGNALS = st.integers(1, 64).filter(lambda n: n not in (9, 19, 18, 20, 21, 22, 17, 23, 28))


class PendingModel(RuleBasedStateMachine):
    """Signals sent to a task and its group while all are blocked, then taken by any mask."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.task = self.world.process(uid=1000)
        self.task.group.rlim[11] = (1000, 1000)
        self.task.blocked = ALL & ~(1 << 8 | 1 << 18)
        #: per set: (signal, value) in order of arrival
        self.sets: dict[bool, list[tuple[int, int]]] = {False: [], True: []}

    @rule(signo=SIGNALS, group=st.booleans(), value=st.integers(0, 1000))
    def send(self, signo: int, group: bool, value: int) -> None:
        assert send_sig_info(self.task, SigInfo(signo, -1, value=value), group)
        queue = self.sets[group]
        if signo >= 32 or all(number != signo for number, _ in queue):
            queue.append((signo, value))

    @rule(mask=st.integers(0, ALL))
    def take(self, mask: int) -> None:
        info = dequeue_signal(self.task, mask)
        for group in (False, True):
            queue = self.sets[group]
            ready = [number for number, _ in queue if not mask >> (number - 1) & 1]
            if ready:
                first = [n for n in ready if SYNCHRONOUS >> (n - 1) & 1] or ready
                signo = min(first)
                entry = next(pair for pair in queue if pair[0] == signo)
                queue.remove(entry)
                assert info is not None
                assert (info.signo, info.value) == entry
                return
        assert info is None

    @rule(group=st.booleans())
    def flush(self, group: bool) -> None:
        pending = self.task.group.shared_pending if group else self.task.pending
        flush_sigqueue(self.world.machine, pending)
        self.sets[group] = []

    @invariant()
    def bits_and_charges_match(self) -> None:
        pairs: tuple[tuple[bool, SigPending], ...] = (
            (False, self.task.pending),
            (True, self.task.group.shared_pending),
        )
        for group, pending in pairs:
            mask = 0
            for number, _ in self.sets[group]:
                mask |= 1 << (number - 1)
            assert pending.mask == mask
        count = sum(map(len, self.sets.values()))
        assert sigpending_count(self.world.machine, 1000) == count


def test_pending_sets_follow_the_model() -> None:
    run_state_machine_as_test(
        PendingModel, settings=settings(max_examples=30, stateful_step_count=30, deadline=None)
    )


@given(st.integers(0, ALL), st.integers(0, ALL))
def test_next_signal_is_the_lowest_ready_one(mask: int, blocked: int) -> None:
    pending = SigPending()
    pending.mask = mask
    ready = mask & ~blocked
    signo = next_signal(pending, blocked)
    if not ready:
        assert signo == 0
    else:
        assert ready >> (signo - 1) & 1
        lower = ready & ((1 << (signo - 1)) - 1)
        assert not lower & SYNCHRONOUS
        assert not lower or 1 << (signo - 1) & SYNCHRONOUS


@given(
    st.integers(1, 64), st.integers(-70, 200), st.integers(0, ALL), st.integers(0, (1 << 31) - 1)
)
def test_siginfo_is_always_128_bytes(signo: int, code: int, addr: int, number: int) -> None:
    info = SigInfo(signo, code, pid=number, uid=number, value=addr, addr=addr, fd=number)
    data = siginfo_bytes(info)
    assert len(data) == 128
    assert int.from_bytes(data[:4], "little") == signo
    assert int.from_bytes(data[8:12], "little", signed=True) == code
