# SPDX-License-Identifier: Apache-2.0
"""Process numbers, process groups and sessions (kernel/pid.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EAGAIN, EEXIST, EINVAL, ENOMEM, EPERM
from pygos.include.linux.pid_namespace import find_task_by_vpid as find_task_by_vpid
from pygos.include.uapi.capability import CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.pid_namespace import PidNamespace
    from pygos.include.linux.sched import PidTable, Task
    from pygos.include.linux.user_namespace import UserNamespace


class PidRef:
    """What a pidfd refers to (struct pid): a process, or with `thread` one thread of it.

    It follows the process when another thread than the leader execs.
    """

    __slots__ = ("group", "own", "thread")

    def __init__(self, task: Task, thread: bool) -> None:
        self.group = task.group
        #: None: the leader, whoever that is.
        self.own = task if task.group.leader is not task else None
        #: Made for a thread: PIDFD_THREAD.
        self.thread = thread

    @property
    def task(self) -> Task:
        """The thread meant; a process' leader. Perhaps a zombie, perhaps gone."""
        return self.own or self.group.leader

    @property
    def gone(self) -> bool:
        """It has been waited for: signals find nobody any more."""
        task = self.task
        return task.machine.pids.tasks.get(task.pid) is not task

    @property
    def ended(self) -> bool:
        """A zombie: for a process, all of its threads."""
        if self.thread:
            return not self.task.alive
        return not any(thread.alive for thread in self.group.threads)


def pid_is_free(table: PidTable, pid: int) -> bool:
    """Is the number nobody's, neither a task's nor a group's or session's?"""
    return pid not in table.tasks and pid not in table.pgrps and pid not in table.sessions


def alloc_pid(
    table: PidTable, ns: PidNamespace | None = None, wanted: tuple[int, ...] = (),
    task: Task | None = None,
) -> int:  # fmt: skip
    """The next free number, going up and round as Linux does; also in `ns` and those above it.

    `wanted`: numbers that `task` asks for, the innermost first. Errors: EAGAIN if all are
    taken, ENOMEM in a dead namespace, EINVAL, EPERM, EEXIST.
    """
    if ns is not None or wanted:
        return _alloc_levels(table, ns, wanted, task)
    pid = table.last
    for _ in range(table.max):
        pid += 1
        if pid >= table.max:
            pid = 300 if table.max > 300 else 1
        if pid_is_free(table, pid):
            table.last = pid
            return pid
    raise EAGAIN


def _alloc_levels(
    table: PidTable, ns: PidNamespace | None, wanted: tuple[int, ...], task: Task | None
) -> int:
    """A number in each namespace from `ns` up."""
    chosen: list[tuple[PidNamespace, int]] = []
    left = list(wanted)
    level = ns
    while level is not None:
        number = _wanted(level, left.pop(0), task) if left else _next(level)
        chosen.append((level, number))
        level = level.parent
    if len(left) > 1:
        raise EINVAL
    pid = _wanted_global(table, left[0], task) if left else alloc_pid(table)
    if ns is None:
        return pid
    if ns.dead:
        raise ENOMEM
    for level, number in chosen:
        level.to_global[number] = pid
        level.to_local[pid] = number
    table.inner[pid] = ns
    return pid


def _next(ns: PidNamespace) -> int:
    number = ns.last
    for _ in range(ns.max):
        number += 1
        if number >= ns.max:
            number = 300 if ns.max > 300 else 1
        if number not in ns.to_global:
            ns.last = number
            return number
    raise EAGAIN


def _wanted(ns: PidNamespace, number: int, task: Task | None) -> int:
    """A number that is asked for in an inner namespace. EINVAL, EPERM, EEXIST."""
    if not 0 < number < ns.max or (number != 1 and ns.child_reaper is None):
        raise EINVAL
    _may_choose(task, ns.user_ns)
    if number in ns.to_global:
        raise EEXIST
    return number


def _wanted_global(table: PidTable, number: int, task: Task | None) -> int:
    """A number that is asked for in the first namespace. EINVAL, EPERM, EEXIST."""
    if not 0 < number < table.max:
        raise EINVAL
    _may_choose(task, None)
    if not pid_is_free(table, number):
        raise EEXIST
    return number


def _may_choose(task: Task | None, owner: UserNamespace | None) -> None:
    assert task is not None
    cred = task.cred
    may = cred.ns_capable(owner, CAP_CHECKPOINT_RESTORE)
    if not may and not cred.ns_capable(owner, CAP_SYS_ADMIN):
        raise EPERM


def free_pid(table: PidTable, pid: int) -> None:
    """If nobody has the number any more, the inner namespaces forget it too."""
    ns = table.inner.get(pid)
    if ns is None or not pid_is_free(table, pid):
        return
    del table.inner[pid]
    while ns is not None:
        number = ns.to_local.pop(pid, 0)
        ns.to_global.pop(number, None)
        if not ns.to_global:
            ns.child_reaper = None
        ns = ns.parent


def attach_pid(table: PidTable, task: Task) -> None:
    """Make the task findable; a leader also joins its group and session."""
    table.tasks[task.pid] = task
    if task.group.leader is task:
        table.pgrps.setdefault(task.group.pgrp, {})[task] = None
        table.sessions.setdefault(task.group.session, {})[task] = None


def detach_pid(table: PidTable, task: Task) -> None:
    """The task is reaped: its number is free again."""
    if table.tasks.get(task.pid) is task:
        del table.tasks[task.pid]
    if task.group.leader is task:
        _leave(table.pgrps, task.group.pgrp, task)
        _leave(table.sessions, task.group.session, task)
    if table.inner:
        for number in (task.pid, task.group.pgrp, task.group.session):
            free_pid(table, number)


def change_pgrp(table: PidTable, leader: Task, pgrp: int) -> None:
    """Move a thread group (by its leader) to another process group."""
    old = leader.group.pgrp
    _leave(table.pgrps, old, leader)
    leader.group.pgrp = pgrp
    table.pgrps.setdefault(pgrp, {})[leader] = None
    if table.inner:
        free_pid(table, old)


def change_session(table: PidTable, leader: Task, session: int) -> None:
    """Move a thread group to another session (setsid)."""
    old = leader.group.session
    _leave(table.sessions, old, leader)
    leader.group.session = session
    table.sessions.setdefault(session, {})[leader] = None
    if table.inner:
        free_pid(table, old)


def _leave(index: dict[int, dict[Task, None]], number: int, task: Task) -> None:
    members = index.get(number)
    if members is not None:
        members.pop(task, None)
        if not members:
            del index[number]


def find_task(table: PidTable, pid: int) -> Task | None:
    """The task with this number, zombies included."""
    return table.tasks.get(pid)


def find_group(table: PidTable, pid: int) -> Task | None:
    """The leader of the thread group with this number; None for other threads."""
    task = table.tasks.get(pid)
    return task if task is not None and task.group.leader is task else None


# -- as a task sees them


def find_task_ns(machine: Machine, number: int, ns: PidNamespace | None) -> Task | None:
    """The task with this number in `ns`."""
    if ns is not None:
        number = ns.to_global.get(number, 0)
    return machine.pids.tasks.get(number)


def is_child_reaper(task: Task) -> bool:
    """Is it of the process that is number 1 in its pid namespace?"""
    ns = task.pid_ns
    reaper = task.machine.pid1 if ns is None else ns.child_reaper
    return reaper is not None and reaper.group is task.group


def task_pid_nr(target: Task, viewer: Task) -> int:
    """A task's number as `viewer` sees it; 0 if it doesn't."""
    ns = viewer.pid_ns
    return target.pid if ns is None else ns.to_local.get(target.pid, 0)
