# SPDX-License-Identifier: Apache-2.0
"""Events of files: who watches an inode, and what the VFS tells (fs/notify/fsnotify.c).

The VFS calls the functions here where ``machine.fsnotify`` is set. An event of a file goes to
those who watch its directory, with the file's name, and to those who watch the file itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pygos.arch.x86.entry.syscall_64 import NUMBERS
from pygos.arch.x86.regs import SYSCALL_ARGS
from pygos.include.linux.fs import (
    ATTR_ATIME,
    ATTR_GID,
    ATTR_MODE,
    ATTR_MTIME,
    ATTR_SIZE,
    ATTR_UID,
    FMODE_PATH,
    FMODE_WRITE,
    S_IFDIR,
    S_IFMT,
)
from pygos.include.uapi import inotify as uapi
from pygos.kernel.decode import LazyDecoder, make_decoder
from pygos.mm.instub import drop_all_windows

if TYPE_CHECKING:
    from pygos.fs.notify.inotify import Watch
    from pygos.include.linux.fs import Dentry, File, Inode, SuperBlock
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

_RDI, _RSI, _RDX = SYSCALL_ARGS[:3]
#: Calls that read or write: the registers with descriptors that are read, and written.
_DATA_CALLS: Final = (
    ("read", _RDI, None), ("pread64", _RDI, None), ("readv", _RDI, None),
    ("preadv", _RDI, None), ("preadv2", _RDI, None),
    ("write", None, _RDI), ("pwrite64", None, _RDI), ("writev", None, _RDI),
    ("pwritev", None, _RDI), ("pwritev2", None, _RDI),
    ("sendfile", _RSI, _RDI), ("copy_file_range", _RDI, _RDX), ("splice", _RDI, _RDX),
)  # fmt: skip
#: Calls that are told of although they answer 0.
_ALWAYS: Final = (
    ("getdents64", _RDI, None), ("getdents", _RDI, None), ("fallocate", None, _RDI),
)  # fmt: skip


class Fsnotify:
    """``machine.fsnotify``: all marks."""

    __slots__ = ("cookie", "instances", "marks", "queued", "watches")

    def __init__(self) -> None:
        self.marks: dict[Inode, dict[Watch, None]] = {}
        #: What ties the two events of a rename together.
        self.cookie = 0
        #: Events in all queues.
        self.queued = 0
        #: How many a user has.
        self.instances: dict[int, int] = {}
        self.watches: dict[int, int] = {}


class DataCall:
    """A system call that reads or writes, and tells those who watch its files."""

    __slots__ = ("always", "inner", "reads", "writes")

    def __init__(
        self, inner: Callable[..., Any], reads: int | None, writes: int | None, always: bool
    ) -> None:
        self.inner = inner
        self.reads = reads
        self.writes = writes
        self.always = always

    @property
    def handler(self) -> Any:
        return self.inner.handler  # type: ignore[attr-defined]

    def __call__(self, task: Task, regs: memoryview) -> int | None:
        files = task.files.fd
        source = files.get(regs[self.reads] & 0xFFFF_FFFF) if self.reads is not None else None
        target = files.get(regs[self.writes] & 0xFFFF_FFFF) if self.writes is not None else None
        result: int | None = self.inner(task, regs)
        if result or self.always:
            if source is not None:
                notify_dentry(task.machine, source.f_path.dentry, uapi.IN_ACCESS)
            if target is not None:
                notify_dentry(task.machine, target.f_path.dentry, uapi.IN_MODIFY)
        return result


def init_fsnotify(machine: Machine) -> Fsnotify:
    """The machine's marks, made at the first use; from then on the VFS tells."""
    state: Fsnotify | None = machine.fsnotify
    if state is None:
        state = machine.fsnotify = Fsnotify()
        drop_all_windows(machine)
        for name, reads, writes in _DATA_CALLS:
            _wrap(machine, name, reads, writes, False)
        for name, reads, writes in _ALWAYS:
            _wrap(machine, name, reads, writes, True)
    return state


def _wrap(machine: Machine, name: str, reads: int | None, writes: int | None, always: bool) -> None:
    table, nr = machine.syscalls, NUMBERS[name]
    if nr >= len(table) or not hasattr(table[nr], "handler"):
        return
    inner: Any = table[nr]
    if isinstance(inner, LazyDecoder):
        inner = make_decoder(inner.handler, SYSCALL_ARGS)
    table[nr] = DataCall(inner, reads, writes, always)


# -- delivering


def notify_inode(
    machine: Machine, inode: Inode | None, mask: int, name: bytes = b"", cookie: int = 0
) -> None:
    """Tell those who watch an inode; with a name it is the directory of what happened."""
    marks = machine.fsnotify.marks.get(inode)
    if marks:
        for watch in tuple(marks):
            watch.handle(mask, name, cookie)


def notify_dentry(machine: Machine, dentry: Dentry, mask: int) -> None:
    """Something happened to a file: tell its directory's watchers and its own."""
    inode = dentry.d_inode
    if inode is None or not machine.fsnotify.marks:
        return
    if inode.i_mode & S_IFMT == S_IFDIR:
        mask |= uapi.IN_ISDIR
    parent = dentry.d_parent
    if parent is not dentry:
        marks = machine.fsnotify.marks.get(parent.d_inode)
        if marks:
            for watch in tuple(marks):
                if not (watch.mask & uapi.IN_EXCL_UNLINK and dentry.d_unhashed):
                    watch.handle(mask, dentry.d_name, 0)
    notify_inode(machine, inode, mask)


# -- what the VFS tells


def opened(file: File) -> None:
    """A file was opened."""
    if not file.f_mode & FMODE_PATH:
        notify_dentry(file.f_inode.i_sb.machine, file.f_path.dentry, uapi.IN_OPEN)


def closed(file: File) -> None:
    """The last reference of an open file goes."""
    if not file.f_mode & FMODE_PATH:
        written = file.f_mode & FMODE_WRITE
        mask = uapi.IN_CLOSE_WRITE if written else uapi.IN_CLOSE_NOWRITE
        notify_dentry(file.f_inode.i_sb.machine, file.f_path.dentry, mask)


def created(dentry: Dentry, is_link: bool = False) -> None:
    """A name was made."""
    machine, inode = dentry.d_sb.machine, dentry.d_inode
    if inode is None:
        return
    if inode.i_nlink > 1 and inode.i_mode & S_IFMT != S_IFDIR:
        notify_inode(machine, inode, uapi.IN_ATTRIB)
    mask = uapi.IN_CREATE
    if inode.i_mode & S_IFMT == S_IFDIR:
        mask |= uapi.IN_ISDIR
    notify_inode(machine, dentry.d_parent.d_inode, mask, dentry.d_name)


def removed(dir: Inode, dentry: Dentry) -> None:
    """A name was removed, and is no longer cached."""
    machine, inode = dentry.d_sb.machine, dentry.d_inode
    assert inode is not None
    mask = uapi.IN_DELETE
    if inode.i_mode & S_IFMT == S_IFDIR:
        mask |= uapi.IN_ISDIR
    else:
        notify_inode(machine, inode, uapi.IN_ATTRIB)
    inode_gone(inode)
    notify_inode(machine, dir, mask, dentry.d_name)


def inode_gone(inode: Inode) -> None:
    """If neither names nor open files are left, that is the end of its watches."""
    marks = inode.i_sb.machine.fsnotify.marks.get(inode)
    if not marks or inode.i_nlink > 0 or inode.i_count > len(marks):
        return
    notify_inode(inode.i_sb.machine, inode, uapi.IN_DELETE_SELF)
    for watch in tuple(marks):
        watch.destroy()


def moved(
    machine: Machine, old_dir: Inode, old_name: bytes, new_dir: Inode, new_name: bytes,
    inode: Inode, target: Inode | None,
) -> None:  # fmt: skip
    """A name became another; `target` was behind that one."""
    state: Fsnotify = machine.fsnotify
    state.cookie = (state.cookie + 1) & 0xFFFF_FFFF or 1
    flag = uapi.IN_ISDIR if inode.i_mode & S_IFMT == S_IFDIR else 0
    notify_inode(machine, old_dir, uapi.IN_MOVED_FROM | flag, old_name, state.cookie)
    notify_inode(machine, new_dir, uapi.IN_MOVED_TO | flag, new_name, state.cookie)
    if target is not None:
        notify_inode(machine, target, uapi.IN_ATTRIB)
    notify_inode(machine, inode, uapi.IN_MOVE_SELF)
    if target is not None:
        inode_gone(target)


def changed(dentry: Dentry, valid: int) -> None:
    """Attributes were changed: ATTR_*."""
    mask = 0
    if valid & (ATTR_UID | ATTR_GID | ATTR_MODE):
        mask |= uapi.IN_ATTRIB
    if valid & ATTR_SIZE:
        mask |= uapi.IN_MODIFY
    times = valid & (ATTR_ATIME | ATTR_MTIME)
    if times == ATTR_ATIME | ATTR_MTIME:
        mask |= uapi.IN_ATTRIB
    elif times:
        mask |= uapi.IN_ACCESS if times == ATTR_ATIME else uapi.IN_MODIFY
    if mask:
        notify_dentry(dentry.d_sb.machine, dentry, mask)


def xattr_changed(dentry: Dentry) -> None:
    """An extended attribute was set or removed."""
    notify_dentry(dentry.d_sb.machine, dentry, uapi.IN_ATTRIB)


def unmounted(sb: SuperBlock) -> None:
    """A file system ends, with all watches in it."""
    marks = sb.machine.fsnotify.marks
    for inode in [inode for inode in marks if inode.i_sb is sb]:
        notify_inode(sb.machine, inode, uapi.IN_UNMOUNT)
        for watch in tuple(marks.get(inode, ())):
            watch.destroy()
