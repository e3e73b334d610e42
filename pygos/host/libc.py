# SPDX-License-Identifier: Apache-2.0
"""The few libc calls that Python has no name for, typed, with errors as OSError."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_libc: Final = ctypes.CDLL(None, use_errno=True)

_ptrace = _libc.ptrace
_ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_ptrace.restype = ctypes.c_long
_mprotect = _libc.mprotect
_mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
#: The same function once more, as an object of its own, so that its arguments are converted in C.
_getdents64 = _libc["syscall"]
_getdents64.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
_getdents64.restype = ctypes.c_long
_NR_GETDENTS64: Final = 217
_timerfd_settime = _libc.timerfd_settime
_timerfd_settime.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def fail() -> OSError:
    """The OSError for the C library's errno."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def ptrace(request: int, pid: int, addr: int, data: int) -> int:
    """ptrace(2); OSError on failure. Not for PEEK requests."""
    result: int = _ptrace(request, pid, addr, data)
    if result < 0:
        raise fail()
    return result


def mprotect(addr: int, length: int, prot: int) -> None:
    """mprotect(2)."""
    if _mprotect(addr, length, prot) < 0:
        raise fail()


def syscall(number: int, *args: int | bytes | None) -> int:
    """A raw system call; integers are passed as 64 bits, bytes as a pointer."""
    packed = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result: int = _syscall(ctypes.c_long(number), *packed)
    if result < 0:
        raise fail()
    return result


def getdents64(fd: int, buffer: int, size: int) -> int:
    """getdents64(2): the bytes used of the `size` at address `buffer`, 0 at the end."""
    result: int = _getdents64(_NR_GETDENTS64, fd, buffer, size)
    if result < 0:
        raise fail()
    return result


def timerfd_create(clock: int, flags: int) -> int:
    """timerfd_create(2)."""
    fd: int = _libc.timerfd_create(clock, flags)
    if fd < 0:
        raise fail()
    return fd


def timerfd_settime(fd: int, flags: int, spec: int) -> None:
    """timerfd_settime(2); `spec` is the address of a struct itimerspec."""
    if _timerfd_settime(fd, flags, spec, None) < 0:
        raise fail()
