# SPDX-License-Identifier: Apache-2.0
"""Whether kernel and guest wait for each other by spinning, on two host CPUs.

On one CPU a hand-over is two wake-ups and two switches: about 3 us. If the guest has a CPU of its
own and both look at the word instead of sleeping, it is less than 1 us; but whoever waits longer
than he spins is woken on another CPU, which takes tens of microseconds, and the spinning takes
a CPU from others. No rule tells beforehand what pays, so it is tried: some hundred calls of a
thread that makes many are timed in one way, then in the other, and the faster way is kept for as
long as it stays so. When the host is busy spinning is slow and so it ends.
"""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from pygos.arch.um.area import C_SPIN
from pygos.host.code import KSPIN

if TYPE_CHECKING:
    from pygos.arch.um.affinity import Affinity
    from pygos.arch.um.systrap_cpu import SysCpu

#: Stops between two reviews: while it is tried, once it is settled, before a first try.
_TRIAL: Final = 128
_SETTLED: Final = 1024
_FIRST: Final = 48
#: Looks at the word before sleeping: about 50 us each side.
_LOOKS: Final = 1000
#: A thread that stops less often than this, ns, has nothing to gain.
_SELDOM: Final = 60_000
#: Spinning must take less than this part of the time, and not more than so much of what it took.
_BETTER: Final = 0.92
_WORSE: Final = 1.4
_MAX_SKIP: Final = 256
#: Windows after which a failure before is forgotten.
_PROVEN: Final = 16


class Spin:
    """The one thread that may spin now, and what was learned.

    review() is called each time `its result` stops of the fast path have passed.
    """

    __slots__ = (
        "_affinity",
        "_count",
        "_good",
        "_pinned",
        "_skip",
        "_spun",
        "_start",
        "_wait",
        "cpu",
        "on",
    )

    def __init__(self, affinity: Affinity) -> None:
        self._affinity = affinity
        #: Who was looked at last, and whether it spins.
        self.cpu: SysCpu | None = None
        self.on = False
        self._start = 0
        self._count = _FIRST
        #: ns per stop, without and with spinning; 0: not known.
        self._pinned = 0.0
        self._spun = 0.0
        #: Windows to wait before the next try, and how many it will be after a failure.
        self._wait = 0
        self._skip = 2
        #: Windows in a row in which it paid.
        self._good = 0

    def review(self, cpu: SysCpu) -> int:
        """`cpu` has stopped; after how many stops to call again."""
        now = monotonic_ns()
        each = (now - self._start) / self._count
        if cpu is not self.cpu:
            self.leave()
            self.cpu = cpu
            following = _FIRST
        elif each > _SELDOM:
            self.leave()
            following = _TRIAL
        elif self.on:
            following = self._judge(each)
        else:
            following = self._consider(cpu, each)
        self._start = monotonic_ns()
        self._count = following
        return following

    def _consider(self, cpu: SysCpu, each: float) -> int:
        """It does not spin: shall it?"""
        self._pinned = each
        if self._wait:
            self._wait -= 1
        elif self._affinity.crowded():
            self._wait = self._skip
        elif self._affinity.apart(cpu.stub):
            self.on = True
            self._spun = 0.0
            cpu.block[KSPIN] = _LOOKS
            self._looks(cpu, _LOOKS)
        return _TRIAL

    def _judge(self, each: float) -> int:
        """It spins: does that pay?"""
        if self._spun:
            if each < self._spun * _WORSE and not self._affinity.crowded():
                self._spun = min(self._spun * 1.02, each)
                self._good += 1
                if self._good > _PROVEN:
                    self._skip = 2
                return _SETTLED
        elif each < self._pinned * _BETTER:
            self._spun = each
            self._good = 0
            return _SETTLED
        self._wait, self._skip = self._skip, min(2 * self._skip, _MAX_SKIP)
        self.leave()
        return _TRIAL

    @staticmethod
    def _looks(cpu: SysCpu, count: int) -> None:
        cpu.area.data[C_SPIN : C_SPIN + 4] = count.to_bytes(4, "little")

    def leave(self) -> None:
        """Nobody spins any more; the thread comes back to the kernel's CPU."""
        cpu, self.cpu = self.cpu, None
        if self.on and cpu is not None:
            self.on = False
            cpu.block[KSPIN] = 0
            self._looks(cpu, 0)
            self._affinity.go_home(cpu.stub)
