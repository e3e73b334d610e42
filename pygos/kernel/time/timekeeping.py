# SPDX-License-Identifier: Apache-2.0
"""The wall clock being set, and who must know; adjtimex(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL, EOPNOTSUPP, EPERM
from pygos.include.linux.syscalls import Int, UserAddr, syscall
from pygos.include.linux.wait import WaitQueue
from pygos.include.uapi.capability import CAP_SYS_TIME
from pygos.include.uapi.time import CLOCK_REALTIME, NSEC_PER_SEC, Timeval
from pygos.include.uapi.timex import (
    ADJ_OFFSET_SINGLESHOT,
    ADJ_OFFSET_SS_READ,
    STA_NANO,
    STA_UNSYNC,
    TIME_ERROR,
    Timex,
)

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

_QUEUE: Final = "clock_was_set"
#: Set the clock at most to this: 30 years of uptime must still be countable (settimeofday).
SETTOD_SEC_MAX: Final = ((1 << 63) - 1) // NSEC_PER_SEC - 30 * 365 * 24 * 3600
_ADJ_ADJTIME: Final = 0x8000
_MAX_TICKADJ_TICK: Final = 10_000
_MAXFREQ_SCALED: Final = 500 << 16
_MAX_ERROR: Final = 16_000_000


def clock_was_set_queue(machine: Machine) -> WaitQueue:
    """Woken when CLOCK_REALTIME jumps: sleeps and timers until a wall time look again."""
    queue: WaitQueue = machine.misc.setdefault(_QUEUE, WaitQueue())
    return queue


def do_settimeofday(task: Task, ns: int) -> None:
    """Set the machine's wall clock. EPERM; EINVAL for times before boot or too far ahead."""
    machine = task.machine
    if not task.cred.capable(CAP_SYS_TIME):
        raise EPERM
    if ns < machine.clock.monotonic() or ns // NSEC_PER_SEC >= SETTOD_SEC_MAX:
        raise EINVAL
    machine.clock.set_realtime(ns)
    clock_was_set_queue(machine).wake_all()


def realtime_deadline(machine: Machine, when: int) -> int:
    """The monotonic time at which the wall clock will show `when`, as it goes now."""
    return machine.clock.monotonic() + when - machine.clock.realtime()


def do_adjtimex(task: Task, tx: Timex) -> int:
    """Read the clock's parameters; EPERM for changing them without CAP_SYS_TIME."""
    modes = tx.modes
    if modes & _ADJ_ADJTIME and not modes & ADJ_OFFSET_SINGLESHOT & ~_ADJ_ADJTIME:
        raise EINVAL
    if modes and modes != ADJ_OFFSET_SS_READ:
        if not task.cred.capable(CAP_SYS_TIME):
            raise EPERM
        raise EOPNOTSUPP
    now = task.machine.clock.realtime()
    tx.offset = tx.freq = 0
    tx.maxerror = tx.esterror = _MAX_ERROR
    tx.status = STA_UNSYNC | STA_NANO
    tx.constant = 2
    tx.precision = 1
    tx.tolerance = _MAXFREQ_SCALED
    tx.time = Timeval(now // NSEC_PER_SEC, now % NSEC_PER_SEC)
    tx.tick = _MAX_TICKADJ_TICK
    tx.ppsfreq = tx.jitter = tx.shift = tx.stabil = 0
    tx.jitcnt = tx.calcnt = tx.errcnt = tx.stbcnt = tx.tai = 0
    return TIME_ERROR


@syscall(partial="the clock's rate can't be changed (EOPNOTSUPP); reading is complete")
def adjtimex(task: Task, buf: UserAddr) -> int:
    """Read or tune the wall clock. adjtimex(2). Always TIME_ERROR: not synchronised."""
    assert task.mm is not None
    tx = Timex.from_bytes(task.mm.read(buf, Timex.SIZE))
    state = do_adjtimex(task, tx)
    task.mm.write(buf, tx.to_bytes())
    return state


@syscall(partial="as adjtimex")
def clock_adjtime(task: Task, which: Int, buf: UserAddr) -> int:
    """adjtimex(2) of one clock. Errors: EOPNOTSUPP for clocks that can't be tuned."""
    if not 0 <= which < 16:
        raise EINVAL
    if which != CLOCK_REALTIME:
        raise EOPNOTSUPP
    return adjtimex(task, buf)
