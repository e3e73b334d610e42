# SPDX-License-Identifier: Apache-2.0
"""A short tour of pygos: some commands run in one machine, each with a word on what it shows.

    python samples/tour.py

It uses nothing but the public API, so it is an example of that too.
"""

from __future__ import annotations

import os
import sys
import time

import pygos

_PYTHON = """
import subprocess, threading
thread = threading.Thread(target=print, args=["a thread"])
thread.start(); thread.join()
print(subprocess.check_output(["echo", "a child"], text=True), end="")
""".strip()

#: What a step shows, and the command line that shows it.
STEPS = (
    ("An unmodified program asks our kernel who it is.", "uname -a"),
    (
        "A shell, pipes and processes, all of them in the machine.",
        r"for i in 3 1 2; do echo $i; done | sort | tr '\n' ' '; echo",
    ),
    ("A dynamically linked interpreter with a thread and a child.", f"python3 -c '{_PYTHON}'"),
    (
        "The files are the host's, copy-on-write: this removes the machine's own /usr/sbin.",
        "rm -rf /usr/sbin && ls /usr",
    ),
    (
        "The machine stays up: what the last run changed is still changed.",
        "ls -d /usr/sbin 2>&1 || true",
    ),
)


def main() -> int:
    start = time.perf_counter()
    try:
        # Root inside, whoever one is outside: it is root of this machine only.
        with pygos.Machine(user="0") as machine:
            took = (time.perf_counter() - start) * 1000
            print(f"A machine with 1 GiB of RAM booted in {took:.0f} ms.\n")
            for text, command in STEPS:
                show(machine, text, command)
    except pygos.PygosError as error:
        print(f"pygos: {error}", file=sys.stderr)
        return 125
    there = "is still there" if os.path.isdir("/usr/sbin") else "IS GONE"
    print(f"The machine is gone. The host's /usr/sbin {there}.\n")
    print("Next: make run CMD='any command', or make run at a terminal for a shell.")
    return 0


def show(machine: pygos.Machine, text: str, command: str) -> None:
    print(text)
    print("  $ " + command.replace("\n", "\n  > "))
    result = machine.run(["/bin/sh", "-c", command], timeout=120)
    for line in (result.stdout + result.stderr).decode(errors="replace").splitlines():
        print(f"  {line}")
    status = "" if result.returncode == 0 else f", status {result.returncode}"
    print(f"  ({result.duration * 1000:.0f} ms{status})\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
