# SPDX-License-Identifier: Apache-2.0
"""/proc/sys/kernel/seccomp: the actions that filters may return, and those that are logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.proc.sysctl import Sysctl
from pygos.include.errno import EINVAL, EPERM
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.kernel.seccomp import ACTION_NAMES, ACTIONS_LOGGED, ALLOW

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


class ActionsAvail(Sysctl):
    """The names of all actions, the most severe first."""

    __slots__ = ()

    def show(self, task: Task) -> str:
        return " ".join(ACTION_NAMES.values())


class ActionsLogged(Sysctl):
    """What filters with SECCOMP_FILTER_FLAG_LOG may log; all but allow at first."""

    __slots__ = ()

    def show(self, task: Task) -> str:
        logged = task.machine.sysctl.get(ACTIONS_LOGGED)
        if logged is None:
            return " ".join(name for action, name in ACTION_NAMES.items() if action != ALLOW)
        return str(logged)

    def store(self, task: Task, data: bytes) -> None:
        if not task.cred.capable(CAP_SYS_ADMIN):
            raise EPERM
        wanted = data.split(b"\0")[0].decode("ascii", "replace").split()
        known = [name for action, name in ACTION_NAMES.items() if action != ALLOW]
        if any(name not in known for name in wanted):
            raise EINVAL
        task.machine.sysctl[ACTIONS_LOGGED] = " ".join(name for name in known if name in wanted)


def seccomp_sysctls() -> dict[str, Sysctl]:
    """The tunables by dotted name."""
    return {
        "kernel.seccomp.actions_avail": ActionsAvail(0o444),
        "kernel.seccomp.actions_logged": ActionsLogged(0o644),
    }
