# SPDX-License-Identifier: Apache-2.0
"""Memory-backed files: the page cache operations of tmpfs, and shared anonymous memory.

Pages of such a mapping are the only copy of the data (``keep``); missing ones are holes.
``ShmemLimit`` counts them against the size of the file system they belong to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygos.include.errno import ENOSPC
from pygos.include.linux.fs import S_IFREG, FileSystemType, Inode, SuperBlock, SuperOperations
from pygos.include.linux.mm_types import Mapping, MappingOperations

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import Vma


class ShmemLimit:
    """How many pages a file system may hold; `limit` 0: any number."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.used = 0


class ShmemOperations(MappingOperations):
    """Page cache operations of memory-backed files, charged to a limit."""

    __slots__ = ("account",)

    def __init__(self, account: ShmemLimit) -> None:
        self.account = account

    def reserve(self, mapping: Mapping, pages: int) -> None:
        """ENOSPC if the file system would become too large."""
        account = self.account
        if account.limit and account.used + pages > account.limit:
            raise ENOSPC
        account.used += pages

    def unreserve(self, mapping: Mapping, pages: int) -> None:
        """Pages are gone."""
        self.account.used -= pages


def shmem_mapping(machine: Machine, inode: Inode, ops: MappingOperations) -> Mapping:
    """The page cache of a memory-backed file; becomes the inode's i_mapping."""
    mapping = Mapping(machine, inode, ops)
    mapping.keep = True
    inode.i_mapping = mapping
    return mapping


class _ShmFs(FileSystemType):
    """The kernel's own file system behind shared anonymous memory."""

    __slots__ = ()
    name = "tmpfs"


def shm_super(machine: Machine) -> SuperBlock:
    """The super block of the kernel's internal tmpfs, made at the first use."""
    sb: Any = machine.shm_sb
    if sb is None:
        sb = machine.shm_sb = SuperBlock(machine, _ShmFs(), SuperOperations())
        sb.s_magic = 0x01021994  # TMPFS_MAGIC
        sb.s_fs_info = ShmemOperations(ShmemLimit())
    assert isinstance(sb, SuperBlock)
    return sb


def shmem_inode(machine: Machine, size: int) -> Inode:
    """An unlinked memory-backed file of `size` bytes, with its mapping."""
    sb = shm_super(machine)
    inode = Inode(sb, sb.new_ino(), S_IFREG | 0o777)
    inode.i_nlink = 0
    inode.i_size = size
    inode.i_atime = inode.i_mtime = inode.i_ctime = inode.i_btime = machine.clock.realtime()
    shmem_mapping(machine, inode, sb.s_fs_info)
    return inode


def shmem_zero_setup(vma: Vma) -> None:
    """Back a shared anonymous mapping with an unlinked file ("/dev/zero (deleted)")."""
    inode = shmem_inode(vma.mm.machine, vma.end - vma.start)
    vma.mapping = inode.i_mapping
    vma.pgoff = 0
    if vma.file is not None:  # a mapping of /dev/zero doesn't need it any more
        file, vma.file = vma.file, None
        vma.mm.machine.fs_hooks.fput(file)
