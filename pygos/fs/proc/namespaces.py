# SPDX-License-Identifier: Apache-2.0
"""/proc/PID/ns: the namespaces of a task, links to files of nsfs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.proc.access import living, require_access
from pygos.fs.synthetic import Link, SyntheticDir
from pygos.include.errno import ENOENT
from pygos.include.linux.fs import Path
from pygos.include.uapi import sched as uapi
from pygos.kernel.nsproxy import ns_ops

if TYPE_CHECKING:
    from pygos.include.linux.ns_common import NsCommon
    from pygos.include.linux.sched import Task


class NsLink(Link):
    """A link to a namespace of the target; `field` where it isn't the one it is in."""

    __slots__ = ("field", "flag")

    def __init__(self, name: str, flag: int, field: str = "") -> None:
        super().__init__(name, self.jump, self.name_of)
        self.flag = flag
        self.field = field

    def jump(self, task: Task, target: Any) -> Path:
        from pygos.fs.nsfs import ns_path

        require_access(task, target)
        return ns_path(task.machine, self.namespace(living(target)))

    def namespace(self, target: Task) -> NsCommon:
        """ENOENT for a zombie, and if the machine has no such kind."""
        machine = target.machine
        ops = ns_ops(machine, self.flag)
        if ops is None or not target.alive:
            raise ENOENT
        ns = getattr(target.nsproxy, self.field) if self.field else ops.get(target)
        return ops.first(machine) if ns is None else ns

    def name_of(self, task: Task, target: Any) -> bytes:
        return self.jump(task, target).dentry.d_name


NS_LINKS: Final = (
    NsLink("cgroup", uapi.CLONE_NEWCGROUP), NsLink("ipc", uapi.CLONE_NEWIPC),
    NsLink("mnt", uapi.CLONE_NEWNS), NsLink("net", uapi.CLONE_NEWNET),
    NsLink("pid", uapi.CLONE_NEWPID),
    NsLink("pid_for_children", uapi.CLONE_NEWPID, "pid_for_children"),
    NsLink("time", uapi.CLONE_NEWTIME),
    NsLink("time_for_children", uapi.CLONE_NEWTIME, "time_for_children"),
    NsLink("user", uapi.CLONE_NEWUSER), NsLink("uts", uapi.CLONE_NEWUTS),
)  # fmt: skip
NS_NODE: Final = SyntheticDir("ns", *NS_LINKS, mode=0o511)
