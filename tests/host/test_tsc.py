# SPDX-License-Identifier: Apache-2.0
"""The machine's clocks as lines over the time stamp counter: they follow the host's, forward."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest

from pygos.host import tsc
from pygos.host.clock import HostClock, clocksource, new_clock
from pygos.host.tsc import TscClock
from pygos.include.vdso.datapage import (
    VD_ALL_CLOCKS,
    VD_CLOCK_SIZE,
    VD_CLOCKS,
    VD_MASK,
    VD_SEQ,
    VD_TSC,
)

pytestmark = pytest.mark.skipif(clocksource() != "tsc", reason="the host counts time otherwise")
SEC, MS = 10**9, 10**6
REALTIME, MONOTONIC, TAI = 0, 1, 11


class Published:
    """A clock with its page, read as programs do."""

    def __init__(self) -> None:
        self.clock = TscClock()
        self.page = bytearray(4096)
        assert self.clock.publish(memoryview(self.page))

    def shown(self, number: int, counter: int) -> int:
        (start,) = struct.unpack_from("<Q", self.page, VD_TSC)
        at = VD_CLOCKS + number * VD_CLOCK_SIZE
        mult, sec, nsec = struct.unpack_from("<QQQ", self.page, at)
        assert nsec < SEC
        return int(sec * SEC + nsec + (max(counter - start, 0) * mult >> 64))

    def read(self, number: int) -> int:
        return self.shown(number, self.clock._tsc())

    def error(self) -> int:
        """How far CLOCK_MONOTONIC is ahead of the host's."""
        counter, mono, _ = self.clock._sample()
        return self.shown(MONOTONIC, counter) - (mono - self.clock.boot)


@pytest.fixture
def published() -> Published:
    return Published()


def test_programs_and_the_kernel_read_the_same(published: Published) -> None:
    clock = published.clock
    reads: list[tuple[int, Callable[[], int]]] = [
        (REALTIME, clock.realtime), (MONOTONIC, clock.boottime),
    ]  # fmt: skip
    for number, kernel in reads:
        last = 0
        for turn in range(3000):
            if turn % 100 == 99:
                clock.refresh()
            now = published.read(number) if turn % 2 else kernel()
            assert now >= last
            last = now


def test_the_lines_are_the_host_s_clocks(published: Published) -> None:
    clock = published.clock
    for _ in range(4):
        time.sleep(0.02)
        clock.refresh()
    assert abs(published.error()) < MS
    assert abs(clock.realtime() - time.time_ns()) < MS
    assert struct.unpack_from("<I", published.page, VD_SEQ)[0] % 2 == 0
    assert struct.unpack_from("<I", published.page, VD_MASK)[0] == VD_ALL_CLOCKS


def test_behind_the_host_they_step_forward(published: Published) -> None:
    published.clock.boot -= 50 * MS
    before = published.clock.boottime()
    published.clock.refresh()
    assert published.clock.boottime() - before >= 49 * MS
    assert abs(published.error()) < MS


def test_ahead_of_the_host_they_go_slower(published: Published) -> None:
    clock = published.clock
    clock.boot += SEC  # which no correction takes back at once
    before = clock.boottime()
    clock.refresh()
    rate = struct.unpack_from("<Q", published.page, VD_CLOCKS + VD_CLOCK_SIZE)[0]
    assert 0.96 < rate / clock.speed < 0.98
    assert clock.boottime() > before
    assert published.error() > SEC * 9 // 10


def test_a_host_that_was_suspended_while_its_counter_ran_on(published: Published) -> None:
    """The machine's clocks have gone on; the host's wall clock has been told, and agrees."""
    clock = published.clock
    speed = clock.speed
    up, real = clock.boottime(), clock.realtime()
    clock._view[VD_TSC >> 3] -= (3600 * SEC << 64) // speed
    clock._wall -= 3600 * SEC
    clock.refresh()
    assert 3600 * SEC <= clock.boottime() - up < 3601 * SEC
    assert 3600 * SEC <= clock.realtime() - real < 3601 * SEC
    assert clock.speed == speed
    assert abs(published.error()) < MS
    time.sleep(0.02)
    clock.refresh()
    assert 0.99 < clock.speed / speed < 1.01
    assert clock.realtime() - real < 3601 * SEC


def test_a_counter_that_began_anew(published: Published) -> None:
    clock = published.clock
    up, real, speed = clock.boottime(), clock.realtime(), clock.speed
    clock._view[VD_TSC >> 3] += 10**13
    assert clock.boottime() == clock.boottime()  # stands still until it is noticed
    before = clock.boottime()
    clock.refresh()
    assert clock.speed == speed
    assert clock.boottime() > before
    assert up < clock.boottime() < up + SEC
    assert real < clock.realtime() < real + SEC


def test_a_machine_that_was_stopped_with_its_counter(published: Published) -> None:
    clock = published.clock
    speed = clock.speed
    clock.boot -= 3600 * SEC
    clock._old = clock._new = (clock._old[0], clock._old[1] - 3600 * SEC)
    clock.refresh()
    assert clock.speed == speed
    assert abs(published.error()) < MS


def test_a_speed_measured_over_a_night_of_the_host_is_not_trusted() -> None:
    """As a machine may have that waited for its first program."""
    clock = TscClock()
    clock._old = clock._new = (clock._old[0] - 10**12, clock._old[1] - 30 * SEC)
    clock._slept -= 3600 * SEC
    assert clock.publish(memoryview(bytearray(4096)))
    assert clock._old[1] > clock.boot
    up, host = clock.boottime(), time.monotonic_ns()
    time.sleep(0.05)
    assert 0.9 < (clock.boottime() - up) / (time.monotonic_ns() - host) < 1.1


def test_the_host_sets_its_clock(published: Published) -> None:
    clock = published.clock
    clock._wall -= 3600 * SEC  # as if it had been an hour less so far
    before, up, tai = clock.realtime(), clock.boottime(), published.read(TAI)
    clock.refresh()
    assert 3600 * SEC <= clock.realtime() - before < 3601 * SEC
    assert 3600 * SEC <= published.read(TAI) - tai < 3601 * SEC
    assert clock.boottime() - up < SEC


def test_the_machine_sets_its_clock(published: Published) -> None:
    clock = published.clock
    clock.set_realtime(5 * SEC)
    assert 5 * SEC <= published.read(REALTIME) <= clock.realtime() < 6 * SEC
    clock.shift(-SEC, 37 * SEC)
    assert 4 * SEC <= published.read(REALTIME) < 5 * SEC
    (at,) = struct.unpack_from("<Q", published.page, VD_TSC)
    assert published.shown(TAI, at) - published.shown(REALTIME, at) == 37 * SEC


@pytest.mark.parametrize("ppb", [500_000, -500_000, 100_000_000])
def test_the_wall_clock_gains(published: Published, ppb: int) -> None:
    clock = published.clock
    clock.slew(ppb)
    (start,) = struct.unpack_from("<Q", published.page, VD_TSC)
    later = start + (1 << 32)
    gained = [
        published.shown(number, later) - published.shown(number, start)
        for number in (REALTIME, MONOTONIC, TAI)
    ]
    assert gained[0] == gained[2]
    assert abs(gained[0] - gained[1] - gained[1] * ppb // SEC) <= 2
    clock.refresh()
    assert clock.ppb == ppb


def test_what_was_set_before_anybody_could_read_counts() -> None:
    clock = TscClock()
    clock.set_realtime(100 * SEC)
    clock.slew(50_000_000)
    before = clock.realtime()
    assert 100 * SEC <= before < 101 * SEC
    assert clock.publish(memoryview(bytearray(4096)))
    assert before <= clock.realtime() < 101 * SEC


def test_a_host_that_no_longer_trusts_the_counter(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = published.clock
    clock.set_realtime(1000 * SEC)
    up, real = clock.boottime(), clock.realtime()
    monkeypatch.setattr(tsc, "clocksource", lambda: "hpet")
    clock._looked -= 60 * SEC
    clock.refresh()
    assert struct.unpack_from("<I", published.page, VD_MASK)[0] == 0
    assert up <= clock.boottime() < up + SEC
    assert real <= clock.realtime() < real + SEC
    assert not clock.publish(memoryview(published.page))
    assert clock.due > clock.monotonic() + 10**6 * SEC


def test_without_readers_there_is_no_page_to_write(published: Published) -> None:
    published.clock.unpublish()
    before = bytes(published.page)
    published.clock.refresh()
    published.clock.set_realtime(7 * SEC)
    assert bytes(published.page) == before


def test_other_hosts_have_their_clocks_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(new_clock(), TscClock)
    monkeypatch.setattr("pygos.host.clock.clocksource", lambda: "kvm-clock")
    clock = new_clock()
    assert type(clock) is HostClock
    assert not clock.publish(memoryview(bytearray(4096)))
