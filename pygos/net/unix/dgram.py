# SPDX-License-Identifier: Apache-2.0
"""SOCK_DGRAM and the messages of SOCK_SEQPACKET (net/unix/af_unix.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import (
    EAGAIN,
    ECONNREFUSED,
    ECONNRESET,
    EFAULT,
    EINVAL,
    EMSGSIZE,
    ENOTCONN,
    EOPNOTSUPP,
    EPERM,
    EPIPE,
)
from pygos.include.uapi.poll import POLLHUP
from pygos.include.uapi.socket import (
    AF_UNSPEC,
    MSG_DONTWAIT,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    SOCK_SEQPACKET,
)
from pygos.net.scm import ScmCookie, own_creds, scm_recv, scm_send
from pygos.net.sock import (
    PAGE,
    RCV_SHUTDOWN,
    SHARED_INFO,
    TCP_CLOSE,
    TCP_ESTABLISHED,
    TCP_LISTEN,
    WRITABLE,
    Socket,
    SockWait,
    head_truesize,
    sock_deadline,
    sock_state,
    sock_wait,
    sock_wait_for_wmem,
)
from pygos.net.unix import names
from pygos.net.unix.garbage import attach_files, check_inflight
from pygos.net.unix.ops import UnixOps, disconnect_reset, poll_common, unix_sk
from pygos.net.unix.sock import Skb, UnixSock, detach_files, kfree_skb
from pygos.net.unix.stream import UnixConnOps

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task
    from pygos.net.message import Message

#: What fits in a message's head; how much more may be in pages.
_HEAD_MAX: Final = 4 * PAGE - SHARED_INFO
_FRAGS_MAX: Final = 17 * PAGE
_AF_UNSPEC: Final = AF_UNSPEC.to_bytes(2, "little")


def dgram_truesize(size: int) -> int:
    """What a datagram of `size` bytes costs the sender's buffer."""
    if size <= _HEAD_MAX:
        return head_truesize(size)
    paged = (min(size - _HEAD_MAX, _FRAGS_MAX) + PAGE - 1) & -PAGE
    return head_truesize(size - paged) + paged


def _may_send(sk: UnixSock, other: UnixSock) -> bool:
    return other.peer is None or other.peer is sk


def _send(
    task: Task, sk: UnixSock, buf: IoBuffer, flags: int, name: bytes | None, scm: ScmCookie | None
) -> int:
    """Queue one message at its receiver."""
    if flags & MSG_OOB:
        raise EOPNOTSUPP
    if name is not None:
        names.validate(name)
    elif sk.peer is None:
        raise ENOTCONN
    if (sk.passcred or sk.passpidfd) and sk.addr is None:
        names.autobind(task, sk)
    size = buf.length
    if size > sk.sndbuf - 32:
        raise EMSGSIZE
    nonblock = bool(flags & MSG_DONTWAIT)
    state = sock_state(task, sk)
    wait = sock_wait_for_wmem(task, sk, state, nonblock)
    if wait is not None:
        sock_wait(task, sk.wr_wait, wait, "sock_alloc_send_pskb")
    files = scm.fp if scm is not None else None
    if files:
        check_inflight(task, sk.unet)
    data = buf.take(size)
    if len(data) < size:
        raise EFAULT
    other = _receiver(task, sk, name)
    if not _may_send(sk, other):
        raise EPERM
    if other.shutdown & RCV_SHUTDOWN:
        raise EPIPE
    if other is not sk and other.peer is not sk and other.full():
        if nonblock:
            raise EAGAIN
        deadline = sock_deadline(task, state, sk.sndtimeo)
        sock_wait(task, other.peer_wait, SockWait(sk, 0, deadline), "unix_wait_for_peer")
    skb = Skb(sk, data, dgram_truesize(size))
    if scm is not None:
        skb.creds = scm.creds
        if files:
            scm.fp = None
            attach_files(task, skb, files)
    if skb.creds is None and (sk.passcred or sk.passpidfd or other.passcred or other.passpidfd):
        skb.creds = own_creds(task)
    if other.timestamp:
        skb.tstamp = task.machine.clock.realtime()
    sk.wmem += skb.truesize
    other.queue.append(skb)
    other.data_ready()
    return size


def _receiver(task: Task, sk: UnixSock, name: bytes | None) -> UnixSock:
    """Who gets the message. ECONNREFUSED if the peer is gone: a datagram socket forgets it."""
    if name is not None:
        return names.find_other(task, sk, name)
    other = sk.peer
    if other is None:
        raise ECONNRESET
    if other.dead:
        if sk.type == SOCK_SEQPACKET:
            raise EPIPE
        _disconnect(sk, other)
        raise ECONNREFUSED
    return other


def _disconnect(sk: UnixSock, other: UnixSock) -> None:
    sk.peer = None
    other.peer_wait.remove(sk)
    sk.state = TCP_CLOSE
    disconnect_reset(sk, other)


class UnixPacketOps(UnixOps):
    """Messages with boundaries."""

    __slots__ = ()

    def sendmsg(
        self, task: Task, socket: Socket, buf: IoBuffer, flags: int, msg: Message | None
    ) -> int:
        if msg is None:
            return _send(task, unix_sk(socket), buf, flags, None, None)
        scm = scm_send(task, msg) if msg.control else None
        try:
            return _send(task, unix_sk(socket), buf, flags, msg.name, scm)
        finally:
            if scm is not None:
                scm.destroy()

    def recvmsg(
        self, task: Task, socket: Socket, buf: IoBuffer, flags: int, msg: Message | None
    ) -> int:
        sk = unix_sk(socket)
        if flags & MSG_OOB:
            raise EOPNOTSUPP
        skb, skip = _find(task, sk, flags)
        if skb is None:
            return 0
        peek = flags & MSG_PEEK
        if not peek:
            sk.queue.remove(skb)
        sk.peer_wait.wake_all(WRITABLE)
        data = skb.data
        have = len(data) - skip
        size = min(buf.length, have)
        try:
            if size and buf.put(memoryview(data)[skip : skip + size]) < size:
                raise EFAULT
        except EFAULT:
            if not peek:
                kfree_skb(skb)
            raise
        _deliver(task, sk, skb, flags, size, msg)
        if msg is not None and size < have:
            msg.flags |= MSG_TRUNC
        return have if flags & MSG_TRUNC else size

    def poll(self, task: Task, file: File, socket: Socket) -> int:
        sk = unix_sk(socket)
        mask = poll_common(sk)
        if sk.type == SOCK_SEQPACKET and sk.state == TCP_CLOSE:
            mask |= POLLHUP
        if sk.state == TCP_LISTEN or sk.wmem << 2 > sk.sndbuf:
            return mask
        other = sk.peer
        if other is not None and other.peer is not sk and other.full() and not other.dead:
            other.peer_wait.add(sk)
            return mask
        return mask | WRITABLE


def _find(task: Task, sk: UnixSock, flags: int) -> tuple[Skb | None, int]:
    """The next datagram and where in it to begin; (None, 0) at the end; else waits."""
    sk.sock_error()
    skip = 0
    if sk.queue:
        if not flags & MSG_PEEK or sk.peek_off < 0:
            return sk.queue[0], max(sk.peek_off, 0) if flags & MSG_PEEK else 0
        skip = sk.peek_off
        for skb in sk.queue:
            if skip >= len(skb.data) and (skip or skb.peeked):
                skip -= len(skb.data)
                continue
            return skb, skip
    if flags & MSG_DONTWAIT:
        if sk.type == SOCK_SEQPACKET and sk.shutdown & RCV_SHUTDOWN:
            return None, 0
        raise EAGAIN
    if sk.shutdown & RCV_SHUTDOWN:
        return None, 0
    deadline = sock_deadline(task, sock_state(task, sk), sk.rcvtimeo)
    sock_wait(task, sk.wq, SockWait(sk, 0, deadline), "skb_wait_for_more_packets")


def _deliver(
    task: Task, sk: UnixSock, skb: Skb, flags: int, size: int, msg: Message | None
) -> None:
    """What comes with the bytes: address, time, credentials, files."""
    if flags & MSG_PEEK:
        skb.peeked = True
        if sk.peek_off >= 0:
            sk.peek_off += size
        files = list(skb.fp) if skb.fp else None
        for file in files or ():
            file.f_count += 1
    else:
        if sk.peek_off > 0:
            sk.peek_off = max(sk.peek_off - len(skb.data), 0)
        files = detach_files(skb)
        kfree_skb(skb)
    if msg is not None:
        msg.name = skb.sk.addr.raw if skb.sk.addr is not None else b""
        msg.put_timestamp(task, sk, skb.tstamp)
    if msg is not None or files:
        scm_recv(task, sk, msg, skb.creds, files, flags)


class UnixDgramOps(UnixPacketOps):
    """SOCK_DGRAM."""

    __slots__ = ()

    def connect(self, task: Task, socket: Socket, addr: bytes, flags: int) -> None:
        sk = unix_sk(socket)
        if len(addr) < 2:
            raise EINVAL
        if addr[:2] == _AF_UNSPEC:
            if sk.peer is not None:
                _disconnect(sk, sk.peer)
            sk.state = TCP_CLOSE
            return
        names.validate(addr)
        if sk.passcred or sk.passpidfd:
            names.autobind(task, sk)
        other = names.find_other(task, sk, addr)
        if not _may_send(sk, other):
            raise EPERM
        old = sk.peer
        sk.peer = other
        sk.state = other.state = TCP_ESTABLISHED
        if old is not None:
            old.peer_wait.remove(sk)
            if old is not other:
                disconnect_reset(sk, old)
                sk.state = TCP_ESTABLISHED


class UnixSeqpacketOps(UnixConnOps):
    """SOCK_SEQPACKET: connections of streams, messages of datagrams."""

    __slots__ = ()

    def sendmsg(
        self, task: Task, socket: Socket, buf: IoBuffer, flags: int, msg: Message | None
    ) -> int:
        if socket.sk.state != TCP_ESTABLISHED:
            raise ENOTCONN
        if msg is not None:
            msg.name = None
        return UnixPacketOps.sendmsg(_PACKETS, task, socket, buf, flags, msg)

    def recvmsg(
        self, task: Task, socket: Socket, buf: IoBuffer, flags: int, msg: Message | None
    ) -> int:
        if socket.sk.state != TCP_ESTABLISHED:
            raise ENOTCONN
        return UnixPacketOps.recvmsg(_PACKETS, task, socket, buf, flags, msg)

    def poll(self, task: Task, file: File, socket: Socket) -> int:
        return UnixPacketOps.poll(_PACKETS, task, file, socket)


_PACKETS: Final = UnixPacketOps()
