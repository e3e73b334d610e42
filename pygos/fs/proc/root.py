# SPDX-License-Identifier: Apache-2.0
"""The root of procfs: the machine's files, a directory for each process, self."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.dcache import d_make_root, shrink_dcache_sb
from pygos.fs.libfs import FIRST_COOKIE, DirFileOperations, dir_emit_dots
from pygos.fs.proc.options import INVISIBLE, apply_options, may_see, options_of, options_text
from pygos.fs.synthetic import (
    Directory,
    Link,
    Node,
    SyntheticInode,
    SyntheticInodeOperations,
    child_ino,
    emit_nodes,
)
from pygos.include.errno import ENOENT
from pygos.include.linux.fs import (
    Dentry,
    DentryOperations,
    FileSystemType,
    Inode,
    Kstatfs,
    SuperBlock,
    SuperOperations,
)
from pygos.include.linux.pid_namespace import pid_nr_ns
from pygos.include.uapi.dirent import DT_DIR
from pygos.include.uapi.magic import PROC_SUPER_MAGIC
from pygos.kernel.pid import find_task_ns

if TYPE_CHECKING:
    from pygos.include.linux.fs import DirContext, File
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace

#: Offsets of processes in the root's listing begin here.
_FIRST_PROCESS: Final = 256
#: Inode numbers of /proc/PID and below.
_PID_INO: Final = 1 << 32
#: machine.misc: what proc_register() was given.
_REGISTERED: Final = "proc_nodes"


class ProcDentryOperations(DentryOperations):
    """Names of processes and descriptors are right while what they name is there."""

    __slots__ = ()

    def revalidate(self, task: Task, dentry: Dentry) -> bool:
        inode = dentry.d_inode
        if inode is None:
            return False
        if type(inode) is SyntheticInode:
            return True
        from pygos.fs.proc.base import PidInode, pid_revalidate

        assert isinstance(inode, PidInode)
        return pid_revalidate(task, dentry, inode)


class ProcSuperOperations(SuperOperations):
    """Nothing is stored."""

    __slots__ = ()

    def statfs(self, sb: SuperBlock) -> Kstatfs:
        return Kstatfs(type=sb.s_magic)

    def put_super(self, sb: SuperBlock) -> None:
        shrink_dcache_sb(sb)

    def remount(self, sb: SuperBlock, flags: int, data: str) -> None:
        apply_options(sb, data)

    def show_options(self, sb: SuperBlock) -> str:
        return options_text(sb)


def _self(task: Task, target: Any) -> bytes:
    """`target` is the pid namespace that this procfs shows. ENOENT if one isn't in it."""
    number = pid_nr_ns(task.tgid, target)
    if not number:
        raise ENOENT
    return b"%d" % number


def _thread_self(task: Task, target: Any) -> bytes:
    return b"%s/task/%d" % (_self(task, target), pid_nr_ns(task.pid, target))


def _mounts(task: Task, target: object) -> bytes:
    return b"self/mounts"


def _net(task: Task, target: object) -> bytes:
    return b"self/net"


_LINKS: Final = (Link("self", _self), Link("thread-self", _thread_self))
_MOUNTS: Final = Link("mounts", _mounts)
_NET: Final = Link("net", _net)


def proc_register(machine: Machine, *nodes: Node) -> None:
    """Show files or directories of the layers above in /proc; called at boot."""
    machine.misc.setdefault(_REGISTERED, []).extend(nodes)


def static_nodes(machine: Machine) -> dict[bytes, Node]:
    """The names of the root that are always there."""
    from pygos.fs.proc.hardware import HARDWARE_NODES
    from pygos.fs.proc.sysctl import SYSCTL_ROOT
    from pygos.fs.proc.system import SYSTEM_NODES

    registered: list[Node] = machine.misc.get(_REGISTERED, [])
    nodes: list[Node] = [*SYSTEM_NODES, *HARDWARE_NODES, *registered, _MOUNTS, _NET, SYSCTL_ROOT]
    return {node.name: node for node in nodes}


def parse_pid(name: bytes) -> int:
    """A process number as a name: digits without leading zeros; -1 if it is none."""
    if not name.isdigit() or len(name) > 10 or (name[0] == 48 and len(name) > 1):
        return -1
    return int(name)


class ProcRootOperations(SyntheticInodeOperations):
    """The root directory."""

    __slots__ = ()

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        root: ProcRoot = dir.i_private
        node = root.nodes(task.machine).get(name)
        options = options_of(dir.i_sb)
        if options is not None and options.pid_only and node not in _LINKS:
            node = None
        if node is not None:
            shown = dir.i_sb.s_ns if node in _LINKS else None
            return SyntheticInode(dir.i_sb, child_ino(dir, name), node, shown)
        pid = parse_pid(name)
        if pid < 1:
            raise ENOENT
        target = find_task_ns(task.machine, pid, dir.i_sb.s_ns)
        if target is None:
            raise ENOENT
        from pygos.fs.proc.base import pid_directory

        return pid_directory(dir.i_sb, target)


class ProcRootFileOperations(DirFileOperations):
    """Its listing: the machine's files, then the processes by number."""

    __slots__ = ()

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        if ctx.pos < FIRST_COOKIE and not dir_emit_dots(file, ctx):
            return
        root: ProcRoot = file.f_inode.i_private
        options = options_of(file.f_inode.i_sb)
        if ctx.pos < _FIRST_PROCESS:
            nodes = list(root.nodes(task.machine).values())
            if options is not None and options.pid_only:
                nodes = list(_LINKS)
            if not emit_nodes(file.f_inode, nodes, ctx):
                return
            ctx.pos = _FIRST_PROCESS
        ns, tasks = file.f_inode.i_sb.s_ns, task.machine.pids.tasks
        for pid in sorted(tasks if ns is None else ns.to_global):
            target = tasks.get(pid if ns is None else ns.to_global[pid])
            offset = _FIRST_PROCESS + pid
            if pid < 1 or offset < ctx.pos or target is None or target.group.leader is not target:
                continue
            if options is not None and not may_see(options, task, target, INVISIBLE):
                continue
            if not ctx.emit(b"%d" % pid, pid_ino(pid, 0), DT_DIR, offset + 1):
                return


def pid_ino(pid: int, place: int) -> int:
    """The inode number of a file of a process, by its place in the table."""
    return _PID_INO + (pid << 24) + place


class ProcRoot(Directory):
    """The root's node."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("", 0o555, ROOT_IOPS, ROOT_FOPS)

    def nodes(self, machine: Machine) -> dict[bytes, Node]:
        """All fixed names, the two links to oneself last."""
        return {**static_nodes(machine), **{link.name: link for link in _LINKS}}


ROOT_IOPS: Final = ProcRootOperations()
ROOT_FOPS: Final = ProcRootFileOperations()
_ROOT: Final = ProcRoot()
_SUPER_OPS: Final = ProcSuperOperations()
_DENTRY_OPS: Final = ProcDentryOperations()


class ProcType(FileSystemType):
    """mount -t proc."""

    __slots__ = ()
    name = "proc"
    userns_mount = True
    userns_visible = True

    def user_ns(self, task: Task) -> UserNamespace | None:
        return task.pid_ns.user_ns if task.pid_ns is not None else None

    def mount(self, task: Task, source: str, flags: int, data: str) -> SuperBlock:
        sb = SuperBlock(task.machine, self, _SUPER_OPS)
        sb.s_magic = PROC_SUPER_MAGIC
        sb.s_ns = task.pid_ns
        sb.s_blocksize = 1024
        sb.s_d_op = _DENTRY_OPS
        sb.s_fs_info = {}
        apply_options(sb, data)
        sb.s_root = d_make_root(sb, SyntheticInode(sb, sb.new_ino(), _ROOT, None))
        return sb


__all__ = ["ProcType", "parse_pid", "pid_ino"]
