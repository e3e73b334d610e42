# SPDX-License-Identifier: Apache-2.0
"""eventfd(2): a counter to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.anon_inodes import AnonFileOperations, anon_inode_getfd, put_u64
from pygos.include.errno import EAGAIN, EFAULT, EINVAL
from pygos.include.linux.syscalls import Flags, UInt, syscall
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.eventfd import EFD_CLOEXEC, EFD_MAX, EFD_NONBLOCK, EFD_SEMAPHORE
from pygos.include.uapi.fcntl import O_NONBLOCK, O_RDWR
from pygos.include.uapi.poll import POLLERR, POLLIN, POLLOUT

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

_ULLONG_MAX: Final = (1 << 64) - 1


class EventfdCtx:
    """struct eventfd_ctx."""

    __slots__ = ("count", "number", "semaphore", "wqh")

    def __init__(self, count: int, semaphore: bool) -> None:
        self.count = count
        self.semaphore = semaphore
        #: As fdinfo shows it; -1: nobody has looked.
        self.number = -1
        self.wqh = WaitQueue()

    def signal(self, count: int = 1) -> None:
        """Add to the counter from within the kernel; it saturates (eventfd_signal)."""
        self.count = min(self.count + count, _ULLONG_MAX)
        self.wqh.wake_all(POLLIN)


class EventfdFileOperations(AnonFileOperations):
    """eventfd_fops."""

    __slots__ = ()

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        if buf.length < 8:
            raise EINVAL
        ctx: EventfdCtx = file.private_data
        if not ctx.count:
            if file.f_flags & O_NONBLOCK:
                raise EAGAIN
            wait_on(task, ctx.wqh, why="eventfd_read")
        value = 1 if ctx.semaphore else ctx.count
        ctx.count -= value
        ctx.wqh.wake_all(POLLOUT)
        return put_u64(buf, value)

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        if buf.length != 8:
            raise EINVAL
        ctx: EventfdCtx = file.private_data
        data = buf.take(8)
        if len(data) < 8:
            raise EFAULT
        value = int.from_bytes(data, "little")
        if value == _ULLONG_MAX:
            raise EINVAL
        if ctx.count + value > EFD_MAX:
            if file.f_flags & O_NONBLOCK:
                raise EAGAIN
            wait_on(task, ctx.wqh, why="eventfd_write")
        ctx.count += value
        ctx.wqh.wake_all(POLLIN)
        return 8

    def poll(self, task: Task, file: File) -> int:
        count: int = file.private_data.count
        mask = POLLIN if count else 0
        if count == _ULLONG_MAX:
            mask |= POLLERR
        if count < EFD_MAX:
            mask |= POLLOUT
        return mask

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...]:
        return (file.private_data.wqh,)

    def fdinfo(self, file: File) -> str:
        ctx: EventfdCtx = file.private_data
        return (
            f"eventfd-count: {ctx.count:16x}\neventfd-id: {self._number(file, ctx)}\n"
            f"eventfd-semaphore: {int(ctx.semaphore)}\n"
        )

    @staticmethod
    def _number(file: File, ctx: EventfdCtx) -> int:
        """The counter's own number, given when somebody asks first."""
        if ctx.number < 0:
            misc = file.f_inode.i_sb.machine.misc
            ctx.number = misc.get("eventfd_numbers", 0)
            misc["eventfd_numbers"] = ctx.number + 1
        return ctx.number


EVENTFD_FOPS: Final = EventfdFileOperations()


@syscall
def eventfd2(task: Task, count: UInt, flags: Flags) -> int:
    """Make an eventfd whose counter starts at `count`. eventfd(2).

    Errors: EINVAL for unknown flags, EMFILE, ENFILE.
    """
    if flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK):
        raise EINVAL
    ctx = EventfdCtx(count, bool(flags & EFD_SEMAPHORE))
    file_flags = O_RDWR | (O_NONBLOCK if flags & EFD_NONBLOCK else 0)
    cloexec = bool(flags & EFD_CLOEXEC)
    return anon_inode_getfd(task, b"[eventfd]", EVENTFD_FOPS, ctx, file_flags, cloexec)


@syscall
def eventfd(task: Task, count: UInt) -> int:
    """eventfd2 without flags."""
    return eventfd2(task, count, 0)
