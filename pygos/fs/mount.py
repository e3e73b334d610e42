# SPDX-License-Identifier: Apache-2.0
"""mount(2), umount2(2), pivot_root(2). The tree of mounts is fs/namespace.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.dcache import is_subdir
from pygos.fs.namespace import (
    attach_mount,
    attach_tree,
    clone_mount,
    copy_tree,
    detach_mount,
    do_umount,
    kern_mount,
    mnt_flags,
    subtree,
)
from pygos.fs.walk import LOOKUP_DIRECTORY, LOOKUP_FOLLOW, path_lookup
from pygos.include.errno import (
    EBUSY,
    EINVAL,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    EPERM,
)
from pygos.include.linux.fs import (
    S_DEAD,
    S_IFDIR,
    S_IFMT,
    MntNamespace,
    Mount,
    Path,
)
from pygos.include.linux.syscalls import Flags, PathArg, PathOrNull, ULong, UserAddr, syscall
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.fcntl import AT_FDCWD
from pygos.include.uapi.mount import (
    MNT_DETACH,
    MNT_EXPIRE,
    MNT_FORCE,
    MS_BIND,
    MS_MGC_MSK,
    MS_MGC_VAL,
    MS_MOVE,
    MS_NOUSER,
    MS_PRIVATE,
    MS_REC,
    MS_REMOUNT,
    MS_SHARED,
    MS_SILENT,
    MS_SLAVE,
    MS_UNBINDABLE,
    UMOUNT_NOFOLLOW,
)

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_PROPAGATION = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE
#: How many mounts a namespace may have (fs.mount-max).
MOUNT_MAX = 100_000


def _check_mountpoint(mnt: Mount, path: Path) -> None:
    """Directories are mounted on directories, files on files, nothing on what is removed."""
    inode = path.inode
    root = mnt.mnt_root.d_inode
    assert root is not None
    if inode.i_flags & S_DEAD or path.dentry.d_unhashed:
        raise ENOENT
    if (inode.i_mode & S_IFMT == S_IFDIR) != (root.i_mode & S_IFMT == S_IFDIR):
        raise ENOTDIR


def _do_remount(task: Task, path: Path, flags: int, data: str) -> None:
    mnt = path.mnt
    if path.dentry is not mnt.mnt_root:
        raise EINVAL
    if not flags & MS_BIND:
        mnt.mnt_sb.s_op.remount(mnt.mnt_sb, flags, data)
    mnt.mnt_flags = mnt_flags(flags)


def _do_loopback(task: Task, path: Path, source: bytes | None, flags: int) -> None:
    """mount --bind."""
    if not source:
        raise EINVAL
    old = path_lookup(task, AT_FDCWD, source, LOOKUP_FOLLOW)
    if old.mnt.mnt_ns is None:
        raise EINVAL
    machine = task.machine
    if flags & MS_REC:
        mnt = copy_tree(machine, old.mnt, old.dentry)
    else:
        mnt = clone_mount(machine, old.mnt, old.dentry)
    _check_mountpoint(mnt, path)
    attach_tree(mnt, path)


def _do_move(task: Task, path: Path, source: bytes | None) -> None:
    """mount --move."""
    if not source:
        raise EINVAL
    old = path_lookup(task, AT_FDCWD, source, LOOKUP_FOLLOW)
    mnt = old.mnt
    if old.dentry is not mnt.mnt_root or mnt.mnt_parent is mnt or mnt.mnt_ns is None:
        raise EINVAL
    _check_mountpoint(mnt, path)
    if path.mnt in subtree(mnt):
        raise ELOOP
    detach_mount(mnt)
    attach_mount(mnt, path)


def _do_new_mount(
    task: Task, path: Path, fstype: str | None, source: str, flags: int, data: str
) -> None:
    if not fstype:
        raise EINVAL
    ns: MntNamespace = path.mnt.mnt_ns
    if len(ns.table) >= MOUNT_MAX:
        raise EINVAL
    mnt = kern_mount(task, fstype, source, flags, data)
    if mnt.mnt_sb is path.mnt.mnt_sb and path.dentry is path.mnt.mnt_root:
        raise EBUSY
    _check_mountpoint(mnt, path)
    attach_mount(mnt, path)


def _text(raw: bytes | None) -> str:
    return raw.decode("utf-8", "surrogateescape") if raw else ""


def _options(task: Task, addr: int) -> bytes:
    """The data page of mount(2), up to its NUL. EFAULT."""
    if not addr:
        return b""
    assert task.mm is not None
    try:
        return task.mm.read_cstr(addr, 4096)
    except ENAMETOOLONG:
        return task.mm.read(addr, 4096)


@syscall(partial="mounts don't propagate: MS_SHARED gives EINVAL.")
def mount(
    task: Task,
    dev_name: PathOrNull,
    dir_name: PathArg,
    type: PathOrNull,
    flags: ULong,
    data: UserAddr,
) -> int:
    """Mount a file system, or bind, move, remount one. mount(2).

    Errors: EPERM, EINVAL, ENODEV, ENOTDIR, ENOENT, EBUSY, ELOOP, EFAULT.
    """
    options = _text(_options(task, data))
    if flags & MS_MGC_MSK == MS_MGC_VAL:
        flags &= ~MS_MGC_MSK
    path = path_lookup(task, AT_FDCWD, dir_name, LOOKUP_FOLLOW)
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise EPERM
    if flags & MS_NOUSER or path.mnt.mnt_ns is None:
        raise EINVAL
    if flags & MS_REMOUNT:
        _do_remount(task, path, flags, options)
    elif flags & MS_BIND:
        _do_loopback(task, path, dev_name, flags)
    elif flags & _PROPAGATION:
        _change_propagation(path, flags)
    elif flags & MS_MOVE:
        _do_move(task, path, dev_name)
    else:
        _do_new_mount(task, path, _text(type), _text(dev_name), flags, options)
    return 0


def _change_propagation(path: Path, flags: int) -> None:
    """All mounts are private already; to become shared is refused."""
    kind = flags & ~(MS_REC | MS_SILENT)
    if kind not in (MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE) or path.dentry is not path.mnt.mnt_root:
        raise EINVAL


@syscall(name="umount2")
def umount(task: Task, name: PathArg, flags: Flags) -> int:
    """Unmount what is mounted at a place. umount2(2).

    Errors: EINVAL (no mountpoint; flags), EBUSY, EPERM, and those of the path walk.
    """
    if flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW):
        raise EINVAL
    if flags & MNT_EXPIRE:
        raise EINVAL
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise EPERM
    how = 0 if flags & UMOUNT_NOFOLLOW else LOOKUP_FOLLOW
    path = path_lookup(task, AT_FDCWD, name, how)
    if path.dentry is not path.mnt.mnt_root or path.mnt.mnt_ns is None:
        raise EINVAL
    do_umount(task, path.mnt, flags)
    return 0


def _below(place: Path, top: Path) -> bool:
    """Is `place` at or below `top`, going up through mounts?"""
    mnt, dentry = place.mnt, place.dentry
    while mnt is not top.mnt:
        if mnt.mnt_parent is mnt:
            return False
        mnt, dentry = mnt.mnt_parent, mnt.mnt_mountpoint
    return is_subdir(dentry, top.dentry)


def _swap_roots(root: Mount, new: Mount, put_old: Path) -> None:
    """`new` goes where `root` is, and `root` to `put_old` (which is in `new`)."""
    ns: MntNamespace = root.mnt_ns
    parent, mountpoint = root.mnt_parent, root.mnt_mountpoint
    detach_mount(new)
    if parent is root:
        ns.root = new
    else:
        detach_mount(root)
        attach_mount(new, Path(parent, mountpoint))
    attach_mount(root, put_old)


@syscall
def pivot_root(task: Task, new_root: PathArg, put_old: PathArg) -> int:
    """Make a mount the root of the tree, and put the old root somewhere in it. pivot_root(2).

    Errors: EPERM, EINVAL, EBUSY, ENOENT, and those of the path walk.
    """
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise EPERM
    how = LOOKUP_FOLLOW | LOOKUP_DIRECTORY
    new = path_lookup(task, AT_FDCWD, new_root, how)
    old = path_lookup(task, AT_FDCWD, put_old, how)
    root = task.fs.root
    if new.dentry.d_unhashed:
        raise ENOENT
    if root.mnt in (new.mnt, old.mnt):
        raise EBUSY
    if root.dentry is not root.mnt.mnt_root or new.dentry is not new.mnt.mnt_root:
        raise EINVAL
    if new.mnt.mnt_parent is new.mnt or not _below(old, new) or not _below(new, root):
        raise EINVAL
    _swap_roots(root.mnt, new.mnt, old)
    for other in task.machine.pids.tasks.values():
        if other.alive:
            fs = other.fs
            fs.root = new if fs.root.same(root) else fs.root
            fs.pwd = new if fs.pwd.same(root) else fs.pwd
    return 0
