# SPDX-License-Identifier: Apache-2.0
"""What sockets of AF_UNIX have in common, whatever their type (net/unix/af_unix.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import (
    ECONNRESET,
    EINVAL,
    ENOENT,
    ENOIOCTLCMD,
    ENOTCONN,
    EPERM,
)
from pygos.include.linux.fs import FMODE_PATH
from pygos.include.uapi.capability import CAP_NET_ADMIN
from pygos.include.uapi.ioctls import SIOCATMARK, SIOCINQ, SIOCOUTQ, SIOCUNIXFILE
from pygos.include.uapi.poll import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLPRI,
    POLLRDHUP,
    POLLRDNORM,
)
from pygos.include.uapi.socket import SHUT_RD, SHUT_RDWR, SOCK_DGRAM
from pygos.net.sock import (
    RCV_SHUTDOWN,
    SEND_SHUTDOWN,
    SHUTDOWN_MASK,
    TCP_CLOSE,
    TCP_ESTABLISHED,
    TCP_LISTEN,
    WRITABLE,
    PeerCred,
    ProtoOps,
    Socket,
)
from pygos.net.unix import names
from pygos.net.unix.sock import UNNAMED, UnixSock

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task

_READABLE: Final = POLLIN | POLLRDNORM


def unix_sk(socket: Socket) -> UnixSock:
    """The AF_UNIX end of a socket."""
    sk = socket.sk
    assert type(sk) is UnixSock
    return sk


class UnixOps(ProtoOps):
    """Operations of all types; those of streams for polling."""

    __slots__ = ()

    def release(self, socket: Socket) -> None:
        unix_sk(socket).release()

    def bind(self, task: Task, socket: Socket, addr: bytes) -> None:
        names.bind(task, unix_sk(socket), addr)

    def socketpair(self, task: Task, one: Socket, other: Socket) -> None:
        a, b = unix_sk(one), unix_sk(other)
        a.peer, b.peer = b, a
        a.peer_cred = PeerCred(task)
        b.peer_cred = PeerCred(task)
        a.state = b.state = TCP_ESTABLISHED

    def getname(self, task: Task, socket: Socket, peer: bool) -> bytes:
        sk = unix_sk(socket)
        if peer:
            if sk.peer is None:
                raise ENOTCONN
            sk = sk.peer
        return sk.addr.raw if sk.addr is not None else UNNAMED

    def shutdown(self, task: Task, socket: Socket, how: int) -> None:
        if not SHUT_RD <= how <= SHUT_RDWR:
            raise EINVAL
        sk = unix_sk(socket)
        mode = how + 1
        sk.shutdown |= mode
        sk.state_change()
        other = sk.peer
        if other is not None and sk.type != SOCK_DGRAM:
            if mode & RCV_SHUTDOWN:
                other.shutdown |= SEND_SHUTDOWN
            if mode & SEND_SHUTDOWN:
                other.shutdown |= RCV_SHUTDOWN
            if other.shutdown == SHUTDOWN_MASK:
                other.state_change(POLLHUP)
            else:
                other.state_change(POLLIN | POLLHUP if mode & SEND_SHUTDOWN else 0)

    def poll(self, task: Task, file: File, socket: Socket) -> int:
        sk = unix_sk(socket)
        mask = poll_common(sk)
        if sk.oob is not None:
            mask |= POLLPRI
        if sk.state == TCP_CLOSE:
            mask |= POLLHUP
        if sk.state != TCP_LISTEN and sk.wmem << 2 <= sk.sndbuf:
            mask |= WRITABLE
        return mask

    def ioctl(self, task: Task, socket: Socket, cmd: int, arg: int) -> int:
        sk = unix_sk(socket)
        if cmd == SIOCINQ:
            value = _inq(sk)
        elif cmd == SIOCOUTQ:
            value = sk.wmem
        elif cmd == SIOCATMARK:
            from pygos.net.unix.oob import at_mark

            value = int(at_mark(sk))
        elif cmd == SIOCUNIXFILE:
            return _open_file(task, sk)
        else:
            raise ENOIOCTLCMD
        mm: Any = task.mm
        mm.write_u32(arg, value)
        return 0


def poll_common(sk: UnixSock) -> int:
    """Errors, shut downs, and whether there is something to read."""
    mask = POLLERR if sk.err is not None else 0
    shutdown = sk.shutdown
    if shutdown:
        if shutdown == SHUTDOWN_MASK:
            mask |= POLLHUP
        if shutdown & RCV_SHUTDOWN:
            mask |= POLLRDHUP | _READABLE
    if sk.queue:
        mask |= _READABLE
    return mask


def _inq(sk: UnixSock) -> int:
    """Bytes that can be read: all, or the first datagram's. EINVAL for a listener."""
    if sk.state == TCP_LISTEN:
        raise EINVAL
    if sk.type == SOCK_DGRAM:
        return len(sk.queue[0].data) if sk.queue else 0
    return sum(len(skb.data) - skb.off for skb in sk.queue)


def _open_file(task: Task, sk: UnixSock) -> int:
    """SIOCUNIXFILE: an O_PATH descriptor of the socket's name. Errors: EPERM, ENOENT."""
    from pygos.fs.file_table import alloc_fd, alloc_file, fd_install, put_unused_fd
    from pygos.include.linux.fs import FILE_DEFAULT_OPS
    from pygos.include.uapi.fcntl import O_PATH

    if not task.cred.ns_capable(sk.net.user_ns, CAP_NET_ADMIN):
        raise EPERM
    if sk.addr is None or sk.addr.path is None:
        raise ENOENT
    path = sk.addr.path
    fd = alloc_fd(task, 0, True)
    try:
        file = alloc_file(path, path.inode, O_PATH, FMODE_PATH, task.cred, FILE_DEFAULT_OPS)
    except BaseException:
        put_unused_fd(task, fd)
        raise
    fd_install(task, fd, file)
    return fd


def disconnect_reset(sk: UnixSock, other: UnixSock) -> None:
    """A datagram socket got another peer: what the old one sent is lost, and it is told."""
    from pygos.net.unix.sock import kfree_skb

    if sk.queue:
        while sk.queue:
            kfree_skb(sk.queue.popleft())
        sk.peer_wait.wake_all(WRITABLE)
        if not other.dead and other.peer is sk:
            other.set_error(ECONNRESET)


__all__ = ["UnixOps", "disconnect_reset", "poll_common", "unix_sk"]
