# SPDX-License-Identifier: Apache-2.0
"""System call decoders are generated from the handlers' signatures."""

from __future__ import annotations

import re
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygos.arch.x86.entry.syscall_64 import NUMBERS, UNIMPLEMENTED
from pygos.arch.x86.regs import SYSCALL_ARGS
from pygos.include.errno import EINVAL
from pygos.include.linux.fs import FMODE_PATH
from pygos.include.linux.sched import Task
from pygos.include.linux.syscalls import (
    DirFd,
    Fd,
    FileArg,
    Flags,
    In,
    InOrNull,
    Int,
    IovIn,
    IovOut,
    Long,
    Mode,
    Out,
    OutInt,
    PathArg,
    PathOrNull,
    Pid,
    RawFileArg,
    Signo,
    Size,
    UInt,
    ULong,
    ULongFlags,
    UserAddr,
    UserIn,
    UserOut,
    fetch_first,
    syscall,
)
from pygos.include.linux.wait import wait_on
from pygos.include.uapi.time import Timespec
from pygos.init.calls import all_handlers, build_table, handler_modules
from pygos.kernel.decode import LazyDecoder, NoSyscall, make_decoder, parameters
from tests.kernel.guest import M64, SIZE, Guest, error_of

ROOT = Path(__file__).resolve().parents[2]
REGISTER = st.integers(0, M64)


@syscall
def numbers(task: Task, a: Int, b: UInt, c: Long, d: ULong, e: Pid, f: Mode) -> Any:
    """Every kind of number."""
    return a, b, c, d, e, f


@syscall
def more_numbers(
    task: Task, a: Fd, b: DirFd, c: Signo, d: Flags, e: ULongFlags, f: UserAddr
) -> Any:
    """The same numbers by other names."""
    return a, b, c, d, e, f


@syscall
def buffers(task: Task, fd: FileArg, buf: UserIn, out: UserOut, size: Size) -> Any:
    """Six registers for four parameters."""
    return fd, buf, out, size


@syscall
def vectors(task: Task, raw: RawFileArg, vec: IovIn, out: IovOut) -> Any:
    """Vectors."""
    return raw, vec, out


@syscall
def paths(task: Task, path: PathArg, maybe: PathOrNull) -> Any:
    """Paths."""
    return path, maybe


@syscall
def structs(task: Task, a: In[Timespec], b: InOrNull[Timespec], c: Out[Timespec], d: OutInt) -> Any:
    """Structs in and out."""
    return a, b, c, d


@syscall(name="odd", partial="half of it is missing")
def named_(task: Task) -> None:
    """Nothing."""


@pytest.fixture(scope="module")
def guest() -> Guest:
    return Guest()


def call(guest: Guest, handler: Any, *args: int) -> Any:
    """Decode a call's registers; what the handler was given."""
    decoder = make_decoder(handler, SYSCALL_ARGS)
    given = decoder(guest.task, guest.set_call(0, *args))
    if isinstance(given, tuple):
        fetch_first(*given)
    return given


# -- numbers


def signed(value: int, bits: int) -> int:
    """Two's complement, said in another way than the decoder does."""
    raw = (value & ((1 << bits) - 1)).to_bytes(bits // 8, "little")
    return int.from_bytes(raw, "little", signed=True)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[REGISTER] * 6))
def test_numbers_are_what_c_makes_of_a_register(args: tuple[int, ...]) -> None:
    guest = GUEST
    a, b, c, d, e, f = args
    expected = (
        signed(a, 32), b & 0xFFFFFFFF, signed(c, 64), d, signed(e, 32), f & 0xFFFFFFFF
    )  # fmt: skip
    assert call(guest, numbers, *args) == expected
    expected = (signed(a, 32), signed(b, 32), signed(c, 32), signed(d, 32), e, f)
    assert call(guest, more_numbers, *args) == expected


GUEST = Guest()


@pytest.mark.parametrize(
    ("register", "value"),
    [(0, 0), (M64, -1), (0x7FFFFFFF, 0x7FFFFFFF), (0x80000000, -(1 << 31)), (1 << 32, 0)],
)
def test_an_int_is_the_low_half_of_the_register(guest: Guest, register: int, value: int) -> None:
    assert call(guest, numbers, register)[0] == value


# -- files


def test_a_descriptor_becomes_a_file(guest: Guest) -> None:
    file = FakeFile(3)
    guest.task.files.fd[5] = file  # type: ignore[assignment]
    assert call(guest, buffers, 5, guest.base, 1, guest.base, 1, 7)[0] is file
    garbage_above = 5 | 0xABCD << 32
    assert call(guest, vectors, garbage_above, guest.base, 0, guest.base, 0)[0] is file


class FakeFile:
    def __init__(self, f_mode: int) -> None:
        self.f_mode = f_mode


def test_a_bad_descriptor_is_ebadf(guest: Guest) -> None:
    for fd in (77, -1, 1 << 31):
        assert error_of(lambda fd=fd: call(guest, buffers, fd, 0, 0, 0, 0)) == 9
        assert error_of(lambda fd=fd: call(guest, vectors, fd, 0, 0, 0, 0)) == 9


def test_a_path_descriptor_is_only_for_calls_that_say_so(guest: Guest) -> None:
    guest.task.files.fd[6] = FakeFile(FMODE_PATH)  # type: ignore[assignment]
    assert error_of(lambda: call(guest, buffers, 6, guest.base, 0, guest.base, 0)) == 9
    assert call(guest, vectors, 6, guest.base, 0, guest.base, 0)[0] is guest.task.files.fd[6]


def test_ebadf_comes_before_efault(guest: Guest) -> None:
    assert error_of(lambda: call(guest, buffers, 77, M64, 10, M64, 10)) == 9


# -- memory


def test_buffers_know_address_and_length(guest: Guest) -> None:
    guest.task.files.fd[5] = FakeFile(3)  # type: ignore[assignment]
    where = guest.put(b"abcdef")
    _, buf, out, size = call(guest, buffers, 5, where, 6, guest.base, 100, 1 << 40)
    assert buf.length == 6
    assert bytes(buf.take(4)) == b"abcd"
    assert out.length == 100
    assert size == 1 << 40


def test_vectors_are_imported(guest: Guest) -> None:
    guest.task.files.fd[5] = FakeFile(3)  # type: ignore[assignment]
    first, second = guest.put(b"abc"), guest.put(b"defg")
    iov = guest.put(pack("4Q", first, 3, second, 4))
    _, vec, _ = call(guest, vectors, 5, iov, 2, iov, 0)
    assert vec.length == 7
    assert bytes(vec.take(7)) == b"abcdefg"
    assert error_of(lambda: call(guest, vectors, 5, iov, 1025, iov, 0)) == 22


def test_paths_are_copied_up_to_their_nul(guest: Guest) -> None:
    path = guest.put(b"/bin/true\0junk")
    assert call(guest, paths, path, 0) == (b"/bin/true", None)
    assert call(guest, paths, path, path) == (b"/bin/true", b"/bin/true")
    assert call(guest, paths, guest.put(b"\0"), 0) == (b"", None)


def test_bad_paths(guest: Guest) -> None:
    assert error_of(lambda: call(guest, paths, 0, 0)) == 14
    assert error_of(lambda: call(guest, paths, guest.base + SIZE, 0)) == 14
    long = guest.put(b"x" * 4095 + b"\0")
    assert len(call(guest, paths, long, 0)[0]) == 4095
    too_long = guest.put(b"x" * 4096 + b"\0")
    assert error_of(lambda: call(guest, paths, too_long, 0)) == 36


def test_structs_in(guest: Guest) -> None:
    where = guest.put(Timespec(3, 4).to_bytes())
    a, b, c, d = call(guest, structs, where, where, 0, 0)
    assert a == b == Timespec(3, 4)
    assert not c
    assert not d
    assert call(guest, structs, where, 0, 0, 0)[1] is None
    assert error_of(lambda: call(guest, structs, 0, 0, 0, 0)) == 14
    assert error_of(lambda: call(guest, structs, where, 8, 0, 0)) == 14
    end = guest.base + SIZE - 8
    assert error_of(lambda: call(guest, structs, end, 0, 0, 0)) == 14, "half of it is there"


@syscall
def flags_first(task: Task, path: PathArg, flags: Int) -> int:
    if flags:
        raise EINVAL
    return len(path)


@syscall
def joins(task: Task, path: PathArg) -> int:
    return len(b"".join([path]))


@syscall
def sleeps(task: Task, path: PathArg) -> int:
    wait_on(task, task.group.wait_chldexit)


@syscall
def succeeds(task: Task, buf: UserOut) -> int:
    return 0


def test_what_is_checked_first_fails_first(guest: Guest) -> None:
    assert error_of(lambda: call(guest, flags_first, 8, 1)) == 22
    assert error_of(lambda: call(guest, flags_first, 8, 0)) == 14


def test_uses_that_nobody_sees(guest: Guest) -> None:
    assert error_of(lambda: call(guest, joins, 8)) == 14
    assert error_of(lambda: call(guest, sleeps, 8)) == 14
    assert not guest.task.waiting
    assert not guest.task.group.wait_chldexit.waiters
    assert error_of(lambda: call(guest, succeeds, M64, 5)) == 14


def test_structs_out(guest: Guest) -> None:
    ts, number = guest.put(bytes(16)), guest.put(b"\xff" * 8)
    _, _, out, integer = call(guest, structs, ts, 0, ts, number)
    out.put(Timespec(7, -1))
    integer.put32(-5)
    mm = guest.task.mm
    assert mm is not None
    assert mm.read(ts, 16) == pack("2q", 7, -1)
    assert mm.read(number, 8) == pack("i", -5) + b"\xff" * 4
    integer.put64(-6)
    assert mm.read(number, 8) == pack("q", -6)


def test_a_place_for_results_is_checked_when_it_is_used(guest: Guest) -> None:
    where = guest.put(bytes(16))
    _, _, out, number = call(guest, structs, where, 0, 0x1000, 0x1000)
    assert error_of(lambda: out.put(Timespec())) == 14
    assert error_of(lambda: number.put32(1)) == 14


# -- the generated code


def test_the_source_is_kept() -> None:
    decoder: Any = make_decoder(buffers, SYSCALL_ARGS)
    assert decoder.__source__ == (
        "def buffers(task, regs):\n"
        "    size = regs[8]\n"
        "    try:\n"
        "        fd = task.files.fd.get(regs[14] & 0xFFFFFFFF)\n"
        f"        if fd is None or fd.f_mode & {FMODE_PATH}: raise EBADF\n"
        "        buf = UserBuffer(task.mm, regs[13], regs[12], False)\n"
        "        out = UserBuffer(task.mm, regs[7], regs[9], True)\n"
        "    except Errno:\n"
        "        return _later(task, regs)\n"
        "    return _handler(task, fd, buf, out, size)\n"
    )
    assert decoder.handler is buffers


def test_a_decoder_is_made_at_the_first_call() -> None:
    guest = Guest(GUEST.machine)
    guest.install(9, numbers)
    table = guest.machine.syscalls
    assert isinstance(table[9], LazyDecoder)
    regs = guest.set_call(9, 1, 2, 3, 4, 5, 6)
    assert table[9](guest.task, regs) == (1, 2, 3, 4, 5, 6)
    assert not isinstance(table[9], LazyDecoder)
    assert table[9](guest.task, regs) == (1, 2, 3, 4, 5, 6)


def test_names_of_calls() -> None:
    info = named_.__syscall__  # type: ignore[attr-defined]
    assert (info.name, info.partial) == ("odd", "half of it is missing")
    assert numbers.__syscall__.name == "numbers"  # type: ignore[attr-defined]


def test_an_annotation_that_says_nothing_is_refused() -> None:
    def bad(task: Task, what: int) -> int:
        return what

    with pytest.raises(TypeError, match="can't decode what"):
        make_decoder(bad, SYSCALL_ARGS)


# -- all handlers

HANDLERS = all_handlers()


@pytest.mark.parametrize("name", sorted(HANDLERS))
def test_each_handler_can_be_decoded(name: str) -> None:
    handler = HANDLERS[name]
    assert name in NUMBERS, "no such system call"
    assert name not in UNIMPLEMENTED
    assert sum(param.arg.regs for param in parameters(handler)) <= 6
    assert make_decoder(handler, SYSCALL_ARGS)
    assert handler.__doc__, "a handler says what it does"


def test_every_module_with_handlers_is_listed() -> None:
    listed = set(handler_modules())
    for path in sorted((ROOT / "pygos").rglob("*.py")):
        if re.search(r"^@syscall", path.read_text(), re.M):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            assert name in listed, f"{name} has system calls but no room lists it"


def test_the_table_has_an_entry_for_each_number() -> None:
    table = build_table()
    assert len(table) == max(NUMBERS.values()) + 2
    for name, nr in NUMBERS.items():
        entry = table[nr]
        if name in HANDLERS:
            assert entry.handler is HANDLERS[name]
        else:
            assert isinstance(entry, NoSyscall)
            assert entry.name == name
    assert isinstance(table[-1], NoSyscall)
