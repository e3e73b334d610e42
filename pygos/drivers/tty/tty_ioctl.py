# SPDX-License-Identifier: Apache-2.0
"""ioctl(2) on terminals: settings, sizes, flow control, queues. ioctl_tty(2).

On the master of a pty most of them act on the slave (``real``). Nothing here reaches the
host. TIOCSTI is refused to everybody, as with dev.tty.legacy_tiocsti=0; TIOCLINUX belongs to
virtual consoles, which we have none of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pygos.drivers.tty.jobctl import (
    tiocgpgrp,
    tiocgsid,
    tiocnotty,
    tiocsctty,
    tiocspgrp,
    tty_check_change,
    tty_vhangup,
)
from pygos.drivers.tty.n_tty import flush_input, n_tty_set_termios
from pygos.drivers.tty.n_tty_read import queued
from pygos.drivers.tty.tty import (
    Tty,
    start_tty,
    stop_tty,
    tty_buffer_flush,
    tty_unthrottle,
)
from pygos.include.errno import EINTR, EINVAL, EIO, ENOIOCTLCMD, ENOTTY, EPERM
from pygos.include.linux.wait import wait_on
from pygos.include.uapi import ioctls as io
from pygos.include.uapi.kdev_t import makedev
from pygos.include.uapi.termios import (
    BOTHER,
    CBAUD,
    N_TTY,
    TCIFLUSH,
    TCIOFF,
    TCIOFLUSH,
    TCION,
    TCOFLUSH,
    TCOOFF,
    TCOON,
    VSTART,
    VSTOP,
    Termio,
    Termios,
    Termios2,
    Winsize,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

CAP_SYS_ADMIN: Final = 21
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


def tty_ioctl(task: Task, tty: Tty, file: File, cmd: int, arg: int) -> int:
    """All of a terminal's ioctls. ENOTTY for those that it doesn't have."""
    link = tty.link
    real = link if tty.master and link is not None else tty
    handler = _IOCTLS.get(cmd)
    if handler is not None:
        return handler(task, tty, real, file, arg) or 0
    try:
        return tty.ops.ioctl(task, tty, cmd, arg)
    except ENOIOCTLCMD:
        raise ENOTTY from None


# -- settings


def baud_rate(c_cflag: int, other: int) -> int:
    """Bits per second that CBAUD stands for; `other` with BOTHER."""
    bits = c_cflag & CBAUD
    if bits == BOTHER:
        return other
    return _BAUD_EX[bits & 15] if bits & BOTHER else _BAUD[bits & 15]


def set_termios(tty: Tty, new: Termios2) -> None:
    """Put new settings into effect (tty_set_termios)."""
    old = tty.termios
    new.c_line = old.c_line
    tty.termios = new
    tty.ops.set_termios(tty, old)
    n_tty_set_termios(tty, old)


def wait_until_sent(task: Task, tty: Tty) -> None:
    """Sleep until all output is sent. Signals end it."""
    if tty.ops.chars_in_buffer(tty):
        wait_on(task, tty.write_wait, why="tty_wait_until_sent")


def _copy(old: Termios2) -> Termios2:
    return Termios2.from_bytes(old.to_bytes())


def _read_termios(task: Task, real: Tty, arg: int) -> Termios2:
    new = Termios2.from_bytes(_mm(task).read(arg, Termios.SIZE).ljust(Termios2.SIZE, b"\0"))
    return _speeds(new, real.termios)


def _speeds(new: Termios2, old: Termios2) -> Termios2:
    new.c_ispeed = new.c_ospeed = baud_rate(new.c_cflag, old.c_ospeed)
    return new


def _read_termios2(task: Task, real: Tty, arg: int) -> Termios2:
    new = Termios2.from_bytes(_mm(task).read(arg, Termios2.SIZE))
    new.c_ospeed = baud_rate(new.c_cflag, new.c_ospeed)
    new.c_ispeed = new.c_ispeed if new.c_cflag & CBAUD == BOTHER else new.c_ospeed
    return new


def _read_termio(task: Task, real: Tty, arg: int) -> Termios2:
    """The old struct termio: 16-bit flags and 8 control characters; the rest stays."""
    given = Termio.from_bytes(_mm(task).read(arg, Termio.SIZE))
    new = _copy(real.termios)
    for name in ("c_iflag", "c_oflag", "c_cflag", "c_lflag"):
        setattr(new, name, getattr(new, name) & ~0xFFFF | getattr(given, name))
    new.c_cc = given.c_cc + new.c_cc[len(given.c_cc) :]
    return _speeds(new, real.termios)


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


def _tiocgsoftcar(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write_u32(arg, 1 if real.termios.c_cflag & 0x800 else 0)  # CLOCAL


def _tiocssoftcar(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    new = _copy(real.termios)
    new.c_cflag = new.c_cflag & ~0x800 | (0x800 if _mm(task).read_u32(arg) else 0)
    set_termios(real, new)


# -- sizes, names, sessions


def _tiocgwinsz(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write(arg, tty.winsize.to_bytes())


def _tiocswinsz(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    tty.ops.resize(tty, Winsize.from_bytes(_mm(task).read(arg, Winsize.SIZE)))


def _tiocgdev(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write_u32(arg, makedev(real.major, real.minor) & 0xFFFFFFFF)


def _tiocsctty(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> int:
    return tiocsctty(task, tty, file, arg)


def _tiocnotty(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> int:
    return tiocnotty(task, tty)


def _tiocgpgrp(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write_u32(arg, tiocgpgrp(task, tty, real))


def _tiocspgrp(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> int:
    return tiocspgrp(task, real, arg)


def _tiocgsid(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write_u32(arg, tiocgsid(task, tty, real))


def _tiocexcl(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    tty.exclusive = True


def _tiocnxcl(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    tty.exclusive = False


def _tiocgexcl(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write_u32(arg, int(tty.exclusive))


def _tiocgetd(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write_u32(arg, N_TTY)


def _tiocsetd(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    tty_check_change(task, tty)
    if _mm(task).read_u32(arg) != N_TTY:
        raise EINVAL


def _tiocsti(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    raise EIO


def _tiocvhangup(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise EPERM
    tty_vhangup(tty)


# -- queues and flow


def _tiocoutq(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write_u32(arg, tty.ops.chars_in_buffer(tty))


def _tiocinq(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write_u32(arg, queued(tty))


def _tcflsh(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    tty_check_change(task, tty)
    if arg not in (TCIFLUSH, TCOFLUSH, TCIOFLUSH):
        raise EINVAL
    if arg != TCOFLUSH:
        tty_buffer_flush(tty)
        flush_input(tty)
        tty_unthrottle(tty)
    if arg != TCIFLUSH:
        tty.ops.flush_buffer(tty)


def _tcxonc(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    tty_check_change(task, tty)
    if arg == TCOOFF:
        stop_tty(tty)
        tty.tco_stopped = True
    elif arg == TCOON:
        tty.tco_stopped = False
        start_tty(tty)
    elif arg in (TCIOFF, TCION):
        c = tty.termios.c_cc[VSTOP if arg == TCIOFF else VSTART]
        if c:
            tty.ops.write(tty, bytes((c,)))
    else:
        raise EINVAL


def _tcsbrk(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    """tcdrain(3) and tcsendbreak(3): there is no line that a break could be sent on."""
    tty_check_change(task, tty)
    if tty.ops.chars_in_buffer(tty):
        if task.signal_pending():
            raise EINTR
        wait_until_sent(task, tty)


def _tiocsbrk(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    tty_check_change(task, tty)


_IOCTLS: Final[dict[int, Ioctl]] = {
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
    io.TCSBRK: _tcsbrk,
    io.TCSBRKP: _tcsbrk,
    io.TIOCSBRK: _tiocsbrk,
    io.TIOCCBRK: _tiocsbrk,
    io.TCXONC: _tcxonc,
    io.TCFLSH: _tcflsh,
    io.TIOCEXCL: _tiocexcl,
    io.TIOCNXCL: _tiocnxcl,
    io.TIOCGEXCL: _tiocgexcl,
    io.TIOCSCTTY: _tiocsctty,
    io.TIOCNOTTY: _tiocnotty,
    io.TIOCGPGRP: _tiocgpgrp,
    io.TIOCSPGRP: _tiocspgrp,
    io.TIOCGSID: _tiocgsid,
    io.TIOCOUTQ: _tiocoutq,
    io.FIONREAD: _tiocinq,
    io.TIOCSTI: _tiocsti,
    io.TIOCGWINSZ: _tiocgwinsz,
    io.TIOCSWINSZ: _tiocswinsz,
    io.TIOCGETD: _tiocgetd,
    io.TIOCSETD: _tiocsetd,
    io.TIOCGDEV: _tiocgdev,
    io.TIOCGSOFTCAR: _tiocgsoftcar,
    io.TIOCSSOFTCAR: _tiocssoftcar,
    io.TIOCVHANGUP: _tiocvhangup,
}
