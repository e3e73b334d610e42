# SPDX-License-Identifier: Apache-2.0
"""What stat(2) answers from bytes kept ready is what the inodes say, whatever happens."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pygos.fs.stat import pack_stat, stat_bytes
from pygos.include.errno import Errno
from pygos.include.linux.fs import Path as Place
from tests.fs.overlay_box import OverlayBox

NAMES = (b"/a", b"/b", b"/dir", b"/dir/c", b"/dir/d", b"/link", b"/new", b"/dir/sub")


def chmod(box: OverlayBox, one: bytes, other: bytes) -> None:
    box.chmod(one, 0o600)


def unlink(box: OverlayBox, one: bytes, other: bytes) -> None:
    box.unlink(one)


def rmdir(box: OverlayBox, one: bytes, other: bytes) -> None:
    box.rmdir(one)


def mkdir(box: OverlayBox, one: bytes, other: bytes) -> None:
    box.mkdir(one)


def write(box: OverlayBox, one: bytes, other: bytes) -> None:
    box.write(one, b"some text")


def link(box: OverlayBox, one: bytes, other: bytes) -> None:
    box.link(one, other)


def rename(box: OverlayBox, one: bytes, other: bytes) -> None:
    box.rename(one, other)


def wait(box: OverlayBox, one: bytes, other: bytes) -> None:
    box.machine.clock.now += 2_000_000_000  # type: ignore[attr-defined]


def host_write(box: OverlayBox, one: bytes, other: bytes) -> None:
    path = box.host_top + os.fsdecode(one)  # type: ignore[attr-defined]
    if os.path.isfile(path):
        with open(path, "ab") as file:
            file.write(b"more")


def host_chmod(box: OverlayBox, one: bytes, other: bytes) -> None:
    path = box.host_top + os.fsdecode(one)  # type: ignore[attr-defined]
    if os.path.exists(path):
        os.chmod(path, 0o700)


def host_replace(box: OverlayBox, one: bytes, other: bytes) -> None:
    path = box.host_top + os.fsdecode(one)  # type: ignore[attr-defined]
    if os.path.isfile(path) and not os.path.islink(path):
        os.unlink(path)
        Path(path).write_bytes(b"another")


OPERATIONS = (
    chmod, unlink, rmdir, mkdir, write, link, rename, wait, host_write, host_chmod, host_replace,
)  # fmt: skip
Step = tuple[Callable[[OverlayBox, bytes, bytes], None], bytes, bytes]


def check(box: OverlayBox) -> None:
    for name in NAMES:
        try:
            place = box.path(name)
        except Errno:
            continue
        for _ in range(2):
            try:
                shown = stat_bytes(box.task, place.mnt, place.dentry)
            except Errno:
                break  # gone from the host
            inode = place.dentry.d_inode
            assert inode is not None
            kept, inode.i_stat = inode.i_stat, None
            assert shown == pack_stat(box.task, Place(place.mnt, place.dentry), inode), name
            inode.i_stat = kept


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(OPERATIONS), st.sampled_from(NAMES), st.sampled_from(NAMES)),
        max_size=25,
    )
)
def test_kept_and_fresh_are_the_same(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as top:
        Path(top, "a").write_bytes(b"aaa")
        Path(top, "b").write_bytes(b"bb")
        Path(top, "dir").mkdir()
        Path(top, "dir", "c").write_bytes(b"c")
        os.link(Path(top, "a"), Path(top, "dir", "d"))
        Path(top, "link").symlink_to("a")
        box = OverlayBox(Path(top))
        box.host_top = top  # type: ignore[attr-defined]
        check(box)
        for operation, one, other in steps:
            try:
                operation(box, one, other)
            except Errno:
                pass
            check(box)
