# SPDX-License-Identifier: Apache-2.0
"""Root, working directory and umask of a task: chdir(2), chroot(2), getcwd(2), umask(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.dcache import d_path
from pygos.fs.permission import inode_permission
from pygos.fs.walk import LOOKUP_DIRECTORY, LOOKUP_FOLLOW, path_lookup
from pygos.include.errno import ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, ERANGE
from pygos.include.linux.fs import MAY_EXEC, S_IFDIR, S_IFMT, FsStruct
from pygos.include.linux.syscalls import Int, PathArg, RawFileArg, UserOut, syscall
from pygos.include.uapi.capability import CAP_SYS_CHROOT
from pygos.include.uapi.fcntl import AT_FDCWD
from pygos.include.uapi.limits import PATH_MAX

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


def copy_fs_struct(fs: FsStruct) -> FsStruct:
    """A copy for fork(2) without CLONE_FS."""
    return FsStruct(fs.root, fs.pwd, fs.umask)


def unshare_fs_struct(task: Task) -> None:
    """Give the task root, directory and umask of its own."""
    fs = task.fs
    if fs.users > 1:
        fs.users -= 1
        task.fs = copy_fs_struct(fs)


@syscall
def chdir(task: Task, filename: PathArg) -> int:
    """Change the working directory. chdir(2). Errors: EACCES, ENOTDIR, those of the walk."""
    path = path_lookup(task, AT_FDCWD, filename, LOOKUP_FOLLOW | LOOKUP_DIRECTORY)
    inode_permission(task, path.inode, MAY_EXEC)
    task.fs.pwd = path
    return 0


@syscall
def fchdir(task: Task, fd: RawFileArg) -> int:
    """Change the working directory to an open one. fchdir(2). Errors: ENOTDIR, EACCES."""
    if fd.f_inode.i_mode & S_IFMT != S_IFDIR:
        raise ENOTDIR
    inode_permission(task, fd.f_inode, MAY_EXEC)
    task.fs.pwd = fd.f_path
    return 0


@syscall
def chroot(task: Task, filename: PathArg) -> int:
    """Change the root directory. chroot(2). Errors: EPERM, EACCES, those of the walk."""
    path = path_lookup(task, AT_FDCWD, filename, LOOKUP_FOLLOW | LOOKUP_DIRECTORY)
    inode_permission(task, path.inode, MAY_EXEC)
    if not task.cred.cap_effective >> CAP_SYS_CHROOT & 1:
        raise EPERM
    task.fs.root = path
    return 0


@syscall
def getcwd(task: Task, buf: UserOut) -> int:
    """The path of the working directory; its length with the NUL. getcwd(2).

    Errors: ERANGE (no room), ENOENT (removed), ENAMETOOLONG, EFAULT.
    """
    fs = task.fs
    if fs.pwd.dentry.d_unhashed:
        raise ENOENT
    text = d_path(fs.pwd, fs.root, unreachable=True) + b"\0"
    if len(text) > PATH_MAX:
        raise ENAMETOOLONG
    if len(text) > buf.length:
        raise ERANGE
    buf.put(text)
    return len(text)


@syscall
def umask(task: Task, mask: Int) -> int:
    """Set the file mode creation mask; the old one. umask(2)."""
    fs = task.fs
    old = fs.umask
    fs.umask = mask & 0o777
    return old
