# SPDX-License-Identifier: Apache-2.0
"""What a user sees who gets the command line wrong: one clear line, docker's status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = "import sys; from pygos.cli.main import main; sys.exit(main())"


def pygos(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["rnu", "ls"], "unknown command rnu; did you mean run?"),
        (["frobnicate"], "unknown command frobnicate; see pygos --help"),
        (["--foo"], "unknown option --foo; see pygos --help"),
        (["run", "--memroy", "1g", "ls"], "unknown option --memroy; did you mean --memory?"),
        (["run", "--hostnam=x", "ls"], "unknown option --hostnam; did you mean --hostname?"),
        (["run", "--memory"], "option --memory requires an argument"),
        (["run"], "run needs a command, such as: pygos run -- ls -l"),
        (["run", "--"], "run needs a command, such as: pygos run -- ls -l"),
        (["run", ""], "the command is an empty word"),
        (
            ["run", "--memory", "1X", "ls"],
            "invalid size '1X': say a number with b, k, m or g, such as 512m",
        ),
        (["run", "-m", "1m", "ls"], "invalid memory '1m': a machine has from 16m to 1024g"),
        (["run", "--cpus", "0", "ls"], "invalid number of CPUs '0': from 0.01 to 256"),
        (["run", "--cpus", "many", "ls"], "invalid number of CPUs 'many': from 0.01 to 256"),
        (["run", "-v", "/usr", "ls"], "invalid volume '/usr': say HOST:GUEST or HOST:GUEST:ro"),
        (
            ["run", "-v", "/usr:x", "ls"],
            "invalid volume '/usr:x': the path in the machine must begin with /",
        ),
        (["run", "-v", "/nope:/x", "ls"], "invalid volume '/nope:/x': there is no /nope"),
        (
            ["run", "--timeout", "soon", "ls"],
            "invalid time 'soon': say seconds, or such as 500ms or 1m30s",
        ),
        (["run", "--root", "/nope", "ls"], "invalid root '/nope': say host or a directory"),
        (["run", "-u", "no-such-user", "ls"], "unknown user 'no-such-user'"),
        (["run", "-u", "0:no-such-group", "ls"], "unknown group 'no-such-group'"),
        (
            ["run", "-e", "=x", "ls"],
            "invalid environment variable '=x': say NAME or NAME=VALUE",
        ),
        (["run", "-w", "x", "ls"], "invalid working directory 'x': it must begin with /"),
        (
            ["run", "--hostname", "a b", "ls"],
            "invalid host name 'a b': letters, digits, - and ., at most 64",
        ),
        (["run", "--strace-output", "/nope/x", "ls"], "/nope/x: No such file or directory"),
    ],
)
def test_misuse_is_one_line_and_status_125(args: list[str], line: str) -> None:
    result = pygos(*args)
    assert (result.returncode, result.stdout, result.stderr) == (125, "", f"pygos: {line}\n")


def test_an_internal_error_is_one_line_and_its_traceback_is_kept(tmp_path: Path) -> None:
    code = SCRIPT.replace("import sys; ", "import sys; import pygos.cli.commands as m; ")
    code = code.replace("sys.exit(main())", "m.version.callback = lambda: 1 / 0; sys.exit(main())")
    env = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run(
        [sys.executable, "-c", code, "version"],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    (saved,) = tmp_path.iterdir()
    assert result.returncode == 125
    assert result.stdout == ""
    assert result.stderr == (
        f"pygos: internal error: ZeroDivisionError: division by zero (traceback saved in {saved})\n"
    )
    assert "Traceback" in saved.read_text()


def test_help_names_every_command_and_exits_0() -> None:
    result = pygos("--help")
    assert result.returncode == 0
    for command in ("doctor", "run", "version"):
        assert f"  {command} " in result.stdout


def test_help_of_run_names_dockers_options() -> None:
    text = pygos("run", "--help").stdout
    for short in "evwuit":
        assert f"  -{short}, --" in text
    for option in ("--memory", "--cpus", "--hostname", "--rm", "--timeout", "--strace", "--root"):
        assert option in text


def test_version_says_which_linux_it_is() -> None:
    result = pygos("version")
    assert result.returncode == 0
    assert result.stdout.startswith("pygos 0.1.0 (Linux 6.16.0-pygos, cpython 3.")


def test_the_package_itself_can_be_run() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pygos", "run"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert (result.returncode, result.stdout) == (125, "")
    assert result.stderr.startswith("pygos: ")
