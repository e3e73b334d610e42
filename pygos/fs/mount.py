# SPDX-License-Identifier: Apache-2.0
"""mount(2): new mounts, binds, moves, remounts, propagation types.

umount2(2) and pivot_root(2) are in fs/umount.py, the trees of mounts in fs/namespace.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.dcache import is_subdir
from pygos.fs.mount_tree import attach_tree, reap_detached
from pygos.fs.namespace import (
    check_room,
    clone_mnt,
    copy_tree,
    follow_mount,
    free_tree,
    kern_mount,
    mnt_flags,
    subtree,
)
from pygos.fs.pnode import PROPAGATION, change_propagation
from pygos.fs.super import deactivate, get_fs_type
from pygos.fs.walk import LOOKUP_FOLLOW, path_lookup
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
    MNT_LOCK_ATIME,
    MNT_LOCK_NODEV,
    MNT_LOCK_NOEXEC,
    MNT_LOCK_NOSUID,
    MNT_LOCK_READONLY,
    MNT_LOCKED,
    MNT_NOATIME,
    MNT_NODEV,
    MNT_NODIRATIME,
    MNT_NOEXEC,
    MNT_NOSUID,
    MNT_READONLY,
    MNT_RELATIME,
    MNT_UNBINDABLE,
    S_DEAD,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    Dentry,
    MntNamespace,
    Mount,
    Path,
)
from pygos.include.linux.syscalls import PathArg, PathOrNull, ULong, UserAddr, syscall
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.fcntl import AT_FDCWD
from pygos.include.uapi.magic import NSFS_MAGIC
from pygos.include.uapi.mount import (
    MS_BIND,
    MS_MGC_MSK,
    MS_MGC_VAL,
    MS_MOVE,
    MS_NOATIME,
    MS_NODIRATIME,
    MS_NOUSER,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
    MS_SILENT,
    MS_STRICTATIME,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import SuperBlock
    from pygos.include.linux.sched import Task

_ATIME: Final = MNT_NOATIME | MNT_NODIRATIME | MNT_RELATIME
_MS_ATIME: Final = MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME
#: The bits of mnt_flags that mount(2) sets.
_SETTABLE: Final = (
    MNT_READONLY | MNT_NODEV | MNT_NOSUID | MNT_NOEXEC | _ATIME | 0x80  # MNT_NOSYMFOLLOW
)
_LOCKS: Final = (
    (MNT_LOCK_READONLY, MNT_READONLY),
    (MNT_LOCK_NODEV, MNT_NODEV),
    (MNT_LOCK_NOSUID, MNT_NOSUID),
    (MNT_LOCK_NOEXEC, MNT_NOEXEC),
)


# -- who may do what


def may_mount(task: Task) -> bool:
    """Does the task rule its mount namespace?"""
    return task.cred.ns_capable(task.nsproxy.mnt.user_ns, CAP_SYS_ADMIN)


def check_mnt(task: Task, mnt: Mount) -> bool:
    """Is the mount in the task's namespace?"""
    return mnt.mnt_ns is task.nsproxy.mnt


def path_mounted(path: Path) -> bool:
    """Is the place the root of its mount?"""
    return path.dentry is path.mnt.mnt_root


def _check_mountpoint(mnt: Mount, path: Path) -> None:
    """Directories are mounted on directories, files on files, nothing on what is removed."""
    inode = path.inode
    root = mnt.mnt_root.d_inode
    assert root is not None
    if inode.i_flags & S_DEAD or path.dentry.d_unhashed:
        raise ENOENT
    if (inode.i_mode & S_IFMT == S_IFDIR) != (root.i_mode & S_IFMT == S_IFDIR):
        raise ENOTDIR


def _place(path: Path) -> Path:
    """Where a mount on `path` goes: on top of what is there. ENOENT: a removed directory."""
    if path.inode.i_flags & S_DEAD or path.dentry.d_unhashed:
        raise ENOENT
    return follow_mount(path)


# -- remount


def _wanted_flags(mnt: Mount, flags: int) -> int:
    """MNT_* of a remount: how access times are kept stays, if nothing is said of it."""
    wanted = mnt_flags(flags)
    if not flags & _MS_ATIME:
        wanted = wanted & ~_ATIME | mnt.mnt_flags & _ATIME
    return wanted


def can_change_locked_flags(mnt: Mount, wanted: int) -> bool:
    """Does a remount keep what a more privileged namespace has forbidden?"""
    flags = mnt.mnt_flags
    if any(flags & lock and not wanted & flag for lock, flag in _LOCKS):
        return False
    return not (flags & MNT_LOCK_ATIME and (flags ^ wanted) & _ATIME)


def _do_remount(task: Task, path: Path, flags: int, data: str) -> None:
    """MS_REMOUNT, with MS_BIND of the mount alone."""
    mnt = path.mnt
    if not check_mnt(task, mnt) or not path_mounted(path):
        raise EINVAL
    wanted = _wanted_flags(mnt, flags)
    if not can_change_locked_flags(mnt, wanted):
        raise EPERM
    if not flags & MS_BIND:
        sb = mnt.mnt_sb
        if not task.cred.ns_capable(sb.s_user_ns, CAP_SYS_ADMIN):
            raise EPERM
        sb.s_op.remount(sb, flags, data)
    set_mount_flags(mnt, wanted)


def set_mount_flags(mnt: Mount, wanted: int) -> None:
    """Set what mount(2) may set, and tell pollers."""
    from pygos.fs.namespace import touch_ns

    mnt.mnt_flags = mnt.mnt_flags & ~_SETTABLE | wanted
    if mnt.mnt_ns is not None:
        touch_ns(mnt.mnt_ns)


# -- bind


def _has_locked_children(mnt: Mount, dentry: Dentry) -> bool:
    return any(
        child.mnt_flags & MNT_LOCKED and is_subdir(child.mnt_mountpoint, dentry)
        for child in mnt.mnt_children
    )


def bind_source(task: Task, old: Path, recurse: bool) -> Mount:
    """A linked copy of what is at `old`, for a bind mount. EINVAL, ENOSPC."""
    mnt = old.mnt
    special = mnt.mnt_sb.s_magic == NSFS_MAGIC
    if mnt.mnt_flags & MNT_UNBINDABLE or not (check_mnt(task, mnt) or special):
        raise EINVAL
    if not recurse and _has_locked_children(mnt, old.dentry):
        raise EINVAL
    check_room(task.machine, task.nsproxy.mnt, 1)
    if recurse:
        top = copy_tree(task.machine, mnt, old.dentry, 0)
    else:
        top = clone_mnt(task.machine, mnt, old.dentry, 0)
    top.mnt_flags &= ~MNT_LOCKED
    return top


def _is_older_mnt_ns(task: Task, dentry: Dentry) -> bool:
    """Is it the file of a mount namespace in which the caller's could come to be mounted?

    Only files of newer ones may be mounted (as unshare --mount=FILE does): no loop comes of it.
    """
    inode = dentry.d_inode
    if inode is None or dentry.d_sb.s_magic != NSFS_MAGIC:
        return False
    other = inode.i_private
    mine = task.nsproxy.mnt
    return isinstance(other, MntNamespace) and other.root.mnt_id <= mine.root.mnt_id


def _do_loopback(task: Task, path: Path, source: bytes | None, flags: int) -> None:
    """mount --bind, mount --rbind."""
    if not source:
        raise EINVAL
    old = path_lookup(task, AT_FDCWD, source, LOOKUP_FOLLOW)
    if _is_older_mnt_ns(task, old.dentry):
        raise EINVAL
    place = _place(path)
    if not check_mnt(task, place.mnt):
        raise EINVAL
    top = bind_source(task, old, bool(flags & MS_REC))
    try:
        _check_mountpoint(top, place)
        attach_tree(task, top, place)
    except BaseException:
        free_tree(task.machine, top)
        raise


# -- move


def do_move(task: Task, old: Path, path: Path) -> None:
    """mount --move. Errors: EINVAL, ELOOP, ENOTDIR, ENOENT, ENOSPC."""
    mnt = old.mnt
    if mnt.mnt_ns is None or not check_mnt(task, mnt) or not check_mnt(task, path.mnt):
        raise EINVAL
    if mnt.mnt_flags & MNT_LOCKED or not path_mounted(old) or mnt.mnt_parent is mnt:
        raise EINVAL
    _check_kind(mnt, path)
    if mnt.mnt_parent.mnt_group is not None:
        raise EINVAL
    below = subtree(mnt)
    if path.mnt.mnt_group is not None and any(m.mnt_flags & MNT_UNBINDABLE for m in below):
        raise EINVAL
    if path.mnt in below:
        raise ELOOP
    attach_tree(task, mnt, path, moving=True)


def _check_kind(mnt: Mount, path: Path) -> None:
    root = mnt.mnt_root.d_inode
    assert root is not None
    if (path.inode.i_mode & S_IFMT == S_IFDIR) != (root.i_mode & S_IFMT == S_IFDIR):
        raise EINVAL


def _do_move(task: Task, path: Path, source: bytes | None) -> None:
    if not source:
        raise EINVAL
    old = path_lookup(task, AT_FDCWD, source, LOOKUP_FOLLOW)
    do_move(task, old, _place(path))


# -- new mounts


def _do_new_mount(
    task: Task, path: Path, fstype: str | None, source: str, flags: int, data: str
) -> None:
    if not fstype:
        raise EINVAL
    kind = get_fs_type(task.machine, fstype)
    ruled = kind.user_ns(task) if kind.userns_mount else None
    if not task.cred.ns_capable(ruled, CAP_SYS_ADMIN):
        raise EPERM
    reap_detached(task.machine)
    mnt = kern_mount(task, fstype, source, flags, data)
    try:
        if kind.userns_visible and task.cred.user_ns is not None:
            mnt.mnt_flags |= check_revealing(task, mnt.mnt_sb, mnt.mnt_flags)
        add_mount(task, mnt, _place(path))
    except BaseException:
        deactivate(mnt.mnt_sb)
        raise


def add_mount(task: Task, mnt: Mount, path: Path) -> None:
    """Attach a new mount of its own. EINVAL, EBUSY, ENOTDIR, ENOSPC."""
    if not check_mnt(task, path.mnt):
        raise EINVAL
    if mnt.mnt_sb is path.mnt.mnt_sb and path_mounted(path):
        raise EBUSY
    root = mnt.mnt_root.d_inode
    if root is None or root.i_mode & S_IFMT == S_IFLNK:
        raise EINVAL
    _check_mountpoint(mnt, path)
    attach_tree(task, mnt, path)


def check_revealing(task: Task, sb: SuperBlock, wanted: int) -> int:
    """procfs and sysfs show the machine: they may be mounted in a user namespace only where
    one is seen already, whole and with no fewer restrictions, which are locked. EPERM."""
    for mnt in task.nsproxy.mnt.table.values():
        if mnt.mnt_sb.s_type.name != sb.s_type.name:
            continue
        if mnt.mnt_root is not mnt.mnt_sb.s_root:
            continue
        flags = mnt.mnt_flags
        if flags & MNT_LOCK_READONLY and not wanted & MNT_READONLY:
            continue
        if flags & MNT_LOCK_ATIME and (flags ^ wanted) & _ATIME:
            continue
        if any(child.mnt_flags & MNT_LOCKED and _covers(child) for child in mnt.mnt_children):
            continue
        return flags & (MNT_LOCK_READONLY | MNT_LOCK_ATIME)
    raise EPERM


def _covers(mnt: Mount) -> bool:
    """Does a mount hide anything? Not if it is on a directory that is always empty."""
    inode = mnt.mnt_mountpoint.d_inode
    children = getattr(inode.i_private, "children", None) if inode is not None else None
    return children is None or bool(children)


# -- propagation types


def change_type(task: Task, path: Path, flags: int) -> None:
    """mount --make-shared and the like. EINVAL."""
    kind = flags & ~(MS_REC | MS_SILENT)
    if kind & (kind - 1) or kind & ~PROPAGATION or not path_mounted(path):
        raise EINVAL
    if not check_mnt(task, path.mnt):
        raise EINVAL
    machine = task.machine
    for mnt in subtree(path.mnt) if flags & MS_REC else [path.mnt]:
        change_propagation(machine, mnt, kind)


# -- the call


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


@syscall
def mount(
    task: Task,
    dev_name: PathOrNull,
    dir_name: PathArg,
    type: PathOrNull,
    flags: ULong,
    data: UserAddr,
) -> int:
    """Mount a file system, or bind, move, remount one. mount(2).

    Errors: EPERM, EINVAL, ENODEV, ENOTDIR, ENOENT, EBUSY, ELOOP, EFAULT, ENOSPC.
    """
    options = _text(_options(task, data))
    if flags & MS_MGC_MSK == MS_MGC_VAL:
        flags &= ~MS_MGC_MSK
    path = path_lookup(task, AT_FDCWD, dir_name, LOOKUP_FOLLOW)
    if flags & MS_NOUSER:
        raise EINVAL
    if not may_mount(task):
        raise EPERM
    if flags & MS_REMOUNT:
        _do_remount(task, path, flags, options)
    elif flags & MS_BIND:
        _do_loopback(task, path, dev_name, flags)
    elif flags & PROPAGATION:
        change_type(task, path, flags)
    elif flags & MS_MOVE:
        _do_move(task, path, dev_name)
    else:
        _do_new_mount(task, path, _text(type), _text(dev_name), flags, options)
    return 0
