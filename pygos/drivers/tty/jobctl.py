# SPDX-License-Identifier: Apache-2.0
"""Controlling terminals, foreground process groups and hangup (drivers/tty/tty_jobctrl.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.drivers.tty.tty import Tty, signal_pgrp, tty_buffer_flush, wake_hangup
from pygos.include.errno import EINVAL, EIO, ENOTTY, EPERM, ERESTARTSYS, ESRCH
from pygos.include.linux.fs import FMODE_READ, File, FileOperations
from pygos.include.linux.pid_namespace import find_vpid, pid_vnr
from pygos.include.linux.sched import SigInfo
from pygos.include.linux.wait import WaitQueue
from pygos.include.uapi.ioctls import TIOCSPGRP
from pygos.include.uapi.poll import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
)
from pygos.include.uapi.signal import SI_KERNEL, SIG_IGN, SIGCONT, SIGHUP, SIGTTIN, SIGTTOU
from pygos.kernel.signal import is_orphaned_pgrp, send_sig_info

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

CAP_SYS_ADMIN: Final = 21


# -- background processes


def _is_ignored(task: Task, signo: int) -> bool:
    return bool(task.blocked >> (signo - 1) & 1) or task.sighand.action[signo].handler == SIG_IGN


def tty_check_change(task: Task, tty: Tty, signo: int = SIGTTOU) -> None:
    """May this process touch its terminal? Background ones are stopped by a signal.

    Errors: EIO (orphaned, or SIGTTIN is ignored), ERESTARTSYS (the group was signalled).
    """
    group = task.group
    if group.ctty is not tty or not tty.pgrp or group.pgrp == tty.pgrp:
        return
    if _is_ignored(task, signo):
        if signo == SIGTTIN:
            raise EIO
        return
    if is_orphaned_pgrp(task):
        raise EIO
    signal_pgrp(tty, group.pgrp, signo)
    raise ERESTARTSYS


# -- getting and losing the controlling terminal


def proc_set_tty(task: Task, tty: Tty) -> None:
    """`tty` becomes the controlling terminal of the caller's session."""
    tty.pgrp = task.group.pgrp
    tty.session = task.group.session
    task.group.ctty = tty


def open_proc_set_tty(task: Task, tty: Tty, file: File) -> None:
    """A session leader without a terminal opened one."""
    group = task.group
    if group.session_leader and group.ctty is None and not tty.session and file.f_mode & FMODE_READ:
        proc_set_tty(task, tty)


def session_clear_tty(tty: Tty, session: int) -> None:
    """No process of the session has the terminal any more."""
    for leader in tuple(tty.machine.pids.sessions.get(session, ())):
        if leader.group.ctty is tty:
            leader.group.ctty = None


def tiocsctty(task: Task, tty: Tty, file: File, arg: int) -> int:
    """TIOCSCTTY: make it the controlling terminal. Errors: EPERM."""
    group = task.group
    if group.session_leader and group.session == tty.session:
        return 0
    if not group.session_leader or group.ctty is not None:
        raise EPERM
    privileged = task.cred.capable(CAP_SYS_ADMIN)
    if tty.session:
        if arg != 1 or not privileged:
            raise EPERM
        session_clear_tty(tty, tty.session)
    if not file.f_mode & FMODE_READ and not privileged:
        raise EPERM
    proc_set_tty(task, tty)
    return 0


def tiocnotty(task: Task, tty: Tty) -> int:
    """TIOCNOTTY: give the controlling terminal up. Errors: ENOTTY."""
    if task.group.ctty is not tty:
        raise ENOTTY
    disassociate_ctty(task, False)
    task.group.ctty = None
    return 0


def disassociate_ctty(task: Task, on_exit: bool = True) -> None:
    """A session leader exits (or gives its terminal up): the session loses it.

    The foreground group gets SIGHUP; a terminal that is no pty is hung up altogether.
    """
    group = task.group
    if not group.session_leader:
        return
    tty: Tty | None = group.ctty
    if tty is None:
        return
    if on_exit and tty.link is None:
        tty_hangup(tty, exit_session=True)
    elif tty.pgrp:
        signal_pgrp(tty, tty.pgrp, SIGHUP)
        if not on_exit:
            signal_pgrp(tty, tty.pgrp, SIGCONT)
    session_clear_tty(tty, group.session)
    if tty.session == group.session:
        tty.session = tty.pgrp = 0
    group.ctty = None


# -- ioctls about groups


def tiocgpgrp(task: Task, tty: Tty, real: Tty) -> int:
    """The foreground process group, 0 if none. Errors: ENOTTY."""
    if tty is real and task.group.ctty is not real:
        raise ENOTTY
    return pid_vnr(task, real.pgrp)


def tiocspgrp(task: Task, real: Tty, arg: int) -> int:
    """Set the foreground process group. Errors: ENOTTY, EINVAL, EPERM, ESRCH, EFAULT."""
    try:
        tty_check_change(task, real)
    except EIO:
        raise ENOTTY from None
    assert task.mm is not None
    pgrp = task.mm.read_u32(arg)
    if pgrp >> 31:
        raise EINVAL
    group = task.group
    if group.ctty is None or group.ctty is not real or real.session != group.session:
        raise ENOTTY
    pgrp = find_vpid(task, pgrp)
    pids = task.machine.pids
    members = pids.pgrps.get(pgrp)
    # As session_of_pgrp: a number that is no group's may still be a process'.
    found = next(iter(members)) if members else pids.tasks.get(pgrp)
    if found is None:
        raise ESRCH
    if found.group.session != group.session:
        raise EPERM
    real.pgrp = pgrp
    return 0


def tiocgsid(task: Task, tty: Tty, real: Tty) -> int:
    """The session of the terminal. Errors: ENOTTY."""
    if (tty is real and task.group.ctty is not real) or not real.session:
        raise ENOTTY
    return pid_vnr(task, real.session)


# -- hangup


class HungUpFileOperations(FileOperations):
    """What is left of an open terminal after a hangup."""

    __slots__ = ()

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        """End of file; for a read that slept when it happened EIO if the other side closed."""
        done = int(getattr(task.restart, "done", 0))
        if not done and task.in_syscall and file.private_data.other_closed:
            raise EIO
        return done

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        done = int(getattr(task.restart, "done", 0))
        if not done:
            raise EIO
        return done

    def poll(self, task: Task, file: File) -> int:
        return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...]:
        return (file.private_data.read_wait,)

    def ioctl(self, task: Task, file: File, cmd: int, arg: int) -> int:
        raise ENOTTY if cmd == TIOCSPGRP else EIO

    def release(self, file: File) -> None:
        from pygos.drivers.tty.tty_io import tty_release

        tty_release(file)


HUNG_UP_FOPS: Final = HungUpFileOperations()


def _signal_session(tty: Tty, exit_session: bool) -> None:
    """SIGHUP and SIGCONT to the session leader, and on its exit to the foreground group."""
    hangup: Any = SigInfo(SIGHUP, SI_KERNEL)
    for leader in tuple(tty.machine.pids.sessions.get(tty.session, ())):
        group = leader.group
        if group.ctty is tty:
            group.ctty = None
        if group.session_leader:
            send_sig_info(leader, hangup, True)
            send_sig_info(leader, SigInfo(SIGCONT, SI_KERNEL), True)
    if exit_session and tty.pgrp:
        signal_pgrp(tty, tty.pgrp, SIGHUP)


def tty_hangup(tty: Tty, exit_session: bool = False) -> None:
    """The line is cut: open files go dead, the session hears of it."""
    from pygos.drivers.tty.n_tty import n_tty_open

    if tty.hung_up and not tty.files:
        return
    for file in tty.files:
        file.f_op = HUNG_UP_FOPS
    if tty.session:
        _signal_session(tty, exit_session)
    tty_buffer_flush(tty)
    tty.ops.flush_buffer(tty)
    n_tty_open(tty)
    tty.stopped = tty.tco_stopped = False
    tty.session = tty.pgrp = 0
    tty.pktstatus = 0
    tty.hung_up = True
    wake_hangup(tty)


def tty_vhangup(tty: Tty) -> None:
    """As by vhangup(2) or the close of a pty's master."""
    tty_hangup(tty)
