# SPDX-License-Identifier: Apache-2.0
"""Attacks on um-systrap, whose guests run code of ours with a few calls of the host's.

What a guest may try: jump anywhere into the stub with any registers, forge all that lies in its
thread areas, lie about being at rest, block the signals by which it is interrupted. It may hurt
itself; nothing else may change. `PYGOS_ATTACKS=20` tries that many times as much.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

import pygos
from pygos.host import machine_code as mc
from pygos.host.layout import STUB_CODE
from tests.security import systrap
from tests.security.conftest import Compiler
from tests.security.tracing import HostCall, host_calls

pytestmark = [pytest.mark.boots, pytest.mark.timeout(300)]

_TIMES = int(os.environ.get("PYGOS_ATTACKS", "1"))
_SEED = os.environ.get("PYGOS_SEED", "1")


@pytest.fixture
def machine() -> Iterator[pygos.Machine]:
    with pygos.Machine(memory="256m", cpus=2, user="0", platform="systrap") as machine:
        yield machine


def _children() -> dict[int, str]:
    """Host processes of this one, and what they are called."""
    found = {}
    for pid in Path("/proc/self/task").iterdir():
        for child in (pid / "children").read_text().split():
            try:
                found[int(child)] = Path(f"/proc/{child}/comm").read_text().strip()
            except OSError:
                continue
    return found


class Watch:
    """Looks at the host's side of the stubs while an attack runs."""

    def __init__(self) -> None:
        self.before = _children()
        self.strange: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        assert not self.strange

    def _look(self) -> None:
        while not self._over.wait(0.05):
            for pid, name in _children().items():
                if pid not in self.before and name != "pygos-guest":
                    self.strange.append(f"process {name}")
                self._look_at_files(pid)

    def _look_at_files(self, pid: int) -> None:
        if pid in self.before:
            return
        try:
            files = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            return
        self.strange += [
            f"{pid} has {file}" for file in files if "pygos-ram" not in file and "event" not in file
        ]


def _run(machine: pygos.Machine, binary: str, *args: str, timeout: float = 120) -> list[str]:
    with Watch():
        result = machine.run([binary, *args], timeout=timeout)
    again = machine.run(["/bin/sh", "-c", "echo still here"], timeout=20)
    assert again.stdout == b"still here\n"
    assert "Oops" not in machine.dmesg()
    return result.stdout.decode().splitlines()


def test_t_esc_05_calls_by_the_stubs_own_instructions(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    lines = _run(machine, compile_c(systrap.program(systrap.CALLS)))
    assert lines[-1] == "end"
    assert [line for line in lines if line.endswith("BAD")] == []
    assert len(lines) == 19
    assert not Path("/tmp/t-esc-05-from-the-stub").exists()


def test_t_esc_06_what_can_be_written_above_the_guest(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    """Of the stub its own page of positions; of an area all but the thread page."""
    lines = _run(machine, compile_c(systrap.program(systrap.PAGES)))
    writable = [line.split()[0] for line in lines if line.endswith("1")]
    assert set(writable) <= {"stub+12000", "area+0", "area+2000", "area+3000"}
    assert "area+1000 10" in lines
    assert "stub+0 10" in lines


def test_t_esc_07_jumps_to_every_byte_of_the_stub(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    binary = compile_c(systrap.program(systrap.OFFSETS))
    assert _run(machine, binary, str(_TIMES), _SEED, timeout=280) == ["1", "unharmed"]
    assert not Path("/tmp/t-esc-07-offsets").exists()


#: Calls that need the pass in their sixth argument: mprotect, munmap, clone.
_WITH_PASS = {10, 11, 56}
#: What makes stubs: until this call (close_range of every descriptor) a process is one of them.
_MAKING = {3, 7, 9, 13, 14, 33, 38, 101, 110, 131, 157, 160, 302, 317, 436}
#: What guest code may call: mmap of descriptor 3, rt_sigreturn, prctl, arch_prctl, futex.
_GUEST = {9, 15, 157, 158, 202}


def test_t_esc_01_what_the_host_executes_for_a_guest_that_jumps_everywhere(
    tmp_path: Path, compile_c: Compiler
) -> None:
    binary = compile_c(systrap.program(systrap.OFFSETS))
    command = [str(Path(sys.executable).with_name("pygos")), "run", "--platform", "systrap", "--"]
    command += [binary, "1", _SEED]
    kernel, status, trace = host_calls(tmp_path, command, 250)
    assert status == 0
    stubs = _of_stubs(kernel, trace)
    assert len({call.pid for call in stubs}) > 500
    numbers = {call.number for call in stubs}
    assert numbers <= _WITH_PASS | _MAKING | _GUEST, "calls that nobody may make"
    # Nobody but the kernel knows the pass, and it is not 0.
    passes = {call.args[5] for call in stubs if call.number in _WITH_PASS}
    assert len(passes - {0}) == 1
    assert {call.args[4] for call in stubs if call.number == 9} == {3}
    assert {call.args[3] & ~0x8000 for call in stubs if call.number == 9} == {0x11}
    assert {call.args[1] & 0xFFFFFFFF for call in stubs if call.number == 202} <= {0, 1}
    assert not Path("/tmp/t-esc-07-offsets").exists()


def _of_stubs(kernel: int, trace: list[HostCall]) -> list[HostCall]:
    """Calls of the stubs, from their filter on (or, the zygote, from its execve)."""
    begun: dict[int, list[HostCall]] = {}
    for call in trace:
        if call.pid == kernel:
            continue
        if call.number in (59, 317):
            begun[call.pid] = []
        else:
            begun.setdefault(call.pid, []).append(call)
    return [call for calls in begun.values() for call in calls]


def test_t_esc_07_siblings_forge_their_areas(machine: pygos.Machine, compile_c: Compiler) -> None:
    binary = compile_c(systrap.program(systrap.FORGE))
    assert _run(machine, binary, str(32 * _TIMES), _SEED) == ["1", "unharmed"]


def test_t_esc_07_every_field_of_the_control_page(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    binary = compile_c("#include <pthread.h>\n" + systrap.program(systrap.FIELDS))
    step = max(8 // _TIMES, 1)
    assert _run(machine, binary, str(step), _SEED, timeout=280) == ["1", "unharmed"]


def test_t_ent_03_forged_signal_frames(machine: pygos.Machine, compile_c: Compiler) -> None:
    binary = compile_c(systrap.program(systrap.FRAMES))
    assert _run(machine, binary) == ["1", "unharmed"]


@pytest.mark.parametrize("how", ["0", "1"])
def test_t_dos_04_a_guest_that_takes_no_signals_is_ended(
    machine: pygos.Machine, compile_c: Compiler, how: str
) -> None:
    binary = compile_c(systrap.program(systrap.DEAF))
    assert _run(machine, binary, how, timeout=30) == ["1"]


@pytest.mark.parametrize("how", ["0", "1", "2", "3"])
def test_t_dos_04_a_guest_that_wakes_the_kernel_for_ever(
    machine: pygos.Machine, compile_c: Compiler, how: str
) -> None:
    binary = compile_c(systrap.program(systrap.NOISE))
    assert _run(machine, binary, how, timeout=60) == ["in time", "unharmed", "1"]


def test_t_race_02_a_thread_that_only_says_it_is_at_rest_sees_nothing(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    binary = compile_c(systrap.program(systrap.LIAR))
    assert _run(machine, binary, str(12 * _TIMES)) == ["1 0"]


def test_t_ent_09_bases_anywhere_and_the_patched_entry(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    text = f"#define PATCHED {STUB_CODE + mc.STUB_PATCHED:#x}UL\n"
    binary = compile_c(text + systrap.program(systrap.BASES))
    assert _run(machine, binary) == ["1", "unharmed"]


def test_t_ent_05_the_pages_that_all_processes_show(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    binary = compile_c("#include <time.h>\n" + systrap.program(systrap.VVAR))
    assert _run(machine, binary) == ["1 1", "1"]


def test_t_esc_07_patches_stay_in_the_process(machine: pygos.Machine, compile_c: Compiler) -> None:
    """No file and no shared memory changes because code in it makes calls."""
    assert _run(machine, compile_c(systrap.program(systrap.PATCHES))) == ["1" * 7]


def test_t_esc_07_windows_onto_files(machine: pygos.Machine, compile_c: Compiler) -> None:
    """Frames that have left a file are out of reach, and positions are only positions."""
    lines = _run(machine, compile_c(systrap.program(systrap.WINDOWS)))
    assert lines == [
        "window 1", "writable 0", "truncated 0", "old 0", "closed 0", "child 0", "positions 0",
    ]  # fmt: skip


@pytest.mark.timeout(60)
def test_t_death_01_guests_that_take_no_signals_die_with_the_kernel(compile_c: Compiler) -> None:
    binary = compile_c(systrap.program(systrap.UNDEAD))
    command = [Path(sys.executable).with_name("pygos"), "run", "--platform", "systrap", "--"]
    with subprocess.Popen([*command, binary], stdout=subprocess.PIPE) as kernel:
        try:
            assert kernel.stdout is not None
            assert [kernel.stdout.readline() for _ in range(4)] == [b"up\n"] * 4
            children = Path(f"/proc/{kernel.pid}/task/{kernel.pid}/children").read_text().split()
        finally:
            kernel.kill()
    assert len(children) >= 6
    limit = time.monotonic() + 1
    while any(_lives(pid) for pid in children):
        assert time.monotonic() < limit, "guests outlive the kernel"


def _lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
