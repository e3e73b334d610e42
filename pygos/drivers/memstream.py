# SPDX-License-Identifier: Apache-2.0
"""In-memory streams with the interface of a host stream (hoststream.py): for tests and the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EACCES, EINVAL, EPIPE, ESPIPE
from pygos.include.linux.fs import S_IFIFO
from pygos.include.linux.platform import HostStat
from pygos.include.uapi.poll import POLLHUP, POLLIN, POLLOUT

if TYPE_CHECKING:
    from pygos.drivers.hoststream import HostStream


class _MemoryStream:
    """Common part of the in-memory streams: a pipe as fstat(2) sees it."""

    __slots__ = ()

    def fileno(self) -> int:
        return -1

    def fstat(self) -> HostStat:
        return HostStat(S_IFIFO | 0o600, 0, 0, 0, id(self), 0, 1, 0, 0, 0, 0, 0)

    def isatty(self) -> bool:
        return False

    def seek(self, offset: int, whence: int) -> int:
        raise ESPIPE

    def reopen(self, write: bool, append: bool) -> HostStream:
        raise EACCES

    def truncate(self, size: int) -> None:
        raise EINVAL

    def close(self) -> None:
        pass


class BytesSource(_MemoryStream):
    """A stream to read: these bytes, then the end."""

    __slots__ = ("data", "pos")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0

    def poll(self) -> int:
        return POLLIN if self.pos < len(self.data) else POLLIN | POLLHUP

    def pending(self) -> int:
        return len(self.data) - self.pos

    def read(self, count: int) -> bytes:
        data = self.data[self.pos : self.pos + count]
        self.pos += len(data)
        return data

    def write(self, data: bytes) -> int:
        raise EPIPE


class BytesSink(_MemoryStream):
    """A stream to write: collects up to `limit` bytes, then it is as if the reader had gone."""

    __slots__ = ("data", "limit")

    def __init__(self, limit: int = 1 << 30) -> None:
        self.data = bytearray()
        self.limit = limit

    def poll(self) -> int:
        return POLLOUT

    def pending(self) -> int:
        return 0

    def read(self, count: int) -> bytes:
        return b""

    def write(self, data: bytes) -> int:
        room = self.limit - len(self.data)
        if room <= 0:
            raise EPIPE
        self.data += data[:room]
        return min(len(data), room)
