# SPDX-License-Identifier: Apache-2.0
"""Moving data from file to file: sendfile(2), copy_file_range(2).

Data goes through one kernel buffer a step. The source can be read again at the same place, so
a destination that sleeps costs only that: what has been moved is kept in ``task.restart``
together with what the destination's own write wants kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygos.include.errno import EBADF, EINVAL, EISDIR, EOVERFLOW, ESPIPE, EXDEV, Errno
from pygos.include.linux.fs import (
    FMODE_LSEEK,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_READ,
    FMODE_STREAM,
    FMODE_WRITE,
    S_IFDIR,
    S_IFMT,
    S_IFREG,
)
from pygos.include.linux.syscalls import FileArg, Size, UInt, UserAddr, syscall
from pygos.include.linux.wait import WouldSleep
from pygos.include.uapi.fcntl import O_APPEND
from pygos.mm.uaccess import KernelBuffer

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task

_CHUNK = 1 << 18
#: One call moves no more than this, so that other programs get their turn.
_MAX_COPY = 1 << 26
_OFFSET_MAX = (1 << 63) - 1


class Moved:
    """task.restart of a copy that sleeps: bytes moved, and the inner write's own record."""

    __slots__ = ("done", "inner")

    def __init__(self) -> None:
        self.done = 0
        self.inner: Any = None


def _progress(task: Task) -> Moved:
    state = task.restart
    if not isinstance(state, Moved):
        state = Moved()
    return state


def _write(task: Task, state: Moved, out: File, data: bytes | memoryview, pos: int) -> int:
    """The destination's write, with its own task.restart while it runs."""
    task.restart = state.inner
    try:
        count = out.f_op.write(task, out, KernelBuffer(data), pos)
    except WouldSleep:
        state.inner = task.restart
        task.restart = state
        raise
    except BaseException:
        task.restart = state if state.done else None
        raise
    state.inner = None
    task.restart = state
    return count


def _read(task: Task, source: File, count: int, pos: int) -> memoryview:
    data = bytearray(min(count, _CHUNK))
    got = source.f_op.read(task, source, KernelBuffer(data), pos)
    return memoryview(data)[:got]


def copy_data(
    task: Task, source: File, out: File, pos: int, out_pos: int | None, count: int
) -> int:
    """Copy up to `count` bytes from `pos` to `out_pos` (None: the destination's own position).

    Returns how many were moved; errors only if that is none.
    """
    state = _progress(task)
    own = out_pos is None
    try:
        while state.done < count:
            data = _read(task, source, count - state.done, pos + state.done)
            if not data:
                break
            target = out.f_pos if out_pos is None else out_pos + state.done
            moved = _write(task, state, out, data, target)
            state.done += moved
            if own and not out.f_mode & FMODE_STREAM:
                out.f_pos = target + moved
            if moved < len(data):
                break
    except Errno:
        if not state.done:
            raise
    task.restart = None
    task.io_rchar += state.done
    task.io_wchar += state.done
    task.io_syscr += 1
    task.io_syscw += 1
    return state.done


def _get_offset(task: Task, addr: int) -> int:
    assert task.mm is not None
    pos = task.mm.read_u64(addr)
    if pos > _OFFSET_MAX:
        raise EINVAL
    return pos


@syscall
def sendfile(task: Task, out_file: FileArg, in_file: FileArg, offset: UserAddr, count: Size) -> int:
    """Copy from a file that can be seeked to any other. sendfile(2).

    Errors: EBADF, EINVAL, ESPIPE, EAGAIN, EIO, and those of the write.
    """
    start = _get_offset(task, offset) if offset else 0
    if not in_file.f_mode & FMODE_READ:
        raise EBADF
    if offset and not in_file.f_mode & FMODE_PREAD:
        raise ESPIPE
    pos = start if offset else in_file.f_pos
    if not out_file.f_mode & FMODE_WRITE:
        raise EBADF
    if out_file.f_flags & O_APPEND or not in_file.f_mode & FMODE_LSEEK:
        raise EINVAL
    if count > _OFFSET_MAX or in_file.f_inode.i_mode & S_IFMT == S_IFDIR:
        raise EINVAL
    moved = copy_data(task, in_file, out_file, pos, None, min(count, _MAX_COPY))
    if offset:
        assert task.mm is not None
        task.mm.write_u64(offset, pos + moved)
    else:
        in_file.f_pos = pos + moved
    return moved


def _check_range(source: File, out: File) -> None:
    """What copy_file_range(2) asks of its files. EISDIR, EINVAL, EBADF, EXDEV."""
    for file in (source, out):
        kind = file.f_inode.i_mode & S_IFMT
        if kind == S_IFDIR:
            raise EISDIR
        if kind != S_IFREG:
            raise EINVAL
    if not source.f_mode & FMODE_READ or not out.f_mode & FMODE_WRITE or out.f_flags & O_APPEND:
        raise EBADF
    if source.f_inode.i_sb is not out.f_inode.i_sb:
        raise EXDEV


@syscall
def copy_file_range(
    task: Task,
    in_file: FileArg,
    off_in: UserAddr,
    out_file: FileArg,
    off_out: UserAddr,
    length: Size,
    flags: UInt,
) -> int:
    """Copy a range between two regular files of one file system. copy_file_range(2).

    Errors: EBADF, EINVAL (flags, overlap), EISDIR, EXDEV, ESPIPE, EFBIG, ENOSPC, ETXTBSY.
    """
    if (off_in and not in_file.f_mode & FMODE_PREAD) or (
        off_out and not out_file.f_mode & FMODE_PWRITE
    ):
        raise ESPIPE
    assert task.mm is not None
    pos = task.mm.read_u64(off_in) if off_in else in_file.f_pos
    target = task.mm.read_u64(off_out) if off_out else out_file.f_pos
    if flags:
        raise EINVAL
    _check_range(in_file, out_file)
    if max(pos, target) + length >= 1 << 64:
        raise EOVERFLOW
    if max(pos, target) > _OFFSET_MAX:
        raise EINVAL
    count = min(length, _MAX_COPY, max(0, in_file.f_inode.i_size - pos))
    same = in_file.f_inode is out_file.f_inode
    if same and pos < target + count and target < pos + count:
        raise EINVAL
    moved = copy_data(task, in_file, out_file, pos, target, count)
    _put_offset(task, in_file, off_in, pos + moved)
    _put_offset(task, out_file, off_out, target + moved)
    return moved


def _put_offset(task: Task, file: File, addr: int, pos: int) -> None:
    """The new position goes where the old one came from."""
    if addr:
        assert task.mm is not None
        task.mm.write_u64(addr, pos)
    else:
        file.f_pos = pos
