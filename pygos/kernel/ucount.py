# SPDX-License-Identifier: Apache-2.0
"""What users have in all: processes (kernel/ucount.c).

Nothing is counted on the way: limits are looked at rarely, and tasks are then gone through.
A user of an inner user namespace counts for the namespace's creator too, whose limit was
noted when the namespace was made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.uapi.resource import RLIMIT_NPROC

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace


def tasks_of(machine: Machine, ns: UserNamespace | None, uid: int) -> int:
    """Tasks of a user in a user namespace and, by its namespaces, below."""
    return sum([_is_of(task.cred, ns, uid) for task in machine.pids.tasks.values()])


def _is_of(cred: Cred, ns: UserNamespace | None, uid: int) -> bool:
    place, owner = cred.user_ns, cred.uid
    while place is not ns:
        if place is None:
            return False
        owner, place = place.owner, place.parent
    return owner == uid


def nproc_exceeded(task: Task, cred: Cred, more: int = 0) -> bool:
    """Is the user over RLIMIT_NPROC (of `task`, and of the creators of its namespaces)?"""
    machine = task.machine
    limit = task.group.rlim[RLIMIT_NPROC][0]
    ns, uid = cred.user_ns, cred.uid
    total = len(machine.pids.tasks)
    while True:
        if limit < total + more and tasks_of(machine, ns, uid) + more > limit:
            return True
        if ns is None:
            return False
        limit = ns.rlimit_max.get(RLIMIT_NPROC, 1 << 64)
        uid, ns = ns.owner, ns.parent
