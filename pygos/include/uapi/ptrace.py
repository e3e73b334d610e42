# SPDX-License-Identifier: Apache-2.0
"""ptrace(2): linux/ptrace.h, asm/ptrace-abi.h, sys/user.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, i32, u32, u64

PTRACE_TRACEME: Final = 0
PTRACE_PEEKTEXT: Final = 1
PTRACE_PEEKDATA: Final = 2
PTRACE_PEEKUSR: Final = 3
PTRACE_POKETEXT: Final = 4
PTRACE_POKEDATA: Final = 5
PTRACE_POKEUSR: Final = 6
PTRACE_CONT: Final = 7
PTRACE_KILL: Final = 8
PTRACE_SINGLESTEP: Final = 9
PTRACE_ATTACH: Final = 16
PTRACE_DETACH: Final = 17
PTRACE_SYSCALL: Final = 24
PTRACE_SETOPTIONS: Final = 0x4200
PTRACE_GETEVENTMSG: Final = 0x4201
PTRACE_GETSIGINFO: Final = 0x4202
PTRACE_SETSIGINFO: Final = 0x4203
PTRACE_GETREGSET: Final = 0x4204
PTRACE_SETREGSET: Final = 0x4205
PTRACE_SEIZE: Final = 0x4206
PTRACE_INTERRUPT: Final = 0x4207
PTRACE_LISTEN: Final = 0x4208
PTRACE_PEEKSIGINFO: Final = 0x4209
PTRACE_GETSIGMASK: Final = 0x420A
PTRACE_SETSIGMASK: Final = 0x420B
PTRACE_SECCOMP_GET_FILTER: Final = 0x420C
PTRACE_SECCOMP_GET_METADATA: Final = 0x420D
PTRACE_GET_SYSCALL_INFO: Final = 0x420E
PTRACE_SYSCALL_INFO_NONE: Final = 0
PTRACE_SYSCALL_INFO_ENTRY: Final = 1
PTRACE_SYSCALL_INFO_EXIT: Final = 2
PTRACE_SYSCALL_INFO_SECCOMP: Final = 3
PTRACE_GET_RSEQ_CONFIGURATION: Final = 0x420F
PTRACE_EVENTMSG_SYSCALL_ENTRY: Final = 1
PTRACE_EVENTMSG_SYSCALL_EXIT: Final = 2
PTRACE_PEEKSIGINFO_SHARED: Final = 1 << 0
PTRACE_EVENT_FORK: Final = 1
PTRACE_EVENT_VFORK: Final = 2
PTRACE_EVENT_CLONE: Final = 3
PTRACE_EVENT_EXEC: Final = 4
PTRACE_EVENT_VFORK_DONE: Final = 5
PTRACE_EVENT_EXIT: Final = 6
PTRACE_EVENT_SECCOMP: Final = 7
PTRACE_EVENT_STOP: Final = 128
PTRACE_O_TRACESYSGOOD: Final = 1
PTRACE_O_TRACEFORK: Final = 0x2
PTRACE_O_TRACEVFORK: Final = 0x4
PTRACE_O_TRACECLONE: Final = 0x8
PTRACE_O_TRACEEXEC: Final = 0x10
PTRACE_O_TRACEVFORKDONE: Final = 0x20
PTRACE_O_TRACEEXIT: Final = 0x40
PTRACE_O_TRACESECCOMP: Final = 0x80
PTRACE_O_EXITKILL: Final = 1 << 20
PTRACE_O_SUSPEND_SECCOMP: Final = 1 << 21
PTRACE_O_MASK: Final = 0x3000FF

PTRACE_GETREGS: Final = 12
PTRACE_SETREGS: Final = 13
PTRACE_GETFPREGS: Final = 14
PTRACE_SETFPREGS: Final = 15
PTRACE_GETFPXREGS: Final = 18
PTRACE_SETFPXREGS: Final = 19
PTRACE_OLDSETOPTIONS: Final = 21
PTRACE_GET_THREAD_AREA: Final = 25
PTRACE_SET_THREAD_AREA: Final = 26
PTRACE_ARCH_PRCTL: Final = 30
PTRACE_SYSEMU: Final = 31
PTRACE_SYSEMU_SINGLESTEP: Final = 32
PTRACE_SINGLEBLOCK: Final = 33

#: The registers of struct user_regs_struct in order, 8 bytes each.
USER_REGS: Final = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx",
    "rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds",
    "es", "fs", "gs",
)  # fmt: skip


class UserRegs(CStruct):
    """struct user_regs_struct, 216 bytes."""

    r15: u64 = 0
    r14: u64 = 0
    r13: u64 = 0
    r12: u64 = 0
    rbp: u64 = 0
    rbx: u64 = 0
    r11: u64 = 0
    r10: u64 = 0
    r9: u64 = 0
    r8: u64 = 0
    rax: u64 = 0
    rcx: u64 = 0
    rdx: u64 = 0
    rsi: u64 = 0
    rdi: u64 = 0
    orig_rax: u64 = 0
    rip: u64 = 0
    cs: u64 = 0
    eflags: u64 = 0
    rsp: u64 = 0
    ss: u64 = 0
    fs_base: u64 = 0
    gs_base: u64 = 0
    ds: u64 = 0
    es: u64 = 0
    fs: u64 = 0
    gs: u64 = 0


class PtracePeeksiginfoArgs(CStruct):
    """struct ptrace_peeksiginfo_args."""

    off: u64 = 0
    flags: u32 = 0
    nr: i32 = 0


class PtraceRseqConfiguration(CStruct):
    """struct ptrace_rseq_configuration."""

    rseq_abi_pointer: u64 = 0
    rseq_abi_size: u32 = 0
    signature: u32 = 0
    flags: u32 = 0
    pad: u32 = 0
