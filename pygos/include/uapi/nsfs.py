# SPDX-License-Identifier: Apache-2.0
"""ioctls of namespace files: linux/nsfs.h."""

from __future__ import annotations

from typing import Final

NSIO: Final = 0xB7
NS_GET_USERNS: Final = 0xB701
NS_GET_PARENT: Final = 0xB702
NS_GET_NSTYPE: Final = 0xB703
NS_GET_OWNER_UID: Final = 0xB704
