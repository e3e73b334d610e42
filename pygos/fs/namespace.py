# SPDX-License-Identifier: Apache-2.0
"""Mounts: the tree of them, mount(2), umount2(2), and their lists in /proc.

A mount is found by (parent mount, mountpoint dentry) in its namespace's table; fs/walk.py
steps over mountpoints by that. All mounts are private: nothing propagates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.dcache import d_path, dentry_path, is_subdir
from pygos.fs.super import get_fs_type, kill_super
from pygos.fs.walk import LOOKUP_FOLLOW, follow_mounts, path_lookup
from pygos.include.errno import (
    EBUSY,
    EINVAL,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    EPERM,
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
    S_DEAD,
    S_IFDIR,
    S_IFMT,
    SB_RDONLY,
    MntNamespace,
    Mount,
    Path,
)
from pygos.include.linux.syscalls import Flags, PathArg, PathOrNull, ULong, UserAddr, syscall
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.fcntl import AT_FDCWD
from pygos.include.uapi.kdev_t import major, minor
from pygos.include.uapi.mount import (
    MNT_DETACH,
    MNT_EXPIRE,
    MNT_FORCE,
    MS_BIND,
    MS_MGC_MSK,
    MS_MGC_VAL,
    MS_MOVE,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_NOSYMFOLLOW,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    MS_SHARED,
    MS_SILENT,
    MS_SLAVE,
    MS_STRICTATIME,
    MS_UNBINDABLE,
    UMOUNT_NOFOLLOW,
)
from pygos.include.uapi.mount import MS_NOUSER as _MS_NOUSER

if TYPE_CHECKING:
    from pygos.include.linux.fs import Dentry, SuperBlock
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

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
    return task.machine.new_mount(sb.s_root, source or "none", mnt_flags(flags))


def new_mnt_ns(machine: Machine, root: Mount) -> MntNamespace:
    """A namespace with `root` at its top."""
    ns = MntNamespace(root)
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


def copy_mnt_ns(task: Task) -> MntNamespace:
    """A copy of the task's mount tree (CLONE_NEWNS); moves the task's root and cwd over."""
    machine = task.machine
    old: MntNamespace = task.nsproxy.mnt
    top = copy_tree(machine, old.root, old.root.mnt_root)
    below: list[Mount] = top.mnt_private
    top.mnt_private = None
    ns = new_mnt_ns(machine, top)
    for mnt in below:
        attach_mount(mnt, Path(mnt.mnt_parent, mnt.mnt_mountpoint))
    twins = dict(zip(subtree(old.root), subtree(top), strict=True))
    fs = task.fs
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


# -- system calls


def _check_mountpoint(mnt: Mount, path: Path) -> None:
    """Directories are mounted on directories, files on files, nothing on what is removed."""
    inode = path.inode
    root = mnt.mnt_root.d_inode
    assert root is not None
    if inode.i_flags & S_DEAD or path.dentry.d_unhashed:
        raise ENOENT
    if (inode.i_mode & S_IFMT == S_IFDIR) != (root.i_mode & S_IFMT == S_IFDIR):
        raise ENOTDIR


def _do_remount(task: Task, path: Path, flags: int, data: str) -> None:
    mnt = path.mnt
    if path.dentry is not mnt.mnt_root:
        raise EINVAL
    if not flags & MS_BIND:
        mnt.mnt_sb.s_op.remount(mnt.mnt_sb, flags, data)
    mnt.mnt_flags = mnt_flags(flags)


def _do_loopback(task: Task, path: Path, source: bytes | None, flags: int) -> None:
    """mount --bind."""
    if not source:
        raise EINVAL
    old = path_lookup(task, AT_FDCWD, source, LOOKUP_FOLLOW)
    if old.mnt.mnt_ns is None:
        raise EINVAL
    machine = task.machine
    if flags & MS_REC:
        mnt = copy_tree(machine, old.mnt, old.dentry)
    else:
        mnt = clone_mount(machine, old.mnt, old.dentry)
    _check_mountpoint(mnt, path)
    attach_tree(mnt, path)


def _do_move(task: Task, path: Path, source: bytes | None) -> None:
    """mount --move."""
    if not source:
        raise EINVAL
    old = path_lookup(task, AT_FDCWD, source, LOOKUP_FOLLOW)
    mnt = old.mnt
    if old.dentry is not mnt.mnt_root or mnt.mnt_parent is mnt or mnt.mnt_ns is None:
        raise EINVAL
    _check_mountpoint(mnt, path)
    if path.mnt in subtree(mnt):
        raise ELOOP
    detach_mount(mnt)
    attach_mount(mnt, path)


def _do_new_mount(
    task: Task, path: Path, fstype: str | None, source: str, flags: int, data: str
) -> None:
    if not fstype:
        raise EINVAL
    ns: MntNamespace = path.mnt.mnt_ns
    if len(ns.table) >= MOUNT_MAX:
        raise EINVAL
    mnt = kern_mount(task, fstype, source, flags, data)
    if mnt.mnt_sb is path.mnt.mnt_sb and path.dentry is path.mnt.mnt_root:
        raise EBUSY
    _check_mountpoint(mnt, path)
    attach_mount(mnt, path)


def _text(raw: bytes | None) -> str:
    return raw.decode("utf-8", "surrogateescape") if raw else ""


def _options(task: Task, addr: int) -> bytes:
    """The data page of mount(2), up to its NUL. EFAULT."""
    if not addr:
        return b""
    assert task.mm is not None
    try:
        return task.mm.read_cstr(addr, 4096)
    except ENAMETOOLONG:
        return task.mm.read(addr, 4096)


@syscall(partial="mounts don't propagate: MS_SHARED gives EINVAL.")
def mount(
    task: Task,
    dev_name: PathOrNull,
    dir_name: PathArg,
    type: PathOrNull,
    flags: ULong,
    data: UserAddr,
) -> int:
    """Mount a file system, or bind, move, remount one. mount(2).

    Errors: EPERM, EINVAL, ENODEV, ENOTDIR, ENOENT, EBUSY, ELOOP, EFAULT.
    """
    options = _text(_options(task, data))
    if flags & MS_MGC_MSK == MS_MGC_VAL:
        flags &= ~MS_MGC_MSK
    path = path_lookup(task, AT_FDCWD, dir_name, LOOKUP_FOLLOW)
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise EPERM
    if flags & _MS_NOUSER or path.mnt.mnt_ns is None:
        raise EINVAL
    if flags & MS_REMOUNT:
        _do_remount(task, path, flags, options)
    elif flags & MS_BIND:
        _do_loopback(task, path, dev_name, flags)
    elif flags & _PROPAGATION:
        _change_propagation(path, flags)
    elif flags & MS_MOVE:
        _do_move(task, path, dev_name)
    else:
        _do_new_mount(task, path, _text(type), _text(dev_name), flags, options)
    return 0


def _change_propagation(path: Path, flags: int) -> None:
    """All mounts are private already; to become shared is refused."""
    kind = flags & ~(MS_REC | MS_SILENT)
    if kind not in (MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE) or path.dentry is not path.mnt.mnt_root:
        raise EINVAL


@syscall(name="umount2")
def umount(task: Task, name: PathArg, flags: Flags) -> int:
    """Unmount what is mounted at a place. umount2(2).

    Errors: EINVAL (no mountpoint; flags), EBUSY, EPERM, and those of the path walk.
    """
    if flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW):
        raise EINVAL
    if flags & MNT_EXPIRE:
        raise EINVAL
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise EPERM
    how = 0 if flags & UMOUNT_NOFOLLOW else LOOKUP_FOLLOW
    path = path_lookup(task, AT_FDCWD, name, how)
    if path.dentry is not path.mnt.mnt_root or path.mnt.mnt_ns is None:
        raise EINVAL
    do_umount(task, path.mnt, flags)
    return 0


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
