# SPDX-License-Identifier: Apache-2.0
"""The cpuset.* files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.cgroup.file import OpenFile, cgroup_file, strip
from pygos.fs.proc.array import cpu_list
from pygos.include.errno import EINVAL

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.cgroup.core import Cgroup
    from pygos.kernel.cgroup.cpuset import CpusetCss

#: No number in a list may be larger (NR_CPUS).
_NR_CPUS: Final = 8192


def _css(cgroup: Cgroup) -> CpusetCss:
    css: Any = cgroup.own["cpuset"]
    found: CpusetCss = css
    return found


def _list(mask: int) -> str:
    return (cpu_list(mask) if mask else "") + "\n"


def parse_list(data: bytes) -> int:
    """A list like "0-3,5" as a bit mask. EINVAL."""
    mask = 0
    for part in strip(data).split(b","):
        if not part:
            continue
        first, dash, last = part.partition(b"-")
        last = last if dash else first
        if not first.isdigit() or not last.isdigit() or len(first) > 5 or len(last) > 5:
            raise EINVAL
        low, high = int(first), int(last)
        if low > high or high >= _NR_CPUS:
            raise EINVAL
        mask |= (1 << high + 1) - (1 << low)
    return mask


@cgroup_file("cpuset.cpus", 70, 0o644)
def cpus(task: Task, cgroup: Cgroup) -> str:
    """The CPUs asked for."""
    return _list(_css(cgroup).cpus)


@cpus.setter
def _write_cpus(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    _css(cgroup).set_cpus(parse_list(data))


@cgroup_file("cpuset.cpus.effective", 71, on_root=None)
def cpus_effective(task: Task, cgroup: Cgroup) -> str:
    """The CPUs that count."""
    if cgroup.parent is None:
        return _list((1 << task.machine.nr_cpus) - 1)
    return _list(_css(cgroup).effective)


@cgroup_file("cpuset.mems", 72, 0o644)
def mems(task: Task, cgroup: Cgroup) -> str:
    """The memory nodes asked for."""
    return _list(_css(cgroup).mems)


@mems.setter
def _write_mems(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    _css(cgroup).set_mems(parse_list(data))


@cgroup_file("cpuset.mems.effective", 73, on_root=None)
def mems_effective(task: Task, cgroup: Cgroup) -> str:
    """There is one node."""
    return "0\n"


FILES: Final = (cpus, cpus_effective, mems, mems_effective)
