# SPDX-License-Identifier: Apache-2.0
"""HostFilesRw: a capability to change one directory tree of the host (a volume).

As with ``HostFiles`` everything is reached by the descriptor of a directory and one name in
it, and no link is ever followed. Never made: devices, FIFOs, sockets, set-id files. What the
host's user may not do is EPERM or EACCES; modes are those asked for, whatever our umask.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Final

from pygos.host import libc
from pygos.host.files import HostFiles, _check_name, _errno, _Node
from pygos.include.errno import EINVAL, EPERM, ESTALE
from pygos.include.linux.platform import HostStat

_NR_RENAMEAT2: Final = 316
_MODE_BITS: Final = 0o1777
_IOV_MAX: Final = 1024
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_PIN: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class HostFilesRw(HostFiles):
    """A tree that may be changed."""

    __slots__ = ("_root_user",)

    def __init__(self, directory: str, limit: int = 512) -> None:
        super().__init__(directory, limit)
        self._root_user = os.geteuid() == 0

    # -- names

    def create(self, dir_handle: int, name: bytes, mode: int, uid: int, gid: int) -> None:
        """Make an empty regular file. EEXIST. The owner is set where the host lets us."""
        fd = self._parent_fd(dir_handle, name)
        try:
            new = os.open(name, _CREATE, 0o600, dir_fd=fd)
            try:
                if self._root_user:
                    os.fchown(new, uid, gid)
                os.fchmod(new, mode & _MODE_BITS)
            finally:
                os.close(new)
        except OSError as error:
            raise _errno(error) from None

    def mkdir(self, dir_handle: int, name: bytes, mode: int, uid: int, gid: int) -> None:
        """Make a directory. EEXIST."""
        fd = self._parent_fd(dir_handle, name)
        try:
            os.mkdir(name, 0o700, dir_fd=fd)
            st = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if self._root_user:
                os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False)
            self._chmod(fd, name, st.st_dev, st.st_ino, mode & (_MODE_BITS | stat.S_ISGID))
        except OSError as error:
            raise _errno(error) from None

    def symlink(self, dir_handle: int, name: bytes, target: bytes, uid: int, gid: int) -> None:
        """Make a symbolic link."""
        fd = self._parent_fd(dir_handle, name)
        try:
            os.symlink(target, name, dir_fd=fd)
            if self._root_user:
                os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            raise _errno(error) from None

    def link(self, old_dir: int, old_name: bytes, new_dir: int, new_name: bytes) -> None:
        """Another name for a file."""
        old_fd = self._parent_fd(old_dir, old_name)
        new_fd = self._parent_fd(new_dir, new_name)
        try:
            os.link(
                old_name, new_name, src_dir_fd=old_fd, dst_dir_fd=new_fd, follow_symlinks=False
            )
        except OSError as error:
            raise _errno(error) from None

    def unlink(self, dir_handle: int, name: bytes) -> None:
        """Remove a name that is no directory."""
        fd = self._parent_fd(dir_handle, name)
        try:
            os.unlink(name, dir_fd=fd)
        except OSError as error:
            raise _errno(error) from None

    def rmdir(self, dir_handle: int, name: bytes) -> None:
        """Remove an empty directory."""
        fd = self._parent_fd(dir_handle, name)
        try:
            os.rmdir(name, dir_fd=fd)
        except OSError as error:
            raise _errno(error) from None

    def rename(
        self, old_dir: int, old_name: bytes, new_dir: int, new_name: bytes, flags: int
    ) -> None:
        """renameat2(2)."""
        old_fd = self._parent_fd(old_dir, old_name)
        new_fd = self._parent_fd(new_dir, new_name)
        try:
            libc.syscall(_NR_RENAMEAT2, old_fd, old_name, new_fd, new_name, flags)
        except OSError as error:
            raise _errno(error) from None

    # -- attributes

    def chmod(self, dir_handle: int, name: bytes, expect: HostStat, mode: int) -> None:
        """Set the mode of the file or directory described by `expect`. Set-id bits: EPERM."""
        allowed = _MODE_BITS | (stat.S_ISGID if stat.S_ISDIR(expect.mode) else 0)
        if mode & ~allowed & 0o7777:
            raise EPERM
        fd = self._parent_fd(dir_handle, name) if name else self._dir_fd(dir_handle)
        try:
            self._chmod(fd, name, expect.dev, expect.ino, mode)
        except OSError as error:
            raise _errno(error) from None

    @staticmethod
    def _chmod(fd: int, name: bytes, dev: int, ino: int, mode: int) -> None:
        """chmod without following a link, which needs a descriptor of the very file."""
        pin = os.open(name or b".", _PIN, dir_fd=fd)
        try:
            st = os.fstat(pin)
            if (st.st_dev, st.st_ino) != (dev, ino) or stat.S_ISLNK(st.st_mode):
                raise ESTALE
            os.chmod(b"/proc/self/fd/%d" % pin, mode)
        finally:
            os.close(pin)

    def chown(self, dir_handle: int, name: bytes, uid: int, gid: int) -> None:
        """Set owner and group (-1: leave)."""
        fd = self._parent_fd(dir_handle, name) if name else self._dir_fd(dir_handle)
        try:
            os.chown(name or b".", uid, gid, dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            raise _errno(error) from None

    def utime(self, dir_handle: int, name: bytes, atime: int, mtime: int) -> None:
        """Set both times, ns."""
        fd = self._parent_fd(dir_handle, name) if name else self._dir_fd(dir_handle)
        try:
            os.utime(name or b".", ns=(atime, mtime), dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            raise _errno(error) from None

    def fchmod(self, handle: int, mode: int) -> None:
        """As chmod(), of an open regular file."""
        if mode & ~_MODE_BITS & 0o7777:
            raise EPERM
        fd = self._fd(handle)
        try:
            os.fchmod(fd, mode)
        except OSError as error:
            raise _errno(error) from None

    def fchown(self, handle: int, uid: int, gid: int) -> None:
        """As chown(), of an open regular file."""
        fd = self._fd(handle)
        try:
            os.fchown(fd, uid, gid)
        except OSError as error:
            raise _errno(error) from None

    def futime(self, handle: int, atime: int, mtime: int) -> None:
        """As utime(), of an open regular file."""
        fd = self._fd(handle)
        try:
            os.utime(fd, ns=(atime, mtime))
        except OSError as error:
            raise _errno(error) from None

    # -- contents

    def open_write(self, dir_handle: int, name: bytes, expect: HostStat) -> int:
        """A handle for writing the regular file described by `expect`; see open_file()."""
        _check_name(name)
        if not stat.S_ISREG(expect.mode):
            raise EINVAL
        parent_fd = self._parent_fd(dir_handle, name)
        node = _Node(
            self._join(self._nodes[dir_handle], name), expect.dev, expect.ino, False, False
        )
        node.flags = _WRITE
        fd = self._call(lambda: os.open(name, _WRITE, dir_fd=parent_fd))
        self._verify(fd, node)
        return self._insert(node, fd)

    def pwrite_from(self, handle: int, offset: int, buffers: Sequence[memoryview]) -> int:
        """Write the buffers; the number of bytes."""
        fd = self._fd(handle)
        try:
            return os.pwritev(fd, buffers[:_IOV_MAX], offset)
        except OSError as error:
            raise _errno(error) from None

    def truncate(self, handle: int, size: int) -> None:
        """Set the size of a file that is open for writing."""
        fd = self._fd(handle)
        try:
            os.ftruncate(fd, size)
        except OSError as error:
            raise _errno(error) from None

    def fsync(self, handle: int, datasync: bool) -> None:
        """Until it is on the disk."""
        fd = self._fd(handle)
        try:
            if datasync:
                os.fdatasync(fd)
            else:
                os.fsync(fd)
        except OSError as error:
            raise _errno(error) from None
