# SPDX-License-Identifier: Apache-2.0
"""Pseudo-terminals: /dev/ptmx and its slaves in devpts. pty(7).

What is written to one end arrives at the other. The slave has the line discipline that
programs see; the master's is raw. When the master is closed, the slave is hung up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.drivers.tty.jobctl import tty_vhangup
from pygos.drivers.tty.n_tty import n_tty_open
from pygos.drivers.tty.tty import (
    Tty,
    TtyOperations,
    input_room,
    signal_pgrp,
    tty_receive,
    tty_wakeup,
    wake_hangup,
    wake_readers,
)
from pygos.drivers.tty.tty_io import tty_open_file
from pygos.fs.devpts import (
    devpts_kill_index,
    devpts_new_index,
    devpts_of,
    devpts_pty_kill,
    devpts_pty_new,
)
from pygos.fs.file_table import alloc_fd, put_unused_fd
from pygos.fs.open import dentry_open
from pygos.include.errno import EINVAL, EIO, ENOIOCTLCMD
from pygos.include.linux.fs import Dentry, File, Inode, Path
from pygos.include.uapi import ioctls as io
from pygos.include.uapi.fcntl import O_CLOEXEC, O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC
from pygos.include.uapi.magic import DEVPTS_SUPER_MAGIC
from pygos.include.uapi.major import (
    UNIX98_PTY_MASTER_MAJOR,
    UNIX98_PTY_SLAVE_MAJOR,
)
from pygos.include.uapi.signal import SIGINT, SIGQUIT, SIGTSTP, SIGWINCH
from pygos.include.uapi.termios import (
    B38400,
    CREAD,
    CS8,
    CSIZE,
    EXTPROC,
    IXON,
    PARENB,
    VSTART,
    VSTOP,
    Termios2,
    Winsize,
)

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

_CFLAG: Final = B38400 | CS8 | CREAD
_XOFF, _XON = 0x13, 0x11
#: What is not remembered of the flags that a file was opened with.
_NOT_KEPT: Final = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC


class Pts:
    """tty.private of both ends: where the pair lives in devpts."""

    __slots__ = ("dentry", "index", "root")

    def __init__(self, root: Path, index: int) -> None:
        #: The devpts instance.
        self.root = root
        self.index = index
        self.dentry: Dentry


class PtyOperations(TtyOperations):
    """Both ends: what one writes, the other receives."""

    __slots__ = ()

    def write(self, tty: Tty, data: bytes) -> int:
        link = tty.link
        if tty.stopped or link is None:
            return 0
        count = min(len(data), input_room(link))
        if count:
            tty_receive(link, data[:count])
        return count

    def write_room(self, tty: Tty) -> int:
        link = tty.link
        return 0 if tty.stopped or link is None else input_room(link)

    def flush_buffer(self, tty: Tty) -> None:
        link = tty.link
        if link is not None:
            link.inq.clear()
            _packet(tty, io.TIOCPKT_FLUSHWRITE, 0)

    def input_drained(self, tty: Tty) -> None:
        if tty.link is not None:
            tty_wakeup(tty.link)

    def set_termios(self, tty: Tty, old: Termios2) -> None:
        link, new = tty.link, tty.termios
        if link is not None and link.packet:
            _packet_settings(tty, old, new)
        new.c_cflag = new.c_cflag & ~(CSIZE | PARENB) | CS8 | CREAD

    def start(self, tty: Tty) -> None:
        _packet(tty, io.TIOCPKT_START, io.TIOCPKT_STOP)

    def stop(self, tty: Tty) -> None:
        _packet(tty, io.TIOCPKT_STOP, io.TIOCPKT_START)

    def resize(self, tty: Tty, size: Winsize) -> None:
        link = tty.link
        if size == tty.winsize or link is None:
            return
        signal_pgrp(tty, tty.pgrp, SIGWINCH)
        if link.pgrp != tty.pgrp:
            signal_pgrp(tty, link.pgrp, SIGWINCH)
        tty.winsize = size
        link.winsize = Winsize.from_bytes(size.to_bytes())


def _packet(tty: Tty, add: int, drop: int) -> None:
    """Tell a master in packet mode what happened to the slave."""
    link = tty.link
    if link is not None and link.packet:
        tty.pktstatus = tty.pktstatus & ~drop | add
        wake_readers(link)


def _plain_flow(termios: Termios2) -> bool:
    cc = termios.c_cc
    return bool(termios.c_iflag & IXON) and cc[VSTOP] == _XOFF and cc[VSTART] == _XON


def _packet_settings(tty: Tty, old: Termios2, new: Termios2) -> None:
    """Tell a master in packet mode that flow control or EXTPROC was changed."""
    add = 0
    flow = _plain_flow(new)
    if flow != _plain_flow(old):
        add = io.TIOCPKT_DOSTOP if flow else io.TIOCPKT_NOSTOP
    if (old.c_lflag | new.c_lflag) & EXTPROC:
        add |= io.TIOCPKT_IOCTL
    if add:
        drop = io.TIOCPKT_DOSTOP | io.TIOCPKT_NOSTOP
        _packet(tty, add, drop if add & drop else 0)


class SlaveOperations(PtyOperations):
    """The end in /dev/pts."""

    __slots__ = ()

    def open(self, task: Task, tty: Tty, file: File) -> None:
        master = tty.link
        if master is None or not master.files or master.locked:
            raise EIO
        master.other_closed = False

    def close(self, tty: Tty, file: File) -> None:
        master = tty.link
        if tty.files or master is None:
            return
        if not master.files:
            _free_index(tty)
            return
        master.other_closed = True
        wake_hangup(master)


class MasterOperations(PtyOperations):
    """The end of /dev/ptmx."""

    __slots__ = ()

    def close(self, tty: Tty, file: File) -> None:
        slave = tty.link
        if tty.files or slave is None:
            return
        tty.packet = False
        slave.other_closed = True
        pts: Pts = tty.private
        devpts_pty_kill(pts.dentry)
        tty_vhangup(slave)
        if not slave.files:
            _free_index(slave)

    def ioctl(self, task: Task, tty: Tty, cmd: int, arg: int) -> int:
        mm = task.mm
        assert mm is not None
        slave = tty.link
        assert slave is not None
        pts: Pts = tty.private
        if cmd == io.TIOCGPTN:
            mm.write_u32(arg, pts.index)
        elif cmd == io.TIOCSPTLCK:
            tty.locked = mm.read_u32(arg) != 0
        elif cmd == io.TIOCGPTLCK:
            mm.write_u32(arg, int(tty.locked))
        elif cmd == io.TIOCPKT:
            _set_packet_mode(tty, slave, mm.read_u32(arg) != 0)
        elif cmd == io.TIOCGPKT:
            mm.write_u32(arg, int(tty.packet))
        elif cmd == io.TIOCSIG:
            if arg not in (SIGINT, SIGQUIT, SIGTSTP):
                raise EINVAL
            signal_pgrp(tty, slave.pgrp, arg)
        elif cmd == io.TIOCGPTPEER:
            return _open_peer(task, pts, arg)
        else:
            raise ENOIOCTLCMD
        return 0


def _set_packet_mode(tty: Tty, slave: Tty, on: bool) -> None:
    if on and not tty.packet:
        slave.pktstatus = 0
    tty.packet = on


def _open_peer(task: Task, pts: Pts, flags: int) -> int:
    """TIOCGPTPEER: a descriptor of the slave, whatever is mounted where."""
    fd = alloc_fd(task, 0, bool(flags & O_CLOEXEC))
    try:
        file = dentry_open(task, Path(pts.root.mnt, pts.dentry), flags & 0xFFFFFFFF)
    except BaseException:
        put_unused_fd(task, fd)
        raise
    file.f_flags = flags & 0xFFFFFFFF & ~_NOT_KEPT
    task.files.fd[fd] = file
    return fd


def _free_index(tty: Tty) -> None:
    """Both ends are closed: the number is free again."""
    pts: Pts = tty.private
    devpts_kill_index(pts.root.mnt.mnt_sb, pts.index)
    if tty.link is not None:
        tty.link.link = None
        tty.link = None


_MASTER_OPS: Final = MasterOperations()
_SLAVE_OPS: Final = SlaveOperations()


def new_pair(machine: Machine, pts: Pts) -> tuple[Tty, Tty]:
    """The two ends, (master, slave), not opened yet."""
    index = pts.index
    master = Tty(machine, _MASTER_OPS, f"ptm{index}", UNIX98_PTY_MASTER_MAJOR, index)
    slave = Tty(machine, _SLAVE_OPS, f"pts/{index}", UNIX98_PTY_SLAVE_MAJOR, index)
    master.termios = Termios2(
        0, 0, _CFLAG, 0, 0, slave.termios.c_cc, c_ispeed=38400, c_ospeed=38400
    )
    slave.termios.c_cflag = _CFLAG
    master.master = master.locked = True
    master.link, slave.link = slave, master
    master.private = slave.private = pts
    n_tty_open(master)
    n_tty_open(slave)
    return master, slave


def open_ptmx(task: Task, file: File) -> None:
    """Make a pair; `file` is its master. Errors: ENODEV, ENOSPC."""
    root = devpts_of(file.f_path)
    sb = root.mnt.mnt_sb
    pts = Pts(root, devpts_new_index(sb))
    try:
        master, slave = new_pair(task.machine, pts)
        pts.dentry = devpts_pty_new(task, sb, pts.index, slave)
    except BaseException:
        devpts_kill_index(sb, pts.index)
        raise
    tty_open_file(task, master, file, noctty=True)


def open_pts(task: Task, inode: Inode, file: File) -> None:
    """Open the slave whose node `inode` is. Errors: EIO."""
    tty: Tty | None = inode.i_private
    if inode.i_sb.s_magic != DEVPTS_SUPER_MAGIC or tty is None:
        raise EIO
    tty_open_file(task, tty, file, bool(file.f_flags & O_NOCTTY))
