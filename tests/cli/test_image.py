# SPDX-License-Identifier: Apache-2.0
"""The boot image: made by a cold start, used by the next, never trusted longer than its sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.boots
SCRIPT = "import sys; from pygos.cli.main import main; sys.exit(main())"
ROOT = Path(__file__).parents[2]


class Package:
    """A copy of the package, run by cold starts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT / "pygos", root / "pygos", ignore=shutil.ignore_patterns("*.image"))

    def run(self, *words: str, write: bool = True) -> str:
        env = {**os.environ, "PYTHONPATH": str(self.root)}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        if not write:
            env["PYTHONDONTWRITEBYTECODE"] = "1"
        command = [sys.executable, "-P", "-c", SCRIPT, "run", "--no-daemon", *words]
        done = subprocess.run(command, env=env, capture_output=True, check=False, text=True)
        assert done.returncode == 0, done
        return done.stdout + done.stderr

    @property
    def image(self) -> Path:
        (image,) = (self.root / "pygos" / "__pycache__").glob("boot.*.image")
        return image


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    package = Package(tmp_path_factory.mktemp("package"))
    assert package.run("echo", "hi") == "hi\n"
    return package


def test_the_second_start_uses_it_and_leaves_it(package: Package) -> None:
    before = package.image.stat()
    assert before.st_mode & 0o777 == 0o644
    assert package.run("echo", "hi") == "hi\n"
    assert package.image.stat().st_ino == before.st_ino


def test_what_other_programs_needed_is_kept(package: Package) -> None:
    """Programs of two kinds, in turn: the image grows once for each and then stays."""
    needs = "import mmap, select, socket, os; socket.socketpair(); select.epoll(); os.sync()"
    needs += "; os.memfd_create('x'); os.eventfd(0); os.sysconf('SC_AVPHYS_PAGES')"
    for command in (("/usr/bin/python3", "-c", needs), ("echo",)):
        package.run(*command)
    settled = package.image.stat()
    for command in (("/usr/bin/python3", "-c", needs), ("echo",)):
        package.run(*command)
    assert package.image.stat().st_ino == settled.st_ino


def test_a_changed_source_is_what_runs(package: Package) -> None:
    old = package.image.stat().st_ino
    source = package.root / "pygos" / "include" / "uapi" / "version.py"
    source.write_text(source.read_text() + 'UTS_RELEASE = "9.8.7-changed"\n')
    assert package.run("uname", "-r") == "9.8.7-changed\n"
    new = package.image.stat().st_ino
    assert new != old
    assert package.run("uname", "-r") == "9.8.7-changed\n"
    assert package.image.stat().st_ino == new


@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_a_damaged_one_is_ignored(package: Package, damage: str) -> None:
    whole = package.image.read_bytes()
    texts = {"empty": b"", "cut": whole[: len(whole) // 2], "text": b"no image\n" * 1000}
    package.image.write_bytes(texts[damage])
    assert package.run("echo", "hi") == "hi\n"
    assert package.image.read_bytes()[:19] == whole[:19]


def test_it_is_not_written_where_python_must_not_write(tmp_path: Path) -> None:
    package = Package(tmp_path)
    assert package.run("echo", "hi", write=False) == "hi\n"
    assert not list(tmp_path.glob("pygos/__pycache__/boot.*"))
