# SPDX-License-Identifier: Apache-2.0
"""UmCpu: one guest thread's execution context, which is one stub process."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Final

from pygos.arch.x86.regs import NREGS
from pygos.host.code import (
    BATCH,
    BLOCK_SIZE,
    COUNT,
    LIST,
    PID,
    PTRACE_SYSEMU,
    PTRACE_SYSEMU_SINGLESTEP,
    REQUEST,
    WHO,
)
from pygos.include.errno import ENODEV
from pygos.include.linux.platform import TRAP_CPUID, TRAP_TSC, Trap, TrapKind

if TYPE_CHECKING:
    from pygos.arch.um.platform import UmPlatform


_NR_PRCTL, _NR_ARCH_PRCTL = 157, 158
_PR_SET_TSC, _ARCH_SET_CPUID = 26, 0x1012

#: A CPU block of zeros.
_EMPTY: Final = memoryview(bytes(BLOCK_SIZE)).cast("Q")


class Stub:
    """One stub process and its CPU block (see helper.S). Outlives the UmCpu that uses it:
    the stub of a gone thread serves the next one."""

    __slots__ = ("addr", "armed", "away", "block", "fresh", "pid", "slot", "traps")

    def __init__(self, pid: int, slot: int, addr: int, block: memoryview) -> None:
        self.pid = pid
        self.slot = slot
        self.addr = addr
        self.block = block
        #: The FPU is in its initial state (or in the state it should start with).
        self.fresh = True
        #: Debug registers may be set.
        self.armed = False
        #: May run on other host CPUs than the kernel's.
        self.away = False
        #: Instructions that fault: bits of TRAP_TSC and TRAP_CPUID.
        self.traps = 0

    def attach(self, list_addr: int, batch_addr: int) -> None:
        """Fill in the block for a process that is about to serve its first thread."""
        block = self.block
        block[:] = _EMPTY
        block[LIST] = list_addr
        block[PID] = block[WHO] = self.pid
        block[BATCH] = batch_addr
        block[REQUEST] = PTRACE_SYSEMU


class UmCpu:
    """Implements ``Cpu``. Made by UmSpace.new_cpu()."""

    __slots__ = (
        "addr", "at_syscall", "block", "kicked", "last_count", "owner", "pid", "platform", "regs",
        "space", "stub", "thread_page", "trap", "trapped",
    )  # fmt: skip

    def __init__(self, platform: UmPlatform, space: Any, stub: Stub) -> None:
        self.platform = platform
        self.space = space
        self.stub = stub
        self.pid = stub.pid
        self.addr = stub.addr
        self.block = stub.block
        self.regs = stub.block[:NREGS]
        self.owner: object = None
        self.thread_page: memoryview | None = None
        self.kicked = False
        self.last_count = stub.block[COUNT]
        #: What wait() returns for this CPU, made once: at a system call, at anything else.
        self.at_syscall = ((self, Trap(TrapKind.SYSCALL)),)
        self.trap = Trap(TrapKind.TICK)
        self.trapped = ((self, self.trap),)

    def resume(self) -> None:
        """Run at the next wait()."""
        self.platform.pending.append(self)

    def kick(self) -> None:
        """Make a running guest trap soon."""
        platform = self.platform
        if self in platform.pending:
            platform.pending.remove(self)
            self.trap.kind = TrapKind.KICK
            platform.put_ready(self.trapped)
        elif self.pid in platform.running:
            self.kicked = True
            os.kill(self.pid, signal.SIGURG)

    def set_step(self, on: bool) -> None:
        """Trap (SIGTRAP, TRAP_TRACE) after each instruction from the next resume on.

        A `syscall` instruction only makes its own trap. The host's ptrace does it: it sets TF
        in the flags, hides it from whoever reads them and knows instructions that change it.
        """
        self.block[REQUEST] = PTRACE_SYSEMU_SINGLESTEP if on else PTRACE_SYSEMU

    def get_debugreg(self, number: int) -> int:
        """See Cpu.get_debugreg."""
        from pygos.arch.um import debugreg

        return debugreg.peek(self.pid, number)

    def set_debugreg(self, number: int, value: int) -> None:
        """See Cpu.set_debugreg."""
        from pygos.arch.um import debugreg

        self.stub.armed = True
        debugreg.poke(self.pid, number, value)

    def set_traps(self, traps: int) -> None:
        """See Cpu.set_traps."""
        stub = self.stub
        control = self.platform.zygote.control
        changed = stub.traps ^ traps
        try:
            if changed & TRAP_TSC:
                control(self.pid, _NR_PRCTL, _PR_SET_TSC, 2 if traps & TRAP_TSC else 1)
                stub.traps ^= TRAP_TSC
            if changed & TRAP_CPUID:
                control(self.pid, _NR_ARCH_PRCTL, _ARCH_SET_CPUID, int(not traps & TRAP_CPUID))
                stub.traps ^= TRAP_CPUID
        except ProcessLookupError:
            pass
        except OSError:
            raise ENODEV from None

    def get_fpu(self) -> bytes:
        """The XSAVE image. The initial one if the stub is dead, which the next stop tells."""
        zygote = self.platform.zygote
        try:
            return zygote.get_xstate(self.pid)
        except ProcessLookupError:
            return zygote.initial_xstate

    def set_fpu(self, image: bytes | None) -> None:
        """Load an XSAVE image, or the initial state. ValueError if it is malformed."""
        zygote = self.platform.zygote
        try:
            zygote.set_xstate(self.pid, zygote.initial_xstate if image is None else image)
        except ProcessLookupError:
            pass

    def release(self) -> None:
        """The thread is gone."""
        self.platform.forget(self)
        self.set_step(False)
        if self.stub.armed:
            from pygos.arch.um import debugreg

            self.stub.armed = False
            debugreg.disarm(self.pid)
        self.space.put_stub(self)
