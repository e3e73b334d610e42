# SPDX-License-Identifier: Apache-2.0
"""Charging memory to control groups (mm/memcontrol.c, mm/page_counter.c).

A frame is charged when a program gets it (anonymous memory, page cache, shared memory), to
the group of the mm that touched it first, and uncharged when it is freed; moving a process
moves nothing. ``zone.page_memcg`` says for each frame whose it is; it is None until the first
group has the controller, and ``mm.memcg`` is None for processes in the root group: that is
all that memory accounting costs those who don't use it.

When a limit is reached, clean page cache of the group goes first; then the killer chooses in
the group (mm/oom.py).
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final, Protocol

from pygos.mm.oom import OutOfMemory, out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import Mapping
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm
    from pygos.mm.page_alloc import Zone

#: "max": no limit, in pages.
PAGE_COUNTER_MAX: Final = ((1 << 63) - 1) // 4096
#: What a frame is, in the low bits of its word in zone.page_memcg.
ANON: Final = 0
FILE: Final = 1
SHMEM: Final = 2
_KIND_BITS: Final = 2
_KIND_MASK: Final = 3
#: How often reclaim and the killer are tried for one charge.
_RETRIES: Final = 16
#: The least that one round of reclaim tries to free, pages.
_RECLAIM_BATCH: Final = 32


#: How long to sleep for a share over memory.high: fractions of 2**20, squared, over 2**14.
_PRECISION: Final = 20
_SCALE: Final = 14
_CHARGE_BATCH: Final = 64


class MemcgOwner(Protocol):
    """The control group behind it (kernel/cgroup/memory.py)."""

    def path(self) -> str:
        """Its path in the hierarchy."""

    def notify(self, name: bytes) -> None:
        """One of its files has changed."""

    def throttle(self, owner: Task, delay: int) -> None:
        """The process is over memory.high: let it sleep `delay` ns soon."""


class MemCgroup:
    """The memory of one group (struct mem_cgroup). Sizes in pages."""

    __slots__ = (
        "children", "events", "events_local", "high", "id", "local_peak", "low", "machine",
        "max", "min", "offline", "oom_group", "owner", "parent", "peak", "pgscan", "pgsteal",
        "stat", "swap_high", "swap_max", "usage", "watchers", "zone",
    )  # fmt: skip

    def __init__(self, machine: Machine, parent: MemCgroup | None, owner: MemcgOwner) -> None:
        self.machine = machine
        zone = self.zone = machine.zone
        self.parent = parent
        self.owner = owner
        self.usage = self.peak = 0
        #: The peak since somebody last began a new one by writing to memory.peak.
        self.local_peak = 0
        self.watchers: list[PeakWatcher] = []
        self.max = self.high = PAGE_COUNTER_MAX
        self.low = self.min = 0
        self.swap_max = self.swap_high = PAGE_COUNTER_MAX
        self.oom_group = False
        #: Frames by kind, those of groups below included.
        self.stat = [0, 0, 0]
        self.pgscan = self.pgsteal = 0
        self.events = dict.fromkeys(EVENTS, 0)
        self.events_local = dict.fromkeys(EVENTS, 0)
        self.offline = False
        #: Groups below that have the controller or still have frames.
        self.children: dict[MemCgroup, None] = {}
        if parent is not None:
            parent.children[self] = None
        self.id = register(zone, self)

    def within(self, other: MemCgroup) -> bool:
        """Is it `other` or below?"""
        at: MemCgroup | None = self
        while at is not None:
            if at is other:
                return True
            at = at.parent
        return False

    def event(self, name: str, count: int = 1) -> None:
        """Count something that happened, for the groups above too."""
        self.events_local[name] += count
        self.owner.notify(b"memory.events.local")
        at: MemCgroup | None = self
        while at is not None:
            at.events[name] += count
            at.owner.notify(b"memory.events")
            at = at.parent

    def headroom(self) -> int:
        """How many pages fit below all limits."""
        at: MemCgroup | None = self
        room = PAGE_COUNTER_MAX
        while at is not None:
            room = min(room, at.max - at.usage)
            at = at.parent
        return room

    # -- charging

    def charge(self, count: int) -> int:
        """Charge up to `count` pages, at least one; how many. OutOfMemory."""
        at: MemCgroup | None = self
        while at is not None:
            if at.usage + count > at.max:
                count = self._charge_slow(count)
                break
            at = at.parent
        over: MemCgroup | None = None
        at = self
        while at is not None:
            usage = at.usage = at.usage + count
            if usage > at.local_peak:
                at.local_peak = usage
                if usage > at.peak:
                    at.peak = usage
            if usage > at.high:
                over = at
            at = at.parent
        if over is not None:
            self._over_high(over, count)
        return count

    def _over_high(self, over: MemCgroup, count: int) -> None:
        """`count` pages went over the mark of `over`: reclaim, or slow the process down.

        As on Linux the delay grows with the square of how far it is over.
        """
        over.event("high")
        reclaim(over, over.usage - over.high)
        mm = self.zone.current
        if over.usage <= over.high or mm is None or mm.owner is None or mm.memcg is None:
            return
        excess = ((over.usage - over.high) << _PRECISION) // max(over.high, 1)
        delay = excess * excess * 1_000_000_000 >> _PRECISION + _SCALE
        over.owner.throttle(mm.owner, delay * count // _CHARGE_BATCH)

    def _charge_slow(self, count: int) -> int:
        """A limit would be passed: what there is room for, or after making room."""
        for _ in range(_RETRIES):
            room = self.headroom()
            if room > 0:
                return min(count, room)
            full = self._full()
            full.event("max")
            if reclaim(full, max(count, _RECLAIM_BATCH), keep=clean_min(full)):
                continue
            full.event("oom")
            if not out_of_memory(self.machine, self.zone.current, full):
                break
        raise OutOfMemory

    def _full(self) -> MemCgroup:
        """The nearest group whose limit is reached."""
        at: MemCgroup = self
        while at.usage < at.max and at.parent is not None:
            at = at.parent
        return at

    def uncharge(self, count: int) -> None:
        """Give back what charge() gave and no frame was taken for."""
        at: MemCgroup | None = self
        while at is not None:
            at.usage -= count
            at = at.parent

    def commit(self, pfn: int, count: int, kind: int) -> None:
        """`count` charged pages are these frames."""
        owners = self.zone.page_memcg
        assert owners is not None
        owners[pfn : pfn + count] = array("I", [self.id << _KIND_BITS | kind]) * count
        at: MemCgroup | None = self
        while at is not None:
            at.stat[kind] += count
            at = at.parent

    def release(self, kind: int, count: int) -> None:
        """Frames of that kind were freed."""
        at: MemCgroup | None = self
        while at is not None:
            at.usage -= count
            at.stat[kind] -= count
            at = at.parent
        if self.offline and not self.usage:
            self._forget()

    def go_offline(self) -> None:
        """The group is gone; its frames keep counting for those above until they are freed."""
        self.offline = True
        self.max = self.high = PAGE_COUNTER_MAX
        self.protect(0, 0)
        if not self.usage:
            self._forget()

    def _forget(self) -> None:
        """Nothing is charged to a group that is gone any more."""
        self.zone.memcgs.pop(self.id, None)
        if self.parent is not None:
            self.parent.children.pop(self, None)

    def protect(self, low: int, min: int) -> None:
        """memory.low and memory.min."""
        was = bool(self.low or self.min)
        self.low, self.min = low, min
        self.zone.nr_protected += bool(low or min) - was

    # -- limits

    def set_max(self, pages: int) -> None:
        """A new limit: reclaim, then kill, until it is kept (or nothing helps)."""
        self.max = pages
        tries = _RETRIES
        while self.usage > self.max:
            if reclaim(self, self.usage - self.max):
                continue
            if not tries:
                return
            tries -= 1
            self.event("oom")
            if not out_of_memory(self.machine, self.zone.current, self):
                return

    def set_high(self, pages: int) -> None:
        """A new mark above which to reclaim."""
        self.high = pages
        if self.usage > pages:
            reclaim(self, self.usage - pages)

    def reset_peak(self, watcher: PeakWatcher) -> None:
        """`watcher` counts anew; others keep what they have seen."""
        for one in self.watchers:
            one.value = max(one.value, self.local_peak)
        self.local_peak = self.usage
        watcher.value = 0
        if watcher not in self.watchers:
            self.watchers.append(watcher)


#: The lines of memory.events.
EVENTS: Final = ("low", "high", "max", "oom", "oom_kill", "oom_group_kill")


class PeakWatcher:
    """An open memory.peak that was written to."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


def register(zone: Zone, memcg: MemCgroup) -> int:
    """Give a group its number; the first one makes the table of frames."""
    if zone.page_memcg is None:
        zone.page_memcg = array("I", bytes(4 * zone.pages))
    zone.last_memcg += 1
    zone.memcgs[zone.last_memcg] = memcg
    return zone.last_memcg


# -- allocation


def charged_run(
    memcg: MemCgroup, count: int, kind: int, *, zero: bool = False, near: int = 0
) -> tuple[int, int]:
    """zone.alloc_run() for memory of a group. OutOfMemory."""
    zone = memcg.zone
    while memcg.offline:  # a process has outlived it that shares its memory with another
        if memcg.parent is None:
            return zone.alloc_run(count, zero=zero, near=near)
        memcg = memcg.parent
    count = memcg.charge(count)
    try:
        pfn, got = zone.alloc_run(count, zero=zero, near=near)
    except OutOfMemory:
        memcg.uncharge(count)
        raise
    if got < count:
        memcg.uncharge(count - got)
    memcg.commit(pfn, got, kind)
    return pfn, got


def cache_run(mapping: Mapping, count: int, zero: bool) -> tuple[int, int]:
    """zone.alloc_run() for a page cache, on behalf of the process that is at work."""
    zone = mapping.machine.zone
    mm: Mm | None = zone.current
    if mm is None or mm.memcg is None:
        return zone.alloc_run(count, zero=zero)
    return charged_run(mm.memcg, count, SHMEM if mapping.keep else FILE, zero=zero)


def uncharge_frames(zone: Zone, pfns: Iterable[int]) -> None:
    """Frames are being freed (called only once there are groups with the controller)."""
    owners = zone.page_memcg
    assert owners is not None
    count: dict[int, int] = {}
    for pfn in pfns:
        word = owners[pfn]
        if word:
            owners[pfn] = 0
            count[word] = count.get(word, 0) + 1
    for word, pages in count.items():
        zone.memcgs[word >> _KIND_BITS].release(word & _KIND_MASK, pages)


def memcg_of_frame(zone: Zone, pfn: int) -> MemCgroup | None:
    """The group that a frame is charged to."""
    owners = zone.page_memcg
    word = owners[pfn] if owners is not None else 0
    return zone.memcgs.get(word >> _KIND_BITS) if word else None


# -- reclaim


def _members(memcg: MemCgroup) -> set[int]:
    """The words of page cache frames of a group and those below."""
    found = [memcg]
    for one in found:
        found.extend(one.children)
    return {one.id << _KIND_BITS | FILE for one in found}


def reclaim(memcg: MemCgroup, target: int, direct: bool = True, keep: int = 0) -> int:
    """Free clean page cache charged to a group or below, but for `keep` pages; how many pages.

    `direct`: in the middle of a call, so that mapped files and the one being worked on are
    left alone.
    """
    zone = memcg.zone
    target = min(target, memcg.stat[FILE] - keep)
    if zone.reclaiming or target <= 0:
        return 0
    from pygos.mm.truncate import reclaim_pages

    zone.reclaiming = True
    words = _members(memcg)
    freed = scanned = 0
    try:
        for mapping in tuple(zone.lru):
            if freed >= target:
                break
            if direct and (mapping.i_mmap or mapping is zone.active_mapping):
                continue
            mine = _clean_pages(zone, mapping, words, target - freed)
            scanned += len(mine)
            if mine:
                freed += reclaim_pages(mapping, mine)
    finally:
        zone.reclaiming = False
    memcg.pgscan += scanned
    memcg.pgsteal += freed
    return freed


def clean_min(memcg: MemCgroup) -> int:
    """So many pages of code are left to a group that is full (see PageCacheShrinker)."""
    return min(memcg.max >> 6, 4096)


def _clean_pages(zone: Zone, mapping: Mapping, words: set[int], target: int) -> list[int]:
    """Up to `target` clean pages of a mapping that are charged so, oldest first."""
    owners = zone.page_memcg
    assert owners is not None
    dirty = mapping.dirty
    found: list[int] = []
    for index, pfn in mapping.pages.items():
        if owners[pfn] in words and index not in dirty:
            found.append(index)
            if len(found) >= target:
                break
    return found


def protection(memcg: MemCgroup, low: bool) -> int:
    """How many pages memory.min (`low`: memory.low, if that is more) keep from reclaim."""
    chain = [memcg]
    while (above := chain[-1].parent) is not None:
        chain.append(above)
    found = PAGE_COUNTER_MAX
    for one in reversed(chain):
        own = max(one.min, one.low) if low else one.min
        if one.parent is None:
            found = own
        elif own:
            found = min(own, found)
        elif one.parent.usage > found:
            found = 0  # memory_recursiveprot: it has a share only while all of it is protected
    return found


def protected_words(zone: Zone, low: bool) -> set[int]:
    """The words of page cache frames that reclaim for the whole machine leaves alone."""
    if not zone.nr_protected:
        return set()
    return {
        number << _KIND_BITS | FILE
        for number, one in zone.memcgs.items()
        if 0 < one.usage <= protection(one, low)
    }


def note_low(zone: Zone) -> None:
    """Nothing else could be reclaimed: memory.low is about to be broken."""
    for one in tuple(zone.memcgs.values()):
        if 0 < one.usage <= protection(one, True) and one.low and one.stat[FILE]:
            one.event("low")


def balance(mm: Mm, want: int = _RECLAIM_BATCH) -> None:
    """Make room for `want` pages near the limit, where no call holds frames it looked up."""
    memcg: MemCgroup | None = mm.memcg
    while memcg is not None:
        over = memcg.usage + want - memcg.max
        if over > 0 and memcg.stat[FILE]:
            reclaim(memcg, over + _RECLAIM_BATCH, False, clean_min(memcg))
        memcg = memcg.parent


def balance_cache(zone: Zone, want: int) -> None:
    """Before the process that is at work fills a page cache: see balance()."""
    mm: Mm | None = zone.current
    if mm is not None and mm.memcg is not None:
        balance(mm, want)


def cache_stat(memcg: MemCgroup) -> tuple[int, int]:
    """Of the group's page cache: dirty pages, and pages of files used lately."""
    zone = memcg.zone
    owners = zone.page_memcg
    assert owners is not None
    words = _members(memcg)
    dirty = active = 0
    for mapping in zone.lru:
        pages = mapping.pages
        if mapping.dirty:
            dirty += sum([owners[pages[i]] in words for i in mapping.dirty if i in pages])
        if mapping.referenced:
            active += sum([owners[pfn] in words for pfn in pages.values()])
    return dirty, active


def mm_memcg(machine: Machine, mm: Mm) -> str:
    """The path of the group that an mm is charged to."""
    memcg: MemCgroup | None = mm.memcg
    return memcg.owner.path() if memcg is not None else "/"
