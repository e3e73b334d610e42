# SPDX-License-Identifier: Apache-2.0
"""Attaching trees of mounts, with what propagates, and taking them apart (fs/namespace.c).

Mounts aren't counted: one that was taken out of its tree while a program still uses it waits
in ``machine.misc["detached_mounts"]``; its file system ends when nobody does any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.namespace import (
    Clone,
    check_room,
    commit_tree,
    copy_tree,
    free_tree,
    link_mnt,
    lock_tree,
    mountpoints,
    release_sb,
    subtree,
    touch_ns,
    unlink_mnt,
)
from pygos.fs.pnode import make_private, receivers, sees, set_shared, slave_groups
from pygos.include.linux.fs import MNT_LOCKED, MntNamespace, Mount

if TYPE_CHECKING:
    from pygos.include.linux.fs import Dentry, Path, PeerGroup
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: machine.misc: mounts that are only still in use.
_DETACHED: Final = "detached_mounts"


# -- attaching


def attach_tree(task: Task, source: Mount, path: Path, moving: bool = False) -> None:
    """Attach a linked tree at a place, and copies of it where the place propagates to.

    `moving`: it is attached elsewhere now. Errors: ENOSPC, EINVAL.
    """
    machine = task.machine
    dest, ns = path.mnt, path.mnt.mnt_ns
    assert ns is not None
    if not moving:
        check_room(machine, ns, len(subtree(source)))
    copies: list[tuple[Mount, Mount]] = []
    if dest.mnt_group is not None:
        for mnt in subtree(source):
            set_shared(machine, mnt)
        copies = _propagate(machine, dest, path.dentry, source)
    if moving:
        _uncommit(machine, source)
    _graft(machine, source, dest, path.dentry)
    for copy, parent in copies:
        _graft_copy(task, copy, parent, path.dentry)


def _uncommit(machine: Machine, top: Mount) -> None:
    """A tree leaves its place to go to another."""
    ns = top.mnt_ns
    assert ns is not None
    unlink_mnt(machine, top)
    for mnt in subtree(top)[1:]:
        ns.table.pop((mnt.mnt_parent.mnt_id, mnt.mnt_mountpoint), None)
    touch_ns(ns)


def _graft(machine: Machine, top: Mount, parent: Mount, dentry: Dentry) -> None:
    """Attach a tree; what is at the place already comes to lie on it."""
    ns = parent.mnt_ns
    assert ns is not None
    covered = ns.table.get((parent.mnt_id, dentry))
    if covered is not None:
        unlink_mnt(machine, covered)
    link_mnt(machine, top, parent, dentry)
    commit_tree(top, ns)
    if covered is not None:
        link_mnt(machine, covered, top, top.mnt_root)
        ns.table[top.mnt_id, top.mnt_root] = covered


def _graft_copy(task: Task, copy: Mount, parent: Mount, dentry: Dentry) -> None:
    ns = parent.mnt_ns
    assert ns is not None
    if ns.user_ns is not task.nsproxy.mnt.user_ns:
        lock_tree(copy)
    copy.mnt_flags &= ~MNT_LOCKED
    _graft(task.machine, copy, parent, dentry)


def _propagate(
    machine: Machine, dest: Mount, dentry: Dentry, source: Mount
) -> list[tuple[Mount, Mount]]:
    """Linked copies of a (shared) tree for all who receive what is mounted on `dest`.

    Pairs of a copy and the mount that it belongs on. ENOSPC.
    """
    made: list[tuple[Mount, Mount]] = []
    group = dest.mnt_group
    assert group is not None
    todo: list[tuple[PeerGroup, Mount]] = [(group, source)]
    seen = {group}
    try:
        for peer in tuple(group.peers):
            if peer is not dest:
                _copy_for(machine, peer, dentry, source, Clone.MAKE_SHARED, made)
        for master, origin in todo:
            alone, groups = slave_groups(master)
            for slave in alone:
                _copy_for(machine, slave, dentry, origin, Clone.SLAVE, made)
            for own in groups:
                if own not in seen:
                    seen.add(own)
                    first = _copy_group(machine, own, dentry, origin, made)
                    todo.append((own, first or origin))
    except BaseException:
        for copy, _ in made:
            free_tree(machine, copy)
        raise
    return made


def _copy_group(
    machine: Machine, group: PeerGroup, dentry: Dentry, origin: Mount,
    made: list[tuple[Mount, Mount]],
) -> Mount | None:  # fmt: skip
    """Copies for the members of a group of slaves: they are peers of each other."""
    first: Mount | None = None
    for peer in tuple(group.peers):
        how = Clone.MAKE_SHARED if first is not None else Clone.SLAVE | Clone.MAKE_SHARED
        copy = _copy_for(machine, peer, dentry, first or origin, how, made)
        first = first or copy
    return first


def _copy_for(
    machine: Machine, mnt: Mount, dentry: Dentry, origin: Mount, how: int,
    made: list[tuple[Mount, Mount]],
) -> Mount | None:  # fmt: skip
    if not sees(mnt, dentry):
        return None
    pending = sum([len(subtree(copy)) for copy, parent in made if parent.mnt_ns is mnt.mnt_ns])
    check_room(machine, mnt.mnt_ns, pending + len(subtree(origin)))
    copy = copy_tree(machine, origin, origin.mnt_root, how)
    made.append((copy, mnt))
    return copy


# -- what an unmount means for others


def _below(mnt: Mount) -> list[Mount]:
    """What keeps a mount from going: its children but one that only lies on its root."""
    children = mnt.mnt_children
    if len(children) == 1 and children[0].mnt_mountpoint is mnt.mnt_root:
        return []
    return children


def counterparts(mnt: Mount) -> list[Mount]:
    """The mounts at the places that receive the unmount of `mnt` from its parent."""
    parent, dentry = mnt.mnt_parent, mnt.mnt_mountpoint
    if parent is mnt or parent.mnt_group is None:
        return []
    found = []
    for other in receivers(parent):
        ns = other.mnt_ns
        child = ns.table.get((other.mnt_id, dentry)) if ns is not None else None
        if child is not None and child is not mnt:
            found.append(child)
    return found


def propagated(gone: list[Mount]) -> list[Mount]:
    """Which mounts go with those of `gone`: counterparts on which nothing else lies."""
    chosen = set(gone)
    victims = {other: None for mnt in gone for other in counterparts(mnt) if other not in chosen}
    while True:
        staying = [mnt for mnt in victims if not _may_go(mnt, chosen, victims)]
        if not staying:
            return list(victims)
        for mnt in staying:
            del victims[mnt]


def _may_go(mnt: Mount, chosen: set[Mount], victims: dict[Mount, None]) -> bool:
    if mnt.mnt_flags & MNT_LOCKED and mnt.mnt_parent not in victims:
        return mnt.mnt_parent in chosen
    return all(child in victims or child in chosen for child in _below(mnt))


def propagate_busy(mnt: Mount, used: set[Mount]) -> bool:
    """Would a plain unmount take something elsewhere that is in use?"""
    return any(other in used and not _below(other) for other in counterparts(mnt))


def umount_propagated(machine: Machine, mnt: Mount) -> None:
    """Unmount a tree, and what receives that."""
    gone = subtree(mnt)
    victims = propagated(gone)
    for other in victims:
        _lift_topper(machine, other)
    umount_tree(machine, gone + sorted(victims, key=_depth), False)
    reap_detached(machine)


def _depth(mnt: Mount) -> int:
    depth = 0
    while mnt.mnt_parent is not mnt:
        mnt = mnt.mnt_parent
        depth += 1
    return depth


def _lift_topper(machine: Machine, mnt: Mount) -> None:
    """What lies on the root of a mount that goes from beneath it takes its place."""
    if not mnt.mnt_children or _below(mnt):
        return
    topper, ns = mnt.mnt_children[0], mnt.mnt_ns
    parent, dentry = mnt.mnt_parent, mnt.mnt_mountpoint
    assert ns is not None
    unlink_mnt(machine, topper)
    unlink_mnt(machine, mnt)
    link_mnt(machine, topper, parent, dentry)
    ns.table[parent.mnt_id, dentry] = topper


# -- taking apart


def umount_tree(machine: Machine, gone: list[Mount], connected: bool) -> None:
    """Take mounts out of their namespaces (parents before children in the list).

    `connected`: they stay linked to each other; locked ones do anyway. All that stays
    linked goes on hiding what it hides, for who is still in there.
    """
    chosen = set(gone)
    namespaces = {mnt.mnt_ns for mnt in gone if mnt.mnt_ns is not None}
    for mnt in gone:
        if mnt.mnt_ns is not None:
            mnt.mnt_ns.table.pop((mnt.mnt_parent.mnt_id, mnt.mnt_mountpoint), None)
            mnt.mnt_ns = None
    for mnt in reversed(gone):
        stays = mnt.mnt_parent in chosen and (connected or mnt.mnt_flags & MNT_LOCKED)
        if not stays:
            unlink_mnt(machine, mnt)
    _keep_linked(gone)
    for ns in namespaces:
        touch_ns(ns)
    for mnt in gone:
        make_private(machine, mnt)
    used = used_mounts(machine)
    for mnt in [mnt for mnt in gone if mnt.mnt_parent is mnt]:
        _drop(machine, mnt, used)


def _keep_linked(gone: list[Mount]) -> None:
    """What is still linked below a detached mount is found in a table of its own."""
    for top in gone:
        if top.mnt_parent is top and top.mnt_children:
            commit_tree(top, DetachedTree(top))


class DetachedTree(MntNamespace):
    """Mounts that no namespace has any more, but that still lie on each other."""

    __slots__ = ()


def used_mounts(machine: Machine) -> set[Mount]:
    """The mounts that programs stand in, have open or mapped."""
    used: set[Mount] = set()
    seen: set[int] = set()
    for task in machine.pids.tasks.values():
        if not task.alive:
            continue
        used.add(task.fs.root.mnt)
        used.add(task.fs.pwd.mnt)
        files, mm = task.files, task.mm
        if id(files) not in seen:
            seen.add(id(files))
            used.update([file.f_path.mnt for file in files.fd.values()])
        if mm is not None and id(mm) not in seen:
            seen.add(id(mm))
            used.update([vma.file.f_path.mnt for vma in mm.vmas if vma.file is not None])
            if mm.exe_file is not None:
                used.add(mm.exe_file.f_path.mnt)
    return used


def _detached(machine: Machine) -> list[Mount]:
    waiting: list[Mount] = machine.misc.setdefault(_DETACHED, [])
    return waiting


def _drop(machine: Machine, top: Mount, used: set[Mount]) -> None:
    """A mount that was taken out: forget it, unless somebody uses it; what lies on it follows."""
    todo = [top]
    for mnt in todo:
        if mnt in used:
            _detached(machine).append(mnt)
            continue
        for child in tuple(mnt.mnt_children):
            unlink_mnt(machine, child)
            todo.append(child)
        mnt.mnt_ns = None
        release_sb(machine, mnt)


def mntput(machine: Machine, mnt: Mount) -> None:
    """The kernel gives up a mount of its own."""
    _drop(machine, mnt, used_mounts(machine))


def reap_detached(machine: Machine) -> None:
    """Forget the detached mounts that nobody uses any more."""
    waiting = _detached(machine)
    if not waiting:
        return
    used = used_mounts(machine)
    machine.misc[_DETACHED] = []
    for mnt in waiting:
        _drop(machine, mnt, used)


def detach_mounts(machine: Machine, dentry: Dentry) -> None:
    """The dentry is gone: what other namespaces have mounted on it goes too."""
    for mnt in tuple(mountpoints(machine).on.get(dentry, ())):
        if mnt.mnt_ns is not None:
            umount_tree(machine, subtree(mnt), True)
        else:
            unlink_mnt(machine, mnt)
