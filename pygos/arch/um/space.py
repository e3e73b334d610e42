# SPDX-License-Identifier: Apache-2.0
"""UmSpace: one guest address space, as the host mappings of the stubs that share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.arch.um.cpu import Stub, UmCpu
from pygos.include.linux.platform import PAGE_SHIFT, TASK_SIZE, Cpu, Prot, TrapKind

if TYPE_CHECKING:
    from pygos.arch.um.platform import Control
    from pygos.arch.um.ptrace_platform import UmPtrace

#: System call number in the upper half of an entry's third word.
# Added to a Prot with +, as | of an IntFlag is slow.
_MMAP: Final = 9 << 32
_MPROTECT: Final = 10 << 32
_MUNMAP: Final = 11 << 32
#: Entries of 4 u64 in the list page; the last stays zero and ends the list.
_LIST_WORDS: Final = 127 * 4
_EMPTY: Final = memoryview(bytes(_LIST_WORDS * 8)).cast("Q")
_IDLE_STUBS: Final = 2


class UmSpace:
    """Implements ``AddressSpace``.

    The queue of changes lies where the stub reads it: in the list page, 4 u64 per entry
    (see stub.S: batch). helper.S runs and wipes it before a CPU of the space resumes, so
    an empty first entry means that the queue is empty. A change that continues the one
    before it is merged into it.
    """

    __slots__ = (
        "_control", "_end", "_entries", "_list_addr", "_next", "_op", "_ram_pages", "cpus",
        "destroyed", "idle", "platform", "pos_page", "proc_page", "start_regs",
    )  # fmt: skip

    def __init__(self, platform: UmPtrace, control: Control) -> None:
        self.platform = platform
        _, self._list_addr, self._entries = control
        self._control = control
        self._ram_pages = platform.ram.pages
        self._end = 0  # words used
        self._op = -1  # third word of the last entry
        self._next = 0  # offset in the memfd where the last mmap entry ends
        self.cpus: list[UmCpu] = []
        self.idle: list[Stub] = []
        self.destroyed = False
        self.proc_page: memoryview | None = None
        self.pos_page: memoryview | None = None
        #: Registers of the first CPU of a cloned space.
        self.start_regs: memoryview | None = None

    def map(self, va: int, pfn: int, pages: int, prot: Prot) -> None:
        """Map frames; ValueError for a range outside of the guest or the RAM."""
        if pfn < 0 or pfn + pages > self._ram_pages:
            raise ValueError(f"pfn {pfn:#x}+{pages:#x}")
        offset = pfn << PAGE_SHIFT
        length = pages << PAGE_SHIFT
        entries, end, op = self._entries, self._end, _MMAP + prot
        if entries[1] == 0:
            end = 0
        elif (
            op == self._op
            and offset == self._next
            and va == entries[end - 4] + entries[end - 3]
            and va + length <= TASK_SIZE
        ):
            entries[end - 3] += length
            self._next = offset + length
            return
        self._next = offset + length
        self._append(end, va, length, op, offset)

    def window(self, va: int, pfn: int, pages: int) -> None:
        """See AddressSpace.window: nothing is answered in these stubs, so there are none."""
        raise NotImplementedError

    def unmap(self, va: int, pages: int) -> None:
        """Unmap; what is not mapped is skipped."""
        self._change(va, pages << PAGE_SHIFT, _MUNMAP)

    def protect(self, va: int, pages: int, prot: Prot) -> None:
        """Change the protection of pages that are all mapped."""
        self._change(va, pages << PAGE_SHIFT, _MPROTECT + prot)

    def _change(self, va: int, length: int, op: int) -> None:
        entries, end = self._entries, self._end
        if entries[1] == 0:
            end = 0
        elif op == self._op and va == entries[end - 4] + entries[end - 3]:
            if va + length > TASK_SIZE:
                raise ValueError(f"va {va:#x}+{length:#x}")
            entries[end - 3] += length
            return
        self._append(end, va, length, op, 0)

    def _append(self, end: int, va: int, length: int, op: int, offset: int) -> None:
        if va < 0 or length <= 0 or va + length > TASK_SIZE:
            raise ValueError(f"va {va:#x}+{length:#x}")
        if end >= _LIST_WORDS:
            self._end = end
            self.sync()
            end = 0
        entries = self._entries
        entries[end] = va
        entries[end + 2] = op
        entries[end + 3] = offset
        entries[end + 1] = length
        self._op = op
        self._end = end + 4

    def drop_all(self) -> None:
        """Replace the queue by one entry that unmaps everything."""
        self._entries[:_LIST_WORDS] = _EMPTY
        self._append(0, 0, TASK_SIZE, _MUNMAP, 0)

    def entry(self, index: int) -> list[int]:
        """One queued change: address, length, number << 32 | protection, offset."""
        return list(self._entries[index * 4 : index * 4 + 4])

    def new_cpu(self, parent: Cpu | None = None) -> UmCpu:
        """A new guest thread; EAGAIN if the host has no process for it.

        With `parent`, a stopped CPU of this space, the new one starts with its FPU state,
        as clone(2) wants; otherwise with the initial one.
        """
        platform = self.platform
        if self.idle:
            stub = self.idle.pop()
        else:
            source = parent.stub if isinstance(parent, UmCpu) else platform.stopped_stub(self)
            stub = platform.thread_stub(source.pid, self._list_addr, source.traps)
            if source.away:
                platform.affinity.go_home(stub)
            stub.fresh = False
        cpu = UmCpu(platform, self, stub)
        if self.start_regs is not None:
            cpu.regs[:], self.start_regs = self.start_regs, None
        else:
            cpu.regs[:] = platform.template_regs
            if parent is not None:
                cpu.set_fpu(parent.get_fpu())
            elif not stub.fresh:
                cpu.set_fpu(None)
        stub.fresh = False
        self.cpus.append(cpu)
        if stub.traps:
            cpu.set_traps(0)
        return cpu

    def clone(self, parent: Cpu) -> UmSpace:
        """A copy of all host mappings, by cloning the stub of `parent`. EAGAIN."""
        assert isinstance(parent, UmCpu)
        platform = self.platform
        platform.flush(self, parent.stub)
        control = platform.ram.control_unit()
        stub = platform.fork_stub(parent.pid, control, parent.stub.traps)
        child = UmSpace(platform, control)
        if parent.stub.away:
            platform.affinity.go_home(stub)
        child.idle.append(stub)
        child.start_regs = memoryview(parent.regs.tobytes()).cast("Q")
        return child

    def sync(self) -> None:
        """Flush the queue now."""
        if self._entries[1]:
            self.platform.flush(self, self.platform.stopped_stub(self))

    def running(self) -> int:
        """How many CPUs of this space run guest code right now."""
        running = self.platform.running
        return sum(cpu.pid in running for cpu in self.cpus) if running else 0

    def put_stub(self, cpu: UmCpu) -> None:
        """A CPU is released: keep its stub if the space has no other, or for the next thread."""
        self.cpus.remove(cpu)
        if cpu.trap.kind is not TrapKind.DEAD and len(self.idle) < _IDLE_STUBS:
            self.idle.append(cpu.stub)
        else:
            self.platform.discard_stub(cpu.stub)
        if self.destroyed and not self.cpus:
            self.platform.recycle(self)

    def destroy(self) -> None:
        """Give the stubs back, now or when the last CPU is released."""
        self.destroyed = True
        if not self.cpus:
            self.platform.recycle(self)

    @property
    def control(self) -> Control:
        """The unit with the list page, as HostRam.control_unit() gave it."""
        return self._control
