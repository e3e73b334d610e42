# SPDX-License-Identifier: Apache-2.0
"""sysfs: as much of it as programs ask: CPUs, memory nodes, the places for other mounts.

The tree is in tree.py, as functions (fs/synthetic.py); it is loaded at the first use.
"""

from __future__ import annotations

from pygos.fs.sysfs.mount import SysfsType

__all__ = ["SysfsType"]
