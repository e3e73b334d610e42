# SPDX-License-Identifier: Apache-2.0
"""Signals: who gets them, what they do, who may send them."""

from __future__ import annotations

from struct import pack

import pytest

from pygos.arch.x86.regs import RAX, RIP
from pygos.include.linux.sched import SigInfo, Task, TaskState
from pygos.kernel.signal import kill_pgrp, send_sig_info
from tests.support.world import CODE, SA_RESTART, SEC, World, result, timespec, wait_status

EPERM, ESRCH, EINTR, EAGAIN, EINVAL = 1, 3, 4, 11, 22
SIGHUP, SIGINT, SIGKILL, SIGUSR1, SIGSEGV, SIGALRM, SIGTERM = 1, 2, 9, 10, 11, 14, 15
SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTOU = 17, 18, 19, 20, 22
SI_QUEUE, SI_TKILL, SI_USER = -1, -6, 0


def block(world: World, task: Task, mask: int) -> None:
    addr = world.put(task, pack("<Q", mask), 0xE000)
    assert world.call(task, "rt_sigprocmask", 2, addr, 0, 8) == 0


def test_kill_runs_the_handler_with_pid_and_uid_of_the_sender(world: World) -> None:
    target, sender = world.process(), world.process(uid=0)
    world.catch(target, SIGUSR1, 4)
    assert world.call(sender, "kill", target.pid, SIGUSR1) == 0
    assert world.handled(target) == SIGUSR1
    assert world.siginfo(target)[:4] == (SIGUSR1, SI_USER, sender.pid, 0)


def test_sigreturn_goes_on_where_the_program_was(world: World) -> None:
    task = world.process()
    world.catch(task, SIGUSR1)
    before = bytes(task.regs)
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert world.handled(task) == SIGUSR1
    task.regs[RAX] = 77
    world.sigreturn(task)
    after = memoryview(bytearray(before)).cast("Q")
    assert list(task.regs) == list(after)


def test_an_uncaught_signal_kills_with_its_number(world: World) -> None:
    task = world.process(world.process())
    world.call(world.process(), "kill", task.pid, SIGTERM)
    assert task.state is TaskState.ZOMBIE
    assert wait_status(task) == SIGTERM


def test_kill_with_signal_0_only_checks(world: World) -> None:
    task = world.process()
    assert world.call(task, "kill", task.pid, 0) == 0
    assert world.call(task, "kill", 9999, 0) == -ESRCH
    assert world.call(task, "kill", task.pid, 65) == -EINVAL


def test_others_processes_need_cap_kill(world: World) -> None:
    root, mine, other = world.process(), world.process(uid=1000), world.process(uid=1001)
    assert world.call(mine, "kill", other.pid, SIGTERM) == -EPERM
    assert world.call(mine, "kill", root.pid, 0) == -EPERM
    assert world.call(root, "kill", other.pid, 0) == 0


def test_sigcont_may_be_sent_within_the_session(world: World) -> None:
    root = world.process()
    child = world.process(root, uid=1000)
    assert world.call(child, "kill", root.pid, SIGCONT) == 0
    assert world.call(child, "kill", root.pid, SIGTERM) == -EPERM


def test_kill_0_and_minus_pgrp_reach_the_group(world: World) -> None:
    leader = world.process()
    children = [world.process(leader) for _ in range(2)]
    for task in (leader, *children):
        world.catch(task, SIGUSR1)
    assert world.call(leader, "kill", 0, SIGUSR1) == 0
    assert [world.handled(task) for task in (leader, *children)] == [SIGUSR1] * 3
    assert world.call(children[0], "kill", -4242, SIGUSR1) == -ESRCH


def test_kill_minus_1_spares_init_and_the_caller(world: World) -> None:
    caller, other, third = world.process(), world.process(), world.process()
    assert world.call(caller, "kill", -1, SIGKILL) == 0
    assert caller.alive
    assert world.machine.pid1 is not None
    assert world.machine.pid1.alive
    assert not other.alive
    assert not third.alive


def test_init_is_not_killed_from_inside(world: World) -> None:
    task, init = world.process(), world.machine.pid1
    assert init is not None
    assert world.call(task, "kill", 1, SIGKILL) == 0
    assert world.call(task, "kill", 1, SIGTERM) == 0
    assert init.alive
    assert not init.group.shared_pending.mask


def test_standard_signals_coalesce_real_time_ones_queue(world: World) -> None:
    task = world.process()
    block(world, task, (1 << 63) - 1)
    for _ in range(3):
        assert world.call(task, "kill", task.pid, SIGUSR1) == 0
        assert world.call(task, "kill", task.pid, 40) == 0
    queue = [info.signo for info in task.group.shared_pending.queue]
    assert queue == [SIGUSR1, 40, 40, 40]


def test_rlimit_sigpending_bounds_real_time_signals(world: World) -> None:
    task = world.process(uid=1000)
    task.group.rlim[11] = (3, 3)
    block(world, task, (1 << 63) - 1)
    info = pack("<iii4xiIQ96x", 40, 0, SI_QUEUE, task.pid, 1000, 5)
    addr = world.put(task, info)
    results = [world.call(task, "rt_sigqueueinfo", task.pid, 40, addr) for _ in range(5)]
    assert results == [0, 0, 0, -EAGAIN, -EAGAIN]
    # kill(2) of a standard signal always gets through.
    assert world.call(task, "kill", task.pid, SIGUSR1) == 0
    assert task.group.shared_pending.mask >> (SIGUSR1 - 1) & 1


def test_the_limit_is_given_back_when_signals_are_taken(world: World) -> None:
    task = world.process(uid=1000)
    task.group.rlim[11] = (1, 1)
    block(world, task, 1 << 39)
    addr = world.put(task, pack("<iii4xiIQ96x", 40, 0, SI_QUEUE, task.pid, 1000, 5))
    zero = world.put(task, timespec(0), 0x800)
    these = world.put(task, pack("<Q", 1 << 39), 0x900)
    for _ in range(4):
        assert world.call(task, "rt_sigqueueinfo", task.pid, 40, addr) == 0
        assert world.call(task, "rt_sigqueueinfo", task.pid, 40, addr) == -EAGAIN
        assert world.call(task, "rt_sigtimedwait", these, 0, zero, 8) == 40
    assert world.machine.misc["sigpending"] == {}


def test_sigqueue_carries_its_value_and_cannot_forge_kill(world: World) -> None:
    target, sender = world.process(), world.process()
    world.catch(target, 40, 4)
    good = world.put(sender, pack("<iii4xiIQ96x", 0, 0, SI_QUEUE, sender.pid, 7, 0x1234))
    assert world.call(sender, "rt_sigqueueinfo", target.pid, 40, good) == 0
    assert world.siginfo(target)[:5] == (40, SI_QUEUE, sender.pid, 7, 0x1234)
    forged = world.put(sender, pack("<iii4xiIQ96x", 0, 0, SI_USER, 1, 0, 0))
    assert world.call(sender, "rt_sigqueueinfo", target.pid, 40, forged) == -EPERM
    forged = world.put(sender, pack("<iii4xiIQ96x", 0, 0, SI_TKILL, 1, 0, 0))
    assert world.call(sender, "rt_sigqueueinfo", target.pid, 40, forged) == -EPERM


def test_tgkill_reaches_one_thread_and_checks_the_group(world: World) -> None:
    task = world.process()
    second = world.thread(task)
    world.catch(task, SIGUSR1, 4)
    assert world.call(task, "tgkill", task.pid, second.pid, SIGUSR1) == 0
    assert (world.handled(task), world.handled(second)) == (0, SIGUSR1)
    assert world.siginfo(second)[1] == SI_TKILL
    other = world.process()
    assert world.call(task, "tgkill", other.pid, second.pid, SIGUSR1) == -ESRCH
    assert world.call(task, "tgkill", 0, second.pid, SIGUSR1) == -EINVAL
    assert world.call(task, "tkill", second.pid, 0) == 0


def test_a_process_signal_goes_to_a_thread_that_does_not_block_it(world: World) -> None:
    task = world.process()
    second = world.thread(task)
    world.catch(task, SIGUSR1)
    block(world, task, 1 << (SIGUSR1 - 1))
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert world.handled(second) == SIGUSR1
    assert world.handled(task) == 0


def test_a_thread_that_blocks_a_pending_group_signal_passes_it_on(world: World) -> None:
    task = world.process()
    second = world.thread(task)
    world.catch(task, SIGUSR1)
    for thread in (task, second):
        block(world, thread, 1 << (SIGUSR1 - 1))
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert world.handled(task) == world.handled(second) == 0
    block(world, second, 0)
    assert world.handled(second) == SIGUSR1


def test_a_fatal_signal_ends_every_thread(world: World) -> None:
    task = world.process(world.process())
    threads = [task, world.thread(task), world.thread(task)]
    world.call(threads[1], "pause")
    world.call(world.process(), "kill", task.pid, SIGTERM)
    assert not any(thread.alive for thread in threads)
    assert wait_status(task) == SIGTERM


def test_ignored_signals_leave_nothing_behind(world: World) -> None:
    task = world.process()
    ignore = world.put(task, pack("<QQQQ", 1, 0, 0, 0))
    assert world.call(task, "rt_sigaction", SIGUSR1, ignore, 0, 8) == 0
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert task.group.shared_pending.mask == 0
    world.call(world.process(), "kill", task.pid, SIGCHLD)
    assert task.group.shared_pending.mask == 0


def test_ignoring_a_pending_signal_discards_it(world: World) -> None:
    task = world.process()
    block(world, task, 1 << (SIGUSR1 - 1))
    world.call(task, "kill", task.pid, SIGUSR1)
    ignore = world.put(task, pack("<QQQQ", 1, 0, 0, 0))
    world.call(task, "rt_sigaction", SIGUSR1, ignore, 0, 8)
    block(world, task, 0)
    assert task.alive
    assert task.group.shared_pending.mask == 0


def test_sigkill_and_sigstop_cannot_be_caught_or_blocked(world: World) -> None:
    task = world.process()
    act = world.put(task, pack("<QQQQ", 0x500000, 0, 0, 0))
    for signo in (SIGKILL, SIGSTOP):
        assert world.call(task, "rt_sigaction", signo, act, 0, 8) == -EINVAL
        assert world.call(task, "rt_sigaction", signo, 0, 0, 8) == 0
    block(world, task, (1 << 64) - 1)
    assert not task.blocked & (1 << 8 | 1 << 18)


@pytest.mark.parametrize("signo", [0, 65, -1])
def test_bad_signal_numbers(world: World, signo: int) -> None:
    task = world.process()
    assert world.call(task, "rt_sigaction", signo, 0, 0, 8) == -EINVAL
    assert world.call(task, "rt_sigaction", SIGUSR1, 0, 0, 4) == -EINVAL


def test_unknown_action_flags_vanish(world: World) -> None:
    task = world.process()
    act = world.put(task, pack("<QQQQ", 0x500000, 0x400 | 4, 0, 0))
    world.call(task, "rt_sigaction", SIGUSR1, act, 0, 8)
    world.call(task, "rt_sigaction", SIGUSR1, 0, act, 8)
    assert world.get(task, act + 8, 8) == pack("<Q", 4)


# -- stopping and continuing


def test_sigstop_stops_and_sigcont_continues(world: World) -> None:
    parent = world.process()
    child = world.process(parent)
    world.catch(parent, SIGCHLD, 4)
    world.call(parent, "kill", child.pid, SIGSTOP)
    assert child.state is TaskState.STOPPED
    assert child.group.group_stop
    assert world.handled(parent) == SIGCHLD
    assert world.siginfo(parent)[1] == 5  # CLD_STOPPED
    world.sigreturn(parent)
    status = world.put(parent, bytes(8))
    assert world.call(parent, "wait4", child.pid, status, 2, 0) == child.pid
    assert world.get(parent, status, 4) == pack("<I", SIGSTOP << 8 | 0x7F)
    assert world.call(parent, "wait4", child.pid, status, 3, 0) == 0
    world.call(parent, "kill", child.pid, SIGCONT)
    assert child.state is TaskState.RUNNING
    assert world.siginfo(parent)[1] == 6  # CLD_CONTINUED
    world.sigreturn(parent)
    assert world.call(parent, "wait4", child.pid, status, 8, 0) == child.pid
    assert world.get(parent, status, 4) == pack("<I", 0xFFFF)


def test_sa_nocldstop_keeps_the_parent_in_peace(world: World) -> None:
    parent = world.process()
    child = world.process(parent)
    world.catch(parent, SIGCHLD, 1)
    world.call(world.process(), "kill", child.pid, SIGSTOP)
    assert child.state is TaskState.STOPPED
    assert world.handled(parent) == 0


def test_all_threads_stop(world: World) -> None:
    task = world.process(world.process())
    threads = [task, world.thread(task), world.thread(task)]
    world.call(threads[2], "pause")
    world.call(world.process(), "kill", task.pid, SIGSTOP)
    assert [thread.state for thread in threads] == [TaskState.STOPPED] * 3
    world.call(world.process(), "kill", task.pid, SIGCONT)
    assert [thread.state for thread in threads] == [TaskState.RUNNING] * 3
    # The interrupted pause() goes on: its call is made again.
    assert threads[2].regs[RIP] == CODE
    assert world.redo(threads[2]) is None
    assert threads[2].state is TaskState.INTERRUPTIBLE


def test_a_stopped_process_dies_of_sigkill_at_once(world: World) -> None:
    task = world.process(world.process())
    world.call(world.process(), "kill", task.pid, SIGSTOP)
    world.call(world.process(), "kill", task.pid, SIGTERM)
    assert task.state is TaskState.STOPPED
    world.call(world.process(), "kill", task.pid, SIGKILL)
    assert not task.alive


def test_stop_and_continue_cancel_each_other(world: World) -> None:
    task = world.process(world.process())
    block(world, task, 1 << (SIGTSTP - 1) | 1 << (SIGCONT - 1))
    world.catch(task, SIGCONT)
    world.call(task, "kill", task.pid, SIGTSTP)
    world.call(task, "kill", task.pid, SIGCONT)
    assert task.group.shared_pending.mask == 1 << (SIGCONT - 1)
    world.call(task, "kill", task.pid, SIGTSTP)
    assert task.group.shared_pending.mask == 1 << (SIGTSTP - 1)


def test_an_orphaned_group_ignores_terminal_stops(world: World) -> None:
    task = world.process()
    world.call(world.process(), "kill", task.pid, SIGTSTP)
    assert task.state is TaskState.RUNNING
    world.call(world.process(), "kill", task.pid, SIGSTOP)
    assert task.state is TaskState.STOPPED


def test_a_shells_job_stops_on_sigtstp(world: World) -> None:
    shell = world.process()
    job = world.process(shell)
    assert world.call(job, "setpgid", 0, 0) == 0
    kill_pgrp(world.machine, job.group.pgrp, SigInfo(SIGTSTP, 0x80))
    world.settle()
    assert job.state is TaskState.STOPPED


def test_stopped_jobs_of_an_exiting_shell_get_sighup_and_sigcont(world: World) -> None:
    shell = world.process(world.process())
    job = world.process(shell)
    world.call(job, "setpgid", 0, 0)
    world.call(shell, "kill", job.pid, SIGSTOP)
    assert job.state is TaskState.STOPPED
    world.call(shell, "exit_group", 0)
    world.settle()
    assert not job.alive
    assert wait_status(job) == SIGHUP


# -- interrupted calls


def test_pause_ends_with_eintr_after_the_handler(world: World) -> None:
    task = world.process()
    world.catch(task, SIGUSR1, SA_RESTART)
    assert world.call(task, "pause") is None
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert world.handled(task) == SIGUSR1
    world.sigreturn(task)
    assert result(task) == -EINTR


def test_wait4_restarts_with_sa_restart_only(world: World) -> None:
    for flags, restarts in ((SA_RESTART, True), (0, False)):
        task = world.process()
        world.process(task)
        world.catch(task, SIGUSR1, flags)
        start = task.regs[RIP]
        assert world.call(task, "wait4", -1, 0, 0, 0) is None
        world.call(world.process(), "kill", task.pid, SIGUSR1)
        assert world.handled(task) == SIGUSR1
        world.sigreturn(task)
        if restarts:
            assert task.regs[RIP] == start
            assert world.redo(task) is None
        else:
            assert result(task) == -EINTR


def test_sigsuspend_swaps_the_mask_and_gives_it_back(world: World) -> None:
    task = world.process()
    world.catch(task, SIGUSR1)
    block(world, task, 1 << (SIGUSR1 - 1) | 1 << (SIGINT - 1))
    empty = world.put(task, pack("<Q", 1 << (SIGINT - 1)))
    assert world.call(task, "rt_sigsuspend", empty, 8) is None
    assert task.blocked == 1 << (SIGINT - 1)
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert world.handled(task) == SIGUSR1
    world.sigreturn(task)
    assert result(task) == -EINTR
    assert task.blocked == 1 << (SIGUSR1 - 1) | 1 << (SIGINT - 1)


def test_sigtimedwait_takes_blocked_signals_with_their_info(world: World) -> None:
    task, sender = world.process(), world.process()
    block(world, task, 1 << (SIGUSR1 - 1))
    these = world.put(task, pack("<Q", 1 << (SIGUSR1 - 1)))
    info = world.put(task, bytes(128), 0x100)
    assert world.call(task, "rt_sigtimedwait", these, info, 0, 8) is None
    world.call(sender, "kill", task.pid, SIGUSR1)
    assert result(task) == SIGUSR1
    assert world.get(task, info, 24)[16:] == pack("<iI", sender.pid, 0)


def test_sigtimedwait_times_out_and_is_interrupted(world: World) -> None:
    task = world.process()
    these = world.put(task, pack("<Q", 1 << (SIGUSR1 - 1)))
    block(world, task, 1 << (SIGUSR1 - 1))
    timeout = world.put(task, timespec(2), 0x100)
    assert world.call(task, "rt_sigtimedwait", these, 0, timeout, 8) is None
    world.advance(SEC)
    assert result(task) is None
    world.advance(SEC)
    assert result(task) == -EAGAIN
    world.catch(task, SIGALRM, SA_RESTART)
    assert world.call(task, "rt_sigtimedwait", these, 0, timeout, 8) is None
    world.call(world.process(), "kill", task.pid, SIGALRM)
    assert world.handled(task) == SIGALRM
    world.sigreturn(task)
    assert result(task) == -EINTR
    bad = world.put(task, timespec(0, SEC), 0x100)
    assert world.call(task, "rt_sigtimedwait", these, 0, bad, 8) == -EINVAL


def test_sigpending_shows_blocked_signals(world: World) -> None:
    task = world.process()
    block(world, task, 1 << (SIGUSR1 - 1))
    world.call(task, "kill", task.pid, SIGUSR1)
    world.call(task, "tkill", task.pid, SIGUSR1)
    addr = world.put(task, bytes(8))
    assert world.call(task, "rt_sigpending", addr, 8) == 0
    assert world.get(task, addr, 8) == pack("<Q", 1 << (SIGUSR1 - 1))
    assert world.call(task, "rt_sigpending", addr, 16) == -EINVAL


def test_handlers_stack_and_resethand_happens_once(world: World) -> None:
    task = world.process(world.process())
    world.catch(task, SIGUSR1, 0x80000000)
    world.catch(task, SIGALRM)
    block(world, task, 1 << (SIGUSR1 - 1) | 1 << (SIGALRM - 1))
    world.call(task, "kill", task.pid, SIGUSR1)
    world.call(task, "kill", task.pid, SIGALRM)
    block(world, task, 0)
    # Frames for both: the last one written runs first.
    assert world.handled(task) == SIGALRM
    world.sigreturn(task)
    assert world.handled(task) == SIGUSR1
    world.sigreturn(task)
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert wait_status(task) == SIGUSR1


def test_the_handled_signal_is_blocked_meanwhile(world: World) -> None:
    task = world.process()
    world.catch(task, SIGUSR1, mask=1 << (SIGALRM - 1))
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert task.blocked == 1 << (SIGUSR1 - 1) | 1 << (SIGALRM - 1)
    world.sigreturn(task)
    assert task.blocked == 0


def test_signals_to_a_dying_group_are_dropped(world: World) -> None:
    task = world.process(world.process())
    send_sig_info(task, SigInfo(SIGKILL), True)
    assert send_sig_info(task, SigInfo(SIGUSR1), True)
    assert not task.group.shared_pending.mask >> (SIGUSR1 - 1) & 1
    world.settle()
    assert wait_status(task) == SIGKILL
