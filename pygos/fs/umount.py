# SPDX-License-Identifier: Apache-2.0
"""umount2(2) and pivot_root(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.dcache import is_subdir
from pygos.fs.mount import check_mnt, may_mount, path_mounted
from pygos.fs.mount_tree import propagate_busy, reap_detached, umount_propagated, used_mounts
from pygos.fs.namespace import commit_tree, link_mnt, unlink_mnt
from pygos.fs.walk import LOOKUP_DIRECTORY, LOOKUP_FOLLOW, path_lookup
from pygos.include.errno import EAGAIN, EBUSY, EINVAL, ENOENT, EPERM
from pygos.include.linux.fs import MNT_LOCKED, S_DEAD, Mount, Path
from pygos.include.linux.syscalls import Flags, PathArg, syscall
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.fcntl import AT_FDCWD
from pygos.include.uapi.mount import MNT_DETACH, MNT_EXPIRE, MNT_FORCE, UMOUNT_NOFOLLOW

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: A mount is marked by the number of steps onto it that it survives: the one of the next
#: umount2(2), but not of anybody else in between. fs/walk.py counts down.
_MARKED: Final = 2
_UNTOUCHED: Final = 1


@syscall(name="umount2")
def umount(task: Task, name: PathArg, flags: Flags) -> int:
    """Unmount what is mounted at a place. umount2(2).

    Errors: EINVAL (no mountpoint, locked; flags), EBUSY, EAGAIN (MNT_EXPIRE), EPERM, and those
    of the path walk.
    """
    if flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW):
        raise EINVAL
    how = 0 if flags & UMOUNT_NOFOLLOW else LOOKUP_FOLLOW
    path = path_lookup(task, AT_FDCWD, name, how)
    mnt = path.mnt
    if not may_mount(task):
        raise EPERM
    if not path_mounted(path) or not check_mnt(task, mnt) or mnt.mnt_flags & MNT_LOCKED:
        raise EINVAL
    if flags & MNT_FORCE and not task.cred.ns_capable(mnt.mnt_sb.s_user_ns, CAP_SYS_ADMIN):
        raise EPERM
    reap_detached(task.machine)
    if flags & MNT_EXPIRE:
        _expire(task, mnt, flags)
    do_umount(task, mnt, flags)
    return 0


def _expire(task: Task, mnt: Mount, flags: int) -> None:
    """MNT_EXPIRE: only what nobody has used since the last such call. EINVAL, EBUSY, EAGAIN."""
    if mnt is task.fs.root.mnt or flags & (MNT_FORCE | MNT_DETACH):
        raise EINVAL
    if mnt.mnt_children or mnt in used_mounts(task.machine):
        raise EBUSY
    if mnt.mnt_expiry_mark != _UNTOUCHED:
        mnt.mnt_expiry_mark = _MARKED
        raise EAGAIN


def do_umount(task: Task, mnt: Mount, flags: int) -> None:
    """Unmount; with MNT_DETACH even what is in use. Errors: EBUSY, EINVAL."""
    machine = task.machine
    if mnt.mnt_parent is mnt:
        raise EINVAL
    if flags & MNT_DETACH:
        umount_propagated(machine, mnt)
        return
    used = used_mounts(machine)
    if mnt is task.fs.root.mnt or mnt.mnt_children or mnt in used or propagate_busy(mnt, used):
        raise EBUSY
    mnt.mnt_sb.s_op.sync_fs(mnt.mnt_sb)
    umount_propagated(machine, mnt)


# -- pivot_root


def _below(place: Path, top: Path) -> bool:
    """Is `place` at or below `top`, going up through mounts?"""
    mnt, dentry = place.mnt, place.dentry
    while mnt is not top.mnt:
        if mnt.mnt_parent is mnt:
            return False
        mnt, dentry = mnt.mnt_parent, mnt.mnt_mountpoint
    return is_subdir(dentry, top.dentry)


def _check_pivot(task: Task, root: Path, new: Path, old: Path) -> None:
    """May `new` become the root and the old one go to `old`? EINVAL, ENOENT, EBUSY."""
    parents = (new.mnt.mnt_parent, root.mnt.mnt_parent)
    if old.mnt.mnt_group is not None or any(mnt.mnt_group is not None for mnt in parents):
        raise EINVAL
    if not check_mnt(task, root.mnt) or not check_mnt(task, new.mnt):
        raise EINVAL
    if new.mnt.mnt_flags & MNT_LOCKED:
        raise EINVAL
    if new.dentry.d_unhashed:
        raise ENOENT
    if root.mnt in (new.mnt, old.mnt):
        raise EBUSY
    for path in (root, new):
        if not path_mounted(path) or path.mnt.mnt_parent is path.mnt:
            raise EINVAL
    if not _below(old, new) or not _below(new, root):
        raise EINVAL


def _swap_roots(task: Task, root: Mount, new: Mount, put_old: Path) -> None:
    """`new` goes where `root` is, and `root` to `put_old` (which is in `new`)."""
    machine, ns = task.machine, task.nsproxy.mnt
    parent, mountpoint = root.mnt_parent, root.mnt_mountpoint
    unlink_mnt(machine, new)
    unlink_mnt(machine, root)
    if root.mnt_flags & MNT_LOCKED:
        new.mnt_flags |= MNT_LOCKED
        root.mnt_flags &= ~MNT_LOCKED
    link_mnt(machine, root, put_old.mnt, put_old.dentry)
    link_mnt(machine, new, parent, mountpoint)
    commit_tree(new, ns)


@syscall
def pivot_root(task: Task, new_root: PathArg, put_old: PathArg) -> int:
    """Make a mount the root of the tree, and put the old root somewhere in it. pivot_root(2).

    Errors: EPERM, EINVAL, EBUSY, ENOENT, and those of the path walk.
    """
    if not may_mount(task):
        raise EPERM
    how = LOOKUP_FOLLOW | LOOKUP_DIRECTORY
    new = path_lookup(task, AT_FDCWD, new_root, how)
    old = path_lookup(task, AT_FDCWD, put_old, how)
    if old.inode.i_flags & S_DEAD or old.dentry.d_unhashed:
        raise ENOENT
    root = task.fs.root
    _check_pivot(task, root, new, old)
    _swap_roots(task, root.mnt, new.mnt, old)
    for other in task.machine.pids.tasks.values():
        if other.alive:
            fs = other.fs
            fs.root = new if fs.root.same(root) else fs.root
            fs.pwd = new if fs.pwd.same(root) else fs.pwd
    return 0
