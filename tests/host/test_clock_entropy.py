# SPDX-License-Identifier: Apache-2.0
"""Time and randomness of a machine."""

from __future__ import annotations

import time

from pygos.host.clock import HostClock
from pygos.host.entropy import HostEntropy, SeededEntropy


def test_setting_the_time_is_the_machine_s_own_affair() -> None:
    clock = HostClock()
    host = time.time_ns()
    assert 0 <= clock.realtime() - host < 10**9
    clock.set_realtime(0)
    assert 0 <= clock.realtime() < 10**9
    assert time.time_ns() - host < 10**9
    assert 0 <= clock.monotonic() - time.monotonic_ns() + 10**9 <= 10**9
    assert clock.boottime() > 0


def test_seeded_entropy_repeats() -> None:
    first, second, other = SeededEntropy(1), SeededEntropy(1), SeededEntropy(2)
    a, b = first.bytes(16), first.bytes(16)
    assert a != b
    assert (second.bytes(16), second.bytes(16)) == (a, b)
    assert other.bytes(16) != a


def test_host_entropy_differs() -> None:
    entropy = HostEntropy()
    assert len(entropy.bytes(33)) == 33
    assert entropy.bytes(16) != entropy.bytes(16)
