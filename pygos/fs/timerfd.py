# SPDX-License-Identifier: Apache-2.0
"""timerfd: timers that are read. timerfd_create(2).

A timer is armed for its next expiry only; how many periods have passed is worked out when
somebody looks, so a fast timer that nobody reads costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.anon_inodes import AnonFileOperations, anon_inode_getfd, put_u64
from pygos.include.errno import EAGAIN, EBADF, ECANCELED, EINVAL, EPERM
from pygos.include.linux.fs import FMODE_PATH, File
from pygos.include.linux.syscalls import Fd, Flags, In, Int, Out, fetch_first, syscall
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.fcntl import O_NONBLOCK, O_RDWR
from pygos.include.uapi.poll import POLLIN
from pygos.include.uapi.time import (
    CLOCK_BOOTTIME,
    CLOCK_BOOTTIME_ALARM,
    CLOCK_MONOTONIC,
    CLOCK_REALTIME,
    CLOCK_REALTIME_ALARM,
    NSEC_PER_SEC,
    TFD_CLOEXEC,
    TFD_NONBLOCK,
    TFD_TIMER_ABSTIME,
    TFD_TIMER_CANCEL_ON_SET,
    Itimerspec,
    Timespec,
)
from pygos.kernel.time.timekeeping import clock_was_set_queue

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task
    from pygos.include.linux.timer import Timer

CAP_WAKE_ALARM: Final = 35
_ALARMS: Final = (CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM)
_REALTIME: Final = (CLOCK_REALTIME, CLOCK_REALTIME_ALARM)
_CLOCKS: Final = (CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, *_ALARMS)
_KTIME_MAX: Final = (1 << 63) - 1


class TimerfdCtx:
    """struct timerfd_ctx: times in ns of its own clock."""

    __slots__ = (
        "cancel_on_set",
        "canceled",
        "clockid",
        "expired",
        "expires",
        "interval",
        "machine",
        "settime_flags",
        "ticks",
        "timer",
        "wqh",
    )  # fmt: skip

    def __init__(self, machine: Machine, clockid: int) -> None:
        self.machine = machine
        self.clockid = clockid
        self.interval = 0
        #: The next (or last, if `expired`) expiry; 0: disarmed.
        self.expires = 0
        self.ticks = 0
        self.expired = False
        self.timer: Timer | None = None
        self.wqh = WaitQueue()
        self.settime_flags = 0
        self.cancel_on_set = False
        self.canceled = False

    def now(self) -> int:
        clock = self.machine.clock
        if self.clockid in _REALTIME:
            return clock.realtime()
        return clock.boottime()

    def arm(self) -> None:
        """Set the machine's timer to `expires`."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.expires:
            monotonic = self.machine.clock.monotonic()
            deadline = monotonic + self.expires - self.now()
            self.timer = self.machine.timers.add(deadline, self)

    def expire(self, now: int) -> None:
        """TimerTarget protocol."""
        self.timer = None
        self.expired = True
        self.ticks += 1
        self.wqh.wake_all(POLLIN)

    def forward(self) -> None:
        """Count the periods since the last expiry and arm the next one."""
        if not (self.expired and self.interval):
            return
        self.expired = False
        passed = max((self.now() - self.expires) // self.interval + 1, 1)
        self.ticks += passed - 1
        self.expires += passed * self.interval
        self.arm()

    def remaining(self) -> int:
        """ns until the next expiry, 0 if disarmed or over."""
        return max(self.expires - self.now(), 0) if self.timer is not None else 0

    def wake(self, queue: WaitQueue, key: int) -> None:
        """Waiter protocol: CLOCK_REALTIME has jumped."""
        if self.timer is not None:
            self.arm()
        if self.cancel_on_set:
            self.canceled = True
            self.wqh.wake_all(POLLIN)


class TimerfdFileOperations(AnonFileOperations):
    """timerfd_fops."""

    __slots__ = ()

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        if buf.length < 8:
            raise EINVAL
        ctx: TimerfdCtx = file.private_data
        if ctx.canceled:
            ctx.canceled = False
            ctx.ticks = 0
            raise ECANCELED
        if not ctx.ticks:
            if file.f_flags & O_NONBLOCK:
                raise EAGAIN
            wait_on(task, ctx.wqh, why="timerfd_read")
        ctx.forward()
        ticks, ctx.ticks = ctx.ticks, 0
        ctx.expired = False
        return put_u64(buf, ticks)

    def poll(self, task: Task, file: File) -> int:
        ctx: TimerfdCtx = file.private_data
        return POLLIN if ctx.ticks or ctx.canceled else 0

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...]:
        return (file.private_data.wqh,)

    def release(self, file: File) -> None:
        ctx: TimerfdCtx = file.private_data
        if ctx.timer is not None:
            ctx.timer.cancel()
            ctx.timer = None
        clock_was_set_queue(ctx.machine).remove(ctx)

    def fdinfo(self, file: File) -> str:
        ctx: TimerfdCtx = file.private_data
        left, every = divmod(ctx.remaining(), NSEC_PER_SEC), divmod(ctx.interval, NSEC_PER_SEC)
        return (
            f"clockid: {ctx.clockid}\nticks: {ctx.ticks}\n"
            f"settime flags: 0{ctx.settime_flags:o}\n"
            f"it_value: ({left[0]}, {left[1]})\nit_interval: ({every[0]}, {every[1]})\n"
        )


TIMERFD_FOPS: Final = TimerfdFileOperations()


@syscall
def timerfd_create(task: Task, clockid: Int, flags: Flags) -> int:
    """Make a timer file. Errors: EINVAL, EPERM (alarm clocks), EMFILE, ENFILE."""
    if flags & ~(TFD_CLOEXEC | TFD_NONBLOCK) or clockid not in _CLOCKS:
        raise EINVAL
    if clockid in _ALARMS and not task.cred.capable(CAP_WAKE_ALARM):
        raise EPERM
    ctx = TimerfdCtx(task.machine, clockid)
    nonblock = O_NONBLOCK if flags & TFD_NONBLOCK else 0
    cloexec = bool(flags & TFD_CLOEXEC)
    return anon_inode_getfd(task, b"[timerfd]", TIMERFD_FOPS, ctx, O_RDWR | nonblock, cloexec)


def _context(task: Task, fd: int) -> TimerfdCtx:
    file = task.files.fd.get(fd)
    if file is None or file.f_mode & FMODE_PATH:
        raise EBADF
    if file.f_op is not TIMERFD_FOPS:
        raise EINVAL
    ctx: TimerfdCtx = file.private_data
    return ctx


def _ns(spec: Timespec) -> int:
    if spec.tv_sec < 0 or not 0 <= spec.tv_nsec < NSEC_PER_SEC:
        raise EINVAL
    return min(spec.tv_sec * NSEC_PER_SEC + spec.tv_nsec, _KTIME_MAX)


def _current(ctx: TimerfdCtx) -> Itimerspec:
    ctx.forward()
    return Itimerspec(
        Timespec(*divmod(ctx.interval, NSEC_PER_SEC)),
        Timespec(*divmod(ctx.remaining(), NSEC_PER_SEC)),
    )


@syscall
def timerfd_settime(
    task: Task, ufd: Fd, flags: Flags, utmr: In[Itimerspec], otmr: Out[Itimerspec]
) -> int:
    """Arm or disarm a timer. Errors: EBADF, EFAULT, EINVAL."""
    fetch_first(utmr)
    if flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET):
        raise EINVAL
    value, interval = _ns(utmr.it_value), _ns(utmr.it_interval)
    ctx = _context(task, ufd)
    old = _current(ctx)
    ctx.settime_flags = flags
    ctx.expired = ctx.canceled = False
    ctx.ticks = 0
    ctx.interval = interval
    timens = task.nsproxy.time
    if value and not flags & TFD_TIMER_ABSTIME:
        value += ctx.now()
    elif value and timens is not None and ctx.clockid not in _REALTIME:
        value = max(value - timens.offset(ctx.clockid), 1)
    ctx.expires = value
    _watch_clock(ctx, flags)
    ctx.arm()
    if otmr:
        otmr.put(old)
    return 0


def _watch_clock(ctx: TimerfdCtx, flags: int) -> None:
    """Absolute timers of CLOCK_REALTIME follow the clock when it is set."""
    queue = clock_was_set_queue(ctx.machine)
    absolute = bool(ctx.clockid in _REALTIME and flags & TFD_TIMER_ABSTIME)
    ctx.cancel_on_set = absolute and bool(flags & TFD_TIMER_CANCEL_ON_SET)
    if absolute and (ctx.expires or ctx.cancel_on_set):
        queue.add(ctx)
    else:
        queue.remove(ctx)


@syscall
def timerfd_gettime(task: Task, ufd: Fd, otmr: Out[Itimerspec]) -> int:
    """The time until the next expiry, and the period. Errors: EBADF, EFAULT, EINVAL."""
    otmr.put(_current(_context(task, ufd)))
    return 0
