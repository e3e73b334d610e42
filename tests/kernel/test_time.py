# SPDX-License-Identifier: Apache-2.0
"""Clocks, sleeping and timers, as programs see them; time stands still between steps."""

from __future__ import annotations

from struct import pack, unpack

import pytest

from pygos.arch.x86.regs import RIP
from pygos.include.linux.sched import Task
from pygos.kernel.time.cputime import account_cpu
from tests.support.world import SA_SIGINFO, SEC, World, result, timespec, wait_status

EPERM, EINTR, EAGAIN, EFAULT, EINVAL, EOPNOTSUPP = 1, 4, 11, 14, 22, 95
SIGKILL, SIGUSR1, SIGALRM, SIGCONT, SIGSTOP = 9, 10, 14, 18, 19
SIGXCPU, SIGVTALRM, SIGPROF = 24, 26, 27
REALTIME, MONOTONIC, PROCESS_CPU, THREAD_CPU, RAW = 0, 1, 2, 3, 4
REALTIME_COARSE, BOOTTIME, REALTIME_ALARM, TAI = 5, 7, 8, 11
ABSTIME = 1
MS = 1_000_000


def read_ts(world: World, task: Task, addr: int) -> int:
    sec, nsec = unpack("<qq", world.get(task, addr, 16))
    return int(sec * SEC + nsec)


def use(task: Task, utime: int, stime: int) -> None:
    """The task has run for so long, as the scheduler tells it."""
    task.last_run -= utime + stime
    account_cpu(task, utime, stime)


def clock(world: World, task: Task, which: int) -> int:
    addr = world.put(task, bytes(16), 0x700)
    assert world.call(task, "clock_gettime", which, addr) == 0
    return read_ts(world, task, addr)


# -- clocks


def test_clocks_tell_the_machines_time(world: World) -> None:
    task = world.process()
    world.clock.mono += 123_456_789
    assert clock(world, task, MONOTONIC) == clock(world, task, RAW) == world.clock.monotonic()
    assert clock(world, task, REALTIME) == clock(world, task, TAI) == world.clock.realtime()
    assert clock(world, task, BOOTTIME) == world.clock.boottime()
    coarse = clock(world, task, REALTIME_COARSE)
    assert coarse % (4 * MS) == 0
    assert 0 <= world.clock.realtime() - coarse < 4 * MS
    assert world.call(task, "time", 0) == world.clock.realtime() // SEC
    tv = world.put(task, bytes(16))
    assert world.call(task, "gettimeofday", tv, 0) == 0
    sec, usec = unpack("<qq", world.get(task, tv, 16))
    assert sec * SEC + usec * 1000 == world.clock.realtime() // 1000 * 1000


@pytest.mark.parametrize("which", [REALTIME_ALARM, 9, 10, 12, 99, -1])
def test_clocks_that_are_not_there(world: World, which: int) -> None:
    task = world.process()
    addr = world.put(task, bytes(16))
    assert world.call(task, "clock_gettime", which, addr) == -EINVAL
    assert world.call(task, "clock_getres", which, addr) == -EINVAL


def test_resolution_is_1_ns_or_a_tick(world: World) -> None:
    task = world.process()
    addr = world.put(task, bytes(16))
    for which, ns in ((MONOTONIC, 1), (REALTIME_COARSE, 4 * MS), (PROCESS_CPU, 1)):
        assert world.call(task, "clock_getres", which, addr) == 0
        assert read_ts(world, task, addr) == ns
    assert world.call(task, "clock_getres", MONOTONIC, 0) == 0


def test_setting_the_clock_needs_cap_sys_time(world: World) -> None:
    root, user = world.process(), world.process(uid=1000)
    when = timespec(1_800_000_000)
    user_addr = world.put(user, when)
    assert world.call(user, "clock_settime", REALTIME, user_addr) == -EPERM
    addr = world.put(root, when)
    mono = world.clock.monotonic()
    assert world.call(root, "clock_settime", REALTIME, addr) == 0
    assert world.clock.realtime() == 1_800_000_000 * SEC
    assert world.clock.monotonic() == mono
    assert world.call(root, "clock_settime", MONOTONIC, addr) == -EINVAL
    assert world.call(root, "clock_settime", PROCESS_CPU, addr) == -EINVAL
    for bad in (timespec(-1), timespec(1, SEC), timespec(1), timespec((1 << 62) // SEC * 3)):
        assert world.call(root, "clock_settime", REALTIME, world.put(root, bad)) == -EINVAL


def test_cpu_clocks_count_what_was_used(world: World) -> None:
    task = world.process()
    second = world.thread(task)
    use(task, 30 * MS, 20 * MS)
    use(second, 5 * MS, 0)
    assert clock(world, task, THREAD_CPU) == 50 * MS
    assert clock(world, second, THREAD_CPU) == 5 * MS
    assert clock(world, task, PROCESS_CPU) == 55 * MS
    # clock_getcpuclockid(): any process; pthread_getcpuclockid(): own threads only.
    other = world.process()
    assert clock(world, other, ~task.pid << 3 | 2) == 55 * MS
    assert clock(world, task, ~second.pid << 3 | 6) == 5 * MS
    assert clock(world, task, ~task.pid << 3 | 1) == 35 * MS
    addr = world.put(other, bytes(16))
    assert world.call(other, "clock_gettime", ~second.pid << 3 | 6, addr) == -EINVAL
    assert world.call(other, "clock_gettime", ~9999 << 3 | 2, addr) == -EINVAL


def test_cpu_time_is_not_counted_twice(world: World) -> None:
    """A stretch on the CPU shows in the clock while it lasts and after it is accounted."""
    task = world.process()
    world.catch(task, 40)
    timer = make_timer(world, task, sigevent(0, 40, 0), PROCESS_CPU)
    arm(world, task, timer, 0, 15 * MS)
    task.last_run -= 10 * MS
    assert clock(world, task, PROCESS_CPU) == 10 * MS
    account_cpu(task, 10 * MS, 0)
    world.settle()
    assert clock(world, task, PROCESS_CPU) == 10 * MS
    assert world.handled(task) == 0
    use(task, 5 * MS, 0)
    world.settle()
    assert world.handled(task) == 40


def test_times_and_getrusage(world: World) -> None:
    task = world.process()
    use(task, 1250 * MS, 250 * MS)
    buf = world.put(task, bytes(144))
    ticks = world.call(task, "times", buf)
    assert ticks == world.clock.boottime() // (10 * MS)
    assert unpack("<qqqq", world.get(task, buf, 32)) == (125, 25, 0, 0)
    assert world.call(task, "getrusage", 0, buf) == 0
    assert unpack("<qqqq", world.get(task, buf, 32)) == (1, 250_000, 0, 250_000)
    assert world.call(task, "getrusage", 5, buf) == -EINVAL


# -- sleeping


def test_nanosleep_sleeps_exactly_that_long(world: World) -> None:
    task = world.process()
    addr = world.put(task, timespec(1, 500 * MS))
    assert world.call(task, "nanosleep", addr, 0) is None
    world.advance(1500 * MS - 1)
    assert result(task) is None
    world.advance(1)
    assert result(task) == 0


def test_nanosleep_of_nothing_returns_at_once(world: World) -> None:
    task = world.process()
    assert world.call(task, "nanosleep", world.put(task, timespec(0)), 0) == 0


@pytest.mark.parametrize("bad", [timespec(-1), timespec(0, -1), timespec(0, SEC)])
def test_nanosleep_refuses_bad_times(world: World, bad: bytes) -> None:
    task = world.process()
    assert world.call(task, "nanosleep", world.put(task, bad), 0) == -EINVAL
    assert world.call(task, "nanosleep", 8, 0) == -EFAULT


def test_an_interrupted_sleep_tells_what_was_left(world: World) -> None:
    task = world.process()
    world.catch(task, SIGUSR1)
    req, rem = world.put(task, timespec(10)), world.put(task, bytes(16), 0x100)
    assert world.call(task, "nanosleep", req, rem) is None
    world.advance(4 * SEC)
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    assert world.handled(task) == SIGUSR1
    world.sigreturn(task)
    assert result(task) == -EINTR
    assert read_ts(world, task, rem) == 6 * SEC


def test_a_stopped_sleeper_still_wakes_at_its_time(world: World) -> None:
    task = world.process()
    req, rem = world.put(task, timespec(10)), world.put(task, bytes(16), 0x100)
    rip = task.regs[RIP]
    assert world.call(task, "nanosleep", req, rem) is None
    world.advance(4 * SEC)
    world.call(world.process(), "kill", task.pid, SIGSTOP)
    world.advance(2 * SEC)
    world.call(world.process(), "kill", task.pid, SIGCONT)
    # No handler: the call goes on by itself, to the same end.
    assert task.regs[RIP] == rip
    assert world.redo(task) is None
    world.advance(4 * SEC - 1)
    assert result(task) is None
    world.advance(1)
    assert result(task) == 0


def test_absolute_sleep_follows_the_wall_clock(world: World) -> None:
    root, task = world.process(), world.process()
    target = world.clock.realtime() + 100 * SEC
    addr = world.put(task, timespec(target // SEC, target % SEC))
    assert world.call(task, "clock_nanosleep", REALTIME, ABSTIME, addr, 0) is None
    world.advance(10 * SEC)
    later = world.clock.realtime() + 60 * SEC
    set_to = world.put(root, timespec(later // SEC, later % SEC))
    assert world.call(root, "clock_settime", REALTIME, set_to) == 0
    world.advance(30 * SEC - 1)
    assert result(task) is None
    world.advance(1)
    assert result(task) == 0


def test_relative_sleep_does_not(world: World) -> None:
    root, task = world.process(), world.process()
    addr = world.put(task, timespec(100))
    assert world.call(task, "clock_nanosleep", REALTIME, 0, addr, 0) is None
    set_to = world.put(root, timespec(1_900_000_000))
    assert world.call(root, "clock_settime", REALTIME, set_to) == 0
    world.advance(100 * SEC - 1)
    assert result(task) is None
    world.advance(1)
    assert result(task) == 0


def test_an_interrupted_absolute_sleep_is_plain_eintr(world: World) -> None:
    task = world.process()
    world.catch(task, SIGUSR1)
    addr = world.put(task, timespec(world.clock.mono // SEC + 9))
    rem = world.put(task, timespec(7, 7), 0x100)
    assert world.call(task, "clock_nanosleep", MONOTONIC, ABSTIME, addr, rem) is None
    world.call(world.process(), "kill", task.pid, SIGUSR1)
    world.sigreturn(task)
    assert result(task) == -EINTR
    assert world.get(task, rem, 16) == timespec(7, 7)


def test_clocks_that_cannot_be_slept_on(world: World) -> None:
    task = world.process()
    addr = world.put(task, timespec(1))
    assert world.call(task, "clock_nanosleep", RAW, 0, addr, 0) == -EOPNOTSUPP
    assert world.call(task, "clock_nanosleep", THREAD_CPU, 0, addr, 0) == -EOPNOTSUPP
    assert world.call(task, "clock_nanosleep", 99, 0, addr, 0) == -EINVAL


def test_sleep_on_the_process_cpu_clock(world: World) -> None:
    task = world.process()
    second = world.thread(task)
    addr = world.put(task, timespec(0, 50 * MS))
    assert world.call(task, "clock_nanosleep", PROCESS_CPU, 0, addr, 0) is None
    world.advance(SEC)
    # The fake CPU of the second thread "runs" all the time; account what it used.
    second.last_run = world.clock.mono
    use(second, 49 * MS, 0)
    world.settle()
    assert result(task) is None
    use(second, 1 * MS, 0)
    world.settle()
    assert result(task) == 0


# -- interval timers


def itimerval(interval_us: int, value_us: int) -> bytes:
    return pack("<qqqq", *divmod(interval_us, 1_000_000), *divmod(value_us, 1_000_000))


def test_alarm_rings_once_and_tells_what_was_left(world: World) -> None:
    task = world.process()
    world.catch(task, SIGALRM)
    assert world.call(task, "alarm", 10) == 0
    world.advance(3_400 * MS)
    assert world.call(task, "alarm", 5) == 7
    world.advance(5 * SEC)
    assert world.handled(task) == SIGALRM
    world.sigreturn(task)
    assert world.call(task, "alarm", 0) == 0


def test_setitimer_repeats_until_disarmed(world: World) -> None:
    task = world.process()
    world.catch(task, SIGALRM, SA_SIGINFO)
    addr = world.put(task, itimerval(100_000, 250_000))
    assert world.call(task, "setitimer", 0, addr, 0) == 0
    for wait in (250 * MS, 100 * MS, 100 * MS):
        world.advance(wait)
        assert world.handled(task) == SIGALRM
        assert world.siginfo(task)[1] == 0x80
        world.sigreturn(task)
    now = world.put(task, bytes(32), 0x100)
    world.advance(30 * MS)
    assert world.call(task, "getitimer", 0, now) == 0
    assert world.get(task, now, 32) == itimerval(100_000, 70_000)
    assert world.call(task, "setitimer", 0, 0, now) == 0
    assert world.get(task, now, 32) == itimerval(100_000, 70_000)
    world.advance(SEC)
    assert world.handled(task) == 0
    assert world.call(task, "setitimer", 3, addr, 0) == -EINVAL


def test_a_blocked_fast_timer_does_not_keep_the_machine_busy(world: World) -> None:
    task = world.process()
    world.catch(task, SIGALRM)
    task.blocked = 1 << (SIGALRM - 1)
    assert world.call(task, "setitimer", 0, world.put(task, itimerval(1, 1)), 0) == 0
    world.advance(SEC)
    assert world.machine.timers.next_deadline() is None


def test_itimer_virtual_counts_user_time_and_prof_both(world: World) -> None:
    task = world.process()
    world.catch(task, SIGVTALRM)
    world.catch(task, SIGPROF)
    for which in (1, 2):
        addr = world.put(task, itimerval(0, 100_000))
        assert world.call(task, "setitimer", which, addr, 0) == 0
    use(task, 60 * MS, 39 * MS)
    world.settle()
    assert world.handled(task) == 0
    use(task, 1 * MS, 1 * MS)
    world.settle()
    assert world.handled(task) == SIGPROF
    world.sigreturn(task)
    use(task, 39 * MS, 0)
    world.settle()
    assert world.handled(task) == SIGVTALRM


def test_rlimit_cpu_warns_each_second_then_kills(world: World) -> None:
    task = world.process(world.process())
    world.catch(task, SIGXCPU)
    task.group.rlim[0] = (1, 3)
    for expected in (SIGXCPU, SIGXCPU):
        use(task, SEC, 0)
        world.settle()
        assert world.handled(task) == expected
        world.sigreturn(task)
    use(task, SEC, 0)
    world.settle()
    assert wait_status(task) == SIGKILL


# -- POSIX timers


def sigevent(value: int, signo: int, notify: int, tid: int = 0) -> bytes:
    return pack("<Qiii44x", value, signo, notify, tid)


def itimerspec(interval: int, value: int) -> bytes:
    return pack("<qqqq", *divmod(interval, SEC), *divmod(value, SEC))


def make_timer(world: World, task: Task, event: bytes | None, clockid: int = MONOTONIC) -> int:
    out = world.put(task, bytes(4), 0x200)
    addr = world.put(task, event, 0x300) if event is not None else 0
    assert world.call(task, "timer_create", clockid, addr, out) == 0
    return int(unpack("<i", world.get(task, out, 4))[0])


def arm(world: World, task: Task, timer: int, interval: int, value: int, flags: int = 0) -> None:
    addr = world.put(task, itimerspec(interval, value), 0x400)
    assert world.call(task, "timer_settime", timer, flags, addr, 0) == 0


def left(world: World, task: Task, timer: int) -> tuple[int, int]:
    addr = world.put(task, bytes(32), 0x500)
    assert world.call(task, "timer_gettime", timer, addr) == 0
    return read_ts(world, task, addr), read_ts(world, task, addr + 16)


def test_a_timer_sends_its_signal_with_its_value(world: World) -> None:
    task = world.process()
    world.catch(task, 40, SA_SIGINFO)
    timer = make_timer(world, task, sigevent(0xABCD, 40, 0))
    arm(world, task, timer, 0, 2 * SEC)
    world.advance(500 * MS)
    assert left(world, task, timer) == (0, 1500 * MS)
    world.advance(1500 * MS)
    assert world.handled(task) == 40
    signo, code, number, overrun, value, _ = world.siginfo(task)
    assert (signo, code, number, overrun, value) == (40, -2, timer, 0, 0xABCD)
    assert left(world, task, timer) == (0, 0)


def test_the_default_event_is_sigalrm_with_the_timers_number(world: World) -> None:
    task = world.process()
    world.catch(task, SIGALRM, SA_SIGINFO)
    make_timer(world, task, None)
    timer = make_timer(world, task, None)
    arm(world, task, timer, 0, 1)
    world.advance(1)
    assert world.siginfo(task)[4] == timer


def test_missed_expiries_are_overruns(world: World) -> None:
    task = world.process()
    world.catch(task, 40, SA_SIGINFO)
    task.blocked = 1 << 39
    timer = make_timer(world, task, sigevent(0, 40, 0))
    arm(world, task, timer, 10 * MS, 10 * MS)
    world.advance(55 * MS)
    empty = world.put(task, bytes(8))
    world.call(task, "rt_sigprocmask", 2, empty, 0, 8)
    assert world.handled(task) == 40
    assert world.siginfo(task)[3] == 4
    assert world.call(task, "timer_getoverrun", timer) == 4
    world.sigreturn(task)
    assert left(world, task, timer) == (10 * MS, 5 * MS)
    world.advance(5 * MS)
    assert world.handled(task) == 40
    assert world.call(task, "timer_getoverrun", timer) == 0


def test_sigev_thread_id_signals_one_thread(world: World) -> None:
    task = world.process()
    second = world.thread(task)
    world.catch(task, 40)
    timer = make_timer(world, task, sigevent(0, 40, 4, second.pid))
    arm(world, task, timer, 0, 1)
    world.advance(1)
    assert (world.handled(task), world.handled(second)) == (0, 40)
    addr = world.put(task, sigevent(0, 40, 4, world.process().pid))
    assert world.call(task, "timer_create", MONOTONIC, addr, addr) == -EINVAL


def test_sigev_none_only_counts(world: World) -> None:
    task = world.process()
    timer = make_timer(world, task, sigevent(0, 0, 1))
    arm(world, task, timer, 10, 25)
    world.advance(28)
    assert left(world, task, timer) == (10, 7)
    assert task.group.shared_pending.mask == 0


def test_absolute_timers_follow_the_wall_clock(world: World) -> None:
    task = world.process()
    world.catch(task, 40)
    timer = make_timer(world, task, sigevent(0, 40, 0), REALTIME)
    arm(world, task, timer, 0, world.clock.realtime() + 100 * SEC, ABSTIME)
    jump = world.clock.realtime() + 200 * SEC
    addr = world.put(task, timespec(jump // SEC, jump % SEC))
    assert world.call(task, "clock_settime", REALTIME, addr) == 0
    world.advance(0)
    assert world.handled(task) == 40


def test_deleted_timers_are_silent_and_give_their_room_back(world: World) -> None:
    task = world.process(uid=1000)
    task.group.rlim[11] = (2, 2)
    timers = [make_timer(world, task, None) for _ in range(2)]
    out = world.put(task, bytes(4))
    assert world.call(task, "timer_create", MONOTONIC, 0, out) == -EAGAIN
    task.blocked = 1 << (SIGALRM - 1)
    arm(world, task, timers[0], 0, 1)
    world.advance(1)
    assert task.group.shared_pending.mask == 1 << (SIGALRM - 1)
    assert world.call(task, "timer_delete", timers[0]) == 0
    assert task.group.shared_pending.mask == 0
    assert world.call(task, "timer_delete", timers[0]) == -EINVAL
    assert world.call(task, "timer_gettime", timers[0], out) == -EINVAL
    assert world.call(task, "timer_create", MONOTONIC, 0, out) == 0


def test_timers_on_cpu_clocks(world: World) -> None:
    task = world.process()
    world.catch(task, 40)
    timer = make_timer(world, task, sigevent(0, 40, 0), PROCESS_CPU)
    arm(world, task, timer, 0, 10 * MS)
    use(task, 9 * MS, 0)
    world.settle()
    assert world.handled(task) == 0
    use(task, 0, 1 * MS)
    world.settle()
    assert world.handled(task) == 40


def test_bad_timers(world: World) -> None:
    task = world.process()
    out = world.put(task, bytes(4), 0x200)
    assert world.call(task, "timer_create", RAW, 0, out) == -EOPNOTSUPP
    assert world.call(task, "timer_create", 99, 0, out) == -EINVAL
    for event in (sigevent(0, 65, 0), sigevent(0, 0, 0), sigevent(0, 40, 9)):
        addr = world.put(task, event)
        assert world.call(task, "timer_create", MONOTONIC, addr, out) == -EINVAL
    assert world.call(task, "timer_create", MONOTONIC, 0, 8) == -EFAULT
    timer = make_timer(world, task, None)
    addr = world.put(task, pack("<qqqq", 0, 0, 0, SEC))
    assert world.call(task, "timer_settime", timer, 0, addr, 0) == -EINVAL


def test_timers_end_with_their_process(world: World) -> None:
    task = world.process(world.process(), uid=7)
    arm(world, task, make_timer(world, task, None), 0, SEC)
    world.call(task, "alarm", 5)
    world.call(task, "exit_group", 0)
    assert world.machine.timers.next_deadline() is None
    assert world.machine.misc["sigpending"] == {}
