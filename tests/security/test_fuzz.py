# SPDX-License-Identifier: Apache-2.0
"""T-ESC-01: whatever a program passes to whatever call, the kernel answers and lives on.

``PYGOS_FUZZ=N make test`` fuzzes N times as long, with other seeds.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import pygos
from tests.security.fuzz import Failure, Fuzzer, handlers, limits

_TIMES = int(os.environ.get("PYGOS_FUZZ", "0"))
_SEEDS = 12 * max(_TIMES, 1)
_FIRST = 1_000_000 * _TIMES


@pytest.mark.parametrize("block", range(4))
@pytest.mark.timeout(60 + 60 * _TIMES)
def test_t_esc_01_random_calls_leave_no_oops(block: int) -> None:
    """Handlers of all rooms, on a machine without a host: a value or an errno, in bounded time."""
    with limits():
        for seed in range(block, _SEEDS, 4):
            Fuzzer(_FIRST + seed).run(600)


@pytest.mark.timeout(60 + 60 * _TIMES)
def test_t_esc_01_every_call_gets_its_share() -> None:
    """Few calls of each kind at least, whatever the other test picks."""
    with limits():
        for name in handlers():
            Fuzzer(_FIRST, (name,)).run(25 * max(_TIMES, 1))


def test_the_fuzzer_sees_an_oops() -> None:
    """It would notice: a handler that fails is reported with its place."""
    fuzzer = Fuzzer(1, ("getpid",))
    fuzzer.world.machine.syscalls[39] = lambda task, regs: 1 // 0
    with pytest.raises(Failure, match="ZeroDivisionError"):
        fuzzer.run(50)


@pytest.mark.boots
@pytest.mark.timeout(90 + 60 * _TIMES)
@pytest.mark.parametrize("seed", [1, 2])
def test_t_esc_01_random_calls_from_inside(seed: int, tmp_path: Path) -> None:
    """A program that makes random calls in child after child; the machine serves others then."""
    source, binary = Path(__file__).with_name("fuzz.c"), tmp_path / "fuzz"
    command = ["gcc", "-std=gnu17", "-O1", "-w", "-o", str(binary), str(source)]
    subprocess.run(command, check=True)
    milliseconds = 2000 + 30_000 * _TIMES
    with pygos.Machine(memory="128m", cpus=2, seed=seed, user="0") as machine:
        args = [str(binary), str(_FIRST + seed), str(milliseconds)]
        result = machine.run(args, timeout=milliseconds / 1000 + 30)
        assert "Oops" not in machine.dmesg(), machine.dmesg()[-8000:]
        assert result.returncode == 0, result.stderr[-500:]
        assert b"children" in result.stdout
        assert machine.run(["echo", "alive"], timeout=30).stdout == b"alive\n"
