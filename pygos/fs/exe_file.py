# SPDX-License-Identifier: Apache-2.0
"""PR_SET_MM_EXE_FILE: what /proc/PID/exe of a process leads to (prctl_set_mm_exe_file)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.file_table import fget, fput, get_file
from pygos.fs.namei import inode_permission
from pygos.include.errno import EACCES, EBUSY, ETXTBSY
from pygos.include.linux.fs import MAY_EXEC, MNT_NOEXEC

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


def set_mm_exe_file(task: Task, fd: int) -> None:
    """Let `fd` be the program that the caller runs.

    Errors: EBADF; EACCES for what can't be executed; EBUSY while the old program is mapped;
    ETXTBSY if somebody writes to the new one.
    """
    file = get_file(task, fd)
    inode, mm = file.f_inode, task.mm
    assert mm is not None
    if not inode.is_reg or file.f_path.mnt.mnt_flags & MNT_NOEXEC:
        raise EACCES
    inode_permission(task, inode, MAY_EXEC)
    old = mm.exe_file
    if old is not None and any(
        vma.file is not None and vma.file.f_path.dentry is old.f_path.dentry for vma in mm.vmas
    ):
        raise EBUSY
    if inode.i_writecount > 0:
        raise ETXTBSY
    inode.i_writecount -= 1
    mm.exe_file = fget(file)
    if old is not None:
        old.f_inode.i_writecount += 1
        fput(old)
