# SPDX-License-Identifier: Apache-2.0
"""What a guest does, and which trap the kernel sees."""

from __future__ import annotations

import time

import pytest

from pygos.arch.x86.regs import (
    CS,
    EFLAGS,
    FS_BASE,
    ORIG_RAX,
    R11,
    RAX,
    RBX,
    RCX,
    RDI,
    RIP,
    RSI,
    RSP,
)  # fmt: skip
from pygos.include.linux.platform import PAGE_SIZE, Access, Prot, TrapKind
from tests.um.guest import CODE, DATA, GETPID_LOOP, RW, RX, SPIN, Guest

SIGILL, SIGTRAP, SIGFPE, SIGSEGV = 4, 5, 8, 11


def test_syscall_stops_with_number_and_arguments(guest: Guest) -> None:
    cpu = guest.cpu("b827000000 bf07000000 0f05")
    assert guest.trap(cpu).kind is TrapKind.SYSCALL
    assert (cpu.regs[ORIG_RAX], cpu.regs[RDI], cpu.regs[RIP]) == (39, 7, CODE + 12)


def test_result_reaches_the_guest(guest: Guest) -> None:
    cpu = guest.cpu("0f05 4889c3 0f05")  # syscall; mov rbx,rax; syscall
    guest.trap(cpu)
    cpu.regs[RAX] = 0x1234
    guest.trap(cpu)
    assert cpu.regs[RBX] == 0x1234


def test_restart_codes_of_the_host_are_plain_results(guest: Guest) -> None:
    """A result of -512 with a signal pending must not make the host re-execute."""
    cpu = guest.cpu("0f05 4889c3 31c0 0f05")
    for code in (512, 513, 514, 516):
        cpu.regs[RIP] = CODE
        guest.trap(cpu)
        cpu.regs[RAX] = (1 << 64) - code
        import os
        import signal

        os.kill(cpu.pid, signal.SIGURG)
        guest.trap(cpu)
        assert cpu.regs[RBX] == (1 << 64) - code
        assert cpu.regs[RIP] == CODE + 9


def test_unmapped_page_faults(guest: Guest) -> None:
    cpu = guest.cpu("488b0425 00006000 0f05")  # mov rax,[DATA]; syscall
    trap = guest.trap(cpu)
    assert (trap.kind, trap.addr) == (TrapKind.FAULT, DATA)
    assert trap.access is (Access.UNKNOWN if guest.um.name == "um-ptrace" else Access.READ)
    guest.ram.mem[9 * PAGE_SIZE] = 42
    cpu.space.map(DATA, 9, 1, Prot.READ)
    assert guest.trap(cpu).kind is TrapKind.SYSCALL
    assert cpu.regs[ORIG_RAX] == 42


def test_write_to_read_only_page_is_a_write_fault(guest: Guest) -> None:
    cpu = guest.cpu("c60425 00006000 05 0f05")  # mov byte [DATA],5; syscall
    cpu.space.map(DATA, 9, 1, Prot.READ)
    trap = guest.trap(cpu)
    assert (trap.kind, trap.addr, trap.access) == (TrapKind.FAULT, DATA, Access.WRITE)
    cpu.space.protect(DATA, 1, RW)
    assert guest.trap(cpu).kind is TrapKind.SYSCALL
    assert guest.ram.mem[9 * PAGE_SIZE] == 5


@pytest.mark.parametrize("mapped", [False, True])
def test_jump_to_data_is_an_exec_fault(guest: Guest, mapped: bool) -> None:
    cpu = guest.cpu(SPIN)
    if mapped:
        cpu.space.map(DATA, 9, 1, RW)
    cpu.regs[RIP] = DATA
    trap = guest.trap(cpu)
    assert (trap.kind, trap.addr, trap.access) == (TrapKind.FAULT, DATA, Access.EXEC)


def test_unmap_takes_the_page_away(guest: Guest) -> None:
    cpu = guest.cpu("488b0425 00006000 0f05 ebf4")
    cpu.space.map(DATA, 9, 1, RW)
    assert guest.trap(cpu).kind is TrapKind.SYSCALL
    cpu.space.unmap(DATA, 1)
    assert guest.trap(cpu).kind is TrapKind.FAULT


@pytest.mark.parametrize(
    ("code", "signo", "si_code", "addr"),
    [
        ("0f0b", SIGILL, 2, CODE),  # ud2
        ("31c9 f7f1", SIGFPE, 1, CODE + 2),  # div by zero
        ("cc", SIGTRAP, 0x80, 0),  # int3
        ("f1", SIGTRAP, 1, CODE + 1),  # icebp
        ("f4", SIGSEGV, 0x80, 0),  # hlt: #GP
        ("48b8 0000000000000080 488b00", SIGSEGV, 0x80, 0),  # non-canonical load
        ("68 02030000 9d 90 90", SIGTRAP, 2, None),  # popf with TF
    ],
)
def test_cpu_exceptions(guest: Guest, code: str, signo: int, si_code: int, addr: int) -> None:
    cpu = guest.cpu(code)
    cpu.space.map(DATA, 9, 1, RW)
    cpu.regs[RSP] = DATA + 0x800
    trap = guest.trap(cpu)
    assert (trap.kind, trap.signo, trap.code) == (TrapKind.EXCEPTION, signo, si_code)
    if addr is not None:
        assert trap.addr == addr


def test_t_ent_01_int80_is_a_bad_syscall(guest: Guest) -> None:
    cpu = guest.cpu("b814000000 cd80")
    assert guest.trap(cpu).kind is TrapKind.BAD_SYSCALL


def test_t_ent_03_compat_mode_is_a_bad_syscall(guest: Guest) -> None:
    cpu = guest.cpu("b814000000 cd80")
    cpu.regs[CS] = 0x23
    assert guest.trap(cpu).kind is TrapKind.BAD_SYSCALL


def test_t_ent_02_x32_number_is_seen_whole(guest: Guest) -> None:
    cpu = guest.cpu("b827000040 0f05")
    assert guest.trap(cpu).kind is TrapKind.SYSCALL
    assert cpu.regs[ORIG_RAX] == 0x40000027


def test_t_ent_04_vsyscall_comes_as_a_syscall(guest: Guest) -> None:
    # mov rax,0xffffffffff600000; call rax; hlt
    cpu = guest.cpu("48c7c0 000060ff ffd0 f4")
    cpu.space.map(DATA, 9, 1, RW)
    cpu.regs[RSP] = DATA + 0x800
    trap = guest.trap(cpu)
    if trap.kind is TrapKind.FAULT:
        pytest.skip("this host has no vsyscall page")
    assert trap.kind is TrapKind.VSYSCALL
    assert cpu.regs[ORIG_RAX] == 96
    assert cpu.regs[RIP] == CODE + 9
    assert cpu.regs[RSP] == DATA + 0x800


def test_t_ent_06_strange_numbers_arrive_unchanged(guest: Guest) -> None:
    cpu = guest.cpu("0f05")
    for number in ((1 << 64) - 1, 0xFFFFFFFF, 1 << 63, 512, 547):
        cpu.regs[RIP] = CODE
        cpu.regs[RAX] = number
        assert guest.trap(cpu).kind is TrapKind.SYSCALL
        assert cpu.regs[ORIG_RAX] == number


@pytest.mark.parametrize("flags", [0x202, 0x302, 0x40202, 0x246])
def test_t_ent_07_syscall_with_odd_flags(guest: Guest, flags: int) -> None:
    cpu = guest.cpu("0f05 90 90 90")
    cpu.regs[EFLAGS] = flags
    trap = guest.trap(cpu)
    while trap.kind is TrapKind.EXCEPTION:
        assert trap.signo == SIGTRAP
        trap = guest.trap(cpu)
    assert trap.kind in (TrapKind.SYSCALL, TrapKind.FAULT)


def test_t_ent_07_syscall_at_the_end_of_a_page(guest: Guest) -> None:
    cpu = guest.cpu(SPIN)
    end = (guest.load("00") + 1) * PAGE_SIZE
    guest.ram.mem[end - 2 : end] = b"\x0f\x05"
    cpu.space.map(DATA, end // PAGE_SIZE - 1, 1, RX)
    cpu.regs[RIP] = DATA + PAGE_SIZE - 2
    assert guest.trap(cpu).kind is TrapKind.SYSCALL
    trap = guest.trap(cpu)
    assert (trap.kind, trap.addr, trap.access) == (TrapKind.FAULT, DATA + PAGE_SIZE, Access.EXEC)


def test_t_ent_07_non_canonical_return_address(guest: Guest) -> None:
    cpu = guest.cpu("0f05")
    guest.trap(cpu)
    cpu.regs[RIP] = 1 << 47
    trap = guest.trap(cpu)
    assert trap.kind in (TrapKind.EXCEPTION, TrapKind.FAULT)


@pytest.mark.parametrize(("index", "value"), [(CS, 0), (CS, 0x10), (FS_BASE, 1 << 63)])
def test_registers_the_host_refuses_are_a_general_protection_fault(
    guest: Guest, index: int, value: int
) -> None:
    cpu = guest.cpu(GETPID_LOOP)
    cpu.regs[index] = value
    trap = guest.trap(cpu)
    assert (trap.kind, trap.signo, trap.code) == (TrapKind.EXCEPTION, SIGSEGV, 0x80)


def test_endless_loop_ticks(guest: Guest) -> None:
    cpu = guest.cpu(SPIN)
    cpu.resume()
    ((stopped, trap),) = guest.um.wait(None)
    assert stopped is cpu
    assert trap.kind is TrapKind.TICK


def test_deadline_interrupts_an_endless_loop(guest: Guest) -> None:
    cpu = guest.cpu(SPIN)
    cpu.resume()
    start = time.monotonic_ns()
    assert guest.um.wait(start + 2_000_000) == []
    assert time.monotonic_ns() - start >= 2_000_000
    assert cpu.space.running() == 1
    ((_, trap),) = guest.um.wait(None)
    assert trap.kind is TrapKind.TICK


def test_deadline_without_guests(guest: Guest) -> None:
    start = time.monotonic_ns()
    assert guest.um.wait(start + 1_000_000) == []
    assert time.monotonic_ns() >= start + 1_000_000
    assert guest.um.wait(start) == []


def test_kick_stops_an_endless_loop(guest: Guest) -> None:
    cpu = guest.cpu(SPIN)
    cpu.resume()
    assert guest.um.wait(time.monotonic_ns() + 1) == []
    cpu.kick()
    ((stopped, trap),) = guest.um.wait(None)
    assert (stopped, trap.kind) == (cpu, TrapKind.KICK)


def test_kick_before_the_start(guest: Guest) -> None:
    cpu = guest.cpu(SPIN)
    cpu.resume()
    cpu.kick()
    ((stopped, trap),) = guest.um.wait(None)
    assert (stopped, trap.kind) == (cpu, TrapKind.KICK)


def test_killed_stub_is_reported_dead(guest: Guest) -> None:
    import os
    import signal

    cpu = guest.cpu(SPIN)
    os.kill(cpu.pid, signal.SIGKILL)
    cpu.resume()
    ((stopped, trap),) = guest.um.wait(None)
    assert (stopped, trap.kind) == (cpu, TrapKind.DEAD)
    cpu.release()
    cpu.space.destroy()


def test_registers_of_a_new_cpu_are_zero(guest: Guest) -> None:
    cpu = guest.cpu(SPIN)
    nonzero = {i for i, value in enumerate(cpu.regs) if value}
    assert nonzero == {RIP, CS, EFLAGS, CS + 3}
    assert cpu.regs[RCX] == cpu.regs[R11] == cpu.regs[RSI] == 0


def test_t_ent_03_sysenter_never_makes_a_call(guest: Guest) -> None:
    cpu = guest.cpu("b814000000 0f34")
    trap = guest.trap(cpu)
    assert trap.kind in (TrapKind.EXCEPTION, TrapKind.FAULT, TrapKind.BAD_SYSCALL)


def test_t_ent_03_far_jump_to_32_bit_code(guest: Guest) -> None:
    # push 0x23; push CODE+16; lretq; ...; at 16: mov eax,20; int 0x80
    cpu = guest.cpu("6a23 6810004000 48cb 90909090909090 b814000000 cd80")
    cpu.space.map(DATA, 9, 1, RW)
    cpu.regs[RSP] = DATA + 0x800
    assert guest.trap(cpu).kind is TrapKind.BAD_SYSCALL
    assert cpu.regs[CS] == 0x23


def test_t_ent_09_segment_bases_are_the_guests_own(guest: Guest) -> None:
    # mov rbx,0x1234; wrgsbase rbx; wrfsbase rbx; syscall
    cpu = guest.cpu("48c7c334120000 f3480faedb f3480faed3 0f05")
    if guest.trap(cpu).kind is TrapKind.EXCEPTION:
        pytest.skip("no FSGSBASE")
    assert (cpu.regs[FS_BASE], cpu.regs[FS_BASE + 1]) == (0x1234, 0x1234)


@pytest.mark.only_on("ptrace")
def test_t_esc_06_jump_into_the_stub_gains_nothing(guest: Guest) -> None:
    """The batch routine, called by a guest with a list of its own, makes no native call."""
    from pygos.arch.x86.regs import R15
    from pygos.host.layout import STUB_CODE
    from pygos.host.machine_code import STUB_BATCH

    cpu = guest.cpu(SPIN)
    cpu.space.map(DATA, 9, 1, RW)
    guest.ram.mem64[9 * 512 : 9 * 512 + 4] = memoryview(
        b"".join(n.to_bytes(8, "little") for n in (0x10000, 4096, 9 << 32 | 3, 0))
    ).cast("Q")
    cpu.regs[RIP] = STUB_CODE + STUB_BATCH
    cpu.regs[R15] = DATA
    assert guest.trap(cpu).kind is TrapKind.SYSCALL
    assert cpu.regs[ORIG_RAX] == 9
    cpu.regs[RAX] = 0
    trap = guest.trap(cpu)  # the int3 at the end of the list is the guest's own
    assert (trap.kind, trap.signo) == (TrapKind.EXCEPTION, SIGTRAP)


def test_t_esc_07_list_page_is_read_only_and_empty(guest: Guest) -> None:
    from pygos.host.layout import STUB_LIST

    cpu = guest.cpu("488b07 0f05 880f")  # mov rax,[rdi]; syscall; mov [rdi],cl
    cpu.regs[RDI] = STUB_LIST
    assert guest.trap(cpu).kind is TrapKind.SYSCALL
    assert cpu.regs[ORIG_RAX] == 0
    trap = guest.trap(cpu)
    assert (trap.kind, trap.addr, trap.access) == (TrapKind.FAULT, STUB_LIST, Access.WRITE)
