# SPDX-License-Identifier: Apache-2.0
"""The kernel log that dmesg shows."""

from __future__ import annotations

import pytest

from pygos.kernel.printk import DEBUG, EMERG, ERR, INFO, NOTICE, WARNING, Printk


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.ns = 5_000_000_000

    def monotonic(self) -> int:
        return self.ns


class Waiter:
    """Counts wake-ups."""

    def __init__(self) -> None:
        self.count = 0

    def wake(self, queue: object, key: int) -> None:
        self.count += 1


@pytest.fixture
def log() -> Printk:
    return Printk(Clock())  # type: ignore[arg-type]


def test_lines_look_as_dmesg_prints_them(log: Printk) -> None:
    log.clock.ns += 1_234_567_890  # type: ignore[attr-defined]
    log.info("hello")
    assert log.text() == "[    1.234567] hello\n"


def test_each_line_of_a_text_is_a_record(log: Printk) -> None:
    log.warn("one\ntwo")
    assert [(r.seq, r.text) for r in log.records] == [(0, "one"), (1, "two")]


def test_levels(log: Printk) -> None:
    for name in ("emerg", "err", "warn", "notice", "info", "debug"):
        getattr(log, name)("x")
    assert [r.level for r in log.records] == [EMERG, ERR, WARNING, NOTICE, INFO, DEBUG]


def test_long_lines_are_cut(log: Printk) -> None:
    log.info("x" * 5000)
    assert len(log.records[0].text) == 1024


def test_old_records_fall_out_and_numbers_go_on(log: Printk) -> None:
    for n in range(10_000):
        log.info(str(n))
    assert len(log.records) == 8192
    assert log.records[-1].seq == 9_999
    assert log.records[0].seq == 10_000 - 8192


def test_what_was_cleared_is_not_shown(log: Printk) -> None:
    log.info("old")
    log.clear_seq = log.next_seq
    log.info("new")
    assert "old" not in log.text()
    assert "new" in log.text()


def test_readers_are_woken(log: Printk) -> None:
    waiter = Waiter()
    log.wait.add(waiter)  # type: ignore[arg-type]
    log.info("x")
    assert waiter.count == 1
