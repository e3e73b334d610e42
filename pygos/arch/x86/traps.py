# SPDX-License-Identifier: Apache-2.0
"""CPU exceptions that become signals (arch/x86/kernel/traps.c, arch/x86/mm/fault.c).

The vector, error code and faulting address are kept in the task for the signal frame; a
program that dies of an exception leaves a line in the kernel log, at a limited rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.arch.x86.regs import RIP, RSP
from pygos.include.linux.mm_types import PTE_READ
from pygos.include.linux.platform import Access, Trap
from pygos.include.linux.sched import SigInfo
from pygos.include.uapi.signal import (
    FPE_INTDIV,
    SI_KERNEL,
    SIG_DFL,
    SIG_IGN,
    SIGBUS,
    SIGFPE,
    SIGILL,
    SIGSEGV,
    SIGTRAP,
)
from pygos.kernel.sigsend import force_sig_info

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.platform import Cpu
    from pygos.include.linux.sched import Task

X86_TRAP_DE, X86_TRAP_DB, X86_TRAP_BP, X86_TRAP_UD = 0, 1, 3, 6
X86_TRAP_GP, X86_TRAP_PF, X86_TRAP_MF, X86_TRAP_AC, X86_TRAP_XF = 13, 14, 16, 17, 19
#: Page fault error code bits.
PF_PROT, PF_WRITE, PF_USER, PF_INSTR = 1, 2, 4, 16
_KERNEL_SPACE: Final = 0xFFFF_8000_0000_0000
_NAMES: Final = {
    X86_TRAP_DE: "divide error",
    X86_TRAP_DB: "debug",
    X86_TRAP_BP: "int3",
    X86_TRAP_UD: "invalid opcode",
    X86_TRAP_GP: "general protection fault",
    X86_TRAP_MF: "fpu exception",
    X86_TRAP_AC: "alignment check",
    X86_TRAP_XF: "simd exception",
}
#: At most this many lines in so many ns.
_BURST: Final = 10
_INTERVAL: Final = 5_000_000_000
_RATELIMIT: Final = "unhandled_signal_ratelimit"


def hot_site(cpu: Cpu) -> None:
    """Platform.hot_site: a `syscall` instruction that has trapped several times."""
    from pygos.arch.x86.alternative import patch_site

    patch_site(cpu)


def force_page_fault(task: Task, signo: int, code: int, trap: Trap) -> None:
    """A page fault that nothing can be done about: SIGSEGV or SIGBUS with `code`."""
    error = page_fault_error(task, trap)
    task.trap_nr, task.trap_err, task.trap_cr2 = X86_TRAP_PF, error, trap.addr
    if signo == SIGSEGV and _tells(task, signo):
        regs = task.regs
        _log(
            task,
            f"{_who(task)}: segfault at {trap.addr:x} ip {regs[RIP]:016x}"
            f" sp {regs[RSP]:016x} error {error:x}",
        )
    force_sig_info(task, SigInfo(signo, code, addr=trap.addr))


def page_fault_error(task: Task, trap: Trap) -> int:
    """The CPU's error code, which the host keeps for itself."""
    from pygos.arch.x86.insn import fetch, writes

    mm, addr = task.mm, trap.addr
    there = mm is not None and mm.pt.get(addr >> 12, 0) & PTE_READ
    error = PF_USER | PF_PROT if there or addr >= _KERNEL_SPACE else PF_USER
    if trap.access is Access.EXEC:
        return error | PF_INSTR
    insn = fetch(task)
    return error | PF_WRITE if insn is not None and writes(insn, task.regs, addr) else error


def force_exception(task: Task, trap: Trap) -> None:
    """Any other exception, as the platform names it by signal and si_code."""
    signo, code = trap.signo, trap.code
    vector, error = _vector(task, signo, code)
    task.trap_nr, task.trap_err = vector, error
    if _tells(task, signo):
        regs = task.regs
        _log(
            task,
            f"traps: {_who(task)} {_NAMES.get(vector, 'trap')} ip:{regs[RIP]:x}"
            f" sp:{regs[RSP]:x} error:{error:x}",
        )
    addr = 0 if code == SI_KERNEL else trap.addr
    force_sig_info(task, SigInfo(signo, code, addr=addr))


def _vector(task: Task, signo: int, code: int) -> tuple[int, int]:
    """The exception behind a signal, and its error code."""
    if signo == SIGFPE:
        return (X86_TRAP_DE if code == FPE_INTDIV else _float_vector(task)), 0
    if signo == SIGTRAP:
        return (X86_TRAP_BP if code == SI_KERNEL else X86_TRAP_DB), 0
    if signo == SIGILL:
        return X86_TRAP_UD, 0
    if signo == SIGBUS:
        return X86_TRAP_AC, 0
    from pygos.arch.x86.insn import fetch, gp_error

    insn = fetch(task)
    return X86_TRAP_GP, 0 if insn is None else gp_error(insn, task.regs)


def _float_vector(task: Task) -> int:
    from pygos.arch.x86.insn import fetch, is_x87

    insn = fetch(task)
    return X86_TRAP_MF if insn is not None and is_x87(insn) else X86_TRAP_XF


def _who(task: Task) -> str:
    return f"{task.comm.decode('utf-8', 'replace')}[{task.pid}]"


def _tells(task: Task, signo: int) -> bool:
    """The program has no handler and nobody traces it: its death is worth a line."""
    handler = task.sighand.action[signo].handler
    return handler in (SIG_DFL, SIG_IGN) and not task.ptrace


def _log(task: Task, text: str) -> None:
    machine: Machine = task.machine
    now = machine.clock.monotonic()
    begin, count = machine.misc.get(_RATELIMIT, (now, 0))
    if now - begin > _INTERVAL:
        begin, count = now, 0
    machine.misc[_RATELIMIT] = (begin, count + 1)
    if count < _BURST:
        machine.printk.info(text)
