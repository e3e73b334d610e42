# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while a machine runs: KeyboardInterrupt, but never in the middle of the kernel's work.

Python raises it wherever the interpreter happens to be. In kernel code that would leave queues
and counts half changed, in a machine that its owner may want to go on using. So while a
command runs SIGINT has a handler of our own: if the kernel sleeps because no guest runs, it
raises at once; else the run ends as soon as the trap in hand is answered (a guest that runs
traps within a time slice), and then it is raised. Who presses twice is obeyed at once.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from pygos.include.linux.machine import Machine as Kernel

#: Where an idle machine sleeps.
_SLEEP: Final = ("pygos.host.events", "dispatch")


class DeferInterrupt:
    """While it is entered, KeyboardInterrupt comes at a good moment.

    Only in the main thread, and only if SIGINT does what it does by default.
    """

    __slots__ = ("_kernel", "_old", "_pending")

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._old: Any = None
        self._pending = False

    def __enter__(self) -> Self:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            try:
                self._old = signal.signal(signal.SIGINT, self._interrupt)
            except ValueError:
                pass  # not the main thread: KeyboardInterrupt isn't raised in this one
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._old is not None:
            signal.signal(signal.SIGINT, self._old)
        if self._pending and kind is None:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._pending or _kernel_sleeps(frame):
            raise KeyboardInterrupt
        self._pending = True
        self._kernel.exit_status = number


def _kernel_sleeps(frame: FrameType | None) -> bool:
    """Was the kernel interrupted where it waits for descriptors of the host?"""
    if frame is None:
        return False
    return (frame.f_globals.get("__name__"), frame.f_code.co_name) == _SLEEP
