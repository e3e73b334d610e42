# SPDX-License-Identifier: Apache-2.0
"""A machine with a tmpfs root and one task, for tests that call system calls as functions.

``k = boot()`` gives a Kernel; ``k.call(handler, ...)`` calls a handler as the entry code would:
path arguments are bytes, descriptors become files, the answer is the result or -errno.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pygos.fs.file_table import dup_files, get_file, get_file_raw
from pygos.fs.namespace import do_mount_internal, follow_mount
from pygos.fs.super import VfsHooks, register_filesystem
from pygos.fs.tmpfs import RamfsType, TmpfsType
from pygos.include.errno import Errno
from pygos.include.linux.cred import Cred
from pygos.include.linux.fs import File, FsStruct, Inode, Path
from pygos.include.linux.machine import Machine
from pygos.include.linux.sched import NsProxy, PidTable, Task, TaskState, UtsNamespace
from pygos.include.linux.syscalls import Out
from pygos.include.uapi.cstruct import CStruct
from pygos.mm.mmap import do_mmap
from pygos.mm.uaccess import KernelBuffer, UserBuffer
from tests.support.fakes import FakeSched, fake_machine, fake_task

AT_FDCWD = -100
#: User memory that tests may scribble on.
SCRATCH_SIZE = 1 << 20


class WakingSched(FakeSched):
    """Sleepers that are woken become runnable; who calls them again is up to the test."""

    def wake_up(self, task: Task) -> None:
        for queue in task.waiting:
            queue.waiters.pop(task, None)
        task.waiting = ()
        super().wake_up(task)


class Kernel:
    """One machine and its first task."""

    def __init__(self, machine: Machine, task: Task) -> None:
        self.machine = machine
        self.task = task
        assert task.mm is not None
        self.mem = task.mm
        #: Address of SCRATCH_SIZE bytes of user memory.
        self.scratch = do_mmap(task.mm, task, None, 0, SCRATCH_SIZE, 3, 0x22, 0)

    def call(self, handler: Callable[..., Any], *args: Any, task: Task | None = None) -> int:
        """The result, or -errno."""
        try:
            return handler(task or self.task, *args) or 0
        except Errno as error:
            return -error.errno

    def file(self, fd: int) -> File:
        return get_file(self.task, fd)

    def raw(self, fd: int) -> File:
        return get_file_raw(self.task, fd)

    def struct(self, kind: type[CStruct]) -> Out[Any]:
        """A place for a struct in user memory; read it with ``load``."""
        return Out(self.mem, self.scratch)

    def load(self, kind: type[CStruct]) -> Any:
        return kind.from_bytes(self.mem.read(self.scratch, kind.SIZE))

    def user(self, length: int, offset: int = 0) -> UserBuffer:
        """A buffer in user memory."""
        return UserBuffer(self.mem, self.scratch + offset, length)

    def open(self, path: bytes, flags: int = 0, mode: int = 0o644, dirfd: int = AT_FDCWD) -> int:
        from pygos.fs.open import openat

        return self.call(openat, dirfd, path, flags, mode)

    def read(self, fd: int, count: int) -> bytes:
        from pygos.fs.read_write import read

        data = bytearray(count)
        got = read(self.task, self.file(fd), KernelBuffer(data))
        return bytes(data[:got])

    def write(self, fd: int, data: bytes) -> int:
        from pygos.fs.read_write import write

        return self.call(write, self.file(fd), KernelBuffer(data))

    def put(self, path: bytes, data: bytes = b"") -> Inode:
        """Make a file with contents."""
        from pygos.fs.file_table import close

        fd = self.open(path, 0o1101)
        assert fd >= 0
        if data:
            assert self.write(fd, data) == len(data)
        inode = self.file(fd).f_inode
        self.call(close, fd)
        return inode

    def get(self, path: bytes) -> bytes:
        """The contents of a file."""
        from pygos.fs.file_table import close

        fd = self.open(path)
        assert fd >= 0, fd
        data = self.read(fd, 1 << 16)
        self.call(close, fd)
        return data

    def stat(self, path: bytes) -> Inode:
        """The inode, links not followed."""
        from pygos.fs.namei import path_lookup

        return path_lookup(self.task, AT_FDCWD, path, 0).inode

    def names(self, path: bytes) -> list[bytes]:
        """The sorted names in a directory, by getdents64."""
        from pygos.fs.file_table import close
        from pygos.fs.readdir import getdents64

        fd = self.open(path, 0o200000)
        assert fd >= 0, fd
        found = []
        while True:
            data = bytearray(4096)
            count = getdents64(self.task, self.file(fd), KernelBuffer(data))
            if not count:
                break
            at = 0
            while at < count:
                size = int.from_bytes(data[at + 16 : at + 18], "little")
                found.append(bytes(data[at + 19 : at + size]).split(b"\0")[0])
                at += size
        self.call(close, fd)
        return sorted(set(found) - {b".", b".."})

    def child(self, pid: int, shared: bool = False) -> Task:
        """Another task, with a descriptor table of its own unless `shared`."""
        task = new_task(self.machine, pid)
        task.files.count = 0
        if shared:
            task.files = self.task.files
            task.files.count += 1
        else:
            task.files = dup_files(self.task.files)
        return task

    def as_user(self, uid: int, gid: int, groups: tuple[int, ...] = ()) -> None:
        """The task becomes an ordinary user."""
        self.task.cred = Cred(uid, gid, uid, gid, uid, gid, uid, gid, groups, 0, 0, 0)

    def as_root(self) -> None:
        self.task.cred = Cred()


def new_task(machine: Machine, pid: int) -> Task:
    """A task at the root, with the machine's mount namespace."""
    task = fake_task(machine, pid)
    task.state = TaskState.RUNNING
    task.group.rlim[7] = (1024, 4096)
    root = machine.init_mnt_ns.root
    place = follow_mount(Path(root, root.mnt_root))
    task.fs = FsStruct(place, place)
    task.nsproxy = NsProxy(UtsNamespace("test"), machine.init_mnt_ns)
    return task


def boot(pages: int = 4096) -> Kernel:
    """A machine whose root is an empty tmpfs with mode 0755."""
    machine = fake_machine(pages)
    machine.pids = PidTable()
    machine.sched = WakingSched()
    machine.fs_hooks = VfsHooks()
    register_filesystem(machine, TmpfsType())
    register_filesystem(machine, RamfsType())
    machine.init_task = fake_task(machine, 0)
    mnt = do_mount_internal(machine, "tmpfs", "root", None, 0, "mode=755")
    top = Path(mnt, mnt.mnt_root)
    machine.init_task.fs = FsStruct(top, top)
    machine.init_task.nsproxy = NsProxy(UtsNamespace("test"), machine.init_mnt_ns)
    return Kernel(machine, new_task(machine, 1))
