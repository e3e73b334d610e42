# SPDX-License-Identifier: Apache-2.0
"""Classic BPF: checking programs, running them, and turning them into Python.

A program is a tuple of instructions ``(code, jt, jf, k)``. It computes with two 32-bit
registers, A and X, and 16 words of memory; jumps only go forward, so it always ends; the
value it returns is a u32. Input words are read at absolute offsets.

``run`` interprets, and is what a program means. ``translate`` writes a Python function that
does the same some ten times faster. Only what has passed ``check`` may be given to either.
"""

from __future__ import annotations

from struct import iter_unpack
from typing import TYPE_CHECKING, Final, TypeAlias

from pygos.include.uapi.filter import (
    BPF_A,
    BPF_ABS,
    BPF_ADD,
    BPF_ALU,
    BPF_AND,
    BPF_DIV,
    BPF_IMM,
    BPF_JA,
    BPF_JEQ,
    BPF_JGE,
    BPF_JGT,
    BPF_JMP,
    BPF_JSET,
    BPF_K,
    BPF_LD,
    BPF_LDX,
    BPF_LEN,
    BPF_LSH,
    BPF_MAXINSNS,
    BPF_MEM,
    BPF_MEMWORDS,
    BPF_MISC,
    BPF_MUL,
    BPF_NEG,
    BPF_OR,
    BPF_RET,
    BPF_RSH,
    BPF_ST,
    BPF_STX,
    BPF_SUB,
    BPF_TAX,
    BPF_TXA,
    BPF_W,
    BPF_X,
    BPF_XOR,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Insn: TypeAlias = tuple[int, int, int, int]
Program: TypeAlias = tuple[Insn, ...]

_M32: Final = 0xFFFF_FFFF
RET_K: Final = BPF_RET | BPF_K
RET_A: Final = BPF_RET | BPF_A
LD_ABS: Final = BPF_LD | BPF_W | BPF_ABS
LD_LEN: Final = BPF_LD | BPF_W | BPF_LEN
LDX_LEN: Final = BPF_LDX | BPF_W | BPF_LEN
_LD_IMM: Final = BPF_LD | BPF_IMM
_LDX_IMM: Final = BPF_LDX | BPF_IMM
_LD_MEM: Final = BPF_LD | BPF_MEM
_LDX_MEM: Final = BPF_LDX | BPF_MEM
_TAX: Final = BPF_MISC | BPF_TAX
_TXA: Final = BPF_MISC | BPF_TXA
_NEG: Final = BPF_ALU | BPF_NEG
_JA: Final = BPF_JMP | BPF_JA
_DIV_K: Final = BPF_ALU | BPF_DIV | BPF_K
_DIV_X: Final = BPF_ALU | BPF_DIV | BPF_X
_SHIFTS_K: Final = (BPF_ALU | BPF_LSH | BPF_K, BPF_ALU | BPF_RSH | BPF_K)
_MEMORY: Final = (_LD_MEM, _LDX_MEM, BPF_ST, BPF_STX)

#: A = A op {operand}, as Python; results are cut to 32 bits where they can grow.
_ALU: Final = {
    BPF_ADD: "(A + {0}) & 0xFFFFFFFF",
    BPF_SUB: "(A - {0}) & 0xFFFFFFFF",
    BPF_MUL: "(A * {0}) & 0xFFFFFFFF",
    BPF_DIV: "A // {0}",
    BPF_OR: "A | {0}",
    BPF_AND: "A & {0}",
    BPF_XOR: "A ^ {0}",
    BPF_LSH: "(A << ({0} & 31)) & 0xFFFFFFFF",
    BPF_RSH: "A >> ({0} & 31)",
}
_CONDITIONS: Final = {
    BPF_JEQ: ("A == {0}", "A != {0}"),
    BPF_JGT: ("A > {0}", "A <= {0}"),
    BPF_JGE: ("A >= {0}", "A < {0}"),
    BPF_JSET: ("A & {0}", "not A & {0}"),
}
_OPERANDS: Final = (BPF_K, BPF_X)
_ALU_CODES: Final = {BPF_ALU | op | src: op for op in _ALU for src in _OPERANDS}
JUMP_CODES: Final = {BPF_JMP | op | src: op for op in _CONDITIONS for src in _OPERANDS}
#: Everything that a program may consist of here.
_CODES: Final = frozenset(
    (*_ALU_CODES, *JUMP_CODES, *_MEMORY, RET_K, RET_A, LD_ABS, LD_LEN, LDX_LEN, _LD_IMM, _LDX_IMM,
     _TAX, _TXA, _NEG, _JA)
)  # fmt: skip
_INLINE: Final = (RET_K, RET_A)


def parse(data: bytes) -> Program:
    """The instructions of an array of struct sock_filter."""
    return tuple(iter_unpack("<HBBI", data))


def check(program: Program, size: int) -> bool:
    """May this be run on `size` bytes of input? sk_chk_filter()'s rules, and seccomp's.

    Every jump stays inside, the last instruction returns, constant divisors aren't 0 and
    shifts below 32, words of memory are written on every path before they are read, and
    input is only read as aligned words.
    """
    length = len(program)
    if not 0 < length <= BPF_MAXINSNS or program[-1][0] not in _INLINE:
        return False
    for at, insn in enumerate(program):
        if insn[0] not in _CODES or not _check_insn(insn, length - at - 1, size):
            return False
    return _check_memory(program)


def _check_insn(insn: Insn, behind: int, size: int) -> bool:
    """One instruction; `behind` is how many follow it."""
    code, jt, jf, k = insn
    if code in JUMP_CODES:
        return jt < behind and jf < behind
    if code == _JA:
        return k < behind
    if code == LD_ABS:
        return k < size and not k & 3
    if code in _MEMORY:
        return k < BPF_MEMWORDS
    if code == _DIV_K:
        return k != 0
    if code in _SHIFTS_K:
        return k < 32
    return True


def _check_memory(program: Program) -> bool:
    """No word of memory is read that a path leading there hasn't written."""
    everything = (1 << BPF_MEMWORDS) - 1
    masks = [everything] * len(program)
    valid = 0
    for at, (code, jt, jf, k) in enumerate(program):
        valid &= masks[at]
        if code in (BPF_ST, BPF_STX):
            valid |= 1 << k
        elif code in (_LD_MEM, _LDX_MEM):
            if not valid >> k & 1:
                return False
        elif code == _JA:
            masks[at + 1 + k] &= valid
            valid = everything
        elif code in JUMP_CODES:
            masks[at + 1 + jt] &= valid
            masks[at + 1 + jf] &= valid
            valid = everything
    return True


# -- the meaning of a program


def run(program: Program, load: Callable[[int], int], size: int) -> int:
    """Interpret a checked program. `load` gives the u32 at an offset; `size`: input's bytes."""
    A = X = 0
    memory = [0] * BPF_MEMWORDS
    at = 0
    while True:
        code, jt, jf, k = program[at]
        at += 1
        kind = code & 7
        if kind == BPF_JMP:
            if code == _JA:
                at += k
            else:
                at += jt if _holds(code & 0xF0, A, X if code & BPF_X else k) else jf
        elif kind == BPF_RET:
            return A if code == RET_A else k
        elif kind == BPF_ALU:
            if code == _DIV_X and not X:
                return 0
            A = _compute(code & 0xF0, A, X if code & BPF_X else k)
        elif kind == BPF_ST:
            memory[k] = A
        elif kind == BPF_STX:
            memory[k] = X
        elif kind == BPF_MISC:
            A, X = (A, A) if code == _TAX else (X, X)
        else:
            value = _loaded(code, k, load, memory, size)
            if kind == BPF_LD:
                A = value
            else:
                X = value


def _loaded(code: int, k: int, load: Callable[[int], int], memory: list[int], size: int) -> int:
    mode = code & 0xE0
    if mode == BPF_ABS:
        return load(k)
    if mode == BPF_MEM:
        return memory[k]
    return size if mode == BPF_LEN else k


def _holds(op: int, a: int, b: int) -> bool:
    if op == BPF_JEQ:
        return a == b
    if op == BPF_JGT:
        return a > b
    if op == BPF_JGE:
        return a >= b
    return a & b != 0


def _compute(op: int, a: int, b: int) -> int:
    if op == BPF_ADD:
        return (a + b) & _M32
    if op == BPF_SUB:
        return (a - b) & _M32
    if op == BPF_MUL:
        return (a * b) & _M32
    if op == BPF_DIV:
        return a // b
    if op == BPF_OR:
        return a | b
    if op == BPF_AND:
        return a & b
    if op == BPF_XOR:
        return a ^ b
    if op == BPF_NEG:
        return -a & _M32
    return (a << (b & 31)) & _M32 if op == BPF_LSH else a >> (b & 31)


# -- as Python


def translate(program: Program, name: str, params: str, loads: Mapping[int, str], size: int) -> str:
    """The text of a function ``name(params)`` that does what `program` does.

    `loads` has the expression for the word at each offset. The text has no loops. Where a
    jump leads, a block is guarded by ``if t <= N``: t is the instruction that comes next.
    Returns are copied to the places that jump to them.
    """
    targets = _targets(program)
    last = max(targets, default=0)
    lines = [f"def {name}({params}):", "    A = X = t = 0"]
    indent = "    "
    furthest = 0  # the furthest target of a jump so far
    dead = False
    for at, insn in enumerate(program):
        if at in targets:
            dead = False
            guarded = furthest > at
            indent = "        " if guarded else "    "
            if guarded:
                lines.append(f"    if t <= {at}:")
        if dead:
            continue
        text, reach, dead = _statement(program, at, insn, loads, size)
        lines += [indent + line for line in text]
        furthest = max(furthest, reach)
        if reach > at + 1 and not dead and at + 1 not in targets:
            # What follows is only for those who did not jump.
            indent = "        "
            lines.append(f"    if t <= {at + 1}:")
    assert last < len(program)
    return "\n".join(lines) + "\n"


def _targets(program: Program) -> set[int]:
    """Where jumps lead, but for returns, which are copied."""
    found = set()
    for at, (code, jt, jf, k) in enumerate(program):
        if code == _JA:
            found.add(at + 1 + k)
        elif code in JUMP_CODES:
            found.update((at + 1 + jt, at + 1 + jf))
    return {at for at in found if program[at][0] not in _INLINE}


def _statement(
    program: Program, at: int, insn: Insn, loads: Mapping[int, str], size: int
) -> tuple[list[str], int, bool]:
    """The lines of one instruction, how far it may jump (or 0), and whether all paths leave."""
    code, _, _, k = insn
    if code in JUMP_CODES:
        return _jump(program, at, insn)
    if code == _JA:
        lines, reach = _goto(program, at, at + 1 + k)
        return lines or ["pass"], reach, True
    if code in _INLINE:
        return [f"return {'A' if code == RET_A else k}"], 0, True
    return _straight(code, k, loads, size), 0, False


def _straight(code: int, k: int, loads: Mapping[int, str], size: int) -> list[str]:
    """An instruction that goes on to the next one."""
    if code in _ALU_CODES:
        operand = "X" if code & BPF_X else str(k)
        zero = ["if not X: return 0"] if code == _DIV_X else []
        return [*zero, f"A = {_ALU[_ALU_CODES[code]].format(operand)}"]
    if code == _NEG:
        return ["A = -A & 0xFFFFFFFF"]
    if code in (_TAX, _TXA):
        return ["X = A" if code == _TAX else "A = X"]
    if code in (BPF_ST, BPF_STX):
        return [f"m{k} = {'A' if code == BPF_ST else 'X'}"]
    mode = code & 0xE0
    values = {BPF_ABS: loads.get(k, ""), BPF_MEM: f"m{k}", BPF_LEN: str(size)}
    return [f"{'A' if code & 7 == BPF_LD else 'X'} = {values.get(mode, str(k))}"]


def _jump(program: Program, at: int, insn: Insn) -> tuple[list[str], int, bool]:
    code, jt, jf, k = insn
    yes, no = _CONDITIONS[JUMP_CODES[code]]
    operand = "X" if code & BPF_X else str(k)
    then, reach = _goto(program, at, at + 1 + jt)
    other, reach_other = _goto(program, at, at + 1 + jf)
    if not then:
        then, other, yes = other, then, no
    if not then:
        return ["pass"], 0, False
    lines = [f"if {yes.format(operand)}: {then[0]}"]
    if other:
        lines.append(f"else: {other[0]}")
    return lines, max(reach, reach_other), bool(other)


def _goto(program: Program, at: int, target: int) -> tuple[list[str], int]:
    """A jump: nothing if it leads to the next instruction, a copy of a return, or t."""
    code, _, _, k = program[target]
    if code in _INLINE:
        return [f"return {'A' if code == RET_A else k}"], 0
    if target == at + 1:
        return [], 0
    return [f"t = {target}"], target


def converted_length(program: Program) -> int:
    """How many instructions Linux makes of it, which is what its limits count.

    Linux runs the program as one of its newer kind: three instructions of set-up; two for
    a returned constant, for jumps that go two ways, for comparing with a large constant; and
    a division by X looks for zero.
    """
    count = 3
    for code, jt, jf, k in program:
        count += 1
        if code in JUMP_CODES:
            # Constants above 2**31 don't fit a signed immediate.
            count += not code & BPF_X and k >> 31
            count += not (jf == 0 or (jt == 0 and code & 0xF0 != BPF_JSET))
        elif code == RET_K:
            count += 1
        elif code == _DIV_X:
            count += 4
    return count
