# SPDX-License-Identifier: Apache-2.0
"""Patched `syscall` instructions: what is changed, who sees it, and how it is undone."""

from __future__ import annotations

from struct import unpack_from
from typing import Any

import pytest

from pygos.arch.x86.alternative import patch_site
from pygos.arch.x86.regs import ORIG_RAX, RIP
from pygos.include.linux.platform import Access
from pygos.include.linux.sched import Task
from pygos.include.uapi import mman as m
from pygos.mm.fork import dup_mm
from pygos.mm.madvise import do_madvise
from pygos.mm.maps import show_maps
from pygos.mm.mm import Mm, mmput
from pygos.mm.mmap import do_mmap, do_munmap
from pygos.mm.mprotect import do_mprotect
from pygos.mm.patches import Patches
from pygos.mm.remote import access_remote_vm
from tests.support.fakes import (
    FakeCpu,
    check_host,
    fake_file,
    fake_machine,
    fake_task,
    guest_read,
    touch,
)

PAGE = 4096
ENTRY = 0x7FFF_8000_0800
RX = m.PROT_READ | m.PROT_EXEC
ENDBR = bytes.fromhex("f30f1efa")
#: getppid: endbr64; mov eax, 110; syscall; ret; and read with its padding.
GETPPID = ENDBR + bytes.fromhex("b86e000000 0f05 c3 0f1f4000")
READ = ENDBR + bytes.fromhex("31c0 0f05 483d00f0ffff 7703 c3 0f1f8000000000 0f1f440000")
LEAD_AT, LEAD_SITE = 0x40 + 4, 0x40 + 9
PAD_SITE, PAD_AT = 0x80 + 6, 0x80 + 17
TEXT = bytearray(b"\xcc" * 3 * PAGE)
TEXT[0x40 : 0x40 + len(GETPPID)] = GETPPID
TEXT[0x80 : 0x80 + len(READ)] = READ
TEXT[PAGE + 0x40 : PAGE + 0x40 + len(GETPPID)] = GETPPID
PRIVATE = m.MAP_PRIVATE


class World:
    """A process whose text is a file with two calls in its first page, one in its second."""

    def __init__(self, flags: int = PRIVATE, prot: int = RX) -> None:
        self.machine = fake_machine(8192)
        self.platform: Any = self.machine.platform
        self.platform.patch_entry = ENTRY
        self.task = fake_task(self.machine)
        self.file = fake_file(self.machine, bytes(TEXT))
        assert self.task.mm is not None
        self.mm: Mm = self.task.mm
        self.text = do_mmap(self.mm, self.task, self.file, 0, len(TEXT), prot, flags, 0)
        touch(self.mm, self.text, Access.EXEC)
        self.stop(self.task)

    def stop(self, task: Task) -> Any:
        assert task.mm is not None
        cpu: Any = FakeCpu(task.mm.space)  # type: ignore[arg-type]
        cpu.owner = task
        task.cpu, task.regs = cpu, cpu.regs
        return cpu

    def trap(self, at: int, nr: int, task: Task | None = None) -> Patches:
        """A call of a task traps once too often."""
        cpu: Any = (task or self.task).cpu
        cpu.regs[RIP] = self.text + at + 2
        cpu.regs[ORIG_RAX] = nr
        patch_site(cpu)
        patches = cpu.owner.mm.patches
        assert patches is not None
        assert isinstance(patches, Patches)
        return patches

    def both(self) -> Patches:
        self.trap(LEAD_SITE, 110)
        return self.trap(PAD_SITE, 0)

    def code(self, at: int, size: int) -> bytes:
        return guest_read(self.mm, self.text + at, size)

    def jump(self, at: int) -> int:
        """Where the jump at text + `at` goes, relative to the text's start."""
        code = self.code(at, 5)
        if code[0] == 0xEB:
            return at + 2 + unpack_from("b", code, 1)[0]
        assert code[0] == 0xE9
        return at + 5 + unpack_from("<i", code, 1)[0]

    def is_original(self, mm: Mm | None = None) -> bool:
        return guest_read(mm or self.mm, self.text, len(TEXT)) == TEXT


@pytest.fixture
def world() -> World:
    return World()


def entry_slot(world: World, slot: int) -> tuple[int, int]:
    """What a slot puts into rcx, and where it jumps."""
    code = guest_read(world.mm, slot, 13)
    assert code[:3] == bytes.fromhex("488d0d")
    assert code[7:9] == bytes.fromhex("ff25")
    back = slot + 7 + unpack_from("<i", code, 3)[0]
    pointer = slot + 13 + unpack_from("<i", code, 9)[0]
    return back, unpack_from("<Q", guest_read(world.mm, pointer, 8))[0]


def test_a_mov_before_the_call_becomes_a_jump(world: World) -> None:
    world.trap(LEAD_SITE, 110)
    slot = world.text + world.jump(LEAD_AT)
    assert guest_read(world.mm, slot, 5) == GETPPID[4:9]
    assert entry_slot(world, slot + 5) == (world.text + LEAD_SITE + 2, ENTRY)
    # The call itself is still one, for restarts and whoever jumps there.
    assert world.code(LEAD_SITE, 3) == GETPPID[9:12]
    assert world.code(0x40, 4) == ENDBR
    check_host(world.mm)


def test_padding_takes_the_long_jump(world: World) -> None:
    world.trap(PAD_SITE, 0)
    assert world.jump(PAD_SITE) == PAD_AT
    slot = world.text + world.jump(PAD_AT)
    back, entry = entry_slot(world, slot)
    assert entry == ENTRY
    assert guest_read(world.mm, back - 2, 2) == bytes.fromhex("0f05")
    code = guest_read(world.mm, back, 5)
    assert code[0] == 0xE9
    assert back + 5 + unpack_from("<i", code, 1)[0] == world.text + PAD_SITE + 2
    assert world.code(PAD_SITE + 2, 9) == READ[8:17]
    check_host(world.mm)


def test_only_the_process_itself_sees_it(world: World) -> None:
    other = fake_task(world.machine, 101)
    assert other.mm is not None
    at = do_mmap(other.mm, other, world.file, 0, len(TEXT), RX, PRIVATE, 0)
    world.both()
    assert not world.is_original()
    assert guest_read(other.mm, at, len(TEXT)) == TEXT
    assert world.file.f_inode.i_mapping is not None
    pfn = world.file.f_inode.i_mapping.pages[0]
    assert world.machine.ram.mem[pfn << 12 : (pfn + 1) << 12] == TEXT[:PAGE]
    assert b"[pygos]" in show_maps(world.mm, lambda file: b"/lib")
    assert b"[pygos]" not in show_maps(other.mm, lambda file: b"/lib")


def test_debuggers_and_mem_files_read_what_the_file_has(world: World) -> None:
    world.both()
    assert access_remote_vm(world.mm, world.text, len(TEXT)) == TEXT
    at = world.text + LEAD_AT + 2
    assert access_remote_vm(world.mm, at, 3) == TEXT[LEAD_AT + 2 : LEAD_AT + 5]


def test_a_breakpoint_makes_the_page_the_programs_again(world: World) -> None:
    patches = world.both()
    world.trap(PAGE + LEAD_SITE, 110)
    access_remote_vm(world.mm, world.text + 0x40, 1, b"\xcc")
    want = bytearray(TEXT)
    want[0x40] = 0xCC
    assert world.code(0, PAGE) == want[:PAGE]
    assert not world.is_original()  # the other page
    world.trap(LEAD_SITE, 110)  # no second time
    assert world.code(0, PAGE) == want[:PAGE]
    patches.undo_all(world.mm)
    assert world.code(PAGE, PAGE) == TEXT[PAGE : 2 * PAGE]
    check_host(world.mm)


def test_undoing_gives_the_page_back_to_the_cache(world: World) -> None:
    anon, cached = world.mm.rss_anon, world.mm.rss_file
    patches = world.both()
    assert world.mm.rss_anon == anon + 2  # text and pool
    patches.undo_all(world.mm)
    assert world.is_original()
    assert (world.mm.rss_anon, world.mm.rss_file) == (anon + 1, cached)


@pytest.mark.parametrize("how", ["write", "dontneed", "unmap pool", "protect pool"])
def test_what_the_program_does_to_the_mapping(world: World, how: str) -> None:
    patches = world.both()
    mm, task = world.mm, world.task
    pool = next(iter(patches.pools))
    if how == "write":
        do_mprotect(mm, task, world.text, PAGE, m.PROT_READ | m.PROT_WRITE)
    elif how == "dontneed":
        do_madvise(mm, world.text, PAGE, m.MADV_DONTNEED)
    elif how == "unmap pool":
        do_munmap(mm, pool, PAGE)
    else:
        do_mprotect(mm, task, pool, PAGE, m.PROT_NONE)
    assert world.is_original()
    assert not patches.pages
    assert not patches.copied
    check_host(mm)
    if how == "dontneed":
        world.trap(LEAD_SITE, 110)
        assert world.jump(LEAD_AT)


def test_unmapped_text_takes_its_records_along(world: World) -> None:
    patches = world.both()
    do_munmap(world.mm, world.text, len(TEXT))
    assert not patches.pages
    assert world.text + PAD_AT not in patches.origin
    mmput(world.mm)


@pytest.mark.parametrize(
    ("flags", "prot"),
    [
        (m.MAP_SHARED, RX),
        (PRIVATE, RX | m.PROT_WRITE),
        (PRIVATE | m.MAP_ANONYMOUS, RX | m.PROT_WRITE),
    ],
)
def test_shared_and_writable_code_stays(flags: int, prot: int) -> None:
    world = World(flags, prot)
    patches = world.trap(LEAD_SITE, 110)
    assert not patches.pages
    assert world.text + LEAD_SITE in patches.refused


def test_files_open_for_writing_stay(world: World) -> None:
    world.file.f_inode.i_writecount = 1
    assert not world.trap(LEAD_SITE, 110).pages


def test_the_return_from_signals_stays(world: World) -> None:
    assert not world.trap(LEAD_SITE, 15).pages


def test_traced_processes_stay(world: World) -> None:
    world.task.ptrace = 1
    cpu: Any = world.task.cpu
    cpu.regs[RIP] = world.text + LEAD_SITE + 2
    cpu.regs[ORIG_RAX] = 110
    patch_site(cpu)
    assert world.mm.patches is None


def test_a_child_keeps_the_patches_and_undoes_them_alone(world: World) -> None:
    patches = world.both()
    child_mm = dup_mm(world.mm, world.task.cpu)  # type: ignore[arg-type]
    child = fake_task(world.machine, 102)
    child.mm = child_mm
    world.stop(child)
    assert guest_read(child_mm, world.text, PAGE) == world.code(0, PAGE)
    assert child_mm.patches is not None
    assert child_mm.patches is not patches
    # Each patches and undoes its own.
    world.trap(PAGE + LEAD_SITE, 110, child)
    assert world.code(PAGE, PAGE) == TEXT[PAGE : 2 * PAGE]
    child_slot = guest_read(child_mm, world.text + PAGE + LEAD_AT, 5)
    pool = next(iter(patches.pools))
    assert guest_read(child_mm, pool, PAGE) != guest_read(world.mm, pool, PAGE)
    child_mm.patches.undo_all(child_mm)
    assert world.is_original(child_mm)
    assert not world.is_original()
    assert child_slot[0] == 0xE9
    check_host(world.mm)
    check_host(child_mm)


def test_threads_are_moved_out_of_what_is_undone(world: World) -> None:
    patches = world.both()
    lead = world.text + world.jump(LEAD_AT)
    slot = world.text + world.jump(PAD_AT)
    back = entry_slot(world, slot)[0]
    text = world.text
    places = {
        lead: text + LEAD_AT,
        lead + 5: text + LEAD_SITE,
        lead + 12: text + LEAD_SITE,
        text + PAD_AT: text + PAD_SITE,
        slot: text + PAD_SITE,
        slot + 7: text + PAD_SITE,
        back - 2: text + PAD_SITE,
        back: text + PAD_SITE + 2,
        text + PAD_SITE + 2: text + PAD_SITE + 2,
        text + LEAD_SITE + 2: text + LEAD_SITE + 2,
    }
    cpus = []
    for number, ip in enumerate(places):
        task = fake_task(world.machine, 200 + number)
        task.mm = world.mm
        cpu = world.stop(task)
        cpu.regs[RIP] = ip
        cpus.append(cpu)
        assert patches.original_ip(ip) == places[ip]
    patches.undo_all(world.mm)
    assert [cpu.regs[RIP] for cpu in cpus] == list(places.values())


def test_while_others_run_padding_stays(world: World) -> None:
    patches = world.both()
    other = fake_task(world.machine, 101)
    other.mm = world.mm
    sched: Any = world.machine.sched
    sched.running = {other: None}
    jump = world.code(PAD_AT, 5)
    patches.undo_all(world.mm)
    assert world.code(PAD_AT, 5) == jump
    assert world.code(0, PAD_AT) == TEXT[:PAD_AT]
    assert patches.original_ip(world.text + PAD_AT) == world.text + PAD_SITE
    assert access_remote_vm(world.mm, world.text, len(TEXT)) == TEXT
    sched.running = {}
    patches.undo_all(world.mm)
    assert world.is_original()
    check_host(world.mm)


def test_running_threads_see_a_new_page_not_a_changing_one(world: World) -> None:
    world.trap(LEAD_SITE, 110)
    other = fake_task(world.machine, 101)
    other.mm = world.mm
    sched: Any = world.machine.sched
    sched.running = {other: None}
    space: Any = world.mm.space
    space.running_cpus = 1
    before = space.host[world.text >> 12][0]
    synced = space.synced
    world.trap(PAD_SITE, 0)
    assert space.host[world.text >> 12][0] != before
    assert space.synced > synced
    assert not world.machine.zone.refcount[before]
    check_host(world.mm)


def test_the_same_padding_is_not_used_twice(world: World) -> None:
    code = bytearray(TEXT)
    code[0x80:0x8E] = bytes.fromhex("31c0 0f05 31c0 0f05 c3 0f1f440000")
    world.file = fake_file(world.machine, bytes(code))
    world.text = do_mmap(world.mm, world.task, world.file, 0, len(code), RX, PRIVATE, 0)
    touch(world.mm, world.text, Access.EXEC)
    world.trap(0x82, 0)
    assert world.jump(0x82) == 0x89
    patches = world.trap(0x86, 0)
    assert patches.refused == {world.text + 0x86}
    assert world.code(0x86, 2) == bytes.fromhex("0f05")


def test_a_patched_site_that_traps_again_is_left_alone(world: World) -> None:
    world.both()
    before = world.code(0, PAGE)
    for _ in range(2):
        world.both()
    assert world.code(0, PAGE) == before
    assert not world.mm.patches.refused  # type: ignore[union-attr]


def test_many_sites_fill_several_pools() -> None:
    world = World()
    code = bytearray(b"\xcc" * 8 * PAGE)
    for at in range(0, len(code), 32):
        code[at : at + len(GETPPID)] = GETPPID
    world.file = fake_file(world.machine, bytes(code))
    world.text = do_mmap(world.mm, world.task, world.file, 0, len(code), RX, PRIVATE, 0)
    for at in range(0, len(code), 32):
        touch(world.mm, world.text + at, Access.EXEC)
        patches = world.trap(at + 9, 110)
    assert len(patches.pools) > 5
    assert not patches.refused
    slots = {world.jump(at + 4) for at in range(0, len(code), 32)}
    assert len(slots) == 8 * PAGE // 32
    patches.undo_all(world.mm)
    assert guest_read(world.mm, world.text, len(code)) == code


def test_a_pool_is_found_near_low_programs(world: World) -> None:
    mm, task = world.mm, world.task
    low = do_mmap(mm, task, world.file, 0x40_0000, len(TEXT), RX, PRIVATE | m.MAP_FIXED, 0)
    mm.start_brk = mm.brk = low + len(TEXT)  # the heap follows at once
    touch(mm, low, Access.EXEC)
    world.text = low
    patches = world.trap(LEAD_SITE, 110)
    pool = next(iter(patches.pools))
    assert pool < low
    mm.start_brk = mm.brk = low + 0x100_0000  # a gap before the heap
    other = World()
    mm, task = other.mm, other.task
    low = do_mmap(mm, task, other.file, 0x40_0000, len(TEXT), RX, PRIVATE | m.MAP_FIXED, 0)
    mm.start_brk = mm.brk = low + 0x100_0000
    touch(mm, low, Access.EXEC)
    other.text = low
    pool = next(iter(other.trap(LEAD_SITE, 110).pools))
    assert low + len(TEXT) <= pool < mm.start_brk
