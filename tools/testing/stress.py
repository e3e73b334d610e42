#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stress-ng inside a machine: does each stressor succeed, and is everything given back?

    stress.py [--seconds 20] [--workers 2] [STRESSOR...]

Each stressor runs in a machine of its own with ``--verify``: first for a second, so that files
are in the page cache, then for the time asked for. It fails if stress-ng does, if the kernel
oopsed, or if afterwards there are fewer free frames or more tasks than before. Exit status 1 if
any failed. Without names: all those of processes, signals, time and scheduling.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pygos

STRESSORS = (
    "cpu fork vfork clone exec pthread futex sigabrt sigchld sigfd sigfpe sigio signal signest "
    "sigpending sigpipe sigq sigrt sigsegv sigsuspend sigtrap kill timer timerfd itimer clock "
    "poll epoll eventfd pipe pty nice schedpolicy wait zombie session resched switch yield mutex "
    "sem ptrace seccomp prctl set get rlimit"
)
#: Frames that a run may keep: names and inodes that are cached, counters' pages.
SLACK = 64


def footprint(machine: pygos.Machine) -> tuple[int, int]:
    """Free frames without any page cache, and tasks."""
    machine.run(["sh", "-c", "echo 3 >/proc/sys/vm/drop_caches"], check=True)
    kernel = machine._kernel
    assert kernel is not None
    return kernel.zone.nr_free, len(kernel.pids.tasks)


def stress(name: str, seconds: int, workers: int) -> str:
    """What went wrong; empty if nothing did."""
    command = ["stress-ng", f"--{name}", str(workers), "--verify", "--timeout"]
    with pygos.Machine(memory="2GiB", cpus=2, user="0", workdir="/tmp") as machine:
        try:
            machine.run([*command, "1"], timeout=60)
            frames, tasks = footprint(machine)
            result = machine.run([*command, str(seconds)], timeout=4 * seconds + 60)
        except pygos.TimeoutExpired:
            return "it doesn't end"
        now = footprint(machine)
        text = result.stdout.decode() + result.stderr.decode()
        if result.returncode:
            return f"status {result.returncode}: " + " | ".join(text.splitlines()[-5:])
        if "Oops" in machine.dmesg():
            return "the kernel oopsed"
        if now[0] < frames - SLACK or now[1] > tasks:
            return f"kept {frames - now[0]} frames and {now[1] - tasks} tasks"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("stressors", nargs="*", metavar="STRESSOR")
    args = parser.parse_args()
    failed = 0
    for name in args.stressors or STRESSORS.split():
        trouble = stress(name, args.seconds, args.workers)
        failed += bool(trouble)
        print(f"{name}: {trouble or 'ok'}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
