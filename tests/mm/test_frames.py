# SPDX-License-Identifier: Apache-2.0
"""References of many frames at once are what they are one by one."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pygos.mm.frames import get_frames, put_frames, runs_of
from pygos.mm.page_alloc import Zone
from tests.support.fakes import FakeRam

frames = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, 150)), min_size=1, max_size=12
)  # gaps and runs


def spread(parts: list[tuple[int, int]]) -> list[int]:
    found: list[int] = []
    at = 0
    for gap, count in parts:
        at += gap
        found.extend(range(at, at + count))
        at += count
    return found


@given(frames)
def test_runs_are_whole(parts: list[tuple[int, int]]) -> None:
    pfns = spread(parts)
    runs = runs_of(pfns)
    assert [pfn for first, count in runs for pfn in range(first, first + count)] == pfns
    for (first, count), (second, _) in pairwise(runs):
        assert first + count < second or count == 1024


def test_long_runs_are_cut() -> None:
    assert runs_of(list(range(5, 3005))) == [(5, 1024), (1029, 1024), (2053, 952)]
    assert runs_of([]) == []


@given(st.lists(st.integers(1, 3), min_size=60, max_size=300), st.data())
def test_counts(extra: list[int], data: st.DataObject) -> None:
    """Frames with one, two and three references, of which some get one more and lose it."""
    zone = Zone(FakeRam(2048))
    free = zone.nr_free
    pfn, count = zone.alloc_run(len(extra))
    pfns = list(range(pfn, pfn + count))
    for frame, more in zip(pfns, extra, strict=False):
        for _ in range(more - 1):
            zone.get(frame)
    chosen = [frame for frame in pfns if data.draw(st.booleans())] if count < 80 else pfns[:]
    get_frames(zone, chosen[::-1])
    for frame, more in zip(pfns, extra, strict=False):
        assert zone.refcount[frame] == more + (frame in set(chosen))
    put_frames(zone, chosen)
    for _ in range(3):
        put_frames(zone, [frame for frame in pfns if zone.refcount[frame]])
    assert zone.nr_free == free
    assert not any(zone.refcount[pfn : pfn + count])
