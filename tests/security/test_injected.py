# SPDX-License-Identifier: Apache-2.0
"""T-DEATH-03: MemoryError at a random line of whatever serves a call. The caller may die of it;
the machine goes on serving others, and everybody can die in the end."""

from __future__ import annotations

import os
import random
import sys
from types import FrameType
from typing import Any

import pytest

from tests.security.fuzz import Fuzzer, limits
from tests.support.fsworld import FsWorld

_TIMES = int(os.environ.get("PYGOS_FUZZ", "0"))
#: What runs around handlers: an error there ends the machine.
_OUTSIDE = ("kernel/entry.py", "kernel/sched/", "kernel/time/cputime", "linux/timer")


class Injector:
    """Stands for FsWorld.call of a fuzzer: three calls in ten fail at some line."""

    def __init__(self, world: FsWorld, seed: int) -> None:
        self.random = random.Random(seed)
        self.real = world.call
        self.left = 0
        self.injected = 0
        #: Not while a new process sets itself up.
        self.active = False

    def call(self, task: Any, name: str, *args: int) -> int | None:
        if not self.active or self.random.random() > 0.3:
            return self.real(task, name, *args)
        self.left = self.random.randrange(1, 300)
        sys.settrace(self._enter)
        try:
            return self.real(task, name, *args)
        finally:
            sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if "pygos/" not in name or any(part in name for part in _OUTSIDE):
            return None
        return self._line

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            self.left -= 1
            if not self.left:
                sys.settrace(None)
                self.injected += 1
                raise MemoryError("injected")
        return self._line


@pytest.mark.skipif(sys.gettrace() is not None, reason="somebody else traces")
@pytest.mark.timeout(60 + 60 * _TIMES)
def test_a_memory_error_anywhere_in_a_call_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    injected = 0
    for seed in range(12 * max(_TIMES, 1)):
        with limits():
            fuzzer = Fuzzer(seed)
            injector = Injector(fuzzer.world, seed)
            monkeypatch.setattr(fuzzer, "_check", lambda: None)
            monkeypatch.setattr(fuzzer.world, "call", injector.call)
            timed = fuzzer._timed

            def attacked(*args: Any, injector: Injector = injector, timed: Any = timed) -> None:
                injector.active = True
                timed(*args)
                injector.active = False

            monkeypatch.setattr(fuzzer, "_timed", attacked)
            for _ in range(200):
                fuzzer.step()
            monkeypatch.undo()
            monkeypatch.setattr(fuzzer, "_check", lambda: None)
            fuzzer.finish()
            injected += injector.injected
            monkeypatch.undo()
    assert injected > 20
