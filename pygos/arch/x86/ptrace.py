# SPDX-License-Identifier: Apache-2.0
"""Registers as debuggers see and set them (arch/x86/kernel/ptrace.c).

``regs`` of a stopped task is ``struct user_regs_struct`` in place; what is written is checked as
Linux checks it, so that what the CPU then refuses is only the program's own problem. One
more refusal: code segments other than the 64-bit one, as 32-bit mode is closed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.arch.x86 import fpu
from pygos.arch.x86.prctl import TASK_SIZE_MAX, do_arch_prctl
from pygos.arch.x86.regs import CS, DS, EFLAGS, FS_BASE, GS, GS_BASE, NREGS, REGS_SIZE, SS
from pygos.arch.x86.signal import USER_CS, fpu_shape
from pygos.include.errno import EFAULT, EINVAL, EIO, ENODEV, ENXIO, ESRCH
from pygos.include.uapi import ptrace as uapi

if TYPE_CHECKING:
    from collections.abc import Callable

    from pygos.include.linux.platform import Cpu
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_M64: Final = (1 << 64) - 1
#: CF PF AF ZF SF TF DF OF NT RF AC: what a debugger may change.
_FLAG_MASK: Final = 0x54DD5
_USER_RPL: Final = 3
#: struct user (sys/user.h): its size, and the debug registers in it.
USER_SIZE: Final = 928
_DEBUGREG, _NDEBUG = 848, 8
_MXCSR: Final = 24

NT_PRSTATUS, NT_PRFPREG, NT_386_TLS, NT_386_IOPERM = 1, 2, 0x200, 0x201
NT_X86_XSTATE, NT_X86_SHSTK = 0x202, 0x204


def _cpu(task: Task) -> Cpu:
    if task.cpu is None:
        raise ESRCH
    return task.cpu


# -- general registers


def putreg(task: Task, index: int, value: int) -> None:
    """Set one register (an index of arch.x86.regs). EIO for what Linux refuses."""
    regs = task.regs
    if index == EFLAGS:
        value = regs[EFLAGS] & ~_FLAG_MASK | value & _FLAG_MASK
    elif index in (FS_BASE, GS_BASE):
        if value >= TASK_SIZE_MAX:
            raise EIO
    elif index in (CS, SS) or DS <= index <= GS:
        value &= 0xFFFF
        if value and value & 3 != _USER_RPL:
            raise EIO
        if (index == CS and value != USER_CS) or (index == SS and not value):
            raise EIO
    regs[index] = value & _M64


def get_regs(task: Task) -> bytes:
    """NT_PRSTATUS, PTRACE_GETREGS."""
    _cpu(task)
    return task.regs.tobytes()


def set_regs(task: Task, data: bytes) -> None:
    """The first registers, as many as there are in `data`; stops at the first bad one. EIO."""
    _cpu(task)
    for index, value in enumerate(memoryview(data).cast("Q")):
        putreg(task, index, value)


# -- the user area


def peek_user(task: Task, offset: int) -> int:
    """A word of struct user: registers and debug registers; the rest reads as 0. EIO."""
    if offset & 7 or offset >= USER_SIZE:
        raise EIO
    if offset < REGS_SIZE:
        _cpu(task)
        return task.regs[offset >> 3]
    number = (offset - _DEBUGREG) >> 3
    if 0 <= number < _NDEBUG and number not in (4, 5):
        return _cpu(task).get_debugreg(number)
    return 0


def poke_user(task: Task, offset: int, value: int) -> None:
    """Set a word of struct user. EIO; of debug registers also EINVAL, ENOSPC."""
    if offset & 7 or offset >= USER_SIZE:
        raise EIO
    if offset < REGS_SIZE:
        _cpu(task)
        putreg(task, offset >> 3, value)
        return
    number = (offset - _DEBUGREG) >> 3
    if not 0 <= number < _NDEBUG or number in (4, 5):
        raise EIO
    _cpu(task).set_debugreg(number, value)


# -- register sets


def get_fpregs(task: Task) -> bytes:
    """NT_PRFPREG, PTRACE_GETFPREGS: the FXSAVE area."""
    return _cpu(task).get_fpu()[: fpu.FXSAVE_SIZE]


def set_fpregs(task: Task, data: bytes) -> None:
    """All of the FXSAVE area. EINVAL for less and for reserved bits in MXCSR."""
    if len(data) != fpu.FXSAVE_SIZE:
        raise EINVAL
    cpu = _cpu(task)
    image = bytearray(cpu.get_fpu())
    if int.from_bytes(data[_MXCSR : _MXCSR + 4], "little") & ~fpu_shape(task).mxcsr_mask:
        raise EINVAL
    image[: fpu.SW_BYTES] = data[: fpu.SW_BYTES]
    if len(image) >= fpu.XSAVE_MIN:
        image[fpu.XSTATE_BV] |= fpu.XFEATURE_FPSSE
    cpu.set_fpu(bytes(image))


def get_xstate(task: Task) -> bytes:
    """NT_X86_XSTATE: the whole image."""
    return _cpu(task).get_fpu()


def set_xstate(task: Task, data: bytes) -> None:
    """A whole image. EFAULT if it isn't; EINVAL for what the CPU would refuse."""
    cpu = _cpu(task)
    image = bytearray(data)
    shape = fpu_shape(task)
    if len(image) != shape.size:
        raise EFAULT
    image[fpu.SW_BYTES : fpu.FXSAVE_SIZE] = shape.software
    try:
        cpu.set_fpu(bytes(image))
    except ValueError:
        raise EINVAL from None


def _no_ioperm(task: Task) -> bytes:
    raise ENXIO


def _no_shadow_stack(task: Task) -> bytes:
    raise ENODEV


class RegSet:
    """One register set: its note type is the key of REGSETS. Sizes in bytes."""

    __slots__ = ("get", "put", "size")

    def __init__(
        self, size: int, get: Callable[[Task], bytes], put: Callable[[Task, bytes], None] | None
    ) -> None:
        self.size = size
        self.get = get
        self.put = put


REGSETS: Final = {
    NT_PRSTATUS: RegSet(8, get_regs, set_regs),
    NT_PRFPREG: RegSet(8, get_fpregs, set_fpregs),
    NT_X86_XSTATE: RegSet(8, get_xstate, set_xstate),
    NT_386_IOPERM: RegSet(8, _no_ioperm, None),
    NT_X86_SHSTK: RegSet(8, _no_shadow_stack, None),
}


def arch_ptrace(task: Task, child: Task, request: int, addr: int, data: int) -> int:
    """The requests that only x86 has. EIO for unknown ones."""
    mm: Mm = task.mm  # type: ignore[assignment]
    if request == uapi.PTRACE_PEEKUSR:
        mm.write_u64(data, peek_user(child, addr))
    elif request == uapi.PTRACE_POKEUSR:
        poke_user(child, addr, data)
    elif request == uapi.PTRACE_GETREGS:
        mm.write(data, get_regs(child))
    elif request == uapi.PTRACE_SETREGS:
        set_regs(child, mm.read(data, NREGS * 8))
    elif request == uapi.PTRACE_GETFPREGS:
        mm.write(data, get_fpregs(child))
    elif request == uapi.PTRACE_SETFPREGS:
        set_fpregs(child, mm.read(data, fpu.FXSAVE_SIZE))
    elif request == uapi.PTRACE_ARCH_PRCTL:
        return do_arch_prctl(task, child, data, addr)
    else:
        raise EIO
    return 0
