# SPDX-License-Identifier: Apache-2.0
"""A machine without a host: RAM in a bytearray, stubs as dictionaries.

``FakeSpace`` keeps what the host would have mapped: page number -> (pfn, prot). Operations
take effect at once but are also recorded; ``access`` does what a guest's load or store does,
going to the fault handler like a real trap until the access works.
"""

from __future__ import annotations

from typing import Any

from pygos.include.linux.cred import Cred
from pygos.include.linux.fs import (
    S_IFREG,
    Dentry,
    File,
    FileOperations,
    FileSystemType,
    Inode,
    Mount,
    Path,
    SuperBlock,
    SuperOperations,
)
from pygos.include.linux.machine import Machine
from pygos.include.linux.mm_types import Mapping, MappingOperations
from pygos.include.linux.platform import Access, Prot
from pygos.include.linux.sched import PidTable, SignalStruct, Task
from pygos.mm.fault import handle_fault
from pygos.mm.filemap import file_mmap, filemap_read, filemap_write
from pygos.mm.init import mm_init
from pygos.mm.mm import Mm, new_mm
from pygos.mm.shmem import ShmemLimit, ShmemOperations, shmem_mapping

RLIM_INFINITY = (1 << 64) - 1


class FakeRam:
    """Implements Ram over a bytearray."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.data = bytearray(pages << 12)
        self.mem = memoryview(self.data)
        self.mem32 = self.mem.cast("I")
        self.mem64 = self.mem.cast("Q")
        self.discarded: list[tuple[int, int]] = []

    def discard(self, pfn: int, pages: int) -> None:
        self.mem[pfn << 12 : (pfn + pages) << 12] = bytes(pages << 12)
        self.discarded.append((pfn, pages))

    def find_nul(self, start: int, end: int) -> int:
        return self.data.find(b"\0", start, end)

    def cmpxchg32(self, offset: int, old: int, new: int) -> int:
        found = self.mem32[offset >> 2]
        if found == old:
            self.mem32[offset >> 2] = new
        return found

    def close(self) -> None: ...


class FakeCpu:
    """A CPU that never runs by itself."""

    def __init__(self, space: FakeSpace) -> None:
        self.space = space
        self.regs = memoryview(bytearray(27 * 8)).cast("Q")
        self.owner: Any = None
        self.released = False

    def resume(self) -> None: ...

    def kick(self) -> None: ...

    def set_step(self, on: bool) -> None: ...

    def set_traps(self, traps: int) -> None: ...

    def get_fpu(self) -> bytes:
        return bytes(576)

    def set_fpu(self, image: bytes | None) -> None: ...

    def release(self) -> None:
        self.released = True


class FakeSpace:
    """The host's view of one address space."""

    def __init__(self) -> None:
        self.host: dict[int, tuple[int, Prot]] = {}
        self.ops: list[tuple[Any, ...]] = []
        self.running_cpus = 0
        self.synced = 0
        self.destroyed = False

    def map(self, va: int, pfn: int, pages: int, prot: Prot) -> None:
        assert va & 0xFFF == 0
        assert pages > 0
        assert pfn > 0
        self.ops.append(("map", va, pfn, pages, prot))
        for i in range(pages):
            self.host[(va >> 12) + i] = (pfn + i, prot & ~Prot.POPULATE)

    def unmap(self, va: int, pages: int) -> None:
        assert va & 0xFFF == 0
        assert pages > 0
        self.ops.append(("unmap", va, pages))
        first = va >> 12
        if pages > len(self.host):
            for vpn in [vpn for vpn in self.host if first <= vpn < first + pages]:
                del self.host[vpn]
        else:
            for vpn in range(first, first + pages):
                self.host.pop(vpn, None)

    def protect(self, va: int, pages: int, prot: Prot) -> None:
        assert va & 0xFFF == 0
        assert pages > 0
        self.ops.append(("protect", va, pages, prot))
        for vpn in range(va >> 12, (va >> 12) + pages):
            self.host[vpn] = (self.host[vpn][0], prot)  # KeyError: not mapped

    def new_cpu(self, parent: Any = None) -> FakeCpu:
        return FakeCpu(self)

    def clone(self, parent: Any) -> FakeSpace:
        child = FakeSpace()
        child.host = dict(self.host)
        return child

    def sync(self) -> None:
        self.synced += 1

    def shootdown(self) -> None:
        if self.running():
            self.sync()

    def running(self) -> int:
        return self.running_cpus

    def destroy(self) -> None:
        self.destroyed = True


class FakePlatform:
    name = "fake"
    xstate_size = 576

    def new_space(self) -> FakeSpace:
        return FakeSpace()


class FakeClock:
    def __init__(self) -> None:
        self.now = 1_000_000_000

    def monotonic(self) -> int:
        self.now += 1
        return self.now

    realtime = boottime = monotonic

    def set_realtime(self, ns: int) -> None: ...

    def slew(self, ppb: int) -> None: ...

    due = 1 << 63

    def shift(self, wall: int, tai: int) -> None: ...

    def publish(self, page: memoryview) -> bool:
        return False


class FakeEntropy:
    def bytes(self, count: int) -> bytes:
        return bytes(range(256))[:count].ljust(count, b"x")


class FakePrintk:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)

    emerg = err = warn = notice = debug = info


class FakeSched:
    realtime = False
    current = None
    entered = nr_running = nr_switches = 0
    cpu_stats = ()
    running = ()

    def __init__(self) -> None:
        self.woken: list[Task] = []

    def wake_up(self, task: Task) -> None:
        self.woken.append(task)

    add = kick = forget = yield_to_others = wake_up

    def set_prio(self, task: Task, prio: int) -> None:
        task.prio = prio

    def set_affinity(self, task: Task, mask: int) -> None:
        task.cpus_allowed = mask

    def set_nice(self, task: Task, nice: int) -> None:
        task.nice = nice

    def run(self) -> int:
        return 0


class FakeFsHooks:
    """Counts file references like the VFS."""

    def coredump(self, task: Task, info: object) -> bool:
        return False

    def fput(self, file: File) -> None:
        file.f_count -= 1
        assert file.f_count >= 0


def fake_machine(pages: int = 4096) -> Machine:
    """A machine with `pages` frames and nothing else."""
    machine = Machine()
    machine.ram = FakeRam(pages)
    machine.platform = FakePlatform()  # type: ignore[assignment]
    machine.clock = FakeClock()
    machine.entropy = FakeEntropy()
    machine.printk = FakePrintk()
    machine.sched = FakeSched()
    machine.fs_hooks = FakeFsHooks()  # type: ignore[assignment]
    machine.pids = PidTable()
    mm_init(machine)
    return machine


def fake_task(machine: Machine, pid: int = 100) -> Task:
    """A task with an empty mm."""
    from pygos.include.linux.fs import FilesStruct

    task = Task(machine, pid)
    group = SignalStruct(pid)
    group.leader = task
    group.threads.append(task)
    group.rlim = [(RLIM_INFINITY, RLIM_INFINITY)] * 16
    group.rlim[3] = (8 << 20, RLIM_INFINITY)
    task.group = group
    task.cred = Cred()
    task.files = FilesStruct()
    mm = new_mm(machine)
    mm.mmap_base = 0x7FFF_0000_0000
    mm.owner = task
    task.mm = mm
    machine.pids.tasks[pid] = task
    return task


# -- guest accesses


def touch(mm: Mm, addr: int, access: Access, exact: bool = True) -> int:
    """One access of the guest: faults until the host's mapping allows it; the pfn.

    With `exact` False the first fault says Access.UNKNOWN, as a stub under ptrace does.
    """
    want = {Access.READ: Prot.READ, Access.WRITE: Prot.WRITE, Access.EXEC: Prot.EXEC}[access]
    space: Any = mm.space
    for _ in range(4):
        entry = space.host.get(addr >> 12)
        if entry is not None and entry[1] & want:
            return int(entry[0])
        unknown = entry is None and not exact
        handle_fault(mm, addr, Access.UNKNOWN if unknown else access)
    raise AssertionError(f"{access.name} at {addr:#x} faults for ever")


def guest_write(mm: Mm, addr: int, data: bytes, exact: bool = True) -> None:
    """Stores of the guest, byte by byte as far as paging is concerned."""
    while data:
        step = min(4096 - (addr & 0xFFF), len(data))
        base = (touch(mm, addr, Access.WRITE, exact) << 12) + (addr & 0xFFF)
        mm.mem[base : base + step] = data[:step]
        addr += step
        data = data[step:]


def guest_read(mm: Mm, addr: int, count: int, exact: bool = True) -> bytes:
    """Loads of the guest."""
    out = b""
    while count:
        step = min(4096 - (addr & 0xFFF), count)
        base = (touch(mm, addr, Access.READ, exact) << 12) + (addr & 0xFFF)
        out += bytes(mm.mem[base : base + step])
        addr += step
        count -= step
    return out


def check_host(mm: Mm) -> None:
    """The host has exactly what the page table says it has."""
    from pygos.include.linux.mm_types import PTE_HOSTED
    from pygos.mm.tlb import PROT_OF

    space: Any = mm.space
    hosted = {v: (p >> 12, PROT_OF[p & 7]) for v, p in mm.pt.items() if p & PTE_HOSTED}
    assert hosted == space.host


# -- files


class MemoryStore(MappingOperations):
    """A file's store: bytes; counts how it is called."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.reads: list[tuple[int, int]] = []
        self.writes: list[tuple[int, int]] = []

    def read_pages(self, mapping: Mapping, index: int, views: Any) -> None:
        self.reads.append((index, sum(map(len, views)) >> 12))
        at = index << 12
        for view in views:
            part = self.data[at : at + len(view)]
            view[: len(part)] = part
            at += len(view)

    def write_pages(self, mapping: Mapping, index: int, views: Any) -> None:
        at = index << 12
        size = mapping.host.i_size
        for view in views:
            end = min(at + len(view), size)
            if len(self.data) < end:
                self.data.extend(bytes(end - len(self.data)))
            self.data[at:end] = view[: end - at]
            self.writes.append((at >> 12, 1))
            at += len(view)


class CachedFileOperations(FileOperations):
    """A plain file over the page cache."""

    def read(self, task: Task, file: File, buf: Any, pos: int) -> int:
        return filemap_read(task, file, buf, pos)

    def write(self, task: Task, file: File, buf: Any, pos: int) -> int:
        return filemap_write(task, file, buf, pos)

    def mmap(self, task: Task, file: File, vma: Any) -> None:
        file_mmap(file, vma)


class FakeType(FileSystemType):
    name = "fake"


def fake_file(machine: Machine, data: bytes | None, size: int = 0, mode: int = 0x1F) -> File:
    """An open file over a MemoryStore with `data`, or (None) a memory-backed one of `size`."""
    sb = SuperBlock(machine, FakeType(), SuperOperations())
    inode = Inode(sb, sb.new_ino(), S_IFREG | 0o644)
    inode.i_fop = CachedFileOperations()
    if data is None:
        shmem_mapping(machine, inode, ShmemOperations(ShmemLimit()))
        inode.i_size = size
    else:
        inode.i_mapping = Mapping(machine, inode, MemoryStore(data))
        inode.i_size = len(data)
    dentry = Dentry(sb, None, b"file")
    dentry.d_inode = inode
    return File(Path(Mount(1, dentry, "fake"), dentry), inode, 2, mode, Cred())
