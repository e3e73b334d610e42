# SPDX-License-Identifier: Apache-2.0
"""nsfs: files that are namespaces (fs/nsfs.c), ioctl_nsfs(2).

/proc/PID/ns/* jump to them; setns(2) enters what such a file is. An open file holds its
namespace. The inode number is the namespace's number.
"""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING, Any, Final

from pygos.fs.file_table import alloc_fd, fd_install
from pygos.fs.open import dentry_open
from pygos.include.errno import EINVAL, ENOTTY, EPERM, ESRCH
from pygos.include.linux.fs import (
    S_IFREG,
    S_IMMUTABLE,
    Dentry,
    DentryOperations,
    File,
    FileOperations,
    FileSystemType,
    Inode,
    Path,
    SuperBlock,
    SuperOperations,
)
from pygos.include.linux.user_namespace import in_userns, show_uid
from pygos.include.uapi import nsfs as uapi
from pygos.include.uapi import sched
from pygos.include.uapi.fcntl import O_RDONLY
from pygos.include.uapi.magic import NSFS_MAGIC
from pygos.kernel.nsproxy import FirstNs, ns_flag, ns_number, ns_ops, put_ns

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.ns_common import NsCommon
    from pygos.include.linux.sched import Task

_SB: Final = "nsfs"


class NsfsType(FileSystemType):
    """nsfs: internal."""

    __slots__ = ()
    name = "nsfs"


class NsfsDentryOperations(DentryOperations):
    """A namespace's name is its kind and number."""

    __slots__ = ()

    def d_dname(self, dentry: Dentry) -> bytes | None:
        return dentry.d_name


class NsFileOperations(FileOperations):
    """What an open namespace can do: tell about itself."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        ns: NsCommon = inode.i_private
        ns.ns_count += 1

    def release(self, file: File) -> None:
        put_ns(file.f_inode.i_sb.machine, file.f_inode.i_private)

    def ioctl(self, task: Task, file: File, cmd: int, arg: int) -> int:
        return ns_ioctl(task, file.f_inode.i_private, cmd, arg)


_TYPE: Final = NsfsType()
_DENTRY_OPS: Final = NsfsDentryOperations()
NS_FOPS: Final = NsFileOperations()


def _super(machine: Machine) -> SuperBlock:
    """The machine's nsfs, made at the first use; s_fs_info is its mount."""
    sb: SuperBlock | None = machine.misc.get(_SB)
    if sb is None:
        sb = machine.misc[_SB] = SuperBlock(machine, _TYPE, SuperOperations())
        sb.s_magic = NSFS_MAGIC
        sb.s_d_op = _DENTRY_OPS
        sb.s_root = Dentry(sb, None, b"/")
        sb.s_root.d_inode = Inode(sb, sb.new_ino(), 0o040000)
        sb.s_fs_info = machine.new_mount(sb.s_root, "nsfs")
    return sb


def ns_path(machine: Machine, ns: NsCommon) -> Path:
    """The file of a namespace. Nothing is kept: each has a dentry and inode of its own."""
    sb = _super(machine)
    number = ns_number(machine, ns)
    dentry = Dentry(sb, None, b"%s:[%d]" % (kind_name(ns).encode(), number))
    inode = dentry.d_inode = Inode(sb, number, S_IFREG | 0o444)
    inode.i_atime = inode.i_mtime = inode.i_ctime = machine.clock.realtime()
    inode.i_flags |= S_IMMUTABLE
    inode.i_private = ns
    inode.i_fop = NS_FOPS
    return Path(sb.s_fs_info, dentry)


def kind_name(ns: NsCommon) -> str:
    """Such as "uts" or "pid"."""
    return ns.name if isinstance(ns, FirstNs) else ns.ns_name


def ns_of_file(file: File) -> NsCommon | None:
    """The namespace that a file is; None for any other file."""
    if file.f_op is not NS_FOPS:
        return None
    ns: NsCommon = file.f_inode.i_private
    return ns


def open_ns(task: Task, ns: NsCommon) -> int:
    """A new descriptor of a namespace. Errors: EMFILE, ENFILE."""
    file = dentry_open(task, ns_path(task.machine, ns), O_RDONLY)
    fd = alloc_fd(task, 0, True)
    fd_install(task, fd, file)
    return fd


# -- ioctl_nsfs(2)


def ns_ioctl(task: Task, ns: NsCommon, cmd: int, arg: int) -> int:
    """ENOTTY for what is no command of nsfs; EPERM, EINVAL, ESRCH, EFAULT."""
    if cmd == uapi.NS_GET_USERNS:
        return open_ns(task, _owner(task, ns))
    if cmd == uapi.NS_GET_PARENT:
        return open_ns(task, _parent(task, ns))
    if cmd == uapi.NS_GET_NSTYPE:
        return ns_flag(ns)
    if cmd == uapi.NS_GET_OWNER_UID:
        return _owner_uid(task, ns, arg)
    if cmd in (uapi.NS_GET_MNTNS_ID, uapi.NS_GET_ID):
        return _mntns_id(task, ns, cmd, arg)
    if cmd in _PID_QUERIES:
        return _translate_pid(task, ns, cmd, arg)
    if cmd >> 8 & 0xFF == uapi.NSIO and cmd & 0xFF == 10:
        return _mnt_info(task, ns, cmd, arg)
    raise ENOTTY


def _ops(task: Task, flag: int) -> Any:
    ops = ns_ops(task.machine, flag)
    if ops is None:
        raise ENOTTY
    return ops


def _first_user(task: Task) -> NsCommon:
    first: NsCommon = _ops(task, sched.CLONE_NEWUSER).first(task.machine)
    return first


def _owner(task: Task, ns: NsCommon) -> NsCommon:
    """The user namespace that owns one; must be the caller's or below. EPERM."""
    first = _first_user(task)
    if ns is first:
        raise EPERM
    owner = ns.user_ns
    if not in_userns(task.cred.user_ns, owner):
        raise EPERM
    return first if owner is None else owner


def _parent(task: Task, ns: NsCommon) -> NsCommon:
    """What is above a user or pid namespace, if the caller may see it. EINVAL, EPERM."""
    ops = _ops(task, ns_flag(ns))
    known, parent = ops.parent(ns)
    if not known:
        raise EINVAL
    if ns is ops.first(task.machine):
        raise EPERM
    if not ops.visible(task, parent):
        raise EPERM
    found: NsCommon = ops.first(task.machine) if parent is None else parent
    return found


def _owner_uid(task: Task, ns: NsCommon, arg: int) -> int:
    if ns_flag(ns) != sched.CLONE_NEWUSER:
        raise EINVAL
    uid = show_uid(task, getattr(ns, "owner", 0))
    assert task.mm is not None
    task.mm.write_u32(arg, uid)
    return 0


def _mntns_id(task: Task, ns: NsCommon, cmd: int, arg: int) -> int:
    if ns_flag(ns) != sched.CLONE_NEWNS and cmd == uapi.NS_GET_MNTNS_ID:
        raise EINVAL
    assert task.mm is not None
    task.mm.write(arg, ns_number(task.machine, ns).to_bytes(8, "little"))
    return 0


def _mnt_info(task: Task, ns: Any, cmd: int, arg: int) -> int:
    """NS_MNT_GET_INFO: how many mounts there are, and the 64-bit number."""
    size = cmd >> 16 & 0x3FFF
    if cmd >> 30 != 2 or ns_flag(ns) != sched.CLONE_NEWNS:
        raise EINVAL
    if not arg:
        raise EINVAL
    if size < uapi.MNT_NS_INFO_SIZE_VER0:
        raise EINVAL
    data = pack("<IIQ", 16, len(ns.table) + 1, ns_number(task.machine, ns))
    assert task.mm is not None
    task.mm.write(arg, data[:size].ljust(size, b"\0") if size < 4096 else data)
    return 0


_PID_QUERIES: Final = (
    uapi.NS_GET_PID_FROM_PIDNS, uapi.NS_GET_TGID_FROM_PIDNS, uapi.NS_GET_PID_IN_PIDNS,
    uapi.NS_GET_TGID_IN_PIDNS,
)  # fmt: skip


def _translate_pid(task: Task, ns: NsCommon, cmd: int, arg: int) -> int:
    """A task's number between the caller's pid namespace and this one. EINVAL, ESRCH."""
    if ns_flag(ns) != sched.CLONE_NEWPID:
        raise EINVAL
    from pygos.include.linux.pid_namespace import pid_nr_ns
    from pygos.kernel.pid import find_task_ns

    ops = _ops(task, sched.CLONE_NEWPID)
    here, there = task.pid_ns, ops.unfirst(task.machine, ns)
    inward = cmd in (uapi.NS_GET_PID_IN_PIDNS, uapi.NS_GET_TGID_IN_PIDNS)
    source, result = (here, there) if inward else (there, here)
    number = arg & 0xFFFF_FFFF
    target = find_task_ns(task.machine, number, source)
    if target is None:
        raise ESRCH
    group = cmd in (uapi.NS_GET_TGID_FROM_PIDNS, uapi.NS_GET_TGID_IN_PIDNS)
    found = pid_nr_ns(target.tgid if group else target.pid, result)
    if not found:
        raise ESRCH
    return found


__all__ = ["NS_FOPS", "ns_of_file", "ns_path", "open_ns"]
