# SPDX-License-Identifier: Apache-2.0
"""How the wall clock is disciplined: adjtimex(2), clock_adjtime(2) (kernel/time/ntp.c).

Only CLOCK_REALTIME is slewed: the monotonic clocks are those of the host, in which all
deadlines are. A phase correction (ADJ_OFFSET, adjtime(3)) is spread over the coming seconds,
so a timer runs once a second while there is one, or while a leap second is due; a frequency
needs none. RFC 5905 and the kernel's "A Kernel Model for Precision Timekeeping" say what the
two loops (PLL, FLL) compute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import EINVAL, EPERM
from pygos.include.uapi import timex as uapi
from pygos.include.uapi.capability import CAP_SYS_TIME
from pygos.include.uapi.time import NSEC_PER_SEC, Timeval
from pygos.kernel.time.timekeeping import clock_was_set_queue

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: adjtime(3)'s own bits of `modes`.
ADJ_ADJTIME: Final = 0x8000
_SINGLESHOT: Final = 0x0001
_READONLY: Final = 0x2000
_DAY: Final = 86_400
#: us: beyond it the clock counts as not synchronised.
PHASE_LIMIT: Final = 16_000_000
#: Frequencies are ppm with 16 bits of fraction.
MAXFREQ: Final = 500 << 16
_MAXPHASE: Final = 500_000_000
_MAXTC: Final = 10
_MAX_TAI: Final = 100_000
_MAX_ADJTIME: Final = 500  # us per second
_USER_TICK: Final = 10_000
_SHIFT_PLL, _SHIFT_FLL = 2, 2
_MINSEC, _MAXSEC = 256, 2048
_FREQ_LIMIT: Final = ((1 << 63) - 1) // 65_536_000


class Ntp:
    """The state of the clock's discipline, one per machine."""

    __slots__ = (
        "adjust", "base", "constant", "esterror", "freq", "leap", "machine", "maxerror", "offset",
        "reftime", "state", "status", "tai", "tick", "timer",
    )  # fmt: skip

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.status = uapi.STA_UNSYNC
        self.state = uapi.TIME_OK
        #: ns still to be slewed by the PLL.
        self.offset = 0
        #: us still to be slewed by adjtime(3).
        self.adjust = 0
        self.freq = 0
        self.tick = _USER_TICK
        self.constant = 2
        self.maxerror = self.esterror = PHASE_LIMIT
        #: The monotonic time to which `maxerror` belongs; it grows from then on.
        self.base = 0
        #: When the last offset was given; when the leap second is due: s of CLOCK_REALTIME.
        self.reftime = 0
        self.leap = 0
        self.tai = 0
        self.timer: Any = None

    # -- the second's work

    def expire(self, now: int) -> None:
        """TimerTarget: a second has passed."""
        self.timer = None
        self._leap()
        self.go_on()

    def go_on(self) -> None:
        """Set the clock's rate for the coming second, and be called again if need be."""
        machine = self.machine
        phase = self._phase_chunk() + self._adjtime_chunk()
        rate = (self.tick - _USER_TICK) * 100_000 + (self.freq * 1000 >> 16)
        machine.clock.slew(rate + phase)
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        leap = self.status & (uapi.STA_INS | uapi.STA_DEL) or self.state != uapi.TIME_OK
        if phase or leap:
            self.timer = machine.timers.add(machine.clock.monotonic() + NSEC_PER_SEC, self)

    def _phase_chunk(self) -> int:
        """ns of the offset that the coming second takes; at last all of the rest."""
        shift = _SHIFT_PLL + self.constant
        chunk = abs(self.offset) >> shift or abs(self.offset)
        chunk = chunk if self.offset >= 0 else -chunk
        self.offset -= chunk
        return chunk

    def _adjtime_chunk(self) -> int:
        part = max(-_MAX_ADJTIME, min(self.adjust, _MAX_ADJTIME))
        self.adjust -= part
        return part * 1000

    def _leap(self) -> None:
        """Insert or drop the last second of a UTC day."""
        clock = self.machine.clock
        secs = clock.realtime() // NSEC_PER_SEC
        wanted = self.status & (uapi.STA_INS | uapi.STA_DEL)
        if self.state == uapi.TIME_OK:
            if wanted:
                self.state = uapi.TIME_INS if wanted & uapi.STA_INS else uapi.TIME_DEL
                self.leap = -(-(secs + 1) // _DAY) * _DAY
        elif self.state == uapi.TIME_WAIT or not wanted:
            if not wanted:
                self.state = uapi.TIME_OK
        elif self.state == uapi.TIME_OOP:
            self.state = uapi.TIME_WAIT
        elif self.state == uapi.TIME_INS and secs >= self.leap:
            self._step(-1, uapi.TIME_OOP)
        elif self.state == uapi.TIME_DEL and secs + 1 >= self.leap:
            self._step(1, uapi.TIME_WAIT)

    def _step(self, seconds: int, state: int) -> None:
        self.machine.clock.shift(seconds * NSEC_PER_SEC, -seconds * NSEC_PER_SEC)
        self.tai -= seconds
        self.state = state
        clock_was_set_queue(self.machine).wake_all()

    # -- adjtimex

    def error(self) -> int:
        """The maximum error, us: it grows by 500 ppm since it was last set."""
        age = (self.machine.clock.monotonic() - self.base) // NSEC_PER_SEC
        error = self.maxerror + 500 * age
        if error < PHASE_LIMIT:
            return error
        self.status |= uapi.STA_UNSYNC
        return PHASE_LIMIT

    def set_modes(self, tx: uapi.Timex) -> None:
        """Take over what ``tx.modes`` names, in Linux's order (process_adjtimex_modes)."""
        modes = tx.modes
        if modes & uapi.ADJ_STATUS:
            self._set_status(tx.status)
        if modes & uapi.ADJ_NANO:
            self.status |= uapi.STA_NANO
        if modes & uapi.ADJ_MICRO:
            self.status &= ~uapi.STA_NANO
        if modes & uapi.ADJ_FREQUENCY:
            self.freq = max(-MAXFREQ, min(tx.freq, MAXFREQ))
        if modes & uapi.ADJ_MAXERROR:
            self.maxerror = max(0, min(tx.maxerror, PHASE_LIMIT))
            self.base = self.machine.clock.monotonic()
        if modes & uapi.ADJ_ESTERROR:
            self.esterror = max(0, min(tx.esterror, PHASE_LIMIT))
        if modes & uapi.ADJ_TIMECONST:
            constant = max(0, min(tx.constant, _MAXTC))
            self.constant = min(constant + (0 if self.status & uapi.STA_NANO else 4), _MAXTC)
        if modes & uapi.ADJ_TAI and 0 <= tx.constant <= _MAX_TAI:
            self.machine.clock.shift(0, (tx.constant - self.tai) * NSEC_PER_SEC)
            self.tai = tx.constant
            clock_was_set_queue(self.machine).wake_all()
        if modes & uapi.ADJ_OFFSET:
            self._set_offset(tx.offset)
        if modes & uapi.ADJ_TICK:
            self.tick = tx.tick
        self.go_on()

    def _set_status(self, status: int) -> None:
        if self.status & uapi.STA_PLL and not status & uapi.STA_PLL:
            self.state = uapi.TIME_OK
            self.status = uapi.STA_UNSYNC
        if not self.status & uapi.STA_PLL and status & uapi.STA_PLL:
            self.reftime = self.machine.clock.realtime() // NSEC_PER_SEC
        self.status = self.status & uapi.STA_RONLY | status & ~uapi.STA_RONLY & 0xFFFF

    def _set_offset(self, offset: int) -> None:
        """A new phase error: the loops take its frequency part now, the rest is slewed."""
        if not self.status & uapi.STA_PLL:
            return
        if not self.status & uapi.STA_NANO:
            offset = max(-1_000_000, min(offset, 1_000_000)) * 1000
        offset = max(-_MAXPHASE, min(offset, _MAXPHASE))
        now = self.machine.clock.realtime() // NSEC_PER_SEC
        secs = 0 if self.status & uapi.STA_FREQHOLD else max(0, now - self.reftime)
        self.reftime = now
        self.status &= ~uapi.STA_MODE
        ppb = 0
        if secs >= _MINSEC and (self.status & uapi.STA_FLL or secs > _MAXSEC):
            self.status |= uapi.STA_MODE
            ppb = offset // (secs << _SHIFT_FLL)
        secs = min(secs, 1 << (_SHIFT_PLL + 1 + self.constant))
        ppb += offset * secs >> 2 * (_SHIFT_PLL + 2 + self.constant)
        self.freq = max(-MAXFREQ, min(self.freq + ppb * 65536 // 1000, MAXFREQ))
        self.offset = offset

    def fill(self, tx: uapi.Timex) -> int:
        """Everything that adjtimex(2) tells, and the state of the clock."""
        nano = bool(self.status & uapi.STA_NANO)
        if not tx.modes & ADJ_ADJTIME:
            tx.offset = self.offset if nano else int(self.offset / 1000)
        tx.freq, tx.tick, tx.constant, tx.tai = self.freq, self.tick, self.constant, self.tai
        tx.maxerror, tx.esterror, tx.status = self.error(), self.esterror, self.status
        tx.precision, tx.tolerance = 1, MAXFREQ
        tx.ppsfreq = tx.jitter = tx.shift = tx.stabil = 0
        tx.jitcnt = tx.calcnt = tx.errcnt = tx.stbcnt = 0
        sec, ns = divmod(self.machine.clock.realtime(), NSEC_PER_SEC)
        tx.time = Timeval(sec, ns if nano else ns // 1000)
        unsync = self.status & (uapi.STA_UNSYNC | uapi.STA_CLOCKERR)
        return uapi.TIME_ERROR if unsync else self.state


def ntp_state(machine: Machine) -> Ntp:
    """The machine's discipline, made when it is first asked for."""
    ntp: Ntp | None = machine.misc.get("ntp")
    if ntp is None:
        ntp = machine.misc["ntp"] = Ntp(machine)
    return ntp


def check_timex(task: Task, tx: uapi.Timex) -> None:
    """May the task do this, and is it in range? EINVAL, EPERM (timekeeping_validate_timex)."""
    modes = tx.modes
    may = task.cred.capable(CAP_SYS_TIME)
    if modes & ADJ_ADJTIME:
        if not modes & _SINGLESHOT:
            raise EINVAL
        if not modes & _READONLY and not may:
            raise EPERM
    else:
        if modes and not may:
            raise EPERM
        if modes & uapi.ADJ_TICK and not 9_000 <= tx.tick <= 11_000:
            raise EINVAL
    if modes & uapi.ADJ_SETOFFSET:
        if not may:
            raise EPERM
        unit = NSEC_PER_SEC if modes & uapi.ADJ_NANO else 1_000_000
        if not 0 <= tx.time.tv_usec < unit:
            raise EINVAL
    if modes & uapi.ADJ_FREQUENCY and not -_FREQ_LIMIT <= tx.freq <= _FREQ_LIMIT:
        raise EINVAL


def adjust(task: Task, tx: uapi.Timex) -> int:
    """Do what a checked `tx` asks for and fill it in; returns TIME_*."""
    ntp = ntp_state(task.machine)
    if tx.modes & ADJ_ADJTIME:
        left = ntp.adjust
        if not tx.modes & _READONLY:
            ntp.adjust = tx.offset
            ntp.go_on()
        tx.offset = left
    elif tx.modes:
        ntp.set_modes(tx)
    return ntp.fill(tx)
