# SPDX-License-Identifier: Apache-2.0
"""PtraceSpace: the address space of um-ptrace, whose stubs run guest code under ptrace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.arch.um.cpu import Stub, UmCpu
from pygos.arch.um.space import UmSpace
from pygos.include.linux.platform import Cpu, TrapKind

if TYPE_CHECKING:
    from pygos.arch.um.platform import Control
    from pygos.arch.um.ptrace_platform import UmPtrace

_IDLE_STUBS: Final = 2


class PtraceSpace(UmSpace):
    """Implements ``AddressSpace``."""

    __slots__ = ("idle", "um")

    def __init__(self, platform: UmPtrace, control: Control) -> None:
        super().__init__(platform, control)
        self.um = platform
        self.idle: list[Stub] = []

    def window(self, va: int, pfn: int, pages: int) -> None:
        """See AddressSpace.window: nothing is answered in these stubs, so there are none."""
        raise NotImplementedError

    def take_position(self, index: int) -> int:
        """See AddressSpace.take_position: nor are there positions."""
        raise NotImplementedError

    def new_cpu(self, parent: Cpu | None = None) -> UmCpu:
        """A new guest thread; EAGAIN if the host has no process for it.

        With `parent`, a stopped CPU of this space, the new one starts with its FPU state,
        as clone(2) wants; otherwise with the initial one.
        """
        platform = self.um
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

    def clone(self, parent: Cpu) -> PtraceSpace:
        """A copy of all host mappings, by cloning the stub of `parent`. EAGAIN."""
        assert isinstance(parent, UmCpu)
        platform = self.um
        platform.flush(self, parent.stub)
        control = platform.ram.control_unit()
        stub = platform.fork_stub(parent.pid, control, parent.stub.traps)
        child = PtraceSpace(platform, control)
        if parent.stub.away:
            platform.affinity.go_home(stub)
        child.idle.append(stub)
        child.start_regs = memoryview(parent.regs.tobytes()).cast("Q")
        return child

    def sync(self) -> None:
        """Flush the queue now."""
        if self._entries[1]:
            self.um.flush(self, self.um.stopped_stub(self))

    def shootdown(self) -> None:
        """See AddressSpace.shootdown: CPUs stop and run only when the kernel says so."""
        if self.um.running and self.running():
            self.sync()

    def running(self) -> int:
        """How many CPUs of this space run guest code right now."""
        running = self.um.running
        return sum(cpu.pid in running for cpu in self.cpus) if running else 0

    def put_stub(self, cpu: UmCpu) -> None:
        """A CPU is released: keep its stub if the space has no other, or for the next thread."""
        self.cpus.remove(cpu)
        if cpu.trap.kind is not TrapKind.DEAD and len(self.idle) < _IDLE_STUBS:
            self.idle.append(cpu.stub)
        else:
            self.um.discard_stub(cpu.stub)
        if self.destroyed and not self.cpus:
            self.um.recycle(self)

    def destroy(self) -> None:
        """Give the stubs back, now or when the last CPU is released."""
        self.destroyed = True
        if not self.cpus:
            self.um.recycle(self)
