# SPDX-License-Identifier: Apache-2.0
"""System calls on names: mkdir, mknod, rmdir, unlink, symlink, link, rename, access, readlink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.inode import touch_atime
from pygos.fs.namei import (
    LAST_DOT,
    LAST_DOTDOT,
    LAST_NORM,
    LOOKUP_EMPTY,
    LOOKUP_FOLLOW,
    check_rename,
    filename_create,
    inode_permission,
    lookup_one,
    mnt_readonly,
    mnt_want_write,
    path_lookup,
    path_noexec,
    path_parentat,
    prepare_mode,
    vfs_create,
    vfs_link,
    vfs_mkdir,
    vfs_mknod,
    vfs_rename,
    vfs_rmdir,
    vfs_symlink,
    vfs_unlink,
)
from pygos.fs.permission import may_linkat
from pygos.fs.walk import walk_name
from pygos.include.errno import (
    EACCES,
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    EROFS,
    EXDEV,
)
from pygos.include.linux.cred import Cred
from pygos.include.linux.fs import (
    MAY_EXEC,
    MAY_WRITE,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    Path,
)
from pygos.include.linux.syscalls import (
    DirFd,
    Flags,
    Int,
    Mode,
    PathArg,
    UInt,
    UserAddr,
    syscall,
)
from pygos.include.uapi.capability import CAP_DAC_READ_SEARCH, SECBIT_NO_SETUID_FIXUP
from pygos.include.uapi.fcntl import (
    AT_EACCESS,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_REMOVEDIR,
    AT_SYMLINK_FOLLOW,
    AT_SYMLINK_NOFOLLOW,
)
from pygos.include.uapi.fs import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT
from pygos.kernel.capability import root_kuid

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_SPECIAL = (S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK)


@syscall
def mkdirat(task: Task, dfd: DirFd, pathname: PathArg, mode: Mode) -> int:
    """Make a directory. mkdirat(2).

    Errors: EEXIST, ENOENT, ENOTDIR, EACCES, EROFS, EPERM, and those of the path walk.
    """
    parent, dentry = filename_create(task, dfd, pathname, directory=True)
    vfs_mkdir(task, parent.inode, dentry, mode & ~task.fs.umask)
    return 0


@syscall
def mkdir(task: Task, pathname: PathArg, mode: Mode) -> int:
    """Make a directory. mkdir(2). Errors: see mkdirat."""
    return mkdirat(task, AT_FDCWD, pathname, mode)


@syscall
def mknodat(task: Task, dfd: DirFd, filename: PathArg, mode: Mode, dev: UInt) -> int:
    """Make a file of any type but directory and link. mknodat(2).

    Errors: EPERM (a directory, or a device without CAP_MKNOD), EINVAL (type), EEXIST and
    those of the path walk.
    """
    mode &= 0xFFFF
    kind = mode & S_IFMT
    if kind == S_IFDIR:
        raise EPERM
    if kind not in (0, S_IFREG, *_SPECIAL):
        raise EINVAL
    parent, dentry = filename_create(task, dfd, filename)
    mode = prepare_mode(task, parent.inode, mode)
    if kind in (0, S_IFREG):
        vfs_create(task, parent.inode, dentry, mode)
    else:
        rdev = dev if kind in (S_IFCHR, S_IFBLK) else 0
        vfs_mknod(task, parent.inode, dentry, mode, rdev)
    return 0


@syscall
def mknod(task: Task, filename: PathArg, mode: Mode, dev: UInt) -> int:
    """Make a file of any type but directory and link. mknod(2). Errors: see mknodat."""
    return mknodat(task, AT_FDCWD, filename, mode, dev)


def do_rmdir(task: Task, dfd: int, pathname: bytes) -> int:
    """Remove an empty directory; see rmdir."""
    parent = path_parentat(task, dfd, pathname)
    if parent.type != LAST_NORM:
        raise {LAST_DOTDOT: ENOTEMPTY, LAST_DOT: EINVAL}.get(parent.type, EBUSY)
    mnt_want_write(parent.mnt)
    dentry = lookup_one(task, parent.dentry, parent.last)
    if dentry.d_inode is None:
        raise ENOENT
    vfs_rmdir(task, parent.inode, dentry)
    return 0


def do_unlink(task: Task, dfd: int, pathname: bytes) -> int:
    """Remove a name; see unlink."""
    parent = path_parentat(task, dfd, pathname)
    if parent.type != LAST_NORM:
        raise EISDIR
    mnt_want_write(parent.mnt)
    dentry = lookup_one(task, parent.dentry, parent.last)
    inode = dentry.d_inode
    if inode is None:
        raise ENOENT
    if parent.trailing:
        raise EISDIR if inode.i_mode & S_IFMT == S_IFDIR else ENOTDIR
    vfs_unlink(task, parent.inode, dentry)
    return 0


@syscall
def rmdir(task: Task, pathname: PathArg) -> int:
    """Remove an empty directory. rmdir(2).

    Errors: ENOTEMPTY, EINVAL ("."), EBUSY (a mountpoint or "/"), ENOTDIR, ENOENT, EACCES,
    EPERM, EROFS.
    """
    return do_rmdir(task, AT_FDCWD, pathname)


@syscall
def unlink(task: Task, pathname: PathArg) -> int:
    """Remove a name. unlink(2).

    Errors: EISDIR, ENOENT, EACCES, EPERM (sticky directory), EBUSY, EROFS.
    """
    return do_unlink(task, AT_FDCWD, pathname)


@syscall
def unlinkat(task: Task, dfd: DirFd, pathname: PathArg, flag: Flags) -> int:
    """Remove a name or (AT_REMOVEDIR) an empty directory. unlinkat(2).

    Errors: EINVAL for other flags; see unlink and rmdir.
    """
    if flag & ~AT_REMOVEDIR:
        raise EINVAL
    if flag & AT_REMOVEDIR:
        return do_rmdir(task, dfd, pathname)
    return do_unlink(task, dfd, pathname)


@syscall
def symlinkat(task: Task, oldname: PathArg, newdfd: DirFd, newname: PathArg) -> int:
    """Make a symbolic link. symlinkat(2). Errors: ENOENT (empty text), EEXIST and others."""
    if not oldname:
        raise ENOENT
    parent, dentry = filename_create(task, newdfd, newname)
    vfs_symlink(task, parent.inode, dentry, oldname)
    return 0


@syscall
def symlink(task: Task, oldname: PathArg, newname: PathArg) -> int:
    """Make a symbolic link. symlink(2). Errors: see symlinkat."""
    return symlinkat(task, oldname, AT_FDCWD, newname)


@syscall
def linkat(
    task: Task, olddfd: DirFd, oldname: PathArg, newdfd: DirFd, newname: PathArg, flags: Flags
) -> int:
    """Give a file another name. linkat(2).

    Errors: EXDEV, EPERM (a directory), EEXIST, EMLINK, ENOENT, EINVAL and others.
    """
    if flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH):
        raise EINVAL
    how = LOOKUP_FOLLOW if flags & AT_SYMLINK_FOLLOW else 0
    if flags & AT_EMPTY_PATH:
        if not oldname and not _may_link_fd(task, olddfd):
            raise ENOENT
        how |= LOOKUP_EMPTY
    old = path_lookup(task, olddfd, oldname, how)
    parent, dentry = filename_create(task, newdfd, newname)
    if old.mnt is not parent.mnt:
        raise EXDEV
    may_linkat(task, old.inode)
    vfs_link(task, old.dentry, parent.inode, dentry)
    return 0


def _may_link_fd(task: Task, fd: int) -> bool:
    """AT_EMPTY_PATH names a file without a path: by its opener, or with the capability."""
    file = task.files.fd.get(fd)
    if task.cred.capable(CAP_DAC_READ_SEARCH):
        return True
    return file is not None and file.f_cred is task.cred


@syscall
def link(task: Task, oldname: PathArg, newname: PathArg) -> int:
    """Give a file another name. link(2). Errors: see linkat."""
    return linkat(task, AT_FDCWD, oldname, AT_FDCWD, newname, 0)


@syscall
def renameat2(
    task: Task, olddfd: DirFd, oldname: PathArg, newdfd: DirFd, newname: PathArg, flags: UInt
) -> int:
    """Rename a file, optionally without replacing, or exchange two. renameat2(2).

    Errors: EXDEV, EINVAL (into itself; flags), ENOTEMPTY, EISDIR, ENOTDIR, EEXIST, EBUSY,
    ENOENT, EACCES, EPERM, EROFS.
    """
    if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT):
        raise EINVAL
    if flags & RENAME_EXCHANGE and flags & (RENAME_NOREPLACE | RENAME_WHITEOUT):
        raise EINVAL
    old = path_parentat(task, olddfd, oldname)
    new = path_parentat(task, newdfd, newname)
    if old.mnt is not new.mnt:
        raise EXDEV
    if old.type != LAST_NORM:
        raise EBUSY
    if new.type != LAST_NORM:
        raise EEXIST if flags & RENAME_NOREPLACE else EBUSY
    mnt_want_write(old.mnt)
    source = lookup_one(task, old.dentry, old.last)
    target = lookup_one(task, new.dentry, new.last)
    check_rename(old, new, source, target, flags)
    vfs_rename(task, old.inode, source, new.inode, target, flags)
    return 0


@syscall
def renameat(task: Task, olddfd: DirFd, oldname: PathArg, newdfd: DirFd, newname: PathArg) -> int:
    """Rename a file. renameat(2). Errors: see renameat2."""
    return renameat2(task, olddfd, oldname, newdfd, newname, 0)


@syscall
def rename(task: Task, oldname: PathArg, newname: PathArg) -> int:
    """Rename a file. rename(2). Errors: see renameat2."""
    return renameat2(task, AT_FDCWD, oldname, AT_FDCWD, newname, 0)


def _real_cred(cred: Cred) -> Cred:
    """The credentials access(2) asks with: the real ids and what they would be able to."""
    caps = cred.cap_effective
    if not cred.securebits & SECBIT_NO_SETUID_FIXUP:
        caps = cred.cap_permitted if cred.uid == root_kuid(cred.user_ns) else 0
    if cred.fsuid == cred.uid and cred.fsgid == cred.gid and caps == cred.cap_effective:
        return cred
    return Cred(
        cred.uid, cred.gid, cred.euid, cred.egid, cred.suid, cred.sgid, cred.uid, cred.gid,
        cred.groups, cred.cap_inheritable, cred.cap_permitted, caps, cred.cap_bset,
        cred.cap_ambient, cred.securebits, cred.user_ns,
    )  # fmt: skip


def _check_access(task: Task, path: Path, mode: int) -> None:
    inode = path.inode
    kind = inode.i_mode & S_IFMT
    if mode & MAY_EXEC and kind == S_IFREG and path_noexec(path):
        raise EACCES
    if mode:
        inode_permission(task, inode, mode)
    if mode & MAY_WRITE and kind not in _SPECIAL and mnt_readonly(path.mnt):
        raise EROFS


@syscall
def faccessat2(task: Task, dfd: DirFd, filename: PathArg, mode: Int, flags: Flags) -> int:
    """May the file be read, written, executed (by the real ids unless AT_EACCESS)? faccessat2(2).

    Errors: EACCES, EROFS, EINVAL, and those of the path walk.
    """
    if mode & ~7 or flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise EINVAL
    how = 0 if flags & AT_SYMLINK_NOFOLLOW else LOOKUP_FOLLOW
    if flags & AT_EMPTY_PATH:
        how |= LOOKUP_EMPTY
    own = task.cred
    asking = own if flags & AT_EACCESS else _real_cred(own)
    if asking is own:
        if not filename:
            _check_access(task, path_lookup(task, dfd, filename, how), mode)
            return 0
        mnt, dentry = walk_name(task, dfd, filename, how & LOOKUP_FOLLOW != 0, True)
        if dentry.d_inode is None:
            return -ENOENT.errno
        if mode:
            _check_access(task, Path(mnt, dentry), mode)
        return 0
    task.cred = asking
    try:
        _check_access(task, path_lookup(task, dfd, filename, how), mode)
    finally:
        task.cred = own
    return 0


@syscall
def faccessat(task: Task, dfd: DirFd, filename: PathArg, mode: Int) -> int:
    """May the file be used by the real ids? faccessat(2). Errors: see faccessat2."""
    return faccessat2(task, dfd, filename, mode, 0)


@syscall
def access(task: Task, filename: PathArg, mode: Int) -> int:
    """May the file be used by the real ids? access(2). Errors: see faccessat2."""
    return faccessat2(task, AT_FDCWD, filename, mode, 0)


@syscall
def readlinkat(task: Task, dfd: DirFd, pathname: PathArg, buf: UserAddr, bufsiz: Int) -> int:
    """The text of a symbolic link; an empty path means the O_PATH descriptor. readlinkat(2).

    Errors: EINVAL (no link, or no room), ENOENT (an empty path of something else), EFAULT.
    """
    if bufsiz <= 0:
        raise EINVAL
    path = path_lookup(task, dfd, pathname, LOOKUP_EMPTY)
    inode = path.inode
    if inode.i_mode & S_IFMT != S_IFLNK:
        return -EINVAL.errno if pathname else -ENOENT.errno  # what realpath(3) mostly gets
    touch_atime(path.mnt, inode)
    text = inode.i_link
    if text is None:
        text = inode.i_op.readlink(task, inode)
    assert task.mm is not None
    text = text[:bufsiz]
    task.mm.write(buf, text)
    return len(text)


@syscall
def readlink(task: Task, pathname: PathArg, buf: UserAddr, bufsiz: Int) -> int:
    """The text of a symbolic link. readlink(2). Errors: see readlinkat."""
    if bufsiz > 0 and not pathname:
        raise ENOENT
    return readlinkat(task, AT_FDCWD, pathname, buf, bufsiz)
