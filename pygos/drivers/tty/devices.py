# SPDX-License-Identifier: Apache-2.0
"""The device numbers of terminals. The terminal code itself is imported at the first open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.char_dev import ANY_MINOR, register_chrdev
from pygos.include.linux.fs import File, FileOperations, Inode
from pygos.include.uapi.major import (
    CONSOLE_MINOR,
    PTMX_MINOR,
    TTY_MINOR,
    TTYAUX_MAJOR,
    UNIX98_PTY_SLAVE_MAJOR,
)

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task


class ConsoleDevice(FileOperations):
    """/dev/console."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        from pygos.drivers.tty.console import open_dev_console

        open_dev_console(task, file)


class CurrentTtyDevice(FileOperations):
    """/dev/tty: the controlling terminal of whoever opens it."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        from pygos.drivers.tty.tty_io import open_current_tty

        open_current_tty(task, file)


class PtmxDevice(FileOperations):
    """/dev/ptmx: each open makes a pair and is its master."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        from pygos.drivers.tty.pty import open_ptmx

        open_ptmx(task, file)


class PtsDevice(FileOperations):
    """/dev/pts/N: opens the slave."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        from pygos.drivers.tty.pty import open_pts

        open_pts(task, inode, file)


def init_tty(machine: Machine) -> None:
    """Register the devices."""
    register_chrdev(machine, TTYAUX_MAJOR, TTY_MINOR, "/dev/tty", CurrentTtyDevice())
    register_chrdev(machine, TTYAUX_MAJOR, CONSOLE_MINOR, "/dev/console", ConsoleDevice())
    register_chrdev(machine, TTYAUX_MAJOR, PTMX_MINOR, "/dev/ptmx", PtmxDevice())
    register_chrdev(machine, UNIX98_PTY_SLAVE_MAJOR, ANY_MINOR, "pts", PtsDevice())
