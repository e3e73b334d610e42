# SPDX-License-Identifier: Apache-2.0
"""The pids.* files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.cgroup.file import OpenFile, cgroup_file

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.cgroup.core import Cgroup
    from pygos.kernel.cgroup.pids import PidsCss


def _css(cgroup: Cgroup) -> PidsCss:
    css: Any = cgroup.own["pids"]
    found: PidsCss = css
    return found


@cgroup_file("pids.max", 20, 0o644)
def max_(task: Task, cgroup: Cgroup) -> str:
    """How many tasks there may be here and below."""
    return _css(cgroup).max_text()


@max_.setter
def _write_max(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    _css(cgroup).set_max(data)


@cgroup_file("pids.current", 21)
def current(task: Task, cgroup: Cgroup) -> str:
    """How many there are, zombies included."""
    return f"{_css(cgroup).count}\n"


@cgroup_file("pids.peak", 22)
def peak(task: Task, cgroup: Cgroup) -> str:
    """The most there ever were."""
    return f"{_css(cgroup).peak}\n"


@cgroup_file("pids.events", 23)
def events(task: Task, cgroup: Cgroup) -> str:
    """How often the limit of a group here or below was hit."""
    return f"max {_css(cgroup).events}\n"


@cgroup_file("pids.events.local", 24)
def events_local(task: Task, cgroup: Cgroup) -> str:
    """How often this group's limit was hit."""
    return f"max {_css(cgroup).local}\n"


FILES: Final = (max_, current, peak, events, events_local)
