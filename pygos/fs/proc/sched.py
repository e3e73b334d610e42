# SPDX-License-Identifier: Apache-2.0
"""What the scheduler shows: CPU times and load of the machine, its part in a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.synthetic import synthetic
from pygos.include.uapi.time import CLOCK_BOOTTIME, USER_HZ
from pygos.kernel.sched.idle import cpu_times
from pygos.kernel.time.clocks import clock_read
from pygos.kernel.time.cputime import task_cputime

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.kernel.sched.core import Sched

_SEC: Final = 1_000_000_000
_TICK: Final = _SEC // USER_HZ
#: ns in a tick of the kernel (CONFIG_HZ 250).
_JIFFY: Final = 4_000_000


def _sched(machine: Machine) -> Sched:
    sched: Sched = machine.sched  # type: ignore[assignment]
    return sched


@synthetic("uptime")
def uptime(task: Task, target: Any) -> str:
    """Seconds since boot, and idle seconds of all CPUs."""
    machine = task.machine
    up = clock_read(task, CLOCK_BOOTTIME) // (_SEC // 100)
    idle = sum(times[3] for times in cpu_times(machine)) // (_SEC // 100)
    return f"{up // 100}.{up % 100:02d} {idle // 100}.{idle % 100:02d}\n"


@synthetic("loadavg")
def loadavg(task: Task, target: Any) -> str:
    """Load of 1, 5 and 15 minutes; running and all tasks; the last process number."""
    machine = task.machine
    loads = " ".join([f"{load:.2f}" for load in machine.loadavg])
    tasks = machine.pids.tasks
    return f"{loads} {machine.sched.nr_running}/{len(tasks)} {machine.pids.last}\n"


@synthetic("stat")
def stat(task: Task, target: Any) -> str:
    """CPU time in ticks and counters since boot.

    Nothing waits for block devices: no iowait. Time that the host takes from the machine is
    not told from that of the task it hits: no steal.
    """
    machine = task.machine
    rows = cpu_times(machine)
    total = [sum(column) for column in zip(*rows, strict=True)]
    lines = [_cpu_line("cpu ", total)]
    lines += [_cpu_line(f"cpu{number}", list(row)) for number, row in enumerate(rows)]
    btime = (machine.clock.realtime() - clock_read(task, CLOCK_BOOTTIME)) // _SEC
    sched = _sched(machine)
    lines += [
        "intr 0", f"ctxt {sched.nr_switches}", f"btime {btime}",
        f"processes {machine.nr_forks}", f"procs_running {sched.nr_running}",
        "procs_blocked 0", "softirq 0 0 0 0 0 0 0 0 0 0 0",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _cpu_line(name: str, times: list[int]) -> str:
    user, nice, system, idle = (ns // _TICK for ns in times)
    return f"{name} {user} {nice} {system} {idle} 0 0 0 0 0 0"


@synthetic("schedstat")
def schedstat(task: Task, target: Any) -> str:
    """Version 15, without domains: ns that each CPU was used, ns that tasks waited for it."""
    machine = task.machine
    sched = _sched(machine)
    lines = ["version 15", f"timestamp {machine.clock.boottime() // _JIFFY}"]
    rows = zip(cpu_times(machine), sched.cpu_stats, strict=True)
    for number, (times, counts) in enumerate(rows):
        used = sum(times[:3])
        lines.append(f"cpu{number} 0 0 0 0 0 0 {used} {counts.waited} {counts.runs}")
    return "\n".join(lines) + "\n"


@synthetic("schedstat")
def pid_schedstat(task: Task, target: Task) -> str:
    """ns on a CPU, ns of waiting for one, how often it got one."""
    used, entity = sum(task_cputime(target)), target.se
    if entity is None:
        return f"{used} 0 0\n"
    return f"{used} {entity.run_delay} {entity.run_count}\n"


@synthetic("sched", 0o644)
def pid_sched(task: Task, target: Task) -> str:
    """The task as the scheduler sees it; times in ms."""
    comm = target.comm.decode("utf-8", "replace")
    head = f"{comm} ({target.pid}, #threads: {len(target.group.threads)})"
    lines = [head, "-" * 67]
    lines += [f"{name:<45}:{value:>21}" for name, value in _sched_rows(target)]
    return "\n".join(lines) + "\n"


def _sched_rows(target: Task) -> list[tuple[str, str]]:
    entity = target.se
    used = sum(task_cputime(target))
    prio = 99 - target.prio if target.prio else 120 + target.nice
    rows = [("se.exec_start", _ms(target.last_run))]
    if entity is not None:
        rows.append(("se.vruntime", _ms(entity.vruntime >> 10)))
    rows.append(("se.sum_exec_runtime", _ms(used)))
    if entity is not None:
        rows.append(("se.nr_migrations", str(entity.nr_migrations)))
    rows += [
        ("nr_switches", str(target.nvcsw + target.nivcsw)),
        ("nr_voluntary_switches", str(target.nvcsw)),
        ("nr_involuntary_switches", str(target.nivcsw)),
    ]
    if entity is not None:
        rows.append(("se.load.weight", str(entity.weight << 10)))
    rows += [("policy", str(target.policy & 0xFF)), ("prio", str(prio))]
    if target.dl is not None:
        rows += [("dl.runtime", str(target.dl.left)), ("dl.deadline", str(target.dl.due))]
    elif entity is not None:
        rows.append(("se.slice", str(entity.slice)))
    return rows


def _ms(ns: int) -> str:
    return f"{ns // 1_000_000}.{ns % 1_000_000:06d}"
