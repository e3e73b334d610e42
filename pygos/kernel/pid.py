# SPDX-License-Identifier: Apache-2.0
"""Process numbers, process groups and sessions (kernel/pid.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EAGAIN

if TYPE_CHECKING:
    from pygos.include.linux.sched import PidTable, Task


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


def alloc_pid(table: PidTable) -> int:
    """The next free number, going up and round as Linux does. EAGAIN if all are taken."""
    pid = table.last
    for _ in range(table.max):
        pid += 1
        if pid >= table.max:
            pid = 300 if table.max > 300 else 1
        if pid_is_free(table, pid):
            table.last = pid
            return pid
    raise EAGAIN


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


def change_pgrp(table: PidTable, leader: Task, pgrp: int) -> None:
    """Move a thread group (by its leader) to another process group."""
    _leave(table.pgrps, leader.group.pgrp, leader)
    leader.group.pgrp = pgrp
    table.pgrps.setdefault(pgrp, {})[leader] = None


def change_session(table: PidTable, leader: Task, session: int) -> None:
    """Move a thread group to another session (setsid)."""
    _leave(table.sessions, leader.group.session, leader)
    leader.group.session = session
    table.sessions.setdefault(session, {})[leader] = None


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
