# SPDX-License-Identifier: Apache-2.0
"""Files without a name in any file system: eventfd, epoll, timerfd, signalfd and others.

They share one inode on an internal super block (``machine.anon_sb``); each file has a dentry
of its own that carries the class name which /proc/PID/fd shows: ``anon_inode:[eventfd]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.linux.fs import (
    FMODE_LSEEK,
    FMODE_READ,
    FMODE_STREAM,
    FMODE_WRITE,
    Dentry,
    DentryOperations,
    File,
    FileOperations,
    FileSystemType,
    Inode,
    Path,
    SuperBlock,
    SuperOperations,
)
from pygos.include.uapi.fcntl import O_ACCMODE
from pygos.include.uapi.magic import ANON_INODE_FS_MAGIC

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task


class AnonInodeFsType(FileSystemType):
    """anon_inodefs: internal."""

    __slots__ = ()
    name = "anon_inodefs"


class AnonDentryOperations(DentryOperations):
    """The name is the class of the object."""

    __slots__ = ()

    def d_dname(self, dentry: Dentry) -> bytes | None:
        return b"anon_inode:" + dentry.d_name


class AnonFileOperations(FileOperations):
    """What all anonymous files share: lseek(2) succeeds and moves nothing (noop_llseek)."""

    __slots__ = ()

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        return file.f_pos


class AnonFs:
    """s_fs_info of the super block."""

    __slots__ = ("inode", "mnt")

    def __init__(self, inode: Inode, mnt: Any) -> None:
        self.inode = inode
        self.mnt = mnt


_ANONFS: Final = AnonInodeFsType()
_DENTRY_OPS: Final = AnonDentryOperations()


def _init_anon_fs(machine: Machine) -> SuperBlock:
    sb = SuperBlock(machine, _ANONFS, SuperOperations())
    sb.s_magic = ANON_INODE_FS_MAGIC
    sb.s_d_op = _DENTRY_OPS
    sb.s_root = Dentry(sb, None, b"/")
    sb.s_root.d_inode = Inode(sb, sb.new_ino(), 0o040000)
    # The inode has no file type, as stat(2) shows on Linux.
    inode = Inode(sb, sb.new_ino(), 0o600)
    now = machine.clock.realtime()
    inode.i_atime = inode.i_mtime = inode.i_ctime = inode.i_btime = now
    sb.s_fs_info = AnonFs(inode, machine.new_mount(sb.s_root, "anon_inodefs"))
    machine.anon_sb = sb
    return sb


def anon_inode_getfile(
    task: Task, name: bytes, fop: FileOperations, private: Any, flags: int
) -> File:
    """A new file of class `name`, e.g. b"[eventfd]"; `flags`: access mode and O_NONBLOCK.

    Errors: ENFILE.
    """
    from pygos.fs.file_table import alloc_file

    sb = task.machine.anon_sb
    if sb is None:
        sb = _init_anon_fs(task.machine)
    anon: AnonFs = sb.s_fs_info
    dentry = Dentry(sb, None, name)
    dentry.d_inode = anon.inode
    mode = ((flags & O_ACCMODE) + 1) & (FMODE_READ | FMODE_WRITE)
    path = Path(anon.mnt, dentry)
    file = alloc_file(path, anon.inode, flags, mode | FMODE_LSEEK | FMODE_STREAM, task.cred, fop)
    file.private_data = private
    return file


def anon_inode_getfd(
    task: Task, name: bytes, fop: FileOperations, private: Any, flags: int, cloexec: bool
) -> int:
    """As anon_inode_getfile, installed in a descriptor. Errors: EMFILE, ENFILE."""
    from pygos.fs.file_table import alloc_fd, fd_install, fput

    file = anon_inode_getfile(task, name, fop, private, flags)
    try:
        fd = alloc_fd(task, 0, cloexec)
    except Exception:
        fput(file)
        raise
    fd_install(task, fd, file)
    return fd


def put_u64(buf: IoBuffer, value: int) -> int:
    """Give a program a u64; 8."""
    buf.put(value.to_bytes(8, "little"))
    return 8
