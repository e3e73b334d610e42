# SPDX-License-Identifier: Apache-2.0
"""Instructions that fault for a task: rdtsc (PR_SET_TSC, seccomp's strict mode) and cpuid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.linux.sched import PF_NOTSC, PF_TRAPS, PF_TRAPS_SHIFT

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


def set_trap(task: Task, flag: int, on: bool) -> None:
    """Let PF_NOTSC's or PF_NOCPUID's instruction fault, or work again. ENODEV."""
    flags = task.flags | flag if on else task.flags & ~flag
    if flags != task.flags:
        assert task.cpu is not None
        task.cpu.set_traps((flags & PF_TRAPS) >> PF_TRAPS_SHIFT)
        old, task.flags = task.flags, flags
        if (old ^ flags) & PF_NOTSC and not (
            flags & PF_NOTSC == 0 and any(t.flags & PF_NOTSC for t in task.group.threads)
        ):
            from pygos.arch.x86.vdso.vma import vdso_update

            vdso_update(task)  # all threads of the program share its time pages
