# SPDX-License-Identifier: Apache-2.0
"""Bits of ``task.ptrace``, kinds of stops, and who may inspect whom (include/linux/ptrace.h)."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.pid_namespace import find_vpid

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.sched import Task

PT_PTRACED: Final = 1
PT_SEIZED: Final = 0x10000
#: PTRACE_O_* begin here.
PT_OPT_SHIFT: Final = 3
PT_EXITKILL: Final = 1 << 20 << PT_OPT_SHIFT
PT_SUSPEND_SECCOMP: Final = 1 << 21 << PT_OPT_SHIFT
PT_TRACESYSGOOD: Final = 1 << PT_OPT_SHIFT


#: How a task wants to look at another: READ its state, or ATTACH to change it; by the ids that
#: count for files (FSCREDS) or by its real ones (REALCREDS).
PTRACE_MODE_READ: Final = 1
PTRACE_MODE_ATTACH: Final = 2
PTRACE_MODE_FSCREDS: Final = 8
PTRACE_MODE_REALCREDS: Final = 16
PTRACE_MODE_READ_FSCREDS: Final = PTRACE_MODE_READ | PTRACE_MODE_FSCREDS
PTRACE_MODE_READ_REALCREDS: Final = PTRACE_MODE_READ | PTRACE_MODE_REALCREDS
PTRACE_MODE_ATTACH_FSCREDS: Final = PTRACE_MODE_ATTACH | PTRACE_MODE_FSCREDS
PTRACE_MODE_ATTACH_REALCREDS: Final = PTRACE_MODE_ATTACH | PTRACE_MODE_REALCREDS
_CAP_SYS_PTRACE: Final = 19
#: kernel.yama.ptrace_scope: anybody as far as the ids allow it; descendants; nobody without
#: the capability; nobody.
PTRACE_SCOPE: Final = "kernel.yama.ptrace_scope"
SCOPE_DISABLED, SCOPE_RELATIONAL, SCOPE_CAPABILITY, SCOPE_NO_ATTACH = 0, 1, 2, 3


class Stop(IntEnum):
    """What a tracee is stopped for: it decides what becomes of the tracer's signal."""

    NONE = 0
    #: The signal is delivered in place of the one the stop was for.
    SIGNAL = 1
    #: Entry or exit of a call: the signal is sent afterwards.
    SYSCALL = 2
    #: An event: the signal is ignored.
    EVENT = 3
    #: Group stop, PTRACE_INTERRUPT: the signal is ignored.
    TRAP = 4


def ptrace_may_access(task: Task, target: Task, mode: int) -> bool:
    """May `task` look at `target` (ptrace(2), "Ptrace access mode checking")?"""
    if task.group is target.group:
        return True
    mine, theirs = task.cred, target.cred
    uid, gid = mine.uid, mine.gid
    if mode & PTRACE_MODE_FSCREDS:
        uid, gid = mine.fsuid, mine.fsgid
    capable = mine.ns_capable(theirs.user_ns, _CAP_SYS_PTRACE)
    same = uid == theirs.euid == theirs.suid == theirs.uid
    if not (same and gid == theirs.egid == theirs.sgid == theirs.gid) and not capable:
        return False
    mm: Any = target.mm
    if mm is not None and mm.dumpable != 1 and not mine.ns_capable(mm.user_ns, _CAP_SYS_PTRACE):
        return False
    caps = mine.cap_effective if mode & PTRACE_MODE_FSCREDS else mine.cap_permitted
    subset = mine.user_ns is theirs.user_ns and not theirs.cap_permitted & ~caps
    if not subset and not capable:
        return False
    return not mode & PTRACE_MODE_ATTACH or _in_scope(task, target, capable)


def _in_scope(task: Task, target: Task, capable: bool) -> bool:
    """Yama's restriction of attaching."""
    scope = ptrace_scope(task)
    if scope == SCOPE_DISABLED:
        return True
    if scope == SCOPE_RELATIONAL:
        return capable or is_descendant(task, target) or _exception(task, target)
    return scope == SCOPE_CAPABILITY and capable


def ptrace_scope(task: Task) -> int:
    """The value of kernel.yama.ptrace_scope."""
    scope = task.machine.sysctl.get(PTRACE_SCOPE, SCOPE_DISABLED)
    assert isinstance(scope, int)
    return scope


def set_ptrace_scope(task: Task, value: int) -> None:
    """Write kernel.yama.ptrace_scope. EPERM without CAP_SYS_PTRACE; once 3, it stays 3: EINVAL."""
    if not task.cred.capable(_CAP_SYS_PTRACE):
        raise EPERM
    if ptrace_scope(task) == SCOPE_NO_ATTACH != value:
        raise EINVAL
    task.machine.sysctl[PTRACE_SCOPE] = value


def is_descendant(ancestor: Task, task: Task) -> bool:
    """Does the process of `task` descend from that of `ancestor` (or is it the same)?"""
    while task.pid > 0:
        if task.group is ancestor.group:
            return True
        task = task.group.leader.real_parent
    return False


def _exception(task: Task, target: Task) -> bool:
    """An exception from the scope: its tracer already, or PR_SET_PTRACER."""
    if target.ptracer is not None and target.ptracer.group is task.group:
        return True
    allowed = target.group.yama_ptracer
    if isinstance(allowed, bool) or allowed is None:
        return bool(allowed)
    return is_descendant(allowed, task)


def traceme_allowed(parent: Task, cred: Cred) -> bool:
    """May the parent trace a child of these credentials that asks for it?"""
    mine = parent.cred
    capable = mine.ns_capable(cred.user_ns, _CAP_SYS_PTRACE)
    if ptrace_scope(parent) >= SCOPE_CAPABILITY:
        return capable and ptrace_scope(parent) == SCOPE_CAPABILITY
    subset = mine.user_ns is cred.user_ns and not cred.cap_permitted & ~mine.cap_permitted
    return subset or capable


def ptracer_capable(task: Task) -> bool:
    """May a setuid program run with its privileges although it is traced (ptracer_capable)?

    The credentials that the tracer had when it attached count. True if nobody traces it.
    """
    if not task.ptrace or task.pt is None or task.pt.cred is None:
        return True
    return task.pt.cred.ns_capable(task.cred.user_ns, _CAP_SYS_PTRACE)


def set_ptracer(task: Task, pid: int) -> int:
    """PR_SET_PTRACER: who may trace this process although it is no ancestor. EINVAL."""
    group = task.group
    if pid == 0:
        group.yama_ptracer = None
    elif pid & 0xFFFFFFFF == 0xFFFFFFFF:
        group.yama_ptracer = True
    else:
        tracer = task.machine.pids.tasks.get(find_vpid(task, pid))
        if tracer is None:
            raise EINVAL
        group.yama_ptracer = tracer.group.leader
    return 0
