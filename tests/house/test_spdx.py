# SPDX-License-Identifier: Apache-2.0
"""scripts/spdxcheck.py finds files without a licence tag and tags without a licence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TAG = "SPDX-License-" + "Identifier:"


def spdxcheck(*files: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/spdxcheck.py"), "--root", str(root), *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_files_of_the_tree_have_a_known_licence() -> None:
    result = spdxcheck()
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(
    "text",
    [
        f"# {TAG} Apache-2.0\n",
        f"#!/bin/sh\n# {TAG} Apache-2.0\n",
        f"/* {TAG} Apache-2.0 */\n",
        f"// {TAG} (Apache-2.0 OR Apache-2.0) AND Apache-2.0\n",
        f"<!-- {TAG} Apache-2.0 -->\n",
        f".. {TAG} Apache-2.0\n",
        "",
    ],
)
def test_good_tags(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    result = spdxcheck(path)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("print()\n", "1: no SPDX-License-Identifier"),
        (f"\n# {TAG} GPL-9.9\n", "2: no text for licence 'GPL-9.9' in LICENSES/"),
        (f"# {TAG} Apache-2.0 WITH pardon\n", "1: no text for exception 'pardon' in LICENSES/"),
        (f"# {TAG} Apache-2.0 AND\n", "1: the licence expression ends too early"),
        (f"# {TAG} (Apache-2.0\n", "1: missing )"),
        (f"# {TAG} Apache-2.0 MIT\n", "1: unexpected 'MIT' in the licence expression"),
    ],
)
def test_bad_tags_are_named_by_file_and_line(tmp_path: Path, text: str, finding: str) -> None:
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    result = spdxcheck(path)
    assert (result.returncode, result.stdout) == (1, f"{path}:{finding}\n")


def test_without_a_licence_text_the_tree_fails(tmp_path: Path) -> None:
    (tmp_path / "LICENSES").mkdir()
    assert spdxcheck(root=tmp_path).returncode == 1
