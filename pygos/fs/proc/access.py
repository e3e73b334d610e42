# SPDX-License-Identifier: Apache-2.0
"""Who may look at whom: ptrace's rule, with the credentials that file access goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygos.include.errno import EACCES, EPERM, ESRCH
from pygos.include.linux.ptrace import (
    PTRACE_MODE_ATTACH_FSCREDS,
    PTRACE_MODE_READ_FSCREDS,
    ptrace_may_access,
)
from pygos.include.linux.user_namespace import INVALID_ID

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm


def may_access(task: Task, target: Task) -> bool:
    """May `task` inspect `target`?"""
    return ptrace_may_access(task, target, PTRACE_MODE_READ_FSCREDS)


def require_access(task: Task, target: Any) -> None:
    """EACCES unless may_access()."""
    if not ptrace_may_access(task, target, PTRACE_MODE_READ_FSCREDS):
        raise EACCES


def require_mem_access(task: Task, target: Any) -> None:
    """EACCES unless the task may even change the target: /proc/PID/mem."""
    if not ptrace_may_access(task, target, PTRACE_MODE_ATTACH_FSCREDS):
        raise EACCES


def require_attach(task: Task, target: Any) -> None:
    """EPERM unless it may change the target: the files about the kernel's own state."""
    if not ptrace_may_access(task, target, PTRACE_MODE_ATTACH_FSCREDS):
        raise EPERM


def alive(target: Task) -> bool:
    """Is the task still in the table (not reaped)?"""
    return target.machine.pids.tasks.get(target.pid) is target


def living(target: Any) -> Task:
    """The target of a file, which must not have been reaped. ESRCH."""
    assert target is not None
    if target.machine.pids.tasks.get(target.pid) is not target:
        raise ESRCH
    found: Task = target
    return found


def mm_of(target: Any) -> Mm | None:
    """The target's memory; None for a zombie. ESRCH."""
    return living(target).mm


def dump_owner(target: Task) -> tuple[int, int]:
    """Owner and group of the files that not everybody may read."""
    mm = target.mm
    if mm is not None and mm.dumpable != 1:
        ns = mm.user_ns
        if ns is None:
            return 0, 0
        uid, gid = ns.make_kuid(0), ns.make_kgid(0)
        return (0 if uid == INVALID_ID else uid), (0 if gid == INVALID_ID else gid)
    return target.cred.euid, target.cred.egid
