# SPDX-License-Identifier: Apache-2.0
"""A machine in virtual time: the real scheduler and main loop over guests that are plans.

A guest computes for `work` ns and then sleeps for `rest` ns, again and again; `work` None: it
computes for ever. Kernel work takes no time. Ticks come after 20 ms of a guest's CPU time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pygos.arch.x86.regs import ORIG_RAX
from pygos.include.linux.cred import Cred
from pygos.include.linux.machine import Machine
from pygos.include.linux.platform import Trap, TrapKind
from pygos.include.linux.sched import PidTable, SighandStruct, SignalStruct, Task
from pygos.include.linux.timer import TimerQueue
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.kernel.sched.core import Sched
from pygos.kernel.sysctl import default_sysctls

MS = 1_000_000
_TICK = 20 * MS


class SimClock:
    """Time that only the simulation moves."""

    def __init__(self) -> None:
        self.now = 0

    def monotonic(self) -> int:
        return self.now

    realtime = boottime = monotonic
    due = 1 << 63


class SimCpu:
    """A guest's context: what it will do next."""

    def __init__(self, sim: Sim, work: int | None, rest: int) -> None:
        self.sim = sim
        self.regs = memoryview(bytearray(27 * 8)).cast("Q")
        self.owner: Any = None
        self.work, self.rest = work, rest
        self.left = work
        self.tick = _TICK
        self.kicked = False
        #: When it was resumed; None: stopped.
        self.since: int | None = None
        #: CPU time that it really had; how long it waited after each sleep.
        self.ran = 0
        self.wakeups: list[int] = []
        self.due: int | None = None
        self.call: Callable[[], int] | None = None

    def resume(self) -> None:
        self.since = self.sim.clock.now
        if self.due is not None:
            self.wakeups.append(self.since - self.due)
            self.due = None

    def kick(self) -> None:
        self.kicked = True

    def release(self) -> None:
        self.since = None

    def next_stop(self) -> int:
        """How long it can run before something happens."""
        if self.kicked:
            return 0
        return min(self.tick, self.left if self.left is not None else self.tick)

    def run(self, passed: int) -> None:
        self.ran += passed
        self.tick -= passed
        if self.left is not None:
            self.left -= passed

    def stop(self) -> Trap:
        """It can't go on: why?"""
        self.since = None
        if self.left == 0:
            self.left = self.work
            self.regs[ORIG_RAX] = 0
            return Trap(TrapKind.SYSCALL)
        kind = TrapKind.TICK if self.tick == 0 else TrapKind.KICK
        self.kicked = False
        if self.tick == 0:
            self.tick = _TICK
        return Trap(kind)


class SimPlatform:
    """Moves time to the next stop or deadline."""

    def __init__(self, sim: Sim) -> None:
        self.sim = sim

    def wait(self, deadline: int | None) -> Sequence[tuple[SimCpu, Trap]]:
        sim = self.sim
        running = [cpu for cpu in sim.cpus if cpu.since is not None]
        steps = [cpu.next_stop() for cpu in running]
        until = min(deadline if deadline is not None else sim.end, sim.end)
        step = max(0, min([*steps, until - sim.clock.now]))
        sim.clock.now += step
        for cpu in running:
            cpu.run(step)
        if sim.clock.now >= sim.end:
            sim.machine.exit_status = 0
        stopped = [cpu for cpu in running if cpu.next_stop() == 0]
        return [(cpu, cpu.stop()) for cpu in stopped]


def _pause(task: Task, regs: memoryview) -> int:
    """The one system call there is: sleep for the plan's time, or do what the test says."""
    cpu: Any = task.cpu
    now = task.machine.clock.monotonic()
    if cpu.call is not None and task.restart is None:
        return int(cpu.call())
    if task.restart is None:
        task.restart = now + cpu.rest
    if now < task.restart:
        cpu.due = task.restart
        wait_on(task, WaitQueue(), deadline=task.restart)
    return 0


class Sim:
    """Some CPUs and guests."""

    def __init__(self, nr_cpus: int = 1) -> None:
        machine = self.machine = Machine()
        self.clock = SimClock()
        machine.clock = self.clock  # type: ignore[assignment]
        machine.nr_cpus = nr_cpus
        machine.timers = TimerQueue()
        machine.pids = PidTable()
        machine.sysctl = default_sysctls(4096)
        machine.platform = SimPlatform(self)  # type: ignore[assignment]
        machine.printk = _Silent()  # type: ignore[assignment]
        machine.syscalls = [_pause]
        self.sched = Sched(machine)
        machine.sched = self.sched
        self.cpus: list[SimCpu] = []
        self.end = 0

    def guest(self, work: int | None = None, rest: int = 0, **fields: Any) -> Task:
        """A new runnable guest; `fields` are set in its task."""
        machine = self.machine
        machine.pids.last += 1
        task = Task(machine, machine.pids.last)
        group = SignalStruct(task.pid)
        group.leader = task
        group.threads.append(task)
        group.rlim = [((1 << 64) - 1, (1 << 64) - 1)] * 16
        task.group = group
        task.sighand = SighandStruct()
        task.cred = Cred()
        machine.pids.tasks[task.pid] = task
        cpu = SimCpu(self, work, rest)
        cpu.owner = task
        task.cpu = cpu  # type: ignore[assignment]
        task.regs = cpu.regs
        for name, value in fields.items():
            setattr(task, name, value)
        task.prio = task.rt_priority
        self.cpus.append(cpu)
        self.sched.add(task)
        return task

    def run(self, ns: int) -> None:
        """Let that much time pass."""
        self.end = self.clock.now + ns
        self.machine.exit_status = None
        self.sched.run()

    @staticmethod
    def ran(task: Task) -> int:
        """ns that the guest really had, whatever the books say."""
        cpu: Any = task.cpu
        return int(cpu.ran)

    @staticmethod
    def latencies(task: Task) -> list[int]:
        """After each sleep: ns until it ran."""
        cpu: Any = task.cpu
        return list(cpu.wakeups)


class _Silent:
    def notice(self, text: str) -> None: ...
