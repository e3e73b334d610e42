# SPDX-License-Identifier: Apache-2.0
"""Address spaces and threads: clone, share, recycle, stop."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pygos.arch.um.cpu import UmCpu
from pygos.arch.x86.regs import FS_BASE, ORIG_RAX, RAX, RBX, RIP
from pygos.host import HostError
from pygos.include.linux.platform import PAGE_SIZE, TASK_SIZE, Prot, TrapKind
from tests.um.guest import CODE, DATA, GETPID_LOOP, RW, RX, SPIN, Guest

STORE_AND_LOAD = "488b0425 00006000 48ff0425 00006000 0f05 ebec"
LOAD = "488b0425 00006000 0f05 ebf4"


def maps(cpu: UmCpu) -> list[str]:
    lines = Path(f"/proc/{cpu.pid}/maps").read_text().splitlines()
    return [line for line in lines if int(line.partition("-")[0], 16) < TASK_SIZE]


def fpu(cpu: UmCpu) -> bytes:
    """The FPU state but for XSTATE_BV, where the host may call an initial state used."""
    image = cpu.get_fpu()
    return image[:512] + image[520:]


def loaded(guest: Guest, cpu: UmCpu) -> int:
    """Run to the next system call of LOAD; what was loaded."""
    assert guest.trap(cpu).kind is TrapKind.SYSCALL
    return int(cpu.regs[ORIG_RAX])


def test_populated_pages_are_there_before_they_are_used(guest: Guest) -> None:
    cpu = guest.cpu(GETPID_LOOP)
    cpu.space.map(DATA, 100, 32, RW | Prot.POPULATE)
    cpu.space.map(DATA + 64 * PAGE_SIZE, 200, 32, RW)
    guest.trap(cpu)
    text = Path(f"/proc/{cpu.pid}/smaps").read_text()
    filled, empty = (text.partition(f"{at:08x}-")[2] for at in (DATA, DATA + 64 * PAGE_SIZE))
    assert filled.split("Rss:")[1].split()[0] == "128"
    assert empty.split("Rss:")[1].split()[0] == "0"
    assert " rw-s " in filled.splitlines()[0]


def test_adjacent_changes_become_one_mapping(guest: Guest) -> None:
    cpu = guest.cpu(GETPID_LOOP)
    for page in range(64):
        cpu.space.map(DATA + page * PAGE_SIZE, 100 + page, 1, RW)
    for page in range(64):
        cpu.space.protect(DATA + page * PAGE_SIZE, 1, Prot.READ)
    for page in range(32):
        cpu.space.unmap(DATA + page * PAGE_SIZE, 1)
    guest.trap(cpu)
    data = [line for line in maps(cpu) if not line.startswith("00400000")]
    assert len(data) == 1
    assert data[0].startswith("00620000-00640000 r--s 00084000")


def test_more_changes_than_the_list_holds(guest: Guest) -> None:
    cpu = guest.cpu(GETPID_LOOP)
    for page in range(400):
        cpu.space.map(DATA + 2 * page * PAGE_SIZE, 100 + page, 1, RW)
    guest.trap(cpu)
    assert len(maps(cpu)) == 401


def test_ranges_outside_of_guest_and_ram_are_refused(guest: Guest) -> None:
    space = guest.space(SPIN)
    with pytest.raises(ValueError, match="pfn"):
        space.map(DATA, guest.ram.pages - 1, 2, RW)
    with pytest.raises(ValueError, match="va"):
        space.map(TASK_SIZE - PAGE_SIZE, 0, 2, RW)
    with pytest.raises(ValueError, match="va"):
        space.unmap(TASK_SIZE, 1)
    space.map(TASK_SIZE - PAGE_SIZE, 0, 1, RW)
    with pytest.raises(ValueError, match="va"):
        space.map(TASK_SIZE, 1, 1, RW)


def test_impossible_change_is_an_internal_error(guest: Guest) -> None:
    cpu = guest.cpu(SPIN)
    cpu.space.map(DATA + 1, 5, 1, RW)
    cpu.resume()
    with pytest.raises(HostError, match="0x600001"):
        guest.um.wait(None)


def test_protecting_a_hole_drops_mappings_but_loses_nothing(guest: Guest) -> None:
    """The host reports ENOMEM as it does when out of mappings: all are dropped; faults
    bring them back."""
    cpu = guest.cpu(GETPID_LOOP)
    guest.trap(cpu)
    cpu.space.protect(DATA, 1, RW)
    trap = guest.trap(cpu)
    assert (trap.kind, trap.addr) == (TrapKind.FAULT, cpu.regs[RIP])
    cpu.space.map(CODE, 2, 1, RX)
    assert guest.trap(cpu).kind is TrapKind.SYSCALL


def test_clone_copies_mappings_registers_and_fpu(guest: Guest) -> None:
    # movq xmm7,rbx ; again: syscall; movq rax,xmm7; jmp again
    parent = guest.cpu("66480f6efb 0f05 66480f7ef8 ebf7")
    parent.regs[RBX] = 0x1122334455667788
    parent.regs[FS_BASE] = 0x7000
    guest.trap(parent)
    child = parent.space.clone(parent).new_cpu()
    assert bytes(child.regs) == bytes(parent.regs)
    assert fpu(child) == fpu(parent)
    for cpu in (child, parent):
        cpu.regs[RAX] = 0
        guest.trap(cpu)
        assert cpu.regs[ORIG_RAX] == 0x1122334455667788


def test_clone_flushes_first(guest: Guest) -> None:
    parent = guest.cpu(LOAD)
    guest.ram.mem64[9 * 512] = 77
    parent.space.map(DATA, 9, 1, RW)
    child = parent.space.clone(parent).new_cpu()
    assert loaded(guest, child) == 77
    assert loaded(guest, parent) == 77


def test_spaces_are_apart_after_a_clone(guest: Guest) -> None:
    parent = guest.cpu(LOAD)
    parent.space.map(DATA, 9, 1, RW)
    child = parent.space.clone(parent).new_cpu()
    guest.ram.mem64[9 * 512] = 1
    guest.ram.mem64[10 * 512] = 2
    child.space.map(DATA, 10, 1, RW)
    assert (loaded(guest, parent), loaded(guest, child)) == (1, 2)
    parent.space.unmap(DATA, 1)
    assert guest.trap(parent).kind is TrapKind.FAULT
    assert loaded(guest, child) == 2


def test_threads_share_mappings(guest: Guest) -> None:
    first = guest.cpu(LOAD)
    second = first.space.new_cpu()
    second.regs[RIP] = CODE
    guest.ram.mem64[9 * 512] = 5
    first.space.map(DATA, 9, 1, RW)
    assert (loaded(guest, second), loaded(guest, first)) == (5, 5)
    second.space.unmap(DATA, 1)
    assert guest.trap(first).kind is TrapKind.FAULT


def test_new_thread_starts_with_clean_or_inherited_fpu(guest: Guest) -> None:
    first = guest.cpu("66480f6efb 0f05")
    first.regs[RBX] = 99
    clean = fpu(first)
    guest.trap(first)
    assert fpu(first) != clean
    second = first.space.new_cpu()
    assert fpu(second) == clean
    third = first.space.new_cpu(first)
    assert fpu(third) == fpu(first)


def test_fpu_image_round_trip(guest: Guest) -> None:
    cpu = guest.cpu("66480f7ef8 0f05")
    image = bytearray(cpu.get_fpu())
    image[160 + 7 * 16] = 0x2A  # xmm7
    image[512] |= 2  # XSTATE_BV: SSE
    cpu.set_fpu(bytes(image))
    guest.trap(cpu)
    assert cpu.regs[ORIG_RAX] == 0x2A
    cpu.set_fpu(None)
    cpu.regs[RIP] = CODE
    guest.trap(cpu)
    assert cpu.regs[ORIG_RAX] == 0


@pytest.mark.parametrize("spoil", ["short", "header", "mxcsr"])
def test_malformed_fpu_image(guest: Guest, spoil: str) -> None:
    cpu = guest.cpu(SPIN)
    image = bytearray(cpu.get_fpu())
    if spoil == "short":
        image.pop()
    elif spoil == "header":
        image[520:528] = b"\xff" * 8  # XCOMP_BV
    else:
        image[24:28] = b"\xff" * 4
        image[512] |= 2
    with pytest.raises(ValueError):
        cpu.set_fpu(bytes(image))


def test_threads_run_in_parallel(guest: Guest) -> None:
    first = guest.cpu(SPIN)
    cpus = [first] + [first.space.new_cpu() for _ in range(3)]
    for cpu in cpus:
        cpu.regs[RIP] = CODE
        cpu.resume()
    ticked = set()
    while len(ticked) < 4:
        for cpu, trap in guest.um.wait(time.monotonic_ns() + 10**10):
            assert trap.kind is TrapKind.TICK
            ticked.add(cpu)
            cpu.resume()


def test_a_busy_thread_cannot_hide_another(guest: Guest) -> None:
    first = guest.cpu(GETPID_LOOP)
    cpus = [first] + [first.space.new_cpu() for _ in range(2)]
    counts = dict.fromkeys(cpus, 0)
    for cpu in cpus:
        cpu.regs[RIP] = CODE
        cpu.resume()
    for _ in range(3000):
        for cpu, _trap in guest.um.wait(None):
            counts[cpu] += 1
            cpu.resume()
    assert min(counts.values()) > 300


def test_sync_reaches_a_running_thread(guest: Guest) -> None:
    """TLB shootdown: after sync() nobody sees the page any more."""
    cpu = guest.cpu("488b0425 00006000 ebf6")  # loop: mov rax,[DATA]
    cpu.space.map(DATA, 9, 1, RW)
    cpu.resume()
    assert guest.um.wait(time.monotonic_ns() + 1000_000) == []
    assert cpu.space.running() == 1
    cpu.space.unmap(DATA, 1)
    cpu.space.sync()
    while True:
        ((stopped, trap),) = guest.um.wait(None)
        assert stopped is cpu
        if trap.kind is not TrapKind.TICK:
            break
        cpu.resume()
    assert (trap.kind, trap.addr) == (TrapKind.FAULT, DATA)


def test_kick_reaches_one_of_two_running(guest: Guest) -> None:
    first = guest.cpu(SPIN)
    second = first.space.new_cpu()
    for cpu in (first, second):
        cpu.regs[RIP] = CODE
        cpu.resume()
    assert guest.um.wait(time.monotonic_ns() + 1) == []
    second.kick()
    kicked = False
    while not kicked:
        for cpu, trap in guest.um.wait(None):
            if trap.kind is TrapKind.KICK:
                assert cpu is second
                kicked = True
            else:
                cpu.resume()


def test_release_of_a_running_thread(guest: Guest) -> None:
    first = guest.cpu(SPIN)
    second = first.space.new_cpu()
    for cpu in (first, second):
        cpu.regs[RIP] = CODE
        cpu.resume()
    assert guest.um.wait(time.monotonic_ns() + 1) == []
    second.release()
    assert first.space.running() == 1
    for _ in range(3):
        ((cpu, _trap),) = guest.um.wait(None)
        assert cpu is first
        cpu.resume()


def test_recycled_space_remembers_nothing(guest: Guest) -> None:
    clean = fpu(guest.cpu(SPIN))
    for _ in range(10):
        cpu = guest.cpu("66480f6efb 0f05")
        assert fpu(cpu) == clean
        assert not any(cpu.regs[: RIP - 1])
        cpu.regs[RBX] = 7
        cpu.space.map(DATA, 9, 1, RW)
        guest.trap(cpu)
        cpu.release()
        cpu.space.destroy()
    space = guest.um.new_space()
    assert maps(space.new_cpu()) == []


def test_many_spaces_and_threads_leave_nothing(guest: Guest) -> None:
    spaces = [guest.um.new_space() for _ in range(40)]
    cpus = [space.new_cpu() for space in spaces for _ in range(3)]
    pids = [cpu.pid for cpu in cpus]
    assert len(set(pids)) == 120
    for cpu in cpus:
        cpu.release()
    for space in spaces:
        space.destroy()
    guest.um.close()
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


def test_destroy_with_threads_ends_with_the_last(guest: Guest) -> None:
    first = guest.cpu(SPIN)
    second = first.space.new_cpu()
    first.space.destroy()
    first.release()
    second.regs[RIP] = CODE
    second.resume()
    ((cpu, trap),) = guest.um.wait(None)
    assert (cpu, trap.kind) == (second, TrapKind.TICK)
    second.release()


def test_host_without_processes_is_eagain(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    from pygos.include.errno import EAGAIN

    cpu = guest.cpu(GETPID_LOOP)
    guest.trap(cpu)

    def refuse(*_: int) -> int:
        raise OSError(11, "no process")

    for name in ("fork", "thread", "guest_thread"):
        monkeypatch.setattr(type(guest.um.zygote), name, refuse)
    with pytest.raises(EAGAIN):
        cpu.space.clone(cpu)
    with pytest.raises(EAGAIN):
        cpu.space.new_cpu()
    with pytest.raises(EAGAIN):
        guest.um.new_space()
    assert guest.trap(cpu).kind is TrapKind.SYSCALL
