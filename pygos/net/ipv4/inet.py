# SPDX-License-Identifier: Apache-2.0
"""struct inet_sock, and ports: who may have which (net/ipv4/inet_connection_sock.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from pygos.include.errno import EACCES, EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENETUNREACH
from pygos.include.uapi.capability import CAP_NET_BIND_SERVICE
from pygos.include.uapi.in_ import IP_FREEBIND, IP_TRANSPARENT, IPPROTO_IP, TCP_TIME_WAIT
from pygos.include.uapi.socket import AF_INET, AF_INET6, SO_REUSEADDR, SO_REUSEPORT
from pygos.net.ipv4.addr import (
    ANY4,
    ANY6,
    BROADCAST,
    LOOPBACK4,
    LOOPBACK6,
    Endpoint,
    is_any,
    is_loopback,
    is_multicast,
    parse_bind,
    sockaddr,
)
from pygos.net.netns import net_of, task_net
from pygos.net.sock import TCP_CLOSE, TCP_LISTEN, Sock

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.net.ipv4.tcp_sock import TcpSock
    from pygos.net.netns import Net

#: net.ipv4.ip_local_port_range and ip_unprivileged_port_start.
_LOCAL_PORTS: Final = (32768, 60999)
_UNPRIVILEGED: Final = 1024
_IPV4, _IPV6 = 1, 2


class PortUser(Protocol):
    """What has a port: a socket, or what is left of one in TIME_WAIT."""

    saddr: bytes
    sport: int
    uid: int

    @property
    def state(self) -> int: ...

    @property
    def families(self) -> int:
        """Which kinds of packets it gets: _IPV4, _IPV6 bits."""

    def option(self, name: int) -> int: ...


class TimeWait:
    """A connection that this side closed first: for a minute its addresses stay taken."""

    __slots__ = ("daddr", "dport", "families", "inet", "reuse", "saddr", "sport", "timer", "uid")

    state: Final = TCP_TIME_WAIT

    def __init__(self, sk: TcpSock) -> None:
        self.inet = sk.inet
        self.saddr, self.sport = sk.saddr, sk.sport
        self.daddr, self.dport = sk.daddr, sk.dport
        self.uid = sk.uid
        self.families = sk.families
        self.reuse = {name: sk.option(name) for name in (SO_REUSEADDR, SO_REUSEPORT)}
        self.timer: object = None

    def option(self, name: int) -> int:
        return self.reuse.get(name, 0)

    def expire(self, now: int) -> None:
        """TimerTarget: forget it."""
        self.inet.timewait.pop(self, None)
        self.inet.tcp.leave(self)


class Ports:
    """The ports of one protocol and who has them."""

    __slots__ = ("bound",)

    def __init__(self) -> None:
        self.bound: dict[int, list[PortUser]] = {}

    def join(self, user: PortUser) -> None:
        self.bound.setdefault(user.sport, []).append(user)

    def leave(self, user: PortUser) -> None:
        users = self.bound.get(user.sport)
        if users is not None and user in users:
            users.remove(user)
            if not users:
                del self.bound[user.sport]


class InetNet:
    """AF_INET's and AF_INET6's tables in one network namespace."""

    __slots__ = ("established", "lo_up", "tcp", "timewait", "udp", "udplite")

    def __init__(self, lo_up: bool) -> None:
        #: Is the loopback interface up? In the machine's first namespace it is from the start.
        self.lo_up = lo_up
        self.tcp = Ports()
        self.udp = Ports()
        self.udplite = Ports()
        #: (own address and port, the other's) -> the connection's end here.
        self.established: dict[tuple[bytes, int, bytes, int], TcpSock] = {}
        self.timewait: dict[TimeWait, None] = {}


def inet_net(machine: Machine, net: Net) -> InetNet:
    """The tables, made at the first use; both families share them."""
    found: InetNet | None = net.families.get(AF_INET)
    if found is None:
        found = net.families[AF_INET] = InetNet(net is net_of(machine))
    return found


class InetSock(Sock):
    """A socket with addresses and ports; 0 is "no port"."""

    __slots__ = (
        "bound", "daddr", "dport", "inet", "level_options", "locked_addr", "locked_port",
        "machine", "ports", "saddr", "sport", "v6only",
    )  # fmt: skip

    def __init__(self, task: Task, family: int, type_: int, protocol: int) -> None:
        self.machine: Machine = task.machine
        net = task_net(task)
        super().__init__(task, net, family, type_, protocol)
        self.inet = inet_net(task.machine, net)
        self.ports = self.inet.tcp
        self.saddr = self.daddr = ANY4 if family == AF_INET else ANY6
        self.sport = self.dport = 0
        #: It is in the table of ports; by bind(2) rather than by itself.
        self.bound = False
        self.locked_port = self.locked_addr = False
        self.v6only = False
        #: Options of other levels that were set: (level, name) -> value.
        self.level_options: dict[tuple[int, int], int] = {}

    def option(self, name: int) -> int:
        """An option of SOL_SOCKET that is only kept."""
        return (self.options or {}).get(name, 0)

    @property
    def families(self) -> int:
        """PortUser."""
        if self.family == AF_INET or len(self.saddr) == 4:
            return _IPV4
        return _IPV6 if self.v6only or not is_any(self.saddr) else _IPV4 | _IPV6

    def name(self) -> bytes:
        return sockaddr(self.family, self.saddr, self.sport)

    def peer_name(self) -> bytes:
        return sockaddr(self.family, self.daddr, self.dport)

    def takes(self, ip: bytes, port: int) -> bool:
        """May packets to this address and port be for it?"""
        if self.sport != port:
            return False
        kind = _IPV4 if len(ip) == 4 else _IPV6
        return bool(self.families & kind) and (is_any(self.saddr) or self.saddr == ip)

    def unbind(self) -> None:
        """Give the port back. Its number stays to be seen."""
        if self.bound:
            self.bound = False
            self.ports.leave(self)


def route(sk: InetSock, ip: bytes) -> tuple[bytes, bytes]:
    """Where a packet to `ip` goes, and the source it gets. ENETUNREACH.

    The unspecified address means this machine.
    """
    if is_any(ip):
        ip = LOOPBACK4 if len(ip) == 4 else LOOPBACK6
    if not is_loopback(ip) or not sk.inet.lo_up:
        raise ENETUNREACH
    return ip, LOOPBACK4 if len(ip) == 4 else LOOPBACK6


def overlap(one: PortUser, other: PortUser) -> bool:
    """Can a packet be for both?"""
    if not one.families & other.families:
        return False
    return is_any(one.saddr) or is_any(other.saddr) or one.saddr == other.saddr


def conflict(sk: InetSock, tcp: bool) -> bool:
    """Is the port of `sk` somebody else's? SO_REUSEADDR and SO_REUSEPORT: socket(7)."""
    for other in sk.ports.bound.get(sk.sport, ()):
        if other is sk or not overlap(sk, other):
            continue
        if not _may_share(sk, other, tcp):
            return True
    return False


def _may_share(sk: InetSock, other: PortUser, tcp: bool) -> bool:
    """Have both said that they can do with the same address?"""
    reuse = sk.option(SO_REUSEADDR) and other.option(SO_REUSEADDR)
    if reuse and not (tcp and other.state == TCP_LISTEN):
        return True
    both = sk.option(SO_REUSEPORT) and other.option(SO_REUSEPORT)
    return bool(both) and (other.state == TCP_TIME_WAIT or other.uid == sk.uid)


def bind(task: Task, sk: InetSock, raw: bytes, tcp: bool) -> None:
    """bind(2). Errors: EINVAL, EAFNOSUPPORT, EADDRNOTAVAIL, EACCES, EADDRINUSE."""
    ip, port = parse_bind(sk.family, raw)
    _check_local(sk, ip)
    if len(ip) == 4 and sk.family == AF_INET6 and sk.v6only:
        raise EINVAL
    least = task.machine.sysctl.get("net.ipv4.ip_unprivileged_port_start", _UNPRIVILEGED)
    if 0 < port < least and not task.cred.ns_capable(sk.net.user_ns, CAP_NET_BIND_SERVICE):
        raise EACCES
    if sk.state != TCP_CLOSE or sk.bound:
        raise EINVAL
    old = sk.saddr
    sk.saddr = ip
    try:
        if port:
            take_port(sk, port, tcp)
        else:
            autobind(sk, tcp)
    except BaseException:
        sk.saddr = old
        raise
    sk.locked_port = port != 0
    sk.locked_addr = not is_any(ip)


def _check_local(sk: InetSock, ip: bytes) -> None:
    """EADDRNOTAVAIL for an address that isn't this machine's."""
    if is_any(ip) or (is_loopback(ip) and sk.inet.lo_up):
        return
    if len(ip) == 4 and (is_multicast(ip) or ip == BROADCAST):
        return
    options = sk.level_options
    if options.get((IPPROTO_IP, IP_FREEBIND)) or options.get((IPPROTO_IP, IP_TRANSPARENT)):
        return
    raise EADDRNOTAVAIL


def take_port(sk: InetSock, port: int, tcp: bool) -> None:
    """Have this port. EADDRINUSE."""
    sk.sport = port
    if conflict(sk, tcp):
        sk.sport = 0
        raise EADDRINUSE
    sk.bound = True
    sk.ports.join(sk)


def local_ports(sk: InetSock) -> range:
    """Where ports are taken from that nobody asked for, from a random place on."""
    text = sk.machine.sysctl.get("net.ipv4.ip_local_port_range", _LOCAL_PORTS)
    low, high = (int(n) for n in (text.split() if isinstance(text, str) else text))
    return range(low, high + 1)


def autobind(sk: InetSock, tcp: bool) -> None:
    """Have any free port. EADDRINUSE (bind), EAGAIN is the caller's for a send."""
    for port in _shuffled(sk):
        if port not in sk.ports.bound:
            take_port(sk, port, tcp)
            return
    raise EADDRINUSE


def autobind_to(sk: InetSock, peer: Endpoint) -> None:
    """Have a port for a connection to `peer`; others may share it. EADDRNOTAVAIL."""
    bound, table = sk.ports.bound, sk.inet.established
    shared = 0
    for port in _shuffled(sk):
        if port not in bound:
            shared = port
            break
        if not shared and (sk.saddr, port, *peer) not in table and _only_connections(bound[port]):
            shared = port
    if not shared:
        raise EADDRNOTAVAIL
    sk.sport = shared
    sk.bound = True
    sk.ports.join(sk)


def _only_connections(users: list[PortUser]) -> bool:
    return all(isinstance(user, InetSock) and user.dport and not user.locked_port for user in users)


def _shuffled(sk: InetSock) -> list[int]:
    ports = local_ports(sk)
    start = int.from_bytes(sk.machine.entropy.bytes(4), "little") % len(ports)
    return [*ports[start:], *ports[:start]]
