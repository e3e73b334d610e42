# SPDX-License-Identifier: Apache-2.0
"""Record locks, OFD locks and flock: who gets what, who waits, what closing does."""

from __future__ import annotations

import fcntl as host
import os
import struct
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygos.fs.fcntl import fcntl
from pygos.fs.file_table import close, dup, exit_files
from pygos.fs.locks import flock, locks_text
from pygos.include.linux.sched import Task
from pygos.include.linux.wait import WouldSleep
from pygos.include.uapi.fcntl import (
    F_GETLK,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_RDLCK,
    F_SETLK,
    F_SETLKW,
    F_UNLCK,
    F_WRLCK,
    LOCK_EX,
    LOCK_NB,
    LOCK_SH,
    LOCK_UN,
    Flock,
)
from tests.support.kernel import Kernel, boot

EAGAIN, EBADF, EINVAL, EDEADLK, EOVERFLOW = -11, -9, -22, -35, -75


@pytest.fixture
def k() -> Kernel:
    kernel = boot()
    kernel.put(b"/file", b"x" * 100)
    return kernel


def lock(
    k: Kernel, task: Task, fd: int, cmd: int, kind: int, start: int = 0, length: int = 0
) -> int:
    k.mem.write(k.scratch, Flock(kind, 0, start, length, 0).to_bytes())
    task.mm = k.mem
    return k.call(fcntl, fd, cmd, k.scratch, task=task)


def query(k: Kernel, task: Task, fd: int, kind: int, start: int, length: int) -> Flock:
    assert lock(k, task, fd, F_GETLK, kind, start, length) == 0
    found: Flock = k.load(Flock)
    return found


def test_readers_share_and_a_writer_excludes(k: Kernel) -> None:
    fd = k.open(b"/file", 2)
    other = k.child(2)
    assert lock(k, k.task, fd, F_SETLK, F_RDLCK, 0, 10) == 0
    assert lock(k, other, fd, F_SETLK, F_RDLCK, 5, 10) == 0
    assert lock(k, k.task, fd, F_SETLK, F_WRLCK, 0, 10) == EAGAIN
    assert lock(k, k.task, fd, F_SETLK, F_WRLCK, 0, 5) == 0
    found = query(k, other, fd, F_RDLCK, 0, 100)
    assert (found.l_type, found.l_start, found.l_len, found.l_pid) == (F_WRLCK, 0, 5, 1)
    assert query(k, other, fd, F_RDLCK, 50, 1).l_type == F_UNLCK


def test_the_open_mode_limits_what_can_be_locked(k: Kernel) -> None:
    reader, writer = k.open(b"/file", 0), k.open(b"/file", 1)
    assert lock(k, k.task, reader, F_SETLK, F_WRLCK) == EBADF
    assert lock(k, k.task, writer, F_SETLK, F_RDLCK) == EBADF
    assert lock(k, k.task, reader, F_SETLK, F_RDLCK) == 0


def test_bad_ranges(k: Kernel) -> None:
    fd = k.open(b"/file", 2)
    assert lock(k, k.task, fd, F_SETLK, F_WRLCK, -1, 1) == EINVAL
    assert lock(k, k.task, fd, F_SETLK, F_WRLCK, 5, -6) == EINVAL
    assert lock(k, k.task, fd, F_SETLK, F_WRLCK, (1 << 63) - 1, 2) == EOVERFLOW
    assert lock(k, k.task, fd, F_SETLK, 7, 0, 1) == EINVAL
    assert lock(k, k.task, fd, F_SETLK, F_WRLCK, 5, -5) == 0


def test_a_waiter_gets_its_lock_when_the_holder_closes_any_descriptor(k: Kernel) -> None:
    fd = k.open(b"/file", 2)
    second = k.call(dup, k.file(fd))
    other = k.child(2)
    assert lock(k, k.task, fd, F_SETLK, F_WRLCK) == 0
    with pytest.raises(WouldSleep):
        lock(k, other, fd, F_SETLKW, F_WRLCK)
    assert other.waiting
    assert k.call(close, second) == 0
    assert not other.waiting
    assert lock(k, other, fd, F_SETLKW, F_WRLCK) == 0


def test_a_circle_of_waiters_is_refused(k: Kernel) -> None:
    fd = k.open(b"/file", 2)
    tasks = [k.task, k.child(2), k.child(3)]
    for n, task in enumerate(tasks):
        assert lock(k, task, fd, F_SETLK, F_WRLCK, n, 1) == 0
    for n in (0, 1):
        with pytest.raises(WouldSleep):
            lock(k, tasks[n], fd, F_SETLKW, F_WRLCK, n + 1, 1)
    assert lock(k, tasks[2], fd, F_SETLKW, F_WRLCK, 0, 1) == EDEADLK


def test_locks_end_with_their_process_and_are_not_inherited(k: Kernel) -> None:
    fd = k.open(b"/file", 2)
    child = k.child(2)
    assert lock(k, child, fd, F_SETLK, F_WRLCK) == 0
    assert lock(k, k.task, fd, F_SETLK, F_RDLCK) == EAGAIN
    exit_files(child)
    assert lock(k, k.task, fd, F_SETLK, F_RDLCK) == 0
    assert k.file(fd).f_inode.i_flock is not None
    assert k.call(close, fd) == 0
    assert not k.machine.locks


def test_ofd_locks_belong_to_the_open_file(k: Kernel) -> None:
    one, other = k.open(b"/file", 2), k.open(b"/file", 2)
    second = k.call(dup, k.file(one))
    assert lock(k, k.task, one, F_OFD_SETLK, F_WRLCK, 0, 10) == 0
    assert lock(k, k.task, other, F_OFD_SETLK, F_WRLCK, 0, 10) == EAGAIN
    assert lock(k, k.task, other, F_SETLK, F_RDLCK, 0, 10) == EAGAIN
    assert lock(k, k.task, other, F_OFD_GETLK, F_WRLCK) == 0
    assert k.load(Flock).l_pid == -1
    k.call(close, one)
    assert lock(k, k.task, other, F_OFD_SETLK, F_WRLCK, 0, 10) == EAGAIN
    k.call(close, second)
    assert lock(k, k.task, other, F_OFD_SETLK, F_WRLCK, 0, 10) == 0


def test_flock(k: Kernel) -> None:
    one, other = k.open(b"/file"), k.open(b"/file")
    assert k.call(flock, k.file(one), LOCK_SH) == 0
    assert k.call(flock, k.file(other), LOCK_SH) == 0
    assert k.call(flock, k.file(one), LOCK_EX | LOCK_NB) == EAGAIN
    task = k.child(2, shared=True)
    assert k.call(flock, k.file(one), LOCK_SH) == 0
    with pytest.raises(WouldSleep):
        k.call(flock, k.file(other), LOCK_EX, task=task)
    assert k.call(flock, k.file(one), LOCK_UN) == 0
    assert not task.waiting
    assert k.call(flock, k.file(other), LOCK_EX, task=task) == 0
    assert k.call(flock, k.file(one), 3) == EINVAL
    k.call(close, other)
    assert k.call(flock, k.file(one), LOCK_EX | LOCK_NB) == 0


def test_proc_locks(k: Kernel) -> None:
    fd = k.open(b"/file", 2)
    inode = k.file(fd).f_inode
    assert lock(k, k.task, fd, F_SETLK, F_WRLCK, 2, 5) == 0
    k.call(flock, k.file(fd), LOCK_SH)
    waiter = k.child(2)
    with pytest.raises(WouldSleep):
        lock(k, waiter, fd, F_SETLKW, F_RDLCK)
    place = f"00:{inode.i_sb.s_dev:02x}:{inode.i_ino}"
    assert locks_text(k.machine).splitlines() == [
        f"1: FLOCK  ADVISORY  READ  1 {place} 0 EOF",
        f"2: POSIX  ADVISORY  WRITE 1 {place} 2 6",
        f"2: -> POSIX  ADVISORY  READ  2 {place} 0 EOF",
    ]


STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([F_RDLCK, F_WRLCK, F_UNLCK]),
        st.integers(0, 12),
        st.integers(0, 6),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_splitting_and_merging_is_as_on_linux(steps: list[tuple[int, int, int, int]]) -> None:
    """Two open files lock the same ranges with OFD locks here and on the host."""
    kernel = boot(512)
    kernel.put(b"/f")
    ours = [kernel.open(b"/f", 2), kernel.open(b"/f", 2)]
    with tempfile.NamedTemporaryFile() as temp:
        theirs = [os.open(temp.name, os.O_RDWR) for _ in range(2)]
        try:
            for who, kind, start, length in steps:
                got = lock(kernel, kernel.task, ours[who], F_OFD_SETLK, kind, start, length)
                assert got == host_lock(theirs[who], host.F_OFD_SETLK, kind, start, length)[0]
            for at in range(20):
                for who in (0, 1):
                    got = lock(kernel, kernel.task, ours[who], F_OFD_GETLK, F_WRLCK, at, 1)
                    found = kernel.load(Flock)
                    want = host_lock(theirs[who], host.F_OFD_GETLK, F_WRLCK, at, 1)
                    assert (found.l_type, found.l_start, found.l_len) == want[1]
        finally:
            for fd in theirs:
                os.close(fd)


def host_lock(
    fd: int, cmd: int, kind: int, start: int, length: int
) -> tuple[int, tuple[int, int, int]]:
    """The host's answer: 0 or -errno, and (type, start, length) as it came back."""
    try:
        data = host.fcntl(fd, cmd, struct.pack("hhqqixxxx", kind, 0, start, length, 0))
    except OSError as error:
        return -(error.errno or 0), (0, 0, 0)
    found = struct.unpack("hhqqixxxx", data)
    return 0, (found[0], found[2], found[3])
