# SPDX-License-Identifier: Apache-2.0
"""What fast() answers is what the kernel's own handlers answer.

The same calls, in the same order, go to read(2), pread64(2) and lseek(2) of a machine and to
fast(), run as Python over a memory in which the kernel's pages describe the same file.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygos.arch.um import fast as source
from pygos.arch.um.intrinsics import bind
from pygos.host.layout import AREA_THREAD, STUB_AREAS, STUB_POS, STUB_PROC, STUB_WINDOWS
from pygos.include.linux import fastcalls as fc
from pygos.include.linux.platform import TASK_SIZE
from pygos.include.uapi.fcntl import O_CREAT, O_RDWR
from tests.support.fsworld import FsWorld
from tests.support.world import DATA

AREA, BUF, ROOM = STUB_AREAS, 0x10000, 0x3000
SEQ = 7
_M64 = (1 << 64) - 1


class Fault(Exception):
    """Nothing is mapped there: the stub would ask the kernel."""


class Ranges:
    """A memory of a few ranges. `hook` runs after each copy, as another thread might."""

    def __init__(self) -> None:
        self.parts: dict[int, bytearray] = {}
        self.hook: Callable[[], None] | None = None

    def find(self, addr: int, count: int) -> tuple[bytearray, int]:
        for start, data in self.parts.items():
            if start <= addr and addr + count <= start + len(data):
                return data, addr - start
        raise Fault

    def load(self, addr: int, size: int, signed: bool = False) -> int:
        data, at = self.find(addr, size)
        return int.from_bytes(data[at : at + size], "little", signed=signed)

    def ld64(self, addr: int) -> int:
        return self.load(addr, 8, True)

    def ld32(self, addr: int) -> int:
        return self.load(addr, 4)

    def ld8(self, addr: int) -> int:
        return self.load(addr, 1)

    def st64(self, addr: int, value: int) -> None:
        data, at = self.find(addr, 8)
        data[at : at + 8] = (value & _M64).to_bytes(8, "little")

    def copy(self, dst: int, src: int, count: int) -> None:
        if count:
            to, at = self.find(dst, count)
            data, start = self.find(src, count)
            to[at : at + count] = data[start : start + count]
        if self.hook is not None:
            hook, self.hook = self.hook, None
            hook()

    def cmpxchg64(self, addr: int, old: int, new: int) -> int:
        found = self.ld64(addr)
        if found == old:
            self.st64(addr, new)
        return found


class Stub:
    """fast() with one file as descriptor `fd`."""

    def __init__(self, fd: int, content: bytes, mapped: int) -> None:
        self.memory = memory = Ranges()
        memory.parts = {
            AREA: bytearray(0x2000), STUB_PROC: bytearray(4096), STUB_POS: bytearray(4096),
            BUF: bytearray(ROOM), STUB_WINDOWS: bytearray(content.ljust(mapped, b"\0")[:mapped]),
        }  # fmt: skip
        self.fast = bind(source, "fast", memory)
        self.thread = AREA + AREA_THREAD
        memory.st64(self.thread, fc.FAST_PID | fc.FAST_UID | fc.FAST_FILES | fc.FAST_FUTEX)
        self.slot, self.place = STUB_PROC + fd * 32, STUB_POS + fd * 8
        for word, value in enumerate((SEQ, STUB_WINDOWS, mapped, len(content))):
            memory.st64(self.slot + 8 * word, value)
        self.pos = 0

    @property
    def pos(self) -> int:
        return self.memory.ld64(self.place) & fc.POS_MASK

    @pos.setter
    def pos(self, value: int) -> None:
        self.memory.st64(self.place, SEQ << fc.POS_BITS | value)

    def call(self, nr: int, *args: int) -> int:
        """The answer; a fault is SLOW, as stub.S has it."""
        try:
            return self.fast(AREA, nr, *args, *[0] * (6 - len(args)))
        except Fault:
            return fc.SLOW


offsets = st.integers(-9000, 9000) | st.sampled_from([0, 1, 4095, 4096, 1 << 47, -(1 << 50)])
counts = st.integers(0, 9000) | st.sampled_from([0, 1, 4096])
calls = st.one_of(
    st.tuples(st.just("read"), counts),
    st.tuples(st.just("pread64"), counts, offsets),
    st.tuples(st.just("lseek"), offsets, st.integers(0, 3)),
)
NUMBERS = {"read": source.NR_READ, "pread64": source.NR_PREAD64, "lseek": source.NR_LSEEK}


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 9000),
    missing=st.integers(0, 2),
    script=st.lists(calls, max_size=25),
)
def test_as_the_handlers(
    world_file: Callable[[bytes], tuple[FsWorld, object, int]],
    size: int,
    missing: int,
    script: list[tuple[str | int, ...]],
) -> None:
    content = bytes((i * 7 + i // 251) & 0xFF for i in range(size))
    world, task, fd = world_file(content)
    stub = Stub(fd, content, max((size + 4095 >> 12) - missing, 0) << 12)
    answered = 0
    for name, *args in script:
        numbers = [int(arg) for arg in args]
        call = str(name)
        if call == "lseek":
            expected = world.ok(task, call, fd, *numbers)  # type: ignore[arg-type]
            got = stub.call(NUMBERS[call], fd, *numbers)
        else:
            count, *rest = numbers
            expected = world.ok(task, call, fd, DATA, count, *rest)  # type: ignore[arg-type]
            got = stub.call(NUMBERS[call], fd, BUF, count, *rest)
        now = world.ok(task, "lseek", fd, 0, 1)  # type: ignore[arg-type]
        if got == fc.SLOW:
            stub.pos = now  # the kernel has answered
            continue
        answered += 1
        assert (got, stub.pos) == (expected, now), (call, numbers)
        if call != "lseek" and got > 0:
            data = bytes(stub.memory.parts[BUF][:got])
            assert data == world.get(task, DATA, got)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def world_file() -> Callable[[bytes], tuple[FsWorld, object, int]]:
    """A machine, a process of it, and a descriptor of a file with these bytes."""
    world = FsWorld()
    task = world.proc()
    fd = world.open(task, b"/tmp/file", O_RDWR | O_CREAT)
    assert fd is not None
    assert fd >= 0

    def fill(content: bytes) -> tuple[FsWorld, object, int]:
        world.ok(task, "ftruncate", fd, 0)
        world.ok(task, "lseek", fd, 0, 0)
        assert world.write(task, fd, content) == len(content)
        world.ok(task, "lseek", fd, 0, 0)
        return world, task, fd

    return fill


def test_most_calls_are_answered() -> None:
    stub = Stub(3, b"abcdefgh", 4096)
    assert stub.call(source.NR_READ, 3, BUF, 5) == 5
    assert stub.call(source.NR_READ, 3, BUF, 5) == 3
    assert stub.call(source.NR_READ, 3, BUF, 5) == 0
    assert stub.call(source.NR_LSEEK, 3, -2, source.SEEK_END) == 6
    assert stub.call(source.NR_PREAD64, 3, BUF, 3, 1) == 3
    assert bytes(stub.memory.parts[BUF][:3]) == b"bcd"


def test_a_reader_who_is_overtaken_reads_what_comes_next() -> None:
    stub = Stub(3, b"abcdefgh", 4096)

    def other() -> None:
        assert stub.call(source.NR_READ, 3, BUF + 100, 2) == 2

    stub.memory.hook = other
    assert stub.call(source.NR_READ, 3, BUF, 3) == 3
    assert bytes(stub.memory.parts[BUF][:3]) == b"cde"
    assert stub.pos == 5


@pytest.mark.parametrize("call", ["read", "pread64", "lseek"])
def test_a_file_that_is_taken_away_meanwhile_is_the_kernels(call: str) -> None:
    stub = Stub(3, b"abcdefgh", 4096)

    def take() -> None:
        stub.memory.parts[STUB_PROC][96:128] = bytes(32)
        stub.memory.st64(stub.place, -1 << 63)

    stub.memory.hook = take
    if call == "lseek":
        take()
        assert stub.call(source.NR_LSEEK, 3, 0, 0) == fc.SLOW
    else:
        assert stub.call(NUMBERS[call], 3, BUF, 3, 0) == fc.SLOW
    assert stub.memory.ld64(stub.place) == -1 << 63


def test_another_file_of_the_same_number_has_its_own_position() -> None:
    stub = Stub(3, b"abcdefgh", 4096)

    def replace() -> None:  # the same position, but of another file
        stub.memory.st64(stub.slot, SEQ + 1)
        stub.memory.st64(stub.place, (SEQ + 1) << fc.POS_BITS)

    stub.memory.hook = replace
    assert stub.call(source.NR_READ, 3, BUF, 3) == 3
    assert stub.memory.ld64(stub.place) == (SEQ + 1) << fc.POS_BITS | 3  # read again from there


@given(word=st.integers(-(1 << 63), (1 << 63) - 1), count=counts, whence=st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_a_forged_position_reads_nothing_but_the_file(word: int, count: int, whence: int) -> None:
    stub = Stub(3, b"abcdefgh", 4096)
    stub.memory.st64(stub.place, word)
    got = stub.call(source.NR_READ, 3, BUF, count)
    assert got == fc.SLOW or 0 <= got <= 8
    stub.call(source.NR_LSEEK, 3, -3, whence)


@pytest.mark.parametrize("buf", [TASK_SIZE, TASK_SIZE - 2, STUB_POS, STUB_PROC, -4096, 1 << 62])
@pytest.mark.parametrize("nr", [source.NR_READ, source.NR_PREAD64])
def test_nothing_is_copied_above_the_guest(nr: int, buf: int) -> None:
    stub = Stub(3, b"abcdefgh", 4096)
    before = bytes(stub.memory.parts[STUB_POS])
    assert stub.call(nr, 3, buf, 4) == fc.SLOW
    assert bytes(stub.memory.parts[STUB_POS]) == before


@given(nr=st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 500), fd=st.integers(0, 1 << 33))
def test_other_calls_and_descriptors_are_the_kernels(nr: int, fd: int) -> None:
    stub = Stub(3, b"abcdefgh", 4096)
    ids = (source.NR_GETPID, source.NR_GETTID, source.NR_GETUID, source.NR_GETEUID,
           source.NR_GETGID, source.NR_GETEGID)  # fmt: skip
    if nr not in ids and fd & 0xFFFF_FFFF != 3:
        assert stub.call(nr, fd, BUF, 1, 0) == fc.SLOW


def test_only_what_is_enabled() -> None:
    stub = Stub(3, b"abcdefgh", 4096)
    memory = stub.memory
    for word, value in ((fc.F_PID, 100), (fc.F_TID, 101), (fc.F_EUID, 5)):
        memory.st64(stub.thread + 8 * word, value)
    assert stub.call(source.NR_GETPID) == 100
    assert stub.call(source.NR_GETTID) == 101
    assert stub.call(source.NR_GETEUID) == 5
    memory.st64(stub.thread, fc.FAST_UID)
    assert stub.call(source.NR_GETPID) == fc.SLOW
    assert stub.call(source.NR_READ, 3, BUF, 1) == fc.SLOW
    assert stub.call(source.NR_GETEUID) == 5


def test_a_futex_whose_value_has_changed() -> None:
    stub = Stub(3, b"", 0)
    stub.memory.parts[BUF][:4] = (9).to_bytes(4, "little")
    wait = source.FUTEX_WAIT | source.FUTEX_PRIVATE
    assert stub.call(source.NR_FUTEX, BUF, wait, 8) == -11
    for args in ((BUF, wait, 9), (BUF + 1, wait, 8), (BUF, wait, 8, 1), (BUF, 1, 8),
                 (8, wait, 8), (TASK_SIZE, wait, 8)):  # fmt: skip
        assert stub.call(source.NR_FUTEX, *args) == fc.SLOW
