# SPDX-License-Identifier: Apache-2.0
"""File attributes: stat(2), statx(2). One struct.pack per call on the common path."""

from __future__ import annotations

from struct import Struct, calcsize
from typing import TYPE_CHECKING

from pygos.fs.walk import LOOKUP_FOLLOW, path_lookup, walk_name
from pygos.include.errno import EBADF, EFAULT, EINVAL, ENOENT
from pygos.include.linux.fs import S_APPEND, S_IMMUTABLE, Inode, Kstat, Path
from pygos.include.linux.syscalls import (
    DirFd,
    Flags,
    Out,
    PathArg,
    PathOrNull,
    RawFileArg,
    UInt,
    syscall,
)
from pygos.include.linux.user_namespace import show_gid, show_uid
from pygos.include.uapi.fcntl import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_NO_AUTOMOUNT,
    AT_STATX_SYNC_TYPE,
    AT_SYMLINK_NOFOLLOW,
)
from pygos.include.uapi.kdev_t import major, minor
from pygos.include.uapi.stat import (
    STATX__RESERVED,
    STATX_ATTR_APPEND,
    STATX_ATTR_IMMUTABLE,
    STATX_ATTR_MOUNT_ROOT,
    STATX_BASIC_STATS,
    STATX_BTIME,
    STATX_MNT_ID,
    STATX_MNT_ID_UNIQUE,
    Stat,
    Statx,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import Dentry, Mount
    from pygos.include.linux.sched import Task

_NSEC = 1_000_000_000
#: As Stat.STRUCT, with signed seconds.
_PACK = Struct("<QQQIIIIQqqqqqqqqq3q").pack
_PACK_STATX = Statx.STRUCT.pack
#: The same for a file without special attributes: what it doesn't have is zero.
_PACK_STATX_PLAIN = Struct("<IIQIIIHHQQQQqIiqIiqIiqIiIIIIQ").pack
_STATX_PAD = bytes(Statx.SIZE - calcsize("<IIQIIIHHQQQQqIiqIiqIiqIiIIIIQ"))
_ATTR_MASK = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_MOUNT_ROOT
#: Numbers of mounts that are never used again begin here (fs/statmount.py).
_UNIQUE = 1 << 31
#: The fields after stx_mnt_id: direct I/O, subvolume, atomic writes, spares.
_STATX_REST = (0,) * 17
_STAT_FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH
_NO_STAT_FLAGS = ~(_STAT_FLAGS | AT_STATX_SYNC_TYPE)


def generic_fillattr(inode: Inode) -> Kstat:
    """The attributes as the inode's own fields have them."""
    stat = Kstat(
        inode.i_sb.s_dev, inode.i_ino, inode.i_mode, inode.i_nlink, inode.i_uid, inode.i_gid,
        inode.i_rdev, inode.i_size, inode.i_sb.s_blocksize, inode.i_blocks,
        inode.i_atime, inode.i_mtime, inode.i_ctime, inode.i_btime, inode.i_btime != 0,
    )  # fmt: skip
    if inode.i_flags & S_IMMUTABLE:
        stat.attributes |= STATX_ATTR_IMMUTABLE
    if inode.i_flags & S_APPEND:
        stat.attributes |= STATX_ATTR_APPEND
    stat.attributes_mask = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND
    return stat


def vfs_getattr(task: Task, path: Path, inode: Inode) -> Kstat:
    """The attributes of a place; `inode` is the file's where one is open."""
    found = inode.i_op.getattr(task, path, inode) if inode.i_op.has_getattr else None
    return _seen_through(path, generic_fillattr(inode) if found is None else found)


def _seen_through(path: Path, stat: Kstat) -> Kstat:
    """With what the mount adds."""
    stat.mnt_id = path.mnt.mnt_id
    if path.dentry is path.mnt.mnt_root:
        stat.attributes |= STATX_ATTR_MOUNT_ROOT
    stat.attributes_mask |= STATX_ATTR_MOUNT_ROOT
    return stat


def pack_stat(task: Task, path: Path, inode: Inode) -> bytes:
    """struct stat of a place, 144 bytes."""
    if inode.i_op.has_getattr:
        k = inode.i_op.getattr(task, path, inode)
        if k is not None:
            return _pack_kstat(_shown(task, k))
        if inode.i_op.keeps_stat and task.cred.user_ns is None:
            data = _pack_inode(inode, inode.i_uid, inode.i_gid)
            inode.i_op.keep_stat(inode, data)
            return data
    uid, gid = inode.i_uid, inode.i_gid
    if task.cred.user_ns is not None:
        uid, gid = show_uid(task, uid), show_gid(task, gid)
    return _pack_inode(inode, uid, gid)


def _pack_inode(inode: Inode, uid: int, gid: int) -> bytes:
    atime, mtime, ctime = inode.i_atime, inode.i_mtime, inode.i_ctime
    return _PACK(
        inode.i_sb.s_dev, inode.i_ino, inode.i_nlink, inode.i_mode, uid, gid, 0,
        inode.i_rdev, inode.i_size, inode.i_sb.s_blocksize, inode.i_blocks,
        atime // _NSEC, atime % _NSEC, mtime // _NSEC, mtime % _NSEC,
        ctime // _NSEC, ctime % _NSEC, 0, 0, 0,
    )  # fmt: skip


def stat_bytes(task: Task, mnt: Mount, dentry: Dentry) -> bytes:
    """pack_stat() of what a walk has found; what the file system keeps ready costs little."""
    inode = dentry.d_inode
    assert inode is not None
    kept = inode.i_stat
    if task.cred.user_ns is None:
        if kept is not None:
            if task.machine.clock.monotonic() < kept[0]:
                return kept[1]
        elif not inode.i_op.has_getattr:
            return _pack_inode(inode, inode.i_uid, inode.i_gid)
    return pack_stat(task, Path(mnt, dentry), inode)


def _shown(task: Task, k: Kstat) -> Kstat:
    """With the ids that the task sees."""
    if task.cred.user_ns is not None:
        k.uid, k.gid = show_uid(task, k.uid), show_gid(task, k.gid)
    return k


def _pack_kstat(k: Kstat) -> bytes:
    return _PACK(
        k.dev, k.ino, k.nlink, k.mode, k.uid, k.gid, 0, k.rdev, k.size, k.blksize, k.blocks,
        k.atime // _NSEC, k.atime % _NSEC, k.mtime // _NSEC, k.mtime % _NSEC,
        k.ctime // _NSEC, k.ctime % _NSEC, 0, 0, 0,
    )  # fmt: skip


@syscall(name="stat")
def stat_(task: Task, filename: PathArg, statbuf: Out[Stat]) -> int:
    """Attributes of a file, links followed. stat(2). Errors: EFAULT; those of the path walk."""
    if not filename:
        raise ENOENT
    mnt, dentry = walk_name(task, AT_FDCWD, filename, True, True)
    if dentry.d_inode is None:
        return -ENOENT.errno
    statbuf.mem.write(statbuf.addr, stat_bytes(task, mnt, dentry))
    return 0


@syscall
def lstat(task: Task, filename: PathArg, statbuf: Out[Stat]) -> int:
    """Attributes of a file or of the link itself. lstat(2). Errors: see stat."""
    if not filename:
        raise ENOENT
    mnt, dentry = walk_name(task, AT_FDCWD, filename, False, True)
    if dentry.d_inode is None:
        return -ENOENT.errno
    statbuf.mem.write(statbuf.addr, stat_bytes(task, mnt, dentry))
    return 0


@syscall
def fstat(task: Task, fd: RawFileArg, statbuf: Out[Stat]) -> int:
    """Attributes of an open file. fstat(2). Errors: EBADF, EFAULT."""
    inode = fd.f_inode
    kept = inode.i_stat
    if (
        kept is not None
        and task.machine.clock.monotonic() < kept[0]
        and task.cred.user_ns is None
    ):
        statbuf.mem.write(statbuf.addr, kept[1])
    else:
        statbuf.mem.write(statbuf.addr, pack_stat(task, fd.f_path, inode))
    return 0


def stat_target(task: Task, dfd: int, filename: bytes | None, flags: int) -> tuple[Path, Inode]:
    """What a call with AT_* flags is about: an open file for an empty (or NULL) path.

    Errors: EBADF, EFAULT (NULL without AT_EMPTY_PATH), and those of the path walk.
    """
    if not filename and flags & AT_EMPTY_PATH:
        if dfd == AT_FDCWD:
            return task.fs.pwd, task.fs.pwd.inode
        file = task.files.fd.get(dfd)
        if file is None:
            raise EBADF
        return file.f_path, file.f_inode
    if filename is None:
        raise EFAULT
    path = path_lookup(task, dfd, filename, 0 if flags & AT_SYMLINK_NOFOLLOW else LOOKUP_FOLLOW)
    return path, path.inode


@syscall
def newfstatat(
    task: Task, dfd: DirFd, filename: PathOrNull, statbuf: Out[Stat], flag: Flags
) -> int:
    """Attributes of a file relative to a directory. newfstatat(2), fstatat(2).

    Errors: EINVAL (flags), EBADF, EFAULT, and those of the path walk.
    """
    if flag & _NO_STAT_FLAGS:
        raise EINVAL
    if filename:
        mnt, dentry = walk_name(task, dfd, filename, not flag & AT_SYMLINK_NOFOLLOW, True)
        if dentry.d_inode is None:
            return -ENOENT.errno
        statbuf.mem.write(statbuf.addr, stat_bytes(task, mnt, dentry))
        return 0
    if flag & AT_EMPTY_PATH and (file := task.files.fd.get(dfd)) is not None:
        return fstat(task, file, statbuf)  # as fstat(3) of the C library calls it
    path, inode = stat_target(task, dfd, filename, flag)
    statbuf.mem.write(statbuf.addr, pack_stat(task, path, inode))
    return 0


def pack_statx(k: Kstat, mask: int) -> bytes:
    """struct statx of attributes: all that we have, whatever was asked for."""
    have = STATX_BASIC_STATS | STATX_MNT_ID | (STATX_BTIME if k.has_btime else 0)
    mnt_id = k.mnt_id
    if mask & STATX_MNT_ID_UNIQUE:
        have = have & ~STATX_MNT_ID | STATX_MNT_ID_UNIQUE
        mnt_id += _UNIQUE
    btime = k.btime if k.has_btime else 0
    dev, rdev = k.dev, k.rdev
    return _PACK_STATX(
        have, k.blksize, k.attributes, k.nlink, k.uid, k.gid, k.mode, 0, k.ino, k.size,
        k.blocks, k.attributes_mask, k.atime // _NSEC, k.atime % _NSEC, 0,
        btime // _NSEC, btime % _NSEC, 0, k.ctime // _NSEC, k.ctime % _NSEC, 0,
        k.mtime // _NSEC, k.mtime % _NSEC, 0, major(rdev), minor(rdev), major(dev), minor(dev),
        mnt_id, *_STATX_REST,
    )  # fmt: skip


def statx_bytes(task: Task, path: Path, inode: Inode, mask: int) -> bytes:
    """struct statx of a place, 256 bytes."""
    k = inode.i_op.getattr(task, path, inode) if inode.i_op.has_getattr else None
    if k is None and (
        inode.i_flags & (S_IMMUTABLE | S_APPEND)
        or task.cred.user_ns is not None
        or mask & STATX_MNT_ID_UNIQUE
    ):
        k = generic_fillattr(inode)
    if k is not None:
        return pack_statx(_shown(task, _seen_through(path, k)), mask)
    mnt = path.mnt
    atime, mtime, ctime, btime = inode.i_atime, inode.i_mtime, inode.i_ctime, inode.i_btime
    sb, rdev = inode.i_sb, inode.i_rdev
    have = STATX_BASIC_STATS | STATX_MNT_ID
    return _PACK_STATX_PLAIN(
        have | STATX_BTIME if btime else have, sb.s_blocksize,
        STATX_ATTR_MOUNT_ROOT if path.dentry is mnt.mnt_root else 0,
        inode.i_nlink, inode.i_uid, inode.i_gid, inode.i_mode, 0, inode.i_ino, inode.i_size,
        inode.i_blocks, _ATTR_MASK, atime // _NSEC, atime % _NSEC, 0,
        btime // _NSEC, btime % _NSEC, 0, ctime // _NSEC, ctime % _NSEC, 0,
        mtime // _NSEC, mtime % _NSEC, 0, major(rdev) if rdev else 0, minor(rdev) if rdev else 0,
        major(sb.s_dev), minor(sb.s_dev), mnt.mnt_id,
    ) + _STATX_PAD  # fmt: skip


@syscall
def statx(
    task: Task, dfd: DirFd, filename: PathOrNull, flags: Flags, mask: UInt, buffer: Out[Statx]
) -> int:
    """Extended attributes of a file: birth time, mount id, attribute bits. statx(2).

    Errors: EINVAL (flags, reserved mask), EBADF, EFAULT, and those of the path walk.
    """
    if mask & STATX__RESERVED or flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE:
        raise EINVAL
    if flags & _NO_STAT_FLAGS:
        raise EINVAL
    if filename:
        mnt, dentry = walk_name(task, dfd, filename, not flags & AT_SYMLINK_NOFOLLOW, True)
        found = dentry.d_inode
        if found is None:
            return -ENOENT.errno
        path, inode = Path(mnt, dentry), found
    else:
        path, inode = stat_target(task, dfd, filename, flags)
    buffer.mem.write(buffer.addr, statx_bytes(task, path, inode, mask))
    return 0
