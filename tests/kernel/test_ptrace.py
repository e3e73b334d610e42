# SPDX-License-Identifier: Apache-2.0
"""ptrace(2) without processes: who may attach, and Yama's scope (what no test host has)."""

from __future__ import annotations

import pytest

from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.ptrace import (
    PTRACE_MODE_ATTACH_REALCREDS,
    PTRACE_MODE_READ_REALCREDS,
    PTRACE_SCOPE,
    ptrace_may_access,
    set_ptrace_scope,
    set_ptracer,
)
from pygos.include.linux.sched import Task, TaskState
from tests.support.world import World

TRACEME, CONT, ATTACH, SEIZE, DETACH = 0, 7, 16, 0x4206, 17
ERR_PERM, ERR_SRCH, ERR_IO = -1, -3, -5
SIGSTOP = 19


def may_attach(task: Task, target: Task) -> bool:
    return ptrace_may_access(task, target, PTRACE_MODE_ATTACH_REALCREDS)


def test_the_same_user_may_look_and_attach(world: World) -> None:
    one, two, other = world.process(), world.process(), world.process(uid=4242)
    assert may_attach(one, two)
    assert not may_attach(other, one)
    assert not ptrace_may_access(other, one, PTRACE_MODE_READ_REALCREDS)


def test_an_undumpable_process_is_nobodys_business(world: World) -> None:
    one, two = world.process(uid=1000), world.process(uid=1000)
    assert may_attach(one, two)
    assert two.mm is not None
    two.mm.dumpable = 0
    assert not may_attach(one, two)
    assert may_attach(two, two)


def test_scope_1_lets_ancestors_attach(world: World) -> None:
    parent = world.process(uid=1000)
    child, stranger = world.process(parent, uid=1000), world.process(uid=1000)
    world.machine.sysctl[PTRACE_SCOPE] = 1
    assert may_attach(parent, child)
    assert not may_attach(stranger, child)
    assert not may_attach(child, parent)
    assert ptrace_may_access(stranger, child, PTRACE_MODE_READ_REALCREDS)


def test_pr_set_ptracer_makes_an_exception(world: World) -> None:
    child, stranger = world.process(uid=1000), world.process(uid=1000)
    world.machine.sysctl[PTRACE_SCOPE] = 1
    assert set_ptracer(child, stranger.pid) == 0
    assert may_attach(stranger, child)
    assert set_ptracer(child, 0) == 0
    assert not may_attach(stranger, child)
    assert set_ptracer(child, (1 << 64) - 1) == 0
    assert may_attach(stranger, child)
    with pytest.raises(EINVAL):
        set_ptracer(child, 99999)


def test_scope_2_and_3_refuse_and_3_stays(world: World) -> None:
    root = world.process(uid=0)
    parent = world.process(uid=1000)
    child = world.process(parent, uid=1000)
    with pytest.raises(EPERM):
        set_ptrace_scope(parent, 0)
    set_ptrace_scope(root, 2)
    assert may_attach(root, child)
    assert not may_attach(parent, child)
    assert world.call(child, "ptrace", TRACEME, 0, 0, 0) == ERR_PERM
    set_ptrace_scope(root, 3)
    assert not may_attach(root, child)
    with pytest.raises(EINVAL):
        set_ptrace_scope(root, 1)


def test_attaching_stops_and_detaching_lets_go(world: World) -> None:
    tracer, task = world.process(), world.process()
    assert world.call(tracer, "ptrace", SEIZE, task.pid, 1, 0) == ERR_IO
    assert world.call(tracer, "ptrace", CONT, task.pid, 0, 0) == ERR_SRCH
    assert world.call(tracer, "ptrace", ATTACH, task.pid, 0, 0) == 0
    assert world.call(tracer, "ptrace", ATTACH, task.pid, 0, 0) == ERR_PERM
    assert task.state is TaskState.TRACED
    assert world.call(world.process(), "ptrace", CONT, task.pid, 0, 0) == ERR_SRCH
    assert world.call(tracer, "ptrace", DETACH, task.pid, 0, 0) == 0
    assert task.state is TaskState.RUNNING
    assert task.ptracer is None
    assert not tracer.ptraced
