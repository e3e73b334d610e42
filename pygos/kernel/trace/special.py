# SPDX-License-Identifier: Apache-2.0
"""Arguments whose meaning depends on another argument, and results with a remark.

The naming rule of ``args`` holds here too. ``ret_...`` functions show a result that isn't just
a number; they are only asked about calls that succeeded.
"""

from __future__ import annotations

from typing import Any, Final

from pygos.arch.x86.regs import RSP
from pygos.include.uapi import fcntl as f
from pygos.include.uapi import futex as fu
from pygos.include.uapi import ioctls as io
from pygos.include.uapi import prctl as pr
from pygos.include.uapi import symbols
from pygos.include.uapi.fcntl import Flock, FOwnerEx
from pygos.include.uapi.poll import Pollfd
from pygos.include.uapi.sched import CloneArgs
from pygos.include.uapi.symbols import Symbols
from pygos.include.uapi.termios import Termios, Termios2, Winsize
from pygos.include.uapi.time import Timespec, Timeval
from pygos.kernel.trace import args as a
from pygos.kernel.trace.call import Call
from pygos.kernel.trace.structs import struct_text
from pygos.kernel.trace.text import ARRAY_MAX, array, hexa, i32, i64, octal, open_flags, ptr, sigset

SEALS: Final = Symbols("fcntl", "F_SEAL_")
CAP: Final = Symbols("capability", "CAP_ - CAP_LAST_CAP")
#: Where struct ucontext has uc_sigmask.
_FRAME_MASK: Final = 296
_F_OWNER: Final = Symbols("fcntl", "F_OWNER_TID F_OWNER_PID F_OWNER_PGRP")


# -- fcntl

_F_NOTHING: Final = frozenset(
    (f.F_GETFD, f.F_GETFL, f.F_GETOWN, f.F_GETSIG, f.F_GETLEASE, f.F_GETPIPE_SZ, f.F_GET_SEALS)
)
_F_LOCKS: Final = frozenset(
    (f.F_GETLK, f.F_SETLK, f.F_SETLKW, f.F_OFD_GETLK, f.F_OFD_SETLK, f.F_OFD_SETLKW)
)


def opt_fcntl(call: Call, i: int) -> str | None:
    """The third argument of fcntl(2)."""
    command, value = i32(call.args[i - 1]), call.args[i]
    if command in _F_NOTHING:
        return None
    if command == f.F_SETFD:
        return symbols.FD_FLAGS.flags(value & 0xFFFFFFFF)
    if command == f.F_SETFL:
        return a.open_flags(call, i)
    if command in _F_LOCKS:
        return _lock(call, i, command in (f.F_GETLK, f.F_OFD_GETLK))
    if command in (f.F_SETSIG, f.F_SETLEASE):
        return symbols.signal(i32(value)) if command == f.F_SETSIG else str(i32(value))
    if command == f.F_ADD_SEALS:
        return SEALS.flags(value & 0xFFFFFFFF)
    if command in (f.F_SETOWN_EX, f.F_GETOWN_EX):
        owner = call.struct(value, FOwnerEx)
        if owner is None:
            return ptr(value)
        return f"{{type={_F_OWNER.value(owner.type)}, pid={owner.pid}}}"
    if command in (f.F_DUPFD, f.F_DUPFD_CLOEXEC, f.F_SETOWN, f.F_SETPIPE_SZ):
        return str(i32(value))
    return hexa(value)


def _lock(call: Call, i: int, asked: bool) -> str:
    """A record lock; whose it is, where the call tells it."""
    lock = call.struct(call.args[i], Flock)
    if lock is None:
        return ptr(call.args[i])
    owner = f", l_pid={lock.l_pid}}}" if asked and not call.failed else "}"
    return struct_text(lock)[:-1] + owner


def ret_fcntl(call: Call) -> str:
    """The result of fcntl(2)."""
    command, value = i32(call.args[1]), call.result
    if command == f.F_GETFD and value:
        return f"{hexa(value)} (flags {symbols.FD_FLAGS.flags(value)})"
    if command == f.F_GETFL:
        return f"{hexa(value)} (flags {open_flags(value)})"
    if command == f.F_GET_SEALS:
        return f"{hexa(value)} (seals {SEALS.flags(value)})"
    return str(i64(value))


# -- ioctl

_IO_NOTHING: Final = frozenset(
    (io.FIOCLEX, io.FIONCLEX, io.TIOCNOTTY, io.TIOCEXCL, io.TIOCNXCL, io.TIOCCONS, io.TIOCSBRK,
     io.TIOCCBRK, io.TIOCVHANGUP)
)  # fmt: skip
_IO_STRUCTS: Final[dict[int, Any]] = {
    io.TCGETS: Termios, io.TCSETS: Termios, io.TCSETSW: Termios, io.TCSETSF: Termios,
    io.TCGETS2: Termios2, io.TCSETS2: Termios2, io.TCSETSW2: Termios2, io.TCSETSF2: Termios2,
    io.TIOCGWINSZ: Winsize, io.TIOCSWINSZ: Winsize,
}  # fmt: skip
_IO_INTS: Final = frozenset(
    (io.TIOCGPGRP, io.TIOCSPGRP, io.TIOCGSID, io.TIOCOUTQ, io.FIONREAD, io.FIONBIO, io.FIOASYNC,
     io.TIOCGPTN, io.TIOCSPTLCK, io.TIOCGPTLCK, io.TIOCGPKT, io.TIOCPKT, io.TIOCGETD, io.TIOCSETD,
     io.TIOCGEXCL, io.SIOCATMARK)
)  # fmt: skip
_IO_NUMBERS: Final = frozenset(
    (io.TIOCSCTTY, io.TCSBRK, io.TCXONC, io.TCFLSH, io.TCSBRKP, io.TIOCSIG)
)
_DIRECTIONS: Final = ("_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE")


def ioctl_command(call: Call, i: int) -> str:
    """The second argument of ioctl(2)."""
    command = call.args[i] & 0xFFFF_FFFF
    name = symbols.IOCTL.name(command)
    if name is not None:
        return name
    size, kind, nr = command >> 16 & 0x3FFF, command >> 8 & 0xFF, command & 0xFF
    return f"_IOC({_DIRECTIONS[command >> 30]}, {hexa(kind)}, {hexa(nr)}, {hexa(size)})"


def opt_ioctl(call: Call, i: int) -> str | None:
    """The third argument of ioctl(2)."""
    command, value = call.args[i - 1] & 0xFFFF_FFFF, call.args[i]
    if command in _IO_NOTHING:
        return None
    if command in _IO_NUMBERS:
        return str(i32(value))
    if call.failed:
        return hexa(value) if not value else ptr(value)
    kind = _IO_STRUCTS.get(command)
    if kind is not None:
        return a.StructIn(kind)(call, i)
    if command in _IO_INTS:
        return a.out_int(call, i)
    return hexa(value)


# -- prctl


#: Options by their second argument; those not here show all four in hex.
_PR_NUMBER: Final = frozenset(
    (pr.PR_SET_DUMPABLE, pr.PR_SET_KEEPCAPS, pr.PR_SET_CHILD_SUBREAPER, pr.PR_SET_TIMERSLACK,
     pr.PR_SET_SECCOMP)
)  # fmt: skip
_PR_NOTHING: Final = frozenset(
    (pr.PR_GET_DUMPABLE, pr.PR_GET_KEEPCAPS, pr.PR_GET_SECCOMP, pr.PR_GET_SECUREBITS,
     pr.PR_GET_TIMERSLACK)
)  # fmt: skip
_PR_INT_OUT: Final = frozenset(
    (pr.PR_GET_PDEATHSIG, pr.PR_GET_CHILD_SUBREAPER, pr.PR_GET_TSC, pr.PR_GET_ENDIAN)
)


def opt_prctl(call: Call, i: int) -> str | None:
    """The second argument of prctl(2)."""
    option, value = i32(call.args[0]), call.args[i]
    if option == pr.PR_SET_NAME or (option == pr.PR_GET_NAME and not call.failed):
        return a.string(call, i)
    if option == pr.PR_SET_PDEATHSIG:
        return symbols.signal(i32(value))
    if option in (pr.PR_CAPBSET_READ, pr.PR_CAPBSET_DROP):
        return CAP.value(i32(value))
    if option in _PR_NUMBER:
        return str(i64(value))
    if option in _PR_INT_OUT and not call.failed:
        return a.out_int(call, i)
    return None if option in _PR_NOTHING else hexa(value)


_PR_ONE: Final = (
    frozenset((pr.PR_SET_NAME, pr.PR_GET_NAME, pr.PR_SET_PDEATHSIG, pr.PR_CAPBSET_READ,
               pr.PR_CAPBSET_DROP, pr.PR_GET_TID_ADDRESS))
    | _PR_NUMBER | _PR_NOTHING | _PR_INT_OUT
)  # fmt: skip


def prctl_more(call: Call, i: int) -> str | None:
    """The other arguments of prctl(2), of options that have them."""
    return None if i32(call.args[0]) in _PR_ONE else hexa(call.args[i])


_DUMPABLE: Final = ("SUID_DUMP_DISABLE", "SUID_DUMP_USER", "SUID_DUMP_ROOT")


def ret_prctl(call: Call) -> str:
    """The result of prctl(2)."""
    value = call.result
    if i32(call.args[0]) == pr.PR_GET_DUMPABLE and value < len(_DUMPABLE):
        return f"{value} ({_DUMPABLE[value]})"
    return str(i64(value))


def fin_arch_prctl(call: Call, i: int) -> str:
    """The second argument of arch_prctl(2)."""
    if i32(call.args[0]) in (pr.ARCH_GET_FS, pr.ARCH_GET_GS) and not call.failed:
        return a.out_hex(call, i)
    return ptr(call.args[i])


# -- futex

_WAITS: Final = frozenset(
    (fu.FUTEX_WAIT, fu.FUTEX_WAIT_BITSET, fu.FUTEX_LOCK_PI, fu.FUTEX_LOCK_PI2,
     fu.FUTEX_WAIT_REQUEUE_PI)
)  # fmt: skip
_REQUEUES: Final = frozenset(
    (fu.FUTEX_REQUEUE, fu.FUTEX_CMP_REQUEUE, fu.FUTEX_CMP_REQUEUE_PI, fu.FUTEX_WAKE_OP)
)
_BITSETS: Final = frozenset((fu.FUTEX_WAIT_BITSET, fu.FUTEX_WAKE_BITSET))
_PI_BARE: Final = frozenset((fu.FUTEX_UNLOCK_PI, fu.FUTEX_TRYLOCK_PI))


def _futex_op(call: Call) -> int:
    return call.args[1] & 0x7F


def futex_value(call: Call, i: int) -> str | None:
    """The third argument: how many, or the value expected."""
    op = _futex_op(call)
    return None if op in _PI_BARE or op in (fu.FUTEX_LOCK_PI, fu.FUTEX_LOCK_PI2) else a.u(call, i)


def futex_timeout(call: Call, i: int) -> str | None:
    """The fourth: a timeout or a second number."""
    op = _futex_op(call)
    if op in _WAITS:
        return a.StructIn(Timespec)(call, i)
    return a.u(call, i) if op in _REQUEUES else None


def futex_second(call: Call, i: int) -> str | None:
    """The fifth: a second futex."""
    return ptr(call.args[i]) if _futex_op(call) in _REQUEUES | {fu.FUTEX_WAIT_REQUEUE_PI} else None


def futex_third(call: Call, i: int) -> str | None:
    """The sixth: a bit set or a comparison."""
    op, value = _futex_op(call), call.args[i] & 0xFFFF_FFFF
    if op in _BITSETS:
        return "FUTEX_BITSET_MATCH_ANY" if value == 0xFFFF_FFFF else hexa(value)
    if op == fu.FUTEX_WAKE_OP:
        return hexa(value)
    return str(value) if op in (fu.FUTEX_CMP_REQUEUE, fu.FUTEX_CMP_REQUEUE_PI) else None


# -- processes

_CLONE_VM, _SETTLS, _PIDFD = 0x100, 0x80000, 0x1000
_PARENT_SETTID, _CHILD_TIDS = 0x100000, 0x1200000


def clone_stack(call: Call, i: int) -> str:
    """clone(2) names its arguments."""
    return f"child_stack={ptr(call.args[i])}"


def clone_named_flags(call: Call, i: int) -> str:
    """The flags of clone(2)."""
    return f"flags={a.clone_flags(call, i)}"


def opt_clone_parent_tid(call: Call, i: int) -> str | None:
    """Where the child's number went."""
    if not call.args[0] & (_PARENT_SETTID | _PIDFD):
        return None
    return f"parent_tid={ptr(call.args[i]) if call.failed else a.out_int(call, i)}"


def clone_tls(call: Call, i: int) -> str | None:
    """The child's thread pointer."""
    return f"tls={ptr(call.args[i])}" if call.args[0] & _SETTLS else None


def clone_child_tid(call: Call, i: int) -> str | None:
    """Where the child's number is kept."""
    return f"child_tidptr={ptr(call.args[i])}" if call.args[0] & _CHILD_TIDS else None


def clone3_args(call: Call, i: int) -> str:
    """struct clone_args."""
    size = min(call.args[i + 1], CloneArgs.SIZE)
    data = call.read(call.args[i], size)
    if data is None or size < 64:
        return ptr(call.args[i])
    return struct_text(CloneArgs.from_bytes(data.ljust(CloneArgs.SIZE, b"\0")))


def opt_clone3_tid(call: Call, i: int) -> str | None:
    """What clone3(2) wrote to where struct clone_args says."""
    words = call.words(call.args[i], 4)
    if call.failed or words is None or not words[0] & _PARENT_SETTID:
        return None
    tid = call.ints(words[3], 1)
    return None if tid is None else f" => {{parent_tid=[{tid[0]}]}}"


def ret_scheduler(call: Call) -> str:
    """The policy that sched_getscheduler(2) found."""
    return f"{call.result} ({a.policy(i32(call.result))})"


# -- waiting for files


def ret_poll(call: Call) -> str:
    """Which files are ready."""
    count = i64(call.result)
    if count == 0:
        return "0 (Timeout)"
    parts = []
    for at in range(min(call.args[1] & 0xFFFF_FFFF, 1 << 16)):
        item = call.struct(call.args[0] + at * Pollfd.SIZE, Pollfd)
        if item is None:
            return str(count)
        if item.revents:
            parts.append(f"{{fd={item.fd}, revents={symbols.POLL.flags(item.revents & 0xFFFF)}}}")
        if len(parts) == ARRAY_MAX:
            break
    return f"{count} ({array(parts, count)}{_left(call, 2, Timespec) if call.nr != 7 else ''})"


def ret_select(call: Call) -> str:
    """Which descriptors are ready, and the time left."""
    kind = Timeval if call.nr == 23 else Timespec
    parts = []
    for at, name in ((1, "in"), (2, "out"), (3, "except")):
        found = a.fds_of(call, call.args[at])
        if found:
            parts.append(f"{name} [{' '.join(map(str, found))}]")
    count = i64(call.result)
    if count == 0:
        return "0 (Timeout)"
    return f"{count} ({', '.join(parts)}{_left(call, 4, kind)})"


def _left(call: Call, i: int, kind: Any) -> str:
    value = call.struct(call.args[i], kind)
    return "" if value is None else f", left {struct_text(value)}"


# -- the rest


def access_mode(call: Call, i: int) -> str:
    """The rights asked for by access(2)."""
    value = call.args[i] & 0xFFFF_FFFF
    parts = [name for bit, name in ((4, "R_OK"), (2, "W_OK"), (1, "X_OK")) if value & bit]
    if value & ~7:
        parts.append(hex(value & ~7))
    return "|".join(parts) or "F_OK"


_ADVICE: Final = ("NORMAL", "RANDOM", "SEQUENTIAL", "WILLNEED", "DONTNEED", "NOREUSE")


def advice(call: Call, i: int) -> str:
    """The advice of posix_fadvise(2)."""
    value = i32(call.args[i])
    return f"POSIX_FADV_{_ADVICE[value]}" if 0 <= value < len(_ADVICE) else hexa(value & 0xFFFFFFFF)


def sigreturn_mask(call: Call, i: int) -> str:
    """The signal mask in the frame that rt_sigreturn(2) takes apart."""
    words = call.words(call.task.regs[RSP] + _FRAME_MASK, 1)
    return "{}" if words is None else f"{{mask={sigset(words[0])}}}"


def mremap_address(call: Call, i: int) -> str | None:
    """The new address of mremap(2), which only MREMAP_FIXED has."""
    return ptr(call.args[i]) if call.args[i - 1] & 2 else None


def fin_offset(call: Call, i: int) -> str:
    """An offset that sendfile(2) moved: the result says how far."""
    words = call.words(call.args[i], 1)
    if words is None:
        return ptr(call.args[i])
    end = i64(words[0])
    if call.failed or not call.result:
        return f"[{end}]"
    return f"[{end - call.result}] => [{end}]"


def mount_data(call: Call, i: int) -> str:
    """The last argument of mount(2): nearly always a string."""
    return a.string(call, i)


def ret_hex(call: Call) -> str:
    """An address or a word."""
    return hexa(call.result)


def ret_octal(call: Call) -> str:
    """The old mask of umask(2)."""
    return octal(call.result)
