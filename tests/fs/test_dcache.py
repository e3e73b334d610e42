# SPDX-License-Identifier: Apache-2.0
"""The name cache is bounded, never forgets what is in use, and tells true paths."""

from __future__ import annotations

from pygos.fs.dcache import d_make_root, d_path, dcache_init
from pygos.fs.file_table import close
from pygos.fs.namei import lookup_one, path_lookup
from pygos.fs.namei_calls import access, mkdir, rename, unlink
from pygos.fs.tmpfs import TmpfsType
from pygos.include.linux.fs import (
    S_IFDIR,
    S_IFREG,
    Inode,
    InodeOperations,
    Path,
    SuperBlock,
    SuperOperations,
)
from tests.support.kernel import AT_FDCWD, Kernel, boot


class Numbers(InodeOperations):
    """A directory that has every name there is, and keeps none."""

    __slots__ = ("looked_up",)

    def __init__(self) -> None:
        self.looked_up = 0

    def lookup(self, task: object, dir: Inode, name: bytes) -> Inode | None:
        self.looked_up += 1
        if name.startswith(b"no"):
            return None
        return Inode(dir.i_sb, dir.i_sb.new_ino(), S_IFREG | 0o644)


class Counting(SuperOperations):
    __slots__ = ("evicted",)

    def __init__(self) -> None:
        self.evicted = 0

    def evict_inode(self, inode: Inode) -> None:
        self.evicted += 1


def numbers(k: Kernel, limit: int) -> tuple[Path, Numbers, Counting]:
    """A directory of Numbers on a file system of its own, with a small cache."""
    counting, op = Counting(), Numbers()
    sb = SuperBlock(k.machine, TmpfsType(), counting)
    root = Inode(sb, 1, S_IFDIR | 0o755)
    root.i_op = op
    sb.s_root = d_make_root(sb, root)
    dcache_init(k.machine).limit = limit
    return Path(k.machine.new_mount(sb.s_root, "numbers"), sb.s_root), op, counting


def test_old_names_are_dropped_with_their_inodes() -> None:
    k = boot()
    path, _, counting = numbers(k, 100)
    for n in range(1000):
        lookup_one(k.task, path.dentry, b"%d" % n)
    assert len(path.dentry.d_children) <= 200
    assert counting.evicted >= 800


def test_names_that_are_not_there_are_remembered_too() -> None:
    k = boot()
    path, op, _ = numbers(k, 100)
    for _ in range(3):
        assert lookup_one(k.task, path.dentry, b"no").d_inode is None
    assert op.looked_up == 1
    for n in range(1000):
        lookup_one(k.task, path.dentry, b"no%d" % n)
    assert len(path.dentry.d_children) <= 200


def test_a_dentry_in_use_survives_and_stays_the_only_one() -> None:
    k = boot()
    path, _, _ = numbers(k, 50)
    held = lookup_one(k.task, path.dentry, b"held")
    for n in range(1000):
        lookup_one(k.task, path.dentry, b"%d" % n)
    assert lookup_one(k.task, path.dentry, b"held") is held
    assert not held.d_unhashed


def test_names_of_a_tmpfs_are_never_dropped() -> None:
    k = boot()
    dcache_init(k.machine).limit = 50
    for n in range(300):
        k.put(b"/f%d" % n)
    assert len(k.names(b"/")) == 300


def test_making_and_removing_files_leaves_nothing_behind() -> None:
    k = boot()
    dcache_init(k.machine).limit = 64
    for n in range(1000):
        k.put(b"/file%d" % n, b"x")
        assert k.call(unlink, b"/file%d" % n) == 0
    assert len(k.machine.dcache.lru) <= 65
    assert k.machine.zone.nr_shmem == 0
    assert k.machine.nr_files == 0


def test_paths_follow_renames_and_tell_of_removal() -> None:
    k = boot()
    k.call(mkdir, b"/a", 0o755)
    k.put(b"/a/file")
    place = path_lookup(k.task, AT_FDCWD, b"/a/file")
    assert d_path(place, k.task.fs.root) == b"/a/file"
    k.call(rename, b"/a", b"/b")
    assert d_path(place, k.task.fs.root) == b"/b/file"
    k.call(rename, b"/b/file", b"/moved")
    assert d_path(place, k.task.fs.root) == b"/moved"
    k.call(unlink, b"/moved")
    assert d_path(place, k.task.fs.root) == b"/moved (deleted)"


def test_renaming_over_a_file_frees_it_once_nobody_has_it_open() -> None:
    k = boot()
    k.put(b"/old", b"o" * 5000)
    k.put(b"/new", b"n")
    fd = k.open(b"/old")
    assert k.call(rename, b"/new", b"/old") == 0
    assert k.read(fd, 3) == b"ooo"
    used = k.machine.zone.nr_shmem
    k.call(close, fd)
    assert k.machine.zone.nr_shmem == used - 2
    assert k.get(b"/old") == b"n"


def test_a_missing_name_appears_when_it_is_made() -> None:
    k = boot()
    assert k.call(access, b"/later", 0) == -2
    k.put(b"/later")
    assert k.call(access, b"/later", 0) == 0
    k.call(unlink, b"/later")
    assert k.call(access, b"/later", 0) == -2
