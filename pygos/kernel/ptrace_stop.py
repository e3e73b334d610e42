# SPDX-License-Identifier: Apache-2.0
"""The tracee's side of ptrace(2): its stops, and how it goes on (kernel/ptrace.c, signal.c).

A tracee stops in its own context: the function that was to go on returns to the scheduler
with the task TRACED, and what is to happen next is found in the task:

* ``in_syscall`` is set: the call goes on where ``entry_stage`` or ``restart`` say;
* ``exiting`` is set: do_exit() goes on;
* else do_signal() runs again: after a stop for a signal, with ``pt.kind`` SIGNAL, it goes on with
  what the tracer made of that signal.

While the task is stopped its registers show the call that it comes from in ORIG_RAX, and an
interrupted call's restart error in RAX. When it is resumed *they* decide whether and how that
call is restarted: debuggers rely on it to run functions of the program in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.arch.x86.regs import ORIG_RAX, RAX, RIP
from pygos.include.errno import (
    ERESTART_RESTARTBLOCK,
    ERESTARTNOHAND,
    ERESTARTNOINTR,
    ERESTARTSYS,
    Restart,
)
from pygos.include.linux.jobctl import (
    JOBCTL_LISTENING,
    JOBCTL_STOP_DEQUEUED,
    JOBCTL_STOP_PENDING,
    JOBCTL_STOP_SIGMASK,
    JOBCTL_TRAP_MASK,
    JOBCTL_TRAP_NOTIFY,
    JOBCTL_TRAP_STOP,
)
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.ptrace import (
    PT_EXITKILL,
    PT_OPT_SHIFT,
    PT_SEIZED,
    PT_TRACESYSGOOD,
    Stop,
)
from pygos.include.linux.sched import PtraceState, SigInfo, Task, TaskState
from pygos.include.linux.user_namespace import show_uid
from pygos.include.uapi import ptrace as uapi
from pygos.include.uapi.signal import (
    CLD_STOPPED,
    CLD_TRAPPED,
    SI_KERNEL,
    SI_USER,
    SIGKILL,
    SIGSTOP,
    SIGTRAP,
    TRAP_BRKPT,
)
from pygos.kernel.entry_work import (
    STAGE_EXIT,
    SYSCALL_WORK_EMU,
    SYSCALL_WORK_EVENT,
    SYSCALL_WORK_EXIT_TRAP,
    SYSCALL_WORK_PTRACE,
    StoppedInCall,
    clear_syscall_work,
    set_stage,
    set_syscall_work,
)
from pygos.kernel.jobctl import (
    clear_jobctl_pending,
    notify_parent_cldstop,
    notify_tracer_cldstop,
    participate_group_stop,
    set_jobctl_pending,
)
from pygos.kernel.sigqueue import recalc_sigpending, signal_wake_up, unstop

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.kernel.fork import CloneArgs

_M64: Final = (1 << 64) - 1
_RESTARTS: Final[dict[int, type[Restart]]] = {
    -error.errno & _M64: error
    for error in (ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK)
}
#: What is undone when nobody traces a task any more.
_PTRACE_WORK: Final = (
    SYSCALL_WORK_PTRACE | SYSCALL_WORK_EMU | SYSCALL_WORK_EXIT_TRAP | SYSCALL_WORK_EVENT
)
_CLONE_PTRACE, _CLONE_VFORK, _CLONE_UNTRACED = 0x2000, 0x4000, 0x800000
_SIGCHLD: Final = 17


# -- stopping


def ptrace_stop(
    task: Task, kind: Stop, code: int, why: int, message: int = 0, info: SigInfo | None = None
) -> bool:
    """The calling task stops for its tracer; False if it has none or is to die.

    `code` is what wait(2) tells in the status' upper bits; `why` a CLD_*.
    """
    pt = task.pt
    if not task.ptrace or pt is None or task.fatal_signal_pending():
        return False
    if task.mm is not None and task.mm.patches is not None:
        task.mm.patches.settle(task.mm)
    task.state = TaskState.TRACED
    task.jobctl &= ~JOBCTL_LISTENING
    pt.kind, pt.code, pt.message, pt.info = kind, code, message, info
    complete = False
    if why == CLD_STOPPED and task.jobctl & JOBCTL_STOP_PENDING:
        complete = participate_group_stop(task)
    clear_jobctl_pending(task, JOBCTL_TRAP_STOP)
    if info is not None and info.code >> 8 == uapi.PTRACE_EVENT_STOP:
        clear_jobctl_pending(task, JOBCTL_TRAP_NOTIFY)
    notify_tracer_cldstop(task, why)
    if complete and ptrace_reparented(task):
        notify_parent_cldstop(task.group.leader, why)
    return True


def _from(task: Task, sender: Task, signo: int, code: int) -> SigInfo:
    """The siginfo of a signal of `sender` as `task` sees it."""
    pid, uid = pid_vnr(task, sender.pid), show_uid(task, sender.cred.uid)
    return SigInfo(signo, code, pid=pid, uid=uid)


def _notify(task: Task, kind: Stop, code: int, why: int, message: int) -> bool:
    """A stop that isn't for a signal of the task's: its siginfo tells the code."""
    info = _from(task, task, code & 0x7F, code)
    return ptrace_stop(task, kind, code, why, message, info)


def signal_stop(task: Task, info: SigInfo) -> bool:
    """A signal was taken from the queue: the tracer sees it first (ptrace_signal)."""
    # Not only of stop signals: the tracer may turn any signal into one.
    task.jobctl |= JOBCTL_STOP_DEQUEUED
    return ptrace_stop(task, Stop.SIGNAL, info.signo, CLD_TRAPPED, 0, info)


def handler_stop(task: Task) -> bool:
    """A step ended in the frame of a signal handler (signal_setup_done); True if it stopped."""
    disable_step(task)
    return _notify(task, Stop.EVENT, SIGTRAP, CLD_TRAPPED, 0)


def stop_ended(task: Task) -> SigInfo | None:
    """Back from a stop for a signal: the one to deliver now, if any."""
    pt = task.pt
    assert pt is not None
    kind, info, signo = pt.kind, pt.info, pt.code
    pt.kind, pt.code, pt.info = Stop.NONE, 0, None
    if kind != Stop.SIGNAL or not signo or info is None:
        return None  # woken from another stop by news for PTRACE_LISTEN
    if signo != info.signo:
        tracer = task.ptracer or task.real_parent
        info = _from(task, tracer, signo, SI_USER)
    if task.blocked >> (signo - 1) & 1 or task.fatal_signal_pending():
        from pygos.kernel.sigsend import send_sig_info

        send_sig_info(task, info, False)
        return None
    return info


def jobctl_trap(task: Task) -> bool:
    """Stop for a group stop, PTRACE_INTERRUPT or news of a group stop (do_jobctl_trap)."""
    signo = task.jobctl & JOBCTL_STOP_SIGMASK
    group = task.group
    if task.ptrace & PT_SEIZED:
        if not group.stop_count and not group.group_stop:
            signo = SIGTRAP
        code = signo | uapi.PTRACE_EVENT_STOP << 8
        stopped = _notify(task, Stop.TRAP, code, CLD_STOPPED, 0)
    else:
        stopped = ptrace_stop(task, Stop.TRAP, signo, CLD_STOPPED)
    if not stopped:
        clear_jobctl_pending(task, JOBCTL_TRAP_MASK | JOBCTL_STOP_PENDING)
    return stopped


# -- system calls


def _syscall_code(task: Task) -> int:
    return SIGTRAP | (0x80 if task.ptrace & PT_TRACESYSGOOD else 0)


def report_syscall_entry(task: Task) -> None:
    """The stop before a call: StoppedInCall; returns if it doesn't happen."""
    code = _syscall_code(task)
    if _notify(task, Stop.SYSCALL, code, CLD_TRAPPED, uapi.PTRACE_EVENTMSG_SYSCALL_ENTRY):
        raise StoppedInCall


def report_syscall_exit(task: Task) -> bool:
    """The stop after a call, or the signal for a step over it; True if the task stopped."""
    work = task.syscall_work
    task.regs[ORIG_RAX] = task.syscall_nr & _M64
    if work & SYSCALL_WORK_EXIT_TRAP and not work & SYSCALL_WORK_EMU:
        from pygos.kernel.sigsend import force_sig_info

        force_sig_info(task, SigInfo(SIGTRAP, TRAP_BRKPT, addr=task.regs[RIP]))
        return False
    if not work & SYSCALL_WORK_PTRACE:
        return False
    code = _syscall_code(task)
    return _notify(task, Stop.SYSCALL, code, CLD_TRAPPED, uapi.PTRACE_EVENTMSG_SYSCALL_EXIT)


def report_seccomp(task: Task, data: int) -> bool:
    """The stop for SECCOMP_RET_TRACE: StoppedInCall; False if the tracer doesn't want it."""
    if not event_enabled(task, uapi.PTRACE_EVENT_SECCOMP):
        return False
    if event_stop(task, uapi.PTRACE_EVENT_SECCOMP, data):
        raise StoppedInCall
    return True


# -- events


def event_enabled(task: Task, event: int) -> bool:
    """Does the tracer want to know of this event?"""
    return bool(task.ptrace >> PT_OPT_SHIFT & 1 << event)


def event_stop(task: Task, event: int, message: int) -> bool:
    """Stop for an event now."""
    return _notify(task, Stop.EVENT, event << 8 | SIGTRAP, CLD_TRAPPED, message)


def queue_event(task: Task, event: int, message: int) -> None:
    """Stop for an event when the call in progress is done, before its exit stop."""
    if event_enabled(task, event):
        assert task.pt is not None
        task.pt.event = event, message
        set_syscall_work(task, SYSCALL_WORK_EVENT)


def report_queued_event(task: Task) -> bool:
    """Make the stop that ``queue_event`` announced; True if the task stopped."""
    clear_syscall_work(task, SYSCALL_WORK_EVENT)
    pt = task.pt
    assert pt is not None
    event, pt.event = pt.event, None
    task.regs[ORIG_RAX] = task.syscall_nr & _M64
    if event is None or not event_stop(task, *event):
        return False
    set_stage(task, STAGE_EXIT)
    task.in_syscall = True
    return True


def pid_for_tracer(task: Task, pid: int) -> int:
    """A task's number as the tracer of `task` knows it."""
    tracer = task.ptracer
    if tracer is None or tracer.pid_ns is None:
        return pid
    from pygos.include.linux.pid_namespace import pid_vnr

    return pid_vnr(tracer, pid)


def vfork_done_event(task: Task, pid: int) -> None:
    """The child has given the memory back: PTRACE_EVENT_VFORK_DONE when the call is done."""
    if not task.fatal_signal_pending():
        queue_event(task, uapi.PTRACE_EVENT_VFORK_DONE, pid_for_tracer(task, pid))


def exec_event(task: Task, old_pid: int) -> None:
    """execve(2) succeeded; `old_pid`: the number the thread had before."""
    from pygos.kernel.sigsend import send_sig_info

    if event_enabled(task, uapi.PTRACE_EVENT_EXEC):
        queue_event(task, uapi.PTRACE_EVENT_EXEC, old_pid)
    elif task.ptrace and not task.ptrace & PT_SEIZED:
        send_sig_info(task, _from(task, task, SIGTRAP, SI_USER), False)


def exit_event(task: Task, status: int) -> bool:
    """The task is about to exit; True: it stopped and goes on when it is resumed."""
    if not event_enabled(task, uapi.PTRACE_EVENT_EXIT):
        return False
    if not event_stop(task, uapi.PTRACE_EVENT_EXIT, status):
        return False
    task.exiting = status
    return True


def clone_event(task: Task, args: CloneArgs) -> int:
    """The event that a new task is for its creator's tracer; 0: none."""
    if not task.ptrace or args.flags & _CLONE_UNTRACED:
        return 0
    if args.flags & _CLONE_VFORK:
        event = uapi.PTRACE_EVENT_VFORK
    elif args.exit_signal != _SIGCHLD:
        event = uapi.PTRACE_EVENT_CLONE
    else:
        event = uapi.PTRACE_EVENT_FORK
    return event if event_enabled(task, event) else 0


def init_task(task: Task, child: Task, flags: int, event: int) -> None:
    """The child of a tracee is traced too, by an event or CLONE_PTRACE (ptrace_init_task)."""
    if not task.ptrace or not (event or flags & _CLONE_PTRACE) or task.ptracer is None:
        return
    assert task.pt is not None
    ptrace_link(child, task.ptracer, task.ptrace, task.pt.cred)
    if child.ptrace & PT_SEIZED:
        set_jobctl_pending(child, JOBCTL_TRAP_STOP)
    else:
        child.pending.mask |= 1 << (SIGSTOP - 1)
    child.notify = True


# -- who traces whom


def ptrace_reparented(task: Task) -> bool:
    """Is the tracer another process than the parent?"""
    return task.ptracer is not None and task.ptracer.group is not task.real_parent.group


def ptrace_link(task: Task, tracer: Task, flags: int, cred: Cred | None) -> None:
    """`tracer` traces `task` from now on; `cred` tells what a traced setuid program may do."""
    task.ptrace = flags
    if task.pt is None:
        task.pt = PtraceState()
    task.pt.cred = cred
    task.ptracer = task.parent = tracer
    tracer.ptraced[task] = None
    if task.mm is not None and task.mm.patches is not None:
        task.mm.patches.undo_all(task.mm)


def set_stopped(task: Task) -> None:
    """A task of a stopped group was attached: it is TRACED at once (ptrace_set_stopped)."""
    if task.state is not TaskState.STOPPED:
        return
    if set_jobctl_pending(task, JOBCTL_TRAP_STOP) and not jobctl_trap(task):
        unstop(task)


def ptrace_unlink(task: Task) -> None:
    """Nobody traces the task any more; it goes on, or takes part in its group's stop."""
    tracer = task.ptracer
    if tracer is not None:
        tracer.ptraced.pop(task, None)
    task.ptracer = None
    task.ptrace = 0
    task.parent = task.real_parent
    clear_syscall_work(task, _PTRACE_WORK)
    disable_step(task)
    clear_jobctl_pending(task, JOBCTL_TRAP_MASK)
    if not task.alive:
        return
    group = task.group
    if task.exiting is None and (group.group_stop or group.stop_count):
        task.jobctl |= JOBCTL_STOP_PENDING
        if not task.jobctl & JOBCTL_STOP_SIGMASK:
            task.jobctl |= SIGSTOP
    if task.state is TaskState.TRACED:
        assert task.pt is not None
        resume(task, task.pt.code)
    elif task.jobctl & JOBCTL_STOP_PENDING:
        signal_wake_up(task)


def ptrace_detach(tracer: Task, task: Task) -> bool:
    """Stop tracing; True if the tracee is a zombie that nobody is interested in."""
    from pygos.kernel.exit import alone, do_notify_parent, ignores_children

    ptrace_unlink(task)
    if task.state is not TaskState.ZOMBIE:
        return False
    if task is not task.group.leader:
        return True
    if not alone(task):
        return False
    if task.real_parent.group is not tracer.group:
        return do_notify_parent(task, task.exit_signal)
    # It has been told already, as the tracer.
    return ignores_children(tracer)


def exit_ptrace(tracer: Task) -> None:
    """The tracer exits: its tracees are free, or die if it wanted so."""
    from pygos.kernel.exit import release_task
    from pygos.kernel.sigsend import send_sig_info

    for task in tuple(tracer.ptraced):
        if task.ptrace & PT_EXITKILL and task.alive:
            send_sig_info(task, SigInfo(SIGKILL, SI_KERNEL), False)
        if ptrace_detach(tracer, task):
            release_task(task)


# -- going on


def resume(task: Task, signo: int) -> None:
    """A TRACED task goes on, with a signal (0: none) that counts as its stop's kind says."""
    pt = task.pt
    assert pt is not None
    kind = pt.kind
    pt.message = 0
    if kind == Stop.SIGNAL:
        pt.code = signo
    else:
        pt.kind, pt.code, pt.info = Stop.NONE, 0, None
    task.jobctl &= ~JOBCTL_LISTENING
    if not task.in_syscall and task.exiting is None:
        _settle_restart(task)
    if kind == Stop.SYSCALL and 0 < signo <= 64:
        from pygos.kernel.sigsend import send_sig_info

        send_sig_info(task, SigInfo(signo, SI_KERNEL), False)
    if task.state is TaskState.TRACED:
        unstop(task)
    if task.in_syscall:
        # Only what is really pending may interrupt the call that goes on.
        recalc_sigpending(task)


def _settle_restart(task: Task) -> None:
    """The registers say whether the task comes from a call that is to be restarted."""
    regs = task.regs
    nr = regs[ORIG_RAX]
    restart = _RESTARTS.get(regs[RAX]) if nr < 1 << 31 else None
    if restart is not None:
        task.syscall_nr = nr
    else:
        task.restart = None
    task.restart_class = restart


def enable_step(task: Task) -> None:
    """SIGTRAP after the next instruction; after a call, at its exit."""
    if task.cpu is not None:
        task.cpu.set_step(True)
    set_syscall_work(task, SYSCALL_WORK_EXIT_TRAP)


def disable_step(task: Task) -> None:
    """No more steps."""
    if task.syscall_work & SYSCALL_WORK_EXIT_TRAP:
        clear_syscall_work(task, SYSCALL_WORK_EXIT_TRAP)
        if task.cpu is not None:
            task.cpu.set_step(False)
