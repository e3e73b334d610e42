# SPDX-License-Identifier: Apache-2.0
"""The pids controller: how many tasks a group may have (kernel/cgroup/pids.c).

Only fork and clone are refused; a move into a full group, or a limit below what is there, is
allowed. Processes count until they are reaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from pygos.include.errno import EAGAIN, EINVAL
from pygos.kernel.cgroup.core import Css, cgroup_path

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.cgroup.core import Cgroup

#: "max", and the highest number that can be set.
PIDS_MAX: Final = 4_194_305


class PidsCss(Css):
    """One group's tasks and its limit."""

    __slots__ = ("count", "events", "failed", "local", "max", "parent", "peak")
    name: ClassVar[str] = "pids"

    def __init__(self, cgroup: Cgroup) -> None:
        super().__init__(cgroup)
        self.parent: PidsCss | None = cgroup.parent.pids if cgroup.parent is not None else None
        self.max = PIDS_MAX
        self.count = self.peak = 0
        #: How often the limit was hit: here and below, here only.
        self.events = self.local = 0
        #: Forks from here that were refused.
        self.failed = 0

    def attach(self, task: Task) -> None:
        at: PidsCss | None = self
        while at is not None:
            at.count += 1
            if at.count > at.peak:
                at.peak = at.count
            at = at.parent

    def detach(self, task: Task) -> None:
        at: PidsCss | None = self
        while at is not None:
            at.count -= 1
            at = at.parent

    def can_fork(self) -> None:
        """Is there room for one more task here and in all groups above? EAGAIN."""
        at: PidsCss | None = self
        while at is not None:
            if at.count >= at.max:
                self._refuse(at)
                raise EAGAIN
            at = at.parent

    def _refuse(self, full: PidsCss) -> None:
        """A fork from here found the limit of `full` reached: log the first time, count."""
        self.failed += 1
        if self.failed == 1:
            path = cgroup_path(self.cgroup).decode("utf-8", "surrogateescape")
            text = f"cgroup: fork rejected by pids controller in {path}"
            self.cgroup.machine.printk.info(text)
        full.local += 1
        full.cgroup.notify(b"pids.events.local")
        at: PidsCss | None = full
        while at is not None:
            at.events += 1
            at.cgroup.notify(b"pids.events")
            at = at.parent

    def set_max(self, text: bytes) -> None:
        """A write to pids.max: a number or "max". EINVAL."""
        self.max = parse_max(text)

    def max_text(self) -> str:
        """pids.max."""
        return "max\n" if self.max >= PIDS_MAX else f"{self.max}\n"


def parse_max(text: bytes) -> int:
    """A limit as it is written. EINVAL."""
    word = text.strip(b" \t\n\v\f\r")
    if word == b"max":
        return PIDS_MAX
    try:
        value = int(word, 0) if b"_" not in word else -1
    except ValueError:
        raise EINVAL from None
    if not 0 <= value < PIDS_MAX:
        raise EINVAL
    return value
