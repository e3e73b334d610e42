# SPDX-License-Identifier: Apache-2.0
"""The wall clock being set, and who must know; adjtimex(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL, EOPNOTSUPP, EPERM
from pygos.include.linux.syscalls import Int, UserAddr, syscall
from pygos.include.linux.wait import WaitQueue
from pygos.include.uapi.capability import CAP_SYS_TIME
from pygos.include.uapi.time import CLOCK_REALTIME, NSEC_PER_SEC
from pygos.include.uapi.timex import ADJ_NANO, ADJ_SETOFFSET, Timex

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

_QUEUE: Final = "clock_was_set"
#: Set the clock at most to this: 30 years of uptime must still be countable (settimeofday).
SETTOD_SEC_MAX: Final = ((1 << 63) - 1) // NSEC_PER_SEC - 30 * 365 * 24 * 3600


def clock_was_set_queue(machine: Machine) -> WaitQueue:
    """Woken when CLOCK_REALTIME jumps: sleeps and timers until a wall time look again."""
    queue: WaitQueue = machine.misc.setdefault(_QUEUE, WaitQueue())
    return queue


def do_settimeofday(task: Task, ns: int) -> None:
    """Set the machine's wall clock. EPERM; EINVAL for times before boot or too far ahead."""
    machine = task.machine
    if not task.cred.capable(CAP_SYS_TIME):
        raise EPERM
    if ns < machine.clock.boottime() or ns // NSEC_PER_SEC >= SETTOD_SEC_MAX:
        raise EINVAL
    machine.clock.set_realtime(ns)
    clock_was_set_queue(machine).wake_all()


def realtime_deadline(machine: Machine, when: int) -> int:
    """The monotonic time at which the wall clock will show `when`, as it goes now."""
    return machine.clock.monotonic() + when - machine.clock.realtime()


def tai_offset(machine: Machine) -> int:
    """Seconds by which CLOCK_TAI is ahead of CLOCK_REALTIME, as adjtimex(2) has set it."""
    ntp = machine.misc.get("ntp")
    return 0 if ntp is None else int(ntp.tai)


def do_adjtimex(task: Task, tx: Timex) -> int:
    """adjtimex(2) on a copy of the struct. EINVAL, EPERM."""
    from pygos.kernel.time.ntp import adjust, check_timex

    check_timex(task, tx)
    if tx.modes & ADJ_SETOFFSET:
        unit = 1 if tx.modes & ADJ_NANO else 1000
        step = tx.time.tv_sec * NSEC_PER_SEC + tx.time.tv_usec * unit
        do_settimeofday(task, task.machine.clock.realtime() + step)
    return adjust(task, tx)


@syscall(partial="only CLOCK_REALTIME is slewed; the monotonic clocks keep the host's rate")
def adjtimex(task: Task, buf: UserAddr) -> int:
    """Read or tune the wall clock. adjtimex(2). Returns TIME_*; EFAULT, EINVAL, EPERM."""
    assert task.mm is not None
    tx = Timex.from_bytes(task.mm.read(buf, Timex.SIZE))
    state = do_adjtimex(task, tx)
    task.mm.write(buf, tx.to_bytes())
    return state


@syscall(partial="as adjtimex")
def clock_adjtime(task: Task, which: Int, buf: UserAddr) -> int:
    """adjtimex(2) of one clock. Errors: EOPNOTSUPP for clocks that can't be tuned."""
    assert task.mm is not None
    task.mm.read(buf, Timex.SIZE)
    if not 0 <= which < 16:
        raise EINVAL
    if which != CLOCK_REALTIME:
        raise EOPNOTSUPP
    return adjtimex(task, buf)
