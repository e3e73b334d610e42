# SPDX-License-Identifier: Apache-2.0
"""The texts of /proc/sysvipc, proc_sysvipc(5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.user_namespace import show_gid, show_uid
from pygos.ipc.namespace import ipc_ns

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.ipc.msgqueue import MsgQueue
    from pygos.ipc.semarray import SemArray
    from pygos.ipc.shm import ShmSegment
    from pygos.ipc.util import IpcIds, IpcObject

_MSG_HEAD: Final = (
    "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
    "      stime      rtime      ctime\n"
)
_SEM_HEAD: Final = (
    "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
)
_SHM_HEAD: Final = (
    "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid"
    "      atime      dtime      ctime                   rss                  swap\n"
)


def _all(ids: IpcIds) -> list[IpcObject]:
    return [ids.entries[idx] for idx in sorted(ids.entries)]


def _owners(task: Task, obj: IpcObject) -> str:
    uid, gid = show_uid(task, obj.uid), show_gid(task, obj.gid)
    return f"{uid:5} {gid:5} {show_uid(task, obj.cuid):5} {show_gid(task, obj.cgid):5}"


def msg_text(task: Task) -> str:
    """/proc/sysvipc/msg."""
    found = cast("list[MsgQueue]", _all(ipc_ns(task).msg))
    return _MSG_HEAD + "".join([_msg_line(task, queue) for queue in found])


def _msg_line(task: Task, queue: MsgQueue) -> str:
    return (
        f"{queue.key:10} {queue.id:10}  {queue.mode:4o}  {queue.cbytes:10} "
        f"{len(queue.messages):10} {pid_vnr(task, queue.lspid):5} "
        f"{pid_vnr(task, queue.lrpid):5} {_owners(task, queue)} "
        f"{queue.stime:10} {queue.rtime:10} {queue.ctime:10}\n"
    )


def sem_text(task: Task) -> str:
    """/proc/sysvipc/sem."""
    found = cast("list[SemArray]", _all(ipc_ns(task).sem))
    return _SEM_HEAD + "".join([_sem_line(task, sma) for sma in found])


def _sem_line(task: Task, sma: SemArray) -> str:
    return (
        f"{sma.key:10} {sma.id:10}  {sma.mode:4o} {sma.nsems:10} {_owners(task, sma)} "
        f"{sma.otime:10} {sma.ctime:10}\n"
    )


def shm_text(task: Task) -> str:
    """/proc/sysvipc/shm."""
    found = cast("list[ShmSegment]", _all(ipc_ns(task).shm))
    return _SHM_HEAD + "".join([_shm_line(task, shm) for shm in found])


def _shm_line(task: Task, shm: ShmSegment) -> str:
    return (
        f"{shm.key:10} {shm.id:10}  {shm.mode:4o} {shm.segsz:21} "
        f"{pid_vnr(task, shm.cpid):5} {pid_vnr(task, shm.lpid):5}  {shm.nattch:5} "
        f"{_owners(task, shm)} {shm.atime:10} {shm.dtime:10} {shm.ctime:10} "
        f"{shm.resident << 12:21} {0:21}\n"
    )
