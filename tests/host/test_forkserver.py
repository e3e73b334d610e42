# SPDX-License-Identifier: Apache-2.0
"""What the daemon asks of the host: changed files, memory of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pygos.host import forkserver
from pygos.host.forkserver import FileWatch, own_memory


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name in ("a/one.py", "b/two.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("pass\n")
        os.utime(tmp_path / name, (1, 1))
    return [tmp_path / "a/one.py", tmp_path / "b/two.py"]


@pytest.mark.parametrize("notices", [True, False], ids=["inotify", "no inotify"])
def test_a_changed_file_is_noticed(
    files: list[Path], notices: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not notices:
        monkeypatch.setattr(FileWatch, "_watch", staticmethod(lambda directories: -1))
    watch = FileWatch([str(file) for file in files])
    assert not watch.changed()
    (files[0].parent / "other").write_text("of no interest")
    assert not watch.changed()
    files[1].write_text("changed\n")
    assert watch.changed()
    assert watch.look()
    watch.close()


def test_a_removed_or_replaced_file_is_noticed(files: list[Path]) -> None:
    watch = FileWatch([str(file) for file in files])
    files[0].unlink()
    assert watch.changed()
    watch.close()
    watch = FileWatch([str(files[1])])
    new = files[1].with_name("new")
    new.write_text("pass\n")
    new.rename(files[1])
    assert watch.changed()
    watch.close()


def private_kib() -> int:
    text = Path("/proc/self/smaps_rollup").read_text()
    return int(text.split("Private_Dirty:")[1].split()[0])


def test_a_child_gets_memory_of_its_own() -> None:
    before = bytearray(os.urandom(4 << 20))
    pid = os.fork()
    if pid == 0:
        shared = private_kib()
        own_memory()
        os._exit(0 if private_kib() > shared + 3000 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(before) == 4 << 20


def test_reservations_and_stacks_are_left_alone() -> None:
    areas = forkserver._private_areas()
    assert areas
    assert all(0 < end - start <= 64 << 20 for start, end in areas)
