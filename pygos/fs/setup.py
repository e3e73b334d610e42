# SPDX-License-Identifier: Apache-2.0
"""The file systems a machine boots with: the root and what is mounted on it.

The root is an overlay: the host's tree (or a directory of it) read-only below, a tmpfs above
that takes all writes. /proc, /sys, /dev, /dev/pts and /dev/shm are the machine's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.cgroup.mount import CgroupType
from pygos.fs.dcache import dcache_init
from pygos.fs.devpts import DevptsType
from pygos.fs.devtmpfs import DevtmpfsType
from pygos.fs.hostfs.super import HostfsType
from pygos.fs.namei import LOOKUP_DIRECTORY, LOOKUP_FOLLOW, filename_create, path_lookup, vfs_mkdir
from pygos.fs.namespace import do_mount_internal, init_mount_tree, kern_mount
from pygos.fs.overlayfs.super import OverlayType, mount_overlay
from pygos.fs.proc.root import ProcType
from pygos.fs.sysfs.mount import SysfsType
from pygos.fs.tmpfs import RamfsType, TmpfsType
from pygos.include.errno import ENOENT
from pygos.include.linux.fs import MNT_RELATIME, FileSystemType, FsStruct, Path
from pygos.include.uapi.fcntl import AT_FDCWD
from pygos.include.uapi.mount import MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

_QUIET: Final = MS_NOSUID | MS_NODEV | MS_NOEXEC
#: type, mountpoint, flags, options; mounted in this order.
_MOUNTS: Final = (
    ("proc", b"/proc", _QUIET, ""),
    ("sysfs", b"/sys", _QUIET, ""),
    ("cgroup2", b"/sys/fs/cgroup", _QUIET, "nsdelegate,memory_recursiveprot"),
    ("devtmpfs", b"/dev", MS_NOSUID, "mode=755"),
    ("devpts", b"/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666"),
    ("tmpfs", b"/dev/shm", MS_NOSUID | MS_NODEV, ""),
)


def register_file_systems(machine: Machine) -> None:
    """Make the kinds of file systems known to mount(2)."""
    kinds: tuple[FileSystemType, ...] = (
        HostfsType(), TmpfsType(), RamfsType(), OverlayType(),
        ProcType(), SysfsType(), DevtmpfsType(), DevptsType(), CgroupType(),
    )
    machine.filesystems = {kind.name: kind for kind in kinds}


def init_file_systems(machine: Machine, task: Task) -> Path:
    """Mount the root and everything on it on behalf of pid 0; returns the root."""
    dcache_init(machine)
    register_file_systems(machine)
    lower = kern_mount(task, "hostfs", "", MS_RDONLY, "")
    upper = kern_mount(task, "tmpfs", "upper", 0, "mode=755")
    sb = mount_overlay(machine, lower, Path(upper, upper.mnt_root))
    machine.supers.append(sb)
    top = machine.new_mount(sb.s_root, "overlay", MNT_RELATIME)
    init_mount_tree(machine, top)
    root = Path(top, sb.s_root)
    task.fs = FsStruct(root, root)
    for fstype, place, flags, data in _MOUNTS:
        point = ensure_directory(task, place)
        do_mount_internal(machine, fstype, fstype, point, flags, data)
    return root


def mount_volume(task: Task, name: str, place: bytes, read_only: bool) -> None:
    """Show the host tree ``machine.host[name]`` at `place`, which is made if need be."""
    point = ensure_directory(task, place)
    flags = MS_RDONLY if read_only else 0
    do_mount_internal(task.machine, "hostfs", name, point, flags, "")


def ensure_directory(task: Task, path: bytes) -> Path:
    """The directory at an absolute path; missing ones are made (mode 0755).

    Errors: ENOTDIR, ELOOP and what mkdir(2) gives.
    """
    at = b""
    for name in path.strip(b"/").split(b"/"):
        at += b"/" + name
        try:
            path_lookup(task, AT_FDCWD, at, LOOKUP_FOLLOW | LOOKUP_DIRECTORY)
        except ENOENT:
            parent, dentry = filename_create(task, AT_FDCWD, at, True)
            vfs_mkdir(task, parent.inode, dentry, 0o755)
    return path_lookup(task, AT_FDCWD, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY)
