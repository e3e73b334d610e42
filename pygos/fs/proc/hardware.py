# SPDX-License-Identifier: Apache-2.0
"""Files about the kernel's parts and the hardware: consoles, modules, zones, interrupts ..."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.synthetic import Node, SyntheticDir, synthetic
from pygos.include.errno import EIO
from pygos.include.linux.sched import SigInfo, TaskState
from pygos.include.uapi.capability import CAP_SYSLOG
from pygos.include.uapi.major import CONSOLE_MINOR, TTYAUX_MAJOR

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.mm.page_alloc import Zone

_SOFTIRQS: Final = (
    "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
)  # fmt: skip
_SIGTERM, _SIGKILL = 15, 9


@synthetic("consoles")
def consoles(task: Task, target: Any) -> str:
    """Where the kernel's messages could be seen: the host's terminal, if the run has it."""
    tty = getattr(task.machine.tty, "console", None)
    if tty is None:
        return ""
    return f"{'console0':<20} RW- (EC  p  ) {TTYAUX_MAJOR:4d}:{CONSOLE_MINOR}\n"


@synthetic("misc")
def misc(task: Task, target: Any) -> str:
    """Devices of major 10 that drivers have named."""
    names: dict[int, str] = task.machine.misc.get("misc_names", {})
    return "".join([f"{minor:3d} {name}\n" for minor, name in names.items()])


@synthetic("softirqs")
def softirqs(task: Task, target: Any) -> str:
    """Deferred work by kind and CPU: here all is done at once."""
    count = task.machine.nr_cpus
    head = " " * 20 + "".join([f"CPU{cpu:<8d}" for cpu in range(count)]) + "\n"
    zeros = f" {0:10d}" * count
    return head + "".join([f"{name:>12}:{zeros}\n" for name in _SOFTIRQS])


@synthetic("modules")
def modules(task: Task, target: Any) -> str:
    """Loaded modules: none."""
    return ""


@synthetic("dma")
def dma(task: Task, target: Any) -> str:
    """DMA channels in use: there are none."""
    return ""


@synthetic("ioports")
def ioports(task: Task, target: Any) -> str:
    """There are no ports."""
    return ""


@synthetic("iomem")
def iomem(task: Task, target: Any) -> str:
    """Physical memory; addresses are for root."""
    end = (task.machine.ram.pages << 12) - 1 if task.cred.capable(CAP_SYSLOG) else 0
    return f"{0:08x}-{end:08x} : System RAM\n"


@synthetic("kallsyms")
def kallsyms(task: Task, target: Any) -> str:
    """The entry points of system calls. They have no addresses: 0, as hidden ones have."""
    names = sorted({getattr(handler, "__name__", "") for handler in task.machine.syscalls})
    return "".join([f"{0:016x} T __x64_sys_{name.strip('_')}\n" for name in names if name])


# -- memory


_MIGRATE_TYPES: Final = ("Unmovable", "Movable", "Reclaimable")


@synthetic("pagetypeinfo", 0o400)
def pagetypeinfo(task: Task, target: Any) -> str:
    """Free blocks by migrate type and order."""
    zone = task.machine.zone
    orders = len(zone.free_area)
    head = "Page block order: 9\nPages per block:  512\n\n"
    head += f"{'Free pages count per migrate type at order':<43}"
    head += " ".join([f"{order:6d}" for order in range(orders)]) + " \n"
    rows = []
    for place, name in enumerate(_MIGRATE_TYPES):
        counts = " ".join([f"{len(types[place]):6d}" for types in zone.free_area])
        rows.append(f"Node {0:4d}, zone {'Normal':>8}, type {name:>12} {counts} \n")
    return head + "".join(rows)


def _node_stats(machine: Machine) -> tuple[tuple[str, int], ...]:
    from pygos.fs.proc.system import memory_totals

    zone = machine.zone
    anon, mapped, tables, locked = memory_totals(machine)
    return (
        ("nr_inactive_anon", 0), ("nr_active_anon", anon + zone.nr_shmem),
        ("nr_inactive_file", zone.nr_file - zone.nr_shmem), ("nr_active_file", 0),
        ("nr_unevictable", locked), ("nr_anon_pages", anon), ("nr_mapped", mapped),
        ("nr_file_pages", zone.nr_file), ("nr_dirty", sum(len(m.dirty) for m in zone.lru)),
        ("nr_writeback", 0), ("nr_shmem", zone.nr_shmem), ("nr_page_table_pages", tables),
    )  # fmt: skip


@synthetic("zoneinfo", 0o400)
def zoneinfo(task: Task, target: Any) -> str:
    """The zones of memory: one."""
    machine = task.machine
    zone: Zone = machine.zone
    pages = machine.ram.pages
    stats = "".join([f"\n      {name:<12} {value}" for name, value in _node_stats(machine)])
    lines = [f"Node 0, zone   Normal\n  per-node stats{stats}\n  pages free     {zone.nr_free}"]
    rows = (
        ("boost", 0), ("min", zone.min_wmark), ("low", zone.low_wmark), ("high", zone.high_wmark),
        ("spanned", pages), ("present", pages), ("managed", pages), ("cma", 0),
    )  # fmt: skip
    lines += [f"        {name:<8} {value}" for name, value in rows]
    lines += [
        "        protection: (0)",
        f"      {'nr_free_pages':<12} {zone.nr_free}",
        "  pagesets",
    ]
    for cpu in range(machine.nr_cpus):
        count = sum(len(hot) for hot in zone.pcp) if not cpu else 0
        lines.append(f"    cpu: {cpu}\n              count:    {count}")
    return "\n".join([*lines, "  node_unreclaimable:  0", "  start_pfn:           0"]) + "\n"


# -- sysrq


@synthetic("sysrq-trigger", 0o200)
def sysrq(task: Task, target: Any) -> str:
    """Write only."""
    raise EIO


@sysrq.setter
def _sysrq(task: Task, target: Any, data: bytes) -> None:
    """The first character says what to do, as with the key combination."""
    machine = task.machine
    key = data[:1]
    action = _SYSRQ.get(key)
    if action is None:
        machine.printk.info(
            "sysrq: HELP : reboot(b) terminate-all-tasks(e) kill-all-tasks(i) "
            "show-memory-usage(m) poweroff(o) sync(s) show-task-states(t)"
        )
        return
    machine.printk.info(f"sysrq: {action}")
    if key in b"bo":
        machine.exit_status = 0
    elif key in b"ei":
        _signal_all(machine, _SIGTERM if key == b"e" else _SIGKILL)
    elif key == b"m":
        machine.printk.info(f"{machine.ram.pages} pages RAM, {machine.zone.nr_free} free")
    elif key == b"t":
        for each in machine.pids.tasks.values():
            name = each.comm.decode("utf-8", "replace")
            state = TaskState(each.state).name
            machine.printk.info(f"task:{name} state:{state} pid:{each.pid} {each.wchan}")


_SYSRQ: Final = {
    b"b": "Resetting", b"e": "Terminate All Tasks", b"i": "Kill All Tasks", b"m": "Show Memory",
    b"o": "Power Off", b"s": "Emergency Sync", b"t": "Show State",
}  # fmt: skip


def _signal_all(machine: Machine, signo: int) -> None:
    from pygos.kernel.signal import send_sig_info

    for target in tuple(machine.pids.tasks.values()):
        if target.mm is not None and target.group.leader is target:
            send_sig_info(target, SigInfo(signo, 0x80), True)


HARDWARE_NODES: Final[tuple[Node, ...]] = (
    consoles, dma, SyntheticDir("driver"), SyntheticDir("fs"), iomem, ioports,
    SyntheticDir("irq"), kallsyms, misc, modules, pagetypeinfo, softirqs, sysrq, zoneinfo,
)  # fmt: skip
