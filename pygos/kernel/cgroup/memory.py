# SPDX-License-Identifier: Apache-2.0
"""The memory controller's side of groups; charging and limits are in mm/memcontrol.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from pygos.include.linux.jobctl import JOBCTL_MEMCG_HIGH
from pygos.include.linux.sched import TaskState
from pygos.kernel.cgroup.core import Css, cgroup_path
from pygos.mm.memcontrol import MemCgroup

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.cgroup.core import Cgroup

#: The longest single sleep for being over memory.high, and the shortest worth it, ns.
MAX_HIGH_DELAY: Final = 2_000_000_000
MIN_HIGH_DELAY: Final = 10_000_000


class MemoryCss(Css):
    """One group's memory."""

    __slots__ = ("delays", "memcg")
    name: ClassVar[str] = "memory"

    def __init__(self, cgroup: Cgroup) -> None:
        super().__init__(cgroup)
        above = cgroup.parent.memory if cgroup.parent is not None else None
        memcg = above.memcg if above is not None else None
        self.memcg: MemCgroup = MemCgroup(cgroup.machine, memcg, self)

        #: How long tasks are to sleep for what they took over memory.high, ns.
        self.delays: dict[Task, int] = {}

    def offline(self) -> None:
        self.memcg.go_offline()

    def attach(self, task: Task) -> None:
        """From now on the process' memory is charged here; what it has stays where it is."""
        mm = task.mm
        if mm is not None and (mm.owner is None or mm.owner.group is task.group):
            mm.memcg = self.memcg

    def detach(self, task: Task) -> None:
        self.delays.pop(task, None)
        mm = task.mm
        if mm is not None and mm.memcg is self.memcg:
            mm.memcg = None

    def exit(self, task: Task) -> None:
        """A task of the group is gone."""
        self.delays.pop(task, None)

    # -- MemcgOwner

    def path(self) -> str:
        return cgroup_path(self.cgroup).decode("utf-8", "surrogateescape")

    def throttle(self, owner: Task, delay: int) -> None:
        """The threads of a process that run are to sleep `delay` ns before they go on."""
        css = owner.cgroups.memory if owner.cgroups is not None else None
        for task in owner.group.threads:
            if css is not None and task.state is TaskState.RUNNING:
                css.delays[task] = min(css.delays.get(task, 0) + delay, MAX_HIGH_DELAY)
                task.jobctl |= JOBCTL_MEMCG_HIGH
                task.notify = True

    def notify(self, name: bytes) -> None:
        self.cgroup.notify(name)


def sleep_over_high(task: Task) -> bool:
    """The task sleeps for what it took over memory.high, if that is long enough to bother."""
    task.jobctl &= ~JOBCTL_MEMCG_HIGH
    css: MemoryCss | None = task.cgroups.memory if task.cgroups is not None else None
    delay = css.delays.get(task, 0) if css is not None else 0
    if css is None or delay < MIN_HIGH_DELAY:
        return False
    del css.delays[task]
    machine = task.machine
    task.state = TaskState.UNINTERRUPTIBLE
    task.wchan = "mem_cgroup_handle_over_high"
    task.wait_timer = machine.timers.add(machine.clock.monotonic() + delay, task)
    task.notify = True  # what it was on its way to is still to be settled
    return True
