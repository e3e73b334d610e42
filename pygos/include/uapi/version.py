# SPDX-License-Identifier: Apache-2.0
"""Which Linux this is: linux/version.h and the strings of uname(2)."""

from __future__ import annotations

from typing import Final

LINUX_VERSION_MAJOR: Final = 6
LINUX_VERSION_PATCHLEVEL: Final = 16
LINUX_VERSION_SUBLEVEL: Final = 0
LINUX_VERSION_CODE: Final = 6 << 16 | 16 << 8 | 0

UTS_SYSNAME: Final = "Linux"
UTS_RELEASE: Final = "6.16.0-pygos"
