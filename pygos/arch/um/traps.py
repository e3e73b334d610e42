# SPDX-License-Identifier: Apache-2.0
"""What a stop of a stub means for the guest."""

from __future__ import annotations

from typing import Final

from pygos.arch.um.cpu import UmCpu
from pygos.arch.x86.regs import ORIG_RAX, RAX, RIP
from pygos.host.code import INFO
from pygos.include.linux.platform import PAGE_SIZE, Access, Trap, TrapKind

SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV = 4, 5, 7, 8, 11
SIGURG, SIGVTALRM, SIGSYS = 23, 26, 31
_FAULTS: Final = frozenset((SIGILL, SIGTRAP, SIGBUS, SIGFPE))
_SEGV_MAPERR: Final = 1
_SEGV_ACCERR: Final = 2
_SI_KERNEL: Final = 0x80
_SYS_SECCOMP: Final = 1
_ENOSYS: Final = (1 << 64) - 38
_MAX_INSN: Final = 15


def dead(trap: Trap) -> None:
    """The stub is gone."""
    trap.kind = TrapKind.DEAD


def bad_registers(trap: Trap) -> None:
    """The host refuses the registers (selectors, bases): as an iret with such a frame."""
    _exception(trap, SIGSEGV, _SI_KERNEL, 0)


def decode(cpu: UmCpu, status: int) -> bool:
    """Fill cpu.trap from a wait status that is not a system call.

    False: nothing for the guest (someone on the host signalled the stub): just resume.
    """
    trap = cpu.trap
    if status & 0xFF != 0x7F:
        dead(trap)
        return True
    signo = status >> 8 & 0xFF
    if signo == SIGVTALRM:
        trap.kind = TrapKind.TICK
        return True
    if signo == SIGURG:
        trap.kind = TrapKind.KICK
        wanted, cpu.kicked = cpu.kicked, False
        return wanted
    code = int(cpu.block[INFO + 1]) & 0xFFFFFFFF
    if status >> 16 or code == 0 or code >> 31:  # SI_USER, SI_TKILL and the like
        return False
    addr = int(cpu.block[INFO + 2])
    if signo == SIGSEGV:
        _segv(cpu, trap, code, addr)
    elif signo == SIGSYS and code == _SYS_SECCOMP:
        trap.kind = TrapKind.VSYSCALL
        cpu.regs[ORIG_RAX] = cpu.regs[RAX]
        cpu.regs[RAX] = _ENOSYS
    elif signo in _FAULTS:
        _exception(trap, signo, code, 0 if code == _SI_KERNEL else addr)
    else:
        return False
    return True


def _exception(trap: Trap, signo: int, code: int, addr: int) -> None:
    trap.kind = TrapKind.EXCEPTION
    trap.signo = signo
    trap.code = code
    trap.addr = addr


def _segv(cpu: UmCpu, trap: Trap, code: int, addr: int) -> None:
    """A page fault, or #GP and the like. The host doesn't tell what the access was."""
    if code not in (_SEGV_MAPERR, _SEGV_ACCERR):
        _exception(trap, SIGSEGV, code, 0 if code == _SI_KERNEL else addr)
        return
    trap.kind = TrapKind.FAULT
    trap.signo = SIGSEGV
    trap.code = code
    trap.addr = addr
    rip = cpu.regs[RIP]
    if addr == rip:
        trap.access = Access.EXEC
    elif code == _SEGV_MAPERR:
        trap.access = Access.UNKNOWN
    elif addr & (PAGE_SIZE - 1) == 0 and rip < addr < rip + _MAX_INSN:
        trap.access = Access.UNKNOWN  # a write, or the second half of an instruction
    else:
        trap.access = Access.WRITE
