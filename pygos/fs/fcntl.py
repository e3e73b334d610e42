# SPDX-License-Identifier: Apache-2.0
"""fcntl(2): everything about a descriptor that has no call of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.fasync import OWNER_TID, fasync_helper
from pygos.fs.file_table import f_dupfd, get_file_raw
from pygos.fs.locks import fcntl_getlk, fcntl_setlk
from pygos.fs.permission import inode_owner_or_capable
from pygos.include.errno import EAGAIN, EBADF, EINVAL, EPERM, ESRCH
from pygos.include.linux.fs import FMODE_CREATED, FMODE_PATH, S_APPEND
from pygos.include.linux.pid_namespace import find_vpid, pid_vnr
from pygos.include.linux.syscalls import UInt, UserAddr, syscall
from pygos.include.linux.user_namespace import show_uid
from pygos.include.uapi.fcntl import (
    F_ADD_SEALS,
    F_CREATED_QUERY,
    F_DUPFD,
    F_DUPFD_CLOEXEC,
    F_DUPFD_QUERY,
    F_GET_SEALS,
    F_GETFD,
    F_GETFL,
    F_GETLEASE,
    F_GETLK,
    F_GETOWN,
    F_GETOWN_EX,
    F_GETOWNER_UIDS,
    F_GETPIPE_SZ,
    F_GETSIG,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_OWNER_PGRP,
    F_OWNER_PID,
    F_OWNER_TID,
    F_SETFD,
    F_SETFL,
    F_SETLEASE,
    F_SETLK,
    F_SETLKW,
    F_SETOWN,
    F_SETOWN_EX,
    F_SETPIPE_SZ,
    F_SETSIG,
    F_UNLCK,
    FASYNC,
    FD_CLOEXEC,
    O_APPEND,
    O_DIRECT,
    O_NOATIME,
    O_NONBLOCK,
    Flock,
    FOwnerEx,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

SETFL_MASK = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME
#: What may be done with an O_PATH descriptor.
_PATH_CMDS = frozenset(
    (F_CREATED_QUERY, F_DUPFD, F_DUPFD_CLOEXEC, F_DUPFD_QUERY, F_GETFD, F_SETFD, F_GETFL)
)
_LOCK_CMDS = frozenset((F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW))
_OWNER_CMDS = frozenset(
    (F_GETOWN, F_SETOWN, F_GETOWN_EX, F_SETOWN_EX, F_GETSIG, F_SETSIG, F_GETOWNER_UIDS)
)


def _int(value: int) -> int:
    """An int argument out of a register."""
    return ((value & 0xFFFF_FFFF) ^ 0x8000_0000) - 0x8000_0000


def setfl(task: Task, fd: int, file: File, arg: int) -> int:
    """F_SETFL: change the status flags that can be changed. Errors: EPERM, the file's."""
    inode = file.f_inode
    if inode.i_flags & S_APPEND and not arg & O_APPEND:
        raise EPERM
    if arg & O_NOATIME and not file.f_flags & O_NOATIME and not inode_owner_or_capable(task, inode):
        raise EPERM
    flags = arg & SETFL_MASK | file.f_flags & ~SETFL_MASK
    op = file.f_op
    op.set_flags(task, file, flags)
    file.f_flags = flags
    if (arg ^ flags) & FASYNC and op.supports_fasync:
        fasync_helper(task, fd, file, bool(arg & FASYNC))
    return 0


def _user_mm(task: Task) -> Mm:
    mm = task.mm
    assert mm is not None
    return mm


def _fcntl_lock(task: Task, file: File, cmd: int, addr: int) -> int:
    mm = _user_mm(task)
    flock = Flock.from_bytes(mm.read(addr, Flock.SIZE))
    if cmd in (F_GETLK, F_OFD_GETLK):
        mm.write(addr, fcntl_getlk(task, file, cmd, flock).to_bytes())
        return 0
    return fcntl_setlk(task, file, cmd, flock)


def _find(task: Task, kind: int, number: int) -> bool:
    """Does the process, group or thread exist?"""
    pids = task.machine.pids
    if kind == F_OWNER_PGRP:
        return number != 0 and number in pids.pgrps
    found = pids.tasks.get(number)
    return found is not None and (kind == F_OWNER_TID or found.group.leader is found)


def _set_owner(task: Task, file: File, kind: int, number: int) -> int:
    """Who gets SIGIO and SIGURG of a file; 0: nobody. Errors: EINVAL, ESRCH."""
    if kind not in (F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP) or number < 0:
        raise EINVAL
    if number:
        number = find_vpid(task, number)
        if not _find(task, kind, number):
            raise ESRCH
    if kind == F_OWNER_PGRP:
        file.f_owner = -number
    elif kind == F_OWNER_TID and number:
        file.f_owner = number | OWNER_TID
    else:
        file.f_owner = number
    return 0


def _owner_ex(task: Task, file: File) -> FOwnerEx:
    owner = file.f_owner
    if owner < 0:
        return FOwnerEx(F_OWNER_PGRP, pid_vnr(task, -owner))
    if owner & OWNER_TID:
        return FOwnerEx(F_OWNER_TID, pid_vnr(task, owner & ~OWNER_TID))
    return FOwnerEx(F_OWNER_PID, pid_vnr(task, owner))


def f_setown(task: Task, file: File, who: int) -> None:
    """As F_SETOWN: a process, a negative group, or 0. Errors: EINVAL, ESRCH."""
    _fcntl_owner(task, file, F_SETOWN, who)


def f_getown(task: Task, file: File) -> int:
    """As F_GETOWN."""
    return _fcntl_owner(task, file, F_GETOWN, 0)


def _fcntl_owner(task: Task, file: File, cmd: int, arg: int) -> int:
    """The F_*OWN* and F_*SIG commands."""
    if cmd == F_GETOWN:
        owner = file.f_owner
        return pid_vnr(task, owner & ~OWNER_TID) if owner > 0 else -pid_vnr(task, -owner)
    if cmd == F_SETOWN:
        number = _int(arg)
        if number == -(1 << 31):
            raise EINVAL
        return _set_owner(task, file, F_OWNER_PGRP if number < 0 else F_OWNER_PID, abs(number))
    if cmd == F_GETSIG:
        return file.f_sig
    if cmd == F_SETSIG:
        if not 0 <= arg <= 64:
            raise EINVAL
        file.f_sig = arg
        return 0
    mm = _user_mm(task)
    if cmd == F_GETOWN_EX:
        mm.write(arg, _owner_ex(task, file).to_bytes())
        return 0
    if cmd == F_SETOWN_EX:
        owner_ex = FOwnerEx.from_bytes(mm.read(arg, FOwnerEx.SIZE))
        return _set_owner(task, file, owner_ex.type, owner_ex.pid)
    uids = show_uid(task, file.f_cred.uid) | show_uid(task, file.f_cred.euid) << 32
    mm.write(arg, (uids if file.f_owner else 0).to_bytes(8, "little"))
    return 0


def _fcntl_fd(task: Task, fd: int, file: File, cmd: int, arg: int) -> int:
    """The commands about the descriptor, not the file."""
    marked = task.files.close_on_exec
    if cmd == F_GETFD:
        return FD_CLOEXEC if fd in marked else 0
    if cmd == F_SETFD:
        if arg & FD_CLOEXEC:
            marked.add(fd)
        else:
            marked.discard(fd)
        return 0
    if cmd == F_DUPFD_QUERY:
        return int(get_file_raw(task, _int(arg)) is file)
    return f_dupfd(task, arg, file, cmd == F_DUPFD_CLOEXEC)


def _fcntl_rest(task: Task, file: File, cmd: int, arg: int) -> int:
    if cmd in (F_SETPIPE_SZ, F_GETPIPE_SZ):
        from pygos.fs.pipe import pipe_fcntl

        return pipe_fcntl(task, file, cmd, arg)
    if cmd in (F_ADD_SEALS, F_GET_SEALS):
        # Files that can be sealed have these two operations (memfd_create).
        add = getattr(file.f_op, "add_seals", None)
        if add is None:
            raise EINVAL
        if cmd == F_ADD_SEALS:
            add(task, file, arg & 0xFFFF_FFFF)
            return 0
        seals: int = file.f_op.get_seals(file)  # type: ignore[attr-defined]
        return seals
    if cmd == F_GETLEASE:
        return F_UNLCK
    if cmd == F_SETLEASE and _int(arg) == F_UNLCK:
        raise EAGAIN  # there is none to give up
    raise EINVAL


@syscall(partial="Leases, F_NOTIFY and write hints give EINVAL.")
def fcntl(task: Task, fd: UInt, cmd: UInt, arg: UserAddr) -> int:
    """Operations on a descriptor: duplicate, flags, locks, owner, pipe size, seals. fcntl(2).

    Errors: EBADF, EINVAL, EAGAIN, EACCES, EDEADLK, EINTR, EMFILE, EPERM, ESRCH, EFAULT.
    """
    file = task.files.fd.get(fd)
    if file is None:
        raise EBADF
    if file.f_mode & FMODE_PATH and cmd not in _PATH_CMDS:
        raise EBADF
    if cmd == F_GETFL:
        return file.f_flags
    if cmd == F_SETFL:
        return setfl(task, fd, file, _int(arg))
    if cmd in (F_GETFD, F_SETFD, F_DUPFD, F_DUPFD_CLOEXEC, F_DUPFD_QUERY):
        return _fcntl_fd(task, fd, file, cmd, arg)
    if cmd in _LOCK_CMDS:
        return _fcntl_lock(task, file, cmd, arg)
    if cmd in _OWNER_CMDS:
        return _fcntl_owner(task, file, cmd, arg)
    if cmd == F_CREATED_QUERY:
        return int(bool(file.f_mode & FMODE_CREATED))
    return _fcntl_rest(task, file, cmd, arg)
