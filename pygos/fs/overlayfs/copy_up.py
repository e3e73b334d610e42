# SPDX-License-Identifier: Apache-2.0
"""Copying up: the upper tree gets its own copy of something before it is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.dcache import d_alloc, d_delete, d_instantiate
from pygos.fs.inode import iput
from pygos.fs.libfs import SimpleDir
from pygos.fs.overlayfs.inode import XATTR_OVERLAY, OvlInode, child_of, find_dentry
from pygos.include.errno import EIO, EOPNOTSUPP, EROFS
from pygos.include.linux.fs import (
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_NOATIME,
    Dentry,
    File,
    Inode,
    Path,
)
from pygos.include.uapi.fcntl import O_RDWR
from pygos.mm.filemap import filemap_write, read_into
from pygos.mm.instub import drop_windows
from pygos.mm.uaccess import KernelBuffer

if TYPE_CHECKING:
    from pygos.fs.overlayfs.super import OvlSuper
    from pygos.include.linux.sched import Task

#: How much is copied at once, bytes.
_CHUNK: Final = 1 << 19


def upper_dir(task: Task, dir: OvlInode) -> Dentry:
    """The upper half of a directory, made if need be with all above it. EROFS, ENOSPC."""
    if dir.o_upper is not None:
        return dir.o_upper
    chain = []
    while dir.o_upper is None:
        if dir.o_parent is dir:
            raise EROFS
        chain.append(dir)
        dir = dir.o_parent
    upper = dir.o_upper
    for inode in reversed(chain):
        upper = _copy_up_dir(task, inode, upper)
    return upper


def _copy_up_dir(task: Task, inode: OvlInode, parent: Dentry) -> Dentry:
    """Make the upper half of one directory in `parent`."""
    dir = parent.d_inode
    assert dir is not None
    times = dir.i_mtime, dir.i_ctime
    present = child_of(task, parent, inode.o_name)
    if present is not None and present.d_inode is not None and present.d_inode.is_dir:
        inode.i_stat = None
        inode.o_upper = present  # copied up through another inode of it
        inode.hold(present.d_inode)
        return present
    dentry = upper_name(task, parent, inode.o_name)
    try:
        upper = dir.i_op.mkdir(task, dir, dentry, inode.i_mode)
    except BaseException:
        d_delete(dentry)
        raise
    d_instantiate(dentry, upper)
    dir.i_mtime, dir.i_ctime = times
    take_identity(task, inode, upper)
    inode.i_stat = None
    inode.o_upper = dentry
    inode.hold(upper)
    inode.i_nlink = 1
    inode.i_flags &= ~S_NOATIME
    return dentry


def upper_name(task: Task, parent: Dentry, name: bytes) -> Dentry:
    """A negative dentry for a name in an upper directory; nothing must be there. EIO."""
    dentry = parent.d_children.get(name)
    if dentry is None and type(_inode_of(parent).i_private) is not SimpleDir:
        child_of(task, parent, name)
        dentry = parent.d_children.get(name)
    if dentry is None:
        return d_alloc(parent, name)
    if dentry.d_inode is not None:
        raise EIO
    return dentry


def _inode_of(dentry: Dentry) -> Inode:
    inode = dentry.d_inode
    assert inode is not None
    return inode


def take_identity(task: Task, inode: OvlInode, upper: Inode) -> None:
    """Owner, mode, times, extended attributes and, if it may be, the inode number."""
    upper.i_uid = inode.i_uid
    upper.i_gid = inode.i_gid
    upper.i_mode = inode.i_mode
    upper.i_atime = inode.i_atime
    upper.i_mtime = inode.i_mtime
    upper.i_ctime = inode.i_ctime
    info: OvlSuper = inode.i_sb.s_fs_info
    if info.private:
        upper.i_ino = inode.i_ino
        upper.i_btime = inode.i_btime
    lower = inode.o_lowers[0].d_inode
    assert lower is not None
    for name in lower.i_op.listxattr(task, lower):
        if name.startswith(XATTR_OVERLAY):
            continue
        try:
            upper.i_op.setxattr(task, upper, name, lower.i_op.getxattr(task, lower, name), 0)
        except (EOPNOTSUPP, EIO):
            continue
    upper.i_ctime = inode.i_ctime


def copy_up_file(task: Task, inode: OvlInode, dentry: Dentry | None, size: int) -> Inode:
    """Copy a file up and put it in place of `inode` in the overlay's dentry.

    `size`: how many bytes of it are wanted, -1 for all. On errors (ENOSPC, EIO) nothing has
    changed. Returns the upper inode.
    """
    mapping = inode.i_mapping
    if mapping is not None and mapping.windows:
        drop_windows(mapping)
    if inode.o_gone:
        target, upper = None, _copy_unlinked(task, inode, size)
    else:
        target = _make_upper(task, inode, size)
        assert target.d_inode is not None
        upper = target.d_inode
    inode.hold(upper)
    inode.i_stat = None
    inode.o_upper = target if target is not None else _nameless(inode, upper)
    if upper.i_flock is None:
        upper.i_flock = inode.i_flock
    _move_files(inode, upper)
    if dentry is None:
        dentry = find_dentry(inode)
    if dentry is not None and dentry.d_inode is inode:
        dentry.d_inode = upper
        if not dentry.d_unhashed:
            upper.i_count += 1
            iput(inode)
    return upper


def _move_files(inode: OvlInode, upper: Inode) -> None:
    """Files that are open for reading, or executed, are ones of the copy from now on."""
    files, inode.o_files = inode.o_files, {}
    if inode.i_writecount < 0:
        upper.i_writecount += inode.i_writecount
        inode.i_writecount = 0
    for file in files:
        file.f_inode = upper
        file.f_op = upper.i_fop
        upper.i_count += 1
        iput(inode)


def _nameless(inode: OvlInode, upper: Inode) -> Dentry:
    """A dentry for an upper file without a name."""
    dentry = Dentry(upper.i_sb, upper.i_sb.s_root, b"#%d" % upper.i_ino)
    dentry.d_inode = upper
    dentry.d_unhashed = True
    return dentry


def _copy_unlinked(task: Task, inode: OvlInode, size: int) -> Inode:
    """A copy of a file that has no name any more; a reference is in the caller's hands."""
    info: OvlSuper = inode.i_sb.s_fs_info
    root = info.upper_root
    if root is None or root.d_inode is None:
        raise EROFS
    upper = root.d_inode.i_op.tmpfile(task, root.d_inode, inode.i_mode)
    upper.i_count -= 1  # the caller holds it
    if inode.i_mode & S_IFMT == S_IFREG:
        copy_data(task, inode, Path(info.upper_mnt, _nameless(inode, upper)), size)
    take_identity(task, inode, upper)
    upper.i_nlink = 0
    return upper


def _make_upper(task: Task, inode: OvlInode, size: int) -> Dentry:
    """The copy under the file's name in the upper directory."""
    parent = upper_dir(task, inode.o_parent)
    dir = parent.d_inode
    assert dir is not None
    times = dir.i_mtime, dir.i_ctime
    dentry = upper_name(task, parent, inode.o_name)
    try:
        d_instantiate(dentry, _make_node(task, inode, dir, dentry))
    except BaseException:
        d_delete(dentry)
        raise
    upper = dentry.d_inode
    assert upper is not None
    try:
        if inode.i_mode & S_IFMT == S_IFREG:
            info: OvlSuper = inode.i_sb.s_fs_info
            copy_data(task, inode, Path(info.upper_mnt, dentry), size)
        take_identity(task, inode, upper)
    except BaseException:
        dir.i_op.unlink(task, dir, dentry)
        d_delete(dentry)
        raise
    finally:
        dir.i_mtime, dir.i_ctime = times
    return dentry


def _make_node(task: Task, inode: OvlInode, dir: Inode, dentry: Dentry) -> Inode:
    """An empty upper file of the same type."""
    kind = inode.i_mode & S_IFMT
    if kind == S_IFREG:
        return dir.i_op.create(task, dir, dentry, inode.i_mode)
    if kind == S_IFLNK:
        lower = inode.o_lowers[0].d_inode
        assert lower is not None
        return dir.i_op.symlink(task, dir, dentry, lower.i_op.readlink(task, lower))
    assert kind != S_IFDIR
    return dir.i_op.mknod(task, dir, dentry, inode.i_mode, inode.i_rdev)


def copy_data(task: Task, inode: OvlInode, target: Path, size: int) -> None:
    """Copy the first `size` bytes (-1: all); runs of zeros become holes. ENOSPC, EIO."""
    mapping = inode.i_mapping
    assert mapping is not None
    size = mapping.host.i_size if size < 0 else min(size, mapping.host.i_size)
    upper = target.inode
    file = File(target, upper, O_RDWR, 3, task.cred)
    pos = 0
    while pos < size:
        data = read_into(mapping, pos, min(_CHUNK, size - pos))
        if not data:
            break
        if data.count(0) != len(data):
            _write_all(task, file, data, pos)
        pos += len(data)
    upper.i_size = size


def _write_all(task: Task, file: File, data: bytes, pos: int) -> None:
    buf = KernelBuffer(data)
    while buf.length:
        count = filemap_write(task, file, buf, pos)
        if not count:
            raise EIO
        pos += count


def remove_upper(task: Task, dir: Inode, dentry: Dentry) -> None:
    """Take a name that is no directory out of an upper directory."""
    dir.i_op.unlink(task, dir, dentry)
    d_delete(dentry)
