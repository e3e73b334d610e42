# SPDX-License-Identifier: Apache-2.0
"""devpts: the names of pseudo-terminals. Mounted on /dev/pts; pts(4).

Each mount is an instance of its own with its own numbers. The pty driver (drivers/tty/pty.py)
asks for a number when a master is opened, and has its node made and removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.attr import simple_setattr
from pygos.fs.char_dev import init_special_inode
from pygos.fs.dcache import d_delete, d_instantiate, d_make_root
from pygos.fs.libfs import (
    SIMPLE_DIR_FOPS,
    SimpleDir,
    SimpleDirInodeOperations,
    parse_number,
    parse_options,
)
from pygos.fs.tmpfs import mount_kgid, mount_kuid
from pygos.fs.walk import follow_mounts, lookup_one
from pygos.include.errno import EINVAL, ENODEV, ENOENT, ENOSPC, EPERM
from pygos.include.linux.fs import (
    S_IFCHR,
    S_IFDIR,
    Dentry,
    FileSystemType,
    Iattr,
    Inode,
    InodeOperations,
    Path,
    SuperBlock,
    SuperOperations,
)
from pygos.include.uapi.kdev_t import makedev
from pygos.include.uapi.magic import DEVPTS_SUPER_MAGIC
from pygos.include.uapi.major import PTMX_MINOR, TTYAUX_MAJOR, UNIX98_PTY_SLAVE_MAJOR

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: Ptys of one machine (sysctl kernel.pty.max), how many of them only instances of the first
#: mount namespace may take (kernel.pty.reserve), and of one instance (option max=).
PTY_LIMIT: Final = 4096
PTY_RESERVE: Final = 1024
MINORS: Final = 1 << 20


class PtsFs:
    """s_fs_info: options, and the dentries of the slaves by number."""

    __slots__ = ("gid", "limit", "mode", "nodes", "ptmx_mode", "reserve", "uid")

    def __init__(self) -> None:
        self.mode = 0o600
        self.ptmx_mode = 0
        self.uid = -1
        self.gid = -1
        self.limit = MINORS
        #: May it have the last PTY_RESERVE of the machine's ptys?
        self.reserve = False
        self.nodes: dict[int, Dentry | None] = {}


class PtsInodeOperations(InodeOperations):
    """Nodes: owner and mode can be changed (grantpt)."""

    __slots__ = ()

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        simple_setattr(inode, attr)


class PtsDirOperations(SimpleDirInodeOperations):
    """The root directory: programs can neither make nor remove names."""

    __slots__ = ()

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        simple_setattr(inode, attr)

    def link(self, task: Task, old: Dentry, dir: Inode, dentry: Dentry) -> Inode:
        raise EPERM

    def unlink(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        raise EPERM

    def rmdir(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        raise EPERM

    def rename(
        self, task: Task, old_dir: Inode, old: Dentry, new_dir: Inode, new: Dentry, flags: int
    ) -> None:
        raise EPERM


class PtsSuperOperations(SuperOperations):
    """Options as /proc/mounts shows them."""

    __slots__ = ()

    def show_options(self, sb: SuperBlock) -> str:
        info: PtsFs = sb.s_fs_info
        text = f",uid={info.uid}" if info.uid >= 0 else ""
        text += f",gid={info.gid}" if info.gid >= 0 else ""
        text += f",mode={info.mode:03o},ptmxmode={info.ptmx_mode:03o}"
        return text + (f",max={info.limit}" if info.limit < MINORS else "")

    def remount(self, sb: SuperBlock, flags: int, data: str) -> None:
        info: PtsFs = sb.s_fs_info
        _apply_options(info, data)
        ptmx = sb.s_root.d_children.get(b"ptmx")
        if ptmx is not None and ptmx.d_inode is not None:
            ptmx.d_inode.i_mode = S_IFCHR | info.ptmx_mode


_IOPS: Final = PtsInodeOperations()
_DIR_IOPS: Final = PtsDirOperations()
_SOPS: Final = PtsSuperOperations()


def _apply_options(info: PtsFs, data: str) -> None:
    for name, value in parse_options(data):
        if name == "uid":
            info.uid = parse_number(value, 10)
        elif name == "gid":
            info.gid = parse_number(value, 10)
        elif name == "mode":
            info.mode = parse_number(value, 8) & 0o7777
        elif name == "ptmxmode":
            info.ptmx_mode = parse_number(value, 8) & 0o7777
        elif name == "max":
            info.limit = parse_number(value, 10)
            if not 0 <= info.limit <= MINORS:
                raise EINVAL
        elif name != "newinstance":
            raise EINVAL


class DevptsType(FileSystemType):
    """mount -t devpts: a new instance each time."""

    __slots__ = ()
    name = "devpts"
    userns_mount = True

    def mount(self, task: Task, source: str, flags: int, data: str) -> SuperBlock:
        info = PtsFs()
        spaces = getattr(task, "nsproxy", None)  # none yet while the machine boots
        info.reserve = spaces is None or spaces.mnt is task.machine.init_mnt_ns
        _apply_options(info, data)
        if info.uid >= 0:
            info.uid = mount_kuid(task, info.uid)
        if info.gid >= 0:
            info.gid = mount_kgid(task, info.gid)
        sb = SuperBlock(task.machine, self, _SOPS)
        sb.s_magic = DEVPTS_SUPER_MAGIC
        sb.s_blocksize = 1024
        sb.s_fs_info = info
        root = _inode(sb, S_IFDIR | 0o755, 1)
        root.i_nlink = 2
        root.i_op = _DIR_IOPS
        root.i_fop = SIMPLE_DIR_FOPS
        root.i_private = SimpleDir()
        sb.s_root = d_make_root(sb, root)
        number = makedev(TTYAUX_MAJOR, PTMX_MINOR)
        _add_node(task, sb, b"ptmx", info.ptmx_mode, number, 2)
        return sb


def _inode(sb: SuperBlock, mode: int, ino: int) -> Inode:
    inode = Inode(sb, ino, mode)
    now = sb.machine.clock.realtime()
    inode.i_atime = inode.i_mtime = inode.i_ctime = inode.i_btime = now
    return inode


def _add_node(
    task: Task, sb: SuperBlock, name: bytes, mode: int, rdev: int, ino: int
) -> Dentry:
    inode = _inode(sb, S_IFCHR | mode, ino)
    inode.i_op = _IOPS
    init_special_inode(inode, S_IFCHR | mode, rdev)
    dentry = lookup_one(task, sb.s_root, name)
    d_instantiate(dentry, inode)
    root = sb.s_root.d_inode
    assert root is not None
    _DIR_IOPS.add_entry(root, dentry, inode)
    return dentry


# -- for the pty driver


def devpts_of(path: Path) -> Path:
    """The root of the devpts that an opened ptmx node belongs to.

    That is the one it is in, or the one mounted on "pts" beside it. ENODEV if there is none.
    """
    if path.mnt.mnt_sb.s_magic == DEVPTS_SUPER_MAGIC:
        return Path(path.mnt, path.mnt.mnt_sb.s_root)
    child = path.dentry.d_parent.d_children.get(b"pts")
    if child is None or child.d_inode is None:
        raise ENODEV
    mnt, _ = follow_mounts(path.mnt, child)
    if mnt.mnt_sb.s_magic != DEVPTS_SUPER_MAGIC:
        raise ENODEV
    return Path(mnt, mnt.mnt_sb.s_root)


def devpts_new_index(sb: SuperBlock) -> int:
    """The lowest free number, reserved. ENOSPC."""
    info: PtsFs = sb.s_fs_info
    sysctl = sb.machine.sysctl
    allowed: int = sysctl.get("kernel.pty.max", PTY_LIMIT)
    if not info.reserve:
        allowed -= sysctl.get("kernel.pty.reserve", PTY_RESERVE)
    if len(info.nodes) >= info.limit or pty_count(sb.machine, 0) >= allowed:
        raise ENOSPC
    index = 0
    while index in info.nodes:
        index += 1
    info.nodes[index] = None
    pty_count(sb.machine, 1)
    return index


def devpts_kill_index(sb: SuperBlock, index: int) -> None:
    """Give a number back."""
    info: PtsFs = sb.s_fs_info
    if index in info.nodes:
        del info.nodes[index]
        pty_count(sb.machine, -1)


def pty_count(machine: Machine, change: int) -> int:
    """How many ptys there are (kernel.pty.nr), after a change."""
    count: int = machine.misc.get("pty_count", 0) + change
    machine.misc["pty_count"] = count
    return count


def devpts_pty_new(task: Task, sb: SuperBlock, index: int, private: object) -> Dentry:
    """Make the slave's node. `private` is what the driver finds in i_private."""
    info: PtsFs = sb.s_fs_info
    name = b"%d" % index
    if (dentry := sb.s_root.d_children.get(name)) is not None and dentry.d_inode is not None:
        raise ENOENT
    rdev = makedev(UNIX98_PTY_SLAVE_MAJOR, index)
    dentry = _add_node(task, sb, name, info.mode, rdev, index + 3)
    inode = dentry.d_inode
    assert inode is not None
    inode.i_private = private
    inode.i_uid = info.uid if info.uid >= 0 else task.cred.fsuid
    inode.i_gid = info.gid if info.gid >= 0 else task.cred.fsgid
    info.nodes[index] = dentry
    return dentry


def devpts_pty_kill(dentry: Dentry) -> None:
    """Remove the slave's node; open files stay."""
    if dentry.d_unhashed:
        return
    inode = dentry.d_inode
    root = dentry.d_sb.s_root.d_inode
    assert inode is not None
    assert root is not None
    _DIR_IOPS.remove_entry(root, dentry)
    inode.i_nlink -= 1
    inode.i_private = None
    d_delete(dentry)
