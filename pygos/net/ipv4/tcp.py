# SPDX-License-Identifier: Apache-2.0
"""What programs do with TCP sockets (net/ipv4/tcp.c, af_inet.c). tcp(7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from pygos.include.errno import (
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAGAIN,
    EALREADY,
    ECONNABORTED,
    EFAULT,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    ENETUNREACH,
    ENOIOCTLCMD,
    ENOTCONN,
    EPIPE,
    Errno,
)
from pygos.include.linux.wait import WouldSleep
from pygos.include.uapi.fcntl import O_NONBLOCK
from pygos.include.uapi.in_ import (
    TCP_CLOSE,
    TCP_CLOSE_WAIT,
    TCP_ESTABLISHED,
    TCP_LISTEN,
    TCP_SYN_SENT,
)
from pygos.include.uapi.ioctls import SIOCATMARK, SIOCINQ, SIOCOUTQ
from pygos.include.uapi.poll import POLLERR, POLLHUP, POLLIN, POLLPRI, POLLRDHUP, POLLRDNORM
from pygos.include.uapi.signal import SIGPIPE
from pygos.include.uapi.socket import (
    AF_INET6,
    AF_UNSPEC,
    MSG_DONTWAIT,
    MSG_ERRQUEUE,
    MSG_NOSIGNAL,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    MSG_WAITALL,
    SHUT_RD,
    SHUT_RDWR,
    SO_OOBINLINE,
)
from pygos.kernel.signal import send_sig
from pygos.net.ipv4.addr import Endpoint, family_of, is_any, parse
from pygos.net.ipv4.inet import autobind, autobind_to, bind, conflict, route
from pygos.net.ipv4.sockopt import InetOps
from pygos.net.ipv4.tcp_sock import Stage, TcpSock
from pygos.net.sock import (
    RCV_SHUTDOWN,
    SEND_SHUTDOWN,
    SHUTDOWN_MASK,
    WRITABLE,
    Socket,
    SockWait,
    sock_deadline,
    sock_may_wait,
    sock_state,
    sock_wait,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task
    from pygos.net.message import Message

_READABLE: Final = POLLIN | POLLRDNORM
#: Bytes copied from a program at a time.
_CHUNK: Final = 65536


def tcp_sk(socket: Socket) -> TcpSock:
    """The TCP end of a socket."""
    sk = socket.sk
    assert type(sk) is TcpSock
    return sk


class TcpOps(InetOps):
    """SOCK_STREAM of AF_INET and AF_INET6."""

    __slots__ = ()

    def release(self, socket: Socket) -> None:
        tcp_sk(socket).release()

    def bind(self, task: Task, socket: Socket, addr: bytes) -> None:
        bind(task, tcp_sk(socket), addr, True)

    def getname(self, task: Task, socket: Socket, peer: bool) -> bytes:
        sk = tcp_sk(socket)
        if not peer:
            return sk.name()
        if not sk.dport or sk.state in (TCP_CLOSE, TCP_SYN_SENT):
            raise ENOTCONN
        return sk.peer_name()

    # -- connecting

    def connect(self, task: Task, socket: Socket, addr: bytes, flags: int) -> None:
        sk = tcp_sk(socket)
        waited = sock_state(task, sk)
        nonblock = bool(flags & O_NONBLOCK)
        if waited is None:
            if family_of(addr) == AF_UNSPEC:
                sk.disconnect()
                return
            if sk.stage is Stage.CONNECTED:
                raise EISCONN
            if sk.stage is Stage.CONNECTING:
                if sk.state == TCP_SYN_SENT and nonblock:
                    raise EALREADY
            else:
                _begin_connect(sk, addr)
                if nonblock:
                    raise EINPROGRESS
        if sk.state == TCP_SYN_SENT:
            _wait_connect(task, sk, waited)
        if sk.state == TCP_CLOSE:
            sk.stage = Stage.UNCONNECTED
            err = sk.err or ECONNABORTED
            sk.disconnect()
            raise err
        sk.stage = Stage.CONNECTED

    def listen(self, task: Task, socket: Socket, backlog: int) -> None:
        sk = tcp_sk(socket)
        if sk.stage is not Stage.UNCONNECTED or sk.state not in (TCP_CLOSE, TCP_LISTEN):
            raise EINVAL
        sk.backlog = backlog
        if sk.state == TCP_LISTEN:
            return
        if not sk.bound:
            autobind(sk, True)
        else:
            sk.state = TCP_LISTEN
            if conflict(sk, True):
                sk.state = TCP_CLOSE
                raise EADDRINUSE
        sk.state = TCP_LISTEN

    def accept_wait(self, task: Task, socket: Socket, flags: int) -> None:
        sk = tcp_sk(socket)
        if sk.state != TCP_LISTEN:
            raise EINVAL
        if sk.queue:
            return
        if flags & O_NONBLOCK:
            raise EAGAIN
        deadline = sock_deadline(task, sock_state(task, sk), sk.rcvtimeo)
        sock_wait(task, sk.wq, SockWait(sk, 0, deadline), "inet_csk_accept")

    def accept(self, task: Task, socket: Socket) -> Socket:
        child = tcp_sk(socket).queue.popleft()
        return Socket(socket.type, socket.ops, child)

    def shutdown(self, task: Task, socket: Socket, how: int) -> None:
        if not SHUT_RD <= how <= SHUT_RDWR:
            raise EINVAL
        sk = tcp_sk(socket)
        mode = how + 1
        if sk.state == TCP_CLOSE:
            sk.state_change()
            raise ENOTCONN
        if sk.state in (TCP_LISTEN, TCP_SYN_SENT):
            if sk.state == TCP_SYN_SENT or mode & RCV_SHUTDOWN:
                sk.disconnect()
            sk.state_change()
            return
        sk.shutdown |= mode
        if mode & SEND_SHUTDOWN:
            sk.send_fin()
        sk.state_change(POLLIN | POLLHUP)

    # -- moving bytes

    def sendmsg(
        self, task: Task, socket: Socket, buf: IoBuffer, flags: int, msg: Message | None
    ) -> int:
        sk = tcp_sk(socket)
        state = sock_state(task, sk) if task.restart is not None else None
        done = 0
        if state is not None:
            done = state.done
            buf.advance(done)
        if sk.state == TCP_LISTEN or (msg is not None and msg.name is not None and _unbound(sk)):
            _broken(task, flags)
        try:
            return _send(task, sk, buf, flags, done, state)
        except EPIPE:
            if not done and not flags & MSG_NOSIGNAL:
                send_sig(task, SIGPIPE)
            raise

    def recvmsg(
        self, task: Task, socket: Socket, buf: IoBuffer, flags: int, msg: Message | None
    ) -> int:
        sk = tcp_sk(socket)
        if sk.state == TCP_LISTEN:
            raise ENOTCONN
        if flags & MSG_ERRQUEUE:
            raise EAGAIN
        if flags & MSG_OOB:
            return _recv_urgent(sk, buf, flags, msg)
        count = _receive(task, sk, buf, flags)
        if msg is not None:
            msg.name = b""
        return count

    def poll(self, task: Task, file: File, socket: Socket) -> int:
        sk = tcp_sk(socket)
        if sk.state == TCP_LISTEN:
            return _READABLE if sk.queue else 0
        mask = POLLERR if sk.err is not None else 0
        shutdown = sk.shutdown
        if shutdown == SHUTDOWN_MASK or sk.state == TCP_CLOSE:
            mask |= POLLHUP
        if shutdown & RCV_SHUTDOWN:
            mask |= _READABLE | POLLRDHUP
        if sk.state != TCP_SYN_SENT:
            if _inq(sk) >= min(sk.rcvlowat, sk.window or 1):
                mask |= _READABLE
            if shutdown & SEND_SHUTDOWN or sk.stream_writable():
                mask |= WRITABLE
            if sk.urg is not None:
                mask |= POLLPRI
        return mask

    def ioctl(self, task: Task, socket: Socket, cmd: int, arg: int) -> int:
        sk = tcp_sk(socket)
        if cmd == SIOCATMARK:
            value = int(sk.urg_seq >= 0 and sk.urg_seq == sk.copied)
        elif cmd in (SIOCINQ, SIOCOUTQ):
            if sk.state == TCP_LISTEN:
                raise EINVAL
            value = _inq(sk) if cmd == SIOCINQ else sk.sq.size
        else:
            raise ENOIOCTLCMD
        mm: Any = task.mm
        mm.write_u32(arg, value)
        return 0


def _unbound(sk: TcpSock) -> bool:
    return sk.state == TCP_CLOSE and not sk.dport


def _broken(task: Task, flags: int) -> NoReturn:
    if not flags & MSG_NOSIGNAL:
        send_sig(task, SIGPIPE)
    raise EPIPE


def _begin_connect(sk: TcpSock, addr: bytes) -> None:
    """Addresses, a port, the first segment. EINVAL, EAFNOSUPPORT, ENETUNREACH, EISCONN."""
    if sk.state != TCP_CLOSE:
        raise EISCONN
    ip, port = parse(sk.family, addr)
    if len(ip) == 4 and sk.family == AF_INET6 and sk.v6only:
        raise ENETUNREACH
    ip, source = route(sk, ip)
    if is_any(sk.saddr):
        sk.saddr = source
    elif len(sk.saddr) != len(ip):
        raise EINVAL
    if not sk.bound:
        autobind_to(sk, Endpoint(ip, port))
    elif (sk.saddr, sk.sport, ip, port) in sk.inet.established:
        raise EADDRNOTAVAIL
    sk.daddr, sk.dport = ip, port
    sk.err = None
    sk.shutdown = 0
    sk.syn_tries = 0
    sk.stage = Stage.CONNECTING
    sk.syn()


def _wait_connect(task: Task, sk: TcpSock, waited: SockWait | None) -> NoReturn:
    """Sleep until the SYN is answered; EINPROGRESS if SO_SNDTIMEO ends that."""
    deadline = sock_deadline(task, waited, sk.sndtimeo)
    try:
        sock_wait(task, sk.wq, SockWait(sk, 0, deadline), "inet_wait_for_connect")
    except EAGAIN:
        raise EINPROGRESS from None


# -- sending


def _send(
    task: Task, sk: TcpSock, buf: IoBuffer, flags: int, done: int, state: SockWait | None
) -> int:
    """Write all of the bytes, sleeping for room. EPIPE etc. only if nothing was written."""
    urgent_at = sk.sent + buf.length - 1 if flags & MSG_OOB and buf.length else -1
    try:
        if sk.state == TCP_SYN_SENT:
            _no_room(task, sk, flags, done, state, "sk_stream_wait_connect")
        while not done or buf.length:
            if sk.err is not None:
                sk.sock_error()
            if sk.shutdown & SEND_SHUTDOWN or sk.state not in (TCP_ESTABLISHED, TCP_CLOSE_WAIT):
                raise EPIPE
            if not buf.length:
                break
            room = sk.room()
            if room <= 0:
                _no_room(task, sk, flags, done, state, "sk_stream_wait_memory")
            size = min(buf.length, room, _CHUNK)
            if urgent_at >= 0:
                sk.urg_sent = urgent_at
            data = buf.take(size)
            if data:
                sk.write(data)
                done += len(data)
            if len(data) < size:
                raise EFAULT
    except WouldSleep:
        raise
    except Errno:
        if not done:
            raise
    return done


def _no_room(
    task: Task, sk: TcpSock, flags: int, done: int, state: SockWait | None, why: str
) -> NoReturn:
    """Sleep until there is room. EAGAIN."""
    if flags & MSG_DONTWAIT:
        raise EAGAIN
    wait = SockWait(sk, done, sock_deadline(task, state, sk.sndtimeo))
    if done and not sock_may_wait(task, wait):
        raise EAGAIN
    sock_wait(task, sk.wr_wait, wait, why)


# -- receiving


def _inline(sk: TcpSock) -> bool:
    return bool(sk.option(SO_OOBINLINE))


def _inq(sk: TcpSock) -> int:
    """Bytes that can be read before the urgent mark."""
    at = sk.urg_seq
    if at < 0 or _inline(sk) or not sk.copied <= at < sk.rcvd:
        return sk.rq.size
    if at == sk.copied:
        return sk.rq.size - 1
    return at - sk.copied


def _recv_urgent(sk: TcpSock, buf: IoBuffer, flags: int, msg: Message | None) -> int:
    """recv(MSG_OOB). EINVAL if there is no urgent byte, or it is in line."""
    if _inline(sk) or sk.urg_seq < 0 or sk.urg is None:
        if sk.state == TCP_CLOSE and sk.urg_seq < 0 and not sk.dport:
            raise ENOTCONN
        raise EINVAL
    byte = bytes((sk.urg,))
    if not flags & MSG_PEEK:
        sk.urg = None
    if msg is not None:
        msg.flags |= MSG_OOB
    if not buf.length:
        if msg is not None:
            msg.flags |= MSG_TRUNC
        return 0
    if not buf.put(byte):
        raise EFAULT
    return 1


def _receive(task: Task, sk: TcpSock, buf: IoBuffer, flags: int) -> int:
    """Read what is there; sleeps for the first byte, or with MSG_WAITALL for all."""
    state = sock_state(task, sk) if task.restart is not None else None
    done = 0
    if state is not None:
        done = state.done
        buf.advance(done)
    size = done + buf.length
    target = size if flags & MSG_WAITALL else min(max(sk.rcvlowat, 1), size)
    peeked = hole = 0
    try:
        while done + peeked < size or (not size and not sk.rq.size):
            if _at_mark(sk, peeked + hole):
                if done + peeked:
                    break
                if not _inline(sk):
                    # The urgent byte isn't part of the stream: a read steps over it.
                    if flags & MSG_PEEK:
                        hole = 1
                    else:
                        sk.read(1)
                    continue
            count = _next(sk, buf, size - done - peeked, flags, peeked + hole)
            if count and flags & MSG_PEEK:
                peeked += count
            elif count:
                done += count
            elif not _wait(task, sk, done + peeked, target, flags, state):
                break
    except WouldSleep:
        raise
    except Errno:
        if not done + peeked:
            raise
    return done + peeked


def _at_mark(sk: TcpSock, skip: int) -> bool:
    """Is the urgent byte the next one, `skip` bytes on?"""
    return 0 <= sk.urg_seq == sk.copied + skip and sk.rq.size > skip


def _next(sk: TcpSock, buf: IoBuffer, want: int, flags: int, skip: int) -> int:
    """Copy (or with MSG_TRUNC drop) the next bytes before the urgent mark. EFAULT."""
    have = sk.rq.size - skip
    at = sk.urg_seq - sk.copied - skip
    if sk.urg_seq >= 0 and 0 < at < have:
        have = at  # stop before the urgent byte
    want = min(want, have)
    if want <= 0:
        return 0
    if flags & MSG_TRUNC:
        moved = want
    else:
        moved = sk.rq.put_into(buf, want, skip)
        if not moved:
            raise EFAULT
    if not flags & MSG_PEEK:
        sk.read(moved)
    return moved


def _wait(
    task: Task, sk: TcpSock, done: int, target: int, flags: int, state: SockWait | None
) -> bool:
    """Nothing is there: False if the call is to return what it has; else sleeps or raises."""
    if done >= target:
        return False
    if done and (sk.err is not None or sk.state == TCP_CLOSE or flags & MSG_PEEK):
        return False
    sk.sock_error()
    if sk.shutdown & RCV_SHUTDOWN:
        return False
    if sk.state == TCP_CLOSE:
        raise ENOTCONN
    if flags & MSG_DONTWAIT:
        if done:
            return False
        raise EAGAIN
    wait = SockWait(sk, done, sock_deadline(task, state, sk.rcvtimeo))
    if done and not sock_may_wait(task, wait):
        return False
    sock_wait(task, sk.wq, wait, "wait_woken")
