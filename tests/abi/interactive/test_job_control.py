# SPDX-License-Identifier: Apache-2.0
"""bash's job control shows the same inside as on the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("pexpect")
pytest.importorskip("pyte")

from tests.abi.interactive.terminal import Terminal, same
from tests.abi.interactive.test_programs import BASH, masked

pytestmark = pytest.mark.boots


def test_jobs(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see("shell>$")
        t.type("cat\r")
        t.type("typed\r")
        t.see("typed\ntyped")
        t.type("\x1a")
        t.see(r"Stopped +cat\nshell>$")
        t.type("sleep 50 & sleep 60 | cat &\r")
        t.see(r"\[3\] \d+\nshell>$")
        t.type("jobs\r")
        t.see(r"sleep 60 \| cat &\nshell>$")
        t.type("kill %2; sleep 0.2\r")
        t.see(r"Terminated +sleep 50\nshell>$")
        t.type("bg %1; sleep 0.1; jobs %1\r")
        t.see(r"\[1\]\+ +Stopped +cat\nshell>$")
        t.type("fg %1\r")
        t.see("^cat$")
        t.type("\x03")
        t.see("shell>$")
        t.type("fg\r")
        t.see(r"^sleep 60 \| cat$")
        t.type("\x1c")
        t.see(r"Quit[^\0]*shell>$")
        seen = masked(t.text())
        t.type("exit 9\r")
        return seen

    same(BASH, script, tmp_path)


def test_leaving_stopped_jobs_behind(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see("shell>$")
        t.type("trap 'echo bye' EXIT; (trap 'echo hup >> log; exit' HUP; kill -STOP $BASHPID) &\r")
        t.see(r"\[1\]\+ +Stopped|\[1\] \d+\nshell>$")
        t.type("wait %1; jobs | wc -l\r")
        t.see(r"^1\nshell>$")
        t.type("clear; exit\r")
        t.see("There are stopped jobs.\nshell>$")
        seen = t.text()
        t.type("exit\r")
        return seen

    same(BASH, script, tmp_path)


def test_disown_and_background_reads(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see("shell>$")
        t.type("sleep 70 & disown; jobs; kill %1; kill $!; cat & sleep 0.2\r")
        t.see(r"\[1\]\+ +Stopped +cat\nshell>$")
        t.type("stty tostop; echo in the background & sleep 0.2\r")
        t.see(r"\[2\]\+ +Stopped +echo[^\0]*shell>$")
        t.type("stty -tostop; fg\r")
        t.see(r"^in the background\nshell>$")
        t.type("kill -9 %1; sleep 0.2\r")
        t.see(r"Killed +cat\nshell>$")
        seen = masked(t.text())
        t.type("exit\r")
        return seen

    same(BASH, script, tmp_path)


def test_job_control_in_scripts(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(
        "set -m\nsleep 80 & jobs\nkill -STOP %1\n"
        "until jobs | grep -q Stopped; do :; done; jobs\n"
        "kill -9 $!; while kill -0 $!; do :; done 2> /dev/null; jobs > /dev/null\n"
        "(ps -o pgid= -p $BASHPID; ps -o pgid= -p $$) | uniq | wc -l\nfg; echo $?\n"
    )

    def script(t: Terminal) -> object:
        t.see(r"no such job[^\0]*^1$")
        return masked(t.text())

    same(["bash", str(tmp_path / "text")], script, tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root needs no password")
def test_su_and_sessions(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see("shell>$")
        t.type("setsid -w sh -c 'cat < /dev/tty'\r")
        t.see("No such[^\\0]*shell>$")
        t.type("clear; su nobody -s /bin/sh -c 'id -un; ps -o tpgid=,pgid= -p $$ | wc -w'\r")
        t.see("^2$")
        t.see("shell>$")
        seen = t.text()
        t.type("exit\r")
        return seen

    same(BASH, script, tmp_path)
