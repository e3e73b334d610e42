# SPDX-License-Identifier: Apache-2.0
"""Limits that the machine's owner sets for the whole machine: in the root group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.kernel.cgroup.core import hierarchy
from pygos.kernel.cgroup.pids import PidsCss

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: The period of the machine's CPU quota, ns.
PERIOD: Final = 100_000_000


def limit_machine(machine: Machine, init: Task, pids: int | None, quota: int | None) -> None:
    """At most `pids` tasks and `quota` ns of CPU time in each PERIOD, for all that `init` starts.

    A program inside sees the same as in a container that is limited so: EAGAIN from fork, and
    a slow machine. The log says why.
    """
    root = hierarchy(machine).root
    init.cgroups = root
    said = []
    if pids is not None:
        root.pids = PidsCss(root)
        root.pids.max = pids
        said.append(f"{pids} tasks")
    if quota is not None:
        from pygos.kernel.cgroup.cpu import CpuCss

        root.cpu = CpuCss(root)
        root.cpu.group.set_bandwidth(quota, PERIOD)
        said.append(f"{quota / PERIOD:.2f} CPUs")
    machine.printk.info(f"cgroup: the machine is limited to {' and '.join(said)}")
