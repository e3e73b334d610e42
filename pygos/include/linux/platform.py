# SPDX-License-Identifier: Apache-2.0
"""What the kernel asks of the machine under it: CPUs, address spaces, traps, clock, RAM.

The kernel proper knows only these protocols. ``arch/um`` (and later ``arch/tcg``) and
``host`` implement them. A platform never sees a VMA, a file or a signal disposition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum, IntFlag
from typing import Protocol

from pygos.include.dataclass import dataclass

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
PAGE_MASK = ~(PAGE_SIZE - 1)
#: First address above the guest: the stub's own pages lie from here to 2**47
#: (pygos/host/layout.py).
TASK_SIZE = 0x7FFF_8000_0000
#: Where AddressSpace.window() may map.
WINDOWS = TASK_SIZE + 0x100_0000
WINDOWS_END = TASK_SIZE + 0x4000_0000


class Prot(IntFlag):
    """Protection of a host mapping; values are PROT_* of mmap(2)."""

    NONE = 0
    READ = 1
    WRITE = 2
    EXEC = 4
    #: For map() only: the pages will be used soon, so the host should enter them all at once
    #: (MAP_POPULATE) instead of one by one at their first use.
    POPULATE = 0x8000


#: Cpu.set_traps(): rdtsc faults; cpuid faults.
TRAP_TSC = 1
TRAP_CPUID = 2


class TrapKind(IntEnum):
    """Why a guest thread stopped."""

    SYSCALL = 0  # 64-bit `syscall`; number and arguments are in cpu.regs
    FAULT = 1  # page fault; addr and access are valid
    EXCEPTION = 2  # a CPU exception that is a signal: signo, code (si_code) and addr are valid
    TICK = 3  # the time slice of guest CPU time is used up
    KICK = 4  # Cpu.kick() was called
    BAD_SYSCALL = 5  # int 0x80, x32, sysenter: entry paths that are closed
    VSYSCALL = 6  # a call into the vsyscall page: as SYSCALL, rip already at the caller
    DEAD = 7  # the stub is gone (the host killed it); nothing can be resumed


class Access(IntEnum):
    """What the guest tried at the faulting address; inferred where the host doesn't tell."""

    READ = 0
    WRITE = 1
    EXEC = 2
    UNKNOWN = 3  # not mapped in the stub: may have been any of them


@dataclass(slots=True)
class Trap:
    """One stop of one guest thread. Platforms may reuse the object for the next stop."""

    kind: TrapKind
    addr: int = 0
    access: Access = Access.UNKNOWN
    signo: int = 0
    code: int = 0


class Cpu(Protocol):
    """One guest thread's execution context."""

    #: The registers as in ``struct user_regs_struct`` (27 x u64), in place. Changes take
    #: effect at the next resume. Index names: pygos.arch.x86.regs.
    regs: memoryview
    #: The owner (a Task); the platform never looks inside.
    owner: object
    #: A page (u64) that this guest thread can read and only the kernel write, at a fixed place
    #: of its thread area; None where no call is answered in the stub.
    thread_page: memoryview | None

    def resume(self) -> None:
        """Run until the next trap; pending mapping changes of the space are flushed first."""

    def kick(self) -> None:
        """Make a running guest trap soon (TrapKind.KICK). Harmless when it is stopped."""

    def set_step(self, on: bool) -> None:
        """Trap after each instruction (EXCEPTION, SIGTRAP, TRAP_TRACE) from the next resume on.

        A system call instruction makes only its own trap.
        """

    def set_traps(self, traps: int) -> None:
        """Let instructions fault (an exception, SIGSEGV with SI_KERNEL): bits of TRAP_TSC and
        TRAP_CPUID. A new CPU has none. ENODEV if the host's CPU can't do it."""

    def get_debugreg(self, number: int) -> int:
        """A debug register as a debugger sees it: 0 to 3 addresses, 6 status, 7 control."""

    def set_debugreg(self, number: int, value: int) -> None:
        """Set one: EXCEPTION, SIGTRAP, TRAP_HWBKPT when what it watches is touched.

        Only addresses of the guest. EINVAL, ENOSPC, EIO if the machine can't do that.
        """

    def get_fpu(self) -> bytes:
        """The XSAVE image (NT_X86_XSTATE layout, standard format)."""

    def set_fpu(self, image: bytes | None) -> None:
        """Load an XSAVE image; None loads the initial state. ValueError if it is malformed."""

    def release(self) -> None:
        """The thread is gone; the last release of a space with no users left ends its stub."""


class AddressSpace(Protocol):
    """The host mappings of one mm: only a cache of its page table, like a TLB.

    Changes are queued and flushed before the next resume of any of its CPUs.
    Ranges are page aligned and lie below TASK_SIZE; pfn counts pages of the RAM memfd.
    """

    #: Pages (u64) of the process for calls that are answered in the stub: one that the guest
    #: can only read, one that it can write too. None where there are no such calls.
    proc_page: memoryview | None
    pos_page: memoryview | None

    def window(self, va: int, pfn: int, pages: int) -> None:
        """Map frames read-only at `va` in the window area above TASK_SIZE (queued like map);
        pfn -1 unmaps. A clone of the space has none of its parent's windows."""

    def take_position(self, index: int) -> int:
        """A word of pos_page, which is POS_TAKEN << 32 from then on (include/linux/fastcalls.py).

        No guest thread that compares and exchanges it comes between.
        """

    def map(self, va: int, pfn: int, pages: int, prot: Prot) -> None:
        """Map `pages` pages at `va` to the frames pfn, pfn+1, ... replacing what is there."""

    def unmap(self, va: int, pages: int) -> None: ...

    def protect(self, va: int, pages: int, prot: Prot) -> None:
        """Change the protection of pages; all of the range must be mapped."""

    def new_cpu(self, parent: Cpu | None = None) -> Cpu:
        """A new guest thread in this space; registers zero but for segment selectors/flags.

        The FPU is in its initial state, or in that of `parent`, a stopped CPU of this space.
        """

    def clone(self, parent: Cpu) -> AddressSpace:
        """A copy of all host mappings (fork), made from `parent`, a stopped CPU of this space.

        Queued changes are flushed first, so the caller write-protects what is copy-on-write
        before it clones. The copy has no CPU yet; its first new_cpu() starts with the
        registers and FPU state of `parent`.
        """

    def sync(self) -> None:
        """Flush queued changes now, stopping a running CPU for it if need be (TLB shootdown)."""

    def shootdown(self) -> None:
        """No guest can reach any more what was unmapped before: frames may be used for others.

        Does nothing where the platform knows for sure that none of the CPUs runs.
        """

    def running(self) -> int:
        """How many CPUs of this space run guest code right now, as far as the platform knows."""

    def destroy(self) -> None:
        """All CPUs are released and no mapping is used any more: give the stub back."""


class HostWaiter(Protocol):
    """Something that is told that a host descriptor became ready."""

    def host_ready(self, events: int) -> None:
        """`events`: POLLIN|POLLOUT|POLLHUP|POLLERR bits as of poll(2)."""


class Platform(Protocol):
    """Address spaces and CPUs."""

    name: str
    xstate_size: int
    #: Where a patched `syscall` site jumps to (by way of a trampoline); 0: no such entry.
    patch_entry: int
    #: Set by the kernel: called with a stopped CPU whose `syscall` instruction (the one before
    #: its rip) has trapped several times in this address space.
    hot_site: Callable[[Cpu], None] | None
    #: So often.
    patch_after: int

    def new_space(self) -> AddressSpace: ...

    def wait(self, deadline: int | None) -> Sequence[tuple[Cpu, Trap]]:
        """Wait for traps until `deadline` (monotonic ns of the host clock; None: for ever).

        Returns the stopped CPUs with their traps, or an empty sequence at the deadline or
        when only host descriptors became ready (their waiters were told).
        With no CPU running it sleeps in the host's poll.
        """

    def watch(self, fd: int, events: int, waiter: HostWaiter) -> None:
        """Tell `waiter` once (one-shot) when the host handle `fd` is ready for `events`."""

    def unwatch(self, fd: int, waiter: HostWaiter) -> None: ...

    def halt(self) -> None:
        """Stop all running CPUs until the next wait(): the kernel itself is to be stopped."""

    def close(self) -> None:
        """End every stub and free everything of the host's."""


class Ram(Protocol):
    """Physical memory: one memfd, mapped once in the kernel."""

    pages: int
    #: The whole RAM as bytes, writable.
    mem: memoryview
    #: The same RAM as u32 and u64 (native order), for futexes and page-sized work.
    mem32: memoryview
    mem64: memoryview

    def discard(self, pfn: int, pages: int) -> None:
        """Give the host's memory under the frames back; they read as zero afterwards."""

    def find_nul(self, start: int, end: int) -> int:
        """Byte offset of the first NUL in mem[start:end], or -1."""

    def cmpxchg32(self, offset: int, old: int, new: int) -> int:
        """Atomic compare-and-exchange of the u32 at byte `offset`; returns the value found."""

    def close(self) -> None: ...


class Clock(Protocol):
    """The only source of time. All values are ns."""

    def monotonic(self) -> int:
        """The kernel's own clock, in which deadlines are: of the host, with any beginning."""

    def realtime(self) -> int: ...

    def boottime(self) -> int:
        """Since the machine's boot; as the machine never sleeps, CLOCK_MONOTONIC too."""

    def set_realtime(self, ns: int) -> None:
        """Shift the machine's own CLOCK_REALTIME; the host's is never touched."""

    def slew(self, ppb: int) -> None:
        """From now on CLOCK_REALTIME gains `ppb` ns a second on the host's."""

    def shift(self, wall: int, tai: int) -> None:
        """Move CLOCK_REALTIME by `wall` ns and what CLOCK_TAI is ahead of it by `tai`, at once."""

    #: When (by monotonic()) refresh() wants to be called, if the machine runs then anyway.
    due: int

    def refresh(self) -> None:
        """Bring what programs read without the kernel closer to the truth."""

    def publish(self, page: memoryview) -> bool:
        """Keep the time page that programs read (include/vdso/datapage.py) up to date from now
        on; realtime() and boottime() agree with it. False if they have to ask the kernel."""

    def unpublish(self) -> None:
        """The page is about to go."""


class Entropy(Protocol):
    """The only source of randomness."""

    def bytes(self, count: int) -> bytes: ...


@dataclass(slots=True, frozen=True)
class HostStat:
    """A host file's attributes, st_mode with the file type bits; times in ns."""

    mode: int
    uid: int
    gid: int
    size: int
    ino: int
    dev: int
    nlink: int
    blocks: int
    atime: int
    mtime: int
    ctime: int
    rdev: int
