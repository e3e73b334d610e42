# SPDX-License-Identifier: Apache-2.0
"""Changing attributes: who may (setattr_prepare), and doing it (notify_change).

``notify_change`` is the one door: it checks, fills in times and set-id clearing, and calls
the file system's setattr(), which only has to apply what it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.inode import current_time
from pygos.fs.permission import inode_owner_or_capable, inode_permission
from pygos.include.errno import EFBIG, EPERM, ETXTBSY
from pygos.include.linux.fs import (
    ATTR_ATIME,
    ATTR_ATIME_SET,
    ATTR_CTIME,
    ATTR_FORCE,
    ATTR_GID,
    ATTR_MODE,
    ATTR_MTIME,
    ATTR_MTIME_SET,
    ATTR_OPEN,
    ATTR_SIZE,
    ATTR_UID,
    MAY_WRITE,
    S_APPEND,
    S_IFMT,
    S_IMMUTABLE,
    Iattr,
)
from pygos.include.uapi.capability import CAP_CHOWN, CAP_FSETID
from pygos.include.uapi.resource import RLIMIT_FSIZE
from pygos.include.uapi.signal import SIGXFSZ
from pygos.include.uapi.stat import S_IALLUGO, S_ISGID, S_ISUID, S_IXGRP
from pygos.include.uapi.xattr import XATTR_NAME_CAPS

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.fs import Dentry, Inode
    from pygos.include.linux.sched import Task

_TIMES_SET = ATTR_ATIME_SET | ATTR_MTIME_SET


def limit_fsize(task: Task) -> int:
    """RLIMIT_FSIZE, bytes."""
    return task.group.rlim[RLIMIT_FSIZE][0]


def fsize_exceeded(task: Task) -> None:
    """A file would grow over RLIMIT_FSIZE: SIGXFSZ, and EFBIG."""
    from pygos.kernel.signal import send_sig

    send_sig(task, SIGXFSZ)
    raise EFBIG


def inode_newsize_ok(task: Task, inode: Inode, size: int) -> None:
    """May the file have this size? EFBIG, with SIGXFSZ where it is the resource limit."""
    if size > inode.i_size:
        if size > limit_fsize(task):
            fsize_exceeded(task)
        if size > inode.i_sb.s_maxbytes:
            raise EFBIG


def _chgrp_ok(cred: Cred, inode: Inode, gid: int) -> bool:
    if cred.fsuid == inode.i_uid and (gid == inode.i_gid or cred.in_group(gid)):
        return True
    return cred.inode_capable(inode, CAP_CHOWN)


def setattr_prepare(task: Task, inode: Inode, attr: Iattr) -> None:
    """May the task make these changes? Takes setgid out of a new mode that it may not set.

    Errors: EPERM, EFBIG.
    """
    valid = attr.valid
    if valid & ATTR_SIZE:
        inode_newsize_ok(task, inode, attr.size)
    if valid & ATTR_FORCE:
        return
    cred = task.cred
    if valid & ATTR_UID and not (
        cred.fsuid == inode.i_uid == attr.uid or cred.inode_capable(inode, CAP_CHOWN)
    ):
        raise EPERM
    if valid & ATTR_GID and not _chgrp_ok(cred, inode, attr.gid):
        raise EPERM
    if valid & ATTR_MODE:
        if not inode_owner_or_capable(task, inode):
            raise EPERM
        gid = attr.gid if valid & ATTR_GID else inode.i_gid
        if attr.mode & S_ISGID and not (
            cred.in_group(gid) or cred.inode_capable(inode, CAP_FSETID)
        ):
            attr.mode &= ~S_ISGID
    if valid & _TIMES_SET and not inode_owner_or_capable(task, inode):
        raise EPERM


def _may_setattr(task: Task, inode: Inode, attr: Iattr) -> None:
    """Immutable and append-only files; "touch" by someone who may write. EPERM, EACCES."""
    valid = attr.valid
    times = valid & (ATTR_ATIME | ATTR_MTIME)
    if valid & (ATTR_MODE | ATTR_UID | ATTR_GID | _TIMES_SET) or times:
        if inode.i_flags & S_IMMUTABLE:
            raise EPERM
        if inode.i_flags & S_APPEND and valid & (ATTR_MODE | ATTR_UID | ATTR_GID | _TIMES_SET):
            raise EPERM
    touch = times and not valid & (_TIMES_SET | ATTR_SIZE | ATTR_OPEN)
    if touch and not inode_owner_or_capable(task, inode):
        inode_permission(task, inode, MAY_WRITE)


def kill_suid_on_chown(cred: Cred, inode: Inode) -> int:
    """The mode after a change of owner: set-id bits that make a program privileged go."""
    mode = inode.i_mode & ~S_ISUID
    if mode & S_ISGID and (
        mode & S_IXGRP or not (
            cred.in_group(inode.i_gid) or cred.inode_capable(inode, CAP_FSETID)
        )
    ):
        mode &= ~S_ISGID
    return mode


def notify_change(task: Task, dentry: Dentry, attr: Iattr) -> None:
    """Change attributes as the task asks. `attr` is used up.

    Errors: EPERM, EACCES, EFBIG, and what the file system says.
    """
    inode = dentry.d_inode
    assert inode is not None
    if not attr.valid & ATTR_FORCE:
        _may_setattr(task, inode, attr)
    if attr.valid & ATTR_MODE:
        attr.mode = attr.mode & S_IALLUGO | inode.i_mode & S_IFMT
    now = current_time(inode)
    if not attr.valid & ATTR_ATIME_SET:
        attr.atime = now
    if not attr.valid & ATTR_MTIME_SET:
        attr.mtime = now
    op = inode.i_op
    if not op.setattr_refuses:
        setattr_prepare(task, inode, attr)
    valid = attr.valid
    op.setattr(task, dentry, inode, attr)
    if attr.valid & (ATTR_UID | ATTR_GID) and inode.i_xattrs and XATTR_NAME_CAPS in inode.i_xattrs:
        inode.i_op.removexattr(task, inode, XATTR_NAME_CAPS)
    if task.machine.fsnotify is not None:
        from pygos.fs.notify.fsnotify import changed

        changed(dentry, valid)


def setattr_copy(inode: Inode, attr: Iattr) -> None:
    """Put permitted changes, but for the size, into the inode's fields."""
    valid = attr.valid
    if valid & ATTR_UID:
        inode.i_uid = attr.uid
    if valid & ATTR_GID:
        inode.i_gid = attr.gid
    if valid & ATTR_MODE:
        inode.i_mode = attr.mode & S_IALLUGO | inode.i_mode & S_IFMT
    if valid & ATTR_ATIME:
        inode.i_atime = attr.atime
    if valid & ATTR_MTIME:
        inode.i_mtime = attr.mtime
    if valid & ATTR_CTIME or valid & (ATTR_MODE | ATTR_UID | ATTR_GID):
        inode.i_ctime = current_time(inode)


def truncate_setsize(inode: Inode, size: int) -> None:
    """Set i_size and drop what lies behind it from page cache and mappings."""
    old = inode.i_size
    inode.i_size = size
    mapping = inode.i_mapping
    if mapping is None:
        return
    from pygos.mm.filemap import pagecache_isize_extended, truncate_pagecache

    if size < old:
        truncate_pagecache(mapping, size)
    elif size > old:
        pagecache_isize_extended(mapping, old)


def simple_setattr(inode: Inode, attr: Iattr) -> None:
    """setattr() of file systems that keep everything in memory."""
    if attr.valid & ATTR_SIZE:
        attr.valid |= ATTR_MTIME | ATTR_CTIME
        truncate_setsize(inode, attr.size)
    setattr_copy(inode, attr)


def get_write_access(inode: Inode) -> None:
    """The contents are to be changed. ETXTBSY if the file is being executed."""
    if inode.i_writecount < 0:
        raise ETXTBSY


def do_truncate(task: Task, dentry: Dentry, size: int, valid: int) -> None:
    """Set the size of a regular file; drops set-id bits as a write would.

    `valid`: more ATTR_* bits (ATTR_MTIME | ATTR_CTIME, ATTR_OPEN). Errors: as notify_change().
    """
    inode = dentry.d_inode
    assert inode is not None
    attr = Iattr(ATTR_SIZE | valid, size=size)
    if inode.i_mode & (S_ISUID | S_ISGID) or inode.i_xattrs is not None:
        from pygos.fs.inode import dentry_remove_privs

        dentry_remove_privs(task, dentry, inode)
    notify_change(task, dentry, attr)


def vfs_truncate_checks(task: Task, inode: Inode) -> None:
    """What truncate(2) checks of the inode, after the mount. EACCES, EPERM, ETXTBSY."""
    inode_permission(task, inode, MAY_WRITE)
    if inode.i_flags & S_APPEND:
        raise EPERM
    get_write_access(inode)
