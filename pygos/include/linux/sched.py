# SPDX-License-Identifier: Apache-2.0
"""Tasks, thread groups, signal state (include/linux/sched.h, sched/signal.h).

Who owns what: a Task is one guest thread. Tasks of a thread group share one SignalStruct
(group-wide state, rlimits, exit), usually one SighandStruct (dispositions), one mm,
FilesStruct and FsStruct, as the flags of clone(2) say.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from pygos.include.dataclass import dataclass, field
from pygos.include.linux.ns_common import NsProxy as NsProxy
from pygos.include.linux.ns_common import UtsNamespace as UtsNamespace
from pygos.include.linux.wait import WaitQueue

if TYPE_CHECKING:
    from pygos.include.errno import Restart
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.fs import FilesStruct, FsStruct
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.pid_namespace import PidNamespace
    from pygos.include.linux.platform import Cpu
    from pygos.include.linux.user_namespace import UserNamespace
    from pygos.mm.mm import Mm

#: The kernel's flag that a signal frame or an exit must be looked at before user mode.
NSIG = 64


#: Bits of Task.flags, with Linux's values.
PF_MCE_PROCESS = 0x80  # has a policy of its own for memory failures
PF_MCE_EARLY = 0x0800_0000
PF_IO_FLUSHER = 0x0018_0000  # PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE
#: And two of Linux's thread flags (TIF_*): instructions that fault for the task.
PF_NOTSC = 1 << 32
PF_NOCPUID = 1 << 33
PF_TRAPS = PF_NOTSC | PF_NOCPUID
PF_TRAPS_SHIFT = 32  # (flags & PF_TRAPS) >> PF_TRAPS_SHIFT are the bits of Cpu.set_traps()


class TaskState(IntEnum):
    """As the letters of ps: R S D T t Z X."""

    RUNNING = 0  # on a CPU or in the run queue
    INTERRUPTIBLE = 1
    UNINTERRUPTIBLE = 2
    STOPPED = 3
    TRACED = 4
    ZOMBIE = 5
    DEAD = 6


STATE_LETTERS = "RSDTtZX"


@dataclass(slots=True)
class SigInfo:
    """One queued signal: siginfo_t's fields (sigaction(2)); layout is arch/x86's business."""

    signo: int
    code: int = 0
    errno: int = 0
    pid: int = 0
    uid: int = 0
    status: int = 0
    utime: int = 0
    stime: int = 0
    value: int = 0  # sigval as u64
    addr: int = 0
    band: int = 0
    fd: int = 0
    timerid: int = 0
    overrun: int = 0
    syscall: int = 0
    arch: int = 0
    #: The raw 128 bytes given to rt_sigqueueinfo(2); wins over the fields.
    raw: bytes | None = None
    #: While it is queued: the user whose RLIMIT_SIGPENDING it counts for; -1: nobody's.
    charged: int = -1
    #: And the user namespace of that user; None: the first one.
    charged_ns: UserNamespace | None = None


class SigPending:
    """Pending signals of a task or a group: a mask and the queued infos in order."""

    __slots__ = ("mask", "queue")

    def __init__(self) -> None:
        #: Bit signo-1.
        self.mask = 0
        self.queue: deque[SigInfo] = deque()


@dataclass(slots=True, frozen=True)
class SigAction:
    """A disposition as rt_sigaction(2) sets it. handler: 0 SIG_DFL, 1 SIG_IGN, or address."""

    handler: int = 0
    flags: int = 0
    restorer: int = 0
    mask: int = 0


SIG_DEFAULT = SigAction()


class SighandStruct:
    """Dispositions by signal number (index 0 unused), shared by CLONE_SIGHAND."""

    __slots__ = ("action", "count")

    def __init__(self) -> None:
        self.action: list[SigAction] = [SIG_DEFAULT] * (NSIG + 1)
        self.count = 1


class SignalStruct:
    """State of a thread group (struct signal_struct)."""

    __slots__ = (
        "autoreap",
        "children_stime",
        "children_utime",
        "cmaj_flt",
        "cmaxrss",
        "cmin_flt",
        "cnivcsw",
        "cnvcsw",
        "continued",
        "coredump",
        "count",
        "ctty",
        "did_exec",
        "exit_code",
        "group_exec_task",
        "group_exit",
        "group_stop",
        "has_child_subreaper",
        "ioac",
        "is_child_subreaper",
        "itimers",
        "leader",
        "maj_flt",
        "maxrss",
        "min_flt",
        "nivcsw",
        "nvcsw",
        "oom_score_adj",
        "oom_score_adj_min",
        "pgrp",
        "poll_queue",
        "posix_timers",
        "real_timer",
        "rlim",
        "session",
        "session_leader",
        "shared_pending",
        "stime",
        "stop_code",
        "stop_count",
        "stop_reported",
        "tgid",
        "threads",
        "timer_create_restore_ids",
        "utime",
        "wait_chldexit",
        "yama_ptracer",
    )

    def __init__(self, tgid: int) -> None:
        self.tgid = tgid
        #: Live threads in creation order; the leader stays until it is reaped.
        self.threads: list[Task] = []
        self.leader: Task
        self.shared_pending = SigPending()
        #: Parents sleep here in wait4(2).
        self.wait_chldexit = WaitQueue()
        #: pidfd and signalfd pollers.
        self.poll_queue = WaitQueue()
        #: (soft, hard) by RLIMIT_* number; RLIM_INFINITY = 2**64-1.
        self.rlim: list[tuple[int, int]] = []
        self.pgrp = 0
        self.session = 0
        self.session_leader = False
        #: The controlling terminal (drivers/tty), or None.
        self.ctty: Any = None
        #: exit_group(2) or a fatal signal is ending the group; the wait status is exit_code.
        self.group_exit = False
        self.exit_code = 0
        #: The core dump that is being made of the process (fs/coredump.py: CoreDump).
        self.coredump: Any = None
        #: The group is stopped by job control; stop_code is the signal.
        self.group_stop = False
        self.stop_code = 0
        #: A group stop has begun and so many threads haven't stopped yet.
        self.stop_count = 0
        self.stop_reported = False
        self.continued = False
        self.group_exec_task: Task | None = None
        #: The process has run execve: its parent may no longer move it to another group.
        self.did_exec = False
        #: Parent ignores SIGCHLD: no zombie.
        self.autoreap = False
        self.is_child_subreaper = False
        self.has_child_subreaper = False
        #: Times of dead threads, ns; of reaped children, ns.
        self.utime = self.stime = 0
        self.children_utime = self.children_stime = 0
        self.maxrss = self.cmaxrss = 0
        self.min_flt = self.maj_flt = self.cmin_flt = self.cmaj_flt = 0
        self.nvcsw = self.nivcsw = self.cnvcsw = self.cnivcsw = 0
        #: ITIMER_REAL/VIRTUAL/PROF state and POSIX timers (kernel/time).
        self.itimers: Any = None
        self.real_timer: Any = None
        self.posix_timers: dict[int, Any] = {}
        #: timer_create(2) takes the number of a new timer from the program (CRIU).
        self.timer_create_restore_ids = False
        self.oom_score_adj = 0
        #: What it may be lowered to without CAP_SYS_RESOURCE.
        self.oom_score_adj_min = 0
        #: What threads that are gone and reaped children have read and written, in the order
        #: of task_io_accounting.FIELDS; None: nothing.
        self.ioac: list[int] | None = None
        #: PR_SET_PTRACER: a process that may trace this one with its descendants; True: any.
        self.yama_ptracer: Task | bool | None = None


@dataclass(slots=True)
class SigAltStack:
    """sigaltstack(2)."""

    sp: int = 0
    size: int = 0
    flags: int = 2  # SS_DISABLE


class SemUndoList:
    """What System V semaphores get back when a process ends (struct sem_undo_list).

    Shared by the tasks of CLONE_SYSVSEM. The entries are ipc/semarray.py's.
    """

    __slots__ = ("count", "undos")

    def __init__(self) -> None:
        self.count = 1
        #: Semaphore set -> its SemUndo.
        self.undos: dict[Any, Any] = {}

    def release(self, task: Task) -> None:
        """One task less; the last one puts everything back (exit_sem)."""
        self.count -= 1
        if not self.count:
            for undo in tuple(self.undos.values()):
                undo.apply(task)


class PtraceState:
    """What a tracee keeps of its stops (the ptrace members of struct task_struct)."""

    __slots__ = ("code", "cred", "event", "info", "kind", "message")

    def __init__(self) -> None:
        #: The kind of the stop that it is in or is coming back from; 0: none.
        self.kind = 0
        #: The stop's status for wait(2), 0 once reported; then the tracer's signal.
        self.code = 0
        #: PTRACE_GETEVENTMSG's value.
        self.message = 0
        #: PTRACE_GETSIGINFO's; None in a plain group stop.
        self.info: SigInfo | None = None
        #: An event that is to be reported when the call in progress is done: (event, message).
        self.event: tuple[int, int] | None = None
        #: The tracer's credentials when it attached.
        self.cred: Cred | None = None


class Task:
    """One guest thread (struct task_struct)."""

    __slots__ = (
        "__weakref__",
        "altstack",
        "blocked",
        "cgroups",
        "children",
        "clear_child_tid",
        "comm",
        "cpu",
        "cpu_nr",
        "cpus_allowed",
        "cred",
        "default_timer_slack",
        "dl",
        "dumpable",
        "entry_stage",
        "exit_code",
        "exit_signal",
        "exiting",
        "files",
        "flags",
        "forced_sigmask_restore",
        "frozen",
        "fs",
        "group",
        "group_leader",
        "in_syscall",
        "io_rchar",
        "io_read",
        "io_syscr",
        "io_syscw",
        "io_wchar",
        "io_write",
        "ioprio",
        "jobctl",
        "keep_caps",
        "last_run",
        "loginuid",
        "machine",
        "maj_flt",
        "min_flt",
        "mm",
        "need_resched",
        "nice",
        "nivcsw",
        "no_new_privs",
        "notify",
        "nproc_exceeded",
        "nsproxy",
        "nvcsw",
        "on_cpu",
        "on_rq",
        "oops",
        "parent",
        "pdeath_signal",
        "pending",
        "personality",
        "pid",
        "pid_ns",
        "policy",
        "prio",
        "pt",
        "ptrace",
        "ptraced",
        "ptracer",
        "real_parent",
        "regs",
        "restart",
        "restart_class",
        "restart_nr",
        "robust_list",
        "rseq",
        "rt_priority",
        "saved_sigmask",
        "sched_class",
        "sched_group",
        "se",
        "seccomp",
        "security",
        "sessionid",
        "set_child_tid",
        "sighand",
        "slice_end",
        "start_boottime",
        "start_time",
        "state",
        "stime",
        "syscall_args",
        "syscall_nr",
        "syscall_work",
        "sysvsem",
        "sysvshm",
        "tgid",
        "timer_slack",
        "trace",
        "trap_cr2",
        "trap_err",
        "trap_nr",
        "user_dispatch",
        "utime",
        "vfork_child",
        "vfork_done",
        "vfork_parent",
        "wait_deadline",
        "wait_killable",
        "wait_timer",
        "waiting",
        "wchan",
    )

    def __init__(self, machine: Machine, pid: int) -> None:
        self.machine = machine
        #: Numbers are the first pid namespace's; kernel/pid.py translates for programs.
        self.pid = pid
        self.tgid = pid
        #: The pid namespace it was made in; None: the first one.
        self.pid_ns: PidNamespace | None = None
        self.comm = b""
        self.state = TaskState.RUNNING
        #: The platform's CPU context, and its registers (same object as cpu.regs).
        self.cpu: Cpu | None = None
        self.regs: memoryview
        #: None for kernel tasks and after exit_mm.
        self.mm: Mm | None = None
        self.fs: FsStruct
        self.files: FilesStruct
        self.cred: Cred
        self.nsproxy: NsProxy
        self.sighand: SighandStruct
        self.group: SignalStruct
        self.group_leader: Task = self
        self.parent: Task = self
        self.real_parent: Task = self
        self.children: dict[Task, None] = {}
        # -- signals
        self.pending = SigPending()
        #: Blocked mask, bit signo-1.
        self.blocked = 0
        #: The mask to put back after a call that swapped it (ppoll, rt_sigsuspend).
        self.saved_sigmask: int | None = None
        self.forced_sigmask_restore = False
        self.altstack = SigAltStack()
        #: The last exception: vector, error code, faulting address (struct thread_struct).
        self.trap_nr = 0
        self.trap_err = 0
        self.trap_cr2 = 0
        #: True: look at signals, stops, exit before returning to user mode.
        self.notify = False
        # -- sleeping (include/linux/wait.py)
        self.waiting: tuple[WaitQueue, ...] = ()
        self.wait_deadline: int | None = None
        self.wait_timer: Any = None
        #: Only a fatal signal ends the sleep (state D).
        self.wait_killable = False
        #: A call is in progress: invoke it again when the task runs.
        self.in_syscall = False
        self.wchan = ""
        #: What the call in progress has done so far; None when a call starts.
        self.restart: Any = None
        #: Of a task that stopped while a call was interrupted: how the call goes on
        #: (kernel/signal.py decides when the task is continued).
        self.restart_class: type[Restart] | None = None
        #: The number of the call that restart_syscall(2) goes on with.
        self.restart_nr = 0
        # -- scheduling
        self.on_rq = False
        self.on_cpu = False
        #: kernel/sched: its entity and class (made when it first runs), deadline parameters,
        #: and the task group it is in (None: the root).
        self.se: Any = None
        self.sched_class: Any = None
        self.dl: Any = None
        self.sched_group: Any = None
        self.need_resched = False
        #: When it is looked at whether others should have its CPU, if any wait.
        self.slice_end = 0
        self.last_run = 0
        self.nice = 0
        self.policy = 0
        self.rt_priority = 0
        #: The priority that counts: rt_priority, or more while a waiter for a lock lends it.
        self.prio = 0
        #: The number of the CPU it runs on or ran on last.
        self.cpu_nr = 0
        #: ioprio_set(2)'s value; class 0: follows the nice value.
        self.ioprio = 0
        self.cpus_allowed = 0
        # -- exit
        self.exit_code = 0
        #: Signal to the parent at exit (clone(2)); -1 for threads.
        self.exit_signal = 0
        self.set_child_tid = 0
        self.clear_child_tid = 0
        self.robust_list = 0
        #: vfork: the child wakes this queue when it execs or exits.
        self.vfork_done: WaitQueue | None = None
        self.vfork_parent: Task | None = None
        self.vfork_child: Task | None = None
        self.pdeath_signal = 0
        # -- accounting: ns, counts, bytes
        self.start_time = 0
        self.start_boottime = 0
        self.utime = 0
        self.stime = 0
        self.min_flt = self.maj_flt = 0
        self.nvcsw = self.nivcsw = 0
        self.io_rchar = self.io_wchar = self.io_syscr = self.io_syscw = 0
        self.io_read = self.io_write = 0
        # -- the rest
        self.syscall_nr = -1
        self.syscall_args: tuple[int, ...] = ()
        #: Who wants to see the task's calls: SYSCALL_WORK_* of kernel/entry_work.py; and where
        #: the entry of one goes on that has slept or stopped, 0: past it.
        self.syscall_work = 0
        self.entry_stage = 0
        #: Called at entry and exit of each call (SYSCALL_WORK_TRACE) and for signals: strace.
        self.trace: Any = None
        #: The wait status with which the task goes on to exit after PTRACE_EVENT_EXIT.
        self.exiting: int | None = None
        #: PT_PTRACED, PT_SEIZED and the options (kernel/ptrace_stop.py); 0: not traced.
        self.ptrace = 0
        #: Who traces it; what it traces; and the state of a stop for the tracer.
        self.ptracer: Task | None = None
        self.ptraced: dict[Task, None] = {}
        self.pt: PtraceState | None = None
        #: JOBCTL_*: what stops and traps the task is about to make (kernel/jobctl.py).
        self.jobctl = 0
        #: PF_*; inherited.
        self.flags = 0
        #: kernel/seccomp.py's Seccomp, or None.
        self.seccomp: Any = None
        #: PR_SET_SYSCALL_USER_DISPATCH: (offset, length, selector).
        self.user_dispatch: tuple[int, int, int] | None = None
        #: What rseq(2) registered (kernel/rseq.py), or None.
        self.rseq: Any = None
        self.security: Any = None
        #: SEM_UNDO's list, made at the first use or by CLONE_SYSVSEM.
        self.sysvsem: SemUndoList | None = None
        #: The shared memory segments that the task has made (ipc/shm.py), or None.
        self.sysvshm: Any = None
        self.no_new_privs = False
        #: The last change of user went over RLIMIT_NPROC: exec fails (PF_NPROC_EXCEEDED).
        self.nproc_exceeded = False
        self.keep_caps = False
        self.dumpable = 1
        self.personality = 0
        #: Who logged in, and the number of that login; -1 as u32: nobody (audit).
        self.loginuid = self.sessionid = 0xFFFF_FFFF
        self.timer_slack = 50_000
        #: What PR_SET_TIMERSLACK 0 means: the slack of the parent at the fork.
        self.default_timer_slack = 50_000
        self.oops = False
        #: The control group (kernel/cgroup); None: the root, where it always was.
        self.cgroups: Any = None
        #: It counts as frozen (kernel/cgroup/freezer.py).
        self.frozen = False

    def __repr__(self) -> str:
        return f"<Task {self.pid} {self.comm.decode('utf-8', 'replace')} {self.state.name}>"

    def signal_pending(self) -> bool:
        """An unblocked signal (or a group exit, stop, oops) waits: sleepers must return."""
        return self.notify

    @property
    def alive(self) -> bool:
        return self.state < TaskState.ZOMBIE

    def wake(self, queue: WaitQueue, key: int) -> None:
        """Waiter protocol: make a sleeping task runnable; its call is invoked again."""
        self.machine.sched.wake_up(self)

    def expire(self, now: int) -> None:
        """TimerTarget protocol: the deadline of a sleep has passed."""
        self.wait_timer = None
        self.machine.sched.wake_up(self)

    def fatal_signal_pending(self) -> bool:
        """SIGKILL is pending: even uninterruptible sleeps end."""
        return bool(self.pending.mask & 0x100)


@dataclass(slots=True)
class PidTable:
    """All tasks, groups and sessions by number."""

    tasks: dict[int, Task] = field(default_factory=dict)
    #: pgrp -> leaders of its thread groups; session -> likewise (insertion ordered).
    pgrps: dict[int, dict[Task, None]] = field(default_factory=dict)
    sessions: dict[int, dict[Task, None]] = field(default_factory=dict)
    last: int = 0
    max: int = 32768
    #: Number -> the innermost pid namespace it is visible in, for those not of the first one.
    inner: dict[int, PidNamespace] = field(default_factory=dict)
