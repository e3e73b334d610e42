# SPDX-License-Identifier: Apache-2.0
"""SysSpace: an address space whose guest threads nobody traces.

One more process shares it, the *keeper*: a traced stub that never runs guest code. It alone holds
the RAM's descriptor; it carries out mapping changes, and it is what a fork clones.

The kernel never knows for sure that a guest thread is at rest, as the guest can forge that. So
no frame is given to anybody else before the keeper has unmapped it, and a space is used again
only when all processes that had it are reaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.arch.um.area import Area
from pygos.arch.um.cpu import Stub
from pygos.arch.um.space import MMAP, MUNMAP, UmSpace
from pygos.arch.um.systrap_cpu import SysCpu
from pygos.arch.x86.regs import NREGS
from pygos.host.code import AREA, AREA_VA, KEEPER, KSPIN, SLICE, UC
from pygos.host.layout import AREAS, STUB_WINDOWS
from pygos.include.errno import EAGAIN
from pygos.include.linux.fastcalls import F_ENABLE, POS_TAKEN
from pygos.include.linux.platform import PAGE_SHIFT, PAGE_SIZE, WINDOWS_END, Cpu

if TYPE_CHECKING:
    from pygos.arch.um.platform import Control
    from pygos.arch.um.systrap_platform import UmSystrap

_READ, _READ_WRITE = 1, 3
_PAGE_WORDS: Final = PAGE_SIZE // 8
_SLICE_NS: Final = 20_000_000
#: Threads at rest that are kept for the next one.
_IDLE: Final = 1
_NO_LIST: Final = memoryview(bytes(PAGE_SIZE)).cast("Q")
_USER_TOP: Final = 0x7FFF_FFFF_F000
#: How often a word that a guest keeps changing is tried.
_PATIENCE: Final = 100


class SysSpace(UmSpace):
    """Implements ``AddressSpace``."""

    __slots__ = ("_areas", "_next_area", "gone", "keeper", "resting", "sites", "start_fpu", "sys")

    def __init__(self, platform: UmSystrap, control: Control, keeper: Stub) -> None:
        super().__init__(platform, control)
        self.sys = platform
        self.keeper = keeper
        words = control[2]
        self.proc_page = words[_PAGE_WORDS : 2 * _PAGE_WORDS]
        self.pos_page = words[2 * _PAGE_WORDS : 3 * _PAGE_WORDS]
        self._areas: list[Area] = []
        self._next_area = 0
        #: Threads at rest without a CPU, and killed ones that aren't reaped yet.
        self.resting: list[SysCpu] = []
        self.gone: list[tuple[int, Area]] = []
        #: Address behind a `syscall` instruction -> how often it has trapped.
        self.sites: dict[int, int] = {}
        self.start_fpu: bytes | None = None

    # -- threads -----------------------------------------------------------------------

    def _take_area(self) -> Area:
        """An area that no living thread uses, mapped. EAGAIN."""
        for index, (pid, area) in enumerate(self.gone):
            if self.sys.reaped(pid):
                del self.gone[index]
                return area
        if self._next_area >= AREAS:
            raise EAGAIN
        area = Area(self._next_area, self.sys.ram.control_unit())
        self._next_area += 1
        self._areas.append(area)
        self.raw(area.va, PAGE_SIZE, MMAP + _READ_WRITE, area.pfn << PAGE_SHIFT)
        self.raw(area.va + PAGE_SIZE, PAGE_SIZE, MMAP + _READ, (area.pfn + 1) << PAGE_SHIFT)
        self.raw(area.va + 2 * PAGE_SIZE, 2 * PAGE_SIZE, MMAP + _READ_WRITE,
                 (area.pfn + 2) << PAGE_SHIFT)  # fmt: skip
        return area

    def _start_thread(self) -> SysCpu:
        """A new guest thread. EAGAIN."""
        platform = self.sys
        area = self._take_area()
        area.prepare(platform.xmask)
        platform.flush(self, self.keeper)
        try:
            pid = platform.zygote.guest_thread(self.keeper.pid, area.va)
        except OSError as error:
            self.gone.append((0, area))
            raise platform.no_process(error) from None
        return self._adopt(pid, area)

    def _adopt(self, pid: int, area: Area) -> SysCpu:
        """A CPU for a thread that has just been started."""
        platform = self.sys
        stub = platform.adopt(pid, self._list_addr, 0)
        block = stub.block
        block[AREA], block[AREA_VA] = area.addr, area.va
        block[UC] = area.addr + platform.context
        block[KEEPER] = self.keeper.addr
        block[KSPIN] = 0
        block[SLICE + 1] = _SLICE_NS
        return SysCpu(platform, self, stub, area, False)

    def new_cpu(self, parent: Cpu | None = None) -> SysCpu:
        """A new guest thread; EAGAIN if the host has no process for it.

        With `parent`, a stopped CPU of this space, the new one starts with its FPU state.
        """
        platform = self.sys
        if self.resting:
            old = self.resting.pop()
            cpu = SysCpu(platform, self, old.stub, old.area, old.born)
            cpu.first_fpu = old.first_fpu
            cpu.set_fpu(None)
            if cpu.stub.traps:
                cpu.set_traps(0)
        else:
            cpu = self._start_thread()
        assert cpu.thread_page is not None
        cpu.thread_page[F_ENABLE] = 0
        if self.start_regs is not None:
            cpu.regs[:], self.start_regs = self.start_regs, None
            state, self.start_fpu = self.start_fpu, None
        else:
            cpu.regs[:] = platform.template_regs
            state = parent.raw_fpu() if isinstance(parent, SysCpu) else None
        if state is not None:
            if cpu.born:
                cpu.set_fpu_raw(state)
            else:
                cpu.first_fpu = state
        self.cpus.append(cpu)
        return cpu

    def put_stub(self, cpu: SysCpu) -> None:
        """A CPU is released: its thread may serve the next one of this space."""
        self.cpus.remove(cpu)
        alive = not self.destroyed and not cpu.traced and self.sys.at_rest(cpu)
        if alive and len(self.resting) < _IDLE:
            self.resting.append(cpu)
        else:
            self.end_thread(cpu)
        if self.destroyed and not self.cpus:
            self.sys.recycle(self)

    def destroy(self) -> None:
        """Unmap everything and give the processes back, now or when the last CPU is released."""
        self.destroyed = True
        if not self.cpus:
            self.sys.recycle(self)

    def end_thread(self, cpu: SysCpu) -> None:
        """Kill a thread. Its area is free when it is reaped: the host writes into it."""
        self.sys.discard_stub(cpu.stub)
        self.gone.append((cpu.pid, cpu.area))

    # -- the rest of AddressSpace -------------------------------------------------------

    def window(self, va: int, pfn: int, pages: int) -> None:
        """See AddressSpace.window."""
        length = pages << PAGE_SHIFT
        if va < STUB_WINDOWS or pages <= 0 or va + length > WINDOWS_END:
            raise ValueError(f"window {va:#x}+{length:#x}")
        if pfn < 0:
            self.raw(va, length, MUNMAP, 0)
        elif pfn + pages > self._ram_pages:
            raise ValueError(f"pfn {pfn:#x}+{pages:#x}")
        else:
            self.raw(va, length, MMAP + _READ, pfn << PAGE_SHIFT)

    def take_position(self, index: int) -> int:
        """See AddressSpace.take_position. Who compares 64 bits fails when the upper half has
        changed, so that is enough to exchange. A guest may write the word all the time: it only
        harms itself, and not the kernel by its patience."""
        page = self.pos_page
        assert page is not None
        cmpxchg32 = self.sys.ram.code.cmpxchg32
        addr = self.control[1] + 2 * PAGE_SIZE + 8 * index + 4
        upper = int(page[index]) >> 32
        for _ in range(_PATIENCE):
            found = cmpxchg32(addr, upper, POS_TAKEN)
            if found == upper:
                break
            upper = found
        word = upper << 32 | int(page[index]) & 0xFFFF_FFFF
        page[index] = POS_TAKEN << 32
        return word

    def clone(self, parent: Cpu) -> SysSpace:
        """A copy of all host mappings, by cloning the keeper. EAGAIN.

        The clone carries out the list that it finds, which maps a first area, and starts the
        thread in it, all in one go.
        """
        assert isinstance(parent, SysCpu)
        platform = self.sys
        state = parent.raw_fpu()
        platform.flush(self, self.keeper)
        control = platform.ram.control_unit()
        child = SysSpace(platform, control, self.keeper)
        area = child._take_area()
        area.prepare(platform.xmask)
        try:
            child.keeper = platform.fork_stub(self.keeper.pid, control, area=area.va)
        except EAGAIN:
            platform.ram.free_control_unit(area.pfn)
            raise
        control[2][:_PAGE_WORDS] = _NO_LIST
        child.resting.append(child._adopt(platform.zygote.result(child.keeper.pid), area))
        child.start_regs = memoryview(parent.regs[:NREGS].tobytes()).cast("Q")
        child.start_fpu = state
        return child

    def sync(self) -> None:
        """Flush the queue now. The threads may go on running meanwhile."""
        if self._entries[1]:
            self.sys.flush(self, self.keeper)

    def shootdown(self) -> None:
        """See AddressSpace.shootdown: whether a thread is at rest is never known for sure."""
        self.sync()

    def running(self) -> int:
        """How many CPUs of this space run guest code right now, as it seems."""
        running = self.sys.running
        return sum(cpu.pid in running for cpu in self.cpus) if running else 0

    def end_all(self) -> list[int]:
        """Kill all threads; the pids that are to be reaped."""
        for cpu in self.resting:
            self.end_thread(cpu)
        self.resting.clear()
        return [pid for pid, _ in self.gone if pid]

    def drop_everything(self) -> None:
        """Replace the queue by entries that unmap all that is the guest's, windows and areas."""
        self.drop_all()
        self.raw(STUB_WINDOWS, _USER_TOP - STUB_WINDOWS, MUNMAP, 0)

    def free_areas(self) -> None:
        """The areas are unmapped: give their frames back."""
        for area in self._areas:
            self.sys.ram.free_control_unit(area.pfn)
        self._areas.clear()
        self.gone.clear()
