# SPDX-License-Identifier: Apache-2.0
"""pipefs: the internal file system that holds pipes' inodes, and the count of their memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.linux.fs import (
    Dentry,
    DentryOperations,
    FileSystemType,
    Inode,
    SuperBlock,
    SuperOperations,
)
from pygos.include.uapi.magic import PIPEFS_MAGIC

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine


class PipeAccount:
    """How many slots all pipes of the machine own, by user: kept in pipe_sb.s_fs_info."""

    __slots__ = ("by_uid", "limit", "mnt", "total")

    def __init__(self, limit: int) -> None:
        self.by_uid: dict[int, int] = {}
        self.total = 0
        #: No more than this for the whole machine, whoever asks.
        self.limit = limit
        self.mnt: Any = None

    def charge(self, uid: int, slots: int) -> None:
        self.by_uid[uid] = self.by_uid.get(uid, 0) + slots
        self.total += slots

    def uncharge(self, uid: int, slots: int) -> None:
        self.total -= slots
        left = self.by_uid[uid] - slots
        if left:
            self.by_uid[uid] = left
        else:
            del self.by_uid[uid]


class PipeDentryOperations(DentryOperations):
    """pipefs names its objects by inode number."""

    __slots__ = ()

    def d_dname(self, dentry: Dentry) -> bytes | None:
        inode = dentry.d_inode
        assert inode is not None
        return b"pipe:[%d]" % inode.i_ino


class PipeFsType(FileSystemType):
    """pipefs: holds the inodes of pipes; can't be mounted (ENODEV is the default)."""

    __slots__ = ()
    name = "pipefs"


_PIPEFS: Final = PipeFsType()
_DENTRY_OPS: Final = PipeDentryOperations()


def pipe_sb(machine: Machine) -> SuperBlock:
    """The super block of pipefs, made at the first use."""
    sb: SuperBlock | None = machine.pipe_sb
    return sb if sb is not None else _init_pipe_fs(machine)


def _init_pipe_fs(machine: Machine) -> SuperBlock:
    sb = SuperBlock(machine, _PIPEFS, SuperOperations())
    sb.s_magic = PIPEFS_MAGIC
    sb.s_d_op = _DENTRY_OPS
    root = Inode(sb, sb.new_ino(), 0o040000)
    sb.s_root = Dentry(sb, None, b"/")
    sb.s_root.d_inode = root
    # Half of the machine's memory may be in pipes, as bytes of the kernel.
    account = PipeAccount(max(machine.ram.pages // 2, 64))
    account.mnt = machine.new_mount(sb.s_root, "pipefs")
    sb.s_fs_info = account
    machine.pipe_sb = sb
    return sb
