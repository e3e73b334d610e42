# SPDX-License-Identifier: Apache-2.0
"""Inode flags: FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR and their setters. ioctl_iflags(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.permission import inode_owner_or_capable, mnt_want_write
from pygos.include.errno import EINVAL, EPERM
from pygos.include.uapi.capability import CAP_LINUX_IMMUTABLE
from pygos.include.uapi.fs import (
    FS_APPEND_FL,
    FS_IMMUTABLE_FL,
    FS_IOC_FSGETXATTR,
    FS_IOC_FSSETXATTR,
    FS_IOC_GETFLAGS,
    FS_IOC_SETFLAGS,
    FS_NOATIME_FL,
    FS_NODUMP_FL,
    FS_SYNC_FL,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

FILEATTR_CMDS: Final = frozenset(
    (FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR)
)
#: Bits of struct fsxattr that are flags under another number.
_XFLAGS: Final = (
    (0x08, FS_IMMUTABLE_FL),
    (0x10, FS_APPEND_FL),
    (0x20, FS_SYNC_FL),
    (0x40, FS_NOATIME_FL),
    (0x80, FS_NODUMP_FL),
)
_FSXATTR_SIZE: Final = 28
_PRIVILEGED: Final = FS_APPEND_FL | FS_IMMUTABLE_FL


def fileattr_ioctl(task: Task, file: File, cmd: int, mm: Mm, arg: int) -> int:
    """One of FILEATTR_CMDS.

    Errors: ENOIOCTLCMD (the file system has none), EFAULT, EPERM, EROFS, EOPNOTSUPP, EINVAL.
    """
    inode = file.f_inode
    if cmd == FS_IOC_GETFLAGS:
        mm.write_u32(arg, inode.i_op.fileattr_get(task, inode))
    elif cmd == FS_IOC_FSGETXATTR:
        flags = inode.i_op.fileattr_get(task, inode)
        xflags = sum(bit for bit, flag in _XFLAGS if flags & flag)
        mm.write(arg, xflags.to_bytes(_FSXATTR_SIZE, "little"))
    elif cmd == FS_IOC_SETFLAGS:
        _fileattr_set(task, file, mm.read_u32(arg))
    else:
        data = mm.read(arg, _FSXATTR_SIZE)
        if any(data[4:]):  # extent sizes and projects are other file systems'
            raise EINVAL
        xflags = int.from_bytes(data[:4], "little")
        _fileattr_set(task, file, sum(flag for bit, flag in _XFLAGS if xflags & bit))
    return 0


def _fileattr_set(task: Task, file: File, flags: int) -> None:
    """vfs_fileattr_set(): who may, and doing it."""
    mnt_want_write(file.f_path.mnt)
    inode = file.f_inode
    old = inode.i_op.fileattr_get(task, inode)
    if not inode_owner_or_capable(task, inode):
        raise EPERM
    if (old ^ flags) & _PRIVILEGED and not task.cred.capable(CAP_LINUX_IMMUTABLE):
        raise EPERM
    inode.i_op.fileattr_set(task, inode, flags)
