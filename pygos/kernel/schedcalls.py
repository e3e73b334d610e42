# SPDX-License-Identifier: Apache-2.0
"""Scheduling as users see it: policies, affinity, yielding (kernel/sched/syscalls.c).

The run queue is kernel/sched/core.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import E2BIG, EINVAL, EPERM, ESRCH
from pygos.include.linux.syscalls import Int, Out, OutInt, Pid, UInt, UserAddr, syscall
from pygos.include.uapi import sched as uapi
from pygos.include.uapi.capability import CAP_SYS_NICE
from pygos.include.uapi.resource import RLIMIT_RTPRIO
from pygos.include.uapi.sched import SchedAttr, SchedParam
from pygos.include.uapi.time import Timespec
from pygos.kernel.futex_pi import lent_priority
from pygos.kernel.nice import can_nice
from pygos.kernel.time.timespec import to_timespec

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_RT: Final = (uapi.SCHED_FIFO, uapi.SCHED_RR)
_FAIR: Final = (uapi.SCHED_NORMAL, uapi.SCHED_BATCH, uapi.SCHED_IDLE)
_MAX_RT_PRIO: Final = 99
#: Time slices, ns: SCHED_RR as Linux reports it, and the scheduler's own.
_RR_SLICE: Final = 100_000_000
_SLICE: Final = 10_000_000
_CPUMASK_SIZE: Final = 8
_PAGE: Final = 4096
_RESET: Final = uapi.SCHED_RESET_ON_FORK


def find_process(task: Task, pid: int) -> Task:
    """The task with this number, 0: the caller. EINVAL for negative ones, ESRCH."""
    if pid < 0:
        raise EINVAL
    target = task.machine.pids.tasks.get(pid) if pid else task
    if target is None:
        raise ESRCH
    return target


def _same_owner(task: Task, target: Task) -> bool:
    return task.cred.euid in (target.cred.euid, target.cred.uid)


@syscall
def sched_yield(task: Task) -> int:
    """Let others run. sched_yield(2)."""
    task.machine.sched.yield_to_others(task)
    return 0


# -- affinity


@syscall
def sched_getaffinity(task: Task, pid: Pid, length: UInt, user_mask: UserAddr) -> int:
    """Which CPUs a task may use; bytes written. sched_setaffinity(2). EINVAL, ESRCH."""
    if length * 8 < task.machine.nr_cpus or length & 7:
        raise EINVAL
    target = task.machine.pids.tasks.get(pid) if pid else task
    if target is None:
        raise ESRCH
    size = min(length, _CPUMASK_SIZE)
    assert task.mm is not None
    task.mm.write(user_mask, allowed_cpus(target).to_bytes(_CPUMASK_SIZE, "little")[:size])
    return size


def allowed_cpus(task: Task) -> int:
    """The mask of CPUs that there are and that the task may use."""
    there = (1 << task.machine.nr_cpus) - 1
    return task.cpus_allowed & there or there


@syscall
def sched_setaffinity(task: Task, pid: Pid, length: UInt, user_mask: UserAddr) -> int:
    """Choose the CPUs of a task. sched_setaffinity(2). EINVAL, EPERM, ESRCH, EFAULT."""
    assert task.mm is not None
    data = task.mm.read(user_mask, min(length, _CPUMASK_SIZE))
    target = task.machine.pids.tasks.get(pid) if pid else task
    if target is None:
        raise ESRCH
    if not _same_owner(task, target) and not task.cred.capable(CAP_SYS_NICE):
        raise EPERM
    mask = int.from_bytes(data, "little") & (1 << task.machine.nr_cpus) - 1
    if not mask:
        raise EINVAL
    task.machine.sched.set_affinity(target, mask)
    return 0


@syscall
def getcpu(task: Task, cpup: OutInt, nodep: OutInt) -> int:
    """The CPU and NUMA node one runs on. getcpu(2). EFAULT."""
    if cpup:
        cpup.put32(task.cpu_nr)
    if nodep:
        nodep.put32(0)
    return 0


# -- policies


def _set_policy(task: Task, target: Task, policy: int, priority: int, nice: int | None) -> None:
    """__sched_setscheduler(): EINVAL, EPERM. `policy` may carry SCHED_RESET_ON_FORK."""
    reset, policy = policy & _RESET, policy & ~_RESET
    if policy not in _RT and policy not in _FAIR:
        raise EINVAL
    if not 0 <= priority <= _MAX_RT_PRIO or (policy in _RT) != (priority != 0):
        raise EINVAL
    if not task.cred.capable(CAP_SYS_NICE):
        _check_policy(task, target, policy, priority, nice)
        if target.policy & _RESET and not reset:
            raise EPERM
    target.policy = policy | reset
    target.rt_priority = priority
    target.machine.sched.set_prio(target, max(priority, lent_priority(target)))
    if nice is not None and policy in _FAIR:
        target.nice = nice
    target.machine.sched.set_weight(target)


def _check_policy(task: Task, target: Task, policy: int, priority: int, nice: int | None) -> None:
    """What the unprivileged may do."""
    old = target.policy & ~_RESET
    lower = policy in _FAIR and nice is not None and nice < target.nice
    if lower and not can_nice(task, target, nice or 0):
        raise EPERM
    if policy in _RT:
        limit = target.group.rlim[RLIMIT_RTPRIO][0]
        if policy != old and not limit:
            raise EPERM
        if priority > target.rt_priority and priority > limit:
            raise EPERM
    if old == uapi.SCHED_IDLE != policy and not can_nice(task, target, target.nice):
        raise EPERM
    if not _same_owner(task, target):
        raise EPERM


@syscall(partial="SCHED_DEADLINE and SCHED_EXT are refused with EINVAL")
def sched_setscheduler(task: Task, pid: Pid, policy: Int, param: UserAddr) -> int:
    """Set policy and priority. sched_setscheduler(2). EINVAL, EPERM, ESRCH."""
    if policy < 0 or not param or pid < 0:
        raise EINVAL
    priority = _read_param(task, param)
    _set_policy(task, find_process(task, pid), policy, priority, None)
    return 0


def _read_param(task: Task, addr: int) -> int:
    assert task.mm is not None
    return SchedParam.from_bytes(task.mm.read(addr, SchedParam.SIZE)).sched_priority


@syscall
def sched_setparam(task: Task, pid: Pid, param: UserAddr) -> int:
    """Set the priority only. sched_setparam(2). EINVAL, EPERM, ESRCH."""
    if not param or pid < 0:
        raise EINVAL
    priority = _read_param(task, param)
    target = find_process(task, pid)
    _set_policy(task, target, target.policy, priority, None)
    return 0


@syscall
def sched_getscheduler(task: Task, pid: Pid) -> int:
    """The policy, with SCHED_RESET_ON_FORK. sched_setscheduler(2). EINVAL, ESRCH."""
    return find_process(task, pid).policy


@syscall
def sched_getparam(task: Task, pid: Pid, param: Out[SchedParam]) -> int:
    """The real-time priority. sched_setparam(2). EINVAL, ESRCH."""
    if not param:
        raise EINVAL
    param.put(SchedParam(find_process(task, pid).rt_priority))
    return 0


@syscall
def sched_get_priority_max(task: Task, policy: Int) -> int:
    """The highest priority of a policy. sched_get_priority_max(2). EINVAL."""
    if policy in _RT:
        return _MAX_RT_PRIO
    if policy in _FAIR or policy in (uapi.SCHED_DEADLINE, uapi.SCHED_EXT):
        return 0
    raise EINVAL


@syscall
def sched_get_priority_min(task: Task, policy: Int) -> int:
    """The lowest priority of a policy. sched_get_priority_max(2). EINVAL."""
    return min(1, sched_get_priority_max(task, policy))


@syscall
def sched_rr_get_interval(task: Task, pid: Pid, interval: Out[Timespec]) -> int:
    """The length of a time slice; 0 for SCHED_FIFO. sched_rr_get_interval(2)."""
    policy = find_process(task, pid).policy & ~_RESET
    if policy == uapi.SCHED_FIFO:
        ns = 0
    else:
        ns = _RR_SLICE if policy == uapi.SCHED_RR else _SLICE
    interval.put(to_timespec(ns))
    return 0


@syscall(partial="SCHED_DEADLINE, SCHED_EXT and utilization clamps are refused with EINVAL")
def sched_setattr(task: Task, pid: Pid, uattr: UserAddr, flags: UInt) -> int:
    """Set policy, priority and nice value. sched_setattr(2). E2BIG, EINVAL, EPERM, ESRCH."""
    if not uattr or pid < 0 or flags:
        raise EINVAL
    attr = _read_attr(task, uattr)
    known = uapi.SCHED_FLAG_RESET_ON_FORK | uapi.SCHED_FLAG_KEEP_ALL
    if attr.sched_policy >> 31 or attr.sched_flags & ~known:
        raise EINVAL
    target = find_process(task, pid)
    policy, priority = attr.sched_policy, attr.sched_priority
    nice: int | None = max(-20, min(19, attr.sched_nice))
    if attr.sched_flags & uapi.SCHED_FLAG_KEEP_POLICY:
        policy = target.policy & ~_RESET
    if attr.sched_flags & uapi.SCHED_FLAG_KEEP_PARAMS:
        priority, nice = target.rt_priority, None
    if attr.sched_flags & uapi.SCHED_FLAG_RESET_ON_FORK:
        policy |= _RESET
    _set_policy(task, target, policy, priority, nice)
    return 0


def _read_attr(task: Task, addr: int) -> SchedAttr:
    """struct sched_attr of any known or longer version; E2BIG as the man page says."""
    mm = task.mm
    assert mm is not None
    size = mm.read_u32(addr) or uapi.SCHED_ATTR_SIZE_VER0
    try:
        if not uapi.SCHED_ATTR_SIZE_VER0 <= size <= _PAGE:
            raise E2BIG
        data = mm.read(addr, size)
        if any(data[SchedAttr.SIZE :]):
            raise E2BIG
    except E2BIG:
        mm.write_u32(addr, SchedAttr.SIZE)
        raise
    return SchedAttr.from_bytes(data.ljust(SchedAttr.SIZE, b"\0"))


@syscall
def sched_getattr(task: Task, pid: Pid, uattr: UserAddr, usize: UInt, flags: UInt) -> int:
    """Policy, priority and nice value. sched_getattr(2). EINVAL, ESRCH, EFAULT."""
    if not uattr or pid < 0 or flags or not uapi.SCHED_ATTR_SIZE_VER0 <= usize <= _PAGE:
        raise EINVAL
    target = find_process(task, pid)
    policy = target.policy & ~_RESET
    size = min(usize, SchedAttr.SIZE)
    attr = SchedAttr(size, policy)
    if target.policy & _RESET:
        attr.sched_flags = uapi.SCHED_FLAG_RESET_ON_FORK
    if policy in _RT:
        attr.sched_priority = target.rt_priority
    else:
        attr.sched_nice = target.nice
        attr.sched_runtime = _SLICE
    assert task.mm is not None
    task.mm.write(uattr, attr.to_bytes()[:size])
    return 0


def sched_fork(child: Task) -> None:
    """A new task: SCHED_RESET_ON_FORK gives up what is better than normal."""
    if not child.policy & _RESET:
        child.prio = child.rt_priority
        return
    if child.policy & ~_RESET in _RT:
        child.policy = uapi.SCHED_NORMAL
        child.rt_priority = child.nice = 0
    else:
        child.policy &= ~_RESET
        child.nice = max(0, child.nice)
