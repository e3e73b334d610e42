# SPDX-License-Identifier: Apache-2.0
"""Making tasks: fork, vfork, clone, clone3 (kernel/fork.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygos.arch.x86.regs import FS_BASE, ORIG_RAX, RAX, RIP, RSP
from pygos.include.dataclass import dataclass
from pygos.include.errno import (
    E2BIG,
    EAGAIN,
    EFAULT,
    EINVAL,
    ERESTARTNOINTR,
    Errno,
)
from pygos.include.linux.fs import FsStruct
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.sched import (
    PF_TRAPS,
    PF_TRAPS_SHIFT,
    SIG_DEFAULT,
    NsProxy,
    SemUndoList,
    SigAltStack,
    SighandStruct,
    SignalStruct,
    Task,
    TaskState,
    UtsNamespace,
)
from pygos.include.linux.syscalls import Size, ULong, UserAddr, syscall
from pygos.include.linux.wait import WaitQueue, wait_killable
from pygos.include.uapi import sched as uapi
from pygos.include.uapi.capability import CAP_SYS_ADMIN, CAP_SYS_RESOURCE
from pygos.include.uapi.pidfd import PIDFD_THREAD
from pygos.kernel.entry_work import SYSCALL_WORK_INHERITED, StoppedInCall
from pygos.kernel.nsproxy import (
    NEW_NAMESPACES,
    copy_namespaces,
    exit_namespaces,
    hold_set,
)
from pygos.kernel.pid import alloc_pid, attach_pid, free_pid, is_child_reaper
from pygos.kernel.schedcalls import sched_fork
from pygos.kernel.ucount import nproc_exceeded
from pygos.mm.fork import dup_mm
from pygos.mm.mm import mmput

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.machine import Machine

_SIGCHLD = 17
_RLIMIT_NPROC = 6
_M64 = 0xFFFF_FFFF_FFFF_FFFF
#: clone3 takes only these sizes of struct clone_args; see clone(2).
_CLONE_ARGS_MIN, _CLONE_ARGS_SIZE, _PAGE = 64, 88, 4096
_MAX_PID_NS_LEVEL = 32
_CLONE3_FLAGS = (
    0xFFFF_FF00 | uapi.CLONE_NEWTIME | uapi.CLONE_CLEAR_SIGHAND | uapi.CLONE_INTO_CGROUP
)


@dataclass(slots=True)
class CloneArgs:
    """What the three calls have in common (struct kernel_clone_args)."""

    flags: int
    exit_signal: int = _SIGCHLD
    stack: int = 0
    parent_tid: int = 0
    child_tid: int = 0
    tls: int = 0
    pidfd: int = 0
    #: The numbers that the child is to have, in its innermost pid namespace first.
    set_tid: tuple[int, ...] = ()
    #: The control group that it is to begin in (CLONE_INTO_CGROUP); None: the parent's.
    cgroup: Any = None


class VforkWait:
    """task.restart of a parent whose vfork child still uses its memory."""

    __slots__ = ("number", "pid", "queue")

    def __init__(self, pid: int, number: int) -> None:
        self.pid = pid
        #: What the parent knows it as.
        self.number = number
        self.queue = WaitQueue()


@syscall
def fork(task: Task) -> int:
    """Create a child process. fork(2). Errors: EAGAIN, ENOMEM."""
    return kernel_clone(task, CloneArgs(0))


@syscall
def vfork(task: Task) -> int:
    """Create a child that borrows the parent's memory until it execs or exits. vfork(2)."""
    return kernel_clone(task, CloneArgs(uapi.CLONE_VFORK | uapi.CLONE_VM))


@syscall
def clone(
    task: Task, flags: ULong, stack: UserAddr, parent_tid: UserAddr, child_tid: UserAddr,
    tls: UserAddr,
) -> int:
    """Create a child process or thread. clone(2)."""
    args = CloneArgs(
        flags & 0xFFFF_FFFF & ~0xFF, flags & 0xFF, stack, parent_tid, child_tid, tls, parent_tid
    )
    return kernel_clone(task, args)


@syscall
def clone3(task: Task, args: UserAddr, size: Size) -> int:
    """Create a child process or thread, extensible form. clone(2).

    Errors: E2BIG for a size over a page or non-zero unknown fields; EINVAL; EFAULT.
    """
    if task.restart is not None:
        return kernel_clone(task, CloneArgs(0))
    if size > _PAGE:
        raise E2BIG
    if size < _CLONE_ARGS_MIN:
        raise EINVAL
    assert task.mm is not None
    data = task.mm.read(args, size)
    if any(data[_CLONE_ARGS_SIZE:]):
        raise E2BIG
    return kernel_clone(task, _clone3_args(task, data[:_CLONE_ARGS_SIZE]))


def _clone3_args(task: Task, data: bytes) -> CloneArgs:
    fields = [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]
    fields += [0] * (11 - len(fields))
    flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls = fields[:8]
    set_tid, set_tid_size = fields[8:10]
    if set_tid_size > _MAX_PID_NS_LEVEL or (not set_tid) != (not set_tid_size):
        raise EINVAL
    if exit_signal > 64:
        raise EINVAL
    into = bool(flags & uapi.CLONE_INTO_CGROUP)
    if into and (fields[10] > 0x7FFF_FFFF or len(data) < _CLONE_ARGS_SIZE):
        raise EINVAL
    tids = _set_tids(task, set_tid, set_tid_size) if set_tid else ()
    if flags & ~_CLONE3_FLAGS:
        raise EINVAL
    if flags & uapi.CLONE_DETACHED:
        raise EINVAL
    if flags & (uapi.CLONE_THREAD | uapi.CLONE_PARENT) and exit_signal:
        raise EINVAL
    if (stack == 0) != (stack_size == 0):
        raise EINVAL
    cgroup = _into_cgroup(task, fields[10], flags) if into else None
    return CloneArgs(
        flags, exit_signal, stack + stack_size, parent_tid, child_tid, tls, pidfd, tids, cgroup
    )


def _into_cgroup(task: Task, fd: int, flags: int) -> Any:
    """The group that a directory of cgroup2 is. EBADF, ENODEV, EACCES, EBUSY, EOPNOTSUPP."""
    from pygos.kernel.cgroup.attach import fork_destination

    group = task.machine.fs_hooks.cgroup_of_fd(task, fd)
    return fork_destination(task, group, bool(flags & uapi.CLONE_THREAD))


def _set_tids(task: Task, addr: int, count: int) -> tuple[int, ...]:
    """clone3's numbers for the child, one per pid namespace, the innermost first."""
    assert task.mm is not None
    return tuple(memoryview(task.mm.read(addr, 4 * count)).cast("i"))


def kernel_clone(task: Task, args: CloneArgs) -> int:
    """Create the child; for vfork wait until it has given the memory back."""
    if task.restart is None:
        _check_flags(task, args)
        if task.signal_pending():
            # The whole group may be stopping or dying: no new thread must escape that.
            raise ERESTARTNOINTR
        child = copy_process(task, args)
        task.machine.nr_forks += 1
        number = child.pid if task.pid_ns is None else pid_vnr(task, child.pid)
        event = _trace_child(task, child, args) if task.ptrace else 0
        if not args.flags & uapi.CLONE_VFORK:
            task.machine.sched.add(child)
            if event:
                _clone_event(task, event, child)
            return number
        task.restart = VforkWait(child.pid, number)
        child.vfork_done = task.restart.queue
        task.machine.sched.add(child)
        if event:
            _clone_event(task, event, child, now=True)
    state = task.restart
    assert isinstance(state, VforkWait)
    child_now = task.machine.pids.tasks.get(state.pid)
    busy = child_now is not None and child_now.vfork_done is state.queue
    if busy and not task.fatal_signal_pending():
        wait_killable(task, state.queue, why="kernel_clone")
    if task.ptrace:
        from pygos.kernel.ptrace_stop import vfork_done_event

        vfork_done_event(task, state.pid)
    return state.number


def _trace_child(task: Task, child: Task, args: CloneArgs) -> int:
    """The tracer may want the child too, and the event to know of it: its number or 0."""
    from pygos.kernel.ptrace_stop import clone_event, init_task

    event = clone_event(task, args)
    init_task(task, child, args.flags, event)
    return event


def _clone_event(task: Task, event: int, child: Task, now: bool = False) -> None:
    """Tell the tracer of the child: when the call is done, or `now` (vfork)."""
    from pygos.kernel.ptrace_stop import event_stop, pid_for_tracer, queue_event

    pid = pid_for_tracer(task, child.pid)
    if not now:
        queue_event(task, event, pid)
    elif event_stop(task, event, pid):
        raise StoppedInCall


def _check_flags(task: Task, args: CloneArgs) -> None:
    """The impossible combinations of clone(2), in Linux's order."""
    flags = args.flags
    _check_pidfd(flags, args.pidfd, args.parent_tid)
    if flags & (uapi.CLONE_NEWNS | uapi.CLONE_NEWUSER) and flags & uapi.CLONE_FS:
        raise EINVAL
    if flags & uapi.CLONE_THREAD and not flags & uapi.CLONE_SIGHAND:
        raise EINVAL
    if flags & uapi.CLONE_SIGHAND and not flags & uapi.CLONE_VM:
        raise EINVAL
    if flags & uapi.CLONE_CLEAR_SIGHAND and flags & uapi.CLONE_SIGHAND:
        raise EINVAL
    if flags & uapi.CLONE_PARENT and is_child_reaper(task):
        raise EINVAL
    if flags & uapi.CLONE_THREAD and (
        flags & (uapi.CLONE_NEWUSER | uapi.CLONE_NEWPID)
        or task.pid_ns is not task.nsproxy.pid_for_children
    ):
        raise EINVAL


def _check_pidfd(flags: int, pidfd: int, parent_tid: int) -> None:
    """A pidfd and the child's number can't go to the same place."""
    if flags & uapi.CLONE_PIDFD:
        if flags & uapi.CLONE_PARENT_SETTID and pidfd == parent_tid:
            raise EINVAL
        if flags & uapi.CLONE_DETACHED:
            raise EINVAL


def copy_process(task: Task, args: CloneArgs) -> Task:
    """A new task as a copy of `task`, not yet running. EAGAIN, ENOMEM."""
    machine = task.machine
    flags = args.flags
    cred = _copy_creds(task, flags)
    _check_nproc(task, cred)
    cgroup = args.cgroup or task.cgroups
    if cgroup is not None:
        cgroup_can_fork(cgroup)
    fs, nsproxy = task.fs, task.nsproxy
    if not flags & uapi.CLONE_FS:
        fs = FsStruct(fs.root, fs.pwd, fs.umask, 0)
    if flags & NEW_NAMESPACES or nsproxy.time is not nsproxy.time_for_children:
        nsproxy = copy_namespaces(task, flags, cred.user_ns, fs)
    pid_ns = nsproxy.pid_for_children
    child = Task(machine, alloc_pid(machine.pids, pid_ns, args.set_tid, task))
    child.pid_ns = pid_ns
    try:
        _copy_mm(task, child, flags)
    except (MemoryError, EAGAIN):
        free_pid(machine.pids, child.pid)
        warn_once(machine, "fork: rejected, the host has no process or memory left")
        raise EAGAIN from None
    except Errno:
        free_pid(machine.pids, child.pid)
        raise
    _copy_identity(task, child, args)
    child.cred = cred
    child.fs, child.nsproxy = fs, nsproxy
    fs.users += 1
    nsproxy.count += 1
    if nsproxy is not task.nsproxy:
        hold_set(nsproxy)
        if nsproxy.time is not task.nsproxy.time:
            from pygos.arch.x86.vdso.vma import vdso_update

            vdso_update(child)
    if flags & uapi.CLONE_SYSVSEM:
        _share_semundo(task, child)
    _copy_files(task, child, flags)
    _copy_sighand(task, child, flags)
    _copy_group(task, child, args)
    _copy_thread(task, child, args)
    if flags & uapi.CLONE_PIDFD:
        _make_pidfd(task, child, args)
    if not flags & uapi.CLONE_THREAD:
        child.real_parent.children[child] = None
    child.group.threads.append(child)
    if cgroup is not None:
        cgroup_post_fork(child, cgroup)
    attach_pid(machine.pids, child)
    if pid_ns is not None and pid_ns.child_reaper is None:
        pid_ns.child_reaper = child
    _write_tids(task, child, args)
    return child


def _copy_creds(task: Task, flags: int) -> Cred:
    """The parent's; with CLONE_NEWUSER all powerful in a new user namespace. ENOSPC, EPERM."""
    if not flags & uapi.CLONE_NEWUSER:
        return task.cred
    from pygos.kernel.user_namespace import create_user_ns

    return create_user_ns(task, task.cred)


def _check_nproc(task: Task, cred: Cred) -> None:
    """RLIMIT_NPROC (not for the privileged) and the machine's own limit on tasks."""
    machine = task.machine
    if task.dl is not None and not task.policy & uapi.SCHED_RESET_ON_FORK:
        raise EAGAIN  # its bandwidth was promised to one task
    most = machine.sysctl.get("kernel.threads-max", 16384)
    if len(machine.pids.tasks) >= most:
        warn_once(machine, f"fork: rejected, kernel.threads-max is {most}")
        raise EAGAIN
    task.nproc_exceeded = False
    if cred.uid == 0 and cred.user_ns is None:
        return
    limit = task.group.rlim[_RLIMIT_NPROC][0]
    if (limit <= len(machine.pids.tasks) or cred.user_ns is not None) and nproc_exceeded(
        task, cred, 1
    ):
        if cred.uid == 0 or task.cred.capable(CAP_SYS_RESOURCE) or task.cred.capable(CAP_SYS_ADMIN):
            return
        raise EAGAIN


def warn_once(machine: Machine, text: str) -> None:
    """Say in the log why a fork failed, the first time."""
    if text not in machine.misc.setdefault("fork_warnings", set()):
        machine.misc["fork_warnings"].add(text)
        machine.printk.warn(text)


def cgroup_can_fork(cgroup: Any) -> None:
    """May the control group have one more task? EAGAIN."""
    from pygos.kernel.cgroup.attach import can_fork

    can_fork(cgroup)


def cgroup_post_fork(child: Task, cgroup: Any) -> None:
    """The child begins in its control group."""
    from pygos.kernel.cgroup.attach import post_fork

    post_fork(child, cgroup)


def _copy_mm(task: Task, child: Task, flags: int) -> None:
    mm, cpu = task.mm, task.cpu
    if mm is None or cpu is None:
        return
    if flags & uapi.CLONE_VM:
        child.cpu = mm.space.new_cpu(cpu)
        mm.users += 1
        child.mm = mm
        child.cpu.regs[:] = cpu.regs
    else:
        child.mm = dup_mm(mm, cpu)
        child.mm.owner = child
        child.cpu = child.mm.space.new_cpu()
    child.cpu.owner = child
    child.regs = child.cpu.regs
    if task.flags & PF_TRAPS:
        child.cpu.set_traps((task.flags & PF_TRAPS) >> PF_TRAPS_SHIFT)


def _copy_identity(task: Task, child: Task, args: CloneArgs) -> None:
    child.comm = task.comm
    child.personality = task.personality
    child.loginuid, child.sessionid = task.loginuid, task.sessionid
    child.flags = task.flags
    child.dumpable = task.dumpable
    child.no_new_privs = task.no_new_privs
    child.keep_caps = task.keep_caps
    child.seccomp = task.seccomp
    if task.seccomp is not None:
        from pygos.kernel.seccomp_calls import seccomp_fork

        seccomp_fork(child)
    if task.rseq is not None and not args.flags & uapi.CLONE_VM:
        child.rseq = task.rseq.copy()
    child.security = task.security
    child.trace = task.trace
    child.syscall_work = task.syscall_work & SYSCALL_WORK_INHERITED
    child.timer_slack = child.default_timer_slack = task.timer_slack
    child.nice = task.nice
    child.policy = task.policy
    child.rt_priority = task.rt_priority
    child.ioprio = task.ioprio
    child.sched_group = task.sched_group
    sched_fork(task, child)
    child.cpus_allowed = task.cpus_allowed
    child.blocked = task.blocked
    child.start_time = task.machine.clock.monotonic()
    child.start_boottime = task.machine.clock.boottime()
    if args.flags & uapi.CLONE_VM and not args.flags & uapi.CLONE_VFORK:
        child.altstack = SigAltStack()
    else:
        child.altstack = SigAltStack(task.altstack.sp, task.altstack.size, task.altstack.flags)


def _share_semundo(task: Task, child: Task) -> None:
    """CLONE_SYSVSEM: parent and child undo their semaphore operations together."""
    if task.sysvsem is None:
        task.sysvsem = SemUndoList()
    task.sysvsem.count += 1
    child.sysvsem = task.sysvsem


def _copy_files(task: Task, child: Task, flags: int) -> None:
    if flags & uapi.CLONE_FILES:
        task.files.count += 1
        child.files = task.files
    else:
        child.files = task.machine.fs_hooks.dup_files(task.files)


def _copy_sighand(task: Task, child: Task, flags: int) -> None:
    if flags & uapi.CLONE_SIGHAND:
        task.sighand.count += 1
        child.sighand = task.sighand
        return
    child.sighand = SighandStruct()
    child.sighand.action = list(task.sighand.action)
    if flags & uapi.CLONE_CLEAR_SIGHAND:
        child.sighand.action = [
            action if action.handler == 1 else SIG_DEFAULT for action in task.sighand.action
        ]


def _copy_group(task: Task, child: Task, args: CloneArgs) -> None:
    if args.flags & uapi.CLONE_THREAD:
        group = task.group
        child.group = group
        child.tgid = task.tgid
        child.group_leader = group.leader
        child.exit_signal = -1
        child.real_parent = child.parent = task.real_parent
    else:
        group = _new_group(task, child)
        child.exit_signal = args.exit_signal
        if args.flags & uapi.CLONE_PARENT:
            parent = task.real_parent
            child.exit_signal = task.group_leader.exit_signal
        else:
            parent = task
        child.real_parent = child.parent = parent


def _new_group(task: Task, child: Task) -> SignalStruct:
    old = task.group
    group = SignalStruct(child.pid)
    group.leader = child
    group.rlim = list(old.rlim)
    group.pgrp = old.pgrp
    group.session = old.session
    group.ctty = old.ctty
    group.oom_score_adj = old.oom_score_adj
    group.oom_score_adj_min = old.oom_score_adj_min
    group.has_child_subreaper = old.has_child_subreaper or old.is_child_subreaper
    child.group = group
    return group


def _copy_thread(task: Task, child: Task, args: CloneArgs) -> None:
    """Registers: the child returns 0 from the same call, on its own stack if one was given."""
    if child.cpu is None:
        return
    regs = child.regs
    regs[RAX] = 0
    regs[ORIG_RAX] = _M64
    if args.stack:
        regs[RSP] = args.stack
    if args.flags & uapi.CLONE_SETTLS:
        regs[FS_BASE] = args.tls
    regs[RIP] = task.regs[RIP]
    if args.flags & uapi.CLONE_CHILD_CLEARTID:
        child.clear_child_tid = args.child_tid


def _make_pidfd(task: Task, child: Task, args: CloneArgs) -> None:
    """CLONE_PIDFD: the descriptor is the parent's, its number goes to user memory.

    Errors: EMFILE, ENFILE, EFAULT; the child is then undone.
    """
    hooks = task.machine.fs_hooks
    assert task.mm is not None
    try:
        thread = PIDFD_THREAD if args.flags & uapi.CLONE_THREAD else 0
        fd = hooks.pidfd_create(task, child, thread)
        try:
            task.mm.write_u32(args.pidfd, fd)
        except EFAULT:
            hooks.close_fd(task, fd)
            raise
    except Errno:
        _abandon(child)
        raise


def _abandon(child: Task) -> None:
    """Give back what a child holds that will never run."""
    child.machine.fs_hooks.exit_files(child)
    if child.seccomp is not None:
        from pygos.kernel.seccomp_calls import seccomp_release

        seccomp_release(child)
    child.fs.users -= 1
    exit_namespaces(child)
    free_pid(child.machine.pids, child.pid)
    child.sighand.count -= 1
    if child.sysvsem is not None:
        child.sysvsem.count -= 1
    mm, cpu = child.mm, child.cpu
    child.mm = child.cpu = None
    if cpu is not None:
        cpu.owner = None
        cpu.release()
    if mm is not None:
        mmput(mm)


def _write_tids(task: Task, child: Task, args: CloneArgs) -> None:
    flags = args.flags
    try:
        if flags & uapi.CLONE_PARENT_SETTID and task.mm is not None:
            task.mm.write_u32(args.parent_tid, pid_vnr(task, child.pid))
        if flags & uapi.CLONE_CHILD_SETTID and child.mm is not None:
            child.mm.write_u32(args.child_tid, pid_vnr(child, child.pid))
    except EFAULT:
        pass  # Linux ignores a bad address here (put_user in schedule_tail)


def new_init_uts(machine: Machine) -> UtsNamespace:
    """The first UTS namespace."""
    return UtsNamespace(machine.hostname)


def new_kernel_task(machine: Machine, pid: int, comm: bytes, template: Task | None) -> Task:
    """A task without user mode: the idle task (pid 0) and init (pid 1), boot only."""
    task = Task(machine, pid)
    task.comm = comm
    task.sighand = SighandStruct()
    group = SignalStruct(pid)
    group.leader = task
    group.threads.append(task)
    task.group = group
    task.state = TaskState.INTERRUPTIBLE
    task.start_time = machine.clock.monotonic()
    task.start_boottime = machine.clock.boottime()
    if template is not None:
        task.cred = template.cred
        task.fs = template.fs
        task.files = template.files
        task.nsproxy = template.nsproxy
        group.rlim = list(template.group.rlim)
        task.real_parent = task.parent = template
        template.children[task] = None
    return task


def new_nsproxy(machine: Machine) -> NsProxy:
    """The first set of namespaces; the mount namespace must exist."""
    nsproxy = NsProxy(new_init_uts(machine), machine.init_mnt_ns)
    nsproxy.count = 1  # the idle task's, which never ends
    hold_set(nsproxy)
    return nsproxy

