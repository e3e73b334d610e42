# SPDX-License-Identifier: Apache-2.0
"""/proc/PID/fd and fdinfo: open descriptors as links that jump to the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.dcache import d_path
from pygos.fs.locks import fdinfo_locks
from pygos.fs.proc.access import living, require_access
from pygos.fs.synthetic import Link, Synthetic, SyntheticFileOperations, SyntheticLinkOperations
from pygos.include.errno import ENOENT
from pygos.include.linux.fs import (
    FMODE_READ,
    FMODE_WRITE,
    S_IFLNK,
    S_IFREG,
    File,
    Inode,
    Path,
)
from pygos.mm.instub import drop_task_windows

if TYPE_CHECKING:
    from pygos.fs.proc.base import PidInode
    from pygos.include.linux.sched import Task

#: Places of descriptors among the inode numbers of a task.
_FD_PLACE: Final = 0x1000


def ino_place(number: int, is_info: bool) -> int:
    """Where descriptor `number` is among the inode numbers of its task."""
    return _FD_PLACE + 2 * number + is_info


def inode_mode(file: File, is_info: bool) -> int:
    """Readable and writable as the descriptor is."""
    if is_info:
        return S_IFREG | 0o444
    mode = S_IFLNK
    if file.f_mode & FMODE_READ:
        mode |= 0o500
    if file.f_mode & FMODE_WRITE:
        mode |= 0o300
    return mode


def same_file(target: Task, inode: PidInode) -> bool:
    """Does the descriptor still mean the same open file?"""
    number, file = inode.key
    return target.files.fd.get(number) is file


def _file(task: Task, inode: Any) -> File:
    """The open file of an inode in fd or fdinfo. ENOENT if it was closed; EACCES."""
    target = living(inode.target)
    require_access(task, target)
    file = target.files.fd.get(inode.key[0])
    if file is None:
        raise ENOENT
    return file


class FdLinkOperations(SyntheticLinkOperations):
    """A descriptor."""

    __slots__ = ()

    def readlink(self, task: Task, inode: Inode) -> bytes:
        return d_path(_file(task, inode).f_path, task.fs.root)

    def get_link(self, task: Task, inode: Inode) -> Path | bytes:
        return _file(task, inode).f_path


class FdinfoFileOperations(SyntheticFileOperations):
    """Position, flags, mount and inode, and what the file itself has to say."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        _file(task, inode)

    def text(self, task: Task, file: File) -> bytes:
        inode: Any = file.f_inode
        subject = _file(task, inode)
        drop_task_windows(inode.target)
        flags = subject.f_flags
        if inode.key[0] in inode.target.files.close_on_exec:
            flags |= 0o2000000
        text = (
            f"pos:\t{subject.f_pos}\nflags:\t0{flags:o}\nmnt_id:\t{subject.f_path.mnt.mnt_id}\n"
            f"ino:\t{subject.f_inode.i_ino}\n{fdinfo_locks(subject, inode.target.files)}"
            f"{subject.f_op.fdinfo(subject)}"
        )
        return text.encode()


def _nowhere(task: Task, target: Any) -> Path | bytes:
    raise ENOENT


FD_LINK: Final = Link("", _nowhere)
FD_LINK_IOPS: Final = FdLinkOperations()
FDINFO: Final = Synthetic("", 0o444, None, fop=FdinfoFileOperations())
