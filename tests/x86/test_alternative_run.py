# SPDX-License-Identifier: Apache-2.0
"""Patched code on the real CPU: the test process runs slots that lead to an entry of its own."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from struct import pack
from typing import Any

import pytest

from pygos.arch.x86.alternative import _lead_slot, _pad_slot
from pygos.arch.x86.alternative_plan import find_plan

TEXT, POOL, STUB = 0, 4096, 8192
#: endbr64; mov eax, 110; syscall; ret
GETPPID = bytes.fromhex("f30f1efa b86e000000 0f05 c3")
#: mov eax, 8; xor edx, edx; xor sil, 1; syscall (lseek of arguments (fd, offset ^ 1)); ret
LSEEK = bytes.fromhex("b808000000 31d2 4080f601 0f05 c3")
#: mov eax, edi; syscall; cmp rax, -4095; jae +1; ret; or rax, -1; ret; padding
ANY = bytes.fromhex("89f8 0f05 483d01f0ffff 7301 c3 4883c8ff c3 0f1f440000 6690")


def entry(counter: int) -> bytes:
    """Counts (at `counter` from its start), makes the call, goes on where rcx says.

    lock inc [...]; movq xmm15, rcx; syscall; movq rcx, xmm15; jmp rcx
    """
    return (
        b"\xf0\xff\x05" + pack("<i", counter - 7)
        + bytes.fromhex("66 4c 0f 6e f9 0f05 66 4c 0f 7e f9 ffe1")
    )  # fmt: skip


class Text:
    """A page of text, one pool, one page with the entry, all in this process."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(
            -1, 4 * 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        )
        self.view = ctypes.c_char.from_buffer(self.memory)
        self.base = ctypes.addressof(self.view)
        self.memory[STUB : STUB + 32] = entry(64).ljust(32, b"\xcc")
        self.memory[POOL : POOL + 8] = pack("<Q", self.base + STUB)

    def put(self, at: int, code: bytes) -> Any:
        self.memory[at : at + len(code)] = code
        function = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_long, ctypes.c_long, ctypes.c_long)
        return function(self.base + at)

    def patch(self, at: int, code: bytes, nr: int, slot: int) -> int:
        """Patch the first `syscall` in the code at `at`; the plan's padding (0: lead)."""
        site = code.index(b"\x0f\x05")
        plan = find_plan(code, site, at & 15, nr)
        assert plan is not None
        lead = sum(plan.lengths)
        base = self.base
        if lead:
            made = _lead_slot(base + slot, base + at + site, code[site - lead : site], plan.lengths)
        else:
            made = _pad_slot(base + slot, base + at + site, base + at + site + plan.pad)
        self.memory[slot : slot + len(made[0])] = made[0]
        for where, new in made[2]:
            self.memory[where - base : where - base + len(new)] = new
        return plan.pad

    @property
    def entered(self) -> int:
        return int.from_bytes(self.memory[STUB + 64 : STUB + 68], "little")


@pytest.fixture
def text() -> Iterator[Text]:
    text = Text()
    yield text
    del text.view
    text.memory.close()


def test_a_call_with_its_number_before_it(text: Text) -> None:
    function = text.put(TEXT, GETPPID)
    assert function(0, 0, 0) == os.getppid()
    assert text.patch(TEXT, GETPPID, 110, POOL + 16) == 0
    assert text.entered == 0
    assert function(0, 0, 0) == os.getppid()
    assert text.entered == 1
    # Who jumps to the `syscall` itself makes a call as before.
    jump = text.put(TEXT + 0x40, b"\xb8\x6e\0\0\0\xe9" + pack("<i", TEXT + 9 - (TEXT + 0x4A)))
    assert jump(0, 0, 0) == os.getppid()
    assert text.entered == 1


def test_instructions_between_number_and_call(text: Text) -> None:
    function = text.put(TEXT, LSEEK)
    with open("/proc/self/exe", "rb") as file:
        assert function(file.fileno(), 100, 0) == 101
        assert text.patch(TEXT, LSEEK, 8, POOL + 16) == 0
        assert function(file.fileno(), 200, 0) == 201
    assert text.entered == 1
    assert function(-1, 0, 0) == -9


def test_a_call_that_jumps_by_way_of_padding(text: Text) -> None:
    function = text.put(TEXT + 2, ANY)
    assert function(110, 0, 0) == os.getppid()
    assert text.patch(TEXT + 2, ANY, 110, POOL + 16) == len(ANY) - 7 - 2
    assert function(110, 0, 0) == os.getppid()
    assert function(33, -1, 0) == -1  # dup2(33, -1) fails: the branch behind it is taken
    assert text.entered == 2


def test_both_in_one_page(text: Text) -> None:
    first = text.put(TEXT, GETPPID)
    second = text.put(TEXT + 0x42, ANY)
    text.patch(TEXT, GETPPID, 110, POOL + 16)
    text.patch(TEXT + 0x42, ANY, 110, POOL + 64)
    assert [first(0, 0, 0), second(110, 0, 0)] == [os.getppid()] * 2
    assert text.entered == 2
