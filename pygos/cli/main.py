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

TYPE_CHECKING = False  # a warm start has no time to import typing
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pygos.cli.options import Options

EXIT_PYGOS = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def complain(text: str) -> None:
    """One line to standard error, whatever the text has in it."""
    line = " ".join(text.split())
    try:
        sys.stderr.write(f"pygos: {line}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody is listening any more


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
    from pygos._errors import CommandNotExecutable, CommandNotFound, PygosError

    if isinstance(error, CommandNotFound):
        complain(str(error))
        return EXIT_NOT_FOUND
    if isinstance(error, CommandNotExecutable):
        complain(str(error))
        return EXIT_NOT_EXECUTABLE
    if isinstance(error, PygosError):
        complain(str(error))
        return EXIT_PYGOS
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return EXIT_BROKEN_PIPE
    if "click" in sys.modules and (usage := _usage(error)):
        complain(usage)
        return EXIT_PYGOS
    where = save_traceback(error)
    complain(f"internal error: {type(error).__name__}: {error} ({where})")
    return EXIT_PYGOS


def _usage(error: BaseException) -> str:
    from pygos.cli.commands import describe

    return describe(error)


def dispatch(argv: list[str]) -> object:
    """Run what the command line says; its status, or None for 0."""
    if argv[:1] == ["run"]:
        from pygos.cli.client import REFUSED, run_warm, wanted

        status = run_warm(argv) if wanted(argv) else REFUSED
        if status is not None and status != REFUSED:
            return status
        from pygos.cli.options import parse_plain

        if plain := parse_plain(argv[1:]):
            return _run_cold(argv, *plain, may_start=status != REFUSED)
    from pygos.cli.commands import call

    return call(argv)


def _run_cold(argv: list[str], options: Options, command: tuple[str, ...], may_start: bool) -> int:
    """Run in this process; or by a daemon that was asked for, if it `may_start`."""
    import gc

    from pygos._image import install, update

    gc.disable()  # nothing that is imported or booted becomes garbage; see run.boot
    image = install()
    if may_start and (options.warm or os.environ.get("PYGOS_DAEMON") == "1"):
        from pygos.cli.daemon import warm

        if (status := warm(argv)) >= 0:
            return status
    from pygos.cli.run import run_command

    try:
        return run_command(options, command)
    finally:
        update(image)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the status to exit with. The process' own command line (None): exit."""
    try:
        status = dispatch(list(sys.argv[1:] if argv is None else argv))
    except BaseException as error:  # the last place where anything can be said
        status = exit_status(error)
    number = status if isinstance(status, int) else 0
    if argv is None:
        leave(number)
    return number


def leave(status: int) -> None:
    """Exit without taking the interpreter apart, which takes longer than many a program.

    Returns if the output can't be flushed: the interpreter says so.
    """
    import atexit

    atexit._run_exitfuncs()
    try:
        for file in (sys.stdout, sys.stderr):
            if file is not None:
                file.flush()
    except (OSError, ValueError):
        return
    os._exit(status & 0xFF)
