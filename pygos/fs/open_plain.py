# SPDX-License-Identifier: Apache-2.0
"""open(2) of a file or directory that is there, for reading: what nearly all opens are.

The same steps as fs/open.py takes, in the same order, but for those that such an open has no
use for. What turns out to be anything else (a device, a FIFO, a link that isn't followed, too
many files) is left to fs/open.py, from the place that the walk has found on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.file_table import discard_file, put_unused_fd
from pygos.fs.permission import inode_permission
from pygos.fs.walk import walk_name
from pygos.include.errno import EMFILE, ENOENT, ENOTDIR
from pygos.include.linux.fs import (
    FMODE_LSEEK,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_READ,
    MAY_READ,
    S_IFDIR,
    S_IFMT,
    S_IFREG,
    File,
    Path,
)
from pygos.include.uapi.fcntl import (
    O_CLOEXEC,
    O_DIRECTORY,
    O_LARGEFILE,
    O_NOCTTY,
    O_NOFOLLOW,
    O_NONBLOCK,
)
from pygos.include.uapi.resource import RLIMIT_NOFILE

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: An open with no other flags is for this module, unless it is invoked again after a sleep.
PLAIN: Final = O_CLOEXEC | O_DIRECTORY | O_LARGEFILE | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK
_TRANSIENT: Final = O_CLOEXEC | O_NOCTTY
_MODE: Final = FMODE_READ | FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE
_ALL_R: Final = 0o444


def open_plain(task: Task, dirfd: int, name: bytes, flags: int) -> int | Path | None:
    """The new descriptor, or -ENOENT; the place of what is not for here, or None, and nothing
    was done.

    Errors: ESTALE (to be tried again as fs/open.py does it), EMFILE, ENOENT (an empty name),
    ENOTDIR, EACCES, those of the path walk and of the file system.
    """
    files = task.files
    table = files.fd
    fd = files.next_fd
    while fd in table:
        fd += 1
    if fd >= task.group.rlim[RLIMIT_NOFILE][0]:
        raise EMFILE
    machine = task.machine
    if machine.nr_files >= machine.file_max:
        return None
    if not name:
        raise ENOENT
    mnt, dentry = walk_name(task, dirfd, name, not flags & O_NOFOLLOW, True)
    inode = dentry.d_inode
    if inode is None:
        return -ENOENT.errno
    mode = inode.i_mode
    kind = mode & S_IFMT
    if kind != S_IFDIR:
        if kind != S_IFREG:
            return Path(mnt, dentry)
        if flags & O_DIRECTORY:
            raise ENOTDIR
    if mode & _ALL_R != _ALL_R or inode.i_op.has_permission:
        inode_permission(task, inode, MAY_READ)
    kept = flags & ~_TRANSIENT | O_LARGEFILE
    file = File(Path(mnt, dentry), inode, kept, _MODE, task.cred)
    machine.nr_files += 1
    inode.i_count += 1
    files.next_fd = fd + 1
    if flags & O_CLOEXEC:
        files.close_on_exec.add(fd)
    if file.f_op.has_open:
        _let_open(task, fd, file)
    table[fd] = file
    if machine.fsnotify is not None:
        from pygos.fs.notify.fsnotify import opened

        opened(file)
    return fd


def _let_open(task: Task, fd: int, file: File) -> None:
    """The file's own open(), with the descriptor reserved."""
    task.files.fd[fd] = None  # type: ignore[assignment]
    try:
        file.f_op.open(task, file.f_inode, file)
    except BaseException:
        discard_file(file)
        put_unused_fd(task, fd)
        raise
