# SPDX-License-Identifier: Apache-2.0
"""File locks: POSIX record locks, open file description locks, flock(2).

A record lock belongs to a descriptor table (POSIX) or to an open file (OFD), a flock to an
open file. They are kept per inode in a ``FileLockContext``, which is made at the first lock;
sleepers wait on its one queue and try again whenever a lock there goes. Locks are advisory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygos.include.errno import (
    EAGAIN,
    EBADF,
    EDEADLK,
    EINVAL,
    ENOLCK,
    EOVERFLOW,
)
from pygos.include.linux.fs import FMODE_READ, FMODE_WRITE
from pygos.include.linux.pid_namespace import pid_nr_ns, pid_vnr
from pygos.include.linux.syscalls import FileArg, UInt, syscall
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.fcntl import (
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_RDLCK,
    F_SETLKW,
    F_UNLCK,
    F_WRLCK,
    LOCK_EX,
    LOCK_MAND,
    LOCK_NB,
    LOCK_SH,
    LOCK_UN,
    SEEK_CUR,
    SEEK_END,
    SEEK_SET,
    Flock,
)
from pygos.include.uapi.kdev_t import major, minor

if TYPE_CHECKING:
    from pygos.include.linux.fs import File, FilesStruct, Inode
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.pid_namespace import PidNamespace
    from pygos.include.linux.sched import Task

OFFSET_MAX = (1 << 63) - 1
#: Locks that one inode may have: a bound on the time one call takes.
MAX_LOCKS = 16384
MAX_DEADLK_ITERATIONS = 10
_OFD = (F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW)
_TYPE_NAMES = {F_RDLCK: "READ ", F_WRLCK: "WRITE"}


class FileLock:
    """One lock: bytes [start, end] of a file; `owner` a FilesStruct or a File."""

    __slots__ = ("end", "kind", "owner", "pid", "start", "type")

    def __init__(self, owner: Any, kind: str, type: int, start: int, end: int, pid: int) -> None:
        self.owner = owner
        #: "POSIX", "OFDLCK" or "FLOCK", as /proc/locks names them.
        self.kind = kind
        self.type = type
        self.start = start
        self.end = end
        #: The locker's thread group; -1 for OFD locks.
        self.pid = pid

    def part(self, start: int, end: int) -> FileLock:
        """The same lock on other bytes."""
        return FileLock(self.owner, self.kind, self.type, start, end, self.pid)

    def conflicts(self, other: FileLock) -> bool:
        """Can the two not be held at once?"""
        return (
            self.owner is not other.owner
            and self.start <= other.end
            and other.start <= self.end
            and F_WRLCK in (self.type, other.type)
        )


class FileLockContext:
    """The locks of one inode and those who wait for them."""

    __slots__ = ("flock", "posix", "queue", "waiters")

    def __init__(self) -> None:
        self.posix: list[FileLock] = []
        self.flock: list[FileLock] = []
        self.queue = WaitQueue()
        #: What each task wants; valid only while it sleeps on `queue`.
        self.waiters: dict[Task, FileLock] = {}

    def waiting(self) -> list[tuple[Task, FileLock]]:
        """Those who wait now; entries of others are forgotten."""
        queue = self.queue
        for task in [t for t in self.waiters if queue not in t.waiting]:
            del self.waiters[task]
        return list(self.waiters.items())


def lock_context(inode: Inode) -> FileLockContext:
    """The inode's locks, registered for /proc/locks."""
    ctx: FileLockContext | None = inode.i_flock
    if ctx is None:
        ctx = inode.i_flock = FileLockContext()
    table: dict[Inode, None] | None = inode.i_sb.machine.locks
    if table is None:
        table = inode.i_sb.machine.locks = {}
    table[inode] = None
    return ctx


def _released(inode: Inode, ctx: FileLockContext) -> None:
    """Locks went: let the waiters try again; forget a context that nobody needs."""
    ctx.queue.wake_all()
    if not ctx.posix and not ctx.flock and not ctx.waiting():
        inode.i_flock = None
        inode.i_sb.machine.locks.pop(inode, None)


# -- record locks


def posix_conflict(ctx: FileLockContext, request: FileLock) -> FileLock | None:
    """The first record lock that keeps `request` from being granted."""
    for lock in ctx.posix:
        if lock.conflicts(request):
            return lock
    return None


def posix_apply(ctx: FileLockContext, request: FileLock) -> None:
    """Set or remove (F_UNLCK) bytes of the owner's locks, splitting and merging them."""
    start, end = request.start, request.end
    own: list[FileLock] = []
    others: list[FileLock] = []
    at = -1
    for lock in ctx.posix:
        if lock.owner is not request.owner:
            others.append(lock)
            continue
        if at < 0:
            at = len(others)
        if lock.type == request.type:
            if lock.end + 1 >= start and lock.start <= end + 1:
                start, end = min(start, lock.start), max(end, lock.end)
            else:
                own.append(lock)
        elif lock.end < request.start or lock.start > request.end:
            own.append(lock)
        else:
            if lock.start < request.start:
                own.append(lock.part(lock.start, request.start - 1))
            if lock.end > request.end:
                own.append(lock.part(request.end + 1, lock.end))
    if request.type != F_UNLCK:
        own.append(request.part(start, end))
    if len(own) + len(others) > MAX_LOCKS and len(own) + len(others) > len(ctx.posix):
        raise ENOLCK
    own.sort(key=_start)
    if at < 0:
        at = len(others)
    ctx.posix = others[:at] + own + others[at:]


def _start(lock: FileLock) -> int:
    return lock.start


def _waits_for(machine: Machine, owner: Any) -> FileLock | None:
    """The lock that keeps an owner's sleeping task, if it has one."""
    for inode in machine.locks:
        ctx: FileLockContext = inode.i_flock
        for _, wanted in ctx.waiting():
            if wanted.owner is owner and wanted.kind == "POSIX":
                return posix_conflict(ctx, wanted)
    return None


def posix_locks_deadlock(machine: Machine, request: FileLock, blocker: FileLock) -> bool:
    """Would waiting for `blocker` close a circle of waiting owners? (Not asked of OFD locks.)"""
    if request.kind != "POSIX":
        return False
    found: FileLock | None = blocker
    for _ in range(MAX_DEADLK_ITERATIONS):
        assert found is not None
        found = _waits_for(machine, found.owner)
        if found is None:
            return False
        if found.owner is request.owner:
            return True
    return False


def flock_range(file: File, whence: int, start: int, length: int) -> tuple[int, int]:
    """The bytes [start, end] a struct flock means. Errors: EINVAL, EOVERFLOW."""
    if whence == SEEK_CUR:
        base = file.f_pos
    elif whence == SEEK_END:
        base = file.f_inode.i_size
    elif whence == SEEK_SET:
        base = 0
    else:
        raise EINVAL
    if start > OFFSET_MAX - base:
        raise EOVERFLOW
    start += base
    if start < 0:
        raise EINVAL
    if length > 0:
        if length - 1 > OFFSET_MAX - start:
            raise EOVERFLOW
        return start, start + length - 1
    if length < 0:
        if start + length < 0:
            raise EINVAL
        return start + length, start - 1
    return start, OFFSET_MAX


def _request(task: Task, file: File, cmd: int, flock: Flock) -> FileLock:
    if cmd in _OFD:
        if flock.l_pid:
            raise EINVAL
        owner: Any = file
        kind, pid = "OFDLCK", -1
    else:
        owner = task.files
        kind, pid = "POSIX", task.tgid
    start, end = flock_range(file, flock.l_whence, flock.l_start, flock.l_len)
    if flock.l_type not in (F_RDLCK, F_WRLCK, F_UNLCK):
        raise EINVAL
    return FileLock(owner, kind, flock.l_type, start, end, pid)


def fcntl_getlk(task: Task, file: File, cmd: int, flock: Flock) -> Flock:
    """F_GETLK, F_OFD_GETLK: the lock that would be in the way, or type F_UNLCK. EINVAL."""
    if cmd != F_OFD_GETLK and flock.l_type not in (F_RDLCK, F_WRLCK):
        raise EINVAL
    request = _request(task, file, cmd, flock)
    ctx: FileLockContext | None = file.f_inode.i_flock
    found = posix_conflict(ctx, request) if ctx is not None else None
    if found is None:
        flock.l_type = F_UNLCK
        return flock
    length = 0 if found.end == OFFSET_MAX else found.end - found.start + 1
    pid = found.pid if found.pid < 0 else pid_vnr(task, found.pid)
    return Flock(found.type, SEEK_SET, found.start, length, pid)


def fcntl_setlk(task: Task, file: File, cmd: int, flock: Flock) -> int:
    """F_SETLK, F_SETLKW and the OFD ones. Sleeps if asked to.

    Errors: EINVAL, EOVERFLOW, EBADF (open mode), EAGAIN, EDEADLK, ENOLCK, EINTR.
    """
    request = _request(task, file, cmd, flock)
    if (request.type == F_RDLCK and not file.f_mode & FMODE_READ) or (
        request.type == F_WRLCK and not file.f_mode & FMODE_WRITE
    ):
        raise EBADF
    inode = file.f_inode
    if request.type == F_UNLCK and inode.i_flock is None:
        return 0
    ctx = lock_context(inode)
    ctx.waiters.pop(task, None)
    if request.type != F_UNLCK:
        blocker = posix_conflict(ctx, request)
        if blocker is not None:
            if cmd not in (F_SETLKW, F_OFD_SETLKW):
                raise EAGAIN
            if posix_locks_deadlock(task.machine, request, blocker):
                raise EDEADLK
            ctx.waiters[task] = request
            wait_on(task, ctx.queue, why="fcntl_setlk")
    posix_apply(ctx, request)
    _released(inode, ctx)
    return 0


# -- flock


@syscall
def flock(task: Task, file: FileArg, cmd: UInt) -> int:
    """Lock or unlock an open file as a whole. flock(2).

    Errors: EINVAL, EBADF, EAGAIN (EWOULDBLOCK), EINTR, ENOLCK.
    """
    if cmd & LOCK_MAND:
        return 0  # as Linux: mandatory locks are gone, the request is ignored
    kinds = {LOCK_SH: F_RDLCK, LOCK_EX: F_WRLCK, LOCK_UN: F_UNLCK}
    kind = kinds.get(cmd & ~LOCK_NB)
    if kind is None:
        raise EINVAL
    if kind != F_UNLCK and not file.f_mode & (FMODE_READ | FMODE_WRITE):
        raise EBADF
    inode = file.f_inode
    if kind == F_UNLCK and inode.i_flock is None:
        return 0
    ctx = lock_context(inode)
    ctx.waiters.pop(task, None)
    request = FileLock(file, "FLOCK", kind, 0, OFFSET_MAX, task.tgid)
    if any(lock.owner is file and lock.type == kind for lock in ctx.flock):
        return 0
    had = len(ctx.flock)
    ctx.flock = [lock for lock in ctx.flock if lock.owner is not file]
    if kind == F_UNLCK or len(ctx.flock) != had:
        ctx.queue.wake_all()
    if kind != F_UNLCK:
        _flock_add(task, ctx, request, cmd & LOCK_NB)
    _released(inode, ctx)
    return 0


def _flock_add(task: Task, ctx: FileLockContext, request: FileLock, nonblock: int) -> None:
    if any(lock.conflicts(request) for lock in ctx.flock):
        if nonblock:
            raise EAGAIN
        ctx.waiters[task] = request
        wait_on(task, ctx.queue, why="flock_lock_inode_wait")
    if len(ctx.flock) >= MAX_LOCKS:
        raise ENOLCK
    ctx.flock.append(request)


# -- release


def locks_remove_posix(file: File, files: FilesStruct) -> None:
    """A descriptor of the file is closed: all record locks of that table on it go."""
    inode = file.f_inode
    ctx: FileLockContext | None = inode.i_flock
    if ctx is None:
        return
    kept = [lock for lock in ctx.posix if lock.owner is not files]
    if len(kept) != len(ctx.posix):
        ctx.posix = kept
        _released(inode, ctx)


def locks_remove_file(file: File) -> None:
    """The last reference of an open file is gone: its OFD locks and flock go."""
    inode = file.f_inode
    ctx: FileLockContext | None = inode.i_flock
    if ctx is None:
        return
    ctx.posix = [lock for lock in ctx.posix if lock.owner is not file]
    ctx.flock = [lock for lock in ctx.flock if lock.owner is not file]
    _released(inode, ctx)


# -- /proc/locks


def _line(
    number: int, arrow: str, inode: Inode, lock: FileLock, ns: PidNamespace | None = None
) -> str:
    """One lock; nothing if its owner isn't visible in `ns`."""
    pid = lock.pid if lock.pid < 0 else pid_nr_ns(lock.pid, ns)
    if not pid:
        return ""
    end = "EOF" if lock.end == OFFSET_MAX else str(lock.end)
    dev = inode.i_sb.s_dev
    kind = f"{lock.kind:<6}"
    name = _TYPE_NAMES[lock.type]
    place = f"{major(dev):02x}:{minor(dev):02x}:{inode.i_ino}"
    return f"{number}: {arrow}{kind} ADVISORY  {name} {pid} {place} {lock.start} {end}\n"


def fdinfo_locks(file: File, files: FilesStruct) -> str:
    """The locks that a descriptor's file or its table holds, for /proc/PID/fdinfo."""
    inode = file.f_inode
    ctx: FileLockContext | None = inode.i_flock
    if ctx is None:
        return ""
    held = [lock for lock in (*ctx.flock, *ctx.posix) if lock.owner in (file, files)]
    return "".join(
        [f"lock:\t{_line(number, '', inode, lock)}" for number, lock in enumerate(held, 1)]
    )


def locks_text(machine: Machine, ns: PidNamespace | None = None) -> str:
    """/proc/locks, proc_locks(5), with the numbers of a pid namespace."""
    lines: list[str] = []
    number = 0
    for inode in machine.locks or ():
        ctx: FileLockContext = inode.i_flock
        for lock in (*ctx.flock, *ctx.posix):
            number += 1
            lines.append(_line(number, "", inode, lock, ns))
            lines.extend(
                _line(number, "-> ", inode, wanted, ns)
                for _, wanted in ctx.waiting()
                if (wanted.kind == "FLOCK") == (lock.kind == "FLOCK") and wanted.conflicts(lock)
            )
    return "".join(lines)
