# SPDX-License-Identifier: Apache-2.0
"""Indices of ``struct user_regs_struct`` (sys/user.h), 27 x u64."""

R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8 = range(10)
RAX, RCX, RDX, RSI, RDI, ORIG_RAX, RIP, CS, EFLAGS, RSP, SS = range(10, 21)
FS_BASE, GS_BASE, DS, ES, FS, GS = range(21, 27)
NREGS = 27
REGS_SIZE = NREGS * 8
#: Where the arguments of a 64-bit system call are, in order (syscall(2)).
SYSCALL_ARGS = (RDI, RSI, RDX, R10, R8, R9)
