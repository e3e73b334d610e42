# SPDX-License-Identifier: Apache-2.0
"""What an instruction that raised an exception was doing (arch/x86/lib/insn*.c).

The host tells the address of a fault but not the CPU's error code. It is found again from
the bytes of the instruction, at the time when a signal is sent and not before: imported
lazily. Only memory operands are of interest, as nothing else faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.arch.x86.regs import (
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    RAX,
    RBP,
    RBX,
    RCX,
    RDI,
    RDX,
    RIP,
    RSI,
    RSP,
)
from pygos.include.errno import EFAULT

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_MAX_INSN: Final = 15
_PAGE: Final = 4096
_LEGACY: Final = frozenset(b"\x66\x67\xf0\xf2\xf3\x2e\x36\x3e\x26\x64\x65")
#: Registers by their number in an instruction.
_BY_NUMBER: Final = (
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
)  # fmt: skip

# Opcodes that write to their memory operand. One byte, whatever the reg field says:
_STORES: Final = frozenset(
    b"\x68\x6a\x6c\x6d\x86\x87\x88\x89\x8c\x9c\xa2\xa3\xaa\xab"
    b"\xc0\xc1\xc6\xc7\xc8\xd0\xd1\xd2\xd3\xfe" + bytes(range(0x50, 0x58))
)
#: One byte, for these values of the reg field.
_STORES_BY_REG: Final = {
    0x80: (0, 1, 2, 3, 4, 5, 6), 0x81: (0, 1, 2, 3, 4, 5, 6), 0x83: (0, 1, 2, 3, 4, 5, 6),
    0xD9: (2, 3, 6, 7), 0xDB: (1, 2, 3, 7), 0xDD: (1, 2, 3, 6, 7), 0xDF: (1, 2, 3, 6, 7),
    0xF6: (2, 3), 0xF7: (2, 3), 0xFF: (0, 1),
}  # fmt: skip
#: After 0F, and in the first map of VEX and EVEX.
_STORES_0F: Final = frozenset(
    b"\x11\x13\x17\x29\x2b\x7f\xa0\xa4\xa5\xa8\xab\xac\xad\xb0\xb1\xb3\xbb\xc0\xc1\xc3\xd6\xe7"
    + bytes(range(0x90, 0xA0))
)
_STORES_0F_BY_REG: Final = {
    0x01: (0, 1, 4), 0xAE: (0, 3, 4, 6), 0xBA: (5, 6, 7), 0xC7: (1, 4, 5),
}  # fmt: skip
#: In the second and third maps.
_STORES_0F38: Final = frozenset(b"\x2e\x2f\x8e\xa0\xa1\xa2\xa3")
_STORES_0F3A: Final = frozenset(b"\x14\x15\x16\x17\x19\x1b\x1d\x39\x3b")
_MAPS: Final = {0x38: 2, 0x3A: 3}


class Insn:
    """The prefixes, the opcode and the byte behind it of one instruction."""

    __slots__ = ("imm", "map", "op", "prefixes", "reg", "rex", "rm")

    def __init__(self, code: bytes) -> None:
        code = code + bytes(_MAX_INSN + 4 - len(code))
        at = 0
        while at < _MAX_INSN and code[at] in _LEGACY:
            at += 1
        self.prefixes = code[:at]
        self.rex = code[at] if code[at] & 0xF0 == 0x40 else 0
        at += bool(self.rex)
        #: 0: one byte; 1: after 0F; 2: after 0F 38; 3: after 0F 3A.
        self.map = 0
        if code[at] in (0xC4, 0xC5, 0x62):
            at = self._vector(code, at)
        elif code[at] == 0x0F:
            self.map = _MAPS.get(code[at + 1], 1)
            at += 1 if self.map == 1 else 2
        self.op = code[at]
        self.imm = code[at + 1]
        self.reg = self.imm >> 3 & 7
        self.rm = self.imm & 7 | (self.rex & 1) << 3

    def _vector(self, code: bytes, at: int) -> int:
        """A VEX or EVEX prefix; returns where the opcode is."""
        first = code[at]
        self.map = 1 if first == 0xC5 else code[at + 1] & 3
        last = code[at + (1 if first == 0xC5 else 2)]
        self.prefixes += (b"", b"\x66", b"\xf3", b"\xf2")[last & 3]
        return at + {0xC5: 2, 0xC4: 3}.get(first, 4)


def fetch(task: Task) -> Insn | None:
    """The instruction at the program counter; None if it can't be read."""
    mm, rip = task.mm, task.regs[RIP]
    if mm is None:
        return None
    size = min(_MAX_INSN, _PAGE - rip % _PAGE)
    try:
        code = mm.read(rip, size)
    except EFAULT:
        return None
    try:
        return Insn(code + mm.read(rip + size, _MAX_INSN - size))
    except EFAULT:
        return Insn(code)


def writes(insn: Insn, regs: memoryview, addr: int) -> bool:
    """Did this instruction, which faulted at `addr`, try to write there?"""
    op, reg = insn.op, insn.reg
    if insn.map == 0:
        return _writes_one_byte(insn, regs, addr)
    if insn.map == 1:
        if op == 0x7E:
            return 0xF3 not in insn.prefixes
        return op in _STORES_0F or reg in _STORES_0F_BY_REG.get(op, ())
    if insn.map == 2:
        return op in _STORES_0F38 or (op == 0xF1 and 0xF2 not in insn.prefixes)
    return op in _STORES_0F3A


def _writes_one_byte(insn: Insn, regs: memoryview, addr: int) -> bool:
    op = insn.op
    if op < 0x38 and op & 7 < 2:  # add, or, adc, sbb, and, sub, xor; cmp only reads
        return True
    if op in (0xA4, 0xA5):
        return 0 <= addr - regs[RDI] < 8
    if op == 0xE8 or (op == 0xFF and insn.reg in (2, 3, 6)):  # to the stack
        return 0 < regs[RSP] - addr <= 16
    if op == 0x8F:  # from the stack
        return not 0 <= addr - regs[RSP] < 8
    return op in _STORES or insn.reg in _STORES_BY_REG.get(op, ())


def is_x87(insn: Insn) -> bool:
    """An instruction of the old floating point unit, or fwait."""
    return insn.map == 0 and (insn.op & 0xF8 == 0xD8 or insn.op == 0x9B)


def gp_error(insn: Insn, regs: memoryview) -> int:
    """The error code of #GP: the selector, for an interrupt or a segment that can't be."""
    if insn.map:
        return 0
    if insn.op == 0xCD:
        return insn.imm << 3 | 2
    if insn.op == 0x8E and insn.imm >> 6 == 3:
        return int(regs[_BY_NUMBER[insn.rm]]) & 0xFFFC
    return 0
