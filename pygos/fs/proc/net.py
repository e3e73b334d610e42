# SPDX-License-Identifier: Apache-2.0
"""/proc/PID/net: what the protocol families have to tell (fs/proc/proc_net.c).

The families are in a layer above: at boot they put their files into ``machine.misc``
(``proc_net_init``). ``target`` of these files is the task whose directory it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.libfs import DirFileOperations, dir_emit_entries
from pygos.fs.proc.root import pid_ino
from pygos.fs.synthetic import Directory, Synthetic, SyntheticInode, SyntheticInodeOperations
from pygos.include.errno import ENOENT

if TYPE_CHECKING:
    from pygos.include.linux.fs import DirContext, File, Inode
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: machine.misc: the files by name.
_FILES: Final = "proc_net"
#: Inode numbers, among those of the process.
_BASE: Final = 0x80_0000


def proc_net_init(machine: Machine, *files: Synthetic) -> None:
    """Show these files in /proc/net."""
    table: dict[bytes, Synthetic] = machine.misc.setdefault(_FILES, {})
    table.update({file.name: file for file in files})


def _files(task: Task) -> dict[bytes, Synthetic]:
    found: dict[bytes, Synthetic] = task.machine.misc.get(_FILES, {})
    return found


class NetDirOperations(SyntheticInodeOperations):
    """The directory."""

    __slots__ = ()

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        from pygos.fs.proc.base import PidInode

        assert isinstance(dir, SyntheticInode)
        files = _files(task)
        node = files.get(name)
        if node is None:
            raise ENOENT
        return PidInode(dir.i_sb, _BASE + 1 + list(files).index(name), node, dir.target)


class NetDirFileOperations(DirFileOperations):
    """Its listing."""

    __slots__ = ()

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        inode = file.f_inode
        assert isinstance(inode, SyntheticInode)
        pid, nodes = inode.target.pid, enumerate(_files(task).values(), _BASE + 1)
        dir_emit_entries(
            file, ctx, ((node.name, pid_ino(pid, at), node.mode >> 12) for at, node in nodes)
        )


NET_DIR: Final = Directory("net", 0o555, NetDirOperations(), NetDirFileOperations())
