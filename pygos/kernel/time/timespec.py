# SPDX-License-Identifier: Apache-2.0
"""Between the ABI's seconds with a fraction and the kernel's nanoseconds."""

from __future__ import annotations

from typing import Final

from pygos.include.errno import EINVAL
from pygos.include.uapi.time import NSEC_PER_SEC, Timespec, Timeval

#: The largest time that the kernel can count, ns (KTIME_MAX); longer ones are cut to it.
KTIME_MAX: Final = (1 << 63) - 1
KTIME_SEC_MAX: Final = KTIME_MAX // NSEC_PER_SEC


def timespec_ns(ts: Timespec) -> int:
    """ns of a valid, non-negative timespec; EINVAL for others."""
    sec = ts.tv_sec
    if sec < 0 or not 0 <= ts.tv_nsec < NSEC_PER_SEC:
        raise EINVAL
    return KTIME_MAX if sec >= KTIME_SEC_MAX else sec * NSEC_PER_SEC + ts.tv_nsec


def timeval_ns(tv: Timeval) -> int:
    """ns of a valid, non-negative timeval; EINVAL for others."""
    sec = tv.tv_sec
    if sec < 0 or not 0 <= tv.tv_usec < 1_000_000:
        raise EINVAL
    return KTIME_MAX if sec >= KTIME_SEC_MAX else sec * NSEC_PER_SEC + tv.tv_usec * 1000


def to_timespec(ns: int) -> Timespec:
    """The timespec of ns."""
    return Timespec(ns // NSEC_PER_SEC, ns % NSEC_PER_SEC)


def to_timeval(ns: int) -> Timeval:
    """The timeval of ns, cut to microseconds."""
    return Timeval(ns // NSEC_PER_SEC, ns % NSEC_PER_SEC // 1000)
