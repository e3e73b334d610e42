# SPDX-License-Identifier: Apache-2.0
"""A program at the user's terminal: T-TTY-01, T-TTY-02, T-TTY-03, T-DOS-05."""

from __future__ import annotations

import os
import pty
import sys
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from pygos.drivers.tty.answers import AnswerFilter

pexpect = pytest.importorskip("pexpect")

PYGOS = [sys.executable, "-P", "-m", "pygos", "run"]
ROOT = str(Path(__file__).resolve().parents[2])

# -- T-TTY-02: what answers is taken out


ASKING = [
    b"\x1b[c", b"\x1b[>c", b"\x1b[0c", b"\x1b[=c", b"\x1b[5n", b"\x1b[6n", b"\x1b[?6n", b"\x1bZ",
    b"\x05", b"\x1b[21t", b"\x1b[20t", b"\x1b[18t", b"\x1b[x", b"\x1b[?25$p", b"\x1b[4$p",
    b"\x1b[>q", b"\x1b[?u", b"\x1b[1;1;1;1;1;1*y",
    b"\x1b]52;c;?\x07", b"\x1b]52;c;cm0gLXJmIC8=\x1b\\", b"\x1b]10;?\x07", b"\x1b]4;1;?\x1b\\",
    b"\x1bP$qm\x1b\\", b"\x1bP+q544e\x1b\\", b"\x1bP0;1|17/726d\x1b\\",
    b"\x1bPtmux;\x1b\x1b[6n\x1b\\", b"\x1b_Gi=1,a=q;AAAA\x1b\\", b"\x1b^x\x1b\\", b"\x1bXx\x1b\\",
    b"\x9bc", b"\x9b6n", b"\xc2\x9b6n", b"\x9d52;c;?\x9c", b"\xc2\x9d52;c;?\x07", b"\x90$qm\x9c",
    b"\x1b[6\nn", b"\x1b[\x076n", b"\x1b[1\x1b[6n", b"\x1b\x1b[6n", b"\x1b]0;\x1b[6n",
    b"\x1b]0;\x9b6n\x07", b"\x1b]0;\xc2\x9b6n\x07", b"\x1b]0;\x05\x07",
]  # fmt: skip
#: Nothing of these may be lost, however they are cut.
HARMLESS = [
    b"plain text\r\n", b"\x1b[1;31mred\x1b[0m", b"\x1b[2J\x1b[H", b"\x1b[?1049h\x1b[?25l",
    b"\x1b]0;a title\x07", b"\x1b]8;;http://x/?a=b\x1b\\link\x1b]8;;\x1b\\",
    b"\x1b(B\x1b)0\x0e\x0f", b"\x1b[22;0;0t\x1b[23;0;0t", b"\x1b[8;24;80t", b"\x1b[>4;2m",
    b"\x1b[4 q", b"\x1b7\x1b8\x1b=\x1b>", "grüße, 世界 🙂".encode(), b"\xff\xfe latin \xe4\xf6",
    b"\x1bPq#0;2;0;0;0~\x1b\\", b"\x1b[!p", b"\x1bc\x1b]R and on", b"\x1b]P1aa00ffand on",
]  # fmt: skip


def fed(pieces: list[bytes]) -> bytes:
    sieve = AnswerFilter()
    return b"".join(sieve.feed(piece) for piece in pieces) + sieve.pending


@pytest.mark.parametrize("asking", ASKING)
def test_requests_do_not_pass_however_they_are_cut(asking: bytes) -> None:
    """T-TTY-02"""
    for text in (asking, b"before" + asking + b"after\r\n"):
        whole = fed([text])
        assert whole.replace(b"before", b"").replace(b"after\r\n", b"").strip(b"\n\x1b") in (
            b"", b"[1", b"]0;", b"\\",
        )  # fmt: skip
        for cut in range(len(text)):
            assert fed([text[:cut], text[cut:]]) == whole
        assert fed([bytes((c,)) for c in text]) == whole


@pytest.mark.parametrize("text", HARMLESS)
def test_all_else_passes_unchanged(text: bytes) -> None:
    """T-TTY-02"""
    assert fed([text]) == text
    assert fed([bytes((c,)) for c in text]) == text


def test_strings_without_an_end_are_bounded() -> None:
    """T-TTY-02, T-DOS-05"""
    sieve = AnswerFilter()
    shown = sieve.feed(b"\x1b]52;c;")
    for _ in range(100):
        shown += sieve.feed(b"A" * 4096)
        assert len(sieve.pending) < 80000
    assert shown + sieve.feed(b"\x07visible") == b"visible"


# -- a machine at a terminal


class Seat:
    """`pygos run` at a pty whose other side the test holds."""

    def __init__(self, *words: str) -> None:
        env = {**os.environ, "PYTHONPATH": ROOT, "TERM": "xterm"}
        self.child = pexpect.spawn(
            PYGOS[0], [*PYGOS[1:], *words], env=env, timeout=20, dimensions=(24, 80)
        )

    def output(self) -> bytes:
        text: bytes = self.child.read()
        self.child.wait()
        return text


@pytest.fixture
def seats() -> Iterator[list[Seat]]:
    seats: list[Seat] = []
    yield seats
    for seat in seats:
        seat.child.close(force=True)


@pytest.mark.boots
def test_a_program_cannot_ask_the_users_terminal(seats: list[Seat]) -> None:
    """T-TTY-02: nor can it with the option that allows it be denied."""
    script = r"printf 'one\033[6ntwo\033]52;c;eA==\007three'"
    seats.append(Seat("--", "sh", "-c", script))
    assert seats[0].output() == b"onetwothree"
    seats.append(Seat("--tty=raw", "--", "sh", "-c", script))
    assert seats[1].output() == b"one\x1b[6ntwo\x1b]52;c;eA==\x07three"


@pytest.mark.boots
def test_terminal_calls_stay_inside(seats: list[Seat]) -> None:
    """T-TTY-01: TIOCSTI, TIOCLINUX, TIOCSCTTY, tcsetpgrp and modes never reach the host."""
    code = (
        "import fcntl, os, termios, tty, errno\n"
        "def no(number, *rest):\n"
        "    try: fcntl.ioctl(0, number, *rest)\n"
        "    except OSError as error: return errno.errorcode[error.errno]\n"
        "    return 'done'\n"
        "tty.setraw(0); termios.tcflow(1, termios.TCOON); os.tcsetpgrp(0, os.getpgrp())\n"
        "print(no(termios.TIOCSTI, b'x'), no(0x541C, b'\\2'), no(termios.TIOCSCTTY, 1),\n"
        "      no(termios.TIOCSWINSZ, bytes(8)), os.ttyname(0), end='|', flush=True)\n"
        "input()\n"
    )
    seats.append(Seat("--", "python3", "-c", code))
    child = seats[0].child
    child.expect(r"\|")
    assert child.before.split() == [b"EIO", b"ENOTTY", b"done", b"done", b"/dev/console"]
    assert child.getwinsize() == (24, 80)
    child.send("\n")
    child.expect(pexpect.EOF)


@pytest.mark.boots
def test_the_end_of_the_terminal_ends_the_machine(seats: list[Seat]) -> None:
    """T-TTY-03: SIGHUP, and the machine's own status says so."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    env = {**os.environ, "PYTHONPATH": ROOT}
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(master)
        for fd in range(3):
            os.dup2(slave, fd)
        termios.tcgetattr(0)
        os.close(os.open(os.ttyname(0), os.O_RDWR))
        os.set_inheritable(writer, False)
        os.execve(PYGOS[0], [*PYGOS, "--", "sh", "-c", "echo up; while :; do sleep 1; done"], env)
    os.close(slave)
    os.close(writer)
    assert os.read(reader, 1) == b""
    seen = b""
    while b"up" not in seen:
        seen += os.read(master, 100)
    os.close(master)
    _, status = os.waitpid(pid, 0)
    os.close(reader)
    assert (os.WIFSIGNALED(status) and os.WTERMSIG(status) == 1) or os.WEXITSTATUS(status) == 129


@pytest.mark.boots
def test_control_z_stops_the_whole_machine(seats: list[Seat]) -> None:
    """T-TTY-03: the user's shell has the terminal as it was, and continues it."""
    env = {**os.environ, "PYTHONPATH": ROOT, "PS1": "host> "}
    shell = pexpect.spawn("/bin/bash", ["--norc", "--noediting", "-i"], env=env, timeout=20)
    try:
        shell.expect("host> ")
        shell.sendline(" ".join([*PYGOS, "--", "cat"]))
        shell.send("ping\r")
        shell.expect("ping\r\n(ping\r\n)+")
        shell.sendcontrol("z")
        shell.expect("Stopped")
        shell.expect("host> ")
        shell.sendline("stty -a | grep -o '[^-]icanon'; jobs | wc -l")
        shell.expect(r" icanon\r\n1\r\n")
        shell.expect("host> ")
        shell.sendline("fg")
        shell.expect("cat\r\n")
        shell.send("pong\r")
        shell.expect("pong\r\n(pong\r\n)+")
        shell.sendcontrol("d")
        shell.expect("host> ")
    finally:
        shell.close(force=True)


@pytest.mark.boots
def test_a_flood_of_output_is_bounded(seats: list[Seat]) -> None:
    """T-DOS-05: a terminal that nobody reads holds the program, not the host's memory."""
    seats.append(Seat("--", "sh", "-c", "echo start; yes; true"))
    child = seats[0].child
    child.expect("start")

    def resident() -> int:
        with open(f"/proc/{child.pid}/statm") as file:
            return int(file.read().split()[1]) * 4096

    before = resident()
    for _ in range(200):
        child.read_nonblocking(4096, 10)
    assert resident() - before < 32 << 20
    child.sendcontrol("c")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 130


@pytest.mark.boots
def test_a_flood_of_log_is_bounded() -> None:
    """T-DOS-05: the kernel's log has a size, whoever writes to it."""
    import pygos

    with pygos.Machine(memory="128m", user="0") as machine:
        script = "i=0; while [ $i -lt 3000 ]; do echo $i-$(printf %0200d) ; i=$((i+1)); done"
        result = machine.run(
            ["sh", "-c", script.replace("$(printf %0200d)", "x" * 200) + " > /dev/kmsg"]
        )
        assert result.returncode == 0
        log = machine.dmesg()
    assert len(log) < 1 << 20
    assert "2999-x" in log
