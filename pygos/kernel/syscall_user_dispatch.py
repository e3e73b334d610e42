# SPDX-License-Identifier: Apache-2.0
"""PR_SET_SYSCALL_USER_DISPATCH: calls from outside a range become SIGSYS, so that a program
can emulate another system (kernel/entry/syscall_user_dispatch.c).

``task.user_dispatch`` is None or (offset, length, selector): calls made from the range are
always made; for others the byte at `selector`, if it isn't 0, says whether they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.arch.x86.regs import ORIG_RAX, RAX, RIP
from pygos.include.errno import EFAULT, EINVAL
from pygos.include.linux.sched import SigInfo
from pygos.include.uapi.prctl import PR_SYS_DISPATCH_OFF, PR_SYS_DISPATCH_ON
from pygos.include.uapi.seccomp import AUDIT_ARCH_X86_64
from pygos.include.uapi.signal import SI_KERNEL, SIGSEGV, SIGSYS, SYS_USER_DISPATCH

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_M32: Final = 0xFFFF_FFFF
_M64: Final = 0xFFFF_FFFF_FFFF_FFFF
_TASK_SIZE_MAX: Final = (1 << 47) - 4096
_ALLOW, _BLOCK = 0, 1


def set_user_dispatch(task: Task, mode: int, offset: int, length: int, selector: int) -> int:
    """Switch it on or off for a task. EINVAL, EFAULT."""
    from pygos.kernel.entry_work import (
        SYSCALL_WORK_USER_DISPATCH,
        clear_syscall_work,
        set_syscall_work,
    )

    if mode == PR_SYS_DISPATCH_OFF:
        if offset or length or selector:
            raise EINVAL
        task.user_dispatch = None
        clear_syscall_work(task, SYSCALL_WORK_USER_DISPATCH)
        return 0
    if mode != PR_SYS_DISPATCH_ON:
        raise EINVAL
    if offset and (offset + length) & _M64 <= offset:
        raise EINVAL
    if selector >= _TASK_SIZE_MAX:
        raise EFAULT
    task.user_dispatch = (offset, length, selector)
    set_syscall_work(task, SYSCALL_WORK_USER_DISPATCH)
    return 0


def syscall_user_dispatch(task: Task) -> bool:
    """A call is about to be made. True: it became a signal; the registers are as before it."""
    assert task.user_dispatch is not None
    offset, length, selector = task.user_dispatch
    regs = task.regs
    if (regs[RIP] - offset) & _M64 < length:
        return False
    if selector:
        state = _selected(task, selector)
        if state == _ALLOW:
            return False
        if state != _BLOCK:
            from pygos.kernel.sigsend import force_exit_sig

            force_exit_sig(task, SigInfo(SIGSEGV if state is None else SIGSYS, SI_KERNEL))
            return True
    from pygos.kernel.sigsend import force_sig_info

    nr = regs[ORIG_RAX] & _M32
    regs[RAX] = regs[ORIG_RAX]
    signed = (nr ^ 0x80000000) - 0x80000000
    if task.mm is not None and task.mm.patches is not None:
        task.mm.patches.reveal(task.mm, regs[RIP])
    info = SigInfo(
        SIGSYS, SYS_USER_DISPATCH, addr=regs[RIP], syscall=signed, arch=AUDIT_ARCH_X86_64
    )
    force_sig_info(task, info)
    return True


def _selected(task: Task, selector: int) -> int | None:
    """The selector's byte; None if it can't be read."""
    assert task.mm is not None
    try:
        return task.mm.read(selector, 1)[0]
    except EFAULT:
        return None
