# SPDX-License-Identifier: Apache-2.0
"""HostFiles: what can be reached in a host tree, and that nothing outside of it can."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pygos.host import HostError
from pygos.host.files import HostFiles
from pygos.include.errno import EBADF, EINVAL, ELOOP, ENOENT, ENOTDIR, ESTALE, Errno


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / "dir" / "below").mkdir(parents=True)
    (top / "file").write_bytes(b"hello world")
    (top / "dir" / "inner").write_bytes(b"inner")
    (top / "link").symlink_to("file")
    (top / "out").symlink_to(tmp_path)
    os.mkfifo(top / "fifo")
    (tmp_path / "secret").write_bytes(b"secret")
    return top


def read(files: HostFiles, directory: int, name: bytes) -> bytes:
    found = files.lookup(directory, name)
    assert found is not None
    handle = files.open_file(directory, name, found)
    buffer = bytearray(64)
    size = files.pread_into(handle, 0, [memoryview(buffer)])
    files.close(handle)
    return bytes(buffer[:size])


def test_lookup_tells_attributes(tree: Path) -> None:
    files = HostFiles(str(tree))
    found = files.lookup(files.root(), b"file")
    assert found is not None
    assert stat.S_ISREG(found.mode)
    assert found.size == 11
    assert found.mtime == os.stat(tree / "file").st_mtime_ns
    link = files.lookup(0, b"link")
    assert link is not None
    assert stat.S_ISLNK(link.mode)
    assert files.lookup(0, b"absent") is None


def test_reading_scatters_over_buffers(tree: Path) -> None:
    files = HostFiles(str(tree))
    found = files.lookup(0, b"file")
    assert found is not None
    handle = files.open_file(0, b"file", found)
    a, b = bytearray(4), bytearray(16)
    assert files.pread_into(handle, 2, [memoryview(a), memoryview(b)]) == 9
    assert a + b[:5] == b"llo world"
    assert files.pread_into(handle, 100, [memoryview(a)]) == 0
    assert files.fstat(handle).ino == found.ino


def test_readdir_has_names_inodes_types(tree: Path) -> None:
    files = HostFiles(str(tree))
    entries = {name: (ino, kind) for name, ino, kind in files.readdir(0)}
    assert set(entries) == {b"dir", b"file", b"link", b"out", b"fifo"}
    assert entries[b"file"] == (os.stat(tree / "file").st_ino, 8)
    assert entries[b"dir"][1] == 4
    assert entries[b"link"][1] == 10
    assert entries[b"fifo"][1] == 1


def test_readdir_of_many_names(tree: Path) -> None:
    names = {b"%0200d" % number for number in range(1000)}
    for name in names:
        (tree / "dir" / "below" / name.decode()).touch()
    files = HostFiles(str(tree))
    below = files.open_dir(files.open_dir(0, b"dir"), b"below")
    assert {entry[0] for entry in files.readdir(below)} == names


@pytest.mark.parametrize("name", [b"..", b".", b"", b"dir/inner", b"/etc", b"a\0b"])
def test_t_fs_01_names_that_lead_elsewhere_are_refused(tree: Path, name: bytes) -> None:
    files = HostFiles(str(tree))
    for call in (files.lookup, files.open_dir, files.readlink):
        with pytest.raises(EINVAL):
            call(0, name)


def test_t_fs_01_links_are_never_followed(tree: Path) -> None:
    files = HostFiles(str(tree))
    assert files.readlink(0, b"link") == b"file"
    with pytest.raises((ENOTDIR, ELOOP)):
        files.open_dir(0, b"out")
    expect = files.lookup(0, b"file")
    assert expect is not None
    with pytest.raises(ELOOP):
        files.open_file(0, b"link", expect)


def test_t_fs_02_a_file_that_was_swapped_is_stale(tree: Path) -> None:
    files = HostFiles(str(tree))
    expect = files.lookup(0, b"file")
    assert expect is not None
    (tree / "new").write_bytes(b"other")
    (tree / "new").rename(tree / "file")
    with pytest.raises(ESTALE):
        files.open_file(0, b"file", expect)


def test_t_fs_03_special_files_are_never_opened(tree: Path) -> None:
    files = HostFiles(str(tree))
    fifo = files.lookup(0, b"fifo")
    assert fifo is not None
    with pytest.raises(EINVAL):
        files.open_file(0, b"fifo", fifo)
    expect = files.lookup(0, b"file")
    assert expect is not None
    (tree / "file").unlink()
    os.mkfifo(tree / "file")
    with pytest.raises(Errno):
        files.open_file(0, b"file", expect)


def test_t_fs_03_proc_is_an_empty_directory() -> None:
    files = HostFiles("/")
    proc = files.open_dir(0, b"proc")
    assert files.readdir(proc) == []
    assert files.lookup(proc, b"self") is None
    with pytest.raises(ENOENT):
        files.open_dir(proc, b"self")
    files.close_all()


def test_more_directories_than_descriptors(tree: Path) -> None:
    for number in range(100):
        (tree / "dir" / str(number)).mkdir()
        (tree / "dir" / str(number) / "name").write_text(str(number))
    before = len(os.listdir("/proc/self/fd"))
    files = HostFiles(str(tree), limit=10)
    top = files.open_dir(0, b"dir")
    handles = [files.open_dir(top, b"%d" % number) for number in range(100)]
    assert len(os.listdir("/proc/self/fd")) - before <= 11
    for number, handle in enumerate(handles):
        assert read(files, handle, b"name") == b"%d" % number
    assert len(os.listdir("/proc/self/fd")) - before <= 11


@pytest.mark.parametrize("openat2", [True, False])
def test_reopening_does_not_follow_a_planted_link(tree: Path, openat2: bool) -> None:
    files = HostFiles(str(tree), limit=8)
    files._openat2 = openat2
    top = files.open_dir(0, b"dir")
    below = files.open_dir(top, b"below")
    for _ in range(20):
        files.open_dir(0, b"dir")
    (tree / "dir").rename(tree / "moved")
    (tree / "dir").symlink_to(tree / "moved")
    with pytest.raises(Errno):
        files.readdir(below)
    (tree / "dir").unlink()
    (tree / "moved").rename(tree / "dir")
    assert files.readdir(below) == []


def test_extended_attributes(tree: Path) -> None:
    try:
        os.setxattr(tree / "file", "user.colour", b"blue")
    except OSError:
        pytest.skip("no user attributes here")
    files = HostFiles(str(tree))
    assert files.xattrs(0, b"file")[b"user.colour"] == b"blue"
    assert b"user.colour" not in files.xattrs(0, b"")


def test_statfs(tree: Path) -> None:
    files = HostFiles(str(tree))
    host = os.statvfs(tree)
    found = files.statfs(0)
    assert (found.bsize, found.blocks, found.namelen) == (
        host.f_bsize, host.f_blocks, host.f_namemax,
    )  # fmt: skip


def test_closed_and_foreign_handles(tree: Path) -> None:
    files = HostFiles(str(tree))
    handle = files.open_dir(0, b"dir")
    files.close(handle)
    with pytest.raises(EBADF):
        files.readdir(handle)
    expect = files.lookup(0, b"file")
    assert expect is not None
    handle = files.open_file(0, b"file", expect)
    with pytest.raises(ENOTDIR):
        files.readdir(handle)


def test_missing_root_is_one_clear_line() -> None:
    with pytest.raises(HostError, match="/no/such/place"):
        HostFiles("/no/such/place")


@pytest.fixture
def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """All directories have rested long enough for their listings to be kept."""
    monkeypatch.setattr("pygos.host.listings._REST", -(1 << 62))


def test_a_listing_is_kept_until_the_directory_changes(tree: Path, rested: None) -> None:
    files = HostFiles(str(tree))
    first = files.readdir(0)
    assert files.readdir(0) is first
    (tree / "new").touch()
    os.utime(tree, ns=(1, 1))
    second = files.readdir(0)
    assert b"new" in {entry[0] for entry in second}
    (tree / "new").rename(tree / "newer")
    os.utime(tree, ns=(1, 1))  # the change time tells
    assert {entry[0] for entry in files.readdir(0)} == {os.fsencode(n) for n in os.listdir(tree)}


def test_a_directory_changed_just_now_is_read_again(tree: Path) -> None:
    files = HostFiles(str(tree))
    assert files.readdir(0) is not files.readdir(0)


def test_a_kept_listing_belongs_to_the_directory_not_to_its_path(
    tree: Path, rested: None
) -> None:
    files = HostFiles(str(tree), limit=8)
    below = files.open_dir(files.open_dir(0, b"dir"), b"below")
    (tree / "dir" / "below" / "old").touch()
    assert {entry[0] for entry in files.readdir(below)} == {b"old"}
    for number in range(20):  # its descriptor is closed
        (tree / str(number)).mkdir()
        files.open_dir(0, b"%d" % number)
    (tree / "dir" / "below").rename(tree / "moved")
    (tree / "dir" / "below").mkdir()
    with pytest.raises(ESTALE):
        files.readdir(below)
    (tree / "dir" / "below").rmdir()
    (tree / "dir" / "below").symlink_to(tree / "moved")
    with pytest.raises(Errno):
        files.readdir(below)


def test_listings_are_bounded(
    tree: Path, rested: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pygos.host.listings._LIMIT", 10)
    files = HostFiles(str(tree))
    handles = []
    for number in range(10):
        (tree / "dir" / str(number)).mkdir()
        (tree / "dir" / str(number) / "x").touch()
    top = files.open_dir(0, b"dir")
    handles = [files.open_dir(top, b"%d" % number) for number in range(10)]
    for handle in handles:
        files.readdir(handle)
    assert files._listings.count <= 10
    kept = files._listings.kept
    assert files._listings.count == sum(len(names) + 1 for _, names in kept.values())
    for handle in handles:
        files.close(handle)
    assert files._listings.count == 0
