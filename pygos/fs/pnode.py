# SPDX-License-Identifier: Apache-2.0
"""Propagation of mounts: peer groups, slaves, and who else sees a change (fs/pnode.c).

mount_namespaces(7) has the rules. A shared mount is in a ``PeerGroup``; a slave is listed by
the group that it receives from. A slave that is shared itself passes on what it receives.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from pygos.fs.dcache import is_subdir
from pygos.include.linux.fs import MNT_UNBINDABLE, PeerGroup
from pygos.include.uapi.mount import MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE

if TYPE_CHECKING:
    from pygos.include.linux.fs import Dentry, Mount
    from pygos.include.linux.machine import Machine

PROPAGATION: Final = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE
#: machine.misc: the numbers of peer groups.
_IDS: Final = "mnt_group_ids"


class GroupIds:
    """Numbers from 1, the lowest free one first."""

    __slots__ = ("free", "last")

    def __init__(self) -> None:
        self.last = 0
        self.free: list[int] = []

    def take(self) -> int:
        if self.free:
            return heappop(self.free)
        self.last += 1
        return self.last


def _ids(machine: Machine) -> GroupIds:
    ids: GroupIds = machine.misc.setdefault(_IDS, GroupIds())
    return ids


# -- the type of a mount


def set_shared(machine: Machine, mnt: Mount) -> None:
    """MS_SHARED: alone in a new group, unless it has one."""
    if mnt.mnt_group is None:
        mnt.mnt_group = PeerGroup(_ids(machine).take())
        mnt.mnt_group.peers[mnt] = None
    mnt.mnt_flags &= ~MNT_UNBINDABLE


def join_peers(mnt: Mount, peer: Mount) -> None:
    """A copy of a shared mount is its peer."""
    group = mnt.mnt_group = peer.mnt_group
    if group is not None:
        group.peers[mnt] = None


def set_master(mnt: Mount, master: PeerGroup | None) -> None:
    """From now on the mount receives from this group (None: from nobody)."""
    if mnt.mnt_master is not None:
        mnt.mnt_master.slaves.pop(mnt, None)
    mnt.mnt_master = master
    if master is not None:
        master.slaves[mnt] = None


def make_slave(machine: Machine, mnt: Mount) -> None:
    """MS_SLAVE: receive from the former peers. The last of a group hands its slaves on."""
    group = mnt.mnt_group
    if group is None:
        return
    mnt.mnt_group = None
    del group.peers[mnt]
    if group.peers:
        set_master(mnt, group)
        return
    for slave in tuple(group.slaves):
        set_master(slave, mnt.mnt_master)
    heappush(_ids(machine).free, group.id)


def make_private(machine: Machine, mnt: Mount) -> None:
    """MS_PRIVATE: no relation to other mounts."""
    make_slave(machine, mnt)
    set_master(mnt, None)


def change_propagation(machine: Machine, mnt: Mount, kind: int) -> None:
    """Set the type of one mount: one of MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE."""
    if kind == MS_SHARED:
        set_shared(machine, mnt)
    elif kind == MS_SLAVE:
        make_slave(machine, mnt)
    else:
        make_private(machine, mnt)
        if kind == MS_UNBINDABLE:
            mnt.mnt_flags |= MNT_UNBINDABLE
        else:
            mnt.mnt_flags &= ~MNT_UNBINDABLE


# -- who receives


def receivers(mnt: Mount) -> list[Mount]:
    """All mounts that see what happens on `mnt`, without itself: peers, and slaves of them."""
    first = mnt.mnt_group
    if first is None:
        return []
    found = dict.fromkeys(first.peers)
    groups = [first]
    seen = {first}
    for group in groups:
        for slave in group.slaves:
            found[slave] = None
            own = slave.mnt_group
            if own is not None and own not in seen:
                seen.add(own)
                groups.append(own)
                found.update(own.peers)
    del found[mnt]
    return list(found)


def sees(mnt: Mount, dentry: Dentry) -> bool:
    """Can a place be mounted on in this mount: is it attached, does it show the dentry?"""
    return mnt.mnt_ns is not None and is_subdir(dentry, mnt.mnt_root)


def slave_groups(group: PeerGroup) -> tuple[list[Mount], list[PeerGroup]]:
    """The slaves of a group: those that are not shared, and the groups of the others."""
    alone = [slave for slave in group.slaves if slave.mnt_group is None]
    shared = [slave.mnt_group for slave in group.slaves if slave.mnt_group is not None]
    return alone, list(dict.fromkeys(shared))


# -- what mountinfo says


def tags(mnt: Mount, reachable: set[Mount]) -> str:
    """The optional fields of mountinfo; `reachable`: the mounts below the reader's root."""
    text = f" shared:{mnt.mnt_group.id}" if mnt.mnt_group is not None else ""
    master = mnt.mnt_master
    if master is not None:
        text += f" master:{master.id}"
        near = dominating(mnt, reachable)
        if near and near != master.id:
            text += f" propagate_from:{near}"
    return text + " unbindable" if mnt.mnt_flags & MNT_UNBINDABLE else text


def dominating(mnt: Mount, reachable: set[Mount]) -> int:
    """The nearest group above that the reader can see a member of; 0: none."""
    group = mnt.mnt_master
    while group is not None:
        if any(peer in reachable for peer in group.peers):
            return group.id
        peer = next(iter(group.peers), None)
        group = peer.mnt_master if peer is not None else None
    return 0
