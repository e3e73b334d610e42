# SPDX-License-Identifier: Apache-2.0
"""HostClock: the host's clocks, with the machine's own offset to real time.

``new_clock()`` gives the clock that fits the host: this one, or TscClock, which programs can
read without the kernel.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from time import monotonic_ns
from typing import Final

_SEC: Final = 1_000_000_000
_CLOCKSOURCE: Final = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
_NEVER: Final = 1 << 63


class HostClock:
    """Implements ``Clock``. ns."""

    __slots__ = ("anchor", "boot", "boottime", "due", "monotonic", "offset", "rate", "realtime")

    def __init__(self) -> None:
        #: The host's CLOCK_MONOTONIC, which the platform's deadlines are in, too.
        self.monotonic: Callable[[], int] = monotonic_ns
        #: What it said when the machine was made: the machine's own clocks start there.
        self.boot = monotonic_ns()
        self.offset = 0
        #: ns that the machine's wall clock gains a second, and since when.
        self.rate = 0
        self.anchor = 0
        #: The machine's CLOCK_REALTIME.
        self.realtime: Callable[[], int] = self.host_realtime
        #: CLOCK_BOOTTIME, and CLOCK_MONOTONIC as programs see it: ns since the machine's boot.
        self.boottime: Callable[[], int] = self.host_boottime
        self.due = _NEVER

    def host_realtime(self) -> int:
        """CLOCK_REALTIME by the host's."""
        now = time.time_ns() + self.offset
        if self.rate:
            now += (monotonic_ns() - self.anchor) * self.rate // _SEC
        return now

    def host_boottime(self) -> int:
        """CLOCK_BOOTTIME by the host's."""
        return monotonic_ns() - self.boot

    def slew(self, ppb: int) -> None:
        """From now on the wall clock gains `ppb` ns a second; what it has gained stays."""
        if self.rate:
            self.offset += (monotonic_ns() - self.anchor) * self.rate // _SEC
        self.anchor = monotonic_ns()
        self.rate = ppb

    def skip(self, ns: int) -> None:
        """Let the last `ns` not have been, for the machine's own clocks; before any program
        has run."""
        self.boot += ns

    def set_realtime(self, ns: int) -> None:
        """clock_settime(2) for this machine alone."""
        self.offset = ns - time.time_ns()
        self.anchor = monotonic_ns()

    def shift(self, wall: int, tai: int) -> None:
        """See Clock: nobody but the kernel, which knows of TAI itself, reads this clock."""
        self.offset += wall

    def publish(self, page: memoryview) -> bool:
        """See Clock: programs have to ask the kernel."""
        return False

    def unpublish(self) -> None:
        """See Clock."""

    def refresh(self) -> None:
        """See Clock."""


def clocksource() -> str:
    """What the host counts time by: "tsc", "kvm-clock", ... or "" if it doesn't tell."""
    try:
        fd = os.open(_CLOCKSOURCE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 64).decode("ascii", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(fd)


def new_clock() -> HostClock:
    """The machine's clock. The host uses the time stamp counter itself only if it is constant,
    never stops and is the same on all CPUs."""
    if clocksource() != "tsc":
        return HostClock()
    from pygos.host.tsc import TscClock

    return TscClock()
