# SPDX-License-Identifier: Apache-2.0
"""A guest thread of um-systrap under ptrace for a while.

Single steps and debug registers are the host's ptrace's to give. A thread that needs them is
attached to and runs as on um-ptrace until it needs them no more. That is rare and may be slow.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pygos.arch.um import traps
from pygos.arch.um.area import REQ, SW_BYTES
from pygos.arch.x86.regs import FS_BASE, GS_BASE, ORIG_RAX, R12, RBX, RIP, RSP
from pygos.host import HostError, libc
from pygos.host import machine_code as mc
from pygos.host.code import BAD_SYSCALL, PARKED, SNAP, STATUS, STOPPED, SYSCALL
from pygos.host.layout import STUB_CODE
from pygos.host.stub import PTRACE_SETREGS, WALL
from pygos.include.linux.platform import TrapKind

if TYPE_CHECKING:
    from pygos.arch.um.systrap_cpu import SysCpu

_PTRACE_DETACH, _PTRACE_SEIZE, _PTRACE_INTERRUPT = 17, 0x4206, 0x4207
#: TRACESYSGOOD | EXITKILL
_OPTIONS: Final = 0x1 | 0x10_0000
_MAX64: Final = (1 << 64) - 1
_SIGURG: Final = 23
_EVENT_STOP: Final = 128
_FPU_SOFTWARE: Final = slice(SW_BYTES, 512)


def attach(cpu: SysCpu) -> None:
    """Begin to trace a thread that is at rest. HostError if the host refuses."""
    if not cpu.sys.at_rest(cpu):
        return
    image = cpu.get_fpu()
    try:
        libc.ptrace(_PTRACE_SEIZE, cpu.pid, 0, _OPTIONS)
        libc.ptrace(_PTRACE_INTERRUPT, cpu.pid, 0, 0)
        _, status = os.waitpid(cpu.pid, WALL)
    except ProcessLookupError:
        return
    except OSError as error:
        if _is_dead(cpu.pid):
            return
        raise HostError(f"cannot trace a guest thread: {error}; try --platform ptrace") from None
    if status & 0xFF != 0x7F:
        return
    cpu.traced = True
    cpu.set_fpu(image)


def _is_dead(pid: int) -> bool:
    """Has the host ended it although it was at rest, as it seemed?"""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except OSError:
        return True


def detach(cpu: SysCpu) -> None:
    """Leave a stopped thread to itself again, at rest in its area."""
    image = cpu.get_fpu()
    area, platform, block = cpu.area, cpu.sys, cpu.block
    cpu.traced = False
    cpu.set_fpu_raw(cpu.mixed(image))
    block[PARKED] = 0
    block[SNAP + FS_BASE] = block[SNAP + GS_BASE] = _MAX64
    area.words[0] = int(area.words[0]) & ~0xFFFF_FFFF | REQ
    saved = cpu.regs.tobytes()
    regs = cpu.regs
    regs[:] = platform.template_regs
    regs[ORIG_RAX] = _MAX64
    regs[RIP] = STUB_CODE + mc.STUB_REST
    regs[RBX] = regs[GS_BASE] = area.va
    regs[R12] = area.va + platform.context
    regs[RSP] = regs[R12] - 0x80 & ~15
    try:
        libc.ptrace(PTRACE_SETREGS, cpu.pid, 0, cpu.addr)
        libc.ptrace(_PTRACE_DETACH, cpu.pid, 0, 0)
    except ProcessLookupError:
        pass
    regs[:] = memoryview(saved).cast("Q")


def start(cpu: SysCpu) -> int:
    """Let a traced thread run; below zero an errno."""
    platform = cpu.sys
    platform.flush(cpu.space, cpu.space.keeper)
    return platform.ram.code.start(cpu.addr)


def look(cpu: SysCpu) -> bool | None:
    """Has a running traced thread stopped? None: not yet. False: just resume it."""
    try:
        pid, status = os.waitpid(cpu.pid, WALL | os.WNOHANG)
    except ChildProcessError:
        pid, status = cpu.pid, 9
    if not pid:
        return None
    cpu.block[STATUS] = status
    code = cpu.sys.ram.code.fetch(cpu.addr)
    trap = cpu.trap
    if code == SYSCALL:
        trap.kind = TrapKind.SYSCALL
    elif code == BAD_SYSCALL:
        trap.kind = TrapKind.BAD_SYSCALL
    elif code < 0 or status & 0xFF != 0x7F:
        traps.dead(trap)
    elif status >> 8 & 0xFF == _SIGURG:
        return cpu.was_kicked()
    elif status >> 16 == _EVENT_STOP:
        return False
    else:
        return traps.decode(cpu, code & ~STOPPED)
    return True
