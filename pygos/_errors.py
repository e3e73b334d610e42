# SPDX-License-Identifier: Apache-2.0
"""The errors of the public API. Each one's text is one line that a user can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygos._api import Result


class PygosError(Exception):
    """Base of all errors that pygos itself raises."""


class ConfigError(PygosError):
    """An option is wrong: the text says which one and what it may be."""


class PlatformUnavailable(PygosError):
    """The host doesn't offer what a machine needs; ``pygos doctor`` tells more."""


class CommandNotFound(PygosError):
    """There is no such program in the machine. A shell's exit status 127."""


class CommandNotExecutable(PygosError):
    """The program can't be executed: no permission, not a program. A shell's exit status 126."""


class TimeoutExpired(PygosError):
    """The program was killed when its time was up; `result` is what it did until then."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result


class CommandFailed(PygosError):
    """``run(check=True)`` and the program ended with another status than 0."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result
