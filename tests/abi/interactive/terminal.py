# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal: types, waits for what is to be seen, looks at the whole screen.

The same script runs with the program on the host and inside a machine; the screens that a
terminal emulator makes of the output must be the same.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte

ROWS, COLUMNS = 24, 80
PROMPT = "shell> "
TIMEOUT = 8
PYGOS = [sys.executable, "-P", "-m", "pygos", "run", "--hostname", socket.gethostname()]


class Terminal:
    """One program at a terminal of its own."""

    def __init__(self, argv: list[str], env: dict[str, str], cwd: Path) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.screen.write_process_input = self._answer
        self.child = pexpect.spawn(
            argv[0], argv[1:], env=env, cwd=str(cwd), timeout=TIMEOUT, dimensions=(ROWS, COLUMNS)
        )
        self.child.delaybeforesend = None

    def _answer(self, text: str) -> None:
        """The terminal's own answers (where is the cursor? what are you?)."""
        self.child.send(text)

    def type(self, text: str) -> None:
        """Press keys."""
        self.child.send(text)

    def lines(self) -> list[str]:
        """What is to be seen, without the blanks at the ends of lines."""
        return [line.rstrip() for line in self.screen.display]

    def text(self) -> str:
        """The same as one text without the empty lines at the bottom."""
        return "\n".join(self.lines()).rstrip()

    def _more(self) -> bool:
        try:
            self.stream.feed(self.child.read_nonblocking(65536, TIMEOUT))
        except pexpect.EOF:
            return False
        except pexpect.TIMEOUT:
            raise AssertionError(f"nothing more comes after:\n{self.text()}") from None
        return True

    def see(self, pattern: str) -> re.Match[str]:
        """Wait until the screen matches a regular expression."""
        while (found := re.search(pattern, self.text(), re.M)) is None:
            assert self._more(), f"{pattern!r} is not on the screen:\n{self.text()}"
        return found

    def gone(self, pattern: str) -> None:
        """Wait until the screen no longer matches."""
        while re.search(pattern, self.text(), re.M):
            assert self._more(), f"ended with {pattern!r} on the screen"

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the window."""
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def end(self) -> int:
        """Wait for the end; the exit status, or 128 and the signal's number."""
        while self._more():
            pass
        self.child.wait()
        status: int | None = self.child.exitstatus
        return status if status is not None else 128 + self.child.signalstatus


def environment(cwd: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(cwd), "SHELL": "/bin/bash", "TERM": "linux", "LANG": "C.UTF-8", "TZ": "UTC",
        "PS1": PROMPT,
        "LESSHISTFILE": "-", "PYTHONHISTFILE": "/dev/null", "HISTFILE": "/dev/null",
        "TMUX_TMPDIR": str(cwd), "SCREENDIR": str(cwd / "screens"),
    }  # fmt: skip


@contextmanager
def session(argv: list[str], cwd: Path, inside: bool) -> Iterator[Terminal]:
    """A program at a terminal, on the host or in a machine."""
    env = environment(cwd)
    if inside:
        options = [word for name, value in env.items() for word in ("-e", f"{name}={value}")]
        command = [*PYGOS, *options, "--", *argv]
        root = str(Path(__file__).resolve().parents[3])
        terminal = Terminal(command, {**os.environ, **env, "PYTHONPATH": root}, cwd)
    else:
        terminal = Terminal(argv, env, cwd)
    try:
        yield terminal
    finally:
        terminal.child.close(force=True)


Script = Callable[[Terminal], object]


def same(argv: list[str], script: Script, tmp_path: Path) -> None:
    """The script must give the same on the host and inside: what it returns, and the status."""
    results = []
    for inside in (False, True):
        cwd = tmp_path / "home"
        cwd.mkdir()
        with session(argv, cwd, inside) as terminal:
            answer = script(terminal)
            results.append((answer, terminal.end()))
        cwd.rename(tmp_path / f"done{inside}")
    host, machine = (repr(result).replace("\\n", "\n") for result in results)
    assert machine == host, f"on the host:\n{host}\nin the machine:\n{machine}"
