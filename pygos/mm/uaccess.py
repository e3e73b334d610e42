# SPDX-License-Identifier: Apache-2.0
"""IoBuffers: runs of bytes in user memory or in the kernel's (iov_iter).

``UserBuffer`` is one segment of user memory, ``UserIovec`` many; ``KernelBuffer`` is a
bytearray or bytes of the kernel's own. What `put`, `take`, `slices` and `advance` promise is
in include/linux/mm_types.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EFAULT, EINVAL
from pygos.include.linux.mm_types import PTE_READ, PTE_WRITE
from pygos.include.linux.platform import TASK_SIZE
from pygos.include.uapi.uio import MAX_RW_COUNT, UIO_MAXIOV

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pygos.mm.mm import Mm

Bytes = bytes | bytearray | memoryview
_FRAME = ~0xFFF


def access_ok(addr: int, count: int) -> bool:
    """Does [addr, addr + count) lie in user space?"""
    return addr + count <= TASK_SIZE


class UserBuffer:
    """One segment of user memory. `write`: the kernel will write there (read(2))."""

    __slots__ = ("addr", "length", "mm", "writable")

    def __init__(self, mm: Mm, addr: int, length: int, write: bool = True) -> None:
        if length > MAX_RW_COUNT:
            if addr + length > TASK_SIZE:
                raise EFAULT
            length = MAX_RW_COUNT
        elif addr + length > TASK_SIZE:
            raise EFAULT
        self.mm = mm
        self.addr = addr
        self.length = length
        self.writable = write

    def slices(self, limit: int) -> list[memoryview]:
        """Views of the next bytes; see IoBuffer."""
        if limit > self.length:
            limit = self.length
        if limit <= 0:
            return []
        mem = self.mm.mem
        return [mem[b : b + n] for b, n in self.mm.extents(self.addr, limit, self.writable)]

    def advance(self, count: int) -> None:
        """`count` bytes have been moved."""
        self.addr += count
        self.length -= count

    def put(self, data: Bytes) -> int:
        """Copy out; see IoBuffer."""
        count = len(data)
        if count > self.length:
            count = self.length
            data = memoryview(data)[:count]
        mm = self.mm
        addr = self.addr
        offset = addr & 0xFFF
        if offset + count <= 4096:
            if not count:
                return 0
            pte = mm.pt.get(addr >> 12, 0)
            if not pte & PTE_WRITE:
                pte = mm.fault_in(addr, True)
            base = (pte & _FRAME) + offset
            mm.mem[base : base + count] = data
            self.addr = addr + count
            self.length -= count
            return count
        return self._put_slow(memoryview(data), count)

    def _put_slow(self, data: memoryview, count: int) -> int:
        mem = self.mm.mem
        done = 0
        for base, size in self.mm.extents(self.addr, count, True):
            mem[base : base + size] = data[done : done + size]
            done += size
        self.addr += done
        self.length -= done
        return done

    def take(self, limit: int) -> bytes:
        """Copy in; see IoBuffer."""
        if limit > self.length:
            limit = self.length
        mm = self.mm
        addr = self.addr
        offset = addr & 0xFFF
        if offset + limit <= 4096:
            if limit <= 0:
                return b""
            pte = mm.pt.get(addr >> 12, 0)
            if not pte & PTE_READ:
                pte = mm.fault_in(addr, False)
            base = (pte & _FRAME) + offset
            data = mm.mem[base : base + limit].tobytes()
        else:
            mem = mm.mem
            parts = mm.extents(addr, limit, False)
            data = b"".join([mem[base : base + size] for base, size in parts])
        self.addr = addr + len(data)
        self.length -= len(data)
        return data


class UserIovec:
    """Several segments of user memory, as one IoBuffer."""

    __slots__ = ("index", "length", "segments")

    def __init__(self, mm: Mm, segments: Sequence[tuple[int, int]], write: bool = True) -> None:
        self.segments = [UserBuffer(mm, addr, size, write) for addr, size in segments if size]
        self.index = 0
        self.length = sum(segment.length for segment in self.segments)

    def slices(self, limit: int) -> list[memoryview]:
        """Views of the next bytes; see IoBuffer."""
        out: list[memoryview] = []
        for segment in self.segments[self.index :]:
            if limit <= 0:
                break
            want = min(limit, segment.length)
            try:
                views = segment.slices(want)
            except EFAULT:
                if not out:
                    raise
                break
            out += views
            got = sum(map(len, views))
            limit -= got
            if got < want:
                break
        return out

    def advance(self, count: int) -> None:
        """`count` bytes have been moved."""
        self.length -= count
        while count > 0:
            segment = self.segments[self.index]
            step = min(count, segment.length)
            segment.advance(step)
            count -= step
            if not segment.length:
                self.index += 1

    def put(self, data: Bytes) -> int:
        """Copy out; see IoBuffer."""
        view = memoryview(data)
        total = min(len(view), self.length)
        done = 0
        while done < total:
            segment = self.segments[self.index]
            want = min(total - done, segment.length)
            try:
                moved = segment.put(view[done : done + want])
            except EFAULT:
                if not done:
                    raise
                break
            done += moved
            if not segment.length:
                self.index += 1
            if moved < want:
                break
        self.length -= done
        return done

    def take(self, limit: int) -> bytes:
        """Copy in; see IoBuffer."""
        parts: list[bytes] = []
        left = min(limit, self.length)
        while left > 0:
            segment = self.segments[self.index]
            want = min(left, segment.length)
            try:
                data = segment.take(want)
            except EFAULT:
                if not parts:
                    raise
                break
            parts.append(data)
            self.length -= len(data)
            left -= len(data)
            if not segment.length:
                self.index += 1
            if len(data) < want:
                break
        return b"".join(parts)


def import_iovec(mm: Mm, addr: int, count: int, write: bool = True) -> UserBuffer | UserIovec:
    """The buffer described by `count` struct iovec at `addr`, at most MAX_RW_COUNT bytes.

    EINVAL: more than 1024 segments or a negative length; EFAULT.
    """
    if count > UIO_MAXIOV:
        raise EINVAL
    if not count:
        return UserIovec(mm, (), write)
    words = memoryview(mm.read(addr, 16 * count)).cast("Q")
    if any(size >> 63 for size in words[1::2].tolist()):
        raise EINVAL
    if count == 1:
        return UserBuffer(mm, words[0], words[1], write)
    segments = []
    left = MAX_RW_COUNT
    for at in range(0, 2 * count, 2):
        base, size = words[at], words[at + 1]
        if base + size > TASK_SIZE:
            raise EFAULT
        size = min(size, left)
        segments.append((base, size))
        left -= size
    return UserIovec(mm, segments, write)


class KernelBuffer:
    """The kernel's own bytes: a bytearray to fill, or bytes to give."""

    __slots__ = ("data", "length", "pos")

    def __init__(self, data: Bytes) -> None:
        self.data = memoryview(data)
        self.pos = 0
        self.length = len(self.data)

    def slices(self, limit: int) -> list[memoryview]:
        """One view of the next bytes."""
        limit = min(limit, self.length)
        return [self.data[self.pos : self.pos + limit]] if limit > 0 else []

    def advance(self, count: int) -> None:
        """`count` bytes have been moved."""
        self.pos += count
        self.length -= count

    def put(self, data: Bytes) -> int:
        """Copy `data` into the buffer, as much as fits."""
        count = min(len(data), self.length)
        self.data[self.pos : self.pos + count] = memoryview(data)[:count]
        self.pos += count
        self.length -= count
        return count

    def take(self, limit: int) -> bytes:
        """Copy up to `limit` bytes out of the buffer."""
        count = min(limit, self.length)
        data = self.data[self.pos : self.pos + count].tobytes()
        self.pos += count
        self.length -= count
        return data
