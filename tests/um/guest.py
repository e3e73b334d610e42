# SPDX-License-Identifier: Apache-2.0
"""A few bytes of machine code as a guest, for the tests of the platform."""

from __future__ import annotations

from typing import Any

from pygos.arch.um.cpu import UmCpu
from pygos.arch.um.registry import new_platform
from pygos.arch.um.space import UmSpace
from pygos.arch.x86.regs import RIP
from pygos.host.ram import HostRam
from pygos.include.linux.platform import PAGE_SIZE, Prot, Trap

CODE = 0x400000
DATA = 0x600000
RX = Prot.READ | Prot.EXEC
RW = Prot.READ | Prot.WRITE

GETPID_LOOP = "b827000000 0f05 ebf7"
SPIN = "ebfe"


class Guest:
    """One machine: RAM, platform, and code placed at CODE (frame 1), data at DATA (frame 2)."""

    def __init__(self, pages: int = 1024, platform: str = "auto") -> None:
        self.ram = HostRam(pages)
        #: One of the um family: the tests know more of it than the protocol has.
        self.um: Any = new_platform(platform, self.ram, 2)
        self.frames = 2

    def space(self, code: str) -> UmSpace:
        """A space with `code` (hex) mapped at CODE."""
        space = self.um.new_space()
        space.map(CODE, self.load(code), 1, RX)
        return space

    def load(self, code: str) -> int:
        """Put code into a fresh frame."""
        frame, self.frames = self.frames, self.frames + 1
        data = bytes.fromhex(code)
        self.ram.mem[frame * PAGE_SIZE : frame * PAGE_SIZE + len(data)] = data
        return frame

    def cpu(self, code: str) -> UmCpu:
        """A CPU about to run `code`."""
        cpu = self.space(code).new_cpu()
        cpu.regs[RIP] = CODE
        return cpu

    def trap(self, cpu: UmCpu, deadline: int | None = None) -> Trap:
        """Run one CPU to its next trap that is not a tick."""
        while True:
            cpu.resume()
            ((stopped, trap),) = self.um.wait(deadline)
            assert stopped is cpu
            if trap.kind != 3:
                return trap

    def close(self) -> None:
        self.um.close()
        self.ram.close()
