# SPDX-License-Identifier: Apache-2.0
"""overlayfs' super block: mounting, options, statfs(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.dcache import d_make_root, shrink_dcache_sb
from pygos.fs.inode import iput
from pygos.fs.libfs import parse_options
from pygos.fs.overlayfs.dir import OvlDirOperations
from pygos.fs.overlayfs.file import OvlFileFileOperations
from pygos.fs.overlayfs.inode import DENTRY_OPS, OvlInode, new_dir_inode, release_refs
from pygos.fs.overlayfs.readdir import OvlDirFileOperations
from pygos.fs.super import deactivate
from pygos.fs.walk import LOOKUP_DIRECTORY, LOOKUP_FOLLOW, path_lookup
from pygos.include.errno import EBUSY, EINVAL, EROFS
from pygos.include.linux.fs import (
    SB_RDONLY,
    Dentry,
    FileSystemType,
    Inode,
    InodeOperations,
    Kstatfs,
    Mount,
    Path,
    SuperBlock,
    SuperOperations,
)
from pygos.include.uapi.fcntl import AT_FDCWD
from pygos.include.uapi.magic import OVERLAYFS_SUPER_MAGIC

if TYPE_CHECKING:
    from pygos.include.linux.fs import FileOperations
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: Inode numbers of files made in a private upper file system begin here.
FIRST_UPPER_INO: Final = 1 << 40
_MAX_LAYERS: Final = 500
_IGNORED: Final = frozenset((
    "index", "redirect_dir", "nfs_export", "xino", "metacopy", "userxattr", "volatile", "uuid",
    "default_permissions", "verity",
))  # fmt: skip


class OvlSuper:
    """s_fs_info."""

    __slots__ = (
        "dir_fops", "dir_iops", "file_fops", "layers", "lower_roots", "options", "private",
        "upper_mnt", "upper_root", "whiteout",
    )  # fmt: skip

    def __init__(self, lowers: tuple[Path, ...], upper: Path | None, private: bool) -> None:
        self.lower_roots: tuple[Dentry, ...] = tuple(path.dentry for path in lowers)
        self.upper_root: Dentry | None = upper.dentry if upper is not None else None
        #: A mount for the kernel's own open files on the layers.
        self.upper_mnt: Mount = upper.mnt if upper is not None else lowers[0].mnt
        #: The upper file system is the overlay's own: its numbers may be set.
        self.private = private
        #: Lower file system -> its place, for inode numbers that don't collide.
        self.layers: dict[SuperBlock, int] = {}
        for path in lowers:
            self.layers.setdefault(path.dentry.d_sb, len(self.layers))
        #: A dentry without a place that holds the inode of all whiteouts.
        self.whiteout: Dentry | None = None
        self.options = ""
        self.dir_iops: InodeOperations = DIR_IOPS
        self.dir_fops: FileOperations = DIR_FOPS
        self.file_fops: FileOperations = FILE_FOPS

    def keep_whiteout(self, inode: Inode) -> None:
        """Further whiteouts will be names of this one."""
        self.forget_whiteout()
        inode.i_count += 1
        self.whiteout = Dentry(inode.i_sb, None, b"whiteout")
        self.whiteout.d_inode = inode

    def forget_whiteout(self) -> None:
        old, self.whiteout = self.whiteout, None
        if old is not None and old.d_inode is not None:
            iput(old.d_inode)

    def lower_root_of(self, dentry: Dentry) -> Dentry:
        """The root of the layer that a lower dentry is in."""
        roots = set(self.lower_roots)
        while dentry not in roots:
            if dentry.d_parent is dentry:
                raise EINVAL
            dentry = dentry.d_parent
        return dentry


def _add_lowers(info: OvlSuper, stat: Kstatfs) -> None:
    """What the lower file systems hold is part of this one: used, not free."""
    for sb in info.layers:
        lower = sb.s_op.statfs(sb)
        if stat.blocks and lower.blocks:
            used = (lower.blocks - lower.bfree) * (lower.frsize or lower.bsize)
            stat.blocks += used // (stat.frsize or stat.bsize)
        if stat.files and lower.files:
            stat.files += lower.files - lower.ffree


class OvlSuperOperations(SuperOperations):
    """The upper file system's limits are the overlay's.

    Where the upper one is the overlay's own, as that of a machine's root, what the lower ones
    hold counts as used, so that ``df /`` shows a disk with a system on it.
    """

    __slots__ = ()

    def statfs(self, sb: SuperBlock) -> Kstatfs:
        info: OvlSuper = sb.s_fs_info
        root = info.upper_root if info.upper_root is not None else info.lower_roots[0]
        stat = root.d_sb.s_op.statfs(root.d_sb)
        stat.type = sb.s_magic
        if info.private and info.upper_root is not None:
            _add_lowers(info, stat)
        return stat

    def evict_inode(self, inode: Inode) -> None:
        if isinstance(inode, OvlInode):
            release_refs(inode)

    def show_options(self, sb: SuperBlock) -> str:
        info: OvlSuper = sb.s_fs_info
        return info.options

    def remount(self, sb: SuperBlock, flags: int, data: str) -> None:
        """Read-only or not. EROFS without an upper layer."""
        info: OvlSuper = sb.s_fs_info
        if not flags & SB_RDONLY and info.upper_root is None:
            raise EROFS
        sb.s_flags = sb.s_flags & ~SB_RDONLY | flags & SB_RDONLY

    def put_super(self, sb: SuperBlock) -> None:
        info: OvlSuper = sb.s_fs_info
        shrink_dcache_sb(sb)
        info.forget_whiteout()
        for root in (*info.lower_roots, info.upper_root):
            if root is not None:
                deactivate(root.d_sb)


DIR_IOPS: Final = OvlDirOperations()
DIR_FOPS: Final = OvlDirFileOperations()
FILE_FOPS: Final = OvlFileFileOperations()
_SUPER_OPS: Final = OvlSuperOperations()


def new_overlay(
    machine: Machine, lowers: tuple[Path, ...], upper: Path | None, private: bool, options: str
) -> SuperBlock:
    """A super block over these layers, topmost lower one first."""
    sb = SuperBlock(machine, OVERLAY_TYPE, _SUPER_OPS)
    sb.s_magic = OVERLAYFS_SUPER_MAGIC
    info = sb.s_fs_info = OvlSuper(lowers, upper, private)
    info.options = options
    for layer in (*lowers, upper) if upper is not None else lowers:
        layer.dentry.d_sb.s_active += 1
    sb.s_d_op = DENTRY_OPS
    if upper is None:
        sb.s_flags |= SB_RDONLY
    elif private:
        _adopt_upper(sb, lowers[0].inode, upper)
    root = new_dir_inode(sb, None, b"", info.upper_root, info.lower_roots)
    sb.s_root = d_make_root(sb, root)
    return sb


def _adopt_upper(sb: SuperBlock, lower: Inode, upper: Path) -> None:
    """A private upper file system: same st_dev, own range of inode numbers, root as below."""
    upper_sb = upper.dentry.d_sb
    upper_sb.s_dev = sb.s_dev
    upper_sb.s_next_ino = max(upper_sb.s_next_ino, FIRST_UPPER_INO)
    root = upper.inode
    root.i_mode, root.i_uid, root.i_gid = lower.i_mode, lower.i_uid, lower.i_gid
    root.i_atime, root.i_mtime, root.i_ctime = lower.i_atime, lower.i_mtime, lower.i_ctime


def mount_overlay(machine: Machine, lower: Mount | Path, upper: Path) -> SuperBlock:
    """An overlay for the machine's own use; `upper` is the root of a file system that nobody
    else uses, so that inode numbers and st_dev are the same before and after a copy-up."""
    path = lower if isinstance(lower, Path) else Path(lower, lower.mnt_root)
    options = ",lowerdir=host,upperdir=upper,workdir=work"
    return new_overlay(machine, (path,), upper, True, options)


class OverlayType(FileSystemType):
    """mount -t overlay -o lowerdir=A:B,upperdir=C,workdir=D."""

    __slots__ = ()
    name = "overlay"
    userns_mount = True

    def mount(self, task: Task, source: str, flags: int, data: str) -> SuperBlock:
        lowerdir, upperdir, workdir = _options(data)
        if not lowerdir or bool(upperdir) != bool(workdir):
            raise EINVAL
        lowers = tuple(_directory(task, name) for name in split_layers(lowerdir))
        if len(lowers) > _MAX_LAYERS or (not upperdir and len(lowers) < 2):
            raise EINVAL
        upper = _directory(task, upperdir) if upperdir else None
        if upper is not None:
            _check_upper(upper, _directory(task, workdir), lowers)
        sb = new_overlay(task.machine, lowers, upper, False, _shown(lowerdir, upperdir, workdir))
        sb.s_flags |= flags & SB_RDONLY
        return sb


def _options(data: str) -> tuple[str, str, str]:
    found = {"lowerdir": "", "upperdir": "", "workdir": ""}
    for name, value in parse_options(data):
        if name in found:
            found[name] = value
        elif name not in _IGNORED:
            raise EINVAL
    return found["lowerdir"], found["upperdir"], found["workdir"]


def _shown(lowerdir: str, upperdir: str, workdir: str) -> str:
    text = f",lowerdir={lowerdir}"
    return text + f",upperdir={upperdir},workdir={workdir}" if upperdir else text


def split_layers(text: str) -> list[str]:
    """lowerdir= separated by colons; a backslash takes the next character as it is."""
    names = [""]
    escaped = False
    for char in text:
        if escaped or char not in "\\:":
            names[-1] += char
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            names.append("")
    if "" in names:
        raise EINVAL
    return names


def _directory(task: Task, name: str) -> Path:
    raw = name.encode("utf-8", "surrogateescape")
    return path_lookup(task, AT_FDCWD, raw, LOOKUP_FOLLOW | LOOKUP_DIRECTORY)


def _check_upper(upper: Path, work: Path, lowers: tuple[Path, ...]) -> None:
    """Upper and work directory on one writable file system that isn't an overlay, and none
    inside of another layer. EINVAL, EROFS, EBUSY."""
    if upper.mnt is not work.mnt or isinstance(upper.inode, OvlInode):
        raise EINVAL
    if upper.dentry.d_sb.s_flags & SB_RDONLY:
        raise EROFS
    if _nested(upper.dentry, work.dentry) or any(
        _nested(upper.dentry, lower.dentry) for lower in lowers
    ):
        raise EINVAL
    if work.dentry.d_children and any(c.d_inode for c in work.dentry.d_children.values()):
        raise EBUSY


def _nested(one: Dentry, other: Dentry) -> bool:
    from pygos.fs.dcache import is_subdir

    return is_subdir(one, other) or is_subdir(other, one)


OVERLAY_TYPE: Final = OverlayType()
