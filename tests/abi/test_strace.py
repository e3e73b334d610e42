# SPDX-License-Identifier: Apache-2.0
"""--strace prints for a program what strace(1) prints for it on the host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.abi.harness import HERE, compile_c

#: What may differ: addresses, numbers of processes, what a file system knows more than asked.
CHANGES = (
    (r" +=", " ="),
    (r"0x[0-9a-f]{6,}", "ADDR"),
    (r"si_pid=\d+", "si_pid=PID"),
    (r"(tgkill|wait4|kill)\([\d, ]+", r"\1(PID, "),
    (r"(getpid\(\)|gettid\(\)|wait4\(.*|clone\(.*) = \d+$", r"\1 = PID"),
    (r"stx_mask=[A-Z_|]+", "stx_mask=MASK"),
    (r"si_[us]time=[^,}]+", "si_time=TIME"),
)


ROOT = HERE.parents[1]


def shape(text: str) -> list[str]:
    """The calls after the program's first own one, without what may differ, sorted.

    Where another task's line comes between the halves of one is chance: they are joined.
    """
    _, _, text = text.partition('"/strace-begins"')
    whole: list[str] = []
    opened: dict[str, int] = {}
    for line in text.splitlines():
        line = re.sub(r"^(\[pid +\d+\]|\d+) +", "", line)
        if line.startswith("strace: Process"):
            continue
        if line.endswith("<unfinished ...>"):
            opened[line.partition("(")[0]] = len(whole)
            whole.append(line.removesuffix("<unfinished ...>").rstrip())
        elif match := re.match(r"<\.\.\. (\w+) resumed>(.*)", line):
            at = opened.pop(match[1])
            whole[at] += " " * whole[at].endswith(",") + match[2]
        else:
            whole.append(line)
    for pattern, replacement in CHANGES:
        whole = [re.sub(pattern, replacement, line) for line in whole]
    return sorted(whole)


@pytest.mark.boots
@pytest.mark.skipif(shutil.which("strace") is None, reason="not installed: strace")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="not installed: gcc")
def test_same_text_as_strace(tmp_path: Path) -> None:
    program = compile_c(HERE / "strace" / "calls.c", tmp_path / "calls", "-static")
    output = tmp_path / "native"
    native = subprocess.run(
        ["strace", "-f", "-o", output, program], cwd=tmp_path, stdin=subprocess.DEVNULL, check=False
    )
    if not output.exists() or "+++" not in output.read_text():
        pytest.skip("strace may not trace here")
    traced = tmp_path / "traced"
    code = "from pygos.cli.main import main; import sys; sys.exit(main())"
    ours = subprocess.run(
        [sys.executable, "-c", code, "run", "--strace-output", traced, "--", program],
        cwd=tmp_path, stdin=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )  # fmt: skip
    assert ours.returncode == native.returncode == 3
    assert shape(traced.read_text()) == shape(output.read_text())
