# SPDX-License-Identifier: Apache-2.0
"""Which platforms there are, which of them this host allows, and which one is taken.

A platform's module is imported when a machine is made on it and not before. ``AUTO`` is the
order in which "auto" tries: the first one that the host allows and that starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.host import HostError

if TYPE_CHECKING:
    from pygos.host.ram import HostRam
    from pygos.include.linux.platform import Platform

#: The names of all platforms, as --platform takes them.
NAMES: Final = ("ptrace", "systrap")
#: Fastest first.
AUTO: Final[tuple[str, ...]] = ("systrap", "ptrace")
#: For programs that nobody trusts: in it no system call of a guest is ever executed.
STRICT: Final = "ptrace"

_NR_FUTEX_WAITV: Final = 449
_ENOSYS: Final = 38
_HWCAP2_FSGSBASE: Final = 2


def systrap_missing() -> str:
    """What um-systrap needs and this host lacks, in one line; empty if it has everything."""
    from pygos.host import libc
    from pygos.host.cpu import hwcaps

    if not hwcaps()[1] & _HWCAP2_FSGSBASE:
        return "um-systrap needs the FSGSBASE instructions (a newer CPU, Linux 5.9)"
    try:
        with open("/proc/sys/kernel/seccomp/actions_avail", encoding="ascii") as file:
            actions = file.read().split()
    except OSError:
        actions = []
    if "trap" not in actions:
        return "um-systrap needs seccomp filters (CONFIG_SECCOMP_FILTER)"
    try:
        libc.syscall(_NR_FUTEX_WAITV, None, 0, 0, None, 0)
    except OSError as error:
        if error.errno == _ENOSYS:
            return "um-systrap needs futex_waitv(2): Linux 5.16, and a container that allows it"
    return ""


def available() -> tuple[str, ...]:
    """Those of AUTO that this host seems to allow; the first of them is what "auto" means."""
    return tuple(name for name in AUTO if name != "systrap" or not systrap_missing())


def _new_ptrace(ram: HostRam, nr_cpus: int) -> Platform:
    from pygos.arch.um.ptrace_platform import UmPtrace

    return UmPtrace(ram, nr_cpus)


def _new_systrap(ram: HostRam, nr_cpus: int) -> Platform:
    from importlib import import_module

    missing = systrap_missing()
    if missing:
        raise HostError(missing)
    try:
        module = import_module("pygos.arch.um.systrap_platform")
    except ModuleNotFoundError:
        raise HostError("um-systrap is not part of this pygos; use --platform ptrace") from None
    platform: Platform = module.UmSystrap(ram, nr_cpus)
    return platform


_MAKERS: Final = {"ptrace": _new_ptrace, "systrap": _new_systrap}


def new_platform(name: str, ram: HostRam, nr_cpus: int) -> Platform:
    """Start a platform: one of NAMES, or "auto". HostError if the host refuses, in one line."""
    if name != "auto":
        return _MAKERS[name](ram, nr_cpus)
    *faster, last = AUTO
    for candidate in faster:
        try:
            return _MAKERS[candidate](ram, nr_cpus)
        except HostError:
            pass  # the last one is for hosts that refuse the others
    return _MAKERS[last](ram, nr_cpus)
