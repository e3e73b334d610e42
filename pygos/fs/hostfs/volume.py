# SPDX-License-Identifier: Apache-2.0
"""hostfs that may be written: directories of the host that the owner gave to the machine.

Changes go to the host at once, by the handle of a directory and one name in it. A write goes
straight from the program's memory to the host; cached pages are brought up to date. Pages
changed through shared mappings are written at msync(2), fsync(2) and when the last user of
the file closes it. Devices, FIFOs, sockets and set-id files can't be made (EPERM), and a name
that is hidden can be neither made nor replaced (EEXIST).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from pygos.fs.generic_file import generic_write_checks
from pygos.fs.hostfs.file import (
    HostFileOperations,
    HostMappingOperations,
    clip_views,
    skip_bytes,
)
from pygos.fs.hostfs.hidden import Files
from pygos.fs.hostfs.inode import (
    HostDirOperations,
    HostInode,
    HostInodeOperations,
    HostLinkOperations,
    HostSpecialOperations,
    dir_handle,
    find_inode,
    still_there,
    update_attributes,
)
from pygos.include.errno import EIO, ENOENT, EPERM, ESTALE, Errno
from pygos.include.linux.fs import (
    ATTR_ATIME,
    ATTR_GID,
    ATTR_MODE,
    ATTR_MTIME,
    ATTR_SIZE,
    ATTR_UID,
    FMODE_READ,
    FMODE_WRITE,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
)
from pygos.include.linux.platform import PAGE_SHIFT
from pygos.include.uapi.fcntl import O_APPEND, O_DSYNC
from pygos.include.uapi.fs import RENAME_EXCHANGE, RENAME_NOREPLACE
from pygos.include.uapi.stat import S_ISGID
from pygos.mm.filemap import pagecache_isize_extended, truncate_pagecache
from pygos.mm.truncate import filemap_fdatawrite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pygos.fs.hostfs.super import HostSuper
    from pygos.include.linux.fs import Dentry, File, Iattr, Inode
    from pygos.include.linux.mm_types import IoBuffer, Mapping
    from pygos.include.linux.platform import HostStat
    from pygos.include.linux.sched import Task

#: How much one host call writes, bytes.
_CHUNK: Final = 1 << 20


class WritableFiles(Files, Protocol):
    """What a writable hostfs asks of pygos.host.files_rw.HostFilesRw; see there."""

    def create(self, dir_handle: int, name: bytes, mode: int, uid: int, gid: int, /) -> None: ...
    def mkdir(self, dir_handle: int, name: bytes, mode: int, uid: int, gid: int, /) -> None: ...
    def symlink(
        self, dir_handle: int, name: bytes, target: bytes, uid: int, gid: int, /
    ) -> None: ...
    def link(self, old_dir: int, old: bytes, new_dir: int, new: bytes, /) -> None: ...
    def unlink(self, dir_handle: int, name: bytes, /) -> None: ...
    def rmdir(self, dir_handle: int, name: bytes, /) -> None: ...
    def rename(self, old_dir: int, old: bytes, new_dir: int, new: bytes, flags: int, /) -> None: ...
    def chmod(self, dir_handle: int, name: bytes, expect: HostStat, mode: int, /) -> None: ...
    def chown(self, dir_handle: int, name: bytes, uid: int, gid: int, /) -> None: ...
    def utime(self, dir_handle: int, name: bytes, atime: int, mtime: int, /) -> None: ...
    def fchmod(self, handle: int, mode: int, /) -> None: ...
    def fchown(self, handle: int, uid: int, gid: int, /) -> None: ...
    def futime(self, handle: int, atime: int, mtime: int, /) -> None: ...
    def open_write(self, dir_handle: int, name: bytes, expect: HostStat, /) -> int: ...
    def pwrite_from(self, handle: int, offset: int, buffers: Sequence[memoryview], /) -> int: ...
    def truncate(self, handle: int, size: int, /) -> None: ...
    def fsync(self, handle: int, datasync: bool, /) -> None: ...


def _files(inode: Inode) -> WritableFiles:
    info: HostSuper = inode.i_sb.s_fs_info
    files: WritableFiles = info.files  # type: ignore[assignment]
    return files


def _host(inode: Inode | None) -> HostInode:
    assert isinstance(inode, HostInode)
    return inode


def write_handle(inode: HostInode) -> int:
    """The handle for writing a regular file. EACCES, ESTALE."""
    handle = inode.h_write
    if handle is None:
        parent = dir_handle(inode.h_parent)
        handle = _files(inode).open_write(parent, inode.h_name, inode.h_stat)
        inode.h_write = handle
    return handle


def open_handle(inode: HostInode) -> int | None:
    """A handle of the very file, if there is one."""
    return inode.h_write if inode.h_write is not None else inode.h_handle


def reload_attributes(inode: HostInode) -> None:
    """We changed it: take over what the host has now, keeping what is cached."""
    handle = open_handle(inode)
    st: HostStat | None
    if handle is not None:
        st = _files(inode).fstat(handle)
    else:
        st = _files(inode).lookup(dir_handle(inode.h_parent), inode.h_name)
    if st is not None and (st.dev, st.ino, st.mode & S_IFMT) == inode.h_key:
        update_attributes(inode, st)
        inode.h_checked = inode.i_sb.machine.clock.monotonic()


# -- contents


class VolumeMappingOperations(HostMappingOperations):
    """Writes pages back that were changed through mappings."""

    __slots__ = ()

    def write_pages(self, mapping: Mapping, index: int, views: Sequence[memoryview]) -> None:
        inode = _host(mapping.host)
        offset = index << PAGE_SHIFT
        left = clip_views(views, inode.i_size - offset)
        try:
            handle = write_handle(inode)
            while left:
                count = _files(inode).pwrite_from(handle, offset, left)
                offset += count
                left = skip_bytes(left, count)
            reload_attributes(inode)
        except Errno as error:
            raise EIO from error


def write_back(inode: HostInode) -> None:
    """Write what was changed through mappings."""
    mapping = inode.i_mapping
    if mapping is not None and mapping.dirty:
        filemap_fdatawrite(mapping)


def _patch_cache(inode: HostInode, pos: int, views: Sequence[memoryview], count: int) -> None:
    """Put `count` bytes just written at `pos` into the pages that are cached."""
    mapping = inode.i_mapping
    if mapping is None or not mapping.pages:
        return
    mem = mapping.machine.zone.mem
    for view in clip_views(views, count):
        at = 0
        while at < len(view):
            skip = pos & 0xFFF
            step = min(4096 - skip, len(view) - at)
            pfn = mapping.pages.get(pos >> PAGE_SHIFT)
            if pfn is not None:
                base = (pfn << PAGE_SHIFT) + skip
                mem[base : base + step] = view[at : at + step]
            at += step
            pos += step


class VolumeFileOperations(HostFileOperations):
    """A regular file that may be written."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        if not file.f_mode & FMODE_WRITE:
            super().open(task, inode, file)
            return
        host = _host(inode)
        if file.f_mode & FMODE_READ:
            super().open(task, inode, file)
        elif not still_there(host):
            raise ESTALE
        try:
            write_handle(host)
        except ESTALE:
            host.h_checked = 0
            raise

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        if not buf.length:
            return 0
        inode = _host(file.f_inode)
        files, handle = _files(inode), write_handle(inode)
        if file.f_flags & O_APPEND:  # others may have made it longer
            pos = files.fstat(handle).size
        left = generic_write_checks(task, file, buf.length, pos)
        done = 0
        try:
            while left:
                views = buf.slices(min(left, _CHUNK))
                count = files.pwrite_from(handle, pos, views)
                if not count:
                    break
                _patch_cache(inode, pos, views, count)
                buf.advance(count)
                pos += count
                done += count
                left -= count
        except Errno:
            if not done:
                raise
        reload_attributes(inode)
        if file.f_flags & O_DSYNC:
            files.fsync(handle, True)
        return done

    def fsync(self, task: Task, file: File, datasync: bool) -> None:
        inode = _host(file.f_inode)
        write_back(inode)
        if inode.h_write is not None:
            _files(inode).fsync(inode.h_write, datasync)

    def release(self, file: File) -> None:
        inode = _host(file.f_inode)
        try:
            write_back(inode)
        except Errno:
            inode.i_sb.machine.printk.err(f"hostfs: lost a write to inode {inode.i_ino}")


# -- attributes and names


def _set_by_handle(
    inode: HostInode, handle: int, uid: int, gid: int, mode: int, times: tuple[int, int] | None
) -> None:
    """Attributes of an open file, which may have no name any more; -1: leave."""
    files = _files(inode)
    if uid >= 0 or gid >= 0:
        files.fchown(handle, uid, gid)
    if mode >= 0:
        files.fchmod(handle, mode)
    if times is not None:
        files.futime(handle, *times)


def _set_by_name(
    inode: HostInode, dentry: Dentry, uid: int, gid: int, mode: int,
    times: tuple[int, int] | None,
) -> None:  # fmt: skip
    """Attributes of what has no handle, or a directory's; -1: leave."""
    files = _files(inode)
    if dentry.d_parent is dentry:
        parent, name = dir_handle(inode), b""
    else:
        parent, name = dir_handle(_host(dentry.d_parent.d_inode)), dentry.d_name
    if uid >= 0 or gid >= 0:
        files.chown(parent, name, uid, gid)
    if mode >= 0:
        files.chmod(parent, name, inode.h_stat, mode)
    if times is not None:
        files.utime(parent, name, *times)


class VolumeAttributes(HostInodeOperations):
    """setattr for all types of files."""

    __slots__ = ()

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        host = _host(inode)
        valid = attr.valid
        if valid & ATTR_SIZE:
            self._truncate(host, attr.size)
        uid = attr.uid if valid & ATTR_UID else -1
        gid = attr.gid if valid & ATTR_GID else -1
        mode = attr.mode & 0o7777 if valid & ATTR_MODE else -1
        times = None
        if valid & (ATTR_ATIME | ATTR_MTIME) and not valid & ATTR_SIZE:
            atime = attr.atime if valid & ATTR_ATIME else host.i_atime
            times = atime, attr.mtime if valid & ATTR_MTIME else host.i_mtime
        handle = open_handle(host)
        if handle is not None and host.i_mode & S_IFMT == S_IFREG:
            _set_by_handle(host, handle, uid, gid, mode, times)
        else:
            _set_by_name(host, dentry, uid, gid, mode, times)
        reload_attributes(host)

    @staticmethod
    def _truncate(inode: HostInode, size: int) -> None:
        write_back(inode)
        _files(inode).truncate(write_handle(inode), size)
        old = inode.i_size
        inode.i_size = size
        if size > old and inode.i_mapping is not None:
            pagecache_isize_extended(inode.i_mapping, old)
        elif size < old and inode.i_mapping is not None:
            truncate_pagecache(inode.i_mapping, size)
            inode.i_mapping.dirty.clear()  # the zeroed end of the last page


class VolumeFileInodeOperations(VolumeAttributes):
    """Regular files."""

    __slots__ = ()


class VolumeLinkOperations(VolumeAttributes, HostLinkOperations):
    """Symbolic links."""

    __slots__ = ()


class VolumeSpecialOperations(VolumeAttributes, HostSpecialOperations):
    """What others have put there: to be seen, renamed and removed."""

    __slots__ = ()


class VolumeDirOperations(VolumeAttributes, HostDirOperations):
    """Directories."""

    __slots__ = ()

    @staticmethod
    def _made(dir: HostInode, name: bytes) -> HostInode:
        """The inode of what was just made."""
        st = _files(dir).lookup(dir_handle(dir), name)
        if st is None:
            raise ENOENT
        inode = find_inode(dir.i_sb, dir, name, st, None)
        reload_attributes(dir)
        return inode

    @staticmethod
    def _owner(task: Task, dir: Inode) -> tuple[int, int]:
        cred = task.cred
        return cred.fsuid, dir.i_gid if dir.i_mode & S_ISGID else cred.fsgid

    def create(self, task: Task, dir: Inode, dentry: Dentry, mode: int) -> Inode:
        host = _host(dir)
        owner = self._owner(task, dir)
        _files(dir).create(dir_handle(host), dentry.d_name, mode & 0o7777, *owner)
        return self._made(host, dentry.d_name)

    def mkdir(self, task: Task, dir: Inode, dentry: Dentry, mode: int) -> Inode:
        host = _host(dir)
        mode = mode & 0o7777 | dir.i_mode & S_ISGID
        _files(dir).mkdir(dir_handle(host), dentry.d_name, mode, *self._owner(task, dir))
        return self._made(host, dentry.d_name)

    def symlink(self, task: Task, dir: Inode, dentry: Dentry, target: bytes) -> Inode:
        host = _host(dir)
        owner = self._owner(task, dir)
        _files(dir).symlink(dir_handle(host), dentry.d_name, target, *owner)
        return self._made(host, dentry.d_name)

    def mknod(self, task: Task, dir: Inode, dentry: Dentry, mode: int, rdev: int) -> Inode:
        if mode & S_IFMT == S_IFREG:
            return self.create(task, dir, dentry, mode)
        raise EPERM

    def link(self, task: Task, old: Dentry, dir: Inode, dentry: Dentry) -> Inode:
        source, host = _host(old.d_inode), _host(dir)
        _files(dir).link(
            dir_handle(source.h_parent), source.h_name, dir_handle(host), dentry.d_name
        )
        return self._made(host, dentry.d_name)

    def unlink(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        host, victim = _host(dir), _host(dentry.d_inode)
        write_back(victim)
        _files(dir).unlink(dir_handle(host), dentry.d_name)
        victim.i_nlink -= 1
        reload_attributes(host)

    def rmdir(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        host, victim = _host(dir), _host(dentry.d_inode)
        _files(dir).rmdir(dir_handle(host), dentry.d_name)
        victim.i_nlink = 0
        reload_attributes(host)

    def rename(
        self, task: Task, old_dir: Inode, old: Dentry, new_dir: Inode, new: Dentry, flags: int
    ) -> None:
        source, target = _host(old.d_inode), new.d_inode
        if target is None:
            flags |= RENAME_NOREPLACE  # what is there and hidden stays
        one, other = _host(old_dir), _host(new_dir)
        _files(old_dir).rename(
            dir_handle(one), old.d_name, dir_handle(other), new.d_name, flags
        )
        source.h_parent, source.h_name = other, new.d_name
        if flags & RENAME_EXCHANGE:
            swapped = _host(target)
            swapped.h_parent, swapped.h_name = one, old.d_name
        elif target is not None:
            target.i_nlink -= 1
        self._forget_paths(source, target)
        reload_attributes(one)
        reload_attributes(other)

    @staticmethod
    def _forget_paths(source: HostInode, target: Inode | None) -> None:
        """Handles are opened again by path: those below a moved directory are given back."""
        info: HostSuper = source.i_sb.s_fs_info
        is_dir = source.i_mode & S_IFMT == S_IFDIR
        is_dir = is_dir or (target is not None and target.i_mode & S_IFMT == S_IFDIR)
        for inode in list(info.inodes.values()) if is_dir else [source]:
            in_use = inode.i_count > 1 and inode.i_mode & S_IFMT != S_IFDIR
            if inode.h_parent is not inode and not in_use:
                close_handles(inode)


def close_handles(inode: HostInode) -> None:
    """Give the handles of an inode back; they are opened again when needed."""
    files = _files(inode)
    if inode.h_handle is not None:
        files.close(inode.h_handle)
        inode.h_handle = None
    if inode.h_write is not None:
        files.close(inode.h_write)
        inode.h_write = None


VOLUME_AOPS: Final = VolumeMappingOperations()
VOLUME_FILE_FOPS: Final = VolumeFileOperations()
FILE_IOPS: Final = VolumeFileInodeOperations()
DIR_IOPS: Final = VolumeDirOperations()
LINK_IOPS: Final = VolumeLinkOperations()
SPECIAL_IOPS: Final = VolumeSpecialOperations()


def set_volume_operations(inode: HostInode, kind: int) -> None:
    """Give a new inode the operations that change things."""
    if kind == S_IFREG:
        inode.i_op = FILE_IOPS
        inode.i_fop = VOLUME_FILE_FOPS
        assert inode.i_mapping is not None
        inode.i_mapping.a_ops = VOLUME_AOPS
    elif kind == S_IFDIR:
        inode.i_op = DIR_IOPS
    elif kind == S_IFLNK:
        inode.i_op = LINK_IOPS
    else:
        inode.i_op = SPECIAL_IOPS
