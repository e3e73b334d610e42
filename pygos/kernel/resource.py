# SPDX-License-Identifier: Apache-2.0
"""Resource limits and usage: getrlimit(2), prlimit(2), getrusage(2), times(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL, EPERM, ESRCH
from pygos.include.linux.pid_namespace import find_task_by_vpid
from pygos.include.linux.syscalls import (
    In,
    InOrNull,
    Int,
    Out,
    Pid,
    UInt,
    UserAddr,
    fetch_first,
    syscall,
)
from pygos.include.uapi import resource as uapi
from pygos.include.uapi.capability import CAP_SYS_RESOURCE
from pygos.include.uapi.resource import RLIM_INFINITY, Rlimit, Rusage
from pygos.include.uapi.time import USER_HZ
from pygos.include.uapi.times import Tms
from pygos.kernel.time.cputime import group_cputime, task_cputime
from pygos.kernel.time.timespec import to_timeval

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import SignalStruct, Task

_INF: Final = RLIM_INFINITY
_NS_PER_TICK: Final = 1_000_000_000 // USER_HZ
#: No process has more descriptors than this (sysctl fs.nr_open).
NR_OPEN: Final = 1 << 20


def default_rlimits(machine: Machine) -> list[tuple[int, int]]:
    """The limits of the first process, (soft, hard) by RLIMIT_*; getrlimit(2)."""
    # As Linux: half as many threads as would fill an eighth of memory with kernel stacks.
    threads = max(64, machine.ram.pages // 8 // 4 // 2)
    limits = [(_INF, _INF)] * uapi.RLIM_NLIMITS
    limits[uapi.RLIMIT_STACK] = (uapi._STK_LIM, _INF)
    limits[uapi.RLIMIT_CORE] = (0, _INF)
    limits[uapi.RLIMIT_NPROC] = (threads, threads)
    limits[uapi.RLIMIT_NOFILE] = (1024, 4096)
    limits[uapi.RLIMIT_MEMLOCK] = (uapi.MLOCK_LIMIT, uapi.MLOCK_LIMIT)
    limits[uapi.RLIMIT_SIGPENDING] = (threads, threads)
    limits[uapi.RLIMIT_MSGQUEUE] = (819200, 819200)
    limits[uapi.RLIMIT_NICE] = (0, 0)
    limits[uapi.RLIMIT_RTPRIO] = (0, 0)
    return limits


def _set_limit(task: Task, group: SignalStruct, resource: int, new: Rlimit) -> None:
    soft, hard = new.rlim_cur, new.rlim_max
    if soft > hard:
        raise EINVAL
    if resource == uapi.RLIMIT_NOFILE and hard > NR_OPEN:
        raise EPERM
    if hard > group.rlim[resource][1] and not task.cred.capable(CAP_SYS_RESOURCE):
        raise EPERM
    if resource == uapi.RLIMIT_CPU and soft == 0:
        soft = 1  # as Linux: at once, but not before the first second's signal
    group.rlim[resource] = (soft, hard)


def _checked(resource: int) -> int:
    if resource >= uapi.RLIM_NLIMITS:
        raise EINVAL
    return resource


@syscall
def getrlimit(task: Task, resource: UInt, rlim: Out[Rlimit]) -> int:
    """Read a limit. getrlimit(2). Errors: EINVAL, EFAULT."""
    rlim.put(Rlimit(*task.group.rlim[_checked(resource)]))
    return 0


@syscall
def setrlimit(task: Task, resource: UInt, rlim: In[Rlimit]) -> int:
    """Set a limit. setrlimit(2). Errors: EINVAL, EPERM, EFAULT."""
    fetch_first(rlim)
    _set_limit(task, task.group, _checked(resource), rlim)
    return 0


@syscall
def prlimit64(
    task: Task, pid: Pid, resource: UInt, new_rlim: InOrNull[Rlimit], old_rlim: Out[Rlimit]
) -> int:
    """Read and set a limit of any process. prlimit(2). Errors: EINVAL, EPERM, ESRCH."""
    fetch_first(new_rlim)
    target = task if pid == 0 else find_task_by_vpid(task, pid)
    if target is None:
        raise ESRCH
    if target is not task:
        _check_prlimit(task, target)
    old = target.group.rlim[_checked(resource)]
    if new_rlim is not None:
        _set_limit(task, target.group, resource, new_rlim)
    if old_rlim:
        old_rlim.put(Rlimit(*old))
    return 0


def _check_prlimit(task: Task, target: Task) -> None:
    mine, theirs = task.cred, target.cred
    same_uid = mine.uid == theirs.euid == theirs.suid == theirs.uid
    same_gid = mine.gid == theirs.egid == theirs.sgid == theirs.gid
    if not (same_uid and same_gid) and not mine.ns_capable(theirs.user_ns, CAP_SYS_RESOURCE):
        raise EPERM


# -- usage


def _self_usage(task: Task) -> Rusage:
    group = task.group
    utime, stime = group_cputime(group)
    threads = group.threads
    return Rusage(
        to_timeval(utime),
        to_timeval(stime),
        ru_maxrss=_maxrss(task) * 4,
        ru_minflt=group.min_flt + sum([t.min_flt for t in threads]),
        ru_majflt=group.maj_flt + sum([t.maj_flt for t in threads]),
        ru_inblock=sum([t.io_read for t in threads]) >> 9,
        ru_oublock=sum([t.io_write for t in threads]) >> 9,
        ru_nvcsw=group.nvcsw + sum([t.nvcsw for t in threads]),
        ru_nivcsw=group.nivcsw + sum([t.nivcsw for t in threads]),
    )


def _maxrss(task: Task) -> int:
    """The most pages that were resident at a time."""
    mm = task.mm
    if mm is None:
        return task.group.maxrss
    return max(task.group.maxrss, mm.hiwater_rss, mm.rss_anon + mm.rss_file + mm.rss_shmem)


def _children_usage(group: SignalStruct) -> Rusage:
    return Rusage(
        to_timeval(group.children_utime),
        to_timeval(group.children_stime),
        ru_maxrss=group.cmaxrss * 4,
        ru_minflt=group.cmin_flt,
        ru_majflt=group.cmaj_flt,
        ru_nvcsw=group.cnvcsw,
        ru_nivcsw=group.cnivcsw,
    )


def _thread_usage(task: Task) -> Rusage:
    utime, stime = task_cputime(task)
    return Rusage(
        to_timeval(utime),
        to_timeval(stime),
        ru_maxrss=_maxrss(task) * 4,
        ru_minflt=task.min_flt,
        ru_majflt=task.maj_flt,
        ru_inblock=task.io_read >> 9,
        ru_oublock=task.io_write >> 9,
        ru_nvcsw=task.nvcsw,
        ru_nivcsw=task.nivcsw,
    )


@syscall
def getrusage(task: Task, who: Int, usage: Out[Rusage]) -> int:
    """What a process, its reaped children or a thread has used. getrusage(2). EINVAL."""
    if who == uapi.RUSAGE_SELF:
        usage.put(_self_usage(task))
    elif who == uapi.RUSAGE_CHILDREN:
        usage.put(_children_usage(task.group))
    elif who == uapi.RUSAGE_THREAD:
        usage.put(_thread_usage(task))
    else:
        raise EINVAL
    return 0


@syscall
def times(task: Task, buf: UserAddr) -> int:
    """CPU times in ticks; returns ticks since some time before boot. times(2)."""
    if buf:
        group = task.group
        utime, stime = group_cputime(group)
        values = (utime, stime, group.children_utime, group.children_stime)
        assert task.mm is not None
        task.mm.write(buf, Tms(*[value // _NS_PER_TICK for value in values]).to_bytes())
    return task.machine.clock.boottime() // _NS_PER_TICK
