# SPDX-License-Identifier: Apache-2.0
"""The kernel log: a ring of records behind dmesg, /dev/kmsg and syslog(2)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from pygos.include.linux.wait import WaitQueue

if TYPE_CHECKING:
    from pygos.include.linux.platform import Clock

EMERG, ALERT, CRIT, ERR, WARNING, NOTICE, INFO, DEBUG = range(8)
_RECORDS = 8192
_LINE_MAX = 1024


class Record(NamedTuple):
    """One line of the log. `us`: microseconds since boot."""

    seq: int
    level: int
    facility: int
    us: int
    text: str

    def console_text(self) -> str:
        """As dmesg prints it: ``[    1.234567] text``."""
        return f"[{self.us // 1_000_000:5d}.{self.us % 1_000_000:06d}] {self.text}"


class Printk:
    """The ring. Old records fall out; `seq` numbers have no gaps."""

    __slots__ = ("boot", "clear_seq", "clock", "next_seq", "records", "wait")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.boot = clock.monotonic()
        self.records: deque[Record] = deque(maxlen=_RECORDS)
        self.next_seq = 0
        #: syslog(SYSLOG_ACTION_CLEAR) hides what is before this.
        self.clear_seq = 0
        self.wait = WaitQueue()

    def log(self, level: int, text: str, facility: int = 0) -> None:
        """Add a record for each line of `text`."""
        us = (self.clock.monotonic() - self.boot) // 1000
        for line in text.split("\n"):
            self.records.append(Record(self.next_seq, level, facility, us, line[:_LINE_MAX]))
            self.next_seq += 1
        self.wait.wake_all()

    def emerg(self, text: str) -> None:
        self.log(EMERG, text)

    def err(self, text: str) -> None:
        self.log(ERR, text)

    def warn(self, text: str) -> None:
        self.log(WARNING, text)

    def notice(self, text: str) -> None:
        self.log(NOTICE, text)

    def info(self, text: str) -> None:
        self.log(INFO, text)

    def debug(self, text: str) -> None:
        self.log(DEBUG, text)

    def text(self) -> str:
        """The whole log as dmesg prints it."""
        return "".join(
            record.console_text() + "\n" for record in self.records if record.seq >= self.clear_seq
        )
