# SPDX-License-Identifier: Apache-2.0
"""The machine's console: a terminal whose line is the host's terminal.

The host's terminal is in raw mode; all line discipline is the guest's. From the host come
characters and the size of the window, to it go characters. No ioctl of the guest reaches it.

``machine.host["console"]`` holds the two streams while a run has them; kernel objects don't.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.drivers.tty.answers import AnswerFilter
from pygos.drivers.tty.jobctl import proc_set_tty
from pygos.drivers.tty.n_tty import n_tty_open, n_tty_set_termios
from pygos.drivers.tty.tty import (
    Tty,
    TtyOperations,
    input_room,
    tty_do_resize,
    tty_receive,
    tty_state,
    tty_wakeup,
)
from pygos.drivers.tty.tty_io import TTY_FOPS, TtyFileOperations, tty_open_file
from pygos.fs.file_table import alloc_file
from pygos.include.errno import EAGAIN, EIO, ENXIO, Errno
from pygos.include.linux.fs import (
    FMODE_READ,
    FMODE_WRITE,
    S_IFCHR,
    Dentry,
    File,
    FileSystemType,
    Inode,
    Path,
    SuperBlock,
    SuperOperations,
)
from pygos.include.uapi.fcntl import O_RDWR
from pygos.include.uapi.kdev_t import makedev
from pygos.include.uapi.major import CONSOLE_MINOR, TTYAUX_MAJOR
from pygos.include.uapi.poll import POLLHUP, POLLIN, POLLOUT
from pygos.include.uapi.termios import IUTF8, Termios2, Winsize

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

#: Characters that wait for the host's terminal, at most.
OUTPUT_LIMIT: Final = 65536
_READ_SIZE: Final = 4096


class ConsoleLine:
    """tty.private: what waits for the host, and what is watched. A HostWaiter."""

    __slots__ = ("armed", "filter", "out", "tty")

    def __init__(self, tty: Tty, raw: bool) -> None:
        self.tty = tty
        #: What takes requests to the terminal out of the output; None: all of it passes.
        self.filter = None if raw else AnswerFilter()
        self.out = bytearray()
        self.armed = 0

    def streams(self) -> tuple[Any, Any] | None:
        """The host's (input, output) streams, None between runs."""
        ends: tuple[Any, Any] | None = self.tty.machine.host.get("console")
        return ends

    def arm(self, events: int) -> None:
        """Watch the input (POLLIN) or the output (POLLOUT)."""
        ends = self.streams()
        events &= ~self.armed
        if ends is None or not events:
            return
        self.armed |= events
        platform = self.tty.machine.platform
        if events & POLLIN:
            platform.watch(ends[0].fileno(), POLLIN, self)
        if events & POLLOUT:
            platform.watch(ends[1].fileno(), POLLOUT, self)

    def host_ready(self, events: int) -> None:
        """HostWaiter protocol: the watch is used up."""
        if events & (POLLIN | POLLHUP) and self.armed & POLLIN:
            self.armed &= ~POLLIN
            self.receive()
        if events & (POLLOUT | POLLHUP) and self.armed & POLLOUT:
            self.armed &= ~POLLOUT
            self.drain()

    def receive(self) -> None:
        """Take what was typed, as far as there is room for it."""
        ends = self.streams()
        room = min(input_room(self.tty), _READ_SIZE)
        if ends is None or not room:
            return
        try:
            data = ends[0].read(room)
        except EAGAIN:
            self.arm(POLLIN)
            return
        except Errno:
            data = b""
        if not data:  # the host's terminal is gone
            from pygos.drivers.tty.jobctl import tty_hangup

            tty_hangup(self.tty)
            return
        tty_receive(self.tty, data)
        if input_room(self.tty):
            self.arm(POLLIN)

    def drain(self) -> None:
        """Give the host what waits for it."""
        ends = self.streams()
        out = self.out
        while out and ends is not None:
            try:
                sent = ends[1].write(bytes(out[:_READ_SIZE]))
            except EAGAIN:
                self.arm(POLLOUT)
                break
            except Errno:  # nobody will ever see it
                out.clear()
                break
            del out[:sent]
        if len(out) < OUTPUT_LIMIT // 2:
            tty_wakeup(self.tty)


class ResizeWatch:
    """Hears that the host's window has another size. A HostWaiter."""

    __slots__ = ("tty",)

    def __init__(self, tty: Tty) -> None:
        self.tty = tty

    def host_ready(self, events: int) -> None:
        terminal = self.tty.machine.host.get("terminal")
        if terminal is None:
            return
        if terminal.resized():
            tty_do_resize(self.tty, host_winsize(terminal))
        self.tty.machine.platform.watch(terminal.resized_fd(), POLLIN, self)


def host_winsize(terminal: Any) -> Winsize:
    """The size of the host's window; zeros if it doesn't tell."""
    try:
        return Winsize(*terminal.winsize())
    except Errno:
        return Winsize()


class ConsoleOperations(TtyOperations):
    """The console's driver."""

    __slots__ = ()

    def write(self, tty: Tty, data: bytes) -> int:
        line: ConsoleLine = tty.private
        taken = min(len(data), OUTPUT_LIMIT - len(line.out))
        was_empty = not line.out
        given = data[:taken]
        line.out += given if line.filter is None else line.filter.feed(given)
        if was_empty and not tty.stopped:
            _push(line)
        return taken

    def write_room(self, tty: Tty) -> int:
        line: ConsoleLine = tty.private
        return 0 if tty.stopped else OUTPUT_LIMIT - len(line.out)

    def chars_in_buffer(self, tty: Tty) -> int:
        line: ConsoleLine = tty.private
        return len(line.out)

    def flush_buffer(self, tty: Tty) -> None:
        line: ConsoleLine = tty.private
        line.out.clear()

    def start(self, tty: Tty) -> None:
        line: ConsoleLine = tty.private
        line.drain()

    def input_drained(self, tty: Tty) -> None:
        line: ConsoleLine = tty.private
        line.arm(POLLIN)

    def open(self, task: Task, tty: Tty, file: File) -> None:
        line: ConsoleLine = tty.private
        if line.streams() is None:
            raise EIO
        line.arm(POLLIN)


def _push(line: ConsoleLine) -> None:
    """Write at once what the host takes; the rest goes when it is ready."""
    ends = line.streams()
    if ends is None:
        line.out.clear()
        return
    try:
        sent = ends[1].write(bytes(line.out))
    except EAGAIN:
        sent = 0
    except Errno:
        line.out.clear()
        return
    del line.out[:sent]
    if line.out:
        line.arm(POLLOUT)


_CONSOLE_OPS: Final = ConsoleOperations()


def console_tty(machine: Machine) -> Tty:
    """The console's tty, made at the first use."""
    state = tty_state(machine)
    if state.console is None:
        tty = Tty(machine, _CONSOLE_OPS, "console", TTYAUX_MAJOR, CONSOLE_MINOR)
        tty.termios.c_iflag |= IUTF8
        tty.private = ConsoleLine(tty, getattr(machine.config, "tty_raw", False))
        n_tty_open(tty)
        state.console = tty
    return state.console


def open_dev_console(task: Task, file: File) -> None:
    """/dev/console; opening it never makes it the controlling terminal. ENXIO."""
    tty = tty_state(task.machine).console
    if tty is None or tty.private.streams() is None:
        raise ENXIO
    tty_open_file(task, tty, file, noctty=True)
    file.f_op = CONSOLE_FOPS


class ConsoleFileOperations(TtyFileOperations):
    """Files of /dev/console: what is written may go to another terminal (TIOCCONS)."""

    __slots__ = ()

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        other = tty_state(task.machine).redirect
        if other is not None and other.f_op is TTY_FOPS:
            return other.f_op.write(task, other, buf, pos)
        return super().write(task, file, buf, pos)


CONSOLE_FOPS: Final = ConsoleFileOperations()


# -- the standard files of a run at a terminal


class _ConsoleFsType(FileSystemType):
    """Holds the console's inode where there is no /dev/console."""

    __slots__ = ()
    name = "consolefs"


def open_console(task: Task, terminals: list[Any]) -> File:
    """The console as the controlling terminal of `task`, which leads its session.

    `terminals`: the standard streams that are the host's terminal; the first one is read,
    the last one written.
    """
    machine = task.machine
    tty = console_tty(machine)
    line: ConsoleLine = tty.private
    machine.host["console"] = (terminals[0], terminals[-1])
    line.armed = 0
    terminal = machine.host["terminal"]
    if not tty.files:
        _take_settings(tty, terminal)
    tty.winsize = host_winsize(terminal)
    if machine.host.get("console_resize") is not terminal:
        machine.host["console_resize"] = terminal
        machine.platform.watch(terminal.resized_fd(), POLLIN, ResizeWatch(tty))
    path = _console_path(task)
    mode = FMODE_READ | FMODE_WRITE
    file = alloc_file(path, path.inode, O_RDWR, mode, task.cred)
    tty_open_file(task, tty, file, noctty=True)
    if task.group.session_leader:
        proc_set_tty(task, tty)
    return file


def _take_settings(tty: Tty, terminal: Any) -> None:
    """Begin with the user's own keys and modes, as a remote login does."""
    tty.termios = Termios2.from_bytes(terminal.settings())
    tty.termios.c_line = 0
    n_tty_set_termios(tty, None)


def _console_path(task: Task) -> Path:
    """/dev/console if it is there, else a nameless node."""
    from pygos.fs.walk import path_lookup

    number = makedev(TTYAUX_MAJOR, CONSOLE_MINOR)
    try:
        path = path_lookup(task.machine.init_task, -100, b"/dev/console")
    except Errno:
        return _nameless(task, number)
    return path if path.inode.i_rdev == number else _nameless(task, number)


def _nameless(task: Task, number: int) -> Path:
    machine = task.machine
    sb = SuperBlock(machine, _ConsoleFsType(), SuperOperations())
    inode = Inode(sb, 1, S_IFCHR | 0o600)
    inode.i_rdev = number
    sb.s_root = Dentry(sb, None, b"console")
    sb.s_root.d_inode = inode
    return Path(machine.new_mount(sb.s_root, "console"), sb.s_root)
