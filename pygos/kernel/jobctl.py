# SPDX-License-Identifier: Apache-2.0
"""Job control: group stops, the news of them, and orphaned process groups (third part).

A stop signal begins a *group stop*: each thread gets JOBCTL_STOP_PENDING, ``group.stop_count``
counts those that are to take part and haven't stopped. Threads that are traced take part by
stopping for their tracer (JOBCTL_TRAP_STOP, kernel/ptrace_stop.py); the last one to stop
makes it complete, which the parent is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.linux.jobctl import (
    JOBCTL_LISTENING,
    JOBCTL_STOP_CONSUME,
    JOBCTL_STOP_DEQUEUED,
    JOBCTL_STOP_PENDING,
    JOBCTL_STOP_SIGMASK,
    JOBCTL_TRAP_FREEZE,
    JOBCTL_TRAP_NOTIFY,
    JOBCTL_TRAP_STOP,
)
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.ptrace import PT_SEIZED
from pygos.include.linux.sched import SigInfo, SignalStruct, Task, TaskState
from pygos.include.linux.user_namespace import show_uid
from pygos.include.uapi.signal import (
    CLD_CONTINUED,
    CLD_STOPPED,
    CLD_TRAPPED,
    SA_NOCLDSTOP,
    SIG_IGN,
    SIGCHLD,
    SIGCONT,
    SIGHUP,
)
from pygos.kernel.sigqueue import signal_wake_up, unstop

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine

_TICK: Final = 10_000_000  # ns in a tick of user space (USER_HZ 100)


def set_jobctl_pending(task: Task, mask: int) -> bool:
    """Let a task make these stops or traps soon; False if it is about to die."""
    if task.fatal_signal_pending() or not task.alive or task.exiting is not None:
        return False
    if mask & JOBCTL_STOP_SIGMASK:
        task.jobctl &= ~JOBCTL_STOP_SIGMASK
    task.jobctl |= mask
    return True


def clear_jobctl_pending(task: Task, mask: int) -> None:
    """These stops or traps won't happen."""
    if mask & JOBCTL_STOP_PENDING:
        mask |= JOBCTL_STOP_CONSUME | JOBCTL_STOP_DEQUEUED
    task.jobctl &= ~mask


def participate_group_stop(task: Task) -> bool:
    """The task stops or exits: True if that makes a new group stop complete."""
    group = task.group
    consume = task.jobctl & JOBCTL_STOP_CONSUME
    clear_jobctl_pending(task, JOBCTL_STOP_PENDING)
    if not consume:
        return False
    if group.stop_count:
        group.stop_count -= 1
    if group.stop_count or group.group_stop:
        return False
    group.group_stop = True
    group.stop_reported = False
    group.continued = False
    return True


def do_signal_stop(task: Task, signo: int) -> bool:
    """Begin a group stop (signo 0: one has begun) and take part; True if the task stopped.

    A traced task doesn't stop here: it has a trap pending afterwards.
    """
    group = task.group
    if not task.jobctl & JOBCTL_STOP_PENDING:
        if not task.jobctl & JOBCTL_STOP_DEQUEUED or group.group_exit or group.group_exec_task:
            return False
        _begin_group_stop(task, signo)
    if task.ptrace:
        set_jobctl_pending(task, JOBCTL_TRAP_STOP)
        return False
    complete = participate_group_stop(task)
    task.state = TaskState.STOPPED
    if task.jobctl & JOBCTL_TRAP_FREEZE:
        enter_frozen(task)
    if task.trace is not None:
        task.trace.stopped(task, group.stop_code)
    if complete:
        notify_parent_cldstop(group.leader, CLD_STOPPED)
    return True


def enter_frozen(task: Task) -> None:
    """A task that stops in a frozen control group counts as frozen."""
    from pygos.kernel.cgroup import freezer

    freezer.enter_frozen(task)


def _begin_group_stop(task: Task, signo: int) -> None:
    group = task.group
    if not group.group_stop:
        group.stop_code = signo
    stop = signo | JOBCTL_STOP_PENDING | JOBCTL_STOP_CONSUME
    group.stop_count = int(set_jobctl_pending(task, stop))
    for thread in group.threads:
        if thread is task or thread.state is TaskState.STOPPED:
            continue
        if set_jobctl_pending(thread, stop):
            group.stop_count += 1
            if thread.ptrace & PT_SEIZED:
                trap_notify(thread)
            else:
                signal_wake_up(thread)


def trap_notify(task: Task) -> None:
    """A seized task makes a trap because something about its group's stop changed."""
    set_jobctl_pending(task, JOBCTL_TRAP_NOTIFY)
    if task.jobctl & JOBCTL_LISTENING and task.state is TaskState.TRACED:
        unstop(task)
    else:
        signal_wake_up(task)


def continue_group(task: Task) -> None:
    """SIGCONT continues a stopped group at once, whatever its disposition."""
    group = task.group
    for thread in group.threads:
        clear_jobctl_pending(thread, JOBCTL_STOP_PENDING)
        if thread.ptrace & PT_SEIZED:
            trap_notify(thread)
        elif thread.state is TaskState.STOPPED:
            unstop(thread)
    was_stopped, was_stopping = group.group_stop, group.stop_count > 0
    group.group_stop = False
    group.stop_count = group.stop_code = 0
    if was_stopped or was_stopping:
        group.continued = True
    if was_stopped:
        group.stop_reported = False
        _tell_continued(group.leader, CLD_CONTINUED)
    elif was_stopping:
        _tell_continued(group.leader, CLD_STOPPED)


def _tell_continued(leader: Task, code: int) -> None:
    """Tell the parent, and the leader's tracer if that is somebody else."""
    notify_parent_cldstop(leader, code)
    tracer = leader.ptracer
    if tracer is not None and tracer.group is not leader.real_parent.group:
        notify_tracer_cldstop(leader, code)


def notify_parent_cldstop(leader: Task, code: int) -> None:
    """SIGCHLD for a stop or continuation, unless the parent doesn't want it; wake waiters."""
    status = SIGCONT if code == CLD_CONTINUED else leader.group.stop_code
    _notify_cldstop(leader, leader.real_parent, code, status)


def notify_tracer_cldstop(task: Task, code: int) -> None:
    """The same for the tracer of one thread."""
    tracer, pt = task.ptracer, task.pt
    if tracer is None or pt is None:
        return
    status = task.group.stop_code
    if code == CLD_TRAPPED:
        status = pt.code & 0x7F
    elif code == CLD_CONTINUED:
        status = SIGCONT
    _notify_cldstop(task, tracer, code, status & 0x7F)


def _notify_cldstop(task: Task, parent: Task, code: int, status: int) -> None:
    from pygos.kernel.sigsend import send_sig_info, sig_ignored

    if parent is task:
        return
    action = parent.sighand.action[SIGCHLD]
    wanted = action.handler != SIG_IGN and not action.flags & SA_NOCLDSTOP
    if wanted and parent.trace is None and sig_ignored(parent, SIGCHLD, False):
        wanted = False  # as by default: spare making it
    if wanted and parent is not task.machine.pid1:
        utime, stime = _group_ticks(task.group)
        pid, uid = pid_vnr(parent, task.pid), show_uid(parent, task.cred.uid)
        info = SigInfo(SIGCHLD, code, pid=pid, uid=uid, status=status, utime=utime, stime=stime)
        send_sig_info(parent, info, True)
    parent.group.wait_chldexit.wake_all()


def _group_ticks(group: SignalStruct) -> tuple[int, int]:
    utime, stime = group.utime, group.stime
    for thread in group.threads:
        utime += thread.utime
        stime += thread.stime
    return utime // _TICK, stime // _TICK


# -- orphaned process groups


def will_become_orphaned_pgrp(machine: Machine, pgrp: int, ignored: Task | None) -> bool:
    """No member (but `ignored`) has a parent in another group of the same session."""
    for leader in machine.pids.pgrps.get(pgrp, ()):
        if leader is ignored or _group_gone(leader):
            continue
        parent = leader.real_parent
        if parent is machine.pid1:
            continue
        if parent.group.pgrp != pgrp and parent.group.session == leader.group.session:
            return False
    return True


def is_orphaned_pgrp(task: Task) -> bool:
    """Nobody is left who could continue a stopped job of this group."""
    return will_become_orphaned_pgrp(task.machine, task.group.pgrp, None)


def _group_gone(leader: Task) -> bool:
    return not leader.alive and not any(thread.alive for thread in leader.group.threads)


def _has_stopped_jobs(machine: Machine, pgrp: int) -> bool:
    return any(leader.group.group_stop for leader in machine.pids.pgrps.get(pgrp, ()))


def kill_orphaned_pgrp(task: Task, parent: Task | None) -> None:
    """Wake the stopped jobs of a group that is being orphaned: SIGHUP, then SIGCONT.

    With no `parent`, `task` itself exits; else `task` is a child that `parent`, exiting,
    leaves behind.
    """
    from pygos.kernel.sigsend import kill_pgrp

    machine, pgrp = task.machine, task.group.pgrp
    ignored = None
    if parent is None:
        parent, ignored = task.real_parent, task
    if parent.group.pgrp == pgrp or parent.group.session != task.group.session:
        return
    if will_become_orphaned_pgrp(machine, pgrp, ignored) and _has_stopped_jobs(machine, pgrp):
        kill_pgrp(machine, pgrp, SigInfo(SIGHUP, 0x80))
        kill_pgrp(machine, pgrp, SigInfo(SIGCONT, 0x80))
