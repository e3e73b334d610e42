# SPDX-License-Identifier: Apache-2.0
"""System calls that a stub answers by itself: compiled to machine code, also plain Python.

The subset: 64-bit signed numbers, if, while, return, calls of functions of this module and of
intrinsics. See tools/um/compile_python.py, which makes fast_code.py of it, and
Documentation/in-stub-calls.rst. The kernel's word on each call is that of its own handler;
whatever is not plainly right here is answered by SLOW, and then the kernel does it.

All of it runs with the guest's rights, and a fault in it ends in the slow path: so nothing may
be changed before the last access to memory that the guest has named.
"""

from __future__ import annotations

from pygos.arch.um.intrinsics import cmpxchg64, copy, ld32, ld64
from pygos.host.layout import AREA_THREAD, STUB_POS, STUB_PROC
from pygos.include.linux.fastcalls import (
    F_EGID,
    F_ENABLE,
    F_EUID,
    F_GID,
    F_PID,
    F_TID,
    F_UID,
    FAST_FDS,
    FAST_FILES,
    FAST_FUTEX,
    FAST_PID,
    FAST_UID,
    POS_BITS,
    POS_MASK,
    S_LIMIT,
    S_SEQ,
    S_SIZE,
    S_VA,
    SEQ_MASK,
    SLOT_SHIFT,
    SLOW,
)
from pygos.include.linux.platform import TASK_SIZE

NR_READ, NR_LSEEK, NR_PREAD64, NR_GETPID = 0, 8, 17, 39
NR_GETUID, NR_GETGID, NR_GETEUID, NR_GETEGID = 102, 104, 107, 108
NR_GETTID, NR_FUTEX = 186, 202
MAX_COUNT = 1 << 30
SEEK_SET, SEEK_CUR, SEEK_END = 0, 1, 2
FUTEX_WAIT, FUTEX_PRIVATE = 0, 128
EAGAIN = 11


def fast(area: int, nr: int, a0: int, a1: int, a2: int, a3: int, a4: int, a5: int) -> int:
    """The call's result, or SLOW. `area`: the thread area."""
    thread = area + AREA_THREAD
    enabled = ld64(thread + 8 * F_ENABLE)
    if nr < NR_GETPID:
        if not enabled & FAST_FILES:
            return SLOW
        if nr == NR_READ:
            return fast_read(a0 & 0xFFFFFFFF, a1, a2)
        if nr == NR_LSEEK:
            return fast_lseek(a0 & 0xFFFFFFFF, a1, a2 & 0xFFFFFFFF)
        if nr == NR_PREAD64:
            return fast_pread(a0 & 0xFFFFFFFF, a1, a2, a3)
        return SLOW
    if enabled & FAST_PID:
        if nr == NR_GETPID:
            return ld64(thread + 8 * F_PID)
        if nr == NR_GETTID:
            return ld64(thread + 8 * F_TID)
    if enabled & FAST_UID and nr < NR_FUTEX:
        return fast_id(thread, nr)
    if nr == NR_FUTEX and enabled & FAST_FUTEX:
        return fast_futex(a0, a1 & 0xFFFFFFFF, a2 & 0xFFFFFFFF, a3)
    return SLOW


def fast_id(thread: int, nr: int) -> int:
    """User and group ids."""
    if nr == NR_GETUID:
        return ld64(thread + 8 * F_UID)
    if nr == NR_GETEUID:
        return ld64(thread + 8 * F_EUID)
    if nr == NR_GETGID:
        return ld64(thread + 8 * F_GID)
    if nr == NR_GETEGID:
        return ld64(thread + 8 * F_EGID)
    return SLOW


def fast_futex(addr: int, op: int, value: int, timeout: int) -> int:
    """FUTEX_WAIT without a timeout for a word that has changed already: EAGAIN."""
    if op & ~FUTEX_PRIVATE != FUTEX_WAIT:
        return SLOW
    if timeout != 0 or addr & 3 or addr < 0 or addr >= TASK_SIZE:
        return SLOW
    if ld32(addr) == value:
        return SLOW
    return -EAGAIN


def fast_read(fd: int, buf: int, count: int) -> int:
    """Read at the position. The bytes are copied first; then the position is moved, if nobody
    else has moved it, or taken the file away, since."""
    if fd >= FAST_FDS or count < 0 or count > MAX_COUNT or buf < 0 or buf > TASK_SIZE - count:
        return SLOW
    slot = STUB_PROC + (fd << SLOT_SHIFT)
    place = STUB_POS + (fd << 3)
    while True:
        word = ld64(place)
        seq = ld64(slot + 8 * S_SEQ)
        if seq == 0 or word >> POS_BITS != seq & SEQ_MASK:
            return SLOW
        pos = word & POS_MASK
        take = ld64(slot + 8 * S_SIZE) - pos
        if take < 0:
            take = 0
        if take > count:
            take = count
        if pos + take > ld64(slot + 8 * S_LIMIT) and take > 0:
            return SLOW
        copy(buf, ld64(slot + 8 * S_VA) + pos, take)
        if ld64(slot + 8 * S_SEQ) == seq and cmpxchg64(place, word, word + take) == word:
            return take


def fast_pread(fd: int, buf: int, count: int, pos: int) -> int:
    """Read anywhere; the position doesn't matter."""
    if fd >= FAST_FDS or count < 0 or count > MAX_COUNT or buf < 0 or buf > TASK_SIZE - count:
        return SLOW
    if pos < 0 or pos > POS_MASK:
        return SLOW
    slot = STUB_PROC + (fd << SLOT_SHIFT)
    seq = ld64(slot + 8 * S_SEQ)
    if seq == 0:
        return SLOW
    take = ld64(slot + 8 * S_SIZE) - pos
    if take < 0:
        take = 0
    if take > count:
        take = count
    if pos + take > ld64(slot + 8 * S_LIMIT) and take > 0:
        return SLOW
    copy(buf, ld64(slot + 8 * S_VA) + pos, take)
    if ld64(slot + 8 * S_SEQ) != seq:
        return SLOW
    return take


def fast_lseek(fd: int, offset: int, whence: int) -> int:
    """Set the position, from the beginning, from where it is, or from the end."""
    if fd >= FAST_FDS or offset < -POS_MASK or offset > POS_MASK:
        return SLOW
    slot = STUB_PROC + (fd << SLOT_SHIFT)
    place = STUB_POS + (fd << 3)
    while True:
        word = ld64(place)
        seq = ld64(slot + 8 * S_SEQ)
        if seq == 0 or word >> POS_BITS != seq & SEQ_MASK:
            return SLOW
        if whence == SEEK_SET:
            pos = offset
        elif whence == SEEK_CUR:
            pos = (word & POS_MASK) + offset
        elif whence == SEEK_END:
            pos = ld64(slot + 8 * S_SIZE) + offset
        else:
            return SLOW
        if pos < 0 or pos >= 1 << (POS_BITS - 1):
            return SLOW
        new = (seq & SEQ_MASK) << POS_BITS | pos
        if ld64(slot + 8 * S_SEQ) == seq and cmpxchg64(place, word, new) == word:
            return pos
