# SPDX-License-Identifier: Apache-2.0
"""mq_open(2), mq_unlink, mq_timedsend, mq_timedreceive, mq_notify, mq_getsetattr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.dcache import d_instantiate
from pygos.fs.file_table import alloc_fd, fd_install, fput, put_unused_fd
from pygos.fs.inode import current_time
from pygos.fs.namei import vfs_unlink
from pygos.fs.open import dentry_open
from pygos.fs.permission import inode_permission, may_create
from pygos.fs.walk import lookup_one
from pygos.include.errno import (
    EACCES,
    EAGAIN,
    EBADF,
    EBUSY,
    EEXIST,
    EINVAL,
    EMSGSIZE,
    ENAMETOOLONG,
    ENOENT,
    ENOTSOCK,
    ERESTARTSYS,
    ETIMEDOUT,
)
from pygos.include.linux.fs import (
    FMODE_PATH,
    FMODE_READ,
    FMODE_WRITE,
    MAY_READ,
    MAY_WRITE,
    S_IFMT,
    S_IFSOCK,
    Dentry,
    File,
    Path,
)
from pygos.include.linux.syscalls import (
    Fd,
    Flags,
    InOrNull,
    Mode,
    Out,
    OutInt,
    PathArg,
    Size,
    UInt,
    UserAddr,
    syscall,
)
from pygos.include.linux.wait import wait_on
from pygos.include.uapi.fcntl import (
    O_ACCMODE,
    O_CREAT,
    O_EXCL,
    O_LARGEFILE,
    O_NONBLOCK,
    O_RDWR,
    O_WRONLY,
)
from pygos.include.uapi.limits import NAME_MAX
from pygos.include.uapi.mqueue import MQ_PRIO_MAX, NOTIFY_COOKIE_LEN, MqAttr
from pygos.include.uapi.signal import SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, Sigevent
from pygos.include.uapi.time import Timespec
from pygos.ipc.mqueuefs import (
    DIR_IOPS,
    MQ_FOPS,
    MqInfo,
    MqWaiter,
    add_waiter,
    mqueue_super,
)
from pygos.ipc.namespace import ipc_ns
from pygos.kernel.time.timekeeping import realtime_deadline
from pygos.kernel.time.timespec import timespec_ns

if TYPE_CHECKING:
    from typing import NoReturn

    from pygos.include.linux.fs import Mount
    from pygos.include.linux.sched import Task

#: O_ACCMODE -> what the queue's mode must allow.
_ACC: Final = (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE)


def _mount_of(task: Task) -> Mount:
    """The mount that queues of the caller's namespace are opened through."""
    ns = ipc_ns(task)
    mqueue_super(task, ns)
    assert ns.mqueue is not None
    return ns.mqueue


def _lookup(task: Task, mnt: Mount, name: bytes) -> Dentry:
    """The name in the one directory. ENOENT, EACCES, ENAMETOOLONG."""
    if not name:
        raise ENOENT
    if name in (b".", b"..") or b"/" in name:
        raise EACCES
    if len(name) > NAME_MAX:
        raise ENAMETOOLONG
    return lookup_one(task, mnt.mnt_root, name)


# -- opening


@syscall
def mq_open(task: Task, name: PathArg, oflag: Flags, mode: Mode, attr: InOrNull[MqAttr]) -> int:
    """Open or make a message queue. mq_open(3).

    Errors: ENOENT, EEXIST, EACCES, EINVAL, EMFILE, ENFILE, ENOSPC, ENAMETOOLONG, ENOMEM.
    """
    fd = alloc_fd(task, 0, True)
    try:
        mnt = _mount_of(task)
        dentry = _lookup(task, mnt, name)
        if dentry.d_inode is None:
            if not oflag & O_CREAT:
                raise ENOENT
            _create(task, mnt.mnt_root, dentry, mode & 0o7777 & ~task.fs.umask, attr)
        else:
            _may_open(task, dentry, oflag)
        file = dentry_open(task, Path(mnt, dentry), oflag & ~O_CREAT)
        file.f_flags &= ~O_LARGEFILE
        fd_install(task, fd, file)
    except BaseException:
        put_unused_fd(task, fd)
        raise
    return fd


def _create(task: Task, root: Dentry, dentry: Dentry, mode: int, attr: MqAttr | None) -> None:
    dir = root.d_inode
    assert dir is not None
    may_create(task, dir, dentry)
    d_instantiate(dentry, DIR_IOPS.create_attr(task, dir, dentry, mode, attr))


def _may_open(task: Task, dentry: Dentry, oflag: int) -> None:
    """The queue is there: is that what the caller wants? EEXIST, EINVAL, EACCES."""
    if oflag & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL:
        raise EEXIST
    if oflag & O_ACCMODE == O_RDWR | O_WRONLY:
        raise EINVAL
    assert dentry.d_inode is not None
    inode_permission(task, dentry.d_inode, _ACC[oflag & O_ACCMODE])


@syscall
def mq_unlink(task: Task, name: PathArg) -> int:
    """Remove a message queue's name. mq_unlink(3). Errors: ENOENT, EACCES, ENAMETOOLONG."""
    mnt = _mount_of(task)
    dentry = _lookup(task, mnt, name)
    if dentry.d_inode is None:
        raise ENOENT
    root = mnt.mnt_root.d_inode
    assert root is not None
    vfs_unlink(task, root, dentry)
    return 0


def _queue(file: File | None) -> MqInfo:
    """The queue behind a descriptor. EBADF."""
    if file is None or file.f_mode & FMODE_PATH or file.f_op is not MQ_FOPS:
        raise EBADF
    info: MqInfo = file.f_inode.i_private
    return info


# -- sending and receiving


def _deadline(task: Task, timeout: Timespec | None) -> int | None:
    """Until when (wall clock, ns) a call may sleep; None: for ever. EINVAL."""
    return timespec_ns(timeout) if timeout is not None else None


@syscall
def mq_timedsend(
    task: Task,
    mqdes: Fd,
    msg_ptr: UserAddr,
    msg_len: Size,
    msg_prio: UInt,
    abs_timeout: InOrNull[Timespec],
) -> int:
    """Send a message. mq_timedsend(2).

    Errors: EBADF, EINVAL, EMSGSIZE, EAGAIN, ETIMEDOUT, EFAULT, EINTR, ENOMEM.
    """
    waiter = task.restart
    if waiter is not None:
        assert isinstance(waiter, MqWaiter)
        if waiter.done:
            waiter.end()
            return 0
        _sleep(task, waiter)
    deadline = _deadline(task, abs_timeout)
    if msg_prio >= MQ_PRIO_MAX:
        raise EINVAL
    file = task.files.fd.get(mqdes)
    info = _queue(file)
    assert file is not None
    if not file.f_mode & FMODE_WRITE:
        raise EBADF
    if msg_len > info.msgsize:
        raise EMSGSIZE
    assert task.mm is not None
    text = task.mm.read(msg_ptr, msg_len) if msg_len else b""
    if info.count >= info.maxmsg:
        if file.f_flags & O_NONBLOCK:
            raise EAGAIN
        _sleep(task, MqWaiter(task, file, info.senders, deadline, text, msg_prio))
    info.send(task, text, msg_prio)
    _stamp(file)
    return 0


def _stamp(file: File) -> None:
    inode = file.f_inode
    inode.i_atime = inode.i_mtime = inode.i_ctime = current_time(inode)


def _sleep(task: Task, waiter: MqWaiter) -> NoReturn:
    """Go (back) to sleep, unless a signal has come or time is up."""
    wake_at = None
    if waiter.deadline is not None:
        wake_at = realtime_deadline(task.machine, waiter.deadline)
    timed_out = waiter.deadline is not None and task.machine.clock.realtime() >= waiter.deadline
    if timed_out or task.signal_pending():
        if task.restart is waiter:
            waiter.end()
            task.restart = None
        else:
            fput(waiter.file)
        raise ETIMEDOUT if timed_out and not task.signal_pending() else ERESTARTSYS
    if task.restart is None:
        task.restart = waiter
        add_waiter(waiter)
    wait_on(task, deadline=wake_at, why="wq_sleep")


@syscall
def mq_timedreceive(
    task: Task,
    mqdes: Fd,
    msg_ptr: UserAddr,
    msg_len: Size,
    msg_prio: OutInt,
    abs_timeout: InOrNull[Timespec],
) -> int:
    """Receive the oldest message of the highest priority. mq_timedreceive(2).

    Errors: EBADF, EINVAL, EMSGSIZE, EAGAIN, ETIMEDOUT, EFAULT, EINTR.
    """
    waiter = task.restart
    if waiter is not None:
        assert isinstance(waiter, MqWaiter)
        if waiter.done:
            waiter.end()
            assert waiter.text is not None
            return _copy_out(task, waiter.text, waiter.prio, msg_ptr, msg_prio)
        _sleep(task, waiter)
    deadline = _deadline(task, abs_timeout)
    file = task.files.fd.get(mqdes)
    info = _queue(file)
    assert file is not None
    if not file.f_mode & FMODE_READ:
        raise EBADF
    if msg_len < info.msgsize:
        raise EMSGSIZE
    if not info.count:
        if file.f_flags & O_NONBLOCK:
            raise EAGAIN
        _sleep(task, MqWaiter(task, file, info.receivers, deadline, None, 0))
    text, prio = info.receive()
    _stamp(file)
    return _copy_out(task, text, prio, msg_ptr, msg_prio)


def _copy_out(task: Task, text: bytes, prio: int, msg_ptr: int, msg_prio: OutInt) -> int:
    if msg_prio:
        msg_prio.put32(prio)
    assert task.mm is not None
    if text:
        task.mm.write(msg_ptr, text)
    return len(text)


# -- notification and attributes


@syscall
def mq_notify(task: Task, mqdes: Fd, notification: InOrNull[Sigevent]) -> int:
    """Be told when a message comes to the empty queue. mq_notify(2).

    SIGEV_THREAD takes a netlink socket, which there is none. Errors: EBADF, EINVAL, EBUSY.
    """
    if notification is not None:
        _check_event(task, notification)
    file = task.files.fd.get(mqdes)
    info = _queue(file)
    assert file is not None
    if notification is None:
        if info.notify_owner is not task.group:
            return 0
        info.forget_notify()
    elif info.notify_owner is not None:
        raise EBUSY
    else:
        info.notify, info.notify_owner = notification, task.group
    inode = file.f_inode
    inode.i_atime = inode.i_ctime = current_time(inode)
    return 0


def _check_event(task: Task, event: Sigevent) -> None:
    notify = event.sigev_notify
    if notify not in (SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD):
        raise EINVAL
    if notify == SIGEV_SIGNAL and not 0 <= event.sigev_signo <= 64:
        raise EINVAL
    if notify != SIGEV_THREAD:
        return
    assert task.mm is not None
    task.mm.read(event.sigev_value, NOTIFY_COOKIE_LEN)
    socket = task.files.fd.get(event.sigev_signo)
    if socket is None or socket.f_mode & FMODE_PATH:
        raise EBADF
    if socket.f_inode.i_mode & S_IFMT != S_IFSOCK:
        raise ENOTSOCK
    raise EINVAL  # no socket is one of netlink


@syscall
def mq_getsetattr(task: Task, mqdes: Fd, mqstat: InOrNull[MqAttr], omqstat: Out[MqAttr]) -> int:
    """A queue's attributes; set whether it blocks. mq_getsetattr(2). Errors: EBADF, EINVAL."""
    if mqstat is not None and mqstat.mq_flags & ~O_NONBLOCK:
        raise EINVAL
    file = task.files.fd.get(mqdes)
    info = _queue(file)
    assert file is not None
    now = MqAttr(file.f_flags & O_NONBLOCK, info.maxmsg, info.msgsize, info.count)
    if mqstat is not None:
        file.f_flags = file.f_flags & ~O_NONBLOCK | mqstat.mq_flags & O_NONBLOCK
        inode = file.f_inode
        inode.i_atime = inode.i_ctime = current_time(inode)
    if omqstat:
        omqstat.put(now)
    return 0
