# SPDX-License-Identifier: Apache-2.0
"""How single arguments are shown.

Functions named ``out_...`` show what a call has written: they are asked when it has returned
without error. Those named ``fin_...`` and ``opt_...`` are asked when it has returned, in any
case; the latter may leave the argument out. All others are asked before the call begins.
``tables`` refers to them by these names.
"""

from __future__ import annotations

from typing import Any

from pygos.include.uapi import symbols
from pygos.include.uapi.dirent import LinuxDirent64
from pygos.include.uapi.eventpoll import EpollEvent
from pygos.include.uapi.poll import Pollfd
from pygos.include.uapi.symbols import Symbols
from pygos.include.uapi.time import UTIME_NOW, UTIME_OMIT, Timespec, Timeval
from pygos.include.uapi.uio import Iovec
from pygos.kernel.trace import text
from pygos.kernel.trace.call import Call
from pygos.kernel.trace.structs import plain, struct_text
from pygos.kernel.trace.text import ARRAY_MAX, STRING_MAX, array, hexa, i32, i64, ptr, quote

_AT_FDCWD = -100
_PATH_MAX = 4096
_O_CREATES = 0o20000100  # O_CREAT, and O_TMPFILE without O_DIRECTORY


# -- numbers


def d(call: Call, i: int) -> str:
    """An int."""
    return str(i32(call.args[i]))


def u(call: Call, i: int) -> str:
    """An unsigned int."""
    return str(call.args[i] & 0xFFFF_FFFF)


def ld(call: Call, i: int) -> str:
    """A long."""
    return str(i64(call.args[i]))


def lu(call: Call, i: int) -> str:
    """An unsigned long."""
    return str(call.args[i])


def x(call: Call, i: int) -> str:
    """An unsigned long in hex."""
    return hexa(call.args[i])


def x32(call: Call, i: int) -> str:
    """An int in hex."""
    return hexa(call.args[i] & 0xFFFF_FFFF)


def mode(call: Call, i: int) -> str:
    """Permissions in octal."""
    return text.octal(call.args[i] & 0xFFFF_FFFF)


def file_mode(call: Call, i: int) -> str:
    """A mode with a file type, for mknod(2)."""
    return text.file_mode(call.args[i] & 0xFFFF_FFFF)


def device(call: Call, i: int) -> str | None:
    """A device number; left out if the mode before it is no device's."""
    if call.args[i - 1] & 0o170000 not in (0o020000, 0o060000):
        return None
    return text.device(call.args[i] & 0xFFFF_FFFF)


def uid(call: Call, i: int) -> str:
    """A user or group; -1 is "leave alone"."""
    value = call.args[i] & 0xFFFF_FFFF
    return "-1" if value == 0xFFFF_FFFF else str(value)


def addr(call: Call, i: int) -> str:
    """An address."""
    return ptr(call.args[i])


def dirfd(call: Call, i: int) -> str:
    """A directory descriptor."""
    value = i32(call.args[i])
    return "AT_FDCWD" if value == _AT_FDCWD else str(value)


def signal(call: Call, i: int) -> str:
    """A signal's number."""
    return symbols.signal(i32(call.args[i]))


class Value:
    """A number with a name."""

    __slots__ = ("table",)

    def __init__(self, table: Symbols) -> None:
        self.table = table

    def __call__(self, call: Call, i: int) -> str:
        value = i32(call.args[i])
        return self.table.name(value) or self.table.value(value & 0xFFFF_FFFF)


class Flags:
    """An or of flags."""

    __slots__ = ("table",)

    def __init__(self, table: Symbols) -> None:
        self.table = table

    def __call__(self, call: Call, i: int) -> str:
        return self.table.flags(call.args[i] & 0xFFFF_FFFF)


def open_flags(call: Call, i: int) -> str:
    """Flags of open(2)."""
    return text.open_flags(call.args[i] & 0xFFFF_FFFF)


def creat_mode(call: Call, i: int) -> str | None:
    """The mode of open(2), which only calls that create a file have."""
    return mode(call, i) if call.args[i - 1] & _O_CREATES else None


def clone_flags(call: Call, i: int) -> str:
    """Flags of clone(2) with the exit signal."""
    return symbols.clone_flags(call.args[i])


def sched_policy(call: Call, i: int) -> str:
    """A policy of sched_setscheduler(2)."""
    return policy(i32(call.args[i]))


def policy(value: int) -> str:
    """A scheduling policy: SCHED_NORMAL is SCHED_OTHER to programs."""
    low = value & ~0x4000_0000
    name = "SCHED_OTHER" if low == 0 else symbols.SCHED.value(low)
    return name + ("|SCHED_RESET_ON_FORK" if value != low else "")


# -- strings and buffers


def path(call: Call, i: int) -> str:
    """A path: shown as a whole."""
    found = call.cstr(call.args[i], _PATH_MAX)
    return ptr(call.args[i]) if found is None else quote(found[0], _PATH_MAX, found[1])


def string(call: Call, i: int) -> str:
    """A string that is no path."""
    return string_at(call, call.args[i])


def string_at(call: Call, where: int) -> str:
    """The first bytes of a string."""
    found = call.cstr(where, STRING_MAX + 1)
    return ptr(where) if found is None else quote(*_cut(found))


def _cut(found: tuple[bytes, bool]) -> tuple[bytes, int, bool]:
    return found[0], STRING_MAX, found[1]


def buffer(call: Call, i: int) -> str:
    """Bytes going in; their number is the next argument."""
    return buffer_at(call, call.args[i], call.args[i + 1])


def buffer_at(call: Call, where: int, length: int) -> str:
    """The first of `length` bytes in memory."""
    if length == 0 and where:
        return '""'
    data = call.read(where, min(length, STRING_MAX))
    return ptr(where) if data is None else quote(data, more=length > STRING_MAX)


def out_buffer(call: Call, i: int) -> str:
    """Bytes that came out: as many as the result says."""
    return buffer_at(call, call.args[i], min(call.result, call.args[i + 1]))


def out_random(call: Call, i: int) -> str:
    """Random bytes."""
    data = call.read(call.args[i], min(call.result, STRING_MAX))
    return ptr(call.args[i]) if data is None else text.quote_hex(data, call.result > STRING_MAX)


def out_cwd(call: Call, i: int) -> str:
    """A path that came out, with its NUL."""
    data = call.read(call.args[i], min(call.result, _PATH_MAX))
    return ptr(call.args[i]) if data is None else quote(data.rstrip(b"\0"), _PATH_MAX)


def out_names(call: Call, i: int) -> str:
    """Names that came out; asking for their size passes NULL or no room."""
    if call.args[i + 1] == 0:
        return ptr(call.args[i])
    return out_buffer(call, i)


def iov(call: Call, i: int) -> str:
    """struct iovec[] going in; their number is the next argument."""
    return _iov(call, i, None)


def out_iov(call: Call, i: int) -> str:
    """struct iovec[] filled with as many bytes as the result says."""
    return _iov(call, i, call.result)


def _iov(call: Call, i: int, total: int | None) -> str:
    count = call.args[i + 1]
    if count == 0 and call.args[i]:
        return "[]"
    parts: list[str] = []
    for at in range(min(count, ARRAY_MAX)):
        vector = call.struct(call.args[i] + at * Iovec.SIZE, Iovec)
        if vector is None:
            if not parts:
                return ptr(call.args[i])
            break
        length = vector.iov_len
        if total is not None:
            total -= (length := min(length, total))
        base = buffer_at(call, vector.iov_base, length)
        parts.append(f"{{iov_base={base}, iov_len={vector.iov_len}}}")
    return array(parts, count)


# -- structs


class StructIn:
    """A struct that the call reads."""

    __slots__ = ("kind",)

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def __call__(self, call: Call, i: int) -> str:
        value = call.struct(call.args[i], self.kind)
        return ptr(call.args[i]) if value is None else struct_text(value)


class StructOut(StructIn):
    """A struct that the call writes."""

    __slots__ = ()


def sigset(call: Call, i: int) -> str:
    """A signal set."""
    words = call.words(call.args[i], 1)
    return ptr(call.args[i]) if words is None else text.sigset(words[0])


def out_sigset(call: Call, i: int) -> str:
    """A signal set that came out."""
    return sigset(call, i)


def sigset6(call: Call, i: int) -> str:
    """The sixth argument of pselect6(2): a pointer to a set and its size."""
    words = call.words(call.args[i], 2)
    if words is None:
        return ptr(call.args[i])
    mask = call.words(words[0], 1)
    shown = ptr(words[0]) if mask is None else text.sigset(mask[0])
    return f"{{sigmask={shown}, sigsetsize={words[1]}}}"


def out_int(call: Call, i: int) -> str:
    """An int that came out."""
    values = call.ints(call.args[i], 1)
    return ptr(call.args[i]) if values is None else f"[{values[0]}]"


def out_hex(call: Call, i: int) -> str:
    """An unsigned long that came out, in hex."""
    values = call.words(call.args[i], 1)
    return ptr(call.args[i]) if values is None else f"[{hexa(values[0])}]"


def out_long(call: Call, i: int) -> str:
    """A long that came out."""
    values = call.words(call.args[i], 1)
    return ptr(call.args[i]) if values is None else f"[{i64(values[0])}]"


def out_pipe(call: Call, i: int) -> str:
    """The two descriptors of pipe(2) and socketpair(2)."""
    values = call.ints(call.args[i], 2)
    return ptr(call.args[i]) if values is None else f"[{values[0]}, {values[1]}]"


def out_wait_status(call: Call, i: int) -> str:
    """A wait status; nothing was written if nobody was waited for."""
    values = call.ints(call.args[i], 1) if call.result else None
    return ptr(call.args[i]) if values is None else f"[{text.wait_status(values[0] & 0xFFFF)}]"


def fin_rem(call: Call, i: int) -> str:
    """What is left of a sleep: only written if a signal came."""
    if call.errno in (4, 516):
        return StructOut(Timespec)(call, i)
    return ptr(call.args[i])


class Pair:
    """Two structs in an array: the times of utimes(2)."""

    __slots__ = ("kind",)

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def __call__(self, call: Call, i: int) -> str:
        first = call.struct(call.args[i], self.kind)
        second = call.struct(call.args[i] + self.kind.SIZE, self.kind)
        if first is None or second is None:
            return ptr(call.args[i])
        return f"[{_time(first)}, {_time(second)}]"


def _time(value: Any) -> str:
    if isinstance(value, Timespec):
        if value.tv_nsec == UTIME_NOW:
            return "UTIME_NOW"
        if value.tv_nsec == UTIME_OMIT:
            return "UTIME_OMIT"
    return plain(value)


timespec_pair = Pair(Timespec)
timeval_pair = Pair(Timeval)


# -- arrays


def argv(call: Call, i: int) -> str:
    """The strings of execve(2)."""
    found = call.pointers(call.args[i], ARRAY_MAX)
    if found is None:
        return ptr(call.args[i])
    pointers, count = found
    return array([string_at(call, where) for where in pointers], count)


def envp(call: Call, i: int) -> str:
    """An environment: its address and size."""
    found = call.pointers(call.args[i], 0)
    if found is None:
        return ptr(call.args[i])
    return f"{ptr(call.args[i])} /* {found[1]} var{'' if found[1] == 1 else 's'} */"


def groups(call: Call, i: int) -> str:
    """gid_t[]; the number is the argument before."""
    return _groups(call, call.args[i], call.args[i - 1] & 0xFFFF_FFFF)


def out_groups(call: Call, i: int) -> str:
    """gid_t[] that came out; a size of 0 asks for the number only."""
    return _groups(call, call.args[i], call.result if call.args[i - 1] & 0xFFFF_FFFF else 0)


def _groups(call: Call, where: int, count: int) -> str:
    values = call.ints(where, min(count, ARRAY_MAX)) if count else None
    if values is None:
        return "[]" if where and not count else ptr(where)
    return array([str(value & 0xFFFF_FFFF) for value in values], count)


def cpuset(call: Call, i: int) -> str:
    """A set of CPUs; its size in bytes is the argument before."""
    return _cpuset(call, call.args[i], min(call.args[i - 1] & 0xFFFF_FFFF, 1024))


def out_cpuset(call: Call, i: int) -> str:
    """A set of CPUs that came out: the result is its size."""
    return _cpuset(call, call.args[i], min(call.result, 1024))


def _cpuset(call: Call, where: int, size: int) -> str:
    data = call.read(where, size)
    if data is None:
        return ptr(where)
    bits = int.from_bytes(data, "little")
    cpus = [str(n) for n in range(size * 8) if bits >> n & 1]
    return array(cpus[: 2 * ARRAY_MAX], len(cpus), " ")


def out_dents(call: Call, i: int) -> str:
    """A directory's entries: how many."""
    data = call.read(call.args[i], min(call.result, 1 << 17))
    if data is None:
        return ptr(call.args[i])
    count = at = 0
    while at + LinuxDirent64.SIZE <= len(data):
        length = int.from_bytes(data[at + 16 : at + 18], "little")
        if length == 0:
            break
        at += length
        count += 1
    return f"{ptr(call.args[i])} /* {count} entr{'y' if count == 1 else 'ies'} */"


def pollfds(call: Call, i: int) -> str:
    """struct pollfd[] going in."""
    count = call.args[i + 1] & 0xFFFF_FFFF
    parts = []
    for at in range(min(count, ARRAY_MAX)):
        item = call.struct(call.args[i] + at * Pollfd.SIZE, Pollfd)
        if item is None:
            return ptr(call.args[i])
        events = "" if item.fd < 0 else f", events={symbols.POLL.flags(item.events & 0xFFFF)}"
        parts.append(f"{{fd={item.fd}{events}}}")
    return array(parts, count)


def out_epoll_events(call: Call, i: int) -> str:
    """struct epoll_event[] that came out."""
    count = call.result
    parts = []
    for at in range(min(count, ARRAY_MAX)):
        item = call.struct(call.args[i] + at * EpollEvent.SIZE, EpollEvent)
        if item is None:
            return ptr(call.args[i])
        parts.append(struct_text(item))
    return array(parts, count)


def fdset(call: Call, i: int) -> str:
    """An fd_set; the number of bits that count is the first argument."""
    found = fds_of(call, call.args[i])
    return ptr(call.args[i]) if found is None else f"[{' '.join(map(str, found))}]"


def fds_of(call: Call, where: int) -> list[int] | None:
    """The descriptors in an fd_set."""
    nfds = min(max(i32(call.args[0]), 0), 1 << 16)
    words = call.words(where, (nfds + 63) // 64)
    if words is None:
        return None
    return [n for n in range(nfds) if words[n >> 6] >> (n & 63) & 1]


def offset(call: Call, i: int) -> str:
    """A pointer to a file offset that the call changes."""
    words = call.words(call.args[i], 1)
    return ptr(call.args[i]) if words is None else f"[{i64(words[0])}]"
