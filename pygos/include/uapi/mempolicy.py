# SPDX-License-Identifier: Apache-2.0
"""NUMA policies: linux/mempolicy.h."""

from __future__ import annotations

from typing import Final

MPOL_DEFAULT: Final = 0
MPOL_PREFERRED: Final = 1
MPOL_BIND: Final = 2
MPOL_INTERLEAVE: Final = 3
MPOL_LOCAL: Final = 4
MPOL_PREFERRED_MANY: Final = 5
MPOL_F_STATIC_NODES: Final = 1 << 15
MPOL_F_RELATIVE_NODES: Final = 1 << 14
MPOL_F_NUMA_BALANCING: Final = 1 << 13
MPOL_MODE_FLAGS: Final = 57344
MPOL_F_NODE: Final = 1 << 0
MPOL_F_ADDR: Final = 1 << 1
MPOL_F_MEMS_ALLOWED: Final = 1 << 2
MPOL_MF_STRICT: Final = 1 << 0
MPOL_MF_MOVE: Final = 1 << 1
MPOL_MF_MOVE_ALL: Final = 1 << 2
MPOL_MF_LAZY: Final = 1 << 3
MPOL_MF_INTERNAL: Final = 1 << 4
MPOL_MF_VALID: Final = 7
MPOL_F_SHARED: Final = 1 << 0
MPOL_F_MOF: Final = 1 << 3
MPOL_F_MORON: Final = 1 << 4
