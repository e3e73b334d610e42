# SPDX-License-Identifier: Apache-2.0
"""ioctls of namespace files: linux/nsfs.h."""

from __future__ import annotations

from typing import Final

NSIO: Final = 0xB7
NS_GET_USERNS: Final = 0xB701
NS_GET_PARENT: Final = 0xB702
NS_GET_NSTYPE: Final = 0xB703
NS_GET_OWNER_UID: Final = 0xB704
NS_GET_MNTNS_ID: Final = 0x8008B705
NS_GET_PID_FROM_PIDNS: Final = 0x8004B706
NS_GET_TGID_FROM_PIDNS: Final = 0x8004B707
NS_GET_PID_IN_PIDNS: Final = 0x8004B708
NS_GET_TGID_IN_PIDNS: Final = 0x8004B709
NS_MNT_GET_INFO: Final = 0x8010B70A
NS_MNT_GET_NEXT: Final = 0x8010B70B
NS_MNT_GET_PREV: Final = 0x8010B70C
#: Newer kernels' name for the 64-bit number of any namespace.
NS_GET_ID: Final = 0x8008B70D
MNT_NS_INFO_SIZE_VER0: Final = 16
