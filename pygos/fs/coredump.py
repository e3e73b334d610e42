# SPDX-License-Identifier: Apache-2.0
"""Core dumps: whether, where and how much (fs/coredump.c). core(5).

A process that a signal of the dumping kind ends leaves a file, named by the sysctl
kernel.core_pattern and as large as RLIMIT_CORE allows, or feeds a program of the machine's
owner if the pattern begins with a pipe.

First the other threads of the process come to rest, so that their registers are in the dump;
then the dump is written, as far as the reader at a pipe's other end keeps up; then all of them
go. Meanwhile they sleep: ``group.coredump`` is a ``CoreDump``, and kernel/signal.py asks it what
to do each time one of the threads runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.attr import do_truncate
from pygos.fs.binfmt_elf_core import elf_core_head, vma_pages
from pygos.fs.corename import CoreName
from pygos.fs.file_table import fput
from pygos.fs.namei_calls import do_unlink
from pygos.fs.open import filp_open
from pygos.include.dataclass import replace
from pygos.include.errno import EAGAIN, EFAULT, Errno
from pygos.include.linux.fs import S_IFMT, S_IFREG, File
from pygos.include.linux.sched import TaskState
from pygos.include.uapi.fcntl import (
    AT_FDCWD,
    O_CREAT,
    O_EXCL,
    O_LARGEFILE,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_RDWR,
)
from pygos.include.uapi.resource import RLIMIT_CORE
from pygos.kernel.exit import zap_other_threads
from pygos.mm.uaccess import KernelBuffer

if TYPE_CHECKING:
    from pygos.fs.pipe import Pipe
    from pygos.include.linux.mm_types import Vma
    from pygos.include.linux.sched import SigInfo, Task
    from pygos.include.linux.wait import WaitQueue
    from pygos.mm.mm import Mm

_PAGE: Final = 4096
_CHUNK: Final = 16 * _PAGE
_FLAGS: Final = O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_LARGEFILE
_MODE_CHECKED: Final = 0o677
_ZERO: Final = bytes(_PAGE)
_CORE_FLAG: Final = 0x80
_SIGKILL_BIT: Final = 1 << 8
#: machine.misc: how many dumps go to helpers now.
_PIPED: Final = "core_dumps_piped"


def do_coredump(task: Task, info: SigInfo) -> bool:
    """Begin to dump the process, which is about to die of `info`.

    False: there is nothing to dump. True: ``group.coredump`` and ``group.exit_code`` are set
    and the process ends when the dump is done.
    """
    mm = task.mm
    group = task.group
    if mm is None or not mm.dumpable or group.group_exit:
        return False
    name = CoreName(task, info.signo)
    if not name.words or not _allowed(task, name):
        return False
    group.coredump = CoreDump(task, info, name)
    group.group_exit = True
    group.exit_code = info.signo
    zap_other_threads(task)
    return True


def _allowed(task: Task, name: CoreName) -> bool:
    limit = task.group.rlim[RLIMIT_CORE][0]
    machine = task.machine
    if not name.is_pipe:
        return limit >= _PAGE
    who = f"{task.tgid}({task.comm.decode('utf-8', 'replace')})"
    if limit == 1:  # the helper itself has crashed
        machine.printk.info(f"Process {who} has RLIMIT_CORE set to 1, aborting core")
        return False
    most = int(machine.sysctl.get("kernel.core_pipe_limit", 0))
    if most and machine.misc.get(_PIPED, 0) >= most:
        machine.printk.info(f"Pid {who} over core_pipe_limit, skipping core dump")
        return False
    return True


class CoreDump:
    """A process that is being dumped (struct core_state and coredump_params)."""

    __slots__ = ("file", "finished", "info", "name", "parked", "pending", "pipe", "stream",
                 "task", "waits")  # fmt: skip

    def __init__(self, task: Task, info: SigInfo, name: CoreName) -> None:
        self.task = task
        self.info = info
        self.name = name
        #: Other threads that have come to rest.
        self.parked: dict[Task, None] = {}
        self.finished = False
        # -- of a dump to a helper
        self.file: File | None = None
        self.pipe: Pipe | None = None
        self.stream: _Stream | None = None
        self.pending = b""
        #: The helper has it all, and is to end first.
        self.waits = False

    def hold(self, task: Task) -> bool:
        """A thread of the group runs: True if it sleeps (again), False if it may end now."""
        if self.finished:
            return False
        if task is not self.task:
            self.parked[task] = None
            _sleep(task)
            if not self._others():
                self.task.machine.sched.wake_up(self.task)
            return True
        killed = (task.pending.mask | task.group.shared_pending.mask) & _SIGKILL_BIT
        if self._others() and not killed:
            _sleep(task)
            return True
        if not killed and self._write():
            return True
        self._finish()
        return False

    def _others(self) -> bool:
        """Is any other thread still on its way?"""
        threads = self.task.group.threads
        return any(t is not self.task and t.alive and t not in self.parked for t in threads)

    def _finish(self) -> None:
        self.finished = True
        task = self.task
        self._close()
        if self.pipe is not None:
            task.machine.misc[_PIPED] -= 1
        for thread in tuple(self.parked):
            task.machine.sched.wake_up(thread)

    def _write(self) -> bool:
        """Go on writing; True if the task sleeps until the reader has made room."""
        task = self.task
        if not self.name.is_pipe:
            if _dump_to_file(task, self.info, self.name.words[0]):
                task.group.exit_code |= _CORE_FLAG
            return False
        try:
            if self.pipe is None:
                self._start_helper()
            return self._feed()
        except Errno:  # the helper isn't there, or wants no more
            return False

    # -- helpers

    def _start_helper(self) -> None:
        """Start the program that takes the dump on its standard input."""
        from pygos.fs.pipe import create_pipe_files, get_pipe
        from pygos.fs.umh import call_usermodehelper

        task = self.task
        machine = task.machine
        reader, self.file = create_pipe_files(machine.init_task, O_NONBLOCK)
        reader.f_flags &= ~O_NONBLOCK
        self.pipe = get_pipe(self.file)
        machine.misc[_PIPED] = machine.misc.get(_PIPED, 0) + 1
        try:
            helper = call_usermodehelper(machine, self.name.words, [], reader)
            if self.name.wants_pidfd:
                _give_pidfd(helper, task)
        except Errno:
            machine.printk.info(f"|{self.name.words[0].decode('utf-8', 'replace')} pipe failed")
            raise
        finally:
            fput(reader)
        assert task.mm is not None
        self.stream = _Stream(task.mm, *elf_core_head(task, task.mm, self.info))

    def _feed(self) -> bool:
        """Write to the pipe; True if it is full, or its reader is waited for at the end."""
        task, pipe = self.task, self.pipe
        assert pipe is not None
        while self.file is not None:
            assert self.stream is not None
            text = self.pending or self.stream.next()
            if not text:
                task.group.exit_code |= _CORE_FLAG
                return self._wait_for_helper(pipe)
            try:
                moved = self.file.f_op.write(task, self.file, KernelBuffer(text), 0)
            except EAGAIN:
                self.pending = text
                _sleep(task, pipe.wr_wait)
                return True
            self.pending = text[moved:]
        return False

    def _wait_for_helper(self, pipe: Pipe) -> bool:
        """All is written. With a limit on helpers the process stays until the reader closes.

        Our end counts as a reader meanwhile: the helper sees the end of the file.
        """
        task = self.task
        if not self.waits:
            if not int(task.machine.sysctl.get("kernel.core_pipe_limit", 0)):
                return False
            self.waits = True
            pipe.readers += 1
            pipe.writers -= 1
            pipe.wake_readers()
        if pipe.readers < 2:
            return False
        _sleep(task, pipe.wr_wait, pipe.rd_wait)
        return True

    def _close(self) -> None:
        if self.waits and self.pipe is not None:
            self.pipe.readers -= 1
            self.pipe.writers += 1
        if self.file is not None:
            fput(self.file)
            self.file = None


def _give_pidfd(helper: Task, task: Task) -> None:
    """Descriptor 3 of the helper is a pidfd of the process (%F)."""
    hooks = task.machine.fs_hooks
    helper.files.next_fd = 3
    hooks.pidfd_create(helper, task.group.leader, 0)
    helper.files.next_fd = 1


def _sleep(task: Task, *queues: WaitQueue) -> None:
    """Sleep outside of a call; kernel/signal.py asks again after the wake-up."""
    for queue in queues:
        queue.waiters[task] = None
    task.waiting = queues
    task.wchan = "do_coredump"
    task.notify = True
    task.state = TaskState.UNINTERRUPTIBLE


class _Stream:
    """The dump from the first byte to the last, holes and all."""

    __slots__ = ("addr", "area", "areas", "head", "mm", "pages")

    def __init__(self, mm: Mm, head: bytes, areas: list[tuple[Vma, int]]) -> None:
        self.mm = mm
        self.head = head
        #: (start, end, addresses of pages that are there) of what is dumped.
        self.areas = [
            (vma.start, vma.start + size, frozenset(vma_pages(mm, vma, size)))
            for vma, size in areas
            if size
        ]
        self.area = 0
        self.addr = self.areas[0][0] if self.areas else 0

    def next(self) -> bytes:
        """Some more of it; b"" at the end."""
        if self.head:
            text, self.head = self.head[:_CHUNK], self.head[_CHUNK:]
            return text
        if self.area >= len(self.areas):
            return b""
        _, end, present = self.areas[self.area]
        stop = min(self.addr + _CHUNK, end)
        addresses = range(self.addr, stop, _PAGE)
        text = b"".join([_page(self.mm, a) if a in present else _ZERO for a in addresses])
        self.addr = stop
        if stop == end:
            self.area += 1
            if self.area < len(self.areas):
                self.addr = self.areas[self.area][0]
        return text


# -- to a file


def _dump_to_file(task: Task, info: SigInfo, name: bytes) -> bool:
    """Write the whole dump; was a file written?"""
    try:
        file = _open_core(task, name)
    except Errno:
        return False
    try:
        if not _is_suitable(task, file):
            return False
        do_truncate(task, file.f_path.dentry, 0, 0)
        assert task.mm is not None
        return _dump(task, task.mm, file, info)
    except Errno:
        return False
    finally:
        fput(file)


def _open_core(task: Task, name: bytes) -> File:
    """The new file. What runs with more rights than its user leaves one for root alone."""
    mm = task.mm
    assert mm is not None
    if mm.dumpable == 1:
        try:
            do_unlink(task, AT_FDCWD, name)
        except Errno:
            pass  # most often there is none; what can't be removed fails below
        return filp_open(task, name, _FLAGS, 0o600)
    if not name.startswith(b"/"):
        task.machine.printk.info(
            f"Pid {task.tgid}: can only be dumped to fully qualified path: core dump aborted"
        )
        raise EFAULT
    own = task.cred
    task.cred = replace(own, fsuid=0)
    try:
        return filp_open(task, name, _FLAGS, 0o600)
    finally:
        task.cred = own


def _is_suitable(task: Task, file: File) -> bool:
    """A regular file with one name that is the task's own and nobody else's to read."""
    inode = file.f_inode
    owner = task.cred.fsuid if task.mm is not None and task.mm.dumpable == 1 else 0
    return (
        inode.i_mode & S_IFMT == S_IFREG
        and inode.i_nlink == 1
        and inode.i_uid == owner
        and inode.i_mode & _MODE_CHECKED == 0o600
    )


def _dump(task: Task, mm: Mm, file: File, info: SigInfo) -> bool:
    """Head, notes, memory, as far as the limit; what no page stands for is a hole."""
    limit = task.group.rlim[RLIMIT_CORE][0]
    head, areas = elf_core_head(task, mm, info)
    pos = len(head)
    if not _write(task, file, head[:limit], 0) or pos > limit:
        return True
    for vma, size in areas:
        for addr in vma_pages(mm, vma, size):
            at = pos + addr - vma.start
            if at + _PAGE > limit or not _write(task, file, _page(mm, addr), at):
                return True
        pos += size
    if pos <= limit:
        do_truncate(task, file.f_path.dentry, pos, 0)
    return True


def _page(mm: Mm, addr: int) -> bytes | memoryview:
    """One page of the program's memory, whatever its protection."""
    pte = mm.pt.get(addr >> 12, 0)
    if pte:
        frame = pte & ~0xFFF
        return mm.mem[frame : frame + _PAGE]
    try:
        return mm.read(addr, _PAGE)
    except EFAULT:
        return _ZERO


def _write(task: Task, file: File, data: bytes | memoryview, pos: int) -> bool:
    buffer = KernelBuffer(data)
    while buffer.length:
        moved = file.f_op.write(task, file, buffer, pos)
        if moved <= 0:
            return False
        pos += moved
    return True
