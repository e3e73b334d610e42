# SPDX-License-Identifier: Apache-2.0
"""/proc/PID/map_files: a link for each mapped file, named by the addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.dcache import d_path
from pygos.fs.libfs import DirFileOperations, dir_emit_entries
from pygos.fs.proc.access import living, mm_of, require_access
from pygos.fs.proc.root import pid_ino
from pygos.fs.synthetic import Directory, Link, SyntheticInodeOperations, SyntheticLinkOperations
from pygos.include.errno import ENOENT, EPERM
from pygos.include.linux.fs import S_IFLNK
from pygos.include.linux.mm_types import VM_READ, VM_WRITE
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.dirent import DT_LNK

if TYPE_CHECKING:
    from pygos.include.linux.fs import DirContext, File, Inode, Path
    from pygos.include.linux.mm_types import Vma
    from pygos.include.linux.sched import Task

CAP_CHECKPOINT_RESTORE: Final = 40
#: Places of the links among the inode numbers of a task.
_BASE: Final = 0xC0_0000


def _mapped(target: Any) -> list[Vma]:
    mm = mm_of(target)
    return [vma for vma in mm.vmas if vma.file is not None] if mm is not None else []


def _name(vma: Vma) -> bytes:
    return b"%x-%x" % (vma.start, vma.end)


def _find(target: Any, key: tuple[int, int]) -> Vma:
    for vma in _mapped(target):
        if (vma.start, vma.end) == key:
            return vma
    raise ENOENT


def same_map(target: Any, key: tuple[int, int]) -> bool:
    """Is there still a file mapped at just these addresses?"""
    return any((vma.start, vma.end) == key for vma in _mapped(target))


class MapLinkOperations(SyntheticLinkOperations):
    """One link. Following it takes a privilege, as it passes by the directories above."""

    __slots__ = ()

    def readlink(self, task: Task, inode: Inode) -> bytes:
        return d_path(self._path(task, inode), task.fs.root)

    def get_link(self, task: Task, inode: Inode) -> Path | bytes:
        cred = task.cred
        if not (cred.capable(CAP_SYS_ADMIN) or cred.capable(CAP_CHECKPOINT_RESTORE)):
            raise EPERM
        return self._path(task, inode)

    @staticmethod
    def _path(task: Task, inode: Any) -> Path:
        require_access(task, living(inode.target))
        file = _find(inode.target, inode.key).file
        assert file is not None
        return file.f_path


class MapFilesDirOperations(SyntheticInodeOperations):
    """The directory."""

    __slots__ = ()

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        from pygos.fs.proc.base import PidInode

        assert isinstance(dir, PidInode)
        target = living(dir.target)
        require_access(task, target)
        for place, vma in enumerate(_mapped(target)):
            if _name(vma) == name:
                inode = PidInode(dir.i_sb, _BASE + place, _LINK, target)
                inode.key = (vma.start, vma.end)
                mode = (0o500 if vma.flags & VM_READ else 0) | (
                    0o300 if vma.flags & VM_WRITE else 0
                )
                inode.i_mode = S_IFLNK | mode
                inode.i_op = _LINK_IOPS
                inode.i_size = 64
                return inode
        raise ENOENT


class MapFilesDirFileOperations(DirFileOperations):
    """Its listing."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        subject: Any = inode
        require_access(task, subject.target)

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        inode: Any = file.f_inode
        mapped = _mapped(inode.target)
        pid = inode.target.pid
        dir_emit_entries(
            file,
            ctx,
            ((_name(vma), pid_ino(pid, _BASE + at), DT_LNK) for at, vma in enumerate(mapped)),
        )


def _nowhere(task: Task, target: Any) -> Path | bytes:
    raise ENOENT


_LINK: Final = Link("", _nowhere)
_LINK_IOPS: Final = MapLinkOperations()
MAP_FILES: Final = Directory(
    "map_files", 0o500, MapFilesDirOperations(), MapFilesDirFileOperations()
)
