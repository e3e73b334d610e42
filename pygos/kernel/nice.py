# SPDX-License-Identifier: Apache-2.0
"""Nice values and I/O priorities: getpriority(2), ioprio_set(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EACCES, EINVAL, EPERM, ESRCH, Errno
from pygos.include.linux.pid_namespace import find_task_by_vpid, find_vpid, pid_vnr
from pygos.include.linux.syscalls import Int, syscall
from pygos.include.linux.user_namespace import make_kuid
from pygos.include.uapi import ioprio as io
from pygos.include.uapi.capability import CAP_SYS_ADMIN, CAP_SYS_NICE
from pygos.include.uapi.resource import PRIO_PGRP, PRIO_PROCESS, PRIO_USER, RLIMIT_NICE

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_MIN_NICE: Final = -20
_MAX_NICE: Final = 19


def can_nice(task: Task, target: Task, nice: int) -> bool:
    """May `task` give `target` this nice value? RLIMIT_NICE is 20 - nice."""
    return 20 - nice <= target.group.rlim[RLIMIT_NICE][0] or task.cred.capable(CAP_SYS_NICE)


def _by_kind(task: Task, kind: int, who: int) -> list[Task]:
    """The threads of a process, process group or user (PRIO_*). EINVAL."""
    pids = task.machine.pids
    if kind == PRIO_PROCESS:
        target = find_task_by_vpid(task, who) if who else task
        return [target] if target is not None else []
    if kind == PRIO_PGRP:
        leaders = pids.pgrps.get(find_vpid(task, who) if who else task.group.pgrp, ())
        return [thread for leader in leaders for thread in leader.group.threads]
    if kind == PRIO_USER:
        uid = make_kuid(task, who & 0xFFFF_FFFF) if who else task.cred.uid
        everybody = pids.tasks.values()
        return [t for t in everybody if t.cred.uid == uid and pid_vnr(task, t.pid)]
    raise EINVAL


@syscall
def getpriority(task: Task, which: Int, who: Int) -> int:
    """The best nice value of some processes, as 20 - nice. getpriority(2). EINVAL, ESRCH."""
    found = _by_kind(task, which, who)
    if not found:
        raise ESRCH
    return max([20 - other.nice for other in found])


@syscall
def setpriority(task: Task, which: Int, who: Int, niceval: Int) -> int:
    """Set the nice value of processes. getpriority(2). EACCES, EINVAL, EPERM, ESRCH."""
    nice = max(_MIN_NICE, min(_MAX_NICE, niceval))
    error: type[Errno] | None = ESRCH
    for target in _by_kind(task, which, who):
        failed = _set_one(task, target, nice)
        error = failed if failed is not None or error is ESRCH else error
    if error is not None:
        raise error
    return 0


def _set_one(task: Task, target: Task, nice: int) -> type[Errno] | None:
    euid, theirs = task.cred.euid, target.cred
    if euid not in (theirs.uid, theirs.euid) and not task.cred.ns_capable(
        theirs.user_ns, CAP_SYS_NICE
    ):
        return EPERM
    if nice < target.nice and not can_nice(task, target, nice):
        return EACCES
    target.machine.sched.set_nice(target, nice)
    return None


# -- I/O priorities: kept and shown; there is no I/O scheduler to use them


def _io_targets(task: Task, which: int, who: int) -> list[Task]:
    kinds = {
        io.IOPRIO_WHO_PROCESS: PRIO_PROCESS,
        io.IOPRIO_WHO_PGRP: PRIO_PGRP,
        io.IOPRIO_WHO_USER: PRIO_USER,
    }
    if which not in kinds:
        raise EINVAL
    return _by_kind(task, kinds[which], who)


def _check_ioprio(task: Task, ioprio: int) -> None:
    klass = ioprio >> io.IOPRIO_CLASS_SHIFT & io.IOPRIO_CLASS_MASK
    level = ioprio & io.IOPRIO_NR_LEVELS - 1
    if klass == io.IOPRIO_CLASS_RT:
        if not (task.cred.capable(CAP_SYS_ADMIN) or task.cred.capable(CAP_SYS_NICE)):
            raise EPERM
    elif klass == io.IOPRIO_CLASS_NONE:
        if level:
            raise EINVAL
    elif klass not in (io.IOPRIO_CLASS_BE, io.IOPRIO_CLASS_IDLE):
        raise EINVAL


@syscall
def ioprio_set(task: Task, which: Int, who: Int, ioprio: Int) -> int:
    """Set the I/O priority of processes. ioprio_set(2). EINVAL, EPERM, ESRCH."""
    _check_ioprio(task, ioprio)
    found = _io_targets(task, which, who)
    if not found:
        raise ESRCH
    for target in found:
        uids = (task.cred.euid, task.cred.uid)
        if target.cred.uid not in uids and not task.cred.capable(CAP_SYS_NICE):
            raise EPERM
        target.ioprio = ioprio & 0xFFFF
    return 0


@syscall
def ioprio_get(task: Task, which: Int, who: Int) -> int:
    """The I/O priority of a process as set, or the best of several. ioprio_set(2).

    Errors: EINVAL, ESRCH.
    """
    found = _io_targets(task, which, who)
    if not found:
        raise ESRCH
    if which == io.IOPRIO_WHO_PROCESS:
        return found[0].ioprio
    return min([_effective_ioprio(target) for target in found])


def _effective_ioprio(task: Task) -> int:
    """What was set, or what follows from the nice value."""
    if task.ioprio >> io.IOPRIO_CLASS_SHIFT:
        return task.ioprio
    return io.IOPRIO_CLASS_BE << io.IOPRIO_CLASS_SHIFT | (task.nice + 20) // 5
