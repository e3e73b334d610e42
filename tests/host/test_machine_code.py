# SPDX-License-Identifier: Apache-2.0
"""The committed machine code is what the listings say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ASSEMBLE = Path(__file__).resolve().parents[2] / "tools" / "um" / "assemble.py"


@pytest.mark.skipif(shutil.which("as") is None, reason="needs GNU as")
def test_listings_assemble_to_the_committed_bytes() -> None:
    done = subprocess.run([sys.executable, str(ASSEMBLE), "--check"], check=False)
    assert done.returncode == 0, "run tools/um/assemble.py"
