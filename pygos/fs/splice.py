# SPDX-License-Identifier: Apache-2.0
"""splice, tee and vmsplice: moving data with a pipe in between. splice(2).

Buffers are copied, as data of pipes are bytes of the kernel here; what a program sees is the
same. One call moves at most what a pipe holds, then returns, as Linux may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.pipe import PAGE_SHIFT, Pipe, PipeBuffer, get_pipe
from pygos.include.errno import EAGAIN, EBADF, EINVAL, EPIPE, ESPIPE
from pygos.include.linux.fs import (
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_READ,
    FMODE_WRITE,
    S_IFDIR,
    S_IFMT,
    File,
    FileOperations,
)
from pygos.include.linux.syscalls import FileArg, Size, UInt, UserAddr, syscall
from pygos.include.linux.wait import wait_on
from pygos.include.uapi.fcntl import O_APPEND, O_NONBLOCK
from pygos.include.uapi.signal import SIGPIPE
from pygos.include.uapi.splice import SPLICE_F_ALL, SPLICE_F_NONBLOCK
from pygos.include.uapi.uio import MAX_RW_COUNT
from pygos.kernel.signal import send_sig
from pygos.mm.uaccess import KernelBuffer, import_iovec

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


def _wait_readable(task: Task, pipe: Pipe, nonblock: bool) -> bool:
    """True if there is something to take, False at the end; else EAGAIN or sleep."""
    if pipe.bufs:
        return True
    if not pipe.has_writers():
        return False
    if nonblock:
        raise EAGAIN
    wait_on(task, pipe.rd_wait, why="pipe_read")


def _wait_writable(task: Task, pipe: Pipe, nonblock: bool) -> int:
    """Free room in bytes; EPIPE, EAGAIN or sleep if there is none."""
    if not pipe.has_readers():
        send_sig(task, SIGPIPE)
        raise EPIPE
    room = (pipe.ring - pipe.used) << PAGE_SHIFT
    if room > 0:
        return room
    if nonblock:
        raise EAGAIN
    wait_on(task, pipe.wr_wait, why="pipe_write")


def _peek(pipe: Pipe, count: int) -> list[PipeBuffer]:
    """Copies of the first buffers, `count` bytes in all, cut as they are."""
    found: list[PipeBuffer] = []
    for buf in pipe.bufs:
        if count <= 0:
            break
        data = bytes(buf.data[buf.off : buf.off + count])
        found.append(PipeBuffer(data, buf.packet))
        count -= len(data)
    return found


def _drop(pipe: Pipe, count: int) -> None:
    """Consume `count` bytes from the front."""
    was_full = pipe.used >= pipe.ring
    while count:
        buf = pipe.bufs[0]
        step = min(count, len(buf.data) - buf.off)
        pipe.consume(step)
        count -= step
    if was_full and pipe.used < pipe.ring:
        pipe.wake_writers()


def _put(pipe: Pipe, bufs: list[PipeBuffer]) -> int:
    """Append buffers as far as there are slots; bytes put."""
    done = 0
    for buf in bufs:
        room = (pipe.ring - pipe.used) << PAGE_SHIFT
        if room <= 0:
            break
        data = buf.data[:room]
        pipe.insert(data, buf.packet)
        done += len(data)
    if done:
        pipe.wake_readers()
    return done


# -- splice


class _Offset:
    """The position of the file side: the caller's, or the file's own."""

    __slots__ = ("addr", "file", "pos", "task")

    def __init__(self, task: Task, file: File, addr: int) -> None:
        self.task = task
        self.file = file
        self.addr = addr
        if addr:
            assert task.mm is not None
            value = task.mm.read_u64(addr)
            self.pos = value - (1 << 64) if value >> 63 else value
        else:
            self.pos = file.f_pos
        if self.pos < 0:
            raise EINVAL

    def advance(self, count: int) -> None:
        self.pos += count
        if self.addr:
            assert self.task.mm is not None
            self.task.mm.write_u64(self.addr, self.pos)
        else:
            self.file.f_pos = self.pos


def _supported(file: File, operation: str) -> None:
    """EINVAL where a file can't be read or written, as for directories and epolls."""
    if file.f_inode.i_mode & S_IFMT == S_IFDIR:
        raise EINVAL
    if getattr(type(file.f_op), operation) is getattr(FileOperations, operation):
        raise EINVAL


def _pipe_to_pipe(task: Task, source: Pipe, sink: Pipe, count: int, nonblock: bool) -> int:
    if source is sink:
        raise EINVAL
    if not _wait_readable(task, source, nonblock):
        return 0
    _wait_writable(task, sink, nonblock)
    moved = _put(sink, _peek(source, count))
    _drop(source, moved)
    return moved


def _pipe_to_file(
    task: Task, source: Pipe, out: File, addr: int, count: int, nonblock: bool
) -> int:
    if out.f_flags & O_APPEND:
        raise EINVAL
    _supported(out, "write")
    at = _Offset(task, out, addr)
    if not _wait_readable(task, source, nonblock):
        return 0
    data = b"".join([buf.data for buf in _peek(source, count)])
    moved = out.f_op.write(task, out, KernelBuffer(data), at.pos)
    _drop(source, moved)
    at.advance(moved)
    return moved


def _file_to_pipe(task: Task, file: File, sink: Pipe, addr: int, count: int, nonblock: bool) -> int:
    _supported(file, "read")
    at = _Offset(task, file, addr)
    room = _wait_writable(task, sink, nonblock)
    data = bytearray(min(count, room))
    keep = file.f_flags
    if nonblock:
        file.f_flags |= O_NONBLOCK
    try:
        moved = file.f_op.read(task, file, KernelBuffer(data), at.pos)
    finally:
        file.f_flags = keep
    if moved:
        del data[moved:]
        _put(sink, [PipeBuffer(data, False)])
        at.advance(moved)
    return moved


@syscall(partial="copies instead of moving pages")
def splice(
    task: Task,
    fd_in: FileArg,
    off_in: UserAddr,
    fd_out: FileArg,
    off_out: UserAddr,
    len: Size,
    flags: UInt,
) -> int:
    """Move data from or to a pipe. splice(2).

    Errors: EAGAIN, EBADF (direction), EINVAL (no pipe, O_APPEND, same pipe), ESPIPE.
    """
    if not len:
        return 0
    if flags & ~SPLICE_F_ALL:
        raise EINVAL
    if not fd_in.f_mode & FMODE_READ or not fd_out.f_mode & FMODE_WRITE:
        raise EBADF
    source, sink = get_pipe(fd_in), get_pipe(fd_out)
    if (source is not None and off_in) or (sink is not None and off_out):
        raise ESPIPE
    nonblock = bool(flags & SPLICE_F_NONBLOCK)
    count = min(len, MAX_RW_COUNT)
    if source is not None and sink is not None:
        both = (fd_in.f_flags | fd_out.f_flags) & O_NONBLOCK
        return _pipe_to_pipe(task, source, sink, count, nonblock or bool(both))
    if source is not None:
        if off_out and not fd_out.f_mode & FMODE_PWRITE:
            raise EINVAL
        wait = nonblock or bool(fd_in.f_flags & O_NONBLOCK)
        return _pipe_to_file(task, source, fd_out, off_out, count, wait)
    if sink is not None:
        if off_in and not fd_in.f_mode & FMODE_PREAD:
            raise EINVAL
        wait = nonblock or bool(fd_out.f_flags & O_NONBLOCK)
        return _file_to_pipe(task, fd_in, sink, off_in, count, wait)
    raise EINVAL


@syscall(partial="copies instead of sharing pages")
def tee(task: Task, fdin: FileArg, fdout: FileArg, len: Size, flags: UInt) -> int:
    """Duplicate what is in a pipe into another one. tee(2).

    Errors: EAGAIN, EBADF, EINVAL (no pipes, or the same one).
    """
    if flags & ~SPLICE_F_ALL:
        raise EINVAL
    if not len:
        return 0
    if not fdin.f_mode & FMODE_READ or not fdout.f_mode & FMODE_WRITE:
        raise EBADF
    source, sink = get_pipe(fdin), get_pipe(fdout)
    if source is None or sink is None or source is sink:
        raise EINVAL
    nonblock = bool((fdin.f_flags | fdout.f_flags) & O_NONBLOCK or flags & SPLICE_F_NONBLOCK)
    if not _wait_readable(task, source, nonblock):
        return 0
    _wait_writable(task, sink, nonblock)
    return _put(sink, _peek(source, min(len, MAX_RW_COUNT)))


@syscall(partial="copies instead of giving pages")
def vmsplice(task: Task, fd: FileArg, uiov: UserAddr, nr_segs: Size, flags: UInt) -> int:
    """Put user memory into a pipe, or a pipe's data into user memory. vmsplice(2).

    Errors: EAGAIN, EBADF (no pipe), EFAULT, EINVAL.
    """
    if flags & ~SPLICE_F_ALL:
        raise EINVAL
    assert task.mm is not None
    writing = bool(fd.f_mode & FMODE_WRITE)
    if not writing and not fd.f_mode & FMODE_READ:
        raise EBADF
    buf = import_iovec(task.mm, uiov, nr_segs, not writing)
    if not buf.length:
        return 0
    pipe = get_pipe(fd)
    if pipe is None:
        raise EBADF
    nonblock = bool(flags & SPLICE_F_NONBLOCK)
    if writing:  # what there is room for, not all of it as write(2)
        room = _wait_writable(task, pipe, nonblock)
        return _put(pipe, [PipeBuffer(buf.take(room), False)])
    keep = fd.f_flags
    fd.f_flags = keep & ~O_NONBLOCK | (O_NONBLOCK if nonblock else 0)  # the file's doesn't count
    try:
        return fd.f_op.read(task, fd, buf, 0)
    finally:
        fd.f_flags = keep
