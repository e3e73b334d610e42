# SPDX-License-Identifier: Apache-2.0
"""The page allocator: no frame twice, none lost, everything merges back."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from pygos.include.errno import ENOMEM
from pygos.mm.page_alloc import MigrateType, Zone
from tests.support.fakes import FakeRam


def zone_of(pages: int) -> Zone:
    return Zone(FakeRam(pages))


def test_fresh_zone_is_one_row_of_largest_blocks() -> None:
    zone = zone_of(8 * 1024)
    assert zone.nr_free == 8 * 1024 - 1  # all but the zero page
    assert zone.buddyinfo()[10] == 7
    assert zone.pagetypeinfo()[MigrateType.MOVABLE][10] == 7


def test_odd_sizes_are_usable_to_the_last_frame() -> None:
    zone = zone_of(2777)
    taken = []
    with pytest.raises(ENOMEM):
        while True:
            taken.append(zone.alloc())
    assert len(set(taken)) == len(taken)
    assert max(taken) <= 2776
    assert zone.nr_free <= zone.min_wmark + 64


def test_runs_are_contiguous_and_ascending() -> None:
    zone = zone_of(4096)
    first, count = zone.alloc_run(16)
    second, _ = zone.alloc_run(16, near=first + 16)
    assert count == 16
    assert second == first + 16
    for pfn in range(first, first + 32):
        zone.put(pfn)
    zone.drain()
    assert zone.nr_free == 4095


def test_run_is_shorter_when_memory_is_fragmented() -> None:
    zone = zone_of(1024)
    zone.min_wmark = 0
    taken = []
    try:
        while True:
            taken.append(zone.alloc())
    except ENOMEM:
        pass
    for pfn in taken[::2]:
        zone.put(pfn)
    zone.drain()
    pfn, count = zone.alloc_run(16)
    assert 1 <= count < 16
    zone.put_many(range(pfn, pfn + count))


def test_freed_frames_are_zeroed_again_only_if_needed() -> None:
    zone = zone_of(2048)
    pfn = zone.alloc_zeroed()
    zone.mem[pfn << 12 : (pfn << 12) + 5] = b"dirty"
    zone.put(pfn)
    again = zone.alloc_zeroed()
    assert again == pfn  # the hot list gives back what is still in the cache
    assert bytes(zone.mem[pfn << 12 : (pfn + 1) << 12]) == bytes(4096)
    assert not any(zone.used[1024:2048])


def test_zeroed_runs_are_zero() -> None:
    zone = zone_of(2048)
    pfn, count = zone.alloc_run(300)
    zone.mem[pfn << 12 : (pfn + count) << 12] = b"x" * (count << 12)
    zone.put_many(range(pfn, pfn + count))
    pfn, count = zone.alloc_run(512, zero=True)
    assert bytes(zone.mem[pfn << 12 : (pfn + count) << 12]) == bytes(count << 12)


def test_reference_counts() -> None:
    zone = zone_of(1024)
    free = zone.nr_free
    pfn = zone.alloc()
    zone.get(pfn)
    zone.put(pfn)
    assert zone.nr_free == free - 1
    zone.put(pfn)
    assert zone.nr_free == free
    with pytest.raises(AssertionError):
        zone.put(pfn)


def test_unmovable_memory_gets_page_blocks_of_its_own() -> None:
    zone = zone_of(8192)
    for _ in range(100):
        zone.alloc(0, MigrateType.UNMOVABLE)
    movable = zone.alloc()
    unmovable = zone.alloc(0, MigrateType.UNMOVABLE)
    assert movable >> 9 != unmovable >> 9
    assert zone.blocks_by_type()[MigrateType.UNMOVABLE] >= 1


def test_types_fall_back_to_each_other_before_enomem() -> None:
    zone = zone_of(1024)
    count = 0
    with pytest.raises(ENOMEM):
        while True:
            zone.alloc(0, MigrateType.RECLAIMABLE)
            count += 1
    assert count >= 1024 - 1 - zone.min_wmark - 64


def test_trim_gives_large_blocks_back_to_the_host() -> None:
    ram = FakeRam(4096)
    zone = Zone(ram)
    pfn, count = zone.alloc_run(1024)
    zone.mem[pfn << 12 : (pfn << 12) + 3] = b"abc"
    zone.put_many(range(pfn, pfn + count))
    assert zone.trim(threshold=2048) == 0
    assert zone.trim(threshold=1024) >= 1024
    assert ram.discarded
    assert zone.trim(threshold=1) == 0


class GreedyShrinker:
    """Owns frames and gives them back when asked."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.frames: list[int] = []
        self.asked: list[bool] = []

    def shrink(self, target: int, direct: bool) -> int:
        self.asked.append(direct)
        gone, self.frames = self.frames[:target], self.frames[target:]
        self.zone.put_many(gone)
        return len(gone)


def test_caches_shrink_before_memory_is_out() -> None:
    zone = zone_of(2048)
    cache = GreedyShrinker(zone)
    cache.frames = [zone.alloc() for _ in range(1500)]
    zone.shrinkers.append(cache)
    for _ in range(1800):
        zone.alloc()
    assert cache.asked
    assert all(cache.asked)


def test_balance_refills_to_the_high_watermark() -> None:
    zone = zone_of(2048)
    cache = GreedyShrinker(zone)
    zone.shrinkers.append(cache)
    cache.frames = [zone.alloc() for _ in range(2047 - zone.low_wmark + 1)]
    zone.balance()
    assert zone.nr_free >= zone.high_wmark
    assert cache.asked == [False]


class BuddyMachine(RuleBasedStateMachine):
    """Any sequence of calls keeps the frames apart and accounted for."""

    blocks = Bundle("blocks")

    def __init__(self) -> None:
        super().__init__()
        self.zone = zone_of(3000)
        self.owned: set[int] = set()

    def own(self, frames: range) -> None:
        assert frames.start > 0
        assert frames.stop <= 3000
        assert self.owned.isdisjoint(frames)
        self.owned.update(frames)

    @rule(target=blocks, order=st.integers(0, 10), mt=st.integers(0, 2), zero=st.booleans())
    def alloc(self, order: int, mt: int, zero: bool) -> object:
        try:
            if zero:
                pfn = self.zone.alloc_zeroed(order, mt)
                size = 1 << order
                assert self.zone.mem[pfn << 12 : (pfn + size) << 12].tobytes() == bytes(size << 12)
            else:
                pfn = self.zone.alloc(order, mt)
        except ENOMEM:
            return multiple()
        assert pfn & ((1 << order) - 1) == 0
        self.zone.mem[pfn << 12] = 1
        self.own(range(pfn, pfn + (1 << order)))
        return (pfn, order, True)

    @rule(
        target=blocks,
        count=st.integers(1, 700),
        near=st.integers(0, 3100),
        mt=st.integers(0, 2),
        zero=st.booleans(),
    )
    def alloc_run(self, count: int, near: int, mt: int, zero: bool) -> object:
        try:
            pfn, got = self.zone.alloc_run(count, mt, near=near, zero=zero)
        except ENOMEM:
            return multiple()
        assert 1 <= got <= count
        if zero:
            assert self.zone.mem[pfn << 12 : (pfn + got) << 12].tobytes() == bytes(got << 12)
        self.zone.mem[pfn << 12] = 1
        self.own(range(pfn, pfn + got))
        return (pfn, got, False)

    @rule(block=consumes(blocks), many=st.booleans())
    def free(self, block: tuple[int, int, bool], many: bool) -> None:
        pfn, size, is_block = block
        if is_block:
            self.zone.free(pfn, size)
            size = 1 << size
        elif many:
            self.zone.put_many(range(pfn, pfn + size))
        else:
            for frame in range(pfn, pfn + size):
                self.zone.put(frame)
        self.owned.difference_update(range(pfn, pfn + size))

    @rule()
    def trim(self) -> None:
        self.zone.trim(threshold=0)

    @invariant()
    def conserved(self) -> None:
        assert self.zone.nr_free == 2999 - len(self.owned)

    @invariant()
    def lists_are_sound(self) -> None:
        zone = self.zone
        seen: set[int] = set()
        for order, types in enumerate(zone.free_area):
            for mt, heads in enumerate(types):
                for pfn in heads:
                    assert zone.free_order[pfn] == order + 1
                    assert zone.block_type[pfn >> 9] == mt
                    frames = range(pfn, pfn + (1 << order))
                    assert seen.isdisjoint(frames)
                    seen.update(frames)
        for hot in zone.pcp:
            assert seen.isdisjoint(hot)
            seen.update(hot)
        assert seen.isdisjoint(self.owned)
        assert len(seen) == zone.nr_free

    def teardown(self) -> None:
        for frame in tuple(self.owned):
            self.zone.refcount[frame] = 1
        self.zone.put_many(sorted(self.owned))
        self.zone.drain()
        assert self.zone.nr_free == 2999
        fresh = zone_of(3000)
        assert self.zone.buddyinfo() == fresh.buddyinfo()


TestBuddy = BuddyMachine.TestCase
TestBuddy.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
