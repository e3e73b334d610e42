# SPDX-License-Identifier: Apache-2.0
"""Tasks that change: policy, priority, nice value, affinity, group; and their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.kernel.sched.deadline import DL_PRIO, DlEntity
from pygos.kernel.sched.rq import SIGKILL_BIT, RunQueue
from pygos.kernel.time.cputime import account_cpu

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.sched.group import TaskGroup


class Changes(RunQueue):
    """What may happen to a task wherever it is: on a CPU, waiting, or asleep."""

    __slots__ = ()

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
            if self.staged:
                self._flush(False)
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
        elif task.on_rq and task.pending.mask & SIGKILL_BIT and task.sched_class is not self.stop:
            self._dequeue(task)
            self.let_die(task)

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
