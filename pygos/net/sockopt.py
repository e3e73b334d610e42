# SPDX-License-Identifier: Apache-2.0
"""setsockopt(2), getsockopt(2), and the options of SOL_SOCKET (net/core/sock.c)."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import (
    EACCES,
    EDOM,
    EINVAL,
    ENODATA,
    ENOPROTOOPT,
    ENOTCONN,
    EOPNOTSUPP,
    EPERM,
    ERANGE,
)
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.syscalls import FileArg, Int, UserAddr, syscall
from pygos.include.linux.user_namespace import show_gid, show_uid
from pygos.include.uapi import socket as so
from pygos.include.uapi.capability import CAP_NET_ADMIN, CAP_NET_RAW
from pygos.include.uapi.socket import AF_UNIX, SOL_SOCKET
from pygos.net.sock import TCP_LISTEN, Sock, Socket
from pygos.net.socket import sockfd_lookup

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_INT_MAX: Final = 0x7FFF_FFFF
_SOCK_MIN_SNDBUF: Final = 4608
_SOCK_MIN_RCVBUF: Final = 2304
_TIMEVAL: Final = Struct("<qq")
_LINGER: Final = Struct("<ii")
_UCRED: Final = Struct("<iII")
_NSEC: Final = 1_000_000_000
#: What may be set to 0 or 1 and means nothing more to the families there are.
_SWITCHES: Final = frozenset((
    so.SO_REUSEADDR, so.SO_DONTROUTE, so.SO_BROADCAST, so.SO_KEEPALIVE, so.SO_OOBINLINE,
    so.SO_NO_CHECK, so.SO_RXQ_OVFL, so.SO_WIFI_STATUS, so.SO_NOFCS, so.SO_SELECT_ERR_QUEUE,
    so.SO_RCVMARK, so.SO_RCVPRIORITY,
))  # fmt: skip
_FILTERS: Final = frozenset((
    so.SO_ATTACH_FILTER, so.SO_ATTACH_BPF, so.SO_ATTACH_REUSEPORT_CBPF,
    so.SO_ATTACH_REUSEPORT_EBPF,
))  # fmt: skip


@syscall(partial="Socket filters (BPF) and hardware time stamps aren't there.")
def setsockopt(
    task: Task, file: FileArg, level: Int, optname: Int, optval: UserAddr, optlen: Int
) -> int:
    """Set an option. setsockopt(2).

    Errors: EBADF, ENOTSOCK, EINVAL, EFAULT, ENOPROTOOPT, EOPNOTSUPP, EPERM, EDOM.
    """
    sock = sockfd_lookup(file)
    if optlen < 0:
        raise EINVAL
    if level == SOL_SOCKET:
        sk_setsockopt(task, sock, optname, optval, optlen)
    else:
        sock.ops.setsockopt(task, sock, level, optname, optval, optlen)
    return 0


@syscall(partial="Socket filters (BPF) and hardware time stamps aren't there.")
def getsockopt(
    task: Task, file: FileArg, level: Int, optname: Int, optval: UserAddr, optlen: UserAddr
) -> int:
    """Read an option. getsockopt(2).

    Errors: EBADF, ENOTSOCK, EINVAL, EFAULT, ENOPROTOOPT, EOPNOTSUPP, ENODATA, ENOTCONN.
    """
    sock = sockfd_lookup(file)
    if level != SOL_SOCKET:
        sock.ops.getsockopt(task, sock, level, optname, optval, optlen)
        return 0
    mm: Any = task.mm
    room = mm.read_u32(optlen)
    if room >> 31:
        raise EINVAL
    value = sk_getsockopt(task, sock, optname, room, optval, optlen)
    if value is not None:
        room = min(room, len(value))
        if room:
            mm.write(optval, value[:room])
        mm.write_u32(optlen, room)
    return 0


# -- setting


def sk_setsockopt(task: Task, sock: Socket, name: int, addr: int, length: int) -> None:
    """An option of SOL_SOCKET from `length` bytes at `addr`."""
    if name == so.SO_BINDTODEVICE:
        _bindtodevice(task, addr, length)
        return
    if length < 4:
        raise EINVAL
    mm: Any = task.mm
    value = _signed(mm.read_u32(addr))
    sk = sock.sk
    setter = _SETTERS.get(name)
    if setter is not None:
        setter(task, sk, value)
    elif name in _SWITCHES:
        _keep(sk, name, int(value != 0))
    elif name == so.SO_BSDCOMPAT:
        return  # nothing is left of it
    elif name in _STRUCTS:
        _STRUCTS[name](sk, mm.read(addr, min(length, 16)))
    elif name in _FILTERS:
        raise EINVAL
    else:
        raise ENOPROTOOPT


def _signed(value: int) -> int:
    return (value ^ 0x8000_0000) - 0x8000_0000


def _keep(sk: Sock, name: int, value: int) -> None:
    if sk.options is None:
        sk.options = {}
    sk.options[name] = value


def _bindtodevice(task: Task, addr: int, length: int) -> None:
    """There are no devices to be bound to but none. ENODEV, EPERM."""
    from pygos.include.errno import ENODEV

    mm: Any = task.mm
    device = mm.read(addr, min(length, 15)).split(b"\0")[0]
    if device:
        raise ENODEV


def _net_admin(task: Task, sk: Sock) -> bool:
    return task.cred.ns_capable(sk.net.user_ns, CAP_NET_ADMIN)


def _net_raw(task: Task, sk: Sock) -> bool:
    return task.cred.ns_capable(sk.net.user_ns, CAP_NET_RAW) or _net_admin(task, sk)


def _debug(task: Task, sk: Sock, value: int) -> None:
    if value and not _net_admin(task, sk):
        raise EACCES
    _keep(sk, so.SO_DEBUG, int(value != 0))


def _buffer(value: int, least: int) -> int:
    """Twice what was asked for, as half of it is overhead."""
    return max(max(min(value, _INT_MAX // 2), 0) * 2, least)


def _sndbuf(task: Task, sk: Sock, value: int) -> None:
    most: int = task.machine.sysctl.get("net.core.wmem_max", 4194304)
    # As Linux, which compares as unsigned: a negative size is the largest.
    sk.sndbuf = _buffer(min(value & 0xFFFF_FFFF, most), _SOCK_MIN_SNDBUF)
    sk.wr_wait.wake_all()


def _rcvbuf(task: Task, sk: Sock, value: int) -> None:
    most: int = task.machine.sysctl.get("net.core.rmem_max", 4194304)
    sk.rcvbuf = _buffer(min(value & 0xFFFF_FFFF, most), _SOCK_MIN_RCVBUF)


def _sndbufforce(task: Task, sk: Sock, value: int) -> None:
    if not _net_admin(task, sk):
        raise EPERM
    sk.sndbuf = _buffer(value, _SOCK_MIN_SNDBUF)
    sk.wr_wait.wake_all()


def _rcvbufforce(task: Task, sk: Sock, value: int) -> None:
    if not _net_admin(task, sk):
        raise EPERM
    sk.rcvbuf = _buffer(value, _SOCK_MIN_RCVBUF)


def _reuseport(task: Task, sk: Sock, value: int) -> None:
    if value and sk.family == AF_UNIX:
        raise EOPNOTSUPP
    _keep(sk, so.SO_REUSEPORT, int(value != 0))


def _priority(task: Task, sk: Sock, value: int) -> None:
    if not 0 <= value <= 6 and not _net_raw(task, sk):
        raise EPERM
    _keep(sk, so.SO_PRIORITY, value)


def _mark(task: Task, sk: Sock, value: int) -> None:
    if not _net_raw(task, sk):
        raise EPERM
    _keep(sk, so.SO_MARK, value)


def _passcred(task: Task, sk: Sock, value: int) -> None:
    _only_unix(sk)
    sk.passcred = value != 0


def _passpidfd(task: Task, sk: Sock, value: int) -> None:
    _only_unix(sk)
    sk.passpidfd = value != 0


def _passsec(task: Task, sk: Sock, value: int) -> None:
    _only_unix(sk)
    _keep(sk, so.SO_PASSSEC, int(value != 0))


def _only_unix(sk: Sock) -> None:
    if sk.family != AF_UNIX:
        raise EOPNOTSUPP


def _passrights(task: Task, sk: Sock, value: int) -> None:
    _only_unix(sk)
    _keep(sk, so.SO_PASSRIGHTS, int(value != 0))


def _timestamp(task: Task, sk: Sock, value: int) -> None:
    sk.timestamp = 1 if value else 0


def _timestampns(task: Task, sk: Sock, value: int) -> None:
    sk.timestamp = 2 if value else 0


def _rcvlowat(task: Task, sk: Sock, value: int) -> None:
    sk.rcvlowat = (_INT_MAX if value < 0 else value) or 1


def _peek_off(task: Task, sk: Sock, value: int) -> None:
    _only_unix(sk)
    sk.peek_off = value


def _busy_poll(task: Task, sk: Sock, value: int) -> None:
    if value < 0:
        raise EINVAL
    _keep(sk, so.SO_BUSY_POLL, value)


def _incoming_cpu(task: Task, sk: Sock, value: int) -> None:
    _keep(sk, so.SO_INCOMING_CPU, value)


def _pacing_rate(task: Task, sk: Sock, value: int) -> None:
    _keep(sk, so.SO_MAX_PACING_RATE, value & 0xFFFF_FFFF)


def _buf_lock(task: Task, sk: Sock, value: int) -> None:
    if value & ~3:
        raise EINVAL
    _keep(sk, so.SO_BUF_LOCK, value)


def _detach_filter(task: Task, sk: Sock, value: int) -> None:
    from pygos.include.errno import ENOENT

    raise ENOENT


def _lock_filter(task: Task, sk: Sock, value: int) -> None:
    if sk.options and sk.options.get(so.SO_LOCK_FILTER) and not value:
        raise EPERM
    _keep(sk, so.SO_LOCK_FILTER, int(value != 0))


_SETTERS: Final[dict[int, Callable[[Task, Sock, int], None]]] = {
    so.SO_DEBUG: _debug, so.SO_SNDBUF: _sndbuf, so.SO_RCVBUF: _rcvbuf,
    so.SO_SNDBUFFORCE: _sndbufforce, so.SO_RCVBUFFORCE: _rcvbufforce,
    so.SO_REUSEPORT: _reuseport, so.SO_PRIORITY: _priority, so.SO_MARK: _mark,
    so.SO_PASSCRED: _passcred, so.SO_PASSPIDFD: _passpidfd, so.SO_PASSSEC: _passsec,
    so.SO_PASSRIGHTS: _passrights, so.SO_TIMESTAMP: _timestamp,
    so.SO_TIMESTAMPNS: _timestampns, so.SO_RCVLOWAT: _rcvlowat, so.SO_PEEK_OFF: _peek_off,
    so.SO_BUSY_POLL: _busy_poll, so.SO_INCOMING_CPU: _incoming_cpu,
    so.SO_MAX_PACING_RATE: _pacing_rate, so.SO_BUF_LOCK: _buf_lock,
    so.SO_DETACH_FILTER: _detach_filter, so.SO_LOCK_FILTER: _lock_filter,
}  # fmt: skip


def _timeout(data: bytes) -> int | None:
    """A struct timeval as ns; None for ever. Errors: EINVAL, EDOM."""
    if len(data) < _TIMEVAL.size:
        raise EINVAL
    sec, usec = _TIMEVAL.unpack(data[: _TIMEVAL.size])
    if not 0 <= usec < 1_000_000:
        raise EDOM
    if sec < 0:
        return 0
    if not sec and not usec:
        return None
    total: int = sec * _NSEC + usec * 1000
    return total if total < 1 << 61 else None


def _set_rcvtimeo(sk: Sock, data: bytes) -> None:
    sk.rcvtimeo = _timeout(data)


def _set_sndtimeo(sk: Sock, data: bytes) -> None:
    sk.sndtimeo = _timeout(data)


def _set_linger(sk: Sock, data: bytes) -> None:
    if len(data) < _LINGER.size:
        raise EINVAL
    on, seconds = _LINGER.unpack(data[: _LINGER.size])
    old = (sk.options or {}).get(so.SO_LINGER, 0) >> 1
    _keep(sk, so.SO_LINGER, seconds << 1 | 1 if on else old << 1)


_STRUCTS: Final[dict[int, Callable[[Sock, bytes], None]]] = {
    so.SO_RCVTIMEO: _set_rcvtimeo, so.SO_SNDTIMEO: _set_sndtimeo,
    so.SO_RCVTIMEO_NEW: _set_rcvtimeo, so.SO_SNDTIMEO_NEW: _set_sndtimeo,
    so.SO_LINGER: _set_linger,
}  # fmt: skip


# -- reading


def sk_getsockopt(
    task: Task, sock: Socket, name: int, room: int, addr: int, lenaddr: int
) -> bytes | None:
    """The value of an option of SOL_SOCKET; None if it was written already."""
    sk = sock.sk
    getter = _GETTERS.get(name)
    if getter is not None:
        return _int32(getter(sk))
    if name in _SWITCHES or name in _KEPT:
        return _int32((sk.options or {}).get(name, _KEPT.get(name, 0)))
    reader = _READERS.get(name)
    if reader is None:
        raise ENOPROTOOPT
    return reader(task, sock, room, addr, lenaddr)


#: Options that are only kept, with their values before they are set.
_KEPT: Final = {
    so.SO_DEBUG: 0, so.SO_REUSEPORT: 0, so.SO_PRIORITY: 0, so.SO_MARK: 0, so.SO_PASSSEC: 0,
    so.SO_PASSRIGHTS: 1, so.SO_BUSY_POLL: 0, so.SO_INCOMING_CPU: -1, so.SO_BUF_LOCK: 0,
    so.SO_LOCK_FILTER: 0, so.SO_MAX_PACING_RATE: -1, so.SO_SNDLOWAT: 1,
    so.SO_BPF_EXTENSIONS: 64, so.SO_ZEROCOPY: 0, so.SO_TIMESTAMPING: 0, so.SO_INCOMING_NAPI_ID: 0,
    so.SO_BINDTOIFINDEX: 0, so.SO_BSDCOMPAT: 0,
}  # fmt: skip


def _int32(value: int) -> bytes:
    return (value & 0xFFFF_FFFF).to_bytes(4, "little")


def _take_error(sk: Sock) -> int:
    err, sk.err = sk.err, None
    return err.errno if err is not None else 0


_GETTERS: Final[dict[int, Callable[[Sock], int]]] = {
    so.SO_TYPE: lambda sk: sk.type,
    so.SO_DOMAIN: lambda sk: sk.family,
    so.SO_PROTOCOL: lambda sk: sk.protocol,
    so.SO_ERROR: _take_error,
    so.SO_SNDBUF: lambda sk: sk.sndbuf,
    so.SO_RCVBUF: lambda sk: sk.rcvbuf,
    so.SO_RCVLOWAT: lambda sk: sk.rcvlowat,
    so.SO_ACCEPTCONN: lambda sk: sk.state == TCP_LISTEN,
    so.SO_PASSCRED: lambda sk: sk.passcred,
    so.SO_PASSPIDFD: lambda sk: sk.passpidfd,
    so.SO_TIMESTAMP: lambda sk: sk.timestamp == 1,
    so.SO_TIMESTAMPNS: lambda sk: sk.timestamp == 2,
    so.SO_PEEK_OFF: lambda sk: sk.peek_off,
}


def _get_timeo(timeo: int | None) -> bytes:
    sec, ns = divmod(timeo or 0, _NSEC)
    return _TIMEVAL.pack(sec, ns // 1000)


def _get_rcvtimeo(task: Task, sock: Socket, room: int, addr: int, lenaddr: int) -> bytes:
    return _get_timeo(sock.sk.rcvtimeo)


def _get_sndtimeo(task: Task, sock: Socket, room: int, addr: int, lenaddr: int) -> bytes:
    return _get_timeo(sock.sk.sndtimeo)


def _get_linger(task: Task, sock: Socket, room: int, addr: int, lenaddr: int) -> bytes:
    value = (sock.sk.options or {}).get(so.SO_LINGER, 0)
    return _LINGER.pack(value & 1, value >> 1)


def _peercred(task: Task, sock: Socket, room: int, addr: int, lenaddr: int) -> bytes:
    who = sock.sk.peer_cred
    if who is None:
        return _UCRED.pack(0, 0xFFFF_FFFF, 0xFFFF_FFFF)
    uid, gid = show_uid(task, who.uid), show_gid(task, who.gid)
    return _UCRED.pack(pid_vnr(task, who.pid), uid, gid)


def _peergroups(task: Task, sock: Socket, room: int, addr: int, lenaddr: int) -> bytes | None:
    who = sock.sk.peer_cred
    if who is None:
        raise ENODATA
    mm: Any = task.mm
    size = 4 * len(who.groups)
    if room < size:
        mm.write_u32(lenaddr, size)
        raise ERANGE
    return b"".join([show_gid(task, gid).to_bytes(4, "little") for gid in who.groups])


def _peerpidfd(task: Task, sock: Socket, room: int, addr: int, lenaddr: int) -> bytes | None:
    from pygos.fs.pidfs import pidfd_create

    who = sock.sk.peer_cred
    if who is None:
        raise ENODATA
    return _int32(pidfd_create(task, who.ref.task, 0))


def _peername(task: Task, sock: Socket, room: int, addr: int, lenaddr: int) -> bytes | None:
    try:
        name = sock.ops.getname(task, sock, True)
    except ENOTCONN:
        raise ENOTCONN from None
    if len(name) < room:
        raise EINVAL
    mm: Any = task.mm
    if room:
        mm.write(addr, name[:room])
    mm.write_u32(lenaddr, room)
    return None


def _cookie(task: Task, sock: Socket, room: int, addr: int, lenaddr: int) -> bytes:
    if room < 8:
        raise EINVAL
    sk = sock.sk
    if not sk.cookie:
        sk.cookie = sk.net.next_cookie()
    return sk.cookie.to_bytes(8, "little")


def _netns_cookie(task: Task, sock: Socket, room: int, addr: int, lenaddr: int) -> bytes:
    if room != 8:
        raise EINVAL
    return (1).to_bytes(8, "little")


def _meminfo(task: Task, sock: Socket, room: int, addr: int, lenaddr: int) -> bytes:
    sk = sock.sk
    words = (0, sk.rcvbuf, sk.wmem, sk.sndbuf, 0, 0, 0, 0, 0)
    return b"".join(map(_int32, words))


def _empty(task: Task, sock: Socket, room: int, addr: int, lenaddr: int) -> bytes:
    return b""


_READERS: Final[dict[int, Callable[[Task, Socket, int, int, int], bytes | None]]] = {
    so.SO_RCVTIMEO: _get_rcvtimeo, so.SO_SNDTIMEO: _get_sndtimeo,
    so.SO_RCVTIMEO_NEW: _get_rcvtimeo, so.SO_SNDTIMEO_NEW: _get_sndtimeo,
    so.SO_LINGER: _get_linger, so.SO_PEERCRED: _peercred, so.SO_PEERGROUPS: _peergroups,
    so.SO_PEERPIDFD: _peerpidfd, so.SO_PEERNAME: _peername, so.SO_COOKIE: _cookie,
    so.SO_NETNS_COOKIE: _netns_cookie, so.SO_MEMINFO: _meminfo, so.SO_BINDTODEVICE: _empty,
    so.SO_GET_FILTER: _empty,
}  # fmt: skip
