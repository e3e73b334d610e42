# SPDX-License-Identifier: Apache-2.0
"""Collects the system call handlers of all rooms into one table.

A room's package lists its handler modules in ``SYSCALL_MODULES*``; they are imported at boot.
Calls that few programs make are listed by name in ``SYSCALLS_LAZY*`` with the module that has
them, which is imported when one of them is first made.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import FunctionType
from typing import TYPE_CHECKING, Any

from pygos.arch.x86.entry.syscall_64 import SYSCALLS
from pygos.arch.x86.regs import SYSCALL_ARGS
from pygos.kernel.decode import BeyondTable, LazyDecoder, NoSyscall, decoder_of

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: The packages that list their handler modules.
_ROOMS = (
    "pygos.mm", "pygos.kernel", "pygos.arch.x86", "pygos.fs", "pygos.ipc", "pygos.net",
    "pygos.drivers",
)  # fmt: skip


def _listed(prefix: str) -> list[Any]:
    """The values of the constants of that name in all rooms."""
    found = []
    for room in _ROOMS:
        package = import_module(room)
        names = sorted(name for name in vars(package) if name.startswith(prefix))
        found += [getattr(package, name) for name in names]
    return found


def lazy_calls() -> dict[str, str]:
    """Call name -> module, of those that are imported at their first use."""
    calls: dict[str, str] = {}
    for table in _listed("SYSCALLS_LAZY"):
        calls.update(table)
    return calls


def boot_modules() -> list[str]:
    """Names of the modules with system calls that are imported at boot."""
    return list(dict.fromkeys([name for names in _listed("SYSCALL_MODULES") for name in names]))


def handler_modules() -> list[str]:
    """Names of all modules that define system calls."""
    return list(dict.fromkeys([*boot_modules(), *lazy_calls().values()]))


def _handlers(modules: list[str]) -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for module_name in modules:
        module = import_module(module_name)
        for value in vars(module).values():
            if type(value) is not FunctionType or value.__module__ != module_name:
                continue
            info = getattr(value, "__syscall__", None)
            if info is None:
                continue
            if found.setdefault(info.name, value) is not value:
                raise ValueError(f"system call {info.name} is defined twice: {module_name}")
    return found


def all_handlers() -> dict[str, Callable[..., Any]]:
    """Handler functions by system call name. ValueError if a name is defined twice."""
    return _handlers(handler_modules())


class LazyImport:
    """Stands in the table for a call whose module isn't imported yet."""

    __slots__ = ("module", "name", "nr", "table")

    def __init__(self, table: list[Any], nr: int, name: str, module: str) -> None:
        self.table = table
        self.nr = nr
        self.name = name
        self.module = module

    @property
    def handler(self) -> Callable[..., Any]:
        return _handlers([self.module])[self.name]

    def __call__(self, task: Task, regs: memoryview) -> int | None:
        decoder = LazyDecoder(self.table, self.nr, self.handler, SYSCALL_ARGS)
        if self.table[self.nr] is self:
            self.table[self.nr] = decoder
        return decoder(task, regs)


def prepare_decoders() -> None:
    """Import all handlers and compile their decoders: for who will start many machines."""
    for handler in all_handlers().values():
        decoder_of(handler, SYSCALL_ARGS)


def build_table() -> list[Any]:
    """Decoders by number; the last entry answers every number beyond the table."""
    handlers = _handlers(boot_modules())
    lazy = lazy_calls()
    size = max(number for number, _ in SYSCALLS) + 2
    table: list[Any] = [NoSyscall(nr, f"nr_{nr}") for nr in range(size)]
    for number, name in SYSCALLS:
        handler = handlers.get(name)
        if handler is not None:
            table[number] = LazyDecoder(table, number, handler, SYSCALL_ARGS)
        elif name in lazy:
            table[number] = LazyImport(table, number, name, lazy[name])
        else:
            table[number] = NoSyscall(number, name)
    table[-1] = BeyondTable(table)
    return table
