# SPDX-License-Identifier: Apache-2.0
"""The fair class: earliest eligible virtual deadline first (EEVDF).

Each entity (a task, or a task group) has a *virtual runtime*: its CPU time divided by its
weight. The weighted average of those of all who run or wait is where a perfectly fair CPU
would have brought everybody. Who is at or behind it is *eligible*; of those the one whose
*virtual deadline* (its virtual runtime when it asked, plus its slice divided by its weight)
is earliest runs. Documentation/scheduler.rst says why there is one queue for all CPUs and
what that needs; cfs_rq.py has the queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.uapi.sched import SCHED_BATCH, SCHED_IDLE, SCHED_RESET_ON_FORK
from pygos.kernel.sched.cfs_rq import CfsRq
from pygos.kernel.sched.sched import (
    NICE_0_LOAD,
    VSHIFT,
    WEIGHT_IDLEPRIO,
    WEIGHTS,
    SchedEntity,
)

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.sched.group import TaskGroup
    from pygos.kernel.sched.rq import RunQueue

_Heap = list[tuple[int, int, SchedEntity]]
#: Invalid entries that a bucket may hold beyond its valid ones.
_GARBAGE: Final = 64
_POLICY: Final = ~SCHED_RESET_ON_FORK
#: Tasks of these policies don't preempt others when they wake up.
QUIET: Final = (SCHED_BATCH, SCHED_IDLE)


class FairClass:
    """Implements SchedClass for SCHED_NORMAL, SCHED_BATCH and SCHED_IDLE."""

    __slots__ = ("nr_limited", "nr_woken", "root", "sched", "waiting")

    def __init__(self, sched: RunQueue, nr_cpus: int) -> None:
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
