# SPDX-License-Identifier: Apache-2.0
"""Changing mode and owner: chmod(2), chown(2) and their kin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.attr import kill_suid_on_chown, notify_change
from pygos.fs.permission import mnt_want_write
from pygos.fs.stat import stat_target
from pygos.fs.walk import LOOKUP_FOLLOW, path_lookup
from pygos.include.errno import EINVAL, EOPNOTSUPP
from pygos.include.linux.fs import (
    ATTR_CTIME,
    ATTR_GID,
    ATTR_MODE,
    ATTR_UID,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    Iattr,
    Path,
)
from pygos.include.linux.syscalls import DirFd, FileArg, Flags, Mode, PathArg, UInt, syscall
from pygos.include.linux.user_namespace import INVALID_ID, make_kgid, make_kuid
from pygos.include.uapi.fcntl import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW
from pygos.include.uapi.stat import S_ISGID, S_ISUID

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_NOBODY = 0xFFFF_FFFF


def chmod_common(task: Task, path: Path, mode: int) -> int:
    """Set the mode of a place. Errors: EROFS, EPERM; EOPNOTSUPP for symbolic links."""
    mnt_want_write(path.mnt)
    if path.inode.i_mode & S_IFMT == S_IFLNK:
        raise EOPNOTSUPP
    notify_change(task, path.dentry, Iattr(ATTR_MODE | ATTR_CTIME, mode=mode))
    return 0


def chown_common(task: Task, path: Path, uid: int, gid: int) -> int:
    """Set owner and group of a place (2**32-1: leave). Errors: EROFS, EINVAL, EPERM."""
    mnt_want_write(path.mnt)
    inode = path.inode
    attr = Iattr(ATTR_CTIME, uid=make_kuid(task, uid), gid=make_kgid(task, gid))
    if uid != _NOBODY:
        if attr.uid == INVALID_ID:
            raise EINVAL
        attr.valid |= ATTR_UID
    if gid != _NOBODY:
        if attr.gid == INVALID_ID:
            raise EINVAL
        attr.valid |= ATTR_GID
    if inode.i_mode & S_IFMT != S_IFDIR and inode.i_mode & (S_ISUID | S_ISGID):
        mode = kill_suid_on_chown(task.cred, inode)
        if mode != inode.i_mode:
            attr.valid |= ATTR_MODE
            attr.mode = mode
    notify_change(task, path.dentry, attr)
    return 0


@syscall
def fchmod(task: Task, file: FileArg, mode: Mode) -> int:
    """Change the mode of an open file. fchmod(2). Errors: EBADF, EPERM, EROFS."""
    return chmod_common(task, file.f_path, mode)


@syscall
def fchmodat2(task: Task, dfd: DirFd, filename: PathArg, mode: Mode, flags: Flags) -> int:
    """Change the mode of a file. fchmodat2(2).

    Errors: EINVAL (flags), EOPNOTSUPP (a symbolic link), EPERM, EROFS, those of the walk.
    """
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise EINVAL
    return chmod_common(task, stat_target(task, dfd, filename, flags)[0], mode)


@syscall
def fchmodat(task: Task, dfd: DirFd, filename: PathArg, mode: Mode) -> int:
    """Change the mode of a file. fchmodat(2). Errors: see chmod."""
    return chmod_common(task, path_lookup(task, dfd, filename, LOOKUP_FOLLOW), mode)


@syscall
def chmod(task: Task, filename: PathArg, mode: Mode) -> int:
    """Change the mode of a file. chmod(2). Errors: EPERM, EROFS, those of the path walk."""
    return chmod_common(task, path_lookup(task, AT_FDCWD, filename, LOOKUP_FOLLOW), mode)


@syscall
def fchownat(
    task: Task, dfd: DirFd, filename: PathArg, user: UInt, group: UInt, flag: Flags
) -> int:
    """Change owner and group. fchownat(2). Errors: EINVAL, EPERM, EROFS, the walk's."""
    if flag & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise EINVAL
    return chown_common(task, stat_target(task, dfd, filename, flag)[0], user, group)


@syscall
def chown(task: Task, filename: PathArg, user: UInt, group: UInt) -> int:
    """Change owner and group. chown(2). Errors: EPERM, EROFS, those of the path walk."""
    return fchownat(task, AT_FDCWD, filename, user, group, 0)


@syscall
def lchown(task: Task, filename: PathArg, user: UInt, group: UInt) -> int:
    """Change owner and group of a file or of the link itself. lchown(2). Errors: see chown."""
    return fchownat(task, AT_FDCWD, filename, user, group, AT_SYMLINK_NOFOLLOW)


@syscall
def fchown(task: Task, file: FileArg, user: UInt, group: UInt) -> int:
    """Change owner and group of an open file. fchown(2). Errors: EBADF, EPERM, EROFS."""
    return chown_common(task, file.f_path, user, group)
