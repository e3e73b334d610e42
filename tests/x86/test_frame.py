# SPDX-License-Identifier: Apache-2.0
"""Signal frames: laid out as the C headers say, restored only as far as a program may."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from struct import pack, unpack

import pytest

from pygos.arch.x86 import signal as frame
from pygos.arch.x86.regs import (
    CS,
    EFLAGS,
    R12,
    RAX,
    RBX,
    RDI,
    RDX,
    RIP,
    RSI,
    RSP,
    SS,
)
from pygos.include.linux.platform import TrapKind
from pygos.include.linux.sched import SigAltStack, SigInfo, Task
from pygos.kernel.signal import send_sig_info
from tests.support.world import (
    DATA,
    SA_NODEFER,
    SA_SIGINFO,
    STACK_TOP,
    TestCpu,
    World,
    result,
    wait_status,
)

SIGILL, SIGUSR1, SIGSEGV, SIGALRM = 4, 10, 11, 14
SA_ONSTACK = 0x08000000
EPERM, EINVAL, ENOMEM = 1, 22, 12
#: Offsets in the frame from the address that rsp has in the handler.
UC, INFO = 8, 312
PROGRAM = """
#include <stddef.h>
#include <stdio.h>
#include <asm/sigcontext.h>
struct uc { unsigned long uc_flags; void *uc_link; struct { void *sp; int flags; size_t size; } st;
            struct sigcontext_64 mc; unsigned long mask; };
#define P(name, value) printf("%s %zu\\n", name, (size_t)(value))
int main(void) {
    P("uc", sizeof(struct uc)); P("mc", offsetof(struct uc, mc));
    P("mask", offsetof(struct uc, mask));
    P("rip", offsetof(struct sigcontext_64, ip)); P("rsp", offsetof(struct sigcontext_64, sp));
    P("flags", offsetof(struct sigcontext_64, flags)); P("cs", offsetof(struct sigcontext_64, cs));
    P("ss", offsetof(struct sigcontext_64, ss)); P("err", offsetof(struct sigcontext_64, err));
    P("trapno", offsetof(struct sigcontext_64, trapno));
    P("oldmask", offsetof(struct sigcontext_64, oldmask));
    P("cr2", offsetof(struct sigcontext_64, cr2)); P("r12", offsetof(struct sigcontext_64, r12));
    P("rbx", offsetof(struct sigcontext_64, bx)); P("rax", offsetof(struct sigcontext_64, ax));
    P("fpstate", offsetof(struct sigcontext_64, fpstate));
    P("sw", offsetof(struct _fpstate_64, sw_reserved));
    P("magic1", offsetof(struct _fpx_sw_bytes, magic1));
    P("extended", offsetof(struct _fpx_sw_bytes, extended_size));
    P("xfeatures", offsetof(struct _fpx_sw_bytes, xfeatures));
    P("xsize", offsetof(struct _fpx_sw_bytes, xstate_size));
    P("sw_size", sizeof(struct _fpx_sw_bytes));
    return 0;
}
"""


def u64(data: bytes, offset: int) -> int:
    return int(unpack("<Q", data[offset : offset + 8])[0])


@pytest.fixture(scope="module")
def offsets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    place: Path = tmp_path_factory.mktemp("frame")
    source = place / "offsets.c"
    source.write_text(PROGRAM)
    subprocess.run(["gcc", "-o", place / "offsets", source], check=True)
    text = subprocess.run([place / "offsets"], capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in (line.split() for line in text.splitlines())}


def test_every_field_is_where_the_compiler_puts_it(world: World, offsets: dict[str, int]) -> None:
    task = world.process()
    world.catch(task, SIGUSR1, SA_SIGINFO)
    task.regs[R12], task.regs[RBX], task.regs[RAX] = 12, 13, 14
    task.blocked = 1 << 39
    task.trap_nr, task.trap_err, task.trap_cr2 = 14, 6, 0xABC
    rip, rsp = task.regs[RIP], task.regs[RSP]
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    sp = task.regs[RSP]
    data = world.get(task, sp, 440)
    mc = UC + offsets["mc"]
    assert frame.UC_OFFSET == UC
    assert frame.INFO_OFFSET == UC + offsets["uc"] == INFO
    assert u64(data, 0) == 0x40_2000
    assert u64(data, UC) == 7
    values = {"rip": rip, "rsp": rsp, "r12": 12, "rbx": 13, "rax": 14, "err": 6, "trapno": 14}
    values |= {"cr2": 0xABC, "oldmask": 1 << 39, "flags": 0x202}
    assert {name: u64(data, mc + offsets[name]) for name in values} == values
    assert unpack("<H", data[mc + offsets["cs"] :][:2])[0] == 0x33
    assert unpack("<H", data[mc + offsets["ss"] :][:2])[0] == 0x2B
    assert u64(data, UC + offsets["mask"]) == 1 << 39
    assert unpack("<i", data[INFO : INFO + 4])[0] == SIGUSR1


def test_the_fpu_image_is_marked_and_aligned(world: World, offsets: dict[str, int]) -> None:
    task = world.process()
    world.catch(task, SIGUSR1)
    cpu = cpu_of(task)
    image = bytearray(cpu.fpu)
    image[160:176] = b"xmm0 has content"
    image[576:592] = b"ymm0's high half"
    image[512] = 6  # SSE and AVX in use
    cpu.fpu = bytes(image)
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    data = world.get(task, task.regs[RSP], 440)
    at = u64(data, UC + offsets["mc"] + offsets["fpstate"])
    assert at % 64 == 0
    saved = world.get(task, at, 836)
    sw = offsets["sw"]
    assert unpack("<I", saved[sw : sw + 4])[0] == 0x46505853
    assert unpack("<I", saved[sw + offsets["extended"] :][:4])[0] == 836
    assert u64(saved, sw + offsets["xfeatures"]) == 7
    assert unpack("<I", saved[sw + offsets["xsize"] :][:4])[0] == 832
    assert saved[832:] == pack("<I", 0x46505845)
    assert saved[160:176] == b"xmm0 has content"
    assert u64(saved, 512) == 7
    assert cpu.fpu[160:176] == bytes(16), "a handler starts with a fresh FPU"
    world.sigreturn(task)
    assert cpu.fpu[160:176] == b"xmm0 has content"
    assert cpu.fpu[576:592] == b"ymm0's high half"


def test_the_stack_is_as_after_a_call(world: World) -> None:
    for skew in range(16):
        task = world.process()
        world.catch(task, SIGUSR1)
        task.regs[RSP] -= skew
        before = task.regs[RSP]
        world.call(world.process(), "kill", task.pid, SIGUSR1)
        assert task.regs[RSP] % 16 == 8
        assert task.regs[RSP] + 440 <= before - 128, "the red zone is left alone"
        assert (task.regs[RSI], task.regs[RDX]) == (task.regs[RSP] + INFO, task.regs[RSP] + UC)
        assert (task.regs[RDI], task.regs[RAX]) == (SIGUSR1, 0)


def test_the_handler_gets_clean_flags(world: World) -> None:
    task = world.process()
    world.catch(task, SIGUSR1)
    task.regs[EFLAGS] = 0x202 | 0x400 | 0x100 | 0x1
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert task.regs[EFLAGS] == 0x203


# -- alternate stacks


def stack_t(sp: int, flags: int, size: int) -> bytes:
    return pack("<QIxxxxQ", sp, flags, size)


def test_sa_onstack_runs_on_the_alternate_stack(world: World) -> None:
    task = world.process()
    alt = DATA + 0x4000
    assert world.call(task, "sigaltstack", world.put(task, stack_t(alt, 0, 0x4000)), 0) == 0
    world.catch(task, SIGUSR1, SA_ONSTACK | SA_NODEFER)
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert alt < task.regs[RSP] < alt + 0x4000
    first = task.regs[RSP]
    # While on it: reported, not changeable; a second signal goes below the first.
    old = world.put(task, bytes(24), 0x100)
    assert world.call(task, "sigaltstack", 0, old) == 0
    assert world.get(task, old, 24) == stack_t(alt, 1, 0x4000)
    other = world.put(task, stack_t(DATA + 0x8000, 0, 0x4000))
    assert world.call(task, "sigaltstack", other, 0) == -EPERM
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert alt < task.regs[RSP] < first
    world.sigreturn(task)
    world.sigreturn(task)
    assert task.regs[RSP] == STACK_TOP - 0x1000


def test_an_overflowing_alternate_stack_kills(world: World) -> None:
    task = world.process(world.process())
    task.altstack = SigAltStack(DATA + 0x4000, 1024, 0)
    world.catch(task, SIGUSR1, SA_ONSTACK)
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert wait_status(task) == SIGSEGV


def test_sigaltstack_checks_its_arguments(world: World) -> None:
    task = world.process()
    assert world.call(task, "sigaltstack", world.put(task, stack_t(DATA, 0, 2047)), 0) == -ENOMEM
    assert world.call(task, "sigaltstack", world.put(task, stack_t(DATA, 8, 8192)), 0) == -EINVAL
    assert world.call(task, "sigaltstack", world.put(task, stack_t(DATA, 2, 0)), 0) == 0
    old = world.put(task, bytes(24))
    assert world.call(task, "sigaltstack", 0, old) == 0
    assert world.get(task, old, 24) == stack_t(0, 2, 0)


def test_ss_autodisarm_disarms_and_comes_back(world: World) -> None:
    task = world.process()
    alt = stack_t(DATA + 0x4000, 1 << 31, 0x4000)
    assert world.call(task, "sigaltstack", world.put(task, alt), 0) == 0
    world.catch(task, SIGUSR1, SA_ONSTACK)
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert DATA + 0x4000 < task.regs[RSP] < DATA + 0x8000
    assert task.altstack == SigAltStack()
    world.sigreturn(task)
    assert task.altstack == SigAltStack(DATA + 0x4000, 0x4000, 1 << 31)


# -- what can go wrong


def test_an_unwritable_stack_is_sigsegv(world: World) -> None:
    task = world.process(world.process())
    world.catch(task, SIGUSR1)
    task.regs[RSP] = 0x1000
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert wait_status(task) == SIGSEGV


def test_a_sigsegv_handler_on_a_good_stack_survives_a_bad_frame(world: World) -> None:
    task = world.process()
    alt = world.put(task, stack_t(DATA + 0x4000, 0, 0x4000))
    world.call(task, "sigaltstack", alt, 0)
    world.catch(task, SIGUSR1)
    world.catch(task, SIGSEGV, SA_ONSTACK | SA_SIGINFO)
    task.regs[RSP] = 0x1000
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert world.handled(task) == SIGSEGV
    assert world.siginfo(task)[1] == 0x80


def test_no_restorer_is_sigsegv(world: World) -> None:
    task = world.process(world.process())
    act = world.put(task, pack("<QQQQ", 0x500000, 0, 0, 0))
    assert world.call(task, "rt_sigaction", SIGUSR1, act, 0, 8) == 0
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert wait_status(task) == SIGSEGV


def test_sigreturn_without_a_frame_is_sigsegv(world: World) -> None:
    task = world.process(world.process())
    task.regs[RSP] = 0x1000
    world.call(task, "rt_sigreturn")
    assert wait_status(task) == SIGSEGV


def poke(task: Task, addr: int, value: bytes) -> None:
    assert task.mm is not None
    task.mm.write(addr, value)


def edit(task: Task, offset: int, value: bytes) -> None:
    """Change the ucontext of the frame that the task's handler runs on."""
    poke(task, task.regs[RSP] + UC + offset, value)


def cpu_of(task: Task) -> TestCpu:
    assert isinstance(task.cpu, TestCpu)
    return task.cpu


MC = 40
RIP_AT, FLAGS_AT, CS_AT, FP_AT, MASK_AT = MC + 128, MC + 136, MC + 144, MC + 184, 296


def in_handler(world: World) -> Task:
    task = world.process(world.process())
    world.catch(task, SIGUSR1)
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert world.handled(task) == SIGUSR1
    return task


def test_selectors_and_privileged_flags_are_not_taken_from_the_frame(world: World) -> None:
    task = in_handler(world)
    edit(task, CS_AT, pack("<HHHH", 0x23, 0, 0, 0x10))
    edit(task, FLAGS_AT, pack("<Q", 0xFFFFFFFF))
    world.sigreturn(task)
    assert (task.regs[CS], task.regs[SS]) == (0x33, 0x2B)
    assert task.regs[EFLAGS] & (0x3000 | 0x20000 | 0x4000 | 0x180000) == 0
    assert task.regs[EFLAGS] & 0x200


def test_the_mask_comes_from_the_frame_without_sigkill(world: World) -> None:
    task = in_handler(world)
    edit(task, MASK_AT, pack("<Q", (1 << 64) - 1))
    world.sigreturn(task)
    assert task.blocked == (1 << 64) - 1 & ~(1 << 8 | 1 << 18)


def test_a_non_canonical_rip_is_sigsegv(world: World) -> None:
    task = in_handler(world)
    edit(task, RIP_AT, pack("<Q", 1 << 47))
    world.sigreturn(task)
    assert wait_status(task) == SIGSEGV


def test_no_fpstate_pointer_resets_the_fpu(world: World) -> None:
    task = in_handler(world)
    edit(task, FP_AT, pack("<Q", 0))
    cpu = cpu_of(task)
    cpu.fpu = b"junk" + cpu.fpu[4:]
    world.sigreturn(task)
    assert cpu.fpu[:4] == bytes(4)


def fpstate(world: World, task: Task) -> int:
    sp = task.regs[RSP]
    return u64(world.get(task, sp + UC, 304), FP_AT)


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (24, pack("<I", 0xFFFFFFFF)),  # MXCSR with reserved bits
        (512, pack("<Q", 1 << 40)),  # a part that this CPU hasn't got
        (520, pack("<Q", 1 << 63)),  # compacted format
        (530, b"\x01"),  # reserved header bytes
    ],
)
def test_fpu_state_that_the_cpu_would_refuse_is_sigsegv(
    world: World, offset: int, value: bytes
) -> None:
    task = in_handler(world)
    poke(task, fpstate(world, task) + offset, value)
    world.sigreturn(task)
    assert wait_status(task) == SIGSEGV


@pytest.mark.parametrize(
    ("offset", "value"),
    [(464, bytes(4)), (832, bytes(4)), (480, pack("<I", 1 << 20)), (468, pack("<I", 0))],
)
def test_without_its_magics_only_the_fxsave_part_counts(
    world: World, offset: int, value: bytes
) -> None:
    task = in_handler(world)
    at = fpstate(world, task)
    poke(task, at + 160, b"xmm0 has content")
    poke(task, at + 576, b"ymm0's high half")
    poke(task, at + 512, pack("<Q", 7))
    poke(task, at + offset, value)
    world.sigreturn(task)
    image = cpu_of(task).fpu
    assert image[160:176] == b"xmm0 has content"
    assert u64(image, 512) == 3, "the AVX part is reset"


def test_an_exception_shows_its_address(world: World) -> None:
    task = world.process()
    world.catch(task, SIGILL, SA_SIGINFO)
    world.trap(task, TrapKind.EXCEPTION, signo=SIGILL, code=2, addr=0x401234)
    assert world.handled(task) == SIGILL
    assert world.siginfo(task)[1] == 2
    assert world.siginfo(task)[5] == 0x401234


def test_a_blocked_exception_kills(world: World) -> None:
    task = world.process(world.process())
    world.catch(task, SIGILL)
    task.blocked = 1 << (SIGILL - 1)
    world.trap(task, TrapKind.EXCEPTION, signo=SIGILL, code=2, addr=0x401234)
    assert wait_status(task) == SIGILL


def test_a_fault_in_the_program_is_handled_before_other_signals(world: World) -> None:
    task = world.process()
    world.catch(task, SIGSEGV, SA_SIGINFO)
    world.catch(task, SIGALRM)
    rip = task.regs[RIP]
    send_sig_info(task, SigInfo(SIGALRM), True)
    world.trap(task, TrapKind.FAULT, addr=0x123)
    # SIGSEGV's frame was written first, with the program's registers.
    assert world.handled(task) == SIGALRM
    world.sigreturn(task)
    assert world.handled(task) == SIGSEGV
    data = world.get(task, task.regs[RSP], 440)
    assert u64(data, UC + RIP_AT) == rip
    assert world.siginfo(task)[5] == 0x123


def test_rt_sigreturn_gives_back_rax(world: World) -> None:
    task = world.process()
    world.catch(task, SIGUSR1)
    task.regs[RAX] = (1 << 64) - 5
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    world.sigreturn(task)
    assert result(task) == -5
