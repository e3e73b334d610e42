# SPDX-License-Identifier: Apache-2.0
"""The load average moves towards the number of active tasks and forgets idle time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygos.kernel.sched.loadavg import LOAD_FREQ, LoadAverage


def _after(samples: list[int]) -> list[float]:
    values = [0.0, 0.0, 0.0]
    load = LoadAverage(values, 0)
    for number, active in enumerate(samples, 1):
        load.sample(number * LOAD_FREQ, active)
    return values


def test_a_minute_of_two_tasks_is_known_from_the_formula() -> None:
    values = _after([2] * 12)
    assert values == pytest.approx([2 * (1 - 2.718281828 ** (-1 / m)) for m in (1, 5, 15)])


@given(st.lists(st.integers(0, 50), min_size=1, max_size=200))
def test_averages_stay_between_nothing_and_the_most_active(samples: list[int]) -> None:
    assert all(0 <= value <= max(samples) + 1e-9 for value in _after(samples))


def test_time_slept_through_counts_as_idle() -> None:
    values = [8.0, 8.0, 8.0]
    load = LoadAverage(values, 0)
    load.sample(3600 * 10**9, 0)
    assert values[0] < 1e-20
    assert values[2] == pytest.approx(8 * 2.718281828 ** -4, rel=0.01)
    assert load.due > 3600 * 10**9


def test_centuries_of_sleep_take_no_time() -> None:
    load = LoadAverage([5.0, 5.0, 5.0], 0)
    load.sample(10**19, 1)
    assert load.values[0] == pytest.approx(1 - 2.718281828 ** (-1 / 12))
