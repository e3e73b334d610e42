# SPDX-License-Identifier: Apache-2.0
"""A kernel oops: an exception in the kernel that is no errno.

The traceback goes to the kernel log, the task that was being served dies of SIGKILL, the
machine lives on. As in Linux, what the task held half-way may be lost; nothing else is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.linux.sched import SigInfo
from pygos.kernel.signal import force_sig_info

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_SIGKILL = 9
#: Recursion errors have very long tracebacks: keep the ends.
_LIMIT = 40


def oops(task: Task, error: BaseException) -> None:
    """Log `error` with its traceback and kill `task`."""
    import traceback

    machine = task.machine
    machine.oops_count += 1
    comm = task.comm.decode("utf-8", "replace")
    lines = [f"Oops: {type(error).__name__}: {error} [#{machine.oops_count}]"]
    lines.append(f"CPU: 0 PID: {task.pid} Comm: {comm} syscall: {task.syscall_nr}")
    lines.append("Call Trace:")
    stack = traceback.extract_tb(error.__traceback__)
    if len(stack) > _LIMIT:
        del stack[_LIMIT // 2 : -_LIMIT // 2]
    lines += [f" {at.name} at {at.filename}:{at.lineno}: {at.line}" for at in stack]
    machine.printk.emerg("\n".join(lines))
    _abandon_call(task)
    force_sig_info(task, SigInfo(_SIGKILL))


def _abandon_call(task: Task) -> None:
    """Leave the queues the failed call may have joined; nothing of it is tried again."""
    for queue in task.waiting:
        queue.remove(task)
    task.waiting = ()
    task.wait_deadline = None
    task.wait_killable = False
    task.in_syscall = False
    task.restart = None
    task.oops = True
