# SPDX-License-Identifier: Apache-2.0
"""The texts of /proc/net/{tcp,tcp6,udp,udp6}, as ss and netstat read them. proc(5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from pygos.include.uapi.in_ import TCP_LISTEN, TCP_TIME_WAIT
from pygos.include.uapi.socket import AF_INET, AF_INET6
from pygos.net.ipv4.addr import widen
from pygos.net.ipv4.inet import InetNet, InetSock, TimeWait, inet_net
from pygos.net.ipv4.tcp_sock import TcpSock
from pygos.net.ipv4.udp import UdpSock
from pygos.net.netns import task_net

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_TAIL4: Final = "rx_queue tr tm->when retrnsmt   uid  timeout inode"
_TCP4: Final = f"  sl  local_address rem_address   st tx_queue {_TAIL4}"
_LONG: Final = "  sl  local_address                         remote_address                       "
_TCP6: Final = f"{_LONG} st tx_queue {_TAIL4}\n"
_UDP4: Final = f"   sl  local_address rem_address   st tx_queue {_TAIL4} ref pointer drops"
_UDP6: Final = f"{_LONG} st tx_queue {_TAIL4} ref pointer drops\n"


def _address(family: int, ip: bytes, port: int) -> str:
    """Words of 32 bits in the order of the host, as Linux prints them."""
    if family == AF_INET6:
        ip = widen(ip)
    words = (int.from_bytes(ip[at : at + 4], "little") for at in range(0, len(ip), 4))
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def _inode(sk: InetSock) -> int:
    file = sk.socket.file if sk.socket is not None else None
    return file.f_inode.i_ino if file is not None else 0


def _tcp_socks(inet: InetNet, family: int) -> Iterable[InetSock | TimeWait]:
    """Listeners first, then connections, then those that are waiting."""
    seen: dict[TcpSock, None] = {}
    for users in inet.tcp.bound.values():
        for user in users:
            if isinstance(user, TcpSock) and user.state == TCP_LISTEN:
                seen[user] = None
    seen.update(dict.fromkeys(inet.established.values()))
    yield from (sk for sk in seen if sk.family == family)
    if family == AF_INET:
        yield from (tw for tw in inet.timewait if len(tw.saddr) == 4)
    else:
        yield from (tw for tw in inet.timewait if len(tw.saddr) == 16)


def _tcp_line(number: int, family: int, sk: InetSock | TimeWait) -> str:
    local = _address(family, sk.saddr, sk.sport)
    remote = _address(family, sk.daddr, sk.dport)
    if isinstance(sk, TimeWait):
        tail = f"00000000:00000000 03:00000000 00000000 {0:5d} {0:8d} 0 3 0000000000000000"
        return f"{number:4d}: {local} {remote} {TCP_TIME_WAIT:02X} {tail}"
    assert isinstance(sk, TcpSock)
    waiting = len(sk.queue) if sk.state == TCP_LISTEN else sk.rq.size
    tail = f"{sk.sq.size:08X}:{waiting:08X} 00:00000000 00000000 {sk.uid:5d} {0:8d} {_inode(sk)}"
    tail += " 1 0000000000000000 100 0 0 10 0"
    return f"{number:4d}: {local} {remote} {sk.state:02X} {tail}"


def tcp_text(task: Task, family: int) -> str:
    """/proc/net/tcp or tcp6."""
    inet = inet_net(task.machine, task_net(task))
    lines = [_tcp_line(number, family, sk) for number, sk in enumerate(_tcp_socks(inet, family))]
    if family == AF_INET6:
        return _TCP6 + "".join(f"{line}\n" for line in lines)
    return "".join(f"{line:<149}\n" for line in [_TCP4, *lines])


def _udp_line(number: int, sk: UdpSock) -> str:
    local = _address(sk.family, sk.saddr, sk.sport)
    remote = _address(sk.family, sk.daddr, sk.dport)
    tail = f"00000000:{sk.queued:08X} 00:00000000 00000000 {sk.uid:5d} {0:8d} {_inode(sk)}"
    return f"{number:5d}: {local} {remote} {sk.state:02X} {tail} 2 0000000000000000 {sk.drops}"


def udp_text(task: Task, family: int) -> str:
    """/proc/net/udp or udp6."""
    bound = inet_net(task.machine, task_net(task)).udp.bound
    lines = [
        _udp_line(port, user)
        for port, users in sorted(bound.items())
        for user in users
        if isinstance(user, UdpSock) and user.family == family
    ]
    if family == AF_INET6:
        return _UDP6 + "".join(f"{line}\n" for line in lines)
    return "".join(f"{line:<127}\n" for line in [_UDP4, *lines])


def if_inet6_text() -> str:
    """/proc/net/if_inet6: address, index, prefix, scope, flags, name."""
    return f"{1:032x} 01 80 10 80 {'lo':>8}\n"


__all__ = ["AF_INET", "AF_INET6", "if_inet6_text", "tcp_text", "udp_text"]
