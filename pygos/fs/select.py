# SPDX-License-Identifier: Apache-2.0
"""poll, ppoll, select, pselect6: waiting for several files. poll(2), select(2).

Each invocation asks all files anew and sleeps on all their queues if none is ready. The
deadline is absolute and kept in ``task.restart``. Masks are POLL* bits.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from pygos.include.errno import (
    EBADF,
    EFAULT,
    EINTR,
    EINVAL,
    ERESTART_RESTARTBLOCK,
    ERESTARTNOHAND,
)
from pygos.include.linux.fs import FMODE_PATH
from pygos.include.linux.syscalls import Int, Size, UInt, UserAddr, syscall
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.poll import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLNVAL,
    POLLOUT,
    POLLPRI,
    POLLRDBAND,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
)
from pygos.include.uapi.resource import RLIMIT_NOFILE
from pygos.kernel.signal import restore_saved_sigmask, set_user_sigmask

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: A deadline that never comes, ns.
NEVER: Final = 1 << 62
NSEC: Final = 1_000_000_000
STICKY_TIMEOUTS: Final = 0x4000000
_POLLFD: Final = Struct("<iHH")
_PAIR: Final = Struct("<qq")
_ALWAYS: Final = POLLERR | POLLHUP

_IN_SET: Final = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR
_OUT_SET: Final = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR
_EX_SET: Final = POLLPRI


class Deadline:
    """What a sleeping poll or select keeps in ``task.restart``: monotonic ns, or NEVER."""

    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        self.at = at


# -- helpers shared with eventpoll


def swap_sigmask(task: Task, addr: int, size: int) -> None:
    """Swap the blocked mask for the one at `addr` (NULL: leave it). EINVAL, EFAULT."""
    if not addr:
        return
    if size != 8:
        raise EINVAL
    assert task.mm is not None
    set_user_sigmask(task, task.mm.read_u64(addr))


def deadline_after(task: Task, timeout: int) -> int:
    """The monotonic ns `timeout` ns from now; 0 for no wait at all, NEVER if negative."""
    if timeout <= 0:
        return 0 if timeout == 0 else NEVER
    return min(task.machine.clock.monotonic() + timeout, NEVER)


def expired(task: Task, deadline: int) -> bool:
    """Is a deadline of deadline_after() over?"""
    if deadline == NEVER:
        return False
    return not deadline or task.machine.clock.monotonic() >= deadline


def read_timespec(task: Task, addr: int) -> int:
    """A struct timespec as ns; -1 for NULL. EFAULT, EINVAL."""
    if not addr:
        return -1
    assert task.mm is not None
    sec, nsec = _PAIR.unpack(task.mm.read(addr, 16))
    if sec < 0 or not 0 <= nsec < NSEC:
        raise EINVAL
    return min(int(sec) * NSEC + int(nsec), NEVER)


def _sleep(task: Task, queues: list[WaitQueue], deadline: int, why: str) -> None:
    task.restart = Deadline(deadline)
    wait_on(task, *queues, deadline=None if deadline == NEVER else deadline, why=why)


def _deadline(task: Task, timeout: int) -> int:
    """The deadline of the call: a new one, or what was kept when it slept."""
    kept = task.restart
    return kept.at if type(kept) is Deadline else deadline_after(task, timeout)


def _put_remaining(task: Task, addr: int, deadline: int, unit: int) -> bool:
    """Write the time left as (seconds, `unit` ns) to the caller's struct; False if it can't."""
    if not addr:
        return True
    if task.personality & STICKY_TIMEOUTS:
        return False
    if not deadline:
        return True
    left = max(deadline - task.machine.clock.monotonic(), 0)
    assert task.mm is not None
    try:
        task.mm.write(addr, _PAIR.pack(left // NSEC, left % NSEC // unit))
    except EFAULT:
        return False
    return True


def _finish(task: Task, addr: int, deadline: int, unit: int, interrupted: bool) -> None:
    """poll_select_finish(): mask and remaining time; raises if a signal ended the wait."""
    if not interrupted:
        restore_saved_sigmask(task)
    task.restart = None
    updated = _put_remaining(task, addr, deadline, unit)
    if interrupted:
        raise ERESTARTNOHAND if updated else EINTR


# -- poll


def _do_poll(task: Task, addr: int, nfds: int) -> tuple[int, list[WaitQueue]]:
    """Ask each file of the array once: (ready files, queues to sleep on).

    revents are written if some file is ready; the caller clears them at a timeout.
    """
    assert task.mm is not None
    data = task.mm.read(addr, nfds << 3) if nfds else b""
    files = task.files.fd
    ready = 0
    queues: list[WaitQueue] = []
    results: list[tuple[int, int]] = []
    at = addr + 6
    for fd, events, old in _POLLFD.iter_unpack(data):
        mask = 0
        if fd >= 0:
            file = files.get(fd)
            if file is None or file.f_mode & FMODE_PATH:
                mask = POLLNVAL
            else:
                op = file.f_op
                mask = op.poll(task, file) & (events | _ALWAYS)
                if not mask and not ready:
                    queues += op.poll_queues(file) or ()
            if mask:
                ready += 1
        if mask != old:
            results.append((at, mask))
        at += 8
    if ready:
        _write_revents(task, results)
    return ready, queues


def _write_revents(task: Task, results: list[tuple[int, int]]) -> None:
    assert task.mm is not None
    for at, mask in results:
        task.mm.write(at, mask.to_bytes(2, "little"))


def _clear_revents(task: Task, addr: int, nfds: int) -> None:
    assert task.mm is not None
    data = task.mm.read(addr, nfds << 3) if nfds else b""
    at = addr + 6
    for _fd, _events, old in _POLLFD.iter_unpack(data):
        if old:
            task.mm.write(at, b"\0\0")
        at += 8


def _poll_once(task: Task, addr: int, nfds: int, deadline: int) -> int:
    """Ready files, 0 at the deadline, -1 if a signal is pending; else sleeps."""
    if nfds > task.group.rlim[RLIMIT_NOFILE][0]:
        raise EINVAL
    ready, queues = _do_poll(task, addr, nfds)
    if ready:
        return ready
    if task.signal_pending():
        return -1
    if expired(task, deadline):
        _clear_revents(task, addr, nfds)
        return 0
    _sleep(task, queues, deadline, "do_poll")
    return 0


@syscall
def poll(task: Task, ufds: UserAddr, nfds: UInt, timeout: Int) -> int:
    """Wait for events on files; `timeout` in ms, negative: for ever. poll(2).

    Errors: EFAULT, EINTR, EINVAL (more files than RLIMIT_NOFILE).
    """
    deadline = _deadline(task, timeout * 1_000_000)
    ready = _poll_once(task, ufds, nfds, deadline)
    if ready < 0:
        task.restart = Deadline(deadline)
        raise ERESTART_RESTARTBLOCK
    task.restart = None
    return ready


@syscall
def ppoll(
    task: Task, ufds: UserAddr, nfds: UInt, tsp: UserAddr, sigmask: UserAddr, sigsetsize: Size
) -> int:
    """poll with a signal mask and a timespec; writes the time left back. ppoll(2)."""
    deadline = _deadline(task, read_timespec(task, tsp) if task.restart is None else 0)
    swap_sigmask(task, sigmask, sigsetsize)
    try:
        ready = _poll_once(task, ufds, nfds, deadline)
    except (EINVAL, EFAULT):
        restore_saved_sigmask(task)
        raise
    _finish(task, tsp, deadline, 1, ready < 0)
    return ready


# -- select


def _max_fds(task: Task, n: int) -> int:
    """Linux looks at no descriptor beyond the table's size: 64, or a power of two."""
    if n <= 64:
        return n
    files = task.files.fd
    top = max(files) if files else 0
    size = 64
    while size <= top:
        size <<= 1
    return min(n, size)


def _read_set(task: Task, addr: int, size: int) -> int:
    assert task.mm is not None
    return int.from_bytes(task.mm.read(addr, size), "little") if addr else 0


def _scan(
    task: Task, sets: tuple[int, int, int]
) -> tuple[int, tuple[int, int, int], list[WaitQueue]]:
    """Ask each file of the sets: (ready bits, the three results, queues to sleep on)."""
    files = task.files.fd
    want_in, want_out, want_ex = sets
    got_in = got_out = got_ex = count = 0
    queues: list[WaitQueue] = []
    rest = want_in | want_out | want_ex
    while rest:
        bit = rest & -rest
        rest ^= bit
        file = files.get(bit.bit_length() - 1)
        if file is None or file.f_mode & FMODE_PATH:
            raise EBADF
        op = file.f_op
        mask = op.poll(task, file)
        before = count
        if mask & _IN_SET and want_in & bit:
            got_in |= bit
            count += 1
        if mask & _OUT_SET and want_out & bit:
            got_out |= bit
            count += 1
        if mask & _EX_SET and want_ex & bit:
            got_ex |= bit
            count += 1
        if count == before and not count:
            queues += op.poll_queues(file) or ()
    return count, (got_in, got_out, got_ex), queues


def _check_open(task: Task, wanted: int) -> None:
    """EBADF before any file is asked."""
    files = task.files.fd
    while wanted:
        bit = wanted & -wanted
        wanted ^= bit
        file = files.get(bit.bit_length() - 1)
        if file is None or file.f_mode & FMODE_PATH:
            raise EBADF


def _select_once(task: Task, n: int, addrs: tuple[int, int, int], deadline: int) -> int:
    """Ready bits, 0 at the deadline, -1 if a signal is pending; else sleeps."""
    if n < 0:
        raise EINVAL
    n = _max_fds(task, n)
    size = (n + 63) // 64 * 8
    limit = (1 << n) - 1
    sets = (
        _read_set(task, addrs[0], size) & limit,
        _read_set(task, addrs[1], size) & limit,
        _read_set(task, addrs[2], size) & limit,
    )
    _check_open(task, sets[0] | sets[1] | sets[2])
    count, results, queues = _scan(task, sets)
    if not count:
        if task.signal_pending():
            return -1
        if not expired(task, deadline):
            _sleep(task, queues, deadline, "do_select")
    assert task.mm is not None
    for addr, result in zip(addrs, results, strict=True):
        if addr:
            task.mm.write(addr, result.to_bytes(size, "little"))
    return count


def _read_timeval(task: Task, addr: int) -> int:
    if not addr:
        return -1
    assert task.mm is not None
    sec, usec = _PAIR.unpack(task.mm.read(addr, 16))
    sec += usec // 1_000_000
    if sec < 0 or usec < 0:
        raise EINVAL
    return min(int(sec) * NSEC + int(usec) % 1_000_000 * 1000, NEVER)


@syscall
def select(
    task: Task, n: Int, inp: UserAddr, outp: UserAddr, exp: UserAddr, tvp: UserAddr
) -> int:
    """Wait until some of the descriptors in three bit sets are ready. select(2).

    Errors: EBADF, EFAULT, EINTR, EINVAL.
    """
    deadline = _deadline(task, _read_timeval(task, tvp) if task.restart is None else 0)
    ready = _select_once(task, n, (inp, outp, exp), deadline)
    _finish(task, tvp, deadline, 1000, ready < 0)
    return ready


@syscall
def pselect6(
    task: Task, n: Int, inp: UserAddr, outp: UserAddr, exp: UserAddr, tsp: UserAddr, sig: UserAddr
) -> int:
    """select with a timespec and a signal mask: `sig` points to (mask address, size)."""
    mask = size = 0
    if sig:
        assert task.mm is not None
        mask, size = task.mm.read_u64(sig), task.mm.read_u64(sig + 8)
    deadline = _deadline(task, read_timespec(task, tsp) if task.restart is None else 0)
    swap_sigmask(task, mask, size)
    try:
        ready = _select_once(task, n, (inp, outp, exp), deadline)
    except (EBADF, EINVAL, EFAULT):
        restore_saved_sigmask(task)
        raise
    _finish(task, tsp, deadline, 1, ready < 0)
    return ready

