# SPDX-License-Identifier: Apache-2.0
"""T-DOS-06: what a machine may use is limited, and its log says which limit was reached."""

from __future__ import annotations

import pytest

import pygos

pytestmark = pytest.mark.boots


def test_t_dos_06_memory() -> None:
    with pygos.Machine(memory="32m") as machine:
        machine.run(["perl", "-e", "$n = 1 << 20; push @x, q(x) x $n for 1 .. 99"], timeout=30)
        log = machine.dmesg()
    assert "perl invoked oom-killer" in log
    assert "Out of memory: Killed process" in log


def test_t_dos_06_processes() -> None:
    with pygos.Machine(memory="64m", pids=8) as machine:
        script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 30 & done"
        assert b"Cannot fork" in machine.run(["sh", "-c", script], timeout=30).stderr
        assert "fork rejected by pids controller in /" in machine.dmesg()
        assert machine.run(["echo", "alive"]).stdout == b"alive\n"


def test_t_dos_06_disk() -> None:
    with pygos.Machine(memory="64m") as machine:
        result = machine.run(["sh", "-c", "head -c 60M /dev/zero >/tmp/large"], timeout=30)
        assert b"No space left" in result.stderr
        assert "tmpfs: no space left" in machine.dmesg()


def test_t_dos_06_open_files() -> None:
    program = """
import os
open("/proc/sys/fs/file-max", "w").write("40")
os.setuid(65534)
try:
    while True:
        os.pipe()
except OSError as error:
    print(error.strerror)
"""
    with pygos.Machine(memory="64m", user="root") as machine:
        result = machine.run(["python3", "-c", program], timeout=30)
        assert result.stdout == b"Too many open files in system\n"
        assert "VFS: file-max limit 40 reached" in machine.dmesg()


def test_t_dos_06_time() -> None:
    with pygos.Machine(memory="64m") as machine:
        with pytest.raises(pygos.TimeoutExpired):
            machine.run(["sleep", "100"], timeout=0.2)
        assert "time limit of the run reached: killing" in machine.dmesg()
        assert "(sleep)" in machine.dmesg()
