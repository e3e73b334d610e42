# SPDX-License-Identifier: Apache-2.0
"""What the OOM killer prints: who asked, how memory stands, all candidates, and the choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.mm.memcontrol import MemCgroup
    from pygos.mm.mm import Mm

#: Only so many candidates are listed: the log is finite.
_MAX_TASKS = 200
_TABLE_HEAD = (
    "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes "
    "swapents oom_score_adj name"
)


def name_of(task: Task) -> str:
    """The name as it is logged."""
    return task.comm.decode("utf-8", "replace")


def pgtables_bytes(mm: Mm) -> int:
    """What page tables would take: 8 bytes a page in whole tables, and the upper levels."""
    return ((len(mm.pt) + 511) // 512 + 3) << 12


def dump_header(
    machine: Machine, users: list[Task], victim: Task, current: Mm | None,
    memcg: MemCgroup | None,
) -> None:  # fmt: skip
    """Everything but the line about the kill itself."""
    log = machine.printk.warn
    asker = current.owner if current is not None and current.owner is not None else victim
    gfp = "0xcc0(GFP_KERNEL)" if memcg is not None else "0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP)"
    adj = asker.group.oom_score_adj
    log(f"{name_of(asker)} invoked oom-killer: gfp_mask={gfp}, order=0, oom_score_adj={adj}")
    if memcg is None:
        _show_mem(machine)
    else:
        _show_memcg(machine, memcg)
    log("Tasks state (memory values in pages):")
    log(_TABLE_HEAD)
    for task in users[:_MAX_TASKS]:
        _show_task(machine, task)
    _show_choice(machine, victim, memcg)


def _show_mem(machine: Machine) -> None:
    zone = machine.zone
    log = machine.printk.warn
    anon = zone.pages - zone.nr_free - zone.nr_file
    log("Mem-Info:")
    log(
        f"active_anon:0 inactive_anon:{anon + zone.nr_shmem} file:{zone.nr_file} "
        f"shmem:{zone.nr_shmem} free:{zone.nr_free}"
    )
    log(
        f"Normal free:{zone.nr_free * 4}kB min:{zone.min_wmark * 4}kB "
        f"low:{zone.low_wmark * 4}kB high:{zone.high_wmark * 4}kB present:{zone.pages * 4}kB"
    )
    log(f"{zone.nr_file} total pagecache pages")
    log(f"{zone.pages} pages RAM")


def _show_memcg(machine: Machine, memcg: MemCgroup) -> None:
    from pygos.mm.memcg_stat import stat_lines
    from pygos.mm.memcontrol import PAGE_COUNTER_MAX

    log = machine.printk.info
    top = PAGE_COUNTER_MAX * 4
    failed = memcg.events_local["max"]
    log(f"memory: usage {memcg.usage * 4}kB, limit {memcg.max * 4}kB, failcnt {failed}")
    log(f"swap: usage 0kB, limit {min(memcg.swap_max * 4, top)}kB, failcnt 0")
    log(f"Memory cgroup stats for {memcg.owner.path()}:")
    for name, value in stat_lines(memcg):
        log(f"{name} {value}")


def _show_task(machine: Machine, task: Task) -> None:
    mm = task.mm
    if mm is None:
        return
    rss = mm.rss_anon + mm.rss_file + mm.rss_shmem
    machine.printk.info(
        f"[{task.pid:7d}] {task.cred.uid:5d} {task.tgid:5d} {mm.total_vm:8d} {rss:8d} "
        f"{mm.rss_anon:8d} {mm.rss_file:8d} {mm.rss_shmem:9d} {pgtables_bytes(mm):8d} {0:8d} "
        f"        {task.group.oom_score_adj:5d} {name_of(task)}"
    )


def _show_choice(machine: Machine, victim: Task, memcg: MemCgroup | None) -> None:
    mm = victim.mm
    path = mm.memcg.owner.path() if mm is not None and mm.memcg is not None else "/"
    if memcg is None:
        kind, where = "CONSTRAINT_NONE", "global_oom"
    else:
        kind, where = "CONSTRAINT_MEMCG", f"oom_memcg={memcg.owner.path()}"
    machine.printk.info(
        f"oom-kill:constraint={kind},nodemask=(null),cpuset=/,mems_allowed=0,{where},"
        f"task_memcg={path},task={name_of(victim)},pid={victim.pid},uid={victim.cred.uid}"
    )


def report_kill(machine: Machine, victim: Task, mm: Mm, memcg: MemCgroup | None) -> None:
    """The line everybody looks for."""
    what = "Out of memory" if memcg is None else "Memory cgroup out of memory"
    machine.printk.err(
        f"{what}: Killed process {victim.tgid} ({name_of(victim)}) "
        f"total-vm:{mm.total_vm * 4}kB, anon-rss:{mm.rss_anon * 4}kB, "
        f"file-rss:{mm.rss_file * 4}kB, shmem-rss:{mm.rss_shmem * 4}kB, "
        f"UID:{victim.cred.uid} pgtables:{pgtables_bytes(mm) >> 10}kB "
        f"oom_score_adj:{victim.group.oom_score_adj}"
    )
