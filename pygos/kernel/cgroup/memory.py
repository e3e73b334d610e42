# SPDX-License-Identifier: Apache-2.0
"""The memory controller's side of groups; charging and limits are in mm/memcontrol.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pygos.kernel.cgroup.core import Css, cgroup_path
from pygos.mm.memcontrol import MemCgroup

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.cgroup.core import Cgroup


class MemoryCss(Css):
    """One group's memory."""

    __slots__ = ("memcg",)
    name: ClassVar[str] = "memory"

    def __init__(self, cgroup: Cgroup) -> None:
        super().__init__(cgroup)
        above = cgroup.parent.memory if cgroup.parent is not None else None
        memcg = above.memcg if above is not None else None
        self.memcg: MemCgroup = MemCgroup(cgroup.machine, memcg, self)

    def offline(self) -> None:
        self.memcg.go_offline()

    def attach(self, task: Task) -> None:
        """From now on the process' memory is charged here; what it has stays where it is."""
        mm = task.mm
        if mm is not None and (mm.owner is None or mm.owner.group is task.group):
            mm.memcg = self.memcg

    def detach(self, task: Task) -> None:
        mm = task.mm
        if mm is not None and mm.memcg is self.memcg:
            mm.memcg = None

    # -- MemcgOwner

    def path(self) -> str:
        return cgroup_path(self.cgroup).decode("utf-8", "surrogateescape")

    def notify(self, name: bytes) -> None:
        self.cgroup.notify(name)
