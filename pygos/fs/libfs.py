# SPDX-License-Identifier: Apache-2.0
"""Helpers for file systems whose directories live in memory (fs/libfs.c).

The names of such a directory are its pinned dentries; there is no other record. A ``SimpleDir``
in ``i_private`` gives each of them a number that never changes while the name exists, so that
readdir(3) neither skips nor repeats a name however the directory changes meanwhile.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING, Final

from pygos.fs.inode import current_time
from pygos.include.errno import (
    EEXIST,
    EINVAL,
    EISDIR,
    ENODATA,
    ENOSPC,
    ENOTDIR,
    ENOTEMPTY,
    EOPNOTSUPP,
    ERANGE,
)
from pygos.include.linux.fs import (
    S_IFDIR,
    S_IFMT,
    FileOperations,
    Inode,
    InodeOperations,
)
from pygos.include.uapi.dirent import DT_DIR
from pygos.include.uapi.fcntl import SEEK_CUR, SEEK_SET
from pygos.include.uapi.fs import RENAME_EXCHANGE
from pygos.include.uapi.xattr import XATTR_CREATE, XATTR_REPLACE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pygos.include.linux.fs import Dentry, DirContext, DirEntry, File
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

#: Offsets of directory entries: 0 is ".", 1 is "..".
FIRST_COOKIE: Final = 2
#: How many bytes of extended attributes an inode in memory may have.
SIMPLE_XATTR_LIMIT: Final = 128 * 1024


class SimpleDir:
    """The names of a directory in memory, by their offsets.

    ``offsets`` is ascending and may hold numbers that are free again; ``entries`` decides.
    """

    __slots__ = ("entries", "last", "offsets")

    def __init__(self) -> None:
        self.entries: dict[int, Dentry] = {}
        self.offsets: list[int] = []
        self.last = FIRST_COOKIE - 1

    def add(self, dentry: Dentry) -> None:
        """A new name; its number is kept in d_fsdata, and the dentry pinned."""
        self.last += 1
        self.entries[self.last] = dentry
        self.offsets.append(self.last)
        dentry.d_fsdata = self.last
        dentry.d_pinned = True

    def remove(self, dentry: Dentry) -> None:
        """The name is gone."""
        entries = self.entries
        entries.pop(dentry.d_fsdata, None)
        dentry.d_fsdata = None
        dentry.d_pinned = False
        if len(self.offsets) > 32 and len(self.offsets) > 2 * len(entries):
            self.offsets = list(entries)
            self.offsets.sort()

    def replace(self, offset: int, dentry: Dentry) -> None:
        """Another dentry takes over a number (rename over a name, exchange)."""
        self.entries[offset] = dentry
        dentry.d_fsdata = offset
        dentry.d_pinned = True

    def emit(self, ctx: DirContext) -> None:
        """Emit all entries from ctx.pos on."""
        offsets, entries = self.offsets, self.entries
        for index in range(bisect_left(offsets, ctx.pos), len(offsets)):
            offset = offsets[index]
            dentry = entries.get(offset)
            if dentry is None:
                continue
            inode = dentry.d_inode
            assert inode is not None
            if not ctx.emit(dentry.d_name, inode.i_ino, inode.i_mode >> 12 & 15, offset + 1):
                return


def dir_emit_dots(file: File, ctx: DirContext) -> bool:
    """Emit "." and ".." if they are still to come; False if there was no room."""
    dentry = file.f_path.dentry
    if ctx.pos == 0 and not ctx.emit(b".", file.f_inode.i_ino, DT_DIR, 1):
        return False
    if ctx.pos == 1:
        parent = dentry.d_parent.d_inode
        assert parent is not None
        if not ctx.emit(b"..", parent.i_ino, DT_DIR, FIRST_COOKIE):
            return False
    return True


def dir_emit_entries(
    file: File, ctx: DirContext, entries: Iterable[tuple[bytes, int, int]]
) -> None:
    """A whole listing: the dots, then (name, inode number, DT_*) in an order that stays."""
    if ctx.pos < FIRST_COOKIE and not dir_emit_dots(file, ctx):
        return
    start = ctx.pos - FIRST_COOKIE
    for cookie, entry in enumerate(islice(entries, start, None), ctx.pos + 1):
        if not ctx.emit(*entry, cookie):
            return


class DirFileOperations(FileOperations):
    """What all open directories share."""

    __slots__ = ()

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        if whence == SEEK_CUR:
            offset += file.f_pos
        elif whence != SEEK_SET:
            raise EINVAL
        if offset < 0:
            raise EINVAL
        file.f_pos = offset
        return offset

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        raise EISDIR

    def fsync(self, task: Task, file: File, datasync: bool) -> None:
        """Nothing to do: there is no store."""

    def listing(self, inode: Inode) -> list[DirEntry] | None:
        """All entries but "." and "..", if that is simpler than iterate(); else None."""
        return None


class SimpleDirOperations(DirFileOperations):
    """An open directory whose names are in a SimpleDir."""

    __slots__ = ()

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        if ctx.pos < FIRST_COOKIE and not dir_emit_dots(file, ctx):
            return
        names: SimpleDir = file.f_inode.i_private
        names.emit(ctx)


SIMPLE_DIR_FOPS: Final = SimpleDirOperations()


def simple_empty(inode: Inode) -> bool:
    """Has the directory no names?"""
    names: SimpleDir = inode.i_private
    return not names.entries


class SimpleLinkOperations(InodeOperations):
    """A symbolic link whose text is in i_link."""

    __slots__ = ()

    def readlink(self, task: Task, inode: Inode) -> bytes:
        assert inode.i_link is not None
        return inode.i_link


SIMPLE_LINK_IOPS: Final = SimpleLinkOperations()


class SimpleDirInodeOperations(InodeOperations):
    """Removing, linking and renaming names of a SimpleDir, with times and link counts.

    Making inodes is the file system's business; ``size_of_entry`` is what a name adds to the
    directory's i_size.
    """

    __slots__ = ()
    size_of_entry = 0

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        return None  # all names are cached

    def add_entry(self, dir: Inode, dentry: Dentry, inode: Inode) -> None:
        """`dentry` becomes a name of `inode` in `dir`."""
        names: SimpleDir = dir.i_private
        names.add(dentry)
        dir.i_size += self.size_of_entry
        dir.i_mtime = dir.i_ctime = current_time(dir)
        dir.i_version += 1
        if inode.i_mode & S_IFMT == S_IFDIR:
            dir.i_nlink += 1

    def remove_entry(self, dir: Inode, dentry: Dentry) -> None:
        """A name goes; link counts are the caller's business."""
        names: SimpleDir = dir.i_private
        names.remove(dentry)
        dir.i_size -= self.size_of_entry
        dir.i_mtime = dir.i_ctime = current_time(dir)
        dir.i_version += 1

    def link(self, task: Task, old: Dentry, dir: Inode, dentry: Dentry) -> Inode:
        inode = old.d_inode
        assert inode is not None
        self.add_entry(dir, dentry, inode)
        inode.i_nlink += 1
        inode.i_ctime = dir.i_ctime
        inode.i_count += 1
        return inode

    def unlink(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        inode = dentry.d_inode
        assert inode is not None
        self.remove_entry(dir, dentry)
        inode.i_nlink -= 1
        inode.i_ctime = dir.i_ctime

    def rmdir(self, task: Task, dir: Inode, dentry: Dentry) -> None:
        inode = dentry.d_inode
        assert inode is not None
        if not simple_empty(inode):
            raise ENOTEMPTY
        self.remove_entry(dir, dentry)
        inode.i_nlink = 0
        dir.i_nlink -= 1
        inode.i_ctime = dir.i_ctime

    def rename(
        self, task: Task, old_dir: Inode, old: Dentry, new_dir: Inode, new: Dentry, flags: int
    ) -> None:
        if flags & RENAME_EXCHANGE:
            self.exchange(old_dir, old, new_dir, new)
            return
        source, target = old.d_inode, new.d_inode
        assert source is not None
        is_dir = source.i_mode & S_IFMT == S_IFDIR
        if target is not None:
            self._check_target(is_dir, target)
            if is_dir:
                self.rmdir(task, new_dir, new)
            else:
                self.unlink(task, new_dir, new)
        self.remove_entry(old_dir, old)
        if is_dir:
            old_dir.i_nlink -= 1
        self.add_entry(new_dir, old, source)
        source.i_ctime = new_dir.i_ctime

    @staticmethod
    def _check_target(is_dir: bool, target: Inode) -> None:
        if target.i_mode & S_IFMT == S_IFDIR:
            if not is_dir:
                raise EISDIR
            if not simple_empty(target):
                raise ENOTEMPTY
        elif is_dir:
            raise ENOTDIR

    def exchange(self, old_dir: Inode, old: Dentry, new_dir: Inode, new: Dentry) -> None:
        """Two names change places (RENAME_EXCHANGE); the VFS moves the dentries."""
        source, target = old.d_inode, new.d_inode
        assert source is not None
        assert target is not None
        old_offset, new_offset = old.d_fsdata, new.d_fsdata
        old_names: SimpleDir = old_dir.i_private
        new_names: SimpleDir = new_dir.i_private
        old_names.replace(old_offset, new)
        new_names.replace(new_offset, old)
        moved = (source.i_mode & S_IFMT == S_IFDIR) - (target.i_mode & S_IFMT == S_IFDIR)
        old_dir.i_nlink -= moved
        new_dir.i_nlink += moved
        now = current_time(old_dir)
        for inode in (old_dir, new_dir):
            inode.i_mtime = inode.i_ctime = now
            inode.i_version += 1
        source.i_ctime = target.i_ctime = now


# -- extended attributes in memory


def simple_xattr_get(inode: Inode, name: bytes) -> bytes:
    """The value of an attribute kept in i_xattrs. ENODATA."""
    xattrs = inode.i_xattrs
    if xattrs is None or name not in xattrs:
        raise ENODATA
    return xattrs[name]


def simple_xattr_set(inode: Inode, name: bytes, value: bytes, flags: int) -> None:
    """Set an attribute in i_xattrs. Errors: EEXIST, ENODATA, ENOSPC (too much of it)."""
    xattrs = inode.i_xattrs
    exists = xattrs is not None and name in xattrs
    if flags & XATTR_CREATE and exists:
        raise EEXIST
    if flags & XATTR_REPLACE and not exists:
        raise ENODATA
    if xattrs is None:
        xattrs = inode.i_xattrs = {}
    used = sum(len(key) + len(xattrs[key]) for key in xattrs if key != name)
    if used + len(name) + len(value) > SIMPLE_XATTR_LIMIT:
        raise ENOSPC
    xattrs[name] = value
    inode.i_ctime = current_time(inode)


def simple_xattr_remove(inode: Inode, name: bytes) -> None:
    """Remove an attribute from i_xattrs. ENODATA."""
    xattrs = inode.i_xattrs
    if xattrs is None or name not in xattrs:
        raise ENODATA
    del xattrs[name]
    if not xattrs:
        inode.i_xattrs = None
    inode.i_ctime = current_time(inode)


def check_xattr_prefix(name: bytes, prefixes: tuple[bytes, ...]) -> None:
    """EOPNOTSUPP unless the name is in one of the namespaces (and more than a prefix)."""
    for prefix in prefixes:
        if name.startswith(prefix):
            if len(name) == len(prefix):
                raise EINVAL
            return
    raise EOPNOTSUPP


# -- mount options


def parse_options(data: str) -> list[tuple[str, str]]:
    """Comma-separated mount options as (name, value); "" where there is no value."""
    options = []
    for item in data.split(","):
        if item:
            name, _, value = item.partition("=")
            options.append((name, value))
    return options


_SUFFIXES: Final = {"k": 10, "m": 20, "g": 30, "t": 40, "p": 50, "e": 60}


def memparse(text: str) -> int:
    """A size with an optional suffix k, m, g, t, p, e; 0x and 0 prefixes as in C. EINVAL."""
    shift = 0
    if text[-1:].lower() in _SUFFIXES and not text.lower().startswith("0x"):
        shift = _SUFFIXES[text[-1].lower()]
        text = text[:-1]
    return parse_number(text, 0) << shift


def parse_number(text: str, base: int) -> int:
    """A non-negative number below 2**64; base 0 takes C's prefixes. EINVAL."""
    if not text.isascii() or not text[:1].isdigit() or "_" in text:
        raise EINVAL
    if base == 0 and text[0] == "0" and text[1:].isdigit():
        base = 8
    try:
        value = int(text, base)
    except ValueError:
        raise EINVAL from None
    if value >> 64:
        raise EINVAL
    return value


def kstrtoint(data: bytes, low: int, high: int) -> int:
    """A number in C's notation, white space around it. EINVAL; ERANGE beyond the limits."""
    text = data.strip(b" \t\n\v\f\r")
    digits = text[1:] if text[:1] in (b"+", b"-") else text
    if not digits[:1].isdigit() or b"_" in digits:
        raise EINVAL
    base = 8 if digits[:1] == b"0" and digits[1:].isdigit() else 0
    try:
        value = int(text, base)
    except ValueError:
        raise EINVAL from None
    if not low <= value <= high:
        raise ERANGE
    return value
