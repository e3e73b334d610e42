# SPDX-License-Identifier: Apache-2.0
"""Pending signals: masks, queues and what a task has to look at (first part of signal.c).

A standard signal (1..31) is pending at most once per set; real-time signals queue up, each
with its siginfo. Infos count for RLIMIT_SIGPENDING of the receiving user; where there is
no room for one, only the mask bit is set (or, for real-time signals sent with a value, the
sender gets EAGAIN).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.linux.jobctl import JOBCTL_PENDING_MASK
from pygos.include.linux.sched import SigInfo, SigPending, Task, TaskState
from pygos.include.uapi.resource import RLIMIT_SIGPENDING
from pygos.include.uapi.signal import (
    SI_TIMER,
    SIGABRT,
    SIGALRM,
    SIGBUS,
    SIGCHLD,
    SIGCONT,
    SIGFPE,
    SIGILL,
    SIGKILL,
    SIGQUIT,
    SIGSEGV,
    SIGSTOP,
    SIGSYS,
    SIGTRAP,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGURG,
    SIGWINCH,
    SIGXCPU,
    SIGXFSZ,
)

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.user_namespace import UserNamespace

#: First real-time signal number as the kernel counts.
RTMIN: Final = 32
_M64: Final = (1 << 64) - 1


def sigmask(signo: int) -> int:
    """The bit of one signal in a mask."""
    return 1 << (signo - 1)


def _set(*signals: int) -> int:
    mask = 0
    for signo in signals:
        mask |= 1 << (signo - 1)
    return mask


#: Signals that can't be caught, blocked or ignored.
KERNEL_ONLY: Final = _set(SIGKILL, SIGSTOP)
KERNEL_STOP: Final = _set(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU)
KERNEL_COREDUMP: Final = _set(
    SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGXCPU, SIGXFSZ
)
#: Ignored by default.
KERNEL_IGNORE: Final = _set(SIGCONT, SIGCHLD, SIGWINCH, SIGURG)
#: Raised by what the program just did: delivered before others.
SYNCHRONOUS: Final = _set(SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS)
_KILL_BIT: Final = 1 << (SIGKILL - 1)
_CONT_BIT: Final = 1 << (SIGCONT - 1)
_SIGPENDING_USERS: Final = "sigpending"


def valid_signal(signo: int) -> bool:
    """0 counts as valid: "is the process there?" (kill(2))."""
    return 0 <= signo <= 64


# -- how many infos a user has queued


def _charges(machine: Machine) -> dict[Any, int]:
    """By user; those of inner user namespaces by (namespace, user)."""
    charges: dict[Any, int] = machine.misc.setdefault(_SIGPENDING_USERS, {})
    return charges


def sigpending_count(machine: Machine, uid: int, ns: UserNamespace | None = None) -> int:
    """Queued infos of a user, as SigQ in /proc/PID/status shows them."""
    return _charges(machine).get(uid if ns is None else (ns, uid), 0)


def charge(task: Task, info: SigInfo, override: bool) -> bool:
    """Count `info` for the receiving task's user. False if RLIMIT_SIGPENDING is reached."""
    charges = _charges(task.machine)
    uid, ns = task.cred.uid, task.cred.user_ns
    if ns is not None:
        return _charge_levels(task, info, ns, override)
    count = charges.get(uid, 0)
    if not override and count >= task.group.rlim[RLIMIT_SIGPENDING][0]:
        return False
    charges[uid] = count + 1
    info.charged = uid
    return True


def _levels(ns: UserNamespace | None, uid: int) -> list[tuple[Any, int]]:
    """Keys of a user and of the creators of its namespaces, each with the limit noted there."""
    found: list[tuple[Any, int]] = []
    limit = -1
    while ns is not None:
        found.append(((ns, uid), limit))
        limit = ns.rlimit_max.get(RLIMIT_SIGPENDING, -1)
        uid, ns = ns.owner, ns.parent
    return [*found, (uid, limit)]


def _charge_levels(task: Task, info: SigInfo, ns: UserNamespace, override: bool) -> bool:
    """As charge(), for a user of an inner namespace: it counts for the creators too."""
    charges, uid = _charges(task.machine), task.cred.uid
    levels = _levels(ns, uid)
    if not override:
        if charges.get((ns, uid), 0) >= task.group.rlim[RLIMIT_SIGPENDING][0]:
            return False
        if any(0 <= limit <= charges.get(key, 0) for key, limit in levels):
            return False
    for key, _ in levels:
        charges[key] = charges.get(key, 0) + 1
    info.charged, info.charged_ns = uid, ns
    return True


def uncharge(machine: Machine, info: SigInfo) -> None:
    """`info` has left its queue."""
    uid = info.charged
    if uid < 0:
        return
    info.charged = -1
    charges = _charges(machine)
    if info.charged_ns is not None:
        for key, _ in _levels(info.charged_ns, uid):
            _less(charges, key)
        info.charged_ns = None
    else:
        _less(charges, uid)


def _less(charges: dict[Any, int], key: Any) -> None:
    left = charges.get(key, 1) - 1
    if left > 0:
        charges[key] = left
    else:
        charges.pop(key, None)


# -- the sets


def flush_sigqueue_mask(machine: Machine, pending: SigPending, mask: int) -> None:
    """Forget all signals of `mask` in one set."""
    if not pending.mask & mask:
        return
    pending.mask &= ~mask
    if not pending.queue:
        return
    kept = [info for info in pending.queue if not mask >> (info.signo - 1) & 1]
    for info in pending.queue:
        if mask >> (info.signo - 1) & 1:
            uncharge(machine, info)
    pending.queue.clear()
    pending.queue.extend(kept)


def flush_sigqueue(machine: Machine, pending: SigPending) -> None:
    """Forget everything in one set (at exit)."""
    flush_sigqueue_mask(machine, pending, _M64)


def flush_group_mask(task: Task, mask: int) -> None:
    """Forget signals of `mask` in the group's set and in those of all its threads."""
    machine, group = task.machine, task.group
    flush_sigqueue_mask(machine, group.shared_pending, mask)
    for thread in group.threads:
        flush_sigqueue_mask(machine, thread.pending, mask)


def next_signal(pending: SigPending, blocked: int) -> int:
    """The number of the next deliverable signal, 0 if none: synchronous ones first."""
    ready = pending.mask & ~blocked
    if not ready:
        return 0
    ready = ready & SYNCHRONOUS or ready
    return (ready & -ready).bit_length()


def _collect(machine: Machine, pending: SigPending, signo: int) -> SigInfo:
    """Take the oldest info of `signo`; keep the bit if another one is queued."""
    queue = pending.queue
    found: SigInfo | None = None
    for info in queue:
        if info.signo == signo:
            if found is not None:
                break
            found = info
    else:
        pending.mask &= ~(1 << (signo - 1))
    if found is None:
        return SigInfo(signo)
    # Removal by identity: equal infos may be queued more than once.
    for index, info in enumerate(queue):
        if info is found:
            del queue[index]
            break
    uncharge(machine, found)
    return found


def unqueue_info(pending: SigPending, info: SigInfo) -> None:
    """Take one queued info back, if it is still there."""
    for index, queued in enumerate(pending.queue):
        if queued is info:
            del pending.queue[index]
            if not any(other.signo == info.signo for other in pending.queue):
                pending.mask &= ~(1 << (info.signo - 1))
            return


def dequeue_signal(task: Task, blocked: int) -> SigInfo | None:
    """Take the next signal that isn't in `blocked`: the task's own first, then the group's.

    Returns its info or None. For sigtimedwait and signalfd pass the complement of the set.
    """
    pending = task.pending
    signo = next_signal(pending, blocked)
    if not signo:
        pending = task.group.shared_pending
        signo = next_signal(pending, blocked)
        if not signo:
            return None
    info = _collect(task.machine, pending, signo)
    if signo == SIGALRM:
        timers = task.group.itimers
        if timers is not None and timers.real is not None:
            timers.real.signal_dequeued()
    if info.code == SI_TIMER and info.raw is None:
        timer = task.group.posix_timers.get(info.timerid)
        if timer is not None:
            info = timer.signal_dequeued(info)
    recalc_sigpending(task)
    return info


def dequeue_synchronous(task: Task) -> SigInfo | None:
    """A signal that this very thread has caused goes before all others.

    So the frame of a SIGSEGV shows the registers of the fault, not of another handler.
    """
    pending = task.pending
    if not pending.mask & SYNCHRONOUS & ~task.blocked:
        return None
    for index, info in enumerate(pending.queue):
        bit = 1 << (info.signo - 1)
        if info.code > 0 and bit & SYNCHRONOUS & ~task.blocked:
            del pending.queue[index]
            uncharge(task.machine, info)
            if not any(other.signo == info.signo for other in pending.queue):
                pending.mask &= ~bit
            recalc_sigpending(task)
            return info
    return None


# -- what a task must look at


def has_pending_signals(task: Task) -> bool:
    """An unblocked signal is pending for this thread."""
    return bool((task.pending.mask | task.group.shared_pending.mask) & ~task.blocked)


def recalc_sigpending(task: Task) -> None:
    """Set ``task.notify`` to what the task's signals, stops and exits say."""
    group = task.group
    task.notify = (
        bool((task.pending.mask | group.shared_pending.mask) & ~task.blocked)
        or bool(task.jobctl & JOBCTL_PENDING_MASK)
        or group.group_exit
        or (group.group_exec_task is not None and group.group_exec_task is not task)
        or task.restart_class is not None
        or task.exiting is not None
    )


def signal_wake_up(task: Task, fatal: bool = False) -> None:
    """Make a task look at its signals: end its sleep, or interrupt it in user mode.

    `fatal` also ends uninterruptible sleeps and stops: the task is to die.
    """
    task.notify = True
    state = task.state
    if state is TaskState.RUNNING:
        task.machine.sched.kick(task)
    elif state is TaskState.INTERRUPTIBLE or (fatal and state is TaskState.UNINTERRUPTIBLE):
        task.machine.sched.wake_up(task)
    elif fatal and (state is TaskState.STOPPED or state is TaskState.TRACED):
        unstop(task)


def unstop(task: Task) -> None:
    """A stopped task becomes runnable; it goes on in do_signal()."""
    task.notify = True
    task.state = TaskState.RUNNING
    task.machine.sched.add(task)


# -- blocked masks


def set_current_blocked(task: Task, mask: int) -> None:
    """Change the blocked mask; SIGKILL and SIGSTOP never are.

    Group signals that this thread no longer wants are offered to its siblings.
    """
    mask &= ~KERNEL_ONLY
    newly = mask & ~task.blocked
    if newly and len(task.group.threads) > 1 and task.group.shared_pending.mask & newly:
        retarget_shared_pending(task, newly)
    task.blocked = mask
    recalc_sigpending(task)


def retarget_shared_pending(task: Task, which: int) -> None:
    """Wake other threads for group signals in `which` that `task` won't take."""
    left = task.group.shared_pending.mask & which
    for thread in task.group.threads:
        if not left:
            return
        if thread is task or not thread.alive or not left & ~thread.blocked:
            continue
        left &= thread.blocked
        if not thread.notify:
            signal_wake_up(thread)


def set_user_sigmask(task: Task, mask: int) -> None:
    """Swap the mask for the time of one call (ppoll, pselect, epoll_pwait, rt_sigsuspend).

    Safe to repeat when the call is invoked again. The old mask comes back by
    ``restore_saved_sigmask`` or, if a signal interrupts the call, by do_signal().
    """
    if task.saved_sigmask is None:
        task.saved_sigmask = task.blocked
        set_current_blocked(task, mask)


def restore_saved_sigmask(task: Task) -> None:
    """Put the mask back that ``set_user_sigmask`` replaced, if it did."""
    saved = task.saved_sigmask
    if saved is not None:
        task.saved_sigmask = None
        set_current_blocked(task, saved)
