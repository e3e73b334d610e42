# SPDX-License-Identifier: Apache-2.0
"""The seccomp filter of the stubs, as classic BPF.

Every stub has the filter and none can drop it. Calls from anywhere but the stub's code page are
the guest's: they trap (um-systrap) or, where ptrace should have stopped them before, kill.

From the stub's page a call is made if it is one of a few. Those that could do harm are of no
use to guest code, which may jump to the stub's `syscall` instructions with any registers:

* mmap maps nothing but descriptor 3, and guest threads have no descriptors;
* mprotect, munmap, clone, and what only a thread that is being made does, need *the pass* in
  their sixth argument: a random number that registers of stubs hold while they run no guest code,
  never memory that a guest can read, nor the filter's text, whose page is mapped nowhere after it
  was installed;
* futex only waits or wakes, without a time limit, at addresses of thread areas;
* the rest changes nothing but the calling thread's own state.

Documentation/platforms.rst has the argument in full.
"""

from __future__ import annotations

import struct
from typing import Final

from pygos.host.layout import STUB_AREAS, STUB_CODE

CLONE_FORK: Final = 0x8011  # CLONE_PARENT | SIGCHLD
CLONE_THREAD: Final = 0x8511  # + CLONE_VM | CLONE_FILES
#: CLONE_PARENT | CLONE_VM | CLONE_UNTRACED | CLONE_CHILD_CLEARTID | SIGCHLD
CLONE_GUEST: Final = 0xA0_8111
RAM_FD: Final = 3

RET_ALLOW: Final = 0x7FFF_0000
RET_TRAP: Final = 0x0003_0000
RET_KILL: Final = 0x8000_0000
_ARCH_X86_64: Final = 0xC000_003E
_LD, _JEQ, _JGE, _AND, _RET = 0x20, 0x15, 0x35, 0x54, 0x06
# Offsets in struct seccomp_data.
_NR, _ARCH, _IP = 0, 4, 8
_MAP_SHARED_FIXED, _NOT_POPULATE = 0x11, 0xFFFF_7FFF
_PR_SET_PDEATHSIG, _PR_SET_TSC, _SIGKILL, _ARCH_SET_CPUID = 1, 26, 9, 0x1012


def _arg(number: int, high: bool = False) -> int:
    return 16 + 8 * number + 4 * high


class _Assembler:
    """Instructions with names for jump targets, all forward."""

    def __init__(self) -> None:
        self.code: list[tuple[int, str, str, int]] = []
        self.labels: dict[str, int] = {}

    def label(self, name: str) -> None:
        self.labels[name] = len(self.code)

    def load(self, offset: int) -> None:
        self.code.append((_LD, "", "", offset))

    def mask(self, bits: int) -> None:
        self.code.append((_AND, "", "", bits))

    def equal(self, value: int, yes: str, no: str = "") -> None:
        """Jump; an empty name is the next instruction."""
        self.code.append((_JEQ, yes, no, value))

    def at_least(self, value: int, yes: str, no: str) -> None:
        self.code.append((_JGE, yes, no, value))

    def ret(self, action: int) -> None:
        self.code.append((_RET, "", "", action))

    def program(self) -> bytes:
        """struct sock_filter of all instructions."""
        out = []
        for at, (op, yes, no, value) in enumerate(self.code):
            jumps = [self.labels[name] - at - 1 if name else 0 for name in (yes, no)]
            out.append(struct.pack("<HBBI", op, *jumps, value))
        return b"".join(out)


def stub_filter(systrap: bool, secret: int) -> bytes:
    """The program. `secret`: the pass, 64 bits. `systrap`: guest threads run without ptrace."""
    asm = _Assembler()
    asm.load(_ARCH)
    asm.equal(_ARCH_X86_64, "", "guest")
    asm.load(_IP + 4)
    asm.equal(STUB_CODE >> 32, "", "vsyscall")
    asm.load(_IP)
    asm.mask(0xFFFF_F000)
    asm.equal(STUB_CODE & 0xFFFF_FFFF, "", "guest")
    asm.load(_NR)
    if systrap:
        asm.equal(202, "futex")
        asm.equal(15, "allow")  # rt_sigreturn
        for number in (110, 131, 436):  # getppid, sigaltstack, close_range
            asm.equal(number, "pass")
    else:
        asm.equal(38, "allow")  # setitimer
    for number, name in ((9, "mmap"), (10, "pass"), (11, "pass"), (56, "clone"), (157, "prctl")):
        asm.equal(number, name)
    asm.equal(158, "arch_prctl", "guest")
    if systrap:
        _futex(asm)
    asm.label("mmap")
    asm.load(_arg(3))
    asm.mask(_NOT_POPULATE)
    asm.equal(_MAP_SHARED_FIXED, "", "guest")
    asm.load(_arg(4))
    asm.equal(RAM_FD, "allow", "guest")
    asm.label("clone")
    asm.load(_arg(0))
    asm.equal(CLONE_FORK, "pass")
    asm.equal(CLONE_GUEST if systrap else CLONE_THREAD, "pass", "guest")
    asm.label("pass")
    asm.load(_arg(5))
    asm.equal(secret & 0xFFFF_FFFF, "", "guest")
    asm.load(_arg(5, True))
    asm.equal(secret >> 32, "allow", "guest")
    _own_state(asm)
    _ends(asm, systrap)
    return asm.program()


def _futex(asm: _Assembler) -> None:
    asm.label("futex")
    asm.load(_arg(0, True))
    asm.equal(STUB_AREAS >> 32, "", "guest")
    asm.load(_arg(0))
    asm.at_least(STUB_AREAS & 0xFFFF_FFFF, "", "guest")
    asm.load(_arg(3))
    asm.equal(0, "", "guest")
    asm.load(_arg(3, True))
    asm.equal(0, "", "guest")
    asm.load(_arg(1))
    asm.equal(0, "allow")
    asm.equal(1, "allow", "guest")


def _own_state(asm: _Assembler) -> None:
    asm.label("prctl")
    asm.load(_arg(0))
    asm.equal(_PR_SET_TSC, "allow")
    asm.equal(_PR_SET_PDEATHSIG, "", "guest")
    asm.load(_arg(1))
    asm.equal(_SIGKILL, "allow", "guest")
    asm.label("arch_prctl")
    asm.load(_arg(0))
    asm.equal(_ARCH_SET_CPUID, "allow", "guest")


def _ends(asm: _Assembler, systrap: bool) -> None:
    asm.label("allow")
    asm.ret(RET_ALLOW)
    asm.label("vsyscall")  # that page cannot be unmapped
    if not systrap:
        asm.equal(0xFFFF_FFFF, "", "guest")
        asm.load(_IP)
        asm.mask(0xFFFF_F000)
        asm.equal(0xFF60_0000, "", "guest")
        asm.ret(RET_TRAP)
    asm.label("guest")
    asm.ret(RET_TRAP if systrap else RET_KILL)


def filter_page(systrap: bool, secret: int, address: int) -> bytes:
    """struct sock_fprog and the program behind it, to be mapped at `address`."""
    program = stub_filter(systrap, secret)
    return struct.pack("<QQ", len(program) // 8, address + 16) + program
