# SPDX-License-Identifier: Apache-2.0
"""The commands as click sees them, with their help, and what click's errors say in one line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from pygos import __version__
from pygos.cli.options import OPTIONS, Option, Options, respell

if TYPE_CHECKING:
    from collections.abc import Sequence

_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__, "-V", "--version", message="pygos %(version)s")
def cli() -> None:
    """A Linux-compatible kernel in Python: runs unmodified Linux programs."""


@cli.command()
def version() -> None:
    """Say which pygos, which Linux it looks like, and which Python runs it."""
    from pygos.include.uapi.version import UTS_RELEASE

    python = ".".join(map(str, sys.version_info[:3]))
    click.echo(f"pygos {__version__} (Linux {UTS_RELEASE}, {sys.implementation.name} {python})")


@cli.command()
def doctor() -> int:
    """Tell what this host offers for running machines, and how to mend what is missing.

    Exits with status 0 if machines can run, else 1.
    """
    from pygos.host.doctor import examine

    return examine(click.echo)


@cli.group()
def daemon() -> None:
    """Keep pygos in memory, so that machines of yours start faster.

    `pygos run` uses the daemon if it is running; what a program sees, and what you see of it,
    are the same. It serves nobody but you, and nothing that you couldn't do without it.
    """


@daemon.command()
@click.option(
    "--idle", metavar="TIME", default="1h", help="End after so long without a run; never (1h)."
)
@click.option("--foreground", is_flag=True, help="Stay here, for service managers.")
def start(idle: str, foreground: bool) -> int:
    """Start the daemon."""
    from pygos._config import parse_duration
    from pygos.cli import daemon as implementation

    seconds = None if idle == "never" else parse_duration(idle) / 1e9
    return implementation.start(seconds, click.echo, foreground)


@daemon.command()
def status() -> int:
    """Say whether the daemon is running: status 0, or 3 if it isn't."""
    from pygos.cli import daemon as implementation

    return implementation.status(click.echo)


@daemon.command()
def stop() -> int:
    """End the daemon. Runs that go on are left alone."""
    from pygos.cli import daemon as implementation

    return implementation.stop(click.echo)


def _run(command: tuple[str, ...], **values: Any) -> int:
    """Run COMMAND in a machine of its own, on a copy-on-write view of the host's files.

    Nothing it writes reaches the host. Its exit status is pygos' own: 128 + n after signal n,
    125 if pygos fails, 126 if COMMAND can't be executed, 127 if it isn't there, 124 after
    --timeout. Options come before COMMAND. Without COMMAND a terminal gets a shell.

    Of the host's environment the program sees PATH, HOME, TERM, LANG, LC_*, TZ, USER, LOGNAME
    and SHELL, and what -e names.
    """
    from pygos.cli.run import run_command

    return run_command(Options(**values), command)


def _parameter(option: Option) -> click.Option:
    names = [option.short, option.name] if option.short else [option.name]
    if option.kind == "flag":
        return click.Option(names, is_flag=True, help=option.help)
    many = option.kind == "list"
    default = None if many else option.default
    return click.Option(
        names, multiple=many, default=default, metavar=option.metavar, help=option.help
    )


run = click.Command(
    "run",
    context_settings={"allow_interspersed_args": False},
    callback=_run,
    params=[
        *map(_parameter, OPTIONS),
        click.Argument(
            ["command"], nargs=-1, type=click.UNPROCESSED, metavar="[--] COMMAND [ARG]..."
        ),
    ],
    help=_run.__doc__,
    short_help="Run a program in a machine of its own.",
)
cli.add_command(run)


def call(argv: Sequence[str]) -> object:
    """Let click read the command line and run what it says."""
    try:
        words = [*argv[:1], *respell(argv[1:])]
        return cli.main(args=words, prog_name="pygos", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code


def describe(error: BaseException) -> str:
    """A click error as one line, with the nearest match for a misspelt word; else empty."""
    if isinstance(error, click.NoSuchOption):
        return f"unknown option {error.option_name}{_did_you_mean(error.possibilities)}"
    if not isinstance(error, click.ClickException):
        return ""
    message = error.format_message()
    if message.startswith("No such command"):
        word = message.split("'")[1]
        return f"unknown command {word}{_did_you_mean(_nearest(word))}"
    text = message.rstrip(".").replace("'", "")
    return text[:1].lower() + text[1:]


def _nearest(word: str) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(word, list(cli.commands), n=1)


def _did_you_mean(words: Sequence[str] | None) -> str:
    return f"; did you mean {words[0]}?" if words else "; see pygos --help"
