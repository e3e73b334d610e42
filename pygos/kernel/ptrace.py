# SPDX-License-Identifier: Apache-2.0
"""ptrace(2): the call. What it does is in ptrace_request.py, loaded at its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import ESRCH
from pygos.include.linux.syscalls import Long, ULong, UserAddr, syscall
from pygos.kernel.pid import find_task_by_vpid

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_TRACEME, _KILL, _ATTACH, _SEIZE, _INTERRUPT = 0, 8, 16, 0x4206, 0x4207


@syscall(name="ptrace", partial="no block steps")
def sys_ptrace(task: Task, request: Long, pid: Long, addr: ULong, data: UserAddr) -> int:
    """Observe and control another task. ptrace(2).

    Errors: ESRCH no such tracee, or it isn't stopped; EPERM not allowed, or traced already;
    EIO unknown request, bad address or register; EINVAL; EFAULT.
    """
    from pygos.kernel import ptrace_request as requests

    if request == _TRACEME:
        return requests.ptrace_traceme(task)
    child = find_task_by_vpid(task, pid) if pid > 0 else None
    if child is None:
        raise ESRCH
    if request in (_ATTACH, _SEIZE):
        return requests.ptrace_attach(task, child, request == _SEIZE, addr, data)
    requests.check_attach(task, child, request in (_KILL, _INTERRUPT))
    return requests.ptrace_request(task, child, request, addr, data)
