# SPDX-License-Identifier: Apache-2.0
"""The sides of a comparison: the host itself, and machines in several configurations."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.macro import PATH
from bench.rows import CONFIGS

WORKER = Path(__file__).with_name("worker.py")


class Failed(Exception):
    """A side could not do what it was asked for; str() says why."""


class Side:
    """One of them: ``native`` or a name of CONFIGS. Its process starts at the first use."""

    def __init__(self, name: str, cpus: Sequence[int] | None = None) -> None:
        self.name = name
        self.cpus = cpus
        self.title = "native" if name == "native" else CONFIGS[name][0]
        self._process: subprocess.Popen[str] | None = None
        #: Why it can't be started at all.
        self.broken = ""

    def run(
        self, args: Sequence[str], directory: Path | str, env: dict[str, str] | None = None,
        timeout: float = 120,
    ) -> tuple[str, float]:  # fmt: skip
        """Run a command; its output and the seconds it took. Failed if it fails."""
        base = {"PATH": PATH, "HOME": str(directory), "LANG": "C.UTF-8"}
        request = {
            "args": list(args), "cwd": str(directory), "env": {**base, **(env or {})},
            "timeout": timeout,
        }  # fmt: skip
        reply = self._ask(json.dumps(request), timeout + 30)
        return str(reply["out"]), float(reply["seconds"])

    def _ask(self, line: str, timeout: float) -> dict[str, Any]:
        if self.broken:
            raise Failed(self.broken)
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:
            self.close()
            raise Failed("its process is gone") from None
        return self._reply(timeout)

    def _start(self) -> None:
        machine = None if self.name == "native" else CONFIGS[self.name][1]
        config = json.dumps({"cpus": self.cpus, "machine": machine})
        env = {key: value for key, value in os.environ.items() if key != "PYGOS_PLATFORM"}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER), config],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
        )  # fmt: skip
        try:
            self._reply(60)
        except Failed as error:
            self.broken = str(error)
            raise

    def _reply(self, timeout: float) -> dict[str, Any]:
        """The next answer; a side that doesn't give one is ended and starts anew."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], timeout)
        line = process.stdout.readline() if ready else ""
        if not line:
            self.close()
            raise Failed("it hangs" if not ready else "its process died")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise Failed(str(reply["error"]))
        return reply

    def close(self) -> None:
        """End its process."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.close()
        except OSError:
            pass
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """That many processes that only compute, as long as it is entered."""
    loop = ["sh", "-c", "while :; do :; done"]
    loops = [subprocess.Popen(loop) for _ in range(count)]
    try:
        yield
    finally:
        for process in loops:
            process.send_signal(signal.SIGKILL)
            process.wait()
