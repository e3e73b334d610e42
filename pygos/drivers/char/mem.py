# SPDX-License-Identifier: Apache-2.0
"""/dev/null, /dev/zero and /dev/full: mem(4), null(4), full(4).

/dev/mem, /dev/kmem and /dev/port have no driver: opening such a node gives ENXIO.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.drivers.char.chunks import read_chunks
from pygos.fs.char_dev import register_chrdev
from pygos.include.errno import EINVAL, ENOSPC
from pygos.include.linux.fs import File, FileOperations
from pygos.include.linux.mm_types import VM_SHARED
from pygos.include.uapi.major import FULL_MINOR, MEM_MAJOR, NULL_MINOR, ZERO_MINOR

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer, Vma
    from pygos.include.linux.sched import Task

_ZEROS: Final = bytes(65536)


class MemFileOperations(FileOperations):
    """Seeking these devices succeeds and leaves position 0 (null_lseek)."""

    __slots__ = ()

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        file.f_pos = 0
        return 0


class NullFileOperations(MemFileOperations):
    """/dev/null."""

    __slots__ = ()

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        return 0

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        return buf.length


class ZeroFileOperations(NullFileOperations):
    """/dev/zero: reads give zeros, mappings zeroed memory."""

    __slots__ = ()

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        return read_chunks(task, buf, _zeros)

    def mmap(self, task: Task, file: File, vma: Vma) -> None:
        if vma.flags & VM_SHARED:
            from pygos.mm.shmem import shmem_zero_setup

            shmem_zero_setup(vma)
        # A private mapping is plain anonymous memory: nothing to set.


class FullFileOperations(ZeroFileOperations):
    """/dev/full: as /dev/zero, but there is never room."""

    __slots__ = ()

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        raise ENOSPC

    def mmap(self, task: Task, file: File, vma: Vma) -> None:
        raise EINVAL


def _zeros(task: Task, count: int) -> bytes:
    return _ZEROS if count == len(_ZEROS) else bytes(count)


NULL_FOPS: Final = NullFileOperations()
ZERO_FOPS: Final = ZeroFileOperations()
FULL_FOPS: Final = FullFileOperations()


def init_mem(machine: Machine) -> None:
    """Register the devices."""
    register_chrdev(machine, MEM_MAJOR, NULL_MINOR, "mem", NULL_FOPS)
    register_chrdev(machine, MEM_MAJOR, ZERO_MINOR, "mem", ZERO_FOPS)
    register_chrdev(machine, MEM_MAJOR, FULL_MINOR, "mem", FULL_FOPS)
