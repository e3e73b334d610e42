# SPDX-License-Identifier: Apache-2.0
"""The slow path of system call entry and exit (kernel/entry/common.c).

``task.syscall_work`` is 0 for nearly every task: ``kernel/entry.py`` tests it once. Each bit is
somebody who wants to see calls; he sets and clears it with ``set_syscall_work`` and
``clear_syscall_work`` at the moment the feature is switched on or off for the task:

========================  =====================================================================
SYSCALL_WORK_TRACE        ``task.trace``: the text of `pygos strace`
SYSCALL_WORK_SECCOMP      ``task.seccomp`` is set (kernel/seccomp.py)
SYSCALL_WORK_PTRACE       a tracer resumed the task with PTRACE_SYSCALL
SYSCALL_WORK_EMU          ... with PTRACE_SYSEMU: the call isn't made at all
SYSCALL_WORK_USER_DISPATCH  prctl(PR_SET_SYSCALL_USER_DISPATCH) (kernel/syscall_user_dispatch.py)
SYSCALL_WORK_EXIT_TRAP    ... steps it: SIGTRAP after the call
SYSCALL_WORK_EVENT        a ptrace event waits to be reported when the call is done
SYSCALL_WORK_WINDOWS      files of the task are read in the stub (mm/instub.py)
SYSCALL_WORK_STAGED       ``task.entry_stage`` is not 0: see below
========================  =====================================================================

The order is Linux's. Entry: user dispatch, ptrace stop, seccomp, trace. Exit: trace, ptrace.

The entry has no stack to sleep on, so it is cut into *stages*. ``task.entry_stage`` says where
it is; 0 means past it (or not in a call at all). What happens in a stage:

* it goes on: the function returns; ``syscall_enter`` goes to the next stage;
* it sleeps (seccomp's listener): it raises ``WouldSleep`` through ``wait_on`` as a handler
  would. On wake-up ``syscall_enter`` runs again *from that stage*: the same function is
  called again, with its progress in ``task.restart`` (reset before the handler runs). Restart
  errors end the call as if the handler had raised them;
* it stops for the tracer: it sets ``task.entry_stage`` to the stage that follows the stop and
  calls ``kernel/ptrace_stop.py``, which raises ``StoppedInCall``. The task is TRACED then
  and goes on in that stage when the tracer resumes it;
* the call is not to be made: it raises ``SkipCall``; the result is what is in RAX (-ENOSYS
  unless somebody set it); the exit work follows as after any call;
* the call is undone (user dispatch): ``RolledBack``; no exit work either.

Number and arguments are read from the registers after the last stage: a tracer may have
changed them. A call that slept in its *handler* is invoked again without any of this; one that
a signal interrupted and that is restarted makes a new entry, with all stops.

Handlers may stop for the tracer too (vfork's first event): they leave their progress in
``task.restart`` and raise ``StoppedInCall`` in place of ``WouldSleep``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.arch.x86.regs import ORIG_RAX, RAX, RIP
from pygos.include.linux.ptrace import PT_SUSPEND_SECCOMP
from pygos.include.linux.sched import TaskState
from pygos.include.linux.wait import WouldSleep
from pygos.mm.instub import SYSCALL_WORK_WINDOWS, disarm_thread

if TYPE_CHECKING:
    from pygos.include.errno import Restart
    from pygos.include.linux.sched import Task

_M64: Final = 0xFFFF_FFFF_FFFF_FFFF
_M32: Final = 0xFFFF_FFFF
_RUNNING: Final = TaskState.RUNNING

SYSCALL_WORK_TRACE: Final = 1
SYSCALL_WORK_SECCOMP: Final = 2
SYSCALL_WORK_PTRACE: Final = 4
SYSCALL_WORK_EMU: Final = 8
SYSCALL_WORK_USER_DISPATCH: Final = 16
SYSCALL_WORK_EXIT_TRAP: Final = 32
SYSCALL_WORK_EVENT: Final = 64
SYSCALL_WORK_STAGED: Final = 128
#: What a new task takes over from its creator.
SYSCALL_WORK_INHERITED: Final = SYSCALL_WORK_TRACE | SYSCALL_WORK_SECCOMP

#: Stages. A stop is *before* its stage: entry_stage names where it goes on.
STAGE_DISPATCH, STAGE_PTRACE, STAGE_PTRACED, STAGE_SECCOMP = 1, 2, 3, 4
#: After SECCOMP_RET_TRACE's stop: the filters are asked again, the tracer is not.
STAGE_SECCOMP_TRACED: Final = 5
STAGE_TRACE: Final = 6
#: The call was made and its result is in RAX; an event stop came before the exit work.
STAGE_EXIT: Final = 7


class SkipCall(Exception):
    """The call isn't made; its result is in RAX."""


class RolledBack(Exception):
    """As if the call had never been made (RAX is the number again); a signal follows."""


class StoppedInCall(Exception):
    """The task is TRACED (or dead) in the middle of a call, which goes on when it runs again."""


def set_syscall_work(task: Task, work: int) -> None:
    """These want to see the task's calls from now on."""
    task.syscall_work |= work
    disarm_thread(task)


def clear_syscall_work(task: Task, work: int) -> None:
    """These don't any more."""
    task.syscall_work &= ~work


def set_stage(task: Task, stage: int) -> None:
    """Where the entry goes on when the task runs again; 0: past it."""
    task.entry_stage = stage
    if stage:
        task.syscall_work |= SYSCALL_WORK_STAGED
    else:
        task.syscall_work &= ~SYSCALL_WORK_STAGED


def syscall_enter(task: Task) -> int:
    """All that comes before the handler; the number of the call to make.

    Raises SkipCall, RolledBack, StoppedInCall, WouldSleep, Restart: see above.
    """
    if task.syscall_work & SYSCALL_WORK_WINDOWS:
        if task.mm is not None and task.mm.windows is not None:
            task.mm.windows.enter()
        if task.syscall_work == SYSCALL_WORK_WINDOWS:
            return task.syscall_nr
    stage = task.entry_stage or STAGE_DISPATCH
    if stage == STAGE_EXIT:
        raise SkipCall
    mm = task.mm
    if mm is not None and mm.patches is not None:
        task.regs[RIP] = mm.patches.original_ip(task.regs[RIP])
    if stage == STAGE_DISPATCH and task.syscall_work & SYSCALL_WORK_USER_DISPATCH:
        _user_dispatch(task)
    if stage <= STAGE_PTRACE and task.syscall_work & (SYSCALL_WORK_PTRACE | SYSCALL_WORK_EMU):
        _ptrace_entry(task)
    if stage == STAGE_PTRACED:
        _after_ptrace_entry(task)
    if stage <= STAGE_SECCOMP_TRACED and task.syscall_work & SYSCALL_WORK_SECCOMP:
        filter = task.seccomp.filter
        # Most calls of most programs are allowed whatever their arguments are.
        if filter is None or task.regs[ORIG_RAX] not in filter.always:
            _seccomp(task, stage == STAGE_SECCOMP_TRACED)
    if task.syscall_work & SYSCALL_WORK_STAGED:
        set_stage(task, 0)
    nr = task.regs[ORIG_RAX]
    if nr == _M64:
        task.syscall_nr = -1
        raise SkipCall
    task.syscall_nr = nr
    if task.trace is not None:
        task.trace.enter(task)
    return nr


def _user_dispatch(task: Task) -> None:
    """A call from outside of the allowed range becomes SIGSYS."""
    from pygos.kernel.syscall_user_dispatch import syscall_user_dispatch

    if syscall_user_dispatch(task):
        raise RolledBack


def _ptrace_entry(task: Task) -> None:
    """Stop for PTRACE_SYSCALL and PTRACE_SYSEMU; never returns if the task does stop."""
    from pygos.kernel.ptrace_stop import report_syscall_entry

    emulated = task.syscall_work & SYSCALL_WORK_EMU
    set_stage(task, STAGE_EXIT if emulated else STAGE_PTRACED)
    report_syscall_entry(task)
    set_stage(task, 0)
    if emulated or task.fatal_signal_pending():
        raise SkipCall


def _after_ptrace_entry(task: Task) -> None:
    """The tracer resumed the task: unless it is to die, the call goes on."""
    if task.fatal_signal_pending():
        raise SkipCall


def _seccomp(task: Task, traced: bool) -> None:
    """Ask the filters. `traced`: the tracer has seen the call because they wanted it."""
    if task.ptrace & PT_SUSPEND_SECCOMP:
        return
    if traced and (task.fatal_signal_pending() or task.regs[ORIG_RAX] == _M64):
        raise SkipCall
    try:
        result = task.seccomp.check(task, traced)
    except WouldSleep:
        set_stage(task, STAGE_SECCOMP_TRACED if traced else STAGE_SECCOMP)
        raise
    if task.state is not _RUNNING:
        set_stage(task, 0)
        raise StoppedInCall  # a filter killed the task
    if result is not None:
        task.regs[RAX] = result & _M64
        raise SkipCall


def seccomp_trace(task: Task, data: int) -> bool:
    """SECCOMP_RET_TRACE: stop with PTRACE_EVENT_SECCOMP, `data` as message.

    False if there is no tracer that wants it. Else the entry goes on when the task is
    resumed, so this never returns True.
    """
    if not task.ptrace:
        return False
    from pygos.kernel.ptrace_stop import report_seccomp

    set_stage(task, STAGE_SECCOMP_TRACED)
    if not report_seccomp(task, data):
        set_stage(task, 0)
        return False
    return True


def _leave_windows(task: Task) -> None:
    if task.mm is not None and task.mm.windows is not None:
        task.mm.windows.leave(task)
    else:
        task.syscall_work &= ~SYSCALL_WORK_WINDOWS


def syscall_exit(task: Task, restart: type[Restart] | None) -> bool:
    """All that comes after a call whose result is in RAX; False if the task has stopped.

    How an interrupted call goes on is then in ``task.restart_class``.
    """
    if task.syscall_work & SYSCALL_WORK_WINDOWS:
        _leave_windows(task)
    if task.syscall_work & SYSCALL_WORK_STAGED:
        set_stage(task, 0)
    if task.state is not _RUNNING:
        return False  # the call was the task's end
    if task.syscall_work & SYSCALL_WORK_EVENT:
        from pygos.kernel.ptrace_stop import report_queued_event

        if report_queued_event(task):
            return False
    if task.trace is not None:
        task.trace.leave(task, task.regs[RAX])
    if task.syscall_work & (SYSCALL_WORK_PTRACE | SYSCALL_WORK_EXIT_TRAP):
        from pygos.kernel.ptrace_stop import report_syscall_exit

        if report_syscall_exit(task):
            task.restart_class = restart
            return False
    return True
