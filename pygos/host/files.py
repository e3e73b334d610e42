# SPDX-License-Identifier: Apache-2.0
"""HostFiles: a read-only capability onto one directory tree of the host.

Opened once by descriptor; whatever is reached later is reached from there, one name at a
time, never through a symbolic link, ``..`` or a magic link. Only directories and regular
files are ever opened. The host's pseudo file systems (proc, sysfs, ...) look like empty
directories: their files tell about the host and about this very process.

Handles are small integers. At most `limit` of them are open descriptors; the others are
opened again by path when they are used and must then still be the same inode (ESTALE).
All errors are the exceptions of ``pygos.include.errno``.
"""

from __future__ import annotations

import ctypes
import os
import resource
import stat
import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from pygos.host import HostError, libc
from pygos.host.listings import EXACT, Listings
from pygos.include.dataclass import dataclass
from pygos.include.errno import EBADF, EINVAL, ENOENT, ENOTDIR, ESTALE, Errno, errno_class
from pygos.include.linux.fs import DirEntry, Listing
from pygos.include.linux.platform import HostStat

_DIR_FLAGS: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_LIST_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NR_FSTATFS: Final = 138
_NR_OPENAT2: Final = 437
#: RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH
_RESOLVE: Final = 0x2 | 0x4 | 0x8
_ENOSYS, _EPERM, _EMFILE, _ENFILE = 38, 1, 24, 23
_IOV_MAX: Final = 1024
_DIRENT: Final = struct.Struct("<QqHB")
#: The size of a record whose name has NAME_MAX bytes.
_DIRENT_MAX: Final = 280
_STATFS: Final = struct.Struct("<7Q2i4Q")

#: statfs types of the kernel's own interfaces (linux/magic.h).
_PSEUDO: Final = frozenset((
    0x9FA0, 0x62656572, 0x62656570, 0x64626720, 0x74726163, 0x73636673,  # proc sys config debug...
    0x27E0EB, 0x63677270, 0x7655821, 0xCAFE4A11, 0x1CD1, 0x6E736673, 0x42494E4D,  # cgroup bpf pts
    0x6165676C, 0xDE5E81E4, 0xF97CFF8C, 0x43415D53, 0x5A3C69F0, 0x19800202, 0x65735543, 0x6C6F6F70,
))  # fmt: skip

T = TypeVar("T")


@dataclass(slots=True, frozen=True)
class HostStatfs:
    """statfs(2): sizes in blocks of `bsize` bytes."""

    type: int
    bsize: int
    blocks: int
    bfree: int
    bavail: int
    files: int
    ffree: int
    namelen: int
    frsize: int
    flags: int


class _Node:
    """What a handle stands for. `path` is relative to the root; `empty`: look no further;
    `exact`: a directory whose times tell whether it has changed (listings.py)."""

    __slots__ = ("dev", "directory", "empty", "exact", "flags", "ino", "path")

    def __init__(
        self, path: bytes, dev: int, ino: int, directory: bool, empty: bool, exact: bool = False
    ) -> None:
        self.path = path
        #: How it is opened (again).
        self.flags = _DIR_FLAGS if directory else _FILE_FLAGS
        self.dev = dev
        self.ino = ino
        self.directory = directory
        self.empty = empty
        self.exact = exact


def _to_stat(st: os.stat_result) -> HostStat:
    return HostStat(
        st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_ino, st.st_dev, st.st_nlink,
        st.st_blocks, st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns, st.st_rdev,
    )  # fmt: skip


def _check_name(name: bytes) -> None:
    """One component of a path, and none that leads elsewhere."""
    if not name or name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise EINVAL


def _errno(error: OSError) -> type[Errno]:
    return errno_class(error.errno or 5)


def _parse_dirents(data: bytes, entries: list[DirEntry]) -> None:
    """Append what getdents64 has read, but for ".", ".." and names that no Linux call takes."""
    at, end = 0, len(data)
    head, find, put = _DIRENT.unpack_from, data.index, entries.append
    while at < end:
        ino, _, length, kind = head(data, at)
        name = data[at + 19 : find(0, at + 19)]
        at += length
        if name != b"." and name != b".." and length <= _DIRENT_MAX:
            put((name, ino, kind))


class HostFiles:
    """A tree of the host's files, from `directory` down. HostError if it can't be opened."""

    __slots__ = (
        "_buffer", "_buffer_addr", "_fds", "_free", "_limit", "_listings", "_next", "_nodes",
        "_openat2",
    )  # fmt: skip

    def __init__(self, directory: str, limit: int = 256) -> None:
        try:
            fd = os.open(directory, _DIR_FLAGS & ~os.O_NOFOLLOW)
        except OSError as error:
            raise HostError(f"cannot open {directory}: {error.strerror}") from error
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._limit = limit if soft < 0 else max(8, min(limit, soft // 2))
        st = os.fstat(fd)
        kind = self._statfs(fd).type
        self._nodes = {
            0: _Node(b"", st.st_dev, st.st_ino, True, kind in _PSEUDO, kind in EXACT)
        }
        self._listings = Listings()
        #: Open descriptors, least recently used first. The root's stays.
        self._fds: OrderedDict[int, int] = OrderedDict({0: fd})
        self._next = 1
        self._free: list[int] = []
        self._openat2 = True
        self._buffer = bytearray(32_768)
        self._buffer_addr = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))

    def root(self) -> int:
        """The handle of the tree's top."""
        return 0

    # -- looking -----------------------------------------------------------------------

    def lookup(self, dir_handle: int, name: bytes) -> HostStat | None:
        """The attributes of an entry, which is not followed if it is a link; None: absent."""
        _check_name(name)
        fd = self._dir_fd(dir_handle)
        if self._nodes[dir_handle].empty:
            return None
        try:
            return _to_stat(os.stat(name, dir_fd=fd, follow_symlinks=False))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _errno(error) from None

    def fstat(self, handle: int) -> HostStat:
        """The attributes of an open handle."""
        try:
            return _to_stat(os.fstat(self._fd(handle)))
        except OSError as error:
            raise _errno(error) from None

    def readlink(self, dir_handle: int, name: bytes) -> bytes:
        """The target of a symbolic link."""
        fd = self._parent_fd(dir_handle, name)
        try:
            return os.readlink(name, dir_fd=fd)
        except OSError as error:
            raise _errno(error) from None

    def readdir(self, dir_handle: int) -> Listing:
        """All entries but ``.`` and ``..``: (name, inode number, DT_* type).

        The same object again as long as the directory doesn't change.
        """
        node = self._nodes.get(dir_handle)
        if node is not None and node.exact:
            fds = self._fds
            kept = self._listings.find(dir_handle, fds[0], fds.get(dir_handle), node.path)
            if kept is not None:
                return kept
        fd = self._dir_fd(dir_handle)
        node = self._nodes[dir_handle]
        if node.empty:
            return Listing()
        before = os.fstat(fd)
        found = self._call(lambda: self._list(os.open(b".", _LIST_FLAGS, dir_fd=fd)))
        listing = Listing(found)
        if node.exact:
            self._listings.keep(dir_handle, before, listing)
        return listing

    def _list(self, fd: int) -> list[DirEntry]:
        entries: list[DirEntry] = []
        buffer, address = self._buffer, self._buffer_addr
        try:
            while size := libc.getdents64(fd, address, len(buffer)):
                _parse_dirents(bytes(buffer[:size]), entries)
        finally:
            os.close(fd)
        return entries

    def xattrs(self, dir_handle: int, name: bytes) -> dict[bytes, bytes]:
        """Extended attributes of an entry, or with an empty name of the directory itself."""
        path = b"/proc/self/fd/%d" % self._dir_fd(dir_handle)
        if name:
            _check_name(name)
            path += b"/" + name
        try:
            keys = os.listxattr(path, follow_symlinks=not name)
            return {
                os.fsencode(key): os.getxattr(path, key, follow_symlinks=not name) for key in keys
            }
        except OSError as error:
            raise _errno(error) from None

    def statfs(self, handle: int) -> HostStatfs:
        """The file system a handle is on."""
        return self._call(lambda: self._statfs(self._fd(handle)))

    @staticmethod
    def _statfs(fd: int) -> HostStatfs:
        buffer = (ctypes.c_char * 120)()
        libc.syscall(_NR_FSTATFS, fd, ctypes.addressof(buffer))
        kind, bsize, blocks, bfree, bavail, files, ffree, _, _, namelen, frsize, flags, _ = (
            _STATFS.unpack_from(buffer)
        )
        return HostStatfs(
            kind & 0xFFFFFFFF, bsize, blocks, bfree, bavail, files, ffree, namelen, frsize, flags
        )

    # -- opening -----------------------------------------------------------------------

    def open_dir(self, dir_handle: int, name: bytes) -> int:
        """A handle of a subdirectory. ENOTDIR for anything else, links too."""
        parent_fd = self._parent_fd(dir_handle, name)
        parent = self._nodes[dir_handle]
        fd = self._call(lambda: os.open(name, _DIR_FLAGS, dir_fd=parent_fd))
        st = os.fstat(fd)
        empty, exact = False, parent.exact
        if st.st_dev != parent.dev:
            kind = self._statfs(fd).type
            empty, exact = kind in _PSEUDO, kind in EXACT
        path = self._join(parent, name)
        return self._insert(_Node(path, st.st_dev, st.st_ino, True, empty, exact), fd)

    def open_file(self, dir_handle: int, name: bytes, expect: HostStat) -> int:
        """A handle for reading the regular file that lookup() described as `expect`.

        EINVAL if that is no regular file, ESTALE if another file has its place now.
        """
        if not stat.S_ISREG(expect.mode):
            raise EINVAL
        parent_fd = self._parent_fd(dir_handle, name)
        node = _Node(
            self._join(self._nodes[dir_handle], name), expect.dev, expect.ino, False, False
        )
        fd = self._call(lambda: os.open(name, _FILE_FLAGS, dir_fd=parent_fd))
        self._verify(fd, node)
        return self._insert(node, fd)

    def pread_into(self, handle: int, offset: int, buffers: Sequence[memoryview]) -> int:
        """Read from a file into the buffers; the number of bytes, 0 at the end."""
        fd = self._fd(handle)
        try:
            return os.preadv(fd, buffers[:_IOV_MAX], offset)
        except OSError as error:
            raise _errno(error) from None

    def close(self, handle: int) -> None:
        """Forget a handle (not the root's)."""
        if handle and self._nodes.pop(handle, None) is not None:
            self._free.append(handle)
            self._listings.forget(handle)
            fd = self._fds.pop(handle, -1)
            if fd >= 0:
                os.close(fd)

    def close_all(self) -> None:
        """The machine is off."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
        self._nodes.clear()

    # -- descriptors -------------------------------------------------------------------

    @staticmethod
    def _join(parent: _Node, name: bytes) -> bytes:
        return parent.path + b"/" + name if parent.path else name

    def _insert(self, node: _Node, fd: int) -> int:
        if self._free:
            handle = self._free.pop()
        else:
            handle, self._next = self._next, self._next + 1
        self._nodes[handle] = node
        self._remember(handle, fd)
        return handle

    def _remember(self, handle: int, fd: int) -> None:
        self._fds[handle] = fd
        if len(self._fds) > self._limit:
            self._evict(1)

    def _evict(self, count: int) -> None:
        """Close the descriptors used longest ago; the root stays."""
        self._fds.move_to_end(0)
        for _ in range(min(count, len(self._fds) - 1)):
            os.close(self._fds.popitem(last=False)[1])

    def _fd(self, handle: int) -> int:
        """The open descriptor of a handle."""
        fds = self._fds
        if handle in fds:
            fds.move_to_end(handle)
            return fds[handle]
        node = self._nodes.get(handle)
        if node is None:
            raise EBADF
        fd = self._call(lambda: self._reopen(node))
        self._verify(fd, node)
        self._remember(handle, fd)
        return fd

    def _dir_fd(self, handle: int) -> int:
        fd = self._fd(handle)
        if not self._nodes[handle].directory:
            raise ENOTDIR
        return fd

    def _parent_fd(self, handle: int, name: bytes) -> int:
        """The descriptor of a directory in which to reach `name`."""
        _check_name(name)
        fd = self._dir_fd(handle)
        if self._nodes[handle].empty:
            raise ENOENT
        return fd

    @staticmethod
    def _verify(fd: int, node: _Node) -> None:
        """The descriptor must be the very file the handle stood for."""
        st = os.fstat(fd)
        right_type = stat.S_ISDIR(st.st_mode) if node.directory else stat.S_ISREG(st.st_mode)
        if not right_type or (st.st_dev, st.st_ino) != (node.dev, node.ino):
            os.close(fd)
            raise ESTALE

    def _call(self, function: Callable[[], T]) -> T:
        """Errors as ours; if descriptors run out, close half of ours and try again."""
        try:
            return function()
        except OSError as error:
            if error.errno not in (_EMFILE, _ENFILE):
                raise _errno(error) from None
        self._evict(len(self._fds) // 2)
        try:
            return function()
        except OSError as error:
            raise _errno(error) from None

    def _reopen(self, node: _Node) -> int:
        flags = node.flags
        root = self._fds[0]
        if self._openat2:
            how = struct.pack("<QQQ", flags, 0, _RESOLVE)
            try:
                return libc.syscall(_NR_OPENAT2, root, node.path, how, len(how))
            except OSError as error:
                if error.errno not in (_ENOSYS, _EPERM):
                    raise
                self._openat2 = False
        return self._walk(root, node.path.split(b"/"), flags)

    @staticmethod
    def _walk(root: int, names: list[bytes], flags: int) -> int:
        """openat2 for hosts without it."""
        fd = os.dup(root)
        try:
            for name in names[:-1]:
                below = os.open(name, _DIR_FLAGS, dir_fd=fd)
                os.close(fd)
                fd = below
            return os.open(names[-1], flags, dir_fd=fd)
        finally:
            os.close(fd)
