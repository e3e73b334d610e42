# SPDX-License-Identifier: Apache-2.0
"""cpu.stat (kernel/cgroup/rstat.c, kernel/sched/core.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.kernel.cgroup.attach import cpu_times
from pygos.kernel.sched import idle

if TYPE_CHECKING:
    from pygos.kernel.cgroup.core import Cgroup


def cpu_stat_lines(cgroup: Cgroup) -> list[tuple[str, int]]:
    """Names and values, times in us."""
    utime, stime, nice = machine_times(cgroup) if cgroup.parent is None else cpu_times(cgroup)
    utime, stime, nice = utime // 1000, stime // 1000, nice // 1000
    lines = [
        ("usage_usec", utime + stime), ("user_usec", utime), ("system_usec", stime),
        ("nice_usec", nice),
    ]  # fmt: skip
    css = cgroup.cpu if "cpu" in cgroup.own else None
    if css is not None:
        group = css.group
        lines += [
            ("nr_periods", group.nr_periods),
            ("nr_throttled", group.nr_throttled),
            ("throttled_usec", group.throttled_ns // 1000),
            ("nr_bursts", group.nr_bursts),
            ("burst_usec", group.burst_time // 1000),
        ]
    return lines


def machine_times(cgroup: Cgroup) -> tuple[int, int, int]:
    """User, system and nice time of the whole machine, ns (nice time is part of user time)."""
    rows = idle.cpu_times(cgroup.machine)
    nice = sum([row[idle.NICE] for row in rows])
    user = sum([row[idle.USER] for row in rows])
    return user + nice, sum([row[idle.SYSTEM] for row in rows]), nice
