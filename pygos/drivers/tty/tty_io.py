# SPDX-License-Identifier: Apache-2.0
"""Open files of terminals: open, read, write, poll, close (drivers/tty/tty_io.c, n_tty.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.drivers.tty.jobctl import (
    HUNG_UP_FOPS,
    open_proc_set_tty,
    tty_check_change,
)
from pygos.drivers.tty.n_tty_out import process_echoes, process_output
from pygos.drivers.tty.n_tty_read import canon_copy, input_available, raw_copy
from pygos.drivers.tty.tty import Tty, flush_to_ldisc, tty_state, tty_unthrottle
from pygos.include.errno import EAGAIN, EBUSY, EFAULT, EIO, ENXIO, ERESTARTSYS
from pygos.include.linux.fs import (
    FMODE_LSEEK,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_STREAM,
    File,
    FileOperations,
)
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.fcntl import O_NOCTTY, O_NONBLOCK
from pygos.include.uapi.ioctls import TIOCPKT_DATA
from pygos.include.uapi.poll import (
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLPRI,
    POLLRDNORM,
    POLLWRNORM,
)
from pygos.include.uapi.signal import SIGTTIN
from pygos.include.uapi.termios import EXTPROC, TOSTOP, VMIN, VTIME

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

CAP_SYS_ADMIN: Final = 21
#: Below this many waiting characters a terminal counts as writable.
WAKEUP_CHARS: Final = 256
#: What one step of write(2) takes from the program.
CHUNK: Final = 4096
#: ns in the tenth of a second that VTIME counts.
VTIME_UNIT: Final = 100_000_000
_READABLE: Final = POLLIN | POLLRDNORM
_SEC: Final = 1_000_000_000
#: Times of terminals tell within eight seconds when somebody was there, and not how they type.
_COARSE: Final = ~7


class TtyRead:
    """An interrupted read in raw mode: bytes given, and when it ends (ns, 0: never)."""

    __slots__ = ("deadline", "done")

    def __init__(self, done: int, deadline: int) -> None:
        self.done = done
        self.deadline = deadline


class TtyWrite:
    """An interrupted write: bytes sent."""

    __slots__ = ("done",)

    def __init__(self, done: int) -> None:
        self.done = done


def tty_open_file(task: Task, tty: Tty, file: File, noctty: bool) -> None:
    """`file` becomes an open file of `tty`. Errors: EBUSY (exclusive), EIO."""
    if tty.exclusive and not task.cred.capable(CAP_SYS_ADMIN):
        raise EBUSY
    file.f_op = TTY_FOPS
    file.f_mode = file.f_mode & ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE) | FMODE_STREAM
    tty.ops.open(task, tty, file)
    file.private_data = tty
    tty.files[file] = None
    tty.hung_up = False
    if not noctty:
        open_proc_set_tty(task, tty, file)
    file.f_flags &= ~O_NOCTTY


def open_current_tty(task: Task, file: File) -> None:
    """/dev/tty. Errors: ENXIO without a controlling terminal."""
    tty: Tty | None = task.group.ctty
    if tty is None:
        raise ENXIO
    tty_open_file(task, tty, file, noctty=True)


def tty_release(file: File) -> None:
    """The last reference of an open file is gone."""
    tty: Tty | None = file.private_data
    if tty is None or file not in tty.files:
        return
    del tty.files[file]
    if not tty.files:
        tty.exclusive = False
    state = tty_state(tty.machine)
    if state.redirect is file:
        state.redirect = None
    tty.ops.close(tty, file)


class TtyFileOperations(FileOperations):
    """tty_fops. private_data: the Tty."""

    __slots__ = ()
    supports_fasync = True

    def fasync(self, task: Task, file: File) -> None:
        tty: Tty = file.private_data
        if not file.f_owner:
            file.f_owner = -tty.pgrp if tty.pgrp else task.tgid

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        tty: Tty = file.private_data
        if tty.io_error:
            raise EIO
        tty_check_change(task, tty, SIGTTIN)
        want = buf.length
        if not want:
            return 0
        link = tty.link
        if tty.packet and link is not None and link.pktstatus and task.restart is None:
            status, link.pktstatus = link.pktstatus, 0
            return buf.put(bytes((status,)))
        data = tty.ldisc
        if data.icanon and not tty.termios.c_lflag & EXTPROC:
            moved = _read_canon(task, tty, file, buf, want)
        else:
            moved = _read_raw(task, tty, file, buf, want)
        if moved:
            inode, second = file.f_inode, task.machine.clock.realtime() // _SEC
            if (second ^ inode.i_atime // _SEC) & _COARSE:
                inode.i_atime = second * _SEC
        return moved

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        tty: Tty = file.private_data
        if tty.io_error:
            raise EIO
        if tty.termios.c_lflag & TOSTOP:
            tty_check_change(task, tty)
        moved = _write(task, tty, file, buf)
        inode, second = file.f_inode, task.machine.clock.realtime() // _SEC
        if (second ^ inode.i_mtime // _SEC) & _COARSE:
            inode.i_mtime = second * _SEC
        return moved

    def poll(self, task: Task, file: File) -> int:
        tty: Tty = file.private_data
        mask = 0
        if not input_available(tty, True) and tty.inq:
            flush_to_ldisc(tty)
        if input_available(tty, True):
            mask |= _READABLE
        link = tty.link
        if tty.packet and link is not None and link.pktstatus:
            mask |= POLLPRI | _READABLE
        if tty.other_closed:
            mask |= POLLHUP
        ops = tty.ops
        if ops.chars_in_buffer(tty) < WAKEUP_CHARS and ops.write_room(tty) > 0:
            mask |= POLLOUT | POLLWRNORM
        return mask

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...]:
        tty: Tty = file.private_data
        return (tty.read_wait, tty.write_wait)

    def ioctl(self, task: Task, file: File, cmd: int, arg: int) -> int:
        from pygos.drivers.tty.tty_ioctl import tty_ioctl

        return tty_ioctl(task, file.private_data, file, cmd, arg)

    def release(self, file: File) -> None:
        tty_release(file)


TTY_FOPS: Final = TtyFileOperations()


# -- reading


def _no_input(task: Task, tty: Tty, file: File) -> bool:
    """Nothing to read: True for end of file, False if the caller is to sleep."""
    if tty.other_closed:
        raise EIO
    if file.f_op is HUNG_UP_FOPS:
        return True
    if file.f_flags & O_NONBLOCK:
        raise EAGAIN
    return False


def _read_canon(task: Task, tty: Tty, file: File, buf: IoBuffer, want: int) -> int:
    if not input_available(tty):
        flush_to_ldisc(tty)
        if not input_available(tty):
            if _no_input(task, tty, file):
                return 0
            wait_on(task, tty.read_wait, why="n_tty_read")
    text = canon_copy(tty, want)
    moved = buf.put(text) if text else 0
    tty_unthrottle(tty)
    return moved


def _read_raw(task: Task, tty: Tty, file: File, buf: IoBuffer, want: int) -> int:
    cc = tty.termios.c_cc
    lines = tty.ldisc.icanon  # and EXTPROC: whatever is there, in pieces
    minimum, time = (1, 0) if lines else (cc[VMIN], cc[VTIME] * VTIME_UNIT)
    kept = task.restart
    done, deadline = 0, -1
    if type(kept) is TtyRead:
        done, deadline = kept.done, kept.deadline
        buf.advance(done)
    if deadline < 0:
        # Without VMIN the time counts from the call, else from the first character.
        now = task.machine.clock.monotonic
        deadline = now() + time if not minimum and time else 0
    if not input_available(tty):
        flush_to_ldisc(tty)
    room = buf.length
    if tty.ldisc.buf and room:
        moved = _take_raw(tty, buf, room, done)
        done += moved
        if lines:
            return done
        if minimum and time:
            deadline = task.machine.clock.monotonic() + time
    elif not done:
        over = deadline and task.machine.clock.monotonic() >= deadline
        if not minimum and (not time or over):
            if tty.other_closed:
                raise EIO
            return 0
        if _no_input(task, tty, file):
            return 0
    elif deadline and task.machine.clock.monotonic() >= deadline:
        return done
    if done >= max(minimum, 1) or done >= want:
        return done
    if done and (tty.other_closed or file.f_flags & O_NONBLOCK or file.f_op is HUNG_UP_FOPS):
        return done
    if task.signal_pending():
        if done:
            return done
        raise ERESTARTSYS
    task.restart = TtyRead(done, deadline)
    wait_on(task, tty.read_wait, deadline=deadline or None, why="n_tty_read")


def _take_raw(tty: Tty, buf: IoBuffer, room: int, done: int) -> int:
    """Move what there is; in packet mode a first byte says that it is data."""
    head = b""
    if tty.packet and not done:
        head = bytes((TIOCPKT_DATA,))
    text = head + raw_copy(tty, room - len(head))
    try:
        moved = buf.put(text)
    except EFAULT:
        if not done:
            raise
        moved = 0
    tty_unthrottle(tty)
    return moved


# -- writing


def _write(task: Task, tty: Tty, file: File, buf: IoBuffer) -> int:
    kept = task.restart
    done = 0
    if type(kept) is TtyWrite:
        done = kept.done
        buf.advance(done)
    process_echoes(tty)
    while buf.length:
        if file.f_op is HUNG_UP_FOPS:  # hung up while it slept
            if done:
                return done
            raise EIO
        try:
            text = buf.take(CHUNK)
        except EFAULT:
            if not done:
                raise
            break
        sent = _send(tty, text)
        done += sent
        if sent < len(text):
            return _line_full(task, tty, file, done)
    return done


def _send(tty: Tty, text: bytes) -> int:
    """Send as much as the line takes now."""
    sent = 0
    while sent < len(text):
        step = process_output(tty, text[sent:] if sent else text)
        if not step:
            break
        sent += step
    return sent


def _line_full(task: Task, tty: Tty, file: File, done: int) -> int:
    if file.f_flags & O_NONBLOCK:
        if done:
            return done
        raise EAGAIN
    if task.signal_pending():
        if done:
            return done
        raise ERESTARTSYS
    if done:
        task.restart = TtyWrite(done)
    wait_on(task, tty.write_wait, why="n_tty_write")
