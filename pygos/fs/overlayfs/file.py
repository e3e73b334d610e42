# SPDX-License-Identifier: Apache-2.0
"""Opening files of the overlay that are only below.

Files above are opened by their own file system. To open one of these for writing copies it
up; the open file then is the upper one from the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.generic_file import GenericFileOperations
from pygos.fs.inode import iput
from pygos.fs.overlayfs.copy_up import copy_up_file
from pygos.fs.overlayfs.inode import OvlInode, copy_attributes, refresh_lower
from pygos.include.errno import ENOENT, ESTALE, ETXTBSY
from pygos.include.linux.fs import FMODE_WRITE
from pygos.include.uapi.fcntl import O_TRUNC

if TYPE_CHECKING:
    from pygos.include.linux.fs import File, Inode
    from pygos.include.linux.sched import Task


class OvlFileFileOperations(GenericFileOperations):
    """An open regular file, read from below."""

    __slots__ = ()
    in_stub = True

    def open(self, task: Task, inode: Inode, file: File) -> None:
        assert isinstance(inode, OvlInode)
        if inode.o_upper is not None:  # it was copied up since this open began its walk
            _use_upper(task, file, inode, inode.real())
            return
        _open_lower(task, inode, file)
        if file.f_mode & FMODE_WRITE:
            size = 0 if file.f_flags & O_TRUNC else -1
            upper = copy_up_file(task, inode, file.f_path.dentry, size)
            _use_upper(task, file, inode, upper)
        else:
            inode.o_files[file] = None

    def release(self, file: File) -> None:
        inode = file.f_inode
        assert isinstance(inode, OvlInode)
        inode.o_files.pop(file, None)


def _open_lower(task: Task, inode: OvlInode, file: File) -> None:
    """Let the lower file system open it; if another file has the name by now, that one."""
    lower = inode.o_lowers[0].d_inode
    assert lower is not None
    try:
        lower.i_fop.open(task, lower, file)
    except ESTALE:
        refresh_lower(task, inode)
        lower = inode.real()
        try:
            lower.i_fop.open(task, lower, file)
        except ESTALE:
            raise ENOENT from None
    if lower.i_mtime != inode.i_mtime or lower.i_size != inode.i_size:
        copy_attributes(inode, lower)


def _use_upper(task: Task, file: File, inode: OvlInode, upper: Inode) -> None:
    """The open file becomes one of the upper file."""
    if file.f_mode & FMODE_WRITE:
        if upper.i_writecount < 0:
            raise ETXTBSY
        inode.i_writecount -= 1
        upper.i_writecount += 1
    upper.i_count += 1
    file.f_inode = upper
    file.f_op = upper.i_fop
    iput(inode)
    upper.i_fop.open(task, upper, file)
