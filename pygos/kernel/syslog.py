# SPDX-License-Identifier: Apache-2.0
"""syslog(2): programs reading the kernel log (klogctl(3), dmesg -S)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.syscalls import Int, UserAddr, syscall
from pygos.include.linux.wait import wait_on
from pygos.include.uapi import syslog as uapi
from pygos.include.uapi.capability import CAP_SYS_ADMIN, CAP_SYSLOG

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.kernel.printk import Printk, Record

#: machine.misc: first record that SYSLOG_ACTION_READ has not given out; console state.
_SEQ: Final = "syslog_seq"
_CONSOLE: Final = "console_loglevel"
_CONSOLE_SAVED: Final = "console_loglevel_saved"
_DEFAULT_LEVEL: Final = 4
_MINIMUM_LEVEL: Final = 1
#: What a record takes in Linux' ring is about this; the ring here counts records.
_BUFFER_SIZE: Final = 1 << 20


def record_text(record: Record) -> bytes:
    """One line as syslog(2) gives it: ``<6>[    1.234567] text``."""
    priority = record.facility << 3 | record.level
    return f"<{priority}>{record.console_text()}\n".encode("utf-8", "replace")


def _log(machine: Machine) -> Printk:
    return cast("Printk", machine.printk)


def _check(task: Task, action: int) -> None:
    """Reading all of it is open to everybody unless kernel.dmesg_restrict is set. EPERM."""
    free = (uapi.SYSLOG_ACTION_READ_ALL, uapi.SYSLOG_ACTION_SIZE_BUFFER)
    if action in free and not task.machine.sysctl.get("kernel.dmesg_restrict", 0):
        return
    if not (task.cred.capable(CAP_SYSLOG) or task.cred.capable(CAP_SYS_ADMIN)):
        raise EPERM


@syscall
def syslog(task: Task, action: Int, buf: UserAddr, length: Int) -> int:
    """Read and clear the kernel log, set the console level. syslog(2).

    Errors: EINVAL for an unknown action or a bad buffer; EPERM; EFAULT; EINTR by restart.
    """
    _check(task, action)
    if action in (uapi.SYSLOG_ACTION_CLOSE, uapi.SYSLOG_ACTION_OPEN):
        return 0
    if action in (
        uapi.SYSLOG_ACTION_READ, uapi.SYSLOG_ACTION_READ_ALL, uapi.SYSLOG_ACTION_READ_CLEAR
    ):  # fmt: skip
        return _read(task, action, buf, length)
    log = _log(task.machine)
    if action == uapi.SYSLOG_ACTION_CLEAR:
        log.clear_seq = log.next_seq
        return 0
    if action == uapi.SYSLOG_ACTION_SIZE_UNREAD:
        return sum([len(record_text(record)) for record in _unread(task.machine)])
    if action == uapi.SYSLOG_ACTION_SIZE_BUFFER:
        return _BUFFER_SIZE
    return _console(task.machine, action, length)


def _read(task: Task, action: int, buf: int, length: int) -> int:
    if not buf or length < 0:
        raise EINVAL
    if not length:
        return 0
    if action == uapi.SYSLOG_ACTION_READ:
        return _read_next(task, buf, length)
    log = _log(task.machine)
    records = [record for record in log.records if record.seq >= log.clear_seq]
    chosen: list[bytes] = []
    room = length
    for record in reversed(records):
        text = record_text(record)
        if len(text) > room:
            break
        room -= len(text)
        chosen.append(text)
    data = b"".join(reversed(chosen))
    assert task.mm is not None
    task.mm.write(buf, data)
    if action == uapi.SYSLOG_ACTION_READ_CLEAR:
        log.clear_seq = log.next_seq
    return len(data)


def _unread(machine: Machine) -> list[Record]:
    first = machine.misc.get(_SEQ, 0)
    return [record for record in _log(machine).records if record.seq >= first]


def _read_next(task: Task, buf: int, length: int) -> int:
    """Whole records that were not read yet, waiting for one."""
    machine = task.machine
    data = b""
    last = None
    for record in _unread(machine):
        text = record_text(record)
        if len(data) + len(text) > length:
            break
        data += text
        last = record.seq
    if last is None:
        if _unread(machine):
            raise EINVAL  # not even one fits
        wait_on(task, _log(machine).wait, why="syslog")
    assert task.mm is not None
    task.mm.write(buf, data)
    machine.misc[_SEQ] = last + 1
    return len(data)


def _console(machine: Machine, action: int, level: int) -> int:
    """The console's level; kept for /proc/sys/kernel/printk."""
    misc = machine.misc
    if action == uapi.SYSLOG_ACTION_CONSOLE_OFF:
        misc.setdefault(_CONSOLE_SAVED, misc.get(_CONSOLE, _DEFAULT_LEVEL))
        misc[_CONSOLE] = _MINIMUM_LEVEL
    elif action == uapi.SYSLOG_ACTION_CONSOLE_ON:
        if _CONSOLE_SAVED in misc:
            misc[_CONSOLE] = misc.pop(_CONSOLE_SAVED)
    elif action == uapi.SYSLOG_ACTION_CONSOLE_LEVEL:
        if not 1 <= level <= 8:
            raise EINVAL
        misc[_CONSOLE] = max(level, _MINIMUM_LEVEL)
        misc.pop(_CONSOLE_SAVED, None)
    else:
        raise EINVAL
    return 0
