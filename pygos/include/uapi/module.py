# SPDX-License-Identifier: Apache-2.0
"""Kernel modules: linux/module.h."""

from __future__ import annotations

from typing import Final

MODULE_INIT_IGNORE_MODVERSIONS: Final = 1
MODULE_INIT_IGNORE_VERMAGIC: Final = 2
MODULE_INIT_COMPRESSED_FILE: Final = 4
