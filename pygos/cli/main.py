# SPDX-License-Identifier: Apache-2.0
"""The entry point of the ``pygos`` command, and what it says when something goes wrong.

Exit statuses are docker's: 125 when pygos itself fails or is misused, 126 when the program
can't be executed, 127 when it isn't there, else the program's own; 128 + n for a signal.
Every error is one line that begins with ``pygos:``. A traceback is never shown unless
PYGOS_DEBUG is set; it is saved, and the line says where.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import click

from pygos import __version__
from pygos._errors import CommandNotExecutable, CommandNotFound, PygosError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_PYGOS: Final = 125
EXIT_NOT_EXECUTABLE: Final = 126
EXIT_NOT_FOUND: Final = 127
EXIT_INTERRUPTED: Final = 130
EXIT_BROKEN_PIPE: Final = 141

COMMANDS: Final = ("doctor", "run", "version")


class Commands(click.Group):
    """The commands; each one's module is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "run":
            from pygos.cli.run import run

            return run
        if cmd_name == "doctor":
            from pygos.cli.doctor import doctor

            return doctor
        return version if cmd_name == "version" else None


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="pygos %(version)s")
def cli() -> None:
    """A Linux-compatible kernel in Python: runs unmodified Linux programs."""


@click.command()
def version() -> None:
    """Say which pygos, which Linux it looks like, and which Python runs it."""
    from pygos.include.uapi.version import UTS_RELEASE

    python = ".".join(map(str, sys.version_info[:3]))
    click.echo(f"pygos {__version__} (Linux {UTS_RELEASE}, {sys.implementation.name} {python})")


def complain(text: str) -> None:
    """One line to standard error, whatever the text has in it."""
    line = " ".join(text.split())
    try:
        sys.stderr.write(f"pygos: {line}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody is listening any more


def describe_usage(error: click.ClickException) -> str:
    """A usage error as one line, with the nearest match for a misspelt word."""
    if isinstance(error, click.NoSuchOption):
        return f"unknown option {error.option_name}{_did_you_mean(error.possibilities)}"
    message = error.format_message()
    if isinstance(error, click.UsageError) and message.startswith("No such command"):
        word = message.split("'")[1]
        return f"unknown command {word}{_did_you_mean(_nearest(word))}"
    if not isinstance(error, click.UsageError):
        return message
    text = message.rstrip(".").replace("'", "")
    return text[:1].lower() + text[1:]


def _nearest(word: str) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(word, COMMANDS, n=1)


def _did_you_mean(words: Sequence[str] | None) -> str:
    return f"; did you mean {words[0]}?" if words else "; see pygos --help"


def save_traceback(error: BaseException) -> str:
    """Write the traceback of an error of our own to a file; where it is, in words."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    if os.environ.get("PYGOS_DEBUG"):
        sys.stderr.write(text)
        return "traceback above"
    try:
        fd, path = tempfile.mkstemp(prefix="pygos-traceback-", suffix=".txt")
        with open(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return "set PYGOS_DEBUG=1 to see the traceback"
    return f"traceback saved in {path}"


def exit_status(error: BaseException) -> int:
    """Say what went wrong in one line; the status to exit with."""
    if isinstance(error, CommandNotFound):
        complain(str(error))
        return EXIT_NOT_FOUND
    if isinstance(error, CommandNotExecutable):
        complain(str(error))
        return EXIT_NOT_EXECUTABLE
    if isinstance(error, click.ClickException):
        complain(describe_usage(error))
        return EXIT_PYGOS
    if isinstance(error, PygosError):
        complain(str(error))
        return EXIT_PYGOS
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return EXIT_INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return EXIT_BROKEN_PIPE
    where = save_traceback(error)
    complain(f"internal error: {type(error).__name__}: {error} ({where})")
    return EXIT_PYGOS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the status to exit with."""
    try:
        status = cli.main(args=argv, prog_name="pygos", standalone_mode=False)
    except BaseException as error:  # the last place where anything can be said
        status = error.exit_code if isinstance(error, click.exceptions.Exit) else exit_status(error)
    return status if isinstance(status, int) else 0
