# SPDX-License-Identifier: Apache-2.0
"""Signals: delivery, and the names that others use (kernel/signal.c).

The parts: ``sigqueue`` (pending sets), ``sigsend`` (sending), ``jobctl`` (stops), ``siginfo``
(siginfo_t's bytes), ``sigcalls`` (system calls), ``arch/x86/signal`` (frames).

How it meets ``kernel/entry.py``: whenever ``task.notify`` is set or a call ended with a
Restart error, ``do_signal(task, restart)`` runs on the way to user mode. Afterwards the task

* is RUNNING: its registers are ready for user mode;
* is STOPPED or TRACED: it waits for SIGCONT, SIGKILL or its tracer, who make it runnable with
  ``notify`` set; how an interrupted call goes on is then still open and kept in
  ``task.restart_class``;
* is dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.arch.x86.signal import (
    fail_syscall,
    rewind_syscall,
    rewind_to_restart,
    setup_rt_frame,
)
from pygos.include.dataclass import replace
from pygos.include.errno import (
    EFAULT,
    EINVAL,
    ENOMEM,
    ERESTART_RESTARTBLOCK,
    ERESTARTNOINTR,
    ERESTARTSYS,
    Restart,
)
from pygos.include.linux.jobctl import (
    JOBCTL_CGROUP_MASK,
    JOBCTL_PENDING_MASK,
    JOBCTL_STOP_DEQUEUED,
    JOBCTL_STOP_PENDING,
    JOBCTL_TRAP_MASK,
)
from pygos.include.linux.sched import SigAction, SigAltStack, SigInfo, Task, TaskState
from pygos.include.uapi.signal import (
    SA_IMMUTABLE,
    SA_NODEFER,
    SA_RESETHAND,
    SA_RESTART,
    SIG_DFL,
    SIG_IGN,
    SIGKILL,
    SIGSTOP,
    SIGTSTP,
    SS_AUTODISARM,
)
from pygos.kernel.entry_work import SYSCALL_WORK_EXIT_TRAP
from pygos.kernel.jobctl import (
    do_signal_stop,
    is_orphaned_pgrp,
    kill_orphaned_pgrp,
    will_become_orphaned_pgrp,
)
from pygos.kernel.sigqueue import (
    KERNEL_COREDUMP,
    KERNEL_IGNORE,
    KERNEL_ONLY,
    KERNEL_STOP,
    dequeue_signal,
    dequeue_synchronous,
    flush_sigqueue,
    recalc_sigpending,
    restore_saved_sigmask,
    set_current_blocked,
    set_user_sigmask,
    signal_wake_up,
    sigpending_count,
)
from pygos.kernel.sigsend import (
    exit_signals,
    flush_signal_handlers,
    force_fatal_sig,
    force_sig,
    force_sig_info,
    force_sigsegv,
    kill_pgrp,
    send_sig,
    send_sig_info,
    unkillable,
)

if TYPE_CHECKING:
    from pygos.include.linux.sched import SignalStruct

__all__ = [
    "dequeue_signal",
    "do_signal",
    "exit_signals",
    "flush_signal_handlers",
    "flush_sigqueue",
    "force_fatal_sig",
    "force_sig",
    "force_sig_info",
    "force_sigsegv",
    "get_signal",
    "is_orphaned_pgrp",
    "kill_orphaned_pgrp",
    "kill_pgrp",
    "recalc_sigpending",
    "restore_saved_sigmask",
    "send_sig",
    "send_sig_info",
    "set_current_blocked",
    "set_user_sigmask",
    "signal_wake_up",
    "sigpending_count",
    "will_become_orphaned_pgrp",
]

_KILL_BIT = 1 << (SIGKILL - 1)


def do_signal(task: Task, restart: type[Restart] | None = None) -> None:
    """Deliver what is pending and settle how an interrupted call goes on. signal(7).

    `restart` is the class of the Restart error that the call ended with, if it did.
    """
    if restart is None:
        restart = task.restart_class
    task.restart_class = None
    delivered = False
    while task.notify:
        caught = get_signal(task)
        if caught is None:
            break
        _handle_signal(task, *caught, restart)
        restart = None
        delivered = True
        if task.syscall_work & SYSCALL_WORK_EXIT_TRAP and _handler_stop(task):
            break
    if task.state is not TaskState.RUNNING:
        task.restart_class = restart
        return
    if restart is not None:
        if restart is ERESTART_RESTARTBLOCK:
            rewind_to_restart(task)
        else:
            rewind_syscall(task)
            task.restart = None
    if not delivered:
        restore_saved_sigmask(task)
        recalc_sigpending(task)


def get_signal(task: Task) -> tuple[SigInfo, SigAction] | None:
    """The next signal that has a handler; default actions are taken on the way.

    None: nothing more, or the task has stopped or died.
    """
    group = task.group
    while True:
        if _must_die(task, group):
            return None
        if task.pt is not None and task.pt.kind:
            info = _stop_ended(task)
        elif task.jobctl & JOBCTL_PENDING_MASK:
            if _stop_or_trap(task):
                return None
            continue
        else:
            info = dequeue_synchronous(task) or dequeue_signal(task, task.blocked)
            if info is None:
                recalc_sigpending(task)
                return None
            if (
                task.ptrace
                and info.signo != SIGKILL
                and not task.sighand.action[info.signo].flags & SA_IMMUTABLE
                and _signal_stop(task, info)
            ):
                return None
        if info is None:
            continue
        signo = info.signo
        action = task.sighand.action[signo]
        if task.trace is not None:
            task.trace.signal(task, info)
        if action.handler == SIG_IGN:
            continue
        if action.handler != SIG_DFL:
            if action.flags & SA_RESETHAND:
                task.sighand.action[signo] = replace(action, handler=SIG_DFL)
            return info, action
        _default_action(task, info)
        if task.state is not TaskState.RUNNING:
            return None


def _stop_or_trap(task: Task) -> bool:
    """Take part in a group stop, or trap for the tracer; True if the task stopped."""
    if task.jobctl & JOBCTL_STOP_PENDING and do_signal_stop(task, 0):
        return True
    if not task.jobctl & JOBCTL_TRAP_MASK:
        return bool(task.jobctl & JOBCTL_CGROUP_MASK) and _cgroup_trap(task)
    from pygos.kernel.ptrace_stop import jobctl_trap

    return jobctl_trap(task)


def _cgroup_trap(task: Task) -> bool:
    from pygos.kernel.cgroup.freezer import cgroup_trap

    return cgroup_trap(task)


def _signal_stop(task: Task, info: SigInfo) -> bool:
    from pygos.kernel.ptrace_stop import signal_stop

    return signal_stop(task, info)


def _handler_stop(task: Task) -> bool:
    """The tracer steps: it sees the handler before its first instruction."""
    from pygos.kernel.ptrace_stop import handler_stop

    return handler_stop(task)


def _stop_ended(task: Task) -> SigInfo | None:
    from pygos.kernel.ptrace_stop import stop_ended

    return stop_ended(task)


def _must_die(task: Task, group: SignalStruct) -> bool:
    """The group is ending, or another thread of it is in execve: end this thread."""
    if task.exiting is not None:
        from pygos.kernel.exit import do_exit

        do_exit(task, task.exiting)
        return True
    if group.group_exit:
        if group.coredump is not None and group.coredump.hold(task):
            return True
        from pygos.kernel.exit import do_group_exit

        task.pending.mask &= ~_KILL_BIT
        do_group_exit(task, group.exit_code)
        return True
    if group.group_exec_task is not None and group.group_exec_task is not task:
        from pygos.kernel.exit import do_exit

        task.pending.mask &= ~_KILL_BIT
        do_exit(task, 0)
        return True
    return False


def _default_action(task: Task, info: SigInfo) -> None:
    """Ignore, stop or die, perhaps leaving a core file. signal(7)."""
    signo = info.signo
    bit = 1 << (signo - 1)
    if bit & KERNEL_IGNORE or (unkillable(task) and not bit & KERNEL_ONLY):
        return
    if bit & KERNEL_STOP:
        if signo == SIGSTOP or not is_orphaned_pgrp(task):
            if not task.ptrace:
                task.jobctl |= JOBCTL_STOP_DEQUEUED
            do_signal_stop(task, signo)
        elif signo == SIGTSTP and task.group is task.machine.main_group:
            _suspend_machine(task)
        return
    from pygos.kernel.exit import do_group_exit

    if not (bit & KERNEL_COREDUMP and task.machine.fs_hooks.coredump(task, info)):
        do_group_exit(task, signo)


def _suspend_machine(task: Task) -> None:
    """^Z at a program that none but the user's own shell could continue: the machine stops."""
    services = task.machine.host
    control = services.get("job_control")
    if control is not None and services.get("terminal") is not None:
        control.suspend()


def _handle_signal(
    task: Task, info: SigInfo, action: SigAction, restart: type[Restart] | None
) -> None:
    """Set the registers up to run a handler; the interrupted call restarts or gives EINTR."""
    if restart is not None:
        if restart is ERESTARTNOINTR or (restart is ERESTARTSYS and action.flags & SA_RESTART):
            rewind_syscall(task)
        else:
            fail_syscall(task)
    task.restart = None
    saved = task.saved_sigmask
    try:
        if task.rseq is not None:
            task.rseq.signal_deliver(task)
        setup_rt_frame(task, info, action, task.blocked if saved is None else saved)
    except (EFAULT, EINVAL, ENOMEM):
        force_sigsegv(task, info.signo)
        return
    task.saved_sigmask = None
    if task.altstack.flags & SS_AUTODISARM:
        task.altstack = SigAltStack()
    blocked = task.blocked | action.mask
    if not action.flags & SA_NODEFER:
        blocked |= 1 << (info.signo - 1)
    set_current_blocked(task, blocked)
