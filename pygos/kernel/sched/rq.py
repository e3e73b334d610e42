# SPDX-License-Identifier: Apache-2.0
"""The run queue: becoming runnable, who must give way, and what is charged for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.linux.sched import TaskState
from pygos.include.uapi.sched import SCHED_RESET_ON_FORK, SCHED_RR
from pygos.kernel.sched.deadline import DL_PRIO, DeadlineClass
from pygos.kernel.sched.fair import QUIET, FairClass, new_entity
from pygos.kernel.sched.idle import NICE, SYSTEM, USER, CpuStat
from pygos.kernel.sched.loadavg import LoadAverage
from pygos.kernel.sched.rt import RtClass
from pygos.kernel.sched.sched import BASE_SLICE, TICK, SchedClass, SchedEntity
from pygos.kernel.sched.stop import StopClass

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.include.linux.timer import Timer
    from pygos.kernel.sched.group import TaskGroup

_RUNNING = TaskState.RUNNING
_POLICY = ~SCHED_RESET_ON_FORK
#: In a mask of pending signals.
SIGKILL_BIT = 1 << 8
_SLEEPING = (TaskState.INTERRUPTIBLE, TaskState.UNINTERRUPTIBLE)
#: The least time for which the timer of a slice is set, ns.
_MIN_TIMER = 100_000


class RunQueue:
    """The tasks of one machine that run or wait for a CPU."""

    __slots__ = (
        "classes", "cpu_stats", "current", "dl", "entered", "fair", "idle", "load", "machine",
        "nr_switches", "realtime", "rt", "running", "slice_timer", "staged", "stop", "waiting",
    )  # fmt: skip

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        #: Tasks that wait for a CPU and may be picked.
        self.waiting = 0
        #: Fair tasks that will have an idle CPU, or that of who woke them, at once; and were
        #: they woken? They are not in their class yet.
        self.staged: list[tuple[Task, bool]] = []
        self.stop = StopClass(self)
        self.dl = DeadlineClass(self)
        self.rt = RtClass(self)
        self.fair = FairClass(self, machine.nr_cpus)
        self.classes: tuple[SchedClass, ...] = (self.stop, self.dl, self.rt, self.fair)
        #: The CPUs that nobody holds, a bit mask.
        self.idle = (1 << machine.nr_cpus) - 1
        #: Tasks whose CPU runs guest code now.
        self.running: dict[Task, None] = {}
        #: The task whose trap is being answered.
        self.current: Task | None = None
        #: When it entered the kernel.
        self.entered = 0
        self.nr_switches = 0
        self.cpu_stats = [CpuStat() for _ in range(machine.nr_cpus)]
        #: Some task has had a real-time policy: priorities count.
        self.realtime = False
        #: Ends a slice before the tick: somebody who was woken waits, or there is a quota.
        self.slice_timer: Timer | None = None
        self.load = LoadAverage(machine.loadavg, machine.clock.monotonic())

    @property
    def nr_running(self) -> int:
        """Tasks that run or wait, those of throttled groups too."""
        return self.waiting + len(self.running)

    # -- becoming runnable

    def add(self, task: Task) -> None:
        """A new or continued task becomes runnable."""
        if not task.on_rq and not task.on_cpu:
            self._enqueue(task, False)

    def wake_up(self, task: Task) -> None:
        """A sleeping task becomes runnable; its call will be invoked again."""
        if task.state not in _SLEEPING:
            return
        self.leave_queues(task)
        task.state = _RUNNING
        if not task.on_rq and not task.on_cpu:
            if task.notify and task.pending.mask & SIGKILL_BIT:
                self.let_die(task)
            else:
                self._enqueue(task, True)

    def let_die(self, task: Task) -> None:
        """A task that neither waits nor runs is to die: that needs no CPU."""
        task.on_rq = True
        task.sched_class = self.stop
        self.stop.enqueue(task, False)

    def _enqueue(self, task: Task, woken: bool) -> None:
        task.on_rq = True
        klass = task.sched_class
        if klass is None:
            self.entity(task)
            klass = task.sched_class = self._class_of(task)
        allowed = task.cpus_allowed or -1
        idle = self.idle & allowed
        if klass is self.fair and task.sched_group is None and (idle or self._follows(task)):
            self.staged.append((task, woken))
            self.waiting += 1
            return
        if self.staged:
            self._flush()
        task.se.queued_at = self.machine.clock.monotonic()
        klass.enqueue(task, woken)
        if not idle:
            self.check_preempt(task)

    def _follows(self, task: Task) -> bool:
        """No CPU is idle: may a task wait for the one who woke it to sleep or use up its slice?

        Who wakes somebody often waits for the answer, so that nothing needs to be decided.
        """
        current = self.current
        if current is None or current.sched_class is not self.fair or not current.on_cpu:
            return False
        if not (task.cpus_allowed or -1) >> current.cpu_nr & 1 or current.sched_group is not None:
            return False
        if current.policy != task.policy or current.nice > task.nice:
            return False
        current.slice_end = min(current.slice_end, current.se.queued_at + BASE_SLICE)
        return True

    def _flush(self, preempt: bool = True) -> None:
        """Somebody else wants a CPU, too: staged tasks go to their class."""
        staged, self.staged = self.staged, []
        now = self.machine.clock.monotonic()
        for task, woken in staged:
            self.waiting -= 1
            task.se.queued_at = now
            self.fair.enqueue(task, woken)
            if preempt and not self.idle & (task.cpus_allowed or -1):
                self.check_preempt(task)

    def _dequeue(self, task: Task) -> None:
        """A waiting task leaves its class."""
        if self.staged:
            self._flush()
        task.sched_class.dequeue(task)

    def entity(self, task: Task) -> SchedEntity:
        """The entity of a task, made at its first use."""
        if task.se is None:
            task.se = new_entity(task, self.fair.root)
        entity: SchedEntity = task.se
        return entity

    def _class_of(self, task: Task) -> SchedClass:
        prio = task.prio
        if not prio:
            return self.fair
        return self.rt if prio < DL_PRIO else self.dl

    def leave_queues(self, task: Task) -> None:
        """Take a task off its wait queues and cancel its deadline."""
        for queue in task.waiting:
            queue.waiters.pop(task, None)
        task.waiting = ()
        if task.wait_timer is not None:
            task.wait_timer.cancel()
            task.wait_timer = None
        task.wait_deadline = None

    # -- preemption

    def check_preempt(self, task: Task) -> None:
        """A task has become runnable and no CPU that it may use is idle: does anybody give
        way at once?"""
        allowed = task.cpus_allowed or -1
        victim, rank = None, self._rank(task)
        for other in self.running:
            if allowed >> other.cpu_nr & 1 and (at := self._rank(other)) > rank:
                victim, rank = other, at
        if victim is not None:
            self.resched(victim)
        elif task.sched_class is self.fair:
            self._preempt_fair(task, allowed)
        elif task.sched_class is self.dl:
            for other in self.running:
                if other.sched_class is self.dl and self.dl.gives_way(other, False):
                    self.resched(other)
                    break

    def _rank(self, task: Task) -> tuple[int, int]:
        """Who has a lower one goes first; real-time tasks out of their time come last."""
        if task.sched_class is self.rt and self.rt.throttled:
            return len(self.classes), -task.prio
        return self.classes.index(task.sched_class), -task.prio

    def _preempt_fair(self, task: Task, allowed: int) -> None:
        """The same among fair tasks: who is out of its slice, or not eligible, gives way.
        Somebody who is in the kernel anyway is looked at when its slice is over; for others
        a timer is set."""
        now, first = self.machine.clock.monotonic(), TICK
        fair = self.fair
        for other in self.running:
            if other.sched_class is not fair or not allowed >> other.cpu_nr & 1:
                continue
            self.charge(other, now)
            if fair.preempts(task, other):
                self.resched(other)
                return
            if task.policy & _POLICY in QUIET:
                continue
            left = fair.slice_left(other)
            if other is self.current:
                other.slice_end = min(other.slice_end, now + left)
            elif left < first:
                first = left
        if first < TICK:
            self.set_slice_timer(now + max(first, _MIN_TIMER))

    def resched(self, task: Task) -> None:
        """A running task is to look whether it must give way, soon."""
        task.need_resched = True
        if task is not self.current and task.cpu is not None:
            task.cpu.kick()

    def resched_group(self, group: TaskGroup) -> None:
        """A group is out of quota: its running tasks must stop."""
        from pygos.kernel.sched.group import within

        for task in self.running:
            if task.sched_group is not None and within(task, group):
                self.resched(task)

    def set_slice_timer(self, when: int) -> None:
        """Look at the running tasks at this time, or before."""
        timer = self.slice_timer
        if timer is not None:
            if timer.target is not None and timer.deadline <= when:
                return
            timer.cancel()
        self.slice_timer = self.machine.timers.add(when, self)

    def expire(self, now: int) -> None:
        """TimerTarget: the slice of a running task may be over."""
        self.slice_timer = None
        first = TICK
        for task in self.running:
            self.charge(task, now)
            if task.sched_class is self.fair:
                if self.fair.nr_limited:
                    first = min(first, self.fair.limit(task))
                if self.fair.nr_woken:
                    if self.fair.gives_way(task, False):
                        self.resched(task)
                    else:
                        first = min(first, self.fair.slice_left(task))
            elif task.dl is not None:
                if task.dl.throttled:
                    self.resched(task)
                else:
                    first = min(first, task.dl.left)
        if first < TICK:
            self.set_slice_timer(now + max(first, _MIN_TIMER))

    def _watch_slice(self, task: Task, now: int) -> None:
        """A task starts and its slice must be ended to the point."""
        left = TICK
        if task.dl is not None and task.sched_class is self.dl:
            left = task.dl.left
        elif task.sched_class is self.fair:
            if self.fair.nr_woken and not self.idle:
                left = BASE_SLICE
            if self.fair.nr_limited:
                left = min(left, self.fair.limit(task))
        elif task.policy & _POLICY == SCHED_RR:
            task.slice_end = now + self._tick(task)
        if left < TICK:
            self.set_slice_timer(now + max(left, _MIN_TIMER))

    def _tick(self, task: Task) -> int:
        """How long a task may hold its CPU before it is looked at, if others wait, ns."""
        if task.policy & _POLICY == SCHED_RR:
            return int(self.machine.sysctl.get("kernel.sched_rr_timeslice_ms", 100)) * 1_000_000
        return TICK

    # -- accounting

    def account(self, task: Task) -> None:
        """What a task has used goes into the statistics of its CPU and group."""
        entity = task.se
        utime, stime = task.utime - entity.utime, task.stime - entity.stime
        if utime or stime:
            entity.utime = task.utime
            entity.stime = task.stime
            stat = self.cpu_stats[task.cpu_nr]
            stat.runs += entity.run_count - entity.counted
            entity.counted = entity.run_count
            times = stat.times
            times[NICE if task.nice > 0 else USER] += utime
            times[SYSTEM] += stime
            if task.sched_group is not None:
                task.sched_group.account(utime, stime)

    def charge(self, task: Task, now: int) -> None:
        """Tell the class what a running task has used until `now`."""
        entity = task.se
        used = task.utime + task.stime + now - task.last_run
        if not entity.present and task.sched_class is self.fair:
            # It has run alone so far, which doesn't count.
            entity.sum = used
            entity.vlag = 0
            self.fair.start_running(task)
        elif used > entity.sum:
            delta = used - entity.sum
            entity.sum = used
            task.sched_class.charge(task, delta, now)

    def update(self) -> None:
        """Charge all who run, before weights or quotas change."""
        now = self.machine.clock.monotonic()
        for task in tuple(self.running):
            self.charge(task, now)
