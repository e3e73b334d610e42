# SPDX-License-Identifier: Apache-2.0
"""The signal frame of x86-64: asm/sigcontext.h, asm/ucontext.h, asm/processor-flags.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import CStruct, c_ptr, c_ulong, u16, u32, u64, zeroed
from pygos.include.uapi.signal import StackT

FP_XSTATE_MAGIC1: Final = 0x46505853
FP_XSTATE_MAGIC2: Final = 0x46505845
FP_XSTATE_MAGIC2_SIZE: Final = 0x4

UC_FP_XSTATE: Final = 0x1
UC_SIGCONTEXT_SS: Final = 0x2
UC_STRICT_RESTORE_SS: Final = 0x4

X86_EFLAGS_CF_BIT: Final = 0
X86_EFLAGS_CF: Final = 0x1
X86_EFLAGS_FIXED_BIT: Final = 1
X86_EFLAGS_FIXED: Final = 0x2
X86_EFLAGS_PF_BIT: Final = 2
X86_EFLAGS_PF: Final = 0x4
X86_EFLAGS_AF_BIT: Final = 4
X86_EFLAGS_AF: Final = 0x10
X86_EFLAGS_ZF_BIT: Final = 6
X86_EFLAGS_ZF: Final = 0x40
X86_EFLAGS_SF_BIT: Final = 7
X86_EFLAGS_SF: Final = 0x80
X86_EFLAGS_TF_BIT: Final = 8
X86_EFLAGS_TF: Final = 0x100
X86_EFLAGS_IF_BIT: Final = 9
X86_EFLAGS_IF: Final = 0x200
X86_EFLAGS_DF_BIT: Final = 10
X86_EFLAGS_DF: Final = 0x400
X86_EFLAGS_OF_BIT: Final = 11
X86_EFLAGS_OF: Final = 0x800
X86_EFLAGS_IOPL_BIT: Final = 12
X86_EFLAGS_IOPL: Final = 0x3000
X86_EFLAGS_NT_BIT: Final = 14
X86_EFLAGS_NT: Final = 0x4000
X86_EFLAGS_RF_BIT: Final = 16
X86_EFLAGS_RF: Final = 0x10000
X86_EFLAGS_VM_BIT: Final = 17
X86_EFLAGS_VM: Final = 0x20000
X86_EFLAGS_AC_BIT: Final = 18
X86_EFLAGS_AC: Final = 0x40000
X86_EFLAGS_VIF_BIT: Final = 19
X86_EFLAGS_VIF: Final = 0x80000
X86_EFLAGS_VIP_BIT: Final = 20
X86_EFLAGS_VIP: Final = 0x100000
X86_EFLAGS_ID_BIT: Final = 21
X86_EFLAGS_ID: Final = 0x200000

#: What a signal handler's eflags lose.
SIGFRAME_EFLAGS_CLEARED: Final = X86_EFLAGS_DF | X86_EFLAGS_RF | X86_EFLAGS_TF

#: The eflags that sigreturn(2) takes from the frame.
FIX_EFLAGS: Final = (
    X86_EFLAGS_AC
    | X86_EFLAGS_OF
    | X86_EFLAGS_DF
    | X86_EFLAGS_TF
    | X86_EFLAGS_SF
    | X86_EFLAGS_ZF
    | X86_EFLAGS_AF
    | X86_EFLAGS_PF
    | X86_EFLAGS_CF
    | X86_EFLAGS_RF
)


class Sigcontext(CStruct):
    """struct sigcontext, 256 bytes."""

    r8: u64 = 0
    r9: u64 = 0
    r10: u64 = 0
    r11: u64 = 0
    r12: u64 = 0
    r13: u64 = 0
    r14: u64 = 0
    r15: u64 = 0
    rdi: u64 = 0
    rsi: u64 = 0
    rbp: u64 = 0
    rbx: u64 = 0
    rdx: u64 = 0
    rax: u64 = 0
    rcx: u64 = 0
    rsp: u64 = 0
    rip: u64 = 0
    eflags: u64 = 0
    cs: u16 = 0
    gs: u16 = 0
    fs: u16 = 0
    ss: u16 = 0
    err: u64 = 0
    trapno: u64 = 0
    oldmask: u64 = 0
    cr2: u64 = 0
    fpstate: c_ptr = 0
    reserved1: Annotated[tuple[int, ...], u64, 8] = (0,) * 8


class Ucontext(CStruct):
    """The kernel's struct ucontext, 304 bytes."""

    uc_flags: c_ulong = 0
    uc_link: c_ptr = 0
    uc_stack: StackT = zeroed(StackT)
    uc_mcontext: Sigcontext = zeroed(Sigcontext)
    uc_sigmask: u64 = 0


class FpxSwBytes(CStruct):
    """struct _fpx_sw_bytes: bytes 464..511 of the FXSAVE area in a frame."""

    magic1: u32 = 0
    extended_size: u32 = 0
    xfeatures: u64 = 0
    xstate_size: u32 = 0
    padding: Annotated[tuple[int, ...], u32, 7] = (0,) * 7
