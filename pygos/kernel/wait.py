# SPDX-License-Identifier: Apache-2.0
"""Waiting for children: wait4, waitid (kernel/exit.c, second half)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.dataclass import dataclass
from pygos.include.errno import EAGAIN, ECHILD, EINVAL, ESRCH, Errno
from pygos.include.linux.jobctl import JOBCTL_LISTENING
from pygos.include.linux.pid_namespace import find_vpid, pid_vnr
from pygos.include.linux.sched import SigInfo, TaskState
from pygos.include.linux.syscalls import Int, OutInt, Pid, UInt, UserAddr, syscall
from pygos.include.linux.user_namespace import show_uid
from pygos.include.linux.wait import wait_on
from pygos.include.uapi import wait as uapi
from pygos.include.uapi.fcntl import O_NONBLOCK
from pygos.include.uapi.resource import Rusage
from pygos.include.uapi.time import Timeval
from pygos.kernel.exit import (
    SIGCHLD,
    alone,
    do_notify_parent,
    exit_siginfo,
    group_times,
    release_task,
)
from pygos.kernel.task_io_accounting import add_group, add_task

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

WNOTHREAD, WALL, WCLONE = uapi.__WNOTHREAD, uapi.__WALL, uapi.__WCLONE
_WAIT4_OPTIONS = uapi.WNOHANG | uapi.WUNTRACED | uapi.WCONTINUED | WNOTHREAD | WCLONE | WALL
_WAITID_OPTIONS = _WAIT4_OPTIONS | uapi.WNOWAIT | uapi.WEXITED
CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED = 4, 5, 6
_ANY, _PID, _PGID = 0, 1, 2


@dataclass(slots=True)
class WaitOpts:
    """Which children, which events."""

    kind: int
    number: int
    options: int

    def eligible(self, child: Task, ptrace: bool) -> bool:
        """Is this one of the children (or tracees) asked for (eligible_child)?"""
        if self.kind == _PID and child.pid != self.number:
            return False
        if self.kind == _PGID and child.group.pgrp != self.number:
            return False
        if ptrace or self.options & WALL:
            return True
        return (child.exit_signal != SIGCHLD) == bool(self.options & WCLONE)


@dataclass(slots=True)
class Event:
    """One child's news: for wait4 a status, for waitid a siginfo."""

    child: Task
    status: int
    info: SigInfo


@syscall
def wait4(task: Task, pid: Pid, status: OutInt, options: UInt, rusage: UserAddr) -> int:
    """Wait for a child to end, stop or continue. wait4(2).

    Errors: EINVAL unknown options; ESRCH for pid INT_MIN; ECHILD; EINTR by restart.
    """
    if options & ~_WAIT4_OPTIONS:
        raise EINVAL
    if pid == -(1 << 31):
        raise ESRCH
    event = do_wait(task, _wait4_opts(task, pid, options | uapi.WEXITED))
    if event is None:
        return 0
    assert task.mm is not None
    if status:
        status.put32(event.status)
    if rusage:
        task.mm.write(rusage, child_rusage(event.child).to_bytes())
    return event.info.pid


def _wait4_opts(task: Task, pid: int, options: int) -> WaitOpts:
    if pid == -1:
        return WaitOpts(_ANY, 0, options)
    if pid < 0:
        return WaitOpts(_PGID, find_vpid(task, -pid), options)
    if pid == 0:
        return WaitOpts(_PGID, task.group.pgrp, options)
    return WaitOpts(_PID, find_vpid(task, pid), options)


@syscall
def waitid(
    task: Task, which: Int, number: Pid, info: UserAddr, options: UInt, rusage: UserAddr
) -> int:
    """Wait for a child's change of state, with a siginfo. waitid(2).

    Errors: EINVAL for unknown options, no event asked for, or a bad id; ECHILD; of a pidfd
    EBADF, and EAGAIN if it is non-blocking and there is no event.
    """
    try:
        event = _kernel_waitid(task, which, number, options)
    except Errno:
        # Linux writes an empty siginfo even then; if it can't, that is the error.
        if info:
            assert task.mm is not None
            task.mm.write(info, _waitid_info(None))
        raise
    assert task.mm is not None
    if event is not None and rusage:
        task.mm.write(rusage, child_rusage(event.child).to_bytes())
    if info:
        task.mm.write(info, _waitid_info(event))
    return 0


def _kernel_waitid(task: Task, which: int, number: int, options: int) -> Event | None:
    if options & ~_WAITID_OPTIONS:
        raise EINVAL
    if not options & (uapi.WEXITED | uapi.WSTOPPED | uapi.WCONTINUED):
        raise EINVAL
    opts = _waitid_opts(task, which, number, options)
    event = do_wait(task, opts)
    if event is None and not options & uapi.WNOHANG:
        raise EAGAIN
    return event


def _waitid_info(event: Event | None) -> bytes:
    """siginfo_t's first 128 bytes as waitid fills them: all zero if nothing happened."""
    if event is None:
        head = bytes(12)
        return head + bytes(16)
    info = event.info
    words = (info.signo, 0, info.code, 0, info.pid, info.uid, info.status)
    return b"".join((word & 0xFFFFFFFF).to_bytes(4, "little") for word in words)


def _waitid_opts(task: Task, which: int, number: int, options: int) -> WaitOpts:
    if which == uapi.P_ALL:
        return WaitOpts(_ANY, 0, options)
    if which == uapi.P_PID:
        if number <= 0:
            raise EINVAL
        return WaitOpts(_PID, find_vpid(task, number), options)
    if which == uapi.P_PGID:
        if number < 0:
            raise EINVAL
        pgrp = find_vpid(task, number) if number else task.group.pgrp
        return WaitOpts(_PGID, pgrp, options)
    if which == uapi.P_PIDFD:
        if number < 0:
            raise EINVAL
        ref, flags = task.machine.fs_hooks.pidfd_target(task, number)
        if flags & O_NONBLOCK:
            options |= uapi.WNOHANG
        return WaitOpts(_PID, 0 if ref.gone else ref.task.pid, options)
    raise EINVAL


def do_wait(task: Task, opts: WaitOpts) -> Event | None:
    """The first matching event, consumed unless WNOWAIT; None with WNOHANG and no event."""
    found = False
    for parent in _parents(task, opts):
        for child in _candidates(task, parent.children, opts):
            if opts.eligible(child, False):
                found = True
                event = _child_event(task, child, opts, False)
                if event is not None:
                    return event
        for child in _candidates(task, parent.ptraced, opts):
            if opts.eligible(child, True):
                found = True
                event = _child_event(task, child, opts, True)
                if event is not None:
                    return event
    if not found:
        raise ECHILD
    if opts.options & uapi.WNOHANG:
        return None
    wait_on(task, task.group.wait_chldexit, why="do_wait")


def _candidates(task: Task, family: dict[Task, None], opts: WaitOpts) -> tuple[Task, ...]:
    """Those of a family that may be meant: who is asked for by number isn't searched for."""
    if opts.kind != _PID:
        return tuple(family)
    child = task.machine.pids.tasks.get(opts.number)
    return (child,) if child is not None and child in family else ()


def ptrace_reparented(child: Task) -> bool:
    """Is the child's tracer another process than its parent?"""
    return child.ptracer is not None and child.ptracer.group is not child.real_parent.group


def _parents(task: Task, opts: WaitOpts) -> list[Task]:
    """Children of any thread count, unless __WNOTHREAD."""
    if opts.options & WNOTHREAD:
        return [task]
    return list(task.group.threads)


def _child_event(task: Task, child: Task, opts: WaitOpts, ptrace: bool) -> Event | None:
    """News of a child; `ptrace`: for its tracer (wait_consider_task)."""
    options, group = opts.options, child.group
    traced = child.ptracer is not None
    if not ptrace and traced and not ptrace_reparented(child):
        ptrace = True  # the tracer is the parent: it sees the tracee once
    if child.state is TaskState.ZOMBIE:
        reapable = child is not group.leader or alone(child)
        if reapable:
            wanted = options & uapi.WEXITED and (ptrace or not traced)
            return _reap(task, child, opts) if wanted else None
    if ptrace:
        event = _trapped(task, child, opts)
    elif options & uapi.WUNTRACED and group.group_stop and not group.stop_reported:
        event = _stopped(task, child, opts)
    else:
        event = None
    if event is None and options & uapi.WCONTINUED and group.continued:
        if not options & uapi.WNOWAIT:
            group.continued = False
        return Event(child, 0xFFFF, _info(task, child, CLD_CONTINUED, 18))
    return event


def _trapped(task: Task, child: Task, opts: WaitOpts) -> Event | None:
    """The stop of a tracee, once, for its tracer."""
    pt = child.pt
    if child.state is not TaskState.TRACED or child.jobctl & JOBCTL_LISTENING:
        return None
    if pt is None or not pt.code:
        return None
    code = pt.code
    if not opts.options & uapi.WNOWAIT:
        pt.code = 0
    return Event(child, code << 8 | 0x7F, _info(task, child, CLD_TRAPPED, code))


def _stopped(task: Task, child: Task, opts: WaitOpts) -> Event:
    """The stop of a whole group, once, for its parent."""
    group = child.group
    if not opts.options & uapi.WNOWAIT:
        group.stop_reported = True
    code = group.stop_code
    return Event(child, code << 8 | 0x7F, _info(task, child, CLD_STOPPED, code))


def _info(task: Task, child: Task, code: int, status: int) -> SigInfo:
    pid = pid_vnr(task, child.pid)
    uid = show_uid(task, child.cred.uid)
    return SigInfo(SIGCHLD, code, pid=pid, uid=uid, status=status)


def _reap(task: Task, child: Task, opts: WaitOpts) -> Event:
    group = child.group
    status = group.exit_code if group.group_exit else child.exit_code
    info = exit_siginfo(child, SIGCHLD)
    info.pid, info.uid = pid_vnr(task, child.pid), show_uid(task, info.uid)
    event = Event(child, status, info)
    if opts.options & uapi.WNOWAIT:
        return event
    if child is group.leader and ptrace_reparented(child):
        # The parent may wait for it too, now that the tracer has seen its end.
        _give_to_parent(child)
        return event
    if child is group.leader:
        _add_child_usage(child)
    release_task(child)
    return event


def _give_to_parent(child: Task) -> None:
    from pygos.kernel.ptrace_stop import ptrace_unlink

    ptrace_unlink(child)
    if do_notify_parent(child, child.exit_signal):
        release_task(child)


def _add_child_usage(child: Task) -> None:
    """The parent inherits the usage of what it reaps (RUSAGE_CHILDREN)."""
    mine, gone = child.real_parent.group, child.group
    utime, stime = group_times(child)
    mine.children_utime += utime + gone.children_utime
    mine.children_stime += stime + gone.children_stime
    mine.cmaxrss = max(mine.cmaxrss, gone.maxrss, gone.cmaxrss)
    mine.cmin_flt += gone.min_flt + child.min_flt + gone.cmin_flt
    mine.cmaj_flt += gone.maj_flt + child.maj_flt + gone.cmaj_flt
    mine.cnvcsw += gone.nvcsw + child.nvcsw + gone.cnvcsw
    mine.cnivcsw += gone.nivcsw + child.nivcsw + gone.cnivcsw
    add_task(mine, child)
    add_group(mine, gone)


def child_rusage(child: Task) -> Rusage:
    """The resource usage of a child and what it has reaped. getrusage(2)."""
    group = child.group
    utime, stime = group.utime, group.stime
    if child.state is not TaskState.DEAD:
        utime, stime = group_times(child)
    utime += group.children_utime
    stime += group.children_stime
    return Rusage(
        ru_utime=Timeval(tv_sec=utime // 10**9, tv_usec=utime % 10**9 // 1000),
        ru_stime=Timeval(tv_sec=stime // 10**9, tv_usec=stime % 10**9 // 1000),
        ru_maxrss=max(group.maxrss, group.cmaxrss) * 4,
        ru_minflt=group.min_flt + group.cmin_flt,
        ru_majflt=group.maj_flt + group.cmaj_flt,
        ru_nvcsw=group.nvcsw + group.cnvcsw,
        ru_nivcsw=group.nivcsw + group.cnivcsw,
    )
