# SPDX-License-Identifier: Apache-2.0
"""FsWorld with short hands for sockets. Answers are results or -errno; None: it sleeps."""

from __future__ import annotations

from struct import pack, unpack
from typing import Any

from pygos.include.linux.sched import Task
from pygos.net.netns import net_of
from pygos.net.unix.sock import UnixNet, unix_net
from tests.support.fsworld import FsWorld
from tests.support.world import DATA, result

STREAM, DGRAM, SEQPACKET = 1, 2, 5
AF_UNIX, SOL_SOCKET, SCM_RIGHTS = 1, 1, 1
#: Places in a process' data area.
NAME, LEN, HEADER, IOV, CONTROL, BYTES = (
    DATA + 0x8000, DATA + 0x8100, DATA + 0x8200, DATA + 0x8300, DATA + 0x8400, DATA + 0x9000,
)  # fmt: skip


class NetWorld(FsWorld):
    """A machine whose programs use sockets."""

    @property
    def unet(self) -> UnixNet:
        return unix_net(net_of(self.machine))

    def pair(self, task: Task, type_: int = STREAM) -> tuple[int, int]:
        assert self.ok(task, "socketpair", AF_UNIX, type_, 0, LEN) == 0
        return unpack("<ii", self.get(task, LEN, 8))

    def socket(self, task: Task, type_: int = STREAM) -> int:
        return self.ok(task, "socket", AF_UNIX, type_, 0)

    def address(self, task: Task, name: bytes) -> int:
        """Put an address; its length."""
        raw = pack("<H", AF_UNIX) + name
        self.put(task, raw, NAME - DATA)
        return len(raw)

    def bind(self, task: Task, fd: int, name: bytes) -> int:
        return self.ok(task, "bind", fd, NAME, self.address(task, name))

    def connect(self, task: Task, fd: int, name: bytes) -> int | None:
        return self.call(task, "connect", fd, NAME, self.address(task, name))

    def listener(self, task: Task, name: bytes, backlog: int = 5) -> int:
        fd = self.socket(task)
        assert self.bind(task, fd, name) == 0
        assert self.ok(task, "listen", fd, backlog) == 0
        return fd

    def send(self, task: Task, fd: int, data: bytes, flags: int = 0) -> int | None:
        return self.call(task, "sendto", fd, self.put(task, data), len(data), flags, 0, 0)

    def recv(self, task: Task, fd: int, count: int, flags: int = 0) -> Any:
        size = self.call(task, "recvfrom", fd, DATA, count, flags, 0, 0)
        return self.get(task, DATA, size) if size is not None and size >= 0 else size

    def give(self, task: Task, fd: int, files: list[int], data: bytes = b"x") -> int | None:
        """sendmsg with descriptors."""
        body = pack(f"<{len(files)}i", *files)
        self.put(task, pack("<Qii", 16 + len(body), SOL_SOCKET, SCM_RIGHTS) + body, CONTROL - DATA)
        self.put(task, data, BYTES - DATA)
        self.put(task, pack("<QQ", BYTES, len(data)), IOV - DATA)
        room = 16 + len(body) + 7 & ~7
        header = pack("<Qi4xQQQQI4x", 0, 0, IOV, 1, CONTROL, room, 0)
        return self.call(task, "sendmsg", fd, self.put(task, header, HEADER - DATA), 0x4000)

    def take(self, task: Task, fd: int, room: int = 256, flags: int = 0) -> Any:
        """recvmsg: (bytes, descriptors, flags), or -errno, or None."""
        self.put(task, pack("<QQ", BYTES, 64), IOV - DATA)
        header = pack("<Qi4xQQQQI4x", 0, 0, IOV, 1, CONTROL, room, 0)
        size = self.call(task, "recvmsg", fd, self.put(task, header, HEADER - DATA), flags)
        if size is None or size < 0:
            return size
        used, out = unpack("<QI", self.get(task, HEADER + 40, 12))
        files: list[int] = []
        if used:
            length = unpack("<Q", self.get(task, CONTROL, 8))[0]
            body = self.get(task, CONTROL + 16, length - 16)
            files = list(unpack(f"<{len(body) // 4}i", body))
        return self.get(task, BYTES, size), files, out

    def answer(self, task: Task) -> int | None:
        """The result of a call that slept."""
        return result(task)
