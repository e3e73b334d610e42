# SPDX-License-Identifier: Apache-2.0
"""The page allocator: a buddy system over all frames of RAM, with migrate types.

A free block of 2**order frames is aligned to its size and sits in
``free_area[order][migrate type]`` under its first pfn. The struct page is a row of flat
arrays: ``refcount``, ``used`` (0: the frame reads as zero), ``free_order``
(order + 1 at the head of a free block, else 0). A page block (512 frames) has a migrate type:
frames that can be moved or reclaimed are kept apart from those that can't.

Single frames go through a per-type hot list. Runs of frames are handed out in ascending order
from one block: neighbouring pages in neighbouring frames are one mapping for the host.

Frame 0 is never handed out: it is the zero page.
"""

from __future__ import annotations

from array import array
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol

from pygos.include.errno import ENOMEM
from pygos.mm.oom import OutOfMemory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pygos.include.linux.mm_types import Mapping
    from pygos.include.linux.platform import Ram
    from pygos.mm.memcontrol import MemCgroup
    from pygos.mm.mm import Mm

MAX_PAGE_ORDER: Final = 10
NR_PAGE_ORDERS: Final = MAX_PAGE_ORDER + 1
PAGEBLOCK_ORDER: Final = 9
#: A free of this many used frames since the last trim makes the next trim worth it.
TRIM_THRESHOLD: Final = 65536

#: Fewer frames than this at the wished place aren't worth having.
_NEAR_ENOUGH: Final = 8
_PCP_BATCH: Final = 64
_PCP_HIGH: Final = 256
_MAX_RUN: Final = 1 << MAX_PAGE_ORDER
_ONES: Final = array("i", [1] * _MAX_RUN)
_USED: Final = bytes([1]) * _MAX_RUN
_ZERO_PAGE: Final = bytes(4096)
_ZERO_CHUNK: Final = bytes(1 << 16)


class MigrateType(IntEnum):
    """What can be done with an allocated frame to get it out of the way."""

    UNMOVABLE = 0
    MOVABLE = 1
    RECLAIMABLE = 2


_UNMOVABLE: Final = 0
_MOVABLE: Final = 1
_NR_TYPES: Final = 3
#: Whose blocks to take when a type has none left, best first.
_FALLBACKS: Final = ((2, 1), (2, 0), (0, 1))


class Shrinker(Protocol):
    """A cache that can give frames back."""

    def shrink(self, target: int, direct: bool) -> int:
        """Try to free `target` frames; returns how many were.

        `direct`: somebody in the middle of a call needs memory, so frames that may be in use
        by that call (mapped ones) must be left alone.
        """

    def drop_all(self) -> None:
        """Give back all that can be had (vm.drop_caches)."""


class OomHandler(Protocol):
    """Called when nothing more can be reclaimed (mm/oom.py)."""

    def out_of_memory(self) -> bool:
        """True if memory was freed and the allocation should be tried again."""


class Zone:
    """All of the machine's frames."""

    __slots__ = (
        "active_mapping", "block_type", "clean_min", "current", "free_area", "free_order",
        "freed_used", "high_wmark", "last_memcg", "low_wmark", "lru", "mem", "memcgs",
        "min_wmark", "nr_file", "nr_free", "nr_protected", "nr_shmem", "oom",
        "page_memcg", "pages", "pcp", "ram", "reclaiming", "refcount", "shrinkers", "used",
    )  # fmt: skip

    def __init__(self, ram: Ram) -> None:
        pages = ram.pages
        self.ram = ram
        self.mem = ram.mem
        self.pages = pages
        self.refcount = array("i", [0]) * pages
        #: 1: the frame may hold data; 0: it is known to read as zero.
        self.used = bytearray(pages)
        # Rounded up, so that the buddy of any frame has an entry.
        self.free_order = bytearray((pages + _MAX_RUN) & -_MAX_RUN)
        self.block_type = bytearray([_MOVABLE]) * ((len(self.free_order) >> PAGEBLOCK_ORDER) + 1)
        #: [order][migrate type] -> heads of free blocks; the one put in last goes out first.
        self.free_area: list[tuple[dict[int, None], ...]] = [
            ({}, {}, {}) for _ in range(NR_PAGE_ORDERS)
        ]
        self.pcp: tuple[list[int], ...] = ([], [], [])
        #: Free frames, those in hot lists included.
        self.nr_free = 0
        #: Frames in page caches, and those of them that are the only copy (tmpfs).
        self.nr_file = 0
        self.nr_shmem = 0
        self.shrinkers: list[Shrinker] = []
        self.oom: OomHandler | None = None
        self.reclaiming = False
        #: Reclaimable page caches, least recently used first (mm/filemap.py).
        self.lru: dict[Mapping, None] = {}
        #: The page cache a call is working on: not reclaimed under its feet.
        self.active_mapping: Mapping | None = None
        #: The mm whose trap is being handled: its frames aren't taken by the OOM killer.
        self.current: Mm | None = None
        #: Used frames freed since the last trim().
        self.freed_used = 0
        #: Whose each frame is, and the groups by number; None without any (mm/memcontrol.py).
        self.page_memcg: array[int] | None = None
        self.memcgs: dict[int, MemCgroup] = {}
        self.last_memcg = 0
        #: How many of them have memory.low or memory.min.
        self.nr_protected = 0
        #: So many pages of clean page cache aren't reclaimed: 1/64 of RAM, at most 16 MiB.
        self.clean_min = min(pages >> 6, 4096)
        self.min_wmark = min(max(pages >> 8, 16), 2048)
        self.low_wmark = self.min_wmark * 2 + min(256, pages >> 6)
        self.high_wmark = self.low_wmark * 2 - self.min_wmark
        self._init_free()

    def _init_free(self) -> None:
        """Free everything but the zero page, lowest frames last so that they go out first."""
        self.refcount[0] = 1
        top = self.pages & -_MAX_RUN
        if self.pages > top:
            self._free_range(max(top, 1), self.pages - max(top, 1))
        for pfn in range(top - _MAX_RUN, 0, -_MAX_RUN):
            self._free_block(pfn, MAX_PAGE_ORDER)
        if top:
            self._free_range(1, _MAX_RUN - 1)
        self.nr_free = self.pages - 1

    # -- the buddy system

    def _free_block(self, pfn: int, order: int) -> None:
        """Put an aligned block on its free list, merged with its buddies."""
        free_order = self.free_order
        area = self.free_area
        types = self.block_type
        mt = types[pfn >> PAGEBLOCK_ORDER]
        while order < MAX_PAGE_ORDER:
            buddy = pfn ^ (1 << order)
            if free_order[buddy] != order + 1:
                break
            other = types[buddy >> PAGEBLOCK_ORDER]
            del area[order][other][buddy]
            free_order[buddy] = 0
            if other != mt:  # two whole page blocks become one of the same type
                types[buddy >> PAGEBLOCK_ORDER] = mt
            pfn &= buddy
            order += 1
        free_order[pfn] = order + 1
        area[order][mt][pfn] = None

    def _free_range(self, pfn: int, count: int) -> None:
        """Free any run of frames block by block (without nr_free)."""
        while count > 0:
            order = count.bit_length() - 1
            if pfn:
                order = min(order, (pfn & -pfn).bit_length() - 1)
            if order > MAX_PAGE_ORDER:
                order = MAX_PAGE_ORDER
            self._free_block(pfn, order)
            pfn += 1 << order
            count -= 1 << order

    def _take(self, order: int, mt: int) -> int:
        """A free block of exactly `order` out of the lists, or -1."""
        area = self.free_area
        for have in range(order, NR_PAGE_ORDERS):
            heads = area[have][mt]
            if heads:
                pfn = heads.popitem()[0]
                self.free_order[pfn] = 0
                if have > order:
                    self._expand(pfn, have, order, mt)
                return pfn
        return self._fallback(order, mt)

    def _expand(self, pfn: int, have: int, order: int, mt: int) -> None:
        """Give the upper halves of a block back until only `order` at its start is left."""
        while have > order:
            have -= 1
            half = pfn + (1 << have)
            self.free_order[half] = have + 1
            self.free_area[have][mt][half] = None

    def _fallback(self, order: int, mt: int) -> int:
        """Take a block of another type: the largest, and its whole page block if possible."""
        for have in range(MAX_PAGE_ORDER, order - 1, -1):
            for other in _FALLBACKS[mt]:
                heads = self.free_area[have][other]
                if not heads:
                    continue
                if self._claim(next(reversed(heads)), have, mt):
                    return self._take(order, mt)
                pfn = heads.popitem()[0]
                self.free_order[pfn] = 0
                self._expand(pfn, have, order, other)
                return pfn
        return -1

    def _claim(self, pfn: int, order: int, mt: int) -> bool:
        """Convert the page block(s) around a free block to type `mt` if mostly free."""
        if order >= PAGEBLOCK_ORDER:
            first, count = pfn, 1 << order
        else:
            if mt == _MOVABLE and order < PAGEBLOCK_ORDER // 2:
                return False  # movable frames can be anywhere: no need to convert
            first, count = pfn & -(1 << PAGEBLOCK_ORDER), 1 << PAGEBLOCK_ORDER
        heads = self._free_heads(first, first + count)
        if sum(1 << size for _, size in heads) * 2 < count:
            return False
        for head, size in heads:
            old = self.block_type[head >> PAGEBLOCK_ORDER]
            del self.free_area[size][old][head]
            self.free_area[size][mt][head] = None
        for block in range(first >> PAGEBLOCK_ORDER, (first + count) >> PAGEBLOCK_ORDER):
            self.block_type[block] = mt
        return True

    def _free_heads(self, pfn: int, end: int) -> list[tuple[int, int]]:
        """(head, order) of the free blocks that start in [pfn, end)."""
        heads = []
        while pfn < end:
            order = self.free_order[pfn]
            if order:
                heads.append((pfn, order - 1))
                pfn += 1 << (order - 1)
            else:
                pfn += 1
        return heads

    # -- allocation

    def alloc(self, order: int = 0, mt: int = _MOVABLE) -> int:
        """The first pfn of 2**order frames with any content, refcount 1. ENOMEM."""
        if order:
            pfn = self._alloc_block(order, mt)
            self.used[pfn : pfn + (1 << order)] = _USED[: 1 << order]
            return pfn
        hot = self.pcp[mt]
        if not hot:
            self._refill(hot, mt)
        pfn = hot.pop()
        self.nr_free -= 1
        self.refcount[pfn] = 1
        self.used[pfn] = 1
        return pfn

    def alloc_zeroed(self, order: int = 0, mt: int = _MOVABLE) -> int:
        """As alloc(), all bytes zero."""
        if order:
            pfn = self._alloc_block(order, mt)
            self._make_zero(pfn, 1 << order)
            return pfn
        hot = self.pcp[mt]
        if not hot:
            self._refill(hot, mt)
        pfn = hot.pop()
        self.nr_free -= 1
        self.refcount[pfn] = 1
        if self.used[pfn]:
            base = pfn << 12
            self.mem[base : base + 4096] = _ZERO_PAGE
        else:
            self.used[pfn] = 1
        return pfn

    def alloc_run(
        self, count: int, mt: int = _MOVABLE, *, zero: bool = False, near: int = 0
    ) -> tuple[int, int]:
        """(pfn, n): up to `count` contiguous frames, each with refcount 1. ENOMEM if none.

        Each is freed on its own by put(). With `near`, the frame wished for the first page:
        the run is placed there if that frame is free.
        """
        if self.nr_free - count < self.min_wmark:
            count = self._make_room(count)
        pfn = -1
        if near and near < self.pages:
            pfn, count = self._take_at(near, count)
        if pfn < 0:
            pfn, count = self._take_run(min(count, _MAX_RUN), mt)
        self.nr_free -= count
        self.refcount[pfn : pfn + count] = _ONES[:count]
        if zero:
            self._make_zero(pfn, count)
        else:
            self.used[pfn : pfn + count] = _USED[:count]
        return pfn, count

    def _take_run(self, count: int, mt: int) -> tuple[int, int]:
        """The longest run up to `count` that the free lists have."""
        order = (count - 1).bit_length()
        pfn = self._take(order, mt)
        while pfn < 0 and order > 0:
            order -= 1
            pfn = self._take(order, mt)
        if pfn < 0:
            self.drain()
            pfn = self._take(0, mt)
            if pfn < 0:
                raise ENOMEM
        size = 1 << order
        if size > count:
            self._free_range(pfn + count, size - count)
            return pfn, count
        return pfn, size

    def _take_at(self, pfn: int, count: int) -> tuple[int, int]:
        """Up to `count` free frames from `pfn` on, or (-1, count) if there are too few."""
        got = self._take_block_at(pfn, count)
        while 0 < got < count and pfn + got < self.pages:
            more = self._take_block_at(pfn + got, count - got)
            if not more:
                break
            got += more
        if got >= min(count, _NEAR_ENOUGH):
            return pfn, got
        self._free_range(pfn, got)
        return -1, count

    def _take_block_at(self, pfn: int, count: int) -> int:
        """Up to `count` frames from `pfn` on out of one free block; how many."""
        free_order = self.free_order
        for order in range(NR_PAGE_ORDERS):
            head = pfn & -(1 << order)
            if free_order[head] == order + 1:
                break
        else:
            return 0
        del self.free_area[order][self.block_type[head >> PAGEBLOCK_ORDER]][head]
        free_order[head] = 0
        end = head + (1 << order)
        count = min(count, end - pfn)
        self._free_range(head, pfn - head)
        self._free_range(pfn + count, end - pfn - count)
        return count

    def _alloc_block(self, order: int, mt: int) -> int:
        if order > MAX_PAGE_ORDER:
            raise ENOMEM
        count = 1 << order
        if self.nr_free - count < self.min_wmark:
            self.reclaim(self.high_wmark + count - self.nr_free, direct=True)
            if self._make_room(count) < count:
                raise ENOMEM
        pfn = self._take(order, mt)
        if pfn < 0:
            self.drain()
            pfn = self._take(order, mt)
        if pfn < 0:
            self.reclaim(count * 4, direct=True)
            self.drain()
            pfn = self._take(order, mt)
            if pfn < 0:
                raise ENOMEM
        self.nr_free -= count
        self.refcount[pfn] = 1
        return pfn

    def _refill(self, hot: list[int], mt: int) -> None:
        """Fill a hot list with a contiguous run, lowest frame on top."""
        count = _PCP_BATCH
        # A reserve is kept for the kernel's own needs: programs see ENOMEM before it does.
        spare = self.nr_free - self.min_wmark
        if spare < count:
            count = max(spare, self._make_room(1) if mt and spare <= 0 else 1)
        pfn, count = self._take_run(count, mt)
        hot.extend(range(pfn + count - 1, pfn - 1, -1))

    def _make_zero(self, pfn: int, count: int) -> None:
        """Zero those frames of a run that aren't known to be zero, and mark all as used."""
        used = self.used
        end = pfn + count
        first = used.find(1, pfn, end)
        if first >= 0:
            start = first << 12
            stop = (used.rfind(1, pfn, end) + 1) << 12
            mem = self.mem
            while stop - start > 65536:
                mem[start : start + 65536] = _ZERO_CHUNK
                start += 65536
            mem[start:stop] = _ZERO_CHUNK[: stop - start]
        used[pfn:end] = _USED[:count]

    # -- references and freeing

    def get(self, pfn: int) -> None:
        """One more reference."""
        self.refcount[pfn] += 1

    def put(self, pfn: int) -> None:
        """Drop a reference of a single frame; the last one frees it."""
        count = self.refcount[pfn] - 1
        if count > 0:
            self.refcount[pfn] = count
        else:
            self.free(pfn)

    def free(self, pfn: int, order: int = 0) -> None:
        """Free what alloc(order) gave, whatever its refcount was."""
        if self.refcount[pfn] <= 0:
            raise AssertionError(f"frame {pfn:#x} is free already")
        if self.page_memcg is not None:
            self._uncharge(range(pfn, pfn + (1 << order)))
        self.refcount[pfn] = 0
        self.nr_free += 1 << order
        self.freed_used += 1 << order
        if order:
            self._free_block(pfn, order)
            return
        hot = self.pcp[self.block_type[pfn >> PAGEBLOCK_ORDER]]
        hot.append(pfn)
        if len(hot) > _PCP_HIGH:
            self._drain_list(hot, _PCP_HIGH // 2)

    def put_many(self, pfns: Iterable[int]) -> None:
        """Drop one reference of each frame (a frame may occur more than once)."""
        refcount = self.refcount
        dead = []
        for pfn in pfns:
            count = refcount[pfn] - 1
            refcount[pfn] = count
            if count <= 0:
                if count:
                    refcount[pfn] = 0
                    raise AssertionError(f"frame {pfn:#x} is free already")
                dead.append(pfn)
        if dead:
            if self.page_memcg is not None:
                self._uncharge(dead)
            dead.sort()
            self.nr_free += len(dead)
            self.freed_used += len(dead)
            self._free_sorted(dead)

    def free_run(self, pfn: int, count: int) -> None:
        """Free a run of single frames whose last references are gone."""
        if self.page_memcg is not None:
            self._uncharge(range(pfn, pfn + count))
        self.nr_free += count
        self.freed_used += count
        self._free_range(pfn, count)

    def _uncharge(self, pfns: Iterable[int]) -> None:
        from pygos.mm.memcontrol import uncharge_frames

        uncharge_frames(self, pfns)

    def _free_sorted(self, pfns: list[int]) -> None:
        """Give frames in ascending order to the buddy system, run by run."""
        first = pfns[0]
        if pfns[-1] - first == len(pfns) - 1:
            self._free_range(first, len(pfns))
            return
        last = first
        for pfn in pfns:
            if pfn - last > 1:
                self._free_range(first, last - first + 1)
                first = pfn
            last = pfn
        self._free_range(first, last - first + 1)

    def _drain_list(self, hot: list[int], count: int) -> None:
        """Give the coldest frames of a hot list back."""
        cold = sorted(hot[:count])
        del hot[:count]
        if cold:
            self._free_sorted(cold)

    def drain(self) -> None:
        """Give all hot lists back to the buddy system."""
        for hot in self.pcp:
            self._drain_list(hot, len(hot))

    # -- reclaim

    def reclaim(self, target: int, direct: bool) -> int:
        """Ask the shrinkers for `target` frames; how many were freed."""
        if self.reclaiming:
            return 0
        self.reclaiming = True
        before = self.nr_free
        try:
            for shrinker in self.shrinkers:
                left = target - (self.nr_free - before)
                if left <= 0:
                    break
                shrinker.shrink(left, direct)
        finally:
            self.reclaiming = False
        return self.nr_free - before

    def balance(self, want: int = 0) -> None:
        """Reclaim up to the high watermark, and `want` frames, if free memory is low.

        Only where no call is holding frames it looked up.
        """
        if self.nr_free - want < self.low_wmark:
            self.reclaim(self.high_wmark + want - self.nr_free, direct=False)

    def _make_room(self, count: int) -> int:
        """How many of `count` frames can be had now, after reclaim if need be. ENOMEM if none."""
        spare = self.nr_free - self.min_wmark
        if spare > 0:
            return min(count, spare)
        for _ in range(16):
            self.reclaim(max(count, self.high_wmark - self.nr_free), direct=True)
            spare = self.nr_free - self.min_wmark
            if spare > 0:
                return min(count, spare)
            if self.oom is None or self.reclaiming or not self.oom.out_of_memory():
                break
        raise OutOfMemory

    def trim(self, budget: int = 4096, threshold: int = TRIM_THRESHOLD) -> int:
        """Give used memory in large free blocks back to the host; frames given back.

        Cheap to call when idle: does nothing before `threshold` used frames were freed, then
        at most `budget` frames.
        """
        if self.freed_used < threshold:
            return 0
        done = 0
        used = self.used
        for order in range(MAX_PAGE_ORDER, 5, -1):
            size = 1 << order
            for heads in self.free_area[order]:
                for pfn in heads:
                    if used.find(1, pfn, pfn + size) < 0:
                        continue
                    if done + size > budget:
                        self.freed_used = max(self.freed_used - done, 0)
                        return done
                    self.ram.discard(pfn, size)
                    used[pfn : pfn + size] = bytes(size)
                    done += size
        self.freed_used = 0
        return done

    # -- statistics

    def buddyinfo(self) -> list[int]:
        """Free blocks by order (/proc/buddyinfo); frames in hot lists aren't in it."""
        return [sum(map(len, types)) for types in self.free_area]

    def pagetypeinfo(self) -> list[list[int]]:
        """Free blocks by migrate type, then by order."""
        return [[len(types[mt]) for types in self.free_area] for mt in range(_NR_TYPES)]

    def blocks_by_type(self) -> list[int]:
        """How many page blocks each migrate type has."""
        count = (self.pages + (1 << PAGEBLOCK_ORDER) - 1) >> PAGEBLOCK_ORDER
        return [self.block_type[:count].count(mt) for mt in range(_NR_TYPES)]

    @property
    def available(self) -> int:
        """MemAvailable: free frames and what could be reclaimed without harm, in pages."""
        reclaimable = self.nr_file - self.nr_shmem
        return max(self.nr_free - self.low_wmark + reclaimable // 2, 0)
