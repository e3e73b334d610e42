# SPDX-License-Identifier: Apache-2.0
"""ioctl(2) on terminals: settings, sizes, flow control, queues. ioctl_tty(2).

On the master of a pty most of them act on the slave (``real``). Nothing here reaches the
host. TIOCSTI is refused, to root as well, unless the sysctl dev.tty.legacy_tiocsti is set;
TIOCLINUX belongs to virtual consoles, which there are none of. The settings themselves are in
tty_termios.py.
"""

from __future__ import annotations

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
from pygos.drivers.tty.n_tty import flush_input
from pygos.drivers.tty.n_tty_read import queued
from pygos.drivers.tty.tty import (
    Tty,
    start_tty,
    stop_tty,
    tty_buffer_flush,
    tty_receive,
    tty_state,
    tty_unthrottle,
)
from pygos.drivers.tty.tty_termios import TERMIOS_IOCTLS, Ioctl, wait_until_sent
from pygos.include.errno import (
    EBADF,
    EBUSY,
    EINTR,
    EINVAL,
    EIO,
    ENOIOCTLCMD,
    ENOTTY,
    EPERM,
)
from pygos.include.linux.fs import FMODE_WRITE
from pygos.include.uapi import ioctls as io
from pygos.include.uapi.kdev_t import makedev
from pygos.include.uapi.termios import (
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
    Winsize,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

CAP_SYS_ADMIN: Final = 21


def _mm(task: Task) -> Mm:
    mm = task.mm
    assert mm is not None
    return mm


def tty_ioctl(task: Task, tty: Tty, file: File, cmd: int, arg: int) -> int:
    """All of a terminal's ioctls. ENOTTY for those that it doesn't have."""
    link = tty.link
    real = link if tty.master and link is not None else tty
    if cmd == io.TIOCGPTPEER and not tty.master:
        raise EIO
    handler = _IOCTLS.get(cmd)
    if handler is not None:
        return handler(task, tty, real, file, arg) or 0
    try:
        return tty.ops.ioctl(task, tty, cmd, arg)
    except ENOIOCTLCMD:
        raise ENOTTY from None


# -- sizes, names, sessions


def _tiocgwinsz(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write(arg, tty.winsize.to_bytes())


def _tiocswinsz(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    tty.ops.resize(tty, Winsize.from_bytes(_mm(task).read(arg, Winsize.SIZE)))


def _tiocgdev(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    _mm(task).write_u32(arg, makedev(real.major, real.minor) & 0xFFFFFFFF)


def _tiocsctty(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> int:
    return tiocsctty(task, real, file, arg)


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
    """Type a character. Even then it is input of this machine's terminals, never the host's."""
    if not task.machine.sysctl.get("dev.tty.legacy_tiocsti", 0):
        raise EIO
    if task.group.ctty is not tty and not task.cred.capable(CAP_SYS_ADMIN):
        raise EPERM
    tty_receive(tty, _mm(task).read(arg, 1))


def _tioccons(task: Task, tty: Tty, real: Tty, file: File, arg: int) -> None:
    """What is written to /dev/console comes here instead; at the console itself: no more."""
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise EPERM
    state = tty_state(task.machine)
    if tty is state.console:
        state.redirect = None
        return
    if not file.f_mode & FMODE_WRITE:
        raise EBADF
    if state.redirect is not None:
        raise EBUSY
    state.redirect = file


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
    **TERMIOS_IOCTLS,
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
    io.TIOCCONS: _tioccons,
    io.TIOCVHANGUP: _tiocvhangup,
}
