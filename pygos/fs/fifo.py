# SPDX-License-Identifier: Apache-2.0
"""Opening FIFOs: fifo(7). What comes after the open is fs/pipe.py's.

An open for one direction waits for the other side. As a sleeping call leaves no frame, the
sleeper stands in ``pipe.openers``, and the entry counts only while ``task.restart`` is still
that very object: if the task is killed, or its call ends otherwise, nothing has to be undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.pipe import PIPE_FOPS, Pipe, alloc_pipe_info
from pygos.include.errno import ENXIO, ERESTARTSYS
from pygos.include.linux.fs import FMODE_READ, FMODE_STREAM, FMODE_WRITE
from pygos.include.linux.wait import wait_on
from pygos.include.uapi.fcntl import O_NONBLOCK
from pygos.include.uapi.magic import PIPEFS_MAGIC

if TYPE_CHECKING:
    from pygos.include.linux.fs import File, Inode
    from pygos.include.linux.sched import Task

_RDWR = FMODE_READ | FMODE_WRITE


class FifoOpener:
    """A task that sleeps in open(2). `counter`: the partner's opens when it went to sleep."""

    __slots__ = ("counter", "file", "mode", "pipe", "task")

    def __init__(self, task: Task, pipe: Pipe, mode: int, counter: int) -> None:
        self.task = task
        self.pipe = pipe
        self.mode = mode
        self.counter = counter
        #: The file being opened: fs/open.py goes on with it, not with a second walk.
        self.file: File | None = None

    def live(self) -> bool:
        return self.task.restart is self and self.task.alive


def fifo_open(task: Task, inode: Inode, file: File) -> None:
    """Open a FIFO, or the pipe behind /proc/PID/fd/N.

    Errors: ENXIO (O_WRONLY | O_NONBLOCK without a reader), ENFILE.
    """
    pipe = inode.i_pipe
    if pipe is None:
        pipe = inode.i_pipe = alloc_pipe_info(task, inode)
    file.f_op = PIPE_FOPS
    file.f_mode |= FMODE_STREAM
    file.f_ra = 0
    mode = file.f_mode & _RDWR
    alone = inode.i_sb.s_magic != PIPEFS_MAGIC
    try:
        if mode == FMODE_READ:
            _open_read(task, pipe, file, alone)
        elif mode == FMODE_WRITE:
            _open_write(task, pipe, file, alone)
        else:
            pipe.r_counter += 1
            pipe.w_counter += 1
            if not pipe.readers or not pipe.writers:
                pipe.rd_wait.wake_all()
    except (ENXIO, ERESTARTSYS):
        _give_up(task, pipe)
        raise
    _forget(task, pipe)
    pipe.readers += mode & FMODE_READ
    pipe.writers += 1 if mode & FMODE_WRITE else 0
    pipe.files += 1
    file.private_data = pipe


def _open_read(task: Task, pipe: Pipe, file: File, alone: bool) -> None:
    opener = _sleeper(task, pipe, FMODE_READ)
    if opener is None:
        pipe.r_counter += 1
        if not pipe.readers:
            pipe.rd_wait.wake_all()
    if not alone or pipe.has_writers():
        return
    if file.f_flags & O_NONBLOCK:
        file.f_ra = pipe.w_counter  # no POLLHUP before a writer was seen
    elif opener is None:
        _wait_for_partner(task, FifoOpener(task, pipe, FMODE_READ, pipe.w_counter))
    elif opener.counter == pipe.w_counter:
        _wait_for_partner(task, opener)


def _open_write(task: Task, pipe: Pipe, file: File, alone: bool) -> None:
    opener = _sleeper(task, pipe, FMODE_WRITE)
    if alone and file.f_flags & O_NONBLOCK and not pipe.has_readers():
        raise ENXIO
    if opener is None:
        pipe.w_counter += 1
        if not pipe.writers:
            pipe.rd_wait.wake_all()
    if not alone or pipe.has_readers():
        return
    if opener is None:
        _wait_for_partner(task, FifoOpener(task, pipe, FMODE_WRITE, pipe.r_counter))
    elif opener.counter == pipe.r_counter:
        _wait_for_partner(task, opener)


def _sleeper(task: Task, pipe: Pipe, mode: int) -> FifoOpener | None:
    """The opener that this very call left behind when it went to sleep."""
    opener = task.restart
    if type(opener) is FifoOpener and opener.pipe is pipe and opener.mode == mode:
        return opener
    return None


def _wait_for_partner(task: Task, opener: FifoOpener) -> None:
    if task.signal_pending():
        raise ERESTARTSYS
    pipe = opener.pipe
    if pipe.openers is None:
        pipe.openers = {}
    pipe.openers[task] = opener
    task.restart = opener
    wait_on(task, pipe.rd_wait, why="wait_for_partner")


def _forget(task: Task, pipe: Pipe) -> None:
    if pipe.openers is not None:
        pipe.openers.pop(task, None)
    if type(task.restart) is FifoOpener:
        task.restart = None


def _give_up(task: Task, pipe: Pipe) -> None:
    """The open failed: its side may have been counted on."""
    from pygos.fs.pipe import free_pipe_info

    _forget(task, pipe)
    pipe.rd_wait.wake_all()
    pipe.wr_wait.wake_all()
    if pipe.files <= 0 and not pipe.pending_opener(_RDWR):
        free_pipe_info(pipe)
