# SPDX-License-Identifier: Apache-2.0
"""The short way of open(2) does what the long one does."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pygos.fs.file_table import close_fd
from pygos.fs.hostfs import HostfsType
from pygos.fs.open import build_open_flags, do_sys_open, openat
from pygos.fs.open_plain import PLAIN
from pygos.host.files import HostFiles
from pygos.include.errno import ENOENT, Errno
from pygos.include.uapi import fcntl as f
from tests.fs.box import Box
from tests.fs.overlay_box import OverlayBox

NAMES = (
    b"", b"/", b".", b"..", b"/file", b"file/", b"/file/x", b"/private", b"/dir", b"dir/",
    b"dir/../file", b"/locked/x", b"/link", b"/link/", b"/dirlink", b"/dirlink/in", b"/dangling",
    b"/loop", b"/fifo", b"/nothing", b"nothing/x", b"/upper", b"/" + b"n" * 300,
)  # fmt: skip
#: Bits of PLAIN, and some that are not.
BITS = (
    f.O_CLOEXEC, f.O_DIRECTORY, f.O_LARGEFILE, f.O_NOCTTY, f.O_NOFOLLOW, f.O_NONBLOCK, f.O_PATH,
    f.O_NOATIME, f.O_APPEND, f.O_WRONLY, 1 << 27,
)  # fmt: skip


def make_box(top: Path) -> OverlayBox:
    (top / "file").write_bytes(b"text")
    (top / "private").write_bytes(b"text")
    (top / "private").chmod(0o600)
    (top / "dir").mkdir()
    (top / "dir" / "in").write_bytes(b"")
    (top / "locked").mkdir()
    (top / "locked").chmod(0o700)
    (top / "link").symlink_to("file")
    (top / "dirlink").symlink_to("dir")
    (top / "dangling").symlink_to("nowhere")
    (top / "loop").symlink_to("loop")
    os.mkfifo(top / "fifo")
    box = OverlayBox(top)
    box.write(b"/upper", b"above")
    return box


def told(box: Box, fd: int) -> object:
    """All that an open leaves behind; it is closed again."""
    if fd < 0:
        return fd
    files = box.task.files
    file = files.fd[fd]
    seen = (
        fd, file.f_inode, file.f_path.mnt, file.f_path.dentry, file.f_flags, file.f_mode,
        file.f_count, file.f_inode.i_count, file.f_op, fd in files.close_on_exec, files.next_fd,
        box.machine.nr_files,
    )  # fmt: skip
    close_fd(box.task, fd)
    return (*seen, box.machine.nr_files, files.next_fd, sorted(files.fd))


def short(box: Box, name: bytes, flags: int) -> object:
    try:
        return told(box, openat(box.task, f.AT_FDCWD, name, flags, 0))
    except Errno as error:
        return -error.errno


def long(box: Box, name: bytes, flags: int) -> object:
    try:
        kept, mode = build_open_flags(flags, 0, False)
        return told(box, do_sys_open(box.task, f.AT_FDCWD, name, kept, mode))
    except Errno as error:
        return -error.errno


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMES), st.sets(st.sampled_from(BITS)), st.booleans(), st.integers(0, 3))
def test_both_ways_are_one(name: bytes, bits: set[int], user: bool, used: int) -> None:
    flags = sum(bits)
    with tempfile.TemporaryDirectory() as directory:
        box = make_box(Path(directory))
        for _ in range(used):
            openat(box.task, f.AT_FDCWD, b"/file", 0, 0)
        if user:
            box.become(1000, 1000)
        if name == b"/fifo" and not bits & {f.O_PATH, f.O_DIRECTORY}:
            flags |= f.O_NONBLOCK  # it would sleep
        assert short(box, name, flags) == long(box, name, flags)


def test_the_limit_of_descriptors(tmp_path: Path) -> None:
    box = make_box(tmp_path)
    box.task.group.rlim[7] = (1, 1)
    assert isinstance(short(box, b"/file", PLAIN & f.O_CLOEXEC), tuple)
    openat(box.task, f.AT_FDCWD, b"/file", 0, 0)
    for name in (b"/file", b"/nothing", b""):
        assert short(box, name, 0) == long(box, name, 0) == -24


def test_a_replaced_file_is_looked_up_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    box = Box(HostfsType(), host=HostFiles(str(tmp_path)))
    box.stat(b"/file")
    (tmp_path / "new").write_bytes(b"another")
    os.replace(tmp_path / "new", tmp_path / "file")
    fd = openat(box.task, f.AT_FDCWD, b"/file", 0, 0)
    assert box.task.files.fd[fd].f_inode.i_size == 7
    os.unlink(tmp_path / "file")
    box.machine.clock.now += 2_000_000_000  # type: ignore[attr-defined]
    assert short(box, b"/file", 0) == -ENOENT.errno
