# SPDX-License-Identifier: Apache-2.0
"""The console: a terminal of the machine whose line is the host's terminal.

The host's terminal is the slave of a host pty here; the test sits at its master.
"""

from __future__ import annotations

import os
import termios
import tty
from collections.abc import Iterator
from struct import pack, unpack
from typing import Any

import pytest

from pygos.drivers.hoststream import open_std_files
from pygos.drivers.tty.tty import default_termios
from pygos.host.stdio import HostStream
from pygos.include.uapi.stat import Stat
from tests.support.fsworld import FsWorld
from tests.support.world import DATA, result

EIO, ENXIO = 5, 6
IN, OUT, HUP = 1, 4, 0x10
SIGINT, SIGHUP, SIGWINCH, SIGTSTP = 2, 1, 28, 20
TCGETS, TCSETS, TIOCGWINSZ, TIOCGPGRP, TIOCSTI = 0x5401, 0x5402, 0x5413, 0x540F, 0x5412
ICANON, ECHO = 2, 8
O_RDWR = 2


class FakeTerminal:
    """HostTerminal's part that the console uses."""

    def __init__(self) -> None:
        self.size = (24, 80, 0, 0)
        self.changed = False

    def winsize(self) -> tuple[int, int, int, int]:
        return self.size

    def settings(self) -> bytes:
        return default_termios().to_bytes()

    def resized_fd(self) -> int:
        return 1000

    def resized(self) -> bool:
        changed, self.changed = self.changed, False
        return changed


class Seat:
    """A user at a terminal in front of a machine."""

    def __init__(self) -> None:
        self.w = FsWorld()
        self.keyboard, self.line = os.openpty()
        tty.setraw(self.line)
        os.set_blocking(self.keyboard, False)
        self.before = termios.tcgetattr(self.line)
        self.terminal = FakeTerminal()
        self.streams = tuple(HostStream(self.line) for _ in range(3))
        host = self.w.machine.host
        host["stdio"], host["terminal"] = self.streams, self.terminal
        self.shell = self.w.proc()
        open_std_files(self.shell)

    def type(self, text: bytes) -> None:
        """Press keys; the machine hears of it."""
        os.write(self.keyboard, text)
        assert self.w.watches.ready(self.streams[0].fileno(), IN)
        self.w.settle()

    def screen(self) -> bytes:
        try:
            return os.read(self.keyboard, 65536)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        for stream in self.streams:
            stream.close()
        for fd in (self.keyboard, self.line):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def seat() -> Iterator[Seat]:
    found = Seat()
    yield found
    found.close()


def ioctl_get(seat: Seat, task: Any, fd: int, cmd: int, size: int) -> bytes:
    addr = seat.w.put(task, bytes(size), 0x8000)
    assert seat.w.ok(task, "ioctl", fd, cmd, addr) == 0
    return seat.w.get(task, addr, size)


def test_typing_and_printing(seat: Seat) -> None:
    w, shell = seat.w, seat.shell
    assert w.read(shell, 0, 100) is None
    seat.type(b"lx\x7fs\r")
    assert w.got(shell) == b"ls\n"
    assert seat.screen() == b"lx\b \bs\r\n"
    w.write(shell, 1, b"a  b\n")
    assert seat.screen() == b"a  b\r\n"
    w.write(shell, 2, b"error\n")
    assert seat.screen() == b"error\r\n"


def test_it_is_the_controlling_terminal_of_the_session(seat: Seat) -> None:
    shell = seat.shell
    assert unpack("<i", ioctl_get(seat, shell, 0, TIOCGPGRP, 4)) == (shell.pid,)
    fd = seat.w.open(shell, b"/dev/tty", O_RDWR)
    assert fd == 3
    seat.w.write(shell, fd, b"via tty")
    assert seat.screen() == b"via tty"


def test_stat_shows_dev_console(seat: Seat) -> None:
    w, shell = seat.w, seat.shell
    assert w.ok(shell, "fstat", 1, DATA + 0x8000) == 0
    stat = Stat.from_bytes(w.get(shell, DATA + 0x8000, Stat.SIZE))
    assert stat.st_rdev == 0x501
    assert stat.st_mode & 0o170000 == 0o020000


def test_interrupt_key_reaches_the_guest_and_not_the_host(seat: Seat) -> None:
    w, shell = seat.w, seat.shell
    w.catch(shell, SIGINT)
    assert w.read(shell, 0, 100) is None
    seat.type(b"abc\x03")
    assert w.handled(shell) == SIGINT
    assert seat.screen() == b"^C"


def test_window_size_follows_the_host(seat: Seat) -> None:
    w, shell = seat.w, seat.shell
    assert ioctl_get(seat, shell, 0, TIOCGWINSZ, 8) == pack("<HHHH", 24, 80, 0, 0)
    w.catch(shell, SIGWINCH)
    seat.terminal.size = (50, 132, 0, 0)
    seat.terminal.changed = True
    assert w.watches.ready(1000, IN) == 1
    w.settle()
    assert w.handled(shell) == SIGWINCH
    w.sigreturn(shell)
    assert ioctl_get(seat, shell, 0, TIOCGWINSZ, 8) == pack("<HHHH", 50, 132, 0, 0)
    assert any(watch[0] == 1000 for watch in w.watches.watches)


def test_settings_stay_in_the_guest(seat: Seat) -> None:
    """T-TTY-01: the host's terminal keeps its mode whatever the guest sets."""
    w, shell = seat.w, seat.shell
    data = bytearray(ioctl_get(seat, shell, 0, TCGETS, 36))
    flags = int.from_bytes(data[12:16], "little") & ~(ICANON | ECHO)
    data[12:16] = flags.to_bytes(4, "little")
    assert w.ok(shell, "ioctl", 0, TCSETS, w.put(shell, bytes(data), 0x8000)) == 0
    assert w.read(shell, 0, 100) is None
    seat.type(b"q")
    assert w.got(shell) == b"q"
    assert seat.screen() == b""
    assert w.ok(shell, "ioctl", 0, TIOCSTI, w.put(shell, b"x", 0x8000)) == -EIO
    assert termios.tcgetattr(seat.line) == seat.before


def test_stop_and_start_keys_hold_the_output(seat: Seat) -> None:
    w, shell = seat.w, seat.shell
    seat.type(b"\x13")
    assert w.write(shell, 1, b"held") is None
    assert seat.screen() == b""
    seat.type(b"\x11")
    assert result(shell) == 4
    assert seat.screen() == b"held"


def test_flood_of_output_waits_for_the_host(seat: Seat) -> None:
    """T-DOS-05: what the host's terminal doesn't take yet is bounded."""
    w, shell = seat.w, seat.shell
    writer = seat.w.proc(shell)
    total = 0
    while (count := w.write(writer, 1, b"x" * 40000)) is not None:
        total += count
        assert total < 1 << 20
    line = w.machine.tty.console.private
    assert len(line.out) <= 65536
    assert w.poll(shell, {1: OUT}) == {}
    seen = 0
    for _ in range(200):
        seen += len(seat.screen())
        w.watches.ready(seat.streams[2].fileno(), OUT)
        w.settle()
    seen += len(seat.screen())
    assert result(writer) == 40000
    assert seen == total + 40000


def test_typing_ahead_is_bounded(seat: Seat) -> None:
    w = seat.w
    for _ in range(40):
        os.write(seat.keyboard, b"y" * 500)
        w.watches.ready(seat.streams[0].fileno(), IN)
    tty_ = w.machine.tty.console
    assert len(tty_.inq) <= 8192
    assert len(tty_.ldisc.buf) <= 4096


def test_gone_terminal_hangs_the_session_up(seat: Seat) -> None:
    w, shell = seat.w, seat.shell
    w.catch(shell, SIGHUP)
    assert w.read(shell, 0, 10) is None
    os.close(seat.keyboard)
    seat.keyboard = -1
    w.watches.ready(seat.streams[0].fileno(), HUP | IN)
    w.settle()
    assert w.handled(shell) == SIGHUP
    helper = w.proc(shell)
    assert w.read(helper, 0, 10) == b""
    assert w.write(helper, 1, b"x") == -EIO


def test_only_streams_that_are_terminals_become_the_console() -> None:
    seat = Seat()
    try:
        r, wr = os.pipe()
        seat.w.machine.host["stdio"] = (HostStream(r), seat.streams[1], seat.streams[2])
        task = seat.w.proc()
        open_std_files(task)
        os.write(wr, b"piped")
        assert seat.w.read(task, 0, 9) == b"piped"
        seat.w.write(task, 1, b"shown\n")
        assert seat.screen() == b"shown\r\n"
        os.close(r)
        os.close(wr)
    finally:
        seat.close()
