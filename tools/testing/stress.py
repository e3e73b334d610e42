#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stress-ng inside a machine: does each stressor succeed, and is everything given back?

    stress.py [--platform NAME] [--seconds 20] [--workers 2] [STRESSOR...]
    stress.py --mixed [--platform NAME] [--seconds 300] [--cpus 2]

Each stressor runs in a machine of its own with ``--verify``: first for a second, so that files
are in the page cache, then for the time asked for. It fails if stress-ng does, if it ends late
(a wake-up that was lost), if the kernel oopsed, or if afterwards there are fewer free frames,
more tasks or more processes of the host than before. Without names: all those of processes,
signals, time and scheduling.

--mixed runs 24 workers in one machine at once, most of them with four threads or processes of
their own: futexes, mutexes, threads, signals, pipes, clone, fork, timers, mappings.

If nothing comes back at all, all stacks are printed and the status is 1.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pygos
from pygos.arch.um.registry import NAMES

STRESSORS = (
    "cpu fork vfork clone exec pthread futex sigabrt sigchld sigfd sigfpe sigio signal signest "
    "sigpending sigpipe sigq sigrt sigsegv sigsuspend sigtrap kill timer timerfd itimer clock "
    "poll epoll eventfd pipe pty nice schedpolicy wait zombie session resched switch yield mutex "
    "sem ptrace seccomp prctl set get rlimit"
)
#: 24 workers: their options for stress-ng.
MIXED = (
    "--pthread 4 --pthread-max 4 --mutex 2 --mutex-procs 4 --sem 2 --sem-procs 4 --futex 2 "
    "--sigq 1 --sigrt 1 --signal 1 --sigsuspend 1 --kill 1 --sigfd 1 --pipe 2 --switch 1 "
    "--clone 1 --clone-max 4 --fork 1 --fork-max 4 --vfork 1 --poll 1 "
    "--mmap 1 --mmap-bytes 4m --mmap-mprotect"
)
#: Frames that a run may keep: names and inodes that are cached, counters' pages.
SLACK = 64
#: Processes of the host: a platform keeps a few stubs for the next ones.
STUB_SLACK = 8
#: Seconds that stress-ng may take to end after its time.
LATE = 60


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a machine holds: free frames without any page cache, tasks, host processes."""

    frames: int
    tasks: int
    stubs: int


def footprint(machine: pygos.Machine) -> Footprint:
    machine.run(["sh", "-c", "echo 3 >/proc/sys/vm/drop_caches"], check=True, timeout=60)
    kernel = machine._kernel
    assert kernel is not None
    return Footprint(kernel.zone.nr_free, len(kernel.pids.tasks), children())


def children() -> int:
    """Processes of the host that belong to this one, zombies included."""
    task = Path("/proc/self/task")
    return sum(len((thread / "children").read_text().split()) for thread in task.iterdir())


def kept(before: Footprint, after: Footprint) -> str:
    """What wasn't given back."""
    parts = [
        f"{many} {what}"
        for what, many, slack in (
            ("frames", before.frames - after.frames, SLACK),
            ("tasks", after.tasks - before.tasks, 0),
            ("host processes", after.stubs - before.stubs, STUB_SLACK),
        )
        if many > slack
    ]
    return f"kept {', '.join(parts)}" if parts else ""


def stress(words: list[str], args: argparse.Namespace) -> str:
    """What went wrong; empty if nothing did."""
    command = ["stress-ng", *words, "--verify", "--timeout"]
    options = {"memory": "2GiB", "cpus": args.cpus, "platform": args.platform}
    with pygos.Machine(user="0", workdir="/tmp", **options) as machine:
        try:
            machine.run([*command, "1"], timeout=LATE)
            before = footprint(machine)
            start = time.monotonic()
            result = machine.run([*command, str(args.seconds)], timeout=4 * args.seconds + LATE)
            late = time.monotonic() - start - args.seconds
            after = footprint(machine)
        except pygos.TimeoutExpired as error:
            text = error.result.stdout + error.result.stderr
            return f"it doesn't end: {tail(text)}"
        log = machine.dmesg()
    if result.returncode:
        return f"status {result.returncode}: {tail(result.stdout + result.stderr)}"
    if late > LATE:
        return f"it ended {late:.0f} s late"
    if "Oops" in log:
        return "the kernel oopsed: " + tail(log.encode())
    return kept(before, after)


def tail(text: bytes) -> str:
    return " | ".join(text.decode(errors="replace").splitlines()[-5:])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--platform", choices=NAMES, help="default: the fastest")
    parser.add_argument("--mixed", action="store_true", help="24 workers in one machine")
    parser.add_argument("--seconds", type=int, help="for each (20), or for all with --mixed (300)")
    parser.add_argument("--workers", type=int, default=2, help="of each stressor")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("stressors", nargs="*", metavar="STRESSOR")
    args = parser.parse_args()
    args.seconds = args.seconds or (300 if args.mixed else 20)
    runs = {"mixed": MIXED.split()} if args.mixed else {}
    names = args.stressors or ([] if args.mixed else STRESSORS.split())
    runs.update((name, [f"--{name}", str(args.workers)]) for name in names)
    failed = 0
    for name, words in runs.items():
        faulthandler.dump_traceback_later(4 * args.seconds + 5 * LATE, exit=True)
        start = time.monotonic()
        trouble = stress(words, args)
        failed += bool(trouble)
        print(f"{name}: {trouble or 'ok'} ({time.monotonic() - start:.0f} s)", flush=True)
    faulthandler.cancel_dump_traceback_later()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
