# SPDX-License-Identifier: Apache-2.0
"""Names: look-up and the operations that change directories (vfs_create() and its kin).

The walk itself is fs/walk.py, permissions fs/permission.py; both are re-exported here under
the names that the rest of the kernel knows. The system calls are in fs/namei_calls.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.dcache import d_ancestor, d_delete, d_exchange, d_instantiate, d_move
from pygos.fs.inode import mode_strip_sgid
from pygos.fs.permission import (
    generic_permission,
    inode_owner_or_capable,
    inode_permission,
    may_create,
    may_delete,
    mnt_readonly,
    mnt_want_write,
    path_noexec,
)
from pygos.fs.walk import (
    LAST_DOT,
    LAST_DOTDOT,
    LAST_NORM,
    LAST_ROOT,
    LOOKUP_CREATE,
    LOOKUP_DIRECTORY,
    LOOKUP_EMPTY,
    LOOKUP_EXCL,
    LOOKUP_FOLLOW,
    LOOKUP_OPEN,
    LOOKUP_PARENT,
    Nameidata,
    Parent,
    follow_mounts,
    lookup_one,
    path_lookup,
    path_parentat,
    walk_resolved,
)
from pygos.include.errno import (
    EACCES,
    EBUSY,
    EEXIST,
    EINVAL,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    EROFS,
    EXDEV,
)
from pygos.include.linux.fs import (
    MAY_WRITE,
    S_APPEND,
    S_DEAD,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFMT,
    S_IFREG,
    S_IMMUTABLE,
    S_LINKABLE,
    InodeOperations,
)
from pygos.include.uapi.capability import CAP_MKNOD
from pygos.include.uapi.fs import RENAME_EXCHANGE, RENAME_NOREPLACE
from pygos.include.uapi.stat import S_IALLUGO, S_IRWXUGO, S_ISVTX

if TYPE_CHECKING:
    from pygos.include.linux.fs import Dentry, Inode
    from pygos.include.linux.sched import Task

__all__ = [
    "LAST_DOT",
    "LAST_DOTDOT",
    "LAST_NORM",
    "LAST_ROOT",
    "LOOKUP_CREATE",
    "LOOKUP_DIRECTORY",
    "LOOKUP_EMPTY",
    "LOOKUP_EXCL",
    "LOOKUP_FOLLOW",
    "LOOKUP_OPEN",
    "LOOKUP_PARENT",
    "Nameidata",
    "Parent",
    "filename_create",
    "follow_mounts",
    "generic_permission",
    "inode_owner_or_capable",
    "inode_permission",
    "lookup_one",
    "may_create",
    "may_delete",
    "mnt_readonly",
    "mnt_want_write",
    "path_lookup",
    "path_noexec",
    "path_parentat",
    "prepare_mode",
    "user_path_at",
    "vfs_create",
    "vfs_link",
    "vfs_mkdir",
    "vfs_mknod",
    "vfs_rename",
    "vfs_rmdir",
    "vfs_symlink",
    "vfs_unlink",
    "walk_resolved",
]

user_path_at = path_lookup


def filename_create(
    task: Task, dirfd: int, name: bytes, directory: bool = False
) -> tuple[Parent, Dentry]:
    """The parent and the negative dentry for a name that is to be made.

    Errors: EEXIST; ENOENT for a trailing slash if no directory is wanted; EROFS; as
    path_lookup().
    """
    parent = path_parentat(task, dirfd, name)
    if parent.type != LAST_NORM:
        raise EEXIST
    dentry = lookup_one(task, parent.dentry, parent.last)
    if dentry.d_inode is not None:
        raise EEXIST
    if parent.trailing and not directory:
        raise ENOENT
    if mnt_readonly(parent.mnt):
        raise EROFS
    return parent, dentry


def _made(dentry: Dentry, inode: Inode) -> None:
    """An operation made `inode`; file systems may have instantiated the dentry themselves."""
    if dentry.d_inode is None:
        d_instantiate(dentry, inode)
    if dentry.d_sb.machine.fsnotify is not None:
        from pygos.fs.notify.fsnotify import created

        created(dentry)


def prepare_mode(task: Task, dir: Inode, mode: int) -> int:
    """The mode of a file to be made: the umask must not hide that setgid has to go."""
    return mode_strip_sgid(task.cred, dir, mode) & ~task.fs.umask


def vfs_create(task: Task, dir: Inode, dentry: Dentry, mode: int) -> None:
    """Make a regular file. EACCES where the file system can't."""
    may_create(task, dir, dentry)
    if type(dir.i_op).create is InodeOperations.create:
        raise EACCES
    _made(dentry, dir.i_op.create(task, dir, dentry, mode & S_IALLUGO | S_IFREG))


def vfs_mkdir(task: Task, dir: Inode, dentry: Dentry, mode: int) -> None:
    """Make a directory. EPERM where the file system can't."""
    may_create(task, dir, dentry)
    mode = mode & (S_IRWXUGO | S_ISVTX) | S_IFDIR
    _made(dentry, dir.i_op.mkdir(task, dir, dentry, mode))


def vfs_mknod(task: Task, dir: Inode, dentry: Dentry, mode: int, rdev: int) -> None:
    """Make a device, FIFO or socket. EPERM without CAP_MKNOD for devices."""
    may_create(task, dir, dentry)
    is_dev = mode & S_IFMT in (S_IFCHR, S_IFBLK)
    whiteout = mode & S_IFMT == S_IFCHR and rdev == 0
    if is_dev and not whiteout and not task.cred.capable(CAP_MKNOD):
        raise EPERM
    _made(dentry, dir.i_op.mknod(task, dir, dentry, mode, rdev))


def vfs_symlink(task: Task, dir: Inode, dentry: Dentry, target: bytes) -> None:
    """Make a symbolic link."""
    may_create(task, dir, dentry)
    _made(dentry, dir.i_op.symlink(task, dir, dentry, target))


def vfs_link(task: Task, old: Dentry, dir: Inode, dentry: Dentry) -> None:
    """Another name for a file. Errors: EXDEV, EPERM, ENOENT (no name is left), EMLINK."""
    inode = old.d_inode
    if inode is None:
        raise ENOENT
    may_create(task, dir, dentry)
    if old.d_sb is not dir.i_sb:  # an overlay shows inodes of the layers under it
        raise EXDEV
    if inode.i_flags & (S_APPEND | S_IMMUTABLE) or inode.i_mode & S_IFMT == S_IFDIR:
        raise EPERM
    if inode.i_nlink == 0 and not inode.i_flags & S_LINKABLE:
        raise ENOENT
    _made(dentry, dir.i_op.link(task, old, dir, dentry))
    inode.i_flags &= ~S_LINKABLE


def _check_mounted(task: Task, dentry: Dentry) -> None:
    """EBUSY if something is mounted there as the caller sees it."""
    from pygos.fs.namespace import is_local_mountpoint

    if is_local_mountpoint(task, dentry):
        raise EBUSY


def _removed(task: Task, dir: Inode, dentry: Dentry) -> None:
    """A name is gone: mounts on it in other namespaces go, those who watch are told."""
    if dentry.d_mounted:
        _detach_mounts(task, dentry)
    if task.machine.fsnotify is not None:
        from pygos.fs.notify.fsnotify import removed

        removed(dir, dentry)


def _detach_mounts(task: Task, dentry: Dentry) -> None:
    """A name is gone that was a mountpoint elsewhere."""
    from pygos.fs.mount_tree import detach_mounts

    detach_mounts(task.machine, dentry)


def vfs_unlink(task: Task, dir: Inode, dentry: Dentry) -> None:
    """Remove a name that is no directory. Errors: as may_delete(); EBUSY (a mountpoint)."""
    may_delete(task, dir, dentry, False)
    if dentry.d_mounted:
        _check_mounted(task, dentry)
    dir.i_op.unlink(task, dir, dentry)
    d_delete(dentry)
    _removed(task, dir, dentry)


def vfs_rmdir(task: Task, dir: Inode, dentry: Dentry) -> None:
    """Remove an empty directory. Errors: as may_delete(); EBUSY, ENOTEMPTY."""
    may_delete(task, dir, dentry, True)
    if dentry.d_mounted:
        _check_mounted(task, dentry)
    inode = dentry.d_inode
    assert inode is not None
    dir.i_op.rmdir(task, dir, dentry)
    inode.i_flags |= S_DEAD
    d_delete(dentry)
    _removed(task, dir, dentry)


def vfs_rename(
    task: Task, old_dir: Inode, old: Dentry, new_dir: Inode, new: Dentry, flags: int
) -> None:
    """Move `old` over `new`, or exchange them. Errors: as may_delete(), may_create(); EBUSY."""
    source, target = old.d_inode, new.d_inode
    if source is None:
        raise ENOENT
    if source is target:
        return
    is_dir = source.i_mode & S_IFMT == S_IFDIR
    may_delete(task, old_dir, old, is_dir)
    exchange = flags & RENAME_EXCHANGE
    new_is_dir = target is not None and target.i_mode & S_IFMT == S_IFDIR
    if target is None:
        may_create(task, new_dir, new)
    else:
        may_delete(task, new_dir, new, new_is_dir if exchange else is_dir)
    if old.d_parent is not new.d_parent:
        if is_dir:
            inode_permission(task, source, MAY_WRITE)
        if exchange and new_is_dir:
            assert target is not None
            inode_permission(task, target, MAY_WRITE)
    for dentry in (old, new):
        if dentry.d_mounted:
            _check_mounted(task, dentry)
    names = old.d_name, new.d_name
    old_dir.i_op.rename(task, old_dir, old, new_dir, new, flags)
    if exchange:
        d_exchange(old, new)
    else:
        if new_is_dir:
            assert target is not None
            target.i_flags |= S_DEAD
        d_move(old, new)
        if new.d_mounted:
            _detach_mounts(task, new)
    if task.machine.fsnotify is not None:
        _tell_moved(task, (old_dir, new_dir), names, source, target, bool(exchange))


def _tell_moved(
    task: Task, dirs: tuple[Inode, Inode], names: tuple[bytes, bytes], source: Inode,
    target: Inode | None, exchange: bool,
) -> None:  # fmt: skip
    """Those who watch are told of a rename; of an exchange, both ways."""
    from pygos.fs.notify.fsnotify import moved

    old, new = dirs
    gone = None if exchange else target
    moved(task.machine, old, names[0], new, names[1], source, gone)
    if exchange and target is not None:
        moved(task.machine, new, names[1], old, names[0], target, None)


def check_rename(old: Parent, new: Parent, source: Dentry, target: Dentry, flags: int) -> None:
    """What renameat2(2) checks before vfs_rename(), in Linux's order.

    Errors: ENOENT, EEXIST, ENOTDIR (trailing slash), EINVAL (into itself), ENOTEMPTY.
    """
    if source.d_inode is None:
        raise ENOENT
    exchange = flags & RENAME_EXCHANGE
    if flags & RENAME_NOREPLACE and target.d_inode is not None:
        raise EEXIST
    if exchange:
        if target.d_inode is None:
            raise ENOENT
        if target.d_inode.i_mode & S_IFMT != S_IFDIR and new.trailing:
            raise ENOTDIR
    if source.d_inode.i_mode & S_IFMT != S_IFDIR and (
        old.trailing or (not exchange and new.trailing)
    ):
        raise ENOTDIR
    if source is new.dentry or d_ancestor(source, new.dentry) is not None:
        raise EINVAL
    if target is old.dentry or d_ancestor(target, old.dentry) is not None:
        raise EINVAL if exchange else ENOTEMPTY
