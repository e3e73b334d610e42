# SPDX-License-Identifier: Apache-2.0
"""Where a `syscall` instruction can be patched, seen from the bytes around it."""

from __future__ import annotations

import pytest

from pygos.arch.x86.alternative_plan import find_plan
from pygos.arch.x86.insn_length import BREAK, LEAVE, NOP, OTHER, PLAIN, decode

ENDBR = bytes.fromhex("f30f1efa")
CALL = bytes.fromhex("0f05")
CMP = bytes.fromhex("483d01f0ffff")
RET = b"\xc3"
NOP4, NOP5 = bytes.fromhex("0f1f4000"), bytes.fromhex("0f1f440000")


@pytest.mark.parametrize(
    ("text", "length", "kind"),
    [
        ("90", 1, NOP),
        ("660f1f840000000000", 9, NOP),
        ("662e0f1f840000000000", 10, NOP),
        ("cc", 1, BREAK),
        ("c3", 1, LEAVE),
        ("e900000000", 5, LEAVE),
        ("eb10", 2, LEAVE),
        ("ff25aabbccdd", 6, LEAVE),
        ("0f0b", 2, LEAVE),
        ("7410", 2, OTHER),
        ("e800000000", 5, OTHER),
        ("0f05", 2, OTHER),
        ("488b0500000000", 7, OTHER),  # mov rax, [rip + ...]
        ("b8ca000000", 5, PLAIN),
        ("48b80102030405060708", 10, PLAIN),
        ("66b80100", 4, PLAIN),
        ("4080f681", 4, PLAIN),  # xor sil, 0x81
        ("f6c101", 3, PLAIN),
        ("f7d8", 2, PLAIN),
        ("c5fe6f06", 4, PLAIN),
        ("c4e37d390601", 6, PLAIN),
        ("62f17c4828c1", 6, PLAIN),
        ("64488b042528000000", 9, PLAIN),
        ("8b442448", 4, PLAIN),
    ],
)
def test_lengths_and_kinds_of_instructions(text: str, length: int, kind: int) -> None:
    code = bytes.fromhex(text)
    assert len(code) == length
    assert decode(code + b"\x90" * 16, 0) == (length, kind)
    assert decode(code[:-1], 0) is None or length == 1


def test_an_unknown_or_cut_instruction_has_no_length() -> None:
    for text in ("06", "0f", "0f0a", "62", "c4", "", "b80000", "66" * 15 + "90"):
        assert decode(bytes.fromhex(text), 0) is None


def lead(nr: int, *between: str) -> bytes:
    return ENDBR + b"\xb8" + nr.to_bytes(4, "little") + b"".join(map(bytes.fromhex, between))


def test_the_mov_before_a_call_makes_room() -> None:
    head = lead(110)
    plan = find_plan(head + CALL + RET, len(head), 0, 110)
    assert plan is not None
    assert plan.lengths == (5,)
    head = lead(202, "4080f681", "4531d2")
    plan = find_plan(head + CALL + CMP, len(head), 0, 202)
    assert plan is not None
    assert plan.lengths == (5, 4, 3)


def test_what_is_in_the_way_is_not_moved() -> None:
    for between in ("7400", "488b0500000000", "e800000000", "90"):
        head = lead(202, between)
        assert find_plan(head + CALL + RET, len(head), 0, 202) is None
    head = ENDBR + bytes.fromhex("41b800000000")  # mov r8d, 0
    assert find_plan(head + CALL + RET, len(head), 0, 0) is None
    head = lead(202)
    assert find_plan(head + CALL + RET, len(head), 0, 203) is None  # not the number that it made
    assert find_plan(head + b"\x0f\x34" + RET, len(head), 0, 202) is None


def test_padding_behind_the_function_makes_room() -> None:
    head = ENDBR + bytes.fromhex("31c0")
    code = head + CALL + CMP + RET  # 15 bytes
    plan = find_plan(code + bytes.fromhex("90") + NOP5 * 3, len(head), 0, 0)
    assert plan is None  # an aligned address is among it
    plan = find_plan(code + NOP5 + NOP4, len(head), 2, 0)
    assert plan is not None
    assert (plan.lengths, plan.pad) == ((), 9)
    assert find_plan(code + NOP4 + ENDBR, len(head), 2, 0) is None  # too small
    # int3 is nobody's first instruction.
    plan = find_plan(code + b"\xcc" * 17, len(head), 0, 0)
    assert plan is not None
    assert plan.pad == 9


def test_nops_that_are_executed_are_not_padding() -> None:
    head = ENDBR + bytes.fromhex("31c0")
    for tail in ("7700", "e800000000", "4889c3"):  # ja; call; mov rbx, rax, which ends in C3
        code = head + CALL + CMP + bytes.fromhex(tail) + NOP5 * 2 + b"\xf4"
        assert find_plan(code, len(head), 1, 0) is None


def test_padding_out_of_reach_is_not_used() -> None:
    head = bytes.fromhex("31c0")
    for fill, found in ((124, True), (127, True), (128, False)):
        code = head + CALL + b"\x50" * (fill - 1) + RET + b"\xcc" * 8
        plan = find_plan(code, len(head), 0, 0)
        assert (plan is not None) == found
        if plan is not None:
            assert plan.pad == 2 + fill
