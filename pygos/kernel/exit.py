# SPDX-License-Identifier: Apache-2.0
"""The end of tasks: exit, exit_group, zombies, reparenting (kernel/exit.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.linux.sched import SigInfo, TaskState
from pygos.include.linux.syscalls import Int, syscall
from pygos.kernel.futex import mm_release
from pygos.kernel.nsproxy import exit_namespaces
from pygos.kernel.pid import detach_pid
from pygos.kernel.seccomp_calls import seccomp_release
from pygos.kernel.signal import (
    exit_signals,
    kill_orphaned_pgrp,
    send_sig_info,
    signal_wake_up,
)
from pygos.mm.mm import mmput

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

SIGKILL, SIGCHLD, NSIG = 9, 17, 64
CLD_EXITED, CLD_KILLED, CLD_DUMPED = 1, 2, 3
SIG_IGN = 1
SA_NOCLDWAIT = 2
#: What a pidfd shows of a process that was waited for: POLLIN | POLLHUP.
_GONE = 0x11
_TICK = 10_000_000  # ns in a clock tick of user space (CLK_TCK 100)


@syscall
def exit_(task: Task, status: Int) -> int:
    """End the calling thread. _exit(2)."""
    do_exit(task, (status & 0xFF) << 8)
    return 0


@syscall
def exit_group(task: Task, status: Int) -> int:
    """End all threads of the process. exit_group(2)."""
    do_group_exit(task, (status & 0xFF) << 8)
    return 0


def do_group_exit(task: Task, status: int) -> None:
    """End the whole thread group with a wait status; the first caller's status counts."""
    group = task.group
    if group.group_exit:
        status = group.exit_code
    else:
        group.group_exit = True
        group.exit_code = status
        zap_other_threads(task)
    do_exit(task, status)


def zap_other_threads(task: Task) -> int:
    """Kill the other threads of the group; returns how many are alive."""
    count = 0
    for other in task.group.threads:
        if other is not task and other.alive:
            other.pending.mask |= 1 << (SIGKILL - 1)
            signal_wake_up(other, fatal=True)
            count += 1
    return count


def do_exit(task: Task, status: int) -> None:
    """End one task with a wait status. Its resources go at once; a zombie may stay."""
    if not task.alive:
        return
    machine = task.machine
    task.exit_code = status
    if task.trace is not None:
        task.trace.exited(task, status)
    exit_signals(task)
    machine.sched.forget(task)
    exit_mm(task)
    if task.sysvsem is not None:
        task.sysvsem.release(task)
        task.sysvsem = None
    if task.sysvshm is not None:
        task.sysvshm.exit(task)
        task.sysvshm = None
    machine.fs_hooks.exit_files(task)
    if task.seccomp is not None:
        seccomp_release(task)
    task.fs.users -= 1
    exit_namespaces(task)
    task.sighand.count -= 1
    if task.cgroups is not None:
        cgroup_exit(task)
    group = task.group
    last = all(other is task or not other.alive for other in group.threads)
    task.state = TaskState.ZOMBIE
    if last:
        _group_dead(task)
    if task.pid_ns is not None and task.pid_ns.child_reaper is task:
        _reaper_exits(task)
    _reparent_children(task)
    _exit_notify(task, last)
    if group is machine.main_group and last:
        machine.exit_status = _group_status(group.leader)


def exit_mm(task: Task) -> None:
    """Give up the memory and the CPU; a vfork parent may go on."""
    mm, cpu = task.mm, task.cpu
    if mm is not None:
        mm_release(task)
        group = task.group
        rss = mm.rss_anon + mm.rss_file + mm.rss_shmem
        group.maxrss = max(group.maxrss, rss, mm.hiwater_rss)
    vfork_complete(task)
    task.mm = None
    task.cpu = None
    if cpu is not None:
        cpu.owner = None
        cpu.release()
    if mm is not None:
        mmput(mm)


def vfork_complete(task: Task) -> None:
    """The child no longer uses its vfork parent's memory."""
    queue = task.vfork_done
    if queue is not None:
        task.vfork_done = None
        queue.wake_all()


def _group_status(leader: Task) -> int:
    return leader.group.exit_code if leader.group.group_exit else leader.exit_code


def _group_dead(task: Task) -> None:
    """The last thread is gone: what belongs to the process as a whole."""
    group = task.group
    if not group.group_exit:
        group.exit_code = task.group.leader.exit_code
    if group.real_timer is not None:
        group.real_timer.cancel()
        group.real_timer = None
    for timer in tuple(group.posix_timers.values()):
        timer.cancel()
    group.posix_timers.clear()
    task.machine.fs_hooks.task_exit(task)


def _reparent_children(task: Task) -> None:
    """Orphans go to another thread, a subreaper, or init (find_new_reaper)."""
    if not task.children:
        return
    reaper = _new_reaper(task)
    for child in tuple(task.children):
        del task.children[child]
        child.real_parent = reaper
        if child.parent is task:
            child.parent = reaper
        reaper.children[child] = None
        if reaper.group is task.group:
            continue
        child.exit_signal = SIGCHLD
        if child.pdeath_signal and child.alive:
            info = SigInfo(child.pdeath_signal, pid=task.tgid, uid=task.cred.uid)
            send_sig_info(child, info, group=True)
        if child.state is TaskState.ZOMBIE and _group_is_empty(child):
            _notify_parent(child)
        kill_orphaned_pgrp(child, task)


def _reaper_exits(task: Task) -> None:
    """A pid namespace loses its process 1: another thread of it, or all of it ends."""
    ns = task.pid_ns
    assert ns is not None
    for other in task.group.threads:
        if other is not task and other.alive:
            ns.child_reaper = other
            return
    from pygos.kernel.pid_namespace import zap_pid_ns

    zap_pid_ns(task)


def _new_reaper(task: Task) -> Task:
    for other in task.group.threads:
        if other is not task and other.alive:
            return other
    if task.group.has_child_subreaper:
        parent = task.real_parent
        while parent.pid > 1 and parent.pid_ns is task.pid_ns:
            if parent.group.is_child_subreaper and parent.alive:
                return parent
            parent = parent.real_parent
    ns = task.pid_ns
    init = task.machine.pid1 if ns is None or ns.dead else ns.child_reaper
    assert init is not None
    return init


def _group_is_empty(leader: Task) -> bool:
    """The leader is dead and no other thread is left: it may be waited for."""
    return not any(other.alive for other in leader.group.threads)


def _exit_notify(task: Task, last: bool) -> None:
    """Tell the parent; threads other than the leader vanish at once."""
    group = task.group
    leader = group.leader
    if last:
        kill_orphaned_pgrp(leader, None)
    if task is not leader:
        release_task(task)
    else:
        group.poll_queue.wake_all(1)
    if last and leader.state is TaskState.ZOMBIE:
        _notify_parent(leader)
    if group.group_exec_task is not None:
        task.machine.sched.wake_up(group.group_exec_task)


def _notify_parent(leader: Task) -> None:
    """SIGCHLD and wake-ups for a process that became a zombie (do_notify_parent)."""
    parent = leader.real_parent
    group = leader.group
    machine = leader.machine
    group.poll_queue.wake_all(1)
    ignored = parent is machine.pid1
    if leader.exit_signal == SIGCHLD:
        action = parent.sighand.action[SIGCHLD]
        ignored = ignored or action.handler == SIG_IGN or bool(action.flags & SA_NOCLDWAIT)
    # clone(2) takes any exit signal; one that doesn't exist is just not sent.
    if 0 < leader.exit_signal <= NSIG and parent is not machine.pid1:
        send_sig_info(parent, exit_siginfo(leader, leader.exit_signal), group=True)
    if ignored:
        release_task(leader)
    parent.group.wait_chldexit.wake_all()


def exit_siginfo(leader: Task, signo: int) -> SigInfo:
    """The siginfo of SIGCHLD and waitid(2) for a zombie."""
    status = _group_status(leader)
    if status & 0x7F == 0:
        code, value = CLD_EXITED, status >> 8 & 0xFF
    else:
        code = CLD_DUMPED if status & 0x80 else CLD_KILLED
        value = status & 0x7F
    utime, stime = group_times(leader)
    return SigInfo(
        signo, code, pid=leader.pid, uid=leader.cred.uid, status=value,
        utime=utime // _TICK, stime=stime // _TICK,
    )


def group_times(leader: Task) -> tuple[int, int]:
    """User and system CPU time of a whole thread group, ns."""
    group = leader.group
    utime, stime = group.utime, group.stime
    for thread in group.threads:
        utime += thread.utime
        stime += thread.stime
    return utime, stime


def cgroup_exit(task: Task) -> None:
    """The task leaves its control group, which a zombie still counts for."""
    from pygos.kernel.cgroup import attach

    attach.cgroup_exit(task)


def cgroup_release(task: Task) -> None:
    """The task no longer counts for any control group."""
    from pygos.kernel.cgroup import attach

    attach.cgroup_release(task)


def release_task(task: Task) -> None:
    """The task is reaped: it leaves every table; its times go to the group."""
    group = task.group

    if task.cgroups is not None:
        cgroup_release(task)
    task.state = TaskState.DEAD
    detach_pid(task.machine.pids, task)
    group.poll_queue.wake_all(_GONE)
    task.real_parent.children.pop(task, None)
    if task in group.threads:
        group.threads.remove(task)
    group.utime += task.utime
    group.stime += task.stime
    group.min_flt += task.min_flt
    group.maj_flt += task.maj_flt
    group.nvcsw += task.nvcsw
    group.nivcsw += task.nivcsw
