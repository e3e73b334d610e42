# SPDX-License-Identifier: Apache-2.0
"""The cpuset controller: which CPUs the tasks of a group may use. There is one memory node.

An empty cpuset.cpus means the parent's; CPUs that the parent hasn't are left out, and if none
are left the parent's count. Partitions aren't there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pygos.include.errno import EINVAL
from pygos.kernel.cgroup.core import Cgroup, Css

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


class CpusetCss(Css):
    """One group's CPUs."""

    __slots__ = ("cpus", "effective", "mems")
    name: ClassVar[str] = "cpuset"

    def __init__(self, cgroup: Cgroup) -> None:
        super().__init__(cgroup)
        #: What was asked for, bit masks; 0: nothing.
        self.cpus = 0
        self.mems = 0
        self.effective = self._above()

    def _above(self) -> int:
        """The CPUs of the nearest group above that has the controller."""
        parent = self.cgroup.parent
        css = parent.cpuset if parent is not None else None
        return css.effective if css is not None else (1 << self.cgroup.machine.nr_cpus) - 1

    def attach(self, task: Task) -> None:
        """A task that comes may use all CPUs of the group, whatever it had before."""
        _allow(task, self.effective)

    def fork(self, child: Task) -> None:
        """A child keeps its parent's choice, unless it begins elsewhere."""
        if child.cpus_allowed & ~self.effective:
            _allow(child, self.effective)

    def detach(self, task: Task) -> None:
        if task.alive and (self.cgroup.parent is None or self.cgroup.parent.cpuset is None):
            _allow(task, (1 << task.machine.nr_cpus) - 1)

    def set_cpus(self, mask: int) -> None:
        """cpuset.cpus. EINVAL: CPUs that can't exist."""
        if mask >> self.cgroup.machine.nr_cpus:
            raise EINVAL
        self.cpus = mask
        self._update()

    def set_mems(self, mask: int) -> None:
        """cpuset.mems. EINVAL: nodes that don't exist."""
        if mask & ~1:
            raise EINVAL
        self.mems = mask

    def _update(self) -> None:
        """The effective CPUs of the group and those below."""
        above = self._above()
        effective = self.cpus & above or above
        if effective == self.effective:
            return
        self.effective = effective
        todo = [self.cgroup]
        for one in todo:
            css = one.own.get("cpuset")
            if isinstance(css, CpusetCss) and css is not self:
                css._update()
                continue
            for task in tuple(one.tasks):
                _allow(task, effective)
            todo.extend(one.children.values())


def _allow(task: Task, mask: int) -> None:
    if task.cpus_allowed != mask:
        task.machine.sched.set_affinity(task, mask)
