# SPDX-License-Identifier: Apache-2.0
"""The quick reader of ``pygos run`` says the same as click, or leaves it to click."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygos.cli import commands
from pygos.cli.options import OPTIONS, Options, parse_plain

NAMES = [name for option in OPTIONS for name in (option.name, option.short) if name]
WORDS = st.one_of(
    st.sampled_from([*NAMES, "--", "-", "", "ls", "-it", "-m1g", "--nope", "--mem"]),
    st.sampled_from([f"{option.name}=x" for option in OPTIONS]),
    st.text(alphabet="-=ab/", max_size=4),
)


def by_click(words: list[str]) -> tuple[Options, tuple[str, ...]]:
    context = commands.run.make_context("run", list(words))
    values = dict(context.params)
    command = values.pop("command")
    return Options(**values), command


@given(st.lists(WORDS, max_size=7))
def test_both_readers_agree(words: list[str]) -> None:
    plain = parse_plain(words)
    if plain is not None:
        assert plain == by_click(words)


@pytest.mark.parametrize(
    "words", [["--nope"], ["-it", "ls"], ["-m"], ["--rm=1", "ls"], ["--help"], ["-m1g", "ls"]]
)
def test_what_is_not_plain_is_left_to_click(words: list[str]) -> None:
    assert parse_plain(words) is None


def test_combined_short_options_are_clicks_business() -> None:
    options, command = by_click(["-it", "-m1g", "ls", "-l"])
    assert (options.interactive, options.tty, options.memory) == (True, True, "1g")
    assert command == ("ls", "-l")


def test_click_refuses_what_is_wrong() -> None:
    with pytest.raises(click.NoSuchOption):
        by_click(["--nope"])


def test_a_plain_run_does_not_import_click() -> None:
    code = (
        "import sys; from pygos.cli.main import main;"
        "status = main(['run', '-u', 'no-such-user-here', '--', 'true']);"
        "sys.exit(200 if 'click' in sys.modules else status)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert result.returncode == 125
