# SPDX-License-Identifier: Apache-2.0
"""ramfs: tmpfs without limits (fs/ramfs)."""

from __future__ import annotations

from pygos.fs.tmpfs import RamfsType

__all__ = ["RamfsType"]
