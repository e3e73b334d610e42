# SPDX-License-Identifier: Apache-2.0
"""What a fault serves along, and what it must not."""

from __future__ import annotations

import pytest

from pygos.include.linux.mm_types import PTE_ANON
from pygos.include.linux.platform import Access
from pygos.include.linux.sched import Task
from pygos.include.uapi import mman as m
from pygos.mm.fault import handle_fault
from pygos.mm.mm import Mm, mmput
from pygos.mm.mmap import brk, do_mmap, munmap
from tests.support.fakes import check_host, fake_file, fake_machine, fake_task

PAGE = 4096
RW = m.PROT_READ | m.PROT_WRITE
AT = 0x5000_0000


@pytest.fixture
def task() -> Task:
    return fake_task(fake_machine(8192))


def mm_of(task: Task) -> Mm:
    assert task.mm is not None
    return task.mm


def anon(task: Task, pages: int, kind: int = m.MAP_PRIVATE, fixed: int = m.MAP_FIXED) -> int:
    flags = m.MAP_ANONYMOUS | kind | fixed
    return do_mmap(mm_of(task), task, None, AT, pages * PAGE, RW, flags, 0)


def touch(task: Task, page: int) -> list[int]:
    handle_fault(mm_of(task), AT + page * PAGE, Access.WRITE)
    check_host(mm_of(task))
    return sorted(vpn - (AT >> 12) for vpn in mm_of(task).pt)


def test_small_areas_as_a_whole(task: Task) -> None:
    anon(task, 33)  # a new heap
    assert touch(task, 0) == list(range(33))


def test_what_is_used_upwards_gets_more(task: Task) -> None:
    anon(task, 2000)
    sizes = []
    page = 0
    while page < 1500:
        page = touch(task, page)[-1] + 1
        sizes.append(page)
    assert sizes[:4] == [16, 80, 144, 208]
    assert sizes[-1] - sizes[-2] == 256
    pfns = [pte >> 12 for _, pte in sorted(mm_of(task).pt.items())]
    assert pfns == list(range(pfns[0], pfns[0] + len(pfns)))  # one mapping of the host's


def test_shared_anonymous_memory_as_well(task: Task) -> None:
    anon(task, 200, m.MAP_SHARED)
    assert touch(task, 100) == list(range(96, 112))
    assert touch(task, 112)[-1] == 175
    mm = mm_of(task)
    assert mm.rss_shmem == 80
    assert not any(pte & PTE_ANON for pte in mm.pt.values())
    zone = mm.zone
    free = zone.nr_free
    mmput(mm)
    assert zone.nr_free == free + 80
    assert zone.nr_shmem == 0


def test_holes_of_a_file_stay_holes(task: Task) -> None:
    file = fake_file(task.machine, None, 200 * PAGE)
    mapping = file.f_inode.i_mapping
    assert mapping is not None
    do_mmap(mm_of(task), task, file, AT, 200 * PAGE, RW, m.MAP_SHARED | m.MAP_FIXED, 0)
    assert touch(task, 100) == [100]
    assert touch(task, 101) == [100, 101]
    assert sorted(mapping.pages) == [100, 101]


def test_a_linker_has_its_memory_at_once_and_nobody_else(task: Task) -> None:
    mm = mm_of(task)
    mm.linking = True
    anon(task, 2, fixed=0)
    assert len(mm.pt) == 2
    anon(task, 5, fixed=0)  # too large for that
    assert len(mm.pt) == 2
    munmap(task, AT, 2 * PAGE)
    before = len(mm.pt)
    anon(task, 2, fixed=0)
    assert len(mm.pt) == before


def test_a_heap_ends_linking(task: Task) -> None:
    mm = mm_of(task)
    mm.start_brk = mm.brk = 0x1000_0000
    mm.linking = True
    brk(task, 0)
    assert mm.linking
    brk(task, mm.start_brk + PAGE)
    assert not mm.linking
