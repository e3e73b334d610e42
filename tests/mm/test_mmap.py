# SPDX-License-Identifier: Apache-2.0
"""mmap, munmap, brk, mprotect, mremap, mlock: results and errors in Linux's order."""

from __future__ import annotations

from typing import Any

import pytest

from pygos.include import errno as e
from pygos.include.linux.cred import Cred
from pygos.include.linux.fs import FMODE_READ, FMODE_WRITE
from pygos.include.linux.mm import SEGV_ACCERR, SEGV_MAPERR
from pygos.include.linux.platform import TASK_SIZE, Access
from pygos.include.linux.sched import Task
from pygos.include.uapi import mman as m
from pygos.include.uapi.resource import (
    RLIMIT_AS,
    RLIMIT_DATA,
    RLIMIT_MEMLOCK,
    RLIMIT_STACK,
)
from pygos.mm.exec import setup_stack
from pygos.mm.fault import SegvFault, handle_fault
from pygos.mm.madvise import do_madvise
from pygos.mm.maps import show_maps, show_smaps, show_smaps_rollup, statm
from pygos.mm.mincore import mincore
from pygos.mm.mlock import mlock, mlockall, munlock, munlockall
from pygos.mm.mm import Mm, mmput
from pygos.mm.mmap import brk, do_mmap, do_munmap, remap_file_pages
from pygos.mm.mprotect import do_mprotect, pkey_alloc, pkey_mprotect
from pygos.mm.mremap import mremap
from pygos.mm.mseal import mseal
from pygos.mm.msync import msync
from tests.support.fakes import (
    RLIM_INFINITY,
    check_host,
    fake_file,
    fake_machine,
    fake_task,
    guest_read,
    guest_write,
)

RW = m.PROT_READ | m.PROT_WRITE
ANON = m.MAP_PRIVATE | m.MAP_ANONYMOUS
PAGE = 4096
BASE = 0x20_0000_0000


@pytest.fixture
def task() -> Task:
    return fake_task(fake_machine(4096))


def mm_of(task: Task) -> Mm:
    assert task.mm is not None
    return task.mm


def anon(task: Task, addr: int, size: int, prot: int = RW, flags: int = 0) -> int:
    return do_mmap(mm_of(task), task, None, addr, size, prot, ANON | flags, 0)


def unprivileged(task: Task) -> None:
    task.cred = Cred(uid=1000, euid=1000, fsuid=1000, cap_effective=0, cap_permitted=0)


def limit(task: Task, which: int, value: int) -> None:
    task.group.rlim[which] = (value, RLIM_INFINITY)


def maps(task: Task) -> list[str]:
    return show_maps(mm_of(task), lambda file: b"/bin/file").decode().splitlines()


# -- placement


def test_mappings_go_top_down_and_merge(task: Task) -> None:
    first = anon(task, 0, 3 * PAGE)
    second = anon(task, 0, 5 * PAGE)
    assert first == mm_of(task).mmap_base - 3 * PAGE
    assert second == first - 5 * PAGE
    assert len(mm_of(task).vmas) == 1


def test_freed_holes_are_used_again(task: Task) -> None:
    areas = [anon(task, 0, 4 * PAGE, m.PROT_READ if i % 2 else RW) for i in range(8)]
    do_munmap(mm_of(task), areas[2], 4 * PAGE)
    do_munmap(mm_of(task), areas[5], 4 * PAGE)
    assert anon(task, 0, 5 * PAGE) < areas[7]
    assert anon(task, 0, 4 * PAGE) == areas[2]
    assert anon(task, 0, 2 * PAGE) == areas[5] + 2 * PAGE
    assert anon(task, 0, 2 * PAGE) == areas[5]


def test_a_hint_is_taken_if_there_is_room(task: Task) -> None:
    assert anon(task, BASE + 123, PAGE) == BASE
    assert anon(task, BASE, PAGE) != BASE
    assert anon(task, 1, PAGE) == 65536


def test_map_32bit(task: Task) -> None:
    first = anon(task, 0, PAGE, flags=m.MAP_32BIT)
    assert first == 0x4000_0000
    assert anon(task, 0, PAGE, flags=m.MAP_32BIT) == first + PAGE


def test_fixed_noreplace(task: Task) -> None:
    anon(task, BASE, 2 * PAGE, flags=m.MAP_FIXED)
    with pytest.raises(e.EEXIST):
        anon(task, BASE + PAGE, 2 * PAGE, flags=m.MAP_FIXED_NOREPLACE)
    assert anon(task, BASE + 2 * PAGE, PAGE, flags=m.MAP_FIXED_NOREPLACE) == BASE + 2 * PAGE


def test_low_addresses_need_a_capability(task: Task) -> None:
    assert anon(task, 0, PAGE, flags=m.MAP_FIXED) == 0
    unprivileged(task)
    with pytest.raises(e.EPERM):
        anon(task, PAGE, PAGE, flags=m.MAP_FIXED)


@pytest.mark.parametrize(
    ("addr", "length", "flags", "error"),
    [
        (0, 0, ANON, e.EINVAL),
        (0, (1 << 64) - 1, ANON, e.ENOMEM),
        (0, TASK_SIZE + PAGE, ANON, e.ENOMEM),
        (TASK_SIZE - PAGE, 2 * PAGE, ANON | m.MAP_FIXED, e.ENOMEM),
        (BASE + 1, PAGE, ANON | m.MAP_FIXED, e.EINVAL),
        (0, PAGE, m.MAP_ANONYMOUS, e.EINVAL),
        (0, PAGE, m.MAP_ANONYMOUS | m.MAP_SHARED_VALIDATE, e.EINVAL),
        (0, PAGE, m.MAP_ANONYMOUS | m.MAP_SHARED | m.MAP_GROWSDOWN, e.EINVAL),
    ],
)
def test_mmap_errors(
    task: Task, addr: int, length: int, flags: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        do_mmap(mm_of(task), task, None, addr, length, RW, flags, 0)
    assert not mm_of(task).vmas


@pytest.mark.parametrize(
    ("mode", "prot", "flags", "pgoff", "error"),
    [
        (FMODE_READ, RW, m.MAP_SHARED, 0, e.EACCES),
        (FMODE_WRITE, m.PROT_READ, m.MAP_PRIVATE, 0, e.EACCES),
        (FMODE_WRITE, m.PROT_WRITE, m.MAP_SHARED, 0, e.EACCES),
        (FMODE_READ, m.PROT_READ, m.MAP_PRIVATE, (1 << 64) - 1, e.EOVERFLOW),
        (FMODE_READ, m.PROT_READ, m.MAP_PRIVATE, 1 << 53, e.EOVERFLOW),
        (FMODE_READ, m.PROT_READ, m.MAP_SHARED_VALIDATE | m.MAP_SYNC, 0, e.EOPNOTSUPP),
        (FMODE_READ, m.PROT_READ, m.MAP_PRIVATE | m.MAP_GROWSDOWN, 0, e.EINVAL),
    ],
)
def test_file_mapping_errors(
    task: Task, mode: int, prot: int, flags: int, pgoff: int, error: type[Exception]
) -> None:
    file = fake_file(task.machine, b"data", mode=mode)
    with pytest.raises(error):
        do_mmap(mm_of(task), task, file, 0, PAGE, prot, flags, pgoff)
    assert file.f_count == 1


def test_a_failed_fixed_mapping_leaves_the_old_one(task: Task) -> None:
    from pygos.include.linux.fs import FileOperations

    anon(task, BASE, PAGE, flags=m.MAP_FIXED)
    guest_write(mm_of(task), BASE, b"kept")
    file = fake_file(task.machine, b"data")
    file.f_op = FileOperations()
    with pytest.raises(e.ENODEV):
        do_mmap(mm_of(task), task, file, BASE, PAGE, RW, m.MAP_PRIVATE | m.MAP_FIXED, 0)
    assert guest_read(mm_of(task), BASE, 4) == b"kept"


def test_shared_mapping_of_a_read_only_file_never_becomes_writable(task: Task) -> None:
    file = fake_file(task.machine, b"data", mode=FMODE_READ)
    addr = do_mmap(mm_of(task), task, file, 0, PAGE, m.PROT_READ, m.MAP_SHARED, 0)
    with pytest.raises(e.EACCES):
        do_mprotect(mm_of(task), task, addr, PAGE, RW)
    assert maps(task)[0].split()[1] == "r--s"


# -- limits


def test_rlimit_as_counts_what_a_fixed_mapping_replaces(task: Task) -> None:
    anon(task, BASE, 4 * PAGE, flags=m.MAP_FIXED)
    limit(task, RLIMIT_AS, 4 * PAGE)
    with pytest.raises(e.ENOMEM):
        anon(task, 0, PAGE)
    assert anon(task, BASE, 4 * PAGE, m.PROT_READ, m.MAP_FIXED) == BASE


def test_rlimit_data(task: Task) -> None:
    limit(task, RLIMIT_DATA, 2 * PAGE)
    anon(task, 0, 2 * PAGE)
    with pytest.raises(e.ENOMEM):
        anon(task, 0, PAGE)
    area = anon(task, 0, 4 * PAGE, m.PROT_READ)
    with pytest.raises(e.ENOMEM):
        do_mprotect(mm_of(task), task, area, PAGE, RW)


def test_max_map_count(task: Task) -> None:
    task.machine.sysctl["vm.max_map_count"] = 10
    addr = anon(task, BASE, 100 * PAGE, flags=m.MAP_FIXED)
    with pytest.raises(e.ENOMEM):
        for i in range(1, 40, 2):
            do_munmap(mm_of(task), addr + i * PAGE, PAGE)
    assert len(mm_of(task).vmas) == 10


@pytest.mark.parametrize(("mode", "fits"), [(0, False), (1, True), (2, False)])
def test_overcommit(task: Task, mode: int, fits: bool) -> None:
    task.machine.sysctl["vm.overcommit_memory"] = mode
    huge = (task.machine.zone.pages + 1) * PAGE
    if fits:
        anon(task, 0, huge)
    else:
        with pytest.raises(e.ENOMEM):
            anon(task, 0, huge)
    if mode == 0:
        anon(task, 0, huge, flags=m.MAP_NORESERVE)
        anon(task, 0, huge, m.PROT_NONE)
    else:
        assert mode == 1 or task.machine.commit_pages == 0


def test_strict_overcommit_sums_up(task: Task) -> None:
    task.machine.sysctl["vm.overcommit_memory"] = 2
    half = task.machine.zone.pages * 50 // 100
    anon(task, 0, (half - 100) * PAGE)
    with pytest.raises(e.ENOMEM):
        anon(task, 0, 200 * PAGE)
    do_munmap(mm_of(task), mm_of(task).vmas[0].start, half * PAGE)
    assert task.machine.commit_pages == 0


# -- munmap


@pytest.mark.parametrize(
    ("addr", "length"), [(BASE + 1, PAGE), (BASE, 0), (TASK_SIZE + PAGE, PAGE), (BASE, TASK_SIZE)]
)
def test_munmap_einval(task: Task, addr: int, length: int) -> None:
    with pytest.raises(e.EINVAL):
        do_munmap(mm_of(task), addr, length)


def test_unmapping_a_hole_is_no_error(task: Task) -> None:
    do_munmap(mm_of(task), BASE, 100 * PAGE)


def test_unmapping_the_middle_splits(task: Task) -> None:
    mm = mm_of(task)
    addr = anon(task, BASE, 5 * PAGE, flags=m.MAP_FIXED)
    guest_write(mm, addr, b"x" * 5 * PAGE)
    do_munmap(mm, addr + PAGE, 3 * PAGE)
    assert [(v.start, v.end) for v in mm.vmas] == [
        (addr, addr + PAGE), (addr + 4 * PAGE, addr + 5 * PAGE)
    ]  # fmt: skip
    with pytest.raises(SegvFault) as info:
        guest_read(mm, addr + PAGE, 1)
    assert info.value.code == SEGV_MAPERR
    check_host(mm)
    assert mm.rss_anon == 2


# -- brk and stack


def test_brk(task: Task) -> None:
    mm = mm_of(task)
    mm.start_brk = mm.brk = BASE + 100
    assert brk(task, 0) == BASE + 100
    assert brk(task, BASE + 5 * PAGE + 8) == BASE + 5 * PAGE + 8
    guest_write(mm, BASE + 5 * PAGE + 1, b"heap")
    assert maps(task)[0].endswith("[heap]")
    assert brk(task, BASE + PAGE) == BASE + PAGE
    assert mm.rss_anon == 0
    assert brk(task, BASE + 2 * PAGE) == BASE + 2 * PAGE
    limit(task, RLIMIT_DATA, 3 * PAGE)
    assert brk(task, BASE + 10 * PAGE) == BASE + 2 * PAGE


def test_brk_stops_before_the_next_mapping(task: Task) -> None:
    mm = mm_of(task)
    mm.start_brk = mm.brk = BASE
    anon(task, BASE + 4 * PAGE, PAGE, flags=m.MAP_FIXED)
    assert brk(task, BASE + 4 * PAGE) == BASE
    assert brk(task, BASE + 3 * PAGE) == BASE + 3 * PAGE


def test_the_stack_grows_to_its_limit(task: Task) -> None:
    mm = mm_of(task)
    top = BASE + 0x1000_0000
    limit(task, RLIMIT_STACK, 1 << 20)
    setup_stack(mm, task, top, 32 * PAGE)
    guest_write(mm, top - (1 << 20), b"deep")
    with pytest.raises(SegvFault) as info:
        guest_write(mm, top - (1 << 20) - 1, b"x")
    assert info.value.code == SEGV_MAPERR
    assert mm.stack_vm == 256


def test_the_stack_keeps_a_gap_to_what_is_below(task: Task) -> None:
    mm = mm_of(task)
    top = BASE + 1000 * PAGE
    setup_stack(mm, task, top, 32 * PAGE)
    anon(task, BASE, 500 * PAGE, flags=m.MAP_FIXED)
    guest_write(mm, BASE + 756 * PAGE, b"x")
    with pytest.raises(SegvFault):
        guest_write(mm, BASE + 755 * PAGE, b"x")
    assert anon(task, BASE + 600 * PAGE, PAGE) != BASE + 600 * PAGE


# -- mprotect


def test_mprotect_splits_and_merges(task: Task) -> None:
    mm = mm_of(task)
    addr = anon(task, BASE, 6 * PAGE, flags=m.MAP_FIXED)
    guest_write(mm, addr, b"a" * 6 * PAGE)
    do_mprotect(mm, task, addr + 2 * PAGE, 2 * PAGE, m.PROT_READ)
    assert len(mm.vmas) == 3
    with pytest.raises(SegvFault) as info:
        handle_fault(mm, addr + 2 * PAGE, Access.WRITE)
    assert info.value.code == SEGV_ACCERR
    check_host(mm)
    do_mprotect(mm, task, addr + 2 * PAGE, 2 * PAGE, RW)
    assert len(mm.vmas) == 1
    guest_write(mm, addr + 2 * PAGE, b"b")
    check_host(mm)
    assert mm.data_vm == 6


def test_mprotect_never_opens_a_file_page_for_writing(task: Task) -> None:
    """A private mapping made writable later still copies."""
    mm = mm_of(task)
    file = fake_file(task.machine, b"original")
    addr = do_mmap(mm, task, file, 0, PAGE, m.PROT_READ, m.MAP_PRIVATE, 0)
    assert guest_read(mm, addr, 8) == b"original"
    do_mprotect(mm, task, addr, PAGE, RW)
    guest_write(mm, addr, b"CHANGED!")
    mapping: Any = file.f_inode.i_mapping
    pfn = mapping.pages[0]
    assert bytes(mm.mem[pfn << 12 : (pfn << 12) + 8]) == b"original"
    check_host(mm)


@pytest.mark.parametrize(
    ("addr", "length", "prot", "error"),
    [
        (BASE + 1, PAGE, RW, e.EINVAL),
        (BASE, PAGE, 0x10, e.EINVAL),
        (BASE, PAGE, m.PROT_GROWSDOWN | m.PROT_GROWSUP | RW, e.EINVAL),
        (BASE, PAGE, m.PROT_GROWSDOWN | RW, e.EINVAL),
        (BASE - PAGE, 2 * PAGE, RW, e.ENOMEM),
        (BASE, 3 * PAGE, m.PROT_READ, e.ENOMEM),
        (BASE, (1 << 64) - PAGE, RW, e.ENOMEM),
    ],
)
def test_mprotect_errors(
    task: Task, addr: int, length: int, prot: int, error: type[Exception]
) -> None:
    anon(task, BASE, 2 * PAGE, flags=m.MAP_FIXED)
    with pytest.raises(error):
        do_mprotect(mm_of(task), task, addr, length, prot)


def test_mprotect_of_nothing(task: Task) -> None:
    assert do_mprotect(mm_of(task), task, BASE, 0, RW) == 0


def test_there_are_no_protection_keys(task: Task) -> None:
    with pytest.raises(e.ENOSPC):
        pkey_alloc(task, 0, 0)
    with pytest.raises(e.EINVAL):
        pkey_mprotect(task, BASE, PAGE, RW, 1)


# -- mremap


def test_mremap_grows_in_place_or_moves(task: Task) -> None:
    mm = mm_of(task)
    addr = anon(task, BASE, 2 * PAGE, flags=m.MAP_FIXED)
    guest_write(mm, addr, b"data")
    assert mremap(task, addr, 2 * PAGE, 4 * PAGE, 0, 0) == addr
    anon(task, BASE + 4 * PAGE, PAGE, m.PROT_READ, m.MAP_FIXED)
    with pytest.raises(e.ENOMEM):
        mremap(task, addr, 4 * PAGE, 8 * PAGE, 0, 0)
    moved = mremap(task, addr, 4 * PAGE, 8 * PAGE, m.MREMAP_MAYMOVE, 0)
    assert moved != addr
    assert guest_read(mm, moved, 4) == b"data"
    with pytest.raises(SegvFault):
        guest_read(mm, addr, 1)
    assert mremap(task, moved, 8 * PAGE, PAGE, 0, 0) == moved
    assert mm.total_vm == 2
    check_host(mm)


def test_mremap_dontunmap_leaves_an_empty_area(task: Task) -> None:
    mm = mm_of(task)
    addr = anon(task, BASE, 2 * PAGE, flags=m.MAP_FIXED)
    guest_write(mm, addr, b"data")
    flags = m.MREMAP_MAYMOVE | m.MREMAP_DONTUNMAP
    moved = mremap(task, addr, 2 * PAGE, 2 * PAGE, flags, 0)
    assert guest_read(mm, moved, 4) == b"data"
    assert guest_read(mm, addr, 4) == bytes(4)
    check_host(mm)


def test_mremap_old_size_zero_maps_shared_memory_twice(task: Task) -> None:
    mm = mm_of(task)
    shared = m.MAP_SHARED | m.MAP_ANONYMOUS
    addr = do_mmap(mm, task, None, 0, 2 * PAGE, RW, shared, 0)
    again = mremap(task, addr, 0, 2 * PAGE, m.MREMAP_MAYMOVE, 0)
    guest_write(mm, addr, b"once")
    assert guest_read(mm, again, 4) == b"once"
    private = anon(task, 0, PAGE)
    with pytest.raises(e.EINVAL):
        mremap(task, private, 0, PAGE, m.MREMAP_MAYMOVE, 0)


@pytest.mark.parametrize(
    ("addr", "old", "new", "flags", "to", "error"),
    [
        (BASE + 1, PAGE, PAGE, 0, 0, e.EINVAL),
        (BASE, PAGE, 0, 0, 0, e.EINVAL),
        (BASE, PAGE, PAGE, 8, 0, e.EINVAL),
        (BASE, PAGE, PAGE, m.MREMAP_FIXED, BASE + 9 * PAGE, e.EINVAL),
        (BASE, 2 * PAGE, 2 * PAGE, m.MREMAP_FIXED | 1, BASE + PAGE, e.EINVAL),
        (BASE, PAGE, 2 * PAGE, m.MREMAP_DONTUNMAP | 1, 0, e.EINVAL),
        (BASE + 50 * PAGE, PAGE, 2 * PAGE, 1, 0, e.EFAULT),
        (BASE, 3 * PAGE, 4 * PAGE, 1, 0, e.EFAULT),
    ],
)
def test_mremap_errors(
    task: Task, addr: int, old: int, new: int, flags: int, to: int, error: type[Exception]
) -> None:
    anon(task, BASE, 2 * PAGE, flags=m.MAP_FIXED)
    with pytest.raises(error):
        mremap(task, addr, old, new, flags, to)


# -- madvise, mincore, msync, mlock


def test_dontneed_zeroes_memory(task: Task) -> None:
    mm = mm_of(task)
    addr = anon(task, BASE, 3 * PAGE, flags=m.MAP_FIXED)
    guest_write(mm, addr, b"x" * 3 * PAGE)
    do_madvise(mm, addr + PAGE, PAGE, m.MADV_DONTNEED)
    check_host(mm)
    assert guest_read(mm, addr + PAGE, 4) == bytes(4)
    assert guest_read(mm, addr, 1) == b"x"


@pytest.mark.parametrize("advice", [m.MADV_MERGEABLE, 77, m.MADV_GUARD_INSTALL, -1])
def test_unknown_advice(task: Task, advice: int) -> None:
    with pytest.raises(e.EINVAL):
        do_madvise(mm_of(task), BASE, PAGE, advice)


def test_advice_on_a_hole_is_enomem_after_the_rest_is_done(task: Task) -> None:
    mm = mm_of(task)
    anon(task, BASE, PAGE, flags=m.MAP_FIXED)
    anon(task, BASE + 2 * PAGE, PAGE, flags=m.MAP_FIXED)
    guest_write(mm, BASE + 2 * PAGE, b"x")
    with pytest.raises(e.ENOMEM):
        do_madvise(mm, BASE, 3 * PAGE, m.MADV_DONTNEED)
    assert guest_read(mm, BASE + 2 * PAGE, 1) == b"\0"


def test_populate_write_and_mincore(task: Task) -> None:
    mm = mm_of(task)
    anon(task, BASE, 8 * PAGE, flags=m.MAP_FIXED)
    vec = anon(task, 0, PAGE)
    mincore(task, BASE, 8 * PAGE, vec)
    assert mm.read(vec, 8) == bytes(8)
    do_madvise(mm, BASE, 4 * PAGE, m.MADV_POPULATE_WRITE)
    mincore(task, BASE, 8 * PAGE, vec)
    assert mm.read(vec, 8) == b"\1\1\1\1\0\0\0\0"
    with pytest.raises(e.ENOMEM):
        mincore(task, BASE, 9 * PAGE, vec)
    with pytest.raises(e.EINVAL):
        mincore(task, BASE + 1, PAGE, vec)


def test_map_populate_leaves_nothing_to_fault(task: Task) -> None:
    mm = mm_of(task)
    anon(task, BASE, 64 * PAGE, flags=m.MAP_FIXED | m.MAP_POPULATE)
    assert mm.rss_anon == 64
    assert len(mm.space.ops) == 1  # type: ignore[attr-defined]
    check_host(mm)


def test_msync_writes_shared_changes_back(task: Task) -> None:
    mm = mm_of(task)
    file = fake_file(task.machine, b"0123456789")
    addr = do_mmap(mm, task, file, 0, PAGE, RW, m.MAP_SHARED, 0)
    guest_write(mm, addr + 2, b"XY")
    mapping: Any = file.f_inode.i_mapping
    assert mapping.dirty == {0}
    msync(task, addr, PAGE, m.MS_SYNC)
    assert bytes(mapping.a_ops.data) == b"01XY456789"
    guest_write(mm, addr + 2, b"Z")  # seen again
    assert mapping.dirty == {0}
    for flags, error in ((8, e.EINVAL), (m.MS_SYNC | m.MS_ASYNC, e.EINVAL)):
        with pytest.raises(error):
            msync(task, addr, PAGE, flags)
    with pytest.raises(e.ENOMEM):
        msync(task, addr, 2 * PAGE, m.MS_SYNC)


def test_mlock_limits(task: Task) -> None:
    mm = mm_of(task)
    unprivileged(task)
    limit(task, RLIMIT_MEMLOCK, 2 * PAGE)
    addr = anon(task, BASE, 4 * PAGE, flags=m.MAP_FIXED)
    mlock(task, addr, 2 * PAGE)
    assert mm.locked_vm == 2
    assert mm.rss_anon >= 2
    mlock(task, addr, PAGE)
    with pytest.raises(e.ENOMEM):
        mlock(task, addr, 3 * PAGE)
    with pytest.raises(e.EAGAIN):
        anon(task, 0, PAGE, flags=m.MAP_LOCKED)
    with pytest.raises(e.EINVAL):
        do_madvise(mm, addr, PAGE, m.MADV_DONTNEED)
    munlock(task, addr, 4 * PAGE)
    assert mm.locked_vm == 0
    limit(task, RLIMIT_MEMLOCK, 0)
    with pytest.raises(e.EPERM):
        mlock(task, addr, PAGE)


def test_mlockall_future(task: Task) -> None:
    mm = mm_of(task)
    mlockall(task, m.MCL_FUTURE)
    anon(task, BASE, 4 * PAGE, flags=m.MAP_FIXED)
    assert mm.locked_vm == 4
    assert mm.rss_anon == 4
    munlockall(task)
    assert mm.locked_vm == 0
    for flags in (0, 8, m.MCL_ONFAULT):
        with pytest.raises(e.EINVAL):
            mlockall(task, flags)


# -- what /proc shows


def test_maps_look_as_on_linux(task: Task) -> None:
    mm = mm_of(task)
    file = fake_file(task.machine, b"x" * 9000)
    inode = file.f_inode
    inode.i_sb.s_dev = 8 << 20 | 1
    inode.i_ino = 1234
    at = 0x5555_5555_4000
    flags = m.MAP_PRIVATE | m.MAP_FIXED
    do_mmap(mm, task, file, at, PAGE, m.PROT_READ, flags, 0)
    do_mmap(mm, task, file, at + PAGE, PAGE, m.PROT_READ | m.PROT_EXEC, flags, 1)
    anon(task, 0x7FFF_7000_0000, PAGE, m.PROT_NONE, m.MAP_FIXED)
    do_mmap(mm, task, None, BASE, PAGE, RW, m.MAP_SHARED | m.MAP_ANONYMOUS | m.MAP_FIXED, 0)
    lines = maps(task)
    assert lines[0].startswith(f"{BASE:08x}-{BASE + PAGE:08x} rw-s 00000000 00:")
    assert lines[0].endswith("/dev/zero (deleted)")
    first = "555555554000-555555555000 r--p 00000000 08:01 1234 "
    assert lines[1] == first.ljust(73) + "/bin/file"
    assert lines[2].startswith("555555555000-555555556000 r-xp 00001000 08:01 1234 ")
    assert lines[3] == "7fff70000000-7fff70001000 ---p 00000000 00:00 0 "


def test_smaps_and_statm_add_up(task: Task) -> None:
    mm = mm_of(task)
    anon(task, BASE, 8 * PAGE, flags=m.MAP_FIXED)
    guest_write(mm, BASE, b"x")
    text = b"".join(show_smaps(mm, lambda file: b"")).decode()
    assert "Size:                 32 kB\n" in text
    assert f"Rss:            {mm.rss * 4:8d} kB\n" in text
    assert "VmFlags: rd wr mr mw me ac \n" in text
    assert "[rollup]\n" in show_smaps_rollup(mm).decode()
    assert statm(mm)[:3] == (8, mm.rss, 0)


def test_everything_is_freed_at_the_end(task: Task) -> None:
    machine = task.machine
    file = fake_file(machine, b"x" * 9000)
    mm = mm_of(task)
    do_mmap(mm, task, file, BASE, 2 * PAGE, RW, m.MAP_PRIVATE | m.MAP_FIXED | m.MAP_POPULATE, 0)
    do_mmap(mm, task, None, 0, 9 * PAGE, RW, m.MAP_SHARED | m.MAP_ANONYMOUS | m.MAP_POPULATE, 0)
    anon(task, 0, 100 * PAGE, flags=m.MAP_POPULATE)
    mmput(mm)
    assert mm.space.destroyed  # type: ignore[attr-defined]
    assert file.f_count == 1
    assert machine.zone.nr_shmem == 0
    assert machine.zone.nr_free == 4095 - machine.zone.nr_file
    assert machine.commit_pages == 0


def test_sealed_memory_cant_be_changed(task: Task) -> None:
    mm = mm_of(task)
    addr = anon(task, BASE, 4 * PAGE, flags=m.MAP_FIXED)
    mseal(task, addr + PAGE, PAGE, 0)
    for call in (
        lambda: do_munmap(mm, addr, 4 * PAGE),
        lambda: do_mprotect(mm, task, addr + PAGE, PAGE, m.PROT_READ),
        lambda: mremap(task, addr + PAGE, PAGE, 2 * PAGE, m.MREMAP_MAYMOVE, 0),
        lambda: anon(task, addr, 4 * PAGE, flags=m.MAP_FIXED),
    ):
        with pytest.raises(e.EPERM):
            call()
    guest_write(mm, addr + PAGE, b"still there")
    do_munmap(mm, addr + 2 * PAGE, 2 * PAGE)
    for start, flags, error in ((addr + 1, 0, e.EINVAL), (addr, 1, e.EINVAL)):
        with pytest.raises(error):
            mseal(task, start, PAGE, flags)
    with pytest.raises(e.ENOMEM):
        mseal(task, addr + PAGE, 4 * PAGE, 0)


def test_remap_file_pages(task: Task) -> None:
    mm = mm_of(task)
    file = fake_file(task.machine, b"".join(bytes([65 + i]) * PAGE for i in range(4)))
    addr = do_mmap(mm, task, file, 0, 4 * PAGE, RW, m.MAP_SHARED, 0)
    remap_file_pages(task, addr, PAGE, 0, 3, 0)
    assert guest_read(mm, addr, 1) == b"D"
    assert guest_read(mm, addr + PAGE, 1) == b"B"
    with pytest.raises(e.EINVAL):
        remap_file_pages(task, addr, PAGE, m.PROT_READ, 0, 0)
