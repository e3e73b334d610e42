# SPDX-License-Identifier: Apache-2.0
"""siginfo_t: the 128 bytes that user space sees of a SigInfo (copy_siginfo_to_user)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from pygos.include.uapi.signal import (
    NSIGCHLD,
    NSIGFPE,
    NSIGILL,
    NSIGPOLL,
    NSIGSEGV,
    NSIGSYS,
    NSIGTRAP,
    SEGV_CPERR,
    SI_ASYNCNL,
    SI_DETHREAD,
    SI_KERNEL,
    SI_SIGIO,
    SI_TIMER,
    SI_USER,
    SIGBUS,
    SIGCHLD,
    SIGFPE,
    SIGILL,
    SIGINFO_SIZE,
    SIGPOLL,
    SIGSEGV,
    SIGSYS,
    SIGTRAP,
)

if TYPE_CHECKING:
    from pygos.include.linux.sched import SigInfo

#: signo, errno, code, padding; then a member of the union, zeros to 128 bytes.
_KILL: Final = Struct("<iiiiiIQ96x")
_CHLD: Final = Struct("<iiiiiIiiqq80x")
_TIMER: Final = Struct("<iiiiiiQ96x")
_FAULT: Final = Struct("<iiiiQ104x")
_POLL: Final = Struct("<iiiiqi100x")
_SYS: Final = Struct("<iiiiQiI96x")
_FAULT_CODES: Final = {
    SIGILL: NSIGILL,
    SIGFPE: NSIGFPE,
    SIGSEGV: max(NSIGSEGV, SEGV_CPERR),
    SIGBUS: 5,
    SIGTRAP: NSIGTRAP,
}
_M64: Final = (1 << 64) - 1


def known_siginfo_layout(signo: int, code: int) -> bool:
    """Does the kernel know which member of the union a signal with this code uses?"""
    if code in (SI_KERNEL, SI_ASYNCNL) or SI_DETHREAD <= code <= SI_USER:
        return True
    if code < 0:
        return False
    return code <= {**_FAULT_CODES, SIGCHLD: NSIGCHLD, SIGSYS: NSIGSYS}.get(signo, NSIGPOLL)


def siginfo_bytes(info: SigInfo) -> bytes:
    """The bytes of siginfo_t for frames, sigtimedwait, waitid and signalfd's like."""
    raw = info.raw
    if raw is not None:
        return (info.signo & 0xFFFFFFFF).to_bytes(4, "little") + raw[4:SIGINFO_SIZE]
    signo, code = info.signo, info.code
    if SI_USER < code < SI_KERNEL:
        if code <= _FAULT_CODES.get(signo, 0):
            return _FAULT.pack(signo, info.errno, code, 0, info.addr & _M64)
        if signo == SIGCHLD and code <= NSIGCHLD:
            return _CHLD.pack(
                signo, info.errno, code, 0, info.pid, info.uid, info.status, 0,
                info.utime, info.stime,
            )  # fmt: skip
        if signo == SIGSYS and code <= NSIGSYS:
            return _SYS.pack(signo, info.errno, code, 0, info.addr & _M64, info.syscall, info.arch)
        if signo == SIGPOLL or code <= NSIGPOLL:
            return _POLL.pack(signo, info.errno, code, 0, info.band, info.fd)
    elif code == SI_TIMER:
        value = info.value & _M64
        return _TIMER.pack(signo, info.errno, code, 0, info.timerid, info.overrun, value)
    elif code == SI_SIGIO:
        return _POLL.pack(signo, info.errno, code, 0, info.band, info.fd)
    return _KILL.pack(signo, info.errno, code, 0, info.pid, info.uid, info.value & _M64)


def siginfo_from_bytes(raw: bytes) -> SigInfo:
    """What a program gives as siginfo_t (rt_sigqueueinfo(2), PTRACE_SETSIGINFO): 128 bytes."""
    from pygos.include.linux.sched import SigInfo

    signo, error, code = memoryview(raw[:12]).cast("i")
    return SigInfo(signo, code, error, raw=raw)
