# SPDX-License-Identifier: Apache-2.0
"""World with files: a tmpfs root, /dev, ptys, and every system call of the kernel.

Programs are tests that make system calls by register, so blocking, waking and restarting are
the real thing. ``w.proc()`` makes a process; ``w.pipe(task)`` and others save typing.
"""

from __future__ import annotations

from struct import pack, unpack
from typing import Any

from pygos.drivers import init_drivers
from pygos.fs.devpts import DevptsType
from pygos.fs.devtmpfs import DevtmpfsType
from pygos.fs.namei import vfs_mkdir
from pygos.fs.namespace import do_mount_internal
from pygos.fs.super import VfsHooks, register_filesystem
from pygos.fs.tmpfs import TmpfsType
from pygos.fs.walk import lookup_one, path_lookup
from pygos.include.linux.fs import FsStruct, Path
from pygos.include.linux.sched import NsProxy, Task
from pygos.init.calls import build_table
from tests.support.world import DATA, World

AT_FDCWD = -100
O_NONBLOCK, O_CLOEXEC, O_DIRECT = 0o4000, 0o2000000, 0o40000


class FakeWatches:
    """Platform.watch for tests: host descriptors are ready when the test says so."""

    name = "fake"
    xstate_size = 576

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.watches: list[tuple[int, int, Any]] = []

    def new_space(self) -> Any:
        return self.inner.new_space()

    def watch(self, fd: int, events: int, waiter: Any) -> None:
        self.watches.append((fd, events, waiter))

    def unwatch(self, fd: int, waiter: Any) -> None:
        self.watches = [w for w in self.watches if not (w[0] == fd and w[2] is waiter)]

    def ready(self, fd: int, events: int) -> int:
        """The host descriptor is ready; how many were told."""
        told = [w for w in self.watches if w[0] == fd and w[1] & events]
        self.watches = [w for w in self.watches if w not in told]
        for _, _, waiter in told:
            waiter.host_ready(events)
        return len(told)


class FsWorld(World):
    """A booted machine without a host."""

    def __init__(self) -> None:
        super().__init__()
        machine = self.machine
        machine.platform = self.watches = FakeWatches(machine.platform)  # type: ignore[assignment]
        machine.fs_hooks = VfsHooks()
        machine.syscalls = build_table()
        for fstype in (TmpfsType(), DevtmpfsType(), DevptsType()):
            register_filesystem(machine, fstype)
        idle = machine.init_task
        mnt = do_mount_internal(machine, "tmpfs", "root", None, 0, "mode=755")
        self.root = Path(mnt, mnt.mnt_root)
        self.place(idle)
        root = self.root.inode
        vfs_mkdir(idle, root, lookup_one(idle, self.root.dentry, b"dev"), 0o755)
        vfs_mkdir(idle, root, lookup_one(idle, self.root.dentry, b"tmp"), 0o1777)
        do_mount_internal(machine, "devtmpfs", "dev", path_lookup(idle, AT_FDCWD, b"/dev"))
        do_mount_internal(
            machine, "devpts", "pts", path_lookup(idle, AT_FDCWD, b"/dev/pts"), 0,
            "mode=620,ptmxmode=666",
        )  # fmt: skip
        init_drivers(machine)

    def place(self, task: Task) -> None:
        """Put a task at the root of the tree."""
        task.fs = FsStruct(self.root, self.root)
        task.nsproxy = NsProxy(self.uts, self.machine.init_mnt_ns)

    def proc(self, parent: Task | None = None, uid: int = 0) -> Task:
        """A process with a descriptor table of its own, copied from its parent's."""
        from pygos.fs.file_table import dup_files

        task = self.process(parent, uid)
        self.place(task)
        if parent is not None:
            task.files = dup_files(parent.files)
            task.group.ctty = parent.group.ctty
        elif task.group.session == task.pid:
            task.group.session_leader = True
        return task

    # -- calls with less typing

    def ok(self, task: Task, name: str, *args: int) -> int:
        """A call that must not sleep; its result."""
        result = self.call(task, name, *args)
        assert result is not None, f"{name} sleeps"
        return result

    def open(self, task: Task, path: bytes, flags: int = 0, mode: int = 0o644) -> int | None:
        addr = self.put(task, path + b"\0", 0xE000)
        return self.call(task, "openat", AT_FDCWD, addr, flags, mode)

    def pipe(self, task: Task, flags: int = 0) -> tuple[int, int]:
        assert self.ok(task, "pipe2", DATA + 0xD000, flags) == 0
        return unpack("<ii", self.get(task, DATA + 0xD000, 8))

    def write(self, task: Task, fd: int, data: bytes) -> int | None:
        """write(2) of up to 48 KiB."""
        return self.call(task, "write", fd, self.put(task, data), len(data))

    def read(self, task: Task, fd: int, count: int) -> bytes | int | None:
        """read(2): what was read, -errno, or None if it sleeps (look with ``got``)."""
        result = self.call(task, "read", fd, DATA, count)
        return self.get(task, DATA, result) if result is not None and result >= 0 else result

    def got(self, task: Task) -> bytes | int | None:
        """The answer of a read that slept."""
        from tests.support.world import result

        count = result(task)
        return self.get(task, DATA, count) if count is not None and count >= 0 else count

    def poll(self, task: Task, wanted: dict[int, int], timeout: int = 0) -> Any:
        """poll(2): {fd: revents} of the ready ones, or the raw answer if it isn't >= 0."""
        data = b"".join(pack("<ihh", fd, events, -1) for fd, events in wanted.items())
        addr = self.put(task, data, 0xC000)
        count = self.call(task, "poll", addr, len(wanted), timeout)
        if count is None or count < 0:
            return count
        raw = self.get(task, addr, len(data))
        found = {}
        for at in range(0, len(raw), 8):
            fd, _, revents = unpack("<ihH", raw[at : at + 8])
            if revents:
                found[fd] = revents
        assert count == len(found)
        return found

    def epoll_ctl(
        self, task: Task, epfd: int, op: int, fd: int, events: int = 0, data: int | None = None
    ) -> int:
        event = pack("<IQ", events, fd if data is None else data)
        return self.ok(task, "epoll_ctl", epfd, op, fd, self.put(task, event, 0xB000))

    def epoll_wait(self, task: Task, epfd: int, most: int = 16, timeout: int = 0) -> Any:
        """[(data, events)], -errno, or None if it sleeps."""
        addr = DATA + 0xA000
        count = self.call(task, "epoll_wait", epfd, addr, most, timeout)
        return count if count is None or count < 0 else self.events(task, count)

    def events(self, task: Task, count: int) -> list[tuple[int, int]]:
        raw = self.get(task, DATA + 0xA000, 12 * count)
        return [unpack("<IQ", raw[at : at + 12])[::-1] for at in range(0, len(raw), 12)]


def errno(number: int) -> int:
    """What a failed call returns."""
    return -number
