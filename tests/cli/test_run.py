# SPDX-License-Identifier: Apache-2.0
"""``pygos run``: statuses, streams, environment, users, and words for what can't be run."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.boots
SCRIPT = "import sys; from pygos.cli.main import main; sys.exit(main())"
COMMAND = (sys.executable, "-c", SCRIPT, "run")


def run(
    *args: str, input: bytes = b"", env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    full = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **(env or {})}
    return subprocess.run(
        [*COMMAND, *args], input=input, capture_output=True, env=full, cwd=cwd, check=False
    )


def outcome(*args: str) -> tuple[int, str, str]:
    result = run(*args)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


@pytest.mark.parametrize(
    ("command", "status"),
    [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)],
)
def test_the_exit_status_is_the_programs(command: str, status: int) -> None:
    assert outcome("sh", "-c", command) == (status, "", "")


def test_the_three_streams_are_ours() -> None:
    result = run("--", "sh", "-c", "cat; echo to stderr >&2", input=b"from stdin\n")
    assert (result.stdout, result.stderr) == (b"from stdin\n", b"to stderr\n")


def test_options_end_at_the_command() -> None:
    assert outcome("echo", "--memory", "-x", "--", "-e") == (0, "--memory -x -- -e\n", "")


def test_dockers_short_options_are_accepted() -> None:
    assert outcome("--rm", "-i", "-m", "64m", "--cpus=1", "--", "echo", "hi") == (0, "hi\n", "")


def test_a_missing_program_is_127() -> None:
    assert outcome("no-such-program") == (127, "", "pygos: no-such-program: command not found\n")
    assert outcome("/no/such") == (127, "", "pygos: /no/such: no such file or directory\n")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Things that can't be executed, by name."""
    elf = bytearray(Path("/bin/true").read_bytes())
    contents = {
        "plain": b"data",
        "text": b"just text\n",
        "empty": b"",
        "elf32": bytes([*elf[:4], 1, *elf[5:18], 3, 0, *elf[20:]]),
        "arm": bytes([*elf[:18], 183, 0, *elf[20:]]),
        "script": b"#!/no/interpreter\n",
    }
    for name, data in contents.items():
        path = tmp_path / name
        path.write_bytes(data)
        path.chmod(0o644 if name == "plain" else 0o755)
    (tmp_path / "dir").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("plain", 126, "permission denied"),
        ("dir", 126, "is a directory"),
        ("text", 126, "exec format error: neither an ELF program nor a #! script"),
        ("empty", 126, "exec format error: the file is empty"),
        ("elf32", 126, "exec format error: a program for x86, 32 bits; this machine is x86-64"),
        ("arm", 126, "exec format error: a program for AArch64; this machine is x86-64"),
        ("script", 127, "its interpreter (#! line or ELF loader) is not there"),
    ],
)
def test_what_cannot_be_executed_is_one_clear_line(
    files: Path, name: str, status: int, reason: str
) -> None:
    path = f"{files}/{name}"
    assert outcome(path) == (status, "", f"pygos: {path}: {reason}\n")


def test_a_missing_working_directory_is_said() -> None:
    line = "pygos: working directory /no/where: no such file or directory\n"
    assert outcome("-w", "/no/where", "true") == (125, "", line)
    assert outcome("-w", "/etc/passwd", "true")[2].endswith("/etc/passwd: not a directory\n")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_a_working_directory_that_the_user_may_not_enter(tmp_path: Path) -> None:
    (tmp_path / "closed" / "inner").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    (tmp_path / "closed").parent.chmod(0o755)
    status, _, line = outcome("-u", "1234", "-w", f"{tmp_path}/closed/inner", "true")
    assert (status, line.split(": ")[-1]) == (125, "permission denied\n")


def test_the_program_starts_where_we_are(tmp_path: Path) -> None:
    assert run("pwd", cwd=tmp_path).stdout.decode() == f"{tmp_path}\n"
    assert outcome("-w", "/usr/bin", "pwd") == (0, "/usr/bin\n", "")


def test_the_environment_is_scrubbed_and_dash_e_adds() -> None:
    env = {"SECRET_TOKEN": "t", "LC_ALL": "C", "PASSED": "p"}
    result = run("-e", "A=1", "-e", "PASSED", "env", env=env)
    lines = set(result.stdout.decode().splitlines())
    assert {"A=1", "PASSED=p", "LC_ALL=C"} <= lines
    assert not any(line.startswith("SECRET_TOKEN") for line in lines)


def test_the_machines_name_and_user_can_be_chosen() -> None:
    assert outcome("--hostname", "box", "uname", "-n")[1] == "box\n"
    assert outcome("-u", "1234:56", "-w", "/", "sh", "-c", "id -u; id -g")[1] == "1234\n56\n"


def test_a_program_that_takes_too_long_is_killed() -> None:
    start = time.monotonic()
    assert outcome("--timeout", "300ms", "sleep", "60") == (
        124,
        "",
        "pygos: timed out after 300ms\n",
    )
    assert time.monotonic() - start < 20


def test_what_the_machine_writes_stays_in_it(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("host")
    command = f"cd {tmp_path}; echo guest >kept; echo x >new; cat kept; ls"
    assert outcome("sh", "-c", command) == (0, "guest\nkept\nnew\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_text() == "host"


def test_a_directory_can_be_the_root(tmp_path: Path) -> None:
    busybox = Path("/bin/busybox")
    if not busybox.exists():
        pytest.skip("not installed: busybox")
    (tmp_path / "bin").mkdir()
    copy = tmp_path / "bin" / "sh"
    copy.write_bytes(busybox.read_bytes())
    copy.chmod(copy.stat().st_mode | stat.S_IXUSR)
    command = "busybox() { sh; }; echo /*; echo x >/file; echo $HOME"
    status, out, err = outcome("--root", str(tmp_path), "/bin/sh", "-c", command)
    assert (status, err) == (0, "")
    assert "/bin" in out
    assert "/usr" not in out
    assert not (tmp_path / "file").exists()


def test_a_volume_shows_a_host_directory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("from the host\n")
    assert outcome("-v", f"{tmp_path}:/mnt:ro", "cat", "/mnt/data") == (0, "from the host\n", "")
    status, _, err = outcome("-v", f"{tmp_path}:/mnt:ro", "sh", "-c", "echo x >/mnt/new")
    assert status != 0
    assert "Read-only file system" in err


def test_a_volume_is_written_on_the_host(tmp_path: Path) -> None:
    command = "echo inside >/mnt/new && mkdir /mnt/dir && mv /mnt/new /mnt/dir/"
    assert outcome("-v", f"{tmp_path}:/mnt", "sh", "-c", command) == (0, "", "")
    assert (tmp_path / "dir/new").read_text() == "inside\n"


def test_dmesg_is_printed_at_the_end() -> None:
    status, out, err = outcome("--dmesg", "true")
    assert (status, out) == (0, "")
    assert "Linux version 6.16.0-pygos" in err


def test_strace_prints_every_call(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    assert outcome("--strace-output", str(path), "echo", "hi") == (0, "hi\n", "")
    assert 'write(1, "hi\\n", 3)' in path.read_text()


def test_closed_standard_files_are_closed_inside() -> None:
    result = subprocess.run(
        ["sh", "-c", '"$@" <&- 2>/dev/null', "sh", *COMMAND, "sh", "-c", "cat; echo $?"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert result.stdout == b"1\n"


def test_a_reader_that_goes_away_ends_the_program() -> None:
    pipeline = '"$@" | head -n 1'
    result = subprocess.run(
        ["sh", "-c", pipeline, "sh", *COMMAND, "yes"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert (result.stdout, result.stderr) == (b"y\n", b"")


@pytest.mark.parametrize(
    ("command", "number", "status"),
    [
        ("trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.01; done", "INT", 3),
        ("trap 'echo caught; exit 4' TERM; echo ready; while :; do :; done", "TERM", 4),
        ("trap '' USR1; echo ready; exec sleep 100", "TERM", 143),
    ],
)
def test_signals_reach_the_program(command: str, number: str, status: int) -> None:
    with subprocess.Popen(
        [*COMMAND, "sh", "-c", command],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.Signals[f"SIG{number}"])
        rest = process.stdout.read()
        assert process.wait(20) == status
    assert rest == (b"caught\n" if status < 128 else b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_kernel_leaves_no_process_behind(number: int) -> None:
    with subprocess.Popen(
        [*COMMAND, "sh", "-c", "echo ready; exec sleep 300"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert children
        process.send_signal(number)
        process.wait(20)
    deadline = time.monotonic() + 5
    while any(alive(int(pid)) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(alive(int(pid)) for pid in children)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_log_says_which_platform_it_is() -> None:
    status, _, log = outcome("--untrusted", "--no-fast", "--no-patch", "--dmesg", "true")
    assert status == 0
    assert "platform um-ptrace" in log


def test_an_unknown_platform_is_one_line() -> None:
    status, _, error = outcome("--platform", "kvm", "true")
    assert (status, error) == (125, "pygos: invalid platform 'kvm': say auto, ptrace or systrap\n")
