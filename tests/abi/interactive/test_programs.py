# SPDX-License-Identifier: Apache-2.0
"""Programs that people use at a terminal show the same screens inside as on the host."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("pexpect")
pytest.importorskip("pyte")

from tests.abi.interactive.terminal import Terminal, same, session

pytestmark = pytest.mark.boots
BASH = ["bash", "--norc", "--noprofile", "--noediting", "-i"]


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [name for name in programs if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {' '.join(missing)}")


def masked(text: str) -> str:
    """Without process numbers, clocks and the like."""
    text = re.sub(r"\b0:\w+\*", "0:<name>*", text)
    text = re.sub(r"\b\d\d:\d\d(:\d\d)?\b", "<time>", text)
    return re.sub(r"(?<=\] )\d+$|\b\d{3,}\b", "<n>", text, flags=re.M)


@needs("vim")
def test_vim(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        seen = []
        t.see("^~")
        t.type("iThe quick brown fox\rjumps over\rthe lazy dog\x1b")
        t.see("lazy dog")
        t.type(":set nu ruler\r")
        t.see("^ +3 the lazy dog")
        t.type("ggVjd")
        t.see("^ +1 the lazy dog")
        seen.append(t.text())
        t.type("u")
        t.see("jumps")
        t.type("1Gwviwy$pA end\x1b/lazy\r")
        t.see("/lazy")
        t.type(":1\r")
        t.see(r"1,1 ")
        seen.append(t.text())
        t.type(":!tty | grep -c /dev; stty size\r")
        t.see("^24 80$")
        t.see("ENTER")
        t.type("\r")
        t.gone("ENTER")
        t.resize(20, 60)
        t.see("jumps")
        t.type(":echo &lines &columns\r")
        t.see("20 60")
        t.type(":w out\r")
        t.see("written")
        t.type(":q!\r")
        return seen

    same(["vim", "-u", "NONE", "-i", "NONE", "-n", "-N"], script, tmp_path)


@needs("vim")
def test_vim_stopped_and_continued(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see("shell>")
        t.type("vim -u NONE -i NONE -n -N\r")
        t.see("^~")
        t.type("ihello\x1b")
        t.see("hello")
        t.type("\x1a")
        t.see("Stopped")
        t.type("jobs; fg\r")
        t.see("^~")
        t.see("hello")
        seen = t.text()
        t.type(":q!\r")
        t.see("shell>$")
        t.type("exit 4\r")
        return seen

    same(BASH, script, tmp_path)


@needs("less")
def test_less(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("".join(f"line {n} of many\n" for n in range(1, 200)))

    def script(t: Terminal) -> object:
        seen = []
        t.see("line 22 of")
        t.type("/line 15[0-9]\r")
        t.see("line 172 of")
        seen.append(t.text())
        t.type("n")
        t.see("line 173 of")
        t.type("G")
        t.see(r"\(END\)")
        seen.append(t.text())
        t.type("g")
        t.see("line 1 of")
        t.resize(12, 60)
        t.type("r")
        t.gone("line 20 of")
        seen.append(t.text())
        t.type("F")
        t.see("Waiting for data")
        t.type("\x03")
        t.see(r"\(END\)")
        t.type("!echo from a shell\r")
        t.see("from a shell")
        t.type("\r")
        t.see(r"\(END\)")
        t.type("q")
        return seen

    same(["less", str(text)], script, tmp_path)


@needs("nano")
def test_nano(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see("New Buffer|Welcome")
        t.type("some text\rmore text")
        t.see("more text")
        t.type("\x0b")
        t.gone("more text")
        t.type("\x18")
        t.see("Save modified")
        seen = t.text()
        t.type("n")
        return seen

    same(["nano", "-I"], script, tmp_path)


@needs("man")
def test_man(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see(r"NAME|No manual|minimized")
        seen = t.text()
        t.type("q")
        return seen

    same(["man", "true"], script, tmp_path)


@needs("tmux")
def test_tmux(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        seen = []
        t.see("[>#$]$")
        t.type("tmux -f /dev/null new -s one 'exec bash --norc --noprofile'\r")
        t.see(r"\[one\]")
        t.see("[>#$]$")
        t.type("echo first; tput cols\r")
        t.see("^80$")
        t.type("\x02%")
        t.see("│.*[>#$]$")
        t.type("tput cols\r")
        t.see(r"39\n.*│.*[>#$]$")
        t.type('\x02"')
        t.see("(?s)39.*─.*[>#$]$")
        t.type("echo third\r")
        t.see(r"│third\n.*│.*[>#$]$")
        seen.append(masked(t.text()).replace("bash-5.2#", "shell>"))
        t.type("\x02d")
        t.see("detached")
        t.type("clear; tmux ls | cut -d' ' -f1-3; tmux capture-pane -p -t one:0.0 | head -2\r")
        t.see("^first")
        t.type("clear; tmux attach\r")
        t.see(r"│third\n.*│.*[>#$]$")
        seen.append(masked(t.text()).replace("bash-5.2#", "shell>"))
        t.type("\x02:")
        t.see("^:$")
        t.type("kill-server\r")
        t.see("server exited|exited")
        t.type("exit 3\r")
        return seen

    same(BASH, script, tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="a user's screen keeps the prompt, natively too")
@needs("screen")
def test_screen(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see("shell>$")
        t.type("mkdir -m 700 screens; screen -c /dev/null bash --norc --noprofile\r")
        t.gone("mkdir")
        t.see("shell>$")
        t.type("echo in $STY | cut -d. -f2-; tty | tr -d 0-9\r")
        t.see("^/dev/pts/$")
        t.type("\x01c")
        t.gone("/dev/pts/")
        t.see("[>$#]$")
        t.type("exit\r")
        t.see("^/dev/pts/$")
        t.type("\x01d")
        t.see("detached.*\nshell>$")
        t.type("screen -r\r")
        t.gone("detached")
        t.see("^/dev/pts/$")
        t.type("exit\r")
        t.see("terminating.*\nshell>$")
        t.type("exit 2\r")
        return None

    same(BASH, script, tmp_path)


@needs("python3")
def test_python_prompt(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see(">>>$")
        t.type("1+1\r")
        t.see("^2\n>>>$")
        t.type("import os; os.get_terminal_size()\r")
        t.see("columns=80, lines=24.\n>>>$")
        t.type("for i in range(10**12): x = i or print('going')\r")
        t.see(r"^\.\.\.$")
        t.type("\r")
        t.see("^going$")
        t.type("\x03")
        t.see("^KeyboardInterrupt\n>>>$")
        t.type("12\x1b[D0\r")
        t.see("^102\n>>>$")
        t.type("\x1b[A\x1b[A\x01[]; \x05\x7f\x7f\x15'gone'\r")
        t.see("^'gone'\n>>>$")
        seen = t.text().split("\n", 2)[2]
        t.type("\x04")
        return seen

    same(["python3", "-q"], script, tmp_path)


@needs("top")
def test_top(tmp_path: Path) -> None:
    with session(["top", "-d", "0.3"], tmp_path, inside=True) as t:
        t.see(r"^Tasks: +\d+ total, +1 running")
        t.see(r"^MiB Mem : +1024\.0 total")
        t.see(r"^ +\d+ \S+ +20 +0 .* R .* top$")
        t.type("1")
        t.see("^%Cpu0 .*(%Cpu1)?")
        t.type("H")
        t.see("^Threads:")
        t.type("c")
        t.see("top -d 0.3$")
        t.type("q")
        assert t.end() == 0


@needs("htop")
def test_htop(tmp_path: Path) -> None:
    with session(["htop", "-d", "3"], tmp_path, inside=True) as t:
        t.see(r"Tasks: \d+")
        t.see(r"F10Quit")
        t.see("htop -d 3")
        t.type("t")
        t.see("[├└]─ |`-|\\|-")
        t.type("q")
        assert t.end() == 0


@needs("watch")
def test_watch(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see("^0$|^1$")
        t.see("^[2-9]$")
        t.type("\x03")
        return None

    same(["watch", "-n", "0.1", "echo x >> f; expr $(wc -l < f) - 1"], script, tmp_path)


@needs("script")
def test_script(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see("[>$#]$")
        t.type("tty | tr -d 0-9; stty size; exit 5\r")
        t.see("^exit")
        return t.text()

    same(["script", "-qec", "bash --norc --noprofile", "log"], script, tmp_path)


@needs("expect")
def test_expect(tmp_path: Path) -> None:
    (tmp_path / "dialogue").write_text(
        "set timeout 10\nspawn bash --norc --noprofile\nexpect {shell> }\n"
        "send \"stty -echo; echo re''ady; cat\\r\"\nexpect ready\n"
        'send "to cat\\r"\nexpect {to cat}\n'
        'send "\\032"\nexpect Stopped\nexpect {shell> }\nsend "fg\\r"\nexpect cat\n'
        'send "again\\r"\nexpect again\nsend "\\003"\n'
        'expect {shell> }\nsend "exit 6\\r"\nexpect eof\nexit [lindex [wait] 3]\n'
    )

    def script(t: Terminal) -> object:
        return None

    same(["expect", str(tmp_path / "dialogue")], script, tmp_path)


def test_reset_and_stty(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see("shell>$")
        t.type(
            "stty -a > before; stty raw -echo; reset; stty -a > after; cmp before after; echo $?\r"
        )
        t.see("^[01]\nshell>$")
        t.type("tail -n +2 before\r")
        t.see("extproc\n")
        seen = t.text()
        t.type("exit\r")
        return seen.split("tail", 1)[1]

    same(BASH, script, tmp_path)


@needs("gdb")
def test_gdb_prompt(tmp_path: Path) -> None:
    def script(t: Terminal) -> object:
        t.see(r"\(gdb\)$")
        t.type("set disable-randomization off\r")
        t.see(r"randomization off\n\(gdb\)$")
        t.type("run\r")
        t.see("^Starting program: ")
        t.see(r"^started$")
        t.type("\x03")
        t.see(r"received signal SIGINT, Interrupt\.[^\0]*\(gdb\)$")
        t.type("print $_siginfo.si_signo\r")
        t.see(r"^\$1 = 2\n\(gdb\)$")
        t.type("signal SIGTERM\r")
        t.see(r"terminated with signal SIGTERM[^\0]*\(gdb\)$")
        t.type("quit\r")
        return None

    command = ["gdb", "-q", "-nx", "-iex", "set style enabled off", "-iex"]
    command += ["set debuginfod enabled off", "--args"]
    (tmp_path / "loop").write_text("echo started\nwhile :; do :; done\n")
    same([*command, "/bin/dash", str(tmp_path / "loop")], script, tmp_path)
