# SPDX-License-Identifier: Apache-2.0
"""Character devices: the registry and the open of device nodes.

Drivers register the operations of (major, minor) in ``machine.chrdevs``; minor -1 stands for
all minors of the major that have no entry of their own. A device node's inode has
``DEF_CHR_FOPS``, whose open puts the driver's operations into the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EBUSY, ENXIO
from pygos.include.linux.fs import (
    FILE_DEFAULT_OPS,
    S_IFBLK,
    S_IFCHR,
    S_IFIFO,
    S_IFMT,
    File,
    FileOperations,
    Inode,
)
from pygos.include.uapi.fcntl import O_NOCTTY
from pygos.include.uapi.kdev_t import major as major_of
from pygos.include.uapi.kdev_t import minor as minor_of

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

ANY_MINOR: Final = -1


def register_chrdev(
    machine: Machine, major: int, minor: int, name: str, fops: FileOperations
) -> None:
    """Make `fops` the driver of character device major:minor (-1: of all minors).

    `name` is shown in /proc/devices for the major. Errors: EBUSY.
    """
    if (major, minor) in machine.chrdevs:
        raise EBUSY
    machine.chrdevs[major, minor] = fops
    chrdev_names(machine).setdefault(major, name)


def unregister_chrdev(machine: Machine, major: int, minor: int) -> None:
    machine.chrdevs.pop((major, minor), None)


def chrdev_names(machine: Machine) -> dict[int, str]:
    """The names of majors, for /proc/devices."""
    names: dict[int, str] = machine.misc.setdefault("chrdev_names", {})
    return names


def cdev_lookup(machine: Machine, rdev: int) -> FileOperations | None:
    """The driver of a device number, or None."""
    number = major_of(rdev)
    found: FileOperations | None = machine.chrdevs.get((number, minor_of(rdev)))
    if found is None:
        found = machine.chrdevs.get((number, ANY_MINOR))
    return found


class ChrdevFileOperations(FileOperations):
    """What a character device node has until it is opened."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        fops = cdev_lookup(task.machine, inode.i_rdev)
        if fops is None:
            raise ENXIO
        file.f_op = fops
        fops.open(task, inode, file)
        file.f_flags &= ~O_NOCTTY  # only the open wants to know


class NoSuchDevice(FileOperations):
    """Block devices without a driver, and sockets opened as files: ENXIO."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        raise ENXIO


DEF_CHR_FOPS: Final = ChrdevFileOperations()
NO_OPEN_FOPS: Final = NoSuchDevice()


def special_fops(mode: int) -> FileOperations:
    """The operations of an inode that is a device, FIFO or socket, by its i_mode."""
    kind = mode & S_IFMT
    if kind == S_IFCHR:
        return DEF_CHR_FOPS
    if kind == S_IFIFO:
        from pygos.fs.pipe import PIPE_FOPS

        return PIPE_FOPS
    return NO_OPEN_FOPS


def open_fops(inode: Inode) -> FileOperations:
    """The operations that open a special inode: its own, or those of its kind."""
    fops = inode.i_fop
    return fops if fops is not FILE_DEFAULT_OPS else special_fops(inode.i_mode)


def init_special_inode(inode: Inode, mode: int, rdev: int) -> None:
    """Make `inode` a device node, FIFO or socket; `rdev` as mknod(2) has it."""
    inode.i_mode = mode
    inode.i_fop = special_fops(mode)
    if mode & S_IFMT in (S_IFCHR, S_IFBLK):
        inode.i_rdev = rdev
