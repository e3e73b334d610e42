# SPDX-License-Identifier: Apache-2.0
"""One trap in, one answer out: results, errors, sleeping, restarting, oopses."""

from __future__ import annotations

from typing import Any

import pytest

from pygos.arch.x86.regs import ORIG_RAX, RAX, RDI, RIP
from pygos.include.errno import (
    EAGAIN,
    ENOSYS,
    ERESTART_RESTARTBLOCK,
    ERESTARTNOHAND,
    ERESTARTNOINTR,
    ERESTARTSYS,
    Restart,
)
from pygos.include.linux.platform import Access, Trap, TrapKind
from pygos.include.linux.sched import SigAction, SigInfo, Task, TaskState
from pygos.include.linux.syscalls import Int, Long, UserOut, syscall
from pygos.include.linux.timer import TimerQueue
from pygos.include.linux.wait import WaitQueue, wait_killable, wait_on
from pygos.kernel.entry import continue_syscall, do_syscall, handle_trap
from pygos.kernel.entry_work import SYSCALL_WORK_TRACE
from pygos.kernel.signal import send_sig_info
from tests.kernel.guest import M64, Guest
from tests.support.fakes import FakeSched

SYSCALL = Trap(TrapKind.SYSCALL)
NR = 5


class WakingSched(FakeSched):
    """As the scheduler does it: a woken task leaves its queues and becomes runnable."""

    def wake_up(self, task: Task) -> None:
        super().wake_up(task)
        for queue in task.waiting:
            queue.remove(task)
        task.waiting = ()
        task.wait_deadline = None
        if task.wait_timer is not None:
            task.wait_timer.cancel()
            task.wait_timer = None
        task.state = TaskState.RUNNING

    kick = forget = wake_up


class EntryGuest(Guest):
    """A guest in a machine that can sleep and be woken."""

    def __init__(self) -> None:
        super().__init__()
        self.machine.sched = WakingSched()
        self.machine.timers = TimerQueue()

    def make(self, handler: Any, *args: int) -> bool:
        """Trap with a call to `handler`; True if the task may go back to user mode."""
        self.install(NR, handler)
        self.set_call(NR, *args)
        return handle_trap(self.task, SYSCALL)

    @property
    def rax(self) -> int:
        """The result as C sees it."""
        value = self.task.regs[RAX]
        return value - (1 << 64) if value >> 63 else value


@pytest.fixture
def guest() -> EntryGuest:
    return EntryGuest()


# -- results


@syscall
def answer(task: Task, value: Long) -> int:
    """The argument."""
    return value


@syscall
def nothing(task: Task) -> None:
    """No result."""


@syscall
def fails(task: Task) -> int:
    """An error."""
    raise EAGAIN


def test_a_result_is_stored(guest: EntryGuest) -> None:
    assert guest.make(answer, 42)
    assert guest.rax == 42
    assert guest.task.regs[ORIG_RAX] == M64, "no system call is going on any more"
    assert guest.task.regs[RIP] == 0x401002


def test_a_negative_result_and_none(guest: EntryGuest) -> None:
    assert guest.make(answer, -7)
    assert guest.rax == -7
    assert guest.make(nothing)
    assert guest.rax == 0


def test_an_error_becomes_its_negative_number(guest: EntryGuest) -> None:
    assert guest.make(fails)
    assert guest.rax == -11


def test_errors_of_the_decoder_count_too(guest: EntryGuest) -> None:
    @syscall
    def reads(task: Task, buf: UserOut) -> int:
        return buf.length

    assert guest.make(reads, M64 - 10, 100)
    assert guest.rax == -14


def test_other_registers_stay(guest: EntryGuest) -> None:
    guest.install(NR, answer)
    regs = guest.set_call(NR, 1, 2, 3, 4, 5, 6)
    before = list(regs)
    assert handle_trap(guest.task, SYSCALL)
    after = list(regs)
    before[RAX], before[ORIG_RAX] = 1, M64
    assert after == before


# -- calls that aren't there


def test_an_unknown_call_is_counted_and_named_once(guest: EntryGuest) -> None:
    guest.install(NR, answer)
    guest.task.comm = b"prog"
    for _ in range(3):
        guest.set_call(3)
        assert handle_trap(guest.task, SYSCALL)
        assert guest.rax == -ENOSYS.errno
    assert guest.machine.unknown_syscalls == {3: 3}
    lines = guest.machine.printk.lines  # type: ignore[attr-defined]
    assert lines == ["syscall nr_3 (3) is not there: used by prog"]


@pytest.mark.parametrize("nr", [1 << 20, 1 << 40, M64, 1 << 63])
def test_a_number_beyond_the_table(guest: EntryGuest, nr: int) -> None:
    guest.install(NR, answer)
    guest.set_call(nr)
    assert handle_trap(guest.task, SYSCALL)
    assert guest.rax == -38


# -- sleeping


class Box:
    """Something to wait for, and what the handler saw."""

    def __init__(self) -> None:
        self.queue = WaitQueue()
        self.full = False
        self.calls: list[tuple[int, ...]] = []
        self.deadline: int | None = None
        self.restart: type[Restart] = ERESTARTSYS
        self.killable = False


BOXES: dict[int, Box] = {}


@syscall
def take(task: Task, number: Int, second: Long) -> int:
    """Wait until the box is full."""
    box = BOXES[number]
    box.calls.append((number, second, task.restart or 0))
    if box.full:
        return second
    task.restart = len(box.calls)
    if box.killable:
        wait_killable(task, box.queue, why="take")
    wait_on(task, box.queue, deadline=box.deadline, restart=box.restart, why="take")


@pytest.fixture
def box() -> Box:
    BOXES[1] = Box()
    return BOXES[1]


def test_a_call_that_must_wait_puts_its_task_to_sleep(guest: EntryGuest, box: Box) -> None:
    assert not guest.make(take, 1, 77)
    task = guest.task
    assert task.state is TaskState.INTERRUPTIBLE
    assert task.in_syscall
    assert task.wchan == "take"
    assert list(box.queue.waiters) == [task]


def test_a_woken_call_is_made_again_with_the_same_registers(guest: EntryGuest, box: Box) -> None:
    guest.make(take, 1, 77)
    box.queue.wake_all()
    assert not continue_syscall(guest.task), "woken for nothing"
    box.full = True
    box.queue.wake_all()
    assert guest.task.state is TaskState.RUNNING
    assert continue_syscall(guest.task)
    assert guest.rax == 77
    assert box.calls == [(1, 77, 0), (1, 77, 1), (1, 77, 2)], "what it did so far is kept"
    assert guest.task.restart is None
    assert not guest.task.in_syscall


def test_a_deadline_wakes_a_sleeper(guest: EntryGuest, box: Box) -> None:
    box.deadline = 5_000
    guest.make(take, 1, 0)
    assert guest.machine.timers.next_deadline() == 5_000
    guest.machine.timers.run(4_999)
    assert guest.task.state is TaskState.INTERRUPTIBLE
    guest.machine.timers.run(5_000)
    assert guest.task.state is TaskState.RUNNING


def test_only_a_fatal_signal_ends_a_killable_sleep(guest: EntryGuest, box: Box) -> None:
    box.killable = True
    guest.make(take, 1, 0)
    assert guest.task.state is TaskState.UNINTERRUPTIBLE
    assert guest.task.wait_killable
    box.full = True
    box.queue.wake_all()
    assert continue_syscall(guest.task)
    assert not guest.task.wait_killable


# -- signals that interrupt calls


def interrupted(
    guest: EntryGuest, box: Box, restart: type[Restart], action: SigAction | None
) -> None:
    """A sleeping call is interrupted by SIGUSR1, which is caught, or ignored late (None)."""
    box.restart = restart
    guest.task.sighand.action[10] = action or SigAction(0x1000)
    guest.make(take, 1, 77)
    send_sig_info(guest.task, SigInfo(10), group=True)
    assert guest.task.state is TaskState.RUNNING
    if action is None:
        guest.task.sighand.action[10] = SigAction(1)
    continue_syscall(guest.task)


@pytest.mark.parametrize(
    "restart", [ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK]
)
def test_without_a_handler_the_call_is_made_again(
    guest: EntryGuest, box: Box, restart: type[Restart]
) -> None:
    interrupted(guest, box, restart, None)
    regs = guest.task.regs
    assert regs[RIP] == 0x401000, "back on the syscall instruction"
    assert regs[RAX] in (NR, 219)
    assert regs[RDI] == 1


# -- a kernel that fails


@syscall
def broken(task: Task) -> int:
    """A bug."""
    return 1 // 0


@syscall
def recursive(task: Task) -> int:
    """Another."""
    return recursive(task)


@syscall
def broken_while_waiting(task: Task) -> int:
    """A bug after joining a queue."""
    task.waiting = (BOXES[1].queue,)
    BOXES[1].queue.add(task)
    task.wait_killable = True
    raise KeyError("no such thing")


class Exits:
    """Who was ended, in place of kernel/exit.py."""

    def __init__(self) -> None:
        self.ended: list[tuple[Task, int]] = []

    def __call__(self, task: Task, status: int) -> None:
        self.ended.append((task, status))
        task.state = TaskState.DEAD
        task.notify = False


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> Exits:
    found = Exits()
    monkeypatch.setattr("pygos.kernel.exit.do_group_exit", found)
    return found


def log(guest: Guest) -> str:
    return "\n".join(guest.machine.printk.lines)  # type: ignore[attr-defined]


def test_a_bug_in_a_handler_kills_the_task_only(guest: EntryGuest, exits: Exits) -> None:
    guest.task.comm = b"victim"
    assert not guest.make(broken)
    assert exits.ended == [(guest.task, 9)]
    assert guest.task.oops
    text = log(guest)
    assert "Oops: ZeroDivisionError: integer division or modulo by zero [#1]" in text
    assert "PID: 100 Comm: victim syscall: 5" in text
    assert "broken at " in text
    assert "return 1 // 0" in text
    assert guest.machine.oops_count == 1
    other = Guest(guest.machine, pid=101)
    other.install(6, answer)
    other.set_call(6, 5)
    assert handle_trap(other.task, SYSCALL)
    assert other.task.regs[RAX] == 5


def test_an_endless_recursion_is_logged_short(guest: EntryGuest, exits: Exits) -> None:
    assert not guest.make(recursive)
    assert exits.ended
    assert "RecursionError" in log(guest)
    assert log(guest).count("\n") < 60


def test_a_failed_call_leaves_its_queues(guest: EntryGuest, exits: Exits, box: Box) -> None:
    assert not guest.make(broken_while_waiting)
    assert not box.queue.waiters
    assert guest.task.waiting == ()
    assert not guest.task.wait_killable
    assert not guest.task.in_syscall


# -- other traps


def test_a_fault_that_can_be_answered(guest: EntryGuest) -> None:
    trap = Trap(TrapKind.FAULT)
    trap.addr, trap.access = guest.base + 8192, Access.WRITE
    assert handle_trap(guest.task, trap)
    assert guest.task.min_flt == 1


def test_a_fault_outside_kills_with_segv(guest: EntryGuest, exits: Exits) -> None:
    trap = Trap(TrapKind.FAULT)
    trap.addr, trap.access = 0x10, Access.READ
    assert not handle_trap(guest.task, trap)
    assert exits.ended == [(guest.task, 11)]


def test_a_32_bit_call_is_enosys(guest: EntryGuest) -> None:
    guest.set_call(1)
    assert handle_trap(guest.task, Trap(TrapKind.BAD_SYSCALL))
    assert guest.rax == -38


def test_a_stub_that_died_kills_its_task(guest: EntryGuest, exits: Exits) -> None:
    assert not handle_trap(guest.task, Trap(TrapKind.DEAD))
    assert exits.ended == [(guest.task, 9)]


def test_a_tick_changes_nothing(guest: EntryGuest) -> None:
    before = bytes(guest.task.regs.cast("B"))
    assert handle_trap(guest.task, Trap(TrapKind.TICK))
    assert bytes(guest.task.regs.cast("B")) == before


# -- tracing


class Recorder:
    """A task's trace."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def enter(self, task: Task) -> None:
        self.events.append(("enter", task.syscall_nr))

    def leave(self, task: Task, result: int) -> None:
        self.events.append(("leave", result))

    def signal(self, task: Task, info: SigInfo) -> None:
        self.events.append(("signal", info.signo))

    def sent(self, task: Task, info: SigInfo) -> None: ...


def test_a_sleeping_call_is_traced_once(guest: EntryGuest, box: Box) -> None:
    guest.task.trace = recorder = Recorder()
    guest.task.syscall_work = SYSCALL_WORK_TRACE
    guest.make(take, 1, 77)
    box.queue.wake_all()
    continue_syscall(guest.task)
    box.full = True
    box.queue.wake_all()
    continue_syscall(guest.task)
    assert recorder.events == [("enter", NR), ("leave", 77)]


def test_errors_are_traced_as_the_program_sees_them(guest: EntryGuest) -> None:
    guest.task.trace = recorder = Recorder()
    guest.task.syscall_work = SYSCALL_WORK_TRACE
    guest.install(NR, fails)
    do_syscall(guest.task, guest.set_call(NR))
    assert recorder.events == [("enter", NR), ("leave", -11 & M64)]
