# SPDX-License-Identifier: Apache-2.0
"""The end of tasks: exit, exit_group, zombies, reparenting (kernel/exit.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.sched import SigInfo, TaskState
from pygos.include.linux.syscalls import Int, syscall
from pygos.include.linux.user_namespace import show_uid
from pygos.kernel.entry_work import StoppedInCall
from pygos.kernel.futex import mm_release
from pygos.kernel.nsproxy import exit_namespaces
from pygos.kernel.pid import detach_pid
from pygos.kernel.signal import (
    exit_signals,
    kill_orphaned_pgrp,
    send_sig_info,
    signal_wake_up,
)
from pygos.kernel.task_io_accounting import add_task
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
    if task.state is TaskState.TRACED:
        raise StoppedInCall
    return 0


@syscall
def exit_group(task: Task, status: Int) -> int:
    """End all threads of the process. exit_group(2)."""
    do_group_exit(task, (status & 0xFF) << 8)
    if task.state is TaskState.TRACED:
        raise StoppedInCall
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
    """End one task with a wait status. Its resources go at once; a zombie may stay.

    If its tracer wants to see that, the task is TRACED afterwards and exits when it goes on.
    """
    if not task.alive:
        return
    if task.ptrace and task.exiting is None:
        from pygos.kernel.ptrace_stop import exit_event

        if exit_event(task, status):
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
        from pygos.kernel.seccomp_calls import seccomp_release

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
        if not group.group_exit:
            # The status of the process is that of the thread which ends last.
            group.group_exit = True
            group.exit_code = status
        _group_dead(task)
    if task.pid_ns is not None and task.pid_ns.child_reaper is task:
        reaper_exits(task)
    if task.ptraced:
        from pygos.kernel.ptrace_stop import exit_ptrace

        exit_ptrace(task)
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
        reaper.children[child] = None
        for thread in child.group.threads:
            thread.real_parent = reaper
            if not thread.ptrace:
                thread.parent = reaper
            if thread.pdeath_signal and thread.alive:
                pid, uid = pid_vnr(thread, task.tgid), show_uid(thread, task.cred.uid)
                info = SigInfo(thread.pdeath_signal, pid=pid, uid=uid)
                # Out of an outer pid namespace it reaches even process 1.
                send_sig_info(thread, info, group=True, force=not pid)
        if reaper.group is not task.group:
            _reparent_leader(task, child)


def _reparent_leader(task: Task, child: Task) -> None:
    """A process got a parent in another process: it may be reaped at once or be orphaned."""
    child.exit_signal = SIGCHLD
    zombie = child.state is TaskState.ZOMBIE and alone(child) and not child.ptrace
    if zombie and do_notify_parent(child, SIGCHLD):
        release_task(child)
    kill_orphaned_pgrp(child, task)


def reaper_exits(task: Task) -> None:
    """A thread of the process 1 of a pid namespace ends."""
    from pygos.kernel import pid_namespace

    pid_namespace.reaper_exits(task)


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


def alone(leader: Task) -> bool:
    """No other thread of the group is left, not even as a zombie for its tracer."""
    return len(leader.group.threads) == 1


def _exit_notify(task: Task, last: bool) -> None:
    """Tell the parent or the tracer; threads that nobody traces vanish at once."""
    group = task.group
    leader = group.leader
    if last:
        kill_orphaned_pgrp(leader, None)
    if task.ptrace:
        reaped = do_notify_parent(task, _tracer_signal(task))
    elif task is leader:
        group.poll_queue.wake_all(1)
        reaped = alone(task) and do_notify_parent(task, task.exit_signal)
    else:
        reaped = True
    if reaped:
        release_task(task)
    if group.group_exec_task is not None:
        task.machine.sched.wake_up(group.group_exec_task)


def _tracer_signal(task: Task) -> int:
    """What a tracer that is the parent gets is the exit signal; any other gets SIGCHLD."""
    assert task.ptracer is not None
    own = task.ptracer.group is task.real_parent.group
    return task.exit_signal if own and task is task.group.leader and alone(task) else SIGCHLD


def ignores_children(parent: Task) -> bool:
    """Does the parent want no zombies?"""
    action = parent.sighand.action[SIGCHLD]
    return action.handler == SIG_IGN or bool(action.flags & SA_NOCLDWAIT)


def do_notify_parent(task: Task, signo: int) -> bool:
    """A zombie's signal to its parent or tracer; True: nobody will wait for it."""
    parent = task.ptracer or task.real_parent
    group = task.group
    if task is group.leader and alone(task):
        group.poll_queue.wake_all(1)
    nobody = parent is task.machine.pid1
    if not task.ptrace and signo == SIGCHLD:
        nobody = nobody or ignores_children(parent)
    # clone(2) takes any exit signal; one that doesn't exist is just not sent.
    if 0 < signo <= NSIG and parent is not task.machine.pid1:
        info = exit_siginfo(task, signo)
        if parent.pid_ns is not None or parent.cred.user_ns is not None:
            info.pid, info.uid = pid_vnr(parent, task.pid), show_uid(parent, task.cred.uid)
        send_sig_info(parent, info, group=True)
    parent.group.wait_chldexit.wake_all()
    return nobody


def exit_siginfo(leader: Task, signo: int) -> SigInfo:
    """The siginfo of SIGCHLD and waitid(2) for a zombie, a leader or a traced thread."""
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
    if task.ptracer is not None:
        from pygos.kernel.ptrace_stop import ptrace_unlink

        ptrace_unlink(task)
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
    add_task(group, task)
    leader = group.leader
    if task is leader:
        return
    if group.group_exec_task is not None:
        task.machine.sched.wake_up(group.group_exec_task)
    elif leader.state is TaskState.ZOMBIE and alone(leader):
        # The last other thread of a process whose leader had ended before.
        signo = SIGCHLD if leader.ptrace else leader.exit_signal
        if do_notify_parent(leader, signo):
            release_task(leader)
