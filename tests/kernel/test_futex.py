# SPDX-License-Identifier: Apache-2.0
"""futex(2): waiting, waking, moving, and locks whose owner dies."""

from __future__ import annotations

from struct import pack, unpack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pygos.arch.x86.regs import RIP
from pygos.include.linux.mm_types import VM_READ, VM_SHARED, VM_WRITE, Vma
from pygos.include.linux.sched import Task
from pygos.mm.vma import insert_vma
from tests.support.fakes import fake_file
from tests.support.world import DATA, SEC, World, result, timespec

EPERM, ESRCH, EINTR, EAGAIN, EFAULT, EINVAL, EDEADLK = 1, 3, 4, 11, 14, 22, 35
ENOSYS, ETIMEDOUT = 38, 110
WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP = 0, 1, 3, 4, 5
LOCK_PI, UNLOCK_PI, TRYLOCK_PI, WAIT_BITSET, WAKE_BITSET = 6, 7, 8, 9, 10
PRIVATE, REALTIME = 128, 256
SIGUSR1, SIGKILL = 10, 9
WORD = DATA + 0x2000
ANY = 0xFFFFFFFF
OWNER_DIED, WAITERS = 0x40000000, 0x80000000


def word(world: World, task: Task, addr: int = WORD) -> int:
    return int(unpack("<I", world.get(task, addr, 4))[0])


def poke(task: Task, value: int, addr: int = WORD) -> None:
    assert task.mm is not None
    task.mm.write_u32(addr, value)


def futex(world: World, task: Task, op: int, val: int = 0, *more: int) -> int | None:
    return world.call(task, "futex", WORD, op | PRIVATE, val, *more)


def team(world: World, count: int) -> list[Task]:
    first = world.process()
    return [first, *[world.thread(first) for _ in range(count - 1)]]


def test_wait_returns_at_once_if_the_word_has_changed(world: World) -> None:
    task = world.process()
    poke(task, 5)
    assert futex(world, task, WAIT, 4) == -EAGAIN


def test_wake_wakes_in_order_of_arrival(world: World) -> None:
    waker, *waiters = team(world, 5)
    for task in waiters:
        assert futex(world, task, WAIT, 0) is None
    assert futex(world, waker, WAKE, 2) == 2
    assert [result(task) for task in waiters] == [0, 0, None, None]
    assert futex(world, waker, WAKE, 100) == 2
    assert futex(world, waker, WAKE, 1) == 0
    assert world.machine.futexes == {}


def test_different_processes_do_not_meet_on_private_words(world: World) -> None:
    one, other = world.process(), world.process()
    assert futex(world, one, WAIT, 0) is None
    assert futex(world, other, WAKE, 1) == 0


def test_shared_file_mappings_meet(world: World) -> None:
    one, other = world.process(), world.process()
    file = fake_file(world.machine, None, 8192)
    for task, start in ((one, 0x700000), (other, 0x900000)):
        assert task.mm is not None
        vma = Vma(task.mm, start, start + 8192, VM_READ | VM_WRITE | VM_SHARED)
        vma.file, vma.mapping = file, file.f_inode.i_mapping
        file.f_count += 1
        insert_vma(task.mm, vma)
    assert world.call(one, "futex", 0x701010, WAIT, 0, 0) is None
    assert world.call(other, "futex", 0x900010, WAKE, 1) == 0
    assert world.call(other, "futex", 0x901010, WAKE, 1) == 1
    assert result(one) == 0


def test_timeouts(world: World) -> None:
    task = world.process()
    rel = world.put(task, timespec(2))
    assert futex(world, task, WAIT, 0, rel) is None
    world.advance(2 * SEC - 1)
    assert result(task) is None
    world.advance(1)
    assert result(task) == -ETIMEDOUT
    mono = world.put(task, timespec(world.clock.mono // SEC + 1))
    assert futex(world, task, WAIT_BITSET, 0, mono, 0, ANY) is None
    world.advance(SEC)
    assert result(task) == -ETIMEDOUT
    real = world.put(task, timespec(world.clock.realtime() // SEC + 1))
    assert futex(world, task, WAIT_BITSET | REALTIME, 0, real, 0, ANY) is None
    world.advance(SEC)
    assert result(task) == -ETIMEDOUT
    assert world.machine.futexes == {}
    bad = world.put(task, timespec(0, SEC))
    assert futex(world, task, WAIT, 0, bad) == -EINVAL


def test_a_signal_ends_the_wait(world: World) -> None:
    task = world.process()
    world.catch(task, SIGUSR1)
    assert futex(world, task, WAIT, 0) is None
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    world.sigreturn(task)
    assert result(task) == -EINTR
    assert world.machine.futexes == {}


def test_a_stop_in_between_keeps_the_deadline(world: World) -> None:
    task = world.process()
    rip = task.regs[RIP]
    assert futex(world, task, WAIT, 0, world.put(task, timespec(5))) is None
    world.advance(3 * SEC)
    world.call(world.process(), "kill", task.pid, 19)
    world.call(world.process(), "kill", task.pid, 18)
    assert task.regs[RIP] == rip
    assert world.redo(task) is None
    world.advance(2 * SEC)
    assert result(task) == -ETIMEDOUT


def test_bitsets_choose(world: World) -> None:
    waker, a, b = team(world, 3)
    assert futex(world, a, WAIT_BITSET, 0, 0, 0, 1) is None
    assert futex(world, b, WAIT_BITSET, 0, 0, 0, 2) is None
    assert futex(world, waker, WAKE_BITSET, 10, 0, 0, 2) == 1
    assert (result(a), result(b)) == (None, 0)
    assert futex(world, waker, WAKE_BITSET, 10, 0, 0, 0) == -EINVAL
    assert futex(world, waker, WAIT_BITSET, 0, 0, 0, 0) == -EINVAL


def test_requeue_moves_waiters(world: World) -> None:
    waker, *waiters = team(world, 5)
    for task in waiters:
        assert futex(world, task, WAIT, 0) is None
    target = WORD + 64
    assert futex(world, waker, CMP_REQUEUE, 1, 2, target, 1) == -EAGAIN
    assert futex(world, waker, CMP_REQUEUE, 1, 2, target, 0) == 3
    assert [result(task) for task in waiters] == [0, None, None, None]
    assert world.call(waker, "futex", target, WAKE | PRIVATE, 9) == 2
    assert futex(world, waker, WAKE, 9) == 1
    assert futex(world, waker, REQUEUE, 0, -1, target) == -EINVAL


@pytest.mark.parametrize(
    ("op", "old", "arg", "new"),
    [(0, 7, 3, 3), (1, 7, 3, 10), (2, 4, 3, 7), (3, 7, 2, 5), (4, 7, 2, 5), (1, 0, 0xFFF, ANY)],
)
def test_wake_op_changes_the_second_word(
    world: World, op: int, old: int, arg: int, new: int
) -> None:
    waker, a, b = team(world, 3)
    second = WORD + 64
    assert futex(world, a, WAIT, 0) is None
    assert world.call(b, "futex", second, WAIT | PRIVATE, 0, 0) is None
    poke(waker, old, second)
    encoded = op << 28 | 0 << 24 | arg << 12 | old
    assert futex(world, waker, WAKE_OP, 1, 1, second, encoded) == 2
    assert word(world, waker, second) == new
    assert (result(a), result(b)) == (0, 0)


def test_wake_op_compares_the_old_value(world: World) -> None:
    waker, b = team(world, 2)
    second = WORD + 64
    assert world.call(b, "futex", second, WAIT | PRIVATE, 0, 0) is None
    assert futex(world, waker, WAKE_OP, 1, 1, second, 0 << 28 | 5 << 24 | 1 << 12 | 0xFFF) == 1
    assert world.call(b, "futex", second, WAIT | PRIVATE, 1, 0) is None
    assert futex(world, waker, WAKE_OP, 1, 1, second, 0 << 28 | 0 << 24 | 2 << 12 | 9) == 0
    assert futex(world, waker, WAKE_OP, 1, 1, second, 7 << 28) == -ENOSYS


def test_bad_calls(world: World) -> None:
    task = world.process()
    assert world.call(task, "futex", WORD + 1, WAIT, 0, 0) == -EINVAL
    assert world.call(task, "futex", 0x10, WAKE, 1) == -EFAULT
    assert world.call(task, "futex", 0x10, WAIT, 0, 0) == -EFAULT
    assert futex(world, task, 77) == -ENOSYS
    assert futex(world, task, WAIT | REALTIME) == -ENOSYS
    assert futex(world, task, 14) == -ENOSYS


# -- priority inheriting locks


def test_pi_lock_is_handed_over(world: World) -> None:
    a, b, c = team(world, 3)
    assert futex(world, a, LOCK_PI) == 0
    assert word(world, a) == a.pid
    assert futex(world, a, LOCK_PI) == -EDEADLK
    assert futex(world, b, TRYLOCK_PI) == -EAGAIN
    assert futex(world, b, LOCK_PI) is None
    assert futex(world, c, LOCK_PI) is None
    assert word(world, a) == a.pid | WAITERS
    # An unrelated wake-up doesn't give the lock away.
    assert futex(world, a, WAKE, 9) == -EINVAL
    assert futex(world, a, UNLOCK_PI) == 0
    assert (result(b), result(c)) == (0, None)
    assert word(world, a) == b.pid | WAITERS
    assert futex(world, a, UNLOCK_PI) == -EPERM
    assert futex(world, b, UNLOCK_PI) == 0
    assert word(world, a) == c.pid | WAITERS
    assert futex(world, c, UNLOCK_PI) == 0
    assert word(world, a) == 0


def test_pi_lock_times_out_on_the_wall_clock(world: World) -> None:
    a, b = team(world, 2)
    assert futex(world, a, LOCK_PI) == 0
    when = world.put(a, timespec(world.clock.realtime() // SEC + 3))
    assert futex(world, b, LOCK_PI, 0, when) is None
    world.advance(3 * SEC)
    assert result(b) == -ETIMEDOUT


def test_pi_lock_of_a_thread_that_is_gone(world: World) -> None:
    task = world.process()
    poke(task, 4000)
    assert futex(world, task, LOCK_PI) == -ESRCH


def test_pi_lock_of_a_dying_owner_passes_on(world: World) -> None:
    a, b = team(world, 2)
    assert futex(world, b, LOCK_PI) == 0
    assert futex(world, a, LOCK_PI) is None
    world.call(b, "exit", 0)
    assert result(a) == 0
    assert word(world, a) == a.pid | OWNER_DIED | WAITERS


# -- the end of threads


def test_exit_clears_and_wakes_clear_child_tid(world: World) -> None:
    task, thread = team(world, 2)
    poke(task, thread.pid)
    assert world.call(thread, "set_tid_address", WORD) == thread.pid
    assert world.call(task, "futex", WORD, WAIT, thread.pid, 0) is None
    world.call(thread, "exit", 0)
    assert result(task) == 0
    assert word(world, task) == 0


def robust(world: World, task: Task, entries: list[int], pending: int = 0) -> None:
    """A robust list in memory: the lock words lie 16 bytes after their list entries."""
    head = DATA + 0x3000
    chain = [*entries, head]
    assert task.mm is not None
    task.mm.write(head, pack("<QqQ", chain[0], 16, pending))
    for entry, following in zip(entries, chain[1:], strict=True):
        task.mm.write(entry, pack("<Q", following))
    assert world.call(task, "set_robust_list", head, 24) == 0


def test_robust_locks_are_marked_and_passed_on(world: World) -> None:
    task, thread = team(world, 2)
    mine, others, entry = WORD + 16, WORD + 64 + 16, WORD
    robust(world, thread, [entry, WORD + 64])
    poke(task, thread.pid | WAITERS, mine)
    poke(task, task.pid, others)
    assert world.call(task, "futex", mine, WAIT, thread.pid | WAITERS, 0) is None
    world.call(thread, "exit", 0)
    assert result(task) == 0
    assert word(world, task, mine) == OWNER_DIED | WAITERS
    assert word(world, task, others) == task.pid


def test_a_robust_list_that_is_a_circle_or_garbage_ends(world: World) -> None:
    for first in (WORD, 0x10, (1 << 64) - 8):
        task, thread = team(world, 2)
        assert task.mm is not None
        task.mm.write(WORD, pack("<Q", WORD))
        task.mm.write(DATA + 0x3000, pack("<QqQ", first, 1 << 62, 0))
        assert world.call(thread, "set_robust_list", DATA + 0x3000, 24) == 0
        world.call(thread, "exit", 0)
        assert not thread.alive
        assert world.machine.oops_count == 0


def test_get_robust_list(world: World) -> None:
    root, user, other = world.process(), world.process(uid=1), world.process(uid=2)
    robust(world, user, [])
    out = DATA + 0x4000
    assert world.call(root, "get_robust_list", user.pid, out, out + 8) == 0
    assert unpack("<QQ", world.get(root, out, 16)) == (DATA + 0x3000, 24)
    assert world.call(other, "get_robust_list", user.pid, out, out + 8) == -EPERM
    assert world.call(other, "get_robust_list", 9999, out, out + 8) == -ESRCH
    assert world.call(other, "set_robust_list", 0, 25) == -EINVAL


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 4)), max_size=30))
def test_no_waiter_is_lost(steps: list[tuple[int, int, int]]) -> None:
    """Whatever is woken, moved and timed out: a waiter is queued or has its result."""
    world = World()
    waker, *waiters = team(world, 5)
    words = [WORD, WORD + 64, WORD + 128]
    timeout = world.put(waker, timespec(1))
    for step, which, count in steps:
        addr = words[which]
        if step == 0:
            free = next((task for task in waiters if task.on_cpu), None)
            if free is not None:
                world.call(free, "futex", addr, WAIT | PRIVATE, 0, timeout)
        elif step == 1:
            world.call(waker, "futex", addr, WAKE | PRIVATE, count)
        elif step == 2:
            other = words[(which + 1) % 3]
            world.call(waker, "futex", addr, REQUEUE | PRIVATE, count, count, other)
        else:
            world.advance(count * SEC // 2)
    queued = {q.task for queue in (world.machine.futexes or {}).values() for q in queue}
    assert queued == {task for task in waiters if not task.on_cpu}
    world.advance(2 * SEC)
    assert not world.machine.futexes
    assert all(task.on_cpu for task in waiters)
