# SPDX-License-Identifier: Apache-2.0
"""The layer law of the house is checked, and the check bites (T-CONF-04)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "include",
    "lib",
    "mm",
    "kernel",
    "fs",
    "drivers",
    "init",
    "ipc",
    "net",
    "cli",
    "host",
    "arch/x86",
    "arch/um",
)


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=directory,
        env={"PYTHONPATH": str(directory), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """An empty house with the project's own contracts."""
    for room in ROOMS:
        folder = tmp_path / "pygos" / room
        folder.mkdir(parents=True)
        for place in (folder, *folder.parents):
            if place == tmp_path:
                break
            (place / "__init__.py").touch()
    (tmp_path / "pygos" / "_api.py").touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_an_empty_house_keeps_the_law(house: Path) -> None:
    result = lint_imports(house)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("mm/fault.py", "import pygos.fs", "Layers point one way"),
        ("include/errno.py", "import pygos.lib", "Layers point one way"),
        ("lib/xarray.py", "import pygos.kernel", "Layers point one way"),
        ("kernel/exit.py", "import pygos.fs", "Layers point one way"),
        ("fs/open.py", "import pygos.drivers", "Layers point one way"),
        ("init/main.py", "import pygos.cli", "Layers point one way"),
        ("fs/open.py", "import pygos.host", "Only the boot code"),
        ("drivers/tty.py", "import pygos.arch.um", "Only the boot code"),
        ("host/files.py", "import pygos.fs", "know nothing of the kernel"),
        ("kernel/exit.py", "import os", "nothing that reaches the host"),
        ("fs/open.py", "import os.path", "nothing that reaches the host"),
        ("mm/fault.py", "from ctypes import c_int", "nothing that reaches the host"),
        ("drivers/tty.py", "def f():\n    import termios", "nothing that reaches the host"),
        ("kernel/time.py", "import time", "nothing that reaches the host"),
    ],
)
def test_a_forbidden_import_is_found(house: Path, module: str, line: str, contract: str) -> None:
    (house / "pygos" / module).write_text(line + "\n", encoding="utf-8")
    result = lint_imports(house)
    assert result.returncode == 1, result.stdout
    broken = [text for text in result.stdout.splitlines() if text.endswith("BROKEN")]
    assert len(broken) == 1, broken
    assert contract in broken[0]


def test_type_checking_imports_may_point_upwards(house: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pygos.fs\n"
    (house / "pygos" / "mm" / "fault.py").write_text(text, encoding="utf-8")
    assert lint_imports(house).returncode == 0


def test_the_host_may_import_what_reaches_the_host(house: Path) -> None:
    text = "import ctypes\nimport os\nimport pygos.include\n"
    (house / "pygos" / "host" / "files.py").write_text(text, encoding="utf-8")
    assert lint_imports(house).returncode == 0
