# SPDX-License-Identifier: Apache-2.0
"""epoll as programs see it: epoll(7), epoll_ctl(2), epoll_wait(2)."""

from __future__ import annotations

import itertools
from struct import pack
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.fsworld import O_CLOEXEC, O_NONBLOCK, FsWorld
from tests.support.world import DATA, SEC, result, timespec

EBADF, EEXIST, EFAULT, EINTR, EINVAL, ELOOP, ENOENT, ENOSPC, EPERM = 9, 17, 14, 4, 22, 40, 2, 28, 1
ADD, DEL, MOD = 1, 2, 3
IN, OUT, ERR, HUP, RDNORM = 1, 4, 8, 0x10, 0x40
ET, ONESHOT, EXCLUSIVE = 1 << 31, 1 << 30, 1 << 28
SIGUSR1 = 10
MS = 1_000_000


@pytest.fixture
def w() -> FsWorld:
    return FsWorld()


def make(w: FsWorld, task: Any) -> int:
    return w.ok(task, "epoll_create1", 0)


def test_level_triggered(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    ep = make(w, task)
    assert w.epoll_ctl(task, ep, ADD, r, IN, 77) == 0
    assert w.epoll_wait(task, ep) == []
    w.write(task, wr, b"xy")
    assert w.epoll_wait(task, ep) == [(77, IN)]
    w.read(task, r, 1)
    assert w.epoll_wait(task, ep) == [(77, IN)]
    w.read(task, r, 1)
    assert w.epoll_wait(task, ep) == []


def test_edge_triggered_tells_of_each_write_once(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    ep = make(w, task)
    w.epoll_ctl(task, ep, ADD, r, IN | ET)
    w.write(task, wr, b"x")
    assert w.epoll_wait(task, ep) == [(r, IN)]
    assert w.epoll_wait(task, ep) == []
    w.write(task, wr, b"x")  # there was still something to read
    assert w.epoll_wait(task, ep) == [(r, IN)]
    assert w.epoll_wait(task, ep) == []


def test_what_is_ready_when_added_is_told(w: FsWorld) -> None:
    task = w.proc()
    _, wr = w.pipe(task)
    ep = make(w, task)
    w.epoll_ctl(task, ep, ADD, wr, OUT | ET)
    assert w.epoll_wait(task, ep) == [(wr, OUT)]
    assert w.epoll_wait(task, ep) == []
    w.epoll_ctl(task, ep, MOD, wr, OUT | ET)
    assert w.epoll_wait(task, ep) == [(wr, OUT)]


def test_oneshot_is_disarmed_until_modified(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    ep = make(w, task)
    w.epoll_ctl(task, ep, ADD, r, IN | ONESHOT)
    w.write(task, wr, b"x")
    assert w.epoll_wait(task, ep) == [(r, IN)]
    w.write(task, wr, b"x")
    assert w.epoll_wait(task, ep) == []
    w.epoll_ctl(task, ep, MOD, r, IN | ONESHOT)
    assert w.epoll_wait(task, ep) == [(r, IN)]


def test_hangup_and_error_are_always_told(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    ep = make(w, task)
    w.epoll_ctl(task, ep, ADD, r, 0)
    w.epoll_ctl(task, ep, ADD, wr, 0)
    w.ok(task, "close", wr)
    assert w.epoll_wait(task, ep) == [(r, HUP)]


def test_sleeping_waiter_is_woken(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    ep = make(w, task)
    w.epoll_ctl(task, ep, ADD, r, IN, 5)
    writer = w.proc(task)
    assert w.epoll_wait(task, ep, 4, -1) is None
    w.write(writer, wr, b"x")
    assert result(task) == 1
    assert w.events(task, 1) == [(5, IN)]


def test_add_while_another_thread_waits(w: FsWorld) -> None:
    task = w.proc()
    thread = w.thread(task)
    r, wr = w.pipe(task)
    ep = make(w, task)
    assert w.epoll_wait(thread, ep, 4, -1) is None
    w.write(task, wr, b"x")
    w.epoll_ctl(task, ep, ADD, r, IN)
    assert result(thread) == 1


def test_timeout_and_signals(w: FsWorld) -> None:
    task = w.proc()
    ep = make(w, task)
    assert w.epoll_wait(task, ep, 1, 20) is None
    w.advance(20 * MS)
    assert result(task) == 0
    w.catch(task, SIGUSR1, 0x10000000)
    assert w.epoll_wait(task, ep, 1, -1) is None
    w.ok(w.proc(), "kill", task.pid, SIGUSR1)
    assert w.handled(task) == SIGUSR1
    w.sigreturn(task)
    assert result(task) == -EINTR


def test_pwait2_takes_nanoseconds_and_a_mask(w: FsWorld) -> None:
    task = w.proc()
    ep = make(w, task)
    ts = w.put(task, timespec(0, 500), 0x2000)
    mask = w.put(task, pack("<Q", 1 << (SIGUSR1 - 1)), 0x3000)
    assert w.call(task, "epoll_pwait2", ep, DATA, 1, ts, mask, 8) is None
    assert task.blocked == 1 << (SIGUSR1 - 1)
    w.advance(500)
    assert result(task) == 0
    assert task.blocked == 0


def test_events_are_served_in_turn(w: FsWorld) -> None:
    task = w.proc()
    ep = make(w, task)
    ends = []
    for _ in range(3):
        r, wr = w.pipe(task)
        w.write(task, wr, b"x")
        w.epoll_ctl(task, ep, ADD, r, IN)
        ends.append(r)
    seen = [w.epoll_wait(task, ep, 1)[0][0] for _ in range(6)]
    assert seen == ends + ends


def test_closing_a_file_removes_it(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    ep = make(w, task)
    w.epoll_ctl(task, ep, ADD, r, IN)
    w.write(task, wr, b"x")
    twin = w.ok(task, "dup", r)
    w.ok(task, "close", r)
    assert w.epoll_wait(task, ep) == [(r, IN)]  # the file is still open elsewhere
    w.ok(task, "close", twin)
    assert w.epoll_wait(task, ep) == []
    assert task.files.fd[ep].private_data.items == {}


def test_closing_the_epoll_leaves_no_trace(w: FsWorld) -> None:
    task = w.proc()
    r, _ = w.pipe(task)
    ep = make(w, task)
    w.epoll_ctl(task, ep, ADD, r, IN)
    file = task.files.fd[r]
    w.ok(task, "close", ep)
    assert not file.f_ep
    assert not file.private_data.rd_wait.waiters


def test_the_same_file_under_two_numbers(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    twin = w.ok(task, "dup", r)
    ep = make(w, task)
    w.epoll_ctl(task, ep, ADD, r, IN, 1)
    w.epoll_ctl(task, ep, ADD, twin, IN, 2)
    w.write(task, wr, b"x")
    assert sorted(w.epoll_wait(task, ep)) == [(1, IN), (2, IN)]


def test_errors_of_ctl(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    ep = make(w, task)
    assert w.epoll_ctl(task, ep, ADD, 99, IN) == -EBADF
    assert w.epoll_ctl(task, 99, ADD, r, IN) == -EBADF
    assert w.epoll_ctl(task, r, ADD, wr, IN) == -EINVAL
    assert w.epoll_ctl(task, ep, ADD, ep, IN) == -EINVAL
    assert w.epoll_ctl(task, ep, DEL, r) == -ENOENT
    assert w.epoll_ctl(task, ep, MOD, r, IN) == -ENOENT
    assert w.epoll_ctl(task, ep, ADD, r, IN) == 0
    assert w.epoll_ctl(task, ep, ADD, r, IN) == -EEXIST
    assert w.epoll_ctl(task, ep, 4, r, IN) == -EINVAL
    assert w.ok(task, "epoll_ctl", ep, MOD, r, 0x10) == -EFAULT
    assert w.ok(task, "epoll_ctl", ep, DEL, r, 0) == 0
    plain = w.open(task, b"/file", 0o102)
    assert plain is not None
    assert w.epoll_ctl(task, ep, ADD, plain, IN) == -EPERM


def test_errors_of_wait_and_create(w: FsWorld) -> None:
    task = w.proc()
    ep = make(w, task)
    assert w.epoll_wait(task, ep, 0) == -EINVAL
    assert w.ok(task, "epoll_wait", ep, DATA, -1, 0) == -EINVAL
    assert w.epoll_wait(task, 99, 1) == -EBADF
    assert w.ok(task, "epoll_create", 0) == -EINVAL
    assert w.ok(task, "epoll_create", 1) >= 0
    assert w.ok(task, "epoll_create1", 1) == -EINVAL
    fd = w.ok(task, "epoll_create1", O_CLOEXEC)
    assert w.ok(task, "fcntl", fd, 1) == 1


def test_bad_address_keeps_the_events(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    ep = make(w, task)
    w.epoll_ctl(task, ep, ADD, r, IN | ET)
    w.write(task, wr, b"x")
    assert w.ok(task, "epoll_wait", ep, 0x10, 1, 0) == -EFAULT
    assert w.epoll_wait(task, ep) == [(r, IN)]


def test_exclusive_rules(w: FsWorld) -> None:
    task = w.proc()
    r, _ = w.pipe(task)
    ep, inner = make(w, task), make(w, task)
    assert w.epoll_ctl(task, ep, ADD, r, IN | EXCLUSIVE | ONESHOT) == -EINVAL
    assert w.epoll_ctl(task, ep, ADD, inner, IN | EXCLUSIVE) == -EINVAL
    assert w.epoll_ctl(task, ep, ADD, r, IN | EXCLUSIVE | ET) == 0
    assert w.epoll_ctl(task, ep, MOD, r, IN) == -EINVAL
    assert w.epoll_ctl(task, ep, MOD, r, IN | EXCLUSIVE) == -EINVAL


def test_epoll_in_epoll(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    inner, outer = make(w, task), make(w, task)
    w.epoll_ctl(task, inner, ADD, r, IN)
    w.epoll_ctl(task, outer, ADD, inner, IN)
    assert w.epoll_wait(task, outer) == []
    waiter = w.proc(task)
    assert w.epoll_wait(waiter, outer, 1, -1) is None
    w.write(task, wr, b"x")
    assert result(waiter) == 1
    assert w.poll(task, {inner: IN, outer: IN}) == {inner: IN, outer: IN}
    w.read(task, r, 1)
    assert w.epoll_wait(task, outer) == []


def test_loops_and_deep_nesting_are_refused(w: FsWorld) -> None:
    task = w.proc()
    one, two = make(w, task), make(w, task)
    assert w.epoll_ctl(task, one, ADD, two, IN) == 0
    assert w.epoll_ctl(task, two, ADD, one, IN) == -ELOOP
    chain = [make(w, task) for _ in range(8)]
    results = [
        w.epoll_ctl(task, upper, ADD, lower, IN)
        for lower, upper in itertools.pairwise(chain)
    ]
    assert results == [0, 0, 0, 0, -ELOOP, 0, 0]


def test_wakeup_paths_are_limited(w: FsWorld) -> None:
    task = w.proc()
    task.group.rlim[7] = (4096, 4096)
    r, _ = w.pipe(task)
    middle = make(w, task)
    w.epoll_ctl(task, middle, ADD, r, IN)
    outcomes = [w.epoll_ctl(task, make(w, task), ADD, middle, IN) for _ in range(510)]
    assert outcomes.count(0) == 500
    assert set(outcomes[500:]) == {-EINVAL}


def test_watches_are_limited_per_user(w: FsWorld) -> None:
    w.machine.sysctl["fs.epoll.max_user_watches"] = 3
    task = w.proc()
    ep = make(w, task)
    ends = [w.pipe(task)[0] for _ in range(4)]
    assert [w.epoll_ctl(task, ep, ADD, r, IN) for r in ends] == [0, 0, 0, -ENOSPC]
    assert w.epoll_ctl(task, ep, DEL, ends[0]) == 0
    assert w.epoll_ctl(task, ep, ADD, ends[3], IN) == 0


def test_add_and_delete_in_a_loop_keeps_nothing(w: FsWorld) -> None:
    task = w.proc()
    _, wr = w.pipe(task)
    ep = make(w, task)
    for _ in range(300):
        w.epoll_ctl(task, ep, ADD, wr, OUT)
        w.epoll_ctl(task, ep, DEL, wr)
    assert len(task.files.fd[ep].private_data.ready) < 50
    assert w.epoll_wait(task, ep) == []


def test_child_with_a_copied_descriptor(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    ep = make(w, task)
    w.epoll_ctl(task, ep, ADD, r, IN, 9)
    child = w.proc(task)
    assert w.epoll_wait(child, ep, 1, -1) is None
    w.write(task, wr, b"x")
    assert result(child) == 1


class EpollMachine(RuleBasedStateMachine):
    """Level, edge and one-shot items over eventfds against a model of epoll(7)."""

    @initialize()
    def start(self) -> None:
        self.w = FsWorld()
        self.task = self.w.proc()
        self.ep = make(self.w, self.task)
        self.fds = [self.w.ok(self.task, "eventfd2", 0, O_NONBLOCK) for _ in range(3)]
        self.value = dict.fromkeys(self.fds, 0)
        #: fd -> [events asked, flags, pending edge, armed]
        self.items: dict[int, list[Any]] = {}

    def mask(self, fd: int) -> int:
        return (IN if self.value[fd] else 0) | OUT

    @rule(n=st.integers(0, 2), events=st.sampled_from((IN, OUT, IN | OUT)),
          how=st.sampled_from((0, ET, ONESHOT, ET | ONESHOT)))  # fmt: skip
    def add_or_modify(self, n: int, events: int, how: int) -> None:
        fd = self.fds[n]
        op = MOD if fd in self.items else ADD
        assert self.w.epoll_ctl(self.task, self.ep, op, fd, events | how) == 0
        old = self.items.get(fd)
        pending = bool(self.mask(fd) & events) or (old is not None and old[2])
        self.items[fd] = [events, how, pending, True]

    @rule(n=st.integers(0, 2))
    def delete(self, n: int) -> None:
        fd = self.fds[n]
        expected = 0 if self.items.pop(fd, None) else -ENOENT
        assert self.w.epoll_ctl(self.task, self.ep, DEL, fd) == expected

    def event(self, fd: int, key: int) -> None:
        item = self.items.get(fd)
        if item is not None and item[3] and item[0] & key:
            item[2] = True

    @rule(n=st.integers(0, 2))
    def write(self, n: int) -> None:
        fd = self.fds[n]
        assert self.w.write(self.task, fd, pack("<Q", 1)) == 8
        self.value[fd] += 1
        self.event(fd, IN)

    @rule(n=st.integers(0, 2))
    def read(self, n: int) -> None:
        fd = self.fds[n]
        got = self.w.read(self.task, fd, 8)
        if self.value[fd]:
            assert got == pack("<Q", self.value[fd])
            self.value[fd] = 0
            self.event(fd, OUT)
        else:
            assert got == -11

    @rule()
    def wait(self) -> None:
        expected = {}
        for fd, item in self.items.items():
            events, how, pending, armed = item
            ready = self.mask(fd) & events
            if not how & ET and armed and ready:
                pending = True  # level: ready again and again
            if pending and armed and ready:
                expected[fd] = ready
                item[2] = not how & (ET | ONESHOT)
                if how & ONESHOT:
                    item[3] = False
                    item[2] = False
            elif pending:
                item[2] = False
        found = self.w.epoll_wait(self.task, self.ep)
        assert dict(found) == expected
        assert len(found) == len(expected)

    @invariant()
    def limits(self) -> None:
        if hasattr(self, "w"):
            assert len(self.task.files.fd[self.ep].private_data.items) == len(self.items)


EpollMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestEpollMachine = EpollMachine.TestCase


def test_a_long_timeout_does_not_overflow(w: FsWorld) -> None:
    task = w.proc()
    ep = make(w, task)
    ts = w.put(task, timespec((1 << 62) // SEC * 4), 0x2000)
    assert w.call(task, "epoll_pwait2", ep, DATA, 1, ts, 0, 0) is None
    assert task.wait_timer is None
