# SPDX-License-Identifier: Apache-2.0
"""What is measured: the rows of the tables, their targets, and what others need for the same.

A target is absolute (in the row's unit) or a ratio to native. The peers' figures were measured
on the same kind of machine, with everything on one CPU: gVisor's systrap platform of 2025 and
User-Mode Linux. For whole pieces of work they are ratios to native.
"""

from __future__ import annotations

from dataclasses import dataclass

UNIT = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "MiB": 1.0}
#: The configurations of a machine: name, title of its column, arguments of pygos.Machine.
CONFIGS: dict[str, tuple[str, dict[str, object]]] = {
    "systrap": ("um-systrap", {"platform": "systrap"}),
    "no-patch": ("not patched", {"platform": "systrap", "patch": False}),
    "no-fast": ("nothing answered in the stub", {"platform": "systrap", "fast": False}),
    "ptrace": ("um-ptrace", {"platform": "ptrace"}),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `kind`: "micro" (micro.c), "macro" (macro.py) or "command" (``pygos`` itself)."""

    name: str
    title: str
    unit: str
    kind: str = "micro"
    #: At most that many units, or that many times native.
    most: float | None = None
    times: float | None = None
    #: The same when everything shares one CPU, if it differs.
    most_pinned: float | None = None
    #: (gVisor, UML): in units, for macro work times native.
    peers: tuple[float, float] | None = None
    #: One of the goals: in the first table.
    goal: bool = False
    #: Measured with four busy loops beside it, too.
    busy: bool = False
    #: The configuration whose figure is judged, where it isn't the one with everything on.
    judged: str = ""
    #: The row whose figures these are, where nothing is measured twice.
    same_as: str = ""


ROWS: tuple[Row, ...] = (
    Row("getpid", "getpid in a loop", "us", times=1.0, goal=True),
    Row("clock", "clock_gettime in a loop", "us", times=1.0, goal=True),
    Row("seekread", "lseek + read of 4 KiB, cached file", "us", times=1.5, goal=True, busy=True),
    Row(
        "null", "null system call that Python answers", "us",
        most=4, most_pinned=11, peers=(17, 13), goal=True, busy=True,
    ),
    Row(
        "trapped", "the same, its site not patched", "us",
        most=7, most_pinned=13, goal=True, judged="no-patch", same_as="null",
    ),
    Row("openclose", "open + close", "us", most=15, peers=(34, 52), goal=True, busy=True),
    Row("stat", "stat of an existing file", "us", most=15, peers=(17, 33), goal=True, busy=True),
    Row(
        "fault", "first touch of anonymous memory, per page", "us",
        most=5, peers=(4.1, 47), goal=True, busy=True,
    ),
    Row(
        "forkexit", "fork + exit + wait, small static program", "ms",
        most=1.2, peers=(2.4, 1.9), goal=True, busy=True,
    ),
    Row(
        "forktrue", "fork + exec + wait of dynamic `/bin/true`", "ms",
        most=3, peers=(7.3, 10.5), goal=True, busy=True,
    ),
    Row(
        "python", "`python3 -c pass`", "ms", "macro",
        times=2.0, peers=(2.5, 6.8), goal=True, busy=True,
    ),
    Row(
        "bash", "200 x `/bin/true` in bash", "ms", "macro",
        times=5.0, peers=(9.3, 18), goal=True, busy=True,
    ),
    Row(
        "gcc", "`gcc -O2` of a 1,000-line file", "ms", "macro",
        times=1.5, peers=(2.6, 9.1), goal=True, busy=True,
    ),
    Row("sqlite", "sqlite: 10,000 inserts, 100 a transaction", "ms", "macro", times=2.0, goal=True),
    Row("gitstatus", "`git status`, 10,000 files", "ms", "macro", times=6.0, goal=True),
    Row("sha256", "sha256 of 100 MB", "ms", "macro", times=1.02, goal=True),
    Row("cpu", "CPU-bound loop", "us", times=1.02, goal=True, busy=True),
    Row(
        "cold", "`pygos run -- /bin/true`, cold", "ms", "command",
        most=150, peers=(320, 1400), goal=True,
    ),
    Row("warm", "`pygos run -- /bin/true`, warm", "ms", "command", most=30, goal=True),
    Row("read64", "pread of 64 bytes", "us"),
    Row("read4k", "pread of 4 KiB", "us"),
    Row("read64k", "pread of 64 KiB", "us"),
    Row("write4k", "pwrite of 4 KiB", "us"),
    Row("pingpong", "pipe ping-pong, round trip", "us", peers=(73, 65), busy=True),
    Row("futex", "futex ping-pong of two threads, round trip", "us", busy=True),
    Row("futexwake", "futex wake, nobody waits", "us"),
    Row("yield", "sched_yield, nobody waits", "us"),
    Row("signal", "signal to itself", "us", peers=(37, 29), busy=True),
    Row("signalpair", "signals between two processes, round trip", "us"),
    Row("mmap", "mmap + munmap", "us"),
    Row("thread", "thread create + join", "us", peers=(175, 280), busy=True),
    Row("forkexec", "fork + exec + wait of static busybox", "ms"),
    Row("exec", "exec of a static program", "ms"),
    Row("forkbig", "fork of 100 MiB + exit + wait", "ms"),
    Row("cpu2", "CPU-bound loops in two threads at once", "us"),
    Row("make", "`make -j2` of 9 files", "ms", "macro"),
    Row("find", "`find /usr/share`, piped to wc", "ms", "macro"),
    Row("git", "git init, add, commit of 500 files", "ms", "macro"),
    Row("idle", "an idle machine, resident", "MiB", "command", most=80),
)  # fmt: skip
BY_NAME = {row.name: row for row in ROWS}
