# SPDX-License-Identifier: Apache-2.0
"""Resource limits and usage: linux/resource.h, asm/resource.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, c_long, u64, zeroed
from pygos.include.uapi.time import Timeval

RUSAGE_SELF: Final = 0
RUSAGE_CHILDREN: Final = -1
RUSAGE_BOTH: Final = -2
RUSAGE_THREAD: Final = 1

PRIO_MIN: Final = -20
PRIO_MAX: Final = 20
PRIO_PROCESS: Final = 0
PRIO_PGRP: Final = 1
PRIO_USER: Final = 2

RLIM_INFINITY: Final = 0xFFFFFFFFFFFFFFFF

RLIMIT_CPU: Final = 0
RLIMIT_FSIZE: Final = 1
RLIMIT_DATA: Final = 2
RLIMIT_STACK: Final = 3
RLIMIT_CORE: Final = 4
RLIMIT_RSS: Final = 5
RLIMIT_NPROC: Final = 6
RLIMIT_NOFILE: Final = 7
RLIMIT_MEMLOCK: Final = 8
RLIMIT_AS: Final = 9
RLIMIT_LOCKS: Final = 10
RLIMIT_SIGPENDING: Final = 11
RLIMIT_MSGQUEUE: Final = 12
RLIMIT_NICE: Final = 13
RLIMIT_RTPRIO: Final = 14
RLIMIT_RTTIME: Final = 15
RLIM_NLIMITS: Final = 16

_STK_LIM: Final = 0x800000
MLOCK_LIMIT: Final = 0x800000


class Rlimit(CStruct):
    """struct rlimit and struct rlimit64."""

    rlim_cur: u64 = 0
    rlim_max: u64 = 0


class Rusage(CStruct):
    """struct rusage; ru_maxrss in KiB."""

    ru_utime: Timeval = zeroed(Timeval)
    ru_stime: Timeval = zeroed(Timeval)
    ru_maxrss: c_long = 0
    ru_ixrss: c_long = 0
    ru_idrss: c_long = 0
    ru_isrss: c_long = 0
    ru_minflt: c_long = 0
    ru_majflt: c_long = 0
    ru_nswap: c_long = 0
    ru_inblock: c_long = 0
    ru_oublock: c_long = 0
    ru_msgsnd: c_long = 0
    ru_msgrcv: c_long = 0
    ru_nsignals: c_long = 0
    ru_nvcsw: c_long = 0
    ru_nivcsw: c_long = 0
