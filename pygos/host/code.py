# SPDX-License-Identifier: Apache-2.0
"""MachineCode: helper.S in executable memory, callable.

The calls go through CFUNCTYPE, which releases the GIL: other threads of the embedding
program run while a guest does. Measured, that costs 0.03 us a call over PYFUNCTYPE.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable

from pygos.host import libc
from pygos.host import machine_code as mc

_CALL1 = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)
_CALL3 = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p)
_CALL3P = ctypes.CFUNCTYPE(
    ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)
_CMPXCHG = ctypes.PYFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)

# The CPU block of helper.S, as indices of u64.
BLOCK_SIZE = 1024
LIST, PID, WHO, STATUS, COUNT, BATCH, WPID, INFO = 27, 28, 29, 30, 31, 32, 33, 34
REQUEST = 50
# ... and for guest threads that nobody traces.
SNAP, AREA, UC, KEEPER, KSPIN, PARKED = 64, 91, 92, 93, 94, 95
T_SIGNO, T_CODE, T_ADDR, T_ERR, SLICE, TRAPS, AREA_VA = 96, 97, 98, 99, 100, 102, 103
PTRACE_SYSEMU, PTRACE_SYSEMU_SINGLESTEP = 31, 32
# Results of run() and fetch().
SYSCALL, BAD_SYSCALL, OTHER, STOPPED, BAD_LIST = 0, 1, 2, 0x1000000, -1000
# ... and of go() and take().
TRAPPED, VSYSCALL, SIGNALLED, EVENT = 3, 4, 5, 6


class MachineCode:
    """One loaded copy of the helper. Each attribute is one routine of helper.S.

    run, start, fetch, flush: (address of a CPU block) -> result
    go_any: (address of a CPU block, vector of two, address of a deadline) -> result
    go, give, take, await_, save: the same for guest threads that nobody traces
    answer: (address of a state word): its owner may go on
    wait_any: (vector of struct futex_waitv, its length, address of a deadline) -> index
    wait: (address of {who, status, options} as u64) -> pid or -errno
    cmpxchg32: (address, old, new) -> value found
    """

    __slots__ = (
        "_page", "answer", "await_", "cmpxchg32", "fetch", "flush", "give", "go", "go_any",
        "run", "save", "start", "take", "wait", "wait_any",
    )  # fmt: skip

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self._page[: len(mc.HELPER)] = mc.HELPER
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        libc.mprotect(base, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC)
        self.run: Callable[[int], int] = _CALL1(base + mc.HELPER_RUN)
        self.start: Callable[[int], int] = _CALL1(base + mc.HELPER_START)
        self.fetch: Callable[[int], int] = _CALL1(base + mc.HELPER_FETCH)
        self.flush: Callable[[int], int] = _CALL1(base + mc.HELPER_FLUSH)
        self.wait: Callable[[int], int] = _CALL1(base + mc.HELPER_WAIT)
        self.go: Callable[[int], int] = _CALL1(base + mc.HELPER_GO)
        self.go_any: Callable[[int, int, int], int] = _CALL3P(base + mc.HELPER_GO_ANY)
        self.give: Callable[[int], int] = _CALL1(base + mc.HELPER_GIVE)
        self.take: Callable[[int], int] = _CALL1(base + mc.HELPER_TAKE)
        self.await_: Callable[[int], int] = _CALL1(base + mc.HELPER_AWAIT)
        self.save: Callable[[int], int] = _CALL1(base + mc.HELPER_SAVE)
        self.answer: Callable[[int], int] = _CALL1(base + mc.HELPER_ANSWER)
        self.wait_any: Callable[[int, int, int], int] = _CALL3(base + mc.HELPER_WAIT_ANY)
        self.cmpxchg32: Callable[[int, int, int], int] = _CMPXCHG(base + mc.HELPER_CMPXCHG32)
