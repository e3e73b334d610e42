# SPDX-License-Identifier: Apache-2.0
"""Memory management's types: user memory doors, VMAs, mm, the page cache of an inode.

The algorithms are in ``pygos/mm``; these are the structs that all rooms may hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pygos.include.linux.fs import File, Inode
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.platform import AddressSpace
    from pygos.include.linux.sched import Task
    from pygos.mm.history import History
    from pygos.mm.instub import Window
    from pygos.mm.mm import Mm

#: vm_flags of a VMA (include/linux/mm.h).
VM_READ = 0x1
VM_WRITE = 0x2
VM_EXEC = 0x4
VM_SHARED = 0x8
VM_MAYREAD = 0x10
VM_MAYWRITE = 0x20
VM_MAYEXEC = 0x40
VM_MAYSHARE = 0x80
VM_GROWSDOWN = 0x100
VM_LOCKED = 0x2000
VM_DONTCOPY = 0x20000
VM_DONTEXPAND = 0x40000
VM_ACCOUNT = 0x100000
VM_NORESERVE = 0x200000
VM_DONTDUMP = 0x4000000
VM_WIPEONFORK = 0x8000000

#: Page table entry: pfn << 12 | flags. Absent pages have no entry.
PTE_WRITE = 0x1  # the kernel and the guest may write without a fault
PTE_EXEC = 0x2
PTE_READ = 0x4  # clear for PROT_NONE
PTE_ANON = 0x8  # an anonymous frame (private copy): counted in the frame's refcount
PTE_HOSTED = 0x10  # the stub has this very mapping (frame and protection)
PTE_DIRTY = 0x20
PTE_SHIFT = 12


class UserMemory(Protocol):
    """The typed doors to a program's memory. All raise EFAULT and fault pages in."""

    def read(self, addr: int, count: int) -> bytes: ...

    def write(self, addr: int, data: bytes | memoryview) -> None: ...

    def read_u32(self, addr: int) -> int: ...

    def read_u64(self, addr: int) -> int: ...

    def write_u32(self, addr: int, value: int) -> None: ...

    def write_u64(self, addr: int, value: int) -> None: ...

    def read_cstr(self, addr: int, limit: int) -> bytes:
        """The string before the NUL; ENAMETOOLONG if there is none in `limit` bytes."""

    def word_offset(self, addr: int, write: bool) -> int:
        """RAM byte offset of an aligned word (futexes), faulted in."""


class IoBuffer(Protocol):
    """A run of bytes somewhere: user memory (one or many segments) or the kernel's.

    Implementations: pygos.mm.uaccess.UserBuffer and KernelBuffer.
    """

    #: Bytes left.
    length: int

    def slices(self, limit: int) -> list[memoryview]:
        """Writable (or readable) views of the next up to `limit` bytes, neighbouring frames
        coalesced. May cover less where memory isn't accessible; EFAULT if nothing is."""

    def advance(self, count: int) -> None:
        """`count` bytes have been moved."""

    def put(self, data: bytes | bytearray | memoryview) -> int:
        """Copy data out (as much as fits and is accessible) and advance; bytes moved.

        EFAULT only if nothing could be moved though both sides are non-empty.
        """

    def take(self, limit: int) -> bytes:
        """Copy up to `limit` bytes in and advance; as `put` for faults."""


class MappingOperations:
    """How an inode's page cache gets and gives its pages (address_space_operations)."""

    __slots__ = ()

    def read_pages(self, mapping: Mapping, index: int, views: Sequence[memoryview]) -> None:
        """Fill pages index, index+1, ... (`views` are runs of whole zeroed pages, in order).

        Past the end of the file pages stay zero. EIO where the store fails.
        """

    def reserve(self, mapping: Mapping, pages: int) -> None:
        """Before `pages` new pages enter the cache by a write or a writable fault: ENOSPC."""

    def unreserve(self, mapping: Mapping, pages: int) -> None:
        """That many pages left the cache for good (truncate, evict)."""

    def write_pages(self, mapping: Mapping, index: int, views: Sequence[memoryview]) -> None:
        """Write dirty pages back; only for file systems with a store."""


MAPPING_DEFAULT_OPS = MappingOperations()


class Mapping:
    """The page cache of one inode (struct address_space)."""

    __slots__ = (
        "a_ops", "dirty", "history", "host", "i_mmap", "keep", "machine", "pages", "ra_next",
        "referenced", "wb_err", "windows",
    )

    def __init__(self, machine: Machine, host: Inode, a_ops: MappingOperations) -> None:
        self.machine = machine
        self.host = host
        self.a_ops = a_ops
        #: page index -> pfn
        self.pages: dict[int, int] = {}
        self.dirty: set[int] = set()
        #: VMAs that map this (insertion ordered)
        self.i_mmap: dict[Vma, None] = {}
        #: Pages are the only copy of the data (tmpfs): never reclaimed.
        self.keep = False
        #: Used since reclaim last looked.
        self.referenced = False
        self.ra_next = 0
        self.wb_err = 0
        #: Which pages programs needed: read, executed, copied (mm/history.py).
        self.history: tuple[History, History, History] | None = None
        #: Who reads it in the stub (mm/instub.py); None: nobody.
        self.windows: dict[Window, None] | None = None


class VmOperations:
    """For mappings that aren't plain files: a driver's or /dev/zero's (vm_operations_struct)."""

    __slots__ = ()

    def fault(self, vma: Vma, index: int) -> int:
        """The pfn for page `index` (in file pages); raise SigBus (pygos.mm.fault) if none."""
        raise NotImplementedError

    def open(self, vma: Vma) -> None:
        """A copy of a VMA was made (fork, split, mremap); it isn't in its mm yet."""

    def close(self, vma: Vma) -> None:
        """The VMA goes away."""

    def may_split(self, vma: Vma, addr: int) -> None:
        """The VMA is to become two at `addr`. EINVAL if it can't."""


class Vma:
    """One virtual memory area: [start, end), page aligned (vm_area_struct)."""

    __slots__ = (
        "end", "file", "flags", "mapping", "mm", "name", "pgoff", "private", "start", "vm_ops",
    )  # fmt: skip

    def __init__(self, mm: Mm, start: int, end: int, flags: int) -> None:
        self.mm = mm
        self.start = start
        self.end = end
        self.flags = flags
        self.pgoff = 0
        self.file: File | None = None
        #: The page cache behind it: the file's, or an unnamed shmem one's; None if anonymous.
        self.mapping: Mapping | None = None
        self.vm_ops: VmOperations | None = None
        #: For /proc/PID/maps: "[heap]", "[stack]", prctl(PR_SET_VMA) names.
        self.name = ""
        self.private: Any = None


class MmBase:
    """The fields of an mm that others than mm read; the class itself is pygos.mm.mm.Mm."""

    __slots__ = (
        "arg_end", "arg_start", "auxv", "brk", "data_vm", "def_flags", "dumpable", "end_code",
        "end_data", "env_end", "env_start", "exe_file", "exec_vm", "flags", "hiwater_rss",
        "hiwater_vm", "locked_vm", "machine", "membarrier", "mmap_base", "owner", "pt",
        "rss_anon", "rss_file", "rss_shmem", "space", "stack_vm", "start_brk", "start_code",
        "start_data", "start_stack", "starts", "total_vm", "users", "vmas",
    )

    machine: Machine
    #: page number (va >> 12) -> pte
    pt: dict[int, int]
    #: VMAs by start, and their starts for bisect.
    vmas: list[Vma]
    starts: list[int]
    space: AddressSpace
    #: How many tasks share it (mm_users).
    users: int
    owner: Task | None
    exe_file: File | None
    #: MMF_* of include/linux/mm.py.
    flags: int
    #: Registered MEMBARRIER_CMD_REGISTER_* bits.
    membarrier: int
    #: The ELF auxiliary vector as given to the program, for /proc/PID/auxv.
    auxv: bytes
    brk: int
    start_brk: int
    mmap_base: int
    start_code: int
    end_code: int
    start_data: int
    end_data: int
    start_stack: int
    arg_start: int
    arg_end: int
    env_start: int
    env_end: int
    #: Pages.
    total_vm: int
    data_vm: int
    exec_vm: int
    stack_vm: int
    locked_vm: int
    rss_anon: int
    rss_file: int
    rss_shmem: int
    hiwater_rss: int
    hiwater_vm: int
    def_flags: int
    dumpable: int
