# SPDX-License-Identifier: Apache-2.0
"""Every program of programs/ does under pygos what it does natively.

PYGOS_ABI=native runs them natively twice instead: that finds programs that aren't
deterministic and so prove nothing.
"""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.abi.harness import (
    Native,
    Program,
    Pygos,
    all_programs,
    command_line,
    differences,
    exclusions,
    observe,
    why_not,
)

EXCLUDED = exclusions()


def marked(program: Program) -> object:
    known = EXCLUDED.get(program.name)
    marks = [pytest.mark.xfail(reason=known)] if known and not native_only() else []
    return pytest.param(program, id=program.name, marks=marks)


def native_only() -> bool:
    return os.environ.get("PYGOS_ABI") == "native"


@pytest.mark.boots
@pytest.mark.parametrize("program", [marked(program) for program in all_programs()])
def test_same_as_linux(program: Program, tools: Path, lister: Path, scratch: Path) -> None:
    if reason := why_not(program):
        pytest.skip(reason)
    command = command_line(program, tools)
    native = observe(program, command, Native(), scratch, lister)
    empty(scratch)
    with nullcontext(Native()) if native_only() else Pygos() as runner:
        again = observe(program, command, runner, scratch, lister)
        log = runner.machine.dmesg() if isinstance(runner, Pygos) else ""
    if different := differences(native, again):
        pytest.fail(f"{different}\n{log}", pytrace=False)
    if not native_only():
        assert list(scratch.iterdir()) == [], "the host's directory was written to"


def empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def test_the_list_of_exclusions_names_programs_that_exist() -> None:
    assert set(EXCLUDED) <= {program.name for program in all_programs()}
