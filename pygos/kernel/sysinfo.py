# SPDX-License-Identifier: Apache-2.0
"""sysinfo(2): memory, load, number of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.linux.platform import PAGE_SIZE
from pygos.include.linux.syscalls import Out, syscall
from pygos.include.uapi.sysinfo import SI_LOAD_SHIFT, Sysinfo
from pygos.include.uapi.time import CLOCK_BOOTTIME
from pygos.kernel.time.clocks import clock_read

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_SEC: Final = 1_000_000_000


@syscall
def sysinfo(task: Task, info: Out[Sysinfo]) -> int:
    """What the machine has and uses. sysinfo(2). Errors: EFAULT."""
    machine = task.machine
    zone = machine.zone
    answer = Sysinfo(
        uptime=-(-clock_read(task, CLOCK_BOOTTIME) // _SEC),
        loads=tuple([int(load * (1 << SI_LOAD_SHIFT)) for load in machine.loadavg]),
        totalram=machine.ram.pages * PAGE_SIZE,
        freeram=zone.nr_free * PAGE_SIZE,
        sharedram=zone.nr_shmem * PAGE_SIZE,
        procs=min(len(machine.pids.tasks), 0xFFFF),
        mem_unit=1,
    )
    info.put(answer)
    return 0
