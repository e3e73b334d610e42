# SPDX-License-Identifier: Apache-2.0
"""Mounting cgroup2, and the operations of its directories; the rest is imported when used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.dcache import d_make_root, shrink_dcache_sb
from pygos.fs.kernfs import KernfsInode, KernfsInodeOperations
from pygos.fs.libfs import DirFileOperations, parse_options
from pygos.fs.synthetic import Directory
from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.fs import (
    Dentry,
    DentryOperations,
    FileSystemType,
    Inode,
    Kstat,
    Kstatfs,
    SuperBlock,
    SuperOperations,
)
from pygos.include.uapi.magic import CGROUP2_SUPER_MAGIC

if TYPE_CHECKING:
    from pygos.include.linux.fs import DirContext, File, Path
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: Mount options; those that change nothing here are taken for what they are elsewhere.
_OPTIONS: Final = frozenset((
    "nsdelegate", "favordynmods", "memory_localevents", "memory_recursiveprot",
    "memory_hugetlb_accounting", "pids_localevents",
))  # fmt: skip


#: Where machine.misc has the super block.
_SB: Final = "cgroup_sb"
#: The inode number of the root.
ROOT_ID: Final = 1


class CgroupDirOperations(KernfsInodeOperations):
    """A group's directory."""

    __slots__ = ()

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        from pygos.fs.cgroup.tree import lookup

        assert isinstance(dir, KernfsInode)
        return lookup(dir, name)

    def mkdir(self, task: Task, dir: Inode, dentry: Dentry, mode: int) -> Inode:
        from pygos.fs.cgroup.tree import mkdir

        assert isinstance(dir, KernfsInode)
        return mkdir(task, dir, dentry, mode)

    def rmdir(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        from pygos.fs.cgroup.tree import rmdir

        rmdir(dentry)

    def getattr(self, task: Task, path: Path, inode: Inode) -> Kstat | None:
        assert isinstance(inode, KernfsInode)
        inode.i_nlink = 2 + len(inode.target.children)
        return None


class CgroupDirFileOperations(DirFileOperations):
    """Listing it."""

    __slots__ = ()

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        from pygos.fs.cgroup.tree import iterate

        iterate(file, ctx)


class CgroupDentryOperations(DentryOperations):
    """Files come and go with the controllers."""

    __slots__ = ()

    def revalidate(self, task: Task, dentry: Dentry) -> bool:
        inode = dentry.d_inode
        if inode is None:
            return False
        assert isinstance(inode, KernfsInode)
        if inode.i_private is CGROUP_DIR:
            return True
        from pygos.fs.cgroup.tree import has_file

        return has_file(inode.target, inode.name)


class CgroupSuperOperations(SuperOperations):
    """The hierarchy outlives its mounts."""

    __slots__ = ()

    def statfs(self, sb: SuperBlock) -> Kstatfs:
        return Kstatfs(type=sb.s_magic)

    def show_options(self, sb: SuperBlock) -> str:
        top = sb.machine.cgroups
        text = ",nsdelegate" if top is None or top.nsdelegate else ""
        return text + ",memory_recursiveprot"

    def show_path(self, reader: Task, root: Dentry) -> bytes | None:
        if reader.machine.cgroups is None:
            return b"/"
        from pygos.kernel.cgroup.core import cgroup_path
        from pygos.kernel.cgroup.namespace import ns_root

        assert isinstance(root.d_inode, KernfsInode)
        return cgroup_path(root.d_inode.target, ns_root(reader))

    def put_super(self, sb: SuperBlock) -> None:
        shrink_dcache_sb(sb)
        sb.machine.misc.pop(_SB, None)

    def remount(self, sb: SuperBlock, flags: int, data: str) -> None:
        apply_options(sb.machine, data)
        super().remount(sb, flags, data)


class RootInode(KernfsInode):
    """The root's directory; the hierarchy itself is made when somebody looks into it."""

    __slots__ = ()

    @property
    def target(self) -> Any:
        """The root group."""
        from pygos.kernel.cgroup.core import hierarchy

        return hierarchy(self.i_sb.machine).root

    @target.setter
    def target(self, value: Any) -> None:
        """It is always the same."""

    def refresh(self) -> None:
        """Nothing can have been changed before there is a hierarchy."""
        if self.i_sb.machine.cgroups is not None:
            super().refresh()


CGROUP_DIR: Final = Directory("", 0o755, CgroupDirOperations(), CgroupDirFileOperations())
_ROOT_DIR: Final = Directory("", 0o555, CGROUP_DIR.iop, CGROUP_DIR.fop)
_SUPER_OPS: Final = CgroupSuperOperations()
_DENTRY_OPS: Final = CgroupDentryOperations()


def apply_options(machine: Machine, data: str) -> None:
    """Mount options. EINVAL for unknown ones."""
    names = set()
    for name, value in parse_options(data):
        if name not in _OPTIONS or value:
            raise EINVAL
        names.add(name)
    wanted = "nsdelegate" in names
    if machine.cgroups is None and wanted:
        return  # a new hierarchy has it
    from pygos.kernel.cgroup.core import hierarchy

    hierarchy(machine).nsdelegate = wanted


def cgroup_super(machine: Machine, fstype: FileSystemType) -> SuperBlock:
    """The one super block, made at the first mount."""
    sb = machine.misc.get(_SB)
    if sb is None:
        sb = machine.misc[_SB] = SuperBlock(machine, fstype, _SUPER_OPS)
        sb.s_magic = CGROUP2_SUPER_MAGIC
        sb.s_d_op = _DENTRY_OPS
        nobody: Any = None
        inode = RootInode(sb, ROOT_ID, _ROOT_DIR, nobody, b"")
        inode.i_private = CGROUP_DIR
        sb.s_root = d_make_root(sb, inode)
    found: SuperBlock = sb
    return found


class CgroupType(FileSystemType):
    """mount -t cgroup2."""

    __slots__ = ()
    name = "cgroup2"
    userns_mount = True

    def mount(self, task: Task, source: str, flags: int, data: str) -> SuperBlock:
        machine = task.machine
        first = _SB not in machine.misc
        sb = cgroup_super(machine, self)
        if first:
            apply_options(machine, data)
        elif data:
            from pygos.kernel.cgroup.namespace import ns_root

            # Only the first namespace may change what counts for all.
            if ns_root(task).parent is not None:
                raise EPERM
            apply_options(machine, data)
        return sb

    def mount_root(self, task: Task, sb: SuperBlock) -> Dentry:
        """The root of the mounter's namespace."""
        if not hasattr(task, "nsproxy") or task.nsproxy.cgroup is None:
            return sb.s_root
        from pygos.fs.cgroup.tree import dentry_of
        from pygos.kernel.cgroup.namespace import ns_root

        return dentry_of(task, sb, ns_root(task))
