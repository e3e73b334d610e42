# SPDX-License-Identifier: Apache-2.0
"""The public API, as its users see it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pygos
from pygos.host.files import HostFiles

pytestmark = pytest.mark.boots


@pytest.fixture(scope="module")
def machine() -> Iterator[pygos.Machine]:
    with pygos.Machine(memory="256m") as machine:
        yield machine


def test_a_run_says_what_the_program_left(machine: pygos.Machine) -> None:
    result = machine.run(["sh", "-c", "cat; echo err >&2; exit 3"], input="text")
    assert (result.returncode, result.stdout, result.stderr) == (3, b"text", b"err\n")
    assert result.args == ("sh", "-c", "cat; echo err >&2; exit 3")
    assert result.duration > 0


def test_a_signal_is_a_negative_returncode(machine: pygos.Machine) -> None:
    result = machine.run(["sh", "-c", "kill -SEGV $$"])
    assert result.returncode == -11
    assert result.shell_status == 139


def test_files_stay_from_run_to_run(machine: pygos.Machine) -> None:
    machine.run(["sh", "-c", "echo kept >/tmp/kept-in-the-machine"], check=True)
    assert machine.run(["cat", "/tmp/kept-in-the-machine"]).stdout == b"kept\n"


def test_each_machine_is_its_own() -> None:
    with pygos.Machine(hostname="one") as one, pygos.Machine(hostname="two") as two:
        one.run(["sh", "-c", "echo 1 >/tmp/only-in-one"], check=True)
        assert two.run(["test", "-e", "/tmp/only-in-one"]).returncode == 1
        assert one.run(["uname", "-n"]).stdout == b"one\n"
        assert two.run(["uname", "-n"]).stdout == b"two\n"


def test_processes_left_running_are_killed(machine: pygos.Machine) -> None:
    result = machine.run(["sh", "-c", "sleep 1000 & echo started"], timeout=20)
    assert (result.returncode, result.stdout) == (0, b"started\n")


def test_cwd_and_env(machine: pygos.Machine) -> None:
    command = ["sh", "-c", "pwd; echo $A; echo ${HOME-unset}"]
    result = machine.run(command, cwd="/usr", env={"A": "b", "HOME": None})
    assert result.stdout == b"/usr\nb\nunset\n"


def test_a_timeout_kills_and_keeps_the_output(machine: pygos.Machine) -> None:
    with pytest.raises(pygos.TimeoutExpired, match=r"sh: killed after 0\.3 s") as caught:
        machine.run(["sh", "-c", "echo before; sleep 100"], timeout=0.3)
    assert caught.value.result.stdout == b"before\n"
    assert machine.run(["echo", "alive"]).stdout == b"alive\n"


def test_check_raises_with_the_result(machine: pygos.Machine) -> None:
    with pytest.raises(pygos.CommandFailed, match="sh: exit status 4") as caught:
        machine.run(["sh", "-c", "echo out; exit 4"], check=True)
    assert caught.value.result.stdout == b"out\n"
    with pytest.raises(pygos.CommandFailed, match="sh: killed by SIGKILL"):
        machine.run(["sh", "-c", "kill -9 $$"], check=True)


def test_what_cannot_be_started_is_an_error_of_its_own(machine: pygos.Machine) -> None:
    with pytest.raises(pygos.CommandNotFound, match="nothing-here: command not found"):
        machine.run(["nothing-here"])
    with pytest.raises(pygos.CommandNotExecutable, match="/usr: is a directory"):
        machine.run(["/usr"])
    with pytest.raises(pygos.ConfigError, match="working directory /nope: no such file"):
        machine.run(["true"], cwd="/nope")


@pytest.mark.parametrize("args", [[], [""], ["a\0b"], "ls -l", b"ls"])
def test_bad_arguments_are_refused_at_once(machine: pygos.Machine, args: object) -> None:
    with pytest.raises(pygos.ConfigError):
        machine.run(args)  # type: ignore[arg-type]


def test_bad_options_are_refused_at_once() -> None:
    for options in ({"memory": "1X"}, {"cpus": 0}, {"root": "/nope"}, {"env": {"a=b": "c"}}):
        with pytest.raises(pygos.ConfigError):
            pygos.Machine(**options)


def test_the_kernels_log_can_be_read(machine: pygos.Machine) -> None:
    assert "Linux version 6.16.0-pygos" in machine.dmesg()


def test_a_closed_machine_says_so() -> None:
    machine = pygos.Machine()
    machine.boot()
    machine.close()
    machine.close()
    with pytest.raises(pygos.PygosError, match="the machine is closed"):
        machine.run(["true"])


def test_a_seed_makes_random_numbers_reproducible() -> None:
    def numbers(seed: int) -> bytes:
        with pygos.Machine(seed=seed) as machine:
            return machine.run(["head", "-c", "32", "/dev/urandom"]).stdout

    assert numbers(1) == numbers(1)
    assert numbers(1) != numbers(2)


def test_input_and_output_may_be_large(machine: pygos.Machine) -> None:
    data = bytes(range(256)) * 8192
    assert machine.run(["cat"], input=data).stdout == data


def test_importing_pygos_imports_nothing_of_the_kernel() -> None:
    code = "import sys, pygos; print([m for m in sys.modules if m.startswith('pygos.')])"
    assert subprocess.check_output([sys.executable, "-c", code]) == b"[]\n"


def test_files_of_the_host_are_read_once(
    machine: pygos.Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of the host's files stay cached from run to run, until the file changes."""
    reads: list[int] = []
    pread_into = HostFiles.pread_into

    def counted(self: HostFiles, handle: int, offset: int, buffers: Any) -> int:
        count = pread_into(self, handle, offset, buffers)
        reads.append(count)
        return count

    monkeypatch.setattr(HostFiles, "pread_into", counted)
    path = tmp_path / "data"
    path.write_bytes(b"x" * 300_000)
    command = ["sha256sum", str(path)]
    first = machine.run(command).stdout
    assert sum(reads) >= 300_000
    reads.clear()
    assert machine.run(command).stdout == first
    assert reads == []
    for module in ("hostfs.file", "hostfs.inode", "overlayfs.inode", "overlayfs.dir"):
        monkeypatch.setattr(f"pygos.fs.{module}.VALID_FOR", 0)  # names are asked for each time
    assert machine.run(command).stdout == first
    assert reads == []
    path.write_bytes(b"y" * 300_000)
    assert machine.run(command).stdout != first
    assert sum(reads) >= 300_000
