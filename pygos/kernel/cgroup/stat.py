# SPDX-License-Identifier: Apache-2.0
"""cpu.stat (kernel/cgroup/rstat.c, kernel/sched/core.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.kernel.cgroup.attach import cpu_times

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
    """What all tasks of the machine have used that are there or were, ns."""
    utime = stime = nice = 0
    for task in cgroup.machine.pids.tasks.values():
        utime += task.utime
        stime += task.stime
        if task.nice > 0:
            nice += task.utime
        group = task.group
        if group.leader is task:
            utime += group.utime + group.children_utime
            stime += group.stime + group.children_stime
    return utime, stime, nice
