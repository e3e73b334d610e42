# SPDX-License-Identifier: Apache-2.0
"""The out-of-memory killer (mm/oom_kill.c).

When nothing can be reclaimed the process with the most memory, shifted by its
oom_score_adj, gets SIGKILL, and what it has mapped anonymously is taken at once (the reaper):
it never runs in user mode again, and an allocation that waits can go on. A control group
that reaches its limit (mm/memcontrol.py) has one of its own killed, or all of them
(memory.oom.group). What is printed is in mm/oom_report.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import ENOMEM
from pygos.include.linux.mm_types import PTE_ANON
from pygos.include.linux.sched import TaskState

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.mm.memcontrol import MemCgroup
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


def _users(machine: Machine, memcg: MemCgroup | None) -> list[Task]:
    """One live task with memory of each process, but init; of a group if there is one."""
    tasks = machine.pids.tasks.values()
    users = [task for task in tasks if task.tgid != 1 and task.mm is not None and task.alive]
    if memcg is not None:
        users = [task for task in users if _charged_to(task, memcg)]
    return users


def _charged_to(task: Task, memcg: MemCgroup) -> bool:
    mm = task.mm
    return mm is not None and mm.memcg is not None and mm.memcg.within(memcg)


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


def out_of_memory(
    machine: Machine, current: Mm | None = None, memcg: MemCgroup | None = None
) -> bool:
    """Kill the worst process (of a group). True if its memory has been freed already.

    The memory of `current`, whose call is being handled, is only freed when it exits. While a
    killed process is still on its way out nobody else is killed.
    """
    from pygos.mm.oom_report import dump_header

    total = machine.zone.pages if memcg is None else min(memcg.max, machine.zone.pages)
    users = _users(machine, memcg)
    victim = max(users, key=lambda task: oom_badness(task, total), default=None)
    if victim is None or victim.mm is None or oom_badness(victim, total) == 0:
        return False
    if victim.pending.mask & _SIGKILL_BIT and victim.mm is current:
        return False
    dump_header(machine, users, victim, current, memcg)
    group = _oom_group(victim, memcg) if memcg is not None else None
    freed = _kill_process(machine, victim, current, memcg)
    if group is not None:
        machine.printk.err(
            f"Tasks in {group.owner.path()} are going to be killed due to memory.oom.group set"
        )
        group.event("oom_group_kill")
        for task in _users(machine, group):
            if task.mm is not None and oom_badness(task, total):
                freed = _kill_process(machine, task, current, memcg) or freed
    return freed


def _oom_group(victim: Task, memcg: MemCgroup) -> MemCgroup | None:
    """The highest group up to the one that is out of memory that dies as a whole."""
    assert victim.mm is not None
    found = None
    at = victim.mm.memcg
    while at is not None:
        if at.oom_group:
            found = at
        if at is memcg:
            break
        at = at.parent
    return found


def _kill_process(
    machine: Machine, victim: Task, current: Mm | None, memcg: MemCgroup | None
) -> bool:
    """End one process. True if its memory has been freed already."""
    from pygos.mm.oom_report import report_kill

    mm = victim.mm
    assert mm is not None
    report_kill(machine, victim, mm, memcg)
    if mm.memcg is not None:
        mm.memcg.event("oom_kill")
    _kill(machine, mm)
    if mm is current:
        return False
    mm.oom_reaped = True
    freed = _reap(mm) > 0
    machine.printk.info(
        f"oom_reaper: reaped process {victim.tgid} ({_name(victim)}), now anon-rss:0kB, "
        f"file-rss:{mm.rss_file * 4}kB, shmem-rss:{mm.rss_shmem * 4}kB"
    )
    return freed


def _name(task: Task) -> str:
    return task.comm.decode("utf-8", "replace")


class OomKiller:
    """The zone's OOM handler."""

    __slots__ = ("machine",)

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def out_of_memory(self) -> bool:
        return out_of_memory(self.machine, self.machine.zone.current)
