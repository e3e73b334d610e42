# SPDX-License-Identifier: Apache-2.0
"""The cpu controller: weights and bandwidth, on the scheduler's task groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from pygos.include.errno import EINVAL, ERANGE
from pygos.kernel.cgroup.core import Css
from pygos.kernel.sched.group import MAX_PERIOD, MIN_PERIOD, MIN_QUOTA, TaskGroup, detach

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.cgroup.core import Cgroup

WEIGHT_MIN: Final = 1
WEIGHT_DEFAULT: Final = 100
WEIGHT_MAX: Final = 10000
#: The most CPU time that a quota may say, us (MAX_BW), about 203 days.
_MAX_USEC: Final = (1 << 44) - 1
#: The load weights of nice -20 .. 19.
NICE_WEIGHTS: Final = (
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
    9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
    1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
    110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
)  # fmt: skip


class CpuCss(Css):
    """One group's share of the CPUs."""

    __slots__ = ("group", "idle", "weight")
    name: ClassVar[str] = "cpu"

    def __init__(self, cgroup: Cgroup) -> None:
        super().__init__(cgroup)
        above = cgroup.parent.cpu if cgroup.parent is not None else None
        self.group: TaskGroup = TaskGroup(
            cgroup.machine, above.group if above is not None else None
        )
        self.weight = WEIGHT_DEFAULT
        self.idle = False

    def offline(self) -> None:
        self.group.destroy()

    def attach(self, task: Task) -> None:
        if task.sched_group is not self.group:
            self.group.attach(task)

    def detach(self, task: Task) -> None:
        if task.alive and task.sched_group is self.group:
            detach(task)

    def set_weight(self, weight: int) -> None:
        """cpu.weight. ERANGE."""
        if not WEIGHT_MIN <= weight <= WEIGHT_MAX:
            raise ERANGE
        self._change(weight)

    def _change(self, weight: int) -> None:
        if self.idle:
            raise EINVAL
        self.weight = weight
        # Rounded to the nearest, as DIV_ROUND_CLOSEST does.
        self.group.set_weight((weight * 1024 + WEIGHT_DEFAULT // 2) // WEIGHT_DEFAULT)

    def nice(self) -> int:
        """The nice value whose weight is nearest to the group's."""
        weight = (self.shown_weight() * 1024 + 50) // 100
        return min(range(40), key=lambda at: abs(NICE_WEIGHTS[at] - weight)) - 20

    def set_nice(self, nice: int) -> None:
        """cpu.weight.nice. ERANGE."""
        if not -20 <= nice <= 19:
            raise ERANGE
        weight = (NICE_WEIGHTS[nice + 20] * WEIGHT_DEFAULT + 512) // 1024
        self._change(max(WEIGHT_MIN, min(WEIGHT_MAX, weight)))

    def shown_weight(self) -> int:
        """cpu.weight: 0 while it is idle."""
        return 0 if self.idle else self.weight

    def set_idle(self, idle: bool) -> None:
        """cpu.idle: as SCHED_IDLE; afterwards the weight is the default."""
        if self.idle != idle:
            self.idle = idle
            self.weight = WEIGHT_DEFAULT
            self.group.set_idle(idle)
            if not idle:
                self.group.set_weight(1024)

    def set_max(self, data: bytes) -> None:
        """cpu.max: "QUOTA [PERIOD]" in us, QUOTA may be "max". EINVAL."""
        words = data.split()
        if not 1 <= len(words) <= 2:
            raise EINVAL
        period = _number(words[1]) * 1000 if len(words) == 2 else self.group.period
        quota = None if words[0] == b"max" else _number(words[0]) * 1000
        if not MIN_PERIOD <= period <= MAX_PERIOD:
            raise EINVAL
        if quota is not None and not MIN_QUOTA <= quota <= _MAX_USEC * 1000:
            raise EINVAL
        if quota is not None and self.group.burst > quota:
            raise EINVAL
        self.group.set_bandwidth(quota, period, self.group.burst)

    def set_burst(self, burst: int) -> None:
        """cpu.max.burst, ns: at most the quota. EINVAL."""
        group = self.group
        if burst > _MAX_USEC * 1000 or (group.quota is not None and burst > group.quota):
            raise EINVAL
        group.set_bandwidth(group.quota, group.period, burst)


def _number(word: bytes) -> int:
    if not word.isdigit() or len(word) > 19:
        raise EINVAL
    return int(word)
