# SPDX-License-Identifier: Apache-2.0
"""The descriptor of a seccomp listener: it reads notifications and answers them.

seccomp_unotify(2); the waiting side is kernel/seccomp_notify.py. The file's private data is
the filter.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from pygos.fs.anon_inodes import AnonFileOperations, anon_inode_getfile
from pygos.fs.file_table import (
    alloc_fd,
    fd_install,
    fget,
    get_file,
    put_unused_fd,
    replace_fd,
)
from pygos.include.errno import (
    E2BIG,
    EBADF,
    EINPROGRESS,
    EINVAL,
    ENOENT,
    Errno,
)
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.wait import wait_on
from pygos.include.uapi.fcntl import O_CLOEXEC, O_RDWR
from pygos.include.uapi.poll import POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM
from pygos.include.uapi.resource import RLIMIT_NOFILE
from pygos.include.uapi.seccomp import (
    SECCOMP_ADDFD_FLAG_SEND,
    SECCOMP_ADDFD_FLAG_SETFD,
    SECCOMP_IOCTL_NOTIF_ADDFD,
    SECCOMP_IOCTL_NOTIF_ID_VALID,
    SECCOMP_IOCTL_NOTIF_RECV,
    SECCOMP_IOCTL_NOTIF_SEND,
    SECCOMP_USER_NOTIF_FLAG_CONTINUE,
)
from pygos.kernel.seccomp_notify import INIT, SENT, Notification, Notifier

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task
    from pygos.include.linux.wait import WaitQueue
    from pygos.kernel.seccomp import SeccompFilter
    from pygos.mm.mm import Mm

#: id, pid, flags; struct seccomp_data follows.
_NOTIF: Final = Struct("<QII")
_NOTIF_SIZE: Final = 80
#: id, val, error, flags.
_RESP: Final = Struct("<QqiI")
#: id, flags, srcfd, newfd, newfd_flags.
_ADDFD: Final = Struct("<QIIII")
#: The older number of ID_VALID, with the wrong direction in it.
_ID_VALID_WRONG_DIR: Final = 0x80082102
_SET_FLAGS: Final = 0x40082104
_FD_SYNC_WAKE_UP: Final = 1
#: An ioctl number without its size; the type 'E' of extensible structs.
_SIZE_SHIFT: Final = 16
_SIZE_MASK: Final = 0x3FFF << _SIZE_SHIFT
_PAGE: Final = 4096


class SeccompNotifyOperations(AnonFileOperations):
    """seccomp_notify_ops."""

    __slots__ = ()

    def release(self, file: File) -> None:
        filter: SeccompFilter = file.private_data
        notif, filter.notif = filter.notif, None
        if notif is not None:
            notif.close()

    def poll(self, task: Task, file: File) -> int:
        filter: SeccompFilter = file.private_data
        mask = 0
        if filter.notif is not None:
            states = {item.state for item in filter.notif.waiting.values()}
            if INIT in states:
                mask |= POLLIN | POLLRDNORM
            if SENT in states:
                mask |= POLLOUT | POLLWRNORM
        return mask if filter.users else mask | POLLHUP

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...]:
        filter: SeccompFilter = file.private_data
        return (filter.wqh,)

    def ioctl(self, task: Task, file: File, cmd: int, arg: int) -> int:
        filter: SeccompFilter = file.private_data
        assert task.mm is not None
        if cmd == SECCOMP_IOCTL_NOTIF_RECV:
            return _receive(task, filter, task.mm, arg)
        if cmd == SECCOMP_IOCTL_NOTIF_SEND:
            return _send(filter, task.mm.read(arg, _RESP.size))
        if cmd in (SECCOMP_IOCTL_NOTIF_ID_VALID, _ID_VALID_WRONG_DIR):
            item = _find(filter, task.mm.read_u64(arg))
            if item.state != SENT:
                raise ENOENT
            return 0
        if cmd == _SET_FLAGS:
            if arg & ~_FD_SYNC_WAKE_UP:
                raise EINVAL
            _notifier(filter).flags = arg
            return 0
        if cmd & ~_SIZE_MASK == SECCOMP_IOCTL_NOTIF_ADDFD & ~_SIZE_MASK:
            return _add_fd(task, filter, arg, (cmd & _SIZE_MASK) >> _SIZE_SHIFT)
        raise EINVAL


SECCOMP_NOTIFY_FOPS: Final = SeccompNotifyOperations()


def seccomp_listener(task: Task, filter: SeccompFilter) -> int:
    """Give a new filter a listener: its descriptor, close-on-exec. EMFILE, ENFILE."""
    fd = alloc_fd(task, 0, True)
    try:
        file = anon_inode_getfile(task, b"seccomp notify", SECCOMP_NOTIFY_FOPS, filter, O_RDWR)
    except Errno:
        put_unused_fd(task, fd)
        raise
    filter.notif = Notifier(int.from_bytes(task.machine.entropy.bytes(8), "little"))
    fd_install(task, fd, file)
    return fd


def _notifier(filter: SeccompFilter) -> Notifier:
    assert filter.notif is not None  # as long as its file is open
    return filter.notif


def _find(filter: SeccompFilter, number: int) -> Notification:
    item = _notifier(filter).waiting.get(number)
    if item is None:
        raise ENOENT
    return item


def _receive(task: Task, filter: SeccompFilter, mm: Mm, addr: int) -> int:
    """SECCOMP_IOCTL_NOTIF_RECV: wait for a call. EFAULT, EINVAL (not zeroed), ENOENT."""
    if any(mm.read(addr, _NOTIF_SIZE)):
        raise EINVAL
    waiting = _notifier(filter).waiting.values()
    item = next((item for item in waiting if item.state == INIT), None)
    if item is None:
        if not filter.users:
            raise ENOENT
        wait_on(task, filter.wqh, why="seccomp_notify_recv")
    mm.write(addr, _NOTIF.pack(item.id, pid_vnr(task, item.task.pid), 0) + item.data)
    item.state = SENT
    # With WAIT_KILLABLE_RECV the caller looks again whether signals may still interrupt it.
    filter.wqh.wake_all(POLLOUT | POLLWRNORM)
    return 0


def _send(filter: SeccompFilter, data: Any) -> int:
    """SECCOMP_IOCTL_NOTIF_SEND: the answer. EINVAL, ENOENT, EINPROGRESS."""
    number, val, error, flags = _RESP.unpack(data)
    if flags & ~SECCOMP_USER_NOTIF_FLAG_CONTINUE:
        raise EINVAL
    if flags and (error or val):
        raise EINVAL
    item = _find(filter, number)
    if item.state != SENT:
        raise EINPROGRESS
    item.reply(error, val, flags)
    return 0


def _add_fd(task: Task, filter: SeccompFilter, addr: int, size: int) -> int:
    """SECCOMP_IOCTL_NOTIF_ADDFD: give the caller one of the listener's files; its number.

    Errors: EINVAL, E2BIG, EBADF, ENOENT, EINPROGRESS, EMFILE.
    """
    if not _ADDFD.size <= size < _PAGE:
        raise EINVAL
    assert task.mm is not None
    data = bytes(task.mm.read(addr, size))
    if any(data[_ADDFD.size :]):
        raise E2BIG
    number, flags, srcfd, newfd, newfd_flags = _ADDFD.unpack(data[: _ADDFD.size])
    if newfd_flags & ~O_CLOEXEC:
        raise EINVAL
    if flags & ~(SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND):
        raise EINVAL
    if newfd and not flags & SECCOMP_ADDFD_FLAG_SETFD:
        raise EINVAL
    file = get_file(task, srcfd)
    item = _find(filter, number)
    if item.state != SENT:
        raise EINPROGRESS
    wanted = newfd if flags & SECCOMP_ADDFD_FLAG_SETFD else -1
    fd = _receive_fd(item.task, file, wanted, bool(newfd_flags & O_CLOEXEC))
    if flags & SECCOMP_ADDFD_FLAG_SEND:
        item.reply(0, fd, 0)
    return fd


def _receive_fd(target: Task, file: File, wanted: int, cloexec: bool) -> int:
    """Put a file into another task's table. EBADF, EMFILE."""
    if wanted >= 0:
        if wanted >= target.group.rlim[RLIMIT_NOFILE][0]:
            raise EBADF
        replace_fd(target, wanted, file, cloexec)
        return wanted
    fd = alloc_fd(target, 0, cloexec)
    fd_install(target, fd, fget(file))
    return fd
