# SPDX-License-Identifier: Apache-2.0
"""Which host CPU the kernel and its stubs run on.

Waking a process on another CPU costs tens of microseconds, on the same one two. So the
kernel thread and its stubs share one CPU, `home`, chosen at boot where the thread happens
to be. A stub that computes (whole time slices with few system calls) gains nothing from
that: it may run on the other CPUs, until it makes system calls often again.
"""

from __future__ import annotations

import ctypes
import os

from pygos.arch.um.cpu import Stub, UmCpu
from pygos.host import libc
from pygos.host.code import COUNT

_NR_GETCPU = 309
#: Fewer system calls in a time slice of 10 ms: the stub computes.
_FEW = 50
#: More since it left home: it does not any more.
_MANY = 200


class Affinity:
    """The policy, and the affinity mask to restore at the end."""

    __slots__ = ("_mask", "_others", "home")

    def __init__(self) -> None:
        self._mask = os.sched_getaffinity(0)
        self.home = self._current()
        self._others = self._mask - {self.home}
        if self._others:
            self._place(0, {self.home})

    def _current(self) -> int:
        number = ctypes.c_uint()
        libc.syscall(_NR_GETCPU, ctypes.addressof(number), 0, 0)
        return number.value if number.value in self._mask else min(self._mask)

    def tick(self, cpu: UmCpu, others: bool) -> None:
        """A stub has used up a slice. `others`: more guests run or want to."""
        count = int(cpu.block[COUNT])
        few = count - cpu.last_count < (_FEW if others else 1)
        cpu.last_count = count
        if few and not cpu.stub.away and self._others:
            # Alone it may stay where it is; the host moves it if that CPU is crowded.
            cpu.stub.away = self._place(cpu.pid, self._others if others else self._mask)

    def trap(self, cpu: UmCpu) -> None:
        """A system call of a stub that is away."""
        if int(cpu.block[COUNT]) - cpu.last_count > _MANY:
            self.go_home(cpu.stub)

    @staticmethod
    def _place(pid: int, where: set[int]) -> bool:
        try:
            os.sched_setaffinity(pid, where)
        except OSError:  # it died, or the host took that CPU away
            return False
        return True

    def go_home(self, stub: Stub) -> None:
        """Back to the kernel's CPU."""
        self._place(stub.pid, {self.home})
        stub.away = False

    def close(self) -> None:
        """Give the kernel thread its mask back."""
        if self._others:
            self._place(0, self._mask)
