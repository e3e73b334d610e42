# SPDX-License-Identifier: Apache-2.0
"""Stub processes: how they are started, confined and cloned.

A stub is a host process whose only own code is the page of stub.S at STUB_CODE. One, the
zygote, is started per machine; every other is a clone of it or of another stub. A stub
has descriptor 3 (the RAM memfd) and no other, no stack, no vDSO, no heap, and a seccomp
filter that it shares with all its clones. Guest threads of um-systrap are clones without even
that descriptor, and nobody traces them.

Every ptrace request must come from the thread that started the zygote.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Iterator
from typing import Final

from pygos.arch.x86.regs import (
    NREGS,
    R12,
    R13,
    R14,
    R15,
    RAX,
    RBP,
    RBX,
    RDI,
    REGS_SIZE,
    RIP,
    RSI,
)  # fmt: skip
from pygos.host import HostError, libc
from pygos.host import machine_code as mc
from pygos.host.fast_code import FAST
from pygos.host.filter import CLONE_FORK, CLONE_GUEST, CLONE_THREAD, filter_page
from pygos.host.layout import STUB_CODE, STUB_LIST
from pygos.host.ram import HostRam, high_fd, memfd
from pygos.include.linux.platform import PAGE_SIZE

RAM_FD: Final = 3
EVENT_FD: Final = 4

WALL: Final = 0x4000_0000
PTRACE_CONT: Final = 7
PTRACE_GETREGS: Final = 12
PTRACE_SETREGS: Final = 13
_PTRACE_SETOPTIONS: Final = 0x4200
_PTRACE_GETEVENTMSG: Final = 0x4201
_PTRACE_GETREGSET: Final = 0x4204
_PTRACE_SETREGSET: Final = 0x4205
_NT_X86_XSTATE: Final = 0x202
#: TRACESYSGOOD | TRACEFORK | TRACEVFORK | TRACECLONE | EXITKILL
_OPTIONS: Final = 0x1 | 0x2 | 0x4 | 0x8 | 0x10_0000

_MAX64: Final = (1 << 64) - 1

# Wait statuses.
_STOP_INT3: Final = 0x057F
_STOP_UD2: Final = 0x047F
_STOP_FORKED: Final = 0x1057F
_STOP_FIRST: Final = 0x137F

_SPAWN_TRIES: Final = 4
_MFD_EXEC: Final = 0x10


def stub_image() -> bytes:
    """The static ELF of the zygote: the stub's page of code at STUB_CODE, behind it what was
    compiled to answer calls, and no stack to execute."""
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01", 2, 62, 1, STUB_CODE + mc.STUB_START, 64, 0, 0, 64, 56, 2, 64, 0, 0,
    )  # fmt: skip
    code = mc.STUB.ljust(PAGE_SIZE, b"\0") + FAST
    code += bytes(-len(code) % PAGE_SIZE)
    load = struct.pack(
        "<IIQQQQQQ", 1, 5, PAGE_SIZE, STUB_CODE, STUB_CODE, len(code), len(code), PAGE_SIZE
    )
    stack = struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)
    return (header + load + stack).ljust(PAGE_SIZE, b"\0") + code


def _images() -> Iterator[int]:
    """Descriptors of an executable file with the image: a memfd; where the host forbids to
    execute those (vm.memfd_noexec), a nameless file."""
    try:
        fd = memfd("pygos-stub", _MFD_EXEC)
    except PermissionError:
        pass
    else:
        os.write(fd, stub_image())
        yield fd
    for directory in (os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/var/tmp", "."):
        try:
            fd = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o700)
        except OSError:
            continue
        os.write(fd, stub_image())
        readable = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        os.close(fd)  # a file that is open for writing can't be executed
        yield high_fd(readable)


def refusal(number: int) -> str:
    """One line about why the host refuses ptrace, from the errno of PTRACE_TRACEME."""
    return (
        f"the host refuses ptrace ({os.strerror(number)}): "
        "see kernel.yama.ptrace_scope (must be below 3) and the container's seccomp profile; "
        "`pygos doctor` tells more"
    )


class Zygote:
    """The first stub of a machine and the ptrace work that is not on the hot path."""

    __slots__ = (
        "_image", "_iovec", "_iovec_addr", "_message", "_regs", "_regs_addr", "_xstate",
        "_xstate_addr", "initial_xstate", "pid", "secret", "systrap", "template", "watcher",
        "xstate_size",
    )  # fmt: skip

    def __init__(self, ram: HostRam, event_fd: int, watch_page: int, systrap: bool = False) -> None:
        """Start the zygote and the watcher, which polls `event_fd` (see stub.S: watch).

        `systrap`: guest threads will run without ptrace.
        """
        self.systrap = systrap
        #: The pass of filter.py. It never lies in memory that a stub maps.
        self.secret = int.from_bytes(os.urandom(8), "little")
        buffer = bytearray(REGS_SIZE)
        self._regs = memoryview(buffer).cast("Q")
        self._regs_addr = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
        self._message = ctypes.c_ulong()
        self._iovec = (ctypes.c_ulong * 2)()
        self.pid = self._start(ram.fd, event_fd)
        try:
            self._prepare(ram, watch_page)
        except OSError as error:
            self.kill(self.pid)
            raise HostError(f"cannot set up the stub process: {error}") from error

    def _start(self, ram_fd: int, event_fd: int) -> int:
        """Spawn the stub up to its first int3."""
        failure: object = "no place for an executable file"
        for image in _images():
            try:
                return self._try(f"/proc/self/fd/{image}", ram_fd, event_fd)
            except PermissionError as error:  # no execution from there
                failure = error
            except OSError as error:
                raise HostError(f"cannot start the stub process: {error}") from error
            finally:
                os.close(image)
        raise HostError(f"cannot start the stub process: {failure}")

    def _try(self, path: str, ram_fd: int, event_fd: int) -> int:
        """The host may place the stack over the stub's address (about one exec in 100,000),
        which kills the stub at once: then try again."""
        for _ in range(_SPAWN_TRIES):
            pid = self._spawn(path, ram_fd, event_fd)
            _, status = os.waitpid(pid, WALL)
            if status == _STOP_INT3:
                return pid
            if os.WIFEXITED(status):
                raise HostError(refusal(os.WEXITSTATUS(status)))
        raise HostError("the stub process dies at once; `pygos doctor` tells more")

    @staticmethod
    def _spawn(path: str, ram_fd: int, event_fd: int) -> int:
        """posix_spawn runs no Python between fork and exec. The stub gets its own process
        group: terminal signals pass it by, and the kernel can wait for just its stubs."""
        return os.posix_spawn(
            path,
            [b"pygos-guest"],
            {},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, ram_fd, RAM_FD),
                (os.POSIX_SPAWN_DUP2, event_fd, EVENT_FD),
            ],
            setpgroup=0,
            setsigmask=[],
            setsigdef=signal.valid_signals(),
        )

    def _prepare(self, ram: HostRam, watch_page: int) -> None:
        libc.ptrace(_PTRACE_SETOPTIONS, self.pid, 0, _OPTIONS)
        libc.ptrace(PTRACE_GETREGS, self.pid, 0, self._regs_addr)
        template = [0] * NREGS
        for index in (RIP + 1, RIP + 2, RIP + 4):  # cs, eflags, ss
            template[index] = self._regs[index]
        self.template = tuple(template)
        self._steer(self.pid, mc.STUB_SETUP)
        self._resume_until(self.pid, _STOP_INT3)
        self._read_xstate()
        self.watcher = self._clone(
            self.pid, mc.STUB_WATCH, {R12: watch_page * PAGE_SIZE, R14: int(self.systrap)}
        )
        self._confine(ram)

    def _confine(self, ram: HostRam) -> None:
        """Install the filter. Its text lies in no page that another stub could map."""
        pfn, _, words = ram.control_unit()
        page = words.cast("B")
        text = filter_page(self.systrap, self.secret, STUB_LIST)
        page[: len(text)] = text
        self._steer(self.pid, mc.STUB_CONFINE, {R12: pfn * PAGE_SIZE})
        self._resume_until(self.pid, _STOP_INT3)
        page[: len(text)] = bytes(len(text))
        ram.free_control_unit(pfn)

    def _steer(self, pid: int, entry: int, values: dict[int, int] | None = None) -> None:
        """Point a stopped stub at a routine of stub.S; `values`: registers that it wants."""
        regs = self._regs
        for index, value in enumerate(self.template):
            regs[index] = value
        regs[RIP - 1] = _MAX64  # orig_rax
        regs[RIP] = STUB_CODE + entry
        if values is not None:
            for index, value in values.items():
                regs[index] = value & _MAX64
        libc.ptrace(PTRACE_SETREGS, pid, 0, self._regs_addr)

    def _resume_until(self, pid: int, wanted: int) -> None:
        """Let a stub run its own code up to the stop `wanted`; signals on the way (a tick
        that was pending) are dropped. OSError if a call of the stub failed or it died."""
        while True:
            libc.ptrace(PTRACE_CONT, pid, 0, 0)
            _, status = os.waitpid(pid, WALL)
            if status == wanted:
                return
            if status == _STOP_UD2:
                number = -self.result(pid) & 0xFFFF
                raise OSError(number, os.strerror(number))
            if status & 0xFF != 0x7F or status >> 8 & 0xFF in (7, 11, 31):
                raise OSError(3, f"stub {pid} died, wait status {status:#x}")

    def result(self, pid: int) -> int:
        """rax of a stopped stub, signed."""
        value = self.registers(pid)[RAX]
        return value - (1 << 64) if value >> 63 else value

    def registers(self, pid: int) -> memoryview:
        """All registers of a stopped stub, in a buffer that the next call reuses."""
        libc.ptrace(PTRACE_GETREGS, pid, 0, self._regs_addr)
        return self._regs

    def _clone(self, pid: int, entry: int, values: dict[int, int]) -> int:
        self._steer(pid, entry, values)
        self._resume_until(pid, _STOP_FORKED)
        libc.ptrace(_PTRACE_GETEVENTMSG, pid, 0, ctypes.addressof(self._message))
        child = int(self._message.value)
        try:
            _, status = os.waitpid(child, WALL)
            if status != _STOP_FIRST:
                raise OSError(3, f"stub {child} was born with wait status {status:#x}")
            self._resume_until(child, _STOP_INT3)
        except BaseException:
            self.kill(child)
            raise
        finally:
            self._resume_until(pid, _STOP_INT3)
        return child

    def fork(self, pid: int, list_page: int, area: int = 0) -> int:
        """Clone a stopped stub with a copy of its mappings; the child's control pages begin at
        `list_page` of the RAM memfd. The parent's registers are lost, the FPU's kept.

        With `area` the child runs its list and starts a guest thread there: its result()."""
        values = {RDI: CLONE_FORK, R12: list_page * PAGE_SIZE, R13: self.secret}
        if self.systrap:
            values[R14] = os.getpid()
        if area:
            values[RBX], values[RBP] = area, 1
        return self._clone(pid, mc.STUB_FORK, values)

    def thread(self, pid: int) -> int:
        """A further stub in the address space of a stopped one, to run under ptrace."""
        return self._clone(pid, mc.STUB_FORK, {RDI: CLONE_THREAD, R12: -1, R13: self.secret})

    def guest_thread(self, pid: int, area: int) -> int:
        """A guest thread that nobody traces, in the address space of a stopped stub; `area` is
        the address of its thread area there. It comes to rest there by itself."""
        values = {RDI: CLONE_GUEST, RBX: area, R13: self.secret, R14: os.getpid()}
        self._steer(pid, mc.STUB_THREAD, values)
        self._resume_until(pid, _STOP_INT3)
        return self.result(pid)

    def control(self, pid: int, number: int, *args: int) -> None:
        """Let a stopped stub make one call of those its filter allows; its registers are lost.

        OSError if it fails. It is made by the batch routine's own instruction; what r15 points
        behind is the entry of the list page that always ends the list.
        """
        regs = self._regs
        for index, value in enumerate(self.template):
            regs[index] = value
        regs[RIP - 1] = _MAX64  # orig_rax
        regs[RIP] = STUB_CODE + mc.STUB.index(b"\x0f\x05", mc.STUB_BATCH)
        regs[RAX] = number
        regs[RDI], regs[RSI] = args
        regs[R15] = STUB_LIST + PAGE_SIZE - 64
        libc.ptrace(PTRACE_SETREGS, pid, 0, self._regs_addr)
        self._resume_until(pid, _STOP_INT3)

    def _read_xstate(self) -> None:
        """Learn the size of the FPU state from the host (with AMX it is 11 KiB)."""
        self._xstate = bytearray(1 << 16)
        self._xstate_addr = ctypes.addressof(ctypes.c_char.from_buffer(self._xstate))
        self.xstate_size = len(self._xstate)
        self._iovec_addr = ctypes.addressof(self._iovec)
        self._iovec[0] = self._xstate_addr
        self._iovec[1] = self.xstate_size
        libc.ptrace(_PTRACE_GETREGSET, self.pid, _NT_X86_XSTATE, self._iovec_addr)
        self.xstate_size = self._iovec[1]
        self._image = memoryview(self._xstate)[: self.xstate_size]
        self.initial_xstate = bytes(self._image)

    def get_xstate(self, pid: int) -> bytes:
        """The XSAVE image of a stopped stub."""
        libc.ptrace(_PTRACE_GETREGSET, pid, _NT_X86_XSTATE, self._iovec_addr)
        return bytes(self._image)

    def set_xstate(self, pid: int, image: bytes) -> None:
        """Load an XSAVE image; ValueError if the host finds it malformed."""
        if len(image) != self.xstate_size:
            raise ValueError(f"an XSAVE image has {self.xstate_size} bytes here, not {len(image)}")
        self._image[:] = image
        try:
            libc.ptrace(_PTRACE_SETREGSET, pid, _NT_X86_XSTATE, self._iovec_addr)
        except OSError as error:
            if error.errno == 3:
                raise
            raise ValueError(f"malformed XSAVE image: {error}") from error

    @staticmethod
    def kill(pid: int) -> None:
        """End a stub and reap it."""
        try:
            os.kill(pid, signal.SIGKILL)
            while True:
                _, status = os.waitpid(pid, WALL)
                if status & 0xFF != 0x7F:
                    return
        except (ProcessLookupError, ChildProcessError):
            pass
