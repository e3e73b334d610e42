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
from pygos.kernel.entry import continue_syscall, exit_to_user, handle_trap
from pygos.kernel.sched.changes import Changes
from pygos.kernel.sched.sched import TICK
from pygos.kernel.time.cputime import account_cpu

if TYPE_CHECKING:
    from pygos.include.linux.platform import Cpu
    from pygos.include.linux.sched import Task

_RUNNING = TaskState.RUNNING
_TICK = TrapKind.TICK


class Sched(Changes):
    """One machine's scheduler."""

    __slots__ = ()

    def run(self) -> int:
        """Run the machine until ``machine.exit_status`` is set; returns that wait status."""
        machine = self.machine
        wait = machine.platform.wait
        time, clock = machine.clock, machine.clock.monotonic
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
            if now >= time.due:
                time.refresh()
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
        if self.realtime and task.sched_class is self.fair:
            self.rt.starving[task.cpu_nr] = 0
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

    def _dispatch(self, now: int) -> bool:
        """Give free CPUs to waiting tasks, finishing their interrupted calls first.

        False if the run ended meanwhile.
        """
        fair, clock = self.fair, self.machine.clock.monotonic
        while self.idle or self.stop.waiting:
            alone = self.waiting == 1 and bool(self.staged)
            alone = alone and bool((self.staged[0][0].cpus_allowed or -1) & self.idle)
            if alone:
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
