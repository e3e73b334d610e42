# SPDX-License-Identifier: Apache-2.0
"""Freezing groups (kernel/cgroup/freezer.c).

A task that is to freeze has JOBCTL_TRAP_FREEZE set and is woken as by a signal: calls in progress
are interrupted, and on the way to user mode, after stops and before signals, it goes to sleep
in ``freezer_trap``. Signals wake it only to sleep again; SIGKILL ends it. Tasks that are
stopped or traced, or wait for a vfork child, count as frozen where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.linux.jobctl import JOBCTL_MEMCG_HIGH, JOBCTL_TRAP_FREEZE
from pygos.include.linux.sched import TaskState

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.cgroup.core import Cgroup

_STOPPED = (TaskState.STOPPED, TaskState.TRACED)


# -- tasks


def cgroup_trap(task: Task) -> bool:
    """On the way to user mode: does the group hold the task here? True if it sleeps."""
    if task.jobctl & JOBCTL_MEMCG_HIGH:
        from pygos.kernel.cgroup.memory import sleep_over_high

        if sleep_over_high(task):
            return True
    if not task.jobctl & JOBCTL_TRAP_FREEZE:
        return False
    freezer_trap(task)
    return True


def freezer_trap(task: Task) -> None:
    """The task sleeps until its group is thawed. It is in no queue."""
    task.notify = False
    task.state = TaskState.INTERRUPTIBLE
    task.wchan = "do_freezer_trap"
    enter_frozen(task)


def enter_frozen(task: Task) -> None:
    """The task runs no more before it is thawed (or killed)."""
    if task.frozen:
        return
    task.frozen = True
    cgroup: Cgroup = task.cgroups
    cgroup.nr_frozen_tasks += 1
    update_frozen(cgroup)


def leave_frozen(task: Task) -> None:
    """The task may run again."""
    if not task.frozen:
        return
    task.frozen = False
    cgroup: Cgroup = task.cgroups
    cgroup.nr_frozen_tasks -= 1
    update_frozen(cgroup)


def freeze_task(task: Task, freeze: bool) -> None:
    """Begin to freeze a task, or let it go on."""
    from pygos.kernel.sigqueue import recalc_sigpending, signal_wake_up

    if bool(task.jobctl & JOBCTL_TRAP_FREEZE) == freeze or not task.alive:
        return
    task.jobctl ^= JOBCTL_TRAP_FREEZE
    if freeze:
        if task.state in _STOPPED or _waits_for_vfork(task):
            enter_frozen(task)
        signal_wake_up(task)
        return
    leave_frozen(task)
    if task.state is TaskState.INTERRUPTIBLE:
        task.notify = True
        task.machine.sched.wake_up(task)
    elif task.state not in _STOPPED:
        recalc_sigpending(task)


def _waits_for_vfork(task: Task) -> bool:
    return task.state is TaskState.UNINTERRUPTIBLE and task.wchan == "kernel_clone"


def freezer_fork(child: Task, cgroup: Cgroup) -> None:
    """A child that begins in a frozen group freezes before its first instruction."""
    child.jobctl |= JOBCTL_TRAP_FREEZE
    child.notify = True
    update_frozen(cgroup)


def freezer_exit(task: Task, cgroup: Cgroup) -> None:
    """A task of the group exits; called before it leaves the list."""
    task.jobctl &= ~JOBCTL_TRAP_FREEZE
    if task.frozen:
        task.frozen = False
        cgroup.nr_frozen_tasks -= 1
    if cgroup.e_freeze:
        update_frozen(cgroup, len(cgroup.tasks) - 1)


def freezer_migrate(task: Task, src: Cgroup, dst: Cgroup) -> None:
    """A task has moved: it takes over the state of its new group."""
    if not src.e_freeze and not dst.e_freeze:
        return
    if task.frozen:
        src.nr_frozen_tasks -= 1
        dst.nr_frozen_tasks += 1
    update_frozen(src)
    update_frozen(dst)
    freeze_task(task, dst.e_freeze)


# -- groups


def update_frozen(cgroup: Cgroup, nr_tasks: int = -1) -> None:
    """Is every task of the group frozen now, and every group below?"""
    count = len(cgroup.tasks) if nr_tasks < 0 else nr_tasks
    frozen = (
        cgroup.e_freeze
        and cgroup.nr_frozen_tasks >= count
        and cgroup.nr_frozen_children == len(cgroup.children)
    )
    if frozen != cgroup.frozen:
        propagate_frozen(cgroup, frozen)


def propagate_frozen(cgroup: Cgroup, frozen: bool) -> None:
    """The state of a group changes, and perhaps that of its ancestors."""
    at = cgroup
    while True:
        at.frozen = frozen
        at.notify(b"cgroup.events")
        parent = at.parent
        if parent is None:
            return
        parent.nr_frozen_children += 1 if frozen else -1
        now = (
            parent.e_freeze
            and parent.nr_frozen_tasks >= len(parent.tasks)
            and parent.nr_frozen_children == len(parent.children)
        )
        if now == parent.frozen:
            return
        at, frozen = parent, now


def set_freeze(cgroup: Cgroup, freeze: bool) -> None:
    """A write to cgroup.freeze."""
    if cgroup.freeze == freeze:
        return
    cgroup.freeze = freeze
    changed = [cgroup]
    for one in changed:
        assert one.parent is not None
        wanted = one.freeze or one.parent.e_freeze
        if wanted == one.e_freeze:
            continue
        one.e_freeze = wanted
        for task in tuple(one.tasks):
            freeze_task(task, wanted)
        changed.extend(one.children.values())
    for one in reversed(changed):
        update_frozen(one)
