# SPDX-License-Identifier: Apache-2.0
"""Opening: flags, descriptors, limits, special files; and fcntl, dup, close_range, ioctl."""

from __future__ import annotations

import os

import pytest

from pygos.drivers.chrdev import register_chrdev
from pygos.fs.chmod import chmod, chown, fchmod
from pygos.fs.fcntl import fcntl
from pygos.fs.file_table import (
    close,
    close_range,
    do_close_on_exec,
    dup,
    dup2,
    dup3,
    exit_files,
)
from pygos.fs.ioctl import ioctl
from pygos.fs.namei_calls import linkat, mkdir, mknod, symlink, unlink
from pygos.fs.stat import fstat
from pygos.fs.truncate import ftruncate
from pygos.include.linux.fs import FileOperations
from pygos.include.uapi.fcntl import O_TMPFILE, FOwnerEx
from pygos.include.uapi.kdev_t import makedev
from pygos.include.uapi.stat import Stat
from tests.support.kernel import AT_FDCWD, Kernel, boot

EPERM, ENOENT, ENXIO, EBADF, EACCES, EEXIST = -1, -2, -6, -9, -13, -17
ENOTDIR, EISDIR, EINVAL, ENFILE, EMFILE, ENOTTY, ETXTBSY = -20, -21, -22, -23, -24, -25, -26
ELOOP, EOPNOTSUPP, ESRCH = -40, -95, -3
F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL = 0, 1, 2, 3, 4


@pytest.fixture
def k() -> Kernel:
    kernel = boot()
    kernel.put(b"/file", b"contents")
    kernel.call(mkdir, b"/dir", 0o755)
    kernel.call(symlink, b"file", b"/link")
    return kernel


def test_the_lowest_free_number_is_given(k: Kernel) -> None:
    assert [k.open(b"/file") for _ in range(3)] == [0, 1, 2]
    k.call(close, 1)
    assert k.open(b"/file") == 1
    assert k.call(fcntl, 0, F_DUPFD, 10) == 10
    assert k.call(fcntl, 0, F_DUPFD, 10) == 11
    assert k.open(b"/file") == 3


def test_nofile_limit(k: Kernel) -> None:
    k.task.group.rlim[7] = (3, 3)
    assert [k.open(b"/file") for _ in range(4)] == [0, 1, 2, EMFILE]
    assert k.open(b"/new", os.O_CREAT) == EMFILE
    assert k.call(close, 0) == 0
    assert k.open(b"/new") == ENOENT
    assert k.call(fcntl, 1, F_DUPFD, 3) == EINVAL
    assert k.call(dup2, 1, 3) == EBADF


def test_file_max(k: Kernel) -> None:
    k.machine.file_max = k.machine.nr_files + 1
    k.as_user(1000, 1000)
    assert k.open(b"/file") == 0
    assert k.open(b"/file") == ENFILE
    k.as_root()
    assert k.open(b"/file") == 1


def test_exclusive_creation(k: Kernel) -> None:
    flags = os.O_CREAT | os.O_EXCL
    assert k.open(b"/file", flags) == EEXIST
    assert k.open(b"/link", flags) == EEXIST
    k.call(symlink, b"nowhere", b"/dangling")
    assert k.open(b"/dangling", flags) == EEXIST
    assert k.open(b"/dangling", os.O_CREAT) >= 0
    assert b"nowhere" in k.names(b"/")


def test_kinds_of_files(k: Kernel) -> None:
    assert k.open(b"/dir", os.O_WRONLY) == EISDIR
    assert k.open(b"/dir", os.O_CREAT) == EISDIR
    assert k.open(b"/file", os.O_DIRECTORY) == ENOTDIR
    assert k.open(b"/link", os.O_NOFOLLOW) == ELOOP
    assert k.open(b"/new/", os.O_CREAT) == EISDIR
    assert k.open(b"/dir", os.O_DIRECTORY | os.O_CREAT) == EINVAL


def test_umask_and_the_mode_of_new_files(k: Kernel) -> None:
    k.task.fs.umask = 0o027
    fd = k.open(b"/new", os.O_CREAT | os.O_RDWR, 0o4777)
    assert k.stat(b"/new").i_mode == 0o104750
    assert k.call(fchmod, k.file(fd), 0o600) == 0
    fd = k.open(b"/readonly", os.O_CREAT | os.O_RDWR, 0o400)
    assert k.write(fd, b"still") == 5


def test_truncation_and_append(k: Kernel) -> None:
    fd = k.open(b"/file", os.O_WRONLY | os.O_APPEND)
    assert k.write(fd, b"+") == 1
    assert k.get(b"/file") == b"contents+"
    k.open(b"/file", os.O_WRONLY | os.O_TRUNC)
    assert k.get(b"/file") == b""


def test_an_o_path_descriptor_is_only_a_place(k: Kernel) -> None:
    fd = k.open(b"/link", os.O_PATH | os.O_NOFOLLOW)
    assert fd >= 0
    assert k.call(lambda task: k.file(fd)) == EBADF
    assert k.call(fstat, k.raw(fd), k.struct(Stat)) == 0
    assert k.load(Stat).st_mode == 0o120777
    assert k.call(fcntl, fd, F_GETFL, 0) & os.O_PATH
    assert k.call(fcntl, fd, F_SETFL, 0) == EBADF
    assert k.call(ioctl, fd, 0x5421, 0) == EBADF
    assert k.call(fcntl, fd, F_DUPFD, 0) >= 0
    assert k.call(close, fd) == 0


def test_a_file_without_a_name_can_get_one(k: Kernel) -> None:
    fd = k.open(b"/dir", O_TMPFILE | os.O_RDWR, 0o600)
    assert fd >= 0
    assert k.write(fd, b"secret") == 6
    assert k.names(b"/dir") == []
    assert k.call(linkat, fd, b"", AT_FDCWD, b"/dir/named", 0x1000) == 0
    assert k.get(b"/dir/named") == b"secret"
    assert k.open(b"/dir", O_TMPFILE) == EINVAL
    fd = k.open(b"/dir", O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
    assert k.call(linkat, fd, b"", AT_FDCWD, b"/dir/other", 0x1000) == ENOENT


def test_a_running_program_cannot_be_written(k: Kernel) -> None:
    inode = k.stat(b"/file")
    inode.i_writecount = -1
    assert k.open(b"/file", os.O_RDWR) == ETXTBSY
    assert k.open(b"/file") == 0
    inode.i_writecount = 0
    fd = k.open(b"/file", os.O_RDWR)
    assert inode.i_writecount == 1
    k.call(close, fd)
    assert inode.i_writecount == 0


def test_noatime_is_for_owners(k: Kernel) -> None:
    k.call(chmod, b"/file", 0o644)
    k.as_user(1000, 1000)
    assert k.open(b"/file", os.O_NOATIME) == EPERM
    assert k.open(b"/file", os.O_RDWR) == EACCES


class Beep(FileOperations):
    __slots__ = ()

    def read(self, task: object, file: object, buf: object, pos: int) -> int:
        return buf.put(b"beep")  # type: ignore[attr-defined,no-any-return]


def test_device_nodes(k: Kernel) -> None:
    assert k.call(mknod, b"/beep", 0o20666, makedev(77, 1)) == 0
    assert k.open(b"/beep") == ENXIO
    register_chrdev(k.machine, 77, 1, "beep", Beep())
    fd = k.open(b"/beep")
    assert k.read(fd, 10) == b"beep"
    assert k.call(mknod, b"/block", 0o60666, makedev(9, 0)) == 0
    assert k.open(b"/block") == ENXIO
    assert k.call(mknod, b"/sock", 0o140666, 0) == 0
    assert k.open(b"/sock") == ENXIO
    k.as_user(1, 1)
    k.call(unlink, b"/none")
    assert k.call(mknod, b"/mine", 0o20666, makedev(77, 1)) == EACCES


def test_cloexec(k: Kernel) -> None:
    kept, gone = k.open(b"/file"), k.open(b"/file", os.O_CLOEXEC)
    assert k.call(fcntl, gone, F_GETFD, 0) == 1
    assert k.call(fcntl, kept, F_GETFD, 0) == 0
    assert k.call(fcntl, kept, F_SETFD, 1) == 0
    assert k.call(fcntl, kept, F_SETFD, 0) == 0
    assert k.call(fcntl, kept, 1030, 5) == 5
    do_close_on_exec(k.task)
    assert set(k.task.files.fd) == {kept}
    assert not k.task.files.close_on_exec


def test_dup(k: Kernel) -> None:
    fd = k.open(b"/file")
    other = k.call(dup, k.file(fd))
    assert k.read(fd, 4) == b"cont"
    assert k.read(other, 9) == b"ents"
    assert k.call(dup2, fd, fd) == fd
    assert k.call(dup3, fd, fd, 0) == EINVAL
    assert k.call(dup3, fd, 9, os.O_CLOEXEC) == 9
    assert k.call(fcntl, 9, F_GETFD, 0) == 1
    assert k.call(dup3, fd, 9, 1) == EINVAL
    assert k.call(dup2, 55, 9) == EBADF
    assert k.call(fcntl, fd, 1027, other) == 1
    assert k.call(fcntl, fd, 1027, k.open(b"/file")) == 0


def test_close_range(k: Kernel) -> None:
    for _ in range(8):
        k.open(b"/file")
    assert k.call(close_range, 5, 3, 0) == EINVAL
    assert k.call(close_range, 0, 1, 8) == EINVAL
    assert k.call(close_range, 6, 0xFFFF_FFFF, 0) == 0
    assert sorted(k.task.files.fd) == [0, 1, 2, 3, 4, 5]
    assert k.call(close_range, 2, 3, 4) == 0
    assert k.task.files.close_on_exec == {2, 3}
    child = k.child(2, shared=True)
    assert k.call(close_range, 0, 100, 2, task=child) == 0
    assert not child.files.fd
    assert sorted(k.task.files.fd) == [0, 1, 2, 3, 4, 5]
    exit_files(child)
    exit_files(k.task)
    assert k.machine.nr_files == 0


def test_status_flags(k: Kernel) -> None:
    fd = k.open(b"/file", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOCTTY | os.O_CLOEXEC)
    assert k.call(fcntl, fd, F_GETFL, 0) == os.O_RDWR | 0o100000
    assert k.call(fcntl, fd, F_SETFL, os.O_NONBLOCK | os.O_APPEND | os.O_WRONLY) == 0
    assert k.call(fcntl, fd, F_GETFL, 0) == os.O_RDWR | os.O_APPEND | os.O_NONBLOCK | 0o100000
    assert k.call(fcntl, fd, 999, 0) == EINVAL


def test_owners_of_sigio(k: Kernel) -> None:
    fd = k.open(b"/file")
    assert k.call(fcntl, fd, 8, 1) == 0
    assert k.call(fcntl, fd, 9, 0) == 1
    assert k.call(fcntl, fd, 8, 4242) == ESRCH
    k.mem.write(k.scratch, FOwnerEx(0, 1).to_bytes())
    assert k.call(fcntl, fd, 15, k.scratch) == 0
    assert k.call(fcntl, fd, 16, k.scratch + 64) == 0
    assert FOwnerEx.from_bytes(k.mem.read(k.scratch + 64, 8)) == FOwnerEx(0, 1)
    assert k.call(fcntl, fd, 10, 10) == 0
    assert k.call(fcntl, fd, 11, 0) == 10
    assert k.call(fcntl, fd, 10, 65) == EINVAL


def test_ioctls_every_file_has(k: Kernel) -> None:
    fd = k.open(b"/file")
    k.read(fd, 3)
    assert k.call(ioctl, fd, 0x541B, k.scratch) == 0
    assert k.mem.read_u32(k.scratch) == 5
    k.mem.write_u32(k.scratch, 1)
    assert k.call(ioctl, fd, 0x5421, k.scratch) == 0
    assert k.call(fcntl, fd, F_GETFL, 0) & os.O_NONBLOCK
    assert k.call(ioctl, fd, 0x5451, 0) == 0
    assert k.call(fcntl, fd, F_GETFD, 0) == 1
    assert k.call(ioctl, fd, 0x5401, k.scratch) == ENOTTY
    assert k.call(ioctl, 77, 0x5401, k.scratch) == EBADF
    assert k.call(ioctl, fd, 1, k.scratch) == EINVAL
    directory = k.open(b"/dir")
    assert k.call(ioctl, directory, 0x541B, k.scratch) == ENOTTY
    assert k.call(ftruncate, k.file(directory), 1) == EINVAL
    assert k.call(chown, b"/dir", 1, 1) == 0
