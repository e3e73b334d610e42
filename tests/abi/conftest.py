# SPDX-License-Identifier: Apache-2.0
"""What the differential tests share: the compiled lister, a scratch directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.abi.harness import HERE, compile_c


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tools")


@pytest.fixture(scope="session")
def lister(tools: Path) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("not installed: gcc")
    return compile_c(HERE / "lister.c", tools / "lister", "-static")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    directory = tmp_path / "scratch"
    directory.mkdir()
    return directory
