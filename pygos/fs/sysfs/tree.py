# SPDX-License-Identifier: Apache-2.0
"""The files of sysfs. ``target`` is the number of the CPU a file is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.libfs import DirFileOperations, dir_emit_entries
from pygos.fs.proc.array import cpu_list
from pygos.fs.synthetic import (
    Directory,
    Node,
    SyntheticDir,
    SyntheticInode,
    SyntheticInodeOperations,
    fixed_ino,
    synthetic,
)
from pygos.fs.sysfs.memory import MEMORY
from pygos.include.linux.fs import DirContext, File, Inode
from pygos.include.uapi.dirent import DT_DIR

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_CPU_DIR: Final = b"devices/system/cpu/"


def _all_cpus(task: Task) -> int:
    return (1 << task.machine.nr_cpus) - 1


def _mask(task: Task, mask: int) -> str:
    """A CPU mask in hex, as wide as the machine."""
    return f"{mask:0{-(-task.machine.nr_cpus // 4)}x}\n"


# -- devices/system/cpu


@synthetic("online")
def online(task: Task, target: Any) -> str:
    """CPUs that run."""
    return cpu_list(_all_cpus(task)) + "\n"


@synthetic("possible")
def possible(task: Task, target: Any) -> str:
    """CPUs that there may ever be."""
    return cpu_list(_all_cpus(task)) + "\n"


@synthetic("present")
def present(task: Task, target: Any) -> str:
    """CPUs that are there."""
    return cpu_list(_all_cpus(task)) + "\n"


@synthetic("offline")
def offline(task: Task, target: Any) -> str:
    """CPUs that are there and don't run."""
    return "\n"


@synthetic("kernel_max")
def kernel_max(task: Task, target: Any) -> str:
    """The highest CPU number there may be."""
    return f"{task.machine.nr_cpus - 1}\n"


@synthetic("core_id")
def core_id(task: Task, target: Any) -> str:
    """Every CPU is a core."""
    return f"{target}\n"


@synthetic("physical_package_id")
def physical_package_id(task: Task, target: Any) -> str:
    """All in one package."""
    return "0\n"


def _own(task: Task, target: Any) -> str:
    return _mask(task, 1 << target)


@synthetic("thread_siblings")
def thread_siblings(task: Task, target: Any) -> str:
    """CPUs of the same core."""
    return _own(task, target)


@synthetic("thread_siblings_list")
def thread_siblings_list(task: Task, target: Any) -> str:
    """CPUs of the same core."""
    return f"{target}\n"


@synthetic("core_siblings")
def core_siblings(task: Task, target: Any) -> str:
    """CPUs of the same package."""
    return _mask(task, _all_cpus(task))


@synthetic("core_siblings_list")
def core_siblings_list(task: Task, target: Any) -> str:
    """CPUs of the same package."""
    return cpu_list(_all_cpus(task)) + "\n"


@synthetic("core_cpus")
def core_cpus(task: Task, target: Any) -> str:
    """CPUs of the same core."""
    return _own(task, target)


@synthetic("core_cpus_list")
def core_cpus_list(task: Task, target: Any) -> str:
    """CPUs of the same core."""
    return f"{target}\n"


@synthetic("package_cpus")
def package_cpus(task: Task, target: Any) -> str:
    """CPUs of the same package."""
    return _mask(task, _all_cpus(task))


@synthetic("package_cpus_list")
def package_cpus_list(task: Task, target: Any) -> str:
    """CPUs of the same package."""
    return cpu_list(_all_cpus(task)) + "\n"


@synthetic("die_id")
def die_id(task: Task, target: Any) -> str:
    """All on one die."""
    return "0\n"


@synthetic("die_cpus")
def die_cpus(task: Task, target: Any) -> str:
    """CPUs of the same die."""
    return _mask(task, _all_cpus(task))


@synthetic("die_cpus_list")
def die_cpus_list(task: Task, target: Any) -> str:
    """CPUs of the same die."""
    return cpu_list(_all_cpus(task)) + "\n"


@synthetic("isolated")
def isolated(task: Task, target: Any) -> str:
    """CPUs that the scheduler leaves alone: none."""
    return "\n"


@synthetic("active")
def smt_active(task: Task, target: Any) -> str:
    """Do cores have several threads? No."""
    return "0\n"


@synthetic("control")
def smt_control(task: Task, target: Any) -> str:
    """Could that be changed?"""
    return "notsupported\n"


TOPOLOGY: Final = SyntheticDir(
    "topology", die_cpus, die_cpus_list, die_id, core_cpus, core_cpus_list, core_id,
    core_siblings, core_siblings_list, package_cpus_list, physical_package_id,
    thread_siblings, thread_siblings_list,
)  # fmt: skip
#: cpuN; the name is given by the number.
CPU: Final = SyntheticDir("", TOPOLOGY)
_CPU_FILES: Final[dict[bytes, Node]] = {
    node.name: node
    for node in (
        isolated,
        kernel_max,
        offline,
        online,
        possible,
        present,
        SyntheticDir("smt", smt_active, smt_control, mode=0o755),
    )
}


class CpusDirOperations(SyntheticInodeOperations):
    """devices/system/cpu: files, and a directory for each CPU."""

    __slots__ = ()

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        ino = fixed_ino(dir.i_sb, _CPU_DIR + name)
        node = _CPU_FILES.get(name)
        if node is not None:
            return SyntheticInode(dir.i_sb, ino, node, None)
        digits = name[3:]
        if not name.startswith(b"cpu") or not digits.isdigit() or len(digits) > 4:
            return None
        number = int(digits)
        if number >= task.machine.nr_cpus or digits != b"%d" % number:
            return None
        return SyntheticInode(dir.i_sb, ino, CPU, number)


class CpusDirFileOperations(DirFileOperations):
    """Its listing."""

    __slots__ = ()

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        entries = [(node.name, node.mode >> 12) for node in _CPU_FILES.values()]
        entries += [(b"cpu%d" % number, DT_DIR) for number in range(task.machine.nr_cpus)]
        sb = file.f_inode.i_sb
        dir_emit_entries(
            file, ctx, ((name, fixed_ino(sb, _CPU_DIR + name), kind) for name, kind in entries)
        )


CPUS: Final = Directory("cpu", 0o755, CpusDirOperations(), CpusDirFileOperations())


# -- devices/system/node


@synthetic("online")
def nodes_online(task: Task, target: Any) -> str:
    """Memory nodes: one."""
    return "0\n"


@synthetic("possible")
def nodes_possible(task: Task, target: Any) -> str:
    """Memory nodes: one."""
    return "0\n"


@synthetic("has_cpu")
def nodes_with_cpu(task: Task, target: Any) -> str:
    """Memory nodes that have CPUs."""
    return "0\n"


@synthetic("has_memory")
def nodes_with_memory(task: Task, target: Any) -> str:
    """Memory nodes that have memory."""
    return "0\n"


@synthetic("cpulist")
def node_cpulist(task: Task, target: Any) -> str:
    """CPUs of the node."""
    return cpu_list(_all_cpus(task)) + "\n"


@synthetic("cpumap")
def node_cpumap(task: Task, target: Any) -> str:
    """CPUs of the node."""
    return _mask(task, _all_cpus(task))


@synthetic("distance")
def node_distance(task: Task, target: Any) -> str:
    """To the nodes, itself included."""
    return "10\n"


@synthetic("meminfo")
def node_meminfo(task: Task, target: Any) -> str:
    """Memory of the node."""
    zone, total = task.machine.zone, task.machine.ram.pages
    rows = (
        ("MemTotal", total), ("MemFree", zone.nr_free), ("MemUsed", total - zone.nr_free),
        ("FilePages", zone.nr_file), ("Shmem", zone.nr_shmem),
    )  # fmt: skip
    return "".join([f"Node 0 {name + ':':<15}{pages << 2:8d} kB\n" for name, pages in rows])


NODES: Final = SyntheticDir(
    "node", nodes_with_cpu, nodes_with_memory,
    SyntheticDir("node0", node_cpulist, node_cpumap, node_distance, node_meminfo, mode=0o755),
    nodes_online, nodes_possible, mode=0o755,
)  # fmt: skip


@synthetic("address_bits")
def address_bits(task: Task, target: Any) -> str:
    """The width of addresses."""
    return "64\n"


@synthetic("cpu_byteorder")
def cpu_byteorder(task: Task, target: Any) -> str:
    """The order of bytes."""
    return "little\n"


@synthetic("fscaps")
def fscaps(task: Task, target: Any) -> str:
    """Do capabilities of files count?"""
    return "1\n"


@synthetic("oops_count")
def oops_count(task: Task, target: Any) -> str:
    """Bugs of the kernel since boot."""
    return f"{task.machine.oops_count}\n"


@synthetic("uevent_seqnum")
def uevent_seqnum(task: Task, target: Any) -> str:
    """How often devices came and went."""
    return "0\n"


def _empty(name: str) -> SyntheticDir:
    return SyntheticDir(name, mode=0o755)


ROOT: Final = SyntheticDir(
    "", _empty("block"), _empty("bus"), SyntheticDir("class", _empty("block"), mode=0o755),
    SyntheticDir("dev", _empty("block"), _empty("char"), mode=0o755),
    SyntheticDir("devices", SyntheticDir("system", CPUS, MEMORY, NODES, mode=0o755), mode=0o755),
    _empty("firmware"), SyntheticDir("fs", _empty("cgroup"), mode=0o755),
    SyntheticDir(
        "kernel", SyntheticDir("mm", mode=0o755), address_bits, cpu_byteorder, fscaps, oops_count,
        uevent_seqnum, mode=0o755,
    ),
    _empty("module"), _empty("power"),
)  # fmt: skip
