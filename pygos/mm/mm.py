# SPDX-License-Identifier: Apache-2.0
"""Mm: one address space, and the kernel's doors to a program's memory.

An Mm is UserMemory: its read and write methods look pages up in the page table, fault them in
and copy. Kernel copies never need the host: a page that the kernel fills is put into the page
table without PTE_HOSTED, and the program's first touch maps it.

A frame that the kernel looked up stays valid until the handler returns: reclaim in the middle
of a call leaves mapped pages alone (mm/filemap.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygos.include.errno import EFAULT, ENAMETOOLONG
from pygos.include.linux.mm_types import (
    PTE_ANON,
    PTE_HOSTED,
    PTE_READ,
    PTE_WRITE,
    VM_ACCOUNT,
    MmBase,
)
from pygos.include.linux.platform import TASK_SIZE, Access
from pygos.mm.fault import Fault, fault_page
from pygos.mm.frames import put_frames
from pygos.mm.vma import drop_vma

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import Vma
    from pygos.include.linux.platform import AddressSpace, Ram
    from pygos.mm.instub import Windows
    from pygos.mm.memcontrol import MemCgroup
    from pygos.mm.page_alloc import Zone
    from pygos.mm.patches import Patches

_FRAME = ~0xFFF
_READ, _WRITE = Access.READ, Access.WRITE


class Mm(MmBase):
    """An address space: VMAs, page table, accounting."""

    __slots__ = (
        "__weakref__", "coredump_filter", "gap_hole", "gap_top", "linking", "mem", "memcg",
        "oom_reaped", "patches", "ram", "read_in", "unknown_fault", "user_ns", "windows", "zone",
    )  # fmt: skip

    #: Physical memory and its allocator (the machine's).
    ram: Ram
    mem: memoryview
    zone: Zone

    def __init__(self, machine: Machine, space: AddressSpace) -> None:
        self.machine = machine
        self.ram = machine.ram
        self.mem = machine.ram.mem
        self.zone = machine.zone
        self.space = space
        self.pt = {}
        self.vmas = []
        self.starts = []
        self.users = 1
        self.owner = None
        self.exe_file = None
        self.flags = self.membarrier = 0
        self.auxv = b""
        self.brk = self.start_brk = 0
        self.mmap_base = TASK_SIZE
        #: See mm/unmapped.py.
        self.gap_top = TASK_SIZE
        self.gap_hole = 0
        self.start_code = self.end_code = self.start_data = self.end_data = 0
        self.start_stack = self.arg_start = self.arg_end = self.env_start = self.env_end = 0
        self.total_vm = self.data_vm = self.exec_vm = self.stack_vm = self.locked_vm = 0
        self.rss_anon = self.rss_file = self.rss_shmem = self.hiwater_rss = self.hiwater_vm = 0
        self.def_flags = 0
        self.dumpable = 1
        #: Whose capabilities count over an undumpable one (the user namespace of the exec).
        self.user_ns: Any = None
        #: Which kinds of memory a core file has: bits of /proc/PID/coredump_filter.
        self.coredump_filter = 0x33
        #: The group that its memory is charged to; None: the root, which isn't charged.
        self.memcg: MemCgroup | None = None
        #: A fault had to wait for a file's store: a major one.
        self.read_in = False
        #: A dynamic linker has not given the program control yet, as far as can be seen.
        self.linking = False
        #: The OOM killer took its memory: only good for exiting.
        self.oom_reaped = False
        #: Code that the kernel has changed (mm/patches.py); None: none.
        self.patches: Patches | None = None
        #: Files that are read in the stub; None where the platform can't.
        self.windows: Windows | None = None
        if machine.in_stub and space.proc_page is not None:
            from pygos.mm.instub import Windows

            self.windows = Windows(self)
        #: (address, how often in a row): see mm/fault.py.
        self.unknown_fault = (0, 0)

    # -- faulting pages in for the kernel

    def fault_in(self, addr: int, write: bool) -> int:
        """Make the page of `addr` accessible to the kernel; its page table entry. EFAULT."""
        try:
            fault_page(self, addr, _WRITE if write else _READ, False)
        except Fault:
            raise EFAULT from None
        return self.pt[addr >> 12]

    def extents(self, addr: int, count: int, write: bool) -> list[tuple[int, int]]:
        """RAM byte ranges (offset, length) behind [addr, addr + count), neighbours coalesced.

        Covers less if a page isn't accessible; EFAULT if the first isn't.
        """
        need = PTE_WRITE if write else PTE_READ
        lookup = self.pt.get
        out: list[tuple[int, int]] = []
        end = addr + count
        base = size = 0
        while addr < end:
            pte = lookup(addr >> 12, 0)
            if not pte & need:
                try:
                    pte = self.fault_in(addr, write)
                except EFAULT:
                    if size == 0:
                        raise
                    break
            offset = (pte & _FRAME) + (addr & 0xFFF)
            step = 4096 - (addr & 0xFFF)
            if step > end - addr:
                step = end - addr
            if offset == base + size and size:
                size += step
            else:
                if size:
                    out.append((base, size))
                base, size = offset, step
            addr += step
        if size:
            out.append((base, size))
        return out

    # -- UserMemory

    def read(self, addr: int, count: int) -> bytes:
        """Copy `count` bytes in. EFAULT unless all can be read."""
        offset = addr & 0xFFF
        if offset + count <= 4096:
            pte = self.pt.get(addr >> 12, 0)
            if not pte & PTE_READ:
                if not count:
                    return b""
                pte = self.fault_in(addr, False)
            base = (pte & _FRAME) + offset
            return self.mem[base : base + count].tobytes()
        parts = self.extents(addr, count, False)
        mem = self.mem
        data = b"".join([mem[base : base + size] for base, size in parts])
        if len(data) < count:
            raise EFAULT
        return data

    def write(self, addr: int, data: bytes | memoryview) -> None:
        """Copy all of `data` out. EFAULT (after what could be written was)."""
        count = len(data)
        offset = addr & 0xFFF
        if offset + count <= 4096:
            pte = self.pt.get(addr >> 12, 0)
            if not pte & PTE_WRITE:
                if not count:
                    return
                pte = self.fault_in(addr, True)
            base = (pte & _FRAME) + offset
            self.mem[base : base + count] = data
            return
        done = 0
        view = memoryview(data)
        for base, size in self.extents(addr, count, True):
            self.mem[base : base + size] = view[done : done + size]
            done += size
        if done < count:
            raise EFAULT

    def read_u32(self, addr: int) -> int:
        """A 32-bit word at any address."""
        pte = self.pt.get(addr >> 12, 0)
        if addr & 3 or not pte & PTE_READ:
            return int.from_bytes(self.read(addr, 4), "little")
        return self.ram.mem32[((pte & _FRAME) + (addr & 0xFFF)) >> 2]

    def read_u64(self, addr: int) -> int:
        """A 64-bit word at any address."""
        pte = self.pt.get(addr >> 12, 0)
        if addr & 7 or not pte & PTE_READ:
            return int.from_bytes(self.read(addr, 8), "little")
        return self.ram.mem64[((pte & _FRAME) + (addr & 0xFFF)) >> 3]

    def write_u32(self, addr: int, value: int) -> None:
        """The low 32 bits of `value` at any address."""
        pte = self.pt.get(addr >> 12, 0)
        if addr & 3 or not pte & PTE_WRITE:
            self.write(addr, (value & 0xFFFFFFFF).to_bytes(4, "little"))
        else:
            self.ram.mem32[((pte & _FRAME) + (addr & 0xFFF)) >> 2] = value & 0xFFFFFFFF

    def write_u64(self, addr: int, value: int) -> None:
        """The low 64 bits of `value` at any address."""
        pte = self.pt.get(addr >> 12, 0)
        if addr & 7 or not pte & PTE_WRITE:
            self.write(addr, (value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little"))
        else:
            self.ram.mem64[((pte & _FRAME) + (addr & 0xFFF)) >> 3] = value & 0xFFFFFFFFFFFFFFFF

    def read_cstr(self, addr: int, limit: int) -> bytes:
        """The bytes before a NUL within `limit` bytes. EFAULT, ENAMETOOLONG."""
        parts: list[bytes] = []
        while limit > 0:
            pte = self.pt.get(addr >> 12, 0)
            if not pte & PTE_READ:
                pte = self.fault_in(addr, False)
            offset = addr & 0xFFF
            start = (pte & _FRAME) + offset
            size = 4096 - offset
            if size > limit:
                size = limit
            nul = self.ram.find_nul(start, start + size)
            if nul >= 0:
                text = self.mem[start:nul].tobytes()
                return b"".join(parts) + text if parts else text
            parts.append(self.mem[start : start + size].tobytes())
            addr += size
            limit -= size
        raise ENAMETOOLONG

    def word_offset(self, addr: int, write: bool) -> int:
        """RAM byte offset of a word that doesn't cross a page, faulted in. EFAULT."""
        pte = self.pt.get(addr >> 12, 0)
        if not pte & (PTE_WRITE if write else PTE_READ):
            pte = self.fault_in(addr, write)
        return (pte & _FRAME) + (addr & 0xFFF)

    # -- the host's side

    def forget_hosted(self) -> None:
        """Nothing is mapped in the stub any more, or it isn't known what is."""
        pt = self.pt
        pt.update({vpn: pte & ~PTE_HOSTED for vpn, pte in pt.items() if pte & PTE_HOSTED})

    @property
    def rss(self) -> int:
        """Resident pages."""
        return self.rss_anon + self.rss_file + self.rss_shmem

    def update_hiwater(self) -> None:
        """Note the resident set before it shrinks."""
        rss = self.rss_anon + self.rss_file + self.rss_shmem
        if rss > self.hiwater_rss:
            self.hiwater_rss = rss


def new_mm(machine: Machine) -> Mm:
    """An empty address space with one user."""
    return Mm(machine, machine.platform.new_space())


def mmput(mm: Mm) -> None:
    """Drop one user; the last one gives everything back, to the last page."""
    mm.users -= 1
    if mm.users > 0:
        return
    if mm.windows is not None:
        mm.windows.close()
    mm.space.destroy()
    exit_mmap(mm)
    mm.zone.trim()


def exit_mmap(mm: Mm) -> None:
    """Drop all mappings of an mm that nobody runs in."""
    if mm.zone.current is mm:
        mm.zone.current = None
    mm.update_hiwater()
    put_frames(mm.zone, [pte >> 12 for pte in mm.pt.values() if pte & PTE_ANON])
    mm.pt.clear()
    mm.rss_anon = mm.rss_file = mm.rss_shmem = 0
    vmas: list[Vma] = mm.vmas
    mm.vmas = []
    mm.starts = []
    promised = 0
    for vma in vmas:
        if vma.flags & VM_ACCOUNT:
            promised += (vma.end - vma.start) >> 12
        if vma.mapping is not None:
            vma.mapping.i_mmap.pop(vma, None)
        file = vma.file
        if file is not None and file.f_count > 1 and vma.vm_ops is None:
            file.f_count -= 1
        else:
            drop_vma(mm, vma)
    mm.machine.commit_pages -= promised
    mm.hiwater_vm = max(mm.hiwater_vm, mm.total_vm)
    mm.total_vm = mm.data_vm = mm.exec_vm = mm.stack_vm = mm.locked_vm = 0
    if mm.exe_file is not None:
        mm.exe_file.f_inode.i_writecount += 1
        mm.machine.fs_hooks.fput(mm.exe_file)
        mm.exe_file = None
