# SPDX-License-Identifier: Apache-2.0
"""memfd_create(2): linux/memfd.h."""

from __future__ import annotations

from typing import Final

MFD_CLOEXEC: Final = 0x0001
MFD_ALLOW_SEALING: Final = 0x0002
MFD_HUGETLB: Final = 0x0004
MFD_NOEXEC_SEAL: Final = 0x8
MFD_EXEC: Final = 0x10
MFD_HUGE_SHIFT: Final = 26
MFD_HUGE_MASK: Final = 0x3F
MFD_NAME_MAX_LEN: Final = 249
