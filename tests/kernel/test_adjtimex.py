# SPDX-License-Identifier: Apache-2.0
"""adjtimex(2) and what it does to the wall clock; time stands still between steps."""

from __future__ import annotations

from struct import pack, unpack

import pytest

from pygos.include.linux.sched import Task
from pygos.include.uapi.time import Timeval
from pygos.include.uapi.timex import Timex
from tests.support.world import SEC, World, timespec

EPERM, EINVAL, EOPNOTSUPP = 1, 22, 95
REALTIME, MONOTONIC, TAI = 0, 1, 11
OFFSET, FREQUENCY, MAXERROR, STATUS, TIMECONST = 1, 2, 4, 0x10, 0x20
SET_TAI, SETOFFSET = 0x80, 0x100
MICRO, NANO, TICK, SINGLESHOT, SS_READ = 0x1000, 0x2000, 0x4000, 0x8001, 0xA001
PLL, INS, DEL, UNSYNC = 1, 0x10, 0x20, 0x40
OK, INSERTING, DELETING, OOP, WAITING, ERROR = range(6)


def adjust(world: World, task: Task, **fields: int) -> tuple[int, Timex]:
    """adjtimex(2); its result and the struct as it comes back."""
    tx = Timex(**fields)
    addr = world.put(task, tx.to_bytes())
    state = world.call(task, "adjtimex", addr)
    return state, Timex.from_bytes(world.get(task, addr, Timex.SIZE))


def clock(world: World, task: Task, which: int) -> int:
    addr = world.put(task, bytes(16), 0x700)
    assert world.call(task, "clock_gettime", which, addr) == 0
    sec, nsec = unpack("<qq", world.get(task, addr, 16))
    return int(sec * SEC + nsec)


def gained(world: World, seconds: int) -> int:
    """ns that the wall clock gains on the monotonic one in so many seconds."""
    before = world.clock.realtime() - world.clock.mono
    for _ in range(seconds):
        world.advance(SEC)
    return world.clock.realtime() - world.clock.mono - before


def test_anybody_reads_an_unsynchronised_clock(world: World) -> None:
    for task in (world.process(), world.process(uid=1000)):
        state, tx = adjust(world, task)
        assert (state, tx.status, tx.constant, tx.tick) == (ERROR, UNSYNC, 2, 10_000)
        assert (tx.maxerror, tx.esterror, tx.precision) == (16_000_000, 16_000_000, 1)
        assert tx.tolerance == 500 << 16
        assert tx.time.tv_sec * SEC + tx.time.tv_usec * 1000 == world.clock.realtime()


def test_only_the_privileged_tune_it(world: World) -> None:
    root, user = world.process(), world.process(uid=1000)
    for modes in (OFFSET, FREQUENCY, NANO, SETOFFSET, TICK, SINGLESHOT):
        assert adjust(world, user, modes=modes)[0] == -EPERM
    assert adjust(world, user, modes=SS_READ)[0] == ERROR
    assert adjust(world, user, modes=0x8000)[0] == -EINVAL
    addr = world.put(root, pack("<I204x", FREQUENCY))
    assert world.call(root, "clock_adjtime", MONOTONIC, addr) == -EOPNOTSUPP
    assert world.call(root, "clock_adjtime", 99, addr) == -EINVAL


@pytest.mark.parametrize("tick", [8_999, 11_001, -1])
def test_a_tick_out_of_range_is_refused(world: World, tick: int) -> None:
    assert adjust(world, world.process(), modes=TICK, tick=tick)[0] == -EINVAL


def test_a_frequency_makes_the_wall_clock_gain(world: World) -> None:
    root = world.process()
    state, tx = adjust(world, root, modes=FREQUENCY | STATUS | MAXERROR, freq=100 << 16)
    assert (state, tx.freq) == (OK, 100 << 16)
    assert gained(world, 10) == 10 * 100_000
    assert adjust(world, root, modes=FREQUENCY, freq=501 << 16)[1].freq == 500 << 16
    assert adjust(world, root, modes=FREQUENCY, freq=1 << 62)[0] == -EINVAL
    adjust(world, root, modes=FREQUENCY, freq=0)
    assert gained(world, 10) == 0


def test_a_longer_tick_makes_it_gain_too(world: World) -> None:
    adjust(world, world.process(), modes=TICK, tick=10_010)
    assert gained(world, 3) == 3 * 1_000_000


def test_adjtime_slews_half_a_millisecond_a_second_and_tells_what_is_left(world: World) -> None:
    root = world.process()
    assert adjust(world, root, modes=SINGLESHOT, offset=1_200)[1].offset == 0
    assert adjust(world, root, modes=SS_READ)[1].offset == 700
    assert gained(world, 1) == 500_000
    assert gained(world, 1) == 500_000
    assert gained(world, 2) == 200_000
    assert adjust(world, root, modes=SS_READ)[1].offset == 0
    assert world.machine.timers.next_deadline() is None


def test_an_offset_needs_the_pll_and_is_slewed_out(world: World) -> None:
    root = world.process()
    assert adjust(world, root, modes=OFFSET, offset=1_000)[1].offset == 0
    tx = adjust(world, root, modes=OFFSET | STATUS | NANO | TIMECONST, status=PLL,
                offset=1_000_000, constant=0)[1]  # fmt: skip
    assert 0 < tx.offset < 1_000_000
    assert gained(world, 64) == 1_000_000
    assert adjust(world, root)[1].offset == 0


def test_setoffset_steps_the_clock(world: World) -> None:
    root = world.process()
    before = world.clock.realtime()
    assert adjust(world, root, modes=SETOFFSET, time=Timeval(5, 250_000))[0] == ERROR
    assert world.clock.realtime() == before + 5_250_000_000
    assert adjust(world, root, modes=SETOFFSET, time=Timeval(0, 1_000_000))[0] == -EINVAL
    assert adjust(world, root, modes=SETOFFSET | NANO, time=Timeval(-1, 999_999_999))[0] == ERROR
    assert world.clock.realtime() == before + 5_249_999_999


def test_tai_runs_ahead_of_utc(world: World) -> None:
    root = world.process()
    assert adjust(world, root, modes=SET_TAI, constant=37)[1].tai == 37
    assert clock(world, root, TAI) - clock(world, root, REALTIME) == 37 * SEC
    addr = world.put(root, timespec(*divmod(clock(world, root, TAI), SEC)), 0x800)
    assert world.call(root, "clock_nanosleep", TAI, 1, addr, 0) == 0


@pytest.mark.parametrize(
    ("flag", "during", "step", "after"),
    [(INS, INSERTING, -SEC, OOP), (DEL, DELETING, SEC, WAITING)],
)
def test_a_leap_second_comes_at_the_end_of_the_day(
    world: World, flag: int, during: int, step: int, after: int
) -> None:
    root = world.process()
    midnight = (world.clock.realtime() // (86_400 * SEC) + 1) * 86_400 * SEC
    world.clock.set_realtime(midnight - 5 * SEC)
    adjust(world, root, modes=STATUS | MAXERROR, status=flag)
    world.advance(SEC)
    assert adjust(world, root)[0] == during
    assert gained(world, 5) == step
    assert adjust(world, root)[0] in (after, WAITING)
    adjust(world, root, modes=STATUS, status=0)
    world.advance(SEC)
    assert adjust(world, root)[0] == OK


def test_the_maximum_error_grows_until_the_clock_counts_as_lost(world: World) -> None:
    root = world.process()
    assert adjust(world, root, modes=MAXERROR | STATUS, maxerror=1_000)[0] == OK
    world.advance(10 * SEC)
    assert adjust(world, root)[1].maxerror == 6_000
    world.advance(40_000 * SEC)
    state, tx = adjust(world, root)
    assert (state, tx.maxerror, tx.status) == (ERROR, 16_000_000, UNSYNC)
