# SPDX-License-Identifier: Apache-2.0
"""The harness sees every kind of difference, and nothing else."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from tests.abi.harness import Native, Outcome, load, observe

BASE = "echo out; echo err >&2; echo text >f; ln -s f l; mkdir d; exit 3"


def outcome(text: str, scratch: Path, lister: Path) -> Outcome:
    path = scratch.parent / "program.sh"
    path.write_text(text, encoding="utf-8")
    for old in scratch.iterdir():
        old.rmdir() if old.is_dir() else old.unlink()
    return observe(load(path), ["/bin/bash", str(path)], Native(), scratch, lister)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (BASE, set()),
        (BASE.replace("echo out", "echo cut"), {"stdout"}),
        (BASE.replace("echo err", "echo ERR"), {"stderr"}),
        (BASE.replace("exit 3", "exit 4"), {"status"}),
        (BASE.replace("exit 3", "kill -9 $$"), {"status"}),
        (BASE.replace("text", "toxt"), {"files"}),
        (BASE.replace("ln -s f l", "ln -s d l"), {"files"}),
        (BASE.replace("mkdir d", "mkdir d; chmod 700 d"), {"files"}),
        (BASE.replace("mkdir d", "mkdir e"), {"files"}),
        (BASE.replace("mkdir d", "mkdir d; ln f g"), {"files"}),
    ],
)
def test_a_difference_is_seen(text: str, where: set[str], scratch: Path, lister: Path) -> None:
    first = outcome(BASE, scratch, lister)
    second = outcome(text, scratch, lister)
    names = [field.name for field in fields(Outcome)]
    assert {name for name in names if getattr(first, name) != getattr(second, name)} == where


def test_what_may_differ_is_hidden(scratch: Path, lister: Path) -> None:
    text = "# abi-hide: pid \\d+\necho pid $$; pwd"
    assert outcome(text, scratch, lister).stdout == "<...>\n<scratch>\n"


def test_directives_say_how_to_run(scratch: Path, lister: Path) -> None:
    text = '# abi-stdin: one\\ntwo\\n\n# abi-env: X=a b\ncat; echo "$X"'
    assert outcome(text, scratch, lister).stdout == "one\ntwo\na b\n"


def test_an_unknown_directive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.sh"
    path.write_text("# abi-stdni: x\n", encoding="utf-8")
    with pytest.raises(ValueError, match="abi-stdni: no such directive"):
        load(path)
