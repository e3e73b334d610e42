# SPDX-License-Identifier: Apache-2.0
"""ioctl(2): what the VFS answers itself; the rest is the file's operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.fasync import fasync_helper
from pygos.fs.fileattr import FILEATTR_CMDS, fileattr_ioctl
from pygos.include.errno import (
    EBADF,
    EINVAL,
    ENOIOCTLCMD,
    ENOTTY,
    EOPNOTSUPP,
    EPERM,
    EXDEV,
)
from pygos.include.linux.fs import (
    FMODE_PATH,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
)
from pygos.include.linux.syscalls import UInt, UserAddr, syscall
from pygos.include.uapi.capability import CAP_SYS_ADMIN, CAP_SYS_RAWIO
from pygos.include.uapi.fcntl import FASYNC, O_NONBLOCK
from pygos.include.uapi.fs import (
    FIBMAP,
    FICLONE,
    FICLONERANGE,
    FIDEDUPERANGE,
    FIFREEZE,
    FIGETBSZ,
    FITHAW,
    FS_IOC_FIEMAP,
)
from pygos.include.uapi.ioctls import FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, FIOQSIZE

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm


def _fionbio(task: Task, file: File, mm: Mm, addr: int) -> int:
    """FIONBIO: set or clear O_NONBLOCK as the int at `addr` says. EFAULT."""
    on = mm.read_u32(addr)
    flags = file.f_flags | O_NONBLOCK if on else file.f_flags & ~O_NONBLOCK
    file.f_op.set_flags(task, file, flags)
    file.f_flags = flags
    return 0


def _fioasync(task: Task, fd: int, file: File, mm: Mm, addr: int) -> int:
    """FIOASYNC: set or clear O_ASYNC. Errors: EFAULT, ENOTTY (the file can't)."""
    on = mm.read_u32(addr) != 0
    if on != bool(file.f_flags & FASYNC):
        if not file.f_op.supports_fasync:
            raise ENOTTY
        fasync_helper(task, fd, file, on)
    return 0


def _fioqsize(file: File, mm: Mm, addr: int) -> int:
    inode = file.f_inode
    if inode.i_mode & S_IFMT not in (S_IFDIR, S_IFREG, S_IFLNK):
        raise ENOTTY
    mm.write_u64(addr, inode.i_size)
    return 0


def _clone(task: Task, file: File, cmd: int, mm: Mm, arg: int) -> int:
    """Reflinks: no file system here shares blocks. Errors: EBADF, EXDEV, EINVAL, EOPNOTSUPP."""
    fd = arg & 0xFFFF_FFFF if cmd == FICLONE else mm.read_u64(arg) & 0xFFFF_FFFF
    source = task.files.fd.get(fd)
    if source is None or source.f_mode & FMODE_PATH:
        raise EBADF
    if source.f_inode.i_sb is not file.f_inode.i_sb:
        raise EXDEV
    for one in (source, file):
        if one.f_inode.i_mode & S_IFMT != S_IFREG:
            raise EINVAL
    raise EOPNOTSUPP


def _freeze(task: Task) -> int:
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise EPERM
    raise EOPNOTSUPP


def _regular(task: Task, file: File, cmd: int, mm: Mm, arg: int) -> int:
    """What regular files have in common (file_ioctl)."""
    if cmd == FIONREAD:
        mm.write_u32(arg, file.f_inode.i_size - file.f_pos)
        return 0
    if cmd == FIBMAP:
        if not task.cred.capable(CAP_SYS_RAWIO):
            raise EPERM
        raise EINVAL  # no file system here has blocks on a device
    return file.f_op.ioctl(task, file, cmd, arg)


@syscall
def ioctl(task: Task, fd: UInt, cmd: UInt, arg: UserAddr) -> int:
    """Control a device or file. ioctl(2). Errors: EBADF, EFAULT, EINVAL, ENOTTY, EOPNOTSUPP."""
    file = task.files.fd.get(fd)
    if file is None or file.f_mode & FMODE_PATH:
        raise EBADF
    mm = task.mm
    assert mm is not None
    if cmd == FIOCLEX:
        task.files.close_on_exec.add(fd)
        return 0
    if cmd == FIONCLEX:
        task.files.close_on_exec.discard(fd)
        return 0
    if cmd == FIOASYNC:
        return _fioasync(task, fd, file, mm, arg)
    try:
        return _vfs_ioctl(task, file, cmd, mm, arg)
    except ENOIOCTLCMD:
        raise ENOTTY from None


def _vfs_ioctl(task: Task, file: File, cmd: int, mm: Mm, arg: int) -> int:
    if cmd == FIONBIO:
        return _fionbio(task, file, mm, arg)
    if cmd == FIOQSIZE:
        return _fioqsize(file, mm, arg)
    if cmd in (FICLONE, FICLONERANGE):
        return _clone(task, file, cmd, mm, arg)
    if cmd in (FIFREEZE, FITHAW):
        return _freeze(task)
    if cmd == FIGETBSZ:
        mm.write_u32(arg, file.f_inode.i_sb.s_blocksize)
        return 0
    if cmd in (FS_IOC_FIEMAP, FIDEDUPERANGE):
        raise EOPNOTSUPP
    if cmd in FILEATTR_CMDS and file.f_inode.i_mode & S_IFMT in (S_IFREG, S_IFDIR):
        return fileattr_ioctl(task, file, cmd, mm, arg)
    if file.f_inode.i_mode & S_IFMT == S_IFREG:
        return _regular(task, file, cmd, mm, arg)
    return file.f_op.ioctl(task, file, cmd, arg)
