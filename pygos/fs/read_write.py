# SPDX-License-Identifier: Apache-2.0
"""Reading, writing and seeking: read(2), pread(2), readv(2) and their kin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EBADF, EINVAL, EOPNOTSUPP, ESPIPE, Errno
from pygos.include.linux.fs import (
    FMODE_LSEEK,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_READ,
    FMODE_STREAM,
    FMODE_WRITE,
    S_IFMT,
    S_IFREG,
)
from pygos.include.linux.syscalls import (
    FileArg,
    Flags,
    IovIn,
    IovOut,
    Long,
    UInt,
    ULong,
    UserIn,
    UserOut,
    fetch_first,
    syscall,
)
from pygos.include.uapi.fcntl import O_APPEND, O_DSYNC, O_NONBLOCK, SEEK_HOLE
from pygos.include.uapi.fs import (
    RWF_APPEND,
    RWF_ATOMIC,
    RWF_DONTCACHE,
    RWF_DSYNC,
    RWF_NOAPPEND,
    RWF_NOWAIT,
    RWF_SUPPORTED,
    RWF_SYNC,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

_OFFSET_MAX: Final = (1 << 63) - 1


# -- at the file's own position


@syscall
def read(task: Task, file: FileArg, buf: UserOut) -> int:
    """Read from a descriptor. read(2).

    Errors: EBADF, EAGAIN, EFAULT, EINTR, EINVAL, EIO, EISDIR.
    """
    mode = file.f_mode
    if not mode & FMODE_READ:
        raise EBADF
    pos = file.f_pos
    try:
        count = file.f_op.read(task, file, buf, pos)
    except Errno:
        task.io_syscr += 1
        raise
    if count > 0:
        if not mode & FMODE_STREAM:
            file.f_pos = pos + count
        task.io_rchar += count
    task.io_syscr += 1
    return count


@syscall
def write(task: Task, file: FileArg, buf: UserIn) -> int:
    """Write to a descriptor. write(2).

    Errors: EBADF, EAGAIN, EFAULT, EFBIG, EINTR, EINVAL, EIO, ENOSPC, EPERM, EPIPE.
    """
    mode = file.f_mode
    if not mode & FMODE_WRITE:
        raise EBADF
    pos = file.f_inode.i_size if file.f_flags & O_APPEND else file.f_pos
    try:
        count = file.f_op.write(task, file, buf, pos)
    except Errno:
        task.io_syscw += 1
        raise
    if count > 0:
        if not mode & FMODE_STREAM:
            file.f_pos = pos + count
        task.io_wchar += count
    task.io_syscw += 1
    return count


@syscall
def readv(task: Task, file: FileArg, vec: IovOut) -> int:
    """Read into several buffers. readv(2). Errors: as read; EINVAL (count)."""
    return read(task, file, vec)


@syscall
def writev(task: Task, file: FileArg, vec: IovIn) -> int:
    """Write from several buffers. writev(2). Errors: as write; EINVAL (count)."""
    return write(task, file, vec)


# -- at a given position


def vfs_pread(task: Task, file: File, buf: IoBuffer, pos: int) -> int:
    """Read at `pos`; f_pos stays. Errors: EINVAL, ESPIPE, EBADF, and the file's."""
    if pos < 0:
        raise EINVAL
    if not file.f_mode & FMODE_PREAD:
        raise ESPIPE
    if not file.f_mode & FMODE_READ:
        raise EBADF
    if pos + buf.length > _OFFSET_MAX:
        raise EINVAL
    try:
        count = file.f_op.read(task, file, buf, pos)
    except Errno:
        task.io_syscr += 1
        raise
    task.io_rchar += count
    task.io_syscr += 1
    return count


def vfs_pwrite(task: Task, file: File, buf: IoBuffer, pos: int) -> int:
    """Write at `pos` (at the end with O_APPEND, as Linux does); f_pos stays."""
    if pos < 0:
        raise EINVAL
    if not file.f_mode & FMODE_PWRITE:
        raise ESPIPE
    if not file.f_mode & FMODE_WRITE:
        raise EBADF
    if pos + buf.length > _OFFSET_MAX:
        raise EINVAL
    if file.f_flags & O_APPEND:
        pos = file.f_inode.i_size
    try:
        count = file.f_op.write(task, file, buf, pos)
    except Errno:
        task.io_syscw += 1
        raise
    task.io_wchar += count
    task.io_syscw += 1
    return count


@syscall
def pread64(task: Task, file: FileArg, buf: UserOut, pos: Long) -> int:
    """Read at an offset. pread(2). Errors: as read; EINVAL (negative), ESPIPE."""
    return vfs_pread(task, file, buf, pos)


@syscall
def pwrite64(task: Task, file: FileArg, buf: UserIn, pos: Long) -> int:
    """Write at an offset. pwrite(2). Errors: as write; EINVAL (negative), ESPIPE."""
    return vfs_pwrite(task, file, buf, pos)


@syscall
def preadv(task: Task, file: FileArg, vec: IovOut, pos_l: Long, pos_h: ULong) -> int:
    """Read at an offset into several buffers. preadv(2). Errors: as pread64, readv."""
    return vfs_pread(task, file, vec, pos_l)


@syscall
def pwritev(task: Task, file: FileArg, vec: IovIn, pos_l: Long, pos_h: ULong) -> int:
    """Write at an offset from several buffers. pwritev(2). Errors: as pwrite64, writev."""
    return vfs_pwrite(task, file, vec, pos_l)


def rw_flags(file: File, flags: int) -> int:
    """The f_flags with which a preadv2/pwritev2 with RWF_* `flags` is to run.

    Errors: EOPNOTSUPP (unknown, or nothing to do it with), EINVAL (contradiction).
    """
    if flags & ~RWF_SUPPORTED or flags & (RWF_ATOMIC | RWF_DONTCACHE):
        raise EOPNOTSUPP
    if flags & RWF_APPEND and flags & RWF_NOAPPEND:
        raise EINVAL
    effective = file.f_flags
    if flags & RWF_NOWAIT:
        effective |= O_NONBLOCK
    if flags & (RWF_DSYNC | RWF_SYNC):
        effective |= O_DSYNC
    if flags & RWF_APPEND:
        effective |= O_APPEND
    elif flags & RWF_NOAPPEND and effective & O_APPEND:
        effective &= ~O_APPEND
    return effective


@syscall
def preadv2(task: Task, file: FileArg, vec: IovOut, pos_l: Long, pos_h: ULong, flags: Flags) -> int:
    """preadv with flags for this call; offset -1 is the file's own. preadv2(2).

    Errors: as preadv; EOPNOTSUPP (unknown flag).
    """
    keep = file.f_flags
    if not file.f_mode & FMODE_READ:
        raise EBADF
    fetch_first(vec)
    file.f_flags = rw_flags(file, flags)
    try:
        return read(task, file, vec) if pos_l == -1 else vfs_pread(task, file, vec, pos_l)
    finally:
        file.f_flags = keep


@syscall
def pwritev2(task: Task, file: FileArg, vec: IovIn, pos_l: Long, pos_h: ULong, flags: Flags) -> int:
    """pwritev with flags for this call; offset -1 is the file's own. pwritev2(2).

    Errors: as pwritev; EOPNOTSUPP (unknown flag).
    """
    keep = file.f_flags
    if not file.f_mode & FMODE_WRITE:
        raise EBADF
    fetch_first(vec)
    file.f_flags = rw_flags(file, flags)
    try:
        return write(task, file, vec) if pos_l == -1 else vfs_pwrite(task, file, vec, pos_l)
    finally:
        file.f_flags = keep


# -- position


@syscall
def lseek(task: Task, file: FileArg, offset: Long, whence: UInt) -> int:
    """Reposition a file offset. lseek(2).

    Errors: EINVAL (whence, or a negative result), ENXIO (SEEK_DATA, SEEK_HOLE beyond the
    end), ESPIPE, EOVERFLOW.
    """
    op = file.f_op
    if whence > SEEK_HOLE:
        raise EINVAL
    if not file.f_mode & FMODE_LSEEK:
        raise ESPIPE
    return op.llseek(task, file, offset, whence)


def is_regular(file: File) -> bool:
    """Is it a regular file?"""
    return file.f_inode.i_mode & S_IFMT == S_IFREG
