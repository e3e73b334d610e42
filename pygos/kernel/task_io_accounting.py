# SPDX-License-Identifier: Apache-2.0
"""What tasks read and write (include/linux/task_io_accounting_ops.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pygos.include.linux.sched import SignalStruct, Task

#: The counters of a task: bytes moved, calls, bytes from and to the store.
FIELDS: Final = ("io_rchar", "io_wchar", "io_syscr", "io_syscw", "io_read", "io_write")


def add_task(group: SignalStruct, task: Task) -> None:
    """A thread of the group is gone, or a single-threaded child was reaped."""
    if task.io_syscr or task.io_syscw or task.io_read:
        _add(group, [getattr(task, name) for name in FIELDS])


def add_group(group: SignalStruct, child: SignalStruct) -> None:
    """A child was reaped: its earlier threads and children count for its parent."""
    if child.ioac is not None:
        _add(group, child.ioac)


def _add(group: SignalStruct, values: list[int]) -> None:
    if group.ioac is None:
        group.ioac = [0] * len(FIELDS)
    for place, value in enumerate(values):
        group.ioac[place] += value


def group_io(group: SignalStruct) -> list[int]:
    """All that a process has read and written, with its reaped children."""
    total = list(group.ioac or [0] * len(FIELDS))
    for thread in group.threads:
        for place, name in enumerate(FIELDS):
            total[place] += getattr(thread, name)
    return total
