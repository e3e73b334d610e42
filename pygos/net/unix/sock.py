# SPDX-License-Identifier: Apache-2.0
"""struct unix_sock: the ends of AF_UNIX connections, their messages and their tables.

A message waits in the queue of the receiver and counts against the sender's buffer. A
listening socket's queue holds the accepting ends that nobody has accepted yet.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from pygos.fs.inode import iput
from pygos.include.errno import ECONNRESET
from pygos.include.linux.wait import WaitQueue
from pygos.include.uapi.poll import POLLHUP
from pygos.include.uapi.socket import AF_UNIX, SOCK_DGRAM, SOCK_STREAM
from pygos.net.netns import net_of, task_net
from pygos.net.sock import SHUTDOWN_MASK, TCP_CLOSE, TCP_LISTEN, WRITABLE, Sock

if TYPE_CHECKING:
    from pygos.include.linux.fs import File, Inode, Path
    from pygos.include.linux.sched import Task
    from pygos.net.netns import Net
    from pygos.net.scm import ScmCreds


class UnixNet:
    """AF_UNIX's tables in one network namespace."""

    __slots__ = (
        "abstract", "autobind", "doomed", "dropping", "inflight", "inodes", "socks",
        "user_inflight",
    )  # fmt: skip

    def __init__(self) -> None:
        #: By type and name (with the leading NUL).
        self.abstract: dict[tuple[int, bytes], UnixSock] = {}
        self.inodes: dict[Inode, UnixSock] = {}
        #: All, in order of creation.
        self.socks: dict[UnixSock, None] = {}
        self.autobind = 0
        #: Sockets' files in flight: how often; and all files in flight by user.
        self.inflight: dict[File, int] = {}
        self.user_inflight: dict[int, int] = {}
        #: Files whose messages are gone, to be given up one after the other: sockets may lie
        #: in the queues of sockets as deep as a program likes.
        self.doomed: list[File] = []
        self.dropping = False

    def drop_files(self, files: list[File]) -> None:
        """Give up files that were in flight."""
        from pygos.fs.file_table import fput

        self.doomed += files
        if self.dropping:
            return
        self.dropping = True
        try:
            while self.doomed:
                fput(self.doomed.pop())
        finally:
            self.dropping = False
        self.collect()

    def collect(self) -> None:
        """A socket was released: others may be in unreachable messages only."""
        if self.inflight and not self.dropping:
            from pygos.net.unix.garbage import collect

            collect(self)


def unix_net(net: Net) -> UnixNet:
    """The tables, made at the first use."""
    found: UnixNet | None = net.families.get(AF_UNIX)
    if found is None:
        found = net.families[AF_UNIX] = UnixNet()
    return found


class UnixAddr:
    """The address of a socket; the accepting ends share their listener's."""

    __slots__ = ("path", "raw")

    def __init__(self, raw: bytes, path: Path | None) -> None:
        #: struct sockaddr_un as getsockname(2) gives it.
        self.raw = raw
        self.path = path

    @property
    def name(self) -> bytes:
        """sun_path: a pathname with its NUL, or an abstract name that begins with one."""
        return self.raw[2:]


class Skb:
    """One message in a queue: data[off:] is unread."""

    __slots__ = ("creds", "data", "fp", "fp_uid", "off", "peeked", "sk", "truesize", "tstamp")

    def __init__(self, sk: UnixSock, data: bytes, truesize: int) -> None:
        self.sk = sk
        self.data = data
        self.off = 0
        self.truesize = truesize
        self.creds: ScmCreds | None = None
        self.fp: list[File] | None = None
        #: The user whose limit the files count for.
        self.fp_uid = 0
        #: Seen by MSG_PEEK.
        self.peeked = False
        #: When it was sent (realtime ns), if the receiver wanted to know; else 0.
        self.tstamp = 0


class UnixSock(Sock):
    """One end. A Waiter in the ``peer_wait`` of the datagram socket it is connected to."""

    __slots__ = (
        "addr", "bound", "bound_inode", "oob", "peer", "peer_wait", "queue", "unet",
    )  # fmt: skip

    def __init__(self, task: Task, type_: int) -> None:
        net = task_net(task)
        super().__init__(task, net, AF_UNIX, type_, 0)
        self.unet = unix_net(net)
        if net is not net_of(task.machine):
            # Names in file systems are the machine's, whatever the namespace.
            self.unet.inodes = unix_net(net_of(task.machine)).inodes
        self.backlog = task.machine.sysctl.get("net.unix.max_dgram_qlen", 10)
        self.addr: UnixAddr | None = None
        #: The name is this socket's own, in one of the tables.
        self.bound = False
        self.bound_inode: Inode | None = None
        self.peer: UnixSock | None = None
        self.queue: deque[Skb] = deque()
        #: Who waits for room in `queue`: connects, senders of datagrams.
        self.peer_wait = WaitQueue()
        #: The message whose last byte is out of band, if it still waits.
        self.oob: Skb | None = None
        self.unet.socks[self] = None

    def full(self) -> bool:
        """No more connections or datagrams may wait here."""
        return len(self.queue) > self.backlog

    def wake(self, queue: WaitQueue, key: int) -> None:
        """Waiter protocol: the peer's queue has room again."""
        queue.remove(self)
        self.wq.wake_all(WRITABLE)

    def release(self, embryo: bool = False) -> None:
        """The last file is closed, or nobody accepted this end (unix_release_sock)."""
        listening = self.state == TCP_LISTEN
        self.dead = True
        self.socket = None
        self.state = TCP_CLOSE
        self.shutdown = SHUTDOWN_MASK
        self._unname()
        del self.unet.socks[self]
        self._leave_peer(embryo)
        self.peer_wait.wake_all()
        self.state_change()
        while self.queue:
            skb = self.queue.popleft()
            if listening:
                skb.sk.release(embryo=True)
            else:
                kfree_skb(skb)
        self.unet.collect()

    def _unname(self) -> None:
        """The name is free again; a socket inode stays in its directory."""
        addr = self.addr
        if not self.bound or addr is None:
            return
        self.bound = False
        if self.bound_inode is not None:
            inode, self.bound_inode = self.bound_inode, None
            self.unet.inodes.pop(inode, None)
            iput(inode)
        else:
            self.unet.abstract.pop((self.type, addr.name), None)

    def _unread(self) -> bool:
        """Is data lost at a close? A mark that was read past isn't data (oob.py)."""
        if self.type == SOCK_STREAM:
            return any(skb.off < len(skb.data) for skb in self.queue)
        return bool(self.queue)

    def _leave_peer(self, embryo: bool) -> None:
        peer, self.peer = self.peer, None
        if peer is None:
            return
        if self.type != SOCK_DGRAM:
            peer.shutdown = SHUTDOWN_MASK
            if embryo or self._unread():
                peer.err = ECONNRESET
            peer.state_change(POLLHUP)
        peer.peer_wait.remove(self)


def kfree_skb(skb: Skb) -> None:
    """A message is gone: its sender has room again, its files are given up."""
    files = detach_files(skb)
    skb.sk.wfree(skb.truesize)
    if files:
        skb.sk.unet.drop_files(files)


def detach_files(skb: Skb) -> list[File] | None:
    """Take the files out of a message; the references go to the caller."""
    files = skb.fp
    if files is None:
        return None
    skb.fp = None
    from pygos.net.unix.garbage import notinflight

    notinflight(skb.sk.unet, files, skb.fp_uid)
    return files


UNNAMED: Final = AF_UNIX.to_bytes(2, "little")
