# SPDX-License-Identifier: Apache-2.0
"""overlayfs' inodes: what is above and below a name, look-up, attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.dcache import d_drop
from pygos.fs.inode import iput
from pygos.fs.libfs import SimpleDir
from pygos.fs.stat import generic_fillattr
from pygos.fs.walk import lookup_one
from pygos.include.errno import EIO, ENOENT, EOPNOTSUPP, EPERM, Errno
from pygos.include.linux.fs import (
    ATTR_SIZE,
    S_APPEND,
    S_IFCHR,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IMMUTABLE,
    S_NOATIME,
    Dentry,
    DentryOperations,
    Iattr,
    Inode,
    InodeOperations,
    Kstat,
    Path,
    SuperBlock,
)

if TYPE_CHECKING:
    from pygos.fs.overlayfs.super import OvlSuper
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task

XATTR_OVERLAY: Final = b"trusted.overlay."
XATTR_OPAQUE: Final = b"trusted.overlay.opaque"
XATTR_REDIRECT: Final = b"trusted.overlay.redirect"
#: How long what is below is believed without asking, ns.
VALID_FOR: Final = 1_000_000_000
#: Inode numbers of further lower layers have the layer's place above this bit.
LAYER_BITS: Final = 56


class OvlInode(Inode):
    """A directory, or a file that is only below (until it is copied up)."""

    __slots__ = (
        "o_checked", "o_files", "o_gone", "o_lowers", "o_name", "o_parent", "o_refs", "o_upper",
    )  # fmt: skip

    def __init__(self, sb: SuperBlock, ino: int, mode: int) -> None:
        super().__init__(sb, ino, mode)
        self.o_upper: Dentry | None = None
        #: Topmost first; one for a file.
        self.o_lowers: tuple[Dentry, ...] = ()
        #: Where it is in the overlay; the root is its own parent.
        self.o_parent: OvlInode = self
        self.o_name = b""
        #: When the lower file system was last asked for news, monotonic ns.
        self.o_checked = sb.machine.clock.monotonic()
        #: Files open for reading: they follow a copy up.
        self.o_files: dict[File, None] = {}
        #: It has no name any more.
        self.o_gone = False
        #: The inodes below and above that this one holds a reference of.
        self.o_refs: list[Inode] = []

    def real(self) -> Inode:
        """The topmost inode behind this one."""
        dentry = self.o_upper if self.o_upper is not None else self.o_lowers[0]
        inode = dentry.d_inode
        assert inode is not None
        return inode

    def hold(self, inode: Inode) -> None:
        """Keep a reference of a real inode until this one is evicted."""
        inode.i_count += 1
        self.o_refs.append(inode)


def release_refs(inode: OvlInode) -> None:
    """The inode is evicted: let go of the real ones."""
    refs, inode.o_refs = inode.o_refs, []
    for real in refs:
        iput(real)


def is_whiteout(inode: Inode) -> bool:
    """Does it stand for a removed name?"""
    return inode.i_rdev == 0 and inode.i_mode & S_IFMT == S_IFCHR


def copy_attributes(inode: OvlInode, real: Inode) -> None:
    """Mirror the real inode's attributes (ovl_copyattr)."""
    inode.i_mode = real.i_mode
    inode.i_uid = real.i_uid
    inode.i_gid = real.i_gid
    inode.i_size = real.i_size
    inode.i_blocks = real.i_blocks
    inode.i_atime = real.i_atime
    inode.i_mtime = real.i_mtime
    inode.i_ctime = real.i_ctime
    inode.i_btime = real.i_btime
    inode.i_stat = None
    keep = S_APPEND | S_IMMUTABLE
    inode.i_flags = inode.i_flags & ~keep | real.i_flags & keep


def sync_dir(dir: OvlInode) -> None:
    """The upper directory was changed: show its times and size."""
    real = dir.real()
    dir.i_mtime = real.i_mtime
    dir.i_ctime = real.i_ctime
    dir.i_size = real.i_size
    dir.i_stat = None
    dir.i_version += 1
    if not dir.o_lowers:
        dir.i_nlink = real.i_nlink


def _positive(dentry: Dentry) -> Inode:
    inode = dentry.d_inode
    assert inode is not None
    return inode


def new_dir_inode(
    sb: SuperBlock, parent: OvlInode | None, name: bytes, upper: Dentry | None,
    lowers: tuple[Dentry, ...],
) -> OvlInode:  # fmt: skip
    """The inode of a directory, with one reference."""
    inode = OvlInode(sb, 0, S_IFDIR)
    inode.o_upper = upper
    inode.o_lowers = lowers
    if parent is not None:
        inode.o_parent = parent
    inode.o_name = name
    for dentry in lowers if upper is None else (upper, *lowers):
        inode.hold(_positive(dentry))
    real = inode.real()
    copy_attributes(inode, real)
    inode.i_nlink = 1 if upper is not None and lowers else real.i_nlink
    inode.i_ino = lower_ino(sb, lowers[0]) if lowers else real.i_ino
    info: OvlSuper = sb.s_fs_info
    inode.i_op = info.dir_iops
    inode.i_fop = info.dir_fops
    if upper is None:
        inode.i_flags |= S_NOATIME
    return inode


def new_lower_inode(sb: SuperBlock, parent: OvlInode, name: bytes, lower: Dentry) -> OvlInode:
    """The inode of a file that is only below, with one reference."""
    real = _positive(lower)
    inode = OvlInode(sb, lower_ino(sb, lower), real.i_mode)
    inode.o_lowers = (lower,)
    inode.o_parent = parent
    inode.o_name = name
    inode.hold(real)
    copy_attributes(inode, real)
    inode.i_nlink = real.i_nlink
    inode.i_rdev = real.i_rdev
    inode.i_flags |= S_NOATIME
    info: OvlSuper = sb.s_fs_info
    kind = real.i_mode & S_IFMT
    if kind == S_IFREG:
        inode.i_mapping = real.i_mapping
        inode.i_op = FILE_IOPS
        inode.i_fop = info.file_fops
    elif kind == S_IFLNK:
        inode.i_link = real.i_link
        inode.i_op = LINK_IOPS
    else:
        inode.i_op = SPECIAL_IOPS
    return inode


def lower_ino(sb: SuperBlock, lower: Dentry) -> int:
    """The number by which a lower file is known."""
    info: OvlSuper = sb.s_fs_info
    layer = info.layers.get(lower.d_sb, 0)
    return _positive(lower).i_ino | layer << LAYER_BITS


# -- look-up


def child_of(task: Task, dir: Dentry, name: bytes) -> Dentry | None:
    """The positive dentry of a name in a real directory, or None."""
    inode = dir.d_inode
    if inode is None:
        return None
    if type(inode.i_private) is SimpleDir:
        child = dir.d_children.get(name)
        return child if child is not None and child.d_inode is not None else None
    try:
        child = lookup_one(task, dir, name)
    except ENOENT:
        return None
    return child if child.d_inode is not None else None


def get_overlay_xattr(inode: Inode, name: bytes) -> bytes:
    """A mark on a real directory, kept in memory by all file systems that can have one."""
    xattrs = inode.i_xattrs
    return xattrs.get(name, b"") if xattrs else b""


def find_lowers(
    task: Task, dirs: tuple[Dentry, ...], name: bytes, only_dirs: bool
) -> tuple[Dentry, ...]:
    """What is at `name` in the lower directories: a file, or the directories to be merged."""
    found: tuple[Dentry, ...] = ()
    for dir in dirs:
        child = child_of(task, dir, name)
        if child is None:
            continue
        inode = _positive(child)
        if inode.i_mode & S_IFMT != S_IFDIR:
            if not found and not only_dirs and not is_whiteout(inode):
                return (child,)
            break
        found += (child,)
        if get_overlay_xattr(inode, XATTR_OPAQUE) == b"y":
            break
    return found


def redirected_lowers(task: Task, sb: SuperBlock, path: bytes) -> tuple[Dentry, ...]:
    """The lower directories at a path from the layers' roots."""
    info: OvlSuper = sb.s_fs_info
    dirs = info.lower_roots
    for name in path.split(b"/"):
        if name and dirs:
            dirs = find_lowers(task, dirs, name, True)
    return dirs


def lookup(task: Task, dir: OvlInode, name: bytes) -> Inode | None:
    """What the overlay has at `name`, with one reference."""
    upper = None
    lower_dirs = dir.o_lowers
    sb = dir.i_sb
    if dir.o_upper is not None:
        upper = child_of(task, dir.o_upper, name)
        if upper is not None:
            inode = _positive(upper)
            if inode.i_mode & S_IFMT != S_IFDIR:
                if is_whiteout(inode):
                    return None
                inode.i_count += 1
                return inode
            lowers = _lowers_of_upper(task, dir, inode, name)
            return new_dir_inode(sb, dir, name, upper, lowers)
    lowers = find_lowers(task, lower_dirs, name, False)
    if not lowers:
        return None
    if _positive(lowers[0]).i_mode & S_IFMT == S_IFDIR:
        return new_dir_inode(sb, dir, name, None, lowers)
    return new_lower_inode(sb, dir, name, lowers[0])


def _lowers_of_upper(
    task: Task, dir: OvlInode, upper: Inode, name: bytes
) -> tuple[Dentry, ...]:
    """What an upper directory is merged with."""
    if get_overlay_xattr(upper, XATTR_OPAQUE) == b"y":
        return ()
    redirect = get_overlay_xattr(upper, XATTR_REDIRECT)
    if redirect:
        return redirected_lowers(task, dir.i_sb, redirect)
    return find_lowers(task, dir.o_lowers, name, True)


# -- operations


def _strip(names: list[bytes]) -> list[bytes]:
    return [name for name in names if not name.startswith(XATTR_OVERLAY)]


class OvlAttributes(InodeOperations):
    """Attributes of a file that is only below: the first change copies it up."""

    __slots__ = ()

    def upper_of(self, task: Task, inode: Inode, dentry: Dentry | None, size: int) -> Inode:
        """The upper inode, copied up if need be; of a file, `size` bytes of it (-1: all)."""
        from pygos.fs.overlayfs.copy_up import copy_up_file

        assert isinstance(inode, OvlInode)
        if inode.o_upper is None:
            copy_up_file(task, inode, dentry, size)
        return inode.real()

    def getattr(self, task: Task, path: Path, inode: Inode) -> Kstat | None:
        assert isinstance(inode, OvlInode)
        if inode.o_upper is not None:
            return generic_fillattr(inode.real())
        if task.machine.clock.monotonic() - inode.o_checked >= VALID_FOR:
            check_lower(task, inode, path.dentry)
        return None

    def keep_stat(self, inode: Inode, data: bytes) -> None:
        """What is only below changes when the lower file system says so, and only then."""
        assert isinstance(inode, OvlInode)
        if inode.o_upper is None:
            inode.i_stat = inode.o_checked + VALID_FOR, data

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        size = attr.size if attr.valid & ATTR_SIZE else -1
        upper = self.upper_of(task, inode, dentry, size)
        upper.i_op.setattr(task, dentry, upper, attr)
        assert isinstance(inode, OvlInode)
        copy_attributes(inode, upper)

    def fileattr_get(self, task: Task, inode: Inode) -> int:
        assert isinstance(inode, OvlInode)
        if inode.o_upper is None:
            return 0  # the host's flags aren't looked at
        real = inode.real()
        return real.i_op.fileattr_get(task, real)

    def fileattr_set(self, task: Task, inode: Inode, flags: int) -> None:
        upper = self.upper_of(task, inode, None, -1)
        upper.i_op.fileattr_set(task, upper, flags)
        assert isinstance(inode, OvlInode)
        copy_attributes(inode, upper)

    def getxattr(self, task: Task, inode: Inode, name: bytes) -> bytes:
        assert isinstance(inode, OvlInode)
        if name.startswith(XATTR_OVERLAY):
            raise EOPNOTSUPP
        real = inode.real()
        return real.i_op.getxattr(task, real, name)

    def listxattr(self, task: Task, inode: Inode) -> list[bytes]:
        assert isinstance(inode, OvlInode)
        real = inode.real()
        return _strip(real.i_op.listxattr(task, real))

    def setxattr(self, task: Task, inode: Inode, name: bytes, value: bytes, flags: int) -> None:
        if name.startswith(XATTR_OVERLAY):
            raise EPERM
        upper = self.upper_of(task, inode, None, -1)
        upper.i_op.setxattr(task, upper, name, value, flags)
        inode.i_ctime = upper.i_ctime
        inode.i_stat = None

    def removexattr(self, task: Task, inode: Inode, name: bytes) -> None:
        if name.startswith(XATTR_OVERLAY):
            raise EPERM
        self.getxattr(task, inode, name)  # ENODATA before anything is copied
        upper = self.upper_of(task, inode, None, -1)
        upper.i_op.removexattr(task, upper, name)
        inode.i_ctime = upper.i_ctime
        inode.i_stat = None


class OvlFileOperations(OvlAttributes):
    """Regular files."""

    __slots__ = ()


class OvlLinkOperations(OvlAttributes):
    """Symbolic links."""

    __slots__ = ()

    def readlink(self, task: Task, inode: Inode) -> bytes:
        assert isinstance(inode, OvlInode)
        real = inode.real()
        text = real.i_op.readlink(task, real)
        inode.i_link = text
        return text


class OvlSpecialOperations(OvlAttributes):
    """FIFOs, devices and sockets below: what the lower file system lets one do with them."""

    __slots__ = ()

    def permission(self, task: Task, inode: Inode, mask: int) -> bool | None:
        assert isinstance(inode, OvlInode)
        real = inode.real()
        return real.i_op.permission(task, real, mask)


FILE_IOPS: Final = OvlFileOperations()
LINK_IOPS: Final = OvlLinkOperations()
SPECIAL_IOPS: Final = OvlSpecialOperations()


# -- news from below


def check_lower(task: Task, inode: OvlInode, dentry: Dentry) -> None:
    """Ask the lower file system whether what is only below is still the same.

    Its attributes may have changed (the host's user edits files too). ENOENT if it is gone.
    """
    inode.o_checked = task.machine.clock.monotonic()
    lower = inode.o_lowers[0]
    op = lower.d_op
    if op is None or inode.o_gone:
        return
    if not op.revalidate(task, lower):
        try:
            refresh_lower(task, inode)
        except ENOENT:
            if dentry.d_inode is inode and not dentry.d_mounted:
                d_drop(dentry)
            raise
        for child in list(dentry.d_children.values()):
            if not child.d_mounted:
                d_drop(child)
        return
    real = inode.real()
    if real.i_ctime != inode.i_ctime:
        copy_attributes(inode, real)
        inode.i_nlink = real.i_nlink
        inode.i_link = None


def refresh_lower(task: Task, inode: OvlInode) -> None:
    """The lower file system says that another file has the name now: take that one.

    ENOENT if there is none or it is of another type.
    """
    old = inode.o_lowers[0]
    try:
        fresh = lookup_one(task, old.d_parent, old.d_name)
    except Errno:
        raise ENOENT from None
    real = fresh.d_inode
    if real is None or (real.i_mode ^ inode.i_mode) & S_IFMT:
        raise ENOENT
    if fresh is old:
        raise EIO
    inode.o_lowers = (fresh, *inode.o_lowers[1:])
    inode.hold(real)
    inode.i_mapping = real.i_mapping
    inode.i_ino = lower_ino(inode.i_sb, fresh)
    inode.i_nlink = real.i_nlink
    inode.i_link = None
    copy_attributes(inode, real)  # clears i_stat too


class OvlDentryOperations(DentryOperations):
    """Names that aren't there are believed for a second, as something may have been made
    below. Names that are there cost nothing: they have no operations after their first use."""

    __slots__ = ()

    def revalidate(self, task: Task, dentry: Dentry) -> bool:
        if dentry.d_inode is not None:
            dentry.d_op = None
            return True
        dir = dentry.d_parent.d_inode
        assert isinstance(dir, OvlInode)
        if not dir.o_lowers:
            return True
        now = task.machine.clock.monotonic()
        if dentry.d_time and now - dentry.d_time < VALID_FOR:
            return True
        found = lookup(task, dir, dentry.d_name)
        if found is not None:
            iput(found)
            return False
        dentry.d_time = now
        return True


DENTRY_OPS: Final = OvlDentryOperations()


def find_dentry(inode: OvlInode) -> Dentry | None:
    """The cached dentry of an inode in the overlay's own tree, if there is one."""
    names: list[bytes] = []
    root: Any = inode
    while root.o_parent is not root:
        names.append(root.o_name)
        root = root.o_parent
    dentry: Dentry | None = inode.i_sb.s_root
    for name in reversed(names):
        if dentry is None:
            return None
        dentry = dentry.d_children.get(name)
    return dentry
