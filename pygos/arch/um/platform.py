# SPDX-License-Identifier: Apache-2.0
"""UmPlatform: what um-ptrace and um-systrap have in common: stub processes and their mappings."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from pygos.arch.um.affinity import Affinity
from pygos.arch.um.cpu import Stub
from pygos.arch.x86.regs import NREGS, R13, R15, RIP
from pygos.host import HostError
from pygos.host import machine_code as mc
from pygos.host.code import BAD_LIST, BLOCK_SIZE
from pygos.host.events import HostEvents
from pygos.host.layout import STUB_CODE, STUB_LIST
from pygos.host.ram import HostRam
from pygos.host.stub import WALL, Zygote
from pygos.include.errno import EAGAIN
from pygos.include.linux.platform import Cpu, HostWaiter, Trap

if TYPE_CHECKING:
    from pygos.arch.um.cpu import UmCpu
    from pygos.arch.um.space import UmSpace

#: A control unit: its number in the RAM memfd, kernel address, u64 view (HostRam.control_unit).
Control = tuple[int, int, memoryview]

_BLOCKS: Final = 65_536
#: Empty address spaces that are kept for the next exec.
POOL: Final = 4
_EPERM, _ESRCH, _EAGAIN, _ENOMEM = 1, 3, 11, 12
_MAX64: Final = (1 << 64) - 1
#: waitid: is it our child? Nothing is reaped.
_LOOK: Final = os.WEXITED | os.WNOHANG | os.WNOWAIT | WALL


def _mmap_min_addr() -> int:
    """The host's vm.mmap_min_addr, which binds even root without CAP_SYS_RAWIO."""
    try:
        with open("/proc/sys/vm/mmap_min_addr", "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1 << 16


class UmPlatform:
    """Most of ``Platform``. To be used by the thread that made it."""

    name = ""
    #: Guest threads run without ptrace.
    systrap = False
    #: CPUs that resume at the next wait(); pid -> CPU, in guest code.
    pending: list[Any]
    running: dict[int, Any]
    patch_entry = 0
    hot_site: Callable[[Cpu], None] | None = None
    #: A patch costs some 80 us, and saves 2 to 3 at each call (Documentation/patching.rst).
    patch_after = 64

    def __init__(self, ram: HostRam, nr_cpus: int) -> None:
        """Start the zygote. HostError if the host refuses."""
        self.ram = ram
        self.nr_cpus = nr_cpus
        if after := os.environ.get("PYGOS_PATCH_AFTER", ""):  # for tests
            self.patch_after = int(after) if after.isdecimal() else self.patch_after
        self.stubs: dict[int, Stub] = {}
        self.dying: set[int] = set()
        #: No mapping may begin below: the host forbids it to unprivileged processes.
        self.mmap_min_addr = _mmap_min_addr()
        self._closed = False
        self._pid = os.getpid()
        self._init_memory()
        self._flush = ram.code.flush
        self.affinity = Affinity()
        self.events = HostEvents()
        self._watch_page = ram.control_unit()
        try:
            self._init_zygote()
        except BaseException:
            self.affinity.close()
            self.events.close()
            raise

    def _init_memory(self) -> None:
        """CPU blocks in one sparse mapping; the batch registers and a scratch area behind."""
        self._arena = mmap.mmap(-1, (_BLOCKS + 9) * BLOCK_SIZE)
        self._arena_addr = ctypes.addressof(ctypes.c_char.from_buffer(self._arena))
        self._words = memoryview(self._arena).cast("Q")
        self._free_slots: list[int] = []
        self._next_slot = 0
        self.batch_addr = self._arena_addr + _BLOCKS * BLOCK_SIZE
        #: For what a platform has to tell the helper.
        self.scratch_addr = self.batch_addr + BLOCK_SIZE
        self.scratch = self._words[(_BLOCKS + 1) * BLOCK_SIZE // 8 :]

    def _init_zygote(self) -> None:
        _, _, page = self._watch_page
        page[0] = struct.unpack("<Q", struct.pack("<ihh", 4, 1, 0))[0]  # pollfd: fd 4, POLLIN
        self.zygote = Zygote(self.ram, self.events.fd, self._watch_page[0], self.systrap)
        self.xstate_size = self.zygote.xstate_size
        self._watcher = self.zygote.watcher
        self.template_regs = memoryview(struct.pack("<27Q", *self.zygote.template)).cast("Q")
        start = _BLOCKS * BLOCK_SIZE // 8
        batch = self._words[start : start + NREGS]
        batch[:] = self.template_regs
        batch[RIP] = STUB_CODE + mc.STUB_BATCH
        batch[R15] = STUB_LIST
        batch[R13] = self.zygote.secret
        batch[RIP - 1] = _MAX64  # orig_rax

    # -- stubs ----------------------------------------------------------------------

    def fork_stub(self, parent: int, control: Control, traps: int = 0, area: int = 0) -> Stub:
        """Clone a stopped stub with its mappings; `traps`: those of the parent, which the
        clone has too; `area`: see Zygote.fork. EAGAIN if the host has no process left."""
        self.look_around()
        try:
            pid = self.zygote.fork(parent, control[0], area)
        except OSError as error:
            self.ram.free_control_unit(control[0])
            raise self.no_process(error) from None
        return self.adopt(pid, control[1], traps)

    @staticmethod
    def no_process(error: OSError) -> Exception:
        if error.errno in (_EAGAIN, _ENOMEM, _ESRCH):  # ESRCH: the host killed the parent
            return EAGAIN()
        return HostError(f"cannot clone a stub process: {error}")

    def adopt(self, pid: int, list_addr: int, traps: int) -> Stub:
        """Give a new stub process its CPU block."""
        if self._free_slots:
            slot = self._free_slots.pop()
        elif self._next_slot < _BLOCKS:
            slot = self._next_slot
            self._next_slot = slot + 1
        else:
            Zygote.kill(pid)
            raise EAGAIN
        start = slot * BLOCK_SIZE // 8
        block = self._words[start : start + BLOCK_SIZE // 8]
        stub = Stub(pid, slot, self._arena_addr + slot * BLOCK_SIZE, block)
        stub.attach(list_addr, self.batch_addr)
        stub.traps = traps
        self.stubs[pid] = stub
        return stub

    def discard_stub(self, stub: Stub) -> None:
        """Kill a stub; it is reaped when convenient."""
        self.stubs.pop(stub.pid, None)
        try:
            # If the host ended it, and it was reaped, the number may be anybody's by now.
            os.waitid(os.P_PID, stub.pid, _LOOK)
            os.kill(stub.pid, signal.SIGKILL)
            self.dying.add(stub.pid)
        except (ChildProcessError, ProcessLookupError):
            pass
        self._free_slots.append(stub.slot)
        if len(self.dying) > 16:
            self.reap()

    def reap(self) -> None:
        for pid in list(self.dying):
            try:
                done, status = os.waitpid(pid, WALL | os.WNOHANG)
            except ChildProcessError:
                done, status = pid, 0
            if done and status & 0xFF != 0x7F:
                self.dying.discard(pid)

    def everyone(self) -> Iterable[int]:
        """The processes that live where the machine lives."""
        pids = [stub.pid for stub in self.stubs.values() if not stub.away]
        return [self.zygote.pid, self._watcher, *pids]

    def alone(self) -> bool:
        """At most one guest runs or wants to."""
        return True

    def look_around(self) -> None:
        """Move the whole machine if there is a better place for it."""
        affinity = self.affinity
        if affinity.due() and affinity.look(self.alone()):
            affinity.bring(self.everyone())

    # -- mapping changes outside of a resume -------------------------------------------

    def flush(self, space: UmSpace, stub: Stub) -> None:
        """Run the queued mapping changes in a stopped stub of the space. HostError if one
        fails; a dead stub is found out when it is resumed."""
        result = self._flush(stub.addr)
        if result == BAD_LIST:
            self.mend(space, stub.pid)
            result = self._flush(stub.addr)
        if result < 0 and result != -_ESRCH:
            raise HostError(f"mapping changes of stub {stub.pid} failed: {result}")

    def mend(self, space: UmSpace, pid: int) -> None:
        """A mapping change failed. Out of host mappings (vm.max_map_count) or memory: drop
        them all, they are only a cache; faults bring back what is used. Else it's a bug."""
        index = (self.zygote.registers(pid)[R15] - STUB_LIST) // 32
        number = -self.zygote.result(pid)
        va, length, op, offset = space.entry(index)
        if number != _ENOMEM and not (number == _EPERM and va < self.mmap_min_addr):
            raise HostError(
                f"mapping change {index} failed ({os.strerror(number)}): system call "
                f"{op >> 32} va {va:#x}+{length:#x} prot {op & 7} offset {offset:#x}"
            )
        space.drop_all()

    # -- host descriptors, end -----------------------------------------------------------

    def watch(self, fd: int, events: int, waiter: HostWaiter) -> None:
        """See Platform.watch."""
        self.events.watch(fd, events, waiter)
        self.watches_changed()

    def unwatch(self, fd: int, waiter: HostWaiter) -> None:
        """See Platform.unwatch."""
        self.events.unwatch(fd, waiter)
        self.watches_changed()

    def put_ready(self, trapped: Sequence[tuple[Cpu, Trap]]) -> None:
        """Hand these traps out at the next wait()."""
        raise NotImplementedError

    def forget(self, cpu: UmCpu) -> None:
        """A CPU is released: it shall never be reported again."""
        raise NotImplementedError

    def watches_changed(self) -> None:
        """Another host descriptor is watched, or one less."""

    def close(self) -> None:
        """Kill and reap all stubs. Nothing in a process that forked off the one they belong to."""
        if self._closed or os.getpid() != self._pid:
            return
        self._closed = True
        try:
            os.killpg(self.zygote.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        while True:
            try:
                os.waitpid(-self.zygote.pid, WALL)
            except ChildProcessError:
                break
        self.forget_all()
        self.events.close()
        self.affinity.close()

    def forget_all(self) -> None:
        """The machine ends: nothing runs any more."""
