# SPDX-License-Identifier: Apache-2.0
"""Which pages of a file programs have needed, so that the next one is spared the faults.

A fault on a private mapping notes in the file's page cache which window of pages it served:
one record for what was read, one for what was executed, one for what got private copies.
Who maps the same part of the file later is given these pages at once (mm/populate.py), as
far as they are cached. The records are hints: they may be wrong, and are small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import Mapping

READ: Final = 0
EXEC: Final = 1
WRITE: Final = 2
#: How many windows are remembered of each.
_LIMITS: Final = (64, 256, 128)


class History:
    """One record: windows of file pages, first page -> page after the last."""

    __slots__ = ("_runs", "windows")

    def __init__(self) -> None:
        self.windows: dict[int, int] = {}
        self._runs: list[tuple[int, int]] | None = []

    def note(self, lo: int, hi: int, limit: int) -> None:
        """Pages [lo, hi) were needed."""
        windows = self.windows
        if windows.get(lo, 0) < hi and (lo in windows or len(windows) < limit):
            windows[lo] = hi
            self._runs = None

    @property
    def runs(self) -> list[tuple[int, int]]:
        """The windows in order, those that touch or overlap as one."""
        if self._runs is None:
            runs: list[tuple[int, int]] = []
            for lo, hi in sorted(self.windows.items()):
                if runs and lo <= runs[-1][1]:
                    runs[-1] = runs[-1][0], max(hi, runs[-1][1])
                else:
                    runs.append((lo, hi))
            self._runs = runs
        return self._runs


def note(mapping: Mapping, kind: int, lo: int, hi: int) -> None:
    """A fault served pages [lo, hi) of the file."""
    history = mapping.history
    if history is None:
        history = mapping.history = (History(), History(), History())
    history[kind].note(lo, hi, _LIMITS[kind])


def recorded(mapping: Mapping, kind: int, lo: int, hi: int) -> list[tuple[int, int]]:
    """What is known to be needed of pages [lo, hi) of the file, as runs."""
    history = mapping.history
    if history is None:
        return []
    return [
        (max(first, lo), min(end, hi))
        for first, end in history[kind].runs
        if first < hi and end > lo
    ]
