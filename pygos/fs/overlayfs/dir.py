# SPDX-License-Identifier: Apache-2.0
"""overlayfs' directories: making, removing, linking and renaming names.

Permissions were checked by the VFS on the overlay's inodes; the upper file system's operations
are called directly, and its dentries are kept in step here as the VFS does for its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.dcache import d_delete, d_exchange, d_instantiate, d_move, dentry_path
from pygos.fs.overlayfs.copy_up import remove_upper, upper_dir, upper_name
from pygos.fs.overlayfs.inode import (
    VALID_FOR,
    XATTR_OPAQUE,
    XATTR_REDIRECT,
    OvlAttributes,
    OvlInode,
    check_lower,
    child_of,
    copy_attributes,
    find_lowers,
    is_whiteout,
    lookup,
    new_dir_inode,
    sync_dir,
)
from pygos.fs.overlayfs.readdir import upper_entries, visible_entries
from pygos.include.errno import EINVAL, EISDIR, ENOTDIR, ENOTEMPTY, EPERM
from pygos.include.linux.fs import S_IFCHR, S_IFDIR, S_IFMT, Dentry, Iattr, Inode, Kstat, Path
from pygos.include.uapi.fs import RENAME_EXCHANGE, RENAME_NOREPLACE

if TYPE_CHECKING:
    from pygos.fs.overlayfs.super import OvlSuper
    from pygos.include.linux.fs import SuperBlock
    from pygos.include.linux.sched import Task


def is_lower_name(task: Task, dir: OvlInode, name: bytes) -> bool:
    """Would the name show something from below if there were nothing above?"""
    return bool(dir.o_lowers) and bool(find_lowers(task, dir.o_lowers, name, False))


def make_whiteout(task: Task, sb: SuperBlock, parent: Dentry, name: bytes) -> None:
    """Hide what is below a name. All whiteouts are names of one inode. ENOSPC."""
    info: OvlSuper = sb.s_fs_info
    dir = parent.d_inode
    assert dir is not None
    dentry = upper_name(task, parent, name)
    old = info.whiteout
    try:
        if old is not None and old.d_inode is not None and old.d_inode.i_nlink > 0:
            d_instantiate(dentry, dir.i_op.link(task, old, dir, dentry))
            return
        inode = dir.i_op.mknod(task, dir, dentry, S_IFCHR, 0)
    except BaseException:
        d_delete(dentry)
        raise
    d_instantiate(dentry, inode)
    info.keep_whiteout(inode)


def take_name(task: Task, dir: OvlInode, name: bytes) -> tuple[Dentry, Inode, Dentry, bool]:
    """Prepare to make `name`: (upper directory, its inode, negative dentry, was a whiteout)."""
    parent = upper_dir(task, dir)
    updir = parent.d_inode
    assert updir is not None
    old = child_of(task, parent, name)
    if old is not None:
        assert old.d_inode is not None
        if not is_whiteout(old.d_inode):
            raise EINVAL
        remove_upper(task, updir, old)
    return parent, updir, upper_name(task, parent, name), old is not None


def _opaque(task: Task, inode: Inode) -> None:
    inode.i_op.setxattr(task, inode, XATTR_OPAQUE, b"y", 0)


class OvlDirOperations(OvlAttributes):
    """Directories."""

    __slots__ = ()

    def upper_of(self, task: Task, inode: Inode, dentry: Dentry | None, size: int) -> Inode:
        assert isinstance(inode, OvlInode)
        upper = upper_dir(task, inode).d_inode
        assert upper is not None
        return upper

    def getattr(self, task: Task, path: Path, inode: Inode) -> Kstat | None:
        assert isinstance(inode, OvlInode)
        if (
            inode.o_upper is None
            and task.machine.clock.monotonic() - inode.o_checked >= VALID_FOR
        ):
            check_lower(task, inode, path.dentry)
        return None

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        upper = self.upper_of(task, inode, dentry, -1)
        upper.i_op.setattr(task, dentry, upper, attr)
        assert isinstance(inode, OvlInode)
        copy_attributes(inode, upper)

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        assert isinstance(dir, OvlInode)
        return lookup(task, dir, name)

    # -- making

    def _make(
        self, task: Task, dir: Inode, dentry: Dentry, mode: int, rdev: int, target: bytes | None
    ) -> Inode:
        """Make a file of any type above; the inode for the overlay's dentry."""
        assert isinstance(dir, OvlInode)
        name = dentry.d_name
        parent, updir, upper, hidden = take_name(task, dir, name)
        kind = mode & S_IFMT
        op = updir.i_op
        try:
            if kind == S_IFDIR:
                inode = op.mkdir(task, updir, upper, mode)
            elif target is not None:
                inode = op.symlink(task, updir, upper, target)
            elif rdev or kind != 0o100000:
                inode = op.mknod(task, updir, upper, mode, rdev)
            else:
                inode = op.create(task, updir, upper, mode)
        except BaseException:
            d_delete(upper)
            if hidden:
                make_whiteout(task, dir.i_sb, parent, name)
            raise
        d_instantiate(upper, inode)
        if kind == S_IFDIR:
            if hidden:
                _opaque(task, inode)
            sync_dir(dir)
            if dir.o_lowers == ():
                dir.i_nlink = updir.i_nlink
            return new_dir_inode(dir.i_sb, dir, name, upper, ())
        sync_dir(dir)
        inode.i_count += 1
        return inode

    def create(self, task: Task, dir: Inode, dentry: Dentry, mode: int) -> Inode:
        return self._make(task, dir, dentry, mode, 0, None)

    def mkdir(self, task: Task, dir: Inode, dentry: Dentry, mode: int) -> Inode:
        return self._make(task, dir, dentry, mode & ~S_IFMT | S_IFDIR, 0, None)

    def mknod(self, task: Task, dir: Inode, dentry: Dentry, mode: int, rdev: int) -> Inode:
        if rdev == 0 and mode & S_IFMT == S_IFCHR:
            raise EPERM  # it would be a whiteout
        return self._make(task, dir, dentry, mode, rdev, None)

    def symlink(self, task: Task, dir: Inode, dentry: Dentry, target: bytes) -> Inode:
        return self._make(task, dir, dentry, 0o120777, 0, target)

    def tmpfile(self, task: Task, dir: Inode, mode: int) -> Inode:
        upper = self.upper_of(task, dir, None, -1)
        return upper.i_op.tmpfile(task, upper, mode)

    def link(self, task: Task, old: Dentry, dir: Inode, dentry: Dentry) -> Inode:
        assert isinstance(dir, OvlInode)
        inode = source_inode(task, old)
        parent, updir, upper, hidden = take_name(task, dir, dentry.d_name)
        try:
            inode = updir.i_op.link(task, old, updir, upper)
        except BaseException:
            d_delete(upper)
            if hidden:
                make_whiteout(task, dir.i_sb, parent, dentry.d_name)
            raise
        d_instantiate(upper, inode)
        sync_dir(dir)
        inode.i_count += 1
        return inode

    # -- removing

    def unlink(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        assert isinstance(dir, OvlInode)
        remove_name(task, dir, dentry.d_name)
        gone(dentry.d_inode)
        sync_dir(dir)

    def rmdir(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        assert isinstance(dir, OvlInode)
        inode = dentry.d_inode
        assert isinstance(inode, OvlInode)
        check_empty(task, inode)
        remove_name(task, dir, dentry.d_name)
        gone(inode)
        inode.i_nlink = 0
        inode.i_stat = None
        sync_dir(dir)

    # -- renaming

    def rename(
        self, task: Task, old_dir: Inode, old: Dentry, new_dir: Inode, new: Dentry, flags: int
    ) -> None:
        assert isinstance(old_dir, OvlInode)
        assert isinstance(new_dir, OvlInode)
        if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE):
            raise EINVAL
        if flags & RENAME_EXCHANGE:
            _exchange(task, old_dir, old, new_dir, new)
        else:
            _rename(task, old_dir, old, new_dir, new)
        sync_dir(old_dir)
        sync_dir(new_dir)


def source_inode(task: Task, dentry: Dentry) -> Inode:
    """The upper inode of what is to be linked or moved, copied up if need be."""
    inode = dentry.d_inode
    assert inode is not None
    if isinstance(inode, OvlInode):
        assert isinstance(inode.i_op, OvlAttributes)
        return inode.i_op.upper_of(task, inode, dentry, -1)
    return inode


def gone(inode: Inode | None) -> None:
    """The overlay's inode lost its name; a file above was told by its own file system."""
    if isinstance(inode, OvlInode):
        inode.o_gone = True
        inode.i_stat = None
        if inode.i_mode & S_IFMT != S_IFDIR:
            inode.i_nlink -= 1


def check_empty(task: Task, inode: OvlInode) -> None:
    """ENOTEMPTY if the merged directory shows any name."""
    if visible_entries(task, inode, 1):
        raise ENOTEMPTY


def clear_upper(task: Task, dentry: Dentry) -> None:
    """Remove the whiteouts of an otherwise empty upper directory."""
    dir = dentry.d_inode
    assert dir is not None
    for name in upper_entries(task, dentry):
        child = child_of(task, dentry, name)
        if child is not None:
            remove_upper(task, dir, child)


def remove_name(task: Task, dir: OvlInode, name: bytes) -> None:
    """Remove a file or an empty directory: what is above goes, what is below is hidden."""
    hide = is_lower_name(task, dir, name)
    parent = upper_dir(task, dir) if hide else dir.o_upper
    if parent is None:
        return
    updir = parent.d_inode
    assert updir is not None
    child = child_of(task, parent, name)
    if child is not None:
        remove_upper_any(task, updir, child)
    if hide:
        make_whiteout(task, dir.i_sb, parent, name)


def remove_upper_any(task: Task, dir: Inode, dentry: Dentry) -> None:
    """Take any name out of an upper directory; a directory must show nothing but whiteouts."""
    inode = dentry.d_inode
    assert inode is not None
    if inode.i_mode & S_IFMT == S_IFDIR:
        clear_upper(task, dentry)
        dir.i_op.rmdir(task, dir, dentry)
        d_delete(dentry)
    else:
        remove_upper(task, dir, dentry)


def _check_target(task: Task, source: Inode, target: Inode) -> None:
    """May `target` be replaced by `source`? ENOTDIR, EISDIR, ENOTEMPTY."""
    is_dir = source.i_mode & S_IFMT == S_IFDIR
    if target.i_mode & S_IFMT == S_IFDIR:
        if not is_dir:
            raise EISDIR
        assert isinstance(target, OvlInode)
        check_empty(task, target)
    elif is_dir:
        raise ENOTDIR


def _mark_moved(task: Task, inode: Inode, hides: bool) -> None:
    """A directory gets another name: note where its lower half is, or that it has none.

    `hides`: something below has the new name.
    """
    if not isinstance(inode, OvlInode) or inode.o_upper is None:
        return
    upper = inode.o_upper.d_inode
    assert upper is not None
    if inode.o_lowers:
        path = dentry_path(inode.o_lowers[0])
        info: OvlSuper = inode.i_sb.s_fs_info
        prefix = dentry_path(info.lower_root_of(inode.o_lowers[0]))
        if prefix != b"/":
            path = path[len(prefix) :]
        upper.i_op.setxattr(task, upper, XATTR_REDIRECT, path, 0)
    elif hides:
        _opaque(task, upper)


def _rename(task: Task, old_dir: OvlInode, old: Dentry, new_dir: OvlInode, new: Dentry) -> None:
    source, target = old.d_inode, new.d_inode
    assert source is not None
    if target is not None:
        _check_target(task, source, target)
    source_inode(task, old)
    source = old.d_inode
    assert source is not None
    from_dir, to_dir = upper_dir(task, old_dir), upper_dir(task, new_dir)
    from_inode, to_inode = from_dir.d_inode, to_dir.d_inode
    assert from_inode is not None
    assert to_inode is not None
    upper_old = child_of(task, from_dir, old.d_name)
    assert upper_old is not None
    hide_old = is_lower_name(task, old_dir, old.d_name)
    _mark_moved(task, source, is_lower_name(task, new_dir, new.d_name))
    present = child_of(task, to_dir, new.d_name)
    if present is not None:
        remove_upper_any(task, to_inode, present)
    upper_new = upper_name(task, to_dir, new.d_name)
    from_inode.i_op.rename(task, from_inode, upper_old, to_inode, upper_new, 0)
    d_move(upper_old, upper_new)
    if hide_old:
        make_whiteout(task, old_dir.i_sb, from_dir, old.d_name)
    gone(target)
    _moved(source, new_dir, new.d_name)


def _moved(inode: Inode, dir: OvlInode, name: bytes) -> None:
    if isinstance(inode, OvlInode):
        inode.o_parent = dir
        inode.o_name = name
        inode.i_ctime = inode.real().i_ctime
        inode.i_stat = None


def _exchange(task: Task, old_dir: OvlInode, old: Dentry, new_dir: OvlInode, new: Dentry) -> None:
    source_inode(task, old)
    source_inode(task, new)
    source, target = old.d_inode, new.d_inode
    assert source is not None
    assert target is not None
    one_dir, other_dir = upper_dir(task, old_dir), upper_dir(task, new_dir)
    one, other = child_of(task, one_dir, old.d_name), child_of(task, other_dir, new.d_name)
    assert one is not None
    assert other is not None
    _mark_moved(task, source, is_lower_name(task, new_dir, new.d_name))
    _mark_moved(task, target, is_lower_name(task, old_dir, old.d_name))
    one_inode, other_inode = one_dir.d_inode, other_dir.d_inode
    assert one_inode is not None
    assert other_inode is not None
    one_inode.i_op.rename(task, one_inode, one, other_inode, other, RENAME_EXCHANGE)
    d_exchange(one, other)
    _moved(source, new_dir, new.d_name)
    _moved(target, old_dir, old.d_name)
