# SPDX-License-Identifier: Apache-2.0
"""HostClock: the host's clocks, with the machine's own offset to real time."""

from __future__ import annotations

import time
from time import monotonic_ns

_BOOTTIME = time.CLOCK_BOOTTIME


class HostClock:
    """Implements ``Clock``. ns."""

    __slots__ = ("monotonic", "offset")

    def __init__(self) -> None:
        #: The host's CLOCK_MONOTONIC, which the platform's deadlines are in, too.
        self.monotonic = monotonic_ns
        self.offset = 0

    def realtime(self) -> int:
        """The machine's CLOCK_REALTIME."""
        return time.time_ns() + self.offset

    def boottime(self) -> int:
        """CLOCK_BOOTTIME."""
        return time.clock_gettime_ns(_BOOTTIME)

    def set_realtime(self, ns: int) -> None:
        """clock_settime(2) for this machine alone."""
        self.offset = ns - time.time_ns()
