# SPDX-License-Identifier: Apache-2.0
"""SysCpu: a guest thread that nobody traces, and what its signals mean."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

from pygos.arch.um.area import SW_BYTES, Area
from pygos.arch.um.cpu import Stub, UmCpu
from pygos.arch.x86.regs import FS_BASE, GS_BASE
from pygos.host.code import PARKED, SNAP, T_ADDR, T_CODE, T_ERR, T_SIGNO, TRAPS
from pygos.include.errno import ENODEV
from pygos.include.linux.platform import TRAP_CPUID, Access, TrapKind

if TYPE_CHECKING:
    from pygos.arch.um.systrap_platform import UmSystrap
    from pygos.arch.um.systrap_space import SysSpace

SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGURG = 4, 5, 7, 8, 11, 23
_FAULTS: Final = frozenset((SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV))
_MAPERR, _ACCERR, _SI_KERNEL = 1, 2, 0x80
#: Bits of a page fault's error code.
_ERR_WRITE, _ERR_EXEC = 2, 16
_SOFTWARE: Final = slice(SW_BYTES, 512)
_MAX64: Final = (1 << 64) - 1
#: The debug status register when nothing has happened.
_DR6: Final = 0xFFFF_0FF0
#: The helper's flag for "set these traps".
_SET_TRAPS: Final = 4


class SysCpu(UmCpu):
    """Implements ``Cpu``. Made by SysSpace.new_cpu()."""

    __slots__ = (
        "area", "born", "first_fpu", "kicks", "started", "stepping", "sys", "ticking",
        "traced", "used",
    )  # fmt: skip

    def __init__(
        self, platform: UmSystrap, space: SysSpace, stub: Stub, area: Area, born: bool
    ) -> None:
        super().__init__(platform, space, stub)
        self.sys = platform
        self.area = area
        self.thread_page = area.thread_page
        #: It has come to rest in its area, with a frame to load.
        self.born = born
        #: FPU state to begin with: the bytes of a frame; None: the initial state.
        self.first_fpu: bytes | None = None
        #: When it was let run (monotonic ns), and whether its slice is known to be over.
        self.started = 0
        self.ticking = False
        #: Kicks without an answer, and the CPU time it had used at the first of them.
        self.kicks = 0
        self.used = 0
        #: It runs under ptrace (systrap_trace.py), and must for single steps.
        self.traced = False
        self.stepping = False
        block = stub.block
        block[SNAP + FS_BASE] = block[SNAP + GS_BASE] = _MAX64  # whatever they are, set them

    def kick(self) -> None:
        """Make a running guest trap soon."""
        platform = self.sys
        if self in platform.pending:
            platform.pending.remove(self)
            self.trap.kind = TrapKind.KICK
            platform.put_ready(self.trapped)
        elif self.pid in platform.running:
            self.kicked = True
            self.prod()

    def prod(self) -> None:
        """The signal itself."""
        try:
            os.kill(self.pid, signal.SIGURG)
        except ProcessLookupError:
            pass

    def decode(self) -> bool:
        """Fill the trap from the signal that the helper has read. False: just resume.

        Every value may be forged: then the guest gets a signal that it could have had anyway.
        """
        block, trap = self.block, self.trap
        signo = int(block[T_SIGNO])
        if signo == SIGURG:
            return self.was_kicked()
        code = int(block[T_CODE])
        if code <= 0 or code >> 31:  # someone of the host has sent it
            return False
        addr = int(block[T_ADDR])
        if signo == SIGSEGV and code in (_MAPERR, _ACCERR):
            error = int(block[T_ERR])
            trap.kind = TrapKind.FAULT
            if error & _ERR_WRITE:
                trap.access = Access.WRITE
            elif error & _ERR_EXEC:
                trap.access = Access.EXEC
            else:
                trap.access = Access.READ
        else:
            trap.kind = TrapKind.EXCEPTION
            if code == _SI_KERNEL:
                addr = 0
        trap.signo = signo if signo in _FAULTS else SIGSEGV
        trap.code = code
        trap.addr = addr
        return True

    def was_kicked(self) -> bool:
        """The signal of prod() has come. False: nobody wants it any more."""
        ticking, self.ticking = self.ticking, False
        wanted, self.kicked = self.kicked, False
        self.trap.kind = TrapKind.TICK if ticking else TrapKind.KICK
        return ticking or wanted

    # -- FPU ---------------------------------------------------------------------------

    def frame_fpu(self) -> memoryview | None:
        """The FPU state in the frame, once it is there; None if the thread has died."""
        platform = self.sys
        if not platform.at_rest(self):
            return None
        start = platform.shape.fpu
        return self.area.data[start : start + platform.shape.size]

    def raw_fpu(self) -> bytes | None:
        """The FPU state as another thread's first_fpu."""
        if not self.born:
            return self.first_fpu
        if self.traced:
            return self.mixed(self.get_fpu())
        state = self.frame_fpu()
        return None if state is None else bytes(state)

    def get_fpu(self) -> bytes:
        """The XSAVE image. The initial one if the thread has died, which the next stop tells."""
        if self.traced:
            return super().get_fpu()
        initial = self.sys.zygote.initial_xstate
        state = self.raw_fpu()
        if state is None:
            return initial
        image = bytearray(len(initial))
        image[: len(state)] = state
        image[_SOFTWARE] = initial[_SOFTWARE]
        return bytes(image)

    def mixed(self, image: bytes) -> bytes:
        """An XSAVE image as the FPU state of a frame."""
        shape = self.sys.shape
        state = bytearray(image[: shape.size])
        state[_SOFTWARE] = shape.software
        return bytes(state)

    def set_fpu(self, image: bytes | None) -> None:
        """Load an XSAVE image, or the initial state. ValueError if it is malformed."""
        if self.traced:
            super().set_fpu(image)
            return
        platform = self.sys
        if image is None:
            state = platform.initial_fpu
        else:
            if len(image) != platform.xstate_size:
                raise ValueError(f"an XSAVE image has {platform.xstate_size} bytes here")
            platform.shape.check(image)
            state = self.mixed(image)
        if not self.born:
            self.first_fpu = state
            return
        frame = self.frame_fpu()
        if frame is not None:
            frame[:] = state

    def begin(self) -> None:
        """It has come to rest for the first time: the state with which it shall begin."""
        self.born = True
        self.block[PARKED] = 0
        if self.platform.hot_site is None:
            self.area.keep_calls()
        self.set_fpu_raw(self.first_fpu or self.sys.initial_fpu)
        self.first_fpu = None

    def set_fpu_raw(self, state: bytes) -> None:
        start = self.sys.shape.fpu
        self.area.data[start : start + len(state)] = state

    # -- the rest of Cpu ---------------------------------------------------------------

    def set_step(self, on: bool) -> None:
        """See Cpu.set_step."""
        self.stepping = on
        if on:
            self._trace()
        super().set_step(on)

    def get_debugreg(self, number: int) -> int:
        """See Cpu.get_debugreg."""
        if self.traced:
            return super().get_debugreg(number)
        return _DR6 if number == 6 else 0

    def set_debugreg(self, number: int, value: int) -> None:
        """See Cpu.set_debugreg."""
        if not value and not self.traced:
            return
        self._trace()
        super().set_debugreg(number, value)

    def _trace(self) -> None:
        if not self.traced:
            from pygos.arch.um.systrap_trace import attach

            attach(self)

    def needs_trace(self) -> bool:
        """Does a traced thread have to stay so?"""
        return self.stepping or self.stub.armed

    def set_traps(self, traps: int) -> None:
        """See Cpu.set_traps: the thread does it itself when it goes on."""
        if self.traced:
            super().set_traps(traps)
            return
        if traps & TRAP_CPUID and not self.sys.can_trap_cpuid():
            raise ENODEV
        if traps != self.stub.traps:
            self.stub.traps = traps
            self.block[TRAPS] = _SET_TRAPS | traps

    def release(self) -> None:
        """The thread is gone."""
        self.sys.forget(self)
        self.space.put_stub(self)
