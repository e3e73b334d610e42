# SPDX-License-Identifier: Apache-2.0
"""At a terminal: a shell, Ctrl-C, window size, and the old mode afterwards."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

pytestmark = pytest.mark.boots
SCRIPT = "import sys; from pygos.cli.main import main; sys.exit(main())"
PROMPT = "inside> "


@pytest.fixture
def shell() -> Iterator[pexpect.spawn]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "dumb"}
    arguments = ["-c", SCRIPT, "run", "-e", f"PS1={PROMPT}", "--", "/bin/bash", "--norc", "-i"]
    child = pexpect.spawn(
        sys.executable, arguments, env=env, timeout=20, dimensions=(30, 90), encoding="utf-8"
    )
    child.expect_exact(PROMPT)
    yield child
    child.close(force=True)


def test_a_shell_talks_and_its_status_is_ours(shell: pexpect.spawn) -> None:
    shell.sendline("echo $((6 * 7)); tty >/dev/null && echo terminal")
    shell.expect_exact("42\r\nterminal\r\n")
    shell.expect_exact(PROMPT)
    shell.sendline("exit 5")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 5


def test_control_c_reaches_the_program_not_us(shell: pexpect.spawn) -> None:
    shell.sendline("echo go; sleep 100; echo status $?")
    shell.expect_exact("go\r\n")
    shell.sendintr()
    shell.expect_exact(PROMPT)
    shell.sendline("echo still here")
    shell.expect_exact("still here\r\n")


def test_job_control_stops_and_goes_on(shell: pexpect.spawn) -> None:
    shell.sendline("cat")
    shell.expect_exact("cat\r\n")
    shell.send("\x1a")
    shell.expect("Stopped +cat")
    shell.expect_exact(PROMPT)
    shell.sendline("fg")
    shell.expect_exact("cat\r\n")
    shell.sendline("typed")
    shell.expect_exact("typed\r\ntyped\r\n")
    shell.sendeof()
    shell.expect_exact(PROMPT)


def test_the_window_size_is_passed_on(shell: pexpect.spawn) -> None:
    shell.sendline("stty size")
    shell.expect_exact("30 90\r\n")
    shell.expect_exact(PROMPT)
    shell.setwinsize(40, 100)
    shell.sendline("sleep 0.1; stty size")
    shell.expect_exact("40 100\r\n")


def modes(child: pexpect.spawn) -> list[object]:
    return termios.tcgetattr(child.child_fd)


@pytest.mark.parametrize("end", ["exit", "kill -9 $$"])
def test_the_terminals_mode_comes_back(end: str, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PS1": "outside> "}
    child = pexpect.spawn("/bin/sh", env=env, timeout=20, encoding="utf-8")
    child.expect_exact("outside> ")
    before = modes(child)
    child.sendline(f'{sys.executable} -c "{SCRIPT}" run -e PS1="{PROMPT}" -- /bin/sh -i')
    child.expect_exact(f"\n{PROMPT}")
    assert modes(child) != before
    child.sendline(end)
    child.expect_exact("outside> ")
    assert modes(child) == before
    child.close(force=True)
