# SPDX-License-Identifier: Apache-2.0
"""Sending signals: what a signal does at the moment it is sent (second part of signal.c).

Senders hand a fresh ``SigInfo`` over: it belongs to the queue from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.dataclass import replace
from pygos.include.linux.jobctl import JOBCTL_STOP_PENDING
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.sched import SIG_DEFAULT, SigInfo, Task, TaskState
from pygos.include.linux.user_namespace import show_uid
from pygos.include.uapi.signal import (
    CLD_STOPPED,
    SA_IMMUTABLE,
    SI_KERNEL,
    SI_USER,
    SIG_DFL,
    SIG_IGN,
    SIGCONT,
    SIGKILL,
    SIGSEGV,
)
from pygos.kernel.jobctl import continue_group, notify_parent_cldstop, participate_group_stop
from pygos.kernel.sigqueue import (
    KERNEL_COREDUMP,
    KERNEL_IGNORE,
    KERNEL_ONLY,
    KERNEL_STOP,
    RTMIN,
    charge,
    flush_group_mask,
    recalc_sigpending,
    signal_wake_up,
)

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import SighandStruct

_KILL_BIT = 1 << (SIGKILL - 1)
_CONT_BIT = 1 << (SIGCONT - 1)
_POLLIN = 1
_INIT_FAULTED = "init_faulted"


def unkillable(task: Task) -> bool:
    """Init: signals without a handler don't touch it (SIGNAL_UNKILLABLE).

    Until it brings a fatal exception upon itself: that ends even init.
    """
    ns = task.pid_ns
    if ns is not None:
        reaper = ns.child_reaper
        return reaper is not None and reaper.group is task.group and not ns.init_faulted
    machine = task.machine
    return task.group.leader is machine.pid1 and _INIT_FAULTED not in machine.misc


def sig_handler_ignored(handler: int, signo: int) -> bool:
    """Does this disposition throw the signal away?"""
    return handler == SIG_IGN or (handler == SIG_DFL and bool(KERNEL_IGNORE >> (signo - 1) & 1))


def sig_ignored(task: Task, signo: int, force: bool) -> bool:
    """Not even queued: ignored, not blocked and nobody traces the task."""
    bit = 1 << (signo - 1)
    if task.blocked & bit:
        return False
    if task.ptrace and signo != SIGKILL:
        return False
    handler = task.sighand.action[signo].handler
    if handler == SIG_DFL and unkillable(task) and not (force and bit & KERNEL_ONLY):
        return True
    return sig_handler_ignored(handler, signo)


def prepare_signal(task: Task, signo: int, force: bool) -> bool:
    """Side effects of stop and continue signals; False if the signal is thrown away."""
    if task.group.group_exit:
        return signo == SIGKILL and task.group.coredump is not None
    bit = 1 << (signo - 1)
    if bit & KERNEL_STOP:
        flush_group_mask(task, _CONT_BIT)
    elif signo == SIGCONT:
        flush_group_mask(task, KERNEL_STOP)
        continue_group(task)
    return not sig_ignored(task, signo, force)


def send_sig_info(task: Task, info: SigInfo, group: bool, force: bool = False) -> bool:
    """Send a signal to a thread or to its whole group, without a permission check.

    `force`: the sender is above the machine's init (SIGKILL and SIGSTOP reach even it).
    False if the queue of real-time signals is full (EAGAIN for those who care).
    """
    signo = info.signo
    if not prepare_signal(task, signo, force):
        if task.trace is not None and not task.group.group_exit:
            task.trace.sent(task, info)
        return True
    pending = task.group.shared_pending if group else task.pending
    bit = 1 << (signo - 1)
    if signo < RTMIN and pending.mask & bit:
        return True
    if signo != SIGKILL:
        if charge(task, info, signo < RTMIN and info.code >= 0):
            pending.queue.append(info)
        elif signo >= RTMIN and info.code != SI_USER:
            return False
    pending.mask |= bit
    if task.group.poll_queue.waiters:
        task.group.poll_queue.wake_all(_POLLIN)
    complete_signal(task, signo, group)
    if task.trace is not None and task.group.group_exit and signo != SIGKILL:
        task.trace.sent(task, info)
    return True


def send_preallocated(task: Task, info: SigInfo, group: bool) -> bool:
    """Queue a POSIX timer's own info: never fails for want of room (send_sigqueue).

    False if the signal is ignored now, or the group is dying.
    """
    if not prepare_signal(task, info.signo, False):
        return False
    pending = task.group.shared_pending if group else task.pending
    pending.queue.append(info)
    pending.mask |= 1 << (info.signo - 1)
    if task.group.poll_queue.waiters:
        task.group.poll_queue.wake_all(_POLLIN)
    complete_signal(task, info.signo, group)
    return True


def send_sig(task: Task, signo: int, group: bool = False) -> bool:
    """Signal the calling thread as if it had called kill(2): SIGPIPE, SIGXFSZ."""
    pid, uid = pid_vnr(task, task.tgid), show_uid(task, task.cred.uid)
    return send_sig_info(task, SigInfo(signo, SI_USER, pid=pid, uid=uid), group)


def _wants_signal(task: Task, signo: int) -> bool:
    if task.blocked >> (signo - 1) & 1 or not task.alive:
        return False
    if signo == SIGKILL:
        return True
    if task.state is TaskState.STOPPED or task.state is TaskState.TRACED:
        return False
    return not task.notify


def complete_signal(task: Task, signo: int, group: bool) -> None:
    """Choose the thread that is to handle a newly pending signal and wake it.

    A fatal signal begins the end of the whole group here: no thread may go on for long.
    """
    chosen: Task | None = None
    if _wants_signal(task, signo):
        chosen = task
    elif group:
        for thread in task.group.threads:
            if _wants_signal(thread, signo):
                chosen = thread
                break
    if chosen is None:
        _note_pending(task, signo, group)
        return
    if _is_fatal(chosen, signo) and not 1 << (signo - 1) & KERNEL_COREDUMP:
        _begin_group_exit(chosen, signo)
        return
    signal_wake_up(chosen, fatal=signo == SIGKILL)


def _note_pending(task: Task, signo: int, group: bool) -> None:
    """Nobody is woken, but threads that don't block it must see it when they go on."""
    bit = 1 << (signo - 1)
    for thread in task.group.threads if group else (task,):
        if thread.alive and not thread.blocked & bit:
            thread.notify = True


def _is_fatal(task: Task, signo: int) -> bool:
    """Will this signal end the group with no more ado?"""
    bit = 1 << (signo - 1)
    if bit & (KERNEL_IGNORE | KERNEL_STOP) or task.sighand.action[signo].handler != SIG_DFL:
        return False
    if unkillable(task) and signo != SIGKILL:
        return False
    return signo == SIGKILL or not task.ptrace


def _begin_group_exit(task: Task, signo: int) -> None:
    group = task.group
    group.group_exit = True
    group.exit_code = signo
    group.group_stop = False
    group.stop_count = 0
    for thread in group.threads:
        if thread.alive:
            thread.pending.mask |= _KILL_BIT
            signal_wake_up(thread, fatal=True)


# -- signals that a task brings upon itself


def force_sig_info(task: Task, info: SigInfo) -> None:
    """Send a signal that must be delivered: if it is blocked or ignored, it kills."""
    signo = info.signo
    bit = 1 << (signo - 1)
    sighand = task.sighand
    if task.blocked & bit or sighand.action[signo].handler == SIG_IGN:
        _reset_handler(sighand, signo)
        task.blocked &= ~bit
    _send_forced(task, info)


def force_fatal_sig(task: Task, signo: int) -> None:
    """Kill with this signal, whatever its handler (a bad signal frame)."""
    _reset_handler(task.sighand, signo)
    task.blocked &= ~(1 << (signo - 1))
    _send_forced(task, SigInfo(signo, SI_KERNEL))


def force_exit_sig(task: Task, info: SigInfo) -> None:
    """Kill with this signal, whatever its handler: not even pid 1 is spared, no tracer sees it
    and no other thread can change it any more (HANDLER_EXIT)."""
    action = task.sighand.action[info.signo]
    task.sighand.action[info.signo] = replace(
        action, handler=SIG_DFL, flags=action.flags | SA_IMMUTABLE
    )
    task.blocked &= ~(1 << (info.signo - 1))
    _send_forced(task, info)


def force_sig(task: Task, signo: int) -> None:
    """force_sig_info with a plain kernel siginfo."""
    force_sig_info(task, SigInfo(signo, SI_KERNEL))


def force_sigsegv(task: Task, signo: int) -> None:
    """The frame for `signo` could not be written: SIGSEGV; fatal if it was SIGSEGV's own."""
    if signo == SIGSEGV:
        force_fatal_sig(task, SIGSEGV)
    else:
        force_sig(task, SIGSEGV)


def _reset_handler(sighand: SighandStruct, signo: int) -> None:
    sighand.action[signo] = replace(sighand.action[signo], handler=SIG_DFL)


def _send_forced(task: Task, info: SigInfo) -> None:
    if unkillable(task) and task.sighand.action[info.signo].handler == SIG_DFL:
        if task.pid_ns is not None:
            task.pid_ns.init_faulted = True
        else:
            task.machine.misc[_INIT_FAULTED] = True
    send_sig_info(task, info, False, force=True)
    recalc_sigpending(task)
    if not task.notify:
        # Pending already, or thrown away because the group is dying.
        task.notify = True


# -- groups


def kill_pgrp(machine: Machine, pgrp: int, info: SigInfo) -> bool:
    """Send to every process of a group, without a permission check; False if it is empty."""
    members = tuple(machine.pids.pgrps.get(pgrp, ()))
    for leader in members:
        send_sig_info(leader, replace(info), True)
    return bool(members)


def flush_signal_handlers(sighand: SighandStruct, force_default: bool = False) -> None:
    """execve: caught signals go back to the default; ignored ones stay ignored."""
    for signo, action in enumerate(sighand.action):
        if action is SIG_DEFAULT:
            continue
        if force_default or action.handler != SIG_IGN:
            sighand.action[signo] = SIG_DEFAULT
        else:
            sighand.action[signo] = replace(SIG_DEFAULT, handler=SIG_IGN)


def exit_signals(task: Task) -> None:
    """The task begins to exit: siblings take over its group signals and a stop in progress."""
    group = task.group
    if len(group.threads) < 2 or group.group_exit:
        return
    from pygos.kernel.sigqueue import retarget_shared_pending

    retarget_shared_pending(task, ~task.blocked)
    if task.jobctl & JOBCTL_STOP_PENDING and participate_group_stop(task):
        notify_parent_cldstop(group.leader, CLD_STOPPED)
