# SPDX-License-Identifier: Apache-2.0
"""System calls about a task's own signals: dispositions, masks, waiting, stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.arch.x86.regs import RSP
from pygos.include.errno import EAGAIN, EINTR, EINVAL, ERESTARTNOHAND
from pygos.include.linux.sched import SigAction
from pygos.include.linux.syscalls import In, InOrNull, Int, Out, Signo, Size, UserAddr, syscall
from pygos.include.linux.wait import wait_on
from pygos.include.uapi.signal import (
    SA_EXPOSE_TAGBITS,
    SA_IMMUTABLE,
    SA_NOCLDSTOP,
    SA_NOCLDWAIT,
    SA_NODEFER,
    SA_ONSTACK,
    SA_RESETHAND,
    SA_RESTART,
    SA_RESTORER,
    SA_SIGINFO,
    SIG_BLOCK,
    SIG_SETMASK,
    SIG_UNBLOCK,
    SS_FLAG_BITS,
    Sigaction,
    Sigset,
    StackT,
)
from pygos.include.uapi.time import Timespec
from pygos.kernel.altstack import sas_ss_flags, set_altstack
from pygos.kernel.siginfo import siginfo_bytes
from pygos.kernel.sigqueue import (
    KERNEL_ONLY,
    dequeue_signal,
    flush_group_mask,
    recalc_sigpending,
    set_current_blocked,
    set_user_sigmask,
)
from pygos.kernel.sigsend import sig_handler_ignored
from pygos.kernel.time.timespec import timespec_ns

if TYPE_CHECKING:
    from pygos.include.linux.sched import SigInfo, Task

_SIGSET_SIZE = 8
_M64 = (1 << 64) - 1
#: Flags that are kept; others vanish, so that programs can test for them.
_SA_FLAGS = (
    SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER
    | SA_RESETHAND | SA_EXPOSE_TAGBITS | SA_RESTORER
)  # fmt: skip


@syscall
def rt_sigaction(
    task: Task, sig: Signo, act: InOrNull[Sigaction], oact: Out[Sigaction], sigsetsize: Size
) -> int:
    """Set what a signal does. sigaction(2).

    Errors: EINVAL for a bad number, SIGKILL and SIGSTOP, or a wrong set size.
    """
    if sigsetsize != _SIGSET_SIZE:
        raise EINVAL
    new: SigAction | None = None
    if act is not None:
        new = SigAction(
            act.sa_handler, act.sa_flags & _SA_FLAGS, act.sa_restorer, act.sa_mask & ~KERNEL_ONLY
        )
    if not 1 <= sig <= 64 or (new is not None and KERNEL_ONLY >> (sig - 1) & 1):
        raise EINVAL
    actions = task.sighand.action
    old = actions[sig]
    if old.flags & SA_IMMUTABLE:
        raise EINVAL  # it is about to kill the process
    if new is not None:
        actions[sig] = new
        if sig_handler_ignored(new.handler, sig):
            # POSIX: what becomes ignored is no longer pending, even if it is blocked.
            flush_group_mask(task, 1 << (sig - 1))
            for thread in task.group.threads:
                recalc_sigpending(thread)
    if oact:
        oact.put(Sigaction(old.handler, old.flags, old.restorer, old.mask))
    return 0


@syscall
def rt_sigprocmask(
    task: Task, how: Int, nset: InOrNull[Sigset], oset: Out[Sigset], sigsetsize: Size
) -> int:
    """Change and read the blocked mask. sigprocmask(2). Errors: EINVAL."""
    if sigsetsize != _SIGSET_SIZE:
        raise EINVAL
    old = task.blocked
    if nset is not None:
        new = nset.sig
        if how == SIG_BLOCK:
            new = old | new
        elif how == SIG_UNBLOCK:
            new = old & ~new
        elif how != SIG_SETMASK:
            raise EINVAL
        set_current_blocked(task, new)
    if oset:
        oset.put(Sigset(old))
    return 0


@syscall
def rt_sigpending(task: Task, uset: UserAddr, sigsetsize: Size) -> int:
    """Which signals are blocked and pending. sigpending(2). A smaller set is allowed."""
    if sigsetsize > _SIGSET_SIZE:
        raise EINVAL
    pending = (task.pending.mask | task.group.shared_pending.mask) & task.blocked
    assert task.mm is not None
    task.mm.write(uset, pending.to_bytes(8, "little")[:sigsetsize])
    return 0


@syscall
def rt_sigsuspend(task: Task, unewset: In[Sigset], sigsetsize: Size) -> int:
    """Wait for a signal with another mask. sigsuspend(2). Always EINTR (or EINVAL)."""
    if sigsetsize != _SIGSET_SIZE:
        raise EINVAL
    set_user_sigmask(task, unewset.sig)
    wait_on(task, restart=ERESTARTNOHAND, why="sigsuspend")


@syscall
def pause(task: Task) -> int:
    """Wait for a signal. pause(2). Always EINTR."""
    wait_on(task, restart=ERESTARTNOHAND, why="pause")


class SigWait:
    """task.restart of rt_sigtimedwait: when it ends, monotonic ns; None: never."""

    __slots__ = ("deadline",)

    def __init__(self, deadline: int | None) -> None:
        self.deadline = deadline


@syscall
def rt_sigtimedwait(
    task: Task, uthese: In[Sigset], uinfo: UserAddr, uts: InOrNull[Timespec], sigsetsize: Size
) -> int:
    """Take a pending signal out of a set, waiting for one. sigwaitinfo(2).

    Errors: EAGAIN after the timeout; EINTR for a signal outside the set; EINVAL.
    """
    if sigsetsize != _SIGSET_SIZE:
        raise EINVAL
    timeout = timespec_ns(uts) if uts is not None else None
    info = dequeue_signal(task, ~(uthese.sig & ~KERNEL_ONLY) & _M64)
    if info is not None:
        return _give_info(task, info, uinfo)
    now = task.machine.clock.monotonic()
    state = task.restart
    if state is None:
        deadline = None if timeout is None else now + timeout
        state = task.restart = SigWait(deadline)
    if state.deadline is not None and now >= state.deadline:
        raise EAGAIN
    if task.signal_pending():
        raise EINTR
    # Blocked signals wake nobody, but every new one wakes the queue that signalfd uses.
    wait_on(task, task.group.poll_queue, deadline=state.deadline, why="sigtimedwait")


def _give_info(task: Task, info: SigInfo, uinfo: int) -> int:
    if uinfo:
        assert task.mm is not None
        task.mm.write(uinfo, siginfo_bytes(info))
    return info.signo


@syscall
def sigaltstack(task: Task, uss: InOrNull[StackT], uoss: Out[StackT]) -> int:
    """Set and read the alternate signal stack. sigaltstack(2).

    Errors: EPERM while running on it; EINVAL for flags; ENOMEM for less than MINSIGSTKSZ.
    """
    sp = task.regs[RSP]
    old = task.altstack
    if uss is not None:
        set_altstack(task, sp, uss.ss_sp, uss.ss_flags & 0xFFFFFFFF, uss.ss_size)
    if uoss:
        uoss.put(StackT(old.sp, sas_ss_flags(old, sp) | old.flags & SS_FLAG_BITS, old.size))
    return 0


@syscall
def restart_syscall(task: Task) -> int:
    """Go on with the call that a stop interrupted. Not called by programs. restart_syscall(2).

    EINTR if there is nothing to go on with.
    """
    if task.restart is None:
        raise EINTR
    nr = task.restart_nr
    result: int = task.machine.syscalls[nr](task, task.regs)
    return result
