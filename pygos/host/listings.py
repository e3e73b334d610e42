# SPDX-License-Identifier: Apache-2.0
"""Listings of the host's directories, kept as long as the directories don't change.

A directory's times change with every name in it, so one stat(2) tells whether a listing still
holds. Two precautions: a directory changed in the last seconds could change again within the
same tick of its file system's clock, so it isn't kept; and only local file systems, whose
times are exact, are trusted.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pygos.include.linux.fs import Listing

#: How long a directory must have rested before its listing is kept, ns.
_REST: Final = 2_000_000_000
#: How many entries are kept in all.
_LIMIT: Final = 100_000
#: statfs types of local file systems (linux/magic.h): ext4 xfs btrfs tmpfs overlayfs f2fs
#: squashfs erofs zfs ramfs bcachefs.
EXACT: Final = frozenset((
    0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0x794C7630, 0xF2F52010, 0x73717368, 0xE0F5E1E2,
    0x2FC12FC1, 0x858458F6, 0xCA451A4E,
))  # fmt: skip

Stamp = tuple[int, int, int, int]


def stamp(st: os.stat_result) -> Stamp:
    """What changes when a directory's names do, or when it is another directory."""
    return st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_dev


class Listings:
    """The listings of one tree by handle; the longest unused go first."""

    __slots__ = ("count", "kept")

    def __init__(self) -> None:
        self.kept: dict[int, tuple[Stamp, Listing]] = {}
        self.count = 0

    def find(self, handle: int, root: int, fd: int | None, path: bytes) -> Listing | None:
        """The listing of a directory, given by descriptor or by path from `root`, if it is
        kept and still right."""
        found = self.kept.get(handle)
        if found is None:
            return None
        try:
            if fd is not None:
                now = os.stat(fd)
            else:
                now = os.stat(path, dir_fd=root, follow_symlinks=False)
        except OSError:
            return None
        if stamp(now) != found[0]:
            self.forget(handle)
            return None
        return found[1]

    def keep(self, handle: int, before: os.stat_result, listing: Listing) -> None:
        """A listing was read after `before` was the directory's state."""
        self.forget(handle)
        rested = time.time_ns() - max(before.st_mtime_ns, before.st_ctime_ns)
        if rested < _REST:
            return
        kept = self.kept
        kept[handle] = stamp(before), listing
        self.count += len(listing) + 1
        while self.count > _LIMIT:
            self.forget(next(iter(kept)))

    def forget(self, handle: int) -> None:
        """The handle is closed, or its directory has changed."""
        found = self.kept.pop(handle, None)
        if found is not None:
            self.count -= len(found[1]) + 1
