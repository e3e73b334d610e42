# SPDX-License-Identifier: Apache-2.0
"""/dev/random, /dev/urandom and getrandom(2), random(4): all from ``machine.entropy``.

The machine's generator is seeded at boot, so nothing ever blocks. What programs write into
the devices is mixed into nothing: it is accepted and forgotten, as it may be public.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.drivers.char.chunks import read_chunks
from pygos.fs.char_dev import register_chrdev
from pygos.include.errno import EFAULT, EINVAL, ENOTTY, EPERM
from pygos.include.linux.fs import File, FileOperations
from pygos.include.linux.syscalls import UInt, UserOut, syscall
from pygos.include.linux.wait import WaitQueue
from pygos.include.uapi.major import MEM_MAJOR, RANDOM_MINOR, URANDOM_MINOR
from pygos.include.uapi.poll import POLLIN, POLLRDNORM
from pygos.include.uapi.random import (
    GRND_INSECURE,
    GRND_NONBLOCK,
    GRND_RANDOM,
    RNDADDENTROPY,
    RNDADDTOENTCNT,
    RNDCLEARPOOL,
    RNDGETENTCNT,
    RNDRESEEDCRNG,
    RNDZAPENTCNT,
)

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

CAP_SYS_ADMIN: Final = 21
#: What RNDGETENTCNT and /proc/sys/kernel/random/entropy_avail show: bits.
POOL_BITS: Final = 256
_MIX_STEP: Final = 65536


def _random(task: Task, count: int) -> bytes:
    return task.machine.entropy.bytes(count)


class UrandomFileOperations(FileOperations):
    """/dev/urandom: can't be polled."""

    __slots__ = ()

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        return file.f_pos  # noop_llseek

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        return read_chunks(task, buf, _random)

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        done = 0
        while buf.length:  # the bytes are read for their faults only
            try:
                moved = len(buf.take(_MIX_STEP))
            except EFAULT:
                if not done:
                    raise
                break
            done += moved
            if not moved or done >= 1 << 24:
                break
        return done

    def ioctl(self, task: Task, file: File, cmd: int, arg: int) -> int:
        assert task.mm is not None
        if cmd == RNDGETENTCNT:
            task.mm.write_u32(arg, POOL_BITS)
            return 0
        if cmd not in (
            RNDADDTOENTCNT, RNDADDENTROPY, RNDZAPENTCNT, RNDCLEARPOOL, RNDRESEEDCRNG,
        ):  # fmt: skip
            raise ENOTTY
        if not task.cred.capable(CAP_SYS_ADMIN):
            raise EPERM
        if cmd in (RNDADDTOENTCNT, RNDADDENTROPY) and task.mm.read_u32(arg) >> 31:
            raise EINVAL
        return 0


class RandomFileOperations(UrandomFileOperations):
    """/dev/random: can be polled, and is always readable."""

    __slots__ = ()

    def poll(self, task: Task, file: File) -> int:
        return POLLIN | POLLRDNORM

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...]:
        return ()


RANDOM_FOPS: Final = RandomFileOperations()
URANDOM_FOPS: Final = UrandomFileOperations()


@syscall
def getrandom(task: Task, buf: UserOut, flags: UInt) -> int:
    """Random bytes. getrandom(2).

    Errors: EINVAL for unknown flags, EFAULT.
    """
    if flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE):
        raise EINVAL
    if flags & (GRND_INSECURE | GRND_RANDOM) == GRND_INSECURE | GRND_RANDOM:
        raise EINVAL
    return read_chunks(task, buf, _random)


def init_random(machine: Machine) -> None:
    """Register the devices."""
    register_chrdev(machine, MEM_MAJOR, RANDOM_MINOR, "mem", RANDOM_FOPS)
    register_chrdev(machine, MEM_MAJOR, URANDOM_MINOR, "mem", URANDOM_FOPS)
