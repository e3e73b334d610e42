# SPDX-License-Identifier: Apache-2.0
"""How Sphinx builds the documentation; `make htmldocs` runs it with warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "Documentation" / "sphinx")]

import pygos  # noqa: E402

project = "pygos"
author = "the pygos developers"
copyright = "the pygos developers"
release = version = pygos.__version__

extensions = ["sphinx.ext.autodoc", "pygos_tables"]
exclude_patterns = ["_build", "sphinx"]
nitpicky = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
html_theme = "furo"
html_title = f"pygos {release}"
html_copy_source = False
highlight_language = "console"
