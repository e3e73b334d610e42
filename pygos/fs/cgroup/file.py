# SPDX-License-Identifier: Apache-2.0
"""Files of groups: one decorated function each, as in fs/synthetic.py.

    @cgroup_file("cgroup.type", 0o644, on_root=False)
    def cgroup_type(task, cgroup): return "domain\\n"

    @cgroup_type.setter
    def set_type(ctx, cgroup, data): ...

``ctx`` is the ``OpenFile`` of the writer: the task, the credentials of the opener and the root
of its namespace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pygos.fs.kernfs import KernfsFile, KernfsInode
from pygos.include.errno import E2BIG, EINVAL, ENODEV, EPERM
from pygos.include.linux.fs import S_IFREG, File, FileOperations, Inode
from pygos.include.uapi.fcntl import SEEK_CUR, SEEK_END, SEEK_SET
from pygos.include.uapi.poll import (
    POLLERR,
    POLLIN,
    POLLOUT,
    POLLPRI,
    POLLRDNORM,
    POLLWRNORM,
)
from pygos.kernel.cgroup.core import Cgroup, hierarchy
from pygos.kernel.cgroup.namespace import ns_root

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task
    from pygos.include.linux.wait import WaitQueue
    from pygos.mm.memcontrol import PeakWatcher

Show = Callable[["Task", Cgroup], str]
Store = Callable[["OpenFile", Cgroup, bytes], None]
_ALWAYS: Final = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM
_WRITE_MAX: Final = 4096


class OpenFile:
    """What an open file of a group remembers (private_data)."""

    __slots__ = ("cred", "event", "ns_root", "peak", "task", "text")

    def __init__(self, task: Task, cred: Cred, root: Cgroup) -> None:
        #: Who reads or writes just now.
        self.task = task
        self.cred = cred
        self.ns_root = root
        self.text: bytes | None = None
        #: Which change of the contents was read.
        self.event = 0
        #: memory.peak and pids.peak count from a write to this very file.
        self.peak: PeakWatcher | None = None


class CgroupFile(KernfsFile):
    """A file that groups have. `on_root`: None: everywhere; else whether the root has it."""

    __slots__ = ("delegatable", "on_root", "place", "show", "show_open", "store")

    def __init__(
        self, name: str, mode: int, place: int, on_root: bool | None, delegatable: bool
    ) -> None:
        super().__init__(name, S_IFREG | mode)
        self.place = place
        self.on_root = on_root
        #: May be written in the root of a namespace from inside it.
        self.delegatable = delegatable
        self.show: Show | None = None
        #: Instead of `show`, of a file whose text depends on what was done with it.
        self.show_open: Callable[[OpenFile, Cgroup], str] | None = None
        self.store: Store | None = None
        self.fop = CGROUP_FOPS

    def setter(self, store: Store) -> Store:
        """Decorator: the function that takes what is written."""
        self.store = store
        return store


def cgroup_file(
    name: str, place: int, mode: int = 0o444, on_root: bool | None = False,
    delegatable: bool = False,
) -> Callable[[Show], CgroupFile]:  # fmt: skip
    """Decorator: make a function a file. `place` is its rank in listings (all differ)."""

    def make(show: Show) -> CgroupFile:
        file = CgroupFile(name, mode, place, on_root, delegatable)
        file.show = show
        return file

    return make


class CgroupFileOperations(FileOperations):
    """Reading, writing and polling."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        file.private_data = OpenFile(task, file.f_cred, ns_root(task))

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        inode = file.f_inode
        assert isinstance(inode, KernfsInode)
        state: OpenFile = file.private_data
        cgroup: Cgroup = inode.target
        if cgroup.dead:
            raise ENODEV
        data = state.text
        if data is None or pos == 0:
            node: CgroupFile = inode.i_private
            state.task = task
            data = state.text = self._text(state, node, cgroup)
            event = cgroup.files.get(node.name)
            state.event = event.event if event is not None else 1
        part = data[pos : pos + buf.length]
        return buf.put(part) if part else 0

    @staticmethod
    def _text(state: OpenFile, node: CgroupFile, cgroup: Cgroup) -> bytes:
        if node.show_open is not None:
            return node.show_open(state, cgroup).encode("utf-8", "surrogateescape")
        if node.show is None:
            raise EINVAL
        return node.show(state.task, cgroup).encode("utf-8", "surrogateescape")

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        inode = file.f_inode
        assert isinstance(inode, KernfsInode)
        state: OpenFile = file.private_data
        cgroup: Cgroup = inode.target
        count = buf.length
        if count > _WRITE_MAX:
            raise E2BIG
        if cgroup.dead:
            raise ENODEV
        if not count:
            return 0
        node: CgroupFile = inode.i_private
        if state.ns_root is cgroup and cgroup.parent is not None and not node.delegatable:
            _delegated(cgroup)
        if node.store is None:
            raise EINVAL
        state.task = task
        node.store(state, cgroup, buf.take(count))
        state.text = None
        return count

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        if whence == SEEK_CUR:
            offset += file.f_pos
        elif whence not in (SEEK_SET, SEEK_END):  # the size is 0
            raise EINVAL
        if offset < 0:
            raise EINVAL
        file.f_pos = offset
        return offset

    def poll(self, task: Task, file: File) -> int:
        inode: Any = file.f_inode
        cgroup: Cgroup = inode.target
        state: OpenFile = file.private_data
        event = cgroup.event_file(inode.name).event
        if cgroup.dead or event != state.event:
            return _ALWAYS | POLLERR | POLLPRI
        return _ALWAYS

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...] | None:
        inode: Any = file.f_inode
        return (inode.target.event_file(inode.name).poll,)


def _delegated(cgroup: Cgroup) -> None:
    """The root of a namespace belongs to who has delegated it. EPERM."""
    if hierarchy(cgroup.machine).nsdelegate:
        raise EPERM


CGROUP_FOPS: Final = CgroupFileOperations()


# -- numbers as they are written


def strip(data: bytes) -> bytes:
    """Without white space around it (strstrip)."""
    return data.strip(b" \t\n\v\f\r")
