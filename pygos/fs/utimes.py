# SPDX-License-Identifier: Apache-2.0
"""Setting time stamps: utimensat(2), futimesat(2), utimes(2), utime(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.attr import notify_change
from pygos.fs.file_table import get_file
from pygos.fs.permission import mnt_want_write
from pygos.fs.stat import stat_target
from pygos.include.errno import EINVAL
from pygos.include.linux.fs import (
    ATTR_ATIME,
    ATTR_ATIME_SET,
    ATTR_CTIME,
    ATTR_MTIME,
    ATTR_MTIME_SET,
    Iattr,
    Path,
)
from pygos.include.linux.syscalls import (
    DirFd,
    Flags,
    InOrNull,
    PathArg,
    PathOrNull,
    UserAddr,
    fetch_first,
    syscall,
)
from pygos.include.uapi.fcntl import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW
from pygos.include.uapi.time import NSEC_PER_SEC, UTIME_NOW, UTIME_OMIT, Utimbuf

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: One time stamp to set: (seconds, ns), where ns may be UTIME_NOW or UTIME_OMIT.
Stamp = tuple[int, int]


def _valid(stamp: Stamp) -> bool:
    return stamp[1] in (UTIME_NOW, UTIME_OMIT) or 0 <= stamp[1] < NSEC_PER_SEC


def vfs_utimes(task: Task, path: Path, times: tuple[Stamp, Stamp] | None) -> None:
    """Set access and modification time; None: both to now. Errors: EINVAL, EPERM, EACCES."""
    if times is not None and not (_valid(times[0]) and _valid(times[1])):
        raise EINVAL
    mnt_want_write(path.mnt)
    attr = Iattr(ATTR_ATIME | ATTR_MTIME | ATTR_CTIME)
    if times is not None and not times[0][1] == times[1][1] == UTIME_NOW:
        (a_sec, a_ns), (m_sec, m_ns) = times
        if a_ns == UTIME_OMIT:
            attr.valid &= ~ATTR_ATIME
        elif a_ns != UTIME_NOW:
            attr.valid |= ATTR_ATIME_SET
            attr.atime = a_sec * NSEC_PER_SEC + a_ns
        if m_ns == UTIME_OMIT:
            attr.valid &= ~ATTR_MTIME
        elif m_ns != UTIME_NOW:
            attr.valid |= ATTR_MTIME_SET
            attr.mtime = m_sec * NSEC_PER_SEC + m_ns
        # To choose either time one must be the owner, even if one of them is "now".
        attr.valid |= ATTR_ATIME_SET | ATTR_MTIME_SET
        now = task.machine.clock.realtime()
        attr.atime = now if a_ns == UTIME_NOW else attr.atime
        attr.mtime = now if m_ns == UTIME_NOW else attr.mtime
    notify_change(task, path.dentry, attr)


def do_utimes(
    task: Task, dfd: int, filename: bytes | None, times: tuple[Stamp, Stamp] | None, flags: int
) -> int:
    """Set times of a path, or of the descriptor itself if there is no path."""
    if times is not None and times[0][1] == times[1][1] == UTIME_OMIT:
        return 0
    if filename is None and dfd != AT_FDCWD:
        if flags:
            raise EINVAL
        vfs_utimes(task, get_file(task, dfd).f_path, times)
        return 0
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise EINVAL
    vfs_utimes(task, stat_target(task, dfd, filename, flags)[0], times)
    return 0


def _pair(task: Task, addr: int, scale: int) -> tuple[Stamp, Stamp] | None:
    """struct timespec[2] or timeval[2] as (seconds, fraction * scale); None for NULL. EFAULT."""
    if not addr:
        return None
    assert task.mm is not None
    a_sec, a_part, m_sec, m_part = memoryview(task.mm.read(addr, 32)).cast("q")
    return (a_sec, a_part * scale), (m_sec, m_part * scale)


@syscall
def utimensat(task: Task, dfd: DirFd, filename: PathOrNull, utimes: UserAddr, flags: Flags) -> int:
    """Set time stamps in ns. utimensat(2), futimens(3).

    Errors: EINVAL, EPERM, EACCES, EROFS, EBADF, EFAULT, and those of the path walk.
    """
    return do_utimes(task, dfd, filename, _pair(task, utimes, 1), flags)


def _timevals(task: Task, addr: int) -> tuple[Stamp, Stamp] | None:
    """struct timeval[2] as stamps. EINVAL for microseconds out of range."""
    times = _pair(task, addr, 1000)
    if times is not None and not all(0 <= ns < NSEC_PER_SEC for _, ns in times):
        raise EINVAL
    return times


@syscall
def futimesat(task: Task, dfd: DirFd, filename: PathOrNull, utimes: UserAddr) -> int:
    """Set time stamps in us. futimesat(2). Errors: see utimensat."""
    return do_utimes(task, dfd, filename, _timevals(task, utimes), 0)


@syscall(name="utimes")
def utimes_(task: Task, filename: PathArg, utimes: UserAddr) -> int:
    """Set time stamps in us. utimes(2). Errors: see utimensat."""
    return do_utimes(task, AT_FDCWD, filename, _timevals(task, utimes), 0)


@syscall
def utime(task: Task, filename: PathArg, times: InOrNull[Utimbuf]) -> int:
    """Set time stamps in seconds. utime(2). Errors: see utimensat."""
    fetch_first(times)
    pair = None if times is None else ((times.actime, 0), (times.modtime, 0))
    return do_utimes(task, AT_FDCWD, filename, pair, 0)
