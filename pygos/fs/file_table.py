# SPDX-License-Identifier: Apache-2.0
"""Open files and descriptor tables: making, referencing, releasing, numbering.

A File is counted by its descriptors, mappings and kernel users; the last fput() releases it.
``files.fd[n] is None`` means that n is reserved by alloc_fd() and not installed yet; only the
handler that reserved it sees that state, as handlers run to their end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from pygos.fs.inode import iput
from pygos.include.errno import EBADF, EINVAL, EMFILE, ENFILE, ETXTBSY
from pygos.include.linux.fs import (
    FMODE_PATH,
    FMODE_WRITE,
    S_IFMT,
    S_IFREG,
    File,
    FileOperations,
    FilesStruct,
    Inode,
    Path,
)
from pygos.include.linux.syscalls import Fd, Flags, RawFileArg, UInt, syscall
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.fcntl import FASYNC, O_CLOEXEC
from pygos.include.uapi.fs import CLOSE_RANGE_CLOEXEC, CLOSE_RANGE_UNSHARE
from pygos.include.uapi.resource import RLIMIT_NOFILE

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task


# -- files


#: In machine.misc: the limit that was reached and told of.
_FILE_MAX: Final = "file_max_told"


def file_max_reached(machine: Machine) -> NoReturn:
    """Too many files are open in the machine: ENFILE; the log says so once for each limit."""
    if machine.misc.get(_FILE_MAX) != machine.file_max:
        machine.misc[_FILE_MAX] = machine.file_max
        machine.printk.info(f"VFS: file-max limit {machine.file_max} reached")
    raise ENFILE


def alloc_file(
    path: Path, inode: Inode, flags: int, mode: int, cred: Cred, fop: FileOperations | None = None
) -> File:
    """A new open file with one reference; it takes its own reference on `inode`.

    `flags`: O_*, `mode`: FMODE_*; `fop` defaults to the inode's. A regular file open for
    writing counts in i_writecount. Errors: ENFILE; ETXTBSY (being executed).
    """
    machine = inode.i_sb.machine
    if machine.nr_files >= machine.file_max and not cred.capable(CAP_SYS_ADMIN):
        file_max_reached(machine)
    if mode & FMODE_WRITE and inode.i_mode & S_IFMT == S_IFREG:
        if inode.i_writecount < 0:
            raise ETXTBSY
        inode.i_writecount += 1
    machine.nr_files += 1
    inode.i_count += 1
    file = File(path, inode, flags, mode, cred)
    if fop is not None:
        file.f_op = fop
    return file


def fget(file: File) -> File:
    """One more reference."""
    file.f_count += 1
    return file


def fput(file: File) -> None:
    """One reference less; the last one releases the file."""
    file.f_count -= 1
    if file.f_count <= 0:
        _fput_final(file)


def _fput_final(file: File) -> None:
    """Watchers, locks, the file system's release(), write count, inode: in Linux's order."""
    inode = file.f_inode
    told = inode.i_sb.machine.fsnotify is not None
    if told:
        from pygos.fs.notify import fsnotify

        fsnotify.closed(file)
    if file.f_ep is not None:
        from pygos.fs.eventpoll import eventpoll_release

        eventpoll_release(file)
    if file.f_flags & FASYNC:
        from pygos.fs.fasync import fasync_release

        fasync_release(file)
    if inode.i_flock is not None:
        from pygos.fs.locks import locks_remove_file

        locks_remove_file(file)
    file.f_op.release(file)
    discard_file(file)
    if told and inode.i_nlink <= 0:
        fsnotify.inode_gone(inode)


def discard_file(file: File) -> None:
    """Undo alloc_file() and the write count, without release()."""
    inode = file.f_inode
    if file.f_mode & FMODE_WRITE and inode.i_mode & S_IFMT == S_IFREG:
        inode.i_writecount -= 1
    inode.i_sb.machine.nr_files -= 1
    iput(inode)


def filp_close(task: Task, file: File, files: FilesStruct) -> None:
    """A descriptor of `file` in `files` is gone: flush, POSIX locks, reference."""
    if not file.f_mode & FMODE_PATH:
        inode = file.f_inode
        try:
            file.f_op.flush(task, file)
        finally:
            if inode.i_flock is not None:
                from pygos.fs.locks import locks_remove_posix

                locks_remove_posix(file, files)
            fput(file)
    else:
        fput(file)


# -- descriptors


def get_file(task: Task, fd: int) -> File:
    """The open file of a descriptor, without a new reference. EBADF (for O_PATH too)."""
    file = task.files.fd.get(fd)
    if file is None or file.f_mode & FMODE_PATH:
        raise EBADF
    return file


def get_file_raw(task: Task, fd: int) -> File:
    """As get_file(), but O_PATH descriptors are welcome."""
    file = task.files.fd.get(fd)
    if file is None:
        raise EBADF
    return file


def alloc_fd(task: Task, start: int = 0, cloexec: bool = False) -> int:
    """Reserve the lowest free descriptor from `start` on. EMFILE at RLIMIT_NOFILE."""
    files = task.files
    table = files.fd
    fd = next_fd = files.next_fd
    if start > fd:
        fd = start
    while fd in table:
        fd += 1
    if fd >= task.group.rlim[RLIMIT_NOFILE][0]:
        raise EMFILE
    if start <= next_fd:
        files.next_fd = fd + 1
    table[fd] = None  # type: ignore[assignment]
    if cloexec:
        files.close_on_exec.add(fd)
    return fd


def fd_install(task: Task, fd: int, file: File) -> None:
    """Give a reserved descriptor its file; the caller's reference goes with it."""
    task.files.fd[fd] = file


def put_unused_fd(task: Task, fd: int) -> None:
    """Give a reserved descriptor back."""
    _free_fd(task.files, fd)


def get_unused_fd_flags(task: Task, flags: int) -> int:
    """Reserve a descriptor; `flags` may have O_CLOEXEC."""
    return alloc_fd(task, 0, flags & O_CLOEXEC != 0)


def _free_fd(files: FilesStruct, fd: int) -> File | None:
    file = files.fd.pop(fd)
    files.close_on_exec.discard(fd)
    if fd < files.next_fd:
        files.next_fd = fd
    return file


def close_fd(task: Task, fd: int) -> None:
    """Close a descriptor. Errors: EBADF; what flush() raises."""
    files = task.files
    if files.fd.get(fd) is None:
        raise EBADF
    file = _free_fd(files, fd)
    assert file is not None
    filp_close(task, file, files)


def replace_fd(task: Task, fd: int, file: File, cloexec: bool) -> None:
    """Make `fd` another descriptor of `file` (dup2), closing what it was."""
    files = task.files
    old = files.fd.get(fd)
    file.f_count += 1
    files.fd[fd] = file
    if cloexec:
        files.close_on_exec.add(fd)
    else:
        files.close_on_exec.discard(fd)
    if old is not None:
        filp_close(task, old, files)


def dup_files(files: FilesStruct) -> FilesStruct:
    """A copy of a table for fork(2), each file with one more reference."""
    new = FilesStruct()
    new.fd = dict(files.fd)
    new.close_on_exec = set(files.close_on_exec)
    new.next_fd = files.next_fd
    if None in new.fd.values():
        # Another user of the table is in the middle of opening something.
        items = files.fd.items()
        new.fd = {fd: file for fd, file in items if file is not None}  # type: ignore[redundant-expr]
        new.close_on_exec &= new.fd.keys()
        new.next_fd = 0
    for file in new.fd.values():
        file.f_count += 1
    return new


def put_files(task: Task, files: FilesStruct) -> None:
    """One user of a table less; the last one closes everything in it."""
    files.count -= 1
    if files.count > 0:
        return
    fds = files.fd
    while fds:
        for fd in sorted(fds):
            file = fds.pop(fd, None)
            if file is not None:
                filp_close(task, file, files)


def exit_files(task: Task) -> None:
    """The task ends: it gives up its table."""
    files = task.files
    task.files = FilesStruct()
    put_files(task, files)


def unshare_files(task: Task) -> None:
    """Give the task a table of its own (execve, unshare, close_range)."""
    files = task.files
    if files.count > 1:
        task.files = dup_files(files)
        files.count -= 1


def do_close_on_exec(task: Task) -> None:
    """Close what is marked close-on-exec; the table must be the task's own."""
    files = task.files
    for fd in sorted(files.close_on_exec):
        file = _free_fd(files, fd)
        if file is not None:
            filp_close(task, file, files)


# -- system calls


@syscall
def close(task: Task, fd: Fd) -> int:
    """Close a descriptor. close(2). Errors: EBADF, and what the file says at flush (EIO)."""
    files = task.files
    file = files.fd.get(fd)
    if file is None:
        raise EBADF
    del files.fd[fd]
    files.close_on_exec.discard(fd)
    if fd < files.next_fd:
        files.next_fd = fd
    if file.f_op.has_flush or file.f_inode.i_flock is not None:
        filp_close(task, file, files)
    elif file.f_count > 1:
        file.f_count -= 1
    else:
        file.f_count = 0
        _fput_final(file)
    return 0


@syscall
def close_range(task: Task, first: UInt, last: UInt, flags: UInt) -> int:
    """Close, or mark close-on-exec, all descriptors from `first` to `last`. close_range(2).

    Errors: EINVAL (unknown flags, first > last).
    """
    if flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) or first > last:
        raise EINVAL
    if flags & CLOSE_RANGE_UNSHARE:
        unshare_files(task)
    files = task.files
    chosen = sorted([fd for fd in files.fd if first <= fd <= last])
    if flags & CLOSE_RANGE_CLOEXEC:
        files.close_on_exec.update(chosen)
        return 0
    for fd in chosen:
        file = _free_fd(files, fd)
        if file is not None:
            filp_close(task, file, files)
    return 0


@syscall
def dup(task: Task, fildes: RawFileArg) -> int:
    """A second descriptor, the lowest free one. dup(2). Errors: EBADF, EMFILE."""
    fget(fildes)  # EBADF comes before EMFILE
    try:
        fd = alloc_fd(task)
    except BaseException:
        fildes.f_count -= 1
        raise
    task.files.fd[fd] = fildes
    return fd


@syscall
def dup2(task: Task, oldfd: Fd, newfd: Fd) -> int:
    """A second descriptor at a given number. dup2(2). Errors: EBADF."""
    if newfd == oldfd:
        get_file_raw(task, oldfd)
        return newfd
    return dup3(task, oldfd, newfd, 0)


@syscall
def dup3(task: Task, oldfd: Fd, newfd: Fd, flags: Flags) -> int:
    """dup2 with O_CLOEXEC; equal numbers are an error. dup3(2). Errors: EBADF, EINVAL."""
    if flags & ~O_CLOEXEC or newfd == oldfd:
        raise EINVAL
    if not 0 <= newfd < task.group.rlim[RLIMIT_NOFILE][0]:
        raise EBADF
    replace_fd(task, newfd, get_file_raw(task, oldfd), flags & O_CLOEXEC != 0)
    return newfd


def f_dupfd(task: Task, start: int, file: File, cloexec: bool) -> int:
    """F_DUPFD and F_DUPFD_CLOEXEC. Errors: EINVAL (start out of range), EMFILE."""
    if not 0 <= start < task.group.rlim[RLIMIT_NOFILE][0]:
        raise EINVAL
    fd = alloc_fd(task, start, cloexec)
    file.f_count += 1
    task.files.fd[fd] = file
    return fd
