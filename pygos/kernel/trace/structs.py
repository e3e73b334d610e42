# SPDX-License-Identifier: Apache-2.0
"""Structs of the ABI as strace(1) writes them: ``{st_mode=S_IFREG|0644, st_size=5, ...}``.

Most are written field by field from their CStruct; those strace abbreviates or orders
otherwise have a function below, found by the struct's name.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import unpack_from
from typing import Any, Final

from pygos.include.uapi import symbols
from pygos.include.uapi.cstruct import CStruct
from pygos.include.uapi.symbols import Symbols
from pygos.kernel.trace.text import (
    cstring,
    device,
    file_mode,
    hexa,
    i32,
    octal,
    open_flags,
    ptr,
    sigset,
)

#: Fields that aren't shown.
_HIDDEN: Final = ("pad", "_pad", "spare", "unused", "reserved", "rest")
_RLIM_INFINITY: Final = (1 << 64) - 1

L_TYPE: Final = Symbols("fcntl", "F_RDLCK F_WRLCK F_UNLCK")
RESOLVE: Final = Symbols("fcntl", "RESOLVE_")
FS_MAGIC: Final = Symbols("magic", "*")
ST_FLAGS: Final = Symbols("statfs", "ST_")
SS_FLAGS: Final = Symbols("signal", "SS_ONSTACK SS_DISABLE SS_AUTODISARM")
SIGEV: Final = Symbols("signal", "SIGEV_")
FLAGS_EX: Final = Symbols("sched", "CLONE_ - CLONE_ARGS_SIZE_VER0 CLONE_ARGS_SIZE_VER1"
                          " CLONE_ARGS_SIZE_VER2 CLONE_NEWTIME")  # fmt: skip
C_IFLAG: Final = Symbols(
    "termios", "IGNBRK BRKINT IGNPAR PARMRK INPCK ISTRIP INLCR IGNCR ICRNL IXANY IUCLC IXON IXOFF"
    " IMAXBEL IUTF8",
)  # fmt: skip
C_OFLAG: Final = Symbols("termios", "OPOST OCRNL ONOCR ONLRET OFILL OFDEL OLCUC ONLCR")
C_LFLAG: Final = Symbols(
    "termios", "ISIG ICANON XCASE ECHO ECHOE ECHOK ECHONL NOFLSH TOSTOP ECHOCTL ECHOPRT ECHOKE"
    " FLUSHO PENDIN IEXTEN EXTPROC",
)  # fmt: skip
C_CFLAG: Final = Symbols("termios", "CSTOPB CREAD PARENB PARODD HUPCL CLOCAL CRTSCTS CMSPAR")
BAUD: Final = Symbols("termios", "B0 B50 B75 B110 B134 B150 B200 B300 B600 B1200 B1800 B2400 B4800"
                      " B9600 B19200 B38400 B57600 B115200 B230400 B460800 B500000 B576000 B921600"
                      " B1000000 B1152000 B1500000 B2000000 B2500000 B3000000 B3500000 B4000000"
                      " BOTHER")  # fmt: skip
_CODES: Final = Symbols("signal", "SI_ - SI_LOAD_SHIFT")
_CODES_OF: Final = {
    4: Symbols("signal", "ILL_"),
    5: Symbols("signal", "TRAP_ - TRAP_PERF_FLAG_ASYNC"),
    7: Symbols("signal", "BUS_"),
    8: Symbols("signal", "FPE_"),
    11: Symbols("signal", "SEGV_"),
    17: Symbols("signal", "CLD_"),
    29: Symbols("signal", "POLL_"),
    31: Symbols("signal", "SYS_"),
}
_SI_USER, _SI_KERNEL, _SI_QUEUE, _SI_TIMER, _SI_TKILL = 0, 0x80, -1, -2, -6
_FAULTS: Final = frozenset((4, 5, 7, 8, 11))
_SIGCHLD, _SIGPOLL, _SIGSYS = 17, 29, 31
_CLD_EXITED: Final = 1


def struct_text(value: Any) -> str:
    """A struct of the ABI."""
    special = _SPECIAL.get(type(value).__name__)
    return special(value) if special is not None else plain(value)


def plain(value: CStruct) -> str:
    """Field by field."""
    hints: dict[str, str] = type(value).__annotations__
    parts = []
    for field in value.FIELDS:
        name = field.name
        if not name.startswith(_HIDDEN):
            parts.append(f"{name}={_field(getattr(value, name), hints.get(name, ''))}")
    return "{" + ", ".join(parts) + "}"


def _field(value: Any, hint: str) -> str:
    if isinstance(value, int):
        return ptr(value) if hint == "c_ptr" else str(value)
    if isinstance(value, bytes):
        return cstring(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return struct_text(value)


def _stat(st: Any) -> str:
    if st.st_mode & 0o170000 in (0o020000, 0o060000):
        rest = f"st_rdev={device(st.st_rdev)}"
    else:
        rest = f"st_size={st.st_size}"
    return f"{{st_mode={file_mode(st.st_mode)}, {rest}, ...}}"


def _statx(st: Any) -> str:
    return (
        f"{{stx_mask={symbols.STATX.flags(st.stx_mask)}, stx_attributes={hexa(st.stx_attributes)}"
        f", stx_mode={file_mode(st.stx_mode)}, stx_size={st.stx_size}, ...}}"
    )


def _statfs(st: Any) -> str:
    fsid = f"[{hexa(st.f_fsid & 0xFFFFFFFF)}, {hexa(st.f_fsid >> 32)}]"
    return (
        f"{{f_type={FS_MAGIC.value(st.f_type)}, f_bsize={st.f_bsize}, f_blocks={st.f_blocks}, "
        f"f_bfree={st.f_bfree}, f_bavail={st.f_bavail}, f_files={st.f_files}, "
        f"f_ffree={st.f_ffree}, f_fsid={{val={fsid}}}, f_namelen={st.f_namelen}, "
        f"f_frsize={st.f_frsize}, f_flags={ST_FLAGS.flags(st.f_flags)}}}"
    )


def limit(value: int) -> str:
    """A resource limit."""
    if value == _RLIM_INFINITY:
        return "RLIM64_INFINITY"
    return f"{value // 1024}*1024" if value > 1024 and value % 1024 == 0 else str(value)


def _rlimit(value: Any) -> str:
    return f"{{rlim_cur={limit(value.rlim_cur)}, rlim_max={limit(value.rlim_max)}}}"


def _rusage(value: Any) -> str:
    return f"{{ru_utime={plain(value.ru_utime)}, ru_stime={plain(value.ru_stime)}, ...}}"


def handler_text(address: int) -> str:
    """A signal handler's address or the name of a disposition."""
    return {0: "SIG_DFL", 1: "SIG_IGN"}.get(address) or hex(address)


def _sigaction(act: Any) -> str:
    flags = act.sa_flags
    restorer = f", sa_restorer={ptr(act.sa_restorer)}" if flags & 0x04000000 else ""
    return (
        f"{{sa_handler={handler_text(act.sa_handler)}, sa_mask={sigset(act.sa_mask)}, "
        f"sa_flags={symbols.SA.flags(flags)}{restorer}}}"
    )


def _sigset(value: Any) -> str:
    return sigset(value.sig)


def _stack(value: Any) -> str:
    flags = SS_FLAGS.flags(value.ss_flags & 0xFFFFFFFF)
    return f"{{ss_sp={ptr(value.ss_sp)}, ss_flags={flags}, ss_size={value.ss_size}}}"


def _utsname(value: Any) -> str:
    return f"{{sysname={cstring(value.sysname)}, nodename={cstring(value.nodename)}, ...}}"


def _flock(value: Any) -> str:
    return (
        f"{{l_type={L_TYPE.value(value.l_type)}, l_whence={symbols.SEEK.value(value.l_whence)}, "
        f"l_start={value.l_start}, l_len={value.l_len}}}"
    )


def _epoll_event(value: Any) -> str:
    data = f"{{u32={value.data & 0xFFFFFFFF}, u64={value.data}}}"
    return f"{{events={symbols.EPOLL_EVENTS.flags(value.events)}, data={data}}}"


def _termios(value: Any) -> str:
    oflag = value.c_oflag
    delays = (
        f"NL{oflag >> 8 & 1}|CR{oflag >> 9 & 3}|TAB{oflag >> 11 & 3}|BS{oflag >> 13 & 1}"
        f"|VT{oflag >> 14 & 1}|FF{oflag >> 15 & 1}"
    )
    if oflag & ~0xFF00:
        delays += "|" + C_OFLAG.flags(oflag & ~0xFF00)
    cflag = value.c_cflag
    control = f"{BAUD.value(cflag & 0x100F)}|CS{5 + (cflag >> 4 & 3)}"
    if cflag & ~0x103F:
        control += "|" + C_CFLAG.flags(cflag & ~0x103F)
    return (
        f"{{c_iflag={C_IFLAG.flags(value.c_iflag)}, c_oflag={delays}, c_cflag={control}, "
        f"c_lflag={C_LFLAG.flags(value.c_lflag)}, ...}}"
    )


def _open_how(how: Any) -> str:
    mode = f", mode={octal(how.mode)}" if how.flags & 0o20000100 else ""
    resolve = f", resolve={RESOLVE.flags(how.resolve)}"
    return f"{{flags={open_flags(how.flags)}{mode}{resolve}}}"


def _sigevent(value: Any) -> str:
    tid = f", sigev_notify_thread_id={value.sigev_tid}" if value.sigev_notify == 4 else ""
    return (
        f"{{sigev_value={sigval(value.sigev_value)}, "
        f"sigev_signo={symbols.signal(value.sigev_signo)}, "
        f"sigev_notify={SIGEV.value(value.sigev_notify)}{tid}}}"
    )


def _sched_param(value: Any) -> str:
    return f"[{value.sched_priority}]"


def clone_args(value: Any) -> str:
    """struct clone_args: what the flags don't ask for is left out."""
    parts = [f"flags={FLAGS_EX.flags(value.flags)}"]
    for name, bits in (("pidfd", 0x1000), ("child_tid", 0x1200000), ("parent_tid", 0x100000)):
        if value.flags & bits:
            parts += [f"{name}={ptr(getattr(value, name))}"]
    parts.append(f"exit_signal={symbols.signal(value.exit_signal)}")
    parts += [f"stack={ptr(value.stack)}", f"stack_size={hexa(value.stack_size)}"]
    if value.tls:
        parts.append(f"tls={ptr(value.tls)}")
    if value.set_tid or value.set_tid_size:
        parts += [f"set_tid={ptr(value.set_tid)}", f"set_tid_size={value.set_tid_size}"]
    return "{" + ", ".join(parts) + "}"


def sigval(value: int) -> str:
    """union sigval."""
    return f"{{sival_int={i32(value)}, sival_ptr={ptr(value)}}}"


def _siginfo(value: CStruct) -> str:
    return siginfo_text(value.to_bytes())


def siginfo_text(data: bytes) -> str:
    """The 128 bytes of a siginfo_t."""
    signo, errno, code = unpack_from("<iii", data)
    parts = [f"si_signo={symbols.signal(signo)}"]
    if errno:
        parts.append(f"si_errno={errno}")
    table = _CODES_OF.get(signo)
    name = table.name(code) if table is not None and 0 < code < _SI_KERNEL else None
    parts.append(f"si_code={name or _CODES.name(code) or code}")
    parts += _siginfo_rest(signo, code, data)
    return "{" + ", ".join(parts) + "}"


def _siginfo_rest(signo: int, code: int, data: bytes) -> list[str]:
    """The member of the union that `signo` and `code` choose."""
    pid, uid = unpack_from("<iI", data, 16)
    if 0 < code < _SI_KERNEL:
        if signo == _SIGCHLD:
            status, utime, stime = unpack_from("<iqq", data, 24)[0], *unpack_from("<qq", data, 32)
            shown = status if code == _CLD_EXITED else symbols.signal(status)
            times = [f"si_utime={_ticks(utime)}", f"si_stime={_ticks(stime)}"]
            return [f"si_pid={pid}", f"si_uid={uid}", f"si_status={shown}", *times]
        if signo in _FAULTS:
            return [f"si_addr={ptr(unpack_from('<Q', data, 16)[0])}"]
        if signo == _SIGPOLL:
            band, fd = unpack_from("<qi", data, 16)
            return [f"si_band={band}", f"si_fd={fd}"]
        if signo == _SIGSYS:
            addr, nr, arch = unpack_from("<QiI", data, 16)
            return [f"si_call_addr={ptr(addr)}", f"si_syscall={nr}", f"si_arch={hexa(arch)}"]
    if code == _SI_KERNEL:
        return []
    (value,) = unpack_from("<Q", data, 24)
    if code == _SI_TIMER:
        parts = [f"si_timerid={hexa(pid & 0xFFFFFFFF)}", f"si_overrun={i32(uid)}"]
        return [*parts, f"si_value={sigval(value)}"]
    parts = [f"si_pid={pid}", f"si_uid={uid}"]
    if code == _SI_QUEUE or (code < 0 and code != _SI_TKILL):
        parts.append(f"si_value={sigval(value)}")
    return parts


def _ticks(ticks: int) -> str:
    """Clock ticks with the seconds they are."""
    return f"{ticks} /* {ticks / 100:.2f} s */" if ticks else "0"


def _tms(value: Any) -> str:
    names = ("tms_utime", "tms_stime", "tms_cutime", "tms_cstime")
    return "{" + ", ".join([f"{name}={_ticks(getattr(value, name))}" for name in names]) + "}"


_SPECIAL: Final[dict[str, Callable[[Any], str]]] = {
    "CloneArgs": clone_args,
    "EpollEvent": _epoll_event,
    "Flock": _flock,
    "NewUtsname": _utsname,
    "OpenHow": _open_how,
    "Rlimit": _rlimit,
    "Rusage": _rusage,
    "SchedParam": _sched_param,
    "Sigaction": _sigaction,
    "Sigevent": _sigevent,
    "Siginfo": _siginfo,
    "Sigset": _sigset,
    "StackT": _stack,
    "Stat": _stat,
    "Statfs": _statfs,
    "Statx": _statx,
    "Termios": _termios,
    "Termios2": _termios,
    "Tms": _tms,
}
