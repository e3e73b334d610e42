# SPDX-License-Identifier: Apache-2.0
"""The host's own trace of all system calls that it executes for a program and its children.

The trace point lies behind seccomp: what a filter traps or kills is not seen.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_TRACER = r"""
import os, subprocess, sys
tracing = "/sys/kernel/tracing"
subprocess.run(["mount", "-t", "tracefs", "nodev", tracing], check=True)
def put(name, text):
    with open(f"{tracing}/{name}", "w") as file:
        file.write(text)
starter = "input(); import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
child = subprocess.Popen([sys.executable, "-c", starter, *sys.argv[1:]],
                         stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
put("trace", "")
put("set_event_pid", str(child.pid))
put("options/event-fork", "1")
put("buffer_size_kb", "65536")
put("events/raw_syscalls/sys_enter/enable", "1")
child.communicate(b"\n")
put("events/raw_syscalls/sys_enter/enable", "0")
print(child.pid, child.returncode)
with open(f"{tracing}/trace") as file:
    for line in file:
        if " sys_enter: NR " in line:
            pid = line.split("[", 1)[0].rsplit("-", 1)[1].strip()
            print(pid, line.split(" NR ")[1].strip())
put("set_event_pid", "")
"""


@dataclass(frozen=True)
class HostCall:
    """One call that was made."""

    pid: int
    number: int
    args: tuple[int, ...]


def host_calls(
    tmp_path: Path, command: list[str], timeout: float = 60
) -> tuple[int, int, list[HostCall]]:
    """Run `command`: its pid, exit status, and all calls. Skips where the host can't tell."""
    if os.geteuid() or not Path("/sys/kernel/tracing").is_dir():
        pytest.skip("needs root and tracefs")
    script = tmp_path / "trace.py"
    script.write_text(_TRACER)
    words = ["unshare", "-m", sys.executable, str(script), *command]
    run = subprocess.run(words, capture_output=True, text=True, timeout=timeout)
    if run.returncode:
        pytest.skip(f"no tracefs here: {run.stderr.strip().splitlines()[-1]}")
    head, *rows = run.stdout.splitlines()
    pid, status = head.split()
    return int(pid), int(status), [_parse(row) for row in rows]


def _parse(row: str) -> HostCall:
    """``PID NR (a, b, ...)``, the arguments in hexadecimal."""
    pid, number, rest = row.split(maxsplit=2)
    return HostCall(int(pid), int(number), tuple(int(a, 16) for a in rest.strip("()").split(",")))
