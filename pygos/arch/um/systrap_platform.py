# SPDX-License-Identifier: Apache-2.0
"""UmSystrap: the platform whose guests hand over by themselves, without ptrace.

A guest's system calls and faults are signals of its own process. The handler (stub.S) lies with
its stack above the guest's memory; it leaves the registers there, says so in a word, and sleeps
or spins until the kernel has answered in the same word. See Documentation/platforms.rst.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Sequence
from time import monotonic_ns
from typing import Final

from pygos.arch.um import traps
from pygos.arch.um.area import RUN, RUN_WATCHED, SAMPLE, FrameShape
from pygos.arch.um.cpu import UmCpu
from pygos.arch.um.platform import POOL, UmPlatform
from pygos.arch.um.space import UmSpace
from pygos.arch.um.spin import Spin
from pygos.arch.um.systrap_cpu import SysCpu
from pygos.arch.um.systrap_space import SysSpace
from pygos.arch.x86.regs import RIP
from pygos.host import HostError, libc
from pygos.host import machine_code as mc
from pygos.host.code import (
    BAD_LIST,
    BAD_SYSCALL,
    EVENT,
    PARKED,
    SIGNALLED,
    SYSCALL,
    TRAPPED,
    VSYSCALL,
)  # fmt: skip
from pygos.host.layout import STUB_CODE
from pygos.host.ram import HostRam
from pygos.host.stub import PTRACE_CONT, WALL
from pygos.include.linux.platform import Cpu, Trap, TrapKind

Traps = Sequence[tuple[Cpu, Trap]]

_TICK_NS: Final = 20_000_000
_EINTR, _ESRCH, _ETIMEDOUT, _EAGAIN, _ENODEV = 4, 3, 110, 11, 19
#: Slices without an answer after which a thread is looked at, and the CPU time it may have had.
_DEAF: Final = 10
_DEAF_NS: Final = 100_000_000
_CLOCK_TICK_NS: Final = 10_000_000
#: So many sites that have trapped are remembered per process.
_SITES: Final = 4096
#: How often a traced thread is looked at before sleeping, and for how long then.
_LOOKS: Final = 50
_LOOK_NS: Final = 300_000
#: Byte offset of the watcher's word in its page.
_WATCH_WORD: Final = 64
_FUTEX2_SIZE_U32: Final = 2
_NO_WAIT: Final = (1 << 64) - 1
_XMASK_DEFAULT: Final = 3
_ARCH_PRCTL, _ARCH_SET_CPUID = 158, 0x1012


class UmSystrap(UmPlatform):
    """Implements ``Platform``. To be used by the thread that made it.

    pending: CPUs that resume at the next wait(); running: pid -> CPU, in guest code as far as
    the kernel knows; _ready: traps to hand out that are no stop of their own.
    """

    name = "um-systrap"
    systrap = True
    patch_entry = STUB_CODE + mc.STUB_PATCHED

    def __init__(self, ram: HostRam, nr_cpus: int) -> None:
        """Start the zygote. HostError if the host refuses."""
        super().__init__(ram, nr_cpus)
        self.pending: list[SysCpu] = []
        self.running: dict[int, SysCpu] = {}
        self._ready: list[tuple[Cpu, Trap]] = []
        self._pool: list[SysSpace] = []
        #: Control units that are free when these processes are reaped.
        self._limbo: list[tuple[set[int], int]] = []
        self._told = False
        #: False: nothing but one pending CPU can produce an event.
        self._busy = False
        self._cpuid: bool | None = None
        self.spin = Spin(self.affinity)
        #: Stops of the fast path until the next look at whether spinning pays.
        self._turns = 1
        #: What the first thread teaches: see _learn().
        self.shape: FrameShape
        self.context = 0
        self.xmask = 0
        self.initial_fpu = b""
        code = ram.code
        self._go, self._give, self._take = code.go, code.give, code.take
        self._go_any = code.go_any
        self._await, self._save, self._answer = code.await_, code.save, code.answer
        self._wait_any = code.wait_any
        self._deadline = (ctypes.c_long * 2)()
        self._deadline_addr = ctypes.addressof(self._deadline)
        #: The time that is in there; when the slice of who runs alone is over.
        self._until_set = 0
        self._slice_end = 0
        _, addr, words = self._watch_page
        self._event_word = addr + _WATCH_WORD
        self._event = words[_WATCH_WORD // 8 : _WATCH_WORD // 8 + 1]
        self._event[0] = RUN
        #: What go_any() waits for: an event, or a thread.
        self._pair = (ctypes.c_ulong * 6)(
            RUN_WATCHED, self._event_word, _FUTEX2_SIZE_U32, RUN_WATCHED, 0, _FUTEX2_SIZE_U32
        )
        self._pair_addr = ctypes.addressof(self._pair)
        try:
            libc.ptrace(PTRACE_CONT, self._watcher, 0, 0)
            self._learn()
        except BaseException:
            self.close()
            raise

    def _learn(self) -> None:
        """Let a first thread come to rest, and look where its frame is and how it looks."""
        space = self.new_space()
        cpu = space.new_cpu()
        try:
            for _ in range(_DEAF * _DEAF):  # a busy host may take its time
                code = self._await(cpu.addr)
                if code not in (-_EINTR, -_ETIMEDOUT):
                    break
            if code < 0:
                raise HostError("a guest thread does not start; try --platform ptrace")
            self.shape = FrameShape(cpu.area)
        except ValueError as error:
            raise HostError(f"the host's signal frames look odd: {error}") from None
        self.context, self.xmask = self.shape.context, self.shape.features
        size = min(self.shape.size, self.xstate_size)
        image = bytearray(self.zygote.initial_xstate[:size])
        image[464:512] = self.shape.software
        self.initial_fpu = bytes(image)
        space.destroyed = True
        cpu.release()

    # -- address spaces and their processes ----------------------------------------------

    def new_space(self) -> SysSpace:
        """An empty address space; from the pool, or a clone of the zygote."""
        if self._pool:
            old = self._pool.pop()
            for pid, _ in old.gone:  # none of them may see what comes next
                self._wait_for_end(pid)
            old.free_areas()
            control = old.control
            control[2][:] = self._zeros
            return SysSpace(self, control, old.keeper)
        control = self.ram.control_unit()
        return SysSpace(self, control, self.fork_stub(self.zygote.pid, control))

    _zeros: Final = memoryview(bytes(4 * 4096)).cast("Q")

    def recycle(self, space: SysSpace) -> None:
        """A space has no CPU left: unmap all, kill its threads, keep its keeper for another."""
        pids = space.end_all()
        space.drop_everything()
        emptied = self._flush(space.keeper.addr) == 0
        if emptied and len(self._pool) < POOL:
            self._pool.append(space)
            return
        self.discard_stub(space.keeper)
        if emptied:
            space.free_areas()
        else:
            for pid in pids:
                self._wait_for_end(pid)
            self._wait_for_end(space.keeper.pid)
            space.free_areas()
        self._limbo.append(({*pids, space.keeper.pid}, space.control[0]))
        if len(self._limbo) > 16:
            self.reap()

    def reap(self) -> None:
        """Collect killed processes, and what waited for their end."""
        super().reap()
        waiting, self._limbo = self._limbo, []
        for pids, unit in waiting:
            pids &= self.dying
            if pids:
                self._limbo.append((pids, unit))
            else:
                self.ram.free_control_unit(unit)

    def reaped(self, pid: int) -> bool:
        """Is a killed process gone for good?"""
        if pid in self.dying:
            try:
                done, _ = os.waitpid(pid, WALL | os.WNOHANG)
            except ChildProcessError:
                done = pid
            if not done:
                return False
            self.dying.discard(pid)
        return True

    def _wait_for_end(self, pid: int) -> None:
        """A killed process: wait until it is gone."""
        while pid in self.dying:
            try:
                done, status = os.waitpid(pid, WALL)
            except ChildProcessError:
                done, status = pid, 0
            if done and status & 0xFF != 0x7F:
                self.dying.discard(pid)

    def forget(self, cpu: UmCpu) -> None:
        """A CPU is released: it shall never be reported again."""
        assert isinstance(cpu, SysCpu)
        if cpu in self.pending:
            self.pending.remove(cpu)
        if self._ready:
            self._ready = [entry for entry in self._ready if entry[0] is not cpu]
        if self.running.pop(cpu.pid, None) is not None:
            self._bury(cpu)
        if cpu is self.spin.cpu:
            self.spin.leave()
        self._set_busy()

    def put_ready(self, trapped: Traps) -> None:
        """Hand these traps out at the next wait()."""
        self._ready.extend(trapped)
        self._busy = True

    def _set_busy(self) -> None:
        self._busy = bool(self.running or self._ready or self.events.count)

    def watches_changed(self) -> None:
        """Another host descriptor is watched, or one less."""
        self._set_busy()

    def alone(self) -> bool:
        """At most one guest runs or wants to."""
        return len(self.running) + len(self.pending) <= 1

    def forget_all(self) -> None:
        """The machine ends: nothing runs any more."""
        self.pending.clear()
        self.running.clear()

    def can_trap_cpuid(self) -> bool:
        """Can the host's CPU let `cpuid` fault?"""
        if self._cpuid is None:
            try:
                self.zygote.control(self.zygote.pid, _ARCH_PRCTL, _ARCH_SET_CPUID, 1)
            except OSError:
                self._cpuid = False
            else:
                self._cpuid = True
        return self._cpuid

    # -- stopped threads -----------------------------------------------------------------

    def at_rest(self, cpu: SysCpu) -> bool:
        """Have a stopped thread's FPU state in its frame. False: it is dead, or does as if."""
        if cpu.trap.kind is TrapKind.DEAD:
            return False
        if cpu.traced:
            return True
        if not cpu.born:
            return self._birth(cpu)
        if not cpu.block[PARKED]:
            return True
        for _ in range(_DEAF):
            code = self._save(cpu.addr)
            if code == 0:
                return True
            if code not in (-_EINTR, -_ETIMEDOUT):
                break
        self._bury(cpu)
        return False

    def _birth(self, cpu: SysCpu) -> bool:
        """Wait until a new thread has come to rest. False: it died."""
        for _ in range(_DEAF * _DEAF):
            code = self._await(cpu.addr)
            if code == 0:
                cpu.begin()
                return True
            if code not in (-_EINTR, -_ETIMEDOUT):
                break
        self._bury(cpu)
        return False

    def _bury(self, cpu: SysCpu) -> None:
        """A thread is dead, or pretends to be: make it true."""
        traps.dead(cpu.trap)
        try:
            os.kill(cpu.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def _count(self, cpu: SysCpu) -> None:
        """A `syscall` instruction has trapped that isn't patched."""
        space = cpu.space
        assert isinstance(space, SysSpace)
        rip = cpu.regs[RIP]
        sites = space.sites
        before = sites.get(rip, 0)
        count = before + (SAMPLE if cpu.area.sampled else 1)
        if len(sites) >= _SITES:  # a guest can make them up
            sites.clear()
        sites[rip] = count
        if before < self.patch_after <= count and self.hot_site is not None:
            self.hot_site(cpu)

    def _stopped(self, cpu: SysCpu, code: int) -> Traps | None:
        """What go() or take() found, as a trap for the guest; None: just resume it."""
        if code in (SYSCALL, TRAPPED):
            if code == TRAPPED and self.hot_site is not None:
                self._count(cpu)
            if cpu.kicks:
                cpu.kicks = 0
            if cpu.stub.away:
                self.affinity.trap(cpu)
            return cpu.at_syscall
        trap = cpu.trap
        if code == SIGNALLED:
            cpu.kicks = 0
            if not cpu.decode():
                return None
            if trap.kind is TrapKind.TICK:
                self._tick(cpu)
            elif cpu.stub.away:
                self.affinity.trap(cpu)
        elif code == BAD_SYSCALL:
            trap.kind = TrapKind.BAD_SYSCALL
        elif code == VSYSCALL:
            trap.kind = TrapKind.VSYSCALL
        else:
            self._bury(cpu)
        return cpu.trapped

    def _tick(self, cpu: SysCpu) -> None:
        """A time slice ended: is everyone on the right host CPU?"""
        self.affinity.tick(cpu, [*self.running.values(), *self.pending])
        self.look_around()

    # -- the run loop ----------------------------------------------------------------------

    def wait(self, deadline: int | None) -> Traps:
        """See Platform.wait. Fast when one CPU resumes and no other runs."""
        pending = self.pending
        if len(pending) == 1 and pending[0].born and not pending[0].traced:
            now = monotonic_ns() if deadline is not None or self._busy else 0
            if not self._busy and (deadline is None or deadline - now > _TICK_NS):
                cpu = pending.pop()
                code = self._go(cpu.addr)
            elif (
                self.running
                or self._ready
                or self.events.files
                or (deadline is not None and deadline <= now)
            ):
                return self._wait_for_any(deadline)
            else:
                cpu = pending.pop()
                code = self._go_watched(cpu, deadline, now)
            self._turns -= 1
            if self._turns <= 0:
                self._turns = self.spin.review(cpu)
            if code == SYSCALL and not cpu.stub.away:
                return cpu.at_syscall
            trapped = self._after_go(cpu, code)
            if trapped is not None:
                return trapped
        return self._wait_for_any(deadline)

    def _go_watched(self, cpu: SysCpu, deadline: int | None, now: int) -> int:
        """As go(), but a host descriptor or the deadline may end it too."""
        if now > self._slice_end - _TICK_NS // 2:
            self._slice_end = now + _TICK_NS
        until = self._slice_end if deadline is None else min(deadline, self._slice_end)
        if until != self._until_set:
            self._until_set = until
            self._deadline[0], self._deadline[1] = divmod(until, 1_000_000_000)
        self._pair[4] = cpu.area.addr
        code = self._go_any(cpu.addr, self._pair_addr, self._deadline_addr)
        if code == -_ETIMEDOUT and deadline is not None and until == deadline:
            return EVENT
        return code

    def _after_go(self, cpu: SysCpu, code: int) -> Traps | None:
        """go() ended in something else than a system call at a patched site."""
        if code in (-_EINTR, -_ETIMEDOUT, -_EAGAIN, EVENT):
            cpu.started = monotonic_ns() - (_TICK_NS if code == -_ETIMEDOUT else 0)
            self.running[cpu.pid] = cpu
            self._busy = True
            return None
        if code == BAD_LIST:
            self._mend_space(cpu.space)
            self.pending.append(cpu)
            return None
        trapped = self._stopped(cpu, code)
        if trapped is None:
            self.pending.append(cpu)
        return trapped

    def _mend_space(self, space: UmSpace) -> None:
        assert isinstance(space, SysSpace)
        self.mend(space, space.keeper.pid)

    def _wait_for_any(self, deadline: int | None) -> Traps:
        """Several CPUs, host descriptors, a near deadline, or nothing at all runs."""
        self._told = False
        while not self._ready and not self._told:
            late = deadline is not None and deadline <= monotonic_ns()
            if late or self.events.files:
                self._told = self.events.dispatch(False) or late
            self._start_pending()
            if self.running:
                self._collect(deadline, not self._told and not self._ready)
            elif not self._told and not self._ready:
                self.events.arm(deadline)
                self._told = self.events.dispatch(True)
        ready, self._ready = self._ready, []
        self._set_busy()
        return ready

    def _start_pending(self) -> None:
        if self.spin.on and len(self.running) + len(self.pending) > 1:
            self.spin.leave()
        while self.pending:
            cpu = self.pending.pop(0)
            if not cpu.born and not self._birth(cpu):
                self._ready.extend(cpu.trapped)
                continue
            code = self._give(cpu.addr) if not cpu.traced else self._start_traced(cpu)
            if code == BAD_LIST:
                self._mend_space(cpu.space)
                code = self._give(cpu.addr)
            if code < 0:
                self._bury(cpu)
                self._ready.extend(cpu.trapped)
            else:
                cpu.started = monotonic_ns()
                self.running[cpu.pid] = cpu

    def _start_traced(self, cpu: SysCpu) -> int:
        from pygos.arch.um import systrap_trace

        if cpu.needs_trace():
            return systrap_trace.start(cpu)
        systrap_trace.detach(cpu)
        return self._give(cpu.addr)

    def _collect(self, deadline: int | None, block: bool) -> None:
        """Take all threads that have stopped; `block`: wait for one, an event, or a tick."""
        cpus = list(self.running.values())
        traced = [cpu for cpu in cpus if cpu.traced]
        if traced:
            cpus = [cpu for cpu in cpus if not cpu.traced]
            block = block and not self._look_at_traced(traced)
        words = self.scratch
        at = 0
        if self.events.count or traced:
            words[0], words[1], words[2] = RUN_WATCHED, self._event_word, _FUTEX2_SIZE_U32
            at = 3
        for cpu in cpus:
            words[at], words[at + 1] = RUN_WATCHED, cpu.area.addr
            words[at + 2] = _FUTEX2_SIZE_U32
            at += 3
        until = _NO_WAIT
        if block:
            until = self._until([*cpus, *traced], deadline, bool(traced))
        self._wait_any(self.scratch_addr, at // 3, until)
        if self.events.count and self._event[0] & 0xFFFF_FFFF not in (RUN, RUN_WATCHED):
            self._told = self.events.dispatch(False) or self._told
            self._answer(self._event_word)
        for cpu in cpus:
            if cpu.area.state not in (RUN, RUN_WATCHED):
                self._take_stopped(cpu)
        if block:
            self._check_slices()

    def _look_at_traced(self, cpus: list[SysCpu]) -> bool:
        """Take the stops of traced threads; True if there was one."""
        from pygos.arch.um import systrap_trace

        found = False
        for _ in range(_LOOKS):
            for cpu in cpus:
                stopped = systrap_trace.look(cpu)
                if stopped is None:
                    continue
                found = True
                self.running.pop(cpu.pid, None)
                if not stopped:
                    self.pending.append(cpu)
                else:
                    cpu.kicked = False
                    self._ready.extend(cpu.trapped)
            if found:
                break
            os.sched_yield()
        return found

    def _until(self, cpus: list[SysCpu], deadline: int | None, soon: bool) -> int:
        """Address of the time until which to sleep: the deadline or the end of a slice.
        `soon`: somebody has to be looked at."""
        if soon:
            deadline = monotonic_ns() + _LOOK_NS
        when = min([cpu.started for cpu in cpus]) + _TICK_NS
        if deadline is not None and deadline < when:
            when = deadline
        self._until_set = when
        self._deadline[0], self._deadline[1] = divmod(when, 1_000_000_000)
        return self._deadline_addr

    def _take_stopped(self, cpu: SysCpu) -> None:
        if self.running.pop(cpu.pid, None) is None:
            return
        alive = cpu.area.state in (2, 3)
        trapped = self._stopped(cpu, self._take(cpu.addr) if alive else -_ESRCH)
        if trapped is None:
            self.pending.append(cpu)
        else:
            cpu.kicked = False
            self._ready.extend(trapped)

    def _check_slices(self) -> None:
        """Interrupt threads whose slice is over; end those that don't listen."""
        now = monotonic_ns()
        for cpu in list(self.running.values()):
            if now - cpu.started < _TICK_NS:
                continue
            cpu.started = now
            cpu.ticking = True
            if not cpu.kicks:
                cpu.used = self._cpu_time(cpu.pid)
            cpu.kicks += 1
            if cpu.kicks > _DEAF and self._is_deaf(cpu):
                del self.running[cpu.pid]
                self._bury(cpu)
                self._ready.extend(cpu.trapped)
            else:
                cpu.prod()

    def _is_deaf(self, cpu: SysCpu) -> bool:
        """Is it dead, asleep by its own doing, or has it run for long without taking the signal?

        A guest that hasn't stopped never sleeps on the host; it can block the signal and then
        wait for a word of its own, though.
        """
        used = self._cpu_time(cpu.pid)
        if cpu.area.state not in (RUN, RUN_WATCHED):
            return False  # it has stopped just now
        return used < 0 or used - cpu.used > _DEAF_NS

    @staticmethod
    def _cpu_time(pid: int) -> int:
        """ns of CPU time of a process; -1 if it is dead or asleep."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            return -1
        if fields[0] in (b"Z", b"X", b"S"):
            return -1
        return (int(fields[11]) + int(fields[12])) * _CLOCK_TICK_NS  # utime, stime

    def halt(self) -> None:
        """Stop all running CPUs until the next wait(): the kernel itself is to be stopped."""
        for cpu in self.running.values():
            cpu.prod()
