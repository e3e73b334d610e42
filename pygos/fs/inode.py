# SPDX-License-Identifier: Apache-2.0
"""Inodes: references and eviction, owners of new files, time stamps, privileges on write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.linux.fs import (
    ATTR_FORCE,
    ATTR_MODE,
    MNT_NOATIME,
    MNT_NODIRATIME,
    MNT_READONLY,
    MNT_RELATIME,
    S_IFDIR,
    S_IFMT,
    S_IFREG,
    S_NOATIME,
    SB_RDONLY,
    Iattr,
)
from pygos.include.uapi.capability import CAP_FSETID
from pygos.include.uapi.stat import S_ISGID, S_ISUID, S_IXGRP
from pygos.include.uapi.xattr import XATTR_NAME_CAPS

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.fs import Dentry, File, Inode, Mount
    from pygos.include.linux.sched import Task

#: relatime updates the access time at least once a day, ns.
RELATIME_AGE = 86_400_000_000_000


def iget(inode: Inode) -> Inode:
    """One more reference (Linux's ihold)."""
    inode.i_count += 1
    return inode


def iput(inode: Inode) -> None:
    """One reference less; the last one evicts the inode: its pages and what its fs keeps."""
    inode.i_count -= 1
    if inode.i_count <= 0 and (inode.i_nlink <= 0 or inode.i_sb.s_op.drop_inode(inode)):
        evict(inode)


def evict(inode: Inode) -> None:
    """Free what an unused inode holds. May happen again if the inode is used once more by
    someone who holds a deleted dentry, so file systems' evict_inode() must bear that."""
    inode.i_sb.s_op.evict_inode(inode)
    mapping = inode.i_mapping
    if mapping is not None and mapping.pages and mapping.host is inode:
        from pygos.mm.filemap import drop_mapping

        drop_mapping(mapping)


def current_time(inode: Inode) -> int:
    """Now, as the file system stamps it, ns."""
    return inode.i_sb.machine.clock.realtime()


def inode_init_owner(task: Task, inode: Inode, dir: Inode | None, mode: int) -> None:
    """Owner, group and mode of a new inode; a setgid directory passes its group on."""
    cred = task.cred
    inode.i_uid = cred.fsuid
    if dir is not None and dir.i_mode & S_ISGID:
        inode.i_gid = dir.i_gid
        if mode & S_IFMT == S_IFDIR:
            mode |= S_ISGID
    else:
        inode.i_gid = cred.fsgid
    inode.i_mode = mode


def mode_strip_sgid(cred: Cred, dir: Inode, mode: int) -> int:
    """A group-executable setgid file may be made only by members of the group it will have."""
    if mode & (S_ISGID | S_IXGRP) != S_ISGID | S_IXGRP:
        return mode
    if mode & S_IFMT == S_IFDIR or not dir.i_mode & S_ISGID:
        return mode
    if cred.in_group(dir.i_gid) or cred.inode_capable(dir, CAP_FSETID):
        return mode
    return mode & ~S_ISGID


def inc_nlink(inode: Inode) -> None:
    """One more name."""
    inode.i_nlink += 1


def drop_nlink(inode: Inode) -> None:
    """One name less."""
    inode.i_nlink -= 1


def clear_nlink(inode: Inode) -> None:
    """No name is left."""
    inode.i_nlink = 0


def touch_atime(mnt: Mount, inode: Inode) -> None:
    """The file was read: update the access time by the rules of relatime, noatime and
    strictatime (mount(8))."""
    if inode.i_flags & S_NOATIME or inode.i_sb.s_flags & SB_RDONLY:
        return
    flags = mnt.mnt_flags
    if flags & (MNT_NOATIME | MNT_READONLY | MNT_NODIRATIME) and (
        flags & (MNT_NOATIME | MNT_READONLY) or inode.i_mode & S_IFMT == S_IFDIR
    ):
        return
    now = inode.i_sb.machine.clock.realtime()
    atime = inode.i_atime
    if (
        atime <= inode.i_mtime
        or atime <= inode.i_ctime
        or now - atime >= RELATIME_AGE
        or not flags & MNT_RELATIME
    ):
        inode.i_atime = now


def file_update_time(file: File) -> None:
    """The file's contents are being changed: mtime and ctime."""
    inode = file.f_inode
    inode.i_mtime = inode.i_ctime = inode.i_sb.machine.clock.realtime()
    inode.i_version += 1


def should_remove_suid(cred: Cred, inode: Inode) -> int:
    """Which of the bits S_ISUID and S_ISGID a change of contents takes away."""
    mode = inode.i_mode
    if not mode & (S_ISUID | S_ISGID) or mode & S_IFMT != S_IFREG:
        return 0
    kill = mode & S_ISUID
    if mode & S_ISGID and (mode & S_IXGRP or not cred.in_group(inode.i_gid)):
        kill |= S_ISGID
    return 0 if kill and cred.inode_capable(inode, CAP_FSETID) else kill


def dentry_remove_privs(task: Task, dentry: Dentry, inode: Inode) -> None:
    """Drop set-id bits and file capabilities, as any change of a file's contents must."""
    kill = should_remove_suid(task.cred, inode)
    if kill:
        attr = Iattr(ATTR_MODE | ATTR_FORCE, mode=inode.i_mode & ~kill)
        inode.i_op.setattr(task, dentry, inode, attr)
    xattrs = inode.i_xattrs
    if xattrs is not None and XATTR_NAME_CAPS in xattrs:
        inode.i_op.removexattr(task, inode, XATTR_NAME_CAPS)


def file_remove_privs(task: Task, file: File) -> None:
    """The file is about to be written: see dentry_remove_privs."""
    inode = file.f_inode
    if inode.i_mode & (S_ISUID | S_ISGID) or inode.i_xattrs is not None:
        dentry_remove_privs(task, file.f_path.dentry, inode)
