# SPDX-License-Identifier: Apache-2.0
"""The run queue and the main loop.

One Python thread runs the kernel; up to ``nr_cpus`` guest threads run on the host's CPUs
meanwhile. The machine's CPUs are numbers that tasks hold while they run, so that affinity
counts; the platform decides where on the host a guest thread runs. Which task runs is the
scheduling classes' business: stop, deadline, real-time, fair, in this order.

Invariants: a task waits in its class iff ``on_rq``; it is on a CPU iff ``on_cpu``; a task in
neither sleeps (its wait queues, timer or a signal bring it back), is stopped, or is dead.
``waiting`` counts the tasks of all classes that may be picked.

Whether a running task must give way is looked at when somebody better becomes runnable
(``need_resched`` is set, and a guest is interrupted), and, if anybody waits, when it stops
for another reason and has had the CPU for a tick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from pygos.include.linux.platform import Trap, TrapKind
from pygos.include.linux.sched import TaskState
from pygos.include.uapi.sched import SCHED_RESET_ON_FORK, SCHED_RR
from pygos.kernel.entry import continue_syscall, exit_to_user, handle_trap
from pygos.kernel.sched.deadline import DL_PRIO, DeadlineClass, DlEntity
from pygos.kernel.sched.fair import QUIET, FairClass, new_entity
from pygos.kernel.sched.idle import NICE, SYSTEM, USER, CpuStat
from pygos.kernel.sched.loadavg import LoadAverage
from pygos.kernel.sched.rt import RtClass
from pygos.kernel.sched.sched import BASE_SLICE, TICK, SchedClass, SchedEntity
from pygos.kernel.sched.stop import StopClass
from pygos.kernel.time.cputime import account_cpu

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.platform import Cpu
    from pygos.include.linux.sched import Task
    from pygos.include.linux.timer import Timer
    from pygos.kernel.sched.group import TaskGroup

_RUNNING = TaskState.RUNNING
_TICK = TrapKind.TICK
_POLICY = ~SCHED_RESET_ON_FORK
_SLEEPING = (TaskState.INTERRUPTIBLE, TaskState.UNINTERRUPTIBLE)
#: The least time for which the timer of a slice is set, ns.
_MIN_TIMER = 100_000


class Sched:
    """One machine's scheduler."""

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
            self._enqueue(task, True)

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
        if current.policy != task.policy:
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

    def set_prio(self, task: Task, prio: int) -> None:
        """The effective priority of a task changes: its own, or what it is lent."""
        old = task.prio
        if prio:
            self.realtime = True
        if old == prio and (task.se is None or task.sched_class is self._class_of(task)):
            return
        if task.se is None:
            task.prio = prio
            return
        now = self.machine.clock.monotonic()
        if task.on_cpu:
            self.charge(task, now)
            task.sched_class.stop_running(task)
        elif task.on_rq:
            self._dequeue(task)
        task.prio = prio
        task.sched_class = self._class_of(task)
        if task.on_rq:
            if prio and prio < old and prio < DL_PRIO:
                # Lowered, it comes before its new equals; raised, after them.
                self.rt.enqueue_head(task)
            else:
                task.sched_class.enqueue(task, False)
            if not self.idle & (task.cpus_allowed or -1):
                self.check_preempt(task)
        elif task.on_cpu:
            task.sched_class.start_running(task)
            self._watch_slice(task, now)
            if prio < old and self.waiting:
                self.resched(task)

    def join_deadline(self, task: Task, dl: DlEntity) -> None:
        """A task that has been admitted gets its parameters and the deadline class."""
        self.dl.total += dl.bandwidth
        self.realtime = True
        self.entity(task)
        self._change_class(task, DL_PRIO, dl)

    def leave_deadline(self, task: Task) -> None:
        """A deadline task is to get another policy or other parameters."""
        self._change_class(task, 0, None)

    def _change_class(self, task: Task, prio: int, dl: DlEntity | None) -> None:
        """Take a task out of its class, change what it is, put it into its new class."""
        if task.on_cpu:
            self.charge(task, self.machine.clock.monotonic())
            task.sched_class.stop_running(task)
        elif task.on_rq:
            self._dequeue(task)
        if task.dl is not None:
            self.dl.release(task)
        task.dl, task.prio = dl, prio
        task.sched_class = self._class_of(task)
        if task.on_cpu:
            task.sched_class.start_running(task)
            self._watch_slice(task, self.machine.clock.monotonic())
            if self.waiting:
                self.resched(task)
        elif task.on_rq:
            task.sched_class.enqueue(task, False)
            if not self.idle & (task.cpus_allowed or -1):
                self.check_preempt(task)

    def set_nice(self, task: Task, nice: int) -> None:
        """Give a task another nice value."""
        if task.se is not None:
            self.account(task)
        task.nice = nice
        self.set_weight(task)

    def set_weight(self, task: Task) -> None:
        """The nice value, or the policy within the fair class, of a task has changed."""
        if task.se is not None:
            if self.staged:
                self._flush()
            if task.on_cpu:
                self.charge(task, self.machine.clock.monotonic())
            self.fair.set_weight(task)

    def set_affinity(self, task: Task, mask: int) -> None:
        """The CPUs that a task may use change."""
        waits = task.on_rq
        if waits:
            self._dequeue(task)
        task.cpus_allowed = mask
        if waits:
            task.sched_class.enqueue(task, False)
            if not self.idle & mask:
                self.check_preempt(task)
        self.migrate(task)

    def change_group(self, task: Task, group: TaskGroup | None) -> None:
        """Move a task to another group (sched_move_task)."""
        if task.sched_group is group:
            return
        entity = task.se
        if entity is not None:
            now = self.machine.clock.monotonic()
            running = task.on_cpu and task.sched_class is self.fair
            if task.on_cpu:
                self.account(task)
                self.charge(task, now)
            if running:
                self.fair.stop_running(task)
            elif task.on_rq:
                self._dequeue(task)
            entity.cfs = self.fair.root if group is None else group.cfs
            entity.vruntime = entity.cfs.average() - entity.vlag
        task.sched_group = group
        if entity is not None:
            if running:
                self.fair.start_running(task)
                self.resched(task)
            elif task.on_rq:
                task.sched_class.enqueue(task, False)

    def yield_to_others(self, task: Task) -> None:
        """sched_yield(2): equals that wait go first."""
        if self.waiting or task.dl is not None:
            self.charge(task, self.machine.clock.monotonic())
            task.sched_class.yield_task(task)
            task.need_resched = True

    def migrate(self, task: Task) -> None:
        """The affinity of a task changed: if it runs, it moves to a CPU it may use.

        If all of those are held by tasks that can't change places, it waits for one.
        """
        if not task.on_cpu or task.cpus_allowed >> task.cpu_nr & 1:
            return
        if task.rseq is not None:
            # It may rely on its CPU being its own until it is told otherwise: see kernel/rseq.py.
            self.resched(task)
            return
        self.account(task)
        free = self.idle & task.cpus_allowed
        if free:
            self.idle ^= (free & -free) | 1 << task.cpu_nr
            task.cpu_nr = (free & -free).bit_length() - 1
            return
        for other in self.running:
            if other.rseq is not None:
                continue
            if task.cpus_allowed >> other.cpu_nr & 1 and other.cpus_allowed >> task.cpu_nr & 1:
                self.account(other)
                task.cpu_nr, other.cpu_nr = other.cpu_nr, task.cpu_nr
                return
        self.resched(task)

    def kick(self, task: Task) -> None:
        """Make a task look at ``notify`` soon: interrupt it if it runs guest code."""
        if task.on_cpu:
            if task.cpu is not None:
                task.cpu.kick()
        elif task.on_rq and task.pending.mask & 0x100 and task.sched_class is not self.stop:
            # It is to die: that needs no CPU, so it doesn't wait for one.
            self._dequeue(task)
            task.sched_class = self.stop
            self.stop.enqueue(task, False)

    def forget(self, task: Task) -> None:
        """The task exits: it must not be scheduled again."""
        self.leave_queues(task)
        if task.on_rq:
            task.on_rq = False
            self._dequeue(task)
        if task.on_cpu:
            if task is self.current:
                # The rest of the exit is nobody's.
                now = self.machine.clock.monotonic()
                account_cpu(task, max(0, self.entered - task.last_run), now - self.entered)
            self._off_cpu(task)
            self._stop_running(task)
        if task.se is not None:
            self.account(task)
        if task.dl is not None:
            self.dl.release(task)

    @property
    def nr_running(self) -> int:
        """Tasks that run or wait, those of throttled groups too."""
        return self.waiting + len(self.running)

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

    # -- the main loop

    def run(self) -> int:
        """Run the machine until ``machine.exit_status`` is set; returns that wait status."""
        machine = self.machine
        wait = machine.platform.wait
        clock = machine.clock.monotonic
        timers, load = machine.timers, self.load
        while machine.exit_status is None:
            if self.waiting and (self.idle or self.stop.waiting) and not self._dispatch(clock()):
                continue
            now = 0
            for cpu, trap in wait(timers.next_deadline() if timers.heap else None):
                now = self._trap(cpu, trap, clock)
            if timers.heap:
                timers.run(now or clock())
            if now >= load.due:
                load.sample(now, self.nr_running)
        return machine.exit_status

    def _trap(self, cpu: Cpu, trap: Trap, clock: Callable[[], int]) -> int:
        """One stopped CPU: answer it and, if possible, let it go on at once.

        Returns the time when it was answered.
        """
        start = clock()
        task = cast("Task | None", cpu.owner)
        if task is None or task.cpu is not cpu:
            return start  # an exec or exit has released it meanwhile
        self.current = task
        self.entered = start
        ready = handle_trap(task, trap)
        now = clock()
        if task.on_cpu:
            account_cpu(task, start - task.last_run, now - start)
        if ready and task.notify:
            ready = exit_to_user(task, None)
        new_cpu = task.cpu
        if not ready or new_cpu is None:
            task.nvcsw += 1
            self._take_off(task, now)
        elif (
            task.need_resched or (self.waiting and (now >= task.slice_end or trap.kind is _TICK))
        ) and self._gives_way(task, now):
            task.nivcsw += 1
        else:
            task.last_run = now
            new_cpu.resume()
        self.current = None
        return now

    def _gives_way(self, task: Task, now: int) -> bool:
        """Does the task leave its CPU to one that waits? If so, it does and is queued."""
        task.need_resched = False
        if not task.on_cpu:
            return False
        if self.staged:
            self._flush(False)
        self.charge(task, now)
        over = now >= task.slice_end
        if over:
            task.slice_end = now + self._tick(task)
        mine, bit = task.sched_class, 1 << task.cpu_nr
        if not (task.cpus_allowed or -1) & bit or (
            mine is self.fair and self.fair.nr_limited and self.fair.is_throttled(task)
        ):
            self._take_off(task, now)
            return True
        for other in self.classes:
            if other is mine:
                gone = mine.gives_way(task, over)
                break
            if other.waiting and other.wants(task, bit):
                gone = True
                break
        if gone:
            self._take_off(task, now)
        return gone

    def _tick(self, task: Task) -> int:
        """How long a task may hold its CPU before it is looked at, if others wait, ns."""
        if task.policy & _POLICY == SCHED_RR:
            return int(self.machine.sysctl.get("kernel.sched_rr_timeslice_ms", 100)) * 1_000_000
        return TICK

    def _off_cpu(self, task: Task) -> None:
        """A running task leaves its CPU; if it waits again, put_prev() is next."""
        task.on_cpu = False
        self.idle |= 1 << task.cpu_nr
        del self.running[task]
        if task.sched_group is not None:
            self.account(task)

    def _stop_running(self, task: Task) -> None:
        """A task that has left its CPU leaves its class, too; one that was alone isn't in it."""
        klass = task.sched_class
        if klass is not self.fair or task.se.present:
            self.charge(task, task.last_run)
            klass.stop_running(task)

    def _take_off(self, task: Task, now: int | None = None) -> None:
        """The task leaves its CPU. It may have been woken already while it was on it."""
        self.nr_switches += 1
        if not task.on_cpu:
            return
        self._off_cpu(task)
        if task.state is _RUNNING and task.cpu is not None:
            task.on_rq = True
            task.se.queued_at = now if now is not None else self.machine.clock.monotonic()
            self.charge(task, task.last_run)
            task.sched_class.put_prev(task, True)
        else:
            self._stop_running(task)

    def _next(self, now: int) -> Task | None:
        """Take the next task that may use an idle CPU from its queue."""
        if self.staged:
            self._flush()
        idle = self.idle
        for klass in self.classes:
            if klass.waiting:
                task = klass.pick(idle, now)
                if task is not None:
                    return task
        return None

    def _take_cpu(self, task: Task, now: int) -> None:
        """Let the task hold a CPU: the one it had, if that is possible."""
        free = self.idle & (task.cpus_allowed or -1) or self.idle
        if not free >> task.cpu_nr & 1:
            self.account(task)
            task.cpu_nr = (free & -free).bit_length() - 1
            task.se.nr_migrations += 1
        self.idle ^= 1 << task.cpu_nr
        self.running[task] = None
        task.on_rq = False
        task.on_cpu = True
        task.last_run = now
        task.slice_end = now + TICK
        entity = task.se
        entity.run_count += 1
        entity.queued_at = now

    def _has_waited(self, task: Task, now: int) -> None:
        """Statistics of a task that was picked and did not just find an idle CPU."""
        waited = now - task.se.queued_at
        task.se.run_delay += waited
        self.cpu_stats[task.cpu_nr].waited += waited

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

    def _dispatch(self, now: int) -> bool:
        """Give free CPUs to waiting tasks, finishing their interrupted calls first.

        False if the run ended meanwhile.
        """
        fair, clock = self.fair, self.machine.clock.monotonic
        while self.idle or self.stop.waiting:
            alone = self.staged and self.waiting == 1
            if alone and (self.staged[0][0].cpus_allowed or -1) & self.idle:
                task: Task | None = self.staged.pop()[0]
                self.waiting = 0
            else:
                task = self._next(now)
            if task is None:
                break
            if task.sched_class is self.stop:
                self._end(task, now)
            else:
                if not alone:
                    self._has_waited(task, now)
                self._take_cpu(task, now)
                self.current = task
                self.entered = now
                ready = self._finish_call(task)
                now = clock()
                cpu = task.cpu
                if not task.on_cpu:
                    pass
                elif ready and cpu is not None:
                    if task.prio or fair.nr_woken or fair.nr_limited:
                        self._watch_slice(task, now)
                    task.last_run = now
                    cpu.resume()
                else:
                    task.nvcsw += 1
                    self._take_off(task, now)
                self.current = None
            if self.machine.exit_status is not None:
                return False
        return True

    def _finish_call(self, task: Task) -> bool:
        """What a task on a CPU has to do before it may go to user mode; may it now?"""
        if task.rseq is not None:
            task.rseq.sched_in(task)
        if task.in_syscall:
            ready = continue_syscall(task)
        elif task.notify:
            ready = exit_to_user(task, None)
        else:
            return task.state is _RUNNING
        if task.on_cpu:
            account_cpu(task, 0, self.machine.clock.monotonic() - self.entered)
            if ready and task.notify:
                ready = exit_to_user(task, None)
        return ready

    def _end(self, task: Task, now: int) -> None:
        """A task that is to die does so without a CPU, unless somebody stops it."""
        task.on_rq = False
        task.sched_class = self._class_of(task)
        ready = continue_syscall(task) if task.in_syscall else exit_to_user(task, None)
        if ready and task.cpu is not None and not task.on_rq:
            self._enqueue(task, False)
