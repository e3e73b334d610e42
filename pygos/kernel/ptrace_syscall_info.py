# SPDX-License-Identifier: Apache-2.0
"""PTRACE_GET_SYSCALL_INFO and PTRACE_SET_SYSCALL_INFO (struct ptrace_syscall_info)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from pygos.arch.x86.regs import ORIG_RAX, RAX, RIP, RSP, SYSCALL_ARGS
from pygos.include.errno import EINVAL, ERANGE
from pygos.include.uapi import ptrace as uapi
from pygos.include.uapi.signal import SIGTRAP

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_M64: Final = (1 << 64) - 1
_ARCH: Final = 0xC000003E  # AUDIT_ARCH_X86_64
#: op, reserved, flags, arch, instruction pointer, stack pointer.
_HEAD: Final = Struct("<BBHIQQ")
_ENTRY: Final = Struct("<7Q")
_EXIT: Final = Struct("<qB")
#: nr, args, ret_data, reserved2
_SECCOMP: Final = Struct("<7QI")
#: sizeof(struct ptrace_syscall_info)
INFO_SIZE: Final = 88
_STOP_SYSCALL: Final = SIGTRAP | 0x80
_STOP_SECCOMP: Final = SIGTRAP | uapi.PTRACE_EVENT_SECCOMP << 8
_MAX_ERRNO: Final = 4095


def _operation(child: Task) -> int:
    """What kind of stop the tracee is in, as far as calls are concerned."""
    pt = child.pt
    assert pt is not None
    code = pt.info.code if pt.info is not None else 0
    if code == _STOP_SECCOMP:
        return uapi.PTRACE_SYSCALL_INFO_SECCOMP
    if code == _STOP_SYSCALL:
        if pt.message == uapi.PTRACE_EVENTMSG_SYSCALL_ENTRY:
            return uapi.PTRACE_SYSCALL_INFO_ENTRY
        if pt.message == uapi.PTRACE_EVENTMSG_SYSCALL_EXIT:
            return uapi.PTRACE_SYSCALL_INFO_EXIT
    return uapi.PTRACE_SYSCALL_INFO_NONE


def _nr(child: Task) -> int:
    """The number as an int, sign-extended."""
    nr = child.regs[ORIG_RAX] & 0xFFFFFFFF
    return nr | 0xFFFFFFFF00000000 if nr >> 31 else nr


def get_syscall_info(child: Task) -> bytes:
    """What there is to tell: only the members that the kind of stop has."""
    regs, op = child.regs, _operation(child)
    head = _HEAD.pack(op, 0, 0, _ARCH, regs[RIP], regs[RSP])
    args = [regs[index] for index in SYSCALL_ARGS]
    if op == uapi.PTRACE_SYSCALL_INFO_ENTRY:
        return head + _ENTRY.pack(_nr(child), *args)
    if op == uapi.PTRACE_SYSCALL_INFO_SECCOMP:
        assert child.pt is not None
        return head + _SECCOMP.pack(_nr(child), *args, child.pt.message & 0xFFFFFFFF)
    if op == uapi.PTRACE_SYSCALL_INFO_EXIT:
        value = regs[RAX]
        value -= 1 << 64 if value >> 63 else 0
        return head + _EXIT.pack(value, -_MAX_ERRNO <= value < 0)
    return head


def set_syscall_info(child: Task, data: bytes) -> None:
    """Change the call or its result. EINVAL; ERANGE for values that don't fit."""
    op, reserved, flags, _, _, _ = _HEAD.unpack_from(data)
    if reserved or flags or op != _operation(child):
        raise EINVAL
    regs, at = child.regs, _HEAD.size
    if op == uapi.PTRACE_SYSCALL_INFO_EXIT:
        value, _ = _EXIT.unpack_from(data, at)
        regs[RAX] = value & _M64
        return
    if op not in (uapi.PTRACE_SYSCALL_INFO_ENTRY, uapi.PTRACE_SYSCALL_INFO_SECCOMP):
        raise EINVAL
    nr, *args = _ENTRY.unpack_from(data, at)
    signed = nr - (1 << 64) if nr >> 63 else nr
    if not -(1 << 31) <= signed < 1 << 31:
        raise ERANGE
    regs[ORIG_RAX] = nr
    if signed == -1:
        return
    for index, value in zip(SYSCALL_ARGS, args, strict=True):
        regs[index] = value
