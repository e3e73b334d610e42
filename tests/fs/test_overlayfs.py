# SPDX-License-Identifier: Apache-2.0
"""overlayfs: a writable tree over the host's files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pygos.fs.libfs import SimpleDir
from pygos.fs.namei_calls import linkat
from pygos.include.errno import (
    EEXIST,
    EINVAL,
    EISDIR,
    ENODATA,
    ENOENT,
    ENOSPC,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
)
from pygos.include.linux.fs import ATTR_MTIME, ATTR_MTIME_SET, Iattr
from pygos.include.uapi import fcntl as f
from pygos.include.uapi.fs import RENAME_EXCHANGE, RENAME_NOREPLACE
from tests.fs.overlay_box import OverlayBox, snapshot


@pytest.fixture
def lower(tmp_path: Path) -> Iterator[Path]:
    top = tmp_path / "lower"
    (top / "usr/bin").mkdir(parents=True)
    (top / "usr/share/doc/pkg").mkdir(parents=True)
    (top / "etc").mkdir()
    (top / "usr/bin/tool").write_bytes(b"#!tool" * 1000)
    os.chmod(top / "usr/bin/tool", 0o755)
    (top / "usr/share/doc/pkg/README").write_bytes(b"read me")
    (top / "etc/conf").write_bytes(b"key=1\n")
    (top / "etc/link").symlink_to("conf")
    os.link(top / "etc/conf", top / "etc/conf2")
    before = snapshot(top)
    yield top
    assert snapshot(top) == before, "the host was changed"


@pytest.fixture
def box(lower: Path) -> OverlayBox:
    return OverlayBox(lower)


def test_shows_what_is_below(box: OverlayBox, lower: Path) -> None:
    assert box.read(b"/etc/link") == b"key=1\n"
    assert box.ls(b"/etc") == [b"conf", b"conf2", b"link"]
    native, seen = os.stat(lower / "usr/bin/tool"), box.stat(b"/usr/bin/tool")
    assert (seen.ino, seen.mode, seen.size) == (native.st_ino, native.st_mode, native.st_size)
    assert box.upper_tree() == {}


def test_page_cache_of_a_lower_file_is_shared(box: OverlayBox) -> None:
    one, two = box.path(b"/etc/conf").inode, box.path(b"/etc/conf2").inode
    assert one is not two
    assert one.i_mapping is two.i_mapping


def test_write_copies_up_and_keeps_identity(box: OverlayBox) -> None:
    before = box.stat(b"/usr/bin/tool")
    file = box.open(b"/usr/bin/tool", f.O_RDWR)
    box.pwrite(file, b"XY", 2)
    box.close(file)
    after = box.stat(b"/usr/bin/tool")
    assert (after.ino, after.dev, after.mode, after.size) == (
        before.ino, before.dev, before.mode, before.size,
    )  # fmt: skip
    assert box.read(b"/usr/bin/tool")[:8] == b"#!XYol#!"
    assert list(box.upper_tree()) == [b"/usr", b"/usr/bin", b"/usr/bin/tool"]
    assert box.stat(b"/").dev == box.stat(b"/usr/bin/tool").dev == box.stat(b"/etc").dev


def test_opening_for_reading_copies_nothing(box: OverlayBox) -> None:
    file = box.open(b"/etc/conf")
    assert box.pread(file) == b"key=1\n"
    box.close(file)
    assert box.upper_tree() == {}


def test_a_reader_from_before_sees_what_is_written(box: OverlayBox) -> None:
    reader = box.open(b"/etc/conf")
    closed = box.open(b"/etc/conf")
    box.close(closed)
    box.write(b"/etc/conf", b"new")
    assert box.pread(reader) == b"new"
    box.close(reader)
    assert box.read(b"/etc/conf") == b"new"
    assert box.read(b"/etc/conf2") == b"key=1\n"  # copy-up breaks hard links, as on Linux


def test_attribute_changes_copy_up_without_touching_data(box: OverlayBox, lower: Path) -> None:
    box.chmod(b"/etc/conf", 0o600)
    box.chown(b"/etc/conf", 7, 8)
    box.setattr(b"/etc/conf", Iattr(ATTR_MTIME | ATTR_MTIME_SET, mtime=12345))
    seen = box.stat(b"/etc/conf")
    assert (seen.mode & 0o777, seen.uid, seen.gid, seen.mtime) == (0o600, 7, 8, 12345)
    assert box.read(b"/etc/conf") == b"key=1\n"
    parent = os.stat(lower / "etc")
    assert box.stat(b"/etc").mtime == parent.st_mtime_ns


def test_attributes_of_directories(box: OverlayBox) -> None:
    ino = box.stat(b"/usr/share").ino
    box.chmod(b"/usr/share", 0o700)
    seen = box.stat(b"/usr/share")
    assert (seen.mode & 0o777, seen.ino) == (0o700, ino)
    assert box.ls(b"/usr/share") == [b"doc"]


def test_an_open_descriptor_sees_the_new_mode(box: OverlayBox) -> None:
    file = box.open(b"/etc/conf")
    box.chmod(b"/etc/conf", 0o600)
    assert file.f_path.inode.i_mode & 0o777 == 0o600
    box.close(file)


def test_truncate_copies_only_what_stays(box: OverlayBox) -> None:
    box.truncate(b"/usr/bin/tool", 3)
    assert box.read(b"/usr/bin/tool") == b"#!t"
    box.truncate(b"/etc/conf", 10)
    assert box.read(b"/etc/conf") == b"key=1\n\0\0\0\0"


def test_unlink_hides_what_is_below(box: OverlayBox) -> None:
    box.unlink(b"/etc/conf")
    assert box.ls(b"/etc") == [b"conf2", b"link"]
    with pytest.raises(ENOENT):
        box.stat(b"/etc/conf")
    assert box.upper_tree() == {b"/etc": "dir", b"/etc/conf": None}
    box.write(b"/etc/conf", b"again")
    assert box.read(b"/etc/conf") == b"again"
    box.unlink(b"/etc/conf")
    assert not box.exists(b"/etc/conf")


def test_removed_directory_made_again_is_empty(box: OverlayBox) -> None:
    with pytest.raises(ENOTEMPTY):
        box.rmdir(b"/usr/share/doc/pkg")
    box.unlink(b"/usr/share/doc/pkg/README")
    box.rmdir(b"/usr/share/doc/pkg")
    box.mkdir(b"/usr/share/doc/pkg")
    assert box.ls(b"/usr/share/doc/pkg") == []
    box.write(b"/usr/share/doc/pkg/new", b"1")
    assert box.ls(b"/usr/share/doc/pkg") == [b"new"]


def test_whiteouts_do_not_pile_up(box: OverlayBox) -> None:
    box.unlink(b"/usr/share/doc/pkg/README")
    box.rmdir(b"/usr/share/doc/pkg")
    box.rmdir(b"/usr/share/doc")
    box.rmdir(b"/usr/share")
    assert box.upper_tree() == {b"/usr": "dir", b"/usr/share": None}


@pytest.mark.parametrize("restart", [False, True])
def test_directories_can_be_renamed(box: OverlayBox, restart: bool) -> None:
    ino = box.stat(b"/usr/share/doc").ino
    box.rename(b"/usr/share", b"/etc/moved")
    box.write(b"/etc/moved/doc/pkg/extra", b"2")
    box.rename(b"/etc/moved/doc", b"/doc")
    if restart:
        forget(box)
    assert box.ls(b"/usr") == [b"bin"]
    assert box.tree(b"/doc") == {
        b"/doc/pkg": "dir", b"/doc/pkg/README": b"read me", b"/doc/pkg/extra": b"2",
    }  # fmt: skip
    assert box.stat(b"/doc").ino == ino
    assert box.ls(b"/etc/moved") == []


def forget(box: OverlayBox) -> None:
    """Drop every cached name of the overlay, as memory pressure does."""
    from pygos.fs.dcache import shrink_dcache_sb

    shrink_dcache_sb(box.mnt.mnt_sb)


def test_a_directory_moved_over_a_lower_name_does_not_merge(box: OverlayBox) -> None:
    box.unlink(b"/usr/share/doc/pkg/README")
    box.rmdir(b"/usr/share/doc/pkg")
    box.mkdir(b"/new")
    box.write(b"/new/file", b"")
    box.rename(b"/new", b"/usr/share/doc/pkg")
    forget(box)
    assert box.ls(b"/usr/share/doc/pkg") == [b"file"]
    box.rename(b"/usr/share/doc/pkg", b"/usr/bin/pkg")
    forget(box)
    assert box.ls(b"/usr/bin/pkg") == [b"file"]
    assert box.ls(b"/usr/share/doc") == []


def test_rename_of_files(box: OverlayBox) -> None:
    box.rename(b"/etc/conf", b"/etc/link")
    assert box.ls(b"/etc") == [b"conf2", b"link"]
    assert box.read(b"/etc/link") == b"key=1\n"
    box.rename(b"/usr/bin/tool", b"/etc/conf")
    assert box.ls(b"/usr/bin") == []
    with pytest.raises(EISDIR):
        box.rename(b"/etc/conf", b"/usr")
    with pytest.raises(ENOTDIR):
        box.rename(b"/usr", b"/etc/conf")
    with pytest.raises(EINVAL):
        box.rename(b"/usr", b"/usr/bin/x")
    with pytest.raises(EEXIST):
        box.rename(b"/etc/conf", b"/etc/link", RENAME_NOREPLACE)


def test_exchange(box: OverlayBox) -> None:
    box.rename(b"/usr/bin", b"/etc/conf", RENAME_EXCHANGE)
    forget(box)
    assert box.read(b"/usr/bin") == b"key=1\n"
    assert box.ls(b"/etc/conf") == [b"tool"]
    box.rename(b"/usr/bin", b"/etc/conf", RENAME_EXCHANGE)
    assert box.ls(b"/usr/bin") == [b"tool"]


def test_links(box: OverlayBox) -> None:
    box.link(b"/etc/conf", b"/etc/third")
    assert box.stat(b"/etc/conf").nlink == 2
    assert box.path(b"/etc/conf").inode is box.path(b"/etc/third").inode
    box.symlink(b"third", b"/etc/sym")
    assert box.read(b"/etc/sym") == b"key=1\n"


def test_tmpfile_and_special_nodes(box: OverlayBox) -> None:
    file = box.open(b"/usr", f.O_RDWR | f.O_TMPFILE)
    assert box.pwrite(file, b"x") == 1
    box.task.files.fd[3] = file
    linkat(box.task, 3, b"", f.AT_FDCWD, b"/usr/named", f.AT_EMPTY_PATH)
    assert box.read(b"/usr/named") == b"x"
    assert file.f_inode.i_nlink == 1
    box.close(file)
    box.mknod(b"/etc/fifo", stat.S_IFIFO | 0o600)
    box.mknod(b"/etc/null", stat.S_IFCHR | 0o666, 0x103)
    with pytest.raises(EPERM):
        box.mknod(b"/etc/white", stat.S_IFCHR | 0o666, 0)
    assert box.stat(b"/etc/null").rdev == 0x103


def test_unlinked_lower_file_can_still_be_changed(box: OverlayBox) -> None:
    file = box.open(b"/etc/conf")
    box.unlink(b"/etc/conf")
    from pygos.fs.attr import notify_change
    from pygos.include.linux.fs import ATTR_MODE

    notify_change(box.task, file.f_path.dentry, Iattr(ATTR_MODE, mode=0o400))
    assert file.f_path.inode.i_mode & 0o777 == 0o400
    assert box.pread(file) == b"key=1\n"
    box.close(file)
    assert box.upper_tree() == {b"/etc": "dir", b"/etc/conf": None}


def test_xattrs(box: OverlayBox) -> None:
    box.setxattr(b"/etc/conf", b"user.a", b"1")
    box.setxattr(b"/usr", b"user.b", b"2")
    assert box.listxattr(b"/etc/conf") == [b"user.a"]
    assert box.getxattr(b"/usr", b"user.b") == b"2"
    box.rename(b"/usr", b"/other")
    assert box.listxattr(b"/other") == [b"user.b"]
    with pytest.raises(EPERM):
        box.setxattr(b"/other", b"trusted.overlay.opaque", b"y")
    inode = box.path(b"/etc/link", False).inode
    with pytest.raises(ENODATA):
        inode.i_op.removexattr(box.task, inode, b"user.none")


def test_no_room_leaves_everything_as_it_was(lower: Path) -> None:
    (lower / "big").write_bytes(b"x" * 200_000)
    before = snapshot(lower)
    box = OverlayBox(lower, "size=40k")
    with pytest.raises(ENOSPC):
        box.open(b"/big", f.O_RDWR)
    assert box.read(b"/big") == b"x" * 200_000
    assert box.upper_tree() == {}
    info = box.upper.mnt_sb.s_fs_info
    assert info.used_blocks == 0
    assert snapshot(lower) == before
    (lower / "big").unlink()


def test_host_replaces_a_file_while_its_name_is_cached(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    box = OverlayBox(tmp_path)
    assert box.read(b"/file") == b"old"
    (tmp_path / "next").write_bytes(b"new one")
    os.replace(tmp_path / "next", tmp_path / "file")
    box.machine.clock.now += 2_000_000_000  # type: ignore[attr-defined]
    assert box.read(b"/file") == b"new one"
    os.unlink(tmp_path / "file")
    box.machine.clock.now += 2_000_000_000  # type: ignore[attr-defined]
    with pytest.raises(ENOENT):
        box.read(b"/file")


def test_t_fs_02_a_directory_swapped_for_a_link_during_use(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "dir/file").write_bytes(b"mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/file").write_bytes(b"secret")
    box = OverlayBox(root)
    box.stat(b"/dir/file")
    os.rename(root / "dir", root / "old")
    (root / "dir").symlink_to(tmp_path / "out")
    box.machine.clock.now += 2_000_000_000  # type: ignore[attr-defined]
    file = box.open(b"/dir/file", f.O_RDWR)
    assert box.pread(file) == b"mine"  # the directory that was open, not what has its name
    box.pwrite(file, b"yours")
    box.close(file)
    assert (tmp_path / "out/file").read_bytes() == b"secret"


def test_everything_can_be_removed(box: OverlayBox) -> None:
    remove_all(box, b"/usr")
    assert not box.exists(b"/usr")
    assert box.ls(b"/") == [b"etc"]
    assert box.upper_tree() == {b"/usr": None}


def remove_all(box: OverlayBox, name: bytes) -> None:
    for entry, _, kind in box.entries(name):
        path = name + b"/" + entry
        if kind == 4:
            remove_all(box, path)
        else:
            box.unlink(path)
    box.rmdir(name)


def test_references_come_back(box: OverlayBox) -> None:
    """After everything is dropped no inode of either layer is held."""
    box.write(b"/etc/conf", b"1")
    box.rename(b"/usr/share", b"/share")
    file = box.open(b"/usr/bin/tool")
    box.unlink(b"/usr/bin/tool")
    box.close(file)
    forget(box)
    hosted = box.mnt.mnt_sb.s_root.d_inode
    assert hosted is not None
    names: SimpleDir = box.upper.mnt_root.d_inode.i_private  # type: ignore[union-attr]
    assert all(d.d_inode is not None and d.d_inode.i_count == 1 for d in names.entries.values())
    files = [d.d_inode for d in walk(box.upper.mnt_root) if d.d_inode is not None]
    shared = box.mnt.mnt_sb.s_fs_info.whiteout.d_inode
    for inode in files:
        expected = inode.i_nlink + 1 if inode is shared else 1
        assert inode.i_count == expected


def walk(dentry: object) -> Iterator[object]:
    for child in dentry.d_children.values():  # type: ignore[attr-defined]
        yield child
        yield from walk(child)


def later(box: OverlayBox) -> None:
    """Let the time pass in which what is below is believed."""
    box.machine.clock.now += 2_000_000_000  # type: ignore[attr-defined]


def test_edits_on_the_host_show_in_stat(tmp_path: Path) -> None:
    """An editor writes the file in place, or replaces it; make inside must notice."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.c").write_bytes(b"one")
    box = OverlayBox(tmp_path)
    assert box.stat(b"/src/main.c").size == 3
    (tmp_path / "src/main.c").write_bytes(b"three")
    later(box)
    assert box.stat(b"/src/main.c").size == 5
    (tmp_path / "src/tmp").write_bytes(b"seven..")
    os.replace(tmp_path / "src/tmp", tmp_path / "src/main.c")
    later(box)
    assert box.stat(b"/src/main.c").size == 7
    assert box.read(b"/src/main.c") == b"seven.."
    os.unlink(tmp_path / "src/main.c")
    later(box)
    with pytest.raises(ENOENT):
        box.stat(b"/src/main.c")
    assert not box.exists(b"/src/main.c")


def test_files_made_on_the_host_appear(tmp_path: Path) -> None:
    box = OverlayBox(tmp_path)
    assert not box.exists(b"/new")
    assert not box.exists(b"/new")
    (tmp_path / "new").write_bytes(b"data")
    later(box)
    assert box.read(b"/new") == b"data"
    box.unlink(b"/new")
    later(box)
    assert not box.exists(b"/new")


def test_a_directory_replaced_on_the_host(tmp_path: Path) -> None:
    (tmp_path / "dir/sub").mkdir(parents=True)
    (tmp_path / "dir/file").write_bytes(b"old")
    box = OverlayBox(tmp_path)
    assert box.tree(b"/dir") == {b"/dir/file": b"old", b"/dir/sub": "dir"}
    os.rename(tmp_path / "dir", tmp_path / "gone")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/file").write_bytes(b"new")
    later(box)
    box.stat(b"/dir")
    assert box.tree(b"/dir") == {b"/dir/file": b"new"}


def test_positive_names_lose_their_operations(box: OverlayBox) -> None:
    """A cached walk costs what it costs on any file system."""
    for _ in range(2):
        box.path(b"/usr/share/doc/pkg/README")
    dentry = box.path(b"/usr/share/doc/pkg/README").dentry
    while dentry.d_parent is not dentry:
        assert dentry.d_op is None
        dentry = dentry.d_parent


def test_truncating_open_copies_no_data(lower: Path) -> None:
    (lower / "big").write_bytes(b"x" * 200_000)
    box = OverlayBox(lower, "size=40k")
    box.write(b"/big", b"small")
    assert box.read(b"/big") == b"small"
    file = box.open(b"/big", f.O_RDWR | f.O_TRUNC)
    assert not file.f_flags & f.O_TRUNC
    (lower / "big").unlink()


def test_mounted_by_a_program_over_its_own_directories() -> None:
    from pygos.fs.namespace import do_mount_internal
    from pygos.fs.overlayfs import OverlayType
    from pygos.fs.tmpfs import TmpfsType
    from tests.fs.box import Box

    box = Box(TmpfsType())
    box.register(OverlayType())
    for name in (b"/one", b"/two", b"/up", b"/work", b"/merged", b"/one/dir", b"/two/dir"):
        box.mkdir(name)
    for name in (b"/one/f", b"/two/f", b"/one/dir/a", b"/two/dir/b", b"/two/dir/a"):
        box.write(name, name)
    options = "lowerdir=/one:/two,upperdir=/up,workdir=/work"
    do_mount_internal(box.machine, "overlay", "overlay", box.path(b"/merged"), 0, options)
    assert box.tree(b"/merged") == {
        b"/merged/dir": "dir", b"/merged/dir/a": b"/one/dir/a", b"/merged/dir/b": b"/two/dir/b",
        b"/merged/f": b"/one/f",
    }  # fmt: skip
    box.unlink(b"/merged/dir/b")
    box.rename(b"/merged/dir", b"/merged/moved")
    box.write(b"/merged/f", b"new")
    assert box.stat(b"/up/dir").rdev == 0
    assert box.getxattr(b"/up/moved", b"trusted.overlay.redirect") == b"/dir"
    assert box.ls(b"/merged") == [b"f", b"moved"]
    assert box.ls(b"/merged/moved") == [b"a"]
    assert box.read(b"/one/f") == b"/one/f"
    for bad in ("lowerdir=/one", "upperdir=/up,workdir=/work", "lowerdir=/one,upperdir=/up",
                "lowerdir=/one,upperdir=/one,workdir=/work", "bogus=1",
                "lowerdir=/one,upperdir=/merged/moved,workdir=/merged/dir"):  # fmt: skip
        with pytest.raises((EINVAL, ENOENT)):
            do_mount_internal(box.machine, "overlay", "overlay", box.path(b"/two"), 0, bad)
