# SPDX-License-Identifier: Apache-2.0
"""Path walk: links, dots, mounts, permissions, limits, magic links, openat2's restrictions."""

from __future__ import annotations

import pytest

from pygos.fs.fs_struct import chdir, chroot, fchdir, getcwd
from pygos.fs.namei import LOOKUP_EMPTY, LOOKUP_FOLLOW, path_lookup
from pygos.fs.namei_calls import access, link, mkdir, mkdirat, rename, rmdir, symlink, unlink
from pygos.fs.namespace import do_mount_internal
from pygos.fs.open import openat2
from pygos.include.linux.fs import InodeOperations, Path
from pygos.include.uapi.fcntl import OpenHow
from pygos.mm.uaccess import KernelBuffer
from tests.support.kernel import AT_FDCWD, Kernel, boot

ENOENT, EACCES, EBUSY, EXDEV, ENOTDIR, EINVAL, ELOOP = -2, -13, -16, -18, -20, -22, -40
EBADF, ENAMETOOLONG, ERANGE, EAGAIN, E2BIG = -9, -36, -34, -11, -7


@pytest.fixture
def k() -> Kernel:
    return boot()


def cwd(k: Kernel) -> bytes:
    room = bytearray(4096)
    return bytes(room[: getcwd(k.task, KernelBuffer(room)) - 1])


def exists(k: Kernel, path: bytes) -> int:
    return k.call(access, path, 0)


def test_forty_links_are_followed_and_not_one_more(k: Kernel) -> None:
    k.put(b"/file")
    k.call(symlink, b"file", b"/l0")
    for n in range(1, 45):
        k.call(symlink, b"l%d" % (n - 1), b"/l%d" % n)
    assert exists(k, b"/l39") == 0
    assert exists(k, b"/l40") == ELOOP


def test_a_link_to_itself_is_a_loop(k: Kernel) -> None:
    k.call(symlink, b"me", b"/me")
    assert exists(k, b"/me") == ELOOP
    assert exists(k, b"/me/x") == ELOOP


def test_names_and_paths_have_a_limit(k: Kernel) -> None:
    assert k.call(mkdir, b"/" + b"n" * 255, 0o755) == 0
    assert k.call(mkdir, b"/" + b"n" * 256, 0o755) == ENAMETOOLONG
    assert exists(k, b"/" + b"x" * 300) == ENAMETOOLONG


def test_slashes_and_dots_change_nothing(k: Kernel) -> None:
    k.call(mkdir, b"/a", 0o755)
    k.put(b"/a/f")
    for path in (b"/a/f", b"//a//f", b"/./a/./f", b"/a/../a/f", b"/../../a/f", b"/a/../../a/f"):
        assert exists(k, path) == 0
    assert exists(k, b"/a/f/") == ENOTDIR
    assert exists(k, b"/a/f/.") == ENOTDIR
    assert exists(k, b"/a/f/..") == ENOTDIR


def test_an_empty_path_needs_the_flag(k: Kernel) -> None:
    assert exists(k, b"") == ENOENT
    assert path_lookup(k.task, AT_FDCWD, b"", LOOKUP_EMPTY).dentry is k.task.fs.pwd.dentry


def test_a_bad_dirfd_matters_only_for_relative_paths(k: Kernel) -> None:
    assert k.call(mkdirat, 77, b"/a", 0o755) == 0
    assert k.call(mkdirat, 77, b"b", 0o755) == EBADF
    fd = k.open(b"/file", 0o102)
    assert k.call(mkdirat, fd, b"b", 0o755) == ENOTDIR
    fd = k.open(b"/a", 0o200000)
    assert k.call(mkdirat, fd, b"b", 0o755) == 0
    assert k.names(b"/a") == [b"b"]


def test_a_directory_that_cannot_be_searched_hides_what_is_in_it(k: Kernel) -> None:
    k.call(mkdir, b"/shut", 0o700)
    k.put(b"/shut/file")
    k.as_user(1000, 1000)
    assert exists(k, b"/shut/file") == EACCES
    assert exists(k, b"/shut/nothing") == EACCES
    assert exists(k, b"/shut/..") == EACCES
    assert exists(k, b"/shut/") == 0
    k.as_root()
    assert exists(k, b"/shut/file") == 0


def test_group_and_owner_bits_decide_before_others(k: Kernel) -> None:
    k.call(mkdir, b"/d", 0o755)
    inode = k.stat(b"/d")
    inode.i_uid, inode.i_gid, inode.i_mode = 1000, 2000, 0o040077
    k.put(b"/x")
    k.as_user(1000, 1)
    assert k.call(access, b"/d", 4) == EACCES
    k.as_user(5, 5, (2000,))
    assert k.call(access, b"/d", 4) == 0
    inode.i_mode = 0o040707
    assert k.call(access, b"/d", 4) == EACCES


def test_a_chroot_is_the_end_of_dotdot(k: Kernel) -> None:
    for path in (b"/jail", b"/jail/in", b"/out"):
        k.call(mkdir, path, 0o755)
    k.call(symlink, b"/out", b"/jail/abs")
    assert k.call(chroot, b"/jail") == 0
    assert k.call(chdir, b"/") == 0
    assert exists(k, b"../../../in") == 0
    assert exists(k, b"/../out") == ENOENT
    assert exists(k, b"/abs") == ENOENT
    assert cwd(k) == b"/"


def test_a_working_directory_outside_the_root_says_so(k: Kernel) -> None:
    k.call(mkdir, b"/jail", 0o755)
    k.call(mkdir, b"/out", 0o755)
    k.call(chdir, b"/out")
    k.call(chroot, b"/jail")
    assert cwd(k) == b"(unreachable)/out"
    assert exists(k, b"../out") == 0


def test_getcwd_of_a_removed_directory_fails(k: Kernel) -> None:
    k.call(mkdir, b"/gone", 0o755)
    k.call(chdir, b"/gone")
    assert k.call(rmdir, b"/gone") == 0
    assert k.call(getcwd, KernelBuffer(bytearray(100))) == ENOENT
    assert exists(k, b".") == 0
    assert exists(k, b"..") == 0
    assert k.call(mkdir, b"sub", 0o755) == ENOENT
    assert k.open(b"file", 0o101) == ENOENT
    assert k.call(chdir, b"..") == 0
    assert cwd(k) == b"/"


def test_getcwd_wants_room_for_the_nul(k: Kernel) -> None:
    k.call(mkdir, b"/abc", 0o755)
    k.call(chdir, b"/abc")
    assert k.call(getcwd, KernelBuffer(bytearray(4))) == ERANGE
    assert k.call(getcwd, KernelBuffer(bytearray(5))) == 5


def test_fchdir_goes_to_a_renamed_directory(k: Kernel) -> None:
    k.call(mkdir, b"/a", 0o755)
    fd = k.open(b"/a", 0o200000)
    k.call(rename, b"/a", b"/b")
    assert k.call(fchdir, k.raw(fd)) == 0
    assert cwd(k) == b"/b"


def test_mounts_are_crossed_in_both_directions(k: Kernel) -> None:
    k.call(mkdir, b"/mnt", 0o755)
    place = path_lookup(k.task, AT_FDCWD, b"/mnt", LOOKUP_FOLLOW)
    do_mount_internal(k.machine, "tmpfs", "none", place)
    k.put(b"/mnt/inside")
    assert k.names(b"/mnt") == [b"inside"]
    assert exists(k, b"/mnt/../mnt/inside") == 0
    assert k.call(rmdir, b"/mnt") == EBUSY
    assert k.call(rename, b"/mnt", b"/other") == EBUSY
    k.put(b"/file")
    assert k.call(link, b"/file", b"/mnt/file") == EXDEV
    assert k.call(rename, b"/file", b"/mnt/file") == EXDEV
    assert k.call(chdir, b"/mnt") == 0
    assert cwd(k) == b"/mnt"


def test_a_mount_on_a_mount_wins(k: Kernel) -> None:
    k.call(mkdir, b"/mnt", 0o755)
    for name in (b"one", b"two"):
        place = path_lookup(k.task, AT_FDCWD, b"/mnt", LOOKUP_FOLLOW)
        do_mount_internal(k.machine, "tmpfs", "none", place)
        k.put(b"/mnt/" + name)
    assert k.names(b"/mnt") == [b"two"]
    assert exists(k, b"/mnt/..") == 0


class Jump(InodeOperations):
    """A magic link, as /proc/PID/fd has them."""

    __slots__ = ("place",)

    def __init__(self, place: Path) -> None:
        self.place = place

    def get_link(self, task: object, inode: object) -> Path:
        return self.place


def test_magic_links_jump_and_removed_files_stay_reachable(k: Kernel) -> None:
    k.put(b"/file", b"data")
    k.call(mkdir, b"/dir", 0o755)
    k.put(b"/dir/in")
    k.call(symlink, b"x", b"/jump")
    k.stat(b"/jump").i_link = None
    k.stat(b"/jump").i_op = Jump(path_lookup(k.task, AT_FDCWD, b"/file"))
    fd = k.open(b"/file")
    assert k.call(unlink, b"/file") == 0
    assert k.get(b"/jump") == b"data"
    assert exists(k, b"/jump/") == ENOTDIR
    assert k.read(fd, 10) == b"data"
    k.stat(b"/jump").i_op = Jump(path_lookup(k.task, AT_FDCWD, b"/dir"))
    assert exists(k, b"/jump/in") == 0
    assert exists(k, b"/jump/../dir/in") == 0


def test_a_magic_link_that_ends_at_a_link_is_not_followed_on(k: Kernel) -> None:
    k.put(b"/file")
    k.call(symlink, b"file", b"/link")
    k.call(symlink, b"x", b"/jump")
    k.stat(b"/jump").i_link = None
    k.stat(b"/jump").i_op = Jump(path_lookup(k.task, AT_FDCWD, b"/link", 0))
    assert k.open(b"/jump") == ELOOP
    assert k.open(b"/jump/x") == ENOTDIR


RESOLVE = {
    "no_xdev": 1,
    "no_magiclinks": 2,
    "no_symlinks": 4,
    "beneath": 8,
    "in_root": 16,
    "cached": 32,
}


def open2(k: Kernel, dirfd: int, path: bytes, resolve: str, flags: int = 0) -> int:
    how = OpenHow(flags, 0, RESOLVE[resolve]).to_bytes()
    k.mem.write(k.scratch, how)
    return k.call(openat2, dirfd, path, k.scratch, len(how))


def test_openat2_keeps_a_walk_in_its_place(k: Kernel) -> None:
    for path in (b"/top", b"/top/in"):
        k.call(mkdir, path, 0o755)
    k.put(b"/top/in/file")
    k.put(b"/outside")
    k.call(symlink, b"../../outside", b"/top/in/up")
    k.call(symlink, b"/in/file", b"/top/abs")
    k.call(symlink, b"in/file", b"/top/rel")
    top = k.open(b"/top", 0o200000)
    assert open2(k, top, b"in/file", "beneath") >= 0
    assert open2(k, top, b"in/../in/file", "beneath") >= 0
    assert open2(k, top, b"../outside", "beneath") == EXDEV
    assert open2(k, top, b"in/up", "beneath") == EXDEV
    assert open2(k, top, b"abs", "beneath") == EXDEV
    assert open2(k, top, b"/in/file", "beneath") == EXDEV
    assert open2(k, top, b"abs", "in_root") >= 0
    assert open2(k, top, b"/in/file", "in_root") >= 0
    assert open2(k, top, b"../../in/file", "in_root") >= 0
    assert open2(k, top, b"in/up", "in_root") == ENOENT
    assert open2(k, top, b"rel", "no_symlinks") == ELOOP
    assert open2(k, top, b"rel", "no_magiclinks") >= 0
    assert open2(k, top, b"in/file", "cached") >= 0
    assert open2(k, top, b"in/none", "cached") == EAGAIN


def test_openat2_can_refuse_to_cross_a_mount(k: Kernel) -> None:
    k.call(mkdir, b"/mnt", 0o755)
    place = path_lookup(k.task, AT_FDCWD, b"/mnt")
    do_mount_internal(k.machine, "tmpfs", "none", place)
    assert open2(k, AT_FDCWD, b"/mnt", "no_xdev") == EXDEV
    assert open2(k, AT_FDCWD, b"/", "no_xdev") >= 0
    k.call(chdir, b"/mnt")
    assert open2(k, AT_FDCWD, b"..", "no_xdev") == EXDEV
    assert open2(k, AT_FDCWD, b".", "no_xdev") >= 0


def test_openat2_checks_its_struct(k: Kernel) -> None:
    def raw(data: bytes) -> int:
        k.mem.write(k.scratch, data)
        return k.call(openat2, AT_FDCWD, b"/", k.scratch, len(data))

    how = OpenHow(0, 0, 0).to_bytes()
    assert raw(how) >= 0
    assert raw(how + bytes(8)) >= 0
    assert raw(how + bytes(7) + b"\1") == E2BIG
    assert raw(how[:-1]) == EINVAL
    assert raw(how + bytes(5000)) == E2BIG
    assert raw(OpenHow(1 << 40, 0, 0).to_bytes()) == EINVAL
    assert raw(OpenHow(0, 0o644, 0).to_bytes()) == EINVAL
    assert raw(OpenHow(0, 0, 0x18).to_bytes()) == EINVAL
    assert raw(OpenHow(0, 0, 0x100).to_bytes()) == EINVAL


def test_links_and_files_of_others_in_a_shared_directory(k: Kernel) -> None:
    EPERM = -1
    k.call(mkdir, b"/tmp", 0o777)
    k.stat(b"/tmp").i_mode = 0o041777
    k.put(b"/secret")
    k.as_user(1, 1)
    k.call(symlink, b"/secret", b"/tmp/trap")
    k.put(b"/tmp/bait")
    k.stat(b"/tmp/bait").i_mode = 0o100666
    k.as_user(2, 2)
    assert exists(k, b"/tmp/trap") == 0
    assert k.open(b"/tmp/bait", 0o102) >= 0
    assert k.call(link, b"/secret", b"/tmp/mine") == 0
    for name in ("symlinks", "hardlinks", "regular", "fifos"):
        k.machine.sysctl[f"fs.protected_{name}"] = 1
    assert exists(k, b"/tmp/trap") == EACCES
    assert k.open(b"/tmp/bait", 0o102) == EACCES
    assert k.open(b"/tmp/bait", 2) >= 0
    assert k.call(link, b"/secret", b"/tmp/mine2") == EPERM
    k.as_user(1, 1)
    assert exists(k, b"/tmp/trap") == 0
