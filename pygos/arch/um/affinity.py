# SPDX-License-Identifier: Apache-2.0
"""Which host CPU the kernel and its stubs run on.

Waking a process on another CPU costs tens of microseconds, on the same one two. So the
kernel thread and its stubs share one CPU, `home`: at boot the one the thread happens to
be on. Two departures from that:

- A stub that computes (whole time slices with few system calls and faults) gains nothing from
  sharing: it may run on the other CPUs, until it stops often again.
- If others crowd the home CPU and another one idles, the whole machine moves there. The
  host's scheduler can't do that for pinned threads.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from time import monotonic_ns

from pygos.arch.um.cpu import Stub, UmCpu
from pygos.host import libc
from pygos.host.code import COUNT

_NR_GETCPU = 309
#: No more stops than this in a time slice of 10 ms: the stub computes.
_FEW = 50
#: More since it left home: it does not any more.
_MANY = 200
#: How often to look whether home is crowded, and what that means: the kernel thread was
#: ready to run but had to wait for so much of the time, and another CPU idled for so much.
_LOOK_NS = 200_000_000
_CROWDED = 0.25
_IDLE = 0.5
_NS_PER_JIFFY = 10_000_000


class Affinity:
    """The policy, and the affinity mask to restore at the end."""

    __slots__ = ("_idle", "_looked", "_mask", "_others", "_waited", "home")

    def __init__(self) -> None:
        self._mask = os.sched_getaffinity(0)
        self._settle(self._current())
        self._looked = monotonic_ns()
        self._waited = self.waited()
        self._idle = self.idle()

    def _current(self) -> int:
        number = ctypes.c_uint()
        libc.syscall(_NR_GETCPU, ctypes.addressof(number), 0, 0)
        return number.value if number.value in self._mask else min(self._mask)

    def _settle(self, home: int) -> None:
        self.home = home
        self._others = self._mask - {home}
        if self._others:
            self._place(0, {home})

    def tick(self, cpu: UmCpu, others: list[UmCpu]) -> bool:
        """A stub has used up a slice. `others`: CPUs that run or want to as well. True if
        home moved: then bring() the stubs."""
        if not self._others:
            return False
        count = int(cpu.block[COUNT])
        few = count - cpu.last_count <= (_FEW if others else 1)  # this tick is one
        cpu.last_count = count
        if few and not cpu.stub.away:
            # Alone, or if the other host CPUs have enough to do, it may stay where it is:
            # the host balances.
            away = sum(other.stub.away for other in others)
            spread = others and away < len(self._others)
            cpu.stub.away = self._place(cpu.pid, self._others if spread else self._mask)
        return monotonic_ns() - self._looked > _LOOK_NS and self.look()

    def trap(self, cpu: UmCpu) -> None:
        """A system call or fault of a stub that is away."""
        if int(cpu.block[COUNT]) - cpu.last_count > _MANY:
            self.go_home(cpu.stub)

    def look(self) -> bool:
        """Move home if it is crowded and there is a better place."""
        now, waited, idle = monotonic_ns(), self.waited(), self.idle()
        passed = max(1, now - self._looked)
        crowded = (waited - self._waited) / passed
        spare = {cpu: (idle.get(cpu, 0) - self._idle.get(cpu, 0)) / passed for cpu in self._others}
        self._looked, self._waited, self._idle = now, waited, idle
        best = max(spare, key=lambda cpu: spare[cpu], default=self.home)
        if crowded < _CROWDED or spare.get(best, 0.0) < _IDLE:
            return False
        self._settle(best)
        return True

    @staticmethod
    def waited() -> int:
        """ns this thread has spent ready but not running (0 where the host doesn't tell)."""
        try:
            with open("/proc/thread-self/schedstat", "rb") as file:
                return int(file.read().split()[1])
        except (OSError, IndexError):
            return 0

    @staticmethod
    def idle() -> dict[int, int]:
        """ns that each host CPU has idled."""
        result = {}
        try:
            with open("/proc/stat", "rb") as file:
                for line in file:
                    name, *fields = line.split()
                    if name.startswith(b"cpu") and name != b"cpu":
                        result[int(name[3:])] = int(fields[3]) * _NS_PER_JIFFY
        except (OSError, ValueError, IndexError):
            pass
        return result

    @staticmethod
    def _place(pid: int, where: set[int]) -> bool:
        try:
            os.sched_setaffinity(pid, where)
        except OSError:  # it died, or the host took that CPU away
            return False
        return True

    def bring(self, pids: Iterable[int]) -> None:
        """Put processes on the home CPU."""
        for pid in pids:
            self._place(pid, {self.home})

    def go_home(self, stub: Stub) -> None:
        """Back to the kernel's CPU."""
        self._place(stub.pid, {self.home})
        stub.away = False

    def close(self) -> None:
        """Give the kernel thread its mask back."""
        if self._others:
            self._place(0, self._mask)
