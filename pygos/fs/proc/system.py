# SPDX-License-Identifier: Apache-2.0
"""Files about the machine: memory, CPUs, load, devices (proc(5))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.char_dev import chrdev_names
from pygos.fs.locks import locks_text
from pygos.fs.proc.sched import loadavg, schedstat, stat, uptime
from pygos.fs.super import filesystems_text
from pygos.fs.synthetic import Node, Synthetic, SyntheticDir, SyntheticFileOperations, synthetic
from pygos.include.errno import EAGAIN, EPERM
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.capability import CAP_SYS_ADMIN, CAP_SYSLOG
from pygos.include.uapi.fcntl import O_NONBLOCK
from pygos.include.uapi.poll import POLLIN, POLLRDNORM
from pygos.include.uapi.time import USER_HZ
from pygos.include.uapi.version import UTS_RELEASE
from pygos.kernel.syslog import record_text
from pygos.kernel.utsname import UTS_VERSION

if TYPE_CHECKING:
    from pygos.include.linux.fs import File, Inode
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

_SEC: Final = 1_000_000_000
_TICK: Final = _SEC // USER_HZ
#: What x86-64 has for vmalloc, kB.
_VMALLOC_KB: Final = 34359738367
#: machine.misc: the first record that syslog(2) and /proc/kmsg have not given out.
_SYSLOG_SEQ: Final = "syslog_seq"


# -- memory


def memory_totals(machine: Machine) -> tuple[int, int, int, int]:
    """Pages of all processes: anonymous, mapped, page tables, locked."""
    mms = {id(t.mm): t.mm for t in machine.pids.tasks.values() if t.mm is not None}.values()
    return (
        sum(mm.rss_anon for mm in mms),
        sum(mm.rss_file + mm.rss_shmem for mm in mms),
        sum(-(-len(mm.pt) // 512) for mm in mms),
        sum(mm.locked_vm for mm in mms),
    )


@synthetic("meminfo")
def meminfo(task: Task, target: Any) -> str:
    """Memory in kB."""
    machine = task.machine
    zone = machine.zone
    anon, mapped, tables, locked = memory_totals(machine)
    files = zone.nr_file - zone.nr_shmem
    dirty = sum(len(mapping.dirty) for mapping in zone.lru)
    available = max(0, zone.nr_free - zone.low_wmark + files)
    ratio: int = machine.sysctl.get("vm.overcommit_ratio", 50)
    total = machine.ram.pages
    rows = (
        ("MemTotal", total), ("MemFree", zone.nr_free), ("MemAvailable", min(available, total)),
        ("Buffers", 0), ("Cached", zone.nr_file), ("SwapCached", 0),
        ("Active", anon + zone.nr_shmem), ("Inactive", files),
        ("Active(anon)", anon + zone.nr_shmem), ("Inactive(anon)", 0),
        ("Active(file)", 0), ("Inactive(file)", files), ("Unevictable", locked),
        ("Mlocked", locked), ("SwapTotal", 0), ("SwapFree", 0), ("Dirty", dirty),
        ("Writeback", 0), ("AnonPages", anon), ("Mapped", mapped), ("Shmem", zone.nr_shmem),
        ("KReclaimable", 0), ("Slab", 0), ("SReclaimable", 0), ("SUnreclaim", 0),
        ("KernelStack", 0), ("PageTables", tables), ("SecPageTables", 0),
        ("NFS_Unstable", 0), ("Bounce", 0),
        ("WritebackTmp", 0), ("CommitLimit", total * ratio // 100),
        ("Committed_AS", machine.commit_pages), ("VmallocTotal", 0),
        ("VmallocUsed", 0), ("VmallocChunk", 0), ("Percpu", 0), ("AnonHugePages", 0),
        ("ShmemHugePages", 0), ("ShmemPmdMapped", 0), ("FileHugePages", 0),
        ("FilePmdMapped", 0), ("Balloon", 0),
    )  # fmt: skip
    lines = [
        f"{name + ':':<16}{pages << 2 if name != 'VmallocTotal' else _VMALLOC_KB:8d} kB"
        for name, pages in rows
    ]
    lines += [f"{name + ':':<16}{0:8d}" for name in (
        "HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp",
    )]  # fmt: skip
    lines += [f"{'Hugepagesize:':<16}{2048:8d} kB", f"{'Hugetlb:':<16}{0:8d} kB"]
    lines.append(f"{'DirectMap4k:':<16}{total << 2:8d} kB")
    return "\n".join(lines) + "\n"


@synthetic("vmstat")
def vmstat(task: Task, target: Any) -> str:
    """Counters of memory management."""
    machine = task.machine
    zone = machine.zone
    tasks = machine.pids.tasks.values()
    anon, mapped, tables, locked = memory_totals(machine)
    read, written = (sum(getattr(t, name) for t in tasks) >> 10 for name in ("io_read", "io_write"))
    leaders = [t.group for t in tasks if t.group.leader is t]
    major = sum(t.maj_flt for t in tasks) + sum(g.maj_flt + g.cmaj_flt for g in leaders)
    minor = sum(t.min_flt for t in tasks) + sum(g.min_flt + g.cmin_flt for g in leaders)
    rows = (
        ("nr_free_pages", zone.nr_free), ("nr_mlock", locked), ("nr_inactive_anon", 0),
        ("nr_active_anon", anon + zone.nr_shmem),
        ("nr_inactive_file", zone.nr_file - zone.nr_shmem), ("nr_active_file", 0),
        ("nr_unevictable", locked), ("nr_slab_reclaimable", 0), ("nr_slab_unreclaimable", 0),
        ("nr_anon_pages", anon), ("nr_mapped", mapped), ("nr_file_pages", zone.nr_file),
        ("nr_dirty", sum(len(m.dirty) for m in zone.lru)), ("nr_writeback", 0),
        ("nr_shmem", zone.nr_shmem), ("nr_page_table_pages", tables), ("pgpgin", read),
        ("pgpgout", written), ("pswpin", 0), ("pswpout", 0),
        ("pgfault", minor + major), ("pgmajfault", major),
    )  # fmt: skip
    return "".join([f"{name} {value}\n" for name, value in rows])


@synthetic("buddyinfo")
def buddyinfo(task: Task, target: Any) -> str:
    """Free blocks by order."""
    orders = [sum(len(blocks) for blocks in types) for types in task.machine.zone.free_area]
    return "Node 0, zone   Normal " + "".join([f"{count:6d} " for count in orders]) + "\n"


@synthetic("swaps")
def swaps(task: Task, target: Any) -> str:
    """Swap areas."""
    return "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


# -- the kernel


@synthetic("version")
def version(task: Task, target: Any) -> str:
    """Which kernel this is."""
    return f"Linux version {UTS_RELEASE} (pygos@pygos) {UTS_VERSION}\n"


@synthetic("cmdline")
def cmdline(task: Task, target: Any) -> str:
    """The kernel's command line."""
    return task.machine.boot_cmdline + "\n"


@synthetic("cpuinfo")
def cpuinfo(task: Task, target: Any) -> str:
    """The CPUs, as the CPU instruction cpuid shows them to programs too."""
    machine = task.machine
    source = machine.host.get("cpu")
    fields: dict[str, str] = source.describe() if source is not None else {"model name": "unknown"}
    blocks = []
    for cpu in range(machine.nr_cpus):
        own = {
            "processor": str(cpu), **fields, "physical id": "0", "siblings": str(machine.nr_cpus),
            "core id": str(cpu), "cpu cores": str(machine.nr_cpus), "apicid": str(cpu),
            "initial apicid": str(cpu),
        }  # fmt: skip
        blocks.append("".join([_cpu_line(name, value) for name, value in own.items()]) + "\n")
    return "".join(blocks)


def _cpu_line(name: str, value: str) -> str:
    tabs = "\t" * (2 if len(name) < 8 else 1)
    return f"{name}{tabs}: {value}\n" if value else f"{name}{tabs}:\n"


@synthetic("cgroups")
def cgroups(task: Task, target: Any) -> str:
    """Controllers; all are in the version 2 hierarchy, number 0. cgroups(7)"""
    from pygos.kernel.cgroup.core import hierarchy

    count = hierarchy(task.machine).nr_cgroups
    head = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
    names = ("cpuset", "cpu", "cpuacct", "memory", "pids")
    return head + "".join([f"{name}\t0\t{count}\t1\n" for name in names])


@synthetic("filesystems")
def filesystems(task: Task, target: Any) -> str:
    """Kinds of file systems."""
    return filesystems_text(task.machine)


@synthetic("devices")
def devices(task: Task, target: Any) -> str:
    """Majors of devices and their drivers."""
    names = chrdev_names(task.machine)
    lines = [f"{number:3d} {names[number]}\n" for number in sorted(names)]
    return "Character devices:\n" + "".join(lines) + "\nBlock devices:\n"


@synthetic("partitions")
def partitions(task: Task, target: Any) -> str:
    """There are no block devices."""
    return ""


@synthetic("diskstats")
def diskstats(task: Task, target: Any) -> str:
    """There are no block devices."""
    return ""


@synthetic("interrupts")
def interrupts(task: Task, target: Any) -> str:
    """There are no interrupts: devices are called."""
    cpus = "".join([f"CPU{cpu:<8d}" for cpu in range(task.machine.nr_cpus)])
    return f"           {cpus}\n"


@synthetic("locks")
def locks(task: Task, target: Any) -> str:
    """File locks."""
    return locks_text(task.machine, task.pid_ns)


@synthetic("execdomains")
def execdomains(task: Task, target: Any) -> str:
    """Personalities."""
    return "0-0\tLinux           \t[kernel]\n"


@synthetic("drivers")
def tty_drivers(task: Task, target: Any) -> str:
    """Terminals: driver, node, major, minors, type."""
    rows = (
        ("/dev/tty", "/dev/tty", 5, "0", "system:/dev/tty"),
        ("/dev/console", "/dev/console", 5, "1", "system:console"),
        ("/dev/ptmx", "/dev/ptmx", 5, "2", "system"),
        ("pty_slave", "/dev/pts", 136, "0-1048575", "pty:slave"),
        ("pty_master", "/dev/ptm", 128, "0-1048575", "pty:master"),
    )
    return "".join([f"{r[0]:<20} {r[1]:<12} {r[2]:3d} {r[3]:>7} {r[4]}\n" for r in rows])


@synthetic("ldiscs")
def tty_ldiscs(task: Task, target: Any) -> str:
    """Line disciplines."""
    return "n_tty       0\n"


# -- the log


class KmsgFileOperations(SyntheticFileOperations):
    """The kernel log for one reader (klogd): records are gone once they were read."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        if not (task.cred.capable(CAP_SYSLOG) or task.cred.capable(CAP_SYS_ADMIN)):
            raise EPERM

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        machine = task.machine
        data, last = self._pending(machine, buf.length)
        if last < 0:
            if file.f_flags & O_NONBLOCK:
                raise EAGAIN
            log: Any = machine.printk
            wait_on(task, log.wait, why="syslog")
        machine.misc[_SYSLOG_SEQ] = last + 1
        return buf.put(data)

    @staticmethod
    def _pending(machine: Machine, room: int) -> tuple[bytes, int]:
        """Unread records that fit, and the number of the last one (-1: none)."""
        first = machine.misc.get(_SYSLOG_SEQ, 0)
        log: Any = machine.printk
        data, last = b"", -1
        for record in log.records:
            if record.seq < first:
                continue
            text = record_text(record)
            if data and len(data) + len(text) > room:
                break
            data += text[:room]
            last = record.seq
        return data, last

    def poll(self, task: Task, file: File) -> int:
        return POLLIN | POLLRDNORM if self._pending(task.machine, 1)[1] >= 0 else 0

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...] | None:
        log: Any = file.f_inode.i_sb.machine.printk
        return (log.wait,)


KMSG: Final = Synthetic("kmsg", 0o400, None, fop=KmsgFileOperations())

SYSTEM_NODES: Final[tuple[Node, ...]] = (
    buddyinfo, cgroups, cmdline, cpuinfo, devices, diskstats, execdomains, filesystems, interrupts,
    KMSG, loadavg, locks, meminfo, partitions, schedstat, stat, swaps,
    SyntheticDir(
        "tty", SyntheticDir("driver"), tty_drivers, SyntheticDir("ldisc", mode=0o500), tty_ldiscs
    ),
    uptime, version, vmstat,
)  # fmt: skip
