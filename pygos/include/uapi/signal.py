# SPDX-License-Identifier: Apache-2.0
"""Signals: asm/signal.h, asm-generic/siginfo.h, linux/signalfd.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import (
    CStruct,
    c_int,
    c_long,
    c_ptr,
    c_short,
    c_size_t,
    c_uint,
    c_ulong,
    i32,
    u16,
    u32,
    u64,
)

SIGHUP: Final = 1
SIGINT: Final = 2
SIGQUIT: Final = 3
SIGILL: Final = 4
SIGTRAP: Final = 5
SIGABRT: Final = 6
SIGIOT: Final = 6
SIGBUS: Final = 7
SIGFPE: Final = 8
SIGKILL: Final = 9
SIGUSR1: Final = 10
SIGSEGV: Final = 11
SIGUSR2: Final = 12
SIGPIPE: Final = 13
SIGALRM: Final = 14
SIGTERM: Final = 15
SIGSTKFLT: Final = 16
SIGCHLD: Final = 17
SIGCONT: Final = 18
SIGSTOP: Final = 19
SIGTSTP: Final = 20
SIGTTIN: Final = 21
SIGTTOU: Final = 22
SIGURG: Final = 23
SIGXCPU: Final = 24
SIGXFSZ: Final = 25
SIGVTALRM: Final = 26
SIGPROF: Final = 27
SIGWINCH: Final = 28
SIGIO: Final = 29
SIGPOLL: Final = 29
SIGPWR: Final = 30
SIGSYS: Final = 31
SIGUNUSED: Final = 31
SIGRTMIN: Final = 32

SIGRTMAX: Final = 64
#: Signals are numbered 1.._NSIG.
_NSIG: Final = 64
NSIG: Final = 65
SA_RESTORER: Final = 0x04000000

SA_NOCLDSTOP: Final = 0x00000001
SA_NOCLDWAIT: Final = 0x00000002
SA_SIGINFO: Final = 0x00000004
SA_UNSUPPORTED: Final = 0x00000400
SA_EXPOSE_TAGBITS: Final = 0x00000800
SA_ONSTACK: Final = 0x08000000
SA_RESTART: Final = 0x10000000
SA_NODEFER: Final = 0x40000000
SA_RESETHAND: Final = 0x80000000
SA_NOMASK: Final = 0x40000000
SA_ONESHOT: Final = 0x80000000

SA_IMMUTABLE: Final = 0x00800000

SIG_BLOCK: Final = 0
SIG_UNBLOCK: Final = 1
SIG_SETMASK: Final = 2

SIG_DFL: Final = 0
SIG_IGN: Final = 1
SIG_ERR: Final = -1

MINSIGSTKSZ: Final = 2048
SIGSTKSZ: Final = 8192

SS_ONSTACK: Final = 1
SS_DISABLE: Final = 2
SS_AUTODISARM: Final = 1 << 31
SS_FLAG_BITS: Final = 0x80000000

SI_USER: Final = 0
SI_KERNEL: Final = 0x80
SI_QUEUE: Final = -1
SI_TIMER: Final = -2
SI_MESGQ: Final = -3
SI_ASYNCIO: Final = -4
SI_SIGIO: Final = -5
SI_TKILL: Final = -6
SI_DETHREAD: Final = -7
SI_ASYNCNL: Final = -60
ILL_ILLOPC: Final = 1
ILL_ILLOPN: Final = 2
ILL_ILLADR: Final = 3
ILL_ILLTRP: Final = 4
ILL_PRVOPC: Final = 5
ILL_PRVREG: Final = 6
ILL_COPROC: Final = 7
ILL_BADSTK: Final = 8
ILL_BADIADDR: Final = 9
NSIGILL: Final = 11
FPE_INTDIV: Final = 1
FPE_INTOVF: Final = 2
FPE_FLTDIV: Final = 3
FPE_FLTOVF: Final = 4
FPE_FLTUND: Final = 5
FPE_FLTRES: Final = 6
FPE_FLTINV: Final = 7
FPE_FLTSUB: Final = 8
FPE_FLTUNK: Final = 14
FPE_CONDTRAP: Final = 15
NSIGFPE: Final = 15
SEGV_MAPERR: Final = 1
SEGV_ACCERR: Final = 2
SEGV_BNDERR: Final = 3
SEGV_PKUERR: Final = 4
SEGV_ACCADI: Final = 5
SEGV_ADIDERR: Final = 6
SEGV_ADIPERR: Final = 7
SEGV_MTEAERR: Final = 8
SEGV_MTESERR: Final = 9
NSIGSEGV: Final = 9
BUS_ADRALN: Final = 1
BUS_ADRERR: Final = 2
BUS_OBJERR: Final = 3
BUS_MCEERR_AR: Final = 4
BUS_MCEERR_AO: Final = 5
NSIGBUS: Final = 5
TRAP_BRKPT: Final = 1
TRAP_TRACE: Final = 2
TRAP_BRANCH: Final = 3
TRAP_HWBKPT: Final = 4
TRAP_UNK: Final = 5
TRAP_PERF: Final = 6
NSIGTRAP: Final = 6
TRAP_PERF_FLAG_ASYNC: Final = 1 << 0
CLD_EXITED: Final = 1
CLD_KILLED: Final = 2
CLD_DUMPED: Final = 3
CLD_TRAPPED: Final = 4
CLD_STOPPED: Final = 5
CLD_CONTINUED: Final = 6
NSIGCHLD: Final = 6
POLL_IN: Final = 1
POLL_OUT: Final = 2
POLL_MSG: Final = 3
POLL_ERR: Final = 4
POLL_PRI: Final = 5
POLL_HUP: Final = 6
NSIGPOLL: Final = 6
SYS_SECCOMP: Final = 1
SYS_USER_DISPATCH: Final = 2
NSIGSYS: Final = 2
EMT_TAGOVF: Final = 1
NSIGEMT: Final = 1

SEGV_CPERR: Final = 10

SIGEV_SIGNAL: Final = 0
SIGEV_NONE: Final = 1
SIGEV_THREAD: Final = 2
SIGEV_THREAD_ID: Final = 4

SFD_CLOEXEC: Final = 0o2000000
SFD_NONBLOCK: Final = 0o4000


class Sigaction(CStruct):
    """The kernel's struct sigaction of rt_sigaction(2), not the C library's."""

    sa_handler: c_ptr = 0
    sa_flags: c_ulong = 0
    sa_restorer: c_ptr = 0
    sa_mask: u64 = 0


class Sigset(CStruct):
    """The kernel's sigset_t: bit signo - 1."""

    sig: u64 = 0


class StackT(CStruct):
    """stack_t of sigaltstack(2)."""

    ss_sp: c_ptr = 0
    ss_flags: c_int = 0
    ss_size: c_size_t = 0


class Siginfo(CStruct):
    """siginfo_t: 128 bytes; the union after the head as it is for kill(2), the most common.

    The functions below make the bytes of the other members of the union.
    """

    si_signo: c_int = 0
    si_errno: c_int = 0
    si_code: c_int = 0
    pad: c_int = 0
    si_pid: c_int = 0
    si_uid: c_uint = 0
    si_value: u64 = 0
    rest: Annotated[bytes, 96] = b""


class SiginfoChld(CStruct):
    """siginfo_t of SIGCHLD and waitid(2)."""

    si_signo: c_int = 0
    si_errno: c_int = 0
    si_code: c_int = 0
    pad: c_int = 0
    si_pid: c_int = 0
    si_uid: c_uint = 0
    si_status: c_int = 0
    si_utime: c_long = 0
    si_stime: c_long = 0
    rest: Annotated[bytes, 80] = b""


class SiginfoTimer(CStruct):
    """siginfo_t of a POSIX timer (SI_TIMER)."""

    si_signo: c_int = 0
    si_errno: c_int = 0
    si_code: c_int = 0
    pad: c_int = 0
    si_timerid: c_int = 0
    si_overrun: c_int = 0
    si_value: u64 = 0
    rest: Annotated[bytes, 96] = b""


class SiginfoFault(CStruct):
    """siginfo_t of SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGTRAP."""

    si_signo: c_int = 0
    si_errno: c_int = 0
    si_code: c_int = 0
    pad: c_int = 0
    si_addr: c_ptr = 0
    si_addr_lsb: c_short = 0
    si_lower: c_ptr = 0
    si_upper: c_ptr = 0
    rest: Annotated[bytes, 80] = b""


class SiginfoPoll(CStruct):
    """siginfo_t of SIGIO."""

    si_signo: c_int = 0
    si_errno: c_int = 0
    si_code: c_int = 0
    pad: c_int = 0
    si_band: c_long = 0
    si_fd: c_int = 0
    rest: Annotated[bytes, 96] = b""


class SiginfoSys(CStruct):
    """siginfo_t of SIGSYS (seccomp(2))."""

    si_signo: c_int = 0
    si_errno: c_int = 0
    si_code: c_int = 0
    pad: c_int = 0
    si_call_addr: c_ptr = 0
    si_syscall: c_int = 0
    si_arch: c_uint = 0
    rest: Annotated[bytes, 96] = b""


class Sigevent(CStruct):
    """struct sigevent of timer_create(2) and mq_notify(3), 64 bytes."""

    sigev_value: u64 = 0
    sigev_signo: c_int = 0
    sigev_notify: c_int = 0
    #: sigev_notify_thread_id for SIGEV_THREAD_ID.
    sigev_tid: c_int = 0
    rest: Annotated[bytes, 44] = b""


class SignalfdSiginfo(CStruct):
    """struct signalfd_siginfo, 128 bytes."""

    ssi_signo: u32 = 0
    ssi_errno: i32 = 0
    ssi_code: i32 = 0
    ssi_pid: u32 = 0
    ssi_uid: u32 = 0
    ssi_fd: i32 = 0
    ssi_tid: u32 = 0
    ssi_band: u32 = 0
    ssi_overrun: u32 = 0
    ssi_trapno: u32 = 0
    ssi_status: i32 = 0
    ssi_int: i32 = 0
    ssi_ptr: u64 = 0
    ssi_utime: u64 = 0
    ssi_stime: u64 = 0
    ssi_addr: u64 = 0
    ssi_addr_lsb: u16 = 0
    pad2: u16 = 0
    ssi_syscall: i32 = 0
    ssi_call_addr: u64 = 0
    ssi_arch: u32 = 0
    pad: Annotated[bytes, 28] = b""


SIGINFO_SIZE: Final = 128


def siginfo_kill(signo: int, code: int, pid: int, uid: int, value: int = 0) -> bytes:
    """siginfo_t of kill(2), tgkill(2) and sigqueue(3): `value` is si_value as 64 bits."""
    return Siginfo(signo, 0, code, 0, pid, uid, value).to_bytes()


def siginfo_chld(
    code: int, pid: int, uid: int, status: int, utime: int = 0, stime: int = 0
) -> bytes:
    """siginfo_t of SIGCHLD: `code` is CLD_*, times in USER_HZ ticks."""
    return SiginfoChld(SIGCHLD, 0, code, 0, pid, uid, status, utime, stime).to_bytes()


def siginfo_fault(signo: int, code: int, addr: int, lsb: int = 0) -> bytes:
    """siginfo_t of a fault at `addr`."""
    return SiginfoFault(signo, 0, code, 0, addr, lsb).to_bytes()


def siginfo_timer(signo: int, timerid: int, overrun: int, value: int) -> bytes:
    """siginfo_t of a POSIX timer's expiry."""
    return SiginfoTimer(signo, 0, SI_TIMER, 0, timerid, overrun, value).to_bytes()


def siginfo_poll(signo: int, code: int, band: int, fd: int) -> bytes:
    """siginfo_t of SIGIO: `code` is POLL_*, `band` the POLL bits."""
    return SiginfoPoll(signo, 0, code, 0, band, fd).to_bytes()


def siginfo_sys(code: int, call_addr: int, nr: int, arch: int, errno: int = 0) -> bytes:
    """siginfo_t of SIGSYS."""
    return SiginfoSys(SIGSYS, errno, code, 0, call_addr, nr, arch).to_bytes()
