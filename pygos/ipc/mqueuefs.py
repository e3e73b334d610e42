# SPDX-License-Identifier: Apache-2.0
"""mqueue: the file system that holds POSIX message queues, mq_overview(7) (ipc/mqueue.c).

Each IPC namespace has one instance. A queue is a regular file in its only directory; what
mq_open(3) gives is an open file of it. Sleepers stand in the queue in the order of their
real-time priority; a message for which one waits is handed over at once.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from typing import TYPE_CHECKING, Final

from pygos.fs.attr import setattr_copy
from pygos.fs.dcache import d_make_root, shrink_dcache_sb
from pygos.fs.file_table import fput
from pygos.fs.inode import current_time, inode_init_owner
from pygos.fs.libfs import SIMPLE_DIR_FOPS, SimpleDir, SimpleDirInodeOperations
from pygos.include.errno import EINVAL, EMFILE, ENOSPC, EPERM
from pygos.include.linux.fs import (
    S_IFDIR,
    S_IFMT,
    S_IFREG,
    Dentry,
    File,
    FileOperations,
    FileSystemType,
    Iattr,
    Inode,
    InodeOperations,
    Kstatfs,
    SuperBlock,
    SuperOperations,
)
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.sched import SigInfo
from pygos.include.linux.user_namespace import show_uid
from pygos.include.linux.wait import WaitQueue
from pygos.include.uapi.capability import CAP_SYS_RESOURCE
from pygos.include.uapi.fcntl import SEEK_CUR, SEEK_END, SEEK_SET
from pygos.include.uapi.magic import MQUEUE_MAGIC
from pygos.include.uapi.mqueue import MQ_PRIO_MAX
from pygos.include.uapi.poll import POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM
from pygos.include.uapi.resource import RLIMIT_MSGQUEUE
from pygos.include.uapi.signal import SI_MESGQ, SIGEV_SIGNAL
from pygos.ipc.namespace import IpcNamespace, IpcState, ipc_ns, ipc_state
from pygos.kernel.capability import capable
from pygos.kernel.sigsend import send_sig_info

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import SignalStruct, Task
    from pygos.include.uapi.mqueue import MqAttr
    from pygos.include.uapi.signal import Sigevent

#: Sizes shown of a name in the directory and of a queue, bytes.
_DIRENT_SIZE: Final = 20
_FILENT_SIZE: Final = 80
#: Hard limits, whatever the capabilities.
_HARD_MSGMAX: Final = 65536
_HARD_MSGSIZEMAX: Final = 16 << 20
#: What counts for RLIMIT_MSGQUEUE beyond the text: struct msg_msg, struct posix_msg_tree_node.
_MSG_SIZE: Final = 48
_NODE_SIZE: Final = 48
_READABLE: Final = POLLIN | POLLRDNORM
_WRITABLE: Final = POLLOUT | POLLWRNORM
#: machine.misc: bytes of message queues by user (RLIMIT_MSGQUEUE).
_CHARGES: Final = "mq_bytes"


class MqWaiter:
    """A sleeping mq_timedsend(2) or mq_timedreceive(2); its task.restart.

    `text` is the sender's message, or the one that a receiver was given. It holds a reference
    of the open queue.
    """

    __slots__ = ("deadline", "done", "file", "prio", "queue", "task", "text")

    def __init__(
        self, task: Task, file: File, queue: list[MqWaiter], deadline: int | None,
        text: bytes | None, prio: int,
    ) -> None:  # fmt: skip
        self.task = task
        self.file = file
        file.f_count += 1
        #: Where it stands: the queue's senders or receivers.
        self.queue = queue
        self.deadline = deadline
        self.done = False
        self.text = text
        #: The message's.
        self.prio = prio

    def end(self) -> None:
        """It is served, or gives up."""
        if not self.done and self in self.queue:
            self.queue.remove(self)
        fput(self.file)


class MqInfo:
    """One queue (struct mqueue_inode_info); the inode's i_private."""

    __slots__ = (
        "charged",
        "count",
        "levels",
        "maxmsg",
        "msgsize",
        "notify",
        "notify_owner",
        "ns",
        "poll",
        "prios",
        "qsize",
        "receivers",
        "senders",
        "state",
        "uid",
    )  # fmt: skip

    def __init__(self, state: IpcState, ns: IpcNamespace, maxmsg: int, msgsize: int) -> None:
        self.state = state
        self.ns = ns
        self.maxmsg = maxmsg
        self.msgsize = msgsize
        self.count = 0
        #: Bytes of all messages.
        self.qsize = 0
        #: Messages by priority, oldest first; the priorities ascending.
        self.levels: dict[int, deque[bytes]] = {}
        self.prios: list[int] = []
        self.receivers: list[MqWaiter] = []
        self.senders: list[MqWaiter] = []
        self.poll = WaitQueue()
        self.notify: Sigevent | None = None
        self.notify_owner: SignalStruct | None = None
        #: The user it counts for, and for how many bytes.
        self.uid = 0
        self.charged = 0

    # -- messages

    def insert(self, text: bytes, prio: int) -> None:
        """Queue a message. ENOMEM."""
        self.state.charge(_MSG_SIZE + len(text))
        level = self.levels.get(prio)
        if level is None:
            level = self.levels[prio] = deque()
            insort(self.prios, prio)
        level.append(text)
        self.count += 1
        self.qsize += len(text)

    def take(self) -> tuple[bytes, int]:
        """The oldest message of the highest priority."""
        prio = self.prios[-1]
        level = self.levels[prio]
        text = level.popleft()
        if not level:
            del self.levels[prio]
            self.prios.pop()
        self.count -= 1
        self.qsize -= len(text)
        self.state.uncharge(_MSG_SIZE + len(text))
        return text, prio

    def clear(self) -> None:
        while self.count:
            self.take()

    # -- sending and receiving

    def send(self, task: Task, text: bytes, prio: int) -> None:
        """There is room, or a receiver waits. ENOMEM."""
        receiver = first_waiter(self.receivers)
        if receiver is not None:
            receiver.text, receiver.prio = text, prio
            _release(receiver)
            return
        self.insert(text, prio)
        if self.count == 1:
            self.tell(task)
        self.poll.wake_all(_READABLE)

    def receive(self) -> tuple[bytes, int]:
        """There is a message. A sender that waited for room gets it."""
        found = self.take()
        sender = first_waiter(self.senders)
        if sender is None:
            self.poll.wake_all(_WRITABLE)
        else:
            assert sender.text is not None
            self.insert(sender.text, sender.prio)
            _release(sender)
        return found

    # -- notification

    def tell(self, task: Task) -> None:
        """The empty queue got a message: whoever asked to be told is, once."""
        owner, event = self.notify_owner, self.notify
        if owner is None or event is None:
            return
        self.forget_notify()
        if event.sigev_notify != SIGEV_SIGNAL or not event.sigev_signo:
            return
        signo, value = event.sigev_signo, event.sigev_value
        who = owner.leader
        pid, uid = pid_vnr(who, task.tgid), show_uid(who, task.cred.uid)
        info = SigInfo(signo, SI_MESGQ, pid=pid, uid=uid, value=value)
        if owner.leader.group is owner:
            send_sig_info(owner.leader, info, group=True)

    def forget_notify(self) -> None:
        """Nobody wants to be told."""
        self.notify_owner = self.notify = None


def first_waiter(waiters: list[MqWaiter]) -> MqWaiter | None:
    """Take the sleeper that is next; the dead are forgotten."""
    while waiters:
        waiter = waiters.pop(0)
        if waiter.task.alive:
            return waiter
    return None


def add_waiter(waiter: MqWaiter) -> None:
    """Join the queue, behind those of the same or a higher real-time priority."""
    waiters = waiter.queue
    at = len(waiters)
    prio = waiter.task.prio
    while at and waiters[at - 1].task.prio < prio:
        at -= 1
    waiters.insert(at, waiter)


def _release(waiter: MqWaiter) -> None:
    waiter.done = True
    waiter.task.machine.sched.wake_up(waiter.task)


# -- files


class MqFileOperations(FileOperations):
    """An open queue."""

    __slots__ = ()

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        """The state of the queue as a line of text."""
        info: MqInfo = file.f_inode.i_private
        notify, signo, pid = 0, 0, 0
        if info.notify_owner is not None and info.notify is not None:
            notify = info.notify.sigev_notify
            signo = info.notify.sigev_signo if notify == SIGEV_SIGNAL else 0
            pid = pid_vnr(task, info.notify_owner.tgid)
        text = f"QSIZE:{info.qsize:<10} NOTIFY:{notify:<5} SIGNO:{signo:<5} NOTIFY_PID:{pid:<6}\n"
        part = text[: _FILENT_SIZE - 1].encode()[pos : pos + buf.length]
        count = buf.put(part) if part else 0
        if count:
            file.f_inode.i_atime = file.f_inode.i_ctime = current_time(file.f_inode)
        return count

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        if whence == SEEK_CUR:
            offset += file.f_pos
        elif whence == SEEK_END:
            offset += file.f_inode.i_size
        elif whence != SEEK_SET:
            raise EINVAL
        if offset < 0:
            raise EINVAL
        file.f_pos = offset
        return offset

    def poll(self, task: Task, file: File) -> int:
        info: MqInfo = file.f_inode.i_private
        mask = _READABLE if info.count else 0
        return mask | _WRITABLE if info.count < info.maxmsg else mask

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...] | None:
        info: MqInfo = file.f_inode.i_private
        return (info.poll,)

    def flush(self, task: Task, file: File) -> None:
        info: MqInfo = file.f_inode.i_private
        if info.notify_owner is task.group:
            info.forget_notify()


class MqInodeOperations(InodeOperations):
    """A queue's attributes; it has no size to change."""

    __slots__ = ()

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        setattr_copy(inode, attr)


class MqDirOperations(SimpleDirInodeOperations):
    """The directory: regular files are made and removed, nothing else."""

    __slots__ = ()
    size_of_entry = _DIRENT_SIZE

    def create(self, task: Task, dir: Inode, dentry: Dentry, mode: int) -> Inode:
        return self.create_attr(task, dir, dentry, mode, None)

    def create_attr(
        self, task: Task, dir: Inode, dentry: Dentry, mode: int, attr: MqAttr | None
    ) -> Inode:
        """A new queue, with mq_open(3)'s attributes. ENOSPC, EINVAL, EMFILE, ENOMEM."""
        ns: IpcNamespace = dir.i_sb.s_fs_info
        if ns.mq_queues_count >= ns.mq_queues_max and not capable(task, CAP_SYS_RESOURCE):
            raise ENOSPC
        inode = _new_queue(task, dir.i_sb, ns, mode, attr)
        ns.mq_queues_count += 1
        self.add_entry(dir, dentry, inode)
        return inode

    def link(self, task: Task, old: Dentry, dir: Inode, dentry: Dentry) -> Inode:
        raise EPERM

    def rmdir(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        raise EPERM

    def rename(
        self, task: Task, old_dir: Inode, old: Dentry, new_dir: Inode, new: Dentry, flags: int
    ) -> None:
        raise EPERM

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        setattr_copy(inode, attr)


class MqSuperOperations(SuperOperations):
    """Queues end with their last file."""

    __slots__ = ()

    def statfs(self, sb: SuperBlock) -> Kstatfs:
        return Kstatfs(type=sb.s_magic)

    def evict_inode(self, inode: Inode) -> None:
        info = inode.i_private
        if not isinstance(info, MqInfo):
            return
        inode.i_private = None
        info.clear()
        info.ns.mq_queues_count -= 1
        charges = _charges(inode.i_sb.machine)
        charges[info.uid] -= info.charged
        if not charges[info.uid]:
            del charges[info.uid]

    def put_super(self, sb: SuperBlock) -> None:
        shrink_dcache_sb(sb)


MQ_FOPS: Final = MqFileOperations()
_IOPS: Final = MqInodeOperations()
DIR_IOPS: Final = MqDirOperations()
_SUPER_OPS: Final = MqSuperOperations()


def _charges(machine: Machine) -> dict[int, int]:
    table: dict[int, int] = machine.misc.setdefault(_CHARGES, {})
    return table


def _limits(task: Task, ns: IpcNamespace, attr: MqAttr | None) -> tuple[int, int]:
    """How many messages of which size a new queue holds. EINVAL."""
    if attr is None:
        return (
            min(ns.mq_msg_max, ns.mq_msg_default),
            min(ns.mq_msgsize_max, ns.mq_msgsize_default),
        )
    maxmsg, msgsize = attr.mq_maxmsg, attr.mq_msgsize
    if maxmsg <= 0 or msgsize <= 0:
        raise EINVAL
    most, largest = ns.mq_msg_max, ns.mq_msgsize_max
    if capable(task, CAP_SYS_RESOURCE):
        most, largest = _HARD_MSGMAX, _HARD_MSGSIZEMAX
    if maxmsg > most or msgsize > largest:
        raise EINVAL
    return maxmsg, msgsize


def _new_queue(
    task: Task, sb: SuperBlock, ns: IpcNamespace, mode: int, attr: MqAttr | None
) -> Inode:
    maxmsg, msgsize = _limits(task, ns, attr)
    size = maxmsg * (msgsize + _MSG_SIZE) + min(maxmsg, MQ_PRIO_MAX) * _NODE_SIZE
    charges = _charges(task.machine)
    used = charges.get(task.cred.uid, 0) + size
    if used > task.group.rlim[RLIMIT_MSGQUEUE][0]:
        raise EMFILE
    charges[task.cred.uid] = used
    info = MqInfo(ipc_state(task.machine), ns, maxmsg, msgsize)
    info.uid, info.charged = task.cred.uid, size
    inode = _new_inode(task, sb, S_IFREG | mode & ~S_IFMT)
    inode.i_private = info
    inode.i_op, inode.i_fop = _IOPS, MQ_FOPS
    inode.i_size = _FILENT_SIZE
    return inode


def _new_inode(task: Task, sb: SuperBlock, mode: int) -> Inode:
    inode = Inode(sb, sb.new_ino(), mode)
    inode_init_owner(task, inode, None, mode)
    inode.i_atime = inode.i_mtime = inode.i_ctime = inode.i_btime = current_time(inode)
    return inode


# -- the instance of a namespace


def make_instance(task: Task, ns: IpcNamespace, fstype: FileSystemType) -> None:
    """Give a namespace its file system, and the kernel's own mount of it."""
    sb = SuperBlock(task.machine, fstype, _SUPER_OPS)
    sb.s_magic = MQUEUE_MAGIC
    sb.s_fs_info = ns
    root = _new_inode(task, sb, S_IFDIR | 0o1777)
    root.i_op, root.i_fop, root.i_private = DIR_IOPS, SIMPLE_DIR_FOPS, SimpleDir()
    root.i_nlink = 2
    root.i_size = 2 * _DIRENT_SIZE
    sb.s_root = d_make_root(sb, root)
    ns.mqueue = task.machine.new_mount(sb.s_root, "mqueue")


def mqueue_super(task: Task, ns: IpcNamespace) -> SuperBlock:
    """The file system of a namespace, made at the first use by pid 0."""
    if ns.mqueue is None:
        make_instance(task.machine.init_task, ns, task.machine.filesystems["mqueue"])
    assert ns.mqueue is not None
    return ns.mqueue.mnt_sb


def mount_mqueue(task: Task, fstype: FileSystemType) -> SuperBlock:
    """mount -t mqueue: all mounts of a namespace show the same queues."""
    return mqueue_super(task, ipc_ns(task))
