# SPDX-License-Identifier: Apache-2.0
"""/proc/PID and /proc/PID/task/TID: directories, their tables, and the links in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.attr import simple_setattr
from pygos.fs.dcache import d_path
from pygos.fs.libfs import FIRST_COOKIE, DirFileOperations, dir_emit_dots, dir_emit_entries
from pygos.fs.proc import (
    array,
    extras,
    fd,
    idmap,
    map_files,
    namespaces,
    net,
    process,
    sched,
    task_mmu,
    timens,
)
from pygos.fs.proc.access import alive, dump_owner, living, require_access
from pygos.fs.proc.options import INVISIBLE, NO_ACCESS, NOT_PTRACEABLE, may_see, options_of
from pygos.fs.proc.root import parse_pid, pid_ino
from pygos.fs.synthetic import (
    Directory,
    Link,
    Node,
    Synthetic,
    SyntheticInode,
    SyntheticInodeOperations,
)
from pygos.include.errno import EINVAL, ENOENT, EPERM
from pygos.include.linux.fs import (
    ATTR_MODE,
    S_IMMUTABLE,
    Dentry,
    DirContext,
    File,
    FsStruct,
    Iattr,
    Inode,
    Kstat,
    Path,
    SuperBlock,
)
from pygos.include.linux.pid_namespace import pid_nr_ns
from pygos.include.uapi.dirent import DT_DIR
from pygos.kernel.pid import find_task_ns

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_EVERYBODYS_DIR: Final = 0o040555


class PidInode(SyntheticInode):
    """A file of a task; ``target`` is the task."""

    __slots__ = ("key",)
    unwritable = EINVAL

    def __init__(self, sb: SuperBlock, place: int, node: Node, target: Task) -> None:
        super().__init__(sb, pid_ino(target.pid, place), node, target)
        #: What else it is about: a descriptor and its open file; a mapping's start and end.
        self.key: Any = None
        if isinstance(node, Synthetic):
            self.i_op = _FILE_IOPS
        self.i_uid, self.i_gid = _owner(self, target)


class PidFileOperations(SyntheticInodeOperations):
    """A file of a task: its mode stays, its owner comes back with the next look-up."""

    __slots__ = ()

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        if attr.valid & ATTR_MODE:
            raise EPERM
        simple_setattr(inode, attr)


_FILE_IOPS: Final = PidFileOperations()


def _owner(inode: Inode, target: Task) -> tuple[int, int]:
    if inode.i_mode == _EVERYBODYS_DIR:
        return target.cred.euid, target.cred.egid
    return dump_owner(target)


def pid_revalidate(task: Task, dentry: Dentry, inode: PidInode) -> bool:
    """Is the task still there, and the descriptor the same? The owner may have changed."""
    target: Task = inode.target
    if not alive(target):
        return False
    key = inode.key
    if key is not None:
        if type(key[1]) is int:
            return map_files.same_map(target, key)
        if not fd.same_file(target, inode):
            return False
    inode.i_uid, inode.i_gid = _owner(inode, target)
    return True


# -- links


def _seen(task: Task, path: Path) -> bytes:
    return d_path(path, task.fs.root)


def _cwd(task: Task, target: Any) -> Path:
    require_access(task, target)
    return _fs(target).pwd


def _root(task: Task, target: Any) -> Path:
    require_access(task, target)
    return _fs(target).root


def _fs(target: Any) -> FsStruct:
    if not living(target).alive:
        raise ENOENT
    found: FsStruct = target.fs
    return found


def _exe(task: Task, target: Any) -> Path:
    require_access(task, target)
    mm = living(target).mm
    if mm is None or mm.exe_file is None:
        raise ENOENT
    return mm.exe_file.f_path


def _cwd_text(task: Task, target: Any) -> bytes:
    return _seen(task, _cwd(task, target))


def _root_text(task: Task, target: Any) -> bytes:
    return _seen(task, _root(task, target))


def _exe_text(task: Task, target: Any) -> bytes:
    return _seen(task, _exe(task, target))


# -- directories


class PidDirOperations(SyntheticInodeOperations):
    """/proc/PID, and /proc/PID/task/TID."""

    __slots__ = ()

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        assert isinstance(dir, PidInode)
        node: PidDir = dir.i_private
        found = node.table.get(name)
        if found is None:
            raise ENOENT
        if not alive(dir.target):
            raise ENOENT
        place, child = found
        return PidInode(dir.i_sb, node.base + place, child, dir.target)


class HidingPidDirOperations(PidDirOperations):
    """/proc/PID where hidepid= is in force."""

    __slots__ = ()

    def permission(self, task: Task, inode: Inode, mask: int) -> bool | None:
        assert isinstance(inode, PidInode)
        options = options_of(inode.i_sb)
        if options is not None and not may_see(options, task, inode.target, NO_ACCESS):
            raise ENOENT if options.hide_pid in (INVISIBLE, NOT_PTRACEABLE) else EPERM
        return True

    def getattr(self, task: Task, path: Path, inode: Inode) -> Kstat | None:
        assert isinstance(inode, PidInode)
        options = options_of(inode.i_sb)
        if options is not None and not may_see(options, task, inode.target, INVISIBLE):
            raise ENOENT
        return None


class PidDirFileOperations(DirFileOperations):
    """Its listing."""

    __slots__ = ()

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        inode = file.f_inode
        assert isinstance(inode, PidInode)
        if not alive(inode.target):
            raise ENOENT
        node: PidDir = inode.i_private
        pid = inode.target.pid
        entries = node.table.values()
        dir_emit_entries(
            file,
            ctx,
            ((child.name, pid_ino(pid, node.base + at), child.mode >> 12) for at, child in entries),
        )


def proc_pid_dir_target(file: File) -> Task | None:
    """The process whose /proc/PID `file` is; None for other files (tgid_pidfd_to_pid)."""
    inode = file.f_inode
    if not isinstance(inode, PidInode) or inode.i_private is not PID_DIR:
        return None
    target: Task = inode.target
    return target


class PidDir(Directory):
    """A table of files about a task; `base`: where its inode numbers begin."""

    __slots__ = ("base", "table")

    def __init__(self, name: str, base: int, *nodes: Node) -> None:
        super().__init__(name, 0o555, _PID_IOPS, _PID_FOPS)
        self.base = base
        self.table: dict[bytes, tuple[int, Node]] = {
            node.name: (place + 1, node) for place, node in enumerate(nodes)
        }


class TaskDirOperations(SyntheticInodeOperations):
    """/proc/PID/task."""

    __slots__ = ()

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        assert isinstance(dir, PidInode)
        thread = find_task_ns(task.machine, parse_pid(name), dir.i_sb.s_ns)
        if thread is None or thread.group is not dir.target.group:
            raise ENOENT
        return PidInode(dir.i_sb, _THREAD_BASE, THREAD_DIR, thread)


class TaskDirFileOperations(DirFileOperations):
    """The threads, by number."""

    __slots__ = ()

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        inode = file.f_inode
        assert isinstance(inode, PidInode)
        if not alive(inode.target):
            raise ENOENT
        if ctx.pos < FIRST_COOKIE and not dir_emit_dots(file, ctx):
            return
        ns = inode.i_sb.s_ns
        for pid in sorted([pid_nr_ns(t.pid, ns) for t in inode.target.group.threads]):
            offset = pid + FIRST_COOKIE
            if offset >= ctx.pos and not ctx.emit(
                b"%d" % pid, pid_ino(pid, _THREAD_BASE), DT_DIR, offset + 1
            ):
                return


class FdDirOperations(SyntheticInodeOperations):
    """/proc/PID/fd and fdinfo: for those who may inspect the task."""

    __slots__ = ()

    def permission(self, task: Task, inode: Inode, mask: int) -> bool | None:
        assert isinstance(inode, PidInode)
        if inode.target.group is task.group:
            return None
        return True

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        assert isinstance(dir, PidInode)
        number = 0 if name == b"0" else parse_pid(name)
        if number < 0:
            raise ENOENT
        target = living(dir.target)
        file = target.files.fd.get(number)
        if file is None:
            raise ENOENT
        require_access(task, target)
        is_info = dir.i_private.name == b"fdinfo"
        node: Node = fd.FDINFO if is_info else fd.FD_LINK
        inode = PidInode(dir.i_sb, fd.ino_place(number, is_info), node, target)
        inode.key = (number, file)
        inode.i_mode = fd.inode_mode(file, is_info)
        if not is_info:
            inode.i_op = fd.FD_LINK_IOPS
            inode.i_size = 64
        return inode


class FdDirFileOperations(DirFileOperations):
    """The open descriptors, by number."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        assert isinstance(inode, PidInode)
        require_access(task, inode.target)

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        inode = file.f_inode
        assert isinstance(inode, PidInode)
        target = inode.target
        if not alive(target):
            raise ENOENT
        if ctx.pos < FIRST_COOKIE and not dir_emit_dots(file, ctx):
            return
        is_info = inode.i_private.name == b"fdinfo"
        kind = 8 if is_info else 10
        for number in sorted(n for n, f in target.files.fd.items() if f is not None):
            offset = number + FIRST_COOKIE
            if offset >= ctx.pos:
                ino = pid_ino(target.pid, fd.ino_place(number, is_info))
                if not ctx.emit(b"%d" % number, ino, kind, offset + 1):
                    return


class FdDir(Directory):
    """fd or fdinfo."""

    __slots__ = ()

    def __init__(self, name: str, mode: int) -> None:
        super().__init__(name, mode, _FD_IOPS, _FD_FOPS)


_PID_IOPS: Final = PidDirOperations()
_HIDING_IOPS: Final = HidingPidDirOperations()
_PID_FOPS: Final = PidDirFileOperations()
_FD_IOPS: Final = FdDirOperations()
_FD_FOPS: Final = FdDirFileOperations()
_THREAD_BASE: Final = 0x100

_ATTR_BASE: Final = 0x200
_ATTR: Final = PidDir("attr", _ATTR_BASE, *extras.ATTR_NODES)

_FIRST: Final[tuple[Node, ...]] = (
    FdDir("fd", 0o500), FdDir("fdinfo", 0o555), namespaces.NS_NODE, net.NET_DIR,
)  # fmt: skip
_BEFORE: Final[tuple[Node, ...]] = (
    process.environ, process.auxv, array.status, process.personality, array.limits,
    sched.pid_sched, process.comm, process.syscall, process.cmdline,
)  # fmt: skip
_AFTER: Final[tuple[Node, ...]] = (
    array.statm,
    task_mmu.maps, extras.numa_maps, task_mmu.MEM, Link("cwd", _cwd, _cwd_text),
    Link("root", _root, _root_text),
    Link("exe", _exe, _exe_text), process.MOUNTS, process.MOUNTINFO,
    extras.clear_refs, task_mmu.smaps, task_mmu.smaps_rollup, extras.PAGEMAP, _ATTR,
    process.wchan, process.stack, sched.pid_schedstat,
    process.cpuset, process.cgroup, process.oom_score, process.oom_adj, process.oom_score_adj,
    process.loginuid, process.sessionid, process.io, idmap.UID_MAP, idmap.GID_MAP,
    idmap.PROJID_MAP, idmap.SETGROUPS, extras.arch_status,
)  # fmt: skip

PID_DIR: Final = PidDir(
    "", 0, *_FIRST,
    Directory("task", 0o555, TaskDirOperations(), TaskDirFileOperations()),
    map_files.MAP_FILES, *_BEFORE, array.stat, *_AFTER, extras.mountstats,
    process.coredump_filter, timens.TIMENS_OFFSETS, extras.timers, process.timerslack_ns,
)  # fmt: skip
THREAD_DIR: Final = PidDir(
    "", _THREAD_BASE, *_FIRST, *_BEFORE, array.thread_stat,
    *[process.thread_io if node is process.io else node for node in _AFTER], process.children,
)  # fmt: skip


def pid_directory(sb: SuperBlock, target: Task) -> Inode:
    """The inode of /proc/PID."""
    inode = PidInode(sb, 0, PID_DIR, target)
    inode.i_flags |= S_IMMUTABLE  # so that whoever would change it gets EPERM
    inode.i_nlink = 5
    if options_of(sb) is not None:
        inode.i_op = _HIDING_IOPS
    return inode
