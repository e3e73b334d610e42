# SPDX-License-Identifier: Apache-2.0
"""Cgroup namespaces: a group that looks like the root (kernel/cgroup/namespace.c).

See cgroup_namespaces(7). A namespace's root is the group that its maker was in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import EPERM
from pygos.include.linux.ns_common import NsCommon
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.sched import CLONE_NEWCGROUP
from pygos.kernel.cgroup.core import Cgroup, cgroup_path, hierarchy, task_cgroup
from pygos.kernel.nsproxy import NsOps, charge_namespace, require_admin

if TYPE_CHECKING:
    from pygos.include.linux.fs import FsStruct
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.ns_common import NsSet
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace


class CgroupNamespace(NsCommon):
    """What its members see as "/"."""

    __slots__ = ("root",)
    ns_name = "cgroup"
    ns_flag = CLONE_NEWCGROUP

    def __init__(self, root: Cgroup, user_ns: UserNamespace | None = None) -> None:
        super().__init__(user_ns)
        self.root = root


class CgroupNsOps(NsOps):
    """See kernel/nsproxy.py."""

    __slots__ = ()
    name = "cgroup"
    flag = CLONE_NEWCGROUP

    def make_first(self, machine: Machine) -> NsCommon:
        return CgroupNamespace(hierarchy(machine).root)

    def copy(self, task: Task, old: Any, user_ns: UserNamespace | None, fs: FsStruct) -> NsCommon:
        """Errors: EPERM, ENOSPC."""
        if not task.cred.ns_capable(user_ns, CAP_SYS_ADMIN):
            raise EPERM
        ns = CgroupNamespace(task_cgroup(task), user_ns)
        charge_namespace(task, ns, user_ns, "cgroup")
        return ns

    def install(self, task: Task, nsset: NsSet, ns: Any) -> None:
        require_admin(task, nsset, ns)
        nsset.nsproxy.cgroup = self.unfirst(task.machine, ns)


NS_OPS: Final = CgroupNsOps()


def ns_root(task: Task) -> Cgroup:
    """The group that is the root for a task."""
    ns: CgroupNamespace | None = task.nsproxy.cgroup
    return ns.root if ns is not None else hierarchy(task.machine).root


def proc_cgroup_text(reader: Task, target: Task) -> bytes:
    """/proc/PID/cgroup as `reader` sees it. cgroups(7)"""
    cgroup = task_cgroup(target)
    path = cgroup_path(cgroup, ns_root(reader))
    if cgroup.dead:
        path += b" (deleted)"
    return b"0::" + path + b"\n"
