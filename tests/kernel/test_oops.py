# SPDX-License-Identifier: Apache-2.0
"""A bug in a handler is an oops: its task dies, dmesg has the traceback, the machine goes on."""

from __future__ import annotations

import pytest

import pygos

pytestmark = pytest.mark.boots


class _Broken:
    """A handler with a bug."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, task: object, regs: object) -> int:
        raise self.error


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("division by zero"), MemoryError(), RecursionError("too deep")]
)
def test_an_oops_kills_its_task_only(error: BaseException) -> None:
    with pygos.Machine(memory="64m") as machine:
        kernel = machine._kernel
        assert kernel is not None
        sysinfo = 99
        kernel.syscalls[sysinfo] = _Broken(error)
        script = "import ctypes; ctypes.CDLL(None).syscall(99, 0); print('survived')"
        result = machine.run(["sh", "-c", f'python3 -c "{script}"; echo $?; echo on'], timeout=30)
        assert result.stdout == b"137\non\n"
        log = machine.dmesg()
        assert f"Oops: {type(error).__name__}" in log
        assert "Call Trace:" in log
        assert "test_oops.py" in log
        assert machine.run(["echo", "alive"], timeout=30).stdout == b"alive\n"
