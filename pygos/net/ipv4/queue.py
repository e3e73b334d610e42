# SPDX-License-Identifier: Apache-2.0
"""A queue of bytes, filled and emptied in pieces of any size."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import IoBuffer


class ByteQueue:
    """Bytes in order of arrival; `size` of them."""

    __slots__ = ("chunks", "off", "size")

    def __init__(self) -> None:
        self.chunks: deque[bytes] = deque()
        #: Bytes of the first chunk that are gone.
        self.off = 0
        self.size = 0

    def append(self, data: bytes) -> None:
        if data:
            self.chunks.append(data)
            self.size += len(data)

    def take(self, limit: int) -> bytes:
        """Remove up to `limit` bytes, at most one chunk."""
        if not self.size or limit <= 0:
            return b""
        data = self.chunks[0]
        if self.off:
            data = data[self.off :]
        if len(data) > limit:
            data = data[:limit]
            self.off += limit
        else:
            self.chunks.popleft()
            self.off = 0
        self.size -= len(data)
        return data

    def drop(self, count: int) -> None:
        """Remove `count` bytes."""
        while count > 0 and self.size:
            count -= len(self.take(count))

    def put_into(self, buf: IoBuffer, limit: int, skip: int = 0) -> int:
        """Copy up to `limit` bytes to a program, from `skip` on, removing none.

        Fewer than asked for where the program's memory ends.
        """
        at = self.off + skip
        done = 0
        for chunk in self.chunks:
            if done >= limit:
                break
            if at >= len(chunk):
                at -= len(chunk)
                continue
            want = min(len(chunk) - at, limit - done)
            part = chunk if want == len(chunk) else memoryview(chunk)[at : at + want]
            moved = buf.put(part)
            done += moved
            at = 0
            if moved < want:
                break
        return done

    def clear(self) -> None:
        self.chunks.clear()
        self.off = self.size = 0
