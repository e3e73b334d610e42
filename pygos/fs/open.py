# SPDX-License-Identifier: Apache-2.0
"""Opening files: open(2), openat2(2), creat(2), and the kernel's own opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.attr import do_truncate, get_write_access
from pygos.fs.char_dev import open_fops
from pygos.fs.file_table import (
    alloc_fd,
    alloc_file,
    discard_file,
    file_max_reached,
    fput,
    put_unused_fd,
)
from pygos.fs.inode import iput
from pygos.fs.namei import mnt_want_write, prepare_mode, vfs_create
from pygos.fs.open_plain import PLAIN, open_plain
from pygos.fs.permission import (
    inode_owner_or_capable,
    inode_permission,
    may_create_in_sticky,
)
from pygos.fs.walk import (
    LAST_NORM,
    LOOKUP_DIRECTORY,
    LOOKUP_FOLLOW,
    Parent,
    follow_last,
    follow_mounts,
    last_dots,
    lookup_one,
    nd_start,
    path_lookup,
    walk_parent,
    walk_resolved,
)
from pygos.include.errno import (
    E2BIG,
    EACCES,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    ENOENT,
    ENOTDIR,
    ENXIO,
    EPERM,
    ESTALE,
)
from pygos.include.linux.fs import (
    ATTR_CTIME,
    ATTR_MTIME,
    ATTR_OPEN,
    FILE_DEFAULT_OPS,
    FMODE_CREATED,
    FMODE_LSEEK,
    FMODE_PATH,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_READ,
    FMODE_WRITE,
    MAY_READ,
    MAY_WRITE,
    MNT_NODEV,
    S_APPEND,
    S_DEAD,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    S_LINKABLE,
    Dentry,
    File,
    Path,
)
from pygos.include.linux.syscalls import DirFd, Flags, Mode, PathArg, Size, UserAddr, syscall
from pygos.include.linux.wait import WouldSleep
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.fcntl import (
    AT_FDCWD,
    O_ACCMODE,
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_LARGEFILE,
    O_NOATIME,
    O_NOCTTY,
    O_NOFOLLOW,
    O_PATH,
    O_PATH_FLAGS,
    O_TMPFILE,
    O_TRUNC,
    O_WRONLY,
    RESOLVE_BENEATH,
    RESOLVE_CACHED,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    VALID_OPEN_FLAGS,
    OpenHow,
)
from pygos.include.uapi.stat import S_IALLUGO

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_POSITIONED = FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE
_TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY
#: Flags that don't stay in f_flags.
_TRANSIENT = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC
#: What MAY_* an access mode means; 3 is "read and write may be asked for by ioctl".
_ACC_MODE = (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE)
_RESOLVE_ALL = (
    RESOLVE_NO_XDEV
    | RESOLVE_NO_MAGICLINKS
    | RESOLVE_NO_SYMLINKS
    | RESOLVE_BENEATH
    | RESOLVE_IN_ROOT
    | RESOLVE_CACHED
)


# -- from a place to an open file


def may_open(task: Task, path: Path, acc_mode: int, flags: int) -> None:
    """May the place be opened? `acc_mode`: MAY_*. ELOOP, EISDIR, EACCES, EROFS, EPERM."""
    inode = path.inode
    kind = inode.i_mode & S_IFMT
    if kind == S_IFLNK:
        raise ELOOP
    if kind == S_IFDIR:
        if acc_mode & MAY_WRITE:
            raise EISDIR
    elif kind in (S_IFBLK, S_IFCHR) and (
        path.mnt.mnt_flags & MNT_NODEV or path.mnt.mnt_sb.s_user_ns is not None
    ):
        raise EACCES
    if acc_mode:
        inode_permission(task, inode, acc_mode)
    if inode.i_flags & S_APPEND and (
        (acc_mode & MAY_WRITE and not flags & O_APPEND) or flags & O_TRUNC
    ):
        raise EPERM
    if flags & O_NOATIME and not inode_owner_or_capable(task, inode):
        raise EPERM


def _do_open(task: Task, file: File) -> File:
    """Let the file's operations open it; called again if that sleeps (FIFOs).

    While it sleeps the file isn't accounted for, so that nothing leaks if the task is killed.
    """
    inode = file.f_inode
    try:
        file.f_op.open(task, inode, file)
    except WouldSleep:
        discard_file(file)
        _remember(task, file)
        raise
    except BaseException:
        discard_file(file)
        raise
    if task.machine.fsnotify is not None:
        from pygos.fs.notify.fsnotify import opened

        opened(file)
    return file


def _remember(task: Task, file: File) -> None:
    """The sleeper's own record carries the file to the next invocation."""
    opener = task.restart
    if opener is not None and hasattr(opener, "file"):
        opener.file = file


def _resume_open(task: Task) -> File | None:
    """The file whose open slept, accounted for again."""
    file: File | None = getattr(task.restart, "file", None)
    if file is None:
        return None
    inode = file.f_inode
    inode.i_sb.machine.nr_files += 1
    inode.i_count += 1
    file.f_op = open_fops(inode)
    return _do_open(task, file)


def dentry_open(task: Task, path: Path, flags: int) -> File:
    """Open a place without any permission check. Errors: ENXIO, ENFILE, ETXTBSY, ELOOP."""
    inode = path.inode
    kept = flags & ~_TRANSIENT | O_LARGEFILE
    if flags & O_PATH:
        kept = flags & O_PATH_FLAGS & ~O_CLOEXEC
        return alloc_file(path, inode, kept, FMODE_PATH, task.cred, FILE_DEFAULT_OPS)
    kept &= ~O_CLOEXEC
    mode = (flags + 1) & (FMODE_READ | FMODE_WRITE) | _POSITIONED
    kind = inode.i_mode & S_IFMT
    if kind in (S_IFREG, S_IFDIR):
        file = alloc_file(path, inode, kept, mode, task.cred)
        if flags & O_TRUNC:  # while it is opened only: overlayfs needn't copy what goes
            file.f_flags |= O_TRUNC
            _do_open(task, file)
            file.f_flags &= ~O_TRUNC
            return file
    elif kind == S_IFSOCK:
        raise ENXIO
    else:
        if kind == S_IFCHR:
            kept |= flags & O_NOCTTY  # terminals want to know; fs/char_dev.py clears it
        file = alloc_file(path, inode, kept, mode, task.cred, open_fops(inode))
        if kind not in (S_IFCHR, S_IFBLK):
            file.f_mode &= ~_POSITIONED
    return _do_open(task, file)


def _finish_open(task: Task, path: Path, flags: int, created: bool) -> File:
    """Check and open what the walk has found."""
    inode = path.inode
    kind = inode.i_mode & S_IFMT
    if flags & O_CREAT:
        if flags & O_EXCL and not created:
            raise EEXIST
        if kind == S_IFDIR:
            raise EISDIR
    if flags & O_DIRECTORY and kind != S_IFDIR:
        raise ENOTDIR
    if flags & O_PATH:
        return dentry_open(task, path, flags)
    truncate = False
    acc_mode = _ACC_MODE[flags & O_ACCMODE]
    if flags & O_TRUNC:
        acc_mode |= MAY_WRITE
    if created:
        flags &= ~O_TRUNC
        acc_mode = 0
    elif kind == S_IFREG:
        truncate = flags & O_TRUNC != 0
        if acc_mode & MAY_WRITE:
            mnt_want_write(path.mnt)
    may_open(task, path, acc_mode, flags)
    file = dentry_open(task, path, flags)
    if created:
        file.f_mode |= FMODE_CREATED
    if truncate:
        try:
            get_write_access(path.inode)
            do_truncate(task, path.dentry, 0, ATTR_MTIME | ATTR_CTIME | ATTR_OPEN)
        except BaseException:
            fput(file)
            raise
    return file


# -- from a name to a place


def _open_create(task: Task, dirfd: int, name: bytes, flags: int, mode: int, resolve: int) -> File:
    """open() with O_CREAT: walk to the directory, then the last component by hand."""
    if not name:
        raise ENOENT
    nd, start = nd_start(task, dirfd, name, resolve)
    at: Parent | Path = walk_parent(task, nd, start, name)
    while isinstance(at, Parent):
        if at.type != LAST_NORM:
            return _finish_open(task, last_dots(task, nd, at), flags, False)
        if at.trailing:
            raise EISDIR
        dentry = lookup_one(task, at.dentry, at.last)
        if dentry.d_inode is None:
            _create(task, at, dentry, mode)
            return _finish_open(task, Path(at.mnt, dentry), flags, True)
        if flags & O_EXCL:
            raise EEXIST
        if dentry.d_inode.i_mode & S_IFMT == S_IFLNK and not flags & O_NOFOLLOW:
            at = follow_last(task, nd, at, dentry)
            continue
        may_create_in_sticky(task, at.inode, dentry.d_inode)
        mnt, dentry = follow_mounts(at.mnt, dentry)
        return _finish_open(task, Path(mnt, dentry), flags, False)
    return _finish_open(task, at, flags, False)


def _create(task: Task, parent: Parent, dentry: Dentry, mode: int) -> None:
    """Make the regular file that an open is to create."""
    mnt_want_write(parent.mnt)
    vfs_create(task, parent.inode, dentry, prepare_mode(task, parent.inode, mode & S_IALLUGO))


def _open_tmpfile(task: Task, directory: Path, flags: int, mode: int) -> File:
    """O_TMPFILE: a file without a name in `directory`. EOPNOTSUPP where the fs has none."""
    mnt_want_write(directory.mnt)
    dir = directory.inode
    inode_permission(task, dir, 3)
    if dir.i_flags & S_DEAD:
        raise ENOENT
    mode = prepare_mode(task, dir, mode & S_IALLUGO)
    inode = dir.i_op.tmpfile(task, dir, mode | S_IFREG)
    inode.i_nlink = 0
    dentry = Dentry(dir.i_sb, directory.dentry, b"#%d" % inode.i_ino)
    dentry.d_inode = inode
    dentry.d_unhashed = True
    if not flags & O_EXCL:
        inode.i_flags |= S_LINKABLE
    try:
        return dentry_open(task, Path(directory.mnt, dentry), flags)
    finally:
        iput(inode)


def do_filp_open(
    task: Task, dirfd: int, name: bytes, flags: int, mode: int = 0, resolve: int = 0
) -> File:
    """Open `name` relative to `dirfd` as open(2) does; `flags` as build_open_flags() left them.

    One reference is the caller's. May sleep (FIFOs). Errors: those of open(2).
    """
    try:
        return _path_openat(task, dirfd, name, flags, mode, resolve)
    except ESTALE:  # the file system found that a cached name was wrong; now it knows
        return _path_openat(task, dirfd, name, flags, mode, resolve)


def _path_openat(
    task: Task, dirfd: int, name: bytes, flags: int, mode: int, resolve: int
) -> File:
    """One try of do_filp_open()."""
    if task.restart is not None:
        file = _resume_open(task)
        if file is not None:
            return file
    machine = task.machine
    if machine.nr_files >= machine.file_max and not task.cred.capable(CAP_SYS_ADMIN):
        file_max_reached(machine)
    if flags & O_CREAT:
        return _open_create(task, dirfd, name, flags, mode, resolve)
    how = 0 if flags & O_NOFOLLOW else LOOKUP_FOLLOW
    if flags & O_DIRECTORY:
        how |= LOOKUP_DIRECTORY
    if resolve:
        path = walk_resolved(task, dirfd, name, how, resolve)
    else:
        path = path_lookup(task, dirfd, name, how)
    if flags & _TMPFILE_BIT:
        return _open_tmpfile(task, path, flags, mode)
    return _finish_open(task, path, flags, False)


def file_open_path(task: Task, path: Path, flags: int) -> File:
    """Open a place with the permission checks of open(2), without a walk."""
    return _finish_open(task, path, flags & ~(O_CREAT | O_EXCL), False)


def filp_open(task: Task, name: bytes, flags: int, mode: int = 0) -> File:
    """do_filp_open() from the task's own working directory and root."""
    return do_filp_open(task, AT_FDCWD, name, flags, mode)


# -- system calls


def build_open_flags(flags: int, mode: int, strict: bool) -> tuple[int, int]:
    """Normalise what the caller gave: (flags, mode). `strict`: openat2(2)'s rules. EINVAL."""
    if strict:
        if flags & ~VALID_OPEN_FLAGS or (mode & ~S_IALLUGO):
            raise EINVAL
        if mode and not (flags & O_CREAT or flags & O_TMPFILE == O_TMPFILE):
            raise EINVAL
        if flags & O_PATH and flags & ~O_PATH_FLAGS:
            raise EINVAL
    else:
        flags &= VALID_OPEN_FLAGS
        if flags & O_PATH:
            flags &= O_PATH_FLAGS
    if flags & (O_DIRECTORY | O_CREAT) == O_DIRECTORY | O_CREAT:
        raise EINVAL
    may_write = _ACC_MODE[flags & O_ACCMODE] & MAY_WRITE
    if flags & _TMPFILE_BIT and (flags & O_TMPFILE != O_TMPFILE or not may_write):
        raise EINVAL
    if flags & O_PATH:
        return flags, 0
    return flags | O_LARGEFILE, mode & S_IALLUGO


def do_sys_open(
    task: Task, dirfd: int, name: bytes, flags: int, mode: int, resolve: int = 0
) -> int:
    """Open and give it a descriptor, which is reserved first (EMFILE before any effect)."""
    files = task.files
    fd = alloc_fd(task, 0, flags & O_CLOEXEC != 0)
    try:
        files.fd[fd] = do_filp_open(task, dirfd, name, flags, mode, resolve)
    except BaseException:
        put_unused_fd(task, fd)
        raise
    return fd


def _open_place(task: Task, path: Path, flags: int) -> int:
    """do_sys_open() after the walk."""
    fd = alloc_fd(task, 0, flags & O_CLOEXEC != 0)
    try:
        task.files.fd[fd] = _finish_open(task, path, flags, False)
    except BaseException:
        put_unused_fd(task, fd)
        raise
    return fd


@syscall
def openat(task: Task, dfd: DirFd, filename: PathArg, flags: Flags, mode: Mode) -> int:
    """Open or make a file. openat(2).

    Errors: EACCES, EEXIST, EINVAL, EISDIR, ELOOP, EMFILE, ENAMETOOLONG, ENFILE, ENOENT,
    ENOTDIR, ENXIO, EPERM (O_NOATIME), EROFS, ETXTBSY, EOPNOTSUPP (O_TMPFILE), EINTR (FIFO).
    """
    found: int | Path | None = None
    if not flags & ~PLAIN and task.restart is None:
        try:
            found = open_plain(task, dfd, filename, flags)
        except ESTALE:
            found = None
        if type(found) is int:
            return found
    flags, mode = build_open_flags(flags, mode, False)
    if isinstance(found, Path):
        return _open_place(task, found, flags)
    return do_sys_open(task, dfd, filename, flags, mode)


@syscall(name="open")
def open_(task: Task, filename: PathArg, flags: Flags, mode: Mode) -> int:
    """Open or make a file. open(2). Errors: see openat."""
    return openat(task, AT_FDCWD, filename, flags, mode)


@syscall
def creat(task: Task, pathname: PathArg, mode: Mode) -> int:
    """open() with O_CREAT | O_WRONLY | O_TRUNC. creat(2). Errors: see openat."""
    flags, mode = build_open_flags(O_CREAT | O_WRONLY | O_TRUNC, mode, False)
    return do_sys_open(task, AT_FDCWD, pathname, flags, mode)


def copy_struct_from_user(task: Task, addr: int, size: int, known: int, limit: int) -> bytes:
    """A versioned struct: shorter ones are filled up with zeros, longer ones must be zero
    beyond what we know. Errors: EFAULT, E2BIG."""
    if size > limit:
        raise E2BIG
    assert task.mm is not None
    data = task.mm.read(addr, size)
    if any(data[known:]):
        raise E2BIG
    return data[:known].ljust(known, b"\0")


@syscall
def openat2(task: Task, dfd: DirFd, filename: PathArg, how: UserAddr, usize: Size) -> int:
    """Open with restrictions on the path walk. openat2(2).

    Errors: EINVAL (size, unknown flags or resolve bits), E2BIG, EXDEV, ELOOP, EAGAIN
    (RESOLVE_CACHED), and those of openat.
    """
    if usize < OpenHow.SIZE:
        raise EINVAL
    data = copy_struct_from_user(task, how, usize, OpenHow.SIZE, 4096)
    request = OpenHow.from_bytes(data)
    resolve = request.resolve
    if resolve & ~_RESOLVE_ALL:
        raise EINVAL
    if resolve & RESOLVE_BENEATH and resolve & RESOLVE_IN_ROOT:
        raise EINVAL
    if resolve & RESOLVE_CACHED and request.flags & (O_TRUNC | O_CREAT | _TMPFILE_BIT):
        raise EINVAL
    flags, mode = build_open_flags(request.flags, request.mode, True)
    return do_sys_open(task, dfd, filename, flags, mode, resolve)
