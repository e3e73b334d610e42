# SPDX-License-Identifier: Apache-2.0
"""Who may look at whom: ptrace's rule, with the credentials that file access goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygos.include.errno import EACCES, EPERM, ESRCH
from pygos.include.uapi.capability import CAP_SYS_PTRACE

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm


def may_access(task: Task, target: Task) -> bool:
    """May `task` inspect `target`? (ptrace_may_access with PTRACE_MODE_READ_FSCREDS)"""
    if target.group is task.group:
        return True
    mine, theirs = task.cred, target.cred
    if mine.capable(CAP_SYS_PTRACE):
        return True
    if not mine.fsuid == theirs.euid == theirs.suid == theirs.uid:
        return False
    if not mine.fsgid == theirs.egid == theirs.sgid == theirs.gid:
        return False
    if theirs.cap_permitted & ~mine.cap_effective:
        return False
    return target.mm is None or target.mm.dumpable == 1


def require_access(task: Task, target: Any) -> None:
    """EACCES unless may_access()."""
    if not may_access(task, target):
        raise EACCES


def require_attach(task: Task, target: Any) -> None:
    """EPERM unless may_access(): the files about the kernel's own state."""
    if not may_access(task, target):
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
        return 0, 0
    return target.cred.euid, target.cred.egid
