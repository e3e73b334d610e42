# SPDX-License-Identifier: Apache-2.0
"""epoll: epoll_create, epoll_ctl, epoll_wait and their kin. epoll(7).

Each watched (file, fd) is an ``Epitem`` that stands in the file's wait queues; being woken it
puts itself on the ready list of its ``Eventpoll``. epoll_wait asks the files on that list for
their masks. Items hold no reference to their files: a file that is released takes its items
along (``eventpoll_release``, called by fput).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from struct import Struct
from typing import TYPE_CHECKING, Final

from pygos.fs.anon_inodes import AnonFileOperations, anon_inode_getfd
from pygos.fs.select import Deadline, deadline_after, expired, read_timespec, swap_sigmask
from pygos.include.errno import (
    EBADF,
    EEXIST,
    EFAULT,
    EINTR,
    EINVAL,
    ELOOP,
    ENOENT,
    ENOSPC,
    EPERM,
    Errno,
)
from pygos.include.linux.fs import FMODE_PATH, File
from pygos.include.linux.syscalls import Fd, Flags, Int, Size, UserAddr, syscall
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.eventpoll import (
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLL_CTL_MOD,
    EPOLLERR,
    EPOLLET,
    EPOLLEXCLUSIVE,
    EPOLLHUP,
    EPOLLIN,
    EPOLLONESHOT,
    EPOLLOUT,
    EPOLLRDNORM,
    EPOLLWAKEUP,
    EPOLLWRNORM,
)
from pygos.include.uapi.fcntl import O_RDWR
from pygos.kernel.signal import restore_saved_sigmask

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_EVENT: Final = Struct("<IQ")
_PRIVATE: Final = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE
_EXCLUSIVE_OK: Final = (
    EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM
    | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE
)  # fmt: skip
#: How deep epolls may watch epolls, and how many wake-up paths each depth may have.
MAX_NESTS: Final = 4
PATH_LIMITS: Final = (1000, 500, 100, 50, 10)
MAX_EVENTS: Final = 0x7FFFFFFF // 12
MAX_USER_WATCHES: Final = 1 << 20  # sysctl fs.epoll.max_user_watches
NSEC_PER_MSEC: Final = 1_000_000


class Epitem:
    """One watched file descriptor. A Waiter in the file's queues."""

    __slots__ = ("data", "ep", "events", "fd", "file", "listed", "queues")

    def __init__(self, ep: Eventpoll, file: File, fd: int, events: int, data: int) -> None:
        self.ep = ep
        self.file = file
        self.fd = fd
        #: What is asked for, with the private flags; only those are left after a one-shot.
        self.events = events
        self.data = data
        self.queues: tuple[WaitQueue, ...] = ()
        #: On the ready list.
        self.listed = False

    def wake(self, queue: WaitQueue, key: int) -> None:
        """Waiter protocol: the file has news."""
        events = self.events
        if not events & ~_PRIVATE or (key and not key & events):
            return
        ep = self.ep
        if not self.listed:
            self.listed = True
            ep.ready.append(self)
        ep.wake()

    def poll(self, task: Task) -> int:
        """What of the wanted events is true now."""
        return self.file.f_op.poll(task, self.file) & self.events


class ExclusiveWaiters:
    """All items with EPOLLEXCLUSIVE of one queue, as one waiter: an event is for one of them."""

    __slots__ = ("items",)

    def __init__(self) -> None:
        self.items: dict[Epitem, None] = {}

    def wake(self, queue: WaitQueue, key: int) -> None:
        """Waiter protocol: tell items until one of them has woken somebody for it."""
        inout = key & (EPOLLIN | EPOLLOUT)
        for item in tuple(self.items):
            sleeping = bool(item.ep.wq.waiters)
            item.wake(queue, key)
            if sleeping and ((inout in (EPOLLIN, EPOLLOUT) and item.events & inout) or not inout):
                return


def _exclusive(queue: WaitQueue) -> ExclusiveWaiters | None:
    for waiter in queue.waiters:
        if type(waiter) is ExclusiveWaiters:
            return waiter
    return None


def _enqueue(item: Epitem, queue: WaitQueue) -> None:
    """Stand in a queue of the file, last of all or last of the exclusive ones."""
    if not item.events & EPOLLEXCLUSIVE:
        queue.waiters[item] = None
        return
    group = _exclusive(queue)
    if group is None:
        group = ExclusiveWaiters()
        queue.add(group)
    group.items[item] = None


def _dequeue(item: Epitem, queue: WaitQueue) -> None:
    queue.remove(item)
    if item.events & EPOLLEXCLUSIVE:
        group = _exclusive(queue)
        if group is not None:
            group.items.pop(item, None)
            if not group.items:
                queue.remove(group)


class Eventpoll:
    """One epoll instance (struct eventpoll)."""

    __slots__ = ("file", "items", "poll_wait", "ready", "stale", "uid", "wq")

    def __init__(self, uid: int) -> None:
        self.items: dict[tuple[File, int], Epitem] = {}
        #: Items that may be ready, each once. Removed ones stay until they surface: `stale`.
        self.ready: deque[Epitem] = deque()
        self.stale = 0
        #: Tasks in epoll_wait, and those who watch this epoll itself.
        self.wq = WaitQueue()
        self.poll_wait = WaitQueue()
        self.file: File
        #: Whose limit the items count for.
        self.uid = uid

    def wake(self) -> None:
        if self.wq.waiters:
            self.wq.wake(1, EPOLLIN)
        if self.poll_wait.waiters:
            self.poll_wait.wake_all(EPOLLIN)

    def remove(self, item: Epitem) -> None:
        """Forget an item: it leaves queues, lists and its file."""
        for queue in item.queues:
            _dequeue(item, queue)
        item.queues = ()
        if item.listed:
            self._drop(item)
        del self.items[item.file, item.fd]
        watchers = item.file.f_ep
        if watchers is not None:
            watchers.pop(item, None)
            if not watchers:
                item.file.f_ep = None
        _charge(item.file, self.uid, -1)


    def _drop(self, item: Epitem) -> None:
        """Leave a removed item on the ready list as a shell, unless there are many."""
        item.events = 0
        self.stale += 1
        if self.stale * 2 > len(self.ready) + 16:
            self.ready = deque([one for one in self.ready if one.events])
            self.stale = 0

    def take(self) -> Epitem | None:
        """The next item of the ready list that is still watched."""
        ready = self.ready
        while ready:
            item = ready.popleft()
            if item.events:
                item.listed = False
                return item
            self.stale -= 1
        return None


def _charge(file: File, uid: int, count: int) -> int:
    """Count watches of a user; the new number."""
    misc = file.f_inode.i_sb.machine.misc
    watches: dict[int, int] = misc.setdefault("epoll_watches", {})
    total = watches[uid] = watches.get(uid, 0) + count
    return total


def eventpoll_release(file: File) -> None:
    """`file` is being released: no epoll watches it any more."""
    if file.f_ep:
        for item in tuple(file.f_ep):
            item.ep.remove(item)


class EventpollFileOperations(AnonFileOperations):
    """eventpoll_fops."""

    __slots__ = ()

    def poll(self, task: Task, file: File) -> int:
        """Readable if an item really is ready. Nesting is at most MAX_NESTS deep."""
        ep: Eventpoll = file.private_data
        while (item := ep.take()) is not None:
            if item.poll(task):
                item.listed = True
                ep.ready.appendleft(item)
                return EPOLLIN | EPOLLRDNORM
        return 0

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...]:
        return (file.private_data.poll_wait,)

    def release(self, file: File) -> None:
        ep: Eventpoll = file.private_data
        for item in tuple(ep.items.values()):
            ep.remove(item)

    def fdinfo(self, file: File) -> str:
        ep: Eventpoll = file.private_data
        return "".join(
            f"tfd: {item.fd:8d} events: {item.events:8x} data: {item.data:16x}  "
            f"pos:{item.file.f_pos} ino:{item.file.f_inode.i_ino:x} "
            f"sdev:{item.file.f_inode.i_sb.s_dev:x}\n"
            for item in ep.items.values()
        )


EVENTPOLL_FOPS: Final = EventpollFileOperations()


# -- epoll_create


@syscall
def epoll_create1(task: Task, flags: Flags) -> int:
    """Make an epoll instance. epoll_create(2). Errors: EINVAL, EMFILE, ENFILE."""
    if flags & ~EPOLL_CLOEXEC:
        raise EINVAL
    ep = Eventpoll(task.cred.uid)
    cloexec = bool(flags & EPOLL_CLOEXEC)
    fd = anon_inode_getfd(task, b"[eventpoll]", EVENTPOLL_FOPS, ep, O_RDWR, cloexec)
    ep.file = task.files.fd[fd]
    return fd


@syscall
def epoll_create(task: Task, size: Int) -> int:
    """epoll_create1 without flags; EINVAL if `size` isn't positive."""
    if size <= 0:
        raise EINVAL
    return epoll_create1(task, 0)


# -- epoll_ctl


def _get(task: Task, fd: int) -> File:
    file = task.files.fd.get(fd)
    if file is None or file.f_mode & FMODE_PATH:
        raise EBADF
    return file


def _is_epoll(file: File) -> bool:
    return file.f_op is EVENTPOLL_FOPS


@syscall
def epoll_ctl(task: Task, epfd: Fd, op: Int, fd: Fd, event: UserAddr) -> int:
    """Add, change or remove what an epoll watches. epoll_ctl(2).

    Errors: EBADF, EEXIST, EFAULT, EINVAL, ELOOP, ENOENT, ENOSPC, EPERM.
    """
    events = data = 0
    if op != EPOLL_CTL_DEL:
        assert task.mm is not None
        events, data = _EVENT.unpack(task.mm.read(event, 12))
    epoll, file = _get(task, epfd), _get(task, fd)
    if file.f_op.poll_queues(file) is None:
        raise EPERM
    if file is epoll or not _is_epoll(epoll):
        raise EINVAL
    if events & EPOLLEXCLUSIVE and op != EPOLL_CTL_DEL:
        if op == EPOLL_CTL_MOD:
            raise EINVAL
        if op == EPOLL_CTL_ADD and (_is_epoll(file) or events & ~_EXCLUSIVE_OK):
            raise EINVAL
    ep: Eventpoll = epoll.private_data
    item = ep.items.get((file, fd))
    if op == EPOLL_CTL_ADD:
        if _is_epoll(file) and _makes_loop(epoll, file):
            raise ELOOP
        if item is not None:
            raise EEXIST
        _insert(task, ep, Epitem(ep, file, fd, events | EPOLLERR | EPOLLHUP, data))
    elif op == EPOLL_CTL_DEL:
        if item is None:
            raise ENOENT
        ep.remove(item)
    elif op == EPOLL_CTL_MOD:
        if item is None:
            raise ENOENT
        if item.events & EPOLLEXCLUSIVE:
            raise EINVAL
        _modify(task, item, events | EPOLLERR | EPOLLHUP, data)
    else:
        raise EINVAL
    return 0


def _insert(task: Task, ep: Eventpoll, item: Epitem) -> None:
    file = item.file
    limit = task.machine.sysctl.get("fs.epoll.max_user_watches", MAX_USER_WATCHES)
    if _charge(file, ep.uid, 1) > limit:
        _charge(file, ep.uid, -1)
        raise ENOSPC
    if file.f_ep is None:
        file.f_ep = {}
    file.f_ep[item] = None
    ep.items[file, item.fd] = item
    if (ep.file.f_ep or _is_epoll(file)) and not all(map(_paths_bounded, _leaves(file))):
        ep.remove(item)
        raise EINVAL
    queues = file.f_op.poll_queues(file) or ()
    item.queues = queues
    for queue in queues:
        _enqueue(item, queue)
    if item.poll(task):
        item.listed = True
        ep.ready.append(item)
        ep.wake()


def _modify(task: Task, item: Epitem, events: int, data: int) -> None:
    item.events = events
    item.data = data
    if item.poll(task):
        ep = item.ep
        if not item.listed:
            item.listed = True
            ep.ready.append(item)
            ep.wake()


def _makes_loop(epoll: File, file: File) -> bool:
    """Would `epoll` watching the epoll `file` close a loop or nest too deep?"""
    down = _depth_below(file, epoll)
    return down < 0 or down + 1 + _depth_above(epoll) > MAX_NESTS


def _depth_below(file: File, forbidden: File) -> int:
    """Levels of epolls below `file`; -1 if `forbidden` is among them or they are too deep."""
    level, depth, seen = [file], 0, {file}
    while True:
        below: list[File] = []
        for one in level:
            if one is forbidden:
                return -1
            for item in one.private_data.items.values():
                if _is_epoll(item.file) and item.file not in seen:
                    seen.add(item.file)
                    below.append(item.file)
        if not below:
            return depth
        level = below
        depth += 1
        if depth > MAX_NESTS:
            return -1


def _depth_above(file: File) -> int:
    """Levels of epolls that watch `file`, directly or not."""
    level, depth, seen = [file], 0, {file}
    while depth <= MAX_NESTS:
        above: list[File] = []
        for one in level:
            for item in one.f_ep or ():
                watcher: File = item.ep.file
                if watcher not in seen:
                    seen.add(watcher)
                    above.append(watcher)
        if not above:
            break
        level = above
        depth += 1
    return depth


def _paths_bounded(file: File) -> bool:
    """Few enough ways lead from an event on `file` up to epolls (reverse_path_check)."""
    ways: dict[File, int] = {file: 1}
    for depth, limit in enumerate(PATH_LIMITS):
        above: dict[File, int] = {}
        tops = 0
        for one, count in ways.items():
            for item in one.f_ep or ():
                watcher: File = item.ep.file
                above[watcher] = above.get(watcher, 0) + count
                if not watcher.f_ep:
                    tops += count
        if depth and tops > limit:
            return False
        if not above:
            return True
        ways = above
    return not any(one.f_ep for one in ways)


def _leaves(file: File) -> Iterator[File]:
    """`file`, or the files below it that aren't epolls themselves, each once."""
    stack, seen = [file], {file}
    while stack:
        one = stack.pop()
        if not _is_epoll(one):
            yield one
            continue
        for item in one.private_data.items.values():
            if item.file not in seen:
                seen.add(item.file)
                stack.append(item.file)


# -- epoll_wait


def _send_events(task: Task, ep: Eventpoll, addr: int, maxevents: int) -> int:
    """Copy out what is ready; how many. Level-triggered items go to the end of the list."""
    assert task.mm is not None
    found: list[bytes] = []
    sent: list[Epitem] = []
    while len(found) < maxevents and (item := ep.take()) is not None:
        mask = item.poll(task)
        if mask:
            found.append(_EVENT.pack(mask, item.data))
            sent.append(item)
    if not found:
        return 0
    try:
        task.mm.write(addr, b"".join(found))
    except EFAULT:
        for item in reversed(sent):
            item.listed = True
            ep.ready.appendleft(item)
        raise
    for item in sent:
        events = item.events
        if events & EPOLLONESHOT:
            item.events = events & _PRIVATE
        elif not events & EPOLLET:
            item.listed = True
            ep.ready.append(item)
    return len(found)


def _wait(task: Task, epfd: int, addr: int, maxevents: int, deadline: int) -> int:
    epoll = _get(task, epfd)
    if not 0 < maxevents <= MAX_EVENTS:
        raise EINVAL
    if not _is_epoll(epoll):
        raise EINVAL
    ep: Eventpoll = epoll.private_data
    if ep.ready:
        count = _send_events(task, ep, addr, maxevents)
        if count:
            if ep.ready and ep.wq.waiters:  # more for others who wait
                ep.wq.wake(1, EPOLLIN)
            return count
    if expired(task, deadline):
        return 0
    if task.signal_pending():
        raise EINTR
    task.restart = Deadline(deadline)
    limit = None if deadline >= 1 << 62 else deadline
    wait_on(task, ep.wq, deadline=limit, why="ep_poll")


def _until(task: Task, timeout: int) -> int:
    kept = task.restart
    return kept.at if type(kept) is Deadline else deadline_after(task, timeout)


@syscall
def epoll_wait(task: Task, epfd: Fd, events: UserAddr, maxevents: Int, timeout: Int) -> int:
    """Wait for events; `timeout` in ms, negative: for ever. epoll_wait(2).

    Errors: EBADF, EFAULT, EINTR, EINVAL.
    """
    deadline = _until(task, timeout * NSEC_PER_MSEC)
    return _wait(task, epfd, events, maxevents, deadline)


def _pwait(
    task: Task, args: tuple[int, int, int], deadline: int, sigmask: int, sigsetsize: int
) -> int:
    swap_sigmask(task, sigmask, sigsetsize)
    try:
        count = _wait(task, *args, deadline)
    except EINTR:  # the mask comes back when the signal was delivered
        raise
    except Errno:
        restore_saved_sigmask(task)
        raise
    restore_saved_sigmask(task)
    return count


@syscall
def epoll_pwait(
    task: Task,
    epfd: Fd,
    events: UserAddr,
    maxevents: Int,
    timeout: Int,
    sigmask: UserAddr,
    sigsetsize: Size,
) -> int:
    """epoll_wait with a signal mask. epoll_pwait(2)."""
    deadline = _until(task, timeout * NSEC_PER_MSEC)
    return _pwait(task, (epfd, events, maxevents), deadline, sigmask, sigsetsize)


@syscall
def epoll_pwait2(
    task: Task,
    epfd: Fd,
    events: UserAddr,
    maxevents: Int,
    timeout: UserAddr,
    sigmask: UserAddr,
    sigsetsize: Size,
) -> int:
    """epoll_pwait with a struct timespec (NULL: for ever). epoll_pwait2(2)."""
    deadline = _until(task, read_timespec(task, timeout) if task.restart is None else 0)
    return _pwait(task, (epfd, events, maxevents), deadline, sigmask, sigsetsize)
