# SPDX-License-Identifier: Apache-2.0
"""Clocks, timers and their structs: linux/time.h, linux/timerfd.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, c_int, c_long, zeroed

CLOCK_REALTIME: Final = 0
CLOCK_MONOTONIC: Final = 1
CLOCK_PROCESS_CPUTIME_ID: Final = 2
CLOCK_THREAD_CPUTIME_ID: Final = 3
CLOCK_MONOTONIC_RAW: Final = 4
CLOCK_REALTIME_COARSE: Final = 5
CLOCK_MONOTONIC_COARSE: Final = 6
CLOCK_BOOTTIME: Final = 7
CLOCK_REALTIME_ALARM: Final = 8
CLOCK_BOOTTIME_ALARM: Final = 9
CLOCK_SGI_CYCLE: Final = 10
CLOCK_TAI: Final = 11
MAX_CLOCKS: Final = 16

ITIMER_REAL: Final = 0
ITIMER_VIRTUAL: Final = 1
ITIMER_PROF: Final = 2

TIMER_ABSTIME: Final = 0x01

TFD_TIMER_ABSTIME: Final = 1 << 0
TFD_TIMER_CANCEL_ON_SET: Final = 1 << 1
TFD_CLOEXEC: Final = 0o2000000
TFD_NONBLOCK: Final = 0o4000

NSEC_PER_SEC: Final = 1_000_000_000
NSEC_PER_MSEC: Final = 1_000_000
NSEC_PER_USEC: Final = 1_000
USEC_PER_SEC: Final = 1_000_000

#: utimensat(2): set to now, leave alone.
UTIME_NOW: Final = (1 << 30) - 1
UTIME_OMIT: Final = (1 << 30) - 2

#: Ticks per second of times(2), /proc/<pid>/stat and acct(2).
USER_HZ: Final = 100


class Timespec(CStruct):
    """struct timespec, struct __kernel_timespec."""

    tv_sec: c_long = 0
    tv_nsec: c_long = 0


class Timeval(CStruct):
    """struct timeval, struct __kernel_old_timeval."""

    tv_sec: c_long = 0
    tv_usec: c_long = 0


class Timezone(CStruct):
    """struct timezone: minutes west of Greenwich and a kind of DST nobody uses."""

    tz_minuteswest: c_int = 0
    tz_dsttime: c_int = 0


class Itimerspec(CStruct):
    """struct itimerspec of timer_settime(2) and timerfd_settime(2)."""

    it_interval: Timespec = zeroed(Timespec)
    it_value: Timespec = zeroed(Timespec)


class Itimerval(CStruct):
    """struct itimerval of setitimer(2)."""

    it_interval: Timeval = zeroed(Timeval)
    it_value: Timeval = zeroed(Timeval)


class Utimbuf(CStruct):
    """struct utimbuf of utime(2), seconds."""

    actime: c_long = 0
    modtime: c_long = 0
