# SPDX-License-Identifier: Apache-2.0
"""The run queue and the main loop.

One Python thread runs the kernel; up to ``nr_cpus`` guest threads run on the host's CPUs
meanwhile. The queue is served round-robin: a task keeps its CPU until it sleeps or its time
slice is over while another one waits. The platform decides where on the host a guest thread
runs; a wake-up therefore just puts the task in the queue.

Invariants: a task is in the queue iff ``on_rq``; it is on a CPU iff ``on_cpu``; a task in
neither sleeps (its wait queues, timer or a signal bring it back), is stopped, or is dead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from pygos.include.linux.platform import Trap, TrapKind
from pygos.include.linux.sched import TaskState
from pygos.kernel.entry import continue_syscall, exit_to_user, handle_trap
from pygos.kernel.sched.loadavg import LoadAverage
from pygos.kernel.time.cputime import account_cpu

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.platform import Cpu
    from pygos.include.linux.sched import Task

_RUNNING = TaskState.RUNNING
_SLEEPING = (TaskState.INTERRUPTIBLE, TaskState.UNINTERRUPTIBLE)


class Sched:
    """One machine's scheduler."""

    __slots__ = ("load", "machine", "nr_switches", "queue", "realtime", "running")

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.queue: deque[Task] = deque()
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
            self.queue.append(task)

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
            task.on_rq = False
            self.queue.remove(task)
        if task.on_cpu:
            task.on_cpu = False
            self.running.pop(task, None)

    @property
    def nr_running(self) -> int:
        return len(self.queue) + len(self.running)

    # -- the main loop

    def run(self) -> int:
        """Run the machine until ``machine.exit_status`` is set; returns that wait status."""
        machine = self.machine
        wait = machine.platform.wait
        clock = machine.clock.monotonic
        timers, load = machine.timers, self.load
        while machine.exit_status is None:
            if self.queue and not self._dispatch(clock()):
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
        elif self.queue and (trap.kind is TrapKind.TICK or task.need_resched):
            task.need_resched = False
            task.nivcsw += 1
            self._take_off(task)
            self.add(task)
        else:
            task.last_run = now
            new_cpu.resume()
        return now

    def _take_off(self, task: Task) -> None:
        """The task leaves its CPU. It may have been woken already while it was on it."""
        self.nr_switches += 1
        if task.on_cpu:
            task.on_cpu = False
            del self.running[task]
            if task.state is _RUNNING and task.cpu is not None:
                self.add(task)

    def _dispatch(self, now: int) -> bool:
        """Give free CPUs to waiting tasks, finishing their interrupted calls first.

        False if the run ended meanwhile.
        """
        queue, running = self.queue, self.running
        limit = self.machine.nr_cpus
        while queue and len(running) < limit:
            task = queue.popleft()
            task.on_rq = False
            if task.in_syscall:
                ready = continue_syscall(task)
            elif task.notify:
                ready = exit_to_user(task, None)
            else:
                ready = task.state is _RUNNING
            cpu = task.cpu
            if ready and cpu is not None and not task.on_rq:
                running[task] = None
                task.on_cpu = True
                task.last_run = now
                cpu.resume()
            if self.machine.exit_status is not None:
                return False
        return True
