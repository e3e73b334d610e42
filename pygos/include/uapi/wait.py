# SPDX-License-Identifier: Apache-2.0
"""Waiting for children: linux/wait.h and the wait status."""

from __future__ import annotations

from typing import Final

WNOHANG: Final = 0x00000001
WUNTRACED: Final = 0x00000002
WSTOPPED: Final = 0x2
WEXITED: Final = 0x00000004
WCONTINUED: Final = 0x00000008
WNOWAIT: Final = 0x01000000

__WNOTHREAD: Final = 0x20000000
__WALL: Final = 0x40000000
__WCLONE: Final = 0x80000000

P_ALL: Final = 0
P_PID: Final = 1
P_PGID: Final = 2
P_PIDFD: Final = 3

WCOREFLAG: Final = 0x80


def w_exitcode(status: int, signo: int) -> int:
    """The wait status of a process that exited (signo 0) or was killed (status 0)."""
    return (status & 0xFF) << 8 | signo


def w_stopcode(signo: int) -> int:
    """The wait status of a stopped process."""
    return signo << 8 | 0x7F


#: The wait status of a process that was continued.
W_CONTINUED: Final = 0xFFFF
