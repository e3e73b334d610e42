# SPDX-License-Identifier: Apache-2.0
"""What IPC shows in /proc and offers to mount(2); called at boot. The rest is imported later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.proc.root import proc_register
from pygos.fs.super import register_filesystem
from pygos.fs.synthetic import SyntheticDir, synthetic
from pygos.include.linux.fs import FileSystemType, SuperBlock

if TYPE_CHECKING:
    from pygos.fs.proc.sysctl import Sysctl
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace


@synthetic("msg")
def _msg(task: Task, target: Any) -> str:
    from pygos.ipc.proc import msg_text

    return msg_text(task)


@synthetic("sem")
def _sem(task: Task, target: Any) -> str:
    from pygos.ipc.proc import sem_text

    return sem_text(task)


@synthetic("shm")
def _shm(task: Task, target: Any) -> str:
    from pygos.ipc.proc import shm_text

    return shm_text(task)


_SYSVIPC: Final = SyntheticDir("sysvipc", _msg, _sem, _shm)


class MqueueType(FileSystemType):
    """mount -t mqueue: the message queues of the caller's IPC namespace."""

    __slots__ = ()
    name = "mqueue"
    userns_mount = True

    def user_ns(self, task: Task) -> UserNamespace | None:
        ipc = task.nsproxy.ipc
        return ipc.user_ns if ipc is not None else None

    def mount(self, task: Task, source: str, flags: int, data: str) -> SuperBlock:
        from pygos.ipc.mqueuefs import mount_mqueue

        return mount_mqueue(task, self)


def _sysctls() -> dict[str, Sysctl]:
    from pygos.ipc.sysctl import SYSCTLS

    return SYSCTLS


def init_ipc(machine: Machine) -> None:
    """Make IPC visible."""
    proc_register(machine, _SYSVIPC)
    register_filesystem(machine, MqueueType())
    machine.misc.setdefault("sysctl_providers", []).append(_sysctls)
