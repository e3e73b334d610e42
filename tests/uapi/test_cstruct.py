# SPDX-License-Identifier: Apache-2.0
"""ABI structs: layout as C's, conversions, defaults, values that don't fit."""

from __future__ import annotations

import copy
import ctypes
import pickle
import struct
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygos.include.uapi import kdev_t, signal
from pygos.include.uapi.cstruct import (
    CODES,
    CStruct,
    CStructMeta,
    c_int,
    i8,
    i64,
    offsets,
    u8,
    u16,
    u32,
    u64,
    zeroed,
)
from pygos.include.uapi.eventpoll import EpollEvent
from pygos.include.uapi.time import Itimerspec, Timespec
from pygos.include.uapi.utsname import NewUtsname

CTYPES = {
    "b": ctypes.c_int8, "B": ctypes.c_uint8, "h": ctypes.c_int16, "H": ctypes.c_uint16,
    "i": ctypes.c_int32, "I": ctypes.c_uint32, "q": ctypes.c_int64, "Q": ctypes.c_uint64,
}  # fmt: skip


class Mixed(CStruct):
    """Padding in the middle and at the end, an array, chars, a nested struct."""

    a: u8 = 0
    b: u32 = 7
    words: Annotated[tuple[int, ...], u16, 3] = (0, 0, 0)
    name: Annotated[bytes, 5] = b""
    when: Timespec = zeroed(Timespec)
    last: i8 = 0

    def total(self) -> int:
        """Structs may have methods."""
        return self.a + self.b


class Head(CStruct):
    """Used by Outer."""

    x: u8 = 0
    y: u64 = 0


class Single(CStruct):
    """An array of one."""

    only: Annotated[tuple[int, ...], u32, 1] = (0,)


class Outer(CStruct):
    """Nested twice."""

    head: Head = zeroed(Head)
    tail: u16 = 0


def test_layout_follows_c() -> None:
    assert offsets(Mixed) == {
        "a": 0,
        "b": 4,
        "words": 8,
        "name": 14,
        "when": 24,
        "when.tv_sec": 24,
        "when.tv_nsec": 32,
        "last": 40,
    }
    assert (Mixed.SIZE, Mixed.ALIGN) == (48, 8)
    assert (Outer.SIZE, offsets(Outer)["head.y"]) == (24, 8)


def test_packed_has_no_padding() -> None:
    assert (EpollEvent.SIZE, offsets(EpollEvent)["data"]) == (12, 4)
    assert EpollEvent(1, 2).to_bytes() == struct.pack("<IQ", 1, 2)


@given(st.lists(st.sampled_from(sorted(CODES)), min_size=1, max_size=12), st.booleans())
def test_any_layout_is_that_of_ctypes(hints: list[str], packed: bool) -> None:
    names = [f"f{n}" for n in range(len(hints))]
    ns = {"__module__": __name__, "__annotations__": dict(zip(names, hints, strict=True))}
    ours = CStructMeta("Ours", (CStruct,), ns, packed=packed)
    assert issubclass(ours, CStruct)
    fields = [(n, CTYPES[CODES[h]]) for n, h in zip(names, hints, strict=True)]
    body = {"_fields_": fields} | ({"_pack_": 1} if packed else {})
    theirs = type("Theirs", (ctypes.Structure,), body)
    assert ctypes.sizeof(theirs) == ours.SIZE
    assert offsets(ours) == {n: getattr(theirs, n).offset for n in names}


def test_round_trip() -> None:
    m = Mixed(1, 2, (3, 4, 5), b"abcde", Timespec(6, -7), -8)
    data = m.to_bytes()
    assert len(data) == Mixed.SIZE
    assert Mixed.from_bytes(data) == m
    assert Mixed.from_bytes(memoryview(b"??" + data + b"more"), 2).when.tv_nsec == -7
    assert Mixed.from_bytes(data).words == (3, 4, 5)
    buffer = bytearray(Mixed.SIZE + 8)
    m.pack_into(buffer, 8)
    assert bytes(buffer[8:]) == data


def test_defaults_are_zero_unless_given() -> None:
    m = Mixed()
    assert (m.a, m.b, m.words, m.name, m.last) == (0, 7, (0, 0, 0), bytes(5), 0)
    assert m.when == Timespec(0, 0)
    assert Mixed().when is not m.when
    assert Mixed(last=3).last == 3
    assert m.total() == 7


def test_padding_is_written_as_zeros() -> None:
    dirty = b"\xff" * Mixed.SIZE
    clean = Mixed.from_bytes(dirty).to_bytes()
    assert clean[1:4] == bytes(3)
    assert clean[19:24] == bytes(5)
    assert clean[41:] == bytes(7)


def test_values_are_cut_as_c_does() -> None:
    assert Timespec(-1, 1 << 70).to_bytes() == b"\xff" * 8 + bytes(8)
    m = Mixed(a=0x1FF, b=-1, words=(-1, 0x12345, 1), last=0x80)
    assert Mixed.from_bytes(m.to_bytes()) == Mixed(0xFF, 0xFFFFFFFF, (0xFFFF, 0x2345, 1), last=-128)
    buffer = bytearray(Mixed.SIZE)
    m.pack_into(buffer)
    assert bytes(buffer) == m.to_bytes()


def test_an_array_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="words has 3 items"):
        Mixed(words=(1, 2)).to_bytes()


def test_an_array_of_one_is_an_array() -> None:
    assert Single.from_bytes(b"\x05\0\0\0").only == (5,)
    assert Single((7,)).to_bytes() == b"\x07\0\0\0"
    assert Single().only == (0,)


def test_too_few_bytes_are_refused() -> None:
    with pytest.raises(struct.error):
        Timespec.from_bytes(bytes(15))


def test_chars_are_padded_and_cut() -> None:
    name = NewUtsname(sysname=b"Linux", nodename=b"x" * 80)
    data = name.to_bytes()
    assert len(data) == 390
    assert data[:65] == b"Linux".ljust(65, b"\0")
    assert data[65:130] == b"x" * 65
    assert NewUtsname.from_bytes(data) == name


def test_structs_are_values() -> None:
    t = Itimerspec(Timespec(1, 2), Timespec(3, 4))
    assert repr(t) == (
        "Itimerspec(it_interval=Timespec(tv_sec=1, tv_nsec=2), "
        "it_value=Timespec(tv_sec=3, tv_nsec=4))"
    )
    assert t != Timespec(1, 2)
    assert t != object()
    assert copy.deepcopy(t) == t
    assert pickle.loads(pickle.dumps(t)) == t
    with pytest.raises(TypeError):
        hash(t)
    with pytest.raises(AttributeError):
        t.other = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        Timespec(tv_foo=1)  # type: ignore[call-arg]


def test_a_field_that_is_no_c_type_is_refused() -> None:
    with pytest.raises(TypeError, match="not a C type"):

        class Bad(CStruct):
            x: Annotated[str, 5] = ""


def test_siginfo_builders() -> None:
    data = signal.siginfo_chld(signal.CLD_EXITED, 42, 1000, 3, 5, 6)
    assert len(data) == signal.SIGINFO_SIZE
    assert struct.unpack_from("<iii4xiIi4xqq", data) == (17, 0, 1, 42, 1000, 3, 5, 6)
    assert len(signal.siginfo_kill(9, 0, 1, 0)) == 128
    assert struct.unpack_from("<16xQh", signal.siginfo_fault(11, 1, 0xDEAD, 4)) == (0xDEAD, 4)
    assert struct.unpack_from("<16xiiQ", signal.siginfo_timer(14, 3, 2, 1)) == (3, 2, 1)
    assert struct.unpack_from("<16xqi", signal.siginfo_poll(29, 1, 5, 7)) == (5, 7)
    assert struct.unpack_from("<16xQiI", signal.siginfo_sys(1, 2, 3, 4)) == (2, 3, 4)


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF))
def test_device_numbers(major: int, minor: int) -> None:
    dev = kdev_t.makedev(major, minor)
    assert (kdev_t.major(dev), kdev_t.minor(dev)) == (major, minor)


def test_device_numbers_of_old() -> None:
    assert kdev_t.makedev(5, 1) == 0x501
    assert kdev_t.makedev(1, 3) == 0x103


def test_fields_keep_their_types() -> None:
    value: c_int | i64 = Timespec(tv_sec=5).tv_sec
    assert value == 5
