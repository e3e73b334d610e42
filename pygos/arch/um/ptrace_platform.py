# SPDX-License-Identifier: Apache-2.0
"""UmPtrace: the platform that traps guests with PTRACE_SYSEMU."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from time import monotonic_ns
from typing import Final

from pygos.arch.um import traps
from pygos.arch.um.cpu import Stub, UmCpu
from pygos.arch.um.crowd import MANY, Crowd
from pygos.arch.um.platform import POOL, Control, UmPlatform
from pygos.arch.um.ptrace_space import PtraceSpace
from pygos.host import HostError, libc
from pygos.host.code import (
    BAD_LIST,
    BAD_SYSCALL,
    OTHER,
    STATUS,
    STOPPED,
    SYSCALL,
    WHO,
    WPID,
)  # fmt: skip
from pygos.host.ram import HostRam
from pygos.host.stub import PTRACE_CONT, WALL
from pygos.include.linux.platform import Cpu, Trap, TrapKind

Traps = Sequence[tuple[Cpu, Trap]]

_TICK_NS: Final = 20_000_000
_EINTR, _EIO, _ECHILD, _EINVAL = 4, 5, 10, 22
_MAX64: Final = (1 << 64) - 1


class UmPtrace(UmPlatform):
    """Implements ``Platform``. To be used by the thread that made it.

    pending: CPUs that resume at the next wait(); running: pid -> CPU, in guest code;
    _ready: traps to hand out that are no stop of their own (a kick before the start).
    """

    name = "um-ptrace"

    def __init__(self, ram: HostRam, nr_cpus: int) -> None:
        """Start the zygote. HostError if the host refuses."""
        super().__init__(ram, nr_cpus)
        self.pending: list[UmCpu] = []
        self.running: dict[int, UmCpu] = {}
        self._ready: list[tuple[Cpu, Trap]] = []
        self._pool: list[tuple[Stub, Control]] = []
        self._told = False
        #: False: nothing but one pending CPU can produce an event.
        self._busy = False
        #: How to wait, once there are very many stubs.
        self._crowd: Crowd | None = None
        code = ram.code
        self._run, self._start, self._fetch = code.run, code.start, code.fetch
        self._wait4 = code.wait
        self._wait_addr, self._wait_words = self.scratch_addr, self.scratch
        self._group = -self.zygote.pid & _MAX64
        self._wait_words[0] = self._group
        self._watching = False

    def adopt(self, pid: int, list_addr: int, traps: int) -> Stub:
        """Give a new stub process its CPU block."""
        stub = super().adopt(pid, list_addr, traps)
        if len(self.stubs) > MANY and self._crowd is None:
            self._crowd = Crowd()
        return stub

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
        if self._crowd is not None:
            self._crowd.close()

    # -- address spaces and their stubs ------------------------------------------------

    def new_space(self) -> PtraceSpace:
        """An empty address space; from the pool, or a clone of the zygote."""
        if self._pool:
            stub, control = self._pool.pop()
            space = PtraceSpace(self, control)
        else:
            control = self.ram.control_unit()
            stub = self.fork_stub(self.zygote.pid, control)
            space = PtraceSpace(self, control)
        space.idle.append(stub)
        return space

    def thread_stub(self, sibling: int, list_addr: int, traps: int) -> Stub:
        """A further stub in the address space of a stopped one. EAGAIN."""
        try:
            pid = self.zygote.thread(sibling)
        except OSError as error:
            raise self.no_process(error) from None
        return self.adopt(pid, list_addr, traps)

    def recycle(self, space: PtraceSpace) -> None:
        """A space has no CPU left: empty one of its stubs for the pool, kill the others."""
        stubs, space.idle = space.idle, []
        control = space.control
        while stubs:
            stub = stubs.pop()
            if stubs or len(self._pool) >= POOL or not self._empty(space, stub):
                self.discard_stub(stub)
            else:
                stub.fresh = False
                self._pool.append((stub, control))
                return
        space.drop_all()
        for index in range(4):
            control[2][index] = 0
        self.ram.free_control_unit(control[0])

    def _empty(self, space: PtraceSpace, stub: Stub) -> bool:
        space.drop_all()
        if stub.away:
            self.affinity.go_home(stub)
        return self._flush(stub.addr) == 0

    def forget(self, cpu: UmCpu) -> None:
        """A CPU is released: it shall never be reported again."""
        if cpu in self.pending:
            self.pending.remove(cpu)
        if self._ready:
            self._ready = [entry for entry in self._ready if entry[0] is not cpu]
        if cpu.pid in self.running:
            self.stop(cpu)
            if cpu in self.pending:
                self.pending.remove(cpu)
            self._ready = [entry for entry in self._ready if entry[0] is not cpu]
        self._set_busy()

    def put_ready(self, trapped: Traps) -> None:
        """Hand these traps out at the next wait()."""
        self._ready.extend(trapped)
        self._busy = True

    def _set_busy(self) -> None:
        self._busy = bool(self.running or self._ready or self.events.count)

    def stopped_stub(self, space: PtraceSpace) -> Stub:
        """A stopped stub of the space; stops one if all run."""
        if space.idle:
            return space.idle[0]
        cpus: list[UmCpu] = space.cpus
        for cpu in cpus:
            if cpu.pid not in self.running:
                return cpu.stub
        cpu = cpus[0]
        self.stop(cpu)
        return cpu.stub

    def stop(self, cpu: UmCpu) -> None:
        """Stop a running CPU. It goes on at the next wait(), or its trap is reported there."""
        os.kill(cpu.pid, signal.SIGURG)
        try:
            _, status = os.waitpid(cpu.pid, WALL)
        except ChildProcessError:
            status = signal.SIGKILL
        del self.running[cpu.pid]
        if not self._decode(cpu, status):
            self.pending.append(cpu)
        self._set_busy()

    def halt(self) -> None:
        """Stop all running CPUs until the next wait(): the kernel itself is to be stopped."""
        for pid in self.running:
            os.kill(pid, signal.SIGURG)

    def _decode(self, cpu: UmCpu, status: int) -> bool:
        """A CPU stopped outside of run(): put its trap on the ready list. False: none."""
        cpu.block[STATUS] = status
        trapped = self._trapped(cpu, self._fetch(cpu.addr))
        if trapped is None:
            return False
        cpu.kicked = False
        self._ready.extend(trapped)
        return True

    def _trapped(self, cpu: UmCpu, code: int) -> Traps | None:
        """What run() or fetch() found, as a trap for the guest; None: just resume it."""
        if code == SYSCALL:
            if cpu.stub.away:
                self.affinity.trap(cpu)
            return cpu.at_syscall
        if code == BAD_SYSCALL:
            cpu.trap.kind = TrapKind.BAD_SYSCALL
        elif code < 0:
            traps.dead(cpu.trap)
        elif not traps.decode(cpu, code & ~STOPPED):
            return None
        elif cpu.trap.kind is TrapKind.TICK:
            self._tick(cpu)
        elif cpu.stub.away:
            self.affinity.trap(cpu)
        return cpu.trapped

    def _tick(self, cpu: UmCpu) -> None:
        """A time slice ended: is everyone on the right host CPU?"""
        self.affinity.tick(cpu, [*self.running.values(), *self.pending])
        self.look_around()

    # -- the run loop ------------------------------------------------------------------

    def wait(self, deadline: int | None) -> Traps:
        """See Platform.wait. Fast when one CPU resumes and nothing else can happen."""
        if (
            len(self.pending) == 1
            and not self._busy
            and (deadline is None or deadline - monotonic_ns() > _TICK_NS)
        ):
            cpu = self.pending.pop()
            code = self._run(cpu.addr)
            if not code:
                if cpu.stub.away:
                    self.affinity.trap(cpu)
                return cpu.at_syscall
            trapped = self._after_run(cpu, code)
            if trapped is not None:
                return trapped
        return self._wait_for_any(deadline)

    def _after_run(self, cpu: UmCpu, code: int) -> Traps | None:
        """run() ended in something else than a system call."""
        if code == OTHER or code == -_EINTR:
            self.running[cpu.pid] = cpu
            self._busy = True
            if code == OTHER:
                self._stopped(cpu.block[WPID], cpu.block[STATUS] & 0xFFFFFFFF)
            return None
        if code < 0 and not self._retry(cpu, code):
            return cpu.trapped
        trapped = self._trapped(cpu, code) if code > 0 else None
        if trapped is None:
            self.pending.append(cpu)
        return trapped

    def _retry(self, cpu: UmCpu, code: int) -> bool:
        """A start failed. True: worth another try; False: cpu.trap says why."""
        if code == BAD_LIST:
            self.mend(cpu.space, cpu.pid)
            return True
        if code in (-_EIO, -_EINVAL):
            traps.bad_registers(cpu.trap)
        else:
            traps.dead(cpu.trap)
        return False

    def _run_watched(self, cpu: UmCpu, deadline: int | None) -> Traps | None:
        """As the fast path of wait(), but a deadline or a host descriptor may end it too."""
        self._start_watcher(deadline)
        cpu.block[WHO] = self._group
        code = self._run(cpu.addr)
        cpu.block[WHO] = cpu.pid
        return self._trapped(cpu, code) if not code else self._after_run(cpu, code)

    def _start_watcher(self, deadline: int | None) -> None:
        """Let the watcher poll, if there is anything to watch."""
        if deadline is not None:
            self.events.arm(deadline)
        if not self._watching and (deadline is not None or self.events.count):
            libc.ptrace(PTRACE_CONT, self._watcher, 0, 0)
            self._watching = True

    def _wait_for_any(self, deadline: int | None) -> Traps:
        """Several CPUs, host descriptors, a near deadline, or nothing at all runs."""
        self._told = False
        while not self._ready and not self._told:
            late = deadline is not None and deadline <= monotonic_ns()
            if late or self.events.files:
                self._told = self.events.dispatch(False) or late
            alone = len(self.pending) == 1 and not self.running and self._crowd is None
            if alone and not self._told:
                trapped = self._run_watched(self.pending.pop(), deadline)
                if trapped is not None:
                    return trapped
                continue
            self._start_pending()
            if self.running:
                if not self._told:
                    self._start_watcher(deadline)
                self._collect(os.WNOHANG if self._told or self._ready else 0)
            elif not self._told and not self._ready:
                self.events.arm(deadline)
                self._told = self.events.dispatch(True)
        ready, self._ready = self._ready, []
        self._set_busy()
        return ready

    def _start_pending(self) -> None:
        pending, self.pending = self.pending, []
        for cpu in pending:
            code = self._start(cpu.addr)
            if code < 0 and self._retry(cpu, code):
                code = self._start(cpu.addr)
            if code < 0:
                self._ready.extend(cpu.trapped)
            else:
                self.running[cpu.pid] = cpu

    def _collect(self, options: int) -> None:
        """Wait for a stop (or just look, with WNOHANG) and take all others there are, so
        that a stub that stops often can't hide one that stops later in the host's list."""
        if self._crowd is not None:
            self._crowd.collect(self, options)
            return
        words = self._wait_words
        words[2] = options
        while True:
            pid = self._wait4(self._wait_addr)
            if pid == -_ECHILD:
                self._all_dead()
            if pid <= 0:
                return
            self._stopped(pid, words[1] & 0xFFFFFFFF)
            if not self.running:
                return
            words[2] = os.WNOHANG

    def awaited(self) -> list[int]:
        """The processes that may stop: running stubs, and the watcher."""
        return [*self.running, self._watcher] if self._watching else list(self.running)

    def look_at(self, pid: int) -> bool:
        """Has this one of them stopped? Then its trap, if it is one, is ready."""
        words = self._wait_words
        words[0], words[2] = pid, os.WNOHANG
        found = self._wait4(self._wait_addr)
        words[0] = self._group
        if found == -_ECHILD and pid in self.running:
            cpu = self.running.pop(pid)
            traps.dead(cpu.trap)
            self._ready.extend(cpu.trapped)
        elif found > 0:
            self._stopped(pid, words[1] & 0xFFFFFFFF)
        return found != 0

    def _stopped(self, pid: int, status: int) -> None:
        """A member of the process group changed state."""
        cpu = self.running.pop(pid, None)
        if cpu is not None:
            if not self._decode(cpu, status):
                self.pending.append(cpu)
        elif pid == self._watcher:
            self._watching = False
            if status & 0xFF != 0x7F:
                raise HostError("the host killed a helper process of the machine")
            self._told = self.events.dispatch(False) or self._told
        elif status & 0xFF != 0x7F:
            self.dying.discard(pid)

    def _all_dead(self) -> None:
        """Someone killed and reaped everything."""
        for cpu in self.running.values():
            traps.dead(cpu.trap)
            self._ready.extend(cpu.trapped)
        self.running.clear()
