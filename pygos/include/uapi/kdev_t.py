# SPDX-License-Identifier: Apache-2.0
"""Device numbers: linux/kdev_t.h and the encodings that stat(2) and mknod(2) use."""

from __future__ import annotations

from typing import Final

MINORBITS: Final = 20
MINORMASK: Final = (1 << MINORBITS) - 1


def makedev(major: int, minor: int) -> int:
    """The device number as user space sees it (st_dev, st_rdev, mknod(2)); 64 bits."""
    return (minor & 0xFF) | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | (major & ~0xFFF) << 32


def major(dev: int) -> int:
    """The major number of a device number of user space."""
    return dev >> 8 & 0xFFF | dev >> 32 & ~0xFFF


def minor(dev: int) -> int:
    """The minor number of a device number of user space."""
    return dev & 0xFF | dev >> 12 & 0xFFFFFF00
