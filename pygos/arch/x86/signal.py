# SPDX-License-Identifier: Apache-2.0
"""Signal frames of x86-64 and the way back from them (arch/x86/kernel/signal_64.c).

The frame on the stack, from its address (which is 8 below a multiple of 16) up:
``pretcode`` (where the handler returns to), ``struct ucontext``, ``siginfo_t``; further up,
64-byte aligned, the XSAVE image. Everything in a frame may have been changed by the program
before sigreturn: only what a program may set by itself is taken from it.
"""

from __future__ import annotations

from operator import itemgetter
from struct import Struct
from typing import TYPE_CHECKING, Final

from pygos.arch.x86 import fpu
from pygos.arch.x86.regs import (
    CS,
    EFLAGS,
    ORIG_RAX,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    RAX,
    RBP,
    RBX,
    RCX,
    RDI,
    RDX,
    RIP,
    RSI,
    RSP,
    SS,
)
from pygos.include.errno import EFAULT, EINTR, EINVAL, ENOMEM, EPERM
from pygos.include.linux.sched import SigAction, SigAltStack, SigInfo, Task
from pygos.include.linux.syscalls import syscall
from pygos.include.uapi.sigcontext import (
    FIX_EFLAGS,
    SIGFRAME_EFLAGS_CLEARED,
    UC_FP_XSTATE,
    UC_SIGCONTEXT_SS,
    UC_STRICT_RESTORE_SS,
)
from pygos.include.uapi.signal import (
    SA_ONSTACK,
    SA_RESTORER,
    SA_SIGINFO,
    SIGSEGV,
    SIGTRAP,
    TRAP_TRACE,
)
from pygos.kernel.altstack import on_sig_stack, set_altstack
from pygos.kernel.siginfo import siginfo_bytes
from pygos.kernel.sigqueue import set_current_blocked
from pygos.kernel.sigsend import force_sig

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import UserMemory

USER_CS: Final = 0x33
USER_DS: Final = 0x2B
_RED_ZONE: Final = 128
_NR_RESTART_SYSCALL: Final = 219
_M64: Final = (1 << 64) - 1
_CANONICAL_END: Final = 1 << 47
#: pretcode, ucontext (flags, link, stack, sigcontext, mask), siginfo.
_FRAME: Final = Struct("<Q QQQi4xQ 18Q4H5Q64x Q 128s")
FRAME_SIZE: Final = _FRAME.size
_UC: Final = Struct("<QQQi4xQ 18Q4H5Q64x Q")
UC_OFFSET: Final = 8
INFO_OFFSET: Final = UC_OFFSET + _UC.size
#: General registers in the order of struct sigcontext.
_CONTEXT: Final = (
    R8, R9, R10, R11, R12, R13, R14, R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP, EFLAGS,
)  # fmt: skip
_FROM_REGS: Final = itemgetter(*_CONTEXT)
#: The other way: the positions in the context of the registers R15..RDI.
_TO_REGS: Final = itemgetter(*[_CONTEXT.index(index) for index in range(RDI + 1)])
_REGS: Final = Struct(f"<{SS + 1}Q")
#: machine.misc: the FpuShape of this machine's CPUs.
_SHAPE: Final = "fpu_shape"


def rewind_syscall(task: Task) -> None:
    """Make the interrupted call happen again: back onto the two bytes of ``syscall``."""
    regs = task.regs
    regs[RIP] = (regs[RIP] - 2) & _M64
    regs[RAX] = task.syscall_nr & _M64


def rewind_to_restart(task: Task) -> None:
    """Go on with the interrupted call by restart_syscall(2): its progress is in the task."""
    regs = task.regs
    if task.restart is None:
        rewind_syscall(task)
        return
    if task.syscall_nr != _NR_RESTART_SYSCALL:
        task.restart_nr = task.syscall_nr
    regs[RIP] = (regs[RIP] - 2) & _M64
    regs[RAX] = _NR_RESTART_SYSCALL


def fail_syscall(task: Task) -> None:
    """The interrupted call ends with EINTR."""
    task.regs[RAX] = -EINTR.errno & _M64


# -- onto the stack


def setup_rt_frame(task: Task, info: SigInfo, action: SigAction, oldmask: int) -> None:
    """Write the frame for a handler and point the registers at it.

    EFAULT if the stack can't be written, the alternate stack is too small, or there is no
    restorer (x86-64 has no other way back).
    """
    cpu, mm, regs = task.cpu, task.mm, task.regs
    assert cpu is not None
    assert mm is not None
    if mm.patches is not None:
        if info.signo == SIGTRAP and info.code == TRAP_TRACE:
            mm.patches.undo_all(mm)  # the program steps itself
        regs[RIP] = mm.patches.original_ip(regs[RIP])
    image = cpu.get_fpu()
    state = fpu_shape(task).framed(image)
    sp, fpstate = _get_sigframe(task, action, len(state))
    if not action.flags & SA_RESTORER:
        raise EFAULT
    mm.write(fpstate, state)
    flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
    if fpu.has_xsave(image):
        flags |= UC_FP_XSTATE
    mm.write(sp, _frame_bytes(task, info, action, oldmask, fpstate, flags))
    regs[RDI] = info.signo
    regs[RAX] = 0
    regs[RSI] = sp + INFO_OFFSET
    regs[RDX] = sp + UC_OFFSET
    regs[RIP] = action.handler
    regs[RSP] = sp
    regs[CS] = USER_CS
    regs[SS] = USER_DS
    regs[EFLAGS] &= ~SIGFRAME_EFLAGS_CLEARED
    cpu.set_fpu(None)


def _frame_bytes(
    task: Task, info: SigInfo, action: SigAction, oldmask: int, fpstate: int, uc_flags: int
) -> bytes:
    regs, stack = task.regs, task.altstack
    flags = stack.flags - (1 << 32) if stack.flags >> 31 else stack.flags
    return _FRAME.pack(
        action.restorer,
        uc_flags, 0, stack.sp, flags, stack.size,
        *_FROM_REGS(regs.tolist()),
        regs[CS] & 0xFFFF, 0, 0, regs[SS] & 0xFFFF,
        task.trap_err, task.trap_nr, oldmask, task.trap_cr2, fpstate,
        oldmask,
        siginfo_bytes(info) if action.flags & SA_SIGINFO else b"",
    )  # fmt: skip


def _get_sigframe(task: Task, action: SigAction, math_size: int) -> tuple[int, int]:
    """Addresses of the frame and of the FPU state above it."""
    sp = task.regs[RSP]
    stack = task.altstack
    on_stack = on_sig_stack(stack, sp)
    sp -= _RED_ZONE
    if action.flags & SA_ONSTACK and stack.size and not on_sig_stack(stack, sp):
        sp = stack.sp + stack.size
        on_stack = True
    fpstate = (sp - math_size) & ~63
    frame = ((fpstate - FRAME_SIZE) & ~15) - 8
    if frame <= 0 or (on_stack and not _inside(stack, frame)):
        raise EFAULT
    return frame, fpstate


def _inside(stack: SigAltStack, sp: int) -> bool:
    return stack.sp < sp <= stack.sp + stack.size


# -- and back


@syscall
def rt_sigreturn(task: Task) -> int:
    """Return from a signal handler: restore what the frame says. sigreturn(2).

    A frame that can't be read or restored ends in SIGSEGV.
    """
    mm = task.mm
    assert mm is not None
    try:
        _restore(task, mm, (task.regs[RSP] - 8) & _M64)
    except (EFAULT, ValueError):
        _bad_frame(task)
        return 0
    if task.regs[RIP] >= _CANONICAL_END:
        # The CPU would refuse to go there (#GP).
        task.trap_nr, task.trap_err = 13, 0
        force_sig(task, SIGSEGV)
    rax = task.regs[RAX]
    return rax - (1 << 64) if rax >> 63 else rax


def _bad_frame(task: Task) -> None:
    regs = task.regs
    comm = task.comm.decode("utf-8", "replace")
    task.machine.printk.info(
        f"{comm}[{task.pid}] bad frame in rt_sigreturn"
        f" ip:{regs[RIP]:x} sp:{regs[RSP]:x} orax:{regs[ORIG_RAX]:x}"
    )
    force_sig(task, SIGSEGV)


def _restore(task: Task, mm: UserMemory, frame: int) -> None:
    fields = _UC.unpack(mm.read(frame + UC_OFFSET, _UC.size))
    set_current_blocked(task, fields[-1])
    _restore_altstack(task, *fields[2:5])
    regs = task.regs
    context = fields[5:23]
    eflags = (regs[EFLAGS] & ~FIX_EFLAGS) | (context[-1] & FIX_EFLAGS)
    # Selectors aren't taken from the frame: 32-bit code segments are closed.
    regs[: SS + 1] = memoryview(
        _REGS.pack(*_TO_REGS(context), _M64, context[16], USER_CS, eflags, context[15], USER_DS)
    ).cast("Q")
    _restore_fpu(task, mm, fields[31])


def _restore_altstack(task: Task, sp: int, flags: int, size: int) -> None:
    stack = task.altstack
    if sp == stack.sp and size == stack.size and flags & 0xFFFFFFFF == stack.flags:
        return
    try:
        set_altstack(task, task.regs[RSP], sp, flags & 0xFFFFFFFF, size)
    except (EPERM, EINVAL, ENOMEM):
        pass


def fpu_shape(task: Task) -> fpu.FpuShape:
    """What all FPU images of this machine have in common."""
    shape: fpu.FpuShape | None = task.machine.misc.get(_SHAPE)
    if shape is None:
        cpu = task.cpu
        assert cpu is not None
        shape = task.machine.misc[_SHAPE] = fpu.FpuShape(cpu.get_fpu())
    return shape


def _restore_fpu(task: Task, mm: UserMemory, fpstate: int) -> None:
    """Load the frame's FPU state; no pointer: the initial state. EFAULT, ValueError."""
    cpu = task.cpu
    assert cpu is not None
    if not fpstate:
        cpu.set_fpu(None)
        return
    shape = fpu_shape(task)
    try:
        data = mm.read(fpstate, shape.frame_size + fpu.MAGIC2_SIZE)
    except EFAULT:
        data = mm.read(fpstate, fpu.FXSAVE_SIZE)
    cpu.set_fpu(shape.restored(data))
