# SPDX-License-Identifier: Apache-2.0
"""The differential harness: one program, run natively and under pygos, must leave the same.

A program is one file in ``programs/``: C (compiled by gcc), shell or Python text. Comments in
it say how it is to be run:

    abi-args: WORD...           its arguments
    abi-stdin: TEXT             what it reads (with \\n and the like)
    abi-env: NAME=VALUE         a variable; may be given several times
    abi-cflags: WORD...         for the compiler
    abi-needs: PROGRAM...       skipped with the reason where one is missing
    abi-mount: TYPE             skipped unless such a file system is mounted and can be written
    abi-as: root                skipped unless the tests run as root
    abi-hide: REGEX             what may differ (pids, times), shown as <...> in both outputs
    abi-timeout: SECONDS

Compared are standard output, standard error, exit status (or signal) and the files left behind
in the scratch directory, where the program starts. Both runs see the same path, environment
and kinds of standard files. What pygos' run leaves is listed from inside, by the same lister,
as its writes don't reach the host; and the host's scratch directory must be as it was.
Programs that are known to differ are listed in ``excluded.txt`` with the reason.
"""

from __future__ import annotations

import ast
import difflib
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
SUFFIXES = (".c", ".sh", ".py")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DIRECTIVE = re.compile(r"^[\s/*#]*abi-([a-z]+):\s*(.*?)\s*(?:\*/)?$", re.M)


@dataclass(slots=True)
class Program:
    """One program and how it is run."""

    path: Path
    args: list[str] = field(default_factory=list)
    stdin: bytes = b""
    env: dict[str, str] = field(default_factory=dict)
    cflags: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    needs_root: bool = False
    hide: list[str] = field(default_factory=list)
    timeout: float = 30.0

    @property
    def name(self) -> str:
        return self.path.name


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left: status as subprocess has it, output with the hidden parts hidden."""

    status: int
    stdout: str
    stderr: str
    files: str


def load(path: Path) -> Program:
    """Read a program's directives. ValueError for one that doesn't exist."""
    program = Program(path)
    for key, value in _DIRECTIVE.findall(path.read_text(encoding="utf-8")):
        if key == "stdin":
            program.stdin += ast.literal_eval(f'"""{value}"""').encode()
        elif key == "env":
            name, _, text = value.partition("=")
            program.env[name] = text
        elif key == "hide":
            program.hide.append(value)
        elif key == "timeout":
            program.timeout = float(value)
        elif key == "as" and value == "root":
            program.needs_root = True
        elif key == "mount":
            program.mounts.append(value)
        elif key in ("args", "cflags", "needs"):
            getattr(program, key).extend(value.split())
        else:
            raise ValueError(f"{path}: abi-{key}: no such directive")
    return program


def all_programs() -> list[Program]:
    return [load(path) for path in sorted(PROGRAMS.iterdir()) if path.suffix in SUFFIXES]


def exclusions() -> dict[str, str]:
    """Programs known to differ, by name, with the reason."""
    lines = (HERE / "excluded.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(":", 1) for line in lines if line and not line.startswith("#"))
    return {name.strip(): reason.strip() for name, reason in pairs}


def why_not(program: Program) -> str:
    """Why a program can't be run here; empty if it can."""
    if program.needs_root and os.geteuid() != 0:
        return "needs root"
    for fstype in program.mounts:
        if not mounted(fstype):
            return f"no {fstype} that can be written"
    wanted = ["gcc", *program.needs] if program.path.suffix == ".c" else program.needs
    missing = [name for name in wanted if shutil.which(name, path=PATH) is None]
    return f"not installed: {' '.join(missing)}" if missing else ""


def mounted(fstype: str) -> bool:
    """Is a file system of that type mounted here, and may we write to it?"""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    places = [line.split()[1] for line in lines if line.split()[2] == fstype]
    return bool(places) and os.access(places[0], os.W_OK)


def compile_c(source: Path, target: Path, *flags: str) -> Path:
    """Compile a C program quietly; warnings are errors, as they hide mistakes of ours."""
    command = ["gcc", "-std=gnu17", "-O1", "-Wall", "-Werror", "-D_GNU_SOURCE"]
    command += [
        "-Wno-unused-result",
        "-Wno-nonnull",
        "-Wno-stringop-overflow",
        "-Wno-stringop-overread",
    ]
    subprocess.run(
        [*command, "-I", str(PROGRAMS), str(source), "-o", str(target), *flags], check=True
    )
    return target


def command_line(program: Program, tools: Path) -> list[str]:
    """What to execute, after compiling it if it is C."""
    if program.path.suffix == ".c":
        binary = compile_c(program.path, tools / program.path.stem, *program.cflags)
        return [str(binary), *program.args]
    interpreter = "/bin/bash" if program.path.suffix == ".sh" else "/usr/bin/python3"
    return [interpreter, str(program.path), *program.args]


class Runner(Protocol):
    """Something that runs commands in a directory: the host or a machine."""

    def run(
        self, argv: list[str], cwd: Path, env: dict[str, str], stdin: bytes, timeout: float
    ) -> tuple[int, bytes, bytes]: ...


class Native:
    """The host. The standard files are pipes, as those of pygos' API are."""

    def run(
        self, argv: list[str], cwd: Path, env: dict[str, str], stdin: bytes, timeout: float
    ) -> tuple[int, bytes, bytes]:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=env,
            input=stdin,
            capture_output=True,
            timeout=timeout,
            start_new_session=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


class Pygos:
    """A machine of its own on the host's files; used as a context manager."""

    def __init__(self) -> None:
        import pygos

        self.machine = pygos.Machine(hostname=socket.gethostname())

    def __enter__(self) -> Self:
        self.machine.boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.close()

    def run(
        self, argv: list[str], cwd: Path, env: dict[str, str], stdin: bytes, timeout: float
    ) -> tuple[int, bytes, bytes]:
        exact = {**dict.fromkeys(os.environ), **dict.fromkeys(("HOME", "PATH")), **env}
        result = self.machine.run(argv, cwd=cwd, env=exact, input=stdin, timeout=timeout)
        return result.returncode, result.stdout, result.stderr


def environment(program: Program, scratch: Path) -> dict[str, str]:
    base = {
        "PATH": PATH, "HOME": str(scratch), "LANG": "C.UTF-8", "TZ": "UTC", "TERM": "dumb",
        "PYTHONDONTWRITEBYTECODE": "1", "GIT_CONFIG_NOSYSTEM": "1",
    }  # fmt: skip
    return {**base, **program.env}


def hide(text: str, program: Program, scratch: Path) -> str:
    for pattern in program.hide:
        text = re.sub(pattern, "<...>", text)
    return text.replace(str(scratch), "<scratch>")


def observe(
    program: Program, command: list[str], runner: Runner, scratch: Path, lister: Path
) -> Outcome:
    """Run a program and look at everything it left."""
    env = environment(program, scratch)
    status, out, err = runner.run(command, scratch, env, program.stdin, program.timeout)
    _, files, complaints = runner.run([str(lister), "."], scratch, env, b"", 30.0)
    return Outcome(
        status,
        hide(out.decode("utf-8", "backslashreplace"), program, scratch),
        hide(err.decode("utf-8", "backslashreplace"), program, scratch),
        hide((files + complaints).decode("utf-8", "backslashreplace"), program, scratch),
    )


def differences(native: Outcome, again: Outcome) -> str:
    """What differs, as unified diffs with Linux as the old side; empty if nothing does."""
    parts = []
    if again.status != native.status:
        parts.append(f"status: {native.status} on Linux, {again.status} here\n")
    for name in ("stdout", "stderr", "files"):
        old, new = (getattr(side, name).splitlines() for side in (native, again))
        diff = difflib.unified_diff(old, new, f"Linux {name}", name, lineterm="", n=2)
        parts.extend(f"{line}\n" for line in diff)
    return "".join(parts)
