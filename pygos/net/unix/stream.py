# SPDX-License-Identifier: Apache-2.0
"""SOCK_STREAM, and connections of SOCK_SEQPACKET (net/unix/af_unix.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.file_table import fget
from pygos.include.errno import (
    EAGAIN,
    ECONNREFUSED,
    EFAULT,
    EINVAL,
    EISCONN,
    ENOTCONN,
    EOPNOTSUPP,
    EPIPE,
    Errno,
)
from pygos.include.uapi.fcntl import O_NONBLOCK
from pygos.include.uapi.signal import SIGPIPE
from pygos.include.uapi.socket import (
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    MSG_OOB,
    MSG_PEEK,
    MSG_WAITALL,
)
from pygos.kernel.signal import send_sig
from pygos.net.scm import ScmCookie, ScmCreds, own_creds, scm_recv, scm_send
from pygos.net.sock import (
    PAGE,
    RCV_SHUTDOWN,
    SEND_SHUTDOWN,
    SHARED_INFO,
    TCP_CLOSE,
    TCP_ESTABLISHED,
    TCP_LISTEN,
    WRITABLE,
    PeerCred,
    Socket,
    SockWait,
    head_truesize,
    sock_deadline,
    sock_may_wait,
    sock_state,
    sock_wait,
    sock_wait_for_wmem,
)
from pygos.net.unix import names
from pygos.net.unix.garbage import attach_files, check_inflight
from pygos.net.unix.oob import deliver_oob, next_skb, take_urgent, urgent
from pygos.net.unix.ops import UnixOps, unix_sk
from pygos.net.unix.sock import Skb, UnixSock, detach_files, kfree_skb

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task
    from pygos.net.message import Message

#: What fits in a message's head, and the most that one message of a stream has.
_HEAD: Final = PAGE - SHARED_INFO
_CHUNK: Final = _HEAD + 32768


def stream_truesize(size: int) -> int:
    """What `size` bytes of a stream cost the sender's buffer."""
    if size <= _HEAD:
        return head_truesize(size)
    paged = min((size - _HEAD + PAGE - 1) & -PAGE, size)
    return head_truesize(size - paged) + ((paged + PAGE - 1) & -PAGE)


class UnixConnOps(UnixOps):
    """Listening and connecting: streams and sequenced packets."""

    __slots__ = ()

    def listen(self, task: Task, socket: Socket, backlog: int) -> None:
        sk = unix_sk(socket)
        if sk.addr is None:
            raise EINVAL
        if sk.state not in (TCP_CLOSE, TCP_LISTEN):
            raise EINVAL
        if backlog > sk.backlog:
            sk.peer_wait.wake_all()
        sk.backlog = backlog
        sk.state = TCP_LISTEN
        sk.peer_cred = PeerCred(task)

    def connect(self, task: Task, socket: Socket, addr: bytes, flags: int) -> None:
        sk = unix_sk(socket)
        names.validate(addr)
        if sk.passcred or sk.passpidfd:
            names.autobind(task, sk)
        other = names.find_other(task, sk, addr)
        if other.state != TCP_LISTEN or other.shutdown & RCV_SHUTDOWN:
            raise ECONNREFUSED
        if other.full():
            _wait_for_peer(task, sk, other, flags)
        if sk.state == TCP_ESTABLISHED:
            raise EISCONN
        if sk.state != TCP_CLOSE:
            raise EINVAL
        _establish(task, sk, other)

    def accept_wait(self, task: Task, socket: Socket, flags: int) -> None:
        sk = unix_sk(socket)
        if sk.state != TCP_LISTEN:
            raise EINVAL
        if sk.queue:
            return
        sk.sock_error()
        if flags & O_NONBLOCK:
            raise EAGAIN
        if sk.shutdown & RCV_SHUTDOWN:
            raise EINVAL
        deadline = sock_deadline(task, sock_state(task, sk), sk.rcvtimeo)
        sock_wait(task, sk.wq, SockWait(sk, 0, deadline), "skb_wait_for_more_packets")

    def accept(self, task: Task, socket: Socket) -> Socket:
        sk = unix_sk(socket)
        new = sk.queue.popleft().sk
        sk.peer_wait.wake_all(WRITABLE)
        return Socket(socket.type, socket.ops, new)


def _wait_for_peer(task: Task, sk: UnixSock, other: UnixSock, flags: int) -> None:
    """Sleep until a listener's queue has room. EAGAIN."""
    if flags & O_NONBLOCK:
        raise EAGAIN
    deadline = sock_deadline(task, sock_state(task, sk), sk.sndtimeo)
    sock_wait(task, other.peer_wait, SockWait(sk, 0, deadline), "unix_wait_for_peer")


def _establish(task: Task, sk: UnixSock, other: UnixSock) -> None:
    """The connection is there at once: its other end waits to be accepted."""
    new = UnixSock(task, sk.type)
    new.addr = other.addr
    new.state = sk.state = TCP_ESTABLISHED
    new.peer = sk
    sk.peer = new
    new.peer_cred = PeerCred(task)
    sk.peer_cred = other.peer_cred
    new.passcred, new.passpidfd = other.passcred, other.passpidfd
    other.queue.append(Skb(new, b"", 0))
    other.data_ready()


class UnixStreamOps(UnixConnOps):
    """SOCK_STREAM."""

    __slots__ = ()

    def sendmsg(
        self, task: Task, socket: Socket, buf: IoBuffer, flags: int, msg: Message | None
    ) -> int:
        sk = unix_sk(socket)
        state = sock_state(task, sk)
        done = 0
        empty = not buf.length
        if state is not None:
            done = state.done
            buf.advance(done)
        scm = None
        if msg is not None and msg.control and not done:
            scm = scm_send(task, msg)
        try:
            if flags & MSG_OOB and empty:
                raise EOPNOTSUPP
            if msg is not None and msg.name is not None:
                raise EISCONN if sk.state == TCP_ESTABLISHED else EOPNOTSUPP
            if sk.peer is None:
                raise ENOTCONN
            return _send(task, sk, sk.peer, buf, flags, done, scm, state)
        except EPIPE:
            if not done and not flags & MSG_NOSIGNAL:
                send_sig(task, SIGPIPE)
            if done:
                return done
            raise
        finally:
            _give_up(scm)

    def recvmsg(
        self, task: Task, socket: Socket, buf: IoBuffer, flags: int, msg: Message | None
    ) -> int:
        sk = unix_sk(socket)
        if sk.state != TCP_ESTABLISHED:
            raise EINVAL
        if flags & MSG_OOB:
            return _recv_urgent(task, sk, buf, flags, msg)
        return _Receive(task, sk, buf, flags, msg).run()


def _give_up(scm: ScmCookie | None) -> None:
    if scm is not None and scm.fp:
        scm.destroy()


def _send(
    task: Task,
    sk: UnixSock,
    other: UnixSock,
    buf: IoBuffer,
    flags: int,
    done: int,
    scm: ScmCookie | None,
    state: SockWait | None,
) -> int:
    """Cut the bytes into messages; sleeps when the buffer is full. The bytes sent in all.

    Raises EPIPE only if nothing was sent.
    """
    if sk.shutdown & SEND_SHUTDOWN:
        if done:
            return done
        raise EPIPE
    creds = scm.creds if scm is not None else None
    if creds is None and (sk.passcred or sk.passpidfd or other.passcred or other.passpidfd):
        creds = own_creds(task)
    left = buf.length
    chunk = min(_CHUNK, (sk.sndbuf >> 1) - 64)
    last = 1 if flags & MSG_OOB else 0  # goes out of band
    try:
        while left:
            if sk.wmem >= sk.sndbuf or sk.err is not None or sk.shutdown & SEND_SHUTDOWN:
                wait = sock_wait_for_wmem(task, sk, state, bool(flags & MSG_DONTWAIT))
                if wait is not None:
                    wait.done = done
                    if done and not sock_may_wait(task, wait):
                        return done
                    sock_wait(task, sk.wr_wait, wait, "sock_alloc_send_pskb")
            size = min(left - last or 1, chunk)
            data = buf.take(size)
            if len(data) < size:
                raise EFAULT
            if other.dead or other.shutdown & RCV_SHUTDOWN:
                raise EPIPE
            skb = Skb(sk, data, stream_truesize(size))
            skb.creds = creds
            if scm is not None and scm.fp:
                check_inflight(task, sk.unet)
                files, scm.fp = scm.fp, None
                attach_files(task, skb, files)
            sk.wmem += skb.truesize
            if last and left == 1:
                deliver_oob(task, other, skb)
            else:
                other.queue.append(skb)
                if other.wq.waiters:
                    other.data_ready()
            done += size
            left -= size
    except Errno:
        if not done:
            raise
    return done


def _recv_urgent(
    task: Task, sk: UnixSock, buf: IoBuffer, flags: int, msg: Message | None
) -> int:
    """recv(MSG_OOB). EINVAL if there is no byte out of band, or it is in line."""
    skb = urgent(sk)
    if skb is None:
        raise EINVAL
    if not buf.put(skb.data):
        if not flags & MSG_PEEK:
            take_urgent(sk, skb)
        raise EFAULT
    if not flags & MSG_PEEK:
        take_urgent(sk, skb)
    if msg is not None:
        msg.flags |= MSG_OOB
    return 1


class _Receive:
    """One recvmsg of a stream: what it wants and what it has got so far."""

    __slots__ = (
        "buf", "creds", "deadline", "done", "files", "flags", "gluing", "left", "msg", "name",
        "sk", "task",
    )  # fmt: skip

    def __init__(
        self, task: Task, sk: UnixSock, buf: IoBuffer, flags: int, msg: Message | None
    ) -> None:
        self.task = task
        self.sk = sk
        self.buf = buf
        self.flags = flags
        self.msg = msg
        self.files: list[File] | None = None
        self.done = 0
        #: The writer of what was received, once `gluing` (its credentials are asked for).
        self.creds: ScmCreds | None = None
        self.gluing = False
        self.name: bytes | None = None
        state = sock_state(task, sk) if task.restart is not None else None
        self.deadline = sock_deadline(task, state, sk.rcvtimeo)
        if state is not None:
            self.done = state.done
            self.creds, self.gluing, self.name = state.extra
            buf.advance(self.done)
        self.left = buf.length

    def run(self) -> int:
        """The bytes received. Errors: EAGAIN, EFAULT, ECONNRESET, EINTR."""
        try:
            if self.flags & MSG_PEEK:
                self._peek()
            else:
                self._take()
        except Errno:
            if not self.done:
                self._finish()
                raise
        return self._finish()

    def _finish(self) -> int:
        files, self.files = self.files, None
        msg = self.msg
        if msg is not None or files:
            if msg is not None:
                msg.name = self.name
            scm_recv(self.task, self.sk, msg, self.creds, files, self.flags)
        return self.done

    def _wait(self) -> bool:
        """Nothing is queued: False if the call is to return what it has; else sleeps."""
        sk, done = self.sk, self.done
        size = done + self.left
        target = size if self.flags & MSG_WAITALL else min(sk.rcvlowat, size)
        if done >= (target or 1):
            return False
        sk.sock_error()
        if sk.shutdown & RCV_SHUTDOWN:
            return False
        if self.flags & MSG_DONTWAIT:
            if done:
                return False
            raise EAGAIN
        state = SockWait(sk, done, self.deadline, (self.creds, self.gluing, self.name))
        if done and not sock_may_wait(self.task, state):
            return False
        sock_wait(self.task, sk.wq, state, "unix_stream_data_wait")

    def _accepts(self, skb: Skb) -> bool:
        """Note who wrote the message; False if that is another one than before."""
        sk = self.sk
        if self.gluing:
            mine = self.creds
            return mine is skb.creds or (mine is not None and mine.same(skb.creds))
        if sk.passcred or sk.passpidfd:
            self.creds = skb.creds
            self.gluing = True
        return True

    def _note_name(self, skb: Skb) -> None:
        if self.name is None and self.msg is not None:
            self.name = skb.sk.addr.raw if skb.sk.addr is not None else b""

    def _put(self, skb: Skb, off: int) -> int:
        """Copy from a message at `off`, as much as is wanted. EFAULT."""
        data = skb.data
        want = min(len(data) - off, self.left)
        if not want:
            return 0
        part = memoryview(data)[off : off + want] if off or want < len(data) else data
        moved = self.buf.put(part)
        if moved < want:
            self.left = 0
            if not self.done:
                raise EFAULT
            return 0
        self.done += moved
        self.left -= moved
        return moved

    def _take(self) -> None:
        sk = self.sk
        queue = sk.queue
        while True:
            skb = queue[0] if queue else None
            if skb is not None and (skb is sk.oob or skb.off >= len(skb.data)):
                skb, _ = next_skb(sk, self.flags, self.done, 0)
                if skb is None and self.done:
                    return
            if skb is None:
                if not self._wait():
                    return
                continue
            if not self._accepts(skb):
                return
            self._note_name(skb)
            moved = self._put(skb, skb.off)
            skb.off += moved
            if sk.peek_off > 0:
                sk.peek_off = max(sk.peek_off - moved, 0)
            if skb.fp is not None:
                self.files = detach_files(skb)
            if skb.off < len(skb.data):
                return
            queue.popleft()
            kfree_skb(skb)
            if self.files or not self.left:
                return

    def _peek(self) -> None:
        sk = self.sk
        skip = max(sk.peek_off, 0)
        place = 0
        found = False
        while True:
            skb, place = next_skb(sk, self.flags, self.done, place)
            if skb is None:
                if found or not self._wait():
                    return
                continue
            size = len(skb.data) - skb.off
            place += 1
            if skip and skip >= size:
                skip -= size
                continue
            found = True
            if not self._accepts(skb):
                return
            self._note_name(skb)
            moved = self._put(skb, skb.off + skip)
            skip = 0
            if sk.peek_off >= 0:
                sk.peek_off += moved
            if skb.fp is not None:
                self.files = [fget(file) for file in skb.fp]
                return
            if not self.left:
                return
