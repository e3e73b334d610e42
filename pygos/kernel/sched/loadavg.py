# SPDX-License-Identifier: Apache-2.0
"""The load average: tasks that run or want to, averaged over 1, 5 and 15 minutes.

As Linux (kernel/sched/loadavg.c): every five seconds each average moves towards the number of
active tasks by an exponential factor. Nothing wakes an idle machine for it: the main loop
samples when it passes anyway, and periods slept through count as idle.
"""

from __future__ import annotations

from math import exp
from typing import Final

LOAD_FREQ: Final = 5_000_000_000  # ns
_DECAY: Final = tuple(exp(-5 / (60 * minutes)) for minutes in (1, 5, 15))
#: After this many idle periods nothing is left of any average.
_FORGOTTEN: Final = 4096


class LoadAverage:
    """Keeps ``values`` (the machine's loadavg list); ``due`` is when to sample next, ns."""

    __slots__ = ("due", "values")

    def __init__(self, values: list[float], now: int) -> None:
        self.values = values
        self.due = now + LOAD_FREQ

    def sample(self, now: int, active: int) -> None:
        """The due time has passed: `active` tasks run or are queued now."""
        missed = (now - self.due) // LOAD_FREQ
        self.due += (missed + 1) * LOAD_FREQ
        for index, decay in enumerate(_DECAY):
            idle = self.values[index] * decay ** min(missed, _FORGOTTEN)
            self.values[index] = idle * decay + active * (1 - decay)
