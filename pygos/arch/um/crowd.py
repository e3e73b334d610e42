# SPDX-License-Identifier: Apache-2.0
"""Waiting for one of a few running stubs among thousands that sleep.

wait4() of a process group looks at every child: with 10,000 stubs that is a millisecond each
time. So a machine with many stubs asks for each running one by its number, and sleeps until
the host sends SIGCHLD. The signal is blocked in the kernel's thread meanwhile. If another
thread of the embedding program swallows it, the time limit helps.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pygos.arch.um.ptrace_platform import UmPtrace

#: So many stubs are many.
MANY: Final = 256
_CHLD: Final = frozenset((signal.SIGCHLD,))
#: The longest sleep, s.
_LIMIT: Final = 0.05


class Crowd:
    """Made when there are many stubs; stays until the machine ends."""

    __slots__ = ("_mask",)

    def __init__(self) -> None:
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _CHLD)

    def collect(self, platform: UmPtrace, options: int) -> None:
        """Take the stops of running stubs and of the watcher; unless WNOHANG wait for one."""
        while True:
            found = False
            for pid in platform.awaited():
                found |= platform.look_at(pid)
            if found or options & os.WNOHANG:
                return
            signal.sigtimedwait(_CHLD, _LIMIT)

    def close(self) -> None:
        """Give the thread its mask back."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
