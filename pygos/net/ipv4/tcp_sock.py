# SPDX-License-Identifier: Apache-2.0
"""struct tcp_sock: the states of a connection and what changes them. RFC 9293, tcp(7).

Each connection has two ends, ``peer`` of each other. ``push`` carries what waits in ``sq`` to
the other end as far as its window goes; a FIN goes last. Reading opens the window and pushes
what waited for it. A reset ends both ends at once.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT, Errno
from pygos.include.uapi.in_ import (
    IPPROTO_TCP,
    TCP_CLOSE,
    TCP_CLOSE_WAIT,
    TCP_CLOSING,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT1,
    TCP_FIN_WAIT2,
    TCP_LAST_ACK,
    TCP_LISTEN,
    TCP_SYN_SENT,
)
from pygos.include.uapi.poll import POLLHUP, POLLIN, POLLPRI, POLLRDHUP, POLLRDNORM
from pygos.include.uapi.socket import AF_INET, SO_LINGER, SOCK_STREAM
from pygos.net.ipv4.addr import ANY4, ANY6, Endpoint
from pygos.net.ipv4.inet import InetSock, TimeWait
from pygos.net.ipv4.queue import ByteQueue
from pygos.net.sock import RCV_SHUTDOWN, SHUTDOWN_MASK, WRITABLE

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: net.ipv4.tcp_wmem and tcp_rmem: what a socket begins with; the most it grows to.
_SNDBUF, _RCVBUF = 16384, 131072
_RMEM_MAX: Final = 6291456
#: What the send buffer of a connection over lo grows to: two windows of ten full segments.
_SNDBUF_CONNECTED: Final = 2626560
_SEC: Final = 1_000_000_000
_TIMEWAIT: Final = 60 * _SEC
_SYN_RETRIES: Final = 6
_MAX_TIMEWAIT: Final = 16384


class Stage(IntEnum):
    """How far connect(2) is (socket_state, linux/net.h)."""

    UNCONNECTED = 1
    CONNECTING = 2
    CONNECTED = 3


class TcpSock(InetSock):
    """One end of a connection, or a listener. A TimerTarget while its SYN isn't answered."""

    __slots__ = (
        "copied",
        "fin",
        "grown",
        "peer",
        "queue",
        "rcvd",
        "rq",
        "sent",
        "sq",
        "stage",
        "syn_timer",
        "syn_tries",
        "urg",
        "urg_sent",
        "urg_seq",
        "window",
    )  # fmt: skip

    def __init__(self, task: Task, family: int) -> None:
        super().__init__(task, family, SOCK_STREAM, IPPROTO_TCP)
        self.sndbuf, self.rcvbuf = _SNDBUF, _RCVBUF
        self.peer: TcpSock | None = None
        self.stage = Stage.UNCONNECTED
        #: Of a listener: connections that nobody has accepted yet.
        self.queue: deque[TcpSock] = deque()
        #: Received and not yet read; written and not yet in the peer's window.
        self.rq = ByteQueue()
        self.sq = ByteQueue()
        #: Positions in the streams: bytes read, received, sent.
        self.copied = self.rcvd = self.sent = 0
        #: A FIN is to follow the last byte of `sq`.
        self.fin = False
        #: How much may wait in `rq`; it grows while it is read.
        self.window = 0
        self.grown = 0
        #: Urgent data: its byte (None: read or none), where it is; where the peer's is to be.
        self.urg: int | None = None
        self.urg_seq = -1
        self.urg_sent = -1
        self.syn_timer: Any = None
        self.syn_tries = 0

    # -- connecting

    def key(self) -> tuple[bytes, int, bytes, int]:
        return self.saddr, self.sport, self.daddr, self.dport

    def syn(self) -> None:
        """Ask for a connection: it is there, refused, or asked for again later."""
        self.state = TCP_SYN_SENT
        listener = find_listener(self, Endpoint(self.daddr, self.dport))
        if listener is None:
            self.reset()
        elif len(listener.queue) > listener.backlog:
            delay = _SEC << self.syn_tries
            self.syn_tries += 1
            clock = self.machine.clock.monotonic()
            self.syn_timer = self.machine.timers.add(clock + delay, self)
        else:
            _establish(self, listener)

    def expire(self, now: int) -> None:
        """TimerTarget: the SYN was not answered."""
        self.syn_timer = None
        if self.state != TCP_SYN_SENT:
            return
        if self.syn_tries > _SYN_RETRIES:
            self.done(ETIMEDOUT)
        else:
            self.syn()

    def connected(self, peer: TcpSock) -> None:
        """The handshake is over."""
        self.peer = peer
        self.state = TCP_ESTABLISHED
        self.inet.established[self.key()] = self
        if self.sndbuf == _SNDBUF:
            self.sndbuf = _SNDBUF_CONNECTED
        self.window = max(self.rcvbuf >> 1, 1)

    # -- moving bytes

    def room(self) -> int:
        """Bytes that may still be written."""
        return self.sndbuf - self.sq.size

    def stream_writable(self) -> bool:
        """Is a third of the buffer free? What poll(2) calls writable."""
        return self.room() >= self.sq.size >> 1 and self.room() > 0

    def push(self) -> None:
        """Carry to the peer what its window takes, then the FIN."""
        peer = self.peer
        if peer is None:
            return
        sq = self.sq
        while sq.size:
            if peer.dead:
                # Data for nobody: the answer is a reset.
                peer.done(None)
                self.reset()
                return
            room = peer.window - peer.rq.size
            if room <= 0:
                return
            peer.receive(sq.take(room), self.urg_sent)
        if self.fin:
            self.fin = False
            self._fin_sent(peer)

    def write(self, data: bytes) -> None:
        """Bytes of a program, for which there is room."""
        self.sent += len(data)
        peer = self.peer
        if not self.sq.size and peer is not None and not peer.dead:
            room = peer.window - peer.rq.size
            if len(data) <= room:
                peer.receive(data, self.urg_sent)
                return
        self.sq.append(data)
        self.push()

    def receive(self, data: bytes, urgent: int) -> None:
        """Bytes arrive; `urgent` is where the sender's urgent byte is."""
        start = self.rcvd
        self.rq.append(data)
        self.rcvd = start + len(data)
        if start <= urgent < self.rcvd and urgent != self.urg_seq:
            self.urg_seq = urgent
            self.urg = data[urgent - start]
            send_sigurg(self)
            self.wq.wake_all(POLLPRI)
        self.data_ready()

    def read(self, count: int) -> None:
        """A program has taken `count` bytes: the window opens, and grows if it is used well."""
        self.rq.drop(count)
        self.copied += count
        if self.urg_seq >= 0 and self.copied > self.urg_seq:
            self.urg = None
            self.urg_seq = -1
        self.grown += count
        if self.grown > self.window and self.rcvbuf == _RCVBUF:
            self.grown = 0
            self.window = min(self.window * 2, _RMEM_MAX >> 1)
        peer = self.peer
        if peer is not None and (peer.sq.size or peer.fin):
            peer.push()
            if not peer.dead and peer.stream_writable():
                peer.wq.wake_all(WRITABLE)
                peer.wr_wait.wake_all(WRITABLE)

    # -- ending

    def send_fin(self) -> None:
        """Nothing more will be written."""
        if self.state == TCP_ESTABLISHED:
            self.state = TCP_FIN_WAIT1
        elif self.state == TCP_CLOSE_WAIT:
            self.state = TCP_LAST_ACK
        else:
            return
        self.fin = True
        self.push()

    def _fin_sent(self, peer: TcpSock) -> None:
        """The FIN is with the peer, which has acknowledged it."""
        if self.state == TCP_FIN_WAIT1:
            self.state = TCP_FIN_WAIT2
        peer.receive_fin()
        if self.state == TCP_LAST_ACK:
            self.done(None)
        elif self.state == TCP_CLOSING:
            self.time_wait()

    def receive_fin(self) -> None:
        """The peer has said that nothing more will come."""
        self.shutdown |= RCV_SHUTDOWN
        if self.state == TCP_ESTABLISHED:
            self.state = TCP_CLOSE_WAIT
        elif self.state == TCP_FIN_WAIT1:
            self.state = TCP_CLOSING
        elif self.state == TCP_FIN_WAIT2:
            self.time_wait()
            return
        if not self.dead:
            self.state_change(POLLIN | POLLRDNORM | POLLRDHUP)

    def time_wait(self) -> None:
        """Both sides have closed, this one first: the addresses stay taken for a minute."""
        inet = self.inet
        if len(inet.timewait) < _MAX_TIMEWAIT:
            entry = TimeWait(self)
            inet.timewait[entry] = None
            inet.tcp.join(entry)
            deadline = self.machine.clock.monotonic() + _TIMEWAIT
            entry.timer = self.machine.timers.add(deadline, entry)
        self.done(None)

    def reset(self) -> None:
        """A reset arrives."""
        if self.state == TCP_SYN_SENT:
            self.done(ECONNREFUSED)
        elif self.state == TCP_CLOSE_WAIT:
            self.done(EPIPE)
        elif self.state != TCP_CLOSE:
            self.done(ECONNRESET)

    def abort(self) -> None:
        """End the connection with a reset."""
        peer = self.peer
        self.done(None)
        if peer is not None:
            peer.reset()

    def done(self, err: type[Errno] | None) -> None:
        """The connection is over here, for the program with `err` (tcp_done)."""
        self.state = TCP_CLOSE
        self.shutdown = SHUTDOWN_MASK
        self.peer = None
        self.sq.clear()
        self.fin = False
        if self.syn_timer is not None:
            self.syn_timer.cancel()
            self.syn_timer = None
        if self.inet.established.get(self.key()) is self:
            del self.inet.established[self.key()]
        if self.dead or not self.locked_port:
            self.unbind()
        if not self.dead:
            if err is not None:
                self.set_error(err)
            self.state_change(POLLHUP)

    def disconnect(self) -> None:
        """As new but for the port that was asked for: connect(2) to AF_UNSPEC."""
        if self.state == TCP_LISTEN:
            self.stop_listening()
        elif self.peer is not None:
            self.abort()
        self.done(None)
        self.rq.clear()
        self.copied = self.rcvd = self.sent = 0
        self.shutdown = 0
        self.err = None
        self.dport = 0
        self.daddr = bytes(len(self.daddr))
        if not self.locked_addr:
            self.saddr = ANY4 if self.family == AF_INET else ANY6
        self.stage = Stage.UNCONNECTED

    def stop_listening(self) -> None:
        """Connections that nobody accepted are reset."""
        while self.queue:
            child = self.queue.popleft()
            child.dead = True
            child.abort()

    def release(self) -> None:
        """The last file is closed (tcp_close)."""
        self.dead = True
        self.socket = None
        lost = self.rq.size > 0
        self.shutdown = SHUTDOWN_MASK
        if self.state == TCP_LISTEN:
            self.stop_listening()
            self.done(None)
        elif lost or self.option(SO_LINGER) == 1 or self.state == TCP_SYN_SENT:
            self.abort()
        elif self.state in (TCP_ESTABLISHED, TCP_CLOSE_WAIT):
            self.send_fin()
        self.rq.clear()
        if self.state == TCP_CLOSE:
            self.unbind()


def _establish(sk: TcpSock, listener: TcpSock) -> None:
    """SYN, SYN-ACK, ACK: the listener's end waits to be accepted."""
    child = TcpSock(sk.machine.init_task, listener.family)
    child.net, child.inet, child.ports = listener.net, listener.inet, listener.ports
    child.uid = listener.uid
    child.sndbuf, child.rcvbuf, child.rcvlowat = listener.sndbuf, listener.rcvbuf, listener.rcvlowat
    child.rcvtimeo, child.sndtimeo = listener.rcvtimeo, listener.sndtimeo
    child.options = dict(listener.options) if listener.options else None
    child.level_options = dict(listener.level_options)
    child.v6only = listener.v6only
    child.timestamp = listener.timestamp
    child.saddr, child.sport = sk.daddr, sk.dport
    child.daddr, child.dport = sk.saddr, sk.sport
    child.bound = True
    child.ports.join(child)
    child.connected(sk)
    child.stage = Stage.CONNECTED
    sk.connected(child)
    listener.queue.append(child)
    listener.data_ready()
    sk.state_change(WRITABLE)


def find_listener(sk: TcpSock, to: Endpoint) -> TcpSock | None:
    """The listener that a SYN to this address reaches: the one bound most exactly.

    Of several with SO_REUSEPORT the sender's port decides.
    """
    best: list[TcpSock] = []
    score = -1
    for user in sk.inet.tcp.bound.get(to.port, ()):
        if not isinstance(user, TcpSock) or user.state != TCP_LISTEN:
            continue
        if not user.takes(to.ip, to.port):
            continue
        mine = 2 * (user.saddr == to.ip) + (len(user.saddr) == len(to.ip))
        if mine > score:
            best, score = [user], mine
        elif mine == score:
            best.append(user)
    return best[sk.sport % len(best)] if best else None


def send_sigurg(sk: TcpSock) -> None:
    """Tell the owner of the file (F_SETOWN) that urgent data is there."""
    file = sk.socket.file if sk.socket is not None else None
    if file is not None and file.f_owner:
        from pygos.net.unix.oob import send_sigurg as send

        send(sk.machine, file)
