# SPDX-License-Identifier: Apache-2.0
"""hostfs' super block: mounting, statfs, and the table of inodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.dcache import d_make_root, shrink_dcache_sb
from pygos.fs.hostfs.hidden import Files, Rules, Secrets, default_secrets
from pygos.fs.hostfs.inode import HOST_DENTRY_OPS, HostInode, find_inode
from pygos.include.errno import ENODEV, EROFS, Errno
from pygos.include.linux.fs import (
    SB_RDONLY,
    FileSystemType,
    Inode,
    Kstatfs,
    SuperBlock,
    SuperOperations,
)
from pygos.include.uapi.magic import HOSTFS_SUPER_MAGIC

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: Inode numbers of further devices have the device's place in the table above this bit.
INO_BITS: Final = 48


class HostSuper:
    """s_fs_info."""

    __slots__ = ("_hidden", "devices", "files", "hidden_ids", "inodes", "rules", "writable")

    def __init__(self, files: Files, secrets: Secrets, writable: bool) -> None:
        self.files = files
        self.writable = writable
        self.rules: Rules = secrets.rules
        self.hidden_ids = secrets.ids
        #: (device, inode, file type) -> inode
        self.inodes: dict[tuple[int, int, int], HostInode] = {}
        #: device -> its place in order of appearance
        self.devices: dict[int, int] = {}
        #: device -> what hidden_inos() says
        self._hidden: dict[int, frozenset[int]] = {}

    def hidden_inos(self, dev: int) -> frozenset[int]:
        """The guest's numbers of what is hidden on a device; `hidden_ids` never changes."""
        found = self._hidden.get(dev)
        if found is None:
            numbers = [self.ino(dev, ino) for device, ino in self.hidden_ids if device == dev]
            found = self._hidden[dev] = frozenset(numbers)
        return found

    def ino(self, dev: int, ino: int) -> int:
        """The guest's inode number: the host's own on the first device."""
        place = self.devices.get(dev)
        if place is None:
            place = self.devices[dev] = len(self.devices)
        return ino | place << INO_BITS if place else ino


class HostSuperOperations(SuperOperations):
    """statfs(2) of the host's file system; handles of evicted inodes are given back."""

    __slots__ = ()

    def statfs(self, sb: SuperBlock) -> Kstatfs:
        info: HostSuper = sb.s_fs_info
        try:
            host = info.files.statfs(info.files.root())
        except Errno:
            return Kstatfs(type=sb.s_magic)
        return Kstatfs(
            sb.s_magic, host.bsize, host.blocks, host.bfree, host.bavail, host.files, host.ffree,
            0, host.namelen, host.frsize,
        )  # fmt: skip

    def evict_inode(self, inode: Inode) -> None:
        assert isinstance(inode, HostInode)
        info: HostSuper = inode.i_sb.s_fs_info
        if info.inodes.get(inode.h_key) is inode:
            del info.inodes[inode.h_key]
        if inode.h_parent is inode:
            return
        for handle in (inode.h_handle, inode.h_write):
            if handle is not None:
                info.files.close(handle)
        inode.h_handle = inode.h_write = None

    def put_super(self, sb: SuperBlock) -> None:
        shrink_dcache_sb(sb)


_SUPER_OPS: Final = HostSuperOperations()


def machine_secrets(machine: Machine, files: Files) -> Secrets:
    """What the tree `files` hides.

    The rules are those of the host's own root (``machine.host["host"]``, or the machine's root
    if that is the same), worked out once. Other trees, which the owner chose, hide what is
    the same file as a secret of the host, unless it is their top itself.
    """
    misc: dict[str, Secrets] = machine.misc.setdefault("hostfs_secrets", {})
    main: Files | None = machine.host.get("files")
    host: Files | None = machine.host.get("host") or main
    more: tuple[str, ...] = getattr(machine.config, "hidden", ())
    if host is None:
        return Secrets()
    if "host" not in misc:
        misc["host"] = default_secrets(host, more)
    found = misc["host"]
    if files is host or _same_root(files, host):
        return found
    secrets = Secrets()
    secrets.ids = found.ids
    if files is main:
        for path in more:
            secrets.hide(path.encode())
    return secrets


def _same_root(one: Files, other: Files) -> bool:
    first, second = one.fstat(one.root()), other.fstat(other.root())
    return (first.dev, first.ino) == (second.dev, second.ino)


class HostfsType(FileSystemType):
    """mount -t hostfs. The source names an entry of ``machine.host``; "" and "none" the root
    tree. Read-only, unless it is a volume that the owner gave for writing. Programs can't name
    a tree that the owner hasn't given."""

    __slots__ = ()
    name = "hostfs"

    def mount(self, task: Task, source: str, flags: int, data: str) -> SuperBlock:
        machine = task.machine
        key = source if source not in ("", "none", "hostfs") else "files"
        files: Files | None = machine.host.get(key)
        if files is None or not hasattr(files, "open_dir"):
            raise ENODEV
        secrets = machine_secrets(machine, files)
        sb = SuperBlock(machine, self, _SUPER_OPS)
        sb.s_magic = HOSTFS_SUPER_MAGIC
        writable = hasattr(files, "pwrite_from") and not flags & SB_RDONLY
        if not writable:
            sb.s_flags |= SB_RDONLY
        sb.s_d_op = HOST_DENTRY_OPS
        info = sb.s_fs_info = HostSuper(files, secrets, writable)
        handle = files.root()
        root = find_inode(sb, None, b"", files.fstat(handle), info.rules)
        root.h_handle = handle
        sb.s_root = d_make_root(sb, root)
        return sb

    def remount(self, sb: SuperBlock, flags: int, data: str) -> None:
        """What is not for writing stays read-only. EROFS."""
        info: HostSuper = sb.s_fs_info
        if not flags & SB_RDONLY and not info.writable:
            raise EROFS
        sb.s_flags = sb.s_flags & ~SB_RDONLY | flags & SB_RDONLY
