# SPDX-License-Identifier: Apache-2.0
"""The operations on memory of code that is compiled for the stub (tools/um/compile_python.py).

Compiled, each is an instruction or a few. Run as Python, a function that uses them is first
given a memory to work on by bind().
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Memory(Protocol):
    """What bind() needs: the functions of this module."""

    def ld64(self, addr: int) -> int: ...
    def ld32(self, addr: int) -> int: ...
    def ld8(self, addr: int) -> int: ...
    def st64(self, addr: int, value: int) -> None: ...
    def copy(self, dst: int, src: int, count: int) -> None: ...
    def cmpxchg64(self, addr: int, old: int, new: int) -> int: ...


def _unbound() -> NoReturn:
    raise NotImplementedError("use bind()")


def ld64(addr: int) -> int:
    """The 64-bit number at `addr`, signed; read exactly once."""
    _unbound()


def ld32(addr: int) -> int:
    """The 32-bit number at `addr`, unsigned; read exactly once."""
    _unbound()


def ld8(addr: int) -> int:
    """The byte at `addr`."""
    _unbound()


def st64(addr: int, value: int) -> None:
    """Write 64 bits at once."""
    _unbound()


def copy(dst: int, src: int, count: int) -> None:
    """Copy bytes upwards (`rep movsb`)."""
    _unbound()


def cmpxchg64(addr: int, old: int, new: int) -> int:
    """Put `new` in the place of `old`, at once and for all CPUs; what was found."""
    _unbound()


_NAMES = ("ld64", "ld32", "ld8", "st64", "copy", "cmpxchg64")


def bind(module: Any, name: str, memory: Memory) -> Callable[..., int]:
    """Function `name` of a module of the subset, with `memory` under it and all that it calls."""
    names = dict(vars(module))
    names.update({each: getattr(memory, each) for each in _NAMES})
    for key, value in vars(module).items():
        if isinstance(value, FunctionType) and value.__module__ == module.__name__:
            names[key] = FunctionType(value.__code__, names, key, value.__defaults__)
    bound: Callable[..., int] = names[name]
    return bound
