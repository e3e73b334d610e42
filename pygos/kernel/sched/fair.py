# SPDX-License-Identifier: Apache-2.0
"""The fair class: earliest eligible virtual deadline first (EEVDF).

Each entity (a task, or a task group) has a *virtual runtime*: its CPU time divided by its
weight. The weighted average of those of all who run or wait is where a perfectly fair CPU
would have brought everybody. Who is at or behind it is *eligible*; of those the one whose
*virtual deadline* (its virtual runtime when it asked, plus its slice divided by its weight)
is earliest runs. Documentation/scheduler.rst says why there is one queue for all CPUs and
what that needs.

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
    NICE_0_LOAD,
    TICK,
    VSHIFT,
    WEIGHT_IDLEPRIO,
    WEIGHTS,
    SchedEntity,
)

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.sched.core import Sched
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


class FairClass:
    """Implements SchedClass for SCHED_NORMAL, SCHED_BATCH and SCHED_IDLE."""

    __slots__ = ("nr_limited", "nr_woken", "root", "sched", "waiting")

    def __init__(self, sched: Sched, nr_cpus: int) -> None:
        self.sched = sched
        self.root = CfsRq(None, nr_cpus)
        self.waiting = 0
        #: Of those who wait, how many were woken: they shall not wait for a whole tick.
        self.nr_woken = 0
        #: Groups with a quota.
        self.nr_limited = 0

    def _count(self, cfs: CfsRq, change: int) -> None:
        """Tasks begin or end to wait in a queue: the groups above wait if anybody does."""
        while True:
            cfs.h_waiting += change
            group = cfs.group
            if group is None:
                self.waiting += change
                self.sched.waiting += change
                return
            if group.throttled:
                return
            entity = group.se
            cfs, waits = entity.cfs, cfs.h_waiting > 0
            if waits and not (entity.waiting and entity.mask == group.cfs.wanted()):
                cfs.push(entity)
            elif entity.waiting and not waits:
                cfs.unpush(entity)

    @staticmethod
    def _join(entity: SchedEntity, new: bool) -> None:
        cfs = entity.cfs
        cfs.join(entity, new)
        while cfs.group is not None and not cfs.group.se.present and not cfs.group.throttled:
            entity = cfs.group.se
            cfs = entity.cfs
            cfs.join(entity)

    @staticmethod
    def _leave(entity: SchedEntity) -> None:
        cfs = entity.cfs
        cfs.leave(entity)
        while not cfs.nr and cfs.group is not None and cfs.group.se.present:
            entity = cfs.group.se
            cfs = entity.cfs
            cfs.leave(entity)

    # -- SchedClass

    def enqueue(self, task: Task, woken: bool) -> None:
        entity: SchedEntity = task.se
        self._join(entity, not entity.run_count)
        entity.cfs.push(entity)
        if woken and task.policy & _POLICY not in QUIET:
            entity.woken = True
            self.nr_woken += 1
        self._count(entity.cfs, 1)

    def dequeue(self, task: Task) -> None:
        entity: SchedEntity = task.se
        self._taken(entity)
        self._leave(entity)

    def _taken(self, entity: SchedEntity) -> None:
        cfs = entity.cfs
        cfs.unpush(entity)
        if entity.woken:
            entity.woken = False
            self.nr_woken -= 1
        self._count(cfs, -1)

    def pick(self, idle: int, now: int) -> Task | None:
        entity = self.root.peek(idle)
        if entity is not None and entity.group is not None:
            entity = self._pick_below(idle)
        if entity is None:
            return None
        self._taken(entity)
        entity.picked = entity.deadline
        group = entity.cfs.group
        while group is not None:
            group.se.picked = group.se.deadline
            group = group.se.cfs.group
        return entity.task

    def _pick_below(self, idle: int) -> SchedEntity | None:
        """Pick through groups. One in which nobody may use these CPUs is passed over."""
        hidden: list[SchedEntity] = []
        cfs = self.root
        entity = cfs.peek(idle)
        while entity is not None and entity.group is not None:
            cfs = entity.group.cfs
            below = cfs.peek(idle)
            if below is None:
                entity.cfs.unpush(entity)
                hidden.append(entity)
                below = self.root.peek(idle)
            entity = below
        for group_entity in hidden:
            group_entity.cfs.push(group_entity)
        return entity

    def put_prev(self, task: Task, head: bool) -> None:
        entity: SchedEntity = task.se
        entity.cfs.push(entity)
        self._count(entity.cfs, 1)

    def start_running(self, task: Task) -> None:
        entity: SchedEntity = task.se
        self._join(entity, False)
        entity.picked = entity.deadline

    def stop_running(self, task: Task) -> None:
        self._leave(task.se)

    def wants(self, task: Task, bit: int) -> bool:
        return False

    def charge(self, task: Task, delta: int, now: int) -> None:
        entity: SchedEntity = task.se
        cpu_nr = task.cpu_nr
        while True:
            cfs = entity.cfs
            cfs.charge(entity, delta, cpu_nr)
            group = cfs.group
            if group is None:
                return
            if group.quota is not None:
                group.use(delta, now)
            entity = group.se

    def gives_way(self, task: Task, over: bool) -> bool:
        bit = 1 << task.cpu_nr
        for entity in self._path(task):
            cfs = entity.cfs
            best = cfs.peek(bit)
            if best is None:
                return False
            if best is not entity:
                if not _better(cfs, best, entity):
                    if over:
                        entity.picked = entity.deadline
                    return False
                return True
        return False

    @staticmethod
    def _path(task: Task) -> list[SchedEntity]:
        """The entities that stand for a task, from the root queue down to its own."""
        entity: SchedEntity = task.se
        path = [entity]
        while entity.cfs.group is not None:
            entity = entity.cfs.group.se
            path.append(entity)
        path.reverse()
        return path

    def yield_task(self, task: Task) -> None:
        """Give up the rest of the slice: it counts as used."""
        entity: SchedEntity = task.se
        cfs = entity.cfs
        if cfs.nr > 1 and cfs.eligible(entity):
            cfs.wsum += entity.weight * (entity.deadline - entity.vruntime)
            entity.vruntime = entity.deadline
            entity.deadline += (entity.slice << VSHIFT) // entity.weight

    # -- for core.py

    def preempts(self, task: Task, running: Task) -> bool:
        """A task was woken and no CPU is idle: does a running one, just charged, give way?"""
        policy = task.policy & _POLICY
        if running.policy & _POLICY == SCHED_IDLE != policy:
            return True
        return policy not in QUIET and self.gives_way(running, False)

    @staticmethod
    def slice_left(task: Task) -> int:
        """ns until the slice of a running task, just charged, is used up."""
        entity: SchedEntity = task.se
        return max(0, entity.deadline - entity.vruntime) * entity.weight >> VSHIFT

    @staticmethod
    def limit(task: Task) -> int:
        """ns that a task may run before a quota may be used up; 1 << 62: no quota."""
        left, group = 1 << 62, task.sched_group
        while group is not None:
            if group.quota is not None:
                left = min(left, group.left())
            group = group.parent
        return left

    @staticmethod
    def is_throttled(task: Task) -> bool:
        """Some group of the task has used up its quota."""
        group = task.sched_group
        while group is not None:
            if group.throttled:
                return True
            group = group.parent
        return False

    def throttle(self, group: TaskGroup) -> None:
        """Nobody in the group is picked any more."""
        entity = group.se
        if entity.waiting:
            entity.cfs.unpush(entity)
            self._count(entity.cfs, -group.cfs.h_waiting)
        if entity.present:
            self._leave(entity)

    def unthrottle(self, group: TaskGroup) -> None:
        """Those who wait in the group may be picked again."""
        if group.cfs.nr:
            self._join(group.se, False)
        waiting = group.cfs.h_waiting
        if waiting:
            group.cfs.h_waiting = 0
            self._count(group.cfs, waiting)

    @staticmethod
    def set_weight(task: Task) -> None:
        """The nice value or the policy of a task, charged if it runs, has changed."""
        entity: SchedEntity = task.se
        idle = task.policy & _POLICY == SCHED_IDLE
        weight = WEIGHT_IDLEPRIO if idle else WEIGHTS[task.nice + 20]
        entity.cfs.reweight(entity, weight)


def _better(cfs: CfsRq, best: SchedEntity, entity: SchedEntity) -> bool:
    """Should the best waiting entity run instead of a running one?

    An eligible one keeps its CPU to the end of its slice, unless the other asks for a
    shorter one: fewer switches at the same fairness (RUN_TO_PARITY, PREEMPT_SHORT).
    """
    eligible = cfs.eligible(best)
    if not cfs.eligible(entity):
        return eligible or best.vruntime < entity.vruntime
    if not eligible:
        return False
    if entity.deadline == entity.picked and best.slice >= entity.slice:
        return False
    return best.deadline <= entity.deadline


def new_entity(task: Task, root: CfsRq) -> SchedEntity:
    """The entity of a new task, in its group's queue."""
    group = task.sched_group
    entity = SchedEntity(task, None, root if group is None else group.cfs)
    if task.policy & _POLICY == SCHED_IDLE:
        entity.weight = WEIGHT_IDLEPRIO
    elif task.nice:
        entity.weight = WEIGHTS[task.nice + 20]
    else:
        entity.weight = NICE_0_LOAD
    return entity
