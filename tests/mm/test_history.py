# SPDX-License-Identifier: Apache-2.0
"""What one program needed of a file is there when the next one maps it."""

from __future__ import annotations

import pytest

from pygos.include.linux.fs import File
from pygos.include.linux.mm_types import PTE_ANON
from pygos.include.linux.platform import Access
from pygos.include.linux.sched import Task
from pygos.include.uapi import mman as m
from pygos.mm.fault import handle_fault
from pygos.mm.history import READ, History, note, recorded
from pygos.mm.mm import Mm, mmput
from pygos.mm.mmap import do_mmap
from tests.support.fakes import check_host, fake_file, fake_machine, fake_task, guest_write

PAGE = 4096
RW = m.PROT_READ | m.PROT_WRITE
AT = 0x5000_0000


def mm_of(task: Task) -> Mm:
    assert task.mm is not None
    return task.mm


def pages(task: Task) -> list[int]:
    return sorted(vpn - (AT >> 12) for vpn in mm_of(task).pt)


def segment(task: Task, file: File, prot: int, count: int, fixed: bool = True) -> None:
    flags = m.MAP_PRIVATE | (m.MAP_FIXED if fixed else 0)
    assert do_mmap(mm_of(task), task, file, AT, count * PAGE, prot, flags, 0) == AT


@pytest.fixture
def tasks() -> tuple[Task, Task, File]:
    machine = fake_machine(8192)
    data = b"".join(bytes([i & 0xFF]) * PAGE for i in range(600))
    return fake_task(machine, 100), fake_task(machine, 101), fake_file(machine, data)


def test_read_windows_are_mapped_at_once(tasks: tuple[Task, Task, File]) -> None:
    first, second, file = tasks
    segment(first, file, m.PROT_READ, 600)
    assert pages(first) == []
    handle_fault(mm_of(first), AT + 130 * PAGE, Access.UNKNOWN)
    segment(second, file, m.PROT_READ, 600)
    assert pages(second) == list(range(128, 192))
    assert mm_of(second).rss_file == 64
    check_host(mm_of(second))


def test_of_a_mapping_that_is_not_fixed_only_the_head(tasks: tuple[Task, Task, File]) -> None:
    first, second, file = tasks
    segment(first, file, m.PROT_READ, 600)
    for page in (0, 130):
        handle_fault(mm_of(first), AT + page * PAGE, Access.UNKNOWN)
    segment(second, file, m.PROT_READ, 600, fixed=False)
    assert pages(second) == list(range(64))


def test_written_pages_of_a_segment_are_private_at_once(tasks: tuple[Task, Task, File]) -> None:
    first, second, file = tasks
    segment(first, file, RW, 600)
    guest_write(mm_of(first), AT + 300 * PAGE, b"mine")
    mm = mm_of(second)
    segment(second, file, RW, 600)
    assert pages(second) == []  # it could be any file
    do_mmap(mm, second, file, AT - PAGE, PAGE, m.PROT_READ, m.MAP_PRIVATE | m.MAP_FIXED, 0)
    segment(second, file, RW, 600)
    assert pages(second) == list(range(296, 304))
    assert all(pte & PTE_ANON for pte in mm.pt.values())
    assert (mm.rss_anon, mm.rss_file) == (8, 0)
    assert mm.read(AT + 300 * PAGE, 4) == bytes([300 & 0xFF]) * 4  # not what the other wrote
    check_host(mm)
    free = mm.zone.nr_free
    mmput(mm)
    assert mm.zone.nr_free == free + 8


def test_nothing_is_read_for_it(tasks: tuple[Task, Task, File]) -> None:
    first, second, file = tasks
    segment(first, file, m.PROT_READ, 600)
    handle_fault(mm_of(first), AT + 130 * PAGE, Access.UNKNOWN)
    mapping = file.f_inode.i_mapping
    assert mapping is not None
    from pygos.mm.filemap import truncate_pagecache

    mmput(mm_of(first))
    truncate_pagecache(mapping, 0)
    segment(second, file, m.PROT_READ, 600)
    assert pages(second) == []


def test_the_record_is_small() -> None:
    history = History()
    for at in range(0, 6000, 8):
        history.note(at, at + 8, 64)
    assert history.runs == [(0, 64 * 8)]
    history.note(0, 20, 64)
    assert history.runs == [(0, 64 * 8)]


def test_runs_are_cut_to_what_is_mapped() -> None:
    mapping = fake_file(fake_machine(64), b"x").f_inode.i_mapping
    assert mapping is not None
    assert recorded(mapping, READ, 0, 100) == []
    note(mapping, READ, 10, 20)
    note(mapping, READ, 40, 50)
    assert recorded(mapping, READ, 15, 45) == [(15, 20), (40, 45)]
    assert recorded(mapping, READ, 20, 40) == []
