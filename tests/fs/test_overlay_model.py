# SPDX-License-Identifier: Apache-2.0
"""Random changes, made natively in a copy of a tree and in an overlay over it, end alike."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pygos.fs.dcache import shrink_dcache_sb
from pygos.include.errno import Errno
from tests.fs.overlay_box import OverlayBox, snapshot

_DIRS = ["a", "a/b", "a/b/c", "d", "d/e"]
_NAMES = [*_DIRS, "a/f", "a/b/f", "a/b/c/f", "d/f", "d/e/f", "f", "g", "a/g", "n", "d/n", "a/b/n"]
_PATH = st.sampled_from(_NAMES)
_OPS = st.one_of(
    st.tuples(st.sampled_from(["mkdir", "rmdir", "unlink", "read", "list", "chmod"]), _PATH),
    st.tuples(st.sampled_from(["rename", "link", "symlink"]), _PATH, _PATH),
    st.tuples(st.just("write"), _PATH, st.binary(max_size=4)),
    st.tuples(st.just("forget")),
)


def build(top: Path) -> None:
    for name in _DIRS:
        (top / name).mkdir(parents=True, exist_ok=True)
    for name in ("a/f", "a/b/f", "a/b/c/f", "d/f", "d/e/f", "f"):
        (top / name).write_bytes(name.encode())
    (top / "a/g").symlink_to("f")


def native(top: Path, op: tuple[Any, ...]) -> Any:
    path = str(top / op[1])
    match op[0]:
        case "mkdir":
            os.mkdir(path)
        case "rmdir":
            os.rmdir(path)
        case "unlink":
            os.unlink(path)
        case "read":
            return Path(path).read_bytes()
        case "list":
            return sorted(map(os.fsencode, os.listdir(path)))
        case "chmod":
            os.chmod(path, 0o755 if os.path.isdir(path) else 0o640)
        case "rename":
            os.rename(path, top / op[2])
        case "link":
            os.link(path, top / op[2], follow_symlinks=False)
        case "symlink":
            os.symlink(op[1], top / op[2])
        case "write":
            Path(path).write_bytes(op[2])
    return None


def guest(box: OverlayBox, op: tuple[Any, ...]) -> Any:
    path = b"/" + op[1].encode()
    match op[0]:
        case "mkdir":
            box.mkdir(path)
        case "rmdir":
            box.rmdir(path)
        case "unlink":
            box.unlink(path)
        case "read":
            return box.read(path)
        case "list":
            return box.ls(path)
        case "chmod":
            box.chmod(path, 0o755 if box.stat(path).mode & 0o040000 else 0o640)
        case "rename":
            box.rename(path, b"/" + op[2].encode())
        case "link":
            box.link(path, b"/" + op[2].encode())
        case "symlink":
            box.symlink(op[1].encode(), b"/" + op[2].encode())
        case "write":
            box.write(path, op[2])
    return None


def outcome(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except OSError as error:
        return error.errno
    except Errno as error:
        return error.errno


def native_tree(top: Path) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    for path in top.rglob("*"):
        name = b"/" + os.fsencode(path.relative_to(top))
        if path.is_symlink():
            found[name] = b"-> " + os.fsencode(os.readlink(path))
        else:
            found[name] = "dir" if path.is_dir() else path.read_bytes()
    return found


@settings(
    max_examples=120, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(_OPS, max_size=25))
def test_same_as_native(ops: list[tuple[Any, ...]]) -> None:
    where = Path(tempfile.mkdtemp())
    try:
        lower, copy = where / "lower", where / "copy"
        build(lower)
        build(copy)
        before = snapshot(lower)
        box = OverlayBox(lower, pages=512)
        for op in ops:
            if op[0] == "forget":
                shrink_dcache_sb(box.mnt.mnt_sb)
                continue
            assert outcome(guest, box, op) == outcome(native, copy, op), op
        assert box.tree() == native_tree(copy)
        shrink_dcache_sb(box.mnt.mnt_sb)
        assert box.tree() == native_tree(copy)
        assert snapshot(lower) == before
        box.machine.host["files"].close_all()
    finally:
        shutil.rmtree(where)
