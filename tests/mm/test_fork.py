# SPDX-License-Identifier: Apache-2.0
"""fork's copy of memory, and running out of memory."""

from __future__ import annotations

from typing import Any

import pytest

from pygos.include import errno as e
from pygos.include.linux.platform import Access
from pygos.include.linux.sched import Task, TaskState
from pygos.include.uapi import mman as m
from pygos.mm.fault import handle_fault
from pygos.mm.fork import dup_mm
from pygos.mm.madvise import do_madvise
from pygos.mm.mm import Mm, mmput
from pygos.mm.mmap import do_mmap
from pygos.mm.oom import OutOfMemory, oom_badness, out_of_memory
from tests.support.fakes import (
    check_host,
    fake_file,
    fake_machine,
    fake_task,
    guest_read,
    guest_write,
)

PAGE = 4096
RW = m.PROT_READ | m.PROT_WRITE
ANON = m.MAP_PRIVATE | m.MAP_ANONYMOUS
CPU: Any = None


@pytest.fixture
def task() -> Task:
    return fake_task(fake_machine(8192))


def mm_of(task: Task) -> Mm:
    assert task.mm is not None
    return task.mm


def anon(task: Task, size: int, flags: int = ANON) -> int:
    return do_mmap(mm_of(task), task, None, 0, size, RW, flags, 0)


@pytest.mark.parametrize("pages", [40, 1500])  # copied at once; copied at the first write
def test_parent_and_child_see_their_own_writes(task: Task, pages: int) -> None:
    mm = mm_of(task)
    addr = anon(task, pages * PAGE)
    data = b"".join(i.to_bytes(4, "little") * 1024 for i in range(pages))
    guest_write(mm, addr, data)
    child = dup_mm(mm, CPU)
    assert guest_read(child, addr, len(data)) == data
    for i in range(0, pages, 7):
        guest_write(mm, addr + i * PAGE, b"parent")
        guest_write(child, addr + i * PAGE + 100, b"child")
    check_host(mm)
    check_host(child)
    assert guest_read(mm, addr + 7 * PAGE + 100, 5) == data[7 * PAGE + 100 :][:5]
    assert guest_read(child, addr + 7 * PAGE, 6) == data[7 * PAGE :][:6]
    mmput(child)
    guest_write(mm, addr, data)
    check_host(mm)
    mmput(mm)
    assert task.machine.zone.nr_free == 8191


def test_a_small_fork_needs_no_faults_afterwards(task: Task) -> None:
    mm = mm_of(task)
    addr = anon(task, 40 * PAGE)
    guest_write(mm, addr, b"x" * 40 * PAGE)
    child = dup_mm(mm, CPU)
    for space in (mm.space, child.space):
        host: Any = space.host  # type: ignore[attr-defined]
        assert all(prot & 2 for _, prot in host.values())
    check_host(child)


def test_grandchildren(task: Task) -> None:
    mm = mm_of(task)
    addr = anon(task, 2000 * PAGE)
    guest_write(mm, addr, b"old" * 1000)
    line = [mm]
    for i in range(5):
        line.append(dup_mm(line[-1], CPU))
        guest_write(line[-1], addr + i * PAGE, b"gen%d" % i)
    for i, one in enumerate(line):
        check_host(one)
        assert guest_read(one, addr + 5 * PAGE, 1) == b"\0"
        for j in range(5):
            seen = guest_read(one, addr + j * PAGE, 4)
            assert (seen == b"gen%d" % j) == (j < i)
    for one in line:
        mmput(one)
    assert task.machine.zone.nr_free == 8191


@pytest.mark.parametrize("pages", [4, 1200])
def test_dontfork_and_wipeonfork(task: Task, pages: int) -> None:
    mm = mm_of(task)
    kept, gone, wiped = (anon(task, pages * PAGE) for _ in range(3))
    for addr in (kept, gone, wiped):
        guest_write(mm, addr, b"x" * pages * PAGE)
    do_madvise(mm, gone, pages * PAGE, m.MADV_DONTFORK)
    do_madvise(mm, wiped, pages * PAGE, m.MADV_WIPEONFORK)
    child = dup_mm(mm, CPU)
    check_host(child)
    assert child.rss_anon == pages
    assert guest_read(child, wiped, 3) == bytes(3)
    assert guest_read(child, kept, 3) == b"xxx"
    with pytest.raises(e.EFAULT):
        child.read(gone, 1)
    assert guest_read(mm, gone, 3) == b"xxx"
    mmput(child)
    mmput(mm)
    assert task.machine.zone.nr_free == 8191


def test_shared_memory_stays_shared(task: Task) -> None:
    mm = mm_of(task)
    addr = anon(task, 4 * PAGE, m.MAP_SHARED | m.MAP_ANONYMOUS)
    child = dup_mm(mm, CPU)
    guest_write(child, addr + PAGE, b"from the child")
    assert guest_read(mm, addr + PAGE, 14) == b"from the child"
    mmput(mm)
    assert guest_read(child, addr + PAGE, 4) == b"from"
    mmput(child)
    assert task.machine.zone.nr_free == 8191
    assert task.machine.zone.nr_shmem == 0


def test_locks_are_not_inherited(task: Task) -> None:
    anon(task, 4 * PAGE, ANON | m.MAP_LOCKED)
    child = dup_mm(mm_of(task), CPU)
    assert mm_of(task).locked_vm == 4
    assert child.locked_vm == 0


def test_strict_overcommit_refuses_the_fork(task: Task) -> None:
    machine = task.machine
    anon(task, 3000 * PAGE)
    machine.sysctl["vm.overcommit_memory"] = 2
    before = machine.commit_pages
    with pytest.raises(e.ENOMEM):
        dup_mm(mm_of(task), CPU)
    assert machine.commit_pages == before


def test_file_references_are_counted(task: Task) -> None:
    file = fake_file(task.machine, b"x" * 100)
    do_mmap(mm_of(task), task, file, 0, PAGE, RW, m.MAP_PRIVATE, 0)
    child = dup_mm(mm_of(task), CPU)
    assert file.f_count == 3
    mmput(child)
    mmput(mm_of(task))
    assert file.f_count == 1


# -- running out


def fill(task: Task, pages: int) -> None:
    addr = anon(task, pages * PAGE)
    for i in range(pages):
        handle_fault(mm_of(task), addr + i * PAGE, Access.UNKNOWN)


def test_the_largest_process_is_killed_and_its_memory_taken(task: Task) -> None:
    machine = task.machine
    big = fake_task(machine, 101)
    big.state = TaskState.INTERRUPTIBLE
    fill(big, 6000)
    fill(task, 3000)
    assert big.pending.mask == 1 << 8
    assert big.notify
    assert big in machine.sched.woken  # type: ignore[attr-defined]
    assert mm_of(big).rss_anon == 0
    assert task.pending.mask == 0
    assert mm_of(task).rss_anon >= 3000
    lines: Any = machine.printk
    assert any("Out of memory: Killed process 101" in line for line in lines.lines)
    handle_fault(mm_of(big), mm_of(big).vmas[0].start, Access.UNKNOWN)
    assert mm_of(big).rss_anon == 0  # the dead get nothing more


def test_who_asks_too_much_is_killed_itself(task: Task) -> None:
    other = fake_task(task.machine, 101)
    fill(other, 10)
    with pytest.raises(OutOfMemory):
        fill(task, 8191)
    assert task.pending.mask == 1 << 8
    assert other.pending.mask == 0
    mmput(mm_of(task))
    assert task.machine.zone.nr_free >= 8191 - mm_of(other).rss_anon


def test_oom_score_adj(task: Task) -> None:
    machine = task.machine
    other = fake_task(machine, 101)
    fill(task, 100)
    fill(other, 50)
    assert oom_badness(task, 8192) > oom_badness(other, 8192)
    task.group.oom_score_adj = -1000
    assert oom_badness(task, 8192) == 0
    other.group.oom_score_adj = -1000
    assert not out_of_memory(machine)
    task.group.oom_score_adj = 0
    init = fake_task(machine, 1)
    fill(init, 500)
    out_of_memory(machine)
    assert init.pending.mask == 0
    assert task.pending.mask == 1 << 8
