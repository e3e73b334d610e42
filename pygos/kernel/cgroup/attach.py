# SPDX-License-Identifier: Apache-2.0
"""Tasks and groups: moving between them, fork, exit, CPU time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import EACCES, EBUSY, EINVAL, ENODEV, ENOENT, EOPNOTSUPP, ESRCH
from pygos.include.uapi.capability import CAP_DAC_OVERRIDE
from pygos.kernel.cgroup.core import (
    CONTROLLERS,
    Cgroup,
    hierarchy,
    is_descendant,
    subtree,
    task_cgroup,
)
from pygos.kernel.cgroup.domain import (
    can_be_thread_root,
    is_threaded,
    is_valid_domain,
    update_populated,
)
from pygos.kernel.cgroup.freezer import freezer_exit, freezer_fork, freezer_migrate
from pygos.kernel.pid import find_task_by_vpid
from pygos.kernel.sched.idle import in_flight

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.sched import Task

#: The mode of files that can be written.
PROCS_MODE: Final = 0o644


# -- who may move whom


def may_write(cgroup: Cgroup, cred: Cred) -> None:
    """May somebody with `cred` write to the group's cgroup.procs? EACCES."""
    attrs = cgroup.attrs.get(b"cgroup.procs")
    mode, uid, gid = PROCS_MODE, cgroup.uid, cgroup.gid
    if attrs is not None:
        mode, uid, gid = attrs.mode, attrs.uid, attrs.gid
    if cred.fsuid == uid:
        mode >>= 6
    elif cred.in_group(gid):
        mode >>= 3
    if not mode & 2 and not cred.capable(CAP_DAC_OVERRIDE):
        raise EACCES


def _common_ancestor(one: Cgroup, other: Cgroup) -> Cgroup:
    while not is_descendant(other, one):
        assert one.parent is not None
        one = one.parent
    return one


def vet_destination(dst: Cgroup) -> None:
    """May the group have tasks? EOPNOTSUPP, EBUSY (no internal processes)."""
    if not is_valid_domain(dst.dom):
        raise EOPNOTSUPP
    if can_be_thread_root(dst) or is_threaded(dst):
        return
    if dst.subtree_control:
        raise EBUSY


def attach_permissions(
    src: Cgroup, dst: Cgroup, cred: Cred, ns_root: Cgroup, threadgroup: bool
) -> None:
    """May somebody with `cred` in a namespace rooted at `ns_root` move a task?

    Errors: EACCES, ENOENT (out of the namespace), EOPNOTSUPP, EBUSY.
    """
    may_write(_common_ancestor(src, dst), cred)
    if hierarchy(dst.machine).nsdelegate and not (
        is_descendant(src, ns_root) and is_descendant(dst, ns_root)
    ):
        raise ENOENT
    vet_destination(dst)
    if not threadgroup and src.dom is not dst.dom:
        raise EOPNOTSUPP


def find_task(task: Task, text: bytes) -> Task:
    """The task that a number written to cgroup.procs means; 0 is the writer. EINVAL, ESRCH."""
    digits = text.strip(b" \t\n\v\f\r")
    if not digits.isdigit() or len(digits) > 10:
        raise EINVAL
    pid = int(digits)
    if pid >> 31:
        raise EINVAL
    if pid == 0:
        return task
    found = find_task_by_vpid(task, pid)
    if found is None:
        raise ESRCH
    return found


def write_procs(
    task: Task, dst: Cgroup, text: bytes, cred: Cred, ns_root: Cgroup, threadgroup: bool
) -> None:
    """A write to cgroup.procs (`threadgroup`) or cgroup.threads.

    Errors: ENODEV, EINVAL, ESRCH and those of attach_permissions.
    """
    if dst.dead:
        raise ENODEV
    moved = find_task(task, text)
    if threadgroup:
        moved = moved.group_leader
    attach_permissions(task_cgroup(moved), dst, cred, ns_root, threadgroup)
    if moved.mm is None and moved.alive and moved.pid <= 1:
        raise EINVAL  # the kernel's own
    attach_task(dst, moved, threadgroup)


# -- moving


def attach_task(dst: Cgroup, task: Task, threadgroup: bool) -> None:
    """Move a task, or all threads of its group; those that exit stay."""
    threads = tuple(task.group.threads) if threadgroup else (task,)
    for thread in threads:
        if thread.alive and task_cgroup(thread) is not dst:
            _move(thread, task_cgroup(thread), dst)


def _move(task: Task, src: Cgroup, dst: Cgroup) -> None:
    _leave(task, src)
    task.cgroups = dst
    _enter(task, dst, (task.utime, task.stime))
    for name in CONTROLLERS:
        old, new = getattr(src, name), getattr(dst, name)
        if old is not new:
            if old is not None:
                old.detach(task)
            if new is not None:
                new.attach(task)
    freezer_migrate(task, src, dst)


def _enter(task: Task, cgroup: Cgroup, base: tuple[int, int]) -> None:
    if cgroup.parent is None:
        return
    cgroup.tasks[task] = base
    if len(cgroup.tasks) == 1:
        update_populated(cgroup, True)


def _leave(task: Task, cgroup: Cgroup) -> None:
    if cgroup.parent is None:
        return
    _add_time(cgroup, task, cgroup.tasks.pop(task))
    if not cgroup.tasks:
        update_populated(cgroup, False)


def _add_time(cgroup: Cgroup, task: Task, base: tuple[int, int]) -> None:
    used = task.utime - base[0]
    cgroup.utime += used
    cgroup.stime += task.stime - base[1]
    if task.nice > 0:
        cgroup.nice_time += used


# -- fork and exit


def fork_destination(task: Task, cgroup: Any, thread: bool) -> Cgroup:
    """May the child begin in `cgroup` (CLONE_INTO_CGROUP)? ENOENT, EACCES, EBUSY and others."""
    assert isinstance(cgroup, Cgroup)
    if cgroup.dead:
        raise ENOENT
    may_write(cgroup, task.cred)
    from pygos.kernel.cgroup.namespace import ns_root

    attach_permissions(task_cgroup(task), cgroup, task.cred, ns_root(task), not thread)
    return cgroup


def can_fork(cgroup: Cgroup) -> None:
    """May the group have one more task? EAGAIN."""
    if cgroup.pids is not None:
        cgroup.pids.can_fork()


def post_fork(child: Task, cgroup: Cgroup) -> None:
    """A new task, not running yet, begins in a group."""
    child.cgroups = cgroup
    ns = child.nsproxy.cgroup
    if ns is not None and ns is not child.real_parent.nsproxy.cgroup:
        ns.root = cgroup  # it was made with the child
    _enter(child, cgroup, (0, 0))
    for name in CONTROLLERS:
        css = getattr(cgroup, name)
        if css is not None:
            css.fork(child)
    if cgroup.e_freeze:
        freezer_fork(child, cgroup)


def cgroup_exit(task: Task) -> None:
    """A task exits. It counts for pids.current until it is reaped."""
    cgroup = task_cgroup(task)
    if cgroup.parent is not None and task in cgroup.tasks:
        freezer_exit(task, cgroup)
        cgroup.dying[task] = cgroup.tasks.pop(task)
        if not cgroup.tasks:
            update_populated(cgroup, False)
    if cgroup.memory is not None:
        cgroup.memory.exit(task)


def cgroup_release(task: Task) -> None:
    """A task was reaped."""
    cgroup = task_cgroup(task)
    while cgroup.dead:
        assert cgroup.parent is not None
        cgroup = cgroup.parent
    base = cgroup.dying.pop(task, None)
    if base is not None:
        _add_time(cgroup, task, base)
    if cgroup.pids is not None:
        cgroup.pids.detach(task)


# -- time


def cpu_times(cgroup: Cgroup) -> tuple[int, int, int]:
    """User, system and nice time used in a subtree, ns (nice time is part of user time)."""
    utime = stime = nice = 0
    now = cgroup.machine.clock.monotonic()
    for one in subtree(cgroup):
        utime, stime, nice = utime + one.utime, stime + one.stime, nice + one.nice_time
        for task, base in (*one.tasks.items(), *one.dying.items()):
            used = task.utime - base[0] + in_flight(task, now)
            utime += used
            stime += task.stime - base[1]
            if task.nice > 0:
                nice += used
    return utime, stime, nice
