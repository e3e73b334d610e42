# SPDX-License-Identifier: Apache-2.0
"""The cgroup.* files, which every group has, and cpu.stat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.cgroup.file import CgroupFile, OpenFile, cgroup_file, strip
from pygos.fs.libfs import kstrtoint
from pygos.include.errno import EINVAL, EOPNOTSUPP, ERANGE
from pygos.kernel.cgroup.attach import write_procs
from pygos.kernel.cgroup.core import (
    CONTROLLERS,
    NO_LIMIT,
    Cgroup,
    controllers_text,
    enable_threaded,
    kill,
    parse_subtree_control,
    set_subtree_control,
    subtree,
)
from pygos.kernel.cgroup.domain import is_populated, is_threaded, type_text
from pygos.kernel.cgroup.freezer import set_freeze
from pygos.kernel.cgroup.stat import cpu_stat_lines
from pygos.kernel.pid import task_pid_nr

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


# -- tasks


def _members(task: Task, cgroup: Cgroup) -> list[Task]:
    """The live tasks of a group; of the root, those that are in no other."""
    if cgroup.parent is not None:
        return list(cgroup.tasks)
    tasks = task.machine.pids.tasks.values()
    return [one for one in tasks if one.alive and (one.cgroups is None or one.cgroups is cgroup)]


def _numbers(task: Task, members: list[Task]) -> str:
    """One number a line, as the reader's pid namespace has them."""
    return "".join([f"{task_pid_nr(one, task)}\n" for one in members])


@cgroup_file("cgroup.procs", 1, 0o644, on_root=None, delegatable=True)
def procs(task: Task, cgroup: Cgroup) -> str:
    """The processes. The top of a threaded subtree has those of all of it."""
    if is_threaded(cgroup):
        raise EOPNOTSUPP
    found: dict[Task, None] = {}
    for one in _domain(cgroup):
        found.update(dict.fromkeys([member.group_leader for member in _members(task, one)]))
    return _numbers(task, list(found))


def _domain(cgroup: Cgroup) -> list[Cgroup]:
    """The group and the threaded ones whose domain it is."""
    found = [cgroup]
    for one in found:
        found.extend([child for child in one.children.values() if child.dom is cgroup])
    return found


@procs.setter
def _write_procs(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    write_procs(ctx.task, cgroup, data, ctx.cred, ctx.ns_root, True)


@cgroup_file("cgroup.threads", 2, 0o644, on_root=None, delegatable=True)
def threads(task: Task, cgroup: Cgroup) -> str:
    """The threads in the group itself."""
    return _numbers(task, _members(task, cgroup))


@threads.setter
def _write_threads(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    write_procs(ctx.task, cgroup, data, ctx.cred, ctx.ns_root, False)


# -- type and controllers


@cgroup_file("cgroup.type", 0, 0o644)
def type_(task: Task, cgroup: Cgroup) -> str:
    """domain, domain threaded, domain invalid or threaded."""
    return type_text(cgroup) + "\n"


@type_.setter
def _write_type(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    if strip(data) != b"threaded":
        raise EINVAL
    enable_threaded(cgroup)


@cgroup_file("cgroup.controllers", 3, on_root=None)
def controllers(task: Task, cgroup: Cgroup) -> str:
    """What may be enabled in cgroup.subtree_control."""
    return controllers_text(cgroup.controllers())


@cgroup_file("cgroup.subtree_control", 4, 0o644, on_root=None, delegatable=True)
def subtree_control(task: Task, cgroup: Cgroup) -> str:
    """What the children have."""
    return controllers_text(cgroup.subtree_control)


@subtree_control.setter
def _write_subtree_control(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    set_subtree_control(cgroup, parse_subtree_control(data))


# -- state


@cgroup_file("cgroup.events", 5)
def events(task: Task, cgroup: Cgroup) -> str:
    """Changes here can be polled for."""
    return f"populated {is_populated(cgroup):d}\nfrozen {cgroup.frozen:d}\n"


def _limit_text(value: int) -> str:
    return "max\n" if value == NO_LIMIT else f"{value}\n"


def _limit(data: bytes) -> int:
    return NO_LIMIT if strip(data) == b"max" else kstrtoint(data, 0, NO_LIMIT)


@cgroup_file("cgroup.max.descendants", 6, 0o644, on_root=None)
def max_descendants(task: Task, cgroup: Cgroup) -> str:
    """How many groups there may be below."""
    return _limit_text(cgroup.max_descendants)


@max_descendants.setter
def _write_max_descendants(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    cgroup.max_descendants = _limit(data)


@cgroup_file("cgroup.max.depth", 7, 0o644, on_root=None)
def max_depth(task: Task, cgroup: Cgroup) -> str:
    """How many levels there may be below."""
    return _limit_text(cgroup.max_depth)


@max_depth.setter
def _write_max_depth(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    cgroup.max_depth = _limit(data)


@cgroup_file("cgroup.stat", 8, on_root=None)
def stat(task: Task, cgroup: Cgroup) -> str:
    """How many groups there are below, and how many have which controller.

    Removed groups are gone at once: none is ever dying.
    """
    count = dict.fromkeys(CONTROLLERS, 1 if cgroup.parent is None else 0)
    for one in subtree(cgroup):
        for name in one.own:
            count[name] += 1
    lines = [f"nr_descendants {cgroup.nr_descendants}"]
    lines += [f"nr_subsys_{name} {number}" for name, number in count.items()]
    lines.append("nr_dying_descendants 0")
    lines += [f"nr_dying_subsys_{name} 0" for name in count]
    return "\n".join(lines) + "\n"


@cgroup_file("cgroup.freeze", 9, 0o644)
def freeze(task: Task, cgroup: Cgroup) -> str:
    """1: all tasks here and below are to freeze."""
    return f"{cgroup.freeze:d}\n"


@freeze.setter
def _write_freeze(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    set_freeze(cgroup, bool(kstrtoint(data, 0, 1)))


KILL: Final = CgroupFile("cgroup.kill", 0o200, 10, False, False)


@KILL.setter
def _write_kill(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    if kstrtoint(data, -(1 << 31), NO_LIMIT) != 1:
        raise ERANGE
    kill(cgroup)


@cgroup_file("cpu.stat", 11, on_root=None)
def cpu_stat(task: Task, cgroup: Cgroup) -> str:
    """CPU time used here and below; with the controller, bandwidth too."""
    return "".join([f"{name} {value}\n" for name, value in cpu_stat_lines(cgroup)])


@cgroup_file("cpu.stat.local", 12, on_root=None)
def cpu_stat_local(task: Task, cgroup: Cgroup) -> str:
    """How long the group itself was throttled."""
    css = cgroup.own.get("cpu")
    if css is None:
        return ""
    assert cgroup.cpu is not None
    return f"throttled_usec {cgroup.cpu.group.throttled_time() // 1000}\n"


CORE_FILES: Final = (
    type_, procs, threads, controllers, subtree_control, events, max_descendants, max_depth,
    stat, freeze, KILL, cpu_stat, cpu_stat_local,
)  # fmt: skip
