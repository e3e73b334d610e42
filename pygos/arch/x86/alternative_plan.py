# SPDX-License-Identifier: Apache-2.0
"""How a `syscall` instruction can be made to jump, seen from the bytes around it.

A jump takes five bytes, `syscall` two. There are two ways to find room without changing what
any other jump into the code meets (Documentation/patching.rst):

* LEAD: shortly before it stands ``mov eax, nr``, which has five bytes. It becomes a jump to a
  slot with the mov and the instructions up to the `syscall`; all of these stay where they
  are, for whoever jumps to them.
* PAD: behind the end of some function nearby lie five bytes that are never executed. The
  `syscall` becomes a short jump there, and the padding the long one.

Everything here is a pure function of the bytes: no addresses, no memory.
"""

from __future__ import annotations

from typing import Final

from pygos.arch.x86.insn_length import BREAK, LEAVE, NOP, PLAIN, decode

#: Bytes looked at before and after a `syscall`.
LOOK_BACK: Final = 25
LOOK_AHEAD: Final = 2 + 127 + 15
SYSCALL: Final = b"\x0f\x05"
_MOV_EAX: Final = 0xB8
_JUMP: Final = 5
#: Before B8: part of the same instruction, which is then another one.
_PREFIXES: Final = frozenset((0x41, 0x43, 0x45, 0x47, 0x66))
#: The short jump reaches this far from its end.
_REACH: Final = 127
_ALIGN: Final = 16


class Plan:
    """What to do: `lengths` of the instructions to copy, or the distance of the padding.

    LEAD: the first instruction is sum(lengths) bytes before the `syscall`; pad is 0.
    PAD: lengths is empty; the padding is `pad` bytes behind the start of the `syscall`.
    """

    __slots__ = ("lengths", "pad")

    def __init__(self, lengths: tuple[int, ...], pad: int) -> None:
        self.lengths = lengths
        self.pad = pad


def find_plan(code: bytes, at: int, phase: int, nr: int) -> Plan | None:
    """How to patch the `syscall` at code[at:], which just made call number `nr`.

    `phase` is the address of code[0] modulo 16. None: it can't be done.
    """
    if code[at : at + 2] != SYSCALL:
        return None
    lengths = _lead(code, at, nr)
    if lengths:
        return Plan(lengths, 0)
    pad = _padding(code, at + 2, phase)
    return Plan((), pad - at) if pad else None


def _lead(code: bytes, at: int, nr: int) -> tuple[int, ...]:
    """The instructions from ``mov eax, nr`` up to `at`; empty: there is no such thing."""
    mov = bytes((_MOV_EAX,)) + nr.to_bytes(4, "little")
    start = at - _JUMP
    while start >= 0:
        if code.startswith(mov, start) and not (start and code[start - 1] in _PREFIXES):
            lengths = _straight(code, start, at)
            if lengths:
                return lengths
        start -= 1
    return ()


def _straight(code: bytes, start: int, end: int) -> tuple[int, ...]:
    """Lengths of the movable instructions that fill code[start:end] exactly, or empty."""
    lengths = []
    while start < end:
        found = decode(code, start)
        if found is None or found[1] != PLAIN:
            return ()
        lengths.append(found[0])
        start += found[0]
    return tuple(lengths) if start == end else ()


def _padding(code: bytes, at: int, phase: int) -> int:
    """The first five bytes behind `at` that nothing executes; 0: none in reach.

    Instructions are followed one by one. Fillers behind one that never goes on to the next are
    not reached from above; nobody jumps to them if no aligned address is among them, where a
    function might begin.
    """
    limit = at + _REACH
    left = False
    while at <= limit:
        found = decode(code, at)
        if found is None:
            return 0
        length, kind = found
        if left and kind in (NOP, BREAK):
            run = _run(code, at, kind)
            if run >= _JUMP and (kind == BREAK or _unaligned(at + phase)):
                return at
            length = run
        else:
            left = kind == LEAVE
        at += length
    return 0


def _run(code: bytes, at: int, kind: int) -> int:
    """Bytes of fillers of one kind from `at` on."""
    start = at
    while (found := decode(code, at)) is not None and found[1] == kind:
        at += found[0]
    return at - start


def _unaligned(address: int) -> bool:
    """Do five bytes fit between two multiples of 16?"""
    return 0 < address % _ALIGN <= _ALIGN - _JUMP
