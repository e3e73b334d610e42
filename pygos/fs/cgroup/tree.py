# SPDX-License-Identifier: Apache-2.0
"""Directories of cgroup2: looking up, listing, making and removing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.cgroup.core import CORE_FILES
from pygos.fs.cgroup.file import CgroupFile
from pygos.fs.cgroup.mount import CGROUP_DIR
from pygos.fs.kernfs import KernfsInode
from pygos.fs.libfs import FIRST_COOKIE, dir_emit_dots
from pygos.fs.walk import lookup_one
from pygos.include.errno import EBADF, EINVAL, ENODEV, ENOENT
from pygos.include.linux.fs import S_IFMT
from pygos.include.uapi.dirent import DT_DIR, DT_REG
from pygos.kernel.cgroup.core import INO_STEP, Cgroup, create, destroy

if TYPE_CHECKING:
    from pygos.include.linux.fs import Dentry, DirContext, File, Inode, SuperBlock
    from pygos.include.linux.sched import Task


def _controller_files(name: str) -> tuple[CgroupFile, ...]:
    """The files of a controller."""
    from importlib import import_module

    found: tuple[CgroupFile, ...] = import_module(f"pygos.fs.cgroup.{name}").FILES
    return found


def files_of(cgroup: Cgroup) -> dict[bytes, CgroupFile]:
    """The files that a group has now."""
    root = cgroup.parent is None
    files = {file.name: file for file in CORE_FILES if file.on_root is None or file.on_root == root}
    for name in cgroup.controllers() if root else cgroup.own:
        for file in _controller_files(name):
            if file.on_root is None or file.on_root == root:
                files[file.name] = file
    return files


def has_file(cgroup: Cgroup, name: bytes) -> bool:
    """Has the group (still) a file of that name?"""
    return not cgroup.dead and name in files_of(cgroup)


def _file_ino(cgroup: Cgroup, file: CgroupFile) -> int:
    """Files are numbered after their directory."""
    return cgroup.id + 1 + file.place % (INO_STEP - 1)


def lookup(dir: KernfsInode, name: bytes) -> Inode | None:
    """A file or a child of a group."""
    cgroup: Cgroup = dir.target
    if cgroup.dead:
        raise ENOENT
    child = cgroup.children.get(name)
    if child is not None:
        return KernfsInode(dir.i_sb, child.id, CGROUP_DIR, child, b"")
    file = files_of(cgroup).get(name)
    if file is None:
        return None
    return KernfsInode(dir.i_sb, _file_ino(cgroup, file), file, cgroup, name)


def mkdir(task: Task, dir: KernfsInode, dentry: Dentry, mode: int) -> Inode:
    """A new group. Errors: EINVAL (a newline in its name), ENODEV, EAGAIN."""
    if b"\n" in dentry.d_name:
        raise EINVAL
    child = create(dir.target, dentry.d_name)
    child.uid, child.gid = task.cred.fsuid, task.cred.fsgid
    inode = KernfsInode(dir.i_sb, child.id, CGROUP_DIR, child, b"")
    if mode & 0o7777 != inode.i_mode & 0o7777:
        inode.kept().mode = mode & 0o7777
        inode.i_mode = inode.i_mode & S_IFMT | mode & 0o7777
    return inode


def rmdir(dentry: Dentry) -> None:
    """Remove a group. EBUSY: it has tasks or children."""
    inode = dentry.d_inode
    assert isinstance(inode, KernfsInode)
    cgroup: Cgroup = inode.target
    if cgroup.dead:
        raise ENODEV
    destroy(cgroup)
    inode.i_nlink = 0


def iterate(file: File, ctx: DirContext) -> None:
    """List a group: its files by their places, then its children by their numbers."""
    inode = file.f_inode
    assert isinstance(inode, KernfsInode)
    cgroup: Cgroup = inode.target
    if cgroup.dead:
        return
    if ctx.pos < FIRST_COOKIE and not dir_emit_dots(file, ctx):
        return
    for one in sorted(files_of(cgroup).values(), key=_place):
        offset = FIRST_COOKIE + one.place
        ino = _file_ino(cgroup, one)
        if offset >= ctx.pos and not ctx.emit(one.name, ino, DT_REG, offset + 1):
            return
    base = FIRST_COOKIE + INO_STEP
    # Children are kept in the order of their numbers: they were made in it.
    for child in tuple(cgroup.children.values()):
        offset = base + child.id
        if offset >= ctx.pos and not ctx.emit(child.name, child.id, DT_DIR, offset + 1):
            return


def _place(file: CgroupFile) -> int:
    return file.place


def cgroup_of_file(file: File) -> Cgroup:
    """The group whose directory an open file is. EBADF."""
    inode = file.f_inode
    if not isinstance(inode, KernfsInode) or inode.i_private is not CGROUP_DIR:
        raise EBADF
    found: Cgroup = inode.target
    return found


def dentry_of(task: Task, sb: SuperBlock, cgroup: Cgroup) -> Dentry:
    """The directory of a group. ENOENT if it was removed."""
    names: list[bytes] = []
    while cgroup.parent is not None:
        names.append(cgroup.name)
        cgroup = cgroup.parent
    dentry = sb.s_root
    for name in reversed(names):
        dentry = lookup_one(task, dentry, name)
        if dentry.d_inode is None:
            raise ENOENT
    return dentry
