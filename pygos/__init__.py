# SPDX-License-Identifier: Apache-2.0
"""pygos: a Linux-compatible kernel in Python.

    import pygos

    with pygos.Machine(memory="512MiB") as machine:
        result = machine.run(["uname", "-a"])
        print(result.stdout.decode(), result.returncode)

What this module names is the public API: ``Machine``, ``Result`` and the errors, all of them
``PygosError``. Nothing else in the package is public by promise. The names are imported when
they are first used: ``import pygos`` alone costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # a warm start has no time to import typing
if TYPE_CHECKING:
    from pygos._api import Machine, Result
    from pygos._errors import (
        CommandFailed,
        CommandNotExecutable,
        CommandNotFound,
        ConfigError,
        PlatformUnavailable,
        PygosError,
        TimeoutExpired,
    )

__version__ = "0.1.0"

__all__ = [
    "CommandFailed",
    "CommandNotExecutable",
    "CommandNotFound",
    "ConfigError",
    "Machine",
    "PlatformUnavailable",
    "PygosError",
    "Result",
    "TimeoutExpired",
    "__version__",
]


def __getattr__(name: str) -> object:
    if name in ("Machine", "Result"):
        import pygos._api as module
    elif name in __all__:
        import pygos._errors as module  # type: ignore[no-redef]
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
