# SPDX-License-Identifier: Apache-2.0
"""Random changes, made natively in a copy of a tree and in an overlay over it, end alike."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pygos.fs.dcache import shrink_dcache_sb
from tests.fs.model import guest, native, native_tree, outcome
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
