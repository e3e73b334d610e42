# SPDX-License-Identifier: Apache-2.0
"""PID namespaces (include/linux/pid_namespace.h).

Inside the kernel a process, group or session has one number: the one of the first namespace.
An inner namespace is a translation of those numbers that are visible in it. Numbers are
translated where programs see or give them (kernel/pid.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.linux.ns_common import NsCommon

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace

MAX_PID_NS_LEVEL: Final = 32


class PidNamespace(NsCommon):
    """An inner pid namespace; the first one (level 0) is None wherever one is kept."""

    __slots__ = (
        "child_reaper", "dead", "init_faulted", "last", "level", "max", "parent", "to_global",
        "to_local",
    )  # fmt: skip
    ns_name = "pid"
    ns_flag = 0x2000_0000

    def __init__(self, parent: PidNamespace | None, user_ns: UserNamespace | None) -> None:
        super().__init__(user_ns)
        #: None: the first one.
        self.parent = parent
        self.level: int = 1 if parent is None else parent.level + 1
        #: Numbers here -> the kernel's, and back.
        self.to_global: dict[int, int] = {}
        self.to_local: dict[int, int] = {}
        self.last = 0
        self.max = 32768
        #: Its process 1 (a living thread of it), once there is one.
        self.child_reaper: Task | None = None
        #: Process 1 has ended: no process can be made here any more.
        self.dead = False
        #: Process 1 has brought a fatal exception upon itself: signals kill it.
        self.init_faulted = False


def pid_nr_ns(number: int, ns: PidNamespace | None) -> int:
    """The number in `ns` of a process, group or session; 0 if it isn't visible there."""
    return number if ns is None else ns.to_local.get(number, 0)


def pid_vnr(task: Task, number: int) -> int:
    """A number as the task sees it; 0 if it isn't visible."""
    ns = task.pid_ns
    return number if ns is None else ns.to_local.get(number, 0)


def find_vpid(task: Task, number: int) -> int:
    """The kernel's number of a positive one that the task gives; 0, nobody's, if there is none."""
    ns = task.pid_ns
    return number if ns is None else ns.to_global.get(number, 0)


def find_task_by_vpid(task: Task, number: int) -> Task | None:
    """The task with a number that `task` gives, zombies included."""
    ns = task.pid_ns
    if ns is not None:
        number = ns.to_global.get(number, 0)
    return task.machine.pids.tasks.get(number)


def pidns_is_ancestor(child: PidNamespace | None, ancestor: PidNamespace | None) -> bool:
    """Is `child` the same as `ancestor` or below it?"""
    if ancestor is None:
        return True
    while child is not None and child.level > ancestor.level:
        child = child.parent
    return child is ancestor
