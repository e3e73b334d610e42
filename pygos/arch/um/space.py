# SPDX-License-Identifier: Apache-2.0
"""UmSpace: one guest address space, as the host mappings of the stubs that share it.

The queue of mapping changes is here; how they get carried out is each platform's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.linux.platform import PAGE_SHIFT, TASK_SIZE, Prot

if TYPE_CHECKING:
    from pygos.arch.um.platform import Control, UmPlatform

#: System call number in the upper half of an entry's third word.
# Added to a Prot with +, as | of an IntFlag is slow.
MMAP: Final = 9 << 32
MPROTECT: Final = 10 << 32
MUNMAP: Final = 11 << 32
#: Entries of 4 u64 in the list page; the last stays zero and ends the list.
_LIST_WORDS: Final = 127 * 4
_EMPTY: Final = memoryview(bytes(_LIST_WORDS * 8)).cast("Q")


class UmSpace:
    """Most of ``AddressSpace``: the queue of changes.

    The queue of changes lies where the stub reads it: in the list page, 4 u64 per entry
    (see stub.S: batch). helper.S runs and wipes it before a CPU of the space resumes, so
    an empty first entry means that the queue is empty. A change that continues the one
    before it is merged into it.
    """

    __slots__ = (
        "_control", "_end", "_entries", "_list_addr", "_next", "_op", "_ram_pages", "cpus",
        "destroyed", "platform", "pos_page", "proc_page", "start_regs",
    )  # fmt: skip

    def __init__(self, platform: UmPlatform, control: Control) -> None:
        self.platform = platform
        _, self._list_addr, self._entries = control
        self._control = control
        self._ram_pages = platform.ram.pages
        self._end = 0  # words used
        self._op = -1  # third word of the last entry
        self._next = 0  # offset in the memfd where the last mmap entry ends
        self.cpus: list[Any] = []
        self.destroyed = False
        self.proc_page: memoryview | None = None
        self.pos_page: memoryview | None = None
        #: Registers of the first CPU of a cloned space.
        self.start_regs: memoryview | None = None

    def map(self, va: int, pfn: int, pages: int, prot: Prot) -> None:
        """Map frames; ValueError for a range outside of the guest or the RAM."""
        if pfn < 0 or pfn + pages > self._ram_pages:
            raise ValueError(f"pfn {pfn:#x}+{pages:#x}")
        offset = pfn << PAGE_SHIFT
        length = pages << PAGE_SHIFT
        entries, end, op = self._entries, self._end, MMAP + prot
        if entries[1] == 0:
            end = 0
        elif (
            op == self._op
            and offset == self._next
            and va == entries[end - 4] + entries[end - 3]
            and va + length <= TASK_SIZE
        ):
            entries[end - 3] += length
            self._next = offset + length
            return
        self._next = offset + length
        self._append(end, va, length, op, offset)

    def unmap(self, va: int, pages: int) -> None:
        """Unmap; what is not mapped is skipped."""
        self._change(va, pages << PAGE_SHIFT, MUNMAP)

    def protect(self, va: int, pages: int, prot: Prot) -> None:
        """Change the protection of pages that are all mapped."""
        self._change(va, pages << PAGE_SHIFT, MPROTECT + prot)

    def _change(self, va: int, length: int, op: int) -> None:
        entries, end = self._entries, self._end
        if entries[1] == 0:
            end = 0
        elif op == self._op and va == entries[end - 4] + entries[end - 3]:
            if va + length > TASK_SIZE:
                raise ValueError(f"va {va:#x}+{length:#x}")
            entries[end - 3] += length
            return
        self._append(end, va, length, op, 0)

    def _append(self, end: int, va: int, length: int, op: int, offset: int) -> None:
        if va < 0 or length <= 0 or va + length > TASK_SIZE:
            raise ValueError(f"va {va:#x}+{length:#x}")
        self._put(end, va, length, op, offset)

    def raw(self, va: int, length: int, op: int, offset: int) -> None:
        """A change of the platform's own, anywhere."""
        self._put(self._end if self._entries[1] else 0, va, length, op, offset)
        self._op = -1  # nothing is merged with it

    def _put(self, end: int, va: int, length: int, op: int, offset: int) -> None:
        if end >= _LIST_WORDS:
            self._end = end
            self.sync()
            end = 0
        entries = self._entries
        entries[end] = va
        entries[end + 2] = op
        entries[end + 3] = offset
        entries[end + 1] = length
        self._op = op
        self._end = end + 4

    def drop_all(self) -> None:
        """Replace the queue by one entry that unmaps everything."""
        self._entries[:_LIST_WORDS] = _EMPTY
        self._append(0, 0, TASK_SIZE, MUNMAP, 0)

    def entry(self, index: int) -> list[int]:
        """One queued change: address, length, number << 32 | protection, offset."""
        return list(self._entries[index * 4 : index * 4 + 4])

    def sync(self) -> None:
        """Flush the queue now."""
        raise NotImplementedError

    @property
    def control(self) -> Control:
        """The unit with the list page, as HostRam.control_unit() gave it."""
        return self._control
