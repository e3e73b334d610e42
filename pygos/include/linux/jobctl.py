# SPDX-License-Identifier: Apache-2.0
"""Bits of ``task.jobctl`` (include/linux/sched/jobctl.h)."""

from __future__ import annotations

from typing import Final

#: The signal of the last group stop.
JOBCTL_STOP_SIGMASK: Final = 0xFFFF
#: A stop signal was taken from the queue and no SIGCONT came since.
JOBCTL_STOP_DEQUEUED: Final = 1 << 16
#: The task is to take part in a group stop; it counts for its completion.
JOBCTL_STOP_PENDING: Final = 1 << 17
JOBCTL_STOP_CONSUME: Final = 1 << 18
#: The task is to stop for its tracer; something about the group stop has changed.
JOBCTL_TRAP_STOP: Final = 1 << 19
JOBCTL_TRAP_NOTIFY: Final = 1 << 20
JOBCTL_TRAP_MASK: Final = JOBCTL_TRAP_STOP | JOBCTL_TRAP_NOTIFY
#: PTRACE_LISTEN: TRACED, but only until something happens.
JOBCTL_LISTENING: Final = 1 << 22
#: The control group of the task is frozen (kernel/cgroup/freezer.py).
JOBCTL_TRAP_FREEZE: Final = 1 << 23
#: It has more memory than memory.high and is to sleep a while (kernel/cgroup/memory.py).
JOBCTL_MEMCG_HIGH: Final = 1 << 30
JOBCTL_CGROUP_MASK: Final = JOBCTL_TRAP_FREEZE | JOBCTL_MEMCG_HIGH
#: What makes a task look at its signals.
JOBCTL_PENDING_MASK: Final = JOBCTL_STOP_PENDING | JOBCTL_TRAP_MASK | JOBCTL_CGROUP_MASK
