# SPDX-License-Identifier: Apache-2.0
"""Process numbers, groups and sessions, personality (kernel/sys.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EACCES, EINVAL, EPERM, ESRCH
from pygos.include.linux.pid_namespace import find_task_by_vpid, find_vpid, pid_vnr
from pygos.include.linux.syscalls import Pid, UInt, UserAddr, syscall
from pygos.kernel.pid import change_pgrp, change_session
from pygos.mm.instub import arm_thread

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


@syscall
def getpid(task: Task) -> int:
    """The process' number. getpid(2)."""
    arm_thread(task)
    return task.tgid if task.pid_ns is None else pid_vnr(task, task.tgid)


@syscall
def gettid(task: Task) -> int:
    """The thread's number. gettid(2)."""
    arm_thread(task)
    return task.pid if task.pid_ns is None else pid_vnr(task, task.pid)


@syscall
def getppid(task: Task) -> int:
    """The parent process' number; 0 if it is outside the machine. getppid(2)."""
    return pid_vnr(task, task.group.leader.real_parent.tgid)


@syscall
def set_tid_address(task: Task, tidptr: UserAddr) -> int:
    """Where to write 0 (and wake a futex) at exit. set_tid_address(2)."""
    task.clear_child_tid = tidptr
    return pid_vnr(task, task.pid)


@syscall
def setpgid(task: Task, pid: Pid, pgid: Pid) -> int:
    """Move a process to a process group. setpgid(2).

    Errors: EINVAL pgid < 0; ESRCH not oneself or a child; EACCES a child after its exec;
    EPERM a session leader, or another session's group.
    """
    group = task.group
    if pgid < 0:
        raise EINVAL
    machine = task.machine
    pid = find_vpid(task, pid) if pid else group.tgid
    pgid = find_vpid(task, pgid) if pgid else pid
    target = machine.pids.tasks.get(pid)
    if target is None:
        raise ESRCH
    if target.group.leader is not target:
        raise EINVAL
    if target.real_parent.group is group and target is not group.leader:
        if target.group.session != group.session:
            raise EPERM
        if target.group.did_exec:
            raise EACCES
    elif target is not group.leader:
        raise ESRCH
    if target.group.session == target.group.tgid:
        raise EPERM
    if pgid != pid:
        members = machine.pids.pgrps.get(pgid)
        if not members or next(iter(members)).group.session != group.session:
            raise EPERM
    if target.group.pgrp != pgid:
        change_pgrp(machine.pids, target, pgid)
    return 0


def _other(task: Task, pid: int) -> Task:
    if pid == 0:
        return task
    target = find_task_by_vpid(task, pid)
    if target is None:
        raise ESRCH
    return target


@syscall
def getpgid(task: Task, pid: Pid) -> int:
    """A process' group. getpgid(2). Errors: ESRCH."""
    return pid_vnr(task, _other(task, pid).group.pgrp)


@syscall
def getpgrp(task: Task) -> int:
    """The caller's process group. getpgrp(2)."""
    return pid_vnr(task, task.group.pgrp)


@syscall
def getsid(task: Task, pid: Pid) -> int:
    """A process' session. getsid(2). Errors: ESRCH."""
    return pid_vnr(task, _other(task, pid).group.session)


@syscall
def setsid(task: Task) -> int:
    """Lead a new session and process group, with no terminal. setsid(2). Errors: EPERM."""
    group, pids = task.group, task.machine.pids
    leader = group.leader
    number = leader.pid
    if group.session_leader or pids.pgrps.get(number):
        raise EPERM
    group.session_leader = True
    change_session(pids, leader, number)
    change_pgrp(pids, leader, number)
    group.ctty = None
    return pid_vnr(task, number)


@syscall
def personality(task: Task, persona: UInt) -> int:
    """Read (0xffffffff) or set the execution domain. personality(2)."""
    old = task.personality
    if persona != 0xFFFF_FFFF:
        task.personality = persona
    return old
