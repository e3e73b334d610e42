# SPDX-License-Identifier: Apache-2.0
"""The settings of terminals: struct termios in its three forms, speeds, locks. ioctl_tty(2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pygos.drivers.tty.jobctl import tty_check_change
from pygos.drivers.tty.n_tty import flush_input, n_tty_set_termios
from pygos.drivers.tty.tty import Tty, tty_buffer_flush
from pygos.include.errno import EPERM
from pygos.include.linux.wait import wait_on
from pygos.include.uapi import ioctls as io
from pygos.include.uapi.termios import (
    ADDRB,
    BOTHER,
    CBAUD,
    IBSHIFT,
    Termio,
    Termios,
    Termios2,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

CAP_SYS_ADMIN: Final = 21
CAP_CHECKPOINT_RESTORE: Final = 40
#: Bits per second by the low bits of CBAUD, without and with CBAUDEX.
_BAUD: Final = (
    0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400,
)  # fmt: skip
_BAUD_EX: Final = (
    0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000,
    2000000, 2500000, 3000000, 3500000, 4000000,
)  # fmt: skip
_FLUSH, _WAIT = 1, 2

Ioctl = Callable[["Task", Tty, Tty, "File", int], "int | None"]


def _mm(task: Task) -> Mm:
    mm = task.mm
    assert mm is not None
    return mm


# -- settings


def baud_rate(c_cflag: int, other: int) -> int:
    """Bits per second that CBAUD stands for; `other` with BOTHER."""
    bits = c_cflag & CBAUD
    if bits == BOTHER:
        return other
    return _BAUD_EX[bits & 15] if bits & BOTHER else _BAUD[bits & 15]


def input_baud_rate(c_cflag: int, ispeed: int, ospeed: int) -> int:
    """The same for input: its own bits, which when zero mean "as the output"."""
    bits = c_cflag >> IBSHIFT & CBAUD
    if not bits:
        return baud_rate(c_cflag, ospeed)
    return ispeed if bits == BOTHER else baud_rate(bits, 0)


def set_termios(tty: Tty, new: Termios2) -> None:
    """Put new settings into effect (tty_set_termios)."""
    old = tty.termios
    if tty.termios_locked is not None:
        _keep_locked(new, old, tty.termios_locked)
    new.c_cflag = new.c_cflag & ~ADDRB | old.c_cflag & ADDRB
    tty.termios = new
    tty.ops.set_termios(tty, old)
    n_tty_set_termios(tty, old)


def wait_until_sent(task: Task, tty: Tty) -> None:
    """Sleep until all output is sent. Signals end it."""
    if tty.ops.chars_in_buffer(tty):
        wait_on(task, tty.write_wait, why="tty_wait_until_sent")


def _copy(old: Termios2) -> Termios2:
    return Termios2.from_bytes(old.to_bytes())


def _keep_locked(new: Termios2, old: Termios2, lock: Termios2) -> None:
    """Bits and characters that are locked stay as they were (TIOCSLCKTRMIOS)."""
    for name in ("c_iflag", "c_oflag", "c_cflag", "c_lflag"):
        mask = getattr(lock, name)
        setattr(new, name, getattr(old, name) & mask | getattr(new, name) & ~mask)
    if lock.c_line:
        new.c_line = old.c_line
    pairs = zip(lock.c_cc, old.c_cc, new.c_cc, strict=True)
    new.c_cc = bytes(before if locked else after for locked, before, after in pairs)


def _read_termios(task: Task, real: Tty, arg: int) -> Termios2:
    given = _mm(task).read(arg, Termios.SIZE)
    return _speeds(Termios2.from_bytes(given + real.termios.to_bytes()[Termios.SIZE :]))


def _speeds(new: Termios2) -> Termios2:
    """Fill in the rates that the bits of c_cflag stand for."""
    ispeed, ospeed = new.c_ispeed, new.c_ospeed
    new.c_ispeed = input_baud_rate(new.c_cflag, ispeed, ospeed)
    new.c_ospeed = baud_rate(new.c_cflag, ospeed)
    return new


def _read_termios2(task: Task, real: Tty, arg: int) -> Termios2:
    return _speeds(Termios2.from_bytes(_mm(task).read(arg, Termios2.SIZE)))


def _read_termio(task: Task, real: Tty, arg: int) -> Termios2:
    """The old struct termio: 16-bit flags and 8 control characters; the rest stays."""
    given = Termio.from_bytes(_mm(task).read(arg, Termio.SIZE))
    new = _copy(real.termios)
    for name in ("c_iflag", "c_oflag", "c_cflag", "c_lflag"):
        setattr(new, name, getattr(new, name) & ~0xFFFF | getattr(given, name))
    new.c_cc = given.c_cc + new.c_cc[len(given.c_cc) :]
    new.c_line = given.c_line
    return _speeds(new)


def _setter(reader: Callable[[Task, Tty, int], Termios2], how: int) -> Ioctl:
    return _SetTermios(reader, how).call


class _SetTermios:
    """One of the TCSETS family: how the struct is read, and what happens before."""

    __slots__ = ("how", "reader")

    def __init__(self, reader: Callable[[Task, Tty, int], Termios2], how: int) -> None:
        self.reader = reader
        self.how = how

    def call(self, task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
        tty_check_change(task, real)
        new = self.reader(task, real, arg)
        if self.how & _FLUSH:
            flush_input(real)
            tty_buffer_flush(real)
        if self.how & _WAIT:
            wait_until_sent(task, real)
        set_termios(real, new)


def _tcgets(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write(arg, real.termios.to_bytes()[: Termios.SIZE])


def _tcgets2(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write(arg, real.termios.to_bytes())


def _tcgeta(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    now = real.termios
    flags = [flag & 0xFFFF for flag in (now.c_iflag, now.c_oflag, now.c_cflag, now.c_lflag)]
    iflag, oflag, cflag, lflag = flags
    old = Termio(iflag, oflag, cflag, lflag, now.c_line, now.c_cc[:8])
    _mm(task).write(arg, old.to_bytes())


def _tiocglcktrmios(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    lock = real.termios_locked
    _mm(task).write(arg, lock.to_bytes()[: Termios.SIZE] if lock else bytes(Termios.SIZE))


def _tiocslcktrmios(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    cred = task.cred
    if not (cred.capable(CAP_SYS_ADMIN) or cred.capable(CAP_CHECKPOINT_RESTORE)):
        raise EPERM
    given = _mm(task).read(arg, Termios.SIZE)
    real.termios_locked = Termios2.from_bytes(given.ljust(Termios2.SIZE, b"\0"))


def _tiocgsoftcar(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write_u32(arg, 1 if real.termios.c_cflag & 0x800 else 0)  # CLOCAL


def _tiocssoftcar(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    new = _copy(real.termios)
    new.c_cflag = new.c_cflag & ~0x800 | (0x800 if _mm(task).read_u32(arg) else 0)
    set_termios(real, new)


TERMIOS_IOCTLS: Final[dict[int, Ioctl]] = {
    io.TCGETS: _tcgets,
    io.TCSETS: _setter(_read_termios, 0),
    io.TCSETSW: _setter(_read_termios, _WAIT),
    io.TCSETSF: _setter(_read_termios, _WAIT | _FLUSH),
    io.TCGETS2: _tcgets2,
    io.TCSETS2: _setter(_read_termios2, 0),
    io.TCSETSW2: _setter(_read_termios2, _WAIT),
    io.TCSETSF2: _setter(_read_termios2, _WAIT | _FLUSH),
    io.TCGETA: _tcgeta,
    io.TCSETA: _setter(_read_termio, 0),
    io.TCSETAW: _setter(_read_termio, _WAIT),
    io.TCSETAF: _setter(_read_termio, _WAIT | _FLUSH),
    io.TIOCGLCKTRMIOS: _tiocglcktrmios,
    io.TIOCSLCKTRMIOS: _tiocslcktrmios,
    io.TIOCGSOFTCAR: _tiocgsoftcar,
    io.TIOCSSOFTCAR: _tiocssoftcar,
}
