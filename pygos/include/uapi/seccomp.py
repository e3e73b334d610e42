# SPDX-License-Identifier: Apache-2.0
"""seccomp(2): linux/seccomp.h, linux/audit.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import CStruct, c_int, c_ptr, u8, u16, u32, u64

SECCOMP_MODE_DISABLED: Final = 0
SECCOMP_MODE_STRICT: Final = 1
SECCOMP_MODE_FILTER: Final = 2
SECCOMP_SET_MODE_STRICT: Final = 0
SECCOMP_SET_MODE_FILTER: Final = 1
SECCOMP_GET_ACTION_AVAIL: Final = 2
SECCOMP_GET_NOTIF_SIZES: Final = 3
SECCOMP_FILTER_FLAG_TSYNC: Final = 1 << 0
SECCOMP_FILTER_FLAG_LOG: Final = 1 << 1
SECCOMP_FILTER_FLAG_SPEC_ALLOW: Final = 1 << 2
SECCOMP_FILTER_FLAG_NEW_LISTENER: Final = 1 << 3
SECCOMP_FILTER_FLAG_TSYNC_ESRCH: Final = 1 << 4
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: Final = 1 << 5
SECCOMP_RET_KILL_PROCESS: Final = 0x80000000
SECCOMP_RET_KILL_THREAD: Final = 0x00000000
SECCOMP_RET_KILL: Final = 0x0
SECCOMP_RET_TRAP: Final = 0x00030000
SECCOMP_RET_ERRNO: Final = 0x00050000
SECCOMP_RET_USER_NOTIF: Final = 0x7FC00000
SECCOMP_RET_TRACE: Final = 0x7FF00000
SECCOMP_RET_LOG: Final = 0x7FFC0000
SECCOMP_RET_ALLOW: Final = 0x7FFF0000
SECCOMP_RET_ACTION_FULL: Final = 0xFFFF0000
SECCOMP_RET_ACTION: Final = 0x7FFF0000
SECCOMP_RET_DATA: Final = 0x0000FFFF
SECCOMP_USER_NOTIF_FLAG_CONTINUE: Final = 1 << 0
SECCOMP_ADDFD_FLAG_SETFD: Final = 1 << 0
SECCOMP_ADDFD_FLAG_SEND: Final = 1 << 1

SECCOMP_IOCTL_NOTIF_RECV: Final = 0xC0502100
SECCOMP_IOCTL_NOTIF_SEND: Final = 0xC0182101
SECCOMP_IOCTL_NOTIF_ID_VALID: Final = 0x40082102
SECCOMP_IOCTL_NOTIF_ADDFD: Final = 0x40182103

AUDIT_ARCH_AARCH64: Final = 0xC00000B7
AUDIT_ARCH_I386: Final = 0x40000003
AUDIT_ARCH_RISCV64: Final = 0xC00000F3
AUDIT_ARCH_X86_64: Final = 0xC000003E


class SeccompData(CStruct):
    """struct seccomp_data: what a filter sees."""

    nr: c_int = 0
    arch: u32 = 0
    instruction_pointer: u64 = 0
    args: Annotated[tuple[int, ...], u64, 6] = (0,) * 6


class SeccompNotifSizes(CStruct):
    """struct seccomp_notif_sizes."""

    seccomp_notif: u16 = 0
    seccomp_notif_resp: u16 = 0
    seccomp_data: u16 = 0


class SockFprog(CStruct):
    """struct sock_fprog: `len` struct sock_filter at `filter`."""

    len: u16 = 0
    filter: c_ptr = 0


class SockFilter(CStruct):
    """struct sock_filter: one instruction of classic BPF."""

    code: u16 = 0
    jt: u8 = 0
    jf: u8 = 0
    k: u32 = 0
