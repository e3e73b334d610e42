# SPDX-License-Identifier: Apache-2.0
"""Who may do what with an inode: mode bits, capabilities, read-only mounts, sticky bit.

path_resolution(7), inode(7), capabilities(7). In Linux these live in fs/namei.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EACCES, EBUSY, EEXIST, EISDIR, ENOENT, ENOTDIR, EPERM, EROFS
from pygos.include.linux.fs import (
    MAY_EXEC,
    MAY_READ,
    MAY_WRITE,
    MNT_NOEXEC,
    MNT_READONLY,
    S_APPEND,
    S_DEAD,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IMMUTABLE,
    SB_RDONLY,
)
from pygos.include.linux.user_namespace import INVALID_ID
from pygos.include.uapi.capability import CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
from pygos.include.uapi.stat import S_ISGID, S_ISUID, S_ISVTX, S_IWGRP, S_IWOTH, S_IXGRP

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.fs import Dentry, Inode, Mount, Path
    from pygos.include.linux.sched import Task

_ALL_X = 0o111
_OVERRIDE = 1 << CAP_DAC_OVERRIDE
_SEARCH = 1 << CAP_DAC_READ_SEARCH | _OVERRIDE


def generic_permission(cred: Cred, inode: Inode, mask: int) -> None:
    """Check MAY_* against mode bits and capabilities. EACCES."""
    mode = inode.i_mode
    if cred.fsuid == inode.i_uid:
        bits = mode >> 6
    elif cred.fsgid == inode.i_gid or inode.i_gid in cred.groups:
        bits = mode >> 3
    else:
        bits = mode
    if not mask & ~bits & 7:
        return
    caps = cred.cap_effective
    ns = cred.user_ns
    if ns is not None and caps and not ns.has_mapping(inode.i_uid, inode.i_gid):
        caps = 0
    if mode & S_IFMT == S_IFDIR:
        if caps & (_OVERRIDE if mask & MAY_WRITE else _SEARCH):
            return
    elif (mask & 7 == MAY_READ and caps & _SEARCH) or (
        caps & _OVERRIDE and (not mask & MAY_EXEC or mode & _ALL_X)
    ):
        return
    raise EACCES


def inode_permission(task: Task, inode: Inode, mask: int) -> None:
    """May the task read, write or execute (search) the inode?

    Errors: EROFS, EPERM (immutable), EACCES.
    """
    if mask & MAY_WRITE:
        if inode.i_sb.s_flags & SB_RDONLY and inode.i_mode & S_IFMT in (S_IFREG, S_IFDIR, S_IFLNK):
            raise EROFS
        if inode.i_flags & S_IMMUTABLE:
            raise EPERM
    if inode.i_op.has_permission and not inode.i_op.permission(task, inode, mask):
        return
    generic_permission(task.cred, inode, mask)


def may_lookup(task: Task, inode: Inode) -> None:
    """May names be looked up in this directory? EACCES."""
    if inode.i_op.has_permission and not inode.i_op.permission(task, inode, MAY_EXEC):
        return
    if inode.i_mode & _ALL_X != _ALL_X:
        cred = task.cred
        if not cred.cap_effective & _SEARCH or cred.user_ns is not None:
            generic_permission(cred, inode, MAY_EXEC)


def mnt_readonly(mnt: Mount) -> bool:
    """Is nothing to be changed through this mount?"""
    return bool(mnt.mnt_flags & MNT_READONLY or mnt.mnt_sb.s_flags & SB_RDONLY)


def mnt_want_write(mnt: Mount) -> None:
    """Something is to be changed through this mount. EROFS."""
    if mnt.mnt_flags & MNT_READONLY or mnt.mnt_sb.s_flags & SB_RDONLY:
        raise EROFS


def path_noexec(path: Path) -> bool:
    """Does the mount forbid execution?"""
    return bool(path.mnt.mnt_flags & MNT_NOEXEC)


def inode_owner_or_capable(task: Task, inode: Inode) -> bool:
    """Is the task the owner, or does it act as one?"""
    cred = task.cred
    if cred.fsuid == inode.i_uid:
        return True
    if not cred.cap_effective >> CAP_FOWNER & 1:
        return False
    ns = cred.user_ns
    return ns is None or ns.from_kuid(inode.i_uid) != INVALID_ID


def may_create(task: Task, dir: Inode, child: Dentry) -> None:
    """May `child` be made in `dir`? EEXIST, ENOENT (a removed directory), EACCES."""
    if child.d_inode is not None:
        raise EEXIST
    if dir.i_flags & S_DEAD:
        raise ENOENT
    inode_permission(task, dir, MAY_WRITE | MAY_EXEC)


def _sticky(task: Task, dir: Inode, inode: Inode) -> bool:
    """Does the sticky bit of `dir` keep the task from removing `inode`?"""
    cred = task.cred
    if not dir.i_mode & S_ISVTX or cred.fsuid in (inode.i_uid, dir.i_uid):
        return False
    return not cred.inode_capable(inode, CAP_FOWNER)


def may_delete(task: Task, dir: Inode, victim: Dentry, isdir: bool) -> None:
    """May `victim` be removed from `dir`, as a directory or as something else?

    Errors: ENOENT, EACCES, EPERM, ENOTDIR, EBUSY, EISDIR.
    """
    inode = victim.d_inode
    if inode is None:
        raise ENOENT
    inode_permission(task, dir, MAY_WRITE | MAY_EXEC)
    if dir.i_flags & S_APPEND or inode.i_flags & (S_APPEND | S_IMMUTABLE):
        raise EPERM
    if _sticky(task, dir, inode):
        raise EPERM
    if isdir:
        if inode.i_mode & S_IFMT != S_IFDIR:
            raise ENOTDIR
        if victim.d_parent is victim:
            raise EBUSY
    elif inode.i_mode & S_IFMT == S_IFDIR:
        raise EISDIR
    if dir.i_flags & S_DEAD:
        raise ENOENT


# -- sysctl fs.protected_*: what others could trick a program into


def may_linkat(task: Task, inode: Inode) -> None:
    """fs.protected_hardlinks: only files that one could write anyway get a new name. EPERM."""
    if not task.machine.sysctl.get("fs.protected_hardlinks", 0):
        return
    if inode_owner_or_capable(task, inode):
        return
    mode = inode.i_mode
    plain = mode & S_IFMT == S_IFREG and not mode & S_ISUID
    if not plain or mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP:
        raise EPERM
    try:
        inode_permission(task, inode, MAY_READ | MAY_WRITE)
    except (EACCES, EROFS):
        raise EPERM from None


def may_follow_link(task: Task, dir: Inode, link: Inode) -> None:
    """fs.protected_symlinks: no links of others in directories that everybody can write.

    Errors: EACCES.
    """
    if not task.machine.sysctl.get("fs.protected_symlinks", 0):
        return
    everybody = S_ISVTX | S_IWOTH
    if link.i_uid == task.cred.fsuid or dir.i_mode & everybody != everybody:
        return
    if link.i_uid != dir.i_uid:
        raise EACCES


def may_create_in_sticky(task: Task, dir: Inode, inode: Inode) -> None:
    """fs.protected_regular, fs.protected_fifos: O_CREAT doesn't open what others have put
    into a sticky directory. EACCES."""
    kind = inode.i_mode & S_IFMT
    names = {S_IFREG: "fs.protected_regular", S_IFIFO: "fs.protected_fifos"}
    if not dir.i_mode & S_ISVTX or kind not in names:
        return
    level = int(task.machine.sysctl.get(names[kind], 0))
    if not level or inode.i_uid in (dir.i_uid, task.cred.fsuid):
        return
    if dir.i_mode & S_IWOTH or (dir.i_mode & S_IWGRP and level >= 2):
        raise EACCES
