# SPDX-License-Identifier: Apache-2.0
"""Standard files over streams of the host."""

from __future__ import annotations

import os
from pathlib import Path
from struct import unpack
from typing import Any

import pytest

from pygos.drivers.hoststream import open_std_files
from pygos.drivers.memstream import BytesSink, BytesSource
from pygos.fs.open import dentry_open
from pygos.host.stdio import HostStream
from pygos.include.uapi.stat import Stat
from tests.support.fsworld import O_NONBLOCK, FsWorld
from tests.support.world import DATA, result

EAGAIN, EBADF, EINVAL, ENOTTY, EPIPE, ESPIPE, EACCES = 11, 9, 22, 25, 32, 29, 13
IN, OUT, ERR, HUP = 1, 4, 8, 0x10
SIGPIPE, SIGUSR1 = 13, 10
S_IFMT, S_IFIFO, S_IFREG, S_IFCHR = 0o170000, 0o010000, 0o100000, 0o020000
TCGETS, FIONREAD, TIOCGWINSZ = 0x5401, 0x541B, 0x5413


@pytest.fixture
def w() -> FsWorld:
    return FsWorld()


def start(w: FsWorld, *streams: Any) -> Any:
    """A process with these as descriptors 0, 1 and 2."""
    task = w.proc()
    w.machine.host["stdio"] = streams
    open_std_files(task)
    return task


def fstat(w: FsWorld, task: Any, fd: int) -> Stat:
    assert w.ok(task, "fstat", fd, DATA + 0x8000) == 0
    return Stat.from_bytes(w.get(task, DATA + 0x8000, Stat.SIZE))


def test_bytes_in_bytes_out(w: FsWorld) -> None:
    out, err = BytesSink(), BytesSink()
    task = start(w, BytesSource(b"input"), out, err)
    assert w.read(task, 0, 3) == b"inp"
    assert w.read(task, 0, 100) == b"ut"
    assert w.read(task, 0, 100) == b""
    assert w.write(task, 1, b"to out") == 6
    assert w.write(task, 2, b"to err") == 6
    assert (bytes(out.data), bytes(err.data)) == (b"to out", b"to err")
    assert w.read(task, 1, 1) == -EBADF
    assert w.write(task, 0, b"x") == -EBADF


def test_closed_streams_stay_closed(w: FsWorld) -> None:
    task = start(w, None, BytesSink(), None)
    assert sorted(task.files.fd) == [1]
    assert w.open(task, b"/dev/null") == 0
    assert w.open(task, b"/dev/null") == 2


def test_sink_with_a_limit_is_a_broken_pipe(w: FsWorld) -> None:
    task = start(w, None, BytesSink(limit=4), None)
    assert w.write(task, 1, b"123456") is None or result(task) == 4 or not task.alive


class TestPipe:
    """A pipe of the host behind fd 0 or 1."""

    @pytest.fixture(autouse=True)
    def pipe(self) -> Any:
        self.r, self.wr = os.pipe()
        yield
        for fd in (self.r, self.wr):
            try:
                os.close(fd)
            except OSError:
                pass

    def test_reader_sleeps_until_the_host_writes(self, w: FsWorld) -> None:
        stream = HostStream(self.r)
        task = start(w, stream, None, None)
        assert fstat(w, task, 0).st_mode & S_IFMT == S_IFIFO
        assert w.read(task, 0, 10) is None
        os.write(self.wr, b"hey")
        assert w.watches.ready(stream.fileno(), IN) == 1
        w.settle()
        assert w.got(task) == b"hey"
        os.close(self.wr)
        assert w.read(task, 0, 10) == b""

    def test_nonblocking_and_poll(self, w: FsWorld) -> None:
        stream = HostStream(self.r)
        task = start(w, stream, None, None)
        assert w.poll(task, {0: IN}) == {}
        assert w.ok(task, "fcntl", 0, 4, O_NONBLOCK) == 0
        assert w.read(task, 0, 10) == -EAGAIN
        assert w.poll(task, {0: IN}, -1) is None
        os.write(self.wr, b"x")
        w.watches.ready(stream.fileno(), IN)
        w.settle()
        assert result(task) == 1
        os.close(self.wr)
        assert w.poll(task, {0: IN}) == {0: IN | HUP}

    def test_edge_triggered_epoll_hears_of_each_arrival(self, w: FsWorld) -> None:
        stream = HostStream(self.r)
        task = start(w, stream, None, None)
        ep = w.ok(task, "epoll_create1", 0)
        w.epoll_ctl(task, ep, 1, 0, IN | 1 << 31)
        for text in (b"one", b"two"):
            assert w.epoll_wait(task, ep, 4, -1) is None
            os.write(self.wr, text)
            assert w.watches.ready(stream.fileno(), IN) == 1
            w.settle()
            assert result(task) == 1
            assert w.read(task, 0, 10) == text

    def test_writer_waits_for_a_slow_host_reader(self, w: FsWorld) -> None:
        stream = HostStream(self.wr)
        task = start(w, None, stream, None)
        data = bytes(range(256)) * 160
        assert w.write(task, 1, data) == len(data)
        assert w.write(task, 1, data) is None
        got = os.read(self.r, 1 << 20)
        w.watches.ready(stream.fileno(), OUT)
        w.settle()
        assert result(task) == len(data)
        got += os.read(self.r, 1 << 20)
        assert got == data + data

    def test_signal_ends_a_blocked_write_early(self, w: FsWorld) -> None:
        task = start(w, None, HostStream(self.wr), None)
        w.catch(task, SIGUSR1)
        data = b"z" * 40000
        w.write(task, 1, data)
        assert w.write(task, 1, data) is None
        w.ok(w.proc(), "kill", task.pid, SIGUSR1)
        assert w.handled(task) == SIGUSR1
        w.sigreturn(task)
        written = result(task)
        assert written is not None
        assert len(os.read(self.r, 1 << 20)) == 40000 + written

    def test_gone_host_reader_is_sigpipe(self, w: FsWorld) -> None:
        task = start(w, None, HostStream(self.wr), None)
        os.close(self.r)
        assert w.poll(task, {1: OUT})[1] & ERR
        w.catch(task, SIGPIPE)
        w.write(task, 1, b"x")
        assert w.handled(task) == SIGPIPE
        w.sigreturn(task)
        assert result(task) == -EPIPE

    def test_no_ioctl_but_fionread(self, w: FsWorld) -> None:
        task = start(w, HostStream(self.r), None, None)
        os.write(self.wr, b"12345")
        assert w.ok(task, "ioctl", 0, FIONREAD, DATA) == 0
        assert unpack("<i", w.get(task, DATA, 4)) == (5,)
        assert w.ok(task, "ioctl", 0, TCGETS, DATA) == -ENOTTY
        assert w.ok(task, "ioctl", 0, TIOCGWINSZ, DATA) == -ENOTTY

    def test_no_seeking(self, w: FsWorld) -> None:
        task = start(w, HostStream(self.r), None, None)
        assert w.ok(task, "lseek", 0, 0, 0) == -ESPIPE
        assert w.ok(task, "pread64", 0, DATA, 1, 0) == -ESPIPE

    def test_out_and_err_into_one_pipe_are_one_file(self, w: FsWorld) -> None:
        task = start(w, None, HostStream(self.wr), HostStream(self.wr))
        assert fstat(w, task, 1).st_ino == fstat(w, task, 2).st_ino
        w.write(task, 1, b"a")
        w.write(task, 2, b"b")
        assert os.read(self.r, 10) == b"ab"

    def test_nothing_of_the_host_shows(self, w: FsWorld) -> None:
        task = start(w, HostStream(self.r), None, None)
        host, guest = os.fstat(self.r), fstat(w, task, 0)
        assert (guest.st_dev, guest.st_ino) != (host.st_dev, host.st_ino)

    def test_closing_ends_the_watch(self, w: FsWorld) -> None:
        task = start(w, HostStream(self.r), None, None)
        assert w.poll(task, {0: IN}) == {}
        assert len(w.watches.watches) == 1
        w.ok(task, "close", 0)
        assert w.watches.watches == []
        assert w.machine.host["streams"] == {}


def test_regular_file_as_input(w: FsWorld, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        task = start(w, HostStream(file.fileno()), None, None)
        stat = fstat(w, task, 0)
        assert stat.st_mode & S_IFMT == S_IFREG
        assert stat.st_size == 10
        assert w.read(task, 0, 4) == b"0123"
        assert w.ok(task, "lseek", 0, -2, 2) == 8
        assert w.read(task, 0, 4) == b"89"
        assert w.ok(task, "lseek", 0, 1, 0) == 1
        assert w.ok(task, "lseek", 0, 0, 9) == -EINVAL
        # The position is the one the shell sees too.
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 1
        assert w.ok(task, "ftruncate", 0, 0) < 0
    assert path.read_bytes() == b"0123456789"


def test_regular_file_as_output(w: FsWorld, tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("wb") as file:
        file.write(b"before ")
        file.flush()
        task = start(w, None, HostStream(file.fileno()), None)
        assert w.write(task, 1, b"after") == 5
        assert fstat(w, task, 1).st_size == 12
    assert path.read_bytes() == b"before after"


def test_output_opened_again_has_its_own_position(w: FsWorld, tmp_path: Path) -> None:
    """`echo > /dev/stdout` with standard output in a file, as on Linux."""
    path = tmp_path / "out"
    with path.open("wb") as file:
        task = start(w, None, HostStream(file.fileno()), None)
        w.write(task, 1, b"first")
        again = dentry_open(task, task.files.fd[1].f_path, 1)
        task.files.fd[5] = again
        assert w.ok(task, "ftruncate", 5, 0) == 0
        assert w.write(task, 5, b"2nd") == 3
        assert path.read_bytes() == b"2nd"
        assert w.write(task, 1, b"!") == 1
        assert path.read_bytes() == b"2nd\0\0!"
        added = dentry_open(task, task.files.fd[1].f_path, 0o2001)
        task.files.fd[6] = added
        assert w.write(task, 6, b"+") == 1
        assert path.read_bytes() == b"2nd\0\0!+"
        for fd in (1, 5, 6):
            assert w.ok(task, "close", fd) == 0
        assert w.machine.host["streams"] == {}


def test_dev_null_of_the_host_is_a_device(w: FsWorld) -> None:
    fd = os.open("/dev/null", os.O_RDWR)
    try:
        task = start(w, HostStream(fd), HostStream(fd), None)
        stat = fstat(w, task, 1)
        assert stat.st_mode & S_IFMT == S_IFCHR
        assert stat.st_rdev == 0x103
        assert w.write(task, 1, b"gone") == 4
        assert w.read(task, 0, 4) == b""
    finally:
        os.close(fd)


def test_reopening_through_proc_keeps_the_direction(w: FsWorld) -> None:
    sink = BytesSink()
    task = start(w, BytesSource(b"again"), sink, None)
    file = dentry_open(task, task.files.fd[1].f_path, 1)
    task.files.fd[5] = file
    assert w.write(task, 5, b"text") == 4
    assert sink.data == b"text"
    file = dentry_open(task, task.files.fd[0].f_path, 0)
    task.files.fd[6] = file
    w.ok(task, "close", 0)
    assert w.read(task, 6, 9) == b"again"
