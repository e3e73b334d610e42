# SPDX-License-Identifier: Apache-2.0
"""The line discipline against the host's own: the same keys and settings on both ptys.

What the terminal shows (echo and output) and what a program reads must be the same, byte for
byte. Each case runs on a host pty and on ours.
"""

from __future__ import annotations

import os
import select
import termios as t
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fsworld import O_NONBLOCK, FsWorld

TCSETS, TCGETS, TIOCSPTLCK, TIOCGPTN, FIONREAD = 0x5402, 0x5401, 0x40045431, 0x80045430, 0x541B
O_RDWR, O_NOCTTY = 2, 0o400
EAGAIN = 11
IUCLC, OLCUC = 0x200, 0x2
XTABS, ECHOPRT, EXTPROC = 0x1800, 0x400, 0x10000


@dataclass
class Case:
    """Settings to switch on and off, control characters, and what happens on the line.

    `events`: ("type", bytes) at the keyboard, ("write", bytes) by the program, ("read", n).
    """

    name: str
    events: list[tuple[str, object]]
    on: dict[str, int] = field(default_factory=dict)
    off: dict[str, int] = field(default_factory=dict)
    cc: dict[int, int] = field(default_factory=dict)


class HostPty:
    """A pty of the host, in its default settings."""

    def __init__(self, quiet: float) -> None:
        #: Seconds of quiet after which all input has surely arrived.
        self.quiet = quiet
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        os.set_blocking(self.slave, False)

    def set(self, case: Case) -> None:
        mode = t.tcgetattr(self.slave)
        for index, name in enumerate(("iflag", "oflag", "cflag", "lflag")):
            mode[index] = mode[index] & ~case.off.get(name, 0) | case.on.get(name, 0)
        for index, value in case.cc.items():
            mode[6][index] = bytes((value,))
        if not mode[3] & t.ICANON:
            for index in (t.VMIN, t.VTIME):
                if isinstance(mode[6][index], int):
                    mode[6][index] = bytes((mode[6][index],))
        t.tcsetattr(self.slave, t.TCSANOW, mode)

    def type(self, data: bytes) -> None:
        assert os.write(self.master, data) == len(data)
        self.settle()

    def write(self, data: bytes) -> int:
        return os.write(self.slave, data)

    def settle(self) -> None:
        """The host works on input in the background; nothing tells when it is done."""
        select.select([], [], [], self.quiet)

    def read(self, count: int) -> bytes | int:
        try:
            return os.read(self.slave, count)
        except BlockingIOError:
            return -EAGAIN

    def shown(self) -> bytes:
        out = b""
        self.settle()
        while True:
            try:
                out += os.read(self.master, 65536)
            except (BlockingIOError, OSError):
                return out

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


class GuestPty:
    """A pty of ours, with the same interface."""

    def __init__(self, world: FsWorld) -> None:
        self.w = world
        self.task = world.proc()
        self.master = self._open(b"/dev/ptmx")
        zero = world.put(self.task, b"\0" * 4, 0x8000)
        assert world.ok(self.task, "ioctl", self.master, TIOCSPTLCK, zero) == 0
        assert world.ok(self.task, "ioctl", self.master, TIOCGPTN, zero) == 0
        number = int.from_bytes(world.get(self.task, zero, 4), "little")
        self.slave = self._open(b"/dev/pts/%d" % number)

    def _open(self, path: bytes) -> int:
        fd = self.w.open(self.task, path, O_RDWR | O_NOCTTY | O_NONBLOCK)
        assert fd is not None
        assert fd >= 0
        return fd

    def set(self, case: Case) -> None:
        addr = self.w.put(self.task, b"\0" * 36, 0x8000)
        assert self.w.ok(self.task, "ioctl", self.slave, TCGETS, addr) == 0
        data = bytearray(self.w.get(self.task, addr, 36))
        for index, name in enumerate(("iflag", "oflag", "cflag", "lflag")):
            at = slice(index * 4, index * 4 + 4)
            flags = int.from_bytes(data[at], "little")
            flags = flags & ~case.off.get(name, 0) | case.on.get(name, 0)
            data[at] = flags.to_bytes(4, "little")
        for index, value in case.cc.items():
            data[17 + index] = value
        self.w.put(self.task, bytes(data), 0x8000)
        assert self.w.ok(self.task, "ioctl", self.slave, TCSETS, addr) == 0

    def type(self, data: bytes) -> None:
        assert self.w.write(self.task, self.master, data) == len(data)

    def write(self, data: bytes) -> int:
        count = self.w.write(self.task, self.slave, data)
        assert count is not None
        return count

    def read(self, count: int) -> bytes | int:
        data = self.w.read(self.task, self.slave, count)
        assert data is not None
        return data

    def shown(self) -> bytes:
        out = b""
        while isinstance(part := self.w.read(self.task, self.master, 40000), bytes) and part:
            out += part
        return out


def play(pty: HostPty | GuestPty, case: Case) -> list[object]:
    """Everything a user and a program see, in order."""
    pty.set(case)
    seen: list[object] = []
    for what, arg in case.events:
        if what == "type":
            assert isinstance(arg, bytes)
            pty.type(arg)
            seen.append(("shown", pty.shown()))
        elif what == "write":
            assert isinstance(arg, bytes)
            seen.append(("wrote", pty.write(arg)))
            seen.append(("shown", pty.shown()))
        elif what == "read":
            assert isinstance(arg, int)
            seen.append(("read", pty.read(arg)))
        else:
            assert isinstance(arg, Case)
            pty.set(arg)
    return seen


def on_host(case: Case, quiet: float) -> list[object]:
    host = HostPty(quiet)
    try:
        return play(host, case)
    finally:
        host.close()


def both(case: Case) -> None:
    ours = play(GuestPty(FsWorld()), case)
    for quiet in (0.002, 0.02, 0.2):  # a busy host gets more time before it is believed
        expected = on_host(case, quiet)
        if ours == expected:
            return
    assert ours == expected


RAW_L = t.ICANON | t.ECHO | t.ISIG | t.IEXTEN
READ = ("read", 1000)


def typed(*parts: bytes) -> list[tuple[str, object]]:
    return [event for part in parts for event in (("type", part), READ)]


# fmt: off
CASES = [
    Case("a line", typed(b"hello\n")),
    Case("carriage return is newline", typed(b"hello\r")),
    Case("several lines at once", [("type", b"one\ntwo\n"), READ, READ, READ]),
    Case("part of a line", [("type", b"abcdef\n"), ("read", 2), ("read", 2), ("read", 9), READ]),
    Case("no line yet", typed(b"abc", b"def\n")),
    Case("erase", typed(b"abcx\x7fd\n")),
    Case("erase at the start", typed(b"\x7f\x7fa\n")),
    Case("erase a control character", typed(b"a\x01\x7f\x7fb\n")),
    Case("erase a tab", typed(b"ab\tcd\x7f\x7f\x7f\x7fx\n")),
    Case("erase two tabs", typed(b"a\t\tb\x7f\x7f\x7f\x7f\x7f\n")),
    Case("erase a tab after a prompt", [("write", b"prompt> "), *typed(b"a\tb\x7f\x7f\x7f\n")]),
    Case("erase with wide prompt", [("write", b"12345678901> "), *typed(b"\t\x7fz\n")]),
    Case("kill", typed(b"one\x15two\n")),
    Case("kill with control characters", typed(b"a\x01b\tc\x15d\n")),
    Case("word erase", typed(b"one two  three\x17\x17x\n")),
    Case("word erase with punctuation", typed(b"a-b_c..\x17\x17\n")),
    Case("literal next", typed(b"a\x16\x03b\x16\x04\n", b"\x16\n", b"\n")),
    Case("reprint", typed(b"abc\x12d\n")),
    Case("end of file", [("type", b"\x04"), READ, READ]),
    Case("end of file pushes a line", [("type", b"abc\x04"), READ, READ]),
    Case("end of file after an exact read", [("type", b"abc\x04"), ("read", 3), READ]),
    Case("two ends of file", [("type", b"ab\x04\x04"), ("read", 2), READ, READ]),
    Case("control echo", typed(b"\x01\x02\x1b[A\x00\n")),
    Case("control echo off", typed(b"\x01\x7f\x02\n"), off={"lflag": t.ECHOCTL}),
    Case("no echo", typed(b"secret\x7f\n"), off={"lflag": t.ECHO}),
    Case("no echo but newline", typed(b"secret\n"), off={"lflag": t.ECHO}, on={"lflag": t.ECHONL}),
    Case("kill without echo", typed(b"secret\x15x\n"), off={"lflag": t.ECHO}),
    Case("no ECHOE", typed(b"abc\x7f\x7fd\x17\n"), off={"lflag": t.ECHOE}),
    Case("no ECHOK", typed(b"abc\x15d\n"), off={"lflag": t.ECHOK}),
    Case("no ECHOKE", typed(b"abc\x15d\n"), off={"lflag": t.ECHOKE}),
    Case("no ECHOK nor ECHOKE", typed(b"ab\x15d\n"), off={"lflag": t.ECHOKE | t.ECHOK}),
    Case("printing erase", typed(b"abc\x7f\x7fd\x7f\n", b"xy\x7f\n"), on={"lflag": ECHOPRT}),
    Case("printing kill", typed(b"abc\x15d\n"), on={"lflag": ECHOPRT}),
    Case("UTF-8 erase", typed("aä€😀\x7f\x7fb\x7f\x7f\n".encode()), on={"iflag": 0x4000}),
    Case("no UTF-8 erase", typed("aä\x7f\n".encode()), off={"iflag": 0x4000}),
    Case("UTF-8 word erase", typed("ab äö\x17x\n".encode()), on={"iflag": 0x4000}),
    Case("UTF-8 printing erase", typed("äö\x7f\x7f\n".encode()),
         on={"iflag": 0x4000, "lflag": ECHOPRT}),
    Case("stray continuation byte", typed(b"\xa4\xa4\x7fx\n"), on={"iflag": 0x4000}),
    Case("no extensions", typed(b"ab\x16\x17\x12\n"), off={"lflag": t.IEXTEN}),
    Case("EOL character", typed(b"abc;def\n"), cc={t.VEOL: 0x3B}),
    Case("EOL2 character", [("type", b"abc;def\n"), READ, READ], cc={t.VEOL2: 0x3B}),
    Case("disabled erase", typed(b"ab\x7fc\n"), cc={t.VERASE: 0}),
    Case("ignore CR", typed(b"a\rb\n"), on={"iflag": t.IGNCR}),
    Case("no CR mapping", typed(b"a\rb\n"), off={"iflag": t.ICRNL}),
    Case("NL to CR", typed(b"a\nb\r"), on={"iflag": t.INLCR}),
    Case("swap NL and CR", typed(b"a\nb\r"), on={"iflag": t.INLCR}, off={"iflag": t.ICRNL}),
    Case("strip", typed(b"\xe1\xe2\x8a"), on={"iflag": t.ISTRIP}),
    Case("lower case", typed(b"HeLLO\n"), on={"iflag": IUCLC}),
    Case("parity mark", typed(b"a\xffb\n"), on={"iflag": t.PARMRK}),
    Case("stop and start", [("type", b"\x13"), ("type", b"abc"), ("type", b"\x11\n"), READ]),
    Case("any key starts", [("type", b"\x13"), ("type", b"a\n"), READ], on={"iflag": t.IXANY}),
    Case("no flow control", typed(b"\x13\x11\n"), off={"iflag": t.IXON}),
    Case("flow control goes off while stopped",
         [("type", b"\x13ab"), ("set", Case("", [], off={"iflag": t.IXON})), ("type", b"c\n"),
          READ]),
    Case("interrupt flushes", typed(b"abc\x03def\n")),
    Case("interrupt without flush", typed(b"abc\x03def\n"), on={"lflag": t.NOFLSH}),
    Case("quit and suspend", typed(b"a\x1cb\x1ac\n")),
    Case("signals off", typed(b"a\x03\x1c\x1a\n"), off={"lflag": t.ISIG}),
    Case("raw", [("type", b"ab\x03\x04\r\n\x7f"), READ, READ], off={"lflag": RAW_L,
         "iflag": t.ICRNL | t.IXON, "oflag": t.OPOST}),
    Case("cbreak", [("type", b"a"), READ, ("type", b"\x7f\n\x04\x15"), READ],
         off={"lflag": t.ICANON}),
    Case("cbreak erase is no erase", typed(b"ab\x7f\x17\r"), off={"lflag": t.ICANON}),
    Case("VMIN 0", [READ, ("type", b"abc"), ("read", 2), READ, READ], off={"lflag": t.ICANON},
         cc={t.VMIN: 0}),
    Case("canonical to raw", [("type", b"ab"), ("set", Case("", [], off={"lflag": t.ICANON})),
         READ]),
    Case("canonical to raw with lines", [("type", b"ab\ncd"),
         ("set", Case("", [], off={"lflag": t.ICANON})), READ, READ]),
    Case("raw to canonical", [("set", Case("", [], off={"lflag": t.ICANON})), ("type", b"ab"),
         ("set", Case("", [], on={"lflag": t.ICANON})), ("type", b"cd\n"), READ, READ]),
    Case("end of file survives a mode change", [("type", b"ab\x04"),
         ("set", Case("", [], off={"lflag": t.ICANON})), READ, READ]),
    Case("output", [("write", b"a\nb\tc\r\nd")]),
    Case("output without ONLCR", [("write", b"a\nb\n")], off={"oflag": t.ONLCR}),
    Case("output raw", [("write", b"a\nb\t\x00\xff")], off={"oflag": t.OPOST}),
    Case("output tabs", [("write", b"\ta\tab\tabcdefgh\t|\n\tx\b\t|")], on={"oflag": XTABS}),
    Case("output CR to NL", [("write", b"a\rb\r\nc\t|")], on={"oflag": t.OCRNL | XTABS}),
    Case("output no CR at column 0", [("write", b"\ra\r\rb")], on={"oflag": t.ONOCR}),
    Case("output NL returns", [("write", b"ab\nc\td\r\te")], on={"oflag": t.ONLRET | XTABS},
         off={"oflag": t.ONLCR}),
    Case("output no CR, NL returns", [("write", b"ab\n\rc\r\r")],
         on={"oflag": t.ONLRET | t.ONOCR}, off={"oflag": t.ONLCR}),
    Case("output upper case", [("write", "abcXyz äß\n".encode())], on={"oflag": OLCUC}),
    Case("output tabs and UTF-8", [("write", "ä€\t|\n".encode())],
         on={"oflag": XTABS, "iflag": 0x4000}),
    Case("echo of tabs expands", typed(b"a\tb\x7f\x7fc\n"), on={"oflag": XTABS}),
    Case("echo raw output", typed(b"a\x01\n\x7f"), off={"oflag": t.OPOST}),
    Case("prompt, then typing", [("write", b"> "), *typed(b"a\tb\x15c\n"), ("write", b"\tx\n")]),
    Case("long line", [("type", b"x" * 4000), ("type", b"y" * 200), ("type", b"z\n"),
         ("read", 8000), READ]),
    Case("EXTPROC", [("type", b"ab\x7f\x03"), READ], on={"lflag": EXTPROC}),
]
# fmt: on


@pytest.mark.native
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_as_the_host(case: Case) -> None:
    both(case)


KEYS = st.sampled_from(
    [bytes((c,)) for c in b"ab _-\t\x01\x7f\x7f\x15\x17\x16\x12\x04\n\r\x03\x1a"]
    + ["ä".encode(), "€".encode()]
)
LFLAGS = st.sets(
    st.sampled_from([t.ECHO, t.ECHOE, t.ECHOK, t.ECHOKE, t.ECHOCTL, t.IEXTEN, t.ISIG, t.ICANON])
)
ON = st.sets(st.sampled_from([t.ECHONL, ECHOPRT, t.NOFLSH]))


@pytest.mark.native
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(KEYS, max_size=8).map(b"".join), max_size=4),
    LFLAGS,
    ON,
    st.sampled_from([0, 0x4000]),
    st.sampled_from([0, XTABS]),
)
def test_any_keys_any_settings(
    lines: list[bytes], off: set[int], on: set[int], utf8: int, tabs: int
) -> None:
    events: list[tuple[str, object]] = []
    for line in lines:
        if line:
            events += [("type", line), ("read", 5)]
    both(
        Case(
            "random",
            [*events, READ],
            on={"lflag": sum(on), "iflag": utf8, "oflag": tabs},
            off={"lflag": sum(off), "iflag": 0x4000 ^ utf8},
        )
    )
