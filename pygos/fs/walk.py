# SPDX-License-Identifier: Apache-2.0
"""The path walk: from text to a place, as path_resolution(7) tells it.

``_walk`` is the one loop. A component costs one dict look-up and a few tests when it is a
cached directory that everybody may search; everything else (symbolic links, "..", mounts,
permission checks, names not cached) is done out of line. Links are followed by putting their
text in front of what is left, so there is no recursion and the work is bounded by
MAXSYMLINKS texts of PATH_MAX.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.dcache import d_alloc, d_drop, is_subdir
from pygos.fs.inode import touch_atime
from pygos.fs.permission import may_follow_link, may_lookup
from pygos.include.errno import (
    EAGAIN,
    EBADF,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    EXDEV,
)
from pygos.include.linux.fs import MNT_NOSYMFOLLOW, S_DEAD, S_IFDIR, S_IFLNK, S_IFMT, Path
from pygos.include.uapi.fcntl import (
    AT_FDCWD,
    RESOLVE_BENEATH,
    RESOLVE_CACHED,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
)
from pygos.include.uapi.limits import MAXSYMLINKS, NAME_MAX

if TYPE_CHECKING:
    from pygos.include.linux.fs import Dentry, Inode, Mount
    from pygos.include.linux.sched import Task

#: Flags of path_lookup() and its kin (include/linux/namei.h).
LOOKUP_FOLLOW = 0x0001
LOOKUP_DIRECTORY = 0x0002
LOOKUP_AUTOMOUNT = 0x0004
LOOKUP_EMPTY = 0x0008
LOOKUP_PARENT = 0x0010
LOOKUP_REVAL = 0x0020
LOOKUP_OPEN = 0x0100
LOOKUP_CREATE = 0x0200
LOOKUP_EXCL = 0x0400
LOOKUP_RENAME_TARGET = 0x0800

#: What the last component of a path is (Parent.type).
LAST_NORM, LAST_ROOT, LAST_DOT, LAST_DOTDOT = range(4)

_SCOPED = RESOLVE_BENEATH | RESOLVE_IN_ROOT
_TYPE_AND_X = 0o170111
_OPEN_DIR = 0o040111


class Nameidata:
    """What a walk must remember beyond where it is: the root, links followed, restrictions.

    Plain walks have none; ``openat2(2)`` and the creating opens make one.
    """

    __slots__ = ("links", "resolve", "root")

    def __init__(self, root: Path, resolve: int = 0) -> None:
        #: Where "/" leads and ".." ends.
        self.root = root
        self.resolve = resolve
        self.links = 0


class Parent:
    """The directory of a path's last component, and that component.

    `last` is without slashes; `trailing` tells that there were some after it.
    """

    __slots__ = ("dentry", "last", "mnt", "trailing", "type")

    def __init__(self, mnt: Mount, dentry: Dentry, last: bytes, trailing: bool, type: int) -> None:
        self.mnt = mnt
        self.dentry = dentry
        self.last = last
        self.trailing = trailing
        self.type = type

    @property
    def inode(self) -> Inode:
        inode = self.dentry.d_inode
        assert inode is not None
        return inode


def follow_mounts(mnt: Mount, dentry: Dentry) -> tuple[Mount, Dentry]:
    """Step onto what is mounted at a place (the topmost of it)."""
    ns = mnt.mnt_ns
    if ns is None:
        return mnt, dentry
    table = ns.table
    while dentry.d_mounted:
        top = table.get((mnt.mnt_id, dentry))
        if top is None:
            break
        mnt, dentry = top, top.mnt_root
        if mnt.mnt_expiry_mark:
            mnt.mnt_expiry_mark -= 1
    return mnt, dentry


def follow_dotdot(root: Path, mnt: Mount, dentry: Dentry) -> tuple[Mount, Dentry]:
    """The parent directory; `root` and the top of the tree are their own."""
    while dentry is not root.dentry or mnt is not root.mnt:
        if dentry is not mnt.mnt_root:
            parent = dentry.d_parent
            if mnt.mnt_root is not mnt.mnt_sb.s_root and not is_subdir(parent, mnt.mnt_root):
                raise ENOENT  # moved out of the subtree that is mounted here
            dentry = parent
            break
        if mnt.mnt_parent is mnt:
            break
        mnt, dentry = mnt.mnt_parent, mnt.mnt_mountpoint
    return follow_mounts(mnt, dentry) if dentry.d_mounted else (mnt, dentry)


def lookup_one(task: Task, dir: Dentry, name: bytes) -> Dentry:
    """The dentry of `name` in `dir`, negative if there is no such file. No permission check.

    Errors: ENAMETOOLONG; ENOENT in a removed directory; what the file system raises.
    """
    child = dir.d_children.get(name)
    if child is not None:
        op = child.d_op
        if op is None or op.revalidate(task, child):
            return child
        d_drop(child)
    if len(name) > NAME_MAX:
        raise ENAMETOOLONG
    inode = dir.d_inode
    assert inode is not None
    if inode.i_flags & S_DEAD:
        raise ENOENT
    found = inode.i_op.lookup(task, inode, name)
    child = dir.d_children.get(name)
    if child is None:
        child = d_alloc(dir, name)
        child.d_inode = found
    return child


def _walk(
    task: Task, nd: Nameidata | None, mnt: Mount, d: Dentry, parts: list[bytes], follow: bool,
    absent: bool = False,
) -> tuple[Mount, Dentry]:
    """Walk the components from (mnt, d). An empty one stands for doubled or trailing slashes.

    `follow`: a symbolic link as the last component is followed (one with a slash after it
    always is). `absent`: a last component that isn't there is no error: its dentry has no
    inode. Errors: ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG.
    """
    jumped = False
    while True:
        i = 0
        for part in parts:
            i += 1
            inode = d.d_inode
            if inode.i_mode & _TYPE_AND_X != _OPEN_DIR or inode.i_op.has_permission:  # type: ignore[union-attr]
                kind = inode.i_mode & S_IFMT  # type: ignore[union-attr]
                if kind != S_IFDIR:
                    if kind == S_IFLNK and i > 1:
                        i -= 1
                        break
                    raise ENOTDIR
                if part:
                    may_lookup(task, inode)  # type: ignore[arg-type]
            child = d.d_children.get(part)
            if child is None or child.d_op is not None:
                if not part or part == b".":
                    continue
                if part == b"..":
                    mnt, d = _dotdot(task, nd, mnt, d)
                    continue
                if nd is not None and nd.resolve & RESOLVE_CACHED and child is None:
                    raise EAGAIN
                child = lookup_one(task, d, part)
            if child.d_inode is None:
                if absent and i == len(parts):
                    return mnt, child
                raise ENOENT
            d = child
            if d.d_mounted:
                mnt, d = _cross(nd, mnt, d)
        else:
            if not follow or (jumped and i == 0) or d.d_inode.i_mode & S_IFMT != S_IFLNK:  # type: ignore[union-attr]
                return mnt, d
        jumped = False
        if nd is None:
            nd = Nameidata(task.fs.root)
        link = _get_link(task, nd, mnt, d, i == len(parts))
        if type(link) is bytes:
            if link[0] == 47:
                mnt, d = _absolute(nd, mnt)
            else:
                d = d.d_parent
            parts = link.split(b"/") + parts[i:]
        else:
            assert isinstance(link, Path)
            mnt, d = link.mnt, link.dentry
            parts = parts[i:]
            jumped = True


def _dotdot(task: Task, nd: Nameidata | None, mnt: Mount, dentry: Dentry) -> tuple[Mount, Dentry]:
    if nd is None:
        return follow_dotdot(task.fs.root, mnt, dentry)
    at_root = dentry is nd.root.dentry and mnt is nd.root.mnt
    if at_root and nd.resolve & RESOLVE_BENEATH:
        raise EXDEV
    new_mnt, dentry = follow_dotdot(nd.root, mnt, dentry)
    if nd.resolve & RESOLVE_NO_XDEV and new_mnt is not mnt:
        raise EXDEV
    return new_mnt, dentry


def _cross(nd: Nameidata | None, mnt: Mount, dentry: Dentry) -> tuple[Mount, Dentry]:
    new_mnt, dentry = follow_mounts(mnt, dentry)
    if nd is not None and nd.resolve & RESOLVE_NO_XDEV and new_mnt is not mnt:
        raise EXDEV
    return new_mnt, dentry


def _absolute(nd: Nameidata, mnt: Mount) -> tuple[Mount, Dentry]:
    """Where an absolute link leads."""
    if nd.resolve & RESOLVE_BENEATH:
        raise EXDEV
    root = nd.root
    if nd.resolve & RESOLVE_NO_XDEV and root.mnt is not mnt:
        raise EXDEV
    return root.mnt, root.dentry


def _get_link(
    task: Task, nd: Nameidata, mnt: Mount, dentry: Dentry, trailing: bool
) -> bytes | Path:
    """The text of a link that is being followed, or where a magic one jumps to."""
    nd.links += 1
    if nd.links > MAXSYMLINKS or nd.resolve & RESOLVE_NO_SYMLINKS:
        raise ELOOP
    if mnt.mnt_flags & MNT_NOSYMFOLLOW:
        raise ELOOP
    inode = dentry.d_inode
    assert inode is not None
    if trailing:
        may_follow_link(task, dentry.d_parent.d_inode, inode)  # type: ignore[arg-type]
    touch_atime(mnt, inode)
    link = inode.i_link
    if link is not None:
        return link
    place = inode.i_op.get_link(task, inode)
    if isinstance(place, Path):
        if nd.resolve & RESOLVE_NO_MAGICLINKS:
            raise ELOOP
        if nd.resolve & _SCOPED or (nd.resolve & RESOLVE_NO_XDEV and place.mnt is not mnt):
            raise EXDEV
        return place
    if not place:
        raise ENOENT
    return place


def _start(task: Task, dirfd: int, relative: bytes) -> Path:
    """Where a relative path begins. EBADF; ENOTDIR if something other than a directory is
    to be walked from."""
    if dirfd == AT_FDCWD:
        return task.fs.pwd
    file = task.files.fd.get(dirfd)
    if file is None:
        raise EBADF
    if relative and file.f_path.inode.i_mode & S_IFMT != S_IFDIR:
        raise ENOTDIR
    return file.f_path


def walk_name(
    task: Task, dirfd: int, name: bytes, follow: bool, absent: bool = False
) -> tuple[Mount, Dentry]:
    """path_lookup() of a name that isn't empty, without a Path made of what it finds.

    `absent`: see _walk(); look-ups that are likely to fail need no exception for it.
    """
    if name[0] == 47:
        start = task.fs.root
        parts = name[1:].split(b"/")
    else:
        start = task.fs.pwd if dirfd == AT_FDCWD else _start(task, dirfd, name)
        parts = name.split(b"/")
    return _walk(task, None, start.mnt, start.dentry, parts, follow, absent)


def path_lookup(task: Task, dirfd: int, name: bytes, flags: int = LOOKUP_FOLLOW) -> Path:
    """The place that `name` means, relative to `dirfd` unless it begins with a slash.

    LOOKUP_FOLLOW: follow a link at the end; LOOKUP_DIRECTORY: it must be a directory;
    LOOKUP_EMPTY: an empty name means `dirfd` itself. Errors: ENOENT, ENOTDIR, EACCES, ELOOP,
    ENAMETOOLONG, EBADF.
    """
    if not name:
        if not flags & LOOKUP_EMPTY:
            raise ENOENT
        return _start(task, dirfd, name)
    mnt, dentry = walk_name(task, dirfd, name, flags & LOOKUP_FOLLOW != 0)
    if flags & LOOKUP_DIRECTORY and dentry.d_inode.i_mode & S_IFMT != S_IFDIR:  # type: ignore[union-attr]
        raise ENOTDIR
    return Path(mnt, dentry)


def nd_start(task: Task, dirfd: int, name: bytes, resolve: int) -> tuple[Nameidata, Path]:
    """A walk with memory, and where it starts. Errors: EBADF, ENOTDIR, EXDEV."""
    absolute = name[:1] == b"/"
    if resolve & _SCOPED:
        if absolute and resolve & RESOLVE_BENEATH:
            raise EXDEV
        start = _start(task, dirfd, name)
        return Nameidata(start, resolve), start
    start = task.fs.root if absolute else _start(task, dirfd, name)
    return Nameidata(task.fs.root, resolve), start


def walk_resolved(task: Task, dirfd: int, name: bytes, flags: int, resolve: int) -> Path:
    """path_lookup() under the restrictions of openat2(2) (RESOLVE_*)."""
    if not name:
        raise ENOENT
    nd, start = nd_start(task, dirfd, name, resolve)
    parts = name.split(b"/")
    follow = flags & LOOKUP_FOLLOW != 0
    mnt, dentry = _walk(task, nd, start.mnt, start.dentry, parts, follow)
    if flags & LOOKUP_DIRECTORY and dentry.d_inode.i_mode & S_IFMT != S_IFDIR:  # type: ignore[union-attr]
        raise ENOTDIR
    return Path(mnt, dentry)


def walk_parent(task: Task, nd: Nameidata, start: Path, name: bytes) -> Parent:
    """Walk all but the last component of a non-empty `name`; the directory may be searched."""
    stripped = name.rstrip(b"/")
    if not stripped:
        return Parent(start.mnt, start.dentry, b"/", True, LAST_ROOT)
    head, slash, last = stripped.rpartition(b"/")
    mnt, dentry = start.mnt, start.dentry
    if slash:
        mnt, dentry = _walk(task, nd, mnt, dentry, head.split(b"/"), True)
    inode = dentry.d_inode
    assert inode is not None
    if inode.i_mode & _TYPE_AND_X != _OPEN_DIR or inode.i_op.has_permission:
        if inode.i_mode & S_IFMT != S_IFDIR:
            raise ENOTDIR
        may_lookup(task, inode)
    kind = LAST_NORM
    if last[0] == 46 and len(last) < 3:
        kind = LAST_DOT if last == b"." else LAST_DOTDOT if last == b".." else LAST_NORM
    return Parent(mnt, dentry, last, len(stripped) != len(name), kind)


def path_parentat(task: Task, dirfd: int, name: bytes) -> Parent:
    """The directory and last component of `name`, for calls that change the directory.

    Errors: as path_lookup().
    """
    if not name:
        raise ENOENT
    head, slash, last = name.rpartition(b"/")
    if not last or last == b"." or last == b"..":
        nd, start = nd_start(task, dirfd, name, 0)
        return walk_parent(task, nd, start, name)
    if slash:
        mnt, dentry = walk_name(task, dirfd, head or b"/", True)
    else:
        place = task.fs.pwd if dirfd == AT_FDCWD else _start(task, dirfd, name)
        mnt, dentry = place.mnt, place.dentry
    inode = dentry.d_inode
    assert inode is not None
    if inode.i_mode & _TYPE_AND_X != _OPEN_DIR or inode.i_op.has_permission:
        if inode.i_mode & S_IFMT != S_IFDIR:
            raise ENOTDIR
        may_lookup(task, inode)
    return Parent(mnt, dentry, last, False, LAST_NORM)


def follow_last(task: Task, nd: Nameidata, parent: Parent, link: Dentry) -> Parent | Path:
    """A creating open met a symbolic link as the last component: where it leads."""
    target = _get_link(task, nd, parent.mnt, link, True)
    if isinstance(target, Path):
        return target
    mnt, dentry = parent.mnt, parent.dentry
    if target[0] == 47:
        mnt, dentry = _absolute(nd, mnt)
    return walk_parent(task, nd, Path(mnt, dentry), target)


def last_dots(task: Task, nd: Nameidata, parent: Parent) -> Path:
    """The place of a path whose last component is "/", "." or ".."."""
    mnt, dentry = parent.mnt, parent.dentry
    if parent.type == LAST_DOTDOT:
        mnt, dentry = _dotdot(task, nd, mnt, dentry)
    return Path(mnt, dentry)
