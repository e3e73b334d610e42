# SPDX-License-Identifier: Apache-2.0
"""Volumes: directories of the host that the owner gave to the machine for writing."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pygos.fs.attr import notify_change
from pygos.fs.hostfs import HostfsType
from pygos.fs.namespace import do_mount_internal
from pygos.fs.tmpfs import TmpfsType
from pygos.host.files import HostFiles
from pygos.host.files_rw import HostFilesRw
from pygos.include.errno import EEXIST, ENOENT, EPERM, EROFS, Errno
from pygos.include.linux.fs import ATTR_MODE, Iattr
from pygos.include.linux.mm_types import VM_READ, VM_WRITE
from pygos.include.uapi import fcntl as f
from pygos.include.uapi.fs import RENAME_EXCHANGE
from pygos.mm.mmap import do_mmap
from tests.fs.box import Box
from tests.fs.model import guest, native, native_tree, outcome


class VolumeBox(Box):
    """A tmpfs root with the host directory at /v."""

    def __init__(self, top: Path, flags: int = 0) -> None:
        super().__init__(TmpfsType())
        self.register(HostfsType())
        self.machine.host["volume0"] = HostFilesRw(str(top))
        self.mkdir(b"/v")
        do_mount_internal(self.machine, "hostfs", "volume0", self.path(b"/v"), flags)

    def later(self) -> None:
        self.machine.clock.now += 2_000_000_000  # type: ignore[attr-defined]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "vol/dir").mkdir(parents=True)
    (tmp_path / "vol/dir/file").write_bytes(b"hello world")
    (tmp_path / "secret").write_bytes(b"secret")
    return tmp_path / "vol"


@pytest.fixture
def box(top: Path) -> Iterator[VolumeBox]:
    box = VolumeBox(top)
    yield box
    box.machine.host["volume0"].close_all()


def test_writes_reach_the_host_at_once(box: VolumeBox, top: Path) -> None:
    assert box.read(b"/v/dir/file") == b"hello world"
    file = box.open(b"/v/dir/file", f.O_RDWR)
    box.pwrite(file, b"HELLO", 0)
    assert (top / "dir/file").read_bytes() == b"HELLO world"
    assert box.pread(file) == b"HELLO world"
    box.pwrite(file, b"!" * 5000, 11)
    assert file.f_inode.i_size == 5011
    assert (top / "dir/file").stat().st_size == 5011
    box.close(file)
    box.write(b"/v/new", b"x" * 300_000, 0o640)
    assert (top / "new").read_bytes() == b"x" * 300_000
    assert stat.S_IMODE((top / "new").stat().st_mode) == 0o640


def test_names(box: VolumeBox, top: Path) -> None:
    box.mkdir(b"/v/d", 0o750)
    box.symlink(b"dir/file", b"/v/link")
    box.link(b"/v/dir/file", b"/v/hard")
    assert box.read(b"/v/link") == b"hello world"
    assert os.readlink(top / "link") == "dir/file"
    assert (top / "hard").stat().st_nlink == box.stat(b"/v/hard").nlink == 2
    assert stat.S_IMODE((top / "d").stat().st_mode) == 0o750
    box.rename(b"/v/hard", b"/v/d/moved")
    box.unlink(b"/v/dir/file")
    assert box.read(b"/v/d/moved") == b"hello world"
    box.rename(b"/v/d", b"/v/dir", RENAME_EXCHANGE)
    assert sorted(os.listdir(top)) == ["d", "dir", "link"]
    assert box.read(b"/v/dir/moved") == b"hello world"
    with pytest.raises(EEXIST):
        box.mkdir(b"/v/dir")
    box.unlink(b"/v/dir/moved")
    box.rmdir(b"/v/dir")
    assert sorted(os.listdir(top)) == ["d", "link"]


def test_attributes(box: VolumeBox, top: Path) -> None:
    box.chmod(b"/v/dir/file", 0o600)
    box.truncate(b"/v/dir/file", 4)
    box.setattr(b"/v/dir", Iattr(0x20 | 0x100 | 0x10 | 0x80, atime=5_000, mtime=1_000_000_007))
    info = (top / "dir").stat()
    assert (info.st_atime_ns, info.st_mtime_ns) == (5_000, 1_000_000_007)
    assert (top / "dir/file").read_bytes() == b"hell"
    assert stat.S_IMODE((top / "dir/file").stat().st_mode) == 0o600
    box.truncate(b"/v/dir/file", 8)
    assert box.read(b"/v/dir/file") == b"hell\0\0\0\0"


def test_open_file_without_a_name(box: VolumeBox, top: Path) -> None:
    file = box.open(b"/v/dir/file", f.O_RDWR)
    box.unlink(b"/v/dir/file")
    box.write(b"/v/dir/file", b"another", 0o644)
    box.pwrite(file, b"J", 0)
    assert box.pread(file) == b"Jello world"
    notify_change(box.task, file.f_path.dentry, Iattr(ATTR_MODE, mode=0o600))
    assert (top / "dir/file").read_bytes() == b"another"
    assert stat.S_IMODE((top / "dir/file").stat().st_mode) == 0o644
    box.close(file)


def test_appends_do_not_overwrite_what_the_host_appended(box: VolumeBox, top: Path) -> None:
    file = box.open(b"/v/dir/file", f.O_WRONLY | f.O_APPEND)
    with (top / "dir/file").open("ab") as host:
        host.write(b" host")
    box.pwrite(file, b" guest", 11)
    assert (top / "dir/file").read_bytes() == b"hello world host guest"
    box.later()
    assert box.read(b"/v/dir/file") == b"hello world host guest"


def test_a_file_replaced_a_moment_ago_can_be_opened(box: VolumeBox, top: Path) -> None:
    """An editor on the host saves by renaming, and a build inside starts at once."""
    assert box.read(b"/v/dir/file") == b"hello world"
    (top / "dir/tmp").write_bytes(b"saved")
    os.replace(top / "dir/tmp", top / "dir/file")
    file = box.open(b"/v/dir/file", f.O_WRONLY | f.O_APPEND)
    box.pwrite(file, b"!", 0)
    box.close(file)
    assert (top / "dir/file").read_bytes() == b"saved!"
    box.later()
    assert box.read(b"/v/dir/file") == b"saved!"


def test_shared_mappings_are_written_back(box: VolumeBox, top: Path) -> None:
    file = box.open(b"/v/dir/file", f.O_RDWR)
    mm = box.task.mm
    assert mm is not None
    addr = do_mmap(mm, box.task, file, 0, 4096, VM_READ | VM_WRITE, 1, 0)
    mm.write(addr, b"MAPPED")
    file.f_op.fsync(box.task, file, False)
    assert (top / "dir/file").read_bytes() == b"MAPPEDworld"
    mm.write(addr, b"again.")
    file.f_op.release(file)
    assert (top / "dir/file").read_bytes() == b"again.world"
    assert (top / "dir/file").stat().st_size == 11


def test_what_would_be_dangerous_on_the_host_is_refused(box: VolumeBox, top: Path) -> None:
    for kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK):
        with pytest.raises(EPERM):
            box.mknod(b"/v/node", kind | 0o666, 0x103)
    with pytest.raises(EPERM):
        box.chmod(b"/v/dir/file", 0o4755)
    with pytest.raises(EPERM):
        box.chmod(b"/v/dir/file", 0o2755)
    box.write(b"/v/su", b"", 0o6755)
    assert stat.S_IMODE((top / "su").stat().st_mode) == 0o755


def test_t_fs_01_no_way_out_of_a_volume(box: VolumeBox, top: Path) -> None:
    secret = top.parent / "secret"
    box.symlink(bytes(secret), b"/v/abs")
    box.symlink(b"../secret", b"/v/rel")
    for name in (b"/v/abs", b"/v/rel"):
        with pytest.raises(ENOENT):
            box.open(name, f.O_RDWR)
    with pytest.raises(Errno):
        box.write(b"/v/abs", b"pwned")
    assert secret.read_bytes() == b"secret"
    # The host's own user swaps a directory for a link while it is in use.
    file = box.open(b"/v/dir/file", f.O_RDWR)
    os.rename(top / "dir", top / "old")
    (top / "dir").symlink_to(top.parent)
    box.later()
    for change in (
        lambda: box.write(b"/v/dir/secret", b"pwned"),
        lambda: box.unlink(b"/v/dir/secret"),
        lambda: box.chmod(b"/v/dir/secret", 0o777),
    ):
        with pytest.raises(Errno):
            change()
    box.pwrite(file, b"still", 0)
    assert secret.read_bytes() == b"secret"
    assert stat.S_IMODE(secret.stat().st_mode) != 0o777
    assert (top / "old/file").read_bytes() == b"still world"


def test_hidden_files_in_a_volume_cannot_be_touched(tmp_path: Path) -> None:
    (tmp_path / "root/.ssh").mkdir(parents=True)
    (tmp_path / "root/.ssh/id").write_bytes(b"key")
    (tmp_path / "root/other").write_bytes(b"")
    box = Box(TmpfsType(), host=HostFiles(str(tmp_path)))
    box.register(HostfsType())
    box.machine.host["volume0"] = HostFilesRw(str(tmp_path / "root"))
    box.mkdir(b"/v")
    do_mount_internal(box.machine, "hostfs", "volume0", box.path(b"/v"), 0)
    assert box.ls(b"/v") == [b"other"]
    for change in (
        lambda: box.mkdir(b"/v/.ssh"),
        lambda: box.write(b"/v/.ssh", b""),
        lambda: box.rename(b"/v/other", b"/v/.ssh"),
        lambda: box.symlink(b"/tmp", b"/v/.ssh"),
        lambda: box.unlink(b"/v/.ssh"),
        lambda: box.read(b"/v/.ssh/id"),
    ):
        with pytest.raises(Errno):
            change()
    assert (tmp_path / "root/.ssh/id").read_bytes() == b"key"


def test_read_only_volume(top: Path) -> None:
    box = VolumeBox(top, 1)
    with pytest.raises(EROFS):
        box.write(b"/v/dir/file", b"")
    with pytest.raises(EROFS):
        box.mkdir(b"/v/new")


def test_handles_survive_the_move_of_a_directory_above(top: Path) -> None:
    for number in range(40):
        (top / f"dir/sub{number}").mkdir()
        (top / f"dir/sub{number}/f").write_bytes(b"%d" % number)
    box = VolumeBox(top)
    box.machine.host["volume0"]._limit = 8
    assert box.read(b"/v/dir/sub3/f") == b"3"
    box.rename(b"/v/dir", b"/v/moved")
    for number in range(40):
        box.write(b"/v/moved/sub%d/g" % number, b"new")
        assert box.read(b"/v/moved/sub%d/f" % number) == b"%d" % number
    assert (top / "moved/sub39/g").read_bytes() == b"new"


_NAMES = st.sampled_from(["a", "a/b", "a/b/c", "d", "a/f", "d/f", "f", "g"])
_OPS = st.one_of(
    st.tuples(st.sampled_from(["mkdir", "rmdir", "unlink", "read", "list"]), _NAMES),
    st.tuples(st.sampled_from(["rename", "link"]), _NAMES, _NAMES),
    st.tuples(st.just("write"), _NAMES, st.binary(max_size=4)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_OPS, max_size=20))
def test_same_as_native(ops: list[tuple[Any, ...]]) -> None:
    where = Path(tempfile.mkdtemp())
    try:
        (where / "v").mkdir()
        (where / "copy").mkdir()
        box = VolumeBox(where / "v")
        for op in ops:
            inside = tuple(
                "v/" + part if place == 1 or (place and op[0] != "write") else part
                for place, part in enumerate(op)
            )
            assert outcome(guest, box, inside) == outcome(native, where / "copy", op), op
        assert native_tree(where / "v") == native_tree(where / "copy")
        box.machine.host["volume0"].close_all()
    finally:
        shutil.rmtree(where)
