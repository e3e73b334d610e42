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
_CMPXCHG = ctypes.PYFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)

# The CPU block of helper.S, as indices of u64.
BLOCK_SIZE = 512
LIST, PID, WHO, STATUS, COUNT, BATCH, WPID, INFO = 27, 28, 29, 30, 31, 32, 33, 34
REQUEST = 50
PTRACE_SYSEMU, PTRACE_SYSEMU_SINGLESTEP = 31, 32
# Results of run() and fetch().
SYSCALL, BAD_SYSCALL, OTHER, STOPPED, BAD_LIST = 0, 1, 2, 0x1000000, -1000


class MachineCode:
    """One loaded copy of the helper. Each attribute is one routine of helper.S.

    run, start, fetch, flush: (address of a CPU block) -> result
    wait: (address of {who, status, options} as u64) -> pid or -errno
    cmpxchg32: (address, old, new) -> value found
    """

    __slots__ = ("_page", "cmpxchg32", "fetch", "flush", "run", "start", "wait")

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
        self.cmpxchg32: Callable[[int, int, int], int] = _CMPXCHG(base + mc.HELPER_CMPXCHG32)
