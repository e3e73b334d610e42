# SPDX-License-Identifier: Apache-2.0
"""HostRam: the machine's physical memory.

One memfd, sized once and sealed, mapped once in the kernel; stubs map pages of it. It is
sparse: a frame costs host memory from its first write until discard(). Behind the frames
lie control pages, which no guest mapping may name: mapping lists and thread areas of the stubs.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os

from pygos.host import HostError
from pygos.host.code import MachineCode
from pygos.include.errno import EAGAIN
from pygos.include.linux.platform import PAGE_SHIFT

#: Control units: four pages each, one per address space and one per guest thread.
CONTROL_UNITS = 66_000
UNIT_PAGES = 4
#: Descriptors that are handed to a stub lie above the numbers they get there.
LOWEST_FD = 10

_MFD_NOEXEC_SEAL = 0x8
_EINVAL = 22
_SEALS = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


def high_fd(fd: int) -> int:
    """The same description at a number >= LOWEST_FD; closes `fd`."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LOWEST_FD)
    finally:
        os.close(fd)


def memfd(name: str, flags: int) -> int:
    """memfd_create with flags that old hosts don't know (they need none of them)."""
    try:
        fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | flags)
    except OSError as error:
        if error.errno != _EINVAL:
            raise
        fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    return high_fd(fd)


class HostRam:
    """Implements ``Ram``. `pages`: page frames of 4 KiB."""

    __slots__ = (
        "_all", "_base", "_free_units", "_map", "_next_unit", "code", "fd", "mem", "mem32", "mem64",
        "pages",
    )  # fmt: skip

    def __init__(self, pages: int) -> None:
        size = (pages + CONTROL_UNITS * UNIT_PAGES) << PAGE_SHIFT
        try:
            # "No exec" concerns execve of the memfd itself; guests may map code from it.
            self.fd = memfd("pygos-ram", _MFD_NOEXEC_SEAL)
            os.ftruncate(self.fd, size)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEALS)
            self._map = mmap.mmap(self.fd, size)
        except OSError as error:
            raise HostError(f"cannot make {pages >> 8} MiB of guest memory: {error}") from error
        self._map.madvise(mmap.MADV_DONTDUMP)
        self.pages = pages
        self.code = MachineCode()
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self._all = memoryview(self._map)
        self.mem = self._all[: pages << PAGE_SHIFT]
        self.mem32 = self.mem.cast("I")
        self.mem64 = self.mem.cast("Q")
        self._free_units: list[int] = []
        self._next_unit = pages

    def discard(self, pfn: int, pages: int) -> None:
        """Punch a hole: the frames read as zero in the kernel and in every stub."""
        self._map.madvise(mmap.MADV_REMOVE, pfn << PAGE_SHIFT, pages << PAGE_SHIFT)

    def find_nul(self, start: int, end: int) -> int:
        """Byte offset of the first NUL in mem[start:end], or -1."""
        return self._map.find(b"\0", start, end)

    def cmpxchg32(self, offset: int, old: int, new: int) -> int:
        """Atomic against guest threads. IndexError if `offset` is not a u32 of the RAM."""
        if offset & 3 or not 0 <= offset < self.pages << PAGE_SHIFT:
            raise IndexError(offset)
        return self.code.cmpxchg32(self._base + offset, old, new)

    def control_unit(self) -> tuple[int, int, memoryview]:
        """Four zeroed control pages: number of the first in the memfd, kernel address, u64 view.
        EAGAIN."""
        size = UNIT_PAGES << PAGE_SHIFT
        if self._free_units:
            pfn = self._free_units.pop()
            start = pfn << PAGE_SHIFT
            self._all[start : start + size] = bytes(size)
        else:
            pfn = self._next_unit
            if pfn >= self.pages + CONTROL_UNITS * UNIT_PAGES:
                raise EAGAIN
            self._next_unit = pfn + UNIT_PAGES
            start = pfn << PAGE_SHIFT
        return pfn, self._base + start, self._all[start : start + size].cast("Q")

    def free_control_unit(self, pfn: int) -> None:
        """Give a unit back that no stub maps any more."""
        self._free_units.append(pfn)

    def close(self) -> None:
        """Drop the memfd; the mapping goes when the last view of it does."""
        if self.fd < 0:
            return
        os.close(self.fd)
        self.fd = -1
        try:
            for view in (self.mem64, self.mem32, self.mem, self._all):
                view.release()
        except BufferError:
            pass
