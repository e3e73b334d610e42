# SPDX-License-Identifier: Apache-2.0
"""Batches of messages: sendmmsg(2), recvmmsg(2)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from pygos.fs.select import read_timespec
from pygos.include.errno import EAGAIN, Errno, Restart
from pygos.include.linux.syscalls import FileArg, UInt, UserAddr, syscall
from pygos.include.linux.wait import WouldSleep
from pygos.include.uapi.socket import MSG_DONTWAIT, MSG_WAITFORONE
from pygos.include.uapi.uio import UIO_MAXIOV
from pygos.net.socket import do_recvmsg, do_sendmsg, sockfd_lookup

if TYPE_CHECKING:
    from collections.abc import Callable

    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task

#: sizeof(struct mmsghdr), offsetof(struct mmsghdr, msg_len).
_SIZE: Final = 64
_LEN: Final = 56
_TIMESPEC: Final = Struct("<qq")
_NSEC: Final = 1_000_000_000


class Batch:
    """task.restart of a batch that sleeps: messages done, and the inner call's own record.

    `deadline`: monotonic ns or None.
    """

    __slots__ = ("deadline", "done", "inner")

    def __init__(self, deadline: int | None) -> None:
        self.done = 0
        self.inner: Any = None
        self.deadline = deadline


def _one(
    task: Task, batch: Batch, file: File, vec: int, flags: int,
    call: Callable[[Task, File, int, int], int],
) -> None:  # fmt: skip
    """The next message, with its own task.restart while it runs."""
    task.restart = batch.inner
    entry = vec + batch.done * _SIZE
    try:
        count = call(task, file, entry, flags)
    except WouldSleep:
        batch.inner = task.restart
        task.restart = batch
        raise
    except BaseException:
        task.restart = None
        raise
    task.restart = batch.inner = None
    mm: Any = task.mm
    mm.write_u32(entry + _LEN, count)
    batch.done += 1


def _batch(task: Task, deadline: int | None) -> Batch:
    state = task.restart
    return state if type(state) is Batch else Batch(deadline)


@syscall
def sendmmsg(task: Task, file: FileArg, mmsg: UserAddr, vlen: UInt, flags: UInt) -> int:
    """Send several messages; how many were sent. sendmmsg(2). Errors: as sendmsg."""
    sockfd_lookup(file)
    batch = _batch(task, None)
    vlen = min(vlen, UIO_MAXIOV)
    try:
        while batch.done < vlen:
            _one(task, batch, file, mmsg, flags, do_sendmsg)
    except Errno:
        if not batch.done:
            raise
    return batch.done


@syscall
def recvmmsg(
    task: Task, file: FileArg, mmsg: UserAddr, vlen: UInt, flags: UInt, timeout: UserAddr
) -> int:
    """Receive several messages; how many came. recvmmsg(2).

    The timeout is looked at after each message only, as on Linux. Errors: as recvmsg;
    EINVAL (timeout).
    """
    deadline = None
    now = task.machine.clock.monotonic
    if timeout and type(task.restart) is not Batch:
        deadline = now() + read_timespec(task, timeout)
    sock = sockfd_lookup(file)
    batch = _batch(task, deadline)
    vlen = min(vlen, UIO_MAXIOV)
    if not batch.done:
        sock.sk.sock_error()
    inner = flags & ~MSG_WAITFORONE
    try:
        while batch.done < vlen:
            one = inner | MSG_DONTWAIT if flags & MSG_WAITFORONE and batch.done else inner
            _one(task, batch, file, mmsg, one, do_recvmsg)
            if batch.deadline is not None and now() >= batch.deadline:
                break
    except Errno as error:
        if not batch.done:
            raise
        if not isinstance(error, (EAGAIN, Restart)):
            sock.sk.err = type(error)
    if batch.deadline is not None:
        left = max(batch.deadline - now(), 0)
        mm: Any = task.mm
        mm.write(timeout, _TIMESPEC.pack(*divmod(left, _NSEC)))
    return batch.done
