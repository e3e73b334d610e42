# SPDX-License-Identifier: Apache-2.0
"""The Machine: everything that one kernel knows and owns.

No state lives anywhere else, so several machines run in one process. Boot order and the
making of the parts are in ``pygos/init/main.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from pygos.include.linux.fs import (
        File,
        FilesStruct,
        FileSystemType,
        MntNamespace,
        Mount,
        SuperBlock,
    )
    from pygos.include.linux.ns_common import NsCommon
    from pygos.include.linux.platform import Clock, Entropy, Platform, Ram
    from pygos.include.linux.sched import PidTable, SigInfo, SignalStruct, Task
    from pygos.include.linux.timer import TimerQueue
    from pygos.kernel.pid import PidRef
    from pygos.kernel.seccomp import SeccompFilter
    from pygos.mm.page_alloc import Zone


class Scheduler(Protocol):
    """kernel/sched."""

    #: Some task has had a real-time policy: priorities count.
    realtime: bool
    #: The task whose trap is being answered, and when that began.
    current: Task | None
    entered: int

    @property
    def nr_running(self) -> int:
        """Tasks that run or wait for a CPU."""
    #: The tasks that hold a CPU.
    running: dict[Task, None]

    def wake_up(self, task: Task) -> None:
        """A sleeping task becomes runnable (leaves its queues, its deadline is cancelled)."""

    def add(self, task: Task) -> None:
        """A new task becomes runnable."""

    def kick(self, task: Task) -> None:
        """Make a task look at `notify` soon, wherever it is."""

    def set_prio(self, task: Task, prio: int) -> None:
        """The effective real-time priority changes (0: none)."""

    def yield_to_others(self, task: Task) -> None:
        """The caller lets its equals go first."""

    def set_affinity(self, task: Task, mask: int) -> None:
        """The CPUs that a task may use change."""

    def set_nice(self, task: Task, nice: int) -> None:
        """Give a task another nice value."""

    def entity(self, task: Task) -> Any:
        """The scheduling entity of a task, made at its first use."""

    def forget(self, task: Task) -> None:
        """A task exits: it leaves its queues and is never scheduled again."""

    def run(self) -> int:
        """Run the machine until ``machine.exit_status`` is set; returns that wait status."""


class Printk(Protocol):
    """kernel/printk.py: the ring buffer behind dmesg."""

    def emerg(self, text: str) -> None: ...
    def err(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def notice(self, text: str) -> None: ...
    def info(self, text: str) -> None: ...
    def debug(self, text: str) -> None: ...


class FsHooks(Protocol):
    """What the kernel proper asks of the VFS above it; filled in by init/main.py."""

    def dup_files(self, files: FilesStruct) -> FilesStruct:
        """A copy of a descriptor table, each file with one more reference."""

    def exit_files(self, task: Task) -> None:
        """The task gives up its descriptor table; the last user closes all of it."""

    def pidfd_create(self, task: Task, target: Task, flags: int) -> int:
        """A new pidfd of `target` in the table of `task`. Errors: EMFILE, ENFILE."""

    def close_fd(self, task: Task, fd: int) -> None:
        """Close a descriptor of `task` that it has not seen yet."""

    def pidfd_target(self, task: Task, fd: int) -> tuple[PidRef, int]:
        """What a pidfd of `task` refers to, and its O_* flags. Errors: EBADF."""

    def seccomp_listener(self, task: Task, filter: SeccompFilter) -> int:
        """A descriptor that answers for a new filter. Errors: EMFILE, ENFILE."""

    def chrooted(self, task: Task) -> bool:
        """Is the task's root directory another than its mount namespace's?"""

    def ns_of_file(self, file: File) -> NsCommon | None:
        """The namespace that a file of nsfs is; None for any other file."""

    def cgroup_of_fd(self, task: Task, fd: int) -> Any:
        """The control group whose directory `fd` is. Errors: EBADF."""

    def set_mm_exe_file(self, task: Task, fd: int) -> None:
        """Let /proc/PID/exe lead to `fd`. Errors: EBADF, EACCES, EBUSY, ETXTBSY."""

    def fput(self, file: File) -> None:
        """Drop one reference of a file."""

    def coredump(self, task: Task, info: SigInfo) -> bool:
        """Dump a process that dies of `info`; True: group.coredump ends it when that is done."""

    def task_exit(self, task: Task) -> None:
        """The last thread of a group exits: record locks, the controlling terminal."""


class Machine:
    """One machine. The public class of the same name (pygos.Machine) wraps this one."""

    __slots__ = (
        "anon_sb",
        "bdev",
        "binfmts",
        "boot_cmdline",
        "boot_time",
        "cgroups",
        "chrdevs",
        "clock",
        "commit_pages",
        "config",
        "consoles",
        "dcache",
        "entropy",
        "epoll_depth",
        "exit_status",
        "file_max",
        "filesystems",
        "fs_hooks",
        "fsnotify",
        "futexes",
        "host",
        "hostname",
        "in_stub",
        "init_mnt_ns",
        "init_task",
        "last_anon_dev",
        "last_mnt_id",
        "loadavg",
        "locks",
        "main_group",
        "misc",
        "mm_state",
        "nr_cpus",
        "nr_files",
        "nr_forks",
        "ns_modules",
        "oops_count",
        "page_wait",
        "pid1",
        "pids",
        "pipe_sb",
        "platform",
        "printk",
        "ram",
        "random_state",
        "sched",
        "shm_sb",
        "stat",
        "supers",
        "syscalls",
        "sysctl",
        "timers",
        "tty",
        "unknown_syscalls",
        "zone",
    )

    def __init__(self) -> None:
        self.ram: Ram
        self.platform: Platform
        self.clock: Clock
        self.entropy: Entropy
        self.sched: Scheduler
        self.printk: Printk
        self.fs_hooks: FsHooks
        self.timers: TimerQueue
        #: Page allocator (mm/page_alloc.py).
        self.zone: Zone
        #: Services of the host (host files, streams, terminal), by name.
        self.host: dict[str, Any] = {}
        self.nr_cpus = 1
        #: CLONE_NEW* flag -> the module with the operations (kernel/nsproxy.py).
        self.ns_modules: dict[int, str] = {}
        self.hostname = "pygos"
        #: Pid 0: the kernel's own identity for work not done for a program.
        self.init_task: Task
        #: The machine ends when this task does.
        self.pid1: Task | None = None
        self.exit_status: int | None = None
        #: The thread group whose end ends the run (the command given to `pygos run`).
        self.main_group: SignalStruct | None = None
        self.pids: PidTable
        self.init_mnt_ns: MntNamespace
        #: Handlers by system call number (decoders: (task, regs) -> int).
        self.syscalls: list[Callable[..., Any]] = []
        self.unknown_syscalls: dict[int, int] = {}
        self.filesystems: dict[str, FileSystemType] = {}
        self.supers: list[SuperBlock] = []
        #: Internal file systems: anonymous inodes (eventfd, epoll), shared memory, pipes.
        self.anon_sb: Any = None
        self.shm_sb: Any = None
        self.pipe_sb: Any = None
        #: (major, minor) -> FileOperations of character devices (drivers/base).
        self.chrdevs: dict[tuple[int, int], Any] = {}
        self.bdev: dict[tuple[int, int], Any] = {}
        self.binfmts: list[Any] = []
        self.dcache: Any = None
        #: Who watches files (fs/notify); None until somebody does.
        self.fsnotify: Any = None
        self.futexes: Any = None
        self.locks: Any = None
        self.tty: Any = None
        self.consoles: list[Any] = []
        self.boot_cmdline = ""
        #: realtime ns at boot
        self.boot_time = 0
        self.config: Any = None
        #: Calls may be answered in the stub, where the platform can do that.
        self.in_stub = False
        self.misc: dict[str, Any] = {}
        #: sysctl values by dotted name, e.g. "kernel.pid_max".
        self.sysctl: dict[str, Any] = {}
        self.loadavg = [0.0, 0.0, 0.0]
        self.stat: Any = None
        self.nr_forks = 0
        self.nr_files = 0
        self.file_max = 1 << 20
        self.oops_count = 0
        self.last_anon_dev = 0
        self.last_mnt_id = 0
        self.epoll_depth = 0
        self.random_state: Any = None
        self.page_wait: Any = None
        self.mm_state: Any = None
        #: The control groups (kernel/cgroup/core.py: Hierarchy), made at the first use.
        self.cgroups: Any = None
        #: Pages promised to private writable mappings (overcommit accounting).
        self.commit_pages = 0

    def next_anon_dev(self) -> int:
        """A device number for a file system without a device (major 0)."""
        self.last_anon_dev += 1
        return self.last_anon_dev

    def new_mount(self, root: Any, devname: str, flags: int = 0) -> Mount:
        from pygos.include.linux.fs import Mount

        self.last_mnt_id += 1
        root.d_sb.s_active += 1
        return Mount(self.last_mnt_id, root, devname, flags)
