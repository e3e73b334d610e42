# SPDX-License-Identifier: Apache-2.0
"""Regular files that a process reads without a call: windows onto the page cache.

A file that a process has read a few times gets a *window*: the pages of it that are cached are
mapped, read-only, above TASK_SIZE, and code in the stub (arch/um/fast.py) answers read(2),
pread64(2) and lseek(2) from there. Only the position is the guest's to write.

That is done only while the kernel can know all that happens to the file: the process has one
thread, its descriptor table and the open file are its own alone, and nobody watches its calls. At
each call that does reach the kernel the positions are taken over first (``enter``); after it,
whatever is no longer so loses its window (``leave``). Whoever changes the size of a file or takes
pages out of its cache drops the windows onto it before (mm/truncate.py).

See Documentation/in-stub-calls.rst.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import Errno
from pygos.include.linux.fastcalls import (
    F_EGID,
    F_ENABLE,
    F_EUID,
    F_GID,
    F_PID,
    F_TID,
    F_UID,
    FAST_FDS,
    FAST_FILES,
    FAST_FUTEX,
    FAST_PID,
    FAST_UID,
    POS_BITS,
    POS_MASK,
    S_LIMIT,
    S_SEQ,
    S_SIZE,
    S_VA,
    SEQ_MASK,
    SLOT_WORDS,
)
from pygos.include.linux.fs import FMODE_READ
from pygos.include.linux.platform import WINDOWS, WINDOWS_END
from pygos.include.uapi.fcntl import O_DIRECT
from pygos.mm.filemap import filemap_fill

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import Mapping
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

#: A file gets a window at this slow read.
_READS: Final = 3
#: At once in a process; the largest window; pages and runs of frames mapped in one go.
_MOST: Final = 16
_LARGEST: Final = 256 << 20
_STEP_PAGES: Final = 2048
_STEP_RUNS: Final = 64
#: Pages that are read ahead at first and at most, in the place of many slow reads.
_AHEAD: Final = 64
_AHEAD_MOST: Final = 1024
#: Files whose reads are being counted.
_SEEN: Final = 64
_NR_READ, _NR_PREAD = 0, 17
#: The bit of ``task.syscall_work`` of tasks that have windows (kernel/entry_work.py).
SYSCALL_WORK_WINDOWS: Final = 256
#: A position that fits is below.
_MAX_POS: Final = 1 << (POS_BITS - 1)
_EMPTY: Final = memoryview(bytes(SLOT_WORDS * 8)).cast("Q")


class Window:
    """One file of one process. `va`: where its first byte is; `mapped`: bytes from there on."""

    __slots__ = ("ahead", "fd", "file", "mapped", "mapping", "owner", "room", "seq", "va")

    def __init__(self, owner: Windows, fd: int, file: File, mapping: Mapping, va: int) -> None:
        self.owner = owner
        self.fd = fd
        self.file = file
        self.mapping = mapping
        self.va = va
        self.mapped = 0
        #: Pages to read ahead of who reads in order.
        self.ahead = _AHEAD
        #: Tells this file from others that had the descriptor before.
        self.seq = owner.next_seq()
        #: Bytes of address space.
        self.room = (mapping.host.i_size + 4095) & ~4095


class Windows:
    """All windows of one mm (``mm.windows``)."""

    __slots__ = ("_mm", "_next", "_seen", "_seq", "by_fd", "entered", "task")

    def __init__(self, mm: Mm) -> None:
        self._mm = mm
        self.by_fd: dict[int, Window] = {}
        self._seen: dict[File, int] = {}
        self._next = WINDOWS
        self._seq = 0
        #: The one thread, and whether it is in a call.
        self.task: Task | None = None
        self.entered = False

    def next_seq(self) -> int:
        """A number for a window, never 0."""
        self._seq = self._seq % SEQ_MASK + 1
        return self._seq

    # -- around each call

    def enter(self) -> None:
        """A call begins: the positions are the kernel's."""
        positions = self._mm.space.pos_page
        assert positions is not None
        for fd, window in self.by_fd.items():
            window.file.f_pos = positions[fd] & POS_MASK
        self.entered = True

    def leave(self, task: Task) -> None:
        """A call ends: the positions are the guest's, where the file still is its own."""
        mm = self._mm
        positions = mm.space.pos_page
        assert positions is not None
        files = task.files
        own = mm.users == 1 and files.count == 1 and task is self.task
        for fd, window in list(self.by_fd.items()):
            file = window.file
            if own and file.f_count == 1 and file.f_pos < _MAX_POS and files.fd.get(fd) is file:
                positions[fd] = window.seq << POS_BITS | file.f_pos
            else:
                self.drop(window)
        self.entered = False
        if not self.by_fd:
            self._end(task)

    def _end(self, task: Task) -> None:
        task.syscall_work &= ~SYSCALL_WORK_WINDOWS
        page = task.cpu.thread_page if task.cpu is not None else None
        if page is not None:
            page[F_ENABLE] &= ~FAST_FILES

    # -- windows

    def saw_read(self, task: Task, file: File, fd: int) -> None:
        """The kernel has answered a read of a file in the page cache; `fd`: the first argument
        of the call."""
        window = self.by_fd.get(fd)
        if window is not None:
            if window.file is file:
                self._read_ahead(window)
                self._extend(window)
            return
        if task.syscall_nr not in (_NR_READ, _NR_PREAD) or fd >= FAST_FDS:
            return
        count = self._seen.get(file, 0) + 1
        if count < _READS:
            if len(self._seen) >= _SEEN:
                self._seen.clear()
            self._seen[file] = count
            return
        self._seen.pop(file, None)
        if self._may(task, fd, file):
            self._open(task, fd, file)

    def _may(self, task: Task, fd: int, file: File) -> bool:
        """Can the kernel know all that happens to the file?"""
        machine, files, mapping = task.machine, task.files, file.f_inode.i_mapping
        return (
            len(self.by_fd) < _MOST
            and self._mm.users == 1
            and files.count == 1
            and files.fd.get(fd) is file
            and file.f_count == 1
            and file.f_op.in_stub
            and bool(file.f_mode & FMODE_READ)
            and not file.f_flags & O_DIRECT
            and mapping is not None
            and 0 < mapping.host.i_size <= _LARGEST
            and mapping.host.i_size == file.f_inode.i_size
            and machine.fsnotify is None
            and not task.syscall_work & ~SYSCALL_WORK_WINDOWS
            and task.cpu is not None
            and task.cpu.thread_page is not None
        )

    def _open(self, task: Task, fd: int, file: File) -> None:
        mapping = file.f_inode.i_mapping
        assert mapping is not None
        if not self.by_fd:
            self._next = WINDOWS
        window = Window(self, fd, file, mapping, self._next)
        if window.va + window.room > WINDOWS_END:
            return
        self._next += window.room + 4096
        self.by_fd[fd] = window
        if mapping.windows is None:
            mapping.windows = {}
        mapping.windows[window] = None
        task.machine.misc.setdefault("windows", {})[mapping] = None
        self.task = task
        self.entered = True  # by the call that reads it now
        task.syscall_work |= SYSCALL_WORK_WINDOWS
        self._extend(window)
        arm_thread(task)

    def _read_ahead(self, window: Window) -> None:
        """A slow read: if it went on where the window ends, have more for the next ones."""
        index, mapping = window.mapped >> 12, window.mapping
        zone = mapping.machine.zone
        if not index < window.file.f_ra <= index + _STEP_PAGES or mapping.keep:
            return
        window.ahead = min(2 * window.ahead, _AHEAD_MOST)
        if zone.page_memcg is not None or zone.nr_free < zone.high_wmark + 2 * window.ahead:
            return
        try:
            filemap_fill(mapping, index, min(index + window.ahead, window.room >> 12), 0)
        except Errno:
            pass  # who needs these pages will be told

    def _extend(self, window: Window) -> None:
        """Map further pages of the file that are cached, in runs of frames."""
        pages = window.mapping.pages
        space = self._mm.space
        index = window.mapped >> 12
        last = min(index + _STEP_PAGES, window.room >> 12)
        runs = 0
        while index < last and runs < _STEP_RUNS:
            pfn = pages.get(index)
            if pfn is None:
                break
            count = 1
            while index + count < last and pages.get(index + count) == pfn + count:
                count += 1
            space.window(window.va + (index << 12), pfn, count)
            index += count
            runs += 1
        window.mapped = index << 12
        if window.file.f_ra <= index:
            window.file.f_ra = index  # where the next slow read of who reads in order begins
        entries = space.proc_page
        assert entries is not None
        at = window.fd * SLOT_WORDS
        entries[at + S_VA] = window.va
        entries[at + S_LIMIT] = window.mapped
        entries[at + S_SIZE] = window.mapping.host.i_size
        entries[at + S_SEQ] = window.seq

    def drop(self, window: Window) -> None:
        """The file is read by calls again, and its pages are out of reach."""
        mm = self._mm
        space = mm.space
        entries = space.proc_page
        assert entries is not None
        fd = window.fd
        at = fd * SLOT_WORDS
        entries[at : at + SLOT_WORDS] = _EMPTY
        # The thread may be running: what it reads now it reads before this, or not at all.
        word = space.take_position(fd)
        if not self.entered:
            window.file.f_pos = word & POS_MASK
        del self.by_fd[fd]
        _forget(window)
        if window.mapped:
            space.window(window.va, -1, window.mapped >> 12)
            space.shootdown()

    def close(self) -> None:
        """The mm ends; its space unmaps everything."""
        for window in self.by_fd.values():
            _forget(window)
        self.by_fd.clear()
        self._seen.clear()

    def drop_all(self) -> None:
        """No file of the process is read in the stub any more."""
        for window in list(self.by_fd.values()):
            self.drop(window)


def _forget(window: Window) -> None:
    """The file has this window no more; without any, the machine needn't know the file."""
    mapping = window.mapping
    others = mapping.windows
    if others is not None:
        others.pop(window, None)
    if not others:
        mapping.windows = None
        known: dict[Mapping, None] = mapping.machine.misc.get("windows", {})
        known.pop(mapping, None)


def drop_windows(mapping: Mapping) -> None:
    """Drop all windows onto a file; its frames may be used for something else then."""
    windows, mapping.windows = mapping.windows, None
    for window in windows or ():
        owner = window.owner
        if owner.by_fd.get(window.fd) is window:
            owner.drop(window)


def drop_all_windows(machine: Machine) -> None:
    """Somebody wants to see all reads of files from now on."""
    for mapping in list(machine.misc.get("windows", {})):
        drop_windows(mapping)


def drop_task_windows(task: Task) -> None:
    """Another process gets at a task's open files."""
    if task.mm is not None and task.mm.windows is not None:
        task.mm.windows.drop_all()


def arm_thread(task: Task) -> None:
    """Let the stub answer for the thread, as far as it may: who it is, and its files."""
    cpu, mm = task.cpu, task.mm
    if cpu is None or mm is None or mm.windows is None or task.syscall_work & ~SYSCALL_WORK_WINDOWS:
        return
    page, cred = cpu.thread_page, task.cred
    if page is None or cred.user_ns is not None or task.pid_ns is not None:
        return
    page[F_PID], page[F_TID] = task.tgid, task.pid
    page[F_UID], page[F_EUID] = cred.uid, cred.euid
    page[F_GID], page[F_EGID] = cred.gid, cred.egid
    files = mm.windows.by_fd and mm.windows.task is task
    page[F_ENABLE] = FAST_PID | FAST_UID | FAST_FUTEX | (FAST_FILES if files else 0)


def disarm_thread(task: Task) -> None:
    """The kernel answers every call of the thread; until somebody arms it again."""
    if task.mm is not None and task.mm.windows is not None and task.cpu is not None:
        page = task.cpu.thread_page
        if page is not None:
            page[F_ENABLE] = 0
