# SPDX-License-Identifier: Apache-2.0
"""The documentation builds without a warning, and its tables are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("html")
    build = subprocess.run(
        [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "-d",
         str(target / "doctrees"), str(ROOT / "Documentation"), str(target)],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert (build.returncode, build.stderr) == (0, "")
    return target


def test_every_system_call_is_in_the_table(html: Path) -> None:
    from pygos.arch.x86.entry.syscall_64 import SYSCALLS

    text = re.sub(r"<[^>]+>", "", (html / "syscalls.html").read_text(encoding="utf-8"))
    for _, name in SYSCALLS:
        assert re.search(rf"\b{re.escape(name)}\b", text), name
    assert "ENOSYS" in text


def test_the_security_page_says_what_is_open(html: Path) -> None:
    text = (html / "security.html").read_text(encoding="utf-8")
    assert "T-CONF-04" in text
    assert "tests/house/test_layers.py" in text
    assert "open" in text


def test_the_api_page_shows_the_public_names(html: Path) -> None:
    text = (html / "api.html").read_text(encoding="utf-8")
    for name in ("Machine", "Result", "PygosError", "TimeoutExpired"):
        assert f'id="pygos.{name}"' in text
