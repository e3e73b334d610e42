# SPDX-License-Identifier: Apache-2.0
"""Collects the system call handlers of all rooms into one table."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from pygos.arch.x86.entry.syscall_64 import SYSCALLS
from pygos.arch.x86.regs import SYSCALL_ARGS
from pygos.kernel.decode import BeyondTable, LazyDecoder, NoSyscall

#: The packages that list their handler modules in SYSCALL_MODULES* constants.
_ROOMS = ("pygos.mm", "pygos.kernel", "pygos.arch.x86", "pygos.fs", "pygos.net", "pygos.drivers")


def handler_modules() -> list[str]:
    """Names of all modules that define system calls."""
    names: list[str] = []
    for room in _ROOMS:
        package = import_module(room)
        for attribute in sorted(vars(package)):
            if attribute.startswith("SYSCALL_MODULES"):
                names.extend(getattr(package, attribute))
    return list(dict.fromkeys(names))


def all_handlers() -> dict[str, Callable[..., Any]]:
    """Handler functions by system call name. ValueError if a name is defined twice."""
    found: dict[str, Callable[..., Any]] = {}
    for module_name in handler_modules():
        module = import_module(module_name)
        for value in vars(module).values():
            info = getattr(value, "__syscall__", None)
            if info is None or value.__module__ != module_name:
                continue
            if found.setdefault(info.name, value) is not value:
                raise ValueError(f"system call {info.name} is defined twice: {module_name}")
    return found


def build_table() -> list[Any]:
    """Decoders by number; the last entry answers every number beyond the table."""
    handlers = all_handlers()
    size = max(number for number, _ in SYSCALLS) + 2
    table: list[Any] = [NoSyscall(nr, f"nr_{nr}") for nr in range(size)]
    for number, name in SYSCALLS:
        handler = handlers.get(name)
        if handler is None:
            table[number] = NoSyscall(number, name)
        else:
            table[number] = LazyDecoder(table, number, handler, SYSCALL_ARGS)
    table[-1] = BeyondTable(table)
    return table
