# SPDX-License-Identifier: Apache-2.0
"""Process numbers: given in order, never twice, free again when nobody has them."""

from __future__ import annotations

import pytest

from pygos.include.errno import EAGAIN
from pygos.include.linux.machine import Machine
from pygos.include.linux.sched import PidTable, SignalStruct, Task
from pygos.kernel.pid import (
    alloc_pid,
    attach_pid,
    change_pgrp,
    change_session,
    detach_pid,
    find_group,
    find_task,
)


def process(table: PidTable, pid: int, pgrp: int = 0, session: int = 0) -> Task:
    """A process with one thread."""
    task = Task(Machine(), pid)
    task.group = SignalStruct(pid)
    task.group.leader = task
    task.group.pgrp, task.group.session = pgrp or pid, session or pid
    attach_pid(table, task)
    return task


def thread(table: PidTable, leader: Task, pid: int) -> Task:
    """Another thread of a process."""
    task = Task(leader.machine, pid)
    task.group = leader.group
    attach_pid(table, task)
    return task


def test_numbers_go_up() -> None:
    table = PidTable()
    assert [alloc_pid(table) for _ in range(3)] == [1, 2, 3]


def test_a_number_is_not_given_again_at_once() -> None:
    table = PidTable()
    task = process(table, alloc_pid(table))
    detach_pid(table, task)
    assert alloc_pid(table) == 2


def test_numbers_begin_again_at_300() -> None:
    table = PidTable(last=32766)
    assert alloc_pid(table) == 32767
    assert alloc_pid(table) == 300


def test_numbers_in_use_are_left_out() -> None:
    table = PidTable(last=9)
    process(table, 10, pgrp=11, session=12)
    assert alloc_pid(table) == 13, "groups and sessions keep their numbers too"


def test_when_all_are_taken() -> None:
    table = PidTable(max=4)
    for _ in range(3):
        process(table, alloc_pid(table))
    with pytest.raises(EAGAIN):
        alloc_pid(table)
    detach_pid(table, table.tasks[2])
    assert alloc_pid(table) == 2


def test_finding() -> None:
    table = PidTable()
    leader = process(table, 5)
    other = thread(table, leader, 6)
    assert find_task(table, 6) is other
    assert find_group(table, 5) is leader
    assert find_group(table, 6) is None, "a thread is no process"
    assert find_task(table, 7) is find_group(table, 7) is None


def test_groups_and_sessions_list_their_leaders() -> None:
    table = PidTable()
    shell = process(table, 5)
    child = process(table, 6, pgrp=5, session=5)
    thread(table, child, 7)
    assert list(table.pgrps[5]) == list(table.sessions[5]) == [shell, child]
    change_pgrp(table, child, 6)
    assert list(table.pgrps[5]) == [shell]
    assert list(table.pgrps[6]) == [child]
    assert child.group.pgrp == 6
    change_session(table, child, 6)
    assert list(table.sessions[5]) == [shell]


def test_an_empty_group_is_gone() -> None:
    table = PidTable()
    child = process(table, 6, pgrp=5, session=4)
    detach_pid(table, child)
    assert table.pgrps == table.sessions == table.tasks == {}


def test_reaping_a_thread_leaves_its_process() -> None:
    table = PidTable()
    leader = process(table, 5)
    detach_pid(table, thread(table, leader, 6))
    assert find_group(table, 5) is leader
    assert list(table.pgrps[5]) == [leader]


def test_reaping_does_not_free_a_number_taken_over() -> None:
    """execve(2) by another thread gives it the leader's number."""
    table = PidTable()
    old = process(table, 5)
    new = process(table, 5)
    detach_pid(table, old)
    assert find_task(table, 5) is new
