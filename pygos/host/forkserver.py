# SPDX-License-Identifier: Apache-2.0
"""What a process that others are forked from asks of the host: are its files still what it has
loaded, and can a child have its memory to itself before it is in a hurry?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from pygos.host import libc

_NR_MADVISE: Final = 28
_NR_INOTIFY_ADD_WATCH: Final = 254
_NR_INOTIFY_INIT1: Final = 294
#: Modified, attributes, moved from or to, created, deleted; the directory itself deleted, moved.
_EVENTS: Final = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
_MADV_POPULATE_WRITE: Final = 23
#: Larger areas are reservations.
_AREA_MAX: Final = 64 << 20


class FileWatch:
    """Tells whether some files have changed. Looking at hundreds takes milliseconds, so the host
    is asked to say when there is a reason to look."""

    __slots__ = ("_fd", "_times")

    def __init__(self, paths: Iterable[str]) -> None:
        self._fd = self._watch({os.path.dirname(path) for path in paths})
        self._times = _times(paths)

    @staticmethod
    def _watch(directories: set[str]) -> int:
        """An inotify descriptor; -1 if the host gives us none."""
        try:
            fd = libc.syscall(_NR_INOTIFY_INIT1, os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return -1
        try:
            for directory in directories:
                libc.syscall(_NR_INOTIFY_ADD_WATCH, fd, os.fsencode(directory), _EVENTS)
        except OSError:
            os.close(fd)
            return -1
        return fd

    def changed(self) -> bool:
        """Has a file changed, as far as the host has noticed?"""
        if self._fd >= 0:
            try:
                os.read(self._fd, 65536)
            except BlockingIOError:
                return False
        return self.look()

    def look(self) -> bool:
        """Has a file changed? Reads the times of all; also for hosts that notice nothing."""
        return _times(self._times) != self._times

    def close(self) -> None:
        """Stop watching."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _times(paths: Iterable[str]) -> dict[str, int]:
    """When each was last changed, ns; -1: it is gone."""
    times = {}
    for path in paths:
        try:
            times[path] = os.stat(path).st_mtime_ns
        except OSError:
            times[path] = -1
    return times


def own_memory() -> None:
    """Copy all pages that this process still shares with the one it was forked from.

    It would do so anyway, page by page, when it first writes to each.
    """
    for start, end in _private_areas():
        try:
            libc.syscall(_NR_MADVISE, start, end - start, _MADV_POPULATE_WRITE)
        except OSError:
            return  # an older host


def _private_areas() -> list[tuple[int, int]]:
    """Private writable memory without a file."""
    areas = []
    with open("/proc/self/maps", encoding="ascii", errors="replace") as file:
        for line in file:
            fields = line.split(maxsplit=5)
            if fields[1] != "rw-p" or fields[4] != "0" or "[stack" in line:
                continue
            start, end = (int(word, 16) for word in fields[0].split("-"))
            if end - start <= _AREA_MAX:
                areas.append((start, end))
    return areas
