# SPDX-License-Identifier: Apache-2.0
"""Regular files whose data lives in the page cache: tmpfs, hostfs, overlayfs use these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.arch.x86.regs import RDI
from pygos.fs.attr import fsize_exceeded
from pygos.fs.inode import file_remove_privs, touch_atime
from pygos.include.errno import EFBIG, EINVAL, ENXIO
from pygos.include.linux.fs import FileOperations
from pygos.include.linux.platform import PAGE_SHIFT, PAGE_SIZE
from pygos.include.uapi.fcntl import (
    O_DSYNC,
    O_NOATIME,
    SEEK_CUR,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SEEK_SET,
)
from pygos.include.uapi.resource import RLIM_INFINITY, RLIMIT_FSIZE
from pygos.include.uapi.stat import S_ISGID, S_ISUID
from pygos.mm.filemap import file_mmap, filemap_read, filemap_write

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import IoBuffer, Mapping, Vma
    from pygos.include.linux.sched import Task

_SET_ID: Final = S_ISUID | S_ISGID


def generic_write_checks(task: Task, file: File, count: int, pos: int) -> int:
    """How much of a write of `count` bytes at `pos` the limits allow.

    Errors: EFBIG (with SIGXFSZ where RLIMIT_FSIZE is to blame).
    """
    limit = task.group.rlim[RLIMIT_FSIZE][0]
    if limit != RLIM_INFINITY and pos + count > limit:
        if pos >= limit:
            fsize_exceeded(task)
        count = limit - pos
    maxbytes = file.f_inode.i_sb.s_maxbytes
    if pos + count > maxbytes:
        if pos >= maxbytes:
            raise EFBIG
        count = maxbytes - pos
    return count


def vfs_setpos(file: File, offset: int, maxsize: int) -> int:
    """Move f_pos. EINVAL if it would be negative or beyond the largest file."""
    if not 0 <= offset <= maxsize:
        raise EINVAL
    file.f_pos = offset
    return offset


def seek_hole_data(mapping: Mapping | None, offset: int, size: int, whence: int) -> int:
    """Where the next data or hole begins, at or after `offset`. ENXIO beyond the end.

    A page cache that is the only copy of a file (tmpfs) knows its holes; others have none.
    """
    if not 0 <= offset < size:
        raise ENXIO
    if mapping is None or not mapping.keep:
        return offset if whence == SEEK_DATA else size
    pages = mapping.pages
    index = offset >> PAGE_SHIFT
    end = (size + PAGE_SIZE - 1) >> PAGE_SHIFT
    if whence == SEEK_DATA:
        if index not in pages:
            index = min([page for page in pages if index <= page < end], default=end)
            if index == end:
                raise ENXIO
    else:
        while index in pages and index < end:
            index += 1
    return min(max(offset, index << PAGE_SHIFT), size)


def generic_file_llseek(file: File, offset: int, whence: int) -> int:
    """lseek() of a file with a size. Errors: EINVAL, ENXIO (SEEK_DATA, SEEK_HOLE)."""
    inode = file.f_inode
    maxsize = inode.i_sb.s_maxbytes
    if whence == SEEK_CUR:
        if offset == 0:
            return file.f_pos
        return vfs_setpos(file, file.f_pos + offset, maxsize)
    if whence == SEEK_SET:
        return vfs_setpos(file, offset, maxsize)
    if whence == SEEK_END:
        return vfs_setpos(file, inode.i_size + offset, maxsize)
    if whence in (SEEK_DATA, SEEK_HOLE):
        at = seek_hole_data(inode.i_mapping, offset, inode.i_size, whence)
        return vfs_setpos(file, at, maxsize)
    raise EINVAL


class GenericFileOperations(FileOperations):
    """generic_file_fops: file systems subclass it for what they do otherwise."""

    __slots__ = ()

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        return generic_file_llseek(file, offset, whence)

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        count = filemap_read(task, file, buf, pos)
        if not file.f_flags & O_NOATIME:
            touch_atime(file.f_path.mnt, file.f_inode)
        mm = task.mm
        if mm is not None and mm.windows is not None and count > 0:
            mm.windows.saw_read(task, file, task.regs[RDI] & 0xFFFF_FFFF)
        return count

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        count = buf.length
        if not count:
            return 0
        allowed = generic_write_checks(task, file, count, pos)
        if allowed != count:
            buf.length = allowed
        inode = file.f_inode
        if inode.i_mode & _SET_ID or inode.i_xattrs is not None:
            file_remove_privs(task, file)
            inode = file.f_inode
        inode.i_mtime = inode.i_ctime = inode.i_sb.machine.clock.realtime()
        count = filemap_write(task, file, buf, pos)
        if file.f_flags & O_DSYNC:
            self.fsync(task, file, True)
        return count

    def mmap(self, task: Task, file: File, vma: Vma) -> None:
        if not file.f_flags & O_NOATIME:
            touch_atime(file.f_path.mnt, file.f_inode)
        file_mmap(file, vma)

    def fsync(self, task: Task, file: File, datasync: bool) -> None:
        """Nothing to write where memory is the store."""


GENERIC_FILE_FOPS: Final = GenericFileOperations()
