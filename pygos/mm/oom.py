# SPDX-License-Identifier: Apache-2.0
"""The out-of-memory killer (mm/oom_kill.c).

When nothing can be reclaimed the process with the most memory, shifted by its
oom_score_adj, gets SIGKILL, and what it has mapped anonymously is taken at once (the reaper):
it never runs in user mode again, and an allocation that waits can go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import ENOMEM
from pygos.include.linux.mm_types import PTE_ANON
from pygos.include.linux.sched import TaskState

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

OOM_SCORE_ADJ_MIN = -1000
_SIGKILL_BIT = 1 << 8


class OutOfMemory(ENOMEM):
    """No frame could be had, and the killer has already been asked."""


def oom_badness(task: Task, total: int) -> int:
    """Points of a process in pages: memory and adjustment; 0 if it must not be killed."""
    mm = task.mm
    adj = task.group.oom_score_adj
    if mm is None or adj == OOM_SCORE_ADJ_MIN or mm.oom_reaped:
        return 0
    rss = mm.rss_anon + mm.rss_file + mm.rss_shmem
    return max(rss + adj * total // 1000, 1)


def _users(machine: Machine) -> list[Task]:
    """One live task with memory of each process, but init."""
    tasks = machine.pids.tasks.values()
    return [task for task in tasks if task.tgid != 1 and task.mm is not None and task.alive]


def _kill(machine: Machine, mm: Mm) -> None:
    """SIGKILL to every task that uses the mm."""
    for task in tuple(machine.pids.tasks.values()):
        if task.mm is not mm or not task.alive:
            continue
        task.pending.mask |= _SIGKILL_BIT
        task.notify = True
        if task.state is TaskState.RUNNING:
            machine.sched.kick(task)
        elif task.state in (TaskState.STOPPED, TaskState.TRACED):
            task.state = TaskState.RUNNING
            machine.sched.add(task)
        else:
            machine.sched.wake_up(task)


def _reap(mm: Mm) -> int:
    """Take the anonymous frames of a killed mm; how many references were dropped."""
    space = mm.space
    pt = mm.pt
    gone = [vpn for vpn, pte in pt.items() if pte & PTE_ANON]
    if not gone:
        return 0
    first, last = min(gone), max(gone)
    space.unmap(first << 12, last - first + 1)
    space.sync()
    mm.zone.put_many([pt.pop(vpn) >> 12 for vpn in gone])
    mm.rss_anon = 0
    # What else lay in the unmapped range is refilled by faults, if ever.
    mm.forget_hosted()
    return len(gone)


def out_of_memory(machine: Machine, current: Mm | None = None) -> bool:
    """Kill the worst process. True if its memory has been freed already.

    The memory of `current`, whose call is being handled, is only freed when it exits. While a
    killed process is still on its way out nobody else is killed.
    """
    total = machine.zone.pages
    victim = max(_users(machine), key=lambda task: oom_badness(task, total), default=None)
    if victim is None or victim.mm is None or oom_badness(victim, total) == 0:
        return False
    mm = victim.mm
    if victim.pending.mask & _SIGKILL_BIT and mm is current:
        return False
    comm = victim.comm.decode("utf-8", "replace")
    rss = mm.rss_anon + mm.rss_file + mm.rss_shmem
    machine.printk.err(
        f"Out of memory: Killed process {victim.tgid} ({comm}) total-vm:{mm.total_vm * 4}kB, "
        f"anon-rss:{mm.rss_anon * 4}kB, file-rss:{mm.rss_file * 4}kB, "
        f"shmem-rss:{mm.rss_shmem * 4}kB, UID:{victim.cred.uid} "
        f"oom_score_adj:{victim.group.oom_score_adj} ({rss * 4}kB)"
    )
    _kill(machine, mm)
    if mm is current:
        return False
    mm.oom_reaped = True
    return _reap(mm) > 0


class OomKiller:
    """The zone's OOM handler."""

    __slots__ = ("machine",)

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def out_of_memory(self) -> bool:
        return out_of_memory(self.machine, self.machine.zone.current)
