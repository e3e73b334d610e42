# SPDX-License-Identifier: Apache-2.0
"""seccomp without processes: which answer of a chain counts, what is remembered, who holds what."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pygos.arch.x86.regs import ORIG_RAX, RDI
from pygos.kernel import seccomp
from pygos.kernel.entry_work import SYSCALL_WORK_SECCOMP
from pygos.kernel.seccomp import Seccomp, SeccompFilter, always_allows, run_filters
from tests.support.world import World

ACTIONS = [
    0x80000000, 0, 0x30005, 0x50016, 0x5000D, 0x7FC00000, 0x7FF00007, 0x7FFC0000, 0x7FFF0000,
]  # fmt: skip
GETPID, GETPPID = 39, 110


def ret(action: int) -> bytes:
    return pack("<HBBI", 6, 0, 0, action)


def on(nr: int, action: int, otherwise: int = 0x7FFF0000) -> bytes:
    """A program: `action` for one call."""
    load = pack("<HBBI", 0x20, 0, 0, 0)
    return load + pack("<HBBI", 0x15, 0, 1, nr) + ret(action) + ret(otherwise)


def on_argument(value: int, action: int) -> bytes:
    """A program: `action` if the first argument's low half is `value`."""
    load = pack("<HBBI", 0x20, 0, 0, 16)
    return load + pack("<HBBI", 0x15, 0, 1, value) + ret(action) + ret(0x7FFF0000)


def chain(programs: list[bytes]) -> SeccompFilter:
    """The newest of filters attached in this order."""
    head = None
    for prog in programs:
        head = SeccompFilter(prog, head)
    assert head is not None
    return head


@pytest.fixture(scope="module")
def world() -> World:
    return World()


#: The process that the properties are tried with.
_TASK = World().process()


def signed(action: int) -> int:
    return ((action & 0xFFFF0000) ^ 0x80000000) - 0x80000000


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=5), st.integers(0, 20))
def test_the_most_severe_action_counts_and_of_equals_the_newest(
    actions: list[int], times: int
) -> None:
    task = _TASK
    head = chain([ret(action) for action in actions])
    for _ in range(times):  # interpreted first, translated later
        run_filters(task, head, GETPID)
    result, match = run_filters(task, head, GETPID)
    severest = min(signed(action) for action in actions)
    assert result == next(a for a in reversed(actions) if signed(a) == severest)
    assert (match is None) == (severest == signed(0x7FFF0000))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(on, st.sampled_from((GETPID, GETPPID)), st.sampled_from(ACTIONS))
        | st.builds(on_argument, st.integers(0, 3), st.sampled_from(ACTIONS)),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 3),
)
def test_what_is_remembered_is_true_for_all_arguments(programs: list[bytes], value: int) -> None:
    task = _TASK
    task.regs[ORIG_RAX], task.regs[RDI] = GETPID, value
    remembered = always_allows(chain(programs), GETPID)
    fresh = chain(programs)
    fresh.depends.add(GETPID)  # asks the programs
    result, _ = run_filters(task, fresh, GETPID)
    if remembered:
        assert result == seccomp.ALLOW


def attach(world: World, task: object, prog: bytes, flags: int = 0) -> int | None:
    place = world.put(task, prog, 0x100)  # type: ignore[arg-type]
    fprog = world.put(task, pack("<HxxxxxxQ", len(prog) // 8, place))  # type: ignore[arg-type]
    return world.call(task, "seccomp", 1, flags, fprog)  # type: ignore[arg-type]


def test_filters_are_held_by_their_tasks(world: World) -> None:
    task = world.process()
    task.no_new_privs = True
    assert attach(world, task, on(GETPPID, 0x50000 | 18)) == 0
    assert task.syscall_work & SYSCALL_WORK_SECCOMP
    first = task.seccomp.filter
    assert attach(world, task, on(GETPID, 0x50000 | 16)) == 0
    assert (first.users, task.seccomp.filter.users, task.seccomp.count) == (1, 1, 2)
    assert world.call(task, "getppid") == -18
    assert world.call(task, "getpid") == -16
    assert world.call(task, "gettid") == task.pid
    assert 186 in task.seccomp.filter.always
    second = task.seccomp.filter
    world.call(task, "exit_group", 0)
    assert (first.users, second.users) == (0, 0)


def test_errors_of_privilege_and_order(world: World) -> None:
    user = world.process(uid=1000)
    assert attach(world, user, on(GETPPID, 0)) == -13
    user.no_new_privs = True
    assert attach(world, user, b"") == -22
    assert attach(world, user, ret(0x7FFF0000), 0x40) == -22
    assert attach(world, user, ret(0x7FFF0000)) == 0
    assert world.call(user, "seccomp", 0, 0, 0) == -22  # no strict mode after filters


def test_the_log_is_limited(world: World) -> None:
    task = world.process()
    task.seccomp = Seccomp(2, SeccompFilter(ret(0x7FFC0000), None), 1)
    before = world.machine.printk.text().count("type=1326")  # type: ignore[attr-defined]
    for _ in range(30):
        task.regs[ORIG_RAX] = GETPID
        assert seccomp.secure_computing(task) is None
    after = world.machine.printk.text().count("type=1326")  # type: ignore[attr-defined]
    assert after - before == 10
