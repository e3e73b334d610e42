# SPDX-License-Identifier: Apache-2.0
"""Synthetic files: one decorated function each (what seq_file and kernfs are on Linux).

    @synthetic("uptime")
    def uptime(task, target):
        return f"{...}\\n"

    @synthetic("comm", 0o644)
    def comm(task, target): ...

    @comm.setter
    def set_comm(task, target, data): ...

``task`` is the reader; ``target`` what the file is about (for /proc/PID the other task, for
trees of one machine None). The text is made at the first read of an open file, kept with it,
and made anew when it is read from position 0 again. Directories and links are described in the
same way; ``SyntheticDir`` is a fixed tree of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pygos.fs.libfs import FIRST_COOKIE, DirFileOperations, dir_emit_dots
from pygos.include.errno import EINVAL, EIO, EPERM, Errno
from pygos.include.linux.fs import (
    ATTR_GID,
    ATTR_MODE,
    ATTR_UID,
    S_IFDIR,
    S_IFLNK,
    S_IFREG,
    Dentry,
    DirContext,
    File,
    FileOperations,
    Iattr,
    Inode,
    InodeOperations,
    Path,
)
from pygos.include.uapi.fcntl import SEEK_CUR, SEEK_SET

if TYPE_CHECKING:
    from pygos.include.linux.fs import SuperBlock
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

#: show(task, target) gives the whole text; store(task, target, data) takes one write.
Show = Callable[["Task", Any], "str | bytes"]
Store = Callable[["Task", Any, bytes], None]
Check = Callable[["Task", Any], None]
#: The most that one write to a synthetic file may bring.
_WRITE_MAX: Final = 4096


class Node:
    """What is at one name of a synthetic tree; shared by all instances, never changed."""

    __slots__ = ("mode", "name")

    def __init__(self, name: str, mode: int) -> None:
        self.name = name.encode()
        #: With the file type.
        self.mode = mode


class Synthetic(Node):
    """A file. `check` may refuse an open (EACCES)."""

    __slots__ = ("check", "fop", "show", "store")

    def __init__(
        self, name: str, mode: int, show: Show | None, store: Store | None = None,
        check: Check | None = None, fop: FileOperations | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name, S_IFREG | mode)
        self.show = show
        self.store = store
        self.check = check
        self.fop = fop if fop is not None else SYNTHETIC_FOPS

    def setter(self, store: Store) -> Store:
        """Decorator: the function that takes what is written. Used while the table is made."""
        self.store = store
        return store


def synthetic(
    name: str, mode: int = 0o444, check: Check | None = None
) -> Callable[[Show], Synthetic]:
    """Decorator: make a function a file of that name and mode."""

    def make(show: Show) -> Synthetic:
        return Synthetic(name, mode, show, None, check)

    return make


class Link(Node):
    """A symbolic link; `follow(task, target)` gives its text, or the place it jumps to."""

    __slots__ = ("follow", "text")

    def __init__(
        self, name: str, follow: Callable[[Task, Any], Path | bytes],
        text: Callable[[Task, Any], bytes] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name, S_IFLNK | 0o777)
        self.follow = follow
        self.text = text


class Directory(Node):
    """A directory with operations of its own."""

    __slots__ = ("fop", "iop")

    def __init__(
        self, name: str, mode: int, iop: InodeOperations, fop: FileOperations
    ) -> None:
        super().__init__(name, S_IFDIR | mode)
        self.iop = iop
        self.fop = fop


class SyntheticDir(Directory):
    """A directory whose names never change."""

    __slots__ = ("children",)

    def __init__(self, name: str, *children: Node, mode: int = 0o555) -> None:
        super().__init__(name, mode, SYNTHETIC_DIR_IOPS, SYNTHETIC_DIR_FOPS)
        self.children: dict[bytes, Node] = {child.name: child for child in children}


class SyntheticInode(Inode):
    """An inode of a synthetic tree."""

    __slots__ = ("target",)
    #: What a write answers where nothing can be written.
    unwritable: ClassVar[type[Errno]] = EIO

    def __init__(self, sb: SuperBlock, ino: int, node: Node, target: Any) -> None:
        super().__init__(sb, ino, node.mode)
        self.i_private = node
        self.target = target
        now = sb.machine.clock.realtime()
        self.i_atime = self.i_mtime = self.i_ctime = now
        if isinstance(node, Synthetic):
            self.i_op = SYNTHETIC_IOPS
            self.i_fop = node.fop
        elif isinstance(node, Link):
            self.i_op = SYNTHETIC_LINK_IOPS
        elif isinstance(node, Directory):
            self.i_op = node.iop
            self.i_fop = node.fop
            self.i_nlink = 2
            if isinstance(node, SyntheticDir):
                self.i_nlink += sum(c.mode & S_IFDIR != 0 for c in node.children.values())


def fixed_ino(sb: SuperBlock, path: tuple[bytes, ...] | bytes) -> int:
    """A number for a name that is the same at every look-up (kept in s_fs_info: a dict)."""
    numbers: dict[Any, int] = sb.s_fs_info
    ino = numbers.get(path)
    if ino is None:
        ino = numbers[path] = sb.new_ino()
    return ino


class SyntheticFileOperations(FileOperations):
    """Reading and writing the text."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        node: Synthetic = inode.i_private
        if node.check is not None:
            assert isinstance(inode, SyntheticInode)
            node.check(task, inode.target)

    def text(self, task: Task, file: File) -> bytes:
        """The whole contents now."""
        inode = file.f_inode
        assert isinstance(inode, SyntheticInode)
        node: Synthetic = inode.i_private
        if node.show is None:
            raise EINVAL
        text = node.show(task, inode.target)
        return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        data: bytes | None = file.private_data
        if data is None or pos == 0:
            data = file.private_data = self.text(task, file)
        part = data[pos : pos + buf.length]
        return buf.put(part) if part else 0

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        inode = file.f_inode
        assert isinstance(inode, SyntheticInode)
        node: Synthetic = inode.i_private
        if node.store is None:
            raise inode.unwritable
        count = buf.length
        node.store(task, inode.target, buf.take(min(count, _WRITE_MAX)))
        file.private_data = None
        return count

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        if whence == SEEK_CUR:
            offset += file.f_pos
        elif whence != SEEK_SET:
            raise EINVAL
        if offset < 0:
            raise EINVAL
        file.f_pos = offset
        return offset


class SyntheticInodeOperations(InodeOperations):
    """Attributes stay as they are; truncation has no effect."""

    __slots__ = ()

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        if attr.valid & (ATTR_MODE | ATTR_UID | ATTR_GID):
            raise EPERM


class SyntheticLinkOperations(SyntheticInodeOperations):
    """Links, some of which jump."""

    __slots__ = ()

    def readlink(self, task: Task, inode: Inode) -> bytes:
        assert isinstance(inode, SyntheticInode)
        node: Link = inode.i_private
        if node.text is not None:
            return node.text(task, inode.target)
        text = node.follow(task, inode.target)
        assert isinstance(text, bytes)
        return text

    def get_link(self, task: Task, inode: Inode) -> Path | bytes:
        assert isinstance(inode, SyntheticInode)
        node: Link = inode.i_private
        return node.follow(task, inode.target)


class SyntheticDirInodeOperations(SyntheticInodeOperations):
    """A fixed directory."""

    __slots__ = ()

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        assert isinstance(dir, SyntheticInode)
        node: SyntheticDir = dir.i_private
        child = node.children.get(name)
        if child is None:
            return None
        return SyntheticInode(dir.i_sb, child_ino(dir, name), child, dir.target)


def child_ino(dir: Inode, name: bytes) -> int:
    """The inode number of a name in a fixed directory.

    Directories with large numbers come and go (of processes): their names aren't kept.
    """
    if dir.i_ino >> 32:
        return dir.i_ino + 0x400 + list(dir.i_private.children).index(name)
    return fixed_ino(dir.i_sb, b"%d/%s" % (dir.i_ino, name))


class SyntheticDirFileOperations(DirFileOperations):
    """Listing a fixed directory."""

    __slots__ = ()

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        if ctx.pos < FIRST_COOKIE and not dir_emit_dots(file, ctx):
            return
        node: SyntheticDir = file.f_inode.i_private
        emit_nodes(file.f_inode, list(node.children.values()), ctx)


def emit_nodes(dir: Inode, nodes: list[Node], ctx: DirContext) -> bool:
    """Emit nodes at offsets from FIRST_COOKIE on; False if there was no room."""
    for place in range(ctx.pos - FIRST_COOKIE, len(nodes)):
        node = nodes[place]
        ino = child_ino(dir, node.name)
        if not ctx.emit(node.name, ino, node.mode >> 12, place + FIRST_COOKIE + 1):
            return False
    return True


SYNTHETIC_FOPS: Final = SyntheticFileOperations()
SYNTHETIC_IOPS: Final = SyntheticInodeOperations()
SYNTHETIC_LINK_IOPS: Final = SyntheticLinkOperations()
SYNTHETIC_DIR_IOPS: Final = SyntheticDirInodeOperations()
SYNTHETIC_DIR_FOPS: Final = SyntheticDirFileOperations()
