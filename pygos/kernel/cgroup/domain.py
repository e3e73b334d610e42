# SPDX-License-Identifier: Apache-2.0
"""Domains and threaded subtrees: what type a group is, and whether it has live tasks.

A threaded subtree spreads the threads of processes over groups; resources that belong to
processes as a whole are accounted for by its top, the domain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pygos.kernel.cgroup.core import Cgroup

#: The controllers that may be used within threaded subtrees.
THREADED: Final = frozenset(("cpuset", "cpu", "pids"))


def is_threaded(cgroup: Cgroup) -> bool:
    """Part of a threaded subtree."""
    return cgroup.dom is not cgroup


def has_tasks(cgroup: Cgroup) -> bool:
    """Are there live tasks in the group itself?"""
    if cgroup.parent is None:
        return True  # the kernel's own, at least
    return bool(cgroup.tasks)


def is_populated(cgroup: Cgroup) -> bool:
    """Are there live tasks in it or below?"""
    return bool(cgroup.tasks or cgroup.nr_populated_domain or cgroup.nr_populated_threaded)


def can_be_thread_root(cgroup: Cgroup) -> bool:
    """May it have threaded children?"""
    if cgroup.parent is None:
        return True
    if is_threaded(cgroup) or cgroup.nr_populated_domain:
        return False
    return not cgroup.subtree_control - THREADED


def is_thread_root(cgroup: Cgroup) -> bool:
    """Is it the top of a threaded subtree?"""
    if is_threaded(cgroup):
        return False
    if cgroup.nr_threaded_children:
        return True
    return has_tasks(cgroup) and bool(cgroup.subtree_control & THREADED)


def is_valid_domain(cgroup: Cgroup) -> bool:
    """A domain below a threaded subtree is of no use."""
    if is_threaded(cgroup):
        return False
    at = cgroup.parent
    while at is not None:
        if at.parent is not None and is_thread_root(at):
            return False
        if is_threaded(at):
            return False
        at = at.parent
    return True


def type_text(cgroup: Cgroup) -> str:
    """cgroup.type."""
    if is_threaded(cgroup):
        return "threaded"
    if not is_valid_domain(cgroup):
        return "domain invalid"
    return "domain threaded" if is_thread_root(cgroup) else "domain"


def update_populated(cgroup: Cgroup, populated: bool) -> None:
    """The group got its first task or lost its last: tell it and its ancestors."""
    delta = 1 if populated else -1
    child: Cgroup | None = None
    at: Cgroup | None = cgroup
    while at is not None:
        if child is None:
            was = not populated or bool(at.nr_populated_domain or at.nr_populated_threaded)
        else:
            was = is_populated(at)
            if is_threaded(child):
                at.nr_populated_threaded += delta
            else:
                at.nr_populated_domain += delta
        if was == is_populated(at):
            return
        at.notify(b"cgroup.events")
        child, at = at, at.parent
