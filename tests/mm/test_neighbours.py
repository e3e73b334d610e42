# SPDX-License-Identifier: Apache-2.0
"""The runs of frames that cached pages are mapped by."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pygos.mm.fault import neighbours


@given(st.lists(st.one_of(st.none(), st.integers(1, 6)), max_size=12))
def test_runs_cover_every_frame_once_and_are_as_long_as_can_be(pfns: list[int | None]) -> None:
    runs = neighbours(100, pfns)
    covered = {vpn + i: pfn + i for vpn, pfn, count in runs for i in range(count)}
    assert covered == {100 + i: pfn for i, pfn in enumerate(pfns) if pfn is not None}
    assert sum(count for _, _, count in runs) == len(covered)
    for (vpn, pfn, count), (vpn2, pfn2, _) in pairwise(runs):
        assert (vpn2, pfn2) != (vpn + count, pfn + count)


def test_one_run() -> None:
    assert neighbours(7, [3, 4, 5]) == [(7, 3, 3)]
    assert neighbours(7, []) == []
