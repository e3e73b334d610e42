# SPDX-License-Identifier: Apache-2.0
"""poll, ppoll, select, pselect6: poll(2), select(2)."""

from __future__ import annotations

from struct import pack, unpack

import pytest

from tests.support.fsworld import FsWorld
from tests.support.world import DATA, SEC, result, timespec

EBADF, EINTR, EINVAL, EFAULT = 9, 4, 22, 14
IN, PRI, OUT, ERR, HUP, NVAL = 1, 2, 4, 8, 0x10, 0x20
SIGUSR1, SIGUSR2 = 10, 12
MS = 1_000_000


@pytest.fixture
def w() -> FsWorld:
    return FsWorld()


def bit(*fds: int) -> int:
    return sum(1 << fd for fd in fds)


def select(w: FsWorld, task, n: int, sets: tuple[int | None, ...], timeout: bytes | None):  # type: ignore[no-untyped-def]
    """(answer, sets, time left) of select(2)."""
    addrs = []
    for index, fds in enumerate(sets):
        addr = DATA + 0x1000 + index * 128
        if fds is not None:
            w.get(task, addr, 1)
            task.mm.write(addr, fds.to_bytes(128, "little"))
        addrs.append(addr if fds is not None else 0)
    tv = w.put(task, timeout, 0x2000) if timeout is not None else 0
    answer = w.call(task, "select", n, *addrs, tv)
    return answer, outcome(w, task, sets), tv


def outcome(w: FsWorld, task, sets):  # type: ignore[no-untyped-def]
    return tuple(
        int.from_bytes(w.get(task, DATA + 0x1000 + i * 128, 128), "little")
        for i, fds in enumerate(sets)
        if fds is not None
    )


def test_poll_sleeps_until_something_happens(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    writer = w.proc(task)
    assert w.poll(task, {r: IN}, -1) is None
    w.write(writer, wr, b"x")
    assert result(task) == 1
    assert w.get(task, DATA + 0xC000, 8)[6:] == b"\x01\0"


def test_poll_times_out_at_its_deadline(w: FsWorld) -> None:
    task = w.proc()
    r, _wr = w.pipe(task)
    assert w.poll(task, {r: IN}, 50) is None
    w.advance(49 * MS)
    assert result(task) is None
    w.advance(1 * MS)
    assert result(task) == 0
    assert w.get(task, DATA + 0xC000, 8)[6:] == b"\0\0"


def test_spurious_wakeups_do_not_stretch_the_timeout(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    reader = w.proc(task)
    assert w.poll(task, {wr: 0, r: PRI}, 50) is None
    w.advance(40 * MS)
    w.write(reader, wr, b"x")  # wakes, but isn't asked for
    w.advance(10 * MS)
    assert result(task) == 0


def test_poll_of_closed_and_negative_descriptors(w: FsWorld) -> None:
    task = w.proc()
    assert w.poll(task, {9: IN, -1: IN}) == {9: NVAL}


def test_poll_without_descriptors_is_a_sleep(w: FsWorld) -> None:
    task = w.proc()
    assert w.call(task, "poll", 0, 0, 10) is None
    w.advance(10 * MS)
    assert result(task) == 0


def test_poll_checks_its_arguments(w: FsWorld) -> None:
    task = w.proc()
    task.group.rlim[7] = (10, 10)
    assert w.ok(task, "poll", DATA, 11, 0) == -EINVAL
    assert w.ok(task, "poll", 0x10, 1, 0) == -EFAULT


def test_poll_is_continued_after_an_ignored_stop_signal_but_not_after_a_handler(
    w: FsWorld,
) -> None:
    task = w.proc()
    w.catch(task, SIGUSR1, 0x10000000)  # SA_RESTART makes no difference
    r, _ = w.pipe(task)
    assert w.poll(task, {r: IN}, 1000) is None
    w.ok(w.proc(), "kill", task.pid, SIGUSR1)
    assert w.handled(task) == SIGUSR1
    w.sigreturn(task)
    assert result(task) == -EINTR


def test_ppoll_swaps_the_mask_and_writes_the_time_left(w: FsWorld) -> None:
    task = w.proc()
    w.catch(task, SIGUSR1)
    r, wr = w.pipe(task)
    task.blocked = 1 << (SIGUSR1 - 1)
    other = w.proc(task)
    fds = w.put(task, pack("<ihh", r, IN, 0), 0xC000)
    ts = w.put(task, timespec(1), 0x2000)
    mask = w.put(task, pack("<Q", 0), 0x3000)
    assert w.call(task, "ppoll", fds, 1, ts, mask, 8) is None
    assert task.blocked == 0
    w.advance(SEC // 4)
    w.write(other, wr, b"x")
    assert result(task) == 1
    assert task.blocked == 1 << (SIGUSR1 - 1)
    assert unpack("<qq", w.get(task, ts, 16)) == (0, 750 * MS)


def test_ppoll_lets_a_blocked_signal_in(w: FsWorld) -> None:
    task = w.proc()
    w.catch(task, SIGUSR1)
    task.blocked = 1 << (SIGUSR1 - 1)
    w.ok(w.proc(), "kill", task.pid, SIGUSR1)
    assert w.handled(task) == 0
    mask = w.put(task, pack("<Q", 0), 0x3000)
    w.call(task, "ppoll", 0, 0, 0, mask, 8)
    assert w.handled(task) == SIGUSR1
    w.sigreturn(task)
    assert result(task) == -EINTR
    assert task.blocked == 1 << (SIGUSR1 - 1)


def test_ppoll_checks_the_time_and_the_mask_size(w: FsWorld) -> None:
    task = w.proc()
    ts = w.put(task, timespec(0, SEC), 0x2000)
    assert w.ok(task, "ppoll", 0, 0, ts, 0, 0) == -EINVAL
    ts = w.put(task, timespec(-1), 0x2000)
    assert w.ok(task, "ppoll", 0, 0, ts, 0, 0) == -EINVAL
    ts = w.put(task, timespec(0), 0x2000)
    assert w.ok(task, "ppoll", 0, 0, ts, DATA, 4) == -EINVAL


def test_select_reports_bits(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    w.write(task, wr, b"x")
    r2, _ = w.pipe(task)
    answer, sets, _ = select(w, task, 64, (bit(r, r2), bit(wr), None), timespec(0))
    assert (answer, sets) == (2, (bit(r), bit(wr)))


def test_select_sleeps_and_writes_the_time_left(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    other = w.proc(task)
    answer, _, tv = select(w, task, r + 1, (bit(r), None, None), timespec(2))
    assert answer is None
    w.advance(SEC // 2)
    w.write(other, wr, b"x")
    assert result(task) == 1
    assert unpack("<qq", w.get(task, tv, 16)) == (1, 500_000)


def test_select_times_out_with_empty_sets(w: FsWorld) -> None:
    task = w.proc()
    r, _ = w.pipe(task)
    answer, _, tv = select(w, task, r + 1, (bit(r), None, None), timespec(0, 1000))
    assert answer is None
    w.advance(MS)
    assert result(task) == 0
    assert outcome(w, task, (0,)) == (0,)
    assert w.get(task, tv, 16) == timespec(0)


def test_select_wants_open_descriptors(w: FsWorld) -> None:
    task = w.proc()
    assert select(w, task, 10, (bit(9), None, None), timespec(0))[0] == -EBADF
    assert select(w, task, -1, (None, None, None), timespec(0))[0] == -EINVAL
    # Descriptors beyond n are not looked at.
    assert select(w, task, 9, (bit(9), None, None), timespec(0))[0] == 0


def test_select_end_of_file_is_readable(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    w.ok(task, "close", wr)
    assert select(w, task, r + 1, (bit(r), None, bit(r)), timespec(0))[:2] == (1, (bit(r), 0))


def test_pselect_takes_a_mask(w: FsWorld) -> None:
    task = w.proc()
    w.catch(task, SIGUSR2)
    task.blocked = 1 << (SIGUSR2 - 1)
    mask = w.put(task, pack("<Q", 0), 0x3000)
    pair = w.put(task, pack("<QQ", mask, 8), 0x3100)
    ts = w.put(task, timespec(5), 0x2000)
    assert w.call(task, "pselect6", 0, 0, 0, 0, ts, pair) is None
    w.ok(w.proc(), "kill", task.pid, SIGUSR2)
    assert w.handled(task) == SIGUSR2
    w.sigreturn(task)
    assert result(task) == -EINTR
    assert task.blocked == 1 << (SIGUSR2 - 1)
