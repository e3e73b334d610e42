# SPDX-License-Identifier: Apache-2.0
"""devtmpfs: /dev as the kernel fills it (drivers/base/devtmpfs.c).

One instance for the whole machine, a tmpfs with the nodes of the devices there are. The
numbers are those of the drivers in pygos/drivers; a node without a driver gives ENXIO.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.namei import vfs_mkdir, vfs_mknod, vfs_symlink
from pygos.fs.tmpfs import TmpfsSuper, apply_options, fill_super
from pygos.fs.walk import lookup_one
from pygos.include.linux.fs import S_IFCHR, FileSystemType, SuperBlock
from pygos.include.uapi.kdev_t import makedev
from pygos.include.uapi.magic import TMPFS_MAGIC
from pygos.include.uapi.major import (
    CONSOLE_MINOR,
    FULL_MINOR,
    KMSG_MINOR,
    MEM_MAJOR,
    NULL_MINOR,
    PTMX_MINOR,
    RANDOM_MINOR,
    TTY_MINOR,
    TTYAUX_MAJOR,
    URANDOM_MINOR,
    ZERO_MINOR,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import Dentry
    from pygos.include.linux.sched import Task

#: name, permissions, major, minor
NODES: Final = (
    (b"null", 0o666, MEM_MAJOR, NULL_MINOR),
    (b"zero", 0o666, MEM_MAJOR, ZERO_MINOR),
    (b"full", 0o666, MEM_MAJOR, FULL_MINOR),
    (b"random", 0o666, MEM_MAJOR, RANDOM_MINOR),
    (b"urandom", 0o666, MEM_MAJOR, URANDOM_MINOR),
    (b"kmsg", 0o644, MEM_MAJOR, KMSG_MINOR),
    (b"tty", 0o666, TTYAUX_MAJOR, TTY_MINOR),
    (b"console", 0o600, TTYAUX_MAJOR, CONSOLE_MINOR),
    (b"ptmx", 0o666, TTYAUX_MAJOR, PTMX_MINOR),
)
#: What every distribution's start scripts add.
LINKS: Final = (
    (b"fd", b"/proc/self/fd"),
    (b"stdin", b"/proc/self/fd/0"),
    (b"stdout", b"/proc/self/fd/1"),
    (b"stderr", b"/proc/self/fd/2"),
)
DIRECTORIES: Final = ((b"pts", 0o755), (b"shm", 0o1777), (b"mqueue", 0o1777))
_SB: Final = "devtmpfs_sb"


class DevtmpfsType(FileSystemType):
    """mount -t devtmpfs: always the same instance."""

    __slots__ = ()
    name = "devtmpfs"

    def mount(self, task: Task, source: str, flags: int, data: str) -> SuperBlock:
        machine = task.machine
        sb: SuperBlock | None = machine.misc.get(_SB)
        if sb is not None and sb in machine.supers:
            return sb
        half = machine.ram.pages // 2
        info = TmpfsSuper(half, half, 0o755)
        apply_options(machine, info, data)
        info.uid = info.gid = 0
        sb = fill_super(machine.init_task, self, TMPFS_MAGIC, info)
        populate(machine.init_task, sb.s_root)
        machine.misc[_SB] = sb
        return sb


def populate(task: Task, root: Dentry) -> None:
    """Make the nodes, links and directories below `root`, as `task` (the kernel itself)."""
    directory = root.d_inode
    assert directory is not None
    for name, mode, major, minor in NODES:
        node = lookup_one(task, root, name)
        vfs_mknod(task, directory, node, S_IFCHR | mode, makedev(major, minor))
    for name, target in LINKS:
        vfs_symlink(task, directory, lookup_one(task, root, name), target)
    for name, mode in DIRECTORIES:
        vfs_mkdir(task, directory, lookup_one(task, root, name), mode)
