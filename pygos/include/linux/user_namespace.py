# SPDX-License-Identifier: Apache-2.0
"""User namespaces and the translation of ids (include/linux/user_namespace.h, uidgid.h).

Ids inside the kernel (of credentials, inodes, messages) are those of the first user namespace
("kernel ids"). Programs see and give ids of their own namespace: the functions here translate.
For tasks of the first namespace, whose ``cred.user_ns`` is None, an id is itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.linux.ns_common import NsCommon

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: No such id.
INVALID_ID: Final = 0xFFFF_FFFF
#: One line of a map: first id inside, first kernel id, how many.
Extent = tuple[int, int, int]


class UserNamespace(NsCommon):
    """One user namespace; the first one (level 0) maps every id to itself."""

    __slots__ = (
        "gid_map", "group", "level", "machine", "owner", "parent", "parent_could_setfcap",
        "projid_map", "rlimit_max", "setgroups", "uid_map",
    )  # fmt: skip
    ns_name = "user"
    ns_flag = 0x1000_0000

    def __init__(self, machine: Machine, parent: UserNamespace | None, level: int) -> None:
        super().__init__(parent)
        self.machine = machine
        #: None: the first one.
        self.parent = parent
        self.level = level
        #: Kernel ids of the creator.
        self.owner = 0
        self.group = 0
        self.uid_map: tuple[Extent, ...] = ()
        self.gid_map: tuple[Extent, ...] = ()
        self.projid_map: tuple[Extent, ...] = ()
        #: May setgroups(2) be used?
        self.setgroups = True
        self.parent_could_setfcap = False
        #: What the creator's limits were, by RLIMIT_* number: nested users count for it.
        self.rlimit_max: dict[int, int] = {}

    def make_kuid(self, uid: int) -> int:
        """The kernel's id of a user; INVALID_ID if it isn't mapped."""
        return map_down(self.uid_map, uid)

    def make_kgid(self, gid: int) -> int:
        """The kernel's id of a group; INVALID_ID if it isn't mapped."""
        return map_down(self.gid_map, gid)

    def from_kuid(self, kuid: int) -> int:
        """The id that a user has here; INVALID_ID if it isn't mapped."""
        return map_up(self.uid_map, kuid)

    def from_kgid(self, kgid: int) -> int:
        """The id that a group has here; INVALID_ID if it isn't mapped."""
        return map_up(self.gid_map, kgid)

    def has_mapping(self, kuid: int, kgid: int) -> bool:
        """Have this user and this group ids here?"""
        return map_up(self.uid_map, kuid) != INVALID_ID and map_up(self.gid_map, kgid) != INVALID_ID

    def from_kuid_munged(self, kuid: int) -> int:
        """The same; strangers are shown as kernel.overflowuid."""
        uid = map_up(self.uid_map, kuid)
        return uid if uid != INVALID_ID else overflow_id(self.machine, "kernel.overflowuid")

    def from_kgid_munged(self, kgid: int) -> int:
        """The same; strangers are shown as kernel.overflowgid."""
        gid = map_up(self.gid_map, kgid)
        return gid if gid != INVALID_ID else overflow_id(self.machine, "kernel.overflowgid")


def map_down(extents: tuple[Extent, ...], number: int) -> int:
    """From inside to the kernel's id."""
    for first, lower, count in extents:
        if first <= number < first + count:
            return number - first + lower
    return INVALID_ID


def map_up(extents: tuple[Extent, ...], number: int) -> int:
    """From the kernel's id to inside."""
    for first, lower, count in extents:
        if lower <= number < lower + count:
            return number - lower + first
    return INVALID_ID


def overflow_id(machine: Machine, name: str) -> int:
    """What ids without a mapping are shown as."""
    return int(machine.sysctl.get(name, 65534))


# -- at the boundary, for the calling task


def make_kuid(task: Task, uid: int) -> int:
    """A user id that the task gives; INVALID_ID if it isn't mapped."""
    ns = task.cred.user_ns
    return uid if ns is None else map_down(ns.uid_map, uid)


def make_kgid(task: Task, gid: int) -> int:
    """A group id that the task gives; INVALID_ID if it isn't mapped."""
    ns = task.cred.user_ns
    return gid if ns is None else map_down(ns.gid_map, gid)


def show_uid(task: Task, kuid: int) -> int:
    """A user id as the task sees it (from_kuid_munged)."""
    ns = task.cred.user_ns
    return kuid if ns is None else ns.from_kuid_munged(kuid)


def show_gid(task: Task, kgid: int) -> int:
    """A group id as the task sees it (from_kgid_munged)."""
    ns = task.cred.user_ns
    return kgid if ns is None else ns.from_kgid_munged(kgid)


def ns_level(ns: UserNamespace | None) -> int:
    """How deep a namespace is; the first one 0."""
    return 0 if ns is None else ns.level


def in_userns(ancestor: UserNamespace | None, child: UserNamespace | None) -> bool:
    """Is `child` the same as `ancestor` or below it?"""
    if ancestor is None:
        return True
    while child is not None and child.level > ancestor.level:
        child = child.parent
    return child is ancestor
