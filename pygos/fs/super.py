# SPDX-License-Identifier: Apache-2.0
"""Kinds of file systems and their mounted instances; what the kernel below asks of the VFS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygos.fs.dcache import d_drop, shrink_dcache_sb
from pygos.fs.file_table import close_fd, dup_files, exit_files, fput, get_file
from pygos.fs.inode import iput
from pygos.include.errno import EBADF, EBUSY, ENODEV
from pygos.include.linux.fs import Path

if TYPE_CHECKING:
    from pygos.include.linux.fs import File, FilesStruct, FileSystemType, SuperBlock
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.ns_common import NsCommon
    from pygos.include.linux.sched import SigInfo, Task
    from pygos.kernel.pid import PidRef
    from pygos.kernel.seccomp import SeccompFilter


def register_filesystem(machine: Machine, fstype: FileSystemType) -> None:
    """Make a kind of file system known to mount(2). EBUSY if the name is taken."""
    if fstype.name in machine.filesystems:
        raise EBUSY
    machine.filesystems[fstype.name] = fstype


def get_fs_type(machine: Machine, name: str) -> FileSystemType:
    """A kind of file system by name. ENODEV."""
    fstype = machine.filesystems.get(name)
    if fstype is None:
        raise ENODEV
    return fstype


def filesystems_text(machine: Machine) -> str:
    """/proc/filesystems."""
    return "".join(
        f"{'nodev' if fs.nodev else ''}\t{name}\n" for name, fs in machine.filesystems.items()
    )


def kill_super(sb: SuperBlock) -> None:
    """The last mount of an instance is gone: forget its names, then let it end."""
    machine = sb.machine
    if machine.fsnotify is not None:
        from pygos.fs.notify.fsnotify import unmounted

        unmounted(sb)
    if sb in machine.supers:
        machine.supers.remove(sb)
    sb.s_op.sync_fs(sb)
    shrink_dcache_sb(sb)
    sb.s_op.put_super(sb)
    root = sb.s_root.d_inode
    d_drop(sb.s_root)
    if root is not None:
        iput(root)


def deactivate(sb: SuperBlock) -> None:
    """One mount of an instance less; the last one ends it."""
    sb.s_active -= 1
    if not sb.s_active:
        kill_super(sb)


class VfsHooks:
    """``machine.fs_hooks``: the services that kernel and mm need of the VFS above them."""

    __slots__ = ()

    def dup_files(self, files: FilesStruct) -> FilesStruct:
        return dup_files(files)

    def exit_files(self, task: Task) -> None:
        exit_files(task)

    def pidfd_create(self, task: Task, target: Task, flags: int) -> int:
        from pygos.fs.pidfs import pidfd_create

        return pidfd_create(task, target, flags)

    def chrooted(self, task: Task) -> bool:
        from pygos.fs.namespace import follow_mount

        top = task.nsproxy.mnt.root
        return not task.fs.root.same(follow_mount(Path(top, top.mnt_root)))

    def ns_of_file(self, file: File) -> NsCommon | None:
        from pygos.fs.nsfs import ns_of_file

        return ns_of_file(file)

    def close_fd(self, task: Task, fd: int) -> None:
        close_fd(task, fd)

    def pidfd_target(self, task: Task, fd: int) -> tuple[PidRef, int]:
        from pygos.fs.pidfs import pidfd_pid

        return pidfd_pid(task, fd), get_file(task, fd).f_flags

    def seccomp_listener(self, task: Task, filter: SeccompFilter) -> int:
        from pygos.fs.seccomp import seccomp_listener

        return seccomp_listener(task, filter)

    def cgroup_of_fd(self, task: Task, fd: int) -> Any:
        from pygos.fs.cgroup.tree import cgroup_of_file

        file = task.files.fd.get(fd)  # O_PATH does
        if file is None:
            raise EBADF
        return cgroup_of_file(file)

    def set_mm_exe_file(self, task: Task, fd: int) -> None:
        from pygos.fs.exe_file import set_mm_exe_file

        set_mm_exe_file(task, fd)

    def fput(self, file: File) -> None:
        fput(file)

    def coredump(self, task: Task, info: SigInfo) -> bool:
        from pygos.fs.coredump import do_coredump

        return do_coredump(task, info)

    def task_exit(self, task: Task) -> None:
        """Record locks went with the descriptor table; nothing of the VFS is left."""
