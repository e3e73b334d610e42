# SPDX-License-Identifier: Apache-2.0
"""Control messages between sockets: descriptors and credentials (net/core/scm.c)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from pygos.fs.file_table import alloc_fd, fd_install, fget, fput, put_unused_fd
from pygos.include.errno import EBADF, EFAULT, EINVAL, EMFILE, EPERM, ESRCH
from pygos.include.linux.pid_namespace import find_task_by_vpid, pid_vnr
from pygos.include.linux.user_namespace import INVALID_ID, make_kgid, make_kuid, show_gid, show_uid
from pygos.include.uapi.capability import CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN
from pygos.include.uapi.socket import (
    MSG_CMSG_CLOEXEC,
    MSG_CTRUNC,
    SCM_CREDENTIALS,
    SCM_PIDFD,
    SCM_RIGHTS,
    SOL_SOCKET,
)
from pygos.kernel.pid import PidRef
from pygos.net.message import CMSG_HEAD, parse_cmsgs

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task
    from pygos.net.message import Message
    from pygos.net.sock import Sock

SCM_MAX_FD: Final = 253
_UCRED: Final = Struct("<iII")
_HEAD: Final = Struct("<Qii")
#: What unknown users are shown as.
OVERFLOW_ID: Final = 65534


class ScmCreds:
    """Who sent a message."""

    __slots__ = ("gid", "pid", "ref", "uid")

    def __init__(self, pid: int, uid: int, gid: int, ref: PidRef | None) -> None:
        self.pid = pid
        self.uid = uid
        self.gid = gid
        #: The process, for SCM_PIDFD.
        self.ref = ref

    def same(self, other: ScmCreds | None) -> bool:
        """Are messages of these two from one writer?"""
        return (
            other is not None
            and self.pid == other.pid
            and self.uid == other.uid
            and self.gid == other.gid
        )


#: What messages without credentials are received with.
NO_CREDS: Final = ScmCreds(0, OVERFLOW_ID, OVERFLOW_ID, None)


def own_creds(task: Task) -> ScmCreds:
    """The caller's own credentials."""
    cred = task.cred
    return ScmCreds(task.tgid, cred.uid, cred.gid, PidRef(task.group_leader, False))


class ScmCookie:
    """The control messages of one send: files (a reference each is owned), credentials."""

    __slots__ = ("creds", "fp")

    def __init__(self) -> None:
        self.fp: list[File] | None = None
        self.creds: ScmCreds | None = None

    def destroy(self) -> None:
        """The files that nobody took are given up."""
        files, self.fp = self.fp, None
        for file in files or ():
            fput(file)


def scm_send(task: Task, msg: Message) -> ScmCookie:
    """Parse the control messages of a send. Errors: EINVAL, EBADF, EPERM, ESRCH."""
    scm = ScmCookie()
    try:
        for level, kind, data in parse_cmsgs(msg.control):
            if level != SOL_SOCKET:
                continue
            if kind == SCM_RIGHTS:
                _copy_files(task, scm, data)
            elif kind == SCM_CREDENTIALS:
                scm.creds = _check_creds(task, data)
            else:
                raise EINVAL
    except BaseException:
        scm.destroy()
        raise
    return scm


def _copy_files(task: Task, scm: ScmCookie, data: bytes) -> None:
    count = len(data) >> 2
    if not count:
        return
    if scm.fp is None:
        scm.fp = []
    if count > SCM_MAX_FD or len(scm.fp) + count > SCM_MAX_FD:
        raise EINVAL
    table = task.files.fd
    for fd in memoryview(data)[: count << 2].cast("i").tolist():
        file = table.get(fd) if fd >= 0 else None
        if file is None:
            raise EBADF
        scm.fp.append(fget(file))


def _check_creds(task: Task, data: bytes) -> ScmCreds:
    """Credentials that the caller claims to have. EINVAL, EPERM, ESRCH."""
    if len(data) != _UCRED.size:
        raise EINVAL
    pid, uid, gid = _UCRED.unpack(data)
    cred = task.cred
    uid, gid = make_kuid(task, uid), make_kgid(task, gid)
    if uid == INVALID_ID or gid == INVALID_ID:
        raise EINVAL
    caps = cred.cap_effective
    owner = task.pid_ns.user_ns if task.pid_ns is not None else None
    if (
        (pid != pid_vnr(task, task.tgid) and not cred.ns_capable(owner, CAP_SYS_ADMIN))
        or (uid not in (cred.uid, cred.euid, cred.suid) and not caps >> CAP_SETUID & 1)
        or (gid not in (cred.gid, cred.egid, cred.sgid) and not caps >> CAP_SETGID & 1)
    ):
        raise EPERM
    target = find_task_by_vpid(task, pid)
    if target is None:
        raise ESRCH
    return ScmCreds(target.pid, uid, gid, PidRef(target.group_leader, False))


# -- receiving


def scm_recv(
    task: Task,
    sk: Sock,
    msg: Message | None,
    creds: ScmCreds | None,
    files: list[File] | None,
    flags: int,
) -> None:
    """Give a program the control messages of what it received; `files` are used up."""
    if msg is None or not msg.ctl_addr:
        if msg is not None and (sk.passcred or sk.passpidfd or files):
            msg.flags |= MSG_CTRUNC
        for file in files or ():
            fput(file)
        return
    try:
        if sk.passcred:
            who = creds or NO_CREDS
            uid, gid = show_uid(task, who.uid), show_gid(task, who.gid)
            image = _UCRED.pack(pid_vnr(task, who.pid), uid, gid)
            msg.put_cmsg(task, SOL_SOCKET, SCM_CREDENTIALS, image)
        if files:
            _detach_files(task, msg, files, flags)
    finally:
        for file in files or ():
            fput(file)
    if sk.passpidfd:
        _put_pidfd(task, msg, creds)


def _detach_files(task: Task, msg: Message, files: list[File], flags: int) -> None:
    """Install as many of the files as there is room for; the rest is lost (MSG_CTRUNC)."""
    mm: Any = task.mm
    room = (msg.ctl_left - CMSG_HEAD) >> 2
    cloexec = bool(flags & MSG_CMSG_CLOEXEC)
    count = 0
    for file in files[: max(room, 0)]:
        try:
            fd = alloc_fd(task, 0, cloexec)
        except EMFILE:
            break
        try:
            mm.write_u32(msg.ctl_addr + CMSG_HEAD + 4 * count, fd)
        except EFAULT:
            put_unused_fd(task, fd)
            break
        fd_install(task, fd, fget(file))
        count += 1
    if count:
        size = CMSG_HEAD + 4 * count
        try:
            mm.write(msg.ctl_addr, _HEAD.pack(size, SOL_SOCKET, SCM_RIGHTS))
            msg.advance(size)
        except EFAULT:
            pass
    if count < len(files):
        msg.flags |= MSG_CTRUNC


def _put_pidfd(task: Task, msg: Message, creds: ScmCreds | None) -> None:
    """SCM_PIDFD: a pidfd of the sender, or what its making failed with."""
    from pygos.fs.file_table import close_fd
    from pygos.fs.pidfs import pidfd_create

    if msg.ctl_left < CMSG_HEAD + 4:
        msg.flags |= MSG_CTRUNC
        return
    if creds is None or creds.ref is None:
        msg.put_cmsg(task, SOL_SOCKET, SCM_PIDFD, (-ESRCH.errno).to_bytes(4, "little", signed=True))
        return
    try:
        fd = pidfd_create(task, creds.ref.task, 0)
    except EMFILE:
        msg.flags |= MSG_CTRUNC
        return
    before = msg.ctl_left
    msg.put_cmsg(task, SOL_SOCKET, SCM_PIDFD, fd.to_bytes(4, "little"))
    if msg.ctl_left == before:
        close_fd(task, fd)
