# SPDX-License-Identifier: Apache-2.0
"""/dev/kmsg: the kernel's log as records, and programs' lines into it.

Each read gives one record, ``prio,seq,us,flags;text\\n``; a reader that was overtaken by the
ring gets EPIPE once and goes on with the oldest record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.char_dev import register_chrdev
from pygos.include.errno import EAGAIN, EINVAL, EPERM, EPIPE, ESPIPE
from pygos.include.linux.fs import FMODE_READ, File, FileOperations, Inode
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.fcntl import (
    O_ACCMODE,
    O_NONBLOCK,
    O_WRONLY,
    SEEK_DATA,
    SEEK_END,
    SEEK_SET,
)
from pygos.include.uapi.major import KMSG_MINOR, MEM_MAJOR
from pygos.include.uapi.poll import POLLERR, POLLIN, POLLPRI, POLLRDNORM

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

CAP_SYSLOG: Final = 34
CAP_SYS_ADMIN: Final = 21
LOG_USER: Final = 1
LOG_LINE_MAX: Final = 992
DEFAULT_LEVEL: Final = 4


class KmsgReader:
    """Where one open file stands: the number of the record to read next."""

    __slots__ = ("seq",)

    def __init__(self, seq: int) -> None:
        self.seq = seq


def _first_seq(printk: Any) -> int:
    records = printk.records
    return int(records[0].seq) if records else int(printk.next_seq)


def _record_text(record: Any) -> bytes:
    """One record as programs read it; unprintable bytes as \\xNN."""
    parts: list[str] = []
    for byte in record.text.encode("utf-8", "surrogateescape"):
        if byte < 0x20 or byte >= 0x7F or byte == 0x5C:
            parts.append(f"\\x{byte:02x}")
        else:
            parts.append(chr(byte))
    prio = record.facility << 3 | record.level
    return f"{prio},{record.seq},{record.us},-;{''.join(parts)}\n".encode("ascii")


class KmsgFileOperations(FileOperations):
    """kmsg_fops."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        printk: Any = task.machine.printk
        if file.f_flags & O_ACCMODE != O_WRONLY:
            restricted = task.machine.sysctl.get("kernel.dmesg_restrict", 0)
            cred = task.cred
            if restricted and not (cred.capable(CAP_SYSLOG) or cred.capable(CAP_SYS_ADMIN)):
                raise EPERM
        file.private_data = KmsgReader(_first_seq(printk))

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        reader: KmsgReader = file.private_data
        printk: Any = task.machine.printk
        if reader.seq >= printk.next_seq:
            if file.f_flags & O_NONBLOCK:
                raise EAGAIN
            wait_on(task, printk.wait, why="devkmsg_read")
        first = _first_seq(printk)
        if reader.seq < first:
            reader.seq = first
            raise EPIPE
        text = _record_text(printk.records[reader.seq - first])
        if len(text) > buf.length:
            raise EINVAL
        moved = buf.put(text)
        reader.seq += 1
        return moved

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        size = buf.length
        if size > LOG_LINE_MAX:
            raise EINVAL
        if not size:
            return 0
        level, facility, text = _parse(buf.take(size))
        printk: Any = task.machine.printk
        printk.log(level, text, facility)
        return size

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        reader: KmsgReader = file.private_data
        printk: Any = task.machine.printk
        if offset:
            raise ESPIPE
        if whence == SEEK_SET:
            reader.seq = _first_seq(printk)
        elif whence == SEEK_DATA:
            reader.seq = max(printk.clear_seq, _first_seq(printk))
        elif whence == SEEK_END:
            reader.seq = printk.next_seq
        else:
            raise EINVAL
        return 0

    def poll(self, task: Task, file: File) -> int:
        if not file.f_mode & FMODE_READ:
            return POLLERR | POLLPRI
        printk: Any = task.machine.printk
        reader: KmsgReader = file.private_data
        if reader.seq >= printk.next_seq:
            return 0
        mask = POLLIN | POLLRDNORM
        return mask | POLLERR | POLLPRI if reader.seq < _first_seq(printk) else mask

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...] | None:
        printk: Any = file.f_inode.i_sb.machine.printk
        return (printk.wait,)


def _parse(data: bytes) -> tuple[int, int, str]:
    """``<prio>text``: (level, facility, text). Programs can't write as facility 0."""
    level, facility = DEFAULT_LEVEL, LOG_USER
    text = data.decode("utf-8", "surrogateescape")
    if text.startswith("<"):
        number, closing, rest = text[1:].partition(">")
        if closing and number.isascii() and number.isdigit() and len(number) < 9:
            prio = int(number)
            level = prio & 7
            facility = prio >> 3 & 0xFF or LOG_USER
            text = rest
    return level, facility, text.removesuffix("\n")


KMSG_FOPS: Final = KmsgFileOperations()


def init_kmsg(machine: Machine) -> None:
    """Register the device."""
    register_chrdev(machine, MEM_MAJOR, KMSG_MINOR, "mem", KMSG_FOPS)
