# SPDX-License-Identifier: Apache-2.0
"""Which host CPUs the kernel and its stubs run on.

Waking a process on another, idle CPU costs tens of microseconds, on the same CPU two. So
the kernel thread and its stubs share one CPU, `home`. Departures from that:

- A stub that computes (whole time slices with few system calls and faults) gains nothing
  from sharing: it may run on the other CPUs, until it stops often again.
- If other programs crowd the home CPU and another one idles, the whole machine moves.
- If all CPUs are busy the machine *floats*: nothing is pinned. The host's scheduler then
  finds the next free CPU, and as none sleeps, waking costs little. (Four machines on two
  CPUs: 0.8 s instead of 2.3 s for the same work.)
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
#: No more stops than this in a time slice of 20 ms: the stub computes.
_FEW = 100
#: More since it left home: it does not any more.
_MANY = 200
#: How often to look around: soon at first, more seldom while nothing changes.
_LOOK_NS, _LOOK_MAX_NS = 50_000_000, 400_000_000
#: The kernel thread was ready to run but had to wait this part of the time: worth a move to
#: an idle CPU; so bad that floating is better.
_CROWDED, _JAMMED = 0.25, 0.4
#: So many threads per CPU want to run when the machine boots: float from the start.
_JAM = 2
#: There is room elsewhere: so much of a CPU was idle.
_IDLE = 0.5
_NS_PER_JIFFY = 10_000_000


class Affinity:
    """The policy, and the affinity mask to restore at the end.

    `where`: on which CPUs the kernel thread and stubs that are not away may run.
    """

    __slots__ = ("_idle", "_interval", "_looked", "_mask", "_others", "_waited", "home", "where")

    def __init__(self) -> None:
        self._mask = os.sched_getaffinity(0)
        self._interval = _LOOK_NS
        self._looked = monotonic_ns()
        self._waited, self._idle = self.waited(), self.idle()
        self.home = self._current()
        self._others = self._mask - {self.home}
        self.where = self._mask
        if self._others:
            self._settle(None if self.runnable() > _JAM * len(self._mask) else self.home)

    def _current(self) -> int:
        number = ctypes.c_uint()
        libc.syscall(_NR_GETCPU, ctypes.addressof(number), 0, 0)
        return number.value if number.value in self._mask else min(self._mask)

    def _settle(self, home: int | None) -> None:
        """Pin the kernel thread to `home`; None: float."""
        if home is None:
            self.where = self._mask
        else:
            self.home = home
            self.where = {home}
            self._others = self._mask - self.where
        self._place(0, self.where)

    @property
    def floating(self) -> bool:
        """Nothing is pinned."""
        return self.where is self._mask

    def tick(self, cpu: UmCpu, others: list[UmCpu]) -> None:
        """A stub has used up a slice. `others`: CPUs that run or want to as well."""
        count = int(cpu.block[COUNT])
        few = count - cpu.last_count <= (_FEW if others else 1)  # this tick is one
        cpu.last_count = count
        if few and not cpu.stub.away and not self.floating:
            # Alone, or if the other host CPUs have enough to do, it may stay where it is:
            # the host balances.
            away = sum(other.stub.away for other in others)
            spread = others and away < len(self._others)
            cpu.stub.away = self._place(cpu.pid, self._others if spread else self._mask)

    def trap(self, cpu: UmCpu) -> None:
        """A system call or fault of a stub that is away."""
        if int(cpu.block[COUNT]) - cpu.last_count > _MANY:
            self.go_home(cpu.stub)

    def due(self) -> bool:
        """Is it time to look() around?"""
        return monotonic_ns() - self._looked > self._interval and bool(self._others)

    def look(self, alone: bool) -> bool:
        """Reconsider where the machine runs; True if that changed: then bring() the stubs.

        `alone`: at most one guest runs, so that it is not the machine's own crowd.
        """
        now, waited, idle = monotonic_ns(), self.waited(), self.idle()
        passed = max(1, now - self._looked)
        crowded = (waited - self._waited) / passed
        spare = {cpu: (idle.get(cpu, 0) - self._idle.get(cpu, 0)) / passed for cpu in self._mask}
        self._looked, self._waited, self._idle = now, waited, idle
        self._interval = min(2 * self._interval, _LOOK_MAX_NS)
        best = max(spare, key=lambda cpu: spare[cpu])
        if self.floating:
            if sum(spare.values()) < _IDLE:
                return False
            self._settle(best)
        elif crowded < _CROWDED:
            return False
        elif spare[best] < _IDLE:
            if crowded < _JAMMED:
                return False
            self._settle(None)
        elif alone and best != self.home:
            self._settle(best)
        else:
            return False
        self._interval = _LOOK_NS
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
    def runnable() -> int:
        """How many threads of the host run or want to."""
        try:
            with open("/proc/loadavg", "rb") as file:
                return int(file.read().split()[3].partition(b"/")[0])
        except (OSError, IndexError, ValueError):
            return 0

    @staticmethod
    def idle() -> dict[int, int]:
        """ns that each host CPU has idled."""
        result = {}
        try:
            with open("/proc/stat", "rb") as file:
                for line in file:
                    if not line.startswith(b"cpu"):
                        break
                    name, *fields = line.split()
                    if name != b"cpu":
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
        """Put processes where the machine is."""
        for pid in pids:
            self._place(pid, self.where)

    def crowded(self) -> bool:
        """Do more threads of the host want to run than there are CPUs for?"""
        return self.runnable() > len(self._mask)

    def apart(self, stub: Stub) -> bool:
        """Give a stub CPUs other than the kernel's. False: there are none, or no rule holds."""
        if self.floating or stub.away or not self._others:
            return False
        return self._place(stub.pid, self._others)

    def go_home(self, stub: Stub) -> None:
        """Back to the others."""
        self._place(stub.pid, self.where)
        stub.away = False

    def close(self) -> None:
        """Give the kernel thread its mask back."""
        if self._others:
            self._place(0, self._mask)
