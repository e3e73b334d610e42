# SPDX-License-Identifier: Apache-2.0
"""T-DEATH-03: errors of the kernel itself, at any point: the guest is killed or the run ends, no
guest goes on natively, and the machine lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import pygos

pytestmark = pytest.mark.boots

_GETPPID = 110
#: How many random points Ctrl-C is tried at; PYGOS_DEATHS=1000 is the full run.
_DEATHS = int(os.environ.get("PYGOS_DEATHS", "5"))
_CALL = "import os\nos.getppid()\nprint('went on')"


def deep(task: Any, regs: Any) -> int:
    """A handler without a bottom."""
    return deep(task, regs)


def no_memory(task: Any, regs: Any) -> int:
    return len(bytearray(1 << 60))


def interrupted(task: Any, regs: Any) -> int:
    raise KeyboardInterrupt


def mistaken(task: Any, regs: Any) -> int:
    return task.no_such_thing  # type: ignore[no-any-return]


@pytest.mark.parametrize("broken", [deep, no_memory, mistaken])
def test_an_error_in_a_handler_kills_the_caller_only(broken: Any) -> None:
    with pygos.Machine(memory="256m") as machine:
        kernel: Any = machine._kernel
        old = kernel.syscalls[_GETPPID]
        kernel.syscalls[_GETPPID] = broken
        result = machine.run([sys.executable, "-c", _CALL], timeout=30)
        assert (result.returncode, result.stdout) == (-9, b"")
        assert "Oops" in machine.dmesg()
        kernel.syscalls[_GETPPID] = old
        result = machine.run([sys.executable, "-c", _CALL], timeout=30)
        assert result.stdout == b"went on\n"


def test_an_interrupt_in_a_handler_ends_the_run_only() -> None:
    with pygos.Machine(memory="256m") as machine:
        kernel: Any = machine._kernel
        old = kernel.syscalls[_GETPPID]
        kernel.syscalls[_GETPPID] = interrupted
        with pytest.raises(KeyboardInterrupt):
            machine.run([sys.executable, "-c", _CALL], timeout=30)
        kernel.syscalls[_GETPPID] = old
        result = machine.run([sys.executable, "-c", _CALL], timeout=30)
        assert result.stdout == b"went on\n"


_OWNER = """
import os, sys, pygos
busy = "for i in 1 2 3; do (while :; do ls / >/dev/null; done) & done; wait"
with pygos.Machine(memory="256m", cpus=2) as machine:
    machine.run(["true"])
    print("ready", flush=True)
    try:
        machine.run(["sh", "-c", busy if sys.argv[1] == "busy" else "sleep 100"])
    except KeyboardInterrupt:
        print("interrupted")
    print(machine.run(["echo", "alive"]).stdout, machine.dmesg().count("Oops"))
"""


@pytest.mark.parametrize("seed", range(_DEATHS))
def test_ctrl_c_at_any_point_ends_the_run_cleanly(seed: int) -> None:
    """The owner of a machine presses ^C; the machine can be used again, nothing is left over."""
    work = "idle" if seed == 0 else "busy"
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, work], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"ready\n"
    end = time.monotonic() + (0.02 + seed * 0.037 % 0.4 if seed else 0.5)
    while time.monotonic() < end:
        pass
    children = Path(f"/proc/{owner.pid}/task/{owner.pid}/children").read_text().split()
    owner.send_signal(signal.SIGINT)
    out, err = owner.communicate(timeout=30)
    assert out == b"interrupted\nb'alive\\n' 0\n", err
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_ctrl_c_of_the_command_line_goes_to_the_program() -> None:
    run = [str(Path(sys.executable).with_name("pygos")), "run", "--", "sh", "-c"]
    with subprocess.Popen([*run, "echo up; exec sleep 100"], stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"up\n"
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=30) == 128 + signal.SIGINT
