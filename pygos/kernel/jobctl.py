# SPDX-License-Identifier: Apache-2.0
"""Job control: group stops, the news of them, and orphaned process groups (third part)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.linux.sched import SigInfo, SignalStruct, Task, TaskState
from pygos.include.uapi.signal import (
    CLD_CONTINUED,
    CLD_STOPPED,
    SA_NOCLDSTOP,
    SIG_IGN,
    SIGCHLD,
    SIGCONT,
    SIGHUP,
)
from pygos.kernel.sigqueue import signal_wake_up

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine

_TICK = 10_000_000  # ns in a tick of user space (USER_HZ 100)


def do_signal_stop(task: Task, signo: int) -> None:
    """Stop `task` and begin to stop the rest of its group."""
    group = task.group
    if group.group_exit or group.group_exec_task is not None:
        return
    if not group.group_stop:
        group.stop_code = signo
    group.stop_pending = True
    for thread in group.threads:
        if thread is not task and thread.alive and thread.state is not TaskState.STOPPED:
            signal_wake_up(thread)
    stop_here(task)


def stop_here(task: Task) -> None:
    """The calling thread takes part in a group stop: it stops now."""
    task.state = TaskState.STOPPED
    if task.trace is not None:
        task.trace.stopped(task, task.group.stop_code)
    check_group_stop(task.group, None)


def check_group_stop(group: SignalStruct, leaving: Task | None) -> None:
    """Complete the stop when the last live thread has stopped (`leaving` no longer counts)."""
    for thread in group.threads:
        if thread is not leaving and thread.alive and thread.state is not TaskState.STOPPED:
            return
    group.stop_pending = False
    group.group_stop = True
    group.stop_reported = False
    group.continued = False
    notify_parent_cldstop(group.leader, CLD_STOPPED)


def notify_parent_cldstop(leader: Task, code: int) -> None:
    """SIGCHLD for a stop or continuation, unless the parent doesn't want it; wake waiters."""
    from pygos.kernel.sigsend import send_sig_info

    parent = leader.real_parent
    machine = leader.machine
    if parent is leader:
        return
    action = parent.sighand.action[SIGCHLD]
    wanted = action.handler != SIG_IGN and not action.flags & SA_NOCLDSTOP
    if wanted and parent is not machine.pid1:
        utime, stime = _group_ticks(leader.group)
        status = SIGCONT if code == CLD_CONTINUED else leader.group.stop_code
        uid = leader.cred.uid
        info = SigInfo(
            SIGCHLD, code, pid=leader.pid, uid=uid, status=status, utime=utime, stime=stime
        )
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
