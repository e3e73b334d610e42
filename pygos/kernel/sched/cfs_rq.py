# SPDX-License-Identifier: Apache-2.0
"""The queue of one group in the fair class: virtual time, who is present, who waits.

A queue keeps its waiting entities in buckets by affinity. A bucket is two heaps: `later`,
not eligible when last looked at, by virtual runtime; `ready`, by deadline. An entity moves
from one to the other as the average moves: O(log n) each time. Entries are not removed but
become invalid by a new stamp.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from pygos.include.uapi.sched import SCHED_BATCH, SCHED_IDLE, SCHED_RESET_ON_FORK
from pygos.kernel.sched.sched import (
    TICK,
    VSHIFT,
    SchedEntity,
)

if TYPE_CHECKING:
    from pygos.kernel.sched.group import TaskGroup

_Heap = list[tuple[int, int, SchedEntity]]
#: Invalid entries that a bucket may hold beyond its valid ones.
_GARBAGE: Final = 64
_POLICY: Final = ~SCHED_RESET_ON_FORK
#: Tasks of these policies don't preempt others when they wake up.
QUIET: Final = (SCHED_BATCH, SCHED_IDLE)


class Bucket:
    """The waiting entities that may use the same CPUs."""

    __slots__ = ("count", "later", "ready")

    def __init__(self) -> None:
        self.count = 0
        self.later: _Heap = []
        self.ready: _Heap = []

    def peek(self, wsum: int, load: int) -> SchedEntity:
        """The one to run next; if none is eligible, the one with the least virtual runtime."""
        later, ready = self.later, self.ready
        while later:
            key, stamp, entity = later[0]
            if entity.stamp == stamp:
                if key * load > wsum:
                    break
                heappush(ready, (entity.deadline, stamp, entity))
            heappop(later)
        while ready:
            _, stamp, entity = ready[0]
            if entity.stamp == stamp:
                if entity.vruntime * load <= wsum:
                    return entity
                heappush(later, (entity.vruntime, stamp, entity))
            heappop(ready)
        return later[0][2]

    def compact(self) -> None:
        """Drop invalid entries."""
        for heap in (self.later, self.ready):
            heap[:] = sorted([entry for entry in heap if entry[2].stamp == entry[1]])


class CfsRq:
    """The queue of one group (the root has `group` None).

    `load` and `wsum` are the sums of weight, and of weight times virtual runtime, of the
    present entities: those that wait or run, or in which somebody does.
    """

    __slots__ = (
        "buckets", "group", "h_waiting", "last_v", "load", "nr", "nr_cpus", "stamp", "wsum",
    )  # fmt: skip

    def __init__(self, group: TaskGroup | None, nr_cpus: int) -> None:
        self.group = group
        self.nr_cpus = nr_cpus
        self.buckets: dict[int, Bucket] = {}
        self.load = 0
        self.wsum = 0
        self.nr = 0
        #: Tasks that wait here and, where not throttled, below.
        self.h_waiting = 0
        #: The average when the queue became empty.
        self.last_v = 0
        self.stamp = 0

    def average(self) -> int:
        """The virtual time."""
        return self.wsum // self.load if self.load else self.last_v

    def eligible(self, entity: SchedEntity) -> bool:
        """It has had no more than its share."""
        return entity.vruntime * self.load <= self.wsum

    # -- who is present

    def join(self, entity: SchedEntity, new: bool = False) -> None:
        """An entity becomes present, as far behind or ahead as it was when it left.

        Being ahead wears off as time passes: nobody gains by a short sleep, nobody pays for
        ever. A new one gets half a slice, so that it is looked at soon.
        """
        load, weight, lag = self.load, entity.weight, entity.vlag
        average = self.wsum // load if load else self.last_v
        if lag:
            if lag < 0:
                lag = min(0, max(lag, average - entity.vruntime))
            if load:
                # Its coming moves the average by what it is off: make up for that.
                lag = lag * (load + weight) // load
        entity.vruntime = vruntime = average - lag
        ask = (entity.slice << VSHIFT) // weight
        entity.deadline = vruntime + (ask >> 1 if new else ask)
        entity.present = True
        self.load = load + weight
        self.wsum += weight * vruntime
        self.nr += 1

    def leave(self, entity: SchedEntity) -> None:
        """An entity is not present any more; how far it was off is kept."""
        average, weight = self.wsum // self.load, entity.weight
        lag, most = average - entity.vruntime, _limit(entity)
        entity.vlag = most if lag > most else -most if lag < -most else lag
        entity.present = False
        self.load -= weight
        self.wsum -= weight * entity.vruntime
        self.nr -= 1
        if not self.load:
            self.last_v = average

    def reweight(self, entity: SchedEntity, weight: int) -> None:
        """Change a weight; what it is owed or owes, in CPU time, stays the same."""
        old = entity.weight
        if weight == old:
            return
        entity.weight = weight
        if not entity.present:
            entity.vlag = entity.vlag * old // weight
            return
        average = self.average()
        ask = entity.deadline - entity.vruntime
        self.load += weight - old
        self.wsum -= old * entity.vruntime
        entity.vruntime = average - (average - entity.vruntime) * old // weight
        entity.deadline = entity.vruntime + ask * old // weight
        entity.picked = entity.deadline
        self.wsum += weight * entity.vruntime
        if entity.waiting:
            self.push(entity)

    # -- who waits

    def push(self, entity: SchedEntity) -> None:
        """A present entity waits; or it does already and its deadline has changed."""
        task, group = entity.task, entity.group
        if task is not None:
            mask = task.cpus_allowed or -1
        else:
            assert group is not None
            mask = group.cfs.wanted()
        if entity.waiting and mask != entity.mask:
            self.unpush(entity)
        bucket = self.buckets.get(mask)
        if bucket is None:
            bucket = self.buckets[mask] = Bucket()
        if not entity.waiting:
            entity.waiting = True
            entity.mask = mask
            bucket.count += 1
        self.stamp = entity.stamp = self.stamp + 1
        heappush(bucket.later, (entity.vruntime, entity.stamp, entity))
        if len(bucket.later) + len(bucket.ready) > 2 * bucket.count + _GARBAGE:
            bucket.compact()

    def unpush(self, entity: SchedEntity) -> None:
        """An entity does not wait any more: it runs, or has left."""
        entity.waiting = False
        entity.stamp = 0
        bucket = self.buckets[entity.mask]
        bucket.count -= 1
        if not bucket.count:
            if len(self.buckets) > 1:
                del self.buckets[entity.mask]
            else:
                bucket.later.clear()
                bucket.ready.clear()

    def wanted(self) -> int:
        """The CPUs that those who wait may use."""
        result = 0
        for mask, bucket in self.buckets.items():
            if bucket.count:
                result |= mask
        return result

    def peek(self, idle: int) -> SchedEntity | None:
        """The waiting entity that should run next on one of these CPUs."""
        best: SchedEntity | None = None
        for mask, bucket in self.buckets.items():
            if bucket.count and mask & idle:
                entity = bucket.peek(self.wsum, self.load)
                if best is None or self._before(entity, best):
                    best = entity
        return best

    def _before(self, one: SchedEntity, other: SchedEntity) -> bool:
        eligible = self.eligible(one)
        if eligible != self.eligible(other):
            return eligible
        if eligible:
            return one.deadline < other.deadline
        return one.vruntime < other.vruntime

    # -- time

    def charge(self, entity: SchedEntity, delta: int, cpu_nr: int) -> None:
        """A present entity has used `delta` ns; at the end of a slice it asks for another."""
        weight = entity.weight
        step = (delta << VSHIFT) // weight
        if not entity.present:  # a throttled group whose tasks have not stopped yet
            entity.vlag -= step
            return
        entity.vruntime += step
        self.wsum += weight * step
        if self.nr_cpus > 1 and self.nr > 1:
            self._bound(entity, cpu_nr)
        if entity.vruntime >= entity.deadline:
            entity.deadline = entity.vruntime + (entity.slice << VSHIFT) // weight
        if entity.waiting:
            self.push(entity)

    def _bound(self, entity: SchedEntity, cpu_nr: int) -> None:
        """With several CPUs somebody can get less than its share though it runs all the time
        (it can't use two CPUs): that counts only up to a limit, or newcomers would be
        measured by such a one. Time on a CPU that nobody else wants doesn't count at all."""
        lag = self.average() - entity.vruntime
        if lag < 0:
            if not self._wanted_by_others(entity, cpu_nr):
                self._place(entity, 0)
        elif lag > self.nr_cpus * (most := _limit(entity)):
            self._place(entity, -most)

    def _wanted_by_others(self, entity: SchedEntity, cpu_nr: int) -> bool:
        """Does another entity wait that may use this CPU?"""
        for mask, bucket in self.buckets.items():
            mine = entity.waiting and entity.mask == mask
            if mask >> cpu_nr & 1 and bucket.count > mine:
                return True
        return False

    def _place(self, entity: SchedEntity, off: int) -> None:
        """Give a present entity a virtual runtime that is this far off the average."""
        weight = entity.weight
        rest = self.load - weight
        others = self.wsum - weight * entity.vruntime
        ask = entity.deadline - entity.vruntime
        entity.vruntime = others // rest + off * self.load // rest
        entity.deadline = entity.vruntime + ask
        self.wsum = others + weight * entity.vruntime


def _limit(entity: SchedEntity) -> int:
    """How far off the average an entity may be, in virtual time."""
    return (max(2 * entity.slice, TICK) << VSHIFT) // entity.weight
