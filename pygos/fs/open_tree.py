# SPDX-License-Identifier: Apache-2.0
"""Mounts by descriptor: open_tree(2), move_mount(2), mount_setattr(2).

A tree that isn't attached anywhere lives in an anonymous namespace of its own; it ends with the
descriptor that it was given, unless it has been attached by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.file_table import alloc_fd, alloc_file, fd_install, put_unused_fd
from pygos.fs.mount import (
    bind_source,
    can_change_locked_flags,
    check_mnt,
    do_move,
    may_mount,
    path_mounted,
    set_mount_flags,
)
from pygos.fs.mount_tree import DetachedTree, attach_tree, umount_tree
from pygos.fs.namespace import check_room, commit_tree, follow_mount, subtree
from pygos.fs.open import copy_struct_from_user, dentry_open
from pygos.fs.pnode import PROPAGATION, change_propagation
from pygos.fs.walk import LOOKUP_EMPTY, LOOKUP_FOLLOW, path_lookup
from pygos.include.errno import E2BIG, EINVAL, EPERM
from pygos.include.linux.fs import (
    FMODE_PATH,
    MNT_NOATIME,
    MNT_NODEV,
    MNT_NODIRATIME,
    MNT_NOEXEC,
    MNT_NOSUID,
    MNT_NOSYMFOLLOW,
    MNT_READONLY,
    MNT_RELATIME,
    S_IFDIR,
    S_IFMT,
    File,
    FileOperations,
    Mount,
    Path,
)
from pygos.include.linux.syscalls import DirFd, PathArg, Size, UInt, UserAddr, syscall
from pygos.include.uapi import mount as uapi
from pygos.include.uapi.fcntl import (
    AT_EMPTY_PATH,
    AT_NO_AUTOMOUNT,
    AT_RECURSIVE,
    AT_SYMLINK_NOFOLLOW,
    O_PATH,
)

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_TREE_FLAGS: Final = (
    AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | uapi.OPEN_TREE_CLONE
    | uapi.OPEN_TREE_CLOEXEC
)  # fmt: skip
_SETATTR_FLAGS: Final = AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT
_ATTRS: Final = (
    (uapi.MOUNT_ATTR_RDONLY, MNT_READONLY), (uapi.MOUNT_ATTR_NOSUID, MNT_NOSUID),
    (uapi.MOUNT_ATTR_NODEV, MNT_NODEV), (uapi.MOUNT_ATTR_NOEXEC, MNT_NOEXEC),
    (uapi.MOUNT_ATTR_NODIRATIME, MNT_NODIRATIME),
    (uapi.MOUNT_ATTR_NOSYMFOLLOW, MNT_NOSYMFOLLOW),
)  # fmt: skip
#: What fsmount(2) takes.
FSMOUNT_ATTRS: Final = (
    uapi.MOUNT_ATTR_RDONLY | uapi.MOUNT_ATTR_NOSUID | uapi.MOUNT_ATTR_NODEV
    | uapi.MOUNT_ATTR_NOEXEC | uapi.MOUNT_ATTR__ATIME | uapi.MOUNT_ATTR_NODIRATIME
    | uapi.MOUNT_ATTR_NOSYMFOLLOW
)  # fmt: skip
_PAGE: Final = 4096


def attr_flags(attr: int) -> int:
    """MNT_* of MOUNT_ATTR_* without the access times."""
    return sum([flag for bit, flag in _ATTRS if attr & bit])


def atime_flags(attr: int) -> int:
    """MNT_* of one of MOUNT_ATTR_RELATIME, NOATIME, STRICTATIME. EINVAL for a mixture."""
    kind = attr & uapi.MOUNT_ATTR__ATIME
    if kind == uapi.MOUNT_ATTR_RELATIME:
        return MNT_RELATIME
    if kind == uapi.MOUNT_ATTR_NOATIME:
        return MNT_NOATIME
    if kind != uapi.MOUNT_ATTR_STRICTATIME:
        raise EINVAL
    return 0


# -- detached trees and their descriptors


class TreeFileOperations(FileOperations):
    """The descriptor of a tree: what nobody has attached ends with it."""

    __slots__ = ()

    def release(self, file: File) -> None:
        top: Mount = file.private_data
        if isinstance(top.mnt_ns, DetachedTree) and top.mnt_ns.root is top:
            umount_tree(file.f_inode.i_sb.machine, subtree(top), True)


_FOPS: Final = TreeFileOperations()


def is_detached(mnt: Mount) -> bool:
    """Is the mount the top of a tree that isn't attached anywhere?"""
    return isinstance(mnt.mnt_ns, DetachedTree) and mnt.mnt_ns.root is mnt


def tree_fd(task: Task, top: Mount, cloexec: bool) -> int:
    """A descriptor of a linked tree, which is its own namespace from now on. EMFILE, ENFILE."""
    commit_tree(top, DetachedTree(top, task.nsproxy.mnt.user_ns))
    root = top.mnt_root.d_inode
    assert root is not None
    fd = alloc_fd(task, 0, cloexec)
    try:
        file = alloc_file(Path(top, top.mnt_root), root, O_PATH, FMODE_PATH, task.cred, _FOPS)
    except BaseException:
        put_unused_fd(task, fd)
        raise
    file.private_data = top
    fd_install(task, fd, file)
    return fd


@syscall(partial="a descriptor made without OPEN_TREE_CLONE is one of O_PATH.")
def open_tree(task: Task, dfd: DirFd, filename: PathArg, flags: UInt) -> int:
    """A descriptor of a mount, or of a detached copy of it. open_tree(2).

    Errors: EINVAL, EPERM, EMFILE, ENFILE, ENOSPC, and those of the path walk.
    """
    if flags & ~_TREE_FLAGS:
        raise EINVAL
    if flags & (AT_RECURSIVE | uapi.OPEN_TREE_CLONE) == AT_RECURSIVE:
        raise EINVAL
    clone = flags & uapi.OPEN_TREE_CLONE
    if clone and not may_mount(task):
        raise EPERM
    path = path_lookup(task, dfd, filename, _how(flags))
    cloexec = flags & uapi.OPEN_TREE_CLOEXEC != 0
    if clone:
        top = bind_source(task, path, bool(flags & AT_RECURSIVE))
        return _give(task, top, cloexec)
    fd = alloc_fd(task, 0, cloexec)
    fd_install(task, fd, dentry_open(task, path, O_PATH))
    return fd


def _give(task: Task, top: Mount, cloexec: bool) -> int:
    try:
        return tree_fd(task, top, cloexec)
    except BaseException:
        umount_tree(task.machine, subtree(top), True)
        raise


def _how(flags: int) -> int:
    how = 0 if flags & AT_SYMLINK_NOFOLLOW else LOOKUP_FOLLOW
    return how | LOOKUP_EMPTY if flags & AT_EMPTY_PATH else how


# -- move_mount


@syscall(partial="MOVE_MOUNT_SET_GROUP and MOVE_MOUNT_BENEATH are refused with EINVAL.")
def move_mount(
    task: Task,
    from_dfd: DirFd,
    from_path: PathArg,
    to_dfd: DirFd,
    to_path: PathArg,
    flags: UInt,
) -> int:
    """Attach a detached tree, or move a mount. move_mount(2).

    Errors: EPERM, EINVAL, ELOOP, ENOENT, ENOSPC, and those of the path walk.
    """
    if not may_mount(task):
        raise EPERM
    if flags & ~uapi.MOVE_MOUNT__MASK or flags & uapi.MOVE_MOUNT_SET_GROUP:
        raise EINVAL
    how = LOOKUP_FOLLOW if flags & uapi.MOVE_MOUNT_F_SYMLINKS else 0
    how |= LOOKUP_EMPTY if flags & uapi.MOVE_MOUNT_F_EMPTY_PATH else 0
    old = path_lookup(task, from_dfd, from_path, how)
    how = LOOKUP_FOLLOW if flags & uapi.MOVE_MOUNT_T_SYMLINKS else 0
    how |= LOOKUP_EMPTY if flags & uapi.MOVE_MOUNT_T_EMPTY_PATH else 0
    place = follow_mount(path_lookup(task, to_dfd, to_path, how))
    if not is_detached(old.mnt):
        do_move(task, old, place)
        return 0
    if not check_mnt(task, place.mnt) or not path_mounted(old):
        raise EINVAL
    root = old.mnt.mnt_root.d_inode
    assert root is not None
    if (root.i_mode & S_IFMT == S_IFDIR) != (place.inode.i_mode & S_IFMT == S_IFDIR):
        raise EINVAL
    check_room(task.machine, task.nsproxy.mnt, len(subtree(old.mnt)))
    attach_tree(task, old.mnt, place, moving=True)
    return 0


# -- mount_setattr


class _Change:
    """What mount_setattr(2) is to do."""

    __slots__ = ("clear", "propagation", "set")

    def __init__(self, attr: uapi.MountAttr) -> None:
        if attr.attr_set & uapi.MOUNT_ATTR_IDMAP or attr.attr_clr & uapi.MOUNT_ATTR_IDMAP:
            raise EINVAL
        if (attr.attr_set | attr.attr_clr) & ~FSMOUNT_ATTRS:
            raise EINVAL
        kind = attr.propagation
        if kind & ~PROPAGATION or kind & (kind - 1):
            raise EINVAL
        self.propagation = kind
        self.set, self.clear = attr_flags(attr.attr_set), attr_flags(attr.attr_clr)
        if attr.attr_clr & uapi.MOUNT_ATTR__ATIME:
            # Access times are one value: it is replaced as a whole.
            if attr.attr_clr & uapi.MOUNT_ATTR__ATIME != uapi.MOUNT_ATTR__ATIME:
                raise EINVAL
            self.clear |= MNT_RELATIME | MNT_NOATIME
            self.set |= atime_flags(attr.attr_set)
        elif attr.attr_set & uapi.MOUNT_ATTR__ATIME:
            raise EINVAL


@syscall(partial="MOUNT_ATTR_IDMAP is refused with EINVAL.")
def mount_setattr(
    task: Task, dfd: DirFd, path: PathArg, flags: UInt, uattr: UserAddr, usize: Size
) -> int:
    """Change flags and propagation of a mount, or of a tree at once. mount_setattr(2).

    Errors: EINVAL, E2BIG, EPERM, EFAULT, and those of the path walk.
    """
    if flags & ~_SETATTR_FLAGS:
        raise EINVAL
    if usize > _PAGE:
        raise E2BIG
    if usize < uapi.MOUNT_ATTR_SIZE_VER0:
        raise EINVAL
    if not may_mount(task):
        raise EPERM
    data = copy_struct_from_user(task, uattr, usize, uapi.MOUNT_ATTR_SIZE_VER0, _PAGE)
    attr = uapi.MountAttr.from_bytes(data)
    if not (attr.attr_set or attr.attr_clr or attr.propagation):
        return 0
    change = _Change(attr)
    place = path_lookup(task, dfd, path, _how(flags))
    if not path_mounted(place):
        raise EINVAL
    mnt = place.mnt
    if not check_mnt(task, mnt) and not is_detached(mnt):
        raise EINVAL
    _apply(task, subtree(mnt) if flags & AT_RECURSIVE else [mnt], change)
    return 0


def _apply(task: Task, mounts: list[Mount], change: _Change) -> None:
    """All or nothing. EPERM: a locked flag."""
    wanted = [(mnt, mnt.mnt_flags & ~change.clear | change.set) for mnt in mounts]
    if not all(can_change_locked_flags(mnt, flags) for mnt, flags in wanted):
        raise EPERM
    for mnt, flags in wanted:
        set_mount_flags(mnt, flags)
        if change.propagation:
            change_propagation(task.machine, mnt, change.propagation)
