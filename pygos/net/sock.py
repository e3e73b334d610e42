# SPDX-License-Identifier: Apache-2.0
"""struct socket and struct sock: what all protocols have in common (net/core/sock.c).

Buffers are counted in bytes of ``truesize`` as Linux counts them, with the overhead of an
sk_buff, so a program finds the same number of messages in a full buffer. Times are ns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from pygos.include.errno import (
    EAGAIN,
    EINTR,
    EOPNOTSUPP,
    EPIPE,
    ERESTARTSYS,
    Errno,
)
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.poll import (
    POLLERR,
    POLLIN,
    POLLOUT,
    POLLPRI,
    POLLRDBAND,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
)
from pygos.kernel.pid import PidRef

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task
    from pygos.net.message import Message
    from pygos.net.netns import Net

#: Sock.shutdown: bits.
RCV_SHUTDOWN: Final = 1
SEND_SHUTDOWN: Final = 2
SHUTDOWN_MASK: Final = 3
#: Sock.state: as TCP's (include/net/tcp_states.h).
TCP_ESTABLISHED: Final = 1
TCP_SYN_SENT: Final = 2
TCP_CLOSE: Final = 7
TCP_LISTEN: Final = 10
#: What data to read and room to write wake.
READABLE: Final = POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND
WRITABLE: Final = POLLOUT | POLLWRNORM | POLLWRBAND
#: sizeof(struct sk_buff), and of the skb_shared_info behind its data, both aligned.
_SKB: Final = 256
SHARED_INFO: Final = 320
_HEAD_MIN: Final = 512
PAGE: Final = 4096


def head_truesize(size: int) -> int:
    """What a message with `size` bytes in its head costs: kmalloc's sizes are powers of two."""
    size += SHARED_INFO
    return _SKB + (_HEAD_MIN if size <= _HEAD_MIN else 1 << (size - 1).bit_length())


class PeerCred:
    """Who the other side is: what SO_PEERCRED, SO_PEERGROUPS and SO_PEERPIDFD tell."""

    __slots__ = ("gid", "groups", "pid", "ref", "uid")

    def __init__(self, task: Task) -> None:
        cred: Cred = task.cred
        self.pid = task.tgid
        self.uid = cred.euid
        self.gid = cred.egid
        self.groups = cred.groups
        self.ref = PidRef(task.group_leader, False)


class SockWait:
    """What a call that sleeps in a socket has done so far: lives in ``task.restart``.

    `done`: bytes moved; `deadline`: monotonic ns or None; `extra`: the protocol's.
    """

    __slots__ = ("deadline", "done", "extra", "sk")

    def __init__(self, sk: Sock, done: int, deadline: int | None, extra: Any = None) -> None:
        self.sk = sk
        self.done = done
        self.deadline = deadline
        self.extra = extra


class Sock:
    """A protocol's end of a connection (struct sock)."""

    __slots__ = (
        "backlog", "cookie", "dead", "err", "family", "net", "options", "passcred", "passpidfd",
        "peek_off", "peer_cred", "protocol", "rcvbuf", "rcvlowat", "rcvtimeo", "shutdown",
        "sndbuf", "sndtimeo", "socket", "state", "timestamp", "type", "uid", "wmem", "wq",
        "wr_wait",
    )  # fmt: skip

    def __init__(self, task: Task, net: Net, family: int, type_: int, protocol: int) -> None:
        sysctl = task.machine.sysctl
        self.net = net
        self.family = family
        self.type = type_
        self.protocol = protocol
        self.state = TCP_CLOSE
        self.shutdown = 0
        #: A pending error, told once.
        self.err: type[Errno] | None = None
        self.dead = False
        self.socket: Socket | None = None
        self.uid = task.cred.fsuid
        #: Readers, acceptors and pollers; senders that wait for room.
        self.wq = WaitQueue()
        self.wr_wait = WaitQueue()
        #: Bytes of truesize that are sent and not yet received, and their limit.
        self.wmem = 0
        self.sndbuf: int = sysctl.get("net.core.wmem_default", 212992)
        self.rcvbuf: int = sysctl.get("net.core.rmem_default", 212992)
        self.rcvlowat = 1
        #: None: for ever.
        self.rcvtimeo: int | None = None
        self.sndtimeo: int | None = None
        #: listen(2)'s, or how many datagrams may wait.
        self.backlog = 0
        self.peer_cred: PeerCred | None = None
        self.passcred = self.passpidfd = False
        #: SO_TIMESTAMP (1) or SO_TIMESTAMPNS (2).
        self.timestamp = 0
        #: SO_PEEK_OFF; negative: off.
        self.peek_off = -1
        self.cookie = 0
        #: Options that are only kept, by number.
        self.options: dict[int, int] | None = None

    def sock_error(self) -> None:
        """Raise the pending error, if any, and forget it."""
        err = self.err
        if err is not None:
            self.err = None
            raise err

    def set_error(self, err: type[Errno]) -> None:
        """A pending error; everyone who waits is told."""
        self.err = err
        self.wq.wake_all(POLLERR)
        self.wr_wait.wake_all(POLLERR)

    def data_ready(self) -> None:
        """Something can be read."""
        if self.wq.waiters:
            self.wq.wake_all(READABLE)

    def state_change(self, key: int = 0) -> None:
        """Connected, shut down, hung up: everybody looks. `key` is for SIGIO."""
        self.wq.wake_all(key)
        self.wr_wait.wake_all()

    def writable(self) -> bool:
        """Is a good part of the buffer free?"""
        return self.state != TCP_LISTEN and self.wmem << 2 <= self.sndbuf

    def wfree(self, truesize: int) -> None:
        """A message sent from here was consumed: wake senders when there is room."""
        self.wmem -= truesize
        if self.wmem << 2 <= self.sndbuf and self.state != TCP_LISTEN:
            if self.wq.waiters:
                self.wq.wake_all(WRITABLE)
            if self.wr_wait.waiters:
                self.wr_wait.wake_all(WRITABLE)


def sock_state(task: Task, sk: Sock) -> SockWait | None:
    """What the call in progress kept when it slept in `sk`."""
    state = task.restart
    return state if type(state) is SockWait and state.sk is sk else None


def sock_deadline(task: Task, state: SockWait | None, timeo: int | None) -> int | None:
    """When a wait that may take `timeo` ns ends; as kept if the call has slept before."""
    if state is not None:
        return state.deadline
    return None if timeo is None else task.machine.clock.monotonic() + timeo


def sock_wait(task: Task, queue: WaitQueue, state: SockWait, why: str) -> NoReturn:
    """Sleep until `queue` is woken, keeping `state`. EAGAIN at its deadline; EINTR, ERESTARTSYS.

    Only for calls that have nothing to return: `state.done` is their caller's business.
    """
    deadline = state.deadline
    if deadline is not None and task.machine.clock.monotonic() >= deadline:
        task.restart = None
        raise EAGAIN
    if task.signal_pending():
        task.restart = None
        raise ERESTARTSYS if deadline is None else EINTR
    task.restart = state
    wait_on(task, queue, deadline=deadline, why=why)


def sock_may_wait(task: Task, state: SockWait) -> bool:
    """Would sock_wait() sleep? If not, a call that has moved some bytes returns them."""
    deadline = state.deadline
    if deadline is not None and task.machine.clock.monotonic() >= deadline:
        return False
    return not task.signal_pending()


def sock_wait_for_wmem(
    task: Task, sk: Sock, state: SockWait | None, nonblock: bool
) -> SockWait | None:
    """Before a message is queued: None if there is room, else the state to sleep with.

    Errors: the pending one, EPIPE (shut down), EAGAIN.
    """
    sk.sock_error()
    if sk.shutdown & SEND_SHUTDOWN:
        raise EPIPE
    if sk.wmem < sk.sndbuf:
        return None
    if nonblock:
        raise EAGAIN
    return SockWait(sk, 0, sock_deadline(task, state, sk.sndtimeo))


class ProtoOps:
    """What sockets of one type can do (struct proto_ops); defaults as Linux's sock_no_*().

    Raw addresses are the bytes of a struct sockaddr_*. `flags` are MSG_*, with MSG_DONTWAIT
    set for a file in non-blocking mode.
    """

    __slots__ = ()

    def release(self, socket: Socket) -> None:
        """The file is closed."""

    def bind(self, task: Task, socket: Socket, addr: bytes) -> None:
        raise EOPNOTSUPP

    def connect(self, task: Task, socket: Socket, addr: bytes, flags: int) -> None:
        """`flags`: the file's O_*."""
        raise EOPNOTSUPP

    def socketpair(self, task: Task, one: Socket, other: Socket) -> None:
        raise EOPNOTSUPP

    def listen(self, task: Task, socket: Socket, backlog: int) -> None:
        raise EOPNOTSUPP

    def accept_wait(self, task: Task, socket: Socket, flags: int) -> None:
        """Return when accept() will find a connection; else sleep or raise."""
        raise EOPNOTSUPP

    def accept(self, task: Task, socket: Socket) -> Socket:
        """The next connection, as a new socket without a file. accept_wait() has returned."""
        raise EOPNOTSUPP

    def getname(self, task: Task, socket: Socket, peer: bool) -> bytes:
        """The own address or the peer's. ENOTCONN."""
        raise EOPNOTSUPP

    def poll(self, task: Task, file: File, socket: Socket) -> int:
        return 0

    def ioctl(self, task: Task, socket: Socket, cmd: int, arg: int) -> int:
        """ENOIOCTLCMD for a command that is none of the protocol's."""
        from pygos.include.errno import ENOIOCTLCMD

        raise ENOIOCTLCMD

    def shutdown(self, task: Task, socket: Socket, how: int) -> None:
        raise EOPNOTSUPP

    def sendmsg(
        self, task: Task, socket: Socket, buf: IoBuffer, flags: int, msg: Message | None
    ) -> int:
        raise EOPNOTSUPP

    def recvmsg(
        self, task: Task, socket: Socket, buf: IoBuffer, flags: int, msg: Message | None
    ) -> int:
        raise EOPNOTSUPP

    def setsockopt(
        self, task: Task, socket: Socket, level: int, name: int, addr: int, length: int
    ) -> None:
        """Options of other levels than SOL_SOCKET; `length` bytes at user address `addr`."""
        raise EOPNOTSUPP

    def getsockopt(
        self, task: Task, socket: Socket, level: int, name: int, addr: int, lenaddr: int
    ) -> None:
        raise EOPNOTSUPP


class Socket:
    """What a file of sockfs holds (struct socket)."""

    __slots__ = ("file", "ops", "sk", "type")

    def __init__(self, type_: int, ops: ProtoOps, sk: Sock) -> None:
        self.type = type_
        self.ops = ops
        self.sk = sk
        self.file: File | None = None
        sk.socket = self
