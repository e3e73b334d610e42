# SPDX-License-Identifier: Apache-2.0
"""One system call being traced: its registers, and careful reads of the program's memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pygos.include.errno import EFAULT, ENAMETOOLONG
from pygos.kernel.trace.text import ptr

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_PAGE = 4096


class Call:
    """A call between ``enter`` and ``leave``; `args` are the six registers as u64."""

    __slots__ = ("args", "failed", "nr", "result", "task")

    def __init__(self, task: Task, nr: int, args: tuple[int, ...]) -> None:
        self.task = task
        self.nr = nr
        self.args = args
        #: As the program sees it, u64; 0 until the call returns.
        self.result = 0
        self.failed = False

    @property
    def errno(self) -> int:
        """The error the call ended with (also the kernel's own, above 511), or 0."""
        return (1 << 64) - self.result if self.failed else 0

    def read(self, addr: int, count: int) -> bytes | None:
        """`count` bytes of the program's memory, or None if they can't be read."""
        mm = self.task.mm
        if mm is None or not addr:
            return None
        try:
            return mm.read(addr, count)
        except EFAULT:
            return None

    def cstr(self, addr: int, limit: int) -> tuple[bytes, bool] | None:
        """A string of up to `limit` bytes, and whether it goes on; None if unreadable."""
        mm = self.task.mm
        if mm is None or not addr:
            return None
        try:
            return mm.read_cstr(addr, limit), False
        except ENAMETOOLONG:
            return mm.read(addr, limit), True
        except EFAULT:
            return None

    def words(self, addr: int, count: int) -> list[int] | None:
        """`count` unsigned longs."""
        data = self.read(addr, 8 * count)
        return None if data is None else list(memoryview(data).cast("Q"))

    def ints(self, addr: int, count: int) -> list[int] | None:
        """`count` ints."""
        data = self.read(addr, 4 * count)
        return None if data is None else list(memoryview(data).cast("i"))

    def struct(self, addr: int, kind: Any) -> Any:
        """A struct of the ABI, or None."""
        data = self.read(addr, kind.SIZE)
        return None if data is None else kind.from_bytes(data)

    def pointers(self, addr: int, limit: int) -> tuple[list[int], int] | None:
        """A NULL-terminated array: its first `limit` pointers, and how many there are.

        Counting stops at 64 Ki; it never reads beyond the page that the NULL is in.
        """
        found: list[int] = []
        count = 0
        while count < 1 << 16:
            left = _PAGE - (addr & (_PAGE - 1))
            words = self.words(addr, max(left // 8, 1))
            if words is None:
                return None if not count else (found, count)
            stop = words.index(0) if 0 in words else len(words)
            found += words[: min(stop, limit - len(found))]
            count += stop
            if stop < len(words):
                return found, count
            addr += 8 * len(words)
        return found, count


#: Shows argument `i` of a call; None leaves it out. An exception shows it as a plain number.
Formatter = Callable[[Call, int], "str | None"]


def address(call: Call, i: int) -> str:
    """An argument as an address."""
    return ptr(call.args[i])
