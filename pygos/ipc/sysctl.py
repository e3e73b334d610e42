# SPDX-License-Identifier: Apache-2.0
"""The limits of an IPC namespace in /proc/sys/kernel and /proc/sys/fs/mqueue (ipc_sysctl.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.proc.sysctl import Sysctl, parse_int
from pygos.include.errno import EINVAL, EPERM, ERANGE
from pygos.include.uapi.capability import CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN
from pygos.ipc.namespace import ipc_ns
from pygos.ipc.util import IPCMNI
from pygos.kernel.capability import ns_capable

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.ipc.namespace import IpcNamespace
    from pygos.ipc.util import IpcIds

_INT_MAX: Final = (1 << 31) - 1
_ULONG_MAX: Final = (1 << 64) - 1
#: Hard limits of POSIX message queues.
_HARD_MSGMAX: Final = 65536
_HARD_MSGSIZEMAX: Final = 16 << 20


class NsInt(Sysctl):
    """One number of the namespace, between two bounds."""

    __slots__ = ("attribute", "high", "low")

    def __init__(self, attribute: str, low: int, high: int) -> None:
        super().__init__(0o644)
        self.attribute = attribute
        self.low = low
        self.high = high

    def show(self, task: Task) -> str:
        return str(getattr(ipc_ns(task), self.attribute))

    def store(self, task: Task, data: bytes) -> None:
        value = parse_int(data)
        if not self.low <= value <= self.high:
            raise EINVAL
        setattr(ipc_ns(task), self.attribute, value)


class RmidForced(NsInt):
    """kernel.shm_rmid_forced: set, it ends what nobody will attach any more."""

    __slots__ = ()

    def store(self, task: Task, data: bytes) -> None:
        from pygos.ipc.shm import destroy_orphans

        super().store(task, data)
        ns = ipc_ns(task)
        if ns.shm_rmid_forced:
            destroy_orphans(task.machine, ns)


class AutoMsgmni(Sysctl):
    """kernel.auto_msgmni: without an effect for long."""

    __slots__ = ()

    def show(self, task: Task) -> str:
        return "0"

    def store(self, task: Task, data: bytes) -> None:
        if not 0 <= parse_int(data) <= 1:
            raise EINVAL


def _ids(ns: IpcNamespace, kind: str) -> IpcIds:
    ids: IpcIds = getattr(ns, kind)
    return ids


class Limit(Sysctl):
    """How many objects of a kind there may be."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        super().__init__(0o644)
        self.kind = kind

    def show(self, task: Task) -> str:
        return str(_ids(ipc_ns(task), self.kind).limit)

    def store(self, task: Task, data: bytes) -> None:
        value = parse_int(data)
        if not 0 <= value <= IPCMNI:
            raise EINVAL
        _ids(ipc_ns(task), self.kind).limit = value


class NextId(Sysctl):
    """The id of the next object of a kind, for restoring; -1: any."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        super().__init__(0o666)
        self.kind = kind

    def show(self, task: Task) -> str:
        return str(_ids(ipc_ns(task), self.kind).next_id)

    def store(self, task: Task, data: bytes) -> None:
        ns = ipc_ns(task)
        if not any(
            ns_capable(task, ns.user_ns, cap) for cap in (CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN)
        ):
            raise EPERM
        value = parse_int(data)
        if not 0 <= value <= _INT_MAX:
            raise EINVAL
        _ids(ns, self.kind).next_id = value


class SemLimits(Sysctl):
    """kernel.sem: SEMMSL, SEMMNS, SEMOPM, SEMMNI."""

    __slots__ = ()

    def show(self, task: Task) -> str:
        ns = ipc_ns(task)
        return f"{ns.semmsl}\t{ns.semmns}\t{ns.semopm}\t{ns.sem.limit}"

    def store(self, task: Task, data: bytes) -> None:
        ns = ipc_ns(task)
        values = [ns.semmsl, ns.semmns, ns.semopm, ns.sem.limit]
        words = data.strip(b"\0 \t\n").split()[:4]
        if not words:
            raise EINVAL
        for place, word in enumerate(words):
            value = parse_int(word)
            if not -_INT_MAX - 1 <= value <= _INT_MAX:
                raise EINVAL
            values[place] = value
        ns.semmsl, ns.semmns, ns.semopm = values[:3]
        if not 0 <= values[3] <= IPCMNI:
            raise ERANGE
        ns.sem.limit = values[3]


SYSCTLS: Final[dict[str, Sysctl]] = {
    "kernel.sem": SemLimits(0o644),
    "kernel.shmmax": NsInt("shmmax", 0, _ULONG_MAX),
    "kernel.shmall": NsInt("shmall", 0, _ULONG_MAX),
    "kernel.shmmni": Limit("shm"),
    "kernel.shm_rmid_forced": RmidForced("shm_rmid_forced", 0, 1),
    "kernel.msgmax": NsInt("msgmax", 0, _INT_MAX),
    "kernel.msgmnb": NsInt("msgmnb", 0, _INT_MAX),
    "kernel.msgmni": Limit("msg"),
    "kernel.auto_msgmni": AutoMsgmni(0o644),
    "kernel.sem_next_id": NextId("sem"),
    "kernel.msg_next_id": NextId("msg"),
    "kernel.shm_next_id": NextId("shm"),
    "fs.mqueue.queues_max": NsInt("mq_queues_max", 0, _INT_MAX),
    "fs.mqueue.msg_max": NsInt("mq_msg_max", 1, _HARD_MSGMAX),
    "fs.mqueue.msg_default": NsInt("mq_msg_default", 1, _HARD_MSGMAX),
    "fs.mqueue.msgsize_max": NsInt("mq_msgsize_max", 128, _HARD_MSGSIZEMAX),
    "fs.mqueue.msgsize_default": NsInt("mq_msgsize_default", 128, _HARD_MSGSIZEMAX),
}
