# SPDX-License-Identifier: Apache-2.0
"""Debug registers of stubs: the host's ptrace keeps and checks them.

Watched addresses must lie in the guest's part of memory: a breakpoint in the stub's own pages
would look like the end of a batch of mapping changes. The host refuses its own addresses.
"""

from __future__ import annotations

import ctypes
from errno import EINVAL as _EINVAL
from errno import ENOSPC as _ENOSPC
from typing import Final

from pygos.host import libc
from pygos.include.errno import EINVAL, EIO, ENOSPC
from pygos.include.linux.platform import TASK_SIZE

_NR_PTRACE, _PEEKUSER, _POKEUSER = 101, 3, 6
#: offsetof(struct user, u_debugreg)
_OFFSET: Final = 848
#: The most bytes that one register can watch.
_WIDEST: Final = 8
_NADDRESSES: Final = 4


def peek(pid: int, number: int) -> int:
    """The register's value; 0 for a stub that is gone."""
    word = ctypes.c_uint64()
    try:
        addr = _OFFSET + 8 * number
        libc.syscall(_NR_PTRACE, _PEEKUSER, pid, addr, ctypes.addressof(word))
    except OSError:
        return 0
    return word.value


def poke(pid: int, number: int, value: int) -> None:
    """Set it. EINVAL, ENOSPC, EIO as the host says; EINVAL outside of the guest."""
    if number < _NADDRESSES and value > TASK_SIZE - _WIDEST:
        raise EINVAL
    try:
        libc.ptrace(_POKEUSER, pid, _OFFSET + 8 * number, value)
    except OSError as error:
        if error.errno == _EINVAL:
            raise EINVAL from None
        raise (ENOSPC if error.errno == _ENOSPC else EIO) from None


def disarm(pid: int) -> None:
    """Nothing is watched any more: the stub is to serve somebody else."""
    try:
        libc.ptrace(_POKEUSER, pid, _OFFSET + 8 * 7, 0)
    except OSError:
        pass
