# SPDX-License-Identifier: Apache-2.0
"""Options of IPPROTO_IP, IPPROTO_IPV6 and IPPROTO_TCP: ip(7), ipv6(7), tcp(7).

Most are only kept: over ``lo`` there is nothing that a congestion algorithm, a keepalive or a
type of service could change.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final, cast

from pygos.include.errno import (
    EADDRNOTAVAIL,
    EINVAL,
    ENODEV,
    ENOENT,
    ENOPROTOOPT,
    ENOTCONN,
    EPERM,
)
from pygos.include.uapi import in_
from pygos.include.uapi.capability import CAP_NET_ADMIN, CAP_NET_RAW
from pygos.include.uapi.in_ import IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, TCP_CLOSE, TCP_LISTEN
from pygos.include.uapi.socket import AF_INET6, SOCK_STREAM
from pygos.net.sock import ProtoOps

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.net.ipv4.inet import InetSock
    from pygos.net.sock import Socket

_MTU: Final = 65536
_MSS: Final = 65483
_CONGESTION: Final = (b"cubic", b"reno")
_CONGESTION_NAME: Final = 16


class Option:
    """What an option may be: its default, its range, and what -1 stands for."""

    __slots__ = ("default", "high", "low", "minus")

    def __init__(self, default: int, low: int = 0, high: int = 1, minus: int | None = None) -> None:
        self.default = default
        self.low = low
        self.high = high
        self.minus = minus

    def check(self, value: int) -> int:
        """The value to keep. EINVAL. 0..1 means a switch: any value is taken."""
        if value == -1 and self.minus is not None:
            return self.minus
        if (self.low, self.high) == (0, 1):
            return int(value != 0)
        if not self.low <= value <= self.high:
            raise EINVAL
        return value


_SWITCH: Final = Option(0)
_BYTE: Final = Option(0, 0, 255)
_ANY: Final = (-(1 << 31), (1 << 31) - 1)
_INT: Final = Option(0, *_ANY)
_IP: Final = {
    in_.IP_TOS: _INT, in_.IP_TTL: Option(64, 1, 255, 64),
    in_.IP_RECVOPTS: _SWITCH, in_.IP_RETOPTS: _SWITCH, in_.IP_PKTINFO: _SWITCH,
    in_.IP_MTU_DISCOVER: Option(1, 0, 5), in_.IP_RECVERR: _SWITCH, in_.IP_RECVTTL: _SWITCH,
    in_.IP_RECVTOS: _SWITCH, in_.IP_FREEBIND: _SWITCH, in_.IP_PASSSEC: _SWITCH,
    in_.IP_TRANSPARENT: _SWITCH, in_.IP_RECVORIGDSTADDR: _SWITCH, in_.IP_MINTTL: _BYTE,
    in_.IP_CHECKSUM: _SWITCH, in_.IP_BIND_ADDRESS_NO_PORT: _SWITCH,
    in_.IP_MULTICAST_TTL: Option(1, 0, 255, 1), in_.IP_MULTICAST_LOOP: Option(1),
    in_.IP_MULTICAST_ALL: Option(1), in_.IP_LOCAL_PORT_RANGE: _INT,
}  # fmt: skip
_IPV6: Final = {
    in_.IPV6_UNICAST_HOPS: Option(64, 0, 255, 64), in_.IPV6_V6ONLY: _SWITCH,
    in_.IPV6_MULTICAST_HOPS: Option(1, 0, 255, 1), in_.IPV6_MULTICAST_LOOP: Option(1),
    in_.IPV6_MTU_DISCOVER: Option(1, 0, 5), in_.IPV6_RECVERR: _SWITCH,
    in_.IPV6_RECVPKTINFO: _SWITCH, in_.IPV6_RECVHOPLIMIT: _SWITCH,
    in_.IPV6_RECVTCLASS: _SWITCH, in_.IPV6_TCLASS: Option(0, 0, 255, 0),
    in_.IPV6_DONTFRAG: _SWITCH, in_.IPV6_MULTICAST_IF: Option(0, 0, 1),
}  # fmt: skip
_TCP: Final = {
    in_.TCP_NODELAY: _SWITCH, in_.TCP_MAXSEG: Option(536, 88, 32767), in_.TCP_CORK: _SWITCH,
    in_.TCP_KEEPIDLE: Option(7200, 1, 32767), in_.TCP_KEEPINTVL: Option(75, 1, 32767),
    in_.TCP_KEEPCNT: Option(9, 1, 127), in_.TCP_SYNCNT: Option(6, 1, 127),
    in_.TCP_LINGER2: Option(60, *_ANY),
    in_.TCP_DEFER_ACCEPT: _INT, in_.TCP_WINDOW_CLAMP: _INT,
    in_.TCP_QUICKACK: Option(1), in_.TCP_THIN_LINEAR_TIMEOUTS: _SWITCH,
    in_.TCP_THIN_DUPACK: _SWITCH, in_.TCP_USER_TIMEOUT: Option(0, 0, (1 << 31) - 1),
    in_.TCP_FASTOPEN: Option(0, 0, (1 << 31) - 1), in_.TCP_TIMESTAMP: _INT,
    in_.TCP_NOTSENT_LOWAT: Option(-1, *_ANY), in_.TCP_SAVE_SYN: _SWITCH,
    in_.TCP_FASTOPEN_CONNECT: _SWITCH, in_.TCP_FASTOPEN_NO_COOKIE: _SWITCH, in_.TCP_INQ: _SWITCH,
    in_.TCP_TX_DELAY: Option(0, 0, (1 << 31) - 1),
}  # fmt: skip


def _table(sk: InetSock, level: int) -> dict[int, Option]:
    """The options of a level. ENOPROTOOPT."""
    if level == IPPROTO_TCP and sk.type == SOCK_STREAM:
        return _TCP
    if level == IPPROTO_IP:
        return _IP
    if level == IPPROTO_IPV6 and sk.family == AF_INET6:
        return _IPV6
    raise ENOPROTOOPT


def setsockopt(task: Task, sk: InetSock, level: int, name: int, addr: int, length: int) -> None:
    """Set an option. Errors: ENOPROTOOPT, EINVAL, EFAULT, EPERM, ENODEV, ENOENT."""
    table = _table(sk, level)
    mm: Any = task.mm
    if level == IPPROTO_TCP and name == in_.TCP_CONGESTION:
        _set_congestion(sk, mm.read(addr, min(length, _CONGESTION_NAME - 1)))
        return
    if level != IPPROTO_TCP and _is_group(level, name):
        _group(sk, level, name, length)
        return
    option = table.get(name)
    if option is None:
        raise ENOPROTOOPT
    if length >= 4:
        value = (mm.read_u32(addr) ^ 0x8000_0000) - 0x8000_0000
    elif level == IPPROTO_IP and length >= 1:
        value = mm.read(addr, 1)[0]
    else:
        raise EINVAL
    _check(task, sk, level, name, value)
    if level == IPPROTO_TCP and name == in_.TCP_MAXSEG and not value:
        sk.level_options.pop((level, name), None)
        return
    value = option.check(value)
    if level == IPPROTO_IPV6 and name == in_.IPV6_V6ONLY:
        sk.v6only = bool(value)
    if (level, name) == (IPPROTO_IP, in_.IP_TOS):
        value &= 0xFF
    sk.level_options[level, name] = value


def _check(task: Task, sk: InetSock, level: int, name: int, value: int) -> None:
    """Rules beyond the range. EPERM, EINVAL."""
    if level == IPPROTO_IP and name == in_.IP_TRANSPARENT and value:
        cred, owner = task.cred, sk.net.user_ns
        if not (cred.ns_capable(owner, CAP_NET_RAW) or cred.ns_capable(owner, CAP_NET_ADMIN)):
            raise EPERM
    if level == IPPROTO_IP and name == in_.IP_MULTICAST_TTL and sk.type == SOCK_STREAM:
        raise EINVAL
    if level == IPPROTO_IPV6 and name == in_.IPV6_V6ONLY and sk.sport:
        raise EINVAL
    fastopen = level == IPPROTO_TCP and name == in_.TCP_FASTOPEN
    if fastopen and (value < 0 or sk.state not in (TCP_CLOSE, TCP_LISTEN)):
        raise EINVAL
    if level == IPPROTO_TCP and name == in_.TCP_INQ and value not in (0, 1):
        raise EINVAL


def _set_congestion(sk: InetSock, data: bytes) -> None:
    """TCP_CONGESTION: kept as the place in the list of algorithms. ENOENT, EINVAL."""
    if not data:
        raise EINVAL
    name = data.split(b"\0")[0]
    if name not in _CONGESTION:
        raise ENOENT
    sk.level_options[IPPROTO_TCP, in_.TCP_CONGESTION] = _CONGESTION.index(name)


def _is_group(level: int, name: int) -> bool:
    if level == IPPROTO_IP:
        return name in (in_.IP_ADD_MEMBERSHIP, in_.IP_DROP_MEMBERSHIP, in_.IP_MULTICAST_IF)
    return name in (in_.IPV6_JOIN_GROUP, in_.IPV6_LEAVE_GROUP)


def _group(sk: InetSock, level: int, name: int, length: int) -> None:
    """Multicast groups: no device takes part in any. EINVAL, ENODEV, EADDRNOTAVAIL."""
    if level == IPPROTO_IP and name == in_.IP_MULTICAST_IF:
        if length < 4:
            raise EINVAL
        return
    if length < 8:
        raise EINVAL
    if sk.type == SOCK_STREAM:
        raise EINVAL
    if name in (in_.IP_DROP_MEMBERSHIP, in_.IPV6_LEAVE_GROUP):
        raise EADDRNOTAVAIL
    raise ENODEV


def getsockopt(task: Task, sk: InetSock, level: int, name: int, addr: int, lenaddr: int) -> None:
    """Read an option. Errors: ENOPROTOOPT, EINVAL, EFAULT, ENOTCONN."""
    table = _table(sk, level)
    mm: Any = task.mm
    room = mm.read_u32(lenaddr)
    if room >> 31:
        raise EINVAL
    value = _value(sk, level, name, table)
    if isinstance(value, int):
        if level == IPPROTO_IP and 0 < room < 4 and 0 <= value <= 255:
            value = bytes((value,))
        else:
            value = (value & 0xFFFF_FFFF).to_bytes(4, "little")
    size = min(room, len(value))
    mm.write_u32(lenaddr, size)
    if size:
        mm.write(addr, value[:size])


def _value(sk: InetSock, level: int, name: int, table: dict[int, Option]) -> int | bytes:
    if level == IPPROTO_TCP:
        if name == in_.TCP_INFO:
            return tcp_info(sk)
        if name == in_.TCP_CONGESTION:
            place = sk.level_options.get((level, name), 0)
            return _CONGESTION[place].ljust(_CONGESTION_NAME, b"\0")
        if name == in_.TCP_MAXSEG and sk.state not in (TCP_CLOSE, TCP_LISTEN):
            return _MSS
    if (level, name) in ((IPPROTO_IP, in_.IP_MTU), (IPPROTO_IPV6, in_.IPV6_MTU)):
        if not sk.dport:
            raise ENOTCONN
        return _MTU
    if level == IPPROTO_IP and name == in_.IP_OPTIONS:
        return b""
    if level == IPPROTO_IP and name == in_.IP_MULTICAST_IF:
        return bytes(4)
    if level == IPPROTO_IPV6 and name == in_.IPV6_V6ONLY:
        return int(sk.v6only)
    option = table.get(name)
    if option is None:
        raise ENOPROTOOPT
    return sk.level_options.get((level, name), option.default)


#: The first fields of struct tcp_info: 8 bytes, 24 words.
_INFO: Final = Struct("<8B24I")


def tcp_info(sk: InetSock) -> bytes:
    """struct tcp_info as far as it means something here."""
    from pygos.net.ipv4.tcp_sock import TcpSock

    assert isinstance(sk, TcpSock)
    state = sk.state
    backlog, waiting = (sk.backlog, len(sk.queue)) if state == TCP_LISTEN else (0, 0)
    words = [
        201_000, 40_000, _MSS, 536, waiting, backlog, 0, 0, 0, 0, 0, 0, 0,
        _MTU, sk.window, 20, 10, 0x7FFF_FFFF, 10, _MSS, 3, 0, sk.window, 0,
    ]  # fmt: skip
    head = (state, 0, 0, 0, 0, 7 if sk.peer is not None else 0, 0x77, 0)
    return _INFO.pack(*head, *words)


class InetOps(ProtoOps):
    """What TCP and UDP sockets have in common."""

    __slots__ = ()

    def setsockopt(
        self, task: Task, socket: Socket, level: int, name: int, addr: int, length: int
    ) -> None:
        setsockopt(task, cast("InetSock", socket.sk), level, name, addr, length)

    def getsockopt(
        self, task: Task, socket: Socket, level: int, name: int, addr: int, lenaddr: int
    ) -> None:
        getsockopt(task, cast("InetSock", socket.sk), level, name, addr, lenaddr)
