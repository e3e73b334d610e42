# SPDX-License-Identifier: Apache-2.0
"""Signal-driven I/O: O_ASYNC and what F_SETOWN and F_SETSIG say about it. fcntl(2).

A file with O_ASYNC has a ``FasyncStruct`` in its wait queues, which turns wake-ups into
signals for the file's owner. Only some kinds of files take part (``supports_fasync``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.linux.sched import SigInfo
from pygos.include.linux.wait import WaitQueue
from pygos.include.uapi.fcntl import FASYNC
from pygos.include.uapi.poll import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLMSG,
    POLLOUT,
    POLLPRI,
    POLLRDBAND,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
)
from pygos.include.uapi.signal import (
    SI_KERNEL,
    SI_SIGIO,
    SIGBUS,
    SIGCHLD,
    SIGFPE,
    SIGILL,
    SIGIO,
    SIGSEGV,
    SIGSYS,
    SIGTRAP,
)
from pygos.kernel.signal import send_sig_info

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: f_owner of a thread (F_OWNER_TID): its number with this bit; groups are negative.
OWNER_TID: Final = 1 << 32
#: si_code and si_band of SIGIO.
_IN: Final = (1, POLLIN | POLLRDNORM)
_OUT: Final = (2, POLLOUT | POLLWRNORM | POLLWRBAND)
_ERR: Final = (4, POLLERR)
_PRI: Final = (5, POLLPRI | POLLRDBAND)
_HUP: Final = (6, POLLHUP | POLLERR)
#: What happened, the most telling first.
_REASONS: Final = (
    (POLLIN | POLLRDNORM | POLLMSG, _IN),
    (POLLOUT | POLLWRNORM, _OUT),
    (POLLPRI, _PRI),
    (POLLHUP, _HUP),
    (POLLERR, _ERR),
)
#: Their si_code has a meaning of its own, so SI_SIGIO stands in for the reason.
_OWN_CODES: Final = (SIGILL, SIGFPE, SIGSEGV, SIGBUS, SIGTRAP, SIGCHLD, SIGSYS)


class FasyncStruct:
    """O_ASYNC of one open file, in the wait queues that poll(2) would sleep on."""

    __slots__ = ("fd", "file", "queues")

    def __init__(self, file: File, fd: int) -> None:
        self.file = file
        self.fd = fd
        self.queues: tuple[WaitQueue, ...] = ()

    def wake(self, queue: WaitQueue, key: int) -> None:
        """Waiter protocol: the file has news; without a reason it isn't worth a signal."""
        for mask, (code, band) in _REASONS:
            if key & mask:
                send_sigio(self.file, self.fd, code, band)
                return


def fasync_helper(task: Task, fd: int, file: File, on: bool) -> None:
    """Switch O_ASYNC of a file that supports it. The last descriptor it was set by counts."""
    old = _find(file)
    if old is not None:
        for queue in old.queues:
            queue.remove(old)
        file.f_flags &= ~FASYNC
    if not on:
        return
    file.f_op.fasync(task, file)
    entry = FasyncStruct(file, fd)
    file.f_op.poll(task, file)  # pipes wake their readers at every write from now on
    entry.queues = file.f_op.poll_queues(file) or ()
    for queue in entry.queues:
        queue.add(entry)
    file.f_flags |= FASYNC


def fasync_release(file: File) -> None:
    """The file with O_ASYNC is being released."""
    entry = _find(file)
    if entry is not None:
        for queue in entry.queues:
            queue.remove(entry)


def _find(file: File) -> FasyncStruct | None:
    if not file.f_flags & FASYNC:
        return None
    for queue in file.f_op.poll_queues(file) or ():
        for waiter in queue.waiters:
            if type(waiter) is FasyncStruct and waiter.file is file:
                return waiter
    return None


def send_sigio(file: File, fd: int, code: int, band: int) -> None:
    """Tell the owner of the file; nobody, if there is none or it isn't the owner's to know."""
    owner = file.f_owner
    if not owner:
        return
    machine = file.f_inode.i_sb.machine
    for target in _targets(machine, owner):
        _send_to_task(target, file, fd, code, band, group=not owner & OWNER_TID or owner < 0)


def _targets(machine: Machine, owner: int) -> tuple[Task, ...]:
    if owner < 0:
        return tuple(machine.pids.pgrps.get(-owner, ()))
    target = machine.pids.tasks.get(owner & ~OWNER_TID)
    return (target,) if target is not None else ()


def _send_to_task(target: Task, file: File, fd: int, code: int, band: int, group: bool) -> None:
    mine, theirs = file.f_cred, target.cred
    if mine.euid and not {mine.euid, mine.uid} & {theirs.suid, theirs.uid}:
        return
    signo = file.f_sig
    if signo:
        if signo in _OWN_CODES:
            code = SI_SIGIO
        if send_sig_info(target, SigInfo(signo, code, band=band, fd=fd), group):
            return
    send_sig_info(target, SigInfo(SIGIO, SI_KERNEL), group)  # also if the queue is full
