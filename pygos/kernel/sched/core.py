# SPDX-License-Identifier: Apache-2.0
"""The run queue and the main loop.

One Python thread runs the kernel; up to ``nr_cpus`` guest threads run on the host's CPUs
meanwhile. Real-time tasks go first, by priority (``task.prio``: rt_priority, or what a waiter
for a lock lends); SCHED_FIFO keeps its CPU until it sleeps, SCHED_RR and all others share by
time slices. The machine's CPUs are numbers that tasks hold while they run, so that affinity
counts; the platform decides where on the host a guest thread runs.

Invariants: a task is in the queue iff ``on_rq``; it is on a CPU iff ``on_cpu``; a task in
neither sleeps (its wait queues, timer or a signal bring it back), is stopped, or is dead.
A queued task is in ``rt`` if its ``prio`` is not 0, else in ``queue``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from pygos.include.linux.platform import Trap, TrapKind
from pygos.include.linux.sched import TaskState
from pygos.include.uapi.sched import SCHED_FIFO, SCHED_RESET_ON_FORK
from pygos.kernel.entry import continue_syscall, exit_to_user, handle_trap
from pygos.kernel.sched.loadavg import LoadAverage
from pygos.kernel.time.cputime import account_cpu

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.platform import Cpu
    from pygos.include.linux.sched import Task

_RUNNING = TaskState.RUNNING
_POLICY = ~SCHED_RESET_ON_FORK
_SLEEPING = (TaskState.INTERRUPTIBLE, TaskState.UNINTERRUPTIBLE)


class Sched:
    """One machine's scheduler."""

    __slots__ = (
        "idle", "load", "machine", "nr_switches", "queue", "realtime", "rt", "running",
    )  # fmt: skip

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.queue: deque[Task] = deque()
        #: Real-time tasks that wait for a CPU, the next one first.
        self.rt: list[Task] = []
        #: The CPUs that nobody holds, a bit mask.
        self.idle = (1 << machine.nr_cpus) - 1
        #: Tasks whose CPU runs guest code now.
        self.running: dict[Task, None] = {}
        self.nr_switches = 0
        #: Some task has had a real-time policy: priorities count.
        self.realtime = False
        self.load = LoadAverage(machine.loadavg, machine.clock.monotonic())

    # -- becoming runnable

    def add(self, task: Task) -> None:
        """A new or continued task becomes runnable."""
        if not task.on_rq and not task.on_cpu:
            task.on_rq = True
            if task.prio:
                self._add_rt(task, False)
            else:
                self.queue.append(task)

    def _add_rt(self, task: Task, head: bool) -> None:
        """Queue a real-time task behind its equals, or before them if it was preempted."""
        prio, rt = task.prio, self.rt
        at = 0
        while at < len(rt) and (rt[at].prio > prio or (rt[at].prio == prio and not head)):
            at += 1
        rt.insert(at, task)
        allowed = task.cpus_allowed or -1
        if allowed & self.idle:
            return
        lower = [r for r in self.running if r.prio < prio and allowed >> r.cpu_nr & 1]
        if lower:
            # It gives way when it stops (see _gives_way), if not for another reason already.
            self.kick(min(lower, key=lambda running: running.prio))

    def set_prio(self, task: Task, prio: int) -> None:
        """The effective priority of a task changes: its own, or what it is lent."""
        old = task.prio
        if old == prio:
            return
        if prio:
            self.realtime = True
        queued = task.on_rq
        if queued:
            self._dequeue(task)
        task.prio = prio
        if queued and prio and prio < old:
            # Lowered, it comes before its new equals; raised, after them.
            task.on_rq = True
            self._add_rt(task, True)
        elif queued:
            self.add(task)
        elif prio < old and (self.rt or self.queue):
            self.kick(task)

    def yield_to_others(self, task: Task) -> None:
        """sched_yield(2): equals that wait go first."""
        if self.rt or self.queue:
            task.need_resched = True

    def migrate(self, task: Task) -> None:
        """The affinity of a task changed: if it runs, it moves to a CPU it may use.

        If all of those are held by tasks that can't change places, it moves when it next
        leaves its CPU.
        """
        if not task.on_cpu or task.cpus_allowed >> task.cpu_nr & 1:
            return
        free = self.idle & task.cpus_allowed
        if free:
            self.idle ^= (free & -free) | 1 << task.cpu_nr
            task.cpu_nr = (free & -free).bit_length() - 1
            return
        for other in self.running:
            if task.cpus_allowed >> other.cpu_nr & 1 and other.cpus_allowed >> task.cpu_nr & 1:
                task.cpu_nr, other.cpu_nr = other.cpu_nr, task.cpu_nr
                return

    def _dequeue(self, task: Task) -> None:
        task.on_rq = False
        if task.prio:
            self.rt.remove(task)
        else:
            self.queue.remove(task)

    def wake_up(self, task: Task) -> None:
        """A sleeping task becomes runnable; its call will be invoked again."""
        if task.state not in _SLEEPING:
            return
        self.leave_queues(task)
        task.state = _RUNNING
        self.add(task)

    def leave_queues(self, task: Task) -> None:
        """Take a task off its wait queues and cancel its deadline."""
        for queue in task.waiting:
            queue.waiters.pop(task, None)
        task.waiting = ()
        if task.wait_timer is not None:
            task.wait_timer.cancel()
            task.wait_timer = None
        task.wait_deadline = None

    def kick(self, task: Task) -> None:
        """Make a task look at ``notify`` soon: interrupt it if it runs guest code."""
        if task.on_cpu and task.cpu is not None:
            task.cpu.kick()

    def forget(self, task: Task) -> None:
        """The task exits: it must not be scheduled again."""
        self.leave_queues(task)
        if task.on_rq:
            self._dequeue(task)
        if task.on_cpu:
            task.on_cpu = False
            self.idle |= 1 << task.cpu_nr
            self.running.pop(task, None)

    @property
    def nr_running(self) -> int:
        return len(self.queue) + len(self.rt) + len(self.running)

    # -- the main loop

    def run(self) -> int:
        """Run the machine until ``machine.exit_status`` is set; returns that wait status."""
        machine = self.machine
        wait = machine.platform.wait
        clock = machine.clock.monotonic
        timers, load = machine.timers, self.load
        while machine.exit_status is None:
            if (self.queue or self.rt) and not self._dispatch(clock()):
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
        task = cast("Task", cpu.owner)
        if task.cpu is not cpu:
            return start  # an exec or exit has released it meanwhile
        ready = handle_trap(task, trap)
        now = clock()
        account_cpu(task, start - task.last_run, now - start)
        if ready and task.notify:
            ready = exit_to_user(task, None)
        new_cpu = task.cpu
        if not ready or new_cpu is None:
            task.nvcsw += 1
            self._take_off(task)
        elif (self.queue or self.rt) and self._gives_way(task, trap.kind is TrapKind.TICK):
            task.nivcsw += 1
        else:
            task.last_run = now
            new_cpu.resume()
        return now

    def _gives_way(self, task: Task, tick: bool) -> bool:
        """Does the task leave its CPU to one that waits? If so, it does and is queued."""
        prio, bit = task.prio, 1 << task.cpu_nr
        rotates = task.need_resched or (tick and task.policy & _POLICY != SCHED_FIFO)
        task.need_resched = False
        for other in self.rt:
            if other.prio < prio or (other.prio == prio and not rotates):
                return False
            if (other.cpus_allowed or -1) & bit:
                self._take_off(task, other.prio > prio)
                return True
        if prio or not rotates:
            return False
        for other in self.queue:
            if (other.cpus_allowed or -1) & bit:
                self._take_off(task, False)
                return True
        return False

    def _take_off(self, task: Task, head: bool = False) -> None:
        """The task leaves its CPU. It may have been woken already while it was on it.

        `head`: of the real-time tasks of its priority it is the next one.
        """
        self.nr_switches += 1
        if task.on_cpu:
            task.on_cpu = False
            self.idle |= 1 << task.cpu_nr
            del self.running[task]
            if task.state is _RUNNING and task.cpu is not None:
                if head and task.prio:
                    task.on_rq = True
                    self._add_rt(task, True)
                else:
                    self.add(task)

    def _next(self) -> Task | None:
        """Take the next task that may use an idle CPU from its queue."""
        idle = self.idle
        for task in self.rt:
            if (task.cpus_allowed or -1) & idle:
                self.rt.remove(task)
                return task
        queue = self.queue
        if queue and (queue[0].cpus_allowed or -1) & idle:
            return queue.popleft()
        for task in queue:
            if (task.cpus_allowed or -1) & idle:
                queue.remove(task)
                return task
        return None

    def _take_cpu(self, task: Task) -> None:
        """Let the task hold a CPU: the one it had, if that is possible."""
        free = self.idle & (task.cpus_allowed or -1) or self.idle
        if not free >> task.cpu_nr & 1:
            task.cpu_nr = (free & -free).bit_length() - 1
        self.idle ^= 1 << task.cpu_nr
        self.running[task] = None
        task.on_cpu = True

    def _dispatch(self, now: int) -> bool:
        """Give free CPUs to waiting tasks, finishing their interrupted calls first.

        False if the run ended meanwhile.
        """
        while self.idle:
            task = self._next()
            if task is None:
                break
            task.on_rq = False
            if task.in_syscall:
                ready = continue_syscall(task)
            elif task.notify:
                ready = exit_to_user(task, None)
            else:
                ready = task.state is _RUNNING
            cpu = task.cpu
            if ready and cpu is not None and not task.on_rq:
                self._take_cpu(task)
                task.last_run = now
                cpu.resume()
            if self.machine.exit_status is not None:
                return False
        return True
