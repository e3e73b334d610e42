# SPDX-License-Identifier: Apache-2.0
"""Named pipes: fifo(7)."""

from __future__ import annotations

import pytest

from tests.support.fsworld import AT_FDCWD, O_NONBLOCK, FsWorld
from tests.support.world import result

ENXIO, EINTR, EAGAIN = 6, 4, 11
O_RDONLY, O_WRONLY, O_RDWR = 0, 1, 2
IN, OUT, ERR, HUP = 1, 4, 8, 0x10
SIGUSR1, SIGKILL = 10, 9


@pytest.fixture
def w() -> FsWorld:
    world = FsWorld()
    task = world.proc()
    addr = world.put(task, b"/f\0")
    assert world.ok(task, "mknodat", AT_FDCWD, addr, 0o010644, 0) == 0
    return world


def test_reader_waits_for_a_writer(w: FsWorld) -> None:
    reader, writer = w.proc(), w.proc()
    assert w.open(reader, b"/f") is None
    assert w.open(writer, b"/f", O_WRONLY) == 0
    assert result(reader) == 0
    w.write(writer, 0, b"hi")
    assert w.read(reader, 0, 10) == b"hi"


def test_writer_waits_for_a_reader(w: FsWorld) -> None:
    reader, writer = w.proc(), w.proc()
    assert w.open(writer, b"/f", O_WRONLY) is None
    assert w.open(reader, b"/f") == 0
    assert result(writer) == 0


def test_writer_may_write_before_the_reader_has_run(w: FsWorld) -> None:
    reader, writer = w.proc(), w.proc()
    assert w.open(reader, b"/f") is None
    settle, w.settle = w.settle, lambda: None  # type: ignore[method-assign]
    try:
        assert w.open(writer, b"/f", O_WRONLY) == 0
        assert w.write(writer, 0, b"early") == 5
    finally:
        w.settle = settle  # type: ignore[method-assign]
    w.settle()
    assert result(reader) == 0
    assert w.read(reader, 0, 10) == b"early"


def test_partner_that_came_and_went_counts(w: FsWorld) -> None:
    reader, writer = w.proc(), w.proc()
    assert w.open(reader, b"/f") is None
    settle, w.settle = w.settle, lambda: None  # type: ignore[method-assign]
    try:
        assert w.open(writer, b"/f", O_WRONLY) == 0
        assert w.ok(writer, "close", 0) == 0
    finally:
        w.settle = settle  # type: ignore[method-assign]
    w.settle()
    assert result(reader) == 0
    assert w.read(reader, 0, 10) == b""


def test_nonblocking_opens(w: FsWorld) -> None:
    task = w.proc()
    assert w.open(task, b"/f", O_WRONLY | O_NONBLOCK) == -ENXIO
    assert w.open(task, b"/f", O_RDONLY | O_NONBLOCK) == 0
    assert w.read(task, 0, 1) == b""
    assert w.open(task, b"/f", O_WRONLY | O_NONBLOCK) == 1
    assert w.read(task, 0, 1) == -EAGAIN


def test_no_hangup_before_the_first_writer(w: FsWorld) -> None:
    task = w.proc()
    assert w.open(task, b"/f", O_RDONLY | O_NONBLOCK) == 0
    assert w.poll(task, {0: IN}) == {}
    assert w.open(task, b"/f", O_WRONLY) == 1
    assert w.poll(task, {0: IN}) == {}
    w.ok(task, "close", 1)
    assert w.poll(task, {0: IN}) == {0: HUP}


def test_read_write_open_never_waits(w: FsWorld) -> None:
    task = w.proc()
    assert w.open(task, b"/f", O_RDWR) == 0
    assert w.write(task, 0, b"x") == 1
    assert w.read(task, 0, 5) == b"x"


def test_signal_ends_the_wait(w: FsWorld) -> None:
    reader = w.proc()
    w.catch(reader, SIGUSR1)
    assert w.open(reader, b"/f") is None
    w.ok(w.proc(), "kill", reader.pid, SIGUSR1)
    assert w.handled(reader) == SIGUSR1
    w.sigreturn(reader)
    assert result(reader) == -EINTR
    assert reader.files.fd == {}
    # It is no partner for anybody any more.
    assert w.open(w.proc(), b"/f", O_WRONLY | O_NONBLOCK) == -ENXIO


def test_killed_opener_is_no_partner(w: FsWorld) -> None:
    reader = w.proc()
    before = w.machine.nr_files
    assert w.open(reader, b"/f") is None
    w.ok(w.proc(), "kill", reader.pid, SIGKILL)
    assert not reader.alive
    assert w.open(w.proc(), b"/f", O_WRONLY | O_NONBLOCK) == -ENXIO
    assert w.machine.nr_files == before


def test_the_name_may_go_while_an_opener_sleeps(w: FsWorld) -> None:
    reader, writer = w.proc(), w.proc()
    assert w.open(reader, b"/f", 0) is None
    assert w.open(writer, b"/f", O_RDWR | O_NONBLOCK) == 0
    assert result(reader) == 0
    assert w.ok(writer, "unlinkat", AT_FDCWD, w.put(writer, b"/f\0"), 0) == 0
    w.write(writer, 0, b"still")
    assert w.read(reader, 0, 9) == b"still"


def test_data_is_gone_when_everybody_has_closed(w: FsWorld) -> None:
    task = w.proc()
    assert w.open(task, b"/f", O_RDWR) == 0
    w.write(task, 0, b"lost")
    w.ok(task, "close", 0)
    assert w.open(task, b"/f", O_RDONLY | O_NONBLOCK) == 0
    assert w.read(task, 0, 9) == b""
