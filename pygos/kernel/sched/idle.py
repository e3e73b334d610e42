# SPDX-License-Identifier: Apache-2.0
"""What CPUs do: their time in user mode, in the kernel and idle (the columns of /proc/stat).

The idle class has no tasks: a CPU that nobody wants is just not given to anybody, and what
it has not been used for since boot is its idle time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.kernel.sched.core import Sched

USER: Final = 0
NICE: Final = 1
SYSTEM: Final = 2


class CpuStat:
    """One CPU's counters."""

    __slots__ = ("runs", "times", "waited")

    def __init__(self) -> None:
        #: ns by USER, NICE, SYSTEM.
        self.times = [0, 0, 0]
        #: How often a task got it (of those that have left it).
        self.runs = 0
        #: How long tasks have waited before they got it, ns.
        self.waited = 0


def in_flight(task: Task, now: int) -> int:
    """What a task on a CPU has used since it was last accounted, ns."""
    return max(0, now - task.last_run) if task.on_cpu else 0


def cpu_times(machine: Machine) -> list[tuple[int, int, int, int]]:
    """(user, nice, system, idle) of each CPU since boot, to this moment, ns."""
    sched: Sched = machine.sched  # type: ignore[assignment]
    for task in machine.pids.tasks.values():
        if task.se is not None:
            sched.account(task)
    now, up = machine.clock.monotonic(), machine.clock.boottime()
    rows = [list(stat.times) for stat in sched.cpu_stats]
    for task in sched.running:
        rows[task.cpu_nr][NICE if task.nice > 0 else USER] += in_flight(task, now)
    return [(u, n, s, max(0, up - u - n - s)) for u, n, s in rows]
