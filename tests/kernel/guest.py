# SPDX-License-Identifier: Apache-2.0
"""A task with some memory, for tests of the way into the kernel and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pygos.arch.x86.regs import NREGS, ORIG_RAX, RAX, RIP, SYSCALL_ARGS
from pygos.include.errno import Errno, Restart
from pygos.include.linux.machine import Machine
from pygos.include.linux.sched import SigAction, SighandStruct
from pygos.include.linux.wait import WouldSleep
from pygos.include.uapi.mman import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE
from pygos.kernel.decode import LazyDecoder, NoSyscall
from pygos.mm.mmap import do_mmap
from tests.support.fakes import fake_machine, fake_task

SIZE = 64 << 10
M64 = (1 << 64) - 1


class Guest:
    """One task, 64 KiB of its memory at `base`, and a system call table."""

    def __init__(self, machine: Machine | None = None, pid: int = 100) -> None:
        self.machine = fake_machine() if machine is None else machine
        self.task = fake_task(self.machine, pid)
        self.task.sighand = SighandStruct()
        self.task.regs = memoryview(bytearray(NREGS * 8)).cast("Q")
        mm = self.task.mm
        assert mm is not None
        prot, flags = PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS
        self.base = do_mmap(mm, self.task, None, 0, SIZE, prot, flags, 0)
        self.next = self.base

    def put(self, data: bytes) -> int:
        """Put bytes somewhere in memory; the address."""
        where = self.next
        assert self.task.mm is not None
        self.task.mm.write(where, data)
        self.next += (len(data) + 15) & ~15
        return where

    def set_call(self, nr: int, *args: int) -> memoryview:
        """Registers as at a trap."""
        regs = self.task.regs
        for at in range(NREGS):
            regs[at] = 0
        for register, value in zip(SYSCALL_ARGS, args, strict=False):
            regs[register] = value & M64
        regs[RAX] = -38 & M64
        regs[ORIG_RAX] = nr
        regs[RIP] = 0x401002
        self.task.syscall_nr = nr
        return regs

    def install(self, nr: int, handler: Callable[..., Any]) -> None:
        """Put a handler into the table."""
        table = self.machine.syscalls
        while len(table) < nr + 2:
            table.append(NoSyscall(len(table), f"nr_{len(table)}"))
        table[nr] = LazyDecoder(table, nr, handler, SYSCALL_ARGS)


def error_of(call: Callable[[], Any]) -> int:
    """The error number that a call raises, 0 if none."""
    try:
        call()
    except WouldSleep:
        raise AssertionError("would sleep") from None
    except (Errno, Restart) as error:
        return error.errno
    return 0


IGNORE = SigAction(1)
