# SPDX-License-Identifier: Apache-2.0
"""One trap in, one answer out.

``handle_trap`` is called by the scheduler with a stopped task and leaves it either ready for
user mode (True) or asleep, stopped or dead (False). A handler that must wait raises
``WouldSleep``; the task then sleeps and *the same call is invoked again* by
``continue_syscall`` (include/linux/wait.py). An exception that is no errno is a kernel oops:
the task dies, the machine lives on (kernel/oops.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.arch.x86.regs import ORIG_RAX, RAX, RIP
from pygos.arch.x86.traps import force_exception, force_page_fault
from pygos.include.errno import Errno, Restart
from pygos.include.linux.platform import Access, Trap, TrapKind
from pygos.include.linux.sched import SigInfo, TaskState
from pygos.include.linux.wait import WouldSleep
from pygos.kernel.entry_work import (
    RolledBack,
    SkipCall,
    StoppedInCall,
    syscall_enter,
    syscall_exit,
)
from pygos.kernel.oops import oops
from pygos.kernel.signal import do_signal, force_sig_info
from pygos.mm.fault import BusFault, SegvFault, handle_fault
from pygos.mm.oom import OutOfMemory

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_M64 = 0xFFFF_FFFF_FFFF_FFFF
_RUNNING = TaskState.RUNNING
_SYSCALL, _FAULT, _EXCEPTION = TrapKind.SYSCALL, TrapKind.FAULT, TrapKind.EXCEPTION
SIGSEGV, SIGBUS, SIGSYS, SIGKILL = 11, 7, 31, 9
SEGV_MAPERR = 1


def handle_trap(task: Task, trap: Trap) -> bool:
    """Answer one trap; True if the task may go back to user mode now."""
    kind = trap.kind
    if kind is _SYSCALL:
        regs = task.regs
        task.syscall_nr = regs[ORIG_RAX]
        return do_syscall(task, regs)
    if kind is _FAULT:
        _fault(task, trap)
    elif kind is _EXCEPTION:
        force_exception(task, trap)
    else:
        return _rare_trap(task, trap)
    return exit_to_user(task, None) if task.notify else True


def do_syscall(task: Task, regs: memoryview) -> bool:
    """Invoke the call in ``task.syscall_nr`` (again, if it slept) and store its result."""
    restart: type[Restart] | None = None
    nr = task.syscall_nr
    table = task.machine.syscalls
    try:
        if task.syscall_work and (not task.in_syscall or task.entry_stage):
            nr = syscall_enter(task)
        ret = table[nr if nr < len(table) else -1](task, regs)
        result = ret & _M64 if ret is not None else 0
    except WouldSleep:
        go_to_sleep(task)
        return False
    except Restart as error:
        restart = type(error)
        result = -restart.errno & _M64
    except Errno as error:
        result = -error.errno & _M64
    except StoppedInCall:
        return stopped_in_call(task)
    except SkipCall:
        result = task.regs[RAX]
    except RolledBack:
        task.in_syscall = False
        task.regs[ORIG_RAX] = _M64
        return exit_to_user(task, None)
    except Exception as error:
        oops(task, error)
        return exit_to_user(task, None)
    # execve, clone and sigreturn may have replaced the registers' owner.
    regs = task.regs
    task.in_syscall = False
    if task.restart is not None and restart is None:
        task.restart = None
    regs[RAX] = result
    regs[ORIG_RAX] = _M64
    if task.syscall_work and not syscall_exit(task, restart):
        return False
    if task.notify or restart is not None:
        if task.ptrace:
            # A tracer sees, and says, whether the call is restarted (kernel/ptrace_stop.py).
            regs[ORIG_RAX] = task.syscall_nr & _M64
        return exit_to_user(task, restart)
    return task.state is _RUNNING


def go_to_sleep(task: Task) -> None:
    """The call raised WouldSleep: state and deadline; its queues already hold the task."""
    task.in_syscall = True
    if task.wait_killable:
        task.state = TaskState.UNINTERRUPTIBLE
    else:
        task.state = TaskState.INTERRUPTIBLE
    deadline = task.wait_deadline
    if deadline is not None:
        task.wait_timer = task.machine.timers.add(deadline, task)


def stopped_in_call(task: Task) -> bool:
    """The tracer holds the task in the middle of a call, or it is dead or about to die."""
    task.in_syscall = task.state is TaskState.TRACED and task.exiting is None
    return False


def continue_syscall(task: Task) -> bool:
    """A sleeper was woken: invoke its call again. True if it may go back to user mode."""
    if task.wait_killable:
        task.wait_killable = False
    return do_syscall(task, task.regs)


def exit_to_user(task: Task, restart: type[Restart] | None) -> bool:
    """Deliver signals, stops and exits until nothing more is to be done."""
    try:
        do_signal(task, restart)
        while task.notify and task.state is _RUNNING:
            do_signal(task, None)
    except WouldSleep:
        raise AssertionError("signal delivery must not sleep") from None
    except Exception as error:
        oops(task, error)
        do_signal(task, None)
    return task.state is _RUNNING


def _fault(task: Task, trap: Trap) -> None:
    mm = task.mm
    assert mm is not None
    try:
        handle_fault(mm, trap.addr, trap.access)
        if mm.read_in:
            mm.read_in = False
            task.maj_flt += 1
        else:
            task.min_flt += 1
    except SegvFault as fault:
        force_page_fault(task, SIGSEGV, fault.code, trap)
    except BusFault as fault:
        force_page_fault(task, SIGBUS, fault.code, trap)
    except OutOfMemory:
        # The killer found nothing better to end (pagefault_out_of_memory).
        force_sig_info(task, SigInfo(SIGKILL))
    except Exception as error:
        oops(task, error)


def _rare_trap(task: Task, trap: Trap) -> bool:
    kind = trap.kind
    if kind is TrapKind.TICK or kind is TrapKind.KICK:
        if task.rseq is not None and task.rseq.event:
            task.rseq.sched_in(task)
    elif kind is TrapKind.VSYSCALL:
        # The page is there on every x86-64 host, but never answered: as vsyscall=none.
        force_sig_info(task, SigInfo(SIGSEGV, SEGV_MAPERR, addr=task.regs[RIP]))
    elif kind is TrapKind.BAD_SYSCALL:
        task.regs[RAX] = -38 & _M64
        task.regs[ORIG_RAX] = _M64
    elif kind is TrapKind.DEAD:
        force_sig_info(task, SigInfo(SIGKILL))
    return exit_to_user(task, None) if task.notify else True


def touch(task: Task, addr: int, access: Access) -> None:
    """Fault one page in on behalf of the kernel, as the program would."""
    assert task.mm is not None
    handle_fault(task.mm, addr, access)
