# SPDX-License-Identifier: Apache-2.0
"""Mounts: the trees of them, copying, attaching and taking them apart (fs/namespace.c).

A mount is found by (parent mount, mountpoint dentry) in its namespace's table; fs/walk.py
steps over mountpoints by that. Trees are linked first (``mnt_parent``, ``mnt_children``) and
then committed to a namespace. What a change means for other mounts is fs/pnode.py's; the
system calls are in fs/mount.py and fs/umount.py, the lists of /proc in fs/proc_namespace.py.

Attaching trees and taking them apart is in fs/mount_tree.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.dcache import is_subdir
from pygos.fs.pnode import (
    join_peers,
    make_private,
    set_master,
    set_shared,
)
from pygos.fs.super import deactivate, get_fs_type
from pygos.fs.walk import follow_mounts
from pygos.include.errno import EINVAL, ENOSPC
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
    MNT_NOSYMFOLLOW,
    MNT_READONLY,
    MNT_RELATIME,
    MNT_UNBINDABLE,
    SB_RDONLY,
    MntNamespace,
    Mount,
    Path,
)
from pygos.include.uapi.magic import NSFS_MAGIC
from pygos.include.uapi.mount import (
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_NOSYMFOLLOW,
    MS_RDONLY,
    MS_STRICTATIME,
)
from pygos.kernel.nsproxy import put_ns

if TYPE_CHECKING:
    from pygos.include.linux.fs import Dentry, FsStruct
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace

#: How many mounts a namespace may have (fs.mount-max), and all of the machine.
MOUNT_MAX: Final = 100_000
_MACHINE_MAX: Final = 400_000
#: machine.misc: mounts by the dentry that they are on.
_MOUNTPOINTS: Final = "mountpoints"
_POLLERR_PRI: Final = 0xA

_MNT_OF_MS: Final = (
    (MS_RDONLY, MNT_READONLY),
    (MS_NOSUID, MNT_NOSUID),
    (MS_NODEV, MNT_NODEV),
    (MS_NOEXEC, MNT_NOEXEC),
    (MS_NOATIME, MNT_NOATIME),
    (MS_NODIRATIME, MNT_NODIRATIME),
    (MS_NOSYMFOLLOW, MNT_NOSYMFOLLOW),
)
_LOCKS: Final = (
    (MNT_READONLY, MNT_LOCK_READONLY),
    (MNT_NODEV, MNT_LOCK_NODEV),
    (MNT_NOSUID, MNT_LOCK_NOSUID),
    (MNT_NOEXEC, MNT_LOCK_NOEXEC),
)


class Clone:
    """How a copy relates to the original; 0: as a bind mount does."""

    SLAVE: Final = 1
    PRIVATE: Final = 2
    SHARED_TO_SLAVE: Final = 4
    MAKE_SHARED: Final = 8
    COPY_UNBINDABLE: Final = 16


# -- finding


def mnt_flags(flags: int) -> int:
    """MNT_* of the MS_* given to mount(2); relatime unless told otherwise."""
    found = 0 if flags & (MS_NOATIME | MS_STRICTATIME) else MNT_RELATIME
    for ms, mnt in _MNT_OF_MS:
        if flags & ms:
            found |= mnt
    return found


def lookup_mnt(path: Path) -> Mount | None:
    """What is mounted at a place (not what is mounted on that)."""
    ns = path.mnt.mnt_ns
    return ns.table.get((path.mnt.mnt_id, path.dentry)) if ns is not None else None


def follow_mount(path: Path) -> Path:
    """The place on top of all mounts at `path`."""
    mnt, dentry = follow_mounts(path.mnt, path.dentry)
    return Path(mnt, dentry)


def subtree(mnt: Mount) -> list[Mount]:
    """A mount and all below it, parents first."""
    found = [mnt]
    for one in found:
        found.extend(one.mnt_children)
    return found


class Mountpoints:
    """All mounts that are linked to a parent, by the dentry that they are on."""

    __slots__ = ("on", "total")

    def __init__(self) -> None:
        self.on: dict[Dentry, dict[Mount, None]] = {}
        self.total = 0


def mountpoints(machine: Machine) -> Mountpoints:
    """The machine's index, made at the first use."""
    found: Mountpoints | None = machine.misc.get(_MOUNTPOINTS)
    if found is None:
        found = machine.misc[_MOUNTPOINTS] = Mountpoints()
    return found


def is_local_mountpoint(task: Task, dentry: Dentry) -> bool:
    """Is something mounted on this dentry in the task's own namespace?"""
    ns = task.nsproxy.mnt
    return any(mnt.mnt_ns is ns for mnt in mountpoints(task.machine).on.get(dentry, ()))


# -- linking


def link_mnt(machine: Machine, mnt: Mount, parent: Mount, dentry: Dentry) -> None:
    """Put a mount on a place of another, in the tree of which it becomes a part."""
    mnt.mnt_parent = parent
    mnt.mnt_mountpoint = dentry
    parent.mnt_children.append(mnt)
    dentry.d_mounted += 1
    index = mountpoints(machine)
    index.on.setdefault(dentry, {})[mnt] = None
    index.total += 1


def unlink_mnt(machine: Machine, mnt: Mount) -> None:
    """Take a mount with all below it from its parent."""
    dentry, parent, ns = mnt.mnt_mountpoint, mnt.mnt_parent, mnt.mnt_ns
    if parent is mnt:
        return
    if ns is not None:
        ns.table.pop((parent.mnt_id, dentry), None)
    parent.mnt_children.remove(mnt)
    dentry.d_mounted -= 1
    index = mountpoints(machine)
    index.total -= 1
    on = index.on[dentry]
    del on[mnt]
    if not on:
        del index.on[dentry]
    mnt.mnt_parent = mnt
    mnt.mnt_mountpoint = mnt.mnt_root


def commit_tree(top: Mount, ns: MntNamespace) -> None:
    """A linked tree becomes visible in a namespace."""
    for mnt in subtree(top):
        mnt.mnt_ns = ns
        if mnt.mnt_parent is not mnt:
            ns.table[mnt.mnt_parent.mnt_id, mnt.mnt_mountpoint] = mnt
    touch_ns(ns)


def touch_ns(ns: MntNamespace) -> None:
    """The list of mounts has changed; /proc/mounts tells pollers."""
    ns.event += 1
    ns.poll.wake_all(_POLLERR_PRI)


# -- making


def check_room(machine: Machine, ns: MntNamespace | None, count: int) -> None:
    """May there be `count` more mounts (in `ns`)? ENOSPC."""
    limit = int(machine.sysctl.get("fs.mount-max", MOUNT_MAX))
    if ns is not None and len(ns.table) + 1 + count > limit:
        raise ENOSPC
    if mountpoints(machine).total + count > _MACHINE_MAX:
        raise ENOSPC


def kern_mount(task: Task, fstype: str, source: str, flags: int, data: str) -> Mount:
    """A new instance of a file system, not attached yet. ENODEV, and what the type says."""
    kind = get_fs_type(task.machine, fstype)
    sb = kind.mount(task, source, flags, data)
    if flags & MS_RDONLY:
        sb.s_flags |= SB_RDONLY
    if sb not in task.machine.supers:
        task.machine.supers.append(sb)
        if task.cred.user_ns is not None:
            sb.s_user_ns = kind.user_ns(task)
    root = kind.mount_root(task, sb)
    return task.machine.new_mount(root, source or "none", mnt_flags(flags))


def new_mnt_ns(machine: Machine, root: Mount, user_ns: UserNamespace | None = None) -> MntNamespace:
    """A namespace whose tree is `root` and what is linked below it."""
    ns = MountNamespace(root, user_ns)
    commit_tree(root, ns)
    return ns


class MountNamespace(MntNamespace):
    """A mount namespace; its end takes its tree apart."""

    __slots__ = ()

    def ns_free(self, machine: Machine) -> None:
        if self.root.mnt_ns is self:
            from pygos.fs.mount_tree import reap_detached, umount_tree

            umount_tree(machine, subtree(self.root), True)
            reap_detached(machine)


def do_mount_internal(
    machine: Machine,
    fstype: str,
    source: str,
    mountpoint: Path | None,
    flags: int = 0,
    data: str = "",
) -> Mount:
    """Mount at boot, as the kernel; without a mountpoint it becomes the root of all.

    `flags` are MS_*. Errors: ENODEV, and what the file system says.
    """
    mnt = kern_mount(machine.init_task, fstype, source, flags, data)
    if mountpoint is None:
        init_mount_tree(machine, mnt)
    else:
        path = follow_mount(mountpoint)
        link_mnt(machine, mnt, path.mnt, path.dentry)
        assert path.mnt.mnt_ns is not None
        commit_tree(mnt, path.mnt.mnt_ns)
    return mnt


def init_mount_tree(machine: Machine, root: Mount) -> None:
    """The first namespace: `root` is mounted on an empty rootfs, which nobody gets to see."""
    from pygos.fs.tmpfs import rootfs_super

    below = machine.new_mount(rootfs_super(machine.init_task).s_root, "rootfs")
    link_mnt(machine, root, below, below.mnt_root)
    machine.init_mnt_ns = new_mnt_ns(machine, below)


# -- copying


def clone_mnt(machine: Machine, old: Mount, root: Dentry, how: int) -> Mount:
    """Another mount of the tree at `root`, with the flags of `old`."""
    new = machine.new_mount(root, old.mnt_devname, old.mnt_flags)
    if how & Clone.SLAVE or (how & Clone.SHARED_TO_SLAVE and old.mnt_group is not None):
        set_master(new, old.mnt_group)
    elif not how & Clone.PRIVATE:
        if not how & Clone.SHARED_TO_SLAVE:
            join_peers(new, old)
        set_master(new, old.mnt_master)
    if how & Clone.MAKE_SHARED:
        set_shared(machine, new)
    if root.d_sb.s_magic == NSFS_MAGIC and root.d_inode is not None:
        root.d_inode.i_private.ns_count += 1
    return new


def copy_tree(machine: Machine, old: Mount, root: Dentry, how: int) -> Mount:
    """A linked copy of a mount and of all mounts below `root` in it.

    Unbindable ones are left out, with what is on them. EINVAL if `old` is one; ENOSPC.
    """
    if old.mnt_flags & MNT_UNBINDABLE and not how & Clone.COPY_UNBINDABLE:
        raise EINVAL
    top = clone_mnt(machine, old, root, how)
    pairs = [(old, top)]
    for source, copy in pairs:
        for child in source.mnt_children:
            if source is old and not is_subdir(child.mnt_mountpoint, root):
                continue
            if child.mnt_flags & MNT_UNBINDABLE and not how & Clone.COPY_UNBINDABLE:
                continue
            new = clone_mnt(machine, child, child.mnt_root, how)
            link_mnt(machine, new, copy, child.mnt_mountpoint)
            pairs.append((child, new))
        if len(pairs) > MOUNT_MAX:
            free_tree(machine, top)
            raise ENOSPC
    return top


def release_sb(machine: Machine, mnt: Mount) -> None:
    """A mount is forgotten: its file system, and the namespace that a file of nsfs holds."""
    inode = mnt.mnt_root.d_inode
    if mnt.mnt_sb.s_magic == NSFS_MAGIC and inode is not None and inode.i_private is not None:
        put_ns(machine, inode.i_private)
    deactivate(mnt.mnt_sb)


def free_tree(machine: Machine, top: Mount) -> None:
    """A linked tree that was never seen isn't needed after all."""
    for mnt in reversed(subtree(top)):
        unlink_mnt(machine, mnt)
        make_private(machine, mnt)
        release_sb(machine, mnt)


def copy_mnt_ns(task: Task, user_ns: UserNamespace | None, fs: FsStruct) -> MntNamespace:
    """A copy of the task's mount tree (CLONE_NEWNS), owned by `user_ns`; moves `fs` over."""
    machine = task.machine
    old = task.nsproxy.mnt
    check_room(machine, None, len(old.table) + 1)
    how: int = Clone.COPY_UNBINDABLE
    if old.user_ns is not user_ns:
        how |= Clone.SHARED_TO_SLAVE
    top = copy_tree(machine, old.root, old.root.mnt_root, how)
    if old.user_ns is not user_ns:
        lock_tree(top)
    twins = dict(zip(subtree(old.root), subtree(top), strict=True))
    fs.root = Path(twins.get(fs.root.mnt, fs.root.mnt), fs.root.dentry)
    fs.pwd = Path(twins.get(fs.pwd.mnt, fs.pwd.mnt), fs.pwd.dentry)
    return new_mnt_ns(machine, top, user_ns)


def lock_tree(top: Mount) -> None:
    """The tree goes to a less privileged namespace: what it hides and forbids must stay so."""
    for mnt in subtree(top):
        flags = mnt.mnt_flags | MNT_LOCK_ATIME
        for flag, lock in _LOCKS:
            if flags & flag:
                flags |= lock
        mnt.mnt_flags = flags if mnt is top else flags | MNT_LOCKED
