# SPDX-License-Identifier: Apache-2.0
"""eventfd(2), timerfd_create(2), signalfd(2), splice(2)."""

from __future__ import annotations

from struct import pack, unpack
from typing import Any

import pytest

from tests.support.fsworld import O_NONBLOCK, FsWorld
from tests.support.world import DATA, SEC, result, timespec

EAGAIN, EBADF, EINVAL, EPERM, ESPIPE, ECANCELED = 11, 9, 22, 1, 29, 125
IN, OUT, ERR = 1, 4, 8
SIGUSR1, SIGUSR2, SIGRTMIN = 10, 12, 34
REALTIME, MONOTONIC = 0, 1
MAX = (1 << 64) - 2


@pytest.fixture
def w() -> FsWorld:
    return FsWorld()


def u64(value: int) -> bytes:
    return pack("<Q", value)


# -- eventfd


def test_eventfd_counts(w: FsWorld) -> None:
    task = w.proc()
    fd = w.ok(task, "eventfd2", 3, O_NONBLOCK)
    w.write(task, fd, u64(4))
    assert w.poll(task, {fd: IN | OUT}) == {fd: IN | OUT}
    assert w.read(task, fd, 8) == u64(7)
    assert w.read(task, fd, 8) == -EAGAIN
    assert w.poll(task, {fd: IN | OUT}) == {fd: OUT}


def test_eventfd_semaphore(w: FsWorld) -> None:
    task = w.proc()
    fd = w.ok(task, "eventfd2", 2, 1 | O_NONBLOCK)
    assert w.read(task, fd, 8) == u64(1)
    assert w.read(task, fd, 8) == u64(1)
    assert w.read(task, fd, 8) == -EAGAIN


def test_eventfd_blocks_both_ways(w: FsWorld) -> None:
    task = w.proc()
    fd = w.ok(task, "eventfd2", 0, 0)
    other = w.proc(task)
    assert w.read(task, fd, 8) is None
    w.write(other, fd, u64(1))
    assert w.got(task) == u64(1)
    assert w.write(task, fd, u64(MAX)) == 8
    assert w.write(task, fd, u64(1)) is None
    assert w.poll(other, {fd: OUT}) == {}
    assert w.read(other, fd, 8) == u64(MAX)
    assert result(task) == 8


def test_eventfd_limits(w: FsWorld) -> None:
    task = w.proc()
    fd = w.ok(task, "eventfd2", 0, O_NONBLOCK)
    assert w.write(task, fd, u64(MAX + 1)) == -EINVAL
    assert w.write(task, fd, b"1234") == -EINVAL
    assert w.read(task, fd, 7) == -EINVAL
    assert w.ok(task, "eventfd2", 0, 2) == -EINVAL


# -- timerfd


def settime(w: FsWorld, task: Any, fd: int, value: bytes, every: bytes, flags: int = 0) -> int:
    addr = w.put(task, every + value, 0x2000)
    return w.ok(task, "timerfd_settime", fd, flags, addr, 0)


def test_timer_expires_once(w: FsWorld) -> None:
    task = w.proc()
    fd = w.ok(task, "timerfd_create", MONOTONIC, 0)
    settime(w, task, fd, timespec(1), timespec(0))
    assert w.read(task, fd, 8) is None
    w.advance(SEC)
    assert w.got(task) == u64(1)
    w.advance(5 * SEC)
    assert w.poll(task, {fd: IN}) == {}


def test_periodic_timer_counts_what_nobody_read(w: FsWorld) -> None:
    task = w.proc()
    fd = w.ok(task, "timerfd_create", MONOTONIC, O_NONBLOCK)
    settime(w, task, fd, timespec(0, 100), timespec(0, 100))
    w.advance(1050)
    assert w.poll(task, {fd: IN}) == {fd: IN}
    assert w.read(task, fd, 8) == u64(10)
    assert w.read(task, fd, 8) == -EAGAIN
    w.advance(50)
    assert w.read(task, fd, 8) == u64(1)
    # A fast timer that nobody reads costs one event.
    assert len(w.machine.timers.heap) <= 2


def test_gettime_and_disarm(w: FsWorld) -> None:
    task = w.proc()
    fd = w.ok(task, "timerfd_create", MONOTONIC, O_NONBLOCK)
    settime(w, task, fd, timespec(10), timespec(3))
    w.advance(4 * SEC)
    addr = DATA + 0x3000
    assert w.ok(task, "timerfd_gettime", fd, addr) == 0
    assert w.get(task, addr, 32) == timespec(3) + timespec(6)
    settime(w, task, fd, timespec(0), timespec(0))
    w.advance(60 * SEC)
    assert w.read(task, fd, 8) == -EAGAIN


def test_absolute_times_follow_the_clock(w: FsWorld) -> None:
    task = w.proc()
    fd = w.ok(task, "timerfd_create", REALTIME, O_NONBLOCK)
    now = w.clock.realtime() // SEC
    settime(w, task, fd, timespec(now + 100), timespec(0), 1)
    w.advance(99 * SEC)
    assert w.read(task, fd, 8) == -EAGAIN
    w.advance(SEC)
    assert w.read(task, fd, 8) == u64(1)


def test_setting_the_clock_moves_and_cancels_timers(w: FsWorld) -> None:
    task = w.proc()
    plain = w.ok(task, "timerfd_create", REALTIME, O_NONBLOCK)
    watcher = w.ok(task, "timerfd_create", REALTIME, O_NONBLOCK)
    now = w.clock.realtime() // SEC
    settime(w, task, plain, timespec(now + 1000), timespec(0), 1)
    settime(w, task, watcher, timespec(now + 1000), timespec(0), 3)
    addr = w.put(task, timespec(now + 2000), 0x4000)
    assert w.ok(task, "clock_settime", REALTIME, addr) == 0
    w.advance(1)
    assert w.read(task, plain, 8) == u64(1)
    assert w.read(task, watcher, 8) == -ECANCELED


def test_timerfd_errors(w: FsWorld) -> None:
    task = w.proc()
    assert w.ok(task, "timerfd_create", 5, 0) == -EINVAL
    assert w.ok(task, "timerfd_create", MONOTONIC, 1) == -EINVAL
    assert w.ok(w.proc(uid=5), "timerfd_create", 8, 0) == -EPERM
    fd = w.ok(task, "timerfd_create", MONOTONIC, 0)
    assert settime(w, task, fd, timespec(0, SEC), timespec(0)) == -EINVAL
    assert settime(w, task, fd, timespec(0), timespec(0), 4) == -EINVAL
    assert settime(w, task, 99, timespec(0), timespec(0)) == -EBADF
    r, _ = w.pipe(task)
    assert settime(w, task, r, timespec(0), timespec(0)) == -EINVAL


# -- signalfd


def bits(*signals: int) -> bytes:
    return u64(sum(1 << (signo - 1) for signo in signals))


def test_signalfd_reads_blocked_signals(w: FsWorld) -> None:
    task = w.proc()
    task.blocked = 1 << (SIGUSR1 - 1) | 1 << (SIGRTMIN - 1)
    mask = w.put(task, bits(SIGUSR1, SIGRTMIN), 0x2000)
    fd = w.ok(task, "signalfd4", -1, mask, 8, 0)
    assert w.poll(task, {fd: IN}) == {}
    assert w.read(task, fd, 256) is None
    sender = w.proc()
    w.ok(sender, "kill", task.pid, SIGUSR1)
    record = w.got(task)
    assert isinstance(record, bytes)
    assert len(record) == 128
    signo, _errno, code, pid = unpack("<iiiI", record[:16])
    assert (signo, code, pid) == (SIGUSR1, 0, sender.pid)
    for _ in range(2):
        w.ok(sender, "kill", task.pid, SIGRTMIN)
    assert w.poll(task, {fd: IN}) == {fd: IN}
    data = w.read(task, fd, 1024)
    assert isinstance(data, bytes)
    assert len(data) == 256


def test_signalfd_wakes_pollers_and_epoll(w: FsWorld) -> None:
    task = w.proc()
    task.blocked = 1 << (SIGUSR2 - 1)
    fd = w.ok(task, "signalfd4", -1, w.put(task, bits(SIGUSR2), 0x2000), 8, O_NONBLOCK)
    ep = w.ok(task, "epoll_create1", 0)
    w.epoll_ctl(task, ep, 1, fd, IN)
    assert w.epoll_wait(task, ep, 1, -1) is None
    w.ok(w.proc(), "kill", task.pid, SIGUSR2)
    assert result(task) == 1
    assert w.read(task, fd, 100) == -EINVAL
    assert len(w.read(task, fd, 128)) == 128  # type: ignore[arg-type]
    assert w.read(task, fd, 128) == -EAGAIN


def test_signalfd_mask_can_be_changed(w: FsWorld) -> None:
    task = w.proc()
    task.blocked = 1 << (SIGUSR1 - 1)
    fd = w.ok(task, "signalfd4", -1, w.put(task, bits(SIGUSR2), 0x2000), 8, O_NONBLOCK)
    w.ok(w.proc(), "kill", task.pid, SIGUSR1)
    assert w.read(task, fd, 128) == -EAGAIN
    assert w.ok(task, "signalfd4", fd, w.put(task, bits(SIGUSR1), 0x2000), 8, 0) == fd
    assert len(w.read(task, fd, 128)) == 128  # type: ignore[arg-type]
    assert w.ok(task, "signalfd4", -1, DATA, 4, 0) == -EINVAL
    r, _ = w.pipe(task)
    assert w.ok(task, "signalfd4", r, DATA, 8, 0) == -EINVAL
    assert w.ok(task, "signalfd4", 99, DATA, 8, 0) == -EBADF


# -- splice, tee, vmsplice


def test_splice_from_a_file_into_a_pipe_and_back(w: FsWorld) -> None:
    task = w.proc()
    source = w.open(task, b"/in", 0o102)
    sink = w.open(task, b"/out", 0o102)
    assert source is not None
    assert sink is not None
    w.write(task, source, b"0123456789")
    r, wr = w.pipe(task)
    at = w.put(task, u64(2), 0x2000)
    assert w.ok(task, "splice", source, at, wr, 0, 5, 0) == 5
    assert w.get(task, at, 8) == u64(7)
    assert w.ok(task, "splice", r, 0, sink, 0, 100, 0) == 5
    assert w.ok(task, "pread64", sink, DATA, 10, 0) == 5
    assert w.get(task, DATA, 5) == b"23456"


def test_splice_waits_for_the_pipe(w: FsWorld) -> None:
    task = w.proc()
    sink = w.open(task, b"/out", 0o102)
    assert sink is not None
    r, wr = w.pipe(task)
    writer = w.proc(task)
    assert w.ok(task, "splice", r, 0, sink, 0, 10, 2) == -EAGAIN
    assert w.call(task, "splice", r, 0, sink, 0, 10, 0) is None
    w.write(writer, wr, b"abc")
    assert result(task) == 3


def test_tee_copies_and_splice_moves_between_pipes(w: FsWorld) -> None:
    task = w.proc()
    r1, w1 = w.pipe(task)
    r2, w2 = w.pipe(task)
    w.write(task, w1, b"hello")
    assert w.ok(task, "tee", r1, w2, 4, 0) == 4
    assert w.read(task, r2, 9) == b"hell"
    assert w.ok(task, "splice", r1, 0, w2, 0, 100, 0) == 5
    assert w.read(task, r2, 9) == b"hello"
    assert w.ok(task, "splice", r1, 0, w2, 0, 100, 2) == -EAGAIN
    assert w.ok(task, "tee", r1, w1, 4, 0) == -EINVAL


def test_splice_errors(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    file = w.open(task, b"/x", 0o102)
    assert file is not None
    assert w.ok(task, "splice", file, 0, file, 0, 1, 0) == -EINVAL
    assert w.ok(task, "splice", wr, 0, file, 0, 1, 0) == -EBADF
    assert w.ok(task, "splice", r, DATA, file, 0, 1, 0) == -ESPIPE
    assert w.ok(task, "splice", r, 0, file, 0, 1, 16) == -EINVAL
    append = w.open(task, b"/x", 0o2001)
    assert append is not None
    w.write(task, wr, b"a")
    assert w.ok(task, "splice", r, 0, append, 0, 1, 0) == -EINVAL


def test_vmsplice_both_ways(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    text = w.put(task, b"via memory", 0x5000)
    vec = w.put(task, pack("<QQ", text, 10), 0x9000)
    assert w.ok(task, "vmsplice", wr, vec, 1, 0) == 10
    vec = w.put(task, pack("<QQ", DATA, 3), 0x9000)
    assert w.ok(task, "vmsplice", r, vec, 1, 0) == 3
    assert w.get(task, DATA, 3) == b"via"
    file = w.open(task, b"/x", 0o102)
    assert file is not None
    assert w.ok(task, "vmsplice", file, vec, 1, 0) == -EBADF
