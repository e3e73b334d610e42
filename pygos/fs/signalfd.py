# SPDX-License-Identifier: Apache-2.0
"""signalfd(2): pending signals read as records.

A signalfd shows the signals of whoever reads or polls it, not of its maker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.anon_inodes import AnonFileOperations, anon_inode_getfd
from pygos.include.errno import EAGAIN, EBADF, EFAULT, EINVAL
from pygos.include.linux.fs import FMODE_PATH
from pygos.include.linux.syscalls import Fd, Flags, Size, UserAddr, syscall
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.fcntl import O_NONBLOCK, O_RDWR
from pygos.include.uapi.poll import POLLIN
from pygos.include.uapi.signal import (
    SFD_CLOEXEC,
    SFD_NONBLOCK,
    SIGKILL,
    SIGSTOP,
    Siginfo,
    SignalfdSiginfo,
)
from pygos.kernel.signal import dequeue_signal

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import SigInfo, Task

_M64: Final = (1 << 64) - 1
_UNBLOCKABLE: Final = 1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1)


class SignalfdCtx:
    """struct signalfd_ctx: `mask` has the bits of the wanted signals."""

    __slots__ = ("mask", "poller")

    def __init__(self, mask: int) -> None:
        self.mask = mask
        #: The group that polled last: its queue is the one to sleep on.
        self.poller: Any = None


def _record(info: SigInfo) -> bytes:
    """struct signalfd_siginfo of a signal."""
    if info.raw is not None:
        raw = Siginfo.from_bytes(info.raw)
        pid, uid, value = raw.si_pid & 0xFFFFFFFF, raw.si_uid, raw.si_value
        code, errno = raw.si_code, raw.si_errno
    else:
        pid, uid, value, code, errno = info.pid, info.uid, info.value, info.code, info.errno
    return SignalfdSiginfo(
        ssi_signo=info.signo,
        ssi_errno=errno,
        ssi_code=code,
        ssi_pid=pid,
        ssi_uid=uid,
        ssi_fd=info.fd,
        ssi_tid=info.timerid,
        ssi_band=info.band,
        ssi_overrun=info.overrun,
        ssi_status=info.status,
        ssi_int=value & 0xFFFFFFFF,
        ssi_ptr=value,
        ssi_utime=info.utime,
        ssi_stime=info.stime,
        ssi_addr=info.addr,
        ssi_syscall=info.syscall,
        ssi_arch=info.arch,
    ).to_bytes()


class SignalfdFileOperations(AnonFileOperations):
    """signalfd_fops."""

    __slots__ = ()

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        room = buf.length // SignalfdSiginfo.SIZE
        if not room:
            raise EINVAL
        others = ~file.private_data.mask & _M64
        done = 0
        while room:
            info = dequeue_signal(task, others)
            if info is None:
                break
            try:
                buf.put(_record(info))
            except EFAULT:
                if not done:
                    raise
                break
            done += SignalfdSiginfo.SIZE
            room -= 1
        if done:
            return done
        if file.f_flags & O_NONBLOCK:
            raise EAGAIN
        wait_on(task, task.group.poll_queue, why="signalfd_read")

    def poll(self, task: Task, file: File) -> int:
        ctx: SignalfdCtx = file.private_data
        group = task.group
        ctx.poller = group
        return POLLIN if (task.pending.mask | group.shared_pending.mask) & ctx.mask else 0

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...]:
        group = file.private_data.poller
        return (group.poll_queue,) if group is not None else ()

    def fdinfo(self, file: File) -> str:
        return f"sigmask:\t{file.private_data.mask:016x}\n"


SIGNALFD_FOPS: Final = SignalfdFileOperations()


@syscall
def signalfd4(task: Task, ufd: Fd, user_mask: UserAddr, sizemask: Size, flags: Flags) -> int:
    """Make a signalfd (ufd -1), or change the mask of one. signalfd(2).

    Errors: EBADF, EFAULT, EINVAL, EMFILE, ENFILE.
    """
    if sizemask != 8:
        raise EINVAL
    assert task.mm is not None
    mask = task.mm.read_u64(user_mask) & ~_UNBLOCKABLE
    if flags & ~(SFD_CLOEXEC | SFD_NONBLOCK):
        raise EINVAL
    if ufd == -1:
        ctx = SignalfdCtx(mask)
        ctx.poller = task.group
        nonblock = O_NONBLOCK if flags & SFD_NONBLOCK else 0
        cloexec = bool(flags & SFD_CLOEXEC)
        name = b"[signalfd]"
        return anon_inode_getfd(task, name, SIGNALFD_FOPS, ctx, O_RDWR | nonblock, cloexec)
    file = task.files.fd.get(ufd)
    if file is None or file.f_mode & FMODE_PATH:
        raise EBADF
    if file.f_op is not SIGNALFD_FOPS:
        raise EINVAL
    file.private_data.mask = mask
    task.group.poll_queue.wake_all()
    return ufd


@syscall
def signalfd(task: Task, ufd: Fd, user_mask: UserAddr, sizemask: Size) -> int:
    """signalfd4 without flags."""
    return signalfd4(task, ufd, user_mask, sizemask, 0)
