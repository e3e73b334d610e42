# SPDX-License-Identifier: Apache-2.0
"""Reading from an endless source in bounded steps.

A program may ask for gigabytes of zeros or random bytes in one call. The kernel has one
thread, so such a call moves one bounded step at a time and lets others run in between; what
is done so far lives in ``task.restart``. A signal ends the call early, as on Linux.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pygos.include.errno import EFAULT
from pygos.include.linux.wait import wait_on

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

CHUNK: Final = 65536
#: Bytes moved before other tasks get a turn.
STEP: Final = 4 << 20


class Moved:
    """Bytes moved by earlier invocations of a call."""

    __slots__ = ("count",)

    def __init__(self, count: int) -> None:
        self.count = count


def read_chunks(task: Task, buf: IoBuffer, source: Callable[[Task, int], bytes]) -> int:
    """Fill `buf` with what `source(task, count)` gives; bytes moved. EFAULT."""
    kept = task.restart
    done = kept.count if type(kept) is Moved else 0
    if done:
        buf.advance(done)
    stop = done + STEP
    while buf.length:
        if done >= stop:
            if task.signal_pending():
                break
            task.restart = Moved(done)
            wait_on(task, deadline=task.machine.clock.monotonic(), why="cond_resched")
        want = min(buf.length, CHUNK)
        try:
            moved = buf.put(source(task, want))
        except EFAULT:
            if not done:
                raise
            break
        done += moved
        if moved < want:
            break
    return done
