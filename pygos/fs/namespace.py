# SPDX-License-Identifier: Apache-2.0
"""Mounts: the tree of them, and their lists in /proc. The system calls are in fs/mount.py.

A mount is found by (parent mount, mountpoint dentry) in its namespace's table; fs/walk.py
steps over mountpoints by that. All mounts are private: nothing propagates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.dcache import d_path, dentry_path, is_subdir
from pygos.fs.super import get_fs_type, kill_super
from pygos.fs.walk import follow_mounts
from pygos.include.errno import (
    EBUSY,
    EINVAL,
)
from pygos.include.linux.fs import (
    MNT_NOATIME,
    MNT_NODEV,
    MNT_NODIRATIME,
    MNT_NOEXEC,
    MNT_NOSUID,
    MNT_NOSYMFOLLOW,
    MNT_READONLY,
    MNT_RELATIME,
    SB_RDONLY,
    MntNamespace,
    Mount,
    Path,
)
from pygos.include.uapi.kdev_t import major, minor
from pygos.include.uapi.mount import (
    MNT_DETACH,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_NOSYMFOLLOW,
    MS_PRIVATE,
    MS_RDONLY,
    MS_SHARED,
    MS_SLAVE,
    MS_STRICTATIME,
    MS_UNBINDABLE,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import Dentry, FsStruct, SuperBlock
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace

_PROPAGATION = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE
#: How many mounts a namespace may have (fs.mount-max).
MOUNT_MAX = 100_000

_MNT_OF_MS = (
    (MS_RDONLY, MNT_READONLY),
    (MS_NOSUID, MNT_NOSUID),
    (MS_NODEV, MNT_NODEV),
    (MS_NOEXEC, MNT_NOEXEC),
    (MS_NOATIME, MNT_NOATIME),
    (MS_NODIRATIME, MNT_NODIRATIME),
    (MS_NOSYMFOLLOW, MNT_NOSYMFOLLOW),
)
_OPTION_TEXT = (
    (MNT_NOSUID, ",nosuid"),
    (MNT_NODEV, ",nodev"),
    (MNT_NOEXEC, ",noexec"),
    (MNT_NOATIME, ",noatime"),
    (MNT_NODIRATIME, ",nodiratime"),
    (MNT_RELATIME, ",relatime"),
    (MNT_NOSYMFOLLOW, ",nosymfollow"),
)


# -- the tree


def mnt_flags(flags: int) -> int:
    """MNT_* of the MS_* given to mount(2); relatime unless told otherwise."""
    found = 0 if flags & (MS_NOATIME | MS_STRICTATIME) else MNT_RELATIME
    for ms, mnt in _MNT_OF_MS:
        if flags & ms:
            found |= mnt
    return found


def lookup_mnt(path: Path) -> Mount | None:
    """What is mounted at a place (not what is mounted on that)."""
    ns: MntNamespace | None = path.mnt.mnt_ns
    return ns.table.get((path.mnt.mnt_id, path.dentry)) if ns is not None else None


def follow_mount(path: Path) -> Path:
    """The place on top of all mounts at `path`."""
    mnt, dentry = follow_mounts(path.mnt, path.dentry)
    return Path(mnt, dentry)


def attach_mount(mnt: Mount, path: Path) -> None:
    """Mount `mnt` on `path` (which must be the top of what is mounted there)."""
    ns: MntNamespace = path.mnt.mnt_ns
    mnt.mnt_parent = path.mnt
    mnt.mnt_mountpoint = path.dentry
    mnt.mnt_ns = ns
    path.mnt.mnt_children.append(mnt)
    path.dentry.d_mounted += 1
    ns.table[path.mnt.mnt_id, path.dentry] = mnt
    _changed(ns)


def detach_mount(mnt: Mount) -> None:
    """Take a mount out of the tree; what is mounted below goes with it."""
    ns: MntNamespace = mnt.mnt_ns
    del ns.table[mnt.mnt_parent.mnt_id, mnt.mnt_mountpoint]
    mnt.mnt_parent.mnt_children.remove(mnt)
    mnt.mnt_mountpoint.d_mounted -= 1
    mnt.mnt_parent = mnt
    mnt.mnt_mountpoint = mnt.mnt_root
    _changed(ns)


def _changed(ns: MntNamespace) -> None:
    ns.event += 1
    ns.poll.wake_all(0x2)  # POLLPRI, as /proc/mounts reports it


def subtree(mnt: Mount) -> list[Mount]:
    """A mount and all below it, parents first."""
    found = [mnt]
    for one in found:
        found.extend(one.mnt_children)
    return found


def kern_mount(task: Task, fstype: str, source: str, flags: int, data: str) -> Mount:
    """A new instance of a file system, not attached yet. ENODEV, and what the type says."""
    kind = get_fs_type(task.machine, fstype)
    sb = kind.mount(task, source, flags, data)
    if flags & MS_RDONLY:
        sb.s_flags |= SB_RDONLY
    if sb not in task.machine.supers:
        task.machine.supers.append(sb)
    root = kind.mount_root(task, sb)
    return task.machine.new_mount(root, source or "none", mnt_flags(flags))


def new_mnt_ns(
    machine: Machine, root: Mount, user_ns: UserNamespace | None = None
) -> MntNamespace:
    """A namespace with `root` at its top."""
    ns = MntNamespace(root, user_ns)
    root.mnt_ns = ns
    root.mnt_parent = root
    root.mnt_mountpoint = root.mnt_root
    return ns


def do_mount_internal(
    machine: Machine,
    fstype: str,
    source: str,
    mountpoint: Path | None,
    flags: int = 0,
    data: str = "",
) -> Mount:
    """Mount at boot, as the kernel; without a mountpoint it becomes the root of all.

    `flags` are MS_*. Errors: ENODEV, and what the file system says.
    """
    mnt = kern_mount(machine.init_task, fstype, source, flags, data)
    if mountpoint is None:
        machine.init_mnt_ns = new_mnt_ns(machine, mnt)
    else:
        attach_mount(mnt, follow_mount(mountpoint))
    return mnt


def clone_mount(machine: Machine, old: Mount, root: Dentry) -> Mount:
    """Another mount of the tree at `root`, with the flags of `old`."""
    return machine.new_mount(root, old.mnt_devname, old.mnt_flags)


def copy_tree(machine: Machine, old: Mount, root: Dentry) -> Mount:
    """A copy of a mount and of all mounts below `root` in it, not attached."""
    top = clone_mount(machine, old, root)
    pairs = [(old, top)]
    copies: dict[int, Mount] = {}
    for source, copy in pairs:
        for child in source.mnt_children:
            if source is old and not is_subdir(child.mnt_mountpoint, root):
                continue
            new = clone_mount(machine, child, child.mnt_root)
            new.mnt_parent, new.mnt_mountpoint = copy, child.mnt_mountpoint
            copies[new.mnt_id] = new
            pairs.append((child, new))
    top.mnt_private = list(copies.values())
    return top


def attach_tree(top: Mount, path: Path) -> None:
    """Attach what copy_tree() made."""
    below: list[Mount] = top.mnt_private or []
    top.mnt_private = None
    attach_mount(top, path)
    for mnt in below:
        attach_mount(mnt, Path(mnt.mnt_parent, mnt.mnt_mountpoint))


def copy_mnt_ns(task: Task, user_ns: UserNamespace | None, fs: FsStruct) -> MntNamespace:
    """A copy of the task's mount tree (CLONE_NEWNS), owned by `user_ns`; moves `fs` over."""
    machine = task.machine
    old: MntNamespace = task.nsproxy.mnt
    top = copy_tree(machine, old.root, old.root.mnt_root)
    below: list[Mount] = top.mnt_private
    top.mnt_private = None
    ns = new_mnt_ns(machine, top, user_ns)
    for mnt in below:
        attach_mount(mnt, Path(mnt.mnt_parent, mnt.mnt_mountpoint))
    twins = dict(zip(subtree(old.root), subtree(top), strict=True))
    fs.root = Path(twins.get(fs.root.mnt, fs.root.mnt), fs.root.dentry)
    fs.pwd = Path(twins.get(fs.pwd.mnt, fs.pwd.mnt), fs.pwd.dentry)
    return ns


# -- umount


def _mounts_of(machine: Machine, sb: SuperBlock) -> bool:
    """Is an instance still mounted in some namespace?"""
    spaces = {id(machine.init_mnt_ns): machine.init_mnt_ns}
    for task in machine.pids.tasks.values():
        spaces[id(task.nsproxy.mnt)] = task.nsproxy.mnt
    return any(mnt.mnt_sb is sb for ns in spaces.values() for mnt in (ns.root, *ns.table.values()))


def _in_use(machine: Machine, mnts: set[Mount]) -> bool:
    """Does some task stand in, or have open, one of these mounts?"""
    for task in machine.pids.tasks.values():
        if not task.alive:
            continue
        if task.fs.root.mnt in mnts or task.fs.pwd.mnt in mnts:
            return True
        if any(file.f_path.mnt in mnts for file in task.files.fd.values()):
            return True
        mm = task.mm
        if mm is not None and any(
            vma.file is not None and vma.file.f_path.mnt in mnts for vma in mm.vmas
        ):
            return True
    return False


def put_mount(machine: Machine, mnt: Mount) -> None:
    """A detached mount is forgotten; the last one of an instance ends it, if nobody is in it."""
    sb = mnt.mnt_sb
    if not _mounts_of(machine, sb) and not _in_use(machine, {mnt}):
        kill_super(sb)


def do_umount(task: Task, mnt: Mount, flags: int) -> None:
    """Unmount; with MNT_DETACH even what is in use. Errors: EBUSY, EINVAL."""
    machine = task.machine
    if mnt.mnt_parent is mnt:
        raise EINVAL
    if mnt is task.fs.root.mnt and not flags & MNT_DETACH:
        raise EBUSY
    gone = subtree(mnt)
    if not flags & MNT_DETACH:
        if len(gone) > 1 or _in_use(machine, {mnt}):
            raise EBUSY
        mnt.mnt_sb.s_op.sync_fs(mnt.mnt_sb)
    for one in reversed(gone):
        detach_mount(one)
    for one in gone:
        put_mount(machine, one)


# -- lists


def mangle(text: bytes, special: bytes = b" \t\n\\#") -> bytes:
    """Escape white space and such as the lists in /proc do: \\040 for a space."""
    return b"".join([b"\\%03o" % c if c in special else bytes((c,)) for c in text])


def _mount_options(mnt: Mount) -> str:
    return "".join([text for flag, text in _OPTION_TEXT if mnt.mnt_flags & flag])


def _visible(ns: MntNamespace, root: Path) -> list[tuple[Mount, bytes]]:
    """The mounts that can be reached from `root`, with their paths, oldest first."""
    found = []
    for mnt in sorted([ns.root, *ns.table.values()], key=_by_id):
        text = d_path(Path(mnt, mnt.mnt_root), root, unreachable=True)
        if not text.startswith(b"(unreachable)"):
            found.append((mnt, text))
    return found


def _by_id(mnt: Mount) -> int:
    return mnt.mnt_id


def _rw(read_only: int) -> str:
    return "ro" if read_only else "rw"


def mounts_text(ns: MntNamespace, root: Path) -> bytes:
    """/proc/PID/mounts of a task with that namespace and root."""
    lines = []
    for mnt, path in _visible(ns, root):
        sb = mnt.mnt_sb
        options = _rw(mnt.mnt_flags & MNT_READONLY or sb.s_flags & SB_RDONLY)
        options += _mount_options(mnt) + sb.s_op.show_options(sb)
        name = mangle(mnt.mnt_devname.encode("utf-8", "surrogateescape"))
        head = b"%s %s %s " % (name, mangle(path), sb.s_type.name.encode())
        lines.append(head + options.encode("utf-8", "surrogateescape") + b" 0 0\n")
    return b"".join(lines)


def mountinfo_text(ns: MntNamespace, root: Path) -> bytes:
    """/proc/PID/mountinfo, proc_pid_mountinfo(5)."""
    lines = []
    for mnt, path in _visible(ns, root):
        sb = mnt.mnt_sb
        inner = mangle(dentry_path(mnt.mnt_root))
        head = f"{mnt.mnt_id} {mnt.mnt_parent.mnt_id} {major(sb.s_dev)}:{minor(sb.s_dev)} "
        own = _rw(mnt.mnt_flags & MNT_READONLY) + _mount_options(mnt)
        name = mangle(mnt.mnt_devname.encode("utf-8", "surrogateescape"))
        shared = _rw(sb.s_flags & SB_RDONLY) + sb.s_op.show_options(sb)
        lines.append(
            b"%s%s %s %s - %s %s %s\n"
            % (
                head.encode(),
                inner,
                mangle(path),
                own.encode(),
                sb.s_type.name.encode(),
                name,
                shared.encode("utf-8", "surrogateescape"),
            )
        )
    return b"".join(lines)
