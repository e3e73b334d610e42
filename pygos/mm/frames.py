# SPDX-License-Identifier: Apache-2.0
"""References of many frames at once: the page table of a process that forks or ends.

Frames come in runs, and those of a run mostly have the same number of references: arrays
are compared and filled run by run instead of counting frame by frame.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pygos.mm.page_alloc import Zone

#: No run is longer, and fewer frames aren't worth the search for runs.
_MOST: Final = 1024
_FEW: Final = 48
_ZEROS: Final = array("i", bytes(4 * _MOST))
_ONES: Final = array("i", [1] * _MOST)
_TWOS: Final = array("i", [2] * _MOST)


def runs_of(pfns: list[int]) -> list[tuple[int, int]]:
    """Frames in ascending order, each once, as runs (first, count) of at most 1024."""
    runs: list[tuple[int, int]] = []
    at, total = 0, len(pfns)
    while at < total:
        first = pfns[at]
        known, step = 0, 1  # the frame `known` places on belongs to the run
        left = min(total - at, _MOST)
        while known + step < left and pfns[at + known + step] - first == known + step:
            known += step
            step += step
        while step:
            if known + step < left and pfns[at + known + step] - first == known + step:
                known += step
            step >>= 1
        runs.append((first, known + 1))
        at += known + 1
    return runs


def get_frames(zone: Zone, pfns: list[int]) -> None:
    """One more reference of each frame; no frame may occur twice. Sorts the list."""
    refcount = zone.refcount
    odd = pfns
    if len(pfns) >= _FEW:
        pfns.sort()
        odd = []
        for first, count in runs_of(pfns):
            if refcount[first : first + count] == _ONES[:count]:
                refcount[first : first + count] = _TWOS[:count]
            else:
                odd.extend(range(first, first + count))
    for pfn in odd:
        refcount[pfn] += 1


def put_frames(zone: Zone, pfns: list[int]) -> None:
    """One reference less of each frame; no frame may occur twice. Sorts the list."""
    odd = pfns
    if len(pfns) >= _FEW:
        refcount = zone.refcount
        pfns.sort()
        odd = []
        for first, count in runs_of(pfns):
            part = refcount[first : first + count]
            if part == _ONES[:count]:
                refcount[first : first + count] = _ZEROS[:count]
                zone.free_run(first, count)
            elif part == _TWOS[:count]:
                refcount[first : first + count] = _ONES[:count]
            else:
                odd.extend(range(first, first + count))
    zone.put_many(odd)
