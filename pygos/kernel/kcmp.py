# SPDX-License-Identifier: Apache-2.0
"""kcmp(2): do two processes share a resource?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EBADF, EINVAL, EOPNOTSUPP, EPERM, ESRCH
from pygos.include.linux.ptrace import PTRACE_MODE_READ_REALCREDS, ptrace_may_access
from pygos.include.linux.syscalls import Int, Pid, ULong, syscall
from pygos.include.uapi import kcmp as uapi

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: Equal, and "not equal, ordering unknown": addresses of kernel objects mean nothing here.
_EQUAL: Final = 0
_DIFFERENT: Final = 3


def _object(target: Task, kind: int, index: int) -> object:
    if kind == uapi.KCMP_FILE:
        file = target.files.fd.get(index)
        if file is None:
            raise EBADF
        return file
    if kind == uapi.KCMP_VM:
        return target.mm
    if kind == uapi.KCMP_FILES:
        return target.files
    if kind == uapi.KCMP_FS:
        return target.fs
    if kind == uapi.KCMP_SIGHAND:
        return target.sighand
    if kind == uapi.KCMP_IO:
        # An I/O context is made by the first ioprio_set(2): till then all have none.
        return target if target.ioprio else None
    if kind in (uapi.KCMP_SYSVSEM, uapi.KCMP_EPOLL_TFD):
        raise EOPNOTSUPP
    raise EINVAL


@syscall(partial="KCMP_SYSVSEM and KCMP_EPOLL_TFD give EOPNOTSUPP; no ordering")
def kcmp(task: Task, pid1: Pid, pid2: Pid, type_: Int, idx1: ULong, idx2: ULong) -> int:
    """Compare kernel objects of two processes. kcmp(2). EBADF, EINVAL, EPERM, ESRCH."""
    tasks = task.machine.pids.tasks
    one, two = tasks.get(pid1), tasks.get(pid2)
    if one is None or two is None:
        raise ESRCH
    mode = PTRACE_MODE_READ_REALCREDS
    if not ptrace_may_access(task, one, mode) or not ptrace_may_access(task, two, mode):
        raise EPERM
    same = _object(one, type_, idx1) is _object(two, type_, idx2)
    return _EQUAL if same else _DIFFERENT
