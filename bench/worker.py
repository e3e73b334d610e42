# SPDX-License-Identifier: Apache-2.0
"""One side of the comparison, in a process of its own: it runs commands that it is told.

    python -P bench/worker.py JSON

The argument says what it is: {"cpus": [...] or null, "machine": {...} or null}. A machine binds
the process that it lives in to one CPU, so none may share a process with the native side. Each
line of standard input is a request, {"args", "cwd", "env", "timeout"}; each line of output the
answer: {"out", "seconds"} or {"error"}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def native(args: list[str], cwd: str, env: dict[str, str], timeout: float) -> tuple[int, str, str]:
    done = subprocess.run(
        args, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        errors="replace", timeout=timeout, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


class Guest:
    """A machine that stays up."""

    def __init__(self, options: dict[str, Any]) -> None:
        sys.path.insert(0, str(ROOT))
        import pygos

        self.machine = pygos.Machine(memory="2g", **options)
        self.machine.boot()

    def __call__(
        self, args: list[str], cwd: str, env: dict[str, str], timeout: float
    ) -> tuple[int, str, str]:
        result = self.machine.run(args, cwd=cwd, env=dict(env), timeout=timeout)
        out, err = result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")
        return result.returncode, out, err


def answer(run: Any, request: dict[str, Any]) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        status, out, err = run(**request)
    except Exception as error:  # the bench goes on with the other rows
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    seconds = time.perf_counter() - start
    if status:
        return {"error": f"{request['args'][0]}: status {status}: {err[-300:]}"}
    return {"out": out, "seconds": seconds}


def main() -> None:
    config = json.loads(sys.argv[1])
    if config["cpus"]:
        os.sched_setaffinity(0, config["cpus"])
    options = config["machine"]
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what anybody else prints is no answer
    try:
        run: Any = native if options is None else Guest(options)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"[:500]}), file=replies)
        return
    print(json.dumps({"out": "ready", "seconds": 0}), file=replies)
    for line in sys.stdin:
        print(json.dumps(answer(run, json.loads(line))), file=replies)


if __name__ == "__main__":
    main()
