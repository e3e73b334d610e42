# SPDX-License-Identifier: Apache-2.0
"""struct ipc_namespace: what one IPC namespace owns (ipc/namespace.c), ipc_namespaces(7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import ENOMEM
from pygos.include.linux.ns_common import NsCommon
from pygos.include.uapi.ipc import (
    MSGMAX,
    MSGMNB,
    MSGMNI,
    SEMMNI,
    SEMMNS,
    SEMMSL,
    SEMOPM,
    SHMALL,
    SHMMAX,
    SHMMNI,
)
from pygos.include.uapi.sched import CLONE_NEWIPC
from pygos.ipc.util import IpcIds
from pygos.kernel.nsproxy import NsOps, charge_namespace

if TYPE_CHECKING:
    from pygos.include.linux.fs import FsStruct, Mount
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace

#: machine.misc: the IpcState.
_STATE: Final = "ipc"
#: The limits of POSIX message queues (/proc/sys/fs/mqueue).
DFLT_QUEUESMAX: Final = 256
DFLT_MSGMAX: Final = 10
DFLT_MSGSIZEMAX: Final = 8192


class IpcNamespace(NsCommon):
    """Ids, limits and the message queue file system of one namespace."""

    __slots__ = (
        "mq_msg_default", "mq_msg_max", "mq_msgsize_default", "mq_msgsize_max", "mq_queues_count",
        "mq_queues_max", "mqueue", "msg", "msg_bytes", "msg_hdrs", "msgmax", "msgmnb", "sem",
        "semmns", "semmsl", "semopm", "shm", "shm_rmid_forced", "shm_tot", "shmall", "shmmax",
        "used_sems",
    )  # fmt: skip
    ns_name = "ipc"
    ns_flag = CLONE_NEWIPC

    def __init__(self, user_ns: UserNamespace | None = None) -> None:
        super().__init__(user_ns)
        self.sem = IpcIds(SEMMNI)
        self.msg = IpcIds(MSGMNI)
        self.shm = IpcIds(SHMMNI)
        self.semmsl, self.semmns, self.semopm = SEMMSL, SEMMNS, SEMOPM
        self.used_sems = 0
        self.msgmax, self.msgmnb = MSGMAX, MSGMNB
        self.msg_bytes = self.msg_hdrs = 0
        self.shmmax, self.shmall = SHMMAX, SHMALL
        #: Pages of all segments.
        self.shm_tot = 0
        self.shm_rmid_forced = 0
        # -- POSIX message queues
        self.mq_queues_max = DFLT_QUEUESMAX
        self.mq_msg_max = self.mq_msg_default = DFLT_MSGMAX
        self.mq_msgsize_max = self.mq_msgsize_default = DFLT_MSGSIZEMAX
        self.mq_queues_count = 0
        #: The kernel's own mount of the namespace's mqueue instance, made at the first use.
        self.mqueue: Mount | None = None

    def ns_free(self, machine: Machine) -> None:
        """Nobody is in it any more: everything in it goes."""
        if self.sem.entries or self.msg.entries or self.shm.entries:
            from pygos.ipc.free import free_objects

            free_objects(machine, self)
        if self.mqueue is not None:
            from pygos.fs.mount_tree import mntput

            mnt, self.mqueue = self.mqueue, None
            mntput(machine, mnt)


class IpcState:
    """The machine's IPC: the first namespace, and how much kernel memory all of it may use."""

    __slots__ = ("charged", "init_ns", "limit")

    def __init__(self, machine: Machine) -> None:
        self.init_ns = IpcNamespace()
        #: Bytes of semaphores and messages, of all namespaces.
        self.charged = 0
        self.limit = machine.ram.pages << 10  # a quarter of RAM

    def charge(self, size: int) -> None:
        """Kernel memory for something that a program makes. ENOMEM beyond the limit."""
        if self.charged + size > self.limit:
            raise ENOMEM
        self.charged += size

    def uncharge(self, size: int) -> None:
        self.charged -= size


def ipc_state(machine: Machine) -> IpcState:
    """The machine's IPC, made at the first use."""
    state: IpcState | None = machine.misc.get(_STATE)
    if state is None:
        state = machine.misc[_STATE] = IpcState(machine)
    return state


def ipc_ns(task: Task) -> IpcNamespace:
    """The IPC namespace of a task."""
    ns: IpcNamespace | None = task.nsproxy.ipc
    return ns if ns is not None else ipc_state(task.machine).init_ns


class IpcNsOps(NsOps):
    """IPC namespaces, for kernel/nsproxy.py."""

    __slots__ = ()
    name = "ipc"
    flag = CLONE_NEWIPC

    def make_first(self, machine: Machine) -> NsCommon:
        return ipc_state(machine).init_ns

    def copy(
        self, task: Task, old: Any, user_ns: UserNamespace | None, fs: FsStruct
    ) -> IpcNamespace:
        """An empty one with default limits. ENOSPC."""
        ns = IpcNamespace(user_ns)
        charge_namespace(task, ns, user_ns, "ipc")
        return ns


NS_OPS: Final = IpcNsOps()
