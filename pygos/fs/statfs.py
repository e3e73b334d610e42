# SPDX-License-Identifier: Apache-2.0
"""File system statistics: statfs(2), fstatfs(2), ustat(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.walk import LOOKUP_FOLLOW, path_lookup
from pygos.include.errno import EINVAL
from pygos.include.linux.fs import (
    MNT_NOATIME,
    MNT_NODEV,
    MNT_NODIRATIME,
    MNT_NOEXEC,
    MNT_NOSUID,
    MNT_NOSYMFOLLOW,
    MNT_READONLY,
    MNT_RELATIME,
    SB_RDONLY,
)
from pygos.include.linux.syscalls import Out, PathArg, RawFileArg, UInt, syscall
from pygos.include.uapi.fcntl import AT_FDCWD
from pygos.include.uapi.statfs import (
    ST_NOATIME,
    ST_NODEV,
    ST_NODIRATIME,
    ST_NOEXEC,
    ST_NOSUID,
    ST_NOSYMFOLLOW,
    ST_RDONLY,
    ST_RELATIME,
    ST_VALID,
    Statfs,
    Ustat,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import Mount
    from pygos.include.linux.sched import Task

_FLAGS = (
    (MNT_READONLY, ST_RDONLY),
    (MNT_NOSUID, ST_NOSUID),
    (MNT_NODEV, ST_NODEV),
    (MNT_NOEXEC, ST_NOEXEC),
    (MNT_NOATIME, ST_NOATIME),
    (MNT_NODIRATIME, ST_NODIRATIME),
    (MNT_RELATIME, ST_RELATIME),
    (MNT_NOSYMFOLLOW, ST_NOSYMFOLLOW),
)


def vfs_statfs(mnt: Mount) -> Statfs:
    """The statistics of what is mounted there."""
    sb = mnt.mnt_sb
    k = sb.s_op.statfs(sb)
    flags = k.flags | ST_VALID
    for bit, st in _FLAGS:
        if mnt.mnt_flags & bit:
            flags |= st
    if sb.s_flags & SB_RDONLY:
        flags |= ST_RDONLY
    return Statfs(
        f_type=k.type, f_bsize=k.bsize, f_blocks=k.blocks, f_bfree=k.bfree, f_bavail=k.bavail,
        f_files=k.files, f_ffree=k.ffree, f_fsid=k.fsid or sb.s_dev, f_namelen=k.namelen,
        f_frsize=k.frsize, f_flags=flags,
    )  # fmt: skip


@syscall(name="statfs")
def statfs_(task: Task, pathname: PathArg, buf: Out[Statfs]) -> int:
    """Statistics of the file system a path is on. statfs(2). Errors: EFAULT, the walk's."""
    path = path_lookup(task, AT_FDCWD, pathname, LOOKUP_FOLLOW)
    buf.put(vfs_statfs(path.mnt))
    return 0


@syscall
def fstatfs(task: Task, fd: RawFileArg, buf: Out[Statfs]) -> int:
    """Statistics of the file system an open file is on. fstatfs(2). Errors: EBADF, EFAULT."""
    buf.put(vfs_statfs(fd.f_path.mnt))
    return 0


@syscall
def ustat(task: Task, dev: UInt, ubuf: Out[Ustat]) -> int:
    """Free blocks and inodes of the file system on a device. ustat(2).

    Errors: EINVAL (nothing is mounted from it), EFAULT.
    """
    for sb in task.machine.supers:
        if sb.s_dev == dev:
            k = sb.s_op.statfs(sb)
            ubuf.put(Ustat(f_tfree=k.bfree, f_tinode=k.ffree, f_fname=bytes(6), f_fpack=bytes(6)))
            return 0
    raise EINVAL
