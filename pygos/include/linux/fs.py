# SPDX-License-Identifier: Apache-2.0
"""The VFS' types: super block, inode, dentry, file, mount, and their operations.

Operations classes have complete defaults: each answers what Linux answers when a file system
leaves the operation out. A file system overrides only what it has and keeps one shared
instance; per-object state lives in ``i_private``/``private_data``/``s_fs_info``.

References: a positive dentry and an open File each hold one on their inode (``i_count``);
at zero the inode is evicted (fs/inode.py: iput). Times are ns since the epoch.
The first argument of most operations is the calling task (Linux's ``current``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pygos.include.dataclass import dataclass
from pygos.include.errno import (
    EINVAL,
    ENODEV,
    ENOIOCTLCMD,
    ENOTDIR,
    ENOTTY,
    EOPNOTSUPP,
    EPERM,
    ESPIPE,
)
from pygos.include.linux.ns_common import NsCommon
from pygos.include.linux.wait import WaitQueue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pygos.include.linux.cred import Cred
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer, Mapping, Vma
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace

#: File type bits of i_mode (stat.h).
S_IFMT, S_IFSOCK, S_IFLNK, S_IFREG = 0o170000, 0o140000, 0o120000, 0o100000
S_IFBLK, S_IFDIR, S_IFCHR, S_IFIFO = 0o060000, 0o040000, 0o020000, 0o010000

#: f_mode bits.
FMODE_READ = 0x1
FMODE_WRITE = 0x2
FMODE_LSEEK = 0x4
FMODE_PREAD = 0x8
FMODE_PWRITE = 0x10
FMODE_EXEC = 0x20
FMODE_STREAM = 0x40  # no file position (pipes, sockets, ttys)
FMODE_PATH = 0x80  # O_PATH
FMODE_CREATED = 0x100  # this open made the file

#: i_flags of an inode, kernel internal (include/linux/fs.h).
S_NOATIME = 0x2
S_APPEND = 0x4
S_IMMUTABLE = 0x8
S_DEAD = 0x10  # a removed directory: nothing can be made in it
S_LINKABLE = 0x4000_0000  # made by O_TMPFILE without O_EXCL: linkat(2) may give it a name

#: s_flags of a super block.
SB_RDONLY = 0x1

#: mnt_flags of a mount (include/linux/mount.h).
MNT_NOSUID = 0x1
MNT_NODEV = 0x2
MNT_NOEXEC = 0x4
MNT_NOATIME = 0x8
MNT_NODIRATIME = 0x10
MNT_RELATIME = 0x20
MNT_READONLY = 0x40
MNT_NOSYMFOLLOW = 0x80
MNT_UNBINDABLE = 0x2000
#: Flags that a less privileged mount namespace can't take away.
MNT_LOCK_ATIME = 0x04_0000
MNT_LOCK_NOEXEC = 0x08_0000
MNT_LOCK_NOSUID = 0x10_0000
MNT_LOCK_NODEV = 0x20_0000
MNT_LOCK_READONLY = 0x40_0000
MNT_LOCKED = 0x80_0000

#: Masks of permission(): as in access(2), and for the sticky bit and the like.
MAY_EXEC, MAY_WRITE, MAY_READ = 1, 2, 4

#: Iattr.valid bits.
ATTR_MODE = 1 << 0
ATTR_UID = 1 << 1
ATTR_GID = 1 << 2
ATTR_SIZE = 1 << 3
ATTR_ATIME = 1 << 4  # set to "now" unless ATTR_ATIME_SET
ATTR_MTIME = 1 << 5
ATTR_CTIME = 1 << 6
ATTR_ATIME_SET = 1 << 7
ATTR_MTIME_SET = 1 << 8
ATTR_OPEN = 1 << 9  # truncated by open(O_TRUNC)
ATTR_FORCE = 1 << 10  # no permission check (the kernel's own change, e.g. clearing setuid)


@dataclass(slots=True)
class Iattr:
    """Which attributes to change (struct iattr)."""

    valid: int
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    atime: int = 0
    mtime: int = 0


@dataclass(slots=True)
class Kstat:
    """The answer of getattr (struct kstat). Times in ns; dev numbers as Linux's dev_t."""

    dev: int = 0
    ino: int = 0
    mode: int = 0
    nlink: int = 0
    uid: int = 0
    gid: int = 0
    rdev: int = 0
    size: int = 0
    blksize: int = 4096
    blocks: int = 0
    atime: int = 0
    mtime: int = 0
    ctime: int = 0
    btime: int = 0
    has_btime: bool = False
    attributes: int = 0
    attributes_mask: int = 0
    mnt_id: int = 0


@dataclass(slots=True)
class Kstatfs:
    """The answer of statfs (struct kstatfs)."""

    type: int = 0
    bsize: int = 4096
    blocks: int = 0
    bfree: int = 0
    bavail: int = 0
    files: int = 0
    ffree: int = 0
    fsid: int = 0
    namelen: int = 255
    frsize: int = 4096
    flags: int = 0


#: What a directory lists: name, inode number, DT_*.
DirEntry = tuple[bytes, int, int]


class Listing(list[DirEntry]):
    """A directory's entries without the dots, which nobody changes any more.

    `packed`: all of them as getdents64(2) gives them, once somebody has asked for all (with
    offsets from FIRST_COOKIE of fs/libfs.py on); `special`: some are character devices, which
    overlayfs must look at; `without`: none has one of these inode numbers.
    """

    __slots__ = ("packed", "special", "without")

    def __init__(self, entries: Iterable[DirEntry] = ()) -> None:
        super().__init__(entries)
        self.packed: bytes | None = None
        self.special = 2 in [kind for _, _, kind in self]  # DT_CHR
        self.without: frozenset[int] | None = None


class DirContext:
    """Where iterate() puts entries. `pos` is the offset of the entry to emit next."""

    __slots__ = ("pos",)

    def __init__(self, pos: int) -> None:
        self.pos = pos

    def emit(self, name: bytes, ino: int, d_type: int, next_pos: int) -> bool:
        """Take one entry; False if there is no room (the entry will be asked for again).

        On True `pos` becomes `next_pos`.
        """
        raise NotImplementedError

    def emit_list(self, entries: list[DirEntry], base: int) -> None:
        """Take entries from `pos` on while there is room; entries[i] has the offset base + i."""
        for place in range(self.pos - base, len(entries)):
            name, ino, d_type = entries[place]
            if not self.emit(name, ino, d_type, base + place + 1):
                return


class FileOperations:
    """What an open file can do. Positions and sizes in bytes."""

    __slots__ = ()
    #: Does the class override open(), flush()? open(2) and close(2) ask this, no call.
    has_open: ClassVar[bool] = False
    has_flush: ClassVar[bool] = False
    #: Reads do nothing but copy from the page cache: the stub may do them (mm/instub.py).
    in_stub: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.has_open = cls.open is not FileOperations.open
        cls.has_flush = cls.flush is not FileOperations.flush

    def open(self, task: Task, inode: Inode, file: File) -> None:
        """The file is being opened; may replace file.f_op (char devices)."""

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        """New position (set in file.f_pos too). ESPIPE for streams."""
        raise ESPIPE

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        """Fill `buf` from `pos`; bytes read, 0 at the end. The VFS moves f_pos."""
        raise EINVAL

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        """Write all of `buf` at `pos` (the VFS has applied O_APPEND); bytes written."""
        raise EINVAL

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        """Emit directory entries from ctx.pos on, "." and ".." first."""
        raise ENOTDIR

    def poll(self, task: Task, file: File) -> int:
        """Current poll mask; default: always readable and writable (DEFAULT_POLLMASK)."""
        return 0x145  # POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...] | None:
        """Queues woken when the mask may change; None if the file can't be polled (always
        ready; epoll_ctl gives EPERM)."""
        return None

    def ioctl(self, task: Task, file: File, cmd: int, arg: int) -> int:
        raise ENOTTY

    def mmap(self, task: Task, file: File, vma: Vma) -> None:
        """Set vma.mapping or vma.vm_ops for this file."""
        raise ENODEV

    def flush(self, task: Task, file: File) -> None:
        """At every close(2) of a descriptor."""

    def release(self, file: File) -> None:
        """The last reference is gone."""

    def fsync(self, task: Task, file: File, datasync: bool) -> None:
        raise EINVAL

    def fallocate(self, task: Task, file: File, mode: int, offset: int, length: int) -> None:
        raise EOPNOTSUPP

    #: O_ASYNC has an effect: wake-ups of poll_queues() become signals (fs/fasync.py).
    supports_fasync: ClassVar[bool] = False

    def fasync(self, task: Task, file: File) -> None:
        """O_ASYNC is being set: the owner, if nobody has said who it is."""

    def set_flags(self, task: Task, file: File, flags: int) -> None:
        """fcntl(F_SETFL) is about to set f_flags (check_flags)."""

    def fdinfo(self, file: File) -> str:
        """Extra lines of /proc/PID/fdinfo/N."""
        return ""


class InodeOperations:
    """What an inode can do. Creating operations return the new inode (one reference, given
    to the dentry by the VFS) with owner and mode set (fs/inode.py: inode_init_owner)."""

    __slots__ = ()
    #: Does the class override permission(), getattr()? The fast paths ask this, no call.
    has_permission: ClassVar[bool] = False
    has_getattr: ClassVar[bool] = False
    #: Does it have keep_stat()?
    keeps_stat: ClassVar[bool] = False
    #: setattr() refuses everything, before anybody asks who the owner is.
    setattr_refuses: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.has_permission = cls.permission is not InodeOperations.permission
        cls.has_getattr = cls.getattr is not InodeOperations.getattr
        cls.keeps_stat = cls.keep_stat is not InodeOperations.keep_stat

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        """The inode of `name` in `dir` with a reference for the dentry, or None."""
        raise ENOTDIR

    def create(self, task: Task, dir: Inode, dentry: Dentry, mode: int) -> Inode:
        raise EPERM

    def mkdir(self, task: Task, dir: Inode, dentry: Dentry, mode: int) -> Inode:
        raise EPERM

    def mknod(self, task: Task, dir: Inode, dentry: Dentry, mode: int, rdev: int) -> Inode:
        raise EPERM

    def symlink(self, task: Task, dir: Inode, dentry: Dentry, target: bytes) -> Inode:
        raise EPERM

    def link(self, task: Task, old: Dentry, dir: Inode, dentry: Dentry) -> Inode:
        """Another name for old's inode; returns it with a reference for the new dentry."""
        raise EPERM

    def unlink(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        raise EPERM

    def rmdir(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        raise EPERM

    def rename(
        self, task: Task, old_dir: Inode, old: Dentry, new_dir: Inode, new: Dentry, flags: int
    ) -> None:
        """Move old over new (flags: RENAME_*). The VFS then moves the dentry."""
        raise EPERM

    def tmpfile(self, task: Task, dir: Inode, mode: int) -> Inode:
        raise EOPNOTSUPP

    def readlink(self, task: Task, inode: Inode) -> bytes:
        """The text of a symbolic link."""
        raise EINVAL

    def get_link(self, task: Task, inode: Inode) -> Path | bytes:
        """What the walk follows: text, or a place to jump to (magic links of procfs)."""
        return self.readlink(task, inode)

    def permission(self, task: Task, inode: Inode, mask: int) -> bool | None:
        """EACCES, or return True: not decided here, use the mode bits (generic_permission)."""
        return True

    def getattr(self, task: Task, path: Path, inode: Inode) -> Kstat | None:
        """The attributes; None: the inode's own fields (generic_fillattr)."""
        return None

    def keep_stat(self, inode: Inode, data: bytes) -> None:
        """`data` is the inode's struct stat, made of its fields: may be kept in i_stat."""

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        """Apply already permitted changes; fs/attr.py has simple_setattr."""
        raise EPERM

    def fileattr_get(self, task: Task, inode: Inode) -> int:
        """The inode's FS_*_FL flags."""
        raise ENOIOCTLCMD

    def fileattr_set(self, task: Task, inode: Inode, flags: int) -> None:
        """Set permitted FS_*_FL flags. EOPNOTSUPP for those the file system doesn't keep."""
        raise ENOIOCTLCMD

    def getxattr(self, task: Task, inode: Inode, name: bytes) -> bytes:
        raise EOPNOTSUPP

    def setxattr(self, task: Task, inode: Inode, name: bytes, value: bytes, flags: int) -> None:
        raise EOPNOTSUPP

    def listxattr(self, task: Task, inode: Inode) -> list[bytes]:
        return []

    def removexattr(self, task: Task, inode: Inode, name: bytes) -> None:
        raise EOPNOTSUPP


class SuperOperations:
    """What a mounted file system can do."""

    __slots__ = ()

    def statfs(self, sb: SuperBlock) -> Kstatfs:
        return Kstatfs(type=sb.s_magic)

    def evict_inode(self, inode: Inode) -> None:
        """The last reference is gone (its pages are freed by the VFS afterwards)."""

    def drop_inode(self, inode: Inode) -> bool:
        """True: evict at the last iput even though it still has links (default: yes)."""
        return True

    def show_options(self, sb: SuperBlock) -> str:
        """Options for /proc/mounts, with a leading comma each."""
        return ""

    def show_path(self, reader: Task, root: Dentry) -> bytes | None:
        """The root of a mount for mountinfo; None: its path in the file system."""
        return None

    def remount(self, sb: SuperBlock, flags: int, data: str) -> None:
        """mount(2) with MS_REMOUNT: `flags` are MS_*. EINVAL for options not understood."""
        sb.s_flags = sb.s_flags & ~SB_RDONLY | flags & SB_RDONLY

    def sync_fs(self, sb: SuperBlock) -> None:
        """Write everything to the store (sync(2), syncfs(2), umount(2))."""

    def put_super(self, sb: SuperBlock) -> None:
        """The file system is unmounted for the last time."""


class DentryOperations:
    """Hooks on cached names."""

    __slots__ = ()

    def revalidate(self, task: Task, dentry: Dentry) -> bool:
        """Is a cached name still right? False drops it and looks it up anew."""
        return True

    def d_dname(self, dentry: Dentry) -> bytes | None:
        """The name of an object that has no place in the tree ("pipe:[12]"); else None."""
        return None


class FileSystemType:
    """A kind of file system that can be mounted."""

    __slots__ = ()
    name: str = ""
    #: Shown as "nodev" in /proc/filesystems.
    nodev: bool = True
    #: Can be mounted by the root of a user namespace (FS_USERNS_MOUNT).
    userns_mount: bool = False
    #: ... if one that shows no less can be seen there already (SB_I_USERNS_VISIBLE).
    userns_visible: bool = False

    def user_ns(self, task: Task) -> UserNamespace | None:
        """The user namespace that a new instance belongs to."""
        return task.cred.user_ns

    def mount(self, task: Task, source: str, flags: int, data: str) -> SuperBlock:
        """A super block with s_root set. EINVAL for options that aren't understood."""
        raise ENODEV

    def mount_root(self, task: Task, sb: SuperBlock) -> Dentry:
        """The directory that a new mount shows as its root."""
        return sb.s_root


class SuperBlock:
    """One mounted file system instance."""

    __slots__ = (
        "machine", "s_active", "s_blocksize", "s_d_op", "s_dev", "s_flags", "s_fs_info", "s_id",
        "s_magic", "s_maxbytes", "s_next_ino", "s_ns", "s_op", "s_root", "s_type", "s_user_ns",
    )

    def __init__(self, machine: Machine, s_type: FileSystemType, s_op: SuperOperations) -> None:
        self.machine = machine
        self.s_type = s_type
        self.s_op = s_op
        self.s_d_op: DentryOperations | None = None
        self.s_dev = machine.next_anon_dev()
        self.s_root: Dentry
        self.s_flags = 0
        self.s_magic = 0
        self.s_blocksize = 4096
        self.s_maxbytes = (1 << 63) - 1
        self.s_next_ino = 1
        self.s_id = ""
        self.s_fs_info: Any = None
        #: Mounts of it, and layers of overlays: the instance ends with the last one.
        self.s_active = 0
        #: The user namespace it was mounted in: its set-id bits and devices count there only.
        self.s_user_ns: UserNamespace | None = None
        #: The namespace whose things it shows (procfs: PidNamespace); None: the first one.
        self.s_ns: Any = None

    def new_ino(self) -> int:
        ino = self.s_next_ino
        self.s_next_ino = ino + 1
        return ino


class Inode:
    """One file. File systems may subclass it to add slots."""

    __slots__ = (
        "i_atime", "i_blocks", "i_btime", "i_count", "i_ctime", "i_flags", "i_flock", "i_fop",
        "i_generation", "i_gid", "i_ino", "i_link", "i_mapping", "i_mode", "i_mtime", "i_nlink",
        "i_op", "i_pipe", "i_private", "i_rdev", "i_sb", "i_size", "i_stat", "i_uid",
        "i_version", "i_writecount", "i_xattrs",
    )

    def __init__(self, sb: SuperBlock, ino: int, mode: int) -> None:
        self.i_sb = sb
        self.i_ino = ino
        self.i_mode = mode
        self.i_uid = 0
        self.i_gid = 0
        self.i_nlink = 1
        self.i_size = 0
        self.i_rdev = 0
        self.i_blocks = 0
        self.i_atime = self.i_mtime = self.i_ctime = self.i_btime = 0
        self.i_count = 1
        self.i_flags = 0
        self.i_generation = 0
        self.i_version = 0
        #: >0: open for writing that often; <0: being executed that often (ETXTBSY).
        self.i_writecount = 0
        self.i_op: InodeOperations = INODE_DEFAULT_OPS
        self.i_fop: FileOperations = FILE_DEFAULT_OPS
        self.i_mapping: Mapping | None = None
        self.i_pipe: Any = None
        #: The text of a symbolic link that never changes, so that the walk needs no get_link().
        self.i_link: bytes | None = None
        #: File locks (fs/locks.py), made at the first lock.
        self.i_flock: Any = None
        self.i_xattrs: dict[bytes, bytes] | None = None
        self.i_private: Any = None
        #: struct stat as the first user namespace sees it and until when it is believed,
        #: monotonic ns. Only file systems that clear it at every change set it.
        self.i_stat: tuple[int, bytes] | None = None

    @property
    def is_dir(self) -> bool:
        return self.i_mode & S_IFMT == S_IFDIR

    @property
    def is_reg(self) -> bool:
        return self.i_mode & S_IFMT == S_IFREG

    @property
    def is_link(self) -> bool:
        return self.i_mode & S_IFMT == S_IFLNK


class Dentry:
    """A cached name in a directory; negative when d_inode is None (fs/dcache.py)."""

    __slots__ = (
        "__weakref__",
        "d_children",
        "d_fsdata",
        "d_inode",
        "d_mounted",
        "d_name",
        "d_op",
        "d_parent",
        "d_pinned",
        "d_sb",
        "d_time",
        "d_unhashed",
    )

    def __init__(self, sb: SuperBlock, parent: Dentry | None, name: bytes) -> None:
        self.d_sb = sb
        #: Itself for a root.
        self.d_parent: Dentry = parent if parent is not None else self
        self.d_name = name
        self.d_inode: Inode | None = None
        self.d_children: dict[bytes, Dentry] = {}
        self.d_op = sb.s_d_op
        #: How many mounts sit on it (in any namespace).
        self.d_mounted = 0
        #: Not to be pruned (tmpfs: the dentry is the only record of the name).
        self.d_pinned = False
        #: Removed from its parent (unlinked, or dropped from the cache).
        self.d_unhashed = False
        self.d_time = 0
        self.d_fsdata: Any = None


class PeerGroup:
    """Mounts that propagate to each other (MS_SHARED), and those that only receive."""

    __slots__ = ("id", "peers", "slaves")

    def __init__(self, id: int) -> None:
        self.id = id
        self.peers: dict[Mount, None] = {}
        self.slaves: dict[Mount, None] = {}


class Mount:
    """A file system's (sub)tree attached somewhere."""

    __slots__ = (
        "mnt_children",
        "mnt_devname",
        "mnt_expiry_mark",
        "mnt_flags",
        "mnt_group",
        "mnt_id",
        "mnt_master",
        "mnt_mountpoint",
        "mnt_ns",
        "mnt_parent",
        "mnt_private",
        "mnt_root",
        "mnt_sb",
    )

    def __init__(self, mnt_id: int, root: Dentry, devname: str, flags: int = 0) -> None:
        self.mnt_id = mnt_id
        self.mnt_root = root
        self.mnt_sb = root.d_sb
        self.mnt_devname = devname
        self.mnt_flags = flags
        #: Itself for the root of a namespace.
        self.mnt_parent: Mount = self
        self.mnt_mountpoint: Dentry = root
        self.mnt_children: list[Mount] = []
        #: None: not attached (yet, or any more).
        self.mnt_ns: MntNamespace | None = None
        #: Its peers if it is shared; whose events it receives if it is a slave.
        self.mnt_group: PeerGroup | None = None
        self.mnt_master: PeerGroup | None = None
        #: umount2(MNT_EXPIRE): how often it may still be stepped onto, see fs/umount.py.
        self.mnt_expiry_mark = 0
        self.mnt_private: Any = None


@dataclass(slots=True, frozen=True, eq=False)
class Path:
    """A place: a dentry seen through a mount."""

    mnt: Mount
    dentry: Dentry

    @property
    def inode(self) -> Inode:
        """The inode; only for positive dentries."""
        inode = self.dentry.d_inode
        assert inode is not None
        return inode

    def same(self, other: Path) -> bool:
        return self.dentry is other.dentry and self.mnt is other.mnt


class File:
    """An open file description."""

    __slots__ = (
        "f_count", "f_cred", "f_ep", "f_flags", "f_inode", "f_mode", "f_op", "f_owner",
        "f_path", "f_pos", "f_ra", "f_sig", "private_data",
    )

    def __init__(self, path: Path, inode: Inode, flags: int, mode: int, cred: Cred) -> None:
        self.f_path = path
        self.f_inode = inode
        self.f_flags = flags
        self.f_mode = mode
        self.f_op: FileOperations = inode.i_fop
        self.f_pos = 0
        self.f_cred = cred
        #: Descriptors, mappings and kernel users; at 0 it is released (fs/file_table.py: fput).
        self.f_count = 1
        #: F_SETOWN's pid (negative: a group).
        self.f_owner = 0
        #: F_SETSIG's signal; 0: SIGIO.
        self.f_sig = 0
        #: epoll items that watch it; made at the first EPOLL_CTL_ADD.
        self.f_ep: dict[Any, None] | None = None
        #: Read-ahead: the page index where the last read ended.
        self.f_ra = 0
        self.private_data: Any = None


class FilesStruct:
    """A table of descriptors, shared by CLONE_FILES (struct files_struct)."""

    __slots__ = ("close_on_exec", "count", "fd", "next_fd")

    def __init__(self) -> None:
        #: fd -> File
        self.fd: dict[int, File] = {}
        self.close_on_exec: set[int] = set()
        #: No free descriptor below this.
        self.next_fd = 0
        self.count = 1


@dataclass(slots=True)
class FsStruct:
    """Root, working directory and umask, shared by CLONE_FS (struct fs_struct)."""

    root: Path
    pwd: Path
    umask: int = 0o022
    users: int = 1


class MntNamespace(NsCommon):
    """A tree of mounts. `table`: what is mounted at (parent mount, mountpoint)."""

    __slots__ = ("event", "poll", "root", "table")
    ns_name = "mnt"
    ns_flag = 0x0002_0000

    def __init__(self, root: Mount, user_ns: UserNamespace | None = None) -> None:
        super().__init__(user_ns)
        self.root = root
        self.table: dict[tuple[int, Dentry], Mount] = {}
        self.event = 0
        self.poll = WaitQueue()


INODE_DEFAULT_OPS = InodeOperations()
FILE_DEFAULT_OPS = FileOperations()
