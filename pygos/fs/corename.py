# SPDX-License-Identifier: Apache-2.0
"""Names of core files from the pattern of the sysctl kernel.core_pattern. core(5)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.dcache import d_path
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.uapi.resource import RLIMIT_CORE

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: The descriptor at which a helper finds the process.
PIDFD_NUMBER: Final = 3


class CoreName:
    """The expanded pattern: for a file one word, for a helper its arguments."""

    __slots__ = ("is_pipe", "wants_pidfd", "words")

    def __init__(self, task: Task, signo: int) -> None:
        sysctl = task.machine.sysctl
        pattern = str(sysctl.get("kernel.core_pattern", "core"))
        self.is_pipe = pattern.startswith("|")
        self.wants_pidfd = False
        #: Arguments are told apart before the words in them are filled in.
        parts = pattern[1:].split() if self.is_pipe else [pattern]
        self.words = [self._expand(task, part, signo) for part in parts]
        uses_pid = int(sysctl.get("kernel.core_uses_pid", 0)) and "p" not in _letters(pattern)
        if uses_pid and not self.is_pipe:
            self.words[0] += b".%d" % task.tgid

    def _expand(self, task: Task, part: str, signo: int) -> bytes:
        out, chars = "", iter(part)
        for char in chars:
            if char != "%":
                out += char
                continue
            letter = next(chars, "")
            if letter == "F" and self.is_pipe:
                self.wants_pidfd = True
                out += str(PIDFD_NUMBER)
            else:
                out += _word(task, letter, signo)
        return out.encode("utf-8", "surrogateescape")


def _letters(pattern: str) -> str:
    """The letters after percent signs."""
    chars = iter(pattern)
    return "".join([next(chars, "") for char in chars if char == "%"])


def _word(task: Task, word: str, signo: int) -> str:
    if word == "%":
        return "%"
    if word == "t":
        return str(task.machine.clock.realtime() // 1_000_000_000)
    if word == "h":
        return _flat(task.nsproxy.uts.nodename)
    if word == "e":
        return _flat(task.comm.decode("utf-8", "surrogateescape"))
    if word in ("E", "f"):
        return _executable(task, word == "f")
    mm = task.mm
    assert mm is not None
    numbers = {
        "p": pid_vnr(task, task.tgid), "P": task.tgid, "i": pid_vnr(task, task.pid),
        "I": task.pid, "u": task.cred.uid,
        "g": task.cred.gid, "d": mm.dumpable, "s": signo, "C": task.cpu_nr,
        "c": task.group.rlim[RLIMIT_CORE][0],
    }  # fmt: skip
    return str(numbers.get(word, ""))


def _flat(name: str) -> str:
    """A name that can't lead elsewhere."""
    name = "!" if name in ("", ".") else "!." if name == ".." else name
    return name.replace("/", "!")


def _executable(task: Task, name_only: bool) -> str:
    """The path of the program with ! for /, or its last part."""
    mm = task.mm
    if mm is None or mm.exe_file is None:
        return _flat(task.comm.decode("utf-8", "surrogateescape") + " (path unknown)")
    path = d_path(mm.exe_file.f_path, task.fs.root).decode("utf-8", "surrogateescape")
    return path.rsplit("/", 1)[1] if name_only else path.replace("/", "!")
