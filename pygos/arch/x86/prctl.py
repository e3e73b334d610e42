# SPDX-License-Identifier: Apache-2.0
"""arch_prctl(2) and the x86 calls that a 64-bit kernel without 32-bit support refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.arch.x86.regs import FS_BASE, GS_BASE
from pygos.include.errno import EINVAL, ENOSYS, EPERM
from pygos.include.linux.sched import PF_NOCPUID
from pygos.include.linux.syscalls import Int, OutInt, ULong, UserAddr, syscall
from pygos.include.uapi import prctl as uapi
from pygos.kernel.cpu_traps import set_trap

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

#: First address that a program can never have (TASK_SIZE_MAX).
TASK_SIZE_MAX: Final = (1 << 47) - 4096


@syscall(partial="no dynamic FPU features, no shadow stacks")
def arch_prctl(task: Task, option: Int, arg2: UserAddr) -> int:
    """Set and read the FS and GS bases. arch_prctl(2).

    Errors: EPERM for a base outside user space; EINVAL; EFAULT; ENODEV.
    """
    return do_arch_prctl(task, task, option, arg2)


def do_arch_prctl(task: Task, target: Task, option: int, arg2: int) -> int:
    """What arch_prctl(2) does for `target`, for its tracer too; `arg2` points into `task`."""
    if option == uapi.ARCH_SET_FS:
        _set_base(target, FS_BASE, arg2)
    elif option == uapi.ARCH_SET_GS:
        _set_base(target, GS_BASE, arg2)
    elif option == uapi.ARCH_GET_FS:
        OutInt(_mem(task), arg2).put64(target.regs[FS_BASE])
    elif option == uapi.ARCH_GET_GS:
        OutInt(_mem(task), arg2).put64(target.regs[GS_BASE])
    elif option == uapi.ARCH_GET_CPUID:
        return int(not task.flags & PF_NOCPUID)
    elif option == uapi.ARCH_SET_CPUID:
        set_trap(task, PF_NOCPUID, not arg2)
    else:
        raise EINVAL
    return 0


def _set_base(task: Task, index: int, base: int) -> None:
    if base >= TASK_SIZE_MAX:
        raise EPERM
    task.regs[index] = base


def _mem(task: Task) -> Mm:
    assert task.mm is not None
    return task.mm


@syscall
def modify_ldt(task: Task, func: Int, ptr: UserAddr, bytecount: ULong) -> int:
    """There is no local descriptor table (as CONFIG_MODIFY_LDT_SYSCALL=n): ENOSYS."""
    raise ENOSYS


@syscall
def ioperm(task: Task, from_: ULong, num: ULong, turn_on: Int) -> int:
    """No I/O ports: EPERM, but EINVAL for an impossible range. ioperm(2)."""
    if from_ + num <= from_ or from_ + num > 65536:
        raise EINVAL
    if turn_on:
        raise EPERM
    return 0


@syscall
def iopl(task: Task, level: Int) -> int:
    """No I/O privilege: EPERM; EINVAL for a bad level. iopl(2)."""
    if not 0 <= level <= 3:
        raise EINVAL
    if level:
        raise EPERM
    return 0
