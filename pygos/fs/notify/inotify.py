# SPDX-License-Identifier: Apache-2.0
"""inotify(7): inotify_init1(2), inotify_add_watch(2), inotify_rm_watch(2)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from pygos.fs.anon_inodes import anon_inode_getfd
from pygos.fs.inode import iput
from pygos.fs.notify.fsnotify import Fsnotify, init_fsnotify
from pygos.fs.permission import inode_permission
from pygos.fs.walk import LOOKUP_DIRECTORY, LOOKUP_FOLLOW, path_lookup
from pygos.include.errno import (
    EAGAIN,
    EEXIST,
    EINVAL,
    EMFILE,
    ENOSPC,
    ENOTTY,
)
from pygos.include.linux.fs import MAY_READ, Dentry, File, FileOperations, Inode
from pygos.include.linux.syscalls import FileArg, Flags, Int, PathArg, UInt, syscall
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi import inotify as uapi
from pygos.include.uapi.fcntl import AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_RDONLY
from pygos.include.uapi.ioctls import FIONREAD
from pygos.include.uapi.poll import POLLIN, POLLRDNORM

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

_EVENT_SIZE: Final = 16
_FLAGS: Final = (
    uapi.IN_ONLYDIR | uapi.IN_DONT_FOLLOW | uapi.IN_EXCL_UNLINK | uapi.IN_MASK_CREATE
    | uapi.IN_MASK_ADD | uapi.IN_ONESHOT
)  # fmt: skip
#: What add_watch takes, and what is reported whatever was asked for.
_KNOWN: Final = (
    uapi.IN_ALL_EVENTS | uapi.IN_UNMOUNT | uapi.IN_Q_OVERFLOW | uapi.IN_IGNORED | uapi.IN_ISDIR
    | _FLAGS
)  # fmt: skip
_ALWAYS: Final = uapi.IN_UNMOUNT | uapi.IN_Q_OVERFLOW | uapi.IN_IGNORED
_KEPT: Final = uapi.IN_ALL_EVENTS | uapi.IN_ONESHOT | uapi.IN_EXCL_UNLINK
_READABLE: Final = POLLIN | POLLRDNORM
_INT_MAX: Final = (1 << 31) - 1

#: One event: watch, mask, cookie, name.
Event = tuple[int, int, int, bytes]


class Inotify:
    """One instance: the watches by number, and the queue of what has happened."""

    __slots__ = ("events", "last_wd", "machine", "overflown", "poll", "size", "uid", "watches")

    def __init__(self, machine: Machine, uid: int) -> None:
        self.machine = machine
        self.uid = uid
        self.watches: dict[int, Watch] = {}
        self.last_wd = 0
        self.events: deque[Event] = deque()
        #: Bytes of all events.
        self.size = 0
        self.overflown = False
        self.poll = WaitQueue()

    def add(self, event: Event) -> None:
        """Queue an event, unless it is the last one again or the queue is full."""
        events = self.events
        if events:
            last = events[-1]
            if last[:2] == event[:2] and last[3] == event[3] and not event[1] & uapi.IN_IGNORED:
                return
        if self._is_full():
            if self.overflown:
                return
            self.overflown = True
            event = (-1, uapi.IN_Q_OVERFLOW, 0, b"")
        self.machine.fsnotify.queued += 1
        events.append(event)
        self.size += event_size(event)
        self.poll.wake_all(_READABLE)

    def _is_full(self) -> bool:
        """The instance's limit, or what all instances together may take of memory."""
        machine = self.machine
        limit = int(machine.sysctl.get("fs.inotify.max_queued_events", 16384))
        return len(self.events) >= limit or machine.fsnotify.queued >= machine.ram.pages

    def take(self) -> Event:
        event = self.events.popleft()
        self.machine.fsnotify.queued -= 1
        self.size -= event_size(event)
        if event[1] & uapi.IN_Q_OVERFLOW:
            self.overflown = False
        return event

    def next_wd(self) -> int:
        """Numbers go up and round."""
        wd = self.last_wd
        while True:
            wd = wd + 1 if wd < _INT_MAX else 1
            if wd not in self.watches:
                self.last_wd = wd
                return wd


def event_size(event: Event) -> int:
    """Bytes of struct inotify_event with its padded name."""
    name = event[3]
    return _EVENT_SIZE + (len(name) // _EVENT_SIZE + 1) * _EVENT_SIZE if name else _EVENT_SIZE


def event_bytes(event: Event) -> bytes:
    """An event as read(2) gives it."""
    wd, mask, cookie, name = event
    length = event_size(event) - _EVENT_SIZE
    return uapi.InotifyEvent(wd, mask, cookie, length).to_bytes() + name.ljust(length, b"\0")


class Watch:
    """A mark on an inode. It keeps the inode, and its name in the cache."""

    __slots__ = ("dentry", "group", "inode", "mask", "wd")

    def __init__(self, group: Inotify, wd: int, dentry: Dentry, inode: Inode, mask: int) -> None:
        self.group = group
        self.wd = wd
        self.dentry = dentry
        self.inode = inode
        self.mask = mask
        inode.i_count += 1

    def handle(self, mask: int, name: bytes, cookie: int) -> None:
        """Something happened: is that wanted?"""
        if not mask & (self.mask | _ALWAYS) & (uapi.IN_ALL_EVENTS | _ALWAYS):
            return
        self.group.add((self.wd, mask, cookie, name))
        if self.mask & uapi.IN_ONESHOT:
            self.destroy()

    def destroy(self) -> None:
        """The watch ends: IN_IGNORED says so."""
        if self.detach():
            self.group.add((self.wd, uapi.IN_IGNORED, 0, b""))

    def detach(self) -> bool:
        """Forget the watch; False if it was forgotten before."""
        group = self.group
        if group.watches.pop(self.wd, None) is None:
            return False
        state: Fsnotify = group.machine.fsnotify
        marks = state.marks[self.inode]
        del marks[self]
        if not marks:
            del state.marks[self.inode]
        state.watches[group.uid] -= 1
        iput(self.inode)
        return True


class InotifyFileOperations(FileOperations):
    """A descriptor of an instance."""

    __slots__ = ()
    supports_fasync = True

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        group: Inotify = file.private_data
        done = 0
        while group.events and event_size(group.events[0]) <= buf.length:
            done += buf.put(event_bytes(group.take()))
        if done:
            return done
        if group.events:
            raise EINVAL
        if file.f_flags & O_NONBLOCK:
            raise EAGAIN
        wait_on(task, group.poll, why="inotify_read")

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        return file.f_pos

    def poll(self, task: Task, file: File) -> int:
        group: Inotify = file.private_data
        return _READABLE if group.events else 0

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...] | None:
        group: Inotify = file.private_data
        return (group.poll,)

    def ioctl(self, task: Task, file: File, cmd: int, arg: int) -> int:
        group: Inotify = file.private_data
        if cmd == FIONREAD:
            assert task.mm is not None
            task.mm.write_u32(arg, group.size)
            return 0
        if cmd == uapi.INOTIFY_IOC_SETNEXTWD:
            if not 1 <= arg <= _INT_MAX:
                raise EINVAL
            group.last_wd = arg - 1
            return 0
        raise ENOTTY

    def release(self, file: File) -> None:
        group: Inotify = file.private_data
        for watch in tuple(group.watches.values()):
            watch.detach()
        state: Fsnotify = group.machine.fsnotify
        state.queued -= len(group.events)
        state.instances[group.uid] -= 1

    def fdinfo(self, file: File) -> str:
        group: Inotify = file.private_data
        return "".join(
            f"inotify wd:{watch.wd:x} ino:{watch.inode.i_ino:x} sdev:{watch.inode.i_sb.s_dev:x} "
            f"mask:{watch.mask & _KEPT:x} ignored_mask:0 \n"
            for watch in group.watches.values()
        )


_FOPS: Final = InotifyFileOperations()


@syscall
def inotify_init1(task: Task, flags: Flags) -> int:
    """Make an inotify instance. inotify_init1(2). Errors: EINVAL, EMFILE, ENFILE."""
    if flags & ~(O_CLOEXEC | O_NONBLOCK):
        raise EINVAL
    machine = task.machine
    state = init_fsnotify(machine)
    uid = task.cred.uid
    mine = state.instances.get(uid, 0)
    if mine >= int(machine.sysctl.get("fs.inotify.max_user_instances", 128)):
        raise EMFILE
    group = Inotify(machine, uid)
    state.instances[uid] = mine + 1
    try:
        return anon_inode_getfd(
            task, b"inotify", _FOPS, group, O_RDONLY | flags & O_NONBLOCK, flags & O_CLOEXEC != 0
        )
    except BaseException:
        if state.instances[uid] > mine:
            state.instances[uid] = mine
        raise


@syscall
def inotify_init(task: Task) -> int:
    """Make an inotify instance. inotify_init(2). Errors: EMFILE, ENFILE."""
    return inotify_init1(task, 0)


def _group(file: File) -> Inotify:
    if file.f_op is not _FOPS:
        raise EINVAL
    group: Inotify = file.private_data
    return group


@syscall
def inotify_add_watch(task: Task, file: FileArg, pathname: PathArg, mask: UInt) -> int:
    """Watch a file or directory; the watch's number. inotify_add_watch(2).

    Errors: EBADF, EINVAL, EEXIST, ENOTDIR, EACCES, ENOSPC, and those of the path walk.
    """
    if not mask & _KNOWN:
        raise EINVAL
    if mask & uapi.IN_MASK_ADD and mask & uapi.IN_MASK_CREATE:
        raise EINVAL
    group = _group(file)
    how = 0 if mask & uapi.IN_DONT_FOLLOW else LOOKUP_FOLLOW
    if mask & uapi.IN_ONLYDIR:
        how |= LOOKUP_DIRECTORY
    path = path_lookup(task, AT_FDCWD, pathname, how)
    inode = path.inode
    inode_permission(task, inode, MAY_READ)
    state: Fsnotify = task.machine.fsnotify
    for watch in state.marks.get(inode, ()):
        if watch.group is group:
            return _update(watch, mask)
    used = state.watches.get(group.uid, 0)
    if used >= int(task.machine.sysctl.get("fs.inotify.max_user_watches", 8192)):
        raise ENOSPC
    watch = Watch(group, group.next_wd(), path.dentry, inode, mask & _KEPT)
    group.watches[watch.wd] = watch
    state.marks.setdefault(inode, {})[watch] = None
    state.watches[group.uid] = used + 1
    return watch.wd


def _update(watch: Watch, mask: int) -> int:
    """The inode is watched already: replace or extend what is wanted. EEXIST."""
    if mask & uapi.IN_MASK_CREATE:
        raise EEXIST
    watch.mask = (watch.mask if mask & uapi.IN_MASK_ADD else 0) | mask & _KEPT
    return watch.wd


@syscall
def inotify_rm_watch(task: Task, file: FileArg, wd: Int) -> int:
    """End a watch. inotify_rm_watch(2). Errors: EBADF, EINVAL."""
    watch = _group(file).watches.get(wd)
    if watch is None:
        raise EINVAL
    watch.destroy()
    return 0
