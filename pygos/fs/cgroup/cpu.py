# SPDX-License-Identifier: Apache-2.0
"""The cpu.* files of the controller; cpu.stat is in core.py, as all groups have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.cgroup.file import OpenFile, cgroup_file
from pygos.fs.libfs import kstrtoint

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.cgroup.core import Cgroup
    from pygos.kernel.cgroup.cpu import CpuCss

_S64_MAX: Final = (1 << 63) - 1


def _css(cgroup: Cgroup) -> CpuCss:
    css: Any = cgroup.own["cpu"]
    found: CpuCss = css
    return found


@cgroup_file("cpu.weight", 30, 0o644)
def weight(task: Task, cgroup: Cgroup) -> str:
    """1 to 10000, against the siblings; 0: idle."""
    return f"{_css(cgroup).shown_weight()}\n"


@weight.setter
def _write_weight(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    _css(cgroup).set_weight(kstrtoint(data, 0, _S64_MAX))


@cgroup_file("cpu.weight.nice", 31, 0o644)
def weight_nice(task: Task, cgroup: Cgroup) -> str:
    """The same, as a nice value."""
    return f"{_css(cgroup).nice()}\n"


@weight_nice.setter
def _write_weight_nice(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    _css(cgroup).set_nice(kstrtoint(data, -_S64_MAX - 1, _S64_MAX))


@cgroup_file("cpu.max", 32, 0o644)
def max_(task: Task, cgroup: Cgroup) -> str:
    """Quota and period, us."""
    group = _css(cgroup).group
    quota = "max" if group.quota is None else str(group.quota // 1000)
    return f"{quota} {group.period // 1000}\n"


@max_.setter
def _write_max(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    _css(cgroup).set_max(data)


@cgroup_file("cpu.max.burst", 33, 0o644)
def max_burst(task: Task, cgroup: Cgroup) -> str:
    """How much unused quota may be saved up, us."""
    return f"{_css(cgroup).group.burst // 1000}\n"


@max_burst.setter
def _write_max_burst(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    _css(cgroup).set_burst(kstrtoint(data, 0, _S64_MAX) * 1000)


@cgroup_file("cpu.idle", 34, 0o644)
def idle(task: Task, cgroup: Cgroup) -> str:
    """1: the tasks run when nobody else wants to."""
    return f"{_css(cgroup).idle:d}\n"


@idle.setter
def _write_idle(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    value = kstrtoint(data, -_S64_MAX - 1, _S64_MAX)
    if value not in (0, 1):
        from pygos.include.errno import EINVAL

        raise EINVAL
    _css(cgroup).set_idle(bool(value))


FILES: Final = (weight, weight_nice, max_, max_burst, idle)
