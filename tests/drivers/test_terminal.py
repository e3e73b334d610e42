# SPDX-License-Identifier: Apache-2.0
"""`pygos run` at a terminal: what a user with a shell sees. T-TTY-01, T-TTY-03"""

from __future__ import annotations

import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

pexpect = pytest.importorskip("pexpect")

PYGOS = Path(sys.executable).with_name("pygos")
PROMPT = r"pygos> "
pytestmark = [pytest.mark.boots, pytest.mark.skipif(not PYGOS.exists(), reason="not installed")]


@pytest.fixture
def shell() -> Iterator[pexpect.spawn]:
    child = pexpect.spawn(
        str(PYGOS),
        ["run", "-e", "PS1=pygos> ", "--", "/bin/bash", "--norc", "--noediting", "-i"],
        timeout=20,
        dimensions=(30, 100),
    )
    child.expect(PROMPT)
    yield child
    child.close(force=True)


def run(shell: pexpect.spawn, command: str) -> str:
    """What a command prints."""
    shell.sendline(command)
    shell.expect_exact(command + "\r\n")
    shell.expect(PROMPT)
    return str(shell.before.decode().replace("\r\n", "\n"))


def test_it_is_a_terminal(shell: pexpect.spawn) -> None:
    assert run(shell, "tty") == "/dev/console\n"
    assert run(shell, "stty size") == "30 100\n"
    assert run(shell, "test -t 0 -a -t 1 -a -t 2; echo $?") == "0\n"


def test_window_size_follows(shell: pexpect.spawn) -> None:
    shell.setwinsize(40, 120)
    # The shell asks for itself, so wait until the guest has heard of it.
    assert run(shell, "until [ \"$(stty size)\" = '40 120' ]; do :; done; echo ok") == "ok\n"


def test_interrupt(shell: pexpect.spawn) -> None:
    shell.sendline("cat")
    shell.sendline("ping")
    shell.expect_exact("ping\r\nping\r\n")
    shell.sendcontrol("c")
    shell.expect(PROMPT)
    assert run(shell, "echo $?") == "130\n"


def test_stop_and_continue(shell: pexpect.spawn) -> None:
    shell.sendline("cat")
    shell.sendline("ping")
    shell.expect_exact("ping\r\nping\r\n")
    shell.sendcontrol("z")
    shell.expect("Stopped")
    shell.expect(PROMPT)
    assert "cat" in run(shell, "jobs")
    shell.sendline("fg")
    shell.sendline("pong")
    shell.expect_exact("pong\r\npong\r\n")
    shell.sendcontrol("d")
    shell.expect(PROMPT)
    assert run(shell, "jobs") == ""


def test_end_of_file_ends_the_shell_with_its_status(shell: pexpect.spawn) -> None:
    run(shell, "(exit 7)")
    shell.sendcontrol("d")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 7


def test_the_hosts_terminal_is_restored(shell: pexpect.spawn) -> None:
    run(shell, "stty raw -echo; stty sane -echo; stty echo")
    both = termios.ICANON | termios.ECHO
    assert not termios.tcgetattr(shell.child_fd)[3] & both  # all editing is the guest's
    shell.sendline("exit 0")
    shell.expect(pexpect.EOF)
    assert termios.tcgetattr(shell.child_fd)[3] & both == both


def test_pty_inside(shell: pexpect.spawn) -> None:
    script = "script -qc 'tty; stty size' /dev/null < /dev/null"
    if "not found" not in run(shell, "type script 2>&1"):
        assert "/dev/pts/0" in run(shell, script)
