# SPDX-License-Identifier: Apache-2.0
"""The options of ``pygos run``: one table, from which both of its readers are made.

click reads the command line for people: help, errors, the nearest match. Importing it takes a
tenth of the time of a cold start, so a command line that is plainly right (whole option names,
no help asked for) is read here; anything else is left to click.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pygos.include.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Options:
    """The options of one run, as they were given."""

    memory: str
    cpus: str | None
    pids: str | None
    env: tuple[str, ...]
    volume: tuple[str, ...]
    workdir: str | None
    user: str | None
    hostname: str
    timeout: str | None
    strace: bool
    strace_output: str | None
    dmesg: bool
    root: str
    rm: bool
    interactive: bool
    tty: bool
    tty_raw: bool
    platform: str | None
    untrusted: bool
    no_fast: bool
    no_patch: bool
    warm: bool
    no_daemon: bool


class Option(NamedTuple):
    """One option. `kind`: "value", "flag" or "list" (may be given several times)."""

    name: str
    short: str
    kind: str
    default: Any
    metavar: str
    help: str

    @property
    def field(self) -> str:
        return self.name[2:].replace("-", "_")


OPTIONS: Final = (
    Option("--memory", "-m", "value", "1g", "SIZE", "RAM, such as 512m (1g)."),
    Option("--cpus", "", "value", None, "N", "CPUs, such as 2 or 0.5 (all of the host)."),
    Option("--pids", "", "value", None, "N", "Processes and threads at once (no limit)."),
    Option("--env", "-e", "list", (), "NAME[=VALUE]", "Set or pass a variable."),
    Option("--volume", "-v", "list", (), "HOST:GUEST[:ro]", "Give a host directory, to write in."),
    Option("--workdir", "-w", "value", None, "DIR", "Where the program starts."),
    Option("--user", "-u", "value", None, "USER[:GROUP]", "Who the program runs as."),
    Option("--hostname", "", "value", "pygos", "NAME", "The machine's name (pygos)."),
    Option("--timeout", "", "value", None, "TIME", "Kill it after TIME, such as 30s or 5m."),
    Option("--strace", "", "flag", False, "", "Print every system call to standard error."),
    Option("--strace-output", "", "value", None, "FILE", "The same, to a file."),
    Option("--dmesg", "", "flag", False, "", "Print the kernel's log at the end."),
    Option("--root", "", "value", "host", "host|DIR", "The root directory's files (host)."),
    Option("--rm", "", "flag", False, "", "Accepted as docker has it; no machine is kept."),
    Option("--interactive", "-i", "flag", False, "", "Accepted as docker has it; always on."),
    Option("--tty", "-t", "flag", False, "", "Accepted as docker has it; on at a terminal."),
    Option("--tty-raw", "", "flag", False, "", "Let programs ask your terminal. Also --tty=raw."),
    Option("--platform", "", "value", None, "ptrace|systrap", "How programs are trapped (auto)."),
    Option("--untrusted", "", "flag", False, "", "Prefer the strictest platform to the fastest."),
    Option("--no-fast", "", "flag", False, "", "Let the kernel answer every call, none the stub."),
    Option("--no-patch", "", "flag", False, "", "Leave the code of programs as it is."),
    Option("--warm", "", "flag", False, "", "Start the daemon if it isn't running."),
    Option("--no-daemon", "", "flag", False, "", "Start cold, daemon or not."),
)
#: How docker would spell it.
_SPELLINGS: Final = {"--tty=raw": "--tty-raw"}


def respell(words: Sequence[str]) -> list[str]:
    """Options with another spelling, before the command, as this table has them."""
    out = list(words)
    valued = {name for o in OPTIONS if o.kind != "flag" for name in (o.name, o.short)}
    place = 0
    while place < len(out) and out[place].startswith("-") and out[place] != "--":
        out[place] = _SPELLINGS.get(out[place], out[place])
        place += 2 if out[place] in valued else 1
    return out


def parse_plain(words: Sequence[str]) -> tuple[Options, tuple[str, ...]] | None:
    """The options and the command of a command line that is plainly right, else None."""
    known = {option.name: option for option in OPTIONS}
    known.update((option.short, option) for option in OPTIONS if option.short)
    values = {option.field: option.default for option in OPTIONS}
    place = 0
    while place < len(words) and words[place].startswith("-") and words[place] != "-":
        word = _SPELLINGS.get(words[place], words[place])
        place += 1
        if word == "--":
            break
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = known.get(name)
        if option is None or (option.kind == "flag" and equals):
            return None
        if option.kind == "flag":
            values[option.field] = True
            continue
        if not equals:
            if place == len(words):
                return None
            value = words[place]
            place += 1
        if option.kind == "list":
            values[option.field] += (value,)
        else:
            values[option.field] = value
    return Options(**values), tuple(words[place:])
