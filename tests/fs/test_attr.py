# SPDX-License-Identifier: Apache-2.0
"""Attributes: stat and statx, modes, owners, set-id bits, times, extended attributes, statfs."""

from __future__ import annotations

import os
import struct

import pytest

from pygos.fs.chmod import chmod, chown, fchmodat2, fchownat, lchown
from pygos.fs.namei_calls import access, link, mkdir, mknod, rename, rmdir, symlink, unlink
from pygos.fs.stat import fstat, lstat, newfstatat, stat_, statx
from pygos.fs.statfs import statfs_
from pygos.fs.truncate import truncate
from pygos.fs.utimes import utime, utimensat, utimes_
from pygos.fs.xattr import (
    fgetxattr,
    getxattr,
    listxattr,
    lsetxattr,
    removexattr,
    setxattr,
)
from pygos.include.linux.cred import Cred
from pygos.include.uapi.kdev_t import makedev
from pygos.include.uapi.stat import Stat, Statx
from pygos.include.uapi.statfs import Statfs
from pygos.include.uapi.time import UTIME_NOW, UTIME_OMIT, Utimbuf
from pygos.mm.uaccess import KernelBuffer
from tests.support.kernel import AT_FDCWD, Kernel, boot

EPERM, ENOENT, EBADF, EACCES, EFAULT, EINVAL = -1, -2, -9, -13, -14, -22
ERANGE, ENODATA, EOPNOTSUPP, EEXIST, E2BIG = -34, -61, -95, -17, -7


@pytest.fixture
def k() -> Kernel:
    kernel = boot()
    kernel.put(b"/file", b"0123456789")
    kernel.call(mkdir, b"/dir", 0o755)
    kernel.call(symlink, b"file", b"/link")
    return kernel


def mode(k: Kernel, path: bytes) -> int:
    return k.stat(path).i_mode & 0o7777


# -- stat


def test_stat_as_c_programs_see_it(k: Kernel) -> None:
    inode = k.stat(b"/file")
    inode.i_uid, inode.i_gid = 5, 6
    inode.i_atime, inode.i_mtime, inode.i_ctime = 1_000_000_001, -1, 3_500_000_000
    assert k.call(stat_, b"/file", k.struct(Stat)) == 0
    raw = k.mem.read(k.scratch, 144)
    dev, ino, nlink, st_mode, uid, gid, _, rdev, size, blksize, blocks = struct.unpack_from(
        "<QQQIIIIQqqq", raw
    )
    assert (dev, ino, nlink, st_mode) == (inode.i_sb.s_dev, inode.i_ino, 1, 0o100644)
    assert (uid, gid, rdev, size, blksize, blocks) == (5, 6, 0, 10, 4096, 8)
    assert struct.unpack_from("<qqqqqq", raw, 72) == (1, 1, -1, 999_999_999, 3, 500_000_000)
    assert raw[120:] == bytes(24)


def test_links_are_followed_or_not(k: Kernel) -> None:
    assert k.call(stat_, b"/link", k.struct(Stat)) == 0
    assert k.load(Stat).st_mode == 0o100644
    assert k.call(lstat, b"/link", k.struct(Stat)) == 0
    assert (k.load(Stat).st_mode, k.load(Stat).st_size) == (0o120777, 4)
    assert k.call(newfstatat, AT_FDCWD, b"/link", k.struct(Stat), 0x100) == 0
    assert k.load(Stat).st_mode == 0o120777
    assert k.call(newfstatat, AT_FDCWD, b"/link", k.struct(Stat), 0x10) == EINVAL


def test_an_empty_path_means_the_descriptor(k: Kernel) -> None:
    fd = k.open(b"/file")
    k.call(unlink, b"/file")
    assert k.call(newfstatat, fd, b"", k.struct(Stat), 0x1000) == 0
    assert k.load(Stat).st_nlink == 0
    assert k.call(newfstatat, fd, None, k.struct(Stat), 0x1000) == 0
    assert k.call(newfstatat, fd, b"", k.struct(Stat), 0) == ENOENT
    assert k.call(newfstatat, fd, None, k.struct(Stat), 0) == EFAULT
    assert k.call(newfstatat, 99, b"", k.struct(Stat), 0x1000) == EBADF
    assert k.call(newfstatat, AT_FDCWD, b"", k.struct(Stat), 0x1000) == 0
    assert k.load(Stat).st_mode == 0o040755
    assert k.call(fstat, k.raw(fd), k.struct(Stat)) == 0


def test_statx(k: Kernel) -> None:
    k.call(mknod, b"/dev", 0o20600, makedev(300, 70000))
    assert k.call(statx, AT_FDCWD, b"/dev", 0, 0x7FF, k.struct(Statx)) == 0
    found = k.load(Statx)
    assert (found.stx_mode, found.stx_rdev_major, found.stx_rdev_minor) == (0o20600, 300, 70000)
    assert found.stx_mask & 0xFFF == 0xFFF
    assert found.stx_mnt_id == k.task.fs.root.mnt.mnt_id
    assert found.stx_btime.tv_sec == found.stx_ctime.tv_sec
    assert found.stx_attributes == 0
    assert k.call(statx, AT_FDCWD, b"/", 0, 0x7FF, k.struct(Statx)) == 0
    assert k.load(Statx).stx_attributes == 0x2000
    assert k.call(statx, AT_FDCWD, b"/", 0x6000, 0x7FF, k.struct(Statx)) == EINVAL
    assert k.call(statx, AT_FDCWD, b"/", 0, 1 << 31, k.struct(Statx)) == EINVAL


def test_statfs(k: Kernel) -> None:
    assert k.call(statfs_, b"/file", k.struct(Statfs)) == 0
    found = k.load(Statfs)
    assert (found.f_type, found.f_bsize, found.f_namelen) == (0x01021994, 4096, 255)
    assert found.f_flags & 0x1020 == 0x1020
    assert found.f_blocks - found.f_bfree == 1


# -- modes and owners


def test_only_owners_change_modes(k: Kernel) -> None:
    k.as_user(1000, 1000)
    assert k.call(chmod, b"/file", 0o777) == EPERM
    k.stat(b"/file").i_uid = 1000
    assert k.call(chmod, b"/file", 0o777) == 0
    assert k.call(fchmodat2, AT_FDCWD, b"/link", 0o700, 0x100) == EOPNOTSUPP
    assert k.call(fchmodat2, AT_FDCWD, b"/link", 0o700, 1) == EINVAL


def test_setgid_needs_membership(k: Kernel) -> None:
    inode = k.stat(b"/file")
    inode.i_uid, inode.i_gid = 1000, 50
    k.as_user(1000, 1000)
    assert k.call(chmod, b"/file", 0o2755) == 0
    assert mode(k, b"/file") == 0o755
    k.as_user(1000, 1000, (50,))
    assert k.call(chmod, b"/file", 0o2755) == 0
    assert mode(k, b"/file") == 0o2755


def test_owners_can_give_files_only_to_their_groups(k: Kernel) -> None:
    k.stat(b"/file").i_uid = 1000
    k.as_user(1000, 1000, (7,))
    nobody = 0xFFFF_FFFF
    assert k.call(chown, b"/file", 1001, nobody) == EPERM
    assert k.call(chown, b"/file", 1000, nobody) == 0
    assert k.call(chown, b"/file", nobody, 7) == 0
    assert k.call(chown, b"/file", nobody, 8) == EPERM
    assert k.call(lchown, b"/link", nobody, 7) == EPERM
    assert k.call(fchownat, AT_FDCWD, b"/file", nobody, 7, 0x200) == EINVAL


def test_changing_owner_or_contents_drops_set_id_bits(k: Kernel) -> None:
    k.call(chmod, b"/file", 0o6755)
    assert k.call(chown, b"/file", 0, 0) == 0
    assert mode(k, b"/file") == 0o755
    k.call(chmod, b"/file", 0o6777)
    k.as_user(1000, 1000)
    fd = k.open(b"/file", os.O_WRONLY)
    assert k.write(fd, b"x") == 1
    assert mode(k, b"/file") == 0o777
    k.as_root()
    k.call(chmod, b"/file", 0o4777)
    k.as_user(1000, 1000)
    assert k.call(truncate, b"/file", 0) == 0
    assert mode(k, b"/file") == 0o777


def test_the_superuser_keeps_set_id_bits_when_writing(k: Kernel) -> None:
    k.call(chmod, b"/file", 0o6755)
    k.write(k.open(b"/file", os.O_WRONLY), b"x")
    assert mode(k, b"/file") == 0o6755


def test_setgid_directories_pass_their_group_on(k: Kernel) -> None:
    k.call(chmod, b"/dir", 0o2777)
    k.stat(b"/dir").i_gid = 42
    k.as_user(1000, 1000)
    k.put(b"/dir/file")
    k.call(mkdir, b"/dir/sub", 0o755)
    assert (k.stat(b"/dir/file").i_gid, mode(k, b"/dir/file")) == (42, 0o644)
    assert (k.stat(b"/dir/sub").i_gid, mode(k, b"/dir/sub")) == (42, 0o2755)


def test_sticky_directories_protect_files_of_others(k: Kernel) -> None:
    k.call(mkdir, b"/tmp", 0o777)
    k.call(chmod, b"/tmp", 0o1777)
    k.as_user(1, 1)
    k.put(b"/tmp/one")
    k.call(mkdir, b"/tmp/d1", 0o755)
    k.as_user(2, 2)
    k.put(b"/tmp/two")
    assert k.call(unlink, b"/tmp/one") == EPERM
    assert k.call(rmdir, b"/tmp/d1") == EPERM
    assert k.call(rename, b"/tmp/two", b"/tmp/one") == EPERM
    assert k.call(rename, b"/tmp/one", b"/tmp/three") == EPERM
    assert k.call(link, b"/tmp/one", b"/tmp/mine") == 0
    assert k.call(unlink, b"/tmp/two") == 0


def test_access_asks_for_the_real_user(k: Kernel) -> None:
    k.call(chmod, b"/file", 0o600)
    k.task.cred = Cred(uid=1000, gid=1000)
    assert k.call(access, b"/file", 4) == EACCES
    assert k.task.cred.fsuid == 0
    assert k.call(access, b"/file", 8) == EINVAL
    k.as_root()
    assert k.call(access, b"/file", 6) == 0
    assert k.call(access, b"/file", 1) == EACCES


# -- times


def times(k: Kernel, *stamps: int) -> int:
    k.mem.write(k.scratch, struct.pack("<qqqq", *stamps))
    return k.scratch


def test_utimensat(k: Kernel) -> None:
    inode = k.stat(b"/file")
    assert k.call(utimensat, AT_FDCWD, b"/file", times(k, 5, 6, -7, 8), 0) == 0
    assert (inode.i_atime, inode.i_mtime) == (5_000_000_006, -6_999_999_992)
    now = k.machine.clock.realtime()
    assert k.call(utimensat, AT_FDCWD, b"/file", times(k, 0, UTIME_OMIT, 0, UTIME_NOW), 0) == 0
    assert inode.i_atime == 5_000_000_006
    assert inode.i_mtime > now
    assert k.call(utimensat, AT_FDCWD, b"/file", 0, 0) == 0
    assert inode.i_atime == inode.i_mtime > now
    assert k.call(utimensat, AT_FDCWD, b"/file", times(k, 0, 10**9, 0, 0), 0) == EINVAL
    assert k.call(utimensat, AT_FDCWD, b"/file", 0, 1) == EINVAL
    assert k.call(utimensat, k.open(b"/file"), None, times(k, 1, 0, 1, 0), 0) == 0
    assert inode.i_mtime == 1_000_000_000
    omit = times(k, 0, UTIME_OMIT, 0, UTIME_OMIT)
    assert k.call(utimensat, AT_FDCWD, b"/nothing", omit, 0) == 0


def test_who_may_set_times(k: Kernel) -> None:
    k.call(chmod, b"/file", 0o666)
    k.as_user(1000, 1000)
    assert k.call(utimensat, AT_FDCWD, b"/file", 0, 0) == 0
    assert k.call(utimensat, AT_FDCWD, b"/file", times(k, 1, 1, 1, 1), 0) == EPERM
    assert k.call(utimensat, AT_FDCWD, b"/file", times(k, 0, UTIME_OMIT, 0, UTIME_NOW), 0) == EPERM
    k.stat(b"/file").i_mode = 0o100644
    assert k.call(utimensat, AT_FDCWD, b"/file", 0, 0) == EACCES


def test_the_old_calls(k: Kernel) -> None:
    inode = k.stat(b"/file")
    assert k.call(utimes_, b"/link", times(k, 3, 4, 5, 6)) == 0
    assert (inode.i_atime, inode.i_mtime) == (3_000_004_000, 5_000_006_000)
    assert k.call(utimes_, b"/link", times(k, 3, 10**6, 5, 6)) == EINVAL
    assert k.call(utime, b"/file", Utimbuf(7, 8)) == 0
    assert (inode.i_atime, inode.i_mtime) == (7_000_000_000, 8_000_000_000)


def test_relatime(k: Kernel) -> None:
    inode = k.stat(b"/file")
    fd = k.open(b"/file")
    inode.i_atime, inode.i_mtime, inode.i_ctime = 10, 20, 20
    k.read(fd, 1)
    first = inode.i_atime
    assert first > 20
    k.read(fd, 1)
    assert inode.i_atime == first
    quiet = k.open(b"/file", os.O_NOATIME)
    inode.i_mtime = first
    k.read(quiet, 1)
    assert inode.i_atime == first


# -- extended attributes


def names(k: Kernel, path: bytes) -> list[bytes]:
    room = bytearray(1000)
    return bytes(room[: k.call(listxattr, path, KernelBuffer(room))]).split(b"\0")[:-1]


def test_extended_attributes(k: Kernel) -> None:
    def put(name: bytes, value: bytes, flags: int = 0) -> int:
        return k.call(setxattr, b"/file", name, KernelBuffer(value), flags)

    assert put(b"user.a", b"value") == 0
    assert put(b"user.a", b"v2", 1) == EEXIST
    assert put(b"user.b", b"v2", 2) == ENODATA
    assert put(b"user.a", b"v2", 4) == EINVAL
    assert put(b"user.", b"") == EINVAL
    assert put(b"odd.a", b"") == EOPNOTSUPP
    assert put(b"", b"") == ERANGE
    assert put(b"user." + b"x" * 251, b"") == ERANGE
    assert put(b"user.big", bytes(65537)) == E2BIG
    room = bytearray(5)
    assert k.call(getxattr, b"/link", b"user.a", KernelBuffer(room)) == 5
    assert room == b"value"
    assert k.call(getxattr, b"/file", b"user.a", KernelBuffer(bytearray())) == 5
    assert k.call(getxattr, b"/file", b"user.a", KernelBuffer(bytearray(4))) == ERANGE
    assert k.call(fgetxattr, k.file(k.open(b"/file")), b"user.n", KernelBuffer(room)) == ENODATA
    put(b"trusted.t", b"1")
    assert names(k, b"/file") == [b"user.a", b"trusted.t"]
    assert k.call(removexattr, b"/file", b"user.a") == 0
    assert k.call(removexattr, b"/file", b"user.a") == ENODATA
    assert k.call(lsetxattr, b"/link", b"user.x", KernelBuffer(b""), 0) == EPERM


def test_who_may_use_which_namespace(k: Kernel) -> None:
    k.call(setxattr, b"/file", b"trusted.t", KernelBuffer(b"1"), 0)
    k.stat(b"/file").i_uid = 1000
    k.as_user(1000, 1000)
    room = KernelBuffer(bytearray(9))
    assert k.call(setxattr, b"/file", b"trusted.t", KernelBuffer(b"1"), 0) == EPERM
    assert k.call(getxattr, b"/file", b"trusted.t", room) == ENODATA
    assert k.call(setxattr, b"/file", b"security.x", KernelBuffer(b"1"), 0) == EPERM
    assert k.call(setxattr, b"/file", b"security.capability", KernelBuffer(b"1"), 0) == EINVAL
    caps = KernelBuffer(bytes((1, 0, 0, 2)) + bytes(16))
    assert k.call(setxattr, b"/file", b"security.capability", caps, 0) == EPERM
    assert k.call(setxattr, b"/file", b"user.x", KernelBuffer(b"1"), 0) == 0
    assert names(k, b"/file") == [b"user.x"]
    k.as_user(2, 2)
    assert k.call(setxattr, b"/file", b"user.x", KernelBuffer(b"1"), 0) == EACCES
    assert k.call(getxattr, b"/file", b"user.x", room) == 1


def test_writing_takes_file_capabilities_away(k: Kernel) -> None:
    caps = KernelBuffer(bytes((1, 0, 0, 2)) + bytes(16))
    assert k.call(setxattr, b"/file", b"security.capability", caps, 0) == 0
    k.write(k.open(b"/file", os.O_WRONLY), b"x")
    assert names(k, b"/file") == []
