# SPDX-License-Identifier: Apache-2.0
"""getrandom(2) and the ioctls of /dev/random: linux/random.h."""

from __future__ import annotations

from typing import Final

RNDGETENTCNT: Final = 0x80045200
RNDADDTOENTCNT: Final = 0x40045201
RNDGETPOOL: Final = 0x80085202
RNDADDENTROPY: Final = 0x40085203
RNDZAPENTCNT: Final = 0x5204
RNDCLEARPOOL: Final = 0x5206
RNDRESEEDCRNG: Final = 0x5207
GRND_NONBLOCK: Final = 0x0001
GRND_RANDOM: Final = 0x0002
GRND_INSECURE: Final = 0x0004
