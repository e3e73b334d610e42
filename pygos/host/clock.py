# SPDX-License-Identifier: Apache-2.0
"""HostClock: the host's clocks, with the machine's own offset to real time."""

from __future__ import annotations

import time
from time import monotonic_ns


class HostClock:
    """Implements ``Clock``. ns."""

    __slots__ = ("anchor", "boot", "monotonic", "offset", "rate")

    def __init__(self) -> None:
        #: The host's CLOCK_MONOTONIC, which the platform's deadlines are in, too.
        self.monotonic = monotonic_ns
        #: What it said when the machine was made: the machine's own clocks start there.
        self.boot = monotonic_ns()
        self.offset = 0
        #: ns that the machine's wall clock gains a second, and since when.
        self.rate = 0
        self.anchor = 0

    def realtime(self) -> int:
        """The machine's CLOCK_REALTIME."""
        now = time.time_ns() + self.offset
        if self.rate:
            now += (monotonic_ns() - self.anchor) * self.rate // 1_000_000_000
        return now

    def slew(self, ppb: int) -> None:
        """From now on the wall clock gains `ppb` ns a second; what it has gained stays."""
        if self.rate:
            self.offset += (monotonic_ns() - self.anchor) * self.rate // 1_000_000_000
        self.anchor = monotonic_ns()
        self.rate = ppb

    def boottime(self) -> int:
        """CLOCK_BOOTTIME, and CLOCK_MONOTONIC as programs see it: ns since the machine's boot."""
        return monotonic_ns() - self.boot

    def skip(self, ns: int) -> None:
        """Let the last `ns` not have been, for the machine's own clocks."""
        self.boot += ns

    def set_realtime(self, ns: int) -> None:
        """clock_settime(2) for this machine alone."""
        self.offset = ns - time.time_ns()
        self.anchor = monotonic_ns()
