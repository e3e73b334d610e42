# SPDX-License-Identifier: Apache-2.0
"""msgget(2), msgsnd(2), msgrcv(2), msgctl(2). The queues are ipc/msgqueue.py's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from pygos.include.errno import (
    E2BIG,
    EAGAIN,
    EIDRM,
    EINVAL,
    ENOMSG,
    ENOSPC,
    EPERM,
    ERESTARTNOHAND,
)
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.syscalls import Flags, Int, Long, UserAddr, syscall
from pygos.include.linux.wait import wait_on
from pygos.include.uapi.capability import CAP_SYS_RESOURCE
from pygos.include.uapi.ipc import (
    IPC_INFO,
    IPC_NOWAIT,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    MSG_COPY,
    MSG_EXCEPT,
    MSG_INFO,
    MSG_NOERROR,
    MSG_STAT,
    MSG_STAT_ANY,
    MSGMAP,
    MSGPOOL,
    MSGSEG,
    MSGSSZ,
    MSGTQL,
    Msginfo,
    Msqid64Ds,
)
from pygos.ipc.msgqueue import QUEUE_SIZE, Msg, MsgQueue, Receiver, Sender, convert_mode
from pygos.ipc.namespace import IpcNamespace, ipc_ns, ipc_state
from pygos.ipc.util import (
    S_IRUGO,
    S_IWUGO,
    IpcObject,
    check_owner,
    fill_perm,
    ipcget,
    ipcperms,
    now_seconds,
    update_perm,
)
from pygos.kernel.capability import capable

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

_INT_MAX: Final = (1 << 31) - 1


@syscall
def msgget(task: Task, key: Int, msgflg: Flags) -> int:
    """The id of a message queue. msgget(2). Errors: ENOENT, EEXIST, EACCES, ENOSPC, ENOMEM."""
    ns = ipc_ns(task)
    return ipcget(task, ns, ns.msg, key, msgflg, _new_queue, _no_check, 0)


def _no_check(obj: IpcObject, size: int) -> None:
    """A queue has no size."""


def _new_queue(task: Task, ns: IpcNamespace, key: int, flags: int, size: int) -> MsgQueue:
    state = ipc_state(task.machine)
    queue = MsgQueue(task, key, flags, ns.msgmnb)
    state.charge(QUEUE_SIZE)
    try:
        ns.msg.add(queue)
    except ENOSPC:
        state.uncharge(QUEUE_SIZE)
        raise
    return queue


def remove_queue(machine: Machine, ns: IpcNamespace, queue: MsgQueue) -> None:
    """IPC_RMID, and the end of a namespace."""
    ns.msg.remove(queue)
    state = ipc_state(machine)
    state.uncharge(QUEUE_SIZE)
    queue.destroy(ns, state)


def _obtain(ns: IpcNamespace, msqid: int) -> MsgQueue:
    return cast("MsgQueue", ns.msg.by_id(msqid))


# -- msgsnd


@syscall
def msgsnd(task: Task, msqid: Int, msgp: UserAddr, msgsz: Long, msgflg: Flags) -> int:
    """Send a message. msgsnd(2).

    Errors: EINVAL, EFAULT, EACCES, EAGAIN, EIDRM, EINTR, ENOMEM.
    """
    ns = ipc_ns(task)
    sender = task.restart
    if sender is not None:
        assert isinstance(sender, Sender)
        return _resume_sender(task, ns, sender)
    mem = task.mm
    assert mem is not None
    type_ = mem.read_u64(msgp)
    type_ = (type_ ^ 1 << 63) - (1 << 63)
    if not 0 <= msgsz <= ns.msgmax or msqid < 0 or type_ < 1:
        raise EINVAL
    msg = Msg(type_, mem.read(msgp + 8, msgsz) if msgsz else b"")
    queue = _obtain(ns, msqid)
    ipcperms(task, ns, queue, S_IWUGO)
    if queue.fits(msgsz):
        return _send(task, ns, queue, msg)
    if msgflg & IPC_NOWAIT:
        raise EAGAIN
    sender = task.restart = Sender(task, queue, msg)
    queue.senders[sender] = None
    return _resume_sender(task, ns, sender)


def _resume_sender(task: Task, ns: IpcNamespace, sender: Sender) -> int:
    """A sender runs again: is there room now?"""
    queue = sender.queue
    if queue.deleted:
        raise EIDRM
    try:
        ipcperms(task, ns, queue, S_IWUGO)
    except BaseException:
        queue.senders.pop(sender, None)
        raise
    if queue.fits(len(sender.msg.text)):
        queue.senders.pop(sender, None)
        return _send(task, ns, queue, sender.msg)
    if task.signal_pending():
        queue.senders.pop(sender, None)
        task.restart = None
        raise ERESTARTNOHAND
    wait_on(task, restart=ERESTARTNOHAND, why="do_msgsnd")


def _send(task: Task, ns: IpcNamespace, queue: MsgQueue, msg: Msg) -> int:
    if not queue.hand_over(task, msg):
        queue.put(ns, ipc_state(task.machine), msg)
    queue.lspid = task.tgid
    queue.stime = now_seconds(task)
    return 0


# -- msgrcv


@syscall
def msgrcv(task: Task, msqid: Int, msgp: UserAddr, msgsz: Long, msgtyp: Long, msgflg: Flags) -> int:
    """Receive a message. msgrcv(2).

    Errors: EINVAL, EFAULT, EACCES, E2BIG, ENOMSG, EIDRM, EINTR.
    """
    ns = ipc_ns(task)
    receiver = task.restart
    if receiver is not None:
        assert isinstance(receiver, Receiver)
        return _resume_receiver(task, ns, receiver, msgp, msgsz, msgflg)
    if msqid < 0 or msgsz < 0:
        raise EINVAL
    if msgflg & MSG_COPY and (msgflg & MSG_EXCEPT or not msgflg & IPC_NOWAIT):
        raise EINVAL
    queue = _obtain(ns, msqid)
    mode, type_ = convert_mode(msgtyp, msgflg)
    limit = _INT_MAX if msgflg & MSG_NOERROR else msgsz
    receiver = Receiver(task, queue, mode, type_, limit)
    msg = _receive(task, ns, receiver, msgsz, msgflg)
    if msg is not None:
        return _fill(task, msg, msgp, msgsz)
    if msgflg & IPC_NOWAIT:
        raise ENOMSG
    queue.receivers[receiver] = None
    task.restart = receiver
    return _wait_receiver(task, receiver)


def _receive(task: Task, ns: IpcNamespace, receiver: Receiver, size: int, flags: int) -> Msg | None:
    """Take the message that is wanted, if it is there. EACCES, E2BIG."""
    queue = receiver.queue
    ipcperms(task, ns, queue, S_IRUGO)
    msg = queue.find(receiver.mode, receiver.type)
    if msg is None:
        return None
    if size < len(msg.text) and not flags & MSG_NOERROR:
        raise E2BIG
    if flags & MSG_COPY:
        return msg
    queue.take(ns, ipc_state(task.machine), msg)
    queue.rtime = now_seconds(task)
    queue.lrpid = task.tgid
    if queue.senders:
        queue.wake_senders()
    return msg


def _resume_receiver(
    task: Task, ns: IpcNamespace, receiver: Receiver, msgp: int, size: int, flags: int
) -> int:
    result = receiver.result
    if isinstance(result, Msg):
        return _fill(task, result, msgp, size)
    if result is not None:
        raise result
    if receiver.queue.deleted:
        raise EIDRM
    try:
        msg = _receive(task, ns, receiver, size, flags)
    except BaseException:
        receiver.queue.receivers.pop(receiver, None)
        raise
    if msg is not None:
        receiver.queue.receivers.pop(receiver, None)
        return _fill(task, msg, msgp, size)
    return _wait_receiver(task, receiver)


def _wait_receiver(task: Task, receiver: Receiver) -> int:
    if task.signal_pending():
        receiver.queue.receivers.pop(receiver, None)
        task.restart = None
        raise ERESTARTNOHAND
    wait_on(task, restart=ERESTARTNOHAND, why="do_msgrcv")


def _fill(task: Task, msg: Msg, msgp: int, size: int) -> int:
    """Copy a message out: type and text. EFAULT."""
    assert task.mm is not None
    text = msg.text[:size]
    task.mm.write(msgp, msg.type.to_bytes(8, "little", signed=True))
    if text:
        task.mm.write(msgp + 8, text)
    return len(text)


# -- msgctl


@syscall
def msgctl(task: Task, msqid: Int, cmd: Int, buf: UserAddr) -> int:
    """Ask about, set or remove a queue. msgctl(2). Errors: EINVAL, EACCES, EPERM, EFAULT."""
    if msqid < 0 or cmd < 0:
        raise EINVAL
    ns = ipc_ns(task)
    if cmd in (IPC_INFO, MSG_INFO):
        return _info(task, ns, cmd, buf)
    if cmd in (IPC_STAT, MSG_STAT, MSG_STAT_ANY):
        return _stat(task, ns, msqid, cmd, buf)
    if cmd in (IPC_SET, IPC_RMID):
        return _down(task, ns, msqid, cmd, buf)
    raise EINVAL


def _info(task: Task, ns: IpcNamespace, cmd: int, buf: int) -> int:
    info = Msginfo()
    info.msgmni, info.msgmax, info.msgmnb = ns.msg.limit, ns.msgmax, ns.msgmnb
    info.msgssz, info.msgseg = MSGSSZ, MSGSEG
    if cmd == MSG_INFO:
        info.msgpool, info.msgmap, info.msgtql = len(ns.msg), ns.msg_hdrs, ns.msg_bytes
    else:
        info.msgpool, info.msgmap, info.msgtql = MSGPOOL, MSGMAP, MSGTQL
    assert task.mm is not None
    task.mm.write(buf, info.to_bytes())
    return max(ns.msg.max_idx, 0)


def _stat(task: Task, ns: IpcNamespace, msqid: int, cmd: int, buf: int) -> int:
    queue = cast("MsgQueue", (ns.msg.by_id if cmd == IPC_STAT else ns.msg.by_index)(msqid))
    if cmd != MSG_STAT_ANY:
        ipcperms(task, ns, queue, S_IRUGO)
    ds = Msqid64Ds()
    ds.msg_perm = fill_perm(task, queue)
    ds.msg_stime, ds.msg_rtime, ds.msg_ctime = queue.stime, queue.rtime, queue.ctime
    ds.msg_cbytes, ds.msg_qnum, ds.msg_qbytes = queue.cbytes, len(queue.messages), queue.qbytes
    ds.msg_lspid, ds.msg_lrpid = pid_vnr(task, queue.lspid), pid_vnr(task, queue.lrpid)
    assert task.mm is not None
    task.mm.write(buf, ds.to_bytes())
    return 0 if cmd == IPC_STAT else queue.id


def _down(task: Task, ns: IpcNamespace, msqid: int, cmd: int, buf: int) -> int:
    """IPC_SET and IPC_RMID."""
    ds = None
    if cmd == IPC_SET:
        assert task.mm is not None
        ds = Msqid64Ds.from_bytes(task.mm.read(buf, Msqid64Ds.SIZE))
    queue = _obtain(ns, msqid)
    check_owner(task, ns, queue)
    if ds is None:
        remove_queue(task.machine, ns, queue)
        return 0
    if ds.msg_qbytes > ns.msgmnb and not capable(task, CAP_SYS_RESOURCE):
        raise EPERM
    update_perm(task, queue, ds.msg_perm)
    queue.qbytes = ds.msg_qbytes
    queue.ctime = now_seconds(task)
    queue.wake_all()
    return 0
