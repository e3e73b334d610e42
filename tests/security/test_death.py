# SPDX-License-Identifier: Apache-2.0
"""T-DEATH: the kernel dies or stops at any moment; nothing of the guest's goes on alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.boots

#: How many random points are tried; PYGOS_DEATHS=1000 is the full run.
_DEATHS = int(os.environ.get("PYGOS_DEATHS", "8"))
_PYGOS = str(Path(sys.executable).with_name("pygos"))
_BUSY = "for i in 1 2 3 4; do (while :; do ls / >/dev/null; done) & done; echo up; wait"


def _start(tmp: Path) -> subprocess.Popen[bytes]:
    kernel = subprocess.Popen(
        [_PYGOS, "run", "--cpus", "2", "--", "sh", "-c", _BUSY],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp)},
    )
    assert kernel.stdout is not None
    assert kernel.stdout.readline() == b"up\n"
    return kernel


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] not in "ZX"


def _gone_within(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        os.sched_yield()
    return True


def _leftovers(tmp: Path) -> list[Path]:
    """What is in the kernel's own directory for temporary files, or shared memory of its name."""
    return [*tmp.iterdir(), *Path("/dev/shm").glob("*pygos*")]


@pytest.mark.parametrize("seed", range(_DEATHS))
def test_t_death_01_kill_at_a_random_point(seed: int, tmp_path: Path) -> None:
    kernel = _start(tmp_path)
    spin = time.monotonic() + random.Random(seed).random() / 20
    while time.monotonic() < spin:
        pass
    stubs = _children(kernel.pid)
    assert len(stubs) >= 3
    kernel.kill()
    kernel.communicate()
    assert _gone_within(stubs, 1.0)
    assert not _leftovers(tmp_path), "T-DEATH-04: files left behind"


def test_t_death_02_a_stopped_kernel_stops_the_guest(tmp_path: Path) -> None:
    """With the kernel stopped, stubs run at most to their next trap: none makes progress."""
    kernel = _start(tmp_path)
    try:
        kernel.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, kernel.pid, os.WSTOPPED | os.WNOWAIT)
        stubs = _children(kernel.pid)
        assert _gone_to_rest(stubs)
    finally:
        kernel.kill()
        kernel.communicate()
    assert _gone_within(stubs, 1.0)


def _gone_to_rest(pids: list[int]) -> bool:
    """All of them are stopped by their tracer or asleep within two seconds."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        states = [
            Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] for pid in pids
        ]
        if all(state in "tTSZ" for state in states):
            return True
    return False


def test_t_death_04_a_normal_end_leaves_nothing(tmp_path: Path) -> None:
    kernel = _start(tmp_path)
    stubs = _children(kernel.pid)
    kernel.send_signal(signal.SIGTERM)
    kernel.communicate(timeout=10)
    assert _gone_within(stubs, 1.0)
    assert not _leftovers(tmp_path)
