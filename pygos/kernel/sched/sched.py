# SPDX-License-Identifier: Apache-2.0
"""What the scheduling classes have in common: entities, weights, the class protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.sched.cfs_rq import CfsRq
    from pygos.kernel.sched.group import TaskGroup

#: Weights of the nice values -20 .. 19: each step is worth 10 % of CPU time (factor 1.25).
WEIGHTS: Final = (
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
    9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
    1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
    110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
)  # fmt: skip
WEIGHT_IDLEPRIO: Final = 3
#: The weight of nice 0, and what a new task group has.
NICE_0_LOAD: Final = 1024
#: What a fair task asks for at a time unless sched_setattr(2) says otherwise, ns.
BASE_SLICE: Final = 3_000_000
#: A task that computes is looked at again after this, ns of wall time. The platform's tick.
TICK: Final = 20_000_000
#: SCHED_RR, ns (kernel.sched_rr_timeslice_ms).
RR_TIMESLICE: Final = 100_000_000
#: Virtual time is ns of CPU time, shifted left by this, divided by the weight.
VSHIFT: Final = 20


class SchedEntity:
    """What is queued: a task, or a task group in its parent's queue (struct sched_entity).

    The part before `utime` is the fair class's; see fair.py for the meaning.
    """

    __slots__ = (
        "cfs", "counted", "custom_slice", "deadline", "group", "mask", "nr_migrations", "picked",
        "present", "queued_at", "rt_timeout", "run_count", "run_delay", "slice", "stamp", "stime",
        "sum", "task", "utime", "vlag", "vruntime", "waiting", "weight", "woken",
    )  # fmt: skip

    def __init__(self, task: Task | None, group: TaskGroup | None, cfs: CfsRq) -> None:
        self.task = task
        self.group = group
        #: The queue that it belongs to.
        self.cfs = cfs
        self.weight = NICE_0_LOAD
        self.vruntime = 0
        self.deadline = 0
        self.slice = BASE_SLICE
        self.custom_slice = False
        #: While it sleeps: how far it was behind (positive) or ahead of the average.
        self.vlag = 0
        #: Waits or runs, or somebody in the group does; waits in the heaps.
        self.present = False
        self.waiting = False
        #: Which entry in the heaps is the valid one, and in which bucket.
        self.stamp = 0
        self.mask = -1
        #: The deadline when it was picked: passed means that its slice is used up.
        self.picked = 0
        #: It waits because it was woken, not because it was preempted.
        self.woken = False
        # -- of tasks of every class: CPU time, ns: charged by the class; put into statistics
        self.sum = 0
        self.utime = 0
        self.stime = 0
        #: Since when it waits or has its CPU; how long it has waited in all, ns; how often
        #: it got a CPU.
        self.queued_at = 0
        self.run_delay = 0
        self.run_count = 0
        self.counted = 0
        self.nr_migrations = 0
        #: Of a real-time task: CPU time since it slept last, ns (RLIMIT_RTTIME).
        self.rt_timeout = 0


class SchedClass(Protocol):
    """One scheduling class. Those of a higher class always go first.

    A task is *waiting* (runnable, in the class's queue) or *running*; the classes don't know
    on which CPU. `idle` is a mask of CPUs.
    """

    #: Waiting tasks that may be picked.
    waiting: int

    def enqueue(self, task: Task, woken: bool) -> None:
        """A task that neither waited nor ran becomes runnable."""

    def dequeue(self, task: Task) -> None:
        """A waiting task leaves: it dies, stops, or changes its class."""

    def wants(self, task: Task, bit: int) -> bool:
        """Does a task that waits here go before `task`, a running one of a lower class? `bit`:
        its CPU."""

    def pick(self, idle: int, now: int) -> Task | None:
        """Take the next task that may run on one of these CPUs: it runs now."""

    def put_prev(self, task: Task, head: bool) -> None:
        """A running task waits again; `head`: it was preempted."""

    def start_running(self, task: Task) -> None:
        """A running task joins the class."""

    def stop_running(self, task: Task) -> None:
        """A running task sleeps, dies or changes its class."""

    def charge(self, task: Task, delta: int, now: int) -> None:
        """A running task has used `delta` ns of CPU time since it was last charged."""

    def gives_way(self, task: Task, over: bool) -> bool:
        """Should a running task, just charged, leave its CPU to a waiting one of the class?

        `over`: it has had the CPU for as long as the tick.
        """

    def yield_task(self, task: Task) -> None:
        """sched_yield(2) of a running task, just charged."""


def task_entity(task: Task) -> SchedEntity:
    """The task's entity."""
    entity: SchedEntity = task.se
    return entity


def nice_weight(nice: int) -> int:
    """The weight of a nice value."""
    return WEIGHTS[nice + 20]
