# SPDX-License-Identifier: Apache-2.0
"""TscClock: the machine's clocks as straight lines over the time stamp counter.

Programs read them in the vDSO from the published page; the kernel reads the same lines by
machine code (clock.S), so both agree to the ns and no order of readings goes backwards. Now
and then, when the machine runs anyway, ``refresh`` compares the lines with the host's clocks:

* behind by more than the error of measuring: a step forward, to where the host is;
* ahead: the clocks go a little slower until the host has caught up.

The host's CLOCK_REALTIME being set is a step of the wall clock. A host that was suspended, or a
virtual one that was stopped, leaves clocks and counter at odds: then the counter's speed is
measured anew, and time that only the counter has seen stays in the machine's clocks.
Rates are in ns * 2**64 a cycle.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from time import CLOCK_BOOTTIME, clock_gettime_ns, monotonic_ns, sleep, time_ns
from typing import Final

from pygos.host import clock_code as code
from pygos.host import libc
from pygos.host.clock import HostClock, clocksource
from pygos.include.vdso.datapage import (
    VD_ALL_CLOCKS,
    VD_CLOCK_SIZE,
    VD_CLOCKS,
    VD_MASK,
    VD_NR_CLOCKS,
    VD_TSC,
)

_READ = ctypes.PYFUNCTYPE(ctypes.c_int64)
_COUNT = ctypes.PYFUNCTYPE(ctypes.c_uint64)
_PAGE: Final = 4096
_SEC: Final = 1_000_000_000
#: The clock numbers of CLOCK_REALTIME and CLOCK_MONOTONIC; the bits of those that follow the
#: wall clock; the number of CLOCK_TAI.
_WALL_CLOCK, _MONO_CLOCK, _WALL_CLOCKS, _TAI = 0, 1, 0x821, 11
# The parameters of update(), as indices of u64.
_COPY, _MONO_MULT, _WALL_MULT, _STEP, _WALL_STEP, _TAI_STEP = 256, 257, 258, 259, 260, 261
#: A reading of several clocks together that takes longer than the shortest of so many is as
#: good as none.
_TRIES: Final = 5
#: The host's clocks differ from the lines by more than their reading can: ns.
_NOISE, _JUMP = 150, 20_000
#: How soon the lines are looked at again: at first, and at most; the counter's speed is
#: measured over at least this time. ns.
_FIRST, _LONGEST, _WINDOW = 10_000_000, _SEC, 8 * _SEC
#: In what time the host catches up with lines that are ahead, and by how much they may be
#: slowed down for that (a 2**n-th part). ns.
_CATCH_UP, _SLOWEST = 4 * _SEC, 5
#: A difference that no error explains, besides a 2**n-th part of the time since the last look;
#: one that is kept. ns.
_ODD, _DRIFT, _KEPT = 1_000_000, 10, 10 * _SEC
#: How long a new measurement of the speed takes if the host was suspended in the first one, s.
_SHORT: Final = 0.002
#: How often the host is asked whether it still trusts the counter, ns.
_LOOK: Final = 10 * _SEC


def _suspended() -> int:
    """For how long the host has been suspended since its boot, ns."""
    return clock_gettime_ns(CLOCK_BOOTTIME) - monotonic_ns()


class TscClock(HostClock):
    """Implements ``Clock`` on a host whose clock source is the time stamp counter."""

    __slots__ = (
        "_copy", "_interval", "_last", "_looked", "_map", "_new", "_old", "_slept", "_tsc",
        "_update", "_view", "_wall", "ppb", "running", "speed",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._map = mmap.mmap(-1, 2 * _PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._map[: len(code.CLOCK)] = code.CLOCK
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc.mprotect(base, _PAGE, mmap.PROT_READ | mmap.PROT_EXEC)
        self._view = memoryview(self._map)[_PAGE:].cast("Q")
        self._tsc: Callable[[], int] = _COUNT(base + code.CLOCK_TSC)
        self._update: Callable[[], int] = _COUNT(base + code.CLOCK_UPDATE)
        #: The published page, kept alive.
        self._copy: ctypes.c_char | None = None
        #: ns a second that the wall clock gains on the others.
        self.ppb = 0
        #: The lines are used, by the kernel too.
        self.running = False
        #: (counter, host's CLOCK_MONOTONIC), from which the counter's speed is taken.
        self._old = self._new = self._sample()[:2]
        #: For how long the host had been suspended by then.
        self._slept = _suspended()
        #: The counter's speed, as measured last, and when that was.
        self.speed = 0
        self._last = 0
        #: How far the host's CLOCK_REALTIME is ahead of its CLOCK_MONOTONIC.
        self._wall = 0
        #: Until the next refresh, ns; 0: never again.
        self._interval = _FIRST
        self._looked = self.boot

    # -- what Clock asks for

    def publish(self, page: memoryview) -> bool:
        """See Clock. The first time the lines are begun: the longer the clock has existed by
        then, the better is the counter's speed known."""
        if not self._interval or not (self.running or self._start()):
            return False
        self._copy = ctypes.c_char.from_buffer(page)
        self._view[_COPY] = ctypes.addressof(self._copy)
        self._update()
        page[VD_MASK : VD_MASK + 4] = VD_ALL_CLOCKS.to_bytes(4, "little")
        return True

    def unpublish(self) -> None:
        """See Clock."""
        self._view[_COPY] = 0
        self._copy = None

    def set_realtime(self, ns: int) -> None:
        """clock_settime(2) for this machine alone."""
        if self.running:
            self.shift(ns - self.realtime(), 0)
        else:
            super().set_realtime(ns)

    def shift(self, wall: int, tai: int) -> None:
        """See Clock."""
        if not self.running:
            super().shift(wall, tai)
            return
        # Two's complement: the machine code adds without regard to signs.
        self._view[_WALL_STEP] = wall & 0xFFFF_FFFF_FFFF_FFFF
        self._view[_TAI_STEP] = tai & 0xFFFF_FFFF_FFFF_FFFF
        self._update()

    def slew(self, ppb: int) -> None:
        """From now on the wall clock gains `ppb` ns a second; what it has gained stays."""
        self.ppb = ppb
        if not self.running:
            super().slew(ppb)
            return
        self._set_rate(self._view[_MONO_MULT])
        self._update()

    def refresh(self) -> None:
        """Bring the lines closer to the host's clocks."""
        now = monotonic_ns()
        if now - self._looked > _LOOK:
            self._looked = now
            if clocksource() != "tsc":
                self._stop()
                return
        counter, mono, wall = self._sample()
        view = self._view
        jump = wall - self._wall
        anew = counter < view[VD_TSC >> 3]
        if anew:
            view[VD_TSC >> 3] = counter  # and the lines begin where they were
        ahead = self._shown(counter) - (mono - self.boot)
        odd = anew or abs(ahead) > _ODD + (mono - self._last >> _DRIFT)
        if ahead > _KEPT:
            self.boot -= ahead
            self._wall += ahead
            jump -= ahead
            ahead = 0
        self._measure(counter, mono, odd)
        rate = self.speed
        if ahead > 0:
            rate -= min(rate * ahead // _CATCH_UP, rate >> _SLOWEST)
        elif ahead < -_NOISE:
            view[_STEP] = -ahead
        self._set_rate(rate)
        if abs(jump) > _JUMP:
            view[_WALL_STEP] = jump & 0xFFFF_FFFF_FFFF_FFFF
            self._wall = wall
        self._update()
        self._interval = min(2 * self._interval, _LONGEST)
        self.due = now + self._interval

    # -- the lines

    def _start(self) -> bool:
        """Begin the lines where the host's clocks are; not if the counter is too slow."""
        if _suspended() - self._slept > _ODD:
            self._old = self._new = self._sample()[:2]
            sleep(_SHORT)
        counter, mono, self._wall = self._sample()
        self._measure(counter, mono, False)
        speed = self.speed
        if not 0 < speed < 1 << 64:
            return False
        super().slew(self.ppb)  # what was gained is in the offset
        view = self._view
        up = mono - self.boot
        real = mono + self._wall + self.offset
        for clock in range(VD_NR_CLOCKS):
            at = (VD_CLOCKS + clock * VD_CLOCK_SIZE) >> 3
            start = real if _WALL_CLOCKS >> clock & 1 else up
            view[at], (view[at + 1], view[at + 2]) = speed, divmod(start, _SEC)
        view[VD_TSC >> 3] = counter
        self._set_rate(speed)
        self._update()
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self.realtime = _READ(base + code.CLOCK_REALTIME)
        self.boottime = _READ(base + code.CLOCK_BOOTTIME)
        self.running = True
        self.due = monotonic_ns() + self._interval
        return True

    def _stop(self) -> None:
        """The host has found the counter unreliable: programs must ask, the host is asked."""
        if self._copy is not None:
            page = (ctypes.c_uint32 * 2).from_address(self._view[_COPY])
            page[VD_MASK >> 2] = 0
            self.unpublish()
        real, up = self.realtime(), self.boottime()
        self.running = False
        self._interval = 0
        self.boot = min(self.boot, monotonic_ns() - up)
        self.due = 1 << 63
        self.realtime, self.boottime = self.host_realtime, self.host_boottime
        super().set_realtime(real)
        super().slew(self.ppb)

    def _set_rate(self, speed: int) -> None:
        """What the next update() sets."""
        self._view[_MONO_MULT] = speed
        self._view[_WALL_MULT] = speed + speed * self.ppb // _SEC

    def _shown(self, counter: int) -> int:
        """What CLOCK_MONOTONIC shows at a value of the counter not long ago."""
        view = self._view
        at = (VD_CLOCKS + _MONO_CLOCK * VD_CLOCK_SIZE) >> 3
        cycles = counter - view[VD_TSC >> 3]
        return view[at + 1] * _SEC + view[at + 2] + (cycles * view[at] >> 64)

    def _measure(self, counter: int, mono: int, odd: bool) -> None:
        """Find the counter's speed up to now; `odd`: begin anew, with the one that is known."""
        self._last = mono
        first, since = self._old
        if odd:
            self._old = self._new = counter, mono
        elif counter > first:
            self.speed = ((mono - since) << 64) // (counter - first)
            if mono - self._new[1] > _WINDOW:
                self._old, self._new = self._new, (counter, mono)

    def _sample(self) -> tuple[int, int, int]:
        """(counter, host's CLOCK_MONOTONIC, CLOCK_REALTIME - CLOCK_MONOTONIC) at one time."""
        tsc = self._tsc
        best = None
        for _ in range(_TRIES):
            before, mono = tsc(), monotonic_ns()
            wall, again = time_ns(), monotonic_ns()
            width = tsc() - before
            if best is None or width < best[0]:
                mono = (mono + again) >> 1
                best = width, before + (width >> 1), mono, wall - mono
        assert best is not None
        return best[1], best[2], best[3]
