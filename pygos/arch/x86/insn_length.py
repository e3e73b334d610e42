# SPDX-License-Identifier: Apache-2.0
"""Where 64-bit instructions end, and whether they may be moved (arch/x86/lib/insn.c).

Used to find room beside a `syscall` instruction (alternative_plan.py), never on a path that is
walked often. What isn't in the tables ends the search: nothing is guessed.
"""

from __future__ import annotations

from typing import Final

#: Kinds of instructions. PLAIN ones do the same anywhere; OTHER ones depend on where they are.
PLAIN, NOP, BREAK, LEAVE, OTHER = range(5)

# Operands by opcode: "." none, "m" ModRM, "b" 8 bits, "w" 16, "z" 32 (16 with 66), "v" 32 or 64,
# "o" 64, "e" 24, "j" and "J" a distance of 8 or 32 bits; "B" and "Z": ModRM and b or z; "G", "H":
# the groups where only `test` has b or z; "p" prefix, "r" REX, "x" 0F, "c" VEX or EVEX, "!" none.
_ONE: Final = (
    "mmmmbz!!mmmmbz!x" "mmmmbz!!mmmmbz!!" "mmmmbzp!mmmmbzp!" "mmmmbzp!mmmmbzp!"
    "rrrrrrrrrrrrrrrr" "................" "!!cmppppzZbB...." "jjjjjjjjjjjjjjjj"
    "BZ!Bmmmmmmmmmmmm" "..........!....." "oooo....bz......" "bbbbbbbbvvvvvvvv"
    "BBw.ccBZe.w..b!." "mmmm!!!.mmmmmmmm" "jjjjbbbbJJ!j...." "p.pp..GH......mm"
)  # fmt: skip
_TWO: Final = (
    "mmmm!.....!.!m.!" "mmmmmmmmmmmmmmmm" "mmmm!!!!mmmmmmmm" "......!.8!3!!!!!"
    "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "BBBBmmm.mm!!mmmm"
    "JJJJJJJJJJJJJJJJ" "mmmmmmmmmmmmmmmm" "...mBm!!...mBmmm" "mmmmmmmmmmBmmmmm"
    "mmBmBBBm........" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm"
)  # fmt: skip
#: 0F 38 and 0F 3A, and what VEX and EVEX call maps 2 and 3.
_MAPS: Final = {"8": "m", "3": "B"}
_VECTOR_MAPS: Final = {1: "", 2: "m", 3: "B"}
_SIZES: Final = {
    ".": 0, "m": 0, "b": 1, "w": 2, "e": 3, "o": 8, "j": 1, "J": 4, "B": 1, "Z": 4, "z": 4, "v": 4,
}  # fmt: skip
_MAX: Final = 15


def decode(code: bytes, at: int) -> tuple[int, int] | None:
    """Length and kind of the instruction at code[at:]; None if it isn't known or not whole."""
    try:
        length, kind = _decode(code, at)
    except IndexError:
        return None
    return (length, kind) if 0 < length <= _MAX and at + length <= len(code) else None


def _decode(code: bytes, start: int) -> tuple[int, int]:
    at = start
    short = False
    while _ONE[code[at]] == "p":
        short = short or code[at] == 0x66
        at += 1
    rex = 0
    if _ONE[code[at]] == "r":
        rex = code[at]
        at += 1
    op = code[at]
    operands = _ONE[op]
    escape = operands == "x"
    if escape:
        at += 1
        op = code[at]
        operands = _TWO[op]
        if operands in _MAPS:
            at += 1
            operands, op = _MAPS[operands], -1
    elif operands == "c":
        at, operands = _vector(code, at)
        op = -1
    if operands in "!xcpr":
        return 0, OTHER
    at += 1
    modrm = -1
    if operands in "mBZGH":
        modrm = code[at]
        at = _past_modrm(code, at)
    return at + _immediate(operands, op, modrm, short, rex) - start, _kind(
        op, escape, operands, modrm, rex
    )


def _vector(code: bytes, at: int) -> tuple[int, str]:
    """Where the opcode behind a VEX or EVEX prefix is, and its operands."""
    if code[at] == 0xC5:
        number, at = 1, at + 2
    else:
        number = code[at + 1] & (0x1F if code[at] == 0xC4 else 7)
        at += 3 if code[at] == 0xC4 else 4
    operands = _VECTOR_MAPS.get(number, "!")
    return at, operands or _TWO[code[at]]


def _past_modrm(code: bytes, at: int) -> int:
    modrm = code[at]
    mode, rm = modrm >> 6, modrm & 7
    at += 1
    if mode == 3:
        return at
    base = rm
    if rm == 4:
        base = code[at] & 7
        at += 1
    if mode == 0:
        return at + 4 if base == 5 else at
    return at + (1 if mode == 1 else 4)


def _immediate(operands: str, op: int, modrm: int, short: bool, rex: int) -> int:
    """Bytes behind opcode and ModRM."""
    if operands in "GH":
        if modrm >> 3 & 7 > 1:
            return 0
        operands = "B" if operands == "G" else "Z"
    if operands == "v" and rex & 8:
        return 8
    if short and operands in "zZv":
        return 2
    return _SIZES[operands]


def _kind(op: int, escape: bool, operands: str, modrm: int, rex: int) -> int:
    relative = modrm >= 0 and modrm & 0xC7 == 5
    if escape:
        if op == 0x1F:
            return NOP
        if op == 0x0B:
            return LEAVE  # ud2
        return OTHER if relative or operands == "J" or op < 0x10 else PLAIN
    if op == 0x90 and not rex & 1:
        return NOP
    if op == 0xCC:
        return BREAK
    if op in (0xC2, 0xC3, 0xE9, 0xEB, 0xF4) or (op == 0xFF and modrm >> 3 & 7 in (4, 5)):
        return LEAVE
    if relative or operands in "jJ" or op in (0xFF, 0xCD, 0xF1, 0xCA, 0xCB, 0xCF):
        return OTHER
    if op == 0xC7 and modrm == 0xF8:
        return OTHER  # xbegin
    return PLAIN
