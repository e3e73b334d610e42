# SPDX-License-Identifier: Apache-2.0
"""Extended attributes: xattr(7), setxattr(2) and its many kin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.open import copy_struct_from_user
from pygos.fs.permission import inode_owner_or_capable, inode_permission, mnt_want_write
from pygos.fs.stat import stat_target
from pygos.fs.walk import LOOKUP_FOLLOW, path_lookup
from pygos.include.errno import (
    E2BIG,
    EINVAL,
    ENAMETOOLONG,
    ENODATA,
    EPERM,
    ERANGE,
)
from pygos.include.linux.fs import (
    MAY_READ,
    MAY_WRITE,
    S_APPEND,
    S_IFDIR,
    S_IFMT,
    S_IFREG,
    S_IMMUTABLE,
    Inode,
    Path,
)
from pygos.include.linux.syscalls import (
    DirFd,
    FileArg,
    Flags,
    PathArg,
    PathOrNull,
    Size,
    UInt,
    UserAddr,
    UserIn,
    UserOut,
    syscall,
)
from pygos.include.uapi.capability import CAP_SETFCAP, CAP_SYS_ADMIN
from pygos.include.uapi.fcntl import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW
from pygos.include.uapi.stat import S_ISVTX
from pygos.include.uapi.xattr import (
    XATTR_CREATE,
    XATTR_LIST_MAX,
    XATTR_NAME_CAPS,
    XATTR_NAME_MAX,
    XATTR_REPLACE,
    XATTR_SECURITY_PREFIX,
    XATTR_SIZE_MAX,
    XATTR_SYSTEM_PREFIX,
    XATTR_TRUSTED_PREFIX,
    XATTR_USER_PREFIX,
    XattrArgs,
)
from pygos.mm.uaccess import UserBuffer

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task


# -- permissions and the operations


def xattr_permission(task: Task, inode: Inode, name: bytes, mask: int) -> None:
    """May the attribute be read (MAY_READ) or changed? EPERM, ENODATA, EACCES."""
    write = mask & MAY_WRITE
    if write and inode.i_flags & (S_IMMUTABLE | S_APPEND):
        raise EPERM
    if name.startswith(XATTR_SECURITY_PREFIX):
        if write:
            cred = task.cred
            if name == XATTR_NAME_CAPS:
                may = cred.inode_capable(inode, CAP_SETFCAP)
            else:
                may = cred.ns_capable(inode.i_sb.s_user_ns, CAP_SYS_ADMIN)
            if not may:
                raise EPERM
        return
    if name.startswith(XATTR_SYSTEM_PREFIX):
        return
    if name.startswith(XATTR_TRUSTED_PREFIX):
        if not task.cred.capable(CAP_SYS_ADMIN):
            raise EPERM if write else ENODATA
        return
    if name.startswith(XATTR_USER_PREFIX):
        kind = inode.i_mode & S_IFMT
        if kind not in (S_IFREG, S_IFDIR):
            raise EPERM if write else ENODATA
        if (
            kind == S_IFDIR
            and inode.i_mode & S_ISVTX
            and write
            and not inode_owner_or_capable(task, inode)
        ):
            raise EPERM
    inode_permission(task, inode, mask)


def _check_name(name: bytes) -> None:
    try:
        size = len(name)
    except ENAMETOOLONG:
        raise ERANGE from None
    if not 0 < size <= XATTR_NAME_MAX:
        raise ERANGE


def setxattr_copy(name: bytes, value: IoBuffer, flags: int) -> bytes:
    """The new value, after all checks that come before the path: EINVAL, ERANGE, E2BIG."""
    if flags & ~(XATTR_CREATE | XATTR_REPLACE):
        raise EINVAL
    _check_name(name)
    size = value.length
    if size > XATTR_SIZE_MAX:
        raise E2BIG
    return value.take(size)


def _tell(task: Task, path: Path) -> None:
    """Those who watch the file are told."""
    if task.machine.fsnotify is not None:
        from pygos.fs.notify.fsnotify import xattr_changed

        xattr_changed(path.dentry)


def do_setxattr(task: Task, path: Path, name: bytes, data: bytes, flags: int) -> int:
    """Set an attribute. Errors: EROFS, EPERM, the fs's."""
    mnt_want_write(path.mnt)
    inode = path.inode
    if name == XATTR_NAME_CAPS:
        from pygos.fs.nscap import convert_nscap

        data = convert_nscap(task, inode, data)
    xattr_permission(task, inode, name, MAY_WRITE)
    inode.i_op.setxattr(task, inode, name, data, flags)
    _tell(task, path)
    return 0


def do_getxattr(task: Task, inode: Inode, name: bytes, value: IoBuffer) -> int:
    """Get an attribute; with no room its size. Errors: ERANGE, ENODATA, EOPNOTSUPP."""
    xattr_permission(task, inode, name, MAY_READ)
    data = inode.i_op.getxattr(task, inode, name)
    if name == XATTR_NAME_CAPS:
        from pygos.fs.nscap import show_nscap

        data = show_nscap(task, inode, data)
    if value.length:
        if len(data) > value.length:
            raise ERANGE
        value.put(data)
    return len(data)


def do_listxattr(task: Task, inode: Inode, out: IoBuffer) -> int:
    """The names, each with a NUL; with no room their size. Errors: ERANGE, E2BIG."""
    names = inode.i_op.listxattr(task, inode)
    if not task.cred.capable(CAP_SYS_ADMIN):
        names = [name for name in names if not name.startswith(XATTR_TRUSTED_PREFIX)]
    data = b"".join([name + b"\0" for name in names])
    if len(data) > XATTR_LIST_MAX:
        raise E2BIG
    if out.length:
        if len(data) > out.length:
            raise ERANGE
        out.put(data)
    return len(data)


def do_removexattr(task: Task, path: Path, name: bytes) -> int:
    """Remove an attribute. Errors: EROFS, EPERM, ENODATA, EOPNOTSUPP."""
    mnt_want_write(path.mnt)
    inode = path.inode
    xattr_permission(task, inode, name, MAY_WRITE)
    inode.i_op.removexattr(task, inode, name)
    _tell(task, path)
    return 0


def _at(task: Task, pathname: bytes, follow: bool = True) -> Path:
    return path_lookup(task, AT_FDCWD, pathname, LOOKUP_FOLLOW if follow else 0)


# -- system calls


@syscall
def setxattr(task: Task, pathname: PathArg, name: PathArg, value: UserIn, flags: Flags) -> int:
    """Set an extended attribute. setxattr(2).

    Errors: EINVAL, ERANGE, E2BIG, EEXIST, ENODATA, ENOSPC, EOPNOTSUPP, EPERM, EROFS.
    """
    data = setxattr_copy(name, value, flags)
    return do_setxattr(task, _at(task, pathname), name, data, flags)


@syscall
def lsetxattr(task: Task, pathname: PathArg, name: PathArg, value: UserIn, flags: Flags) -> int:
    """Set an extended attribute, of a link itself. lsetxattr(2). Errors: see setxattr."""
    data = setxattr_copy(name, value, flags)
    return do_setxattr(task, _at(task, pathname, False), name, data, flags)


@syscall
def fsetxattr(task: Task, file: FileArg, name: PathArg, value: UserIn, flags: Flags) -> int:
    """Set an extended attribute of an open file. fsetxattr(2). Errors: see setxattr."""
    data = setxattr_copy(name, value, flags)
    return do_setxattr(task, file.f_path, name, data, flags)


@syscall
def getxattr(task: Task, pathname: PathArg, name: PathArg, value: UserOut) -> int:
    """Get an extended attribute. getxattr(2). Errors: ENODATA, ERANGE, EOPNOTSUPP, EACCES."""
    _check_name(name)
    return do_getxattr(task, _at(task, pathname).inode, name, value)


@syscall
def lgetxattr(task: Task, pathname: PathArg, name: PathArg, value: UserOut) -> int:
    """Get an extended attribute, of a link itself. lgetxattr(2). Errors: see getxattr."""
    _check_name(name)
    return do_getxattr(task, _at(task, pathname, False).inode, name, value)


@syscall
def fgetxattr(task: Task, file: FileArg, name: PathArg, value: UserOut) -> int:
    """Get an extended attribute of an open file. fgetxattr(2). Errors: see getxattr."""
    _check_name(name)
    return do_getxattr(task, file.f_inode, name, value)


@syscall
def listxattr(task: Task, pathname: PathArg, names: UserOut) -> int:
    """List extended attributes. listxattr(2). Errors: ERANGE, E2BIG, those of the walk."""
    return do_listxattr(task, _at(task, pathname).inode, names)


@syscall
def llistxattr(task: Task, pathname: PathArg, names: UserOut) -> int:
    """List extended attributes, of a link itself. llistxattr(2). Errors: see listxattr."""
    return do_listxattr(task, _at(task, pathname, False).inode, names)


@syscall
def flistxattr(task: Task, file: FileArg, names: UserOut) -> int:
    """List extended attributes of an open file. flistxattr(2). Errors: see listxattr."""
    return do_listxattr(task, file.f_inode, names)


@syscall
def removexattr(task: Task, pathname: PathArg, name: PathArg) -> int:
    """Remove an extended attribute. removexattr(2). Errors: ENODATA, EOPNOTSUPP, EPERM."""
    _check_name(name)
    return do_removexattr(task, _at(task, pathname), name)


@syscall
def lremovexattr(task: Task, pathname: PathArg, name: PathArg) -> int:
    """Remove an extended attribute, of a link itself. lremovexattr(2). Errors: see above."""
    _check_name(name)
    return do_removexattr(task, _at(task, pathname, False), name)


@syscall
def fremovexattr(task: Task, file: FileArg, name: PathArg) -> int:
    """Remove an extended attribute of an open file. fremovexattr(2). Errors: see above."""
    _check_name(name)
    return do_removexattr(task, file.f_path, name)


# -- relative to a directory


def _where(task: Task, dfd: int, pathname: bytes | None, flags: int) -> tuple[Path, Inode]:
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise EINVAL
    return stat_target(task, dfd, pathname, flags)


def _xattr_args(task: Task, uargs: int, usize: int) -> tuple[UserBuffer, int]:
    """struct xattr_args: the buffer it names, and its flags. EINVAL, E2BIG, EFAULT."""
    if usize < XattrArgs.SIZE:
        raise EINVAL
    args = XattrArgs.from_bytes(copy_struct_from_user(task, uargs, usize, XattrArgs.SIZE, 4096))
    assert task.mm is not None
    return UserBuffer(task.mm, args.value, args.size), args.flags


@syscall
def setxattrat(
    task: Task,
    dfd: DirFd,
    pathname: PathOrNull,
    at_flags: UInt,
    name: PathArg,
    uargs: UserAddr,
    usize: Size,
) -> int:
    """Set an extended attribute, relative to a directory. setxattrat(2). Errors: see setxattr."""
    value, flags = _xattr_args(task, uargs, usize)
    path, _ = _where(task, dfd, pathname, at_flags)
    data = setxattr_copy(name, value, flags)
    return do_setxattr(task, path, name, data, flags)


@syscall
def getxattrat(
    task: Task,
    dfd: DirFd,
    pathname: PathOrNull,
    at_flags: UInt,
    name: PathArg,
    uargs: UserAddr,
    usize: Size,
) -> int:
    """Get an extended attribute, relative to a directory. getxattrat(2). Errors: see getxattr."""
    value, flags = _xattr_args(task, uargs, usize)
    if flags:
        raise EINVAL
    _check_name(name)
    return do_getxattr(task, _where(task, dfd, pathname, at_flags)[1], name, value)


@syscall
def listxattrat(
    task: Task, dfd: DirFd, pathname: PathOrNull, at_flags: UInt, names: UserOut
) -> int:
    """List extended attributes, relative to a directory. listxattrat(2). Errors: see listxattr."""
    return do_listxattr(task, _where(task, dfd, pathname, at_flags)[1], names)


@syscall
def removexattrat(
    task: Task, dfd: DirFd, pathname: PathOrNull, at_flags: UInt, name: PathArg
) -> int:
    """Remove an extended attribute, relative to a directory. removexattrat(2)."""
    _check_name(name)
    return do_removexattr(task, _where(task, dfd, pathname, at_flags)[0], name)
