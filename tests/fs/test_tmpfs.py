# SPDX-License-Identifier: Apache-2.0
"""tmpfs: what programs see of it."""

from __future__ import annotations

import stat

import pytest

from pygos.fs.tmpfs import RamfsType, TmpfsType
from pygos.include.errno import (
    EINVAL,
    EISDIR,
    ENODATA,
    ENOENT,
    ENOSPC,
    ENOTDIR,
    ENOTEMPTY,
    ENXIO,
    EOPNOTSUPP,
    EPERM,
)
from pygos.include.uapi import fcntl as f
from pygos.include.uapi.fs import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, RENAME_EXCHANGE
from tests.fs.box import Box


@pytest.fixture
def box() -> Box:
    return Box(TmpfsType())


def used(box: Box) -> tuple[int, int]:
    stat = box.mnt.mnt_sb.s_op.statfs(box.mnt.mnt_sb)
    return stat.blocks - stat.bfree, stat.files - stat.ffree


def test_files_keep_what_is_written(box: Box) -> None:
    data = bytes(range(256)) * 100
    box.write(b"/file", data)
    assert box.read(b"/file") == data
    found = box.stat(b"/file")
    assert (found.size, found.blocks, found.nlink) == (25600, 7 * 8, 1)


def test_directory_link_counts_and_sizes(box: Box) -> None:
    box.mkdir(b"/a")
    box.mkdir(b"/a/b")
    box.write(b"/a/f", b"")
    found = box.stat(b"/a")
    assert (found.nlink, found.size) == (3, 40 + 2 * 20)
    box.rmdir(b"/a/b")
    box.unlink(b"/a/f")
    found = box.stat(b"/a")
    assert (found.nlink, found.size) == (2, 40)


def test_pages_and_inodes_are_given_back(box: Box) -> None:
    free = box.machine.zone.nr_free
    before = used(box)
    box.write(b"/file", b"x" * 10_000)
    box.link(b"/file", b"/other")
    assert used(box) == (before[0] + 3, before[1] + 2)
    box.unlink(b"/file")
    box.truncate(b"/other", 4096)
    assert used(box) == (before[0] + 1, before[1] + 1)
    box.unlink(b"/other")
    assert used(box) == before
    assert box.machine.zone.nr_free == free


def test_open_file_outlives_its_name(box: Box) -> None:
    before = used(box)
    box.write(b"/file", b"hello")
    file = box.open(b"/file", f.O_RDWR)
    box.unlink(b"/file")
    assert box.pread(file) == b"hello"
    assert file.f_inode.i_nlink == 0
    box.close(file)
    assert used(box) == before


def test_size_limit() -> None:
    box = Box(TmpfsType(), "size=16k,nr_inodes=3,mode=700,uid=5,gid=6")
    root = box.stat(b"/")
    assert (root.mode, root.uid, root.gid) == (stat.S_IFDIR | 0o700, 5, 6)
    file = box.open(b"/file", f.O_RDWR | f.O_CREAT)
    assert box.pwrite(file, b"x" * 20_000) == 16384
    with pytest.raises(ENOSPC):
        box.pwrite(file, b"x", 16384)
    box.write(b"/second", b"")
    with pytest.raises(ENOSPC):
        box.mkdir(b"/third")
    with pytest.raises(ENOSPC):
        box.link(b"/file", b"/third")


@pytest.mark.parametrize(
    "options", ["size=x", "size=", "nr_inodes=-1", "mode=8", "uid=4294967295", "bogus", "size=1z"]
)
def test_bad_options_are_refused(options: str) -> None:
    with pytest.raises(EINVAL):
        Box(TmpfsType(), options)


def test_percentage_and_remount() -> None:
    box = Box(TmpfsType(), "size=50%", pages=4096)
    sb = box.mnt.mnt_sb
    assert sb.s_op.statfs(sb).blocks == 2048
    box.write(b"/file", b"x" * 8192)
    with pytest.raises(EINVAL):
        sb.s_op.remount(sb, 0, "size=4k")
    sb.s_op.remount(sb, 0, "size=8k")
    assert sb.s_op.statfs(sb).bfree == 0
    assert sb.s_op.show_options(sb) == ",size=8k,inode64"


def test_rename_over_and_exchange(box: Box) -> None:
    box.write(b"/a", b"a")
    box.write(b"/b", b"b")
    box.rename(b"/a", b"/b")
    assert box.tree() == {b"/b": b"a"}
    box.mkdir(b"/d")
    box.mkdir(b"/d/sub")
    with pytest.raises(EISDIR):
        box.rename(b"/b", b"/d/sub")
    with pytest.raises(ENOTDIR):
        box.rename(b"/d/sub", b"/b")
    box.rename(b"/b", b"/d/sub", RENAME_EXCHANGE)
    assert box.tree() == {b"/b": "dir", b"/d": "dir", b"/d/sub": b"a"}
    assert box.stat(b"/").nlink == 4
    assert box.stat(b"/d").nlink == 2
    box.mkdir(b"/e")
    with pytest.raises(ENOTEMPTY):
        box.rename(b"/e", b"/d")
    box.rename(b"/d", b"/e")
    assert box.tree() == {b"/b": "dir", b"/e": "dir", b"/e/sub": b"a"}
    assert box.stat(b"/").nlink == 4


def test_offsets_survive_changes_of_the_directory(box: Box) -> None:
    names = [b"f%03d" % n for n in range(200)]
    for name in names:
        box.write(b"/" + name, b"")
    file = box.open(b"/", f.O_RDONLY)
    from pygos.fs.readdir import Getdents64, iterate_dir

    seen = []
    while True:
        ctx = Getdents64(file.f_pos, 400)
        iterate_dir(box.task, file, ctx)
        if not ctx.records:
            break
        batch = [record[19:].split(b"\0")[0] for record in ctx.records]
        seen += batch
        for name in batch:
            if name not in (b".", b".."):
                box.unlink(b"/" + name)
    assert seen == [b".", b"..", *names]
    assert box.ls() == []


def test_holes_and_fallocate(box: Box) -> None:
    file = box.open(b"/file", f.O_RDWR | f.O_CREAT)
    op, task = file.f_op, box.task
    box.pwrite(file, b"end", 5 * 4096)
    assert file.f_inode.i_blocks == 8
    assert op.llseek(task, file, 0, f.SEEK_DATA) == 5 * 4096
    assert op.llseek(task, file, 0, f.SEEK_HOLE) == 0
    with pytest.raises(ENXIO):
        op.llseek(task, file, 6 * 4096, f.SEEK_DATA)
    op.fallocate(task, file, 0, 0, 4096 * 3)
    assert file.f_inode.i_blocks == 4 * 8
    assert op.llseek(task, file, 0, f.SEEK_HOLE) == 3 * 4096
    op.fallocate(task, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 4096 * 2)
    assert file.f_inode.i_blocks == 3 * 8
    op.fallocate(task, file, FALLOC_FL_KEEP_SIZE, 0, 8 * 4096)
    assert file.f_inode.i_size == 5 * 4096 + 3
    assert file.f_inode.i_blocks == 8 * 8
    op.fallocate(task, file, 0, 0, 9 * 4096)
    assert file.f_inode.i_size == 9 * 4096
    with pytest.raises(EOPNOTSUPP):
        op.fallocate(task, file, 0x10, 0, 4096)
    blocks = file.f_inode.i_blocks
    with pytest.raises(ENOSPC):
        op.fallocate(task, file, 0, 0, 1 << 40)
    assert file.f_inode.i_blocks == blocks
    assert box.pread(file, 3, 5 * 4096) == b"end"


def test_symlinks_and_special_nodes(box: Box) -> None:
    box.symlink(b"target", b"/link")
    assert box.readlink(b"/link") == b"target"
    found = box.lstat(b"/link")
    assert (found.mode, found.size) == (stat.S_IFLNK | 0o777, 6)
    box.mknod(b"/fifo", stat.S_IFIFO | 0o600)
    box.mknod(b"/null", stat.S_IFCHR | 0o666, 0x103)
    box.mknod(b"/sock", stat.S_IFSOCK | 0o600)
    assert box.lstat(b"/null").rdev == 0x103
    with pytest.raises(ENXIO):
        box.open(b"/sock")
    assert {name: kind for name, _, kind in box.entries(b"/")} == {
        b"link": 10, b"fifo": 1, b"null": 2, b"sock": 12,
    }  # fmt: skip


def test_tmpfile_gets_a_name_or_vanishes(box: Box) -> None:
    before = used(box)
    file = box.open(b"/", f.O_RDWR | f.O_TMPFILE)
    box.pwrite(file, b"secret")
    assert box.ls() == []
    box.close(file)
    assert used(box) == before


def test_extended_attributes(box: Box) -> None:
    box.write(b"/file", b"")
    box.setxattr(b"/file", b"user.one", b"1")
    box.setxattr(b"/file", b"trusted.two", b"")
    assert box.getxattr(b"/file", b"user.one") == b"1"
    assert sorted(box.listxattr(b"/file")) == [b"trusted.two", b"user.one"]
    with pytest.raises(ENODATA):
        box.getxattr(b"/file", b"user.none")
    with pytest.raises(EOPNOTSUPP):
        box.setxattr(b"/file", b"system.posix_acl_access", b"")
    box.setxattr(b"/file", b"user.big", b"x" * 65_000)
    box.setxattr(b"/file", b"user.big", b"y" * 65_000)
    box.setxattr(b"/file", b"user.more", b"x" * 65_000)
    with pytest.raises(ENOSPC):
        box.setxattr(b"/file", b"user.last", b"x" * 2_000)


def test_sticky_directory(box: Box) -> None:
    box.mkdir(b"/tmp")
    box.chmod(b"/tmp", 0o1777)
    box.become(1000, 1000)
    box.write(b"/tmp/mine", b"")
    box.become(1001, 1001)
    with pytest.raises(EPERM):
        box.unlink(b"/tmp/mine")
    box.become(1000, 1000)
    box.unlink(b"/tmp/mine")


def test_setgid_directory_gives_its_group(box: Box) -> None:
    box.mkdir(b"/d")
    box.chown(b"/d", 0, 50)
    box.chmod(b"/d", 0o2777)
    box.become(1000, 1000)
    box.mkdir(b"/d/sub")
    box.write(b"/d/file", b"")
    assert box.stat(b"/d/sub").mode & 0o7000 == 0o2000
    assert box.stat(b"/d/file").gid == 50


def test_removed_directory_takes_no_names(box: Box) -> None:
    box.mkdir(b"/d")
    place = box.path(b"/d")
    box.task.fs.pwd = place
    box.rmdir(b"/d")
    with pytest.raises(ENOENT):
        box.write(b"file", b"")


def test_ramfs_has_no_limits() -> None:
    box = Box(RamfsType(), pages=256)
    box.write(b"/file", b"x" * 4096 * 150)
    sb = box.mnt.mnt_sb
    assert sb.s_op.statfs(sb).blocks == 0
