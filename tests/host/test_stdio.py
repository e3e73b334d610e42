# SPDX-License-Identifier: Apache-2.0
"""The user's streams and terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections import deque
from pathlib import Path

import pytest

from pygos.host.stdio import HostStream, HostTerminal
from pygos.include.errno import EAGAIN, EBADF, ENOTTY, EPIPE


def fill(sink: HostStream) -> None:
    """Write until there is no room; fails if there always is."""
    with pytest.raises(EAGAIN):
        deque((sink.write(b"x" * 10_000) for _ in range(100_000)), maxlen=0)


def test_pipe_never_blocks_and_keeps_its_flags() -> None:
    reader, writer = os.pipe()
    source, sink = HostStream(reader), HostStream(writer)
    with pytest.raises(EAGAIN):
        source.read(10)
    assert sink.write(b"abc") == 3
    assert source.read(10) == b"abc"
    fill(sink)
    assert not fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK
    source.close()
    os.close(reader)
    with pytest.raises(EPIPE):
        sink.write(b"x")
    sink.close()
    os.close(writer)


def test_end_of_a_pipe() -> None:
    reader, writer = os.pipe()
    source = HostStream(reader)
    os.close(writer)
    assert source.read(10) == b""
    source.close()
    os.close(reader)


@pytest.mark.parametrize("kind", ["pipe", "tty"])
def test_streams_that_cannot_be_reopened(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HostStream, "_reopen", lambda self: None)
    left, right = os.pipe() if kind == "pipe" else pty.openpty()
    source, sink = HostStream(left), HostStream(right)
    with pytest.raises(EAGAIN):
        source.read(1)
    fill(sink)
    assert source.read(3) == b"xxx"
    os.close(left)
    os.close(right)


def test_socket() -> None:
    left, right = socket.socketpair()
    with left, right:
        a, b = HostStream(left.fileno()), HostStream(right.fileno())
        with pytest.raises(EAGAIN):
            a.read(5)
        assert b.write(b"hello") == 5
        assert a.read(3) == b"hel"
        assert a.read(9) == b"lo"
        right.close()
        assert a.read(1) == b""


def test_file_shares_its_position(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        stream = HostStream(file.fileno())
        assert stream.write(b"one") == 3
        file.write(b"two")
        file.seek(0)
        assert stream.read(9) == b"onetwo"
        assert stream.seekable()
        assert stream.fstat().size == 6
        assert not stream.isatty()


def test_closed_descriptor() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(EBADF):
        HostStream(reader)


def test_window_size() -> None:
    main, slave = pty.openpty()
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 1, 2))
    assert HostStream(slave).winsize() == (30, 100, 1, 2)
    reader, writer = os.pipe()
    with pytest.raises(ENOTTY):
        HostStream(reader).winsize()
    with pytest.raises(ENOTTY):
        HostTerminal(reader)
    for fd in (main, slave, reader, writer):
        os.close(fd)


CHILD = """
import os, signal, sys, termios
sys.path.insert(0, {root!r})
from pygos.host.stdio import HostTerminal
terminal = HostTerminal(0)
terminal.enter()
assert not termios.tcgetattr(0)[3] & termios.ICANON
how = {how!r}
if how == "winch":
    os.kill(os.getpid(), signal.SIGWINCH)
    assert terminal.resized() and not terminal.resized()
elif how == "raise":
    raise SystemExit(0)
elif how == "term":
    os.kill(os.getpid(), signal.SIGTERM)
elif how == "exit":
    terminal.exit()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""


@pytest.mark.parametrize("how", ["winch", "raise", "term", "exit"])
def test_terminal_mode_always_comes_back(how: str) -> None:
    main, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    root = str(Path(__file__).resolve().parents[2])
    script = CHILD.format(root=root, how=how)
    start = "import os,fcntl,termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    done = subprocess.run(
        [sys.executable, "-c", start + script], stdin=slave, check=False, timeout=20
    )
    assert done.returncode == (-signal.SIGTERM if how == "term" else 0)
    after = termios.tcgetattr(slave)
    assert before[:4] == after[:4]
    os.close(main)
    os.close(slave)
