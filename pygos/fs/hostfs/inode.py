# SPDX-License-Identifier: Apache-2.0
"""hostfs' inodes: look-up, attributes, symbolic links, and keeping up with the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.hostfs.file import HOST_AOPS, HOST_DIR_FOPS, HOST_FILE_FOPS, VALID_FOR
from pygos.fs.hostfs.hidden import HIDDEN, Rules, below
from pygos.include.errno import EACCES, EIO, ENODATA, EOPNOTSUPP, ESTALE, Errno
from pygos.include.linux.fs import (
    MAY_READ,
    MAY_WRITE,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    Dentry,
    DentryOperations,
    Inode,
    InodeOperations,
    SuperBlock,
)
from pygos.include.linux.mm_types import Mapping
from pygos.include.uapi.stat import S_ISGID, S_ISUID
from pygos.include.uapi.xattr import XATTR_SECURITY_PREFIX, XATTR_TRUSTED_PREFIX, XATTR_USER_PREFIX

if TYPE_CHECKING:
    from pygos.fs.hostfs.super import HostSuper
    from pygos.include.linux.platform import HostStat
    from pygos.include.linux.sched import Task


class HostInode(Inode):
    """A file of the host, under the name by which it was last found."""

    __slots__ = (
        "h_checked", "h_handle", "h_key", "h_name", "h_parent", "h_rules", "h_stat", "h_write",
    )  # fmt: skip

    def __init__(self, sb: SuperBlock, ino: int, mode: int) -> None:
        super().__init__(sb, ino, mode)
        #: (device, inode, file type) on the host.
        self.h_key: tuple[int, int, int] = (0, 0, 0)
        #: Itself for the root.
        self.h_parent: HostInode = self
        self.h_name = b""
        #: Of an opened directory or file.
        self.h_handle: int | None = None
        #: For writing (volume.py).
        self.h_write: int | None = None
        #: What is hidden below a directory.
        self.h_rules: Rules | str | None = None
        self.h_stat: HostStat
        #: When the host was asked last, monotonic ns.
        self.h_checked = 0


def find_inode(
    sb: SuperBlock, parent: HostInode | None, name: bytes, st: HostStat, rules: Rules | str | None
) -> HostInode:
    """The inode of a file of the host, with one more reference; its attributes are fresh."""
    info: HostSuper = sb.s_fs_info
    kind = st.mode & S_IFMT
    key = (st.dev, st.ino, kind)
    inode = info.inodes.get(key)
    if inode is None:
        inode = HostInode(sb, info.ino(st.dev, st.ino), st.mode)
        inode.h_key = key
        inode.h_stat = st
        info.inodes[key] = inode
        _set_operations(inode, kind, st)
        inode.h_rules = rules
        update_attributes(inode, st)
    else:
        inode.i_count += 1
        refresh(inode, st)
        if rules is not None and inode.h_rules is None:
            inode.h_rules = rules
    if parent is not None:
        inode.h_parent = parent
        inode.h_name = name
    inode.h_checked = sb.machine.clock.monotonic()
    return inode


def _set_operations(inode: HostInode, kind: int, st: HostStat) -> None:
    if kind == S_IFREG:
        inode.i_op = _FILE_IOPS
        inode.i_fop = HOST_FILE_FOPS
        inode.i_mapping = Mapping(inode.i_sb.machine, inode, HOST_AOPS)
    elif kind == S_IFDIR:
        inode.i_op = _DIR_IOPS
        inode.i_fop = HOST_DIR_FOPS
    elif kind == S_IFLNK:
        inode.i_op = _LINK_IOPS
    else:
        inode.i_op = _SPECIAL_IOPS
        if kind in (S_IFCHR, S_IFBLK):
            inode.i_rdev = st.rdev
    info: HostSuper = inode.i_sb.s_fs_info
    if info.writable:
        from pygos.fs.hostfs.volume import set_volume_operations

        set_volume_operations(inode, kind)


def update_attributes(inode: HostInode, st: HostStat) -> None:
    """Take over the host's attributes, but for set-id bits of files."""
    mode = st.mode
    if mode & S_IFMT != S_IFDIR:
        mode &= ~(S_ISUID | S_ISGID)
    if st.size != inode.i_size and inode.i_mapping is not None and inode.i_mapping.windows:
        from pygos.mm.instub import drop_windows

        drop_windows(inode.i_mapping)
    inode.h_stat = st
    inode.i_mode = mode
    inode.i_uid = st.uid
    inode.i_gid = st.gid
    inode.i_size = st.size
    inode.i_nlink = st.nlink
    inode.i_blocks = st.blocks
    inode.i_atime = st.atime
    inode.i_mtime = st.mtime
    inode.i_ctime = st.ctime


def refresh(inode: HostInode, st: HostStat) -> None:
    """The host was asked again: if the contents changed, what is cached of them is dropped."""
    old = inode.h_stat
    changed = old.mtime != st.mtime or old.size != st.size
    if not changed and old.ctime == st.ctime and old.nlink == st.nlink:
        return
    update_attributes(inode, st)
    if inode.i_mode & S_IFMT == S_IFLNK:
        inode.i_link = None
    mapping = inode.i_mapping
    if changed and mapping is not None and mapping.pages:
        from pygos.mm.filemap import invalidate_mapping

        invalidate_mapping(mapping)


# -- handles


def dir_handle(dir: HostInode) -> int:
    """The handle of a directory; opened by its chain of names if it must be. ESTALE."""
    handle = dir.h_handle
    if handle is not None:
        return handle
    chain = []
    while dir.h_handle is None:
        chain.append(dir)
        dir = dir.h_parent
    info: HostSuper = dir.i_sb.s_fs_info
    handle = dir.h_handle
    for inode in reversed(chain):
        handle = info.files.open_dir(handle, inode.h_name)
        st = info.files.fstat(handle)
        if (st.dev, st.ino) != inode.h_key[:2]:
            info.files.close(handle)
            raise ESTALE
        inode.h_handle = handle
    return handle


def file_handle(inode: HostInode) -> int:
    """The handle of a regular file. ESTALE if something else has its place; EACCES."""
    handle = inode.h_handle
    if handle is None:
        info: HostSuper = inode.i_sb.s_fs_info
        parent = dir_handle(inode.h_parent)
        handle = info.files.open_file(parent, inode.h_name, inode.h_stat)
        inode.h_handle = handle
    return handle


def still_there(inode: HostInode) -> bool:
    """Ask the host, at most once a second, whether the name still means this file."""
    now = inode.i_sb.machine.clock.monotonic()
    if now - inode.h_checked < VALID_FOR or inode.h_parent is inode:
        return True
    info: HostSuper = inode.i_sb.s_fs_info
    try:
        st = info.files.lookup(dir_handle(inode.h_parent), inode.h_name)
    except Errno:
        return False
    if st is None or (st.dev, st.ino, st.mode & S_IFMT) != inode.h_key:
        return False
    inode.h_checked = now
    refresh(inode, st)
    return True


class HostDentryOperations(DentryOperations):
    """Names are believed for a second."""

    __slots__ = ()

    def revalidate(self, task: Task, dentry: Dentry) -> bool:
        inode = dentry.d_inode
        if inode is not None:
            assert isinstance(inode, HostInode)
            return dentry.d_mounted > 0 or still_there(inode)
        now = task.machine.clock.monotonic()
        if dentry.d_time and now - dentry.d_time < VALID_FOR:
            return True
        parent = dentry.d_parent.d_inode
        assert isinstance(parent, HostInode)
        if lookup_host(parent, dentry.d_name) is not None:
            return False
        dentry.d_time = now
        return True


HOST_DENTRY_OPS: Final = HostDentryOperations()


# -- operations


def lookup_host(dir: HostInode, name: bytes) -> tuple[HostStat, Rules | str | None] | None:
    """The attributes of an entry and the rules below it; None if absent or hidden."""
    rules = None
    if dir.h_rules is not None:
        if not isinstance(dir.h_rules, dict):
            return None
        rules = below(dir.h_rules, name)
        if rules is HIDDEN:
            return None
    info: HostSuper = dir.i_sb.s_fs_info
    st = info.files.lookup(dir_handle(dir), name)
    if st is None or (st.dev, st.ino) in info.hidden_ids:
        return None
    return st, rules


class HostInodeOperations(InodeOperations):
    """Extended attributes: only the user's own; the host's security attributes and ACLs
    have no meaning here."""

    __slots__ = ()

    def getxattr(self, task: Task, inode: Inode, name: bytes) -> bytes:
        if name.startswith(XATTR_USER_PREFIX):
            value = self._xattrs(inode).get(name)
            if value is not None:
                return value
        elif not name.startswith((XATTR_SECURITY_PREFIX, XATTR_TRUSTED_PREFIX)):
            raise EOPNOTSUPP
        raise ENODATA

    def listxattr(self, task: Task, inode: Inode) -> list[bytes]:
        return list(self._xattrs(inode))

    @staticmethod
    def _xattrs(inode: Inode) -> dict[bytes, bytes]:
        assert isinstance(inode, HostInode)
        info: HostSuper = inode.i_sb.s_fs_info
        try:
            found = info.files.xattrs(dir_handle(inode.h_parent), inode.h_name)
        except Errno:
            return {}
        return {name: found[name] for name in found if name.startswith(XATTR_USER_PREFIX)}


class HostDirOperations(HostInodeOperations):
    """Directories."""

    __slots__ = ()

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        assert isinstance(dir, HostInode)
        found = lookup_host(dir, name)
        if found is None:
            return None
        return find_inode(dir.i_sb, dir, name, *found)


class HostLinkOperations(HostInodeOperations):
    """Symbolic links; the text is kept after the first look."""

    __slots__ = ()

    def readlink(self, task: Task, inode: Inode) -> bytes:
        assert isinstance(inode, HostInode)
        link = inode.i_link
        if link is None:
            info: HostSuper = inode.i_sb.s_fs_info
            link = info.files.readlink(dir_handle(inode.h_parent), inode.h_name)
            inode.i_link = link
        return link


class HostSpecialOperations(HostInodeOperations):
    """FIFOs, sockets and devices of the host: to be seen, not to be touched."""

    __slots__ = ()

    def permission(self, task: Task, inode: Inode, mask: int) -> bool | None:
        if mask & (MAY_READ | MAY_WRITE):
            raise EACCES
        return True


_FILE_IOPS: Final = HostInodeOperations()
_DIR_IOPS: Final = HostDirOperations()
_LINK_IOPS: Final = HostLinkOperations()
_SPECIAL_IOPS: Final = HostSpecialOperations()


def open_host_file(inode: HostInode) -> None:
    """A regular file is being opened: it must still be there, and readable on the host.

    Errors: ESTALE (another file has the name now), EACCES, EIO.
    """
    if not still_there(inode):
        raise ESTALE
    try:
        file_handle(inode)
    except ESTALE:
        inode.h_checked = 0
        raise
    except EACCES:
        raise
    except Errno as error:
        raise EIO from error
