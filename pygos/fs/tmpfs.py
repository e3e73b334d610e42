# SPDX-License-Identifier: Apache-2.0
"""tmpfs: files that live in the page cache alone (mm/shmem.c, tmpfs(5)).

A regular file's pages are its only copy (``Mapping.keep``); names are pinned dentries
(fs/libfs.py). Pages and inodes are counted against the limits of the mount, ENOSPC beyond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from pygos.fs.attr import simple_setattr
from pygos.fs.char_dev import init_special_inode
from pygos.fs.dcache import d_make_root, shrink_dcache_sb
from pygos.fs.inode import current_time, inode_init_owner
from pygos.fs.libfs import (
    SIMPLE_DIR_FOPS,
    SimpleDir,
    SimpleDirInodeOperations,
    SimpleLinkOperations,
    check_xattr_prefix,
    memparse,
    parse_number,
    parse_options,
    simple_xattr_get,
    simple_xattr_remove,
    simple_xattr_set,
)
from pygos.fs.tmpfs_file import TMPFS_FILE_FOPS
from pygos.include.errno import EINVAL, ENOSPC, EOPNOTSUPP
from pygos.include.linux.fs import (
    S_APPEND,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IMMUTABLE,
    S_NOATIME,
    SB_RDONLY,
    FileSystemType,
    Iattr,
    Inode,
    InodeOperations,
    Kstatfs,
    SuperBlock,
    SuperOperations,
)
from pygos.include.linux.mm_types import Mapping, MappingOperations
from pygos.include.linux.platform import PAGE_SHIFT, PAGE_SIZE
from pygos.include.linux.user_namespace import INVALID_ID, make_kgid, make_kuid
from pygos.include.uapi.fs import (
    FS_APPEND_FL,
    FS_IMMUTABLE_FL,
    FS_NOATIME_FL,
    FS_NODUMP_FL,
)
from pygos.include.uapi.magic import RAMFS_MAGIC, TMPFS_MAGIC
from pygos.include.uapi.xattr import (
    XATTR_SECURITY_PREFIX,
    XATTR_TRUSTED_PREFIX,
    XATTR_USER_PREFIX,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import Dentry
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: What a name adds to the size of its directory.
BOGO_DIRENT_SIZE: Final = 20
_XATTR_PREFIXES: Final = (XATTR_USER_PREFIX, XATTR_TRUSTED_PREFIX, XATTR_SECURITY_PREFIX)
_ACCEPTED: Final = frozenset((
    "noswap", "huge", "mpol", "inode32", "inode64", "usrquota", "grpquota", "casefold",
))  # fmt: skip


#: Flags that can be set (chattr(1)), and those that the VFS heeds.
_FL_MODIFIABLE: Final = FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL
_FL_BITS: Final = (
    (FS_IMMUTABLE_FL, S_IMMUTABLE),
    (FS_APPEND_FL, S_APPEND),
    (FS_NOATIME_FL, S_NOATIME),
)


class TmpfsSuper:
    """s_fs_info: limits and use. A limit of 0 means none."""

    __slots__ = (
        "gid", "inodes", "max_blocks", "max_inodes", "mode", "uid", "used_blocks", "was_full",
    )  # fmt: skip

    def __init__(self, max_blocks: int = 0, max_inodes: int = 0, mode: int = 0o1777) -> None:
        #: Pages.
        self.max_blocks = max_blocks
        self.used_blocks = 0
        self.max_inodes = max_inodes
        #: Inodes, and one more for each further name of one.
        self.inodes = 0
        self.mode = mode
        self.uid = 0
        self.gid = 0
        self.was_full = False


class TmpfsInode(Inode):
    """An inode that counts against the limits until it is evicted."""

    __slots__ = ("t_counted", "t_flags")
    t_counted: bool
    #: FS_*_FL.
    t_flags: int


def full(sb: SuperBlock, info: TmpfsSuper) -> NoReturn:
    """No page is left: ENOSPC. The first time the log says so."""
    if not info.was_full:
        info.was_full = True
        sb.machine.printk.info(
            f"tmpfs: no space left on 0:{sb.s_dev & 0xFF}, size limit {info.max_blocks << 2}k"
        )
    raise ENOSPC


def reserve_inode(info: TmpfsSuper) -> None:
    """One more inode or name. ENOSPC."""
    if info.max_inodes and info.inodes >= info.max_inodes:
        raise ENOSPC
    info.inodes += 1


class TmpfsMappingOperations(MappingOperations):
    """Counts pages; absent ones are holes, so there is nothing to read."""

    __slots__ = ()

    def reserve(self, mapping: Mapping, pages: int) -> None:
        inode = mapping.host
        info: TmpfsSuper = inode.i_sb.s_fs_info
        used = info.used_blocks + pages
        if used > info.max_blocks and info.max_blocks:
            full(inode.i_sb, info)
        info.used_blocks = used
        inode.i_blocks += pages << (PAGE_SHIFT - 9)

    def unreserve(self, mapping: Mapping, pages: int) -> None:
        inode = mapping.host
        info: TmpfsSuper = inode.i_sb.s_fs_info
        info.used_blocks -= pages
        inode.i_blocks -= pages << (PAGE_SHIFT - 9)


class _Attributes(InodeOperations):
    """Attributes and extended attributes, the same for every type of file."""

    __slots__ = ()

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        simple_setattr(inode, attr)

    def fileattr_get(self, task: Task, inode: Inode) -> int:
        assert isinstance(inode, TmpfsInode)
        return inode.t_flags

    def fileattr_set(self, task: Task, inode: Inode, flags: int) -> None:
        assert isinstance(inode, TmpfsInode)
        if flags & ~_FL_MODIFIABLE:
            raise EOPNOTSUPP
        inode.t_flags = flags
        inode.i_flags &= ~(S_IMMUTABLE | S_APPEND | S_NOATIME)
        for flag, bit in _FL_BITS:
            if flags & flag:
                inode.i_flags |= bit
        inode.i_ctime = current_time(inode)
        inode.i_version += 1

    def getxattr(self, task: Task, inode: Inode, name: bytes) -> bytes:
        check_xattr_prefix(name, _XATTR_PREFIXES)
        return simple_xattr_get(inode, name)

    def setxattr(self, task: Task, inode: Inode, name: bytes, value: bytes, flags: int) -> None:
        check_xattr_prefix(name, _XATTR_PREFIXES)
        simple_xattr_set(inode, name, value, flags)

    def listxattr(self, task: Task, inode: Inode) -> list[bytes]:
        return list(inode.i_xattrs or ())

    def removexattr(self, task: Task, inode: Inode, name: bytes) -> None:
        check_xattr_prefix(name, _XATTR_PREFIXES)
        simple_xattr_remove(inode, name)


class TmpfsInodeOperations(_Attributes):
    """Regular files and special nodes."""

    __slots__ = ()


class TmpfsLinkOperations(_Attributes, SimpleLinkOperations):
    """Symbolic links."""

    __slots__ = ()


class TmpfsDirOperations(_Attributes, SimpleDirInodeOperations):
    """Directories."""

    __slots__ = ()
    size_of_entry = BOGO_DIRENT_SIZE

    def create(self, task: Task, dir: Inode, dentry: Dentry, mode: int) -> Inode:
        return self.mknod(task, dir, dentry, mode, 0)

    def mknod(self, task: Task, dir: Inode, dentry: Dentry, mode: int, rdev: int) -> Inode:
        inode = new_inode(task, dir.i_sb, dir, mode, rdev)
        self.add_entry(dir, dentry, inode)
        return inode

    def mkdir(self, task: Task, dir: Inode, dentry: Dentry, mode: int) -> Inode:
        return self.mknod(task, dir, dentry, mode & ~S_IFMT | S_IFDIR, 0)

    def symlink(self, task: Task, dir: Inode, dentry: Dentry, target: bytes) -> Inode:
        inode = new_inode(task, dir.i_sb, dir, S_IFLNK | 0o777, 0)
        inode.i_link = target
        inode.i_size = len(target)
        self.add_entry(dir, dentry, inode)
        return inode

    def tmpfile(self, task: Task, dir: Inode, mode: int) -> Inode:
        inode = new_inode(task, dir.i_sb, dir, mode, 0)
        inode.i_nlink = 0
        return inode

    def link(self, task: Task, old: Dentry, dir: Inode, dentry: Dentry) -> Inode:
        inode = old.d_inode
        if inode is not None and inode.i_nlink:
            reserve_inode(dir.i_sb.s_fs_info)
        return super().link(task, old, dir, dentry)

    def unlink(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        inode = dentry.d_inode
        super().unlink(task, dir, dentry)
        if inode is not None and inode.i_nlink:
            info: TmpfsSuper = dir.i_sb.s_fs_info
            info.inodes -= 1


_IOPS: Final = TmpfsInodeOperations()
_LINK_IOPS: Final = TmpfsLinkOperations()
_DIR_IOPS: Final = TmpfsDirOperations()
_AOPS: Final = TmpfsMappingOperations()


def new_inode(task: Task, sb: SuperBlock, dir: Inode | None, mode: int, rdev: int) -> Inode:
    """A new inode of the type in `mode`, with one reference. ENOSPC."""
    reserve_inode(sb.s_fs_info)
    inode = TmpfsInode(sb, sb.new_ino(), mode)
    inode.t_counted = True
    inode.t_flags = 0
    inode_init_owner(task, inode, dir, mode)
    now = current_time(inode)
    inode.i_atime = inode.i_mtime = inode.i_ctime = inode.i_btime = now
    kind = mode & S_IFMT
    if kind == S_IFREG:
        inode.i_op = _IOPS
        inode.i_fop = TMPFS_FILE_FOPS
        inode.i_mapping = Mapping(sb.machine, inode, _AOPS)
        inode.i_mapping.keep = True
    elif kind == S_IFDIR:
        inode.i_op = _DIR_IOPS
        inode.i_fop = SIMPLE_DIR_FOPS
        inode.i_private = SimpleDir()
        inode.i_nlink = 2
        inode.i_size = 2 * BOGO_DIRENT_SIZE
    elif kind == S_IFLNK:
        inode.i_op = _LINK_IOPS
    else:
        inode.i_op = _IOPS
        init_special_inode(inode, inode.i_mode, rdev)
    return inode


class TmpfsSuperOperations(SuperOperations):
    """Limits in statfs(2) and /proc/mounts; remounting; the end of inodes."""

    __slots__ = ()

    def statfs(self, sb: SuperBlock) -> Kstatfs:
        info: TmpfsSuper = sb.s_fs_info
        stat = Kstatfs(type=sb.s_magic, bsize=PAGE_SIZE, frsize=PAGE_SIZE)
        if info.max_blocks:
            stat.blocks = info.max_blocks
            stat.bfree = stat.bavail = max(0, info.max_blocks - info.used_blocks)
        if info.max_inodes:
            stat.files = info.max_inodes
            stat.ffree = max(0, info.max_inodes - info.inodes)
        return stat

    def evict_inode(self, inode: Inode) -> None:
        assert isinstance(inode, TmpfsInode)
        if inode.t_counted:
            inode.t_counted = False
            info: TmpfsSuper = inode.i_sb.s_fs_info
            info.inodes -= 1

    def show_options(self, sb: SuperBlock) -> str:
        info: TmpfsSuper = sb.s_fs_info
        text = ""
        if info.max_blocks and info.max_blocks != sb.machine.ram.pages // 2:
            text += f",size={info.max_blocks << 2}k"
        if info.max_inodes and info.max_inodes != sb.machine.ram.pages // 2:
            text += f",nr_inodes={info.max_inodes}"
        if info.mode != 0o1777:
            text += f",mode={info.mode:03o}"
        if info.uid:
            text += f",uid={info.uid}"
        if info.gid:
            text += f",gid={info.gid}"
        return text + ",inode64"

    def remount(self, sb: SuperBlock, flags: int, data: str) -> None:
        """mount(2) with MS_REMOUNT: new limits, which must not be below what is used. EINVAL."""
        info: TmpfsSuper = sb.s_fs_info
        wanted = TmpfsSuper(info.max_blocks, info.max_inodes)
        apply_options(sb.machine, wanted, data)
        if wanted.max_blocks and info.used_blocks > wanted.max_blocks:
            raise EINVAL
        if wanted.max_inodes and info.inodes > wanted.max_inodes:
            raise EINVAL
        info.max_blocks, info.max_inodes = wanted.max_blocks, wanted.max_inodes
        sb.s_flags = sb.s_flags & ~SB_RDONLY | flags & SB_RDONLY

    def put_super(self, sb: SuperBlock) -> None:
        shrink_dcache_sb(sb)


TMPFS_SUPER_OPS: Final = TmpfsSuperOperations()


def apply_options(machine: Machine, info: TmpfsSuper, data: str) -> None:
    """Put mount options into `info`. EINVAL for what isn't understood."""
    for name, value in parse_options(data):
        if name == "size":
            info.max_blocks = _size_pages(machine, value)
        elif name == "nr_blocks":
            info.max_blocks = memparse(value)
        elif name == "nr_inodes":
            info.max_inodes = memparse(value)
        elif name == "mode":
            info.mode = parse_number(value, 8) & 0o7777
        elif name in ("uid", "gid"):
            number = parse_number(value, 10)
            if number >= 0xFFFF_FFFF:
                raise EINVAL
            setattr(info, name, number)
        elif name not in _ACCEPTED:
            raise EINVAL


def _size_pages(machine: Machine, value: str) -> int:
    """size=: bytes with a suffix, or a percentage of RAM; in pages."""
    if value.endswith("%"):
        return machine.ram.pages * parse_number(value[:-1], 10) // 100
    return (memparse(value) + PAGE_SIZE - 1) >> PAGE_SHIFT


def fill_super(task: Task, fstype: FileSystemType, magic: int, info: TmpfsSuper) -> SuperBlock:
    """A new super block with an empty root directory."""
    sb = SuperBlock(task.machine, fstype, TMPFS_SUPER_OPS)
    sb.s_magic = magic
    sb.s_fs_info = info
    root = new_inode(task, sb, None, S_IFDIR | info.mode, 0)
    root.i_uid, root.i_gid = info.uid, info.gid
    sb.s_root = d_make_root(sb, root)
    return sb


def mount_kuid(task: Task, uid: int) -> int:
    """The user that a mount option names. EINVAL if it isn't mapped."""
    kuid = make_kuid(task, uid)
    if kuid == INVALID_ID:
        raise EINVAL
    return kuid


def mount_kgid(task: Task, gid: int) -> int:
    """The group that a mount option names. EINVAL if it isn't mapped."""
    kgid = make_kgid(task, gid)
    if kgid == INVALID_ID:
        raise EINVAL
    return kgid


class TmpfsType(FileSystemType):
    """mount -t tmpfs. Defaults: half of RAM, as many inodes as that has pages, mode 1777."""

    __slots__ = ()
    name = "tmpfs"
    userns_mount = True

    def mount(self, task: Task, source: str, flags: int, data: str) -> SuperBlock:
        half = task.machine.ram.pages // 2
        info = TmpfsSuper(half, half)
        info.uid = info.gid = -1
        apply_options(task.machine, info, data)
        info.uid = mount_kuid(task, info.uid) if info.uid >= 0 else task.cred.fsuid
        info.gid = mount_kgid(task, info.gid) if info.gid >= 0 else task.cred.fsgid
        sb = fill_super(task, self, TMPFS_MAGIC, info)
        sb.s_flags |= flags & SB_RDONLY
        return sb


class RamfsType(FileSystemType):
    """mount -t ramfs: without limits but the machine's memory, for the kernel's own use."""

    __slots__ = ()
    name = "ramfs"
    userns_mount = True

    def mount(self, task: Task, source: str, flags: int, data: str) -> SuperBlock:
        info = TmpfsSuper(mode=0o755)
        for name, value in parse_options(data):
            if name == "mode":
                info.mode = parse_number(value, 8) & 0o7777
        return fill_super(task, self, RAMFS_MAGIC, info)


class RootfsType(RamfsType):
    """What lies below the root: empty, and seen by nobody."""

    __slots__ = ()
    name = "rootfs"


def rootfs_super(task: Task) -> SuperBlock:
    """The machine's rootfs."""
    return fill_super(task, RootfsType(), RAMFS_MAGIC, TmpfsSuper(mode=0o755))
