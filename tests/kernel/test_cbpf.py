# SPDX-License-Identifier: Apache-2.0
"""Classic BPF: what is accepted, and that translated programs do what interpreted ones do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygos.lib import cbpf

SIZE = 64
LOADS = {offset: f"words[{offset // 4}]" for offset in range(0, SIZE, 4)}
EDGES = st.sampled_from((0, 1, 2, 31, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF))
U32 = EDGES | st.integers(0, 0xFFFFFFFF)
ALU = [0x04 | op | src for op in range(0, 0x80, 0x10) for src in (0, 8)] + [0xA4, 0xAC]
JUMPS = [0x05 | op | src for op in (0x10, 0x20, 0x30, 0x40) for src in (0, 8)]


@st.composite
def programs(draw: st.DrawFn) -> cbpf.Program:
    """Programs that pass the check: random instructions, jumps to anywhere ahead."""
    length = draw(st.integers(1, 30))
    program: list[cbpf.Insn] = [(0x00, 0, 0, draw(U32)), (0x02, 0, 0, 0), (0x03, 0, 0, 1)]
    for left in range(length, 0, -1):
        kind = draw(st.integers(0, 7))
        k = draw(U32)
        if kind == 0 and left > 1:
            program.append((0x05, 0, 0, draw(st.integers(0, left - 1))))
        elif kind < 4:
            ahead = st.integers(0, left - 1)
            program.append((draw(st.sampled_from(JUMPS)), draw(ahead), draw(ahead), k))
        elif kind == 4:
            code = draw(st.sampled_from(ALU))
            k = k % 32 if code in (0x64, 0x74) else k or 1
            program.append((code, 0, 0, k))
        elif kind == 5:
            program.append((0x20, 0, 0, draw(st.integers(0, SIZE // 4 - 1)) * 4))
        elif kind == 6:
            code = draw(st.sampled_from((0x60, 0x61, 0x02, 0x03)))
            program.append((code, 0, 0, draw(st.integers(0, 1))))
        else:
            code = draw(st.sampled_from((0x07, 0x87, 0x06, 0x16, 0x80, 0x81, 0x00, 0x01, 0x84)))
            program.append((code, 0, 0, k))
    program.append((0x16, 0, 0, 0))
    return tuple(program)


def translated(program: cbpf.Program, words: list[int]) -> int:
    scope: dict[str, object] = {}
    exec(cbpf.translate(program, "f", "words", LOADS, SIZE), scope)
    return scope["f"](words)  # type: ignore[operator,no-any-return]


@settings(max_examples=400, deadline=None)
@given(programs(), st.lists(U32, min_size=16, max_size=16))
def test_translated_programs_mean_the_same(program: cbpf.Program, words: list[int]) -> None:
    assert cbpf.check(program, SIZE)
    expected = cbpf.run(program, lambda offset: words[offset // 4], SIZE)
    assert translated(program, words) == expected
    assert 0 <= expected <= 0xFFFFFFFF


RET = (0x06, 0, 0, 0)
REFUSED = {
    "empty": (),
    "no return at the end": ((0x00, 0, 0, 0),),
    "unknown code": ((0xFF, 0, 0, 0), RET),
    "jump behind the end": ((0x05, 0, 0, 1), RET),
    "endless jump": ((0x05, 0, 0, 0xFFFFFFFF), RET),
    "branch behind the end": ((0x15, 0, 1, 0), RET),
    "division by zero": ((0x34, 0, 0, 0), RET),
    "long shift": ((0x64, 0, 0, 32), RET),
    "memory that isn't there": ((0x02, 0, 0, 16), RET),
    "memory never written": ((0x60, 0, 0, 0), RET),
    "memory written on one path": (
        (0x15, 1, 0, 0), (0x02, 0, 0, 3), (0x60, 0, 0, 3), RET,
    ),
    "odd offset": ((0x20, 0, 0, 2), RET),
    "offset behind the data": ((0x20, 0, 0, 64), RET),
    "a byte": ((0x30, 0, 0, 0), RET),
    "an index": ((0x40, 0, 0, 0), RET),
    "modulo": ((0x94, 0, 0, 3), RET),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_bad_programs_are_refused(name: str) -> None:
    assert not cbpf.check(REFUSED[name], SIZE)


def test_the_longest_program() -> None:
    program = ((0x07, 0, 0, 0),) * 4095 + (RET,)
    assert cbpf.check(program, SIZE)
    assert not cbpf.check(((0x07, 0, 0, 0), *program), SIZE)
    assert translated(program, [0] * 16) == 0


def test_division_by_a_zero_register_returns_zero() -> None:
    program = ((0x00, 0, 0, 7), (0x01, 0, 0, 0), (0x3C, 0, 0, 0), (0x06, 0, 0, 9))
    assert cbpf.run(program, lambda offset: 0, SIZE) == 0
    assert translated(program, [0] * 16) == 0
