# SPDX-License-Identifier: Apache-2.0
"""Terminals: the struct, what a driver does for it, and what its line discipline needs.

A ``Tty`` is one end of a line. Characters that arrive go through ``tty_receive`` into
``inq`` and from there, as room permits, into the line discipline (n_tty.py); what programs
write goes through the line discipline to ``ops.write``. All of it happens at once, in the
kernel's one thread: where Linux has a worker, here is a plain call.

Owners: ``machine.tty`` (a ``TtyState``) holds the console; ptys live as long as they are
open. A tty knows its open files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import ENOIOCTLCMD
from pygos.include.linux.sched import SigInfo
from pygos.include.linux.wait import WaitQueue
from pygos.include.uapi.poll import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
)
from pygos.include.uapi.signal import SI_KERNEL
from pygos.include.uapi.termios import (
    INIT_C_CC,
    INIT_C_CFLAG,
    INIT_C_IFLAG,
    INIT_C_LFLAG,
    INIT_C_OFLAG,
    Termios2,
    Winsize,
)
from pygos.kernel.signal import kill_pgrp

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: Characters that wait between a driver and the line discipline, at most.
INPUT_LIMIT: Final = 8192
_READABLE: Final = POLLIN | POLLRDNORM
_WRITABLE: Final = POLLOUT | POLLWRNORM


class TtyOperations:
    """What a driver does for its terminals (struct tty_operations)."""

    __slots__ = ()

    def write(self, tty: Tty, data: bytes) -> int:
        """Send characters; how many were taken."""
        return 0

    def write_room(self, tty: Tty) -> int:
        """How many characters write() would take now."""
        return 0

    def chars_in_buffer(self, tty: Tty) -> int:
        """Characters taken and not yet sent."""
        return 0

    def flush_buffer(self, tty: Tty) -> None:
        """Forget characters that are not yet sent."""

    def set_termios(self, tty: Tty, old: Termios2) -> None:
        """tty.termios was changed from `old`."""

    def input_drained(self, tty: Tty) -> None:
        """There is room for input again (unthrottle)."""

    def start(self, tty: Tty) -> None:
        """Output goes on."""

    def stop(self, tty: Tty) -> None:
        """Output is stopped."""

    def open(self, task: Task, tty: Tty, file: File) -> None:
        """A file was opened. EIO."""

    def close(self, tty: Tty, file: File) -> None:
        """A file is closed; tty.files no longer has it."""

    def resize(self, tty: Tty, size: Winsize) -> None:
        """TIOCSWINSZ."""
        tty_do_resize(tty, size)

    def ioctl(self, task: Task, tty: Tty, cmd: int, arg: int) -> int:
        raise ENOIOCTLCMD


def default_termios() -> Termios2:
    """The settings of a fresh terminal (tty_std_termios)."""
    return Termios2(
        INIT_C_IFLAG, INIT_C_OFLAG, INIT_C_CFLAG, INIT_C_LFLAG, 0, INIT_C_CC, 38400, 38400
    )


class Tty:
    """struct tty_struct."""

    __slots__ = (
        "exclusive",
        "files",
        "flushing",
        "hung_up",
        "index",
        "inq",
        "io_error",
        "ldisc",
        "link",
        "locked",
        "machine",
        "major",
        "master",
        "minor",
        "name",
        "ops",
        "other_closed",
        "packet",
        "pgrp",
        "pktstatus",
        "private",
        "read_wait",
        "session",
        "stopped",
        "tco_stopped",
        "termios",
        "termios_locked",
        "winsize",
        "write_wait",
    )

    def __init__(self, machine: Machine, ops: TtyOperations, name: str, major: int, minor: int):
        self.machine = machine
        self.ops = ops
        #: As in /proc/PID/stat and ps: "console", "pts/3"; and its device number.
        self.name = name
        self.major = major
        self.minor = minor
        self.index = minor
        self.termios = default_termios()
        #: Ones where a setting is locked (TIOCSLCKTRMIOS).
        self.termios_locked: Termios2 | None = None
        self.winsize = Winsize()
        #: Session and foreground process group, 0 if none.
        self.session = 0
        self.pgrp = 0
        self.files: dict[File, None] = {}
        self.read_wait = WaitQueue()
        self.write_wait = WaitQueue()
        #: Characters that the line discipline had no room for yet.
        self.inq = bytearray()
        self.flushing = False
        #: The line discipline's state (drivers/tty/n_tty.py: NTty).
        self.ldisc: Any = None
        #: The other end of a pty, and whether this one is the master.
        self.link: Tty | None = None
        self.master = False
        self.locked = False
        self.other_closed = False
        self.io_error = False
        self.hung_up = False
        self.exclusive = False
        #: Output stopped by ^S or tcflow(3).
        self.stopped = False
        self.tco_stopped = False
        #: Packet mode (ptys), and what the master is to be told.
        self.packet = False
        self.pktstatus = 0
        #: The driver's own.
        self.private: Any = None


class TtyState:
    """``machine.tty``: terminals that exist without being open. Ptys hang off their files."""

    __slots__ = ("console", "redirect")

    def __init__(self) -> None:
        self.console: Tty | None = None
        #: The open terminal that gets what is written to /dev/console (TIOCCONS).
        self.redirect: File | None = None


def tty_state(machine: Machine) -> TtyState:
    """machine.tty, made at the first use."""
    state: TtyState | None = machine.tty
    if state is None:
        state = machine.tty = TtyState()
    return state


def signal_pgrp(tty: Tty, pgrp: int, signo: int) -> None:
    """Send a signal to a process group on behalf of the terminal."""
    if pgrp > 0:
        kill_pgrp(tty.machine, pgrp, SigInfo(signo, SI_KERNEL))


def tty_do_resize(tty: Tty, size: Winsize) -> None:
    """Set the window size; the foreground group hears of a change."""
    if size == tty.winsize:
        return
    tty.winsize = size
    signal_pgrp(tty, tty.pgrp, 28)  # SIGWINCH


# -- input from the driver


def input_room(tty: Tty) -> int:
    """How many characters tty_receive() takes without loss."""
    return max(INPUT_LIMIT - len(tty.inq), 0)


def tty_receive(tty: Tty, data: bytes) -> None:
    """Characters arrive from the line."""
    tty.inq += data
    flush_to_ldisc(tty)


def flush_to_ldisc(tty: Tty) -> None:
    """Hand waiting characters to the line discipline as far as it has room."""
    if tty.flushing:
        return
    from pygos.drivers.tty.n_tty import receive_buf

    tty.flushing = True
    try:
        while tty.inq:
            taken = receive_buf(tty, bytes(tty.inq))
            if not taken:
                return
            del tty.inq[:taken]
    finally:
        tty.flushing = False


def tty_unthrottle(tty: Tty) -> None:
    """A reader has made room: go on with what waits, and let the driver bring more."""
    if tty.inq:
        flush_to_ldisc(tty)
    if len(tty.inq) < INPUT_LIMIT:
        tty.ops.input_drained(tty)


def tty_buffer_flush(tty: Tty) -> None:
    """Forget input that the line discipline has not seen."""
    tty.inq.clear()


def tty_wakeup(tty: Tty) -> None:
    """The line takes characters again: echoes first, then writers."""
    from pygos.drivers.tty.n_tty_out import process_echoes

    process_echoes(tty)
    if tty.write_wait.waiters:
        tty.write_wait.wake_all(_WRITABLE)


# -- flow control


def stop_tty(tty: Tty) -> None:
    """Stop output (^S)."""
    if not tty.stopped:
        tty.stopped = True
        tty.ops.stop(tty)


def start_tty(tty: Tty) -> None:
    """Let output go on (^Q)."""
    if tty.stopped and not tty.tco_stopped:
        tty.stopped = False
        tty.ops.start(tty)
        tty_wakeup(tty)


# -- sleeping and waking


def wake_readers(tty: Tty) -> None:
    if tty.read_wait.waiters:
        tty.read_wait.wake_all(_READABLE)


def wake_hangup(tty: Tty) -> None:
    """Everybody must look: the line is gone."""
    tty.read_wait.wake_all(_READABLE | POLLHUP | POLLERR)
    tty.write_wait.wake_all(_WRITABLE | POLLHUP | POLLERR)
