# SPDX-License-Identifier: Apache-2.0
"""Changing a task's policy and parameters: what is checked in which order, and the change
(__sched_setscheduler of kernel/sched/syscalls.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EBUSY, EINVAL, EOPNOTSUPP, EPERM
from pygos.include.uapi import sched as uapi
from pygos.include.uapi.capability import CAP_SYS_NICE
from pygos.include.uapi.resource import RLIMIT_RTPRIO
from pygos.include.uapi.sched import SchedAttr
from pygos.kernel.futex_pi import lent_priority, prio_changed
from pygos.kernel.nice import can_nice
from pygos.kernel.sched.deadline import BW_SHIFT, MIN_RUNTIME, DlEntity
from pygos.kernel.sched.sched import BASE_SLICE

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.sched.core import Sched

RT: Final = (uapi.SCHED_FIFO, uapi.SCHED_RR)
FAIR: Final = (uapi.SCHED_NORMAL, uapi.SCHED_BATCH, uapi.SCHED_IDLE)
MAX_RT_PRIO: Final = 99
_RESET: Final = uapi.SCHED_RESET_ON_FORK
#: The policies with a nice value to set: SCHED_IDLE leaves it as it is.
_NICE: Final = (uapi.SCHED_NORMAL, uapi.SCHED_BATCH)
#: What a fair task may ask for at a time, ns.
_MIN_SLICE, _MAX_SLICE = 100_000, 100_000_000
_DL_FLAGS: Final = uapi.SCHED_FLAG_RECLAIM | uapi.SCHED_FLAG_DL_OVERRUN
_TOP: Final = 1 << 63
#: sched_policy of sched_setparam(2) and SCHED_FLAG_KEEP_POLICY: as it is.
SETPARAM_POLICY: Final = -1


def get_params(target: Task, attr: SchedAttr) -> None:
    """Fill in the parameters that the task has."""
    dl: DlEntity | None = target.dl
    if dl is not None:
        attr.sched_runtime, attr.sched_deadline = dl.runtime, dl.deadline
        attr.sched_period = dl.period
        attr.sched_flags = attr.sched_flags & ~_DL_FLAGS | dl.flags
    elif target.policy & ~_RESET in RT:
        attr.sched_priority = target.rt_priority
    else:
        attr.sched_nice = target.nice
        attr.sched_runtime = target.se.slice if target.se is not None else BASE_SLICE


def set_scheduler(task: Task, target: Task, policy: int, attr: SchedAttr) -> None:
    """`task` gives `target` a policy and the parameters in `attr`. EINVAL, EPERM, EBUSY."""
    reset = attr.sched_flags & uapi.SCHED_FLAG_RESET_ON_FORK
    if policy == SETPARAM_POLICY:
        reset, policy = target.policy & _RESET, target.policy & ~_RESET
    elif policy not in RT and policy not in FAIR and policy != uapi.SCHED_DEADLINE:
        raise EINVAL
    if attr.sched_flags & ~uapi.SCHED_FLAG_ALL or attr.sched_priority > MAX_RT_PRIO:
        raise EINVAL
    if policy == uapi.SCHED_DEADLINE and not _valid_deadline(target, attr):
        raise EINVAL
    if (policy in RT) != (attr.sched_priority != 0):
        raise EINVAL
    more = _needs_privilege(task, target, policy, attr, bool(reset))
    if more and not task.cred.capable(CAP_SYS_NICE):
        raise EPERM
    if attr.sched_flags & uapi.SCHED_FLAG_UTIL_CLAMP:
        raise EOPNOTSUPP  # as without CONFIG_UCLAMP_TASK
    if policy == uapi.SCHED_DEADLINE:
        _set_deadline(target, attr)
    _change(target, policy, attr)
    target.policy = policy | (_RESET if reset else 0)


def _valid_deadline(target: Task, attr: SchedAttr) -> bool:
    """runtime <= deadline <= period, within the limits of the machine."""
    runtime, deadline = attr.sched_runtime, attr.sched_deadline
    period = attr.sched_period or deadline
    if not deadline or runtime < MIN_RUNTIME or (deadline | period) & _TOP:
        return False
    if not runtime <= deadline <= period:
        return False
    sysctl = target.machine.sysctl
    least = int(sysctl.get("kernel.sched_deadline_period_min_us", 100)) * 1000
    most = int(sysctl.get("kernel.sched_deadline_period_max_us", 1 << 22)) * 1000
    return least <= period <= most


def _needs_privilege(task: Task, target: Task, policy: int, attr: SchedAttr, reset: bool) -> bool:
    """Is this more than everybody may do (user_check_sched_setscheduler)?"""
    old = target.policy & ~_RESET
    better = policy in _NICE and attr.sched_nice < target.nice
    if better and not can_nice(task, target, attr.sched_nice):
        return True
    if policy in RT:
        limit = target.group.rlim[RLIMIT_RTPRIO][0]
        if policy != old and not limit:
            return True
        if attr.sched_priority > max(target.rt_priority, limit):
            return True
    if policy == uapi.SCHED_DEADLINE:
        return True
    if old == uapi.SCHED_IDLE != policy and not can_nice(task, target, target.nice):
        return True
    if task.cred.euid not in (target.cred.euid, target.cred.uid):
        return True
    return bool(target.policy & _RESET) and not reset


def _sched(task: Task) -> Sched:
    sched: Sched = task.machine.sched  # type: ignore[assignment]
    return sched


def _set_deadline(target: Task, attr: SchedAttr) -> None:
    """Admission: EPERM for one that can't use all CPUs, EBUSY if too much is promised."""
    sched = _sched(target)
    machine = target.machine
    there = (1 << machine.nr_cpus) - 1
    limited = int(machine.sysctl.get("kernel.sched_rt_runtime_us", 950_000)) >= 0
    if limited and (target.cpus_allowed or there) & there != there:
        raise EPERM
    period = attr.sched_period or attr.sched_deadline
    if not sched.dl.admit(target, (attr.sched_runtime << BW_SHIFT) // period):
        raise EBUSY


def _change(target: Task, policy: int, attr: SchedAttr) -> None:
    """The new policy is allowed: do it."""
    sched = _sched(target)
    with_dl = policy == uapi.SCHED_DEADLINE
    if target.dl is not None:
        sched.leave_deadline(target)
    target.policy = policy | target.policy & _RESET
    target.rt_priority = attr.sched_priority
    # Timers of real-time tasks have no slack.
    if policy not in FAIR:
        target.timer_slack = 0
    elif not target.timer_slack:
        target.timer_slack = target.default_timer_slack
    if with_dl:
        period = attr.sched_period or attr.sched_deadline
        flags = attr.sched_flags & _DL_FLAGS
        entity = DlEntity(target, attr.sched_runtime, attr.sched_deadline, period, flags)
        sched.join_deadline(target, entity)
        return
    if policy in _NICE:
        sched.set_nice(target, attr.sched_nice)
        _set_slice(target, attr.sched_runtime)
    sched.set_prio(target, max(attr.sched_priority, lent_priority(target)))
    sched.set_weight(target)
    prio_changed(target)


def _set_slice(target: Task, runtime: int) -> None:
    """sched_runtime of a fair task: the slice it asks for; 0: the usual one."""
    entity = _sched(target).entity(target)
    entity.custom_slice = runtime not in (0, BASE_SLICE)
    entity.slice = max(_MIN_SLICE, min(_MAX_SLICE, runtime)) if runtime else BASE_SLICE
