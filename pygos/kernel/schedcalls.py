# SPDX-License-Identifier: Apache-2.0
"""Scheduling as users see it: policies, affinity, yielding (kernel/sched/syscalls.c).

The run queue is kernel/sched/core.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import E2BIG, EBUSY, EINVAL, EPERM, ESRCH
from pygos.include.linux.pid_namespace import find_task_by_vpid
from pygos.include.linux.syscalls import Int, Out, OutInt, Pid, UInt, UserAddr, syscall
from pygos.include.uapi import sched as uapi
from pygos.include.uapi.capability import CAP_SYS_NICE
from pygos.include.uapi.sched import SchedAttr, SchedParam
from pygos.include.uapi.time import Timespec
from pygos.kernel.time.clocks import TICK_NSEC
from pygos.kernel.time.timespec import to_timespec

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_RT: Final = (uapi.SCHED_FIFO, uapi.SCHED_RR)
_FAIR: Final = (uapi.SCHED_NORMAL, uapi.SCHED_BATCH, uapi.SCHED_IDLE)
_MAX_RT_PRIO: Final = 99
_M32: Final = 0xFFFF_FFFF
_CPUMASK_SIZE: Final = 8
_PAGE: Final = 4096
_RESET: Final = uapi.SCHED_RESET_ON_FORK


def find_process(task: Task, pid: int) -> Task:
    """The task with this number, 0: the caller. EINVAL for negative ones, ESRCH."""
    if pid < 0:
        raise EINVAL
    target = find_task_by_vpid(task, pid) if pid else task
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
    target = find_task_by_vpid(task, pid) if pid else task
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
    """Choose the CPUs of a task. sched_setaffinity(2). EBUSY, EINVAL, EPERM, ESRCH, EFAULT."""
    assert task.mm is not None
    data = task.mm.read(user_mask, min(length, _CPUMASK_SIZE))
    target = find_task_by_vpid(task, pid) if pid else task
    if target is None:
        raise ESRCH
    may = task.cred.ns_capable(target.cred.user_ns, CAP_SYS_NICE)
    if not may and not _same_owner(task, target):
        raise EPERM
    there = (1 << task.machine.nr_cpus) - 1
    mask = int.from_bytes(data, "little") & there
    if target.dl is not None and mask != there:
        raise EBUSY
    if target.cgroups is not None and target.cgroups.cpuset is not None:
        mask &= target.cgroups.cpuset.effective
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


def _set(task: Task, target: Task, policy: int, priority: int) -> None:
    """As sched_setattr(2), but all else stays as it is."""
    from pygos.kernel.sched.policy import SETPARAM_POLICY, set_scheduler

    attr = SchedAttr(0, 0, 0, target.nice, priority & _M32)
    if target.se is not None:
        attr.sched_runtime = target.se.slice
    if policy != SETPARAM_POLICY and policy & _RESET:
        attr.sched_flags = uapi.SCHED_FLAG_RESET_ON_FORK
        policy &= ~_RESET
    set_scheduler(task, target, policy, attr)


@syscall
def sched_setscheduler(task: Task, pid: Pid, policy: Int, param: UserAddr) -> int:
    """Set policy and priority. sched_setscheduler(2). EINVAL, EPERM, ESRCH."""
    if policy < 0 or not param or pid < 0:
        raise EINVAL
    priority = _read_param(task, param)
    _set(task, find_process(task, pid), policy, priority)
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
    _set(task, find_process(task, pid), -1, priority)
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
    target = find_process(task, pid)
    policy = target.policy & ~_RESET
    ns = 0
    if policy == uapi.SCHED_RR:
        ns = int(task.machine.sysctl.get("kernel.sched_rr_timeslice_ms", 100)) * 1_000_000
    elif policy in _FAIR:
        # In whole ticks, as Linux counts: 0 for slices below one.
        ns = (target.se.slice if target.se is not None else 0) // TICK_NSEC * TICK_NSEC
    interval.put(to_timespec(ns))
    return 0


@syscall(partial="SCHED_EXT is refused with EINVAL, utilization clamps with EOPNOTSUPP")
def sched_setattr(task: Task, pid: Pid, uattr: UserAddr, flags: UInt) -> int:
    """Set policy and parameters. sched_setattr(2). E2BIG, EBUSY, EINVAL, EPERM, ESRCH."""
    from pygos.kernel.sched.policy import SETPARAM_POLICY, get_params, set_scheduler

    if not uattr or pid < 0 or flags:
        raise EINVAL
    attr = _read_attr(task, uattr)
    if attr.sched_policy >> 31:
        raise EINVAL
    policy = attr.sched_policy
    if attr.sched_flags & uapi.SCHED_FLAG_KEEP_POLICY:
        policy = SETPARAM_POLICY
    attr.sched_nice = max(uapi.MIN_NICE, min(uapi.MAX_NICE, attr.sched_nice))
    target = find_process(task, pid)
    if attr.sched_flags & uapi.SCHED_FLAG_KEEP_PARAMS:
        get_params(target, attr)
    set_scheduler(task, target, policy, attr)
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
    attr = SchedAttr.from_bytes(data.ljust(SchedAttr.SIZE, b"\0"))
    if attr.sched_flags & uapi.SCHED_FLAG_UTIL_CLAMP and size < SchedAttr.SIZE:
        raise EINVAL
    return attr


@syscall
def sched_getattr(task: Task, pid: Pid, uattr: UserAddr, usize: UInt, flags: UInt) -> int:
    """Policy, priority and nice value. sched_getattr(2). EINVAL, ESRCH, EFAULT."""
    from pygos.kernel.sched.policy import get_params

    if not uattr or pid < 0 or flags or not uapi.SCHED_ATTR_SIZE_VER0 <= usize <= _PAGE:
        raise EINVAL
    target = find_process(task, pid)
    size = min(usize, SchedAttr.SIZE)
    attr = SchedAttr(size, target.policy & ~_RESET)
    if target.policy & _RESET:
        attr.sched_flags = uapi.SCHED_FLAG_RESET_ON_FORK
    get_params(target, attr)
    assert task.mm is not None
    task.mm.write(uattr, attr.to_bytes()[:size])
    return 0


def sched_fork(task: Task, child: Task) -> None:
    """A new task: SCHED_RESET_ON_FORK gives up what is better than normal.

    (A deadline task can't fork without it: copy_process has refused.)
    """
    if not child.policy & _RESET:
        child.prio = child.rt_priority
        if task.se is not None and task.se.custom_slice:
            entity = task.machine.sched.entity(child)
            entity.slice, entity.custom_slice = task.se.slice, True
        return
    if child.policy & ~_RESET in _FAIR:
        child.policy &= ~_RESET
        child.nice = max(0, child.nice)
    else:
        child.policy = uapi.SCHED_NORMAL
        child.rt_priority = child.nice = 0
