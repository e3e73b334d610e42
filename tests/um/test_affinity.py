# SPDX-License-Identifier: Apache-2.0
"""Where the kernel and its stubs run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pygos.arch.um.affinity import Affinity
from tests.um.guest import GETPID_LOOP, SPIN, Guest

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU")


@pytest.fixture
def machine() -> Iterator[Guest]:
    guest = Guest()
    yield guest
    guest.close()


def test_idle_times_of_all_cpus_are_known() -> None:
    assert set(Affinity.idle()) >= os.sched_getaffinity(0)


@pytest.mark.parametrize(("crowded", "spare"), [(True, True), (True, False), (False, True)])
def test_machine_moves_only_from_a_crowd_to_an_idle_cpu(
    machine: Guest, crowded: bool, spare: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    affinity = machine.um.affinity
    cpu = machine.cpu(GETPID_LOOP)
    old = affinity.home
    affinity._looked -= 10**9
    idle = affinity._idle
    later = affinity._waited + 10**12 * crowded
    monkeypatch.setattr(Affinity, "waited", staticmethod(lambda: later))
    rested = {number: ns + 10**12 for number, ns in idle.items()} if spare else idle
    monkeypatch.setattr(Affinity, "idle", staticmethod(lambda: rested))
    moved = affinity.look()
    assert moved is (crowded and spare)
    if moved:
        machine.um._move_home()
        assert affinity.home != old
    assert os.sched_getaffinity(0) == {affinity.home}
    assert os.sched_getaffinity(cpu.pid) == {affinity.home}
    assert os.sched_getaffinity(machine.um.zygote.pid) == {affinity.home}


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
    assert os.sched_getaffinity(cpu.pid) == {machine.um.affinity.home}
