# SPDX-License-Identifier: Apache-2.0
"""Reading and setting clocks: clock_gettime(2) and its older relatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.pid_namespace import find_task_by_vpid
from pygos.include.linux.syscalls import In, InOrNull, Int, Out, OutInt, syscall
from pygos.include.uapi.time import (
    CLOCK_BOOTTIME,
    CLOCK_MONOTONIC,
    CLOCK_MONOTONIC_COARSE,
    CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID,
    CLOCK_REALTIME,
    CLOCK_REALTIME_COARSE,
    CLOCK_TAI,
    CLOCK_THREAD_CPUTIME_ID,
    Timespec,
    Timeval,
    Timezone,
)
from pygos.kernel.time.cputime import CPUCLOCK_SCHED, group_clock, thread_clock
from pygos.kernel.time.timekeeping import do_settimeofday, tai_offset
from pygos.kernel.time.timespec import timespec_ns, timeval_ns, to_timespec, to_timeval

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: ns between ticks (CONFIG_HZ 250), the grain of the coarse clocks.
TICK_NSEC: Final = 4_000_000
_PERTHREAD: Final = 4
_WHICH: Final = 3
_CLOCKFD: Final = 3
_SEC: Final = 1_000_000_000
#: The machine never sleeps: these are the same.
_BOOTTIME: Final = (CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW)


def cpu_clock_target(task: Task, clockid: int, gettime: bool = False) -> tuple[Task, bool, int]:
    """Whose CPU clock a clock id names: (task, per thread?, CPUCLOCK_*). EINVAL.

    Negative ids are ``~pid << 3`` with the kind of clock in the low bits, as
    clock_getcpuclockid(3) makes them; pid 0 is the caller.
    """
    if clockid == CLOCK_PROCESS_CPUTIME_ID:
        return task, False, CPUCLOCK_SCHED
    if clockid == CLOCK_THREAD_CPUTIME_ID:
        return task, True, CPUCLOCK_SCHED
    which = clockid & _WHICH
    if clockid >= 0 or which == _CLOCKFD:
        raise EINVAL
    per_thread = bool(clockid & _PERTHREAD)
    pid = ~(clockid >> 3)
    if pid == 0:
        return task, per_thread, which
    target = find_task_by_vpid(task, pid)
    if target is None:
        raise EINVAL
    if per_thread:
        if target.group is not task.group:
            raise EINVAL
    elif target.group.leader is not target and not (gettime and target is task):
        raise EINVAL
    return target, per_thread, which


def cpu_clock_read(task: Task, clockid: int) -> int:
    """ns of a CPU clock. EINVAL for other ids."""
    target, per_thread, which = cpu_clock_target(task, clockid, True)
    if per_thread:
        return thread_clock(target, which)
    return group_clock(target.group, which)


def clock_read(task: Task, clockid: int) -> int:
    """ns of any clock. EINVAL for one that isn't there (alarm clocks: there is no RTC)."""
    clock = task.machine.clock
    if clockid == CLOCK_REALTIME:
        return clock.realtime()
    if clockid in _BOOTTIME:
        ns = task.nsproxy.time
        return clock.boottime() if ns is None else clock.boottime() + ns.offset(clockid)
    if clockid == CLOCK_REALTIME_COARSE:
        return clock.realtime() // TICK_NSEC * TICK_NSEC
    if clockid == CLOCK_MONOTONIC_COARSE:
        ns = task.nsproxy.time
        now = clock.boottime() // TICK_NSEC * TICK_NSEC
        return now if ns is None else now + ns.monotonic
    if clockid == CLOCK_TAI:
        return clock.realtime() + tai_offset(task.machine) * _SEC
    return cpu_clock_read(task, clockid)


@syscall
def clock_gettime(task: Task, which_clock: Int, tp: Out[Timespec]) -> int:
    """Read a clock. clock_gettime(2). Errors: EINVAL for an unknown clock."""
    ns = clock_read(task, which_clock)
    tp.put(Timespec(ns // _SEC, ns % _SEC))
    return 0


@syscall
def clock_settime(task: Task, which_clock: Int, tp: In[Timespec]) -> int:
    """Set CLOCK_REALTIME, the machine's own. clock_settime(2). Errors: EINVAL, EPERM."""
    if which_clock < 0:
        cpu_clock_target(task, which_clock)
        raise EPERM
    if which_clock != CLOCK_REALTIME:
        raise EINVAL
    do_settimeofday(task, timespec_ns(tp))
    return 0


@syscall
def clock_getres(task: Task, which_clock: Int, tp: Out[Timespec]) -> int:
    """The resolution of a clock. clock_getres(2). Errors: EINVAL."""
    if which_clock in (CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE):
        ns = TICK_NSEC
    elif which_clock < 0:
        which = cpu_clock_target(task, which_clock)[2]
        ns = 1 if which == CPUCLOCK_SCHED else TICK_NSEC
    else:
        clock_read(task, which_clock)
        ns = 1
    if tp:
        tp.put(to_timespec(ns))
    return 0


@syscall
def gettimeofday(task: Task, tv: Out[Timeval], tz: Out[Timezone]) -> int:
    """The wall time. gettimeofday(2)."""
    if tv:
        tv.put(to_timeval(task.machine.clock.realtime()))
    if tz:
        west, dst = task.machine.misc.get("sys_tz", (0, 0))
        tz.put(Timezone(west, dst))
    return 0


@syscall
def settimeofday(task: Task, tv: InOrNull[Timeval], tz: InOrNull[Timezone]) -> int:
    """Set the wall time and the time zone. settimeofday(2). Errors: EINVAL, EPERM."""
    ns = timeval_ns(tv) if tv is not None else None
    if tz is not None:
        if not task.cred.capable(25):
            raise EPERM
        if not -15 * 60 <= tz.tz_minuteswest <= 15 * 60:
            raise EINVAL
        from pygos.arch.x86.vdso.vma import vdso_set_timezone

        task.machine.misc["sys_tz"] = (tz.tz_minuteswest, tz.tz_dsttime)
        vdso_set_timezone(task.machine, tz.tz_minuteswest, tz.tz_dsttime)
    if ns is not None:
        do_settimeofday(task, ns)
    return 0


@syscall
def time(task: Task, tloc: OutInt) -> int:
    """Seconds since the epoch. time(2)."""
    now = task.machine.clock.realtime() // _SEC
    if tloc:
        tloc.put64(now)
    return now
