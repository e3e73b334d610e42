# SPDX-License-Identifier: Apache-2.0
"""UDP, and UDP-Lite, whose checksums nobody needs over ``lo`` (net/ipv4/udp.c). udp(7)."""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import (
    EACCES,
    EADDRINUSE,
    EAFNOSUPPORT,
    EAGAIN,
    ECONNREFUSED,
    EDESTADDRREQ,
    EFAULT,
    EINVAL,
    EMSGSIZE,
    ENOIOCTLCMD,
    ENOTCONN,
    EOPNOTSUPP,
    EPIPE,
)
from pygos.include.uapi import in_
from pygos.include.uapi.ioctls import SIOCINQ, SIOCOUTQ
from pygos.include.uapi.poll import POLLERR, POLLHUP, POLLIN, POLLRDHUP, POLLRDNORM
from pygos.include.uapi.socket import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    MSG_DONTWAIT,
    MSG_ERRQUEUE,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    SHUT_RD,
    SHUT_RDWR,
    SO_BROADCAST,
    SO_REUSEPORT,
    SOCK_DGRAM,
)
from pygos.net.ipv4.addr import (
    ANY4,
    ANY6,
    BROADCAST,
    Endpoint,
    family_of,
    is_any,
    parse,
    sockaddr,
    widen,
)
from pygos.net.ipv4.inet import InetSock, autobind, bind, route
from pygos.net.ipv4.sockopt import InetOps
from pygos.net.message import parse_cmsgs
from pygos.net.sock import (
    RCV_SHUTDOWN,
    SEND_SHUTDOWN,
    SHUTDOWN_MASK,
    TCP_CLOSE,
    TCP_ESTABLISHED,
    WRITABLE,
    Socket,
    SockWait,
    head_truesize,
    sock_deadline,
    sock_state,
    sock_wait,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task
    from pygos.net.message import Message

#: What fits in a packet beside the headers.
_MAX4, _MAX6 = 65535 - 28, 65535 - 8
_PKTINFO: Final = Struct("<i4s4s")
_PKTINFO6: Final = Struct("<16si")
_LO: Final = 1
_TTL: Final = 64


class Datagram:
    """One message in a queue."""

    __slots__ = ("data", "hops", "source", "tclass", "to", "truesize", "tstamp")

    def __init__(self, data: bytes, source: Endpoint, to: bytes) -> None:
        self.data = data
        self.source = source
        self.to = to
        self.truesize = head_truesize(len(data) + 64)
        self.tstamp = 0
        #: TTL or hop limit; type of service or traffic class.
        self.hops = _TTL
        self.tclass = 0


class UdpSock(InetSock):
    """A UDP socket; connected if ``dport`` isn't 0."""

    __slots__ = ("drops", "queue", "queued")

    def __init__(self, task: Task, family: int, protocol: int) -> None:
        super().__init__(task, family, SOCK_DGRAM, protocol)
        self.ports = self.inet.udp if protocol == in_.IPPROTO_UDP else self.inet.udplite
        self.queue: deque[Datagram] = deque()
        #: Bytes of truesize in the queue; datagrams lost because it was full.
        self.queued = 0
        self.drops = 0

    def deliver(self, datagram: Datagram) -> None:
        """A datagram arrives; lost if there is no room."""
        if self.queued + datagram.truesize > self.rcvbuf and self.queue:
            self.drops += 1
            return
        if self.timestamp:
            datagram.tstamp = self.machine.clock.realtime()
        self.queue.append(datagram)
        self.queued += datagram.truesize
        self.data_ready()

    def disconnect(self) -> None:
        """No peer any more; a port that it has by itself is given back."""
        self.state = TCP_CLOSE
        self.daddr = bytes(len(self.daddr))
        self.dport = 0
        if not self.locked_port:
            self.unbind()
            self.sport = 0
            self.saddr = ANY4 if self.family == AF_INET else ANY6


def udp_sk(socket: Socket) -> UdpSock:
    """The UDP end of a socket."""
    sk = socket.sk
    assert type(sk) is UdpSock
    return sk


def lookup(sk: UdpSock, source: Endpoint, to: Endpoint) -> UdpSock | None:
    """Who gets a datagram: connected ones first, then those bound most exactly."""
    best: list[UdpSock] = []
    score = -1
    for user in sk.ports.bound.get(to.port, ()):
        if not isinstance(user, UdpSock) or not user.takes(to.ip, to.port):
            continue
        mine = 2 * (not is_any(user.saddr)) + (len(user.saddr) == len(to.ip))
        if user.dport:
            if (user.daddr, user.dport) != source:
                continue
            mine += 4
        if mine > score:
            best, score = [user], mine
        elif mine == score and user.option(SO_REUSEPORT):
            best.append(user)
        elif mine == score:
            best = [user]
    return best[source.port % len(best)] if best else None


class UdpOps(InetOps):
    """SOCK_DGRAM of AF_INET and AF_INET6."""

    __slots__ = ()

    def release(self, socket: Socket) -> None:
        sk = udp_sk(socket)
        sk.dead = True
        sk.socket = None
        sk.queue.clear()
        sk.unbind()

    def bind(self, task: Task, socket: Socket, addr: bytes) -> None:
        bind(task, udp_sk(socket), addr, False)

    def getname(self, task: Task, socket: Socket, peer: bool) -> bytes:
        sk = udp_sk(socket)
        if not peer:
            return sk.name()
        if not sk.dport or sk.state == TCP_CLOSE:
            raise ENOTCONN
        return sk.peer_name()

    def connect(self, task: Task, socket: Socket, addr: bytes, flags: int) -> None:
        sk = udp_sk(socket)
        if family_of(addr) == AF_UNSPEC:
            sk.disconnect()
            return
        ip, port = _target(sk, addr)
        to, source = route(sk, ip)
        if is_any(sk.saddr):
            sk.saddr = source
        if not sk.sport:
            _autobind(sk)
        sk.daddr, sk.dport = to, port
        sk.state = TCP_ESTABLISHED

    def shutdown(self, task: Task, socket: Socket, how: int) -> None:
        if not SHUT_RD <= how <= SHUT_RDWR:
            raise EINVAL
        sk = udp_sk(socket)
        if sk.state == TCP_CLOSE:
            sk.shutdown |= how + 1
            sk.state_change()
            raise ENOTCONN
        sk.shutdown |= how + 1
        sk.state_change(POLLIN | POLLHUP)

    def sendmsg(
        self, task: Task, socket: Socket, buf: IoBuffer, flags: int, msg: Message | None
    ) -> int:
        sk = udp_sk(socket)
        if flags & MSG_OOB:
            raise EOPNOTSUPP
        size = buf.length
        if size > 0xFFFF:
            raise EMSGSIZE
        name = msg.name if msg is not None else None
        if name is not None:
            to = _target(sk, name)
            if not to.port:
                raise EINVAL
        elif sk.state == TCP_ESTABLISHED:
            to = Endpoint(sk.daddr, sk.dport)
        else:
            raise EDESTADDRREQ
        ip, source = _route(sk, to.ip)
        sk.sock_error()
        if sk.shutdown & SEND_SHUTDOWN:
            raise EPIPE
        if size > (_MAX4 if len(ip) == 4 else _MAX6):
            raise EMSGSIZE
        if not sk.sport:
            _autobind(sk)
        data = buf.take(size)
        if len(data) < size:
            raise EFAULT
        datagram = Datagram(data, Endpoint(source, sk.sport), ip)
        _mark(sk, datagram, msg)
        _transmit(sk, datagram, Endpoint(ip, to.port))
        return size

    def recvmsg(
        self, task: Task, socket: Socket, buf: IoBuffer, flags: int, msg: Message | None
    ) -> int:
        sk = udp_sk(socket)
        if flags & MSG_ERRQUEUE:
            raise EAGAIN
        datagram = _next(task, sk, flags)
        if datagram is None:
            return 0
        size = min(buf.length, len(datagram.data))
        if not flags & MSG_PEEK:
            sk.queue.popleft()
            sk.queued -= datagram.truesize
        if size and buf.put(memoryview(datagram.data)[:size]) < size:
            raise EFAULT
        if msg is not None:
            msg.name = sockaddr(sk.family, datagram.source.ip, datagram.source.port)
            if size < len(datagram.data):
                msg.flags |= MSG_TRUNC
            _control(task, sk, datagram, msg)
        return len(datagram.data) if flags & MSG_TRUNC else size

    def poll(self, task: Task, file: File, socket: Socket) -> int:
        sk = udp_sk(socket)
        mask = WRITABLE
        if sk.err is not None:
            mask |= POLLERR
        if sk.shutdown == SHUTDOWN_MASK:
            mask |= POLLHUP
        if sk.shutdown & RCV_SHUTDOWN:
            mask |= POLLRDHUP | POLLIN | POLLRDNORM
        if sk.queue:
            mask |= POLLIN | POLLRDNORM
        return mask

    def ioctl(self, task: Task, socket: Socket, cmd: int, arg: int) -> int:
        sk = udp_sk(socket)
        if cmd == SIOCINQ:
            value = len(sk.queue[0].data) if sk.queue else 0
        elif cmd == SIOCOUTQ:
            value = 0
        else:
            raise ENOIOCTLCMD
        mm: Any = task.mm
        mm.write_u32(arg, value)
        return 0


def _target(sk: UdpSock, raw: bytes) -> Endpoint:
    """Where a datagram is to go. EINVAL, EAFNOSUPPORT."""
    if sk.family == AF_INET6 and len(raw) >= 2 and family_of(raw) == AF_INET:
        if sk.v6only:
            raise EAFNOSUPPORT
        return parse(AF_INET, raw)
    if sk.family == AF_INET and len(raw) >= 16 and family_of(raw) == AF_UNSPEC:
        raw = AF_INET.to_bytes(2, "little") + raw[2:]
    return parse(sk.family, raw)


def _route(sk: UdpSock, ip: bytes) -> tuple[bytes, bytes]:
    """Destination and source. ENETUNREACH; EACCES for a broadcast without SO_BROADCAST."""
    if ip == BROADCAST and not sk.option(SO_BROADCAST):
        raise EACCES
    ip, source = route(sk, ip)
    if not is_any(sk.saddr) and len(sk.saddr) == len(ip):
        source = sk.saddr
    return ip, source


def _autobind(sk: UdpSock) -> None:
    try:
        autobind(sk, False)
    except EADDRINUSE:
        raise EAGAIN from None


def _mark(sk: UdpSock, datagram: Datagram, msg: Message | None) -> None:
    """Hops and class as options or control messages say. EINVAL."""
    four = len(datagram.to) == 4
    level, hops, tclass = (
        (in_.IPPROTO_IP, in_.IP_TTL, in_.IP_TOS)
        if four
        else (in_.IPPROTO_IPV6, in_.IPV6_HOPLIMIT, in_.IPV6_TCLASS)
    )
    options = sk.level_options
    if options:
        limit = in_.IP_TTL if four else in_.IPV6_UNICAST_HOPS
        datagram.hops = options.get((level, limit), _TTL)
        datagram.tclass = options.get((level, tclass), 0)
    if msg is None or not msg.control:
        return
    for kind, name, data in parse_cmsgs(msg.control):
        if kind != level:
            continue
        value = int.from_bytes(data[:4], "little", signed=True)
        if name == hops:
            datagram.hops = _checked(value, 64)
        elif name == tclass:
            datagram.tclass = _checked(value, 0)


def _checked(value: int, default: int) -> int:
    if not -1 <= value <= 255:
        raise EINVAL
    return default if value < 0 else value


def _transmit(sk: UdpSock, datagram: Datagram, to: Endpoint) -> None:
    """Hand it to who is bound there; nobody: a connected sender is told at its next call."""
    other = lookup(sk, datagram.source, to)
    if other is None:
        if sk.state == TCP_ESTABLISHED or sk.level_options.get((in_.IPPROTO_IP, in_.IP_RECVERR)):
            sk.set_error(ECONNREFUSED)
        return
    other.deliver(datagram)


def _next(task: Task, sk: UdpSock, flags: int) -> Datagram | None:
    """The next datagram; None at the end; else sleeps. EAGAIN, the pending error."""
    sk.sock_error()
    if sk.queue:
        return sk.queue[0]
    if sk.shutdown & RCV_SHUTDOWN:
        return None
    if flags & MSG_DONTWAIT:
        raise EAGAIN
    deadline = sock_deadline(task, sock_state(task, sk), sk.rcvtimeo)
    sock_wait(task, sk.wq, SockWait(sk, 0, deadline), "skb_wait_for_more_packets")


def _control(task: Task, sk: UdpSock, datagram: Datagram, msg: Message) -> None:
    """Control messages that were asked for: times, addresses, hops."""
    msg.put_timestamp(task, sk, datagram.tstamp)
    options = sk.level_options
    if not options:
        return
    four = len(datagram.to) == 4
    if four and options.get((in_.IPPROTO_IP, in_.IP_PKTINFO)):
        image = _PKTINFO.pack(_LO, datagram.to, datagram.to)
        msg.put_cmsg(task, in_.IPPROTO_IP, in_.IP_PKTINFO, image)
    if four and options.get((in_.IPPROTO_IP, in_.IP_RECVTTL)):
        msg.put_cmsg(task, in_.IPPROTO_IP, in_.IP_TTL, datagram.hops.to_bytes(4, "little"))
    if four and options.get((in_.IPPROTO_IP, in_.IP_RECVTOS)):
        msg.put_cmsg(task, in_.IPPROTO_IP, in_.IP_TOS, bytes((datagram.tclass,)))
    if options.get((in_.IPPROTO_IPV6, in_.IPV6_RECVPKTINFO)):
        image = _PKTINFO6.pack(widen(datagram.to), _LO)
        msg.put_cmsg(task, in_.IPPROTO_IPV6, in_.IPV6_PKTINFO, image)
    if not four and options.get((in_.IPPROTO_IPV6, in_.IPV6_RECVHOPLIMIT)):
        image = datagram.hops.to_bytes(4, "little")
        msg.put_cmsg(task, in_.IPPROTO_IPV6, in_.IPV6_HOPLIMIT, image)
    if not four and options.get((in_.IPPROTO_IPV6, in_.IPV6_RECVTCLASS)):
        image = datagram.tclass.to_bytes(4, "little")
        msg.put_cmsg(task, in_.IPPROTO_IPV6, in_.IPV6_TCLASS, image)
