# SPDX-License-Identifier: Apache-2.0
"""Tunables that a namespace has of its own: user.max_*_namespaces, kernel.pid_max and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.proc.sysctl import Sysctl, parse_int
from pygos.include.errno import EINVAL, EPERM
from pygos.include.uapi import sched as uapi
from pygos.include.uapi.capability import (
    CAP_CHECKPOINT_RESTORE,
    CAP_SYS_ADMIN,
    CAP_SYS_RESOURCE,
)
from pygos.kernel.nsproxy import namespace_limit

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_INT_MAX: Final = 0x7FFF_FFFF
_KINDS: Final = {
    "cgroup": uapi.CLONE_NEWCGROUP, "ipc": uapi.CLONE_NEWIPC, "mnt": uapi.CLONE_NEWNS,
    "net": uapi.CLONE_NEWNET, "pid": uapi.CLONE_NEWPID, "time": uapi.CLONE_NEWTIME,
    "user": uapi.CLONE_NEWUSER, "uts": uapi.CLONE_NEWUTS,
}  # fmt: skip


class MaxNamespaces(Sysctl):
    """How many of a kind one user may have in the reader's user namespace."""

    __slots__ = ("flag", "kind")

    def __init__(self, kind: str, flag: int) -> None:
        super().__init__(0o644)
        self.kind = kind
        self.flag = flag

    def show(self, task: Task) -> str:
        return str(namespace_limit(task.machine, task.cred.user_ns, self.kind, self.flag))

    def store(self, task: Task, data: bytes) -> None:
        ns = task.cred.user_ns
        if not task.cred.ns_capable(ns, CAP_SYS_RESOURCE):
            raise EPERM
        value = parse_int(data)
        if not 0 <= value <= _INT_MAX:
            raise EINVAL
        if ns is None:
            task.machine.misc.setdefault("max_namespaces", {})[self.kind] = value
        else:
            ns.rlimit_max[-self.flag] = value


class PidMax(Sysctl):
    """One more than the largest number of the pid namespace."""

    __slots__ = ()

    def show(self, task: Task) -> str:
        return str((task.pid_ns or task.machine.pids).max)

    def store(self, task: Task, data: bytes) -> None:
        value = parse_int(data)
        if not 301 <= value <= 4_194_304:
            raise EINVAL
        (task.pid_ns or task.machine.pids).max = value


class NsLastPid(Sysctl):
    """The number given out last: the next one is searched from it on."""

    __slots__ = ()

    def show(self, task: Task) -> str:
        return str((task.pid_ns or task.machine.pids).last)

    def store(self, task: Task, data: bytes) -> None:
        owner = task.pid_ns.user_ns if task.pid_ns is not None else None
        cred = task.cred
        may = cred.ns_capable(owner, CAP_CHECKPOINT_RESTORE)
        if not may and not cred.ns_capable(owner, CAP_SYS_ADMIN):
            raise EPERM
        table = task.pid_ns or task.machine.pids
        value = parse_int(data)
        if not 0 <= value <= table.max:
            raise EINVAL
        table.last = value


def ns_sysctls() -> dict[str, Sysctl]:
    """By dotted name."""
    found: dict[str, Sysctl] = {
        f"user.max_{kind}_namespaces": MaxNamespaces(kind, flag) for kind, flag in _KINDS.items()
    }
    found["kernel.pid_max"] = PidMax(0o644)
    found["kernel.ns_last_pid"] = NsLastPid(0o666)
    return found
