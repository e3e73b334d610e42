# SPDX-License-Identifier: Apache-2.0
"""Pipes as programs see them: pipe(2), pipe(7)."""

from __future__ import annotations

from collections import deque
from struct import pack, unpack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fsworld import O_CLOEXEC, O_DIRECT, O_NONBLOCK, FsWorld
from tests.support.world import DATA, result

EAGAIN, EBADF, EBUSY, EFAULT, EINTR, EINVAL, EPIPE, EMFILE, EPERM = 11, 9, 16, 14, 4, 22, 32, 24, 1
IN, OUT, ERR, HUP, RDNORM, WRNORM = 1, 4, 8, 0x10, 0x40, 0x100
F_GETFD, F_GETFL, F_SETFL, F_SETPIPE_SZ, F_GETPIPE_SZ = 1, 3, 4, 1031, 1032
FIONREAD = 0x541B
SIGPIPE, SIGUSR1 = 13, 10


@pytest.fixture
def w() -> FsWorld:
    return FsWorld()


def test_bytes_come_out_in_order(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    assert (r, wr) == (0, 1)
    assert w.write(task, wr, b"hello ") == 6
    assert w.write(task, wr, b"world") == 5
    assert w.read(task, r, 4) == b"hell"
    assert w.read(task, r, 100) == b"o world"


def test_read_of_an_empty_pipe_sleeps_until_a_write(w: FsWorld) -> None:
    reader = w.proc()
    r, wr = w.pipe(reader)
    writer = w.proc(reader)
    assert w.read(reader, r, 10) is None
    assert w.write(writer, wr, b"x") == 1
    assert w.got(reader) == b"x"


def test_end_of_file_when_the_last_writer_closes(w: FsWorld) -> None:
    reader = w.proc()
    r, wr = w.pipe(reader)
    writer = w.proc(reader)
    w.ok(reader, "close", wr)
    assert w.read(reader, r, 10) is None
    w.ok(writer, "close", wr)
    assert w.got(reader) == b""


def test_write_without_reader_is_sigpipe_and_epipe(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    w.catch(task, SIGPIPE)
    w.ok(task, "close", r)
    w.write(task, wr, b"x")
    assert w.handled(task) == SIGPIPE
    w.sigreturn(task)
    assert result(task) == -EPIPE


def test_sigpipe_kills_by_default(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    w.ok(task, "close", r)
    w.write(task, wr, b"x")
    assert not task.alive
    assert task.group.exit_code == SIGPIPE


def test_holds_64_kib_of_pages(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task, O_NONBLOCK)
    for _ in range(16):
        assert w.write(task, wr, b"p" * 4096) == 4096
    assert w.write(task, wr, b"x") == -EAGAIN
    assert w.read(task, r, 100) == b"p" * 100
    assert w.write(task, wr, b"x") == -EAGAIN  # only a whole free page takes more
    assert w.read(task, r, 3996) == b"p" * 3996
    assert w.write(task, wr, b"x") == 1


def test_small_writes_share_a_page(w: FsWorld) -> None:
    task = w.proc()
    _, wr = w.pipe(task, O_NONBLOCK)
    total = 0
    while w.write(task, wr, b"a" * 64) == 64:
        total += 64
    assert total == 65536


def test_odd_sizes_waste_page_ends_as_on_linux(w: FsWorld) -> None:
    task = w.proc()
    _, wr = w.pipe(task, O_NONBLOCK)
    count = 0
    while w.write(task, wr, b"a" * 3000) == 3000:
        count += 1
    assert count == 16


def test_nonblocking_write_beyond_the_room_is_partial(w: FsWorld) -> None:
    task = w.proc()
    _, wr = w.pipe(task, O_NONBLOCK)
    assert w.write(task, wr, b"a" * 40960) == 40960
    assert w.write(task, wr, b"b" * 40960) == 65536 - 40960


def test_atomic_write_waits_for_all_of_its_room(w: FsWorld) -> None:
    writer = w.proc()
    r, wr = w.pipe(writer)
    reader = w.proc(writer)
    for _ in range(16):
        w.write(writer, wr, b"p" * 4096)
    assert w.write(writer, wr, b"q" * 4096) is None
    assert w.read(reader, r, 1000) == b"p" * 1000
    assert result(writer) is None
    w.read(reader, r, 3096)
    assert result(writer) == 4096


def test_large_write_continues_as_a_reader_makes_room(w: FsWorld) -> None:
    writer = w.proc()
    r, wr = w.pipe(writer)
    reader = w.proc(writer)
    data = bytes(range(256)) * 192
    assert w.write(writer, wr, data) == len(data)
    assert w.write(writer, wr, data) is None
    taken = b""
    while len(taken) < 2 * len(data):
        got = w.read(reader, r, 10000)
        assert isinstance(got, bytes)
        taken += got
    assert taken == data + data
    assert result(writer) == len(data)


def test_signal_during_a_large_write_gives_what_was_written(w: FsWorld) -> None:
    writer = w.proc()
    _, wr = w.pipe(writer)
    w.catch(writer, SIGUSR1)
    w.write(writer, wr, b"a" * 40960)
    assert w.write(writer, wr, b"b" * 40960) is None
    other = w.proc()
    w.ok(other, "kill", writer.pid, SIGUSR1)
    assert w.handled(writer) == SIGUSR1
    w.sigreturn(writer)
    assert result(writer) == 65536 - 40960


def test_signal_while_nothing_was_read_gives_eintr(w: FsWorld) -> None:
    reader = w.proc()
    r, _ = w.pipe(reader)
    w.catch(reader, SIGUSR1)
    assert w.read(reader, r, 1) is None
    w.ok(w.proc(), "kill", reader.pid, SIGUSR1)
    assert w.handled(reader) == SIGUSR1
    w.sigreturn(reader)
    assert result(reader) == -EINTR


def test_two_blocked_writers_do_not_mix_small_writes(w: FsWorld) -> None:
    one = w.proc()
    r, wr = w.pipe(one)
    two, reader = w.proc(one), w.proc(one)
    for _ in range(16):
        w.write(one, wr, b"." * 4096)
    assert w.write(one, wr, b"1" * 4096) is None
    assert w.write(two, wr, b"2" * 4096) is None
    assert w.read(reader, r, 40960) == b"." * 40960
    assert w.read(reader, r, 24576) == b"." * 24576
    rest = w.read(reader, r, 8192)
    assert rest in (b"1" * 4096 + b"2" * 4096, b"2" * 4096 + b"1" * 4096)


def test_packet_mode_keeps_messages_apart(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task, O_DIRECT)
    w.write(task, wr, b"one")
    w.write(task, wr, b"second")
    assert w.read(task, r, 100) == b"one"
    assert w.read(task, r, 3) == b"sec"  # the rest of a packet is lost
    w.write(task, wr, b"x" * 5000)
    assert w.read(task, r, 40000) == b"x" * 4096
    assert w.read(task, r, 40000) == b"x" * 904


def test_flags_of_pipe2(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task, O_CLOEXEC | O_NONBLOCK)
    assert w.ok(task, "fcntl", r, F_GETFD) == 1
    assert w.ok(task, "fcntl", r, F_GETFL) & 0o7777 == O_NONBLOCK
    assert w.ok(task, "fcntl", wr, F_GETFL) & 0o7777 == O_NONBLOCK | 1
    assert w.ok(task, "pipe2", DATA, 0o2) == -EINVAL


def test_bad_address_leaves_no_descriptor(w: FsWorld) -> None:
    task = w.proc()
    assert w.ok(task, "pipe2", 0x10, 0) == -EFAULT
    assert task.files.fd == {}
    assert w.machine.nr_files == 0


def test_no_descriptor_left_behind_at_the_limit(w: FsWorld) -> None:
    task = w.proc()
    task.group.rlim[7] = (1, 1)
    assert w.ok(task, "pipe2", DATA, 0) == -EMFILE
    assert task.files.fd == {}
    assert w.machine.nr_files == 0


def test_wrong_direction_is_ebadf(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    assert w.read(task, wr, 1) == -EBADF
    assert w.write(task, r, b"x") == -EBADF


def test_poll_masks(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task, O_NONBLOCK)
    all_events = IN | OUT | RDNORM | WRNORM
    assert w.poll(task, {r: all_events, wr: all_events}) == {wr: OUT | WRNORM}
    w.write(task, wr, b"x" * 4096)
    assert w.poll(task, {r: all_events}) == {r: IN | RDNORM}
    while w.write(task, wr, b"x" * 4096) == 4096:
        pass
    assert w.poll(task, {wr: OUT}) == {}
    w.ok(task, "close", wr)
    assert w.poll(task, {r: IN}) == {r: IN | HUP}
    while w.read(task, r, 40960) != b"":
        pass
    assert w.poll(task, {r: IN}) == {r: HUP}


def test_poll_of_the_write_end_without_reader(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    w.ok(task, "close", r)
    assert w.poll(task, {wr: OUT}) == {wr: OUT | ERR}


def test_fionread_counts_bytes(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    w.write(task, wr, b"x" * 5000)
    w.read(task, r, 1)
    addr = w.put(task, b"\0" * 4, 0x8000)
    assert w.ok(task, "ioctl", r, FIONREAD, addr) == 0
    assert unpack("<i", w.get(task, addr, 4)) == (4999,)


def test_size_can_be_set(w: FsWorld) -> None:
    task = w.proc()
    _, wr = w.pipe(task, O_NONBLOCK)
    assert w.ok(task, "fcntl", wr, F_GETPIPE_SZ) == 65536
    assert w.ok(task, "fcntl", wr, F_SETPIPE_SZ, 5000) == 8192
    assert w.write(task, wr, b"x" * 40960) == 8192
    assert w.ok(task, "fcntl", wr, F_SETPIPE_SZ, 4096) == -EBUSY
    assert w.ok(task, "fcntl", wr, F_SETPIPE_SZ, 1 << 20) == 1 << 20
    task.cred = w.proc(uid=1000).cred
    assert w.ok(task, "fcntl", wr, F_SETPIPE_SZ, 2 << 20) == -EPERM


def test_growing_a_full_pipe_wakes_the_writer(w: FsWorld) -> None:
    writer = w.proc()
    _, wr = w.pipe(writer)
    other = w.proc(writer)
    for _ in range(16):
        w.write(writer, wr, b"x" * 4096)
    assert w.write(writer, wr, b"y") is None
    assert w.ok(other, "fcntl", wr, F_SETPIPE_SZ, 131072) == 131072
    assert result(writer) == 1


def test_memory_in_pipes_is_bounded(w: FsWorld) -> None:
    task = w.proc()
    task.group.rlim[7] = (1 << 20, 1 << 20)
    made = 0
    while w.ok(task, "pipe2", DATA, 0) == 0:
        made += 1
    assert made < w.machine.ram.pages
    files = task.files
    w.ok(task, "close", 0)
    w.ok(task, "close", 1)
    assert files.fd
    assert w.ok(task, "pipe2", DATA, 0) == 0


def test_zero_length_calls(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    assert w.read(task, r, 0) == b""
    assert w.write(task, wr, b"") == 0
    assert w.poll(task, {r: IN}) == {}


def test_vectors(w: FsWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    w.put(task, b"abcdef")
    vec = w.put(task, pack("<QQQQ", DATA, 2, DATA + 3, 3), 0x9000)
    assert w.ok(task, "writev", wr, vec, 2) == 5
    assert w.read(task, r, 100) == b"abdef"


class PipeModel:
    """Linux's ring of pages, slot by slot."""

    def __init__(self, slots: int = 16) -> None:
        self.slots = slots
        self.pages: deque[list[bytes | int]] = deque()  # [data, offset]

    def write(self, data: bytes) -> int:
        done = 0
        odd = len(data) % 4096
        if odd and self.pages:
            last = self.pages[-1]
            assert isinstance(last[0], bytes)
            if len(last[0]) + odd <= 4096:
                last[0] += data[:odd]
                done = odd
        while done < len(data) and len(self.pages) < self.slots:
            self.pages.append([data[done : done + 4096], 0])
            done += len(data[done : done + 4096])
        return done if done else -EAGAIN

    def read(self, count: int) -> bytes | int:
        out = b""
        while self.pages and len(out) < count:
            page = self.pages[0]
            data, off = page
            assert isinstance(data, bytes)
            assert isinstance(off, int)
            part = data[off : off + count - len(out)]
            out += part
            page[1] = off + len(part)
            if page[1] == len(data):
                self.pages.popleft()
        return out if out else -EAGAIN


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from((1, 2, 99, 4095, 4096, 4097, 8192, 12289, 40000))),
        max_size=40,
    )
)
def test_a_pipe_is_a_ring_of_pages(steps: list[tuple[bool, int]]) -> None:
    w = FsWorld()
    task = w.proc()
    r, wr = w.pipe(task, O_NONBLOCK)
    model = PipeModel()
    counter = 0
    for writing, size in steps:
        if writing:
            counter += 1
            data = bytes((counter + i) % 251 for i in range(size))
            assert w.write(task, wr, data) == model.write(data)
        else:
            assert w.read(task, r, size) == model.read(size)
