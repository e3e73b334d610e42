# SPDX-License-Identifier: Apache-2.0
"""UmCpu: one guest thread's execution context, which is one stub process."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from pygos.arch.x86.regs import NREGS
from pygos.host.code import BATCH, BLOCK_SIZE, COUNT, LIST, PID, WHO
from pygos.include.linux.platform import Trap, TrapKind

if TYPE_CHECKING:
    from pygos.arch.um.ptrace_platform import UmPtrace
    from pygos.arch.um.space import UmSpace


class Stub:
    """One stub process and its CPU block (see helper.S). Outlives the UmCpu that uses it:
    the stub of a gone thread serves the next one."""

    __slots__ = ("addr", "away", "block", "fresh", "pid", "slot")

    def __init__(self, pid: int, slot: int, addr: int, block: memoryview) -> None:
        self.pid = pid
        self.slot = slot
        self.addr = addr
        self.block = block
        #: The FPU is in its initial state (or in the state it should start with).
        self.fresh = True
        #: May run on other host CPUs than the kernel's.
        self.away = False

    def attach(self, list_addr: int, batch_addr: int) -> None:
        """Fill in the block for a process that is about to serve its first thread."""
        block = self.block
        for index in range(BLOCK_SIZE // 8):
            block[index] = 0
        block[LIST] = list_addr
        block[PID] = block[WHO] = self.pid
        block[BATCH] = batch_addr


class UmCpu:
    """Implements ``Cpu``. Made by UmSpace.new_cpu()."""

    __slots__ = (
        "addr", "at_syscall", "block", "kicked", "last_count", "owner", "pid", "platform", "regs",
        "space", "stub", "trap", "trapped",
    )  # fmt: skip

    def __init__(self, platform: UmPtrace, space: UmSpace, stub: Stub) -> None:
        self.platform = platform
        self.space = space
        self.stub = stub
        self.pid = stub.pid
        self.addr = stub.addr
        self.block = stub.block
        self.regs = stub.block[:NREGS]
        self.owner: object = None
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
        self.space.put_stub(self)
