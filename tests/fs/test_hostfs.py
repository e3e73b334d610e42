# SPDX-License-Identifier: Apache-2.0
"""hostfs: the host's files, read-only, and what must not be reached through it."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from pygos.fs.hostfs import HostfsType
from pygos.host.files import HostFiles
from pygos.include.errno import EACCES, ENOENT, ENOTDIR, EROFS, ESTALE, Errno
from pygos.include.uapi import fcntl as f
from tests.fs.box import Box


def make_box(top: Path, *hidden: str) -> Box:
    class Config:
        pass

    class Hosted(Box):
        def register(self, *fstypes: object) -> None:
            config = Config()
            config.hidden = hidden  # type: ignore[attr-defined]
            self.machine.config = config
            super().register(*fstypes)

    return Hosted(HostfsType(), host=HostFiles(str(top)))


def later(box: Box, ns: int = 2_000_000_000) -> None:
    """Let the time pass in which cached names are believed."""
    box.machine.clock.now += ns  # type: ignore[attr-defined]


def test_looks_like_the_host(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/file").write_bytes(b"x" * 10_000)
    (tmp_path / "link").symlink_to("dir/file")
    os.chmod(tmp_path / "dir/file", 0o640)
    box = make_box(tmp_path)
    native, seen = os.stat(tmp_path / "dir/file"), box.stat(b"/link")
    assert box.read(b"/link") == b"x" * 10_000
    assert box.readlink(b"/link") == b"dir/file"
    for name in ("mode", "ino", "nlink", "uid", "gid", "size", "blocks"):
        assert getattr(seen, name) == getattr(native, "st_" + name)
    assert seen.mtime == native.st_mtime_ns
    assert box.entries(b"/") == [
        (entry.name.encode(), entry.inode(), 4 if entry.is_dir() else 10)
        for entry in os.scandir(tmp_path)
    ]
    assert box.ls(b"/dir") == [b"file"]


def test_nothing_can_be_changed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "dir").mkdir()
    box = make_box(tmp_path)
    for change in (
        lambda: box.write(b"/file", b"new"),
        lambda: box.write(b"/other", b"new"),
        lambda: box.unlink(b"/file"),
        lambda: box.mkdir(b"/dir/sub"),
        lambda: box.rmdir(b"/dir"),
        lambda: box.rename(b"/file", b"/other"),
        lambda: box.symlink(b"a", b"/b"),
        lambda: box.open(b"/file", f.O_RDWR),
    ):
        with pytest.raises(EROFS):
            change()
    assert (tmp_path / "file").read_bytes() == b"old"


def test_hard_links_are_one_inode(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"data")
    os.link(tmp_path / "one", tmp_path / "two")
    box = make_box(tmp_path)
    assert box.path(b"/one").inode is box.path(b"/two").inode
    assert box.stat(b"/one").nlink == 2


def test_changes_on_the_host_are_seen(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    box = make_box(tmp_path)
    assert box.read(b"/file") == b"old"
    assert not box.exists(b"/new")
    (tmp_path / "file").write_bytes(b"newer")
    (tmp_path / "new").write_bytes(b"")
    later(box)
    assert box.read(b"/file") == b"newer"
    assert box.exists(b"/new")
    os.replace(tmp_path / "new", tmp_path / "file")
    later(box)
    assert box.read(b"/file") == b""
    os.unlink(tmp_path / "file")
    later(box)
    assert not box.exists(b"/file")


def test_a_cached_name_is_not_asked_for_again_within_a_second(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    box = make_box(tmp_path)
    box.stat(b"/file")
    os.unlink(tmp_path / "file")
    assert box.exists(b"/file")


def test_t_fs_01_links_cannot_leave_the_root(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "abs").symlink_to(secret)
    (root / "rel").symlink_to("../secret")
    (root / "a/b/up").symlink_to("../../../../../../" + str(secret))
    (root / "dots").symlink_to("../" * 30)
    (root / "loop").symlink_to("loop")
    box = make_box(root)
    for name in (b"/abs", b"/rel", b"/a/b/up", b"/../secret", b"/a/../../secret", b"/dots/secret"):
        with pytest.raises(ENOENT):
            box.path(name)
    assert box.path(b"/dots").same(box.path(b"/"))
    assert box.path(b"/../..").same(box.path(b"/"))


def test_t_fs_01_a_directory_swapped_for_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"secret")
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "dir/file").write_bytes(b"mine")
    box = make_box(root)
    assert box.ls(b"/") == [b"dir"]
    box.stat(b"/dir")
    os.rename(root / "dir", root / "old")
    (root / "dir").symlink_to(outside)
    with pytest.raises((ESTALE, ENOENT, ENOTDIR)):
        box.read(b"/dir/file")
    later(box)
    with pytest.raises(ENOENT):
        box.read(b"/dir/file")


def test_t_fs_01_an_open_directory_moved_away_does_not_lead_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "in/deep").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    box = make_box(root)
    box.task.fs.pwd = box.path(b"/in/deep")
    os.rename(root / "in/deep", tmp_path / "deep")
    for name in (b"../secret", b"../../secret", b"../../../secret"):
        with pytest.raises(Errno):
            box.read(name)


def test_t_fs_03_special_files_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o666)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "sock"))
    box = make_box(tmp_path)
    for name, kind in ((b"/fifo", stat.S_IFIFO), (b"/sock", stat.S_IFSOCK)):
        assert stat.S_IFMT(box.lstat(name).mode) == kind
        for flags in (f.O_RDONLY, f.O_RDWR, f.O_WRONLY, f.O_RDONLY | f.O_NONBLOCK):
            with pytest.raises(EACCES):  # and it doesn't block
                box.open(name, flags)
        box.close(box.open(name, f.O_PATH))
    server.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a device")
def test_t_fs_03_devices_are_never_opened(tmp_path: Path) -> None:
    os.mknod(tmp_path / "mem", stat.S_IFCHR | 0o666, os.makedev(1, 1))
    box = make_box(tmp_path)
    assert box.stat(b"/mem").rdev == os.makedev(1, 1)
    with pytest.raises(EACCES):
        box.open(b"/mem")


def test_t_fs_03_setuid_means_nothing(tmp_path: Path) -> None:
    (tmp_path / "su").write_bytes(b"")
    os.chmod(tmp_path / "su", 0o6755)
    (tmp_path / "dir").mkdir()
    os.chmod(tmp_path / "dir", 0o2775)
    box = make_box(tmp_path)
    assert box.stat(b"/su").mode == stat.S_IFREG | 0o755
    assert box.stat(b"/dir").mode == stat.S_IFDIR | 0o2775


def secrets_tree(top: Path) -> None:
    for name in ("root/.ssh/id_rsa", "home/joe/.aws/credentials", "srv/ann/.netrc",
                 "home/joe/.config/gh/hosts.yml", "home/joe/.config/app/settings",
                 "etc/shadow", "proc/1/environ", "dev/sda", "run/user/1000/bus",
                 "run/docker.sock", "home/joe/.bashrc"):  # fmt: skip
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"secret")
    (top / "etc/passwd").write_text(
        "root:x:0:0::/root:/bin/sh\nann:x:1001:1001::/srv/ann:/bin/sh\nbad line\n"
    )


def test_t_fs_04_secrets_look_absent(tmp_path: Path) -> None:
    secrets_tree(tmp_path)
    box = make_box(tmp_path)
    for name in (b"/root/.ssh", b"/root/.ssh/id_rsa", b"/home/joe/.aws/credentials",
                 b"/srv/ann/.netrc", b"/home/joe/.config/gh", b"/etc/shadow",
                 b"/run/docker.sock"):  # fmt: skip
        with pytest.raises(ENOENT):
            box.path(name)
    assert box.ls(b"/root") == []
    assert box.ls(b"/etc") == [b"passwd"]
    assert box.ls(b"/home/joe") == [b".bashrc", b".config"]
    assert box.tree(b"/home/joe/.config") == {
        b"/home/joe/.config/app": "dir", b"/home/joe/.config/app/settings": b"secret",
    }  # fmt: skip
    for name in (b"/proc", b"/dev", b"/run/user"):
        assert box.ls(name) == []
    with pytest.raises(ENOENT):
        box.path(b"/dev/sda")


def test_t_fs_04_other_ways_to_a_secret_are_closed(tmp_path: Path) -> None:
    secrets_tree(tmp_path)
    os.link(tmp_path / "etc/shadow", tmp_path / "etc/notes")
    (tmp_path / "data/keys").mkdir(parents=True)
    (tmp_path / "data/keys/id_ed25519").write_bytes(b"secret")
    (tmp_path / "home/eve").mkdir()
    (tmp_path / "home/eve/.ssh").symlink_to("/data/keys")
    (tmp_path / "etc/passwd").write_text("eve:x:5:5::/home/eve:/bin/sh\n")
    (tmp_path / "alias").symlink_to("root")
    box = make_box(tmp_path)
    for name in (b"/etc/notes", b"/data/keys", b"/data/keys/id_ed25519", b"/home/eve/.ssh",
                 b"/alias/.ssh"):  # fmt: skip
        with pytest.raises(ENOENT):
            box.path(name)
    assert box.ls(b"/data") == []


def test_t_fs_04_a_secret_made_later_is_hidden_too(tmp_path: Path) -> None:
    (tmp_path / "home/new").mkdir(parents=True)
    box = make_box(tmp_path)
    assert box.ls(b"/home/new") == []
    (tmp_path / "home/new/.ssh").mkdir()
    (tmp_path / "home/new/.ssh/id").write_bytes(b"secret")
    later(box)
    assert box.ls(b"/home/new") == []
    assert not box.exists(b"/home/new/.ssh")


def test_more_paths_can_be_hidden(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/c").mkdir()
    box = make_box(tmp_path, "/a/b")
    assert box.ls(b"/a") == [b"c"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_are_eacces_even_for_the_guests_root(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.chmod(tmp_path / "file", 0)
    box = make_box(tmp_path)
    with pytest.raises(EACCES):
        box.open(b"/file")


def test_file_that_grew_shows_no_bytes_beyond_its_size(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    box = make_box(tmp_path)
    file = box.open(b"/file")
    (tmp_path / "file").write_bytes(b"y" * 200)
    assert box.pread(file) == b"y" * 100
    mapping = file.f_inode.i_mapping
    assert mapping is not None
    pfn = mapping.pages[0]
    assert bytes(box.machine.zone.mem[(pfn << 12) + 100 : (pfn + 1) << 12]) == bytes(3996)


def test_large_directories_are_listed_in_pieces(tmp_path: Path) -> None:
    names = sorted(b"file%05d" % n for n in range(3000))
    for name in names:
        (tmp_path / name.decode()).touch()
    box = make_box(tmp_path)
    assert sorted(entry[0] for entry in box.entries(b"/", room=1000)) == names


def test_user_attributes_show_and_security_ones_do_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    try:
        os.setxattr(tmp_path / "file", "user.note", b"hi")
    except OSError:
        pytest.skip("no user xattrs here")
    box = make_box(tmp_path)
    assert box.listxattr(b"/file") == [b"user.note"]
    assert box.getxattr(b"/file", b"user.note") == b"hi"


def test_t_fs_04_a_root_of_ones_own_still_hides_the_hosts_secrets(tmp_path: Path) -> None:
    secrets_tree(tmp_path)
    (tmp_path / "home/joe/etc").mkdir()
    (tmp_path / "home/joe/etc/shadow").write_bytes(b"of a root file system")
    (tmp_path / "etc/passwd").write_text("joe:x:5:5::/home/joe:/bin/sh\n")

    class Rooted(Box):
        def register(self, *fstypes: object) -> None:
            self.machine.host["host"] = HostFiles(str(tmp_path))
            super().register(*fstypes)

    box = Rooted(HostfsType(), host=HostFiles(str(tmp_path / "home/joe")))
    assert box.ls(b"/") == [b".bashrc", b".config", b"etc"]
    assert box.ls(b"/.config") == [b"app"]
    assert box.read(b"/etc/shadow") == b"of a root file system"
