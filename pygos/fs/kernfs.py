# SPDX-License-Identifier: Apache-2.0
"""Trees that the kernel's objects span, with attributes that can be changed (fs/kernfs).

A directory is an object of the kernel (``KernfsNode``: a control group), its files are names
the object has. Inodes are made at look-up; what chmod, chown, utimes and setxattr change is
kept by the object, so that inodes may come and go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from pygos.fs.libfs import check_xattr_prefix
from pygos.fs.synthetic import Node, SyntheticInode
from pygos.include.errno import EACCES, EEXIST, ENODATA, ENOSPC
from pygos.include.linux.fs import (
    ATTR_ATIME,
    ATTR_GID,
    ATTR_MODE,
    ATTR_MTIME,
    ATTR_UID,
    S_IFMT,
    FileOperations,
    Iattr,
    Inode,
    InodeOperations,
    SuperBlock,
)
from pygos.include.uapi.stat import S_IALLUGO
from pygos.include.uapi.xattr import (
    XATTR_CREATE,
    XATTR_REPLACE,
    XATTR_SECURITY_PREFIX,
    XATTR_TRUSTED_PREFIX,
    XATTR_USER_PREFIX,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import Dentry
    from pygos.include.linux.sched import Task

_PREFIXES: Final = (XATTR_USER_PREFIX, XATTR_TRUSTED_PREFIX, XATTR_SECURITY_PREFIX)
#: Extended attributes of one file: so many, of so many bytes in all.
_XATTR_MAX: Final = 128
_XATTR_BYTES: Final = 128 << 10


class Attributes(Protocol):
    """What was changed of a file."""

    mode: int
    uid: int
    gid: int
    atime: int
    mtime: int
    ctime: int
    xattrs: dict[bytes, bytes] | None


class KernfsNode(Protocol):
    """An object that is a directory."""

    uid: int
    gid: int
    attrs: dict[bytes, Any]

    def new_attrs(self, mode: int, uid: int, gid: int) -> Attributes:
        """An empty record for ``attrs``."""


class KernfsFile(Node):
    """What is at a file's name; `fop`: what an open one does."""

    __slots__ = ("fop",)
    fop: FileOperations


class KernfsInode(SyntheticInode):
    """A directory (`name` empty) or a file of the object `target`."""

    __slots__ = ("name",)

    def __init__(
        self, sb: SuperBlock, ino: int, node: Node, target: KernfsNode, name: bytes
    ) -> None:
        super().__init__(sb, ino, node, target)
        self.name = name
        if isinstance(node, KernfsFile):
            self.i_op = KERNFS_IOPS
            self.i_fop = node.fop
        self.refresh()

    def refresh(self) -> None:
        """Owner, mode and times as they are kept."""
        attrs: Attributes | None = self.target.attrs.get(self.name)
        if attrs is None:
            self.i_uid, self.i_gid = self.target.uid, self.target.gid
            return
        self.i_uid, self.i_gid = attrs.uid, attrs.gid
        self.i_mode = self.i_mode & S_IFMT | attrs.mode & S_IALLUGO
        if attrs.ctime:
            self.i_atime, self.i_mtime, self.i_ctime = attrs.atime, attrs.mtime, attrs.ctime

    def kept(self) -> Attributes:
        """The record of changes, made if there is none."""
        target: KernfsNode = self.target
        found: Attributes | None = target.attrs.get(self.name)
        if found is None:
            found = target.new_attrs(self.i_mode & S_IALLUGO, self.i_uid, self.i_gid)
            target.attrs[self.name] = found
        return found


class KernfsInodeOperations(InodeOperations):
    """Attributes; what has no file system behind it can't be made or removed."""

    __slots__ = ()

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        assert isinstance(inode, KernfsInode)
        valid = attr.valid & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME)
        if not valid:
            return
        kept = inode.kept()
        if valid & ATTR_MODE:
            kept.mode = attr.mode & S_IALLUGO
        if valid & ATTR_UID:
            kept.uid = attr.uid
        if valid & ATTR_GID:
            kept.gid = attr.gid
        kept.atime = attr.atime if valid & ATTR_ATIME else inode.i_atime
        kept.mtime = attr.mtime if valid & ATTR_MTIME else inode.i_mtime
        kept.ctime = inode.i_sb.machine.clock.realtime()
        inode.refresh()

    def create(self, task: Task, dir: Inode, dentry: Dentry, mode: int) -> Inode:
        raise EACCES

    def getxattr(self, task: Task, inode: Inode, name: bytes) -> bytes:
        check_xattr_prefix(name, _PREFIXES)
        assert isinstance(inode, KernfsInode)
        attrs: Attributes | None = inode.target.attrs.get(inode.name)
        if attrs is None or attrs.xattrs is None or name not in attrs.xattrs:
            raise ENODATA
        return attrs.xattrs[name]

    def setxattr(self, task: Task, inode: Inode, name: bytes, value: bytes, flags: int) -> None:
        check_xattr_prefix(name, _PREFIXES)
        assert isinstance(inode, KernfsInode)
        kept = inode.kept()
        values = kept.xattrs = kept.xattrs or {}
        if flags & XATTR_CREATE and name in values:
            raise EEXIST
        if flags & XATTR_REPLACE and name not in values:
            raise ENODATA
        others = [len(key) + len(values[key]) for key in values if key != name]
        if len(others) >= _XATTR_MAX or sum(others) + len(name) + len(value) > _XATTR_BYTES:
            raise ENOSPC
        values[name] = value

    def listxattr(self, task: Task, inode: Inode) -> list[bytes]:
        assert isinstance(inode, KernfsInode)
        attrs: Attributes | None = inode.target.attrs.get(inode.name)
        return list(attrs.xattrs or ()) if attrs is not None else []

    def removexattr(self, task: Task, inode: Inode, name: bytes) -> None:
        self.getxattr(task, inode, name)
        assert isinstance(inode, KernfsInode)
        kept = inode.kept()
        assert kept.xattrs is not None
        del kept.xattrs[name]


KERNFS_IOPS: Final = KernfsInodeOperations()
