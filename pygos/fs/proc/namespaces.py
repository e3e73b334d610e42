# SPDX-License-Identifier: Apache-2.0
"""/proc/PID/ns: the namespaces of a task, links to files of nsfs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.proc.access import living, require_access
from pygos.fs.synthetic import Link, SyntheticDir
from pygos.include.linux.fs import (
    S_IFREG,
    Dentry,
    DentryOperations,
    FileSystemType,
    Inode,
    Mount,
    Path,
    SuperBlock,
    SuperOperations,
)
from pygos.include.uapi.magic import NSFS_MAGIC

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: Numbers of the first namespaces, include/linux/proc_ns.h.
_FIRST: Final = {
    "time": 4026531834, "cgroup": 4026531835, "pid": 4026531836, "user": 4026531837,
    "uts": 4026531838, "ipc": 4026531839, "net": 4026531840, "mnt": 4026531841,
}  # fmt: skip
#: Numbers of those made later.
_LATER: Final = 4026532200


class _NsfsType(FileSystemType):
    __slots__ = ()
    name = "nsfs"


class NsfsDentryOperations(DentryOperations):
    """A namespace's name is its kind and number."""

    __slots__ = ()

    def d_dname(self, dentry: Dentry) -> bytes | None:
        return dentry.d_name


class Nsfs:
    """``machine.misc["nsfs"]``: the internal file system and its mount."""

    __slots__ = ("dentries", "mnt", "sb")

    def __init__(self, machine: Machine) -> None:
        sb = self.sb = SuperBlock(machine, _NsfsType(), SuperOperations())
        sb.s_magic = NSFS_MAGIC
        sb.s_d_op = _DENTRY_OPS
        sb.s_root = Dentry(sb, None, b"/")
        sb.s_root.d_inode = Inode(sb, sb.new_ino(), 0o040000)
        self.mnt: Mount = machine.new_mount(sb.s_root, "nsfs")
        self.dentries: dict[bytes, Dentry] = {}

    def place(self, kind: str, number: int) -> Path:
        """The file of a namespace."""
        name = b"%s:[%d]" % (kind.encode(), number)
        dentry = self.dentries.get(name)
        if dentry is None:
            dentry = self.dentries[name] = Dentry(self.sb, None, name)
            dentry.d_inode = Inode(self.sb, number, S_IFREG | 0o444)
        return Path(self.mnt, dentry)


_DENTRY_OPS: Final = NsfsDentryOperations()


def nsfs(machine: Machine) -> Nsfs:
    """The machine's nsfs, made at the first use."""
    found: Nsfs | None = machine.misc.get("nsfs")
    if found is None:
        found = machine.misc["nsfs"] = Nsfs(machine)
    return found


def namespace_number(target: Task, kind: str) -> int:
    """The number of one of a task's namespaces."""
    first = target.machine.init_task.nsproxy
    if kind == "mnt" and target.nsproxy.mnt is not first.mnt:
        return _LATER + 2 * target.nsproxy.mnt.root.mnt_id
    return _FIRST[kind]


class NsLink(Link):
    """A link to a namespace; all of a kind, whatever their file's name."""

    __slots__ = ("kind",)

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(name, self.jump, self.name_of)
        self.kind = kind

    def jump(self, task: Task, target: Any) -> Path:
        require_access(task, target)
        return nsfs(task.machine).place(self.kind, namespace_number(living(target), self.kind))

    def name_of(self, task: Task, target: Any) -> bytes:
        return self.jump(task, target).dentry.d_name


NS_LINKS: Final = (
    NsLink("cgroup", "cgroup"), NsLink("ipc", "ipc"), NsLink("mnt", "mnt"), NsLink("net", "net"),
    NsLink("pid", "pid"), NsLink("pid_for_children", "pid"), NsLink("time", "time"),
    NsLink("time_for_children", "time"), NsLink("user", "user"), NsLink("uts", "uts"),
)  # fmt: skip
NS_NODE: Final = SyntheticDir("ns", *NS_LINKS, mode=0o511)
