# SPDX-License-Identifier: Apache-2.0
"""``pygos daemon``: a run that it serves is what a cold start would have been."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

pytestmark = pytest.mark.boots
SCRIPT = "import sys; from pygos.cli.main import main; sys.exit(main())"
PYGOS = (sys.executable, "-P", "-c", SCRIPT)
ROOT = Path(__file__).parents[2]
PROMPT = "outside> "
Done = subprocess.CompletedProcess[bytes]


class Daemon:
    """A daemon of its own, in a runtime directory of its own, of the package under `root`."""

    def __init__(self, root: Path, runtime: str) -> None:
        self.runtime = runtime
        self.env = {**os.environ, "PYTHONPATH": str(root), "XDG_RUNTIME_DIR": runtime}
        self.env.pop("PYGOS_DAEMON", None)

    def call(self, *words: str) -> Done:
        return subprocess.run([*PYGOS, *words], env=self.env, capture_output=True, check=False)

    def run(self, *words: str, **how: object) -> Done:
        how = {"input": b"", **how}
        if "stdin" in how:
            del how["input"]
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [*PYGOS, "run", *words], capture_output=True, check=False, **{"env": self.env, **how}
        )

    def popen(self, *words: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*PYGOS, "run", "--warm", *words], env=self.env, stdin=pipe, stdout=pipe, stderr=pipe
        )

    def status(self) -> tuple[int, int, int]:
        """Its pid, how many runs it has served, and how many go on."""
        said = self.call("daemon", "status").stdout.decode()
        found = re.search(r"pid (\d+), up \d+ s, (\d+) runs served, (\d+) going on", said)
        assert found, said
        return int(found[1]), int(found[2]), int(found[3])


def started(root: Path) -> Iterator[Daemon]:
    runtime = tempfile.mkdtemp(prefix="pygos-test-")
    daemon = Daemon(root, runtime)
    result = daemon.call("daemon", "start")
    assert (result.returncode, result.stderr) == (0, b""), result
    yield daemon
    daemon.call("daemon", "stop")
    shutil.rmtree(runtime)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, which nobody edits meanwhile."""
    root = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT / "pygos", root / "pygos")
    return root


@pytest.fixture(scope="module")
def daemon(package: Path) -> Iterator[Daemon]:
    yield from started(package)


def both(daemon: Daemon, *words: str, **how: object) -> tuple[Done, Done]:
    """The same run, cold and by the daemon."""
    before = daemon.status()[1]
    warm = daemon.run(*words, **how)
    assert daemon.status()[1] == before + 1
    return daemon.run("--no-daemon", *words, **how), warm


@pytest.mark.parametrize(
    "words",
    [
        ("sh", "-c", "echo out; echo err >&2; exit 7"),
        ("sh", "-c", "kill -9 $$"),
        ("sh", "-c", "kill -TERM $$"),
        ("no-such-program",),
        ("/etc/passwd",),
        ("--workdir", "/no/such", "true"),
        ("--memory", "1k", "true"),
        ("--user", "nobody-at-all", "true"),
        ("--volume", "/no/such:/x", "true"),
        ("-e", "A=B", "-e", "HIDDEN", "sh", "-c", "env | sort"),
        ("sh", "-c", "pwd; id; umask; hostname; nproc; ulimit -a; tty; cat /proc/self/mounts"),
        ("-m", "64m", "--cpus", "1", "--hostname", "box", "sh", "-c", "nproc; hostname; free -k"),
        ("-u", "0", "-w", "/etc", "sh", "-c", "id -u; pwd"),
        ("--timeout", "100ms", "sleep", "60"),
        ("--pids", "20", "sh", "-c", "cat /sys/fs/cgroup/pids.max; ls /proc | wc -l"),
        ("sh", "-c", "cat; wc -c < /proc/self/environ; ls -l /proc/self/fd | wc -l"),
        ("sh", "-c", "cat /proc/self/stat | cut -d' ' -f1-8; ls -la / /dev /run | wc -l"),
    ],
    ids=lambda words: " ".join(words)[:40],
)  # fmt: skip
def test_what_it_serves_is_what_a_cold_start_gives(
    words: tuple[str, ...], daemon: Daemon, tmp_path: Path
) -> None:
    env = {**daemon.env, "HIDDEN": "passed", "TOKEN": "secret"}
    cold, warm = both(daemon, *words, input=b"typed\n", cwd=tmp_path, env=env)
    assert (warm.returncode, warm.stdout, warm.stderr) == (
        cold.returncode, cold.stdout, cold.stderr,
    )  # fmt: skip


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o027)
    os.nice(5)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def test_limits_umask_priority_and_cpus_are_the_clients(daemon: Daemon) -> None:
    words = ("--strace-output", "/dev/null", "sh", "-c", "nproc; umask")
    cold, warm = both(daemon, *words, preexec_fn=limit_files)
    assert warm.stdout.splitlines()[:1] == [b"1"]
    assert (warm.returncode, warm.stdout, warm.stderr) == (0, cold.stdout, cold.stderr)


def test_a_files_position_is_shared(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\ntwo\n")
    with path.open("rb", buffering=0) as file:
        assert daemon.run("head", "-n", "1", stdin=file).stdout == b"one\n"
        position = os.lseek(file.fileno(), 0, os.SEEK_CUR)
        file.seek(0)
        daemon.run("--no-daemon", "head", "-n", "1", stdin=file)
        assert position == os.lseek(file.fileno(), 0, os.SEEK_CUR)


def test_the_clock_of_a_machine_that_waited_begins_at_the_run(daemon: Daemon) -> None:
    both(daemon, "true")
    up = [float(daemon.run("cat", "/proc/uptime").stdout.split()[0]) for _ in range(3)]
    assert all(0 <= seconds < 5 for seconds in up)
    log = daemon.run("--dmesg", "true").stderr.decode()
    stamps = [float(stamp) for stamp in re.findall(r"^\[ *([0-9.]+)\]", log, re.MULTILINE)]
    assert stamps
    assert stamps == sorted(stamps)


@pytest.mark.parametrize(
    ("command", "number", "status"),
    [
        ("trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.01; done", "INT", 3),
        ("trap 'echo caught; exit 4' TERM; echo ready; while :; do :; done", "TERM", 4),
        ("trap 'echo caught; exit 5' USR1; echo ready; while :; do :; done", "USR1", 5),
        ("echo ready; exec sleep 100", "HUP", 129),
    ],
)
def test_signals_to_the_client_reach_the_program(
    command: str, number: str, status: int, daemon: Daemon
) -> None:
    with daemon.popen("sh", "-c", command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.Signals[f"SIG{number}"])
        assert process.stdout.read() == (b"caught\n" if status < 128 else b"")
        assert process.wait(20) == status


def test_the_machine_dies_with_the_client(daemon: Daemon) -> None:
    with daemon.popen("sh", "-c", "echo ready; exec sleep 100") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        assert process.stdout.read() == b""  # until the last one who holds it has closed it


def test_the_client_tells_that_its_machine_has_died(daemon: Daemon) -> None:
    pid, _, _ = daemon.status()
    with daemon.popen("sh", "-c", "echo ready; exec sleep 100") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        for child in serving(pid, process.stdout.fileno()):
            os.kill(child, signal.SIGKILL)
        assert process.wait(20) == 125
        text = process.stderr.read()
    assert text == b"pygos: the daemon's process with the machine has died\n"


def serving(daemon: int, pipe: int) -> list[int]:
    """The children of the daemon that hold the other end of a pipe."""
    wanted = os.fstat(pipe).st_ino
    children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
    return [int(c) for c in children if os.stat(f"/proc/{c}/fd/1").st_ino == wanted]


def test_runs_outlive_the_daemon(package: Path) -> None:
    for daemon in started(package):
        with daemon.popen("sh", "-c", "echo ready; cat; exit 6") as process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == b"ready\n"
            assert daemon.call("daemon", "stop").stdout == b"the daemon has ended\n"
            assert daemon.call("daemon", "status").returncode == 3
            process.stdin.write(b"still here\n")
            process.stdin.close()
            assert process.stdout.read() == b"still here\n"
            assert process.wait(20) == 6


# -- who is served


def no_new_privileges() -> None:
    libc = ctypes.CDLL(None)
    assert libc.prctl(38, 1, 0, 0, 0) == 0


@pytest.mark.parametrize(
    ("restrict", "reason"), [(no_new_privileges, "the daemon has other rights than you")]
)
def test_who_has_other_rights_starts_cold(
    restrict: Callable[[], None], reason: str, daemon: Daemon
) -> None:
    result = daemon.run("--warm", "echo", "hi", preexec_fn=restrict)
    assert result.stdout == b"hi\n"
    assert result.stderr.decode() == f"pygos: cold start: {reason}\n"
    assert daemon.run("echo", "hi", preexec_fn=restrict).stderr == b""


def test_the_socket_is_the_users_alone(daemon: Daemon) -> None:
    directory = Path(daemon.runtime, "pygos")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "daemon").stat().st_mode) == 0o600
    directory.chmod(0o755)
    try:
        assert daemon.call("daemon", "status").returncode == 3
        assert daemon.run("echo", "hi").stdout == b"hi\n"
        refused = daemon.call("daemon", "start")
    finally:
        directory.chmod(0o700)
    assert refused.returncode == 125
    assert b"must be a directory of yours with mode 0700" in refused.stderr


def test_programs_inside_do_not_see_the_socket(daemon: Daemon) -> None:
    """T-FS-04."""
    connect = (
        "import socket, sys\n"
        "try: socket.socket(socket.AF_UNIX).connect(sys.argv[1]); print('connected')\n"
        "except OSError as error: print(error.errno)\n"
    )
    place = f"{daemon.runtime}/pygos"
    script = f'ls {place}; exec /usr/bin/env python3 -c "$1" {place}/daemon'
    for how in ("--no-daemon", "--warm"):
        result = daemon.run(how, "sh", "-c", script, "sh", connect)
        assert b"No such file or directory" in result.stderr
        assert result.stdout == b"2\n"


def test_garbage_on_the_socket_does_no_harm(daemon: Daemon) -> None:
    import socket

    for text in (b"", b"?", b"R", b"Rgarbage", b"R         3", b"R         5a\0b\0c", b"\0" * 500):
        with socket.socket(socket.AF_UNIX) as conn:
            conn.connect(f"{daemon.runtime}/pygos/daemon")
            conn.sendall(text)
    assert daemon.run("echo", "hi").stdout == b"hi\n"


def test_changed_sources_end_the_daemon(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "pygos", tmp_path / "pygos")
    for daemon in started(tmp_path):
        assert daemon.run("--warm", "echo", "hi").stderr == b""
        before = pid_of(daemon)
        os.utime(tmp_path / "pygos" / "kernel" / "fork.py")
        result = daemon.run("--warm", "echo", "hi")
        assert result.stdout == b"hi\n"
        told = b"pygos has changed since the daemon began" in result.stderr
        assert told or pid_of(daemon) != before, "it may have noticed by itself, between runs"


def pid_of(daemon: Daemon) -> bytes:
    return daemon.call("daemon", "status").stdout.partition(b"pid ")[2].partition(b",")[0]


def test_it_ends_when_nobody_needs_it(package: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="pygos-test-") as runtime:
        daemon = Daemon(package, runtime)
        command = [*PYGOS, "daemon", "start", "--foreground", "--idle", "100ms"]
        assert subprocess.run(command, env=daemon.env, timeout=30, check=False).returncode == 0
        assert not Path(runtime, "pygos", "daemon").exists()
        assert daemon.call("daemon", "status").returncode == 3


def test_a_run_can_ask_for_the_daemon(package: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="pygos-test-") as runtime:
        daemon = Daemon(package, runtime)
        assert daemon.run("--warm", "echo", "hi").stdout == b"hi\n"
        assert daemon.status()[1] == 1
        assert daemon.run("echo", "hi", env={**daemon.env, "PYGOS_DAEMON": "0"}).stdout == b"hi\n"
        assert daemon.status()[1] == 1
        assert daemon.call("daemon", "stop").returncode == 0


def test_daemons_that_start_at_the_same_time_become_one(package: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="pygos-test-") as runtime:
        daemon = Daemon(package, runtime)
        with daemon.popen("sh", "-c", "exit 3") as one, daemon.popen("sh", "-c", "exit 4") as other:
            assert one.communicate() == other.communicate() == (b"", b"")
        assert (one.returncode, other.returncode) == (3, 4)
        assert daemon.status()[1] == 2
        assert daemon.call("daemon", "start").stdout == b"the daemon is running already\n"
        assert daemon.call("daemon", "stop").returncode == 0


# -- at a terminal


@pytest.fixture(params=["--no-daemon", "--warm"])
def shell(
    request: pytest.FixtureRequest, daemon: Daemon, tmp_path: Path
) -> Iterator[pexpect.spawn]:
    """A shell of the host's with job control; `pygos` is `pygos run`, warm or cold."""
    command = tmp_path / "pygos"
    words = f"{sys.executable} -P -c '{SCRIPT}' run {request.param}"
    command.write_text(f'#!/bin/sh\nexec {words} -- "$@"\n')
    command.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    env = {**daemon.env, "PS1": PROMPT, "TERM": "dumb", "PATH": path}
    child = pexpect.spawn(
        "/bin/bash", ["--norc", "-i"], env=env, timeout=20, dimensions=(30, 200), encoding="utf-8"
    )
    child.expect_exact(PROMPT)
    yield child
    child.close(force=True)


def test_control_z_stops_the_machine_and_fg_goes_on(shell: pexpect.spawn) -> None:
    shell.sendline("pygos sh -c 'echo go; cat'")
    shell.expect_exact("\r\ngo\r\n")
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.expect_exact(PROMPT)
    shell.sendline("stty -a | grep -o -e '-\\?icanon'; jobs")
    shell.expect_exact("\r\nicanon\r\n")
    shell.expect("Stopped")
    shell.sendline("fg")
    shell.expect_exact("fg\r\n")
    shell.expect_exact("cat'\r\n")
    shell.sendline("typed")
    shell.expect_exact("typed\r\ntyped\r\n")
    shell.sendeof()
    shell.expect_exact(PROMPT)


def test_a_job_in_the_background_must_not_read(shell: pexpect.spawn) -> None:
    shell.sendline("pygos sh -c 'echo go; read a; echo got $a' &")
    shell.expect_exact("go\r\n")
    shell.sendline("")
    shell.expect("Stopped")
    shell.sendline("fg")
    shell.expect_exact("fg\r\n")
    shell.expect_exact("got $a'\r\n")
    shell.sendline("this")
    shell.expect_exact("got this\r\n")
    shell.expect_exact(PROMPT)


def test_control_c_ends_a_pipeline(shell: pexpect.spawn) -> None:
    """Standard output is a pipe: the terminal stays as it is, and its Ctrl-C is a signal."""
    shell.sendline("pygos sh -c 'echo go >&2; exec sleep 100' | cat")
    shell.expect_exact("\r\ngo\r\n")
    shell.sendintr()
    shell.expect_exact(PROMPT)
    shell.sendline("echo ${PIPESTATUS[0]}")
    shell.expect_exact("130\r\n")
    shell.expect_exact(PROMPT)


def test_the_window_size_follows(shell: pexpect.spawn) -> None:
    shell.sendline(
        "pygos sh -c 'trap \"stty size; exit\" WINCH; stty size; while :; do sleep 0.01; done'"
    )
    shell.expect_exact("30 200\r\n")
    shell.setwinsize(40, 100)
    shell.expect_exact("40 100\r\n")
    shell.expect_exact(PROMPT)
