# SPDX-License-Identifier: Apache-2.0
"""PID namespaces as a kind of namespace, and the death of one (kernel/pid_namespace.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import EINVAL, ENOSPC
from pygos.include.linux.pid_namespace import MAX_PID_NS_LEVEL, PidNamespace, pidns_is_ancestor
from pygos.include.linux.sched import SigAction, TaskState
from pygos.include.linux.user_namespace import in_userns
from pygos.include.uapi.sched import CLONE_NEWPID
from pygos.include.uapi.signal import SIG_IGN, SIGCHLD, SIGKILL
from pygos.kernel.nsproxy import FirstNs, NsOps, charge_namespace, require_admin

if TYPE_CHECKING:
    from pygos.include.linux.fs import FsStruct
    from pygos.include.linux.ns_common import NsCommon, NsSet
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace


class PidNsOps(NsOps):
    """pidns_operations: entering one counts for children only."""

    __slots__ = ()
    name = "pid"
    flag = CLONE_NEWPID
    field = "pid_for_children"

    def get(self, task: Task) -> NsCommon | None:
        return task.pid_ns

    def copy(self, task: Task, old: Any, user_ns: UserNamespace | None, fs: FsStruct) -> NsCommon:
        if old is not task.pid_ns:
            raise EINVAL
        if not in_userns(old.user_ns if old is not None else None, user_ns):
            raise EINVAL
        ns = PidNamespace(old, user_ns)
        if ns.level > MAX_PID_NS_LEVEL:
            raise ENOSPC
        charge_namespace(task, ns, user_ns, "pid")
        ns.max = task.machine.pids.max
        return ns

    def install(self, task: Task, nsset: NsSet, ns: Any) -> None:
        require_admin(task, nsset, ns)
        inner = None if isinstance(ns, FirstNs) else ns
        if not pidns_is_ancestor(inner, task.pid_ns):
            raise EINVAL
        nsset.nsproxy.pid_for_children = inner

    def parent(self, ns: Any) -> tuple[bool, NsCommon | None]:
        return True, getattr(ns, "parent", None)

    def visible(self, task: Task, ns: Any) -> bool:
        return pidns_is_ancestor(ns, task.pid_ns)


NS_OPS: Final = PidNsOps()
_IGNORED: Final = SigAction(handler=SIG_IGN)


def members(ns: PidNamespace, task: Task) -> list[Task]:
    """All tasks in a namespace and below it."""
    tasks = task.machine.pids.tasks
    found = [tasks.get(number) for number in tuple(ns.to_local)]
    return [member for member in found if member is not None]


def reaper_exits(task: Task) -> None:
    """A pid namespace loses its process 1: another thread of it, or all of it ends."""
    ns = task.pid_ns
    assert ns is not None
    for other in task.group.threads:
        if other is not task and other.alive:
            ns.child_reaper = other
            return
    zap_pid_ns(task)


def zap_pid_ns(task: Task) -> None:
    """The last thread of a namespace's init ends: everybody in it ends first.

    Children and tracees of processes outside stay zombies until those wait for them.
    """
    from pygos.kernel.exit import do_group_exit, release_task

    ns = task.pid_ns
    assert ns is not None
    ns.dead = True
    task.sighand.action[SIGCHLD] = _IGNORED
    mine = task.group
    for member in reversed(members(ns, task)):
        if member.group is mine:
            continue
        group = member.group
        if not group.group_exit:
            group.group_exit = True
            group.exit_code = SIGKILL
        if member.alive:
            member.exiting = SIGKILL  # no stop for a tracer
            do_group_exit(member, SIGKILL)
    for member in members(ns, task):
        if member.group is mine or member.state is not TaskState.ZOMBIE or member.ptrace:
            continue
        if member.real_parent.group is mine or not member.real_parent.alive:
            release_task(member)
