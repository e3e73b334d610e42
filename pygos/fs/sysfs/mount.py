# SPDX-License-Identifier: Apache-2.0
"""Mounting sysfs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.dcache import d_make_root, shrink_dcache_sb
from pygos.fs.synthetic import SyntheticInode
from pygos.include.linux.fs import FileSystemType, Kstatfs, SuperBlock, SuperOperations
from pygos.include.uapi.magic import SYSFS_MAGIC

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace


class SysfsSuperOperations(SuperOperations):
    """Nothing is stored."""

    __slots__ = ()

    def statfs(self, sb: SuperBlock) -> Kstatfs:
        return Kstatfs(type=sb.s_magic)

    def put_super(self, sb: SuperBlock) -> None:
        shrink_dcache_sb(sb)


_SUPER_OPS: Final = SysfsSuperOperations()


class SysfsType(FileSystemType):
    """mount -t sysfs."""

    __slots__ = ()
    name = "sysfs"
    userns_mount = True
    userns_visible = True

    def user_ns(self, task: Task) -> UserNamespace | None:
        net = task.nsproxy.net
        return net.user_ns if net is not None else None

    def mount(self, task: Task, source: str, flags: int, data: str) -> SuperBlock:
        from pygos.fs.sysfs.tree import ROOT

        sb = SuperBlock(task.machine, self, _SUPER_OPS)
        sb.s_magic = SYSFS_MAGIC
        sb.s_fs_info = {}
        sb.s_root = d_make_root(sb, SyntheticInode(sb, sb.new_ino(), ROOT, None))
        return sb
