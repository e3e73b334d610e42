# SPDX-License-Identifier: Apache-2.0
"""Where the kernel and its stubs run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from pygos.arch.um.affinity import Affinity
from tests.um.guest import GETPID_LOOP, SPIN, Guest

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU")


@pytest.fixture
def machine(platform: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    """A machine on a host that looks quiet."""
    monkeypatch.setattr(Affinity, "runnable", staticmethod(lambda: 1))
    guest = Guest(platform=platform)
    guest.um.affinity._looked += 10**12  # not by itself
    yield guest
    guest.close()


def test_idle_times_of_all_cpus_are_known() -> None:
    assert set(Affinity.idle()) >= os.sched_getaffinity(0)


def look(machine: Guest, waited: float, idle: dict[int, float], alone: bool = True) -> bool:
    """Let the policy believe a second passed, with these parts of it waited and idle."""
    affinity = machine.um.affinity
    second = 10**9
    affinity._looked = time.monotonic_ns() - second
    waited_before, idle_before = affinity._waited, dict(affinity._idle)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Affinity, "waited", lambda _: waited_before + int(waited * second))
        later = {cpu: idle_before[cpu] + int(part * second) for cpu, part in idle.items()}
        patch.setattr(Affinity, "idle", lambda _: later)
        moved = affinity.look(alone)
    if moved:
        machine.um.affinity.bring([machine.um.zygote.pid])
    assert os.sched_getaffinity(0) == affinity.where
    assert os.sched_getaffinity(machine.um.zygote.pid) == affinity.where
    return moved


def test_machine_and_stubs_share_a_cpu(machine: Guest) -> None:
    home = {machine.um.affinity.home}
    assert os.sched_getaffinity(0) == home
    assert os.sched_getaffinity(machine.cpu(GETPID_LOOP).pid) == home


def test_machine_moves_only_from_a_crowd_to_an_idle_cpu(machine: Guest) -> None:
    affinity = machine.um.affinity
    home, *others = sorted(os.sched_getaffinity(1), key=lambda cpu: cpu != affinity.home)
    other = others[0]
    assert not look(machine, 0.0, {home: 0.9, other: 0.9})
    assert not look(machine, 0.0, {home: 0.0, other: 0.9})
    assert not look(machine, 0.5, {home: 0.0, other: 0.9}, alone=False), "its own crowd"
    assert look(machine, 0.5, {home: 0.0, other: 0.9})
    assert affinity.where == {other}


def test_machine_floats_while_all_cpus_are_busy(machine: Guest) -> None:
    affinity = machine.um.affinity
    cpus = os.sched_getaffinity(1)
    busy = dict.fromkeys(cpus, 0.1)
    assert look(machine, 0.5, busy)
    assert affinity.floating
    assert os.sched_getaffinity(0) == cpus
    assert not look(machine, 0.5, busy)
    assert look(machine, 0.0, dict.fromkeys(cpus, 0.4))
    assert not affinity.floating


def test_computing_guests_spread(machine: Guest) -> None:
    cpus = [machine.cpu(SPIN), machine.cpu(SPIN)]
    for cpu in cpus:
        cpu.resume()
    while not any(cpu.stub.away for cpu in cpus):
        for cpu, _trap in machine.um.wait(None):
            cpu.resume()
    away = next(cpu for cpu in cpus if cpu.stub.away)
    assert os.sched_getaffinity(away.pid) != {machine.um.affinity.home}


def test_guest_that_makes_system_calls_comes_home(machine: Guest) -> None:
    cpu = machine.cpu(GETPID_LOOP)
    os.sched_setaffinity(cpu.pid, os.sched_getaffinity(1))
    cpu.stub.away = True
    for _ in range(1000):
        machine.trap(cpu)
    assert not cpu.stub.away
    if machine.um.systrap:
        machine.um.spin.leave()  # where it may have found out that spinning pays
    assert os.sched_getaffinity(cpu.pid) == {machine.um.affinity.home}


@pytest.mark.only_on("systrap")
def test_spinning_is_left_when_it_gets_slower(machine: Guest, platform: str) -> None:
    """The policy alone, with times made up: pinned 5 us a stop, spinning 2, then 9; then it has to
    wait, and is tried again; it pays no more."""
    from pygos.arch.um import spin as module
    from pygos.arch.um.spin import Spin

    cpu = machine.cpu(GETPID_LOOP)
    machine.trap(cpu)
    now = 0
    module_clock = module.monotonic_ns
    spin = Spin(machine.um.affinity)
    module.monotonic_ns = lambda: now  # type: ignore[assignment]
    try:
        seen = []
        following = spin.review(cpu)
        for each in (5000, 2000, 2000, 9000, 5000, 5000, 5000, 5000, 4900):
            now += following * each
            following = spin.review(cpu)
            seen.append(spin.on)
        now += following * 1_000_000  # it computes
        spin.review(cpu)
    finally:
        module.monotonic_ns = module_clock
    assert seen == [True, True, True, False, False, False, False, True, False]
    assert not spin.on
    assert os.sched_getaffinity(cpu.pid) == {machine.um.affinity.home}
