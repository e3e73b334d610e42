# SPDX-License-Identifier: Apache-2.0
"""Boot order, and the life of a run (init/main.c).

``boot`` makes a Machine from a BootConfig: RAM, platform, memory management, scheduler, the
first tasks (pid 0, the kernel's own identity, and pid 1, which only reaps), the file systems.
``run_init`` runs one command as a child of pid 1 until it ends. ``shutdown`` gives everything
of the host's back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygos.arch.um.registry import new_platform
from pygos.arch.x86.traps import hot_site
from pygos.drivers import init_drivers
from pygos.drivers.hoststream import open_std_files
from pygos.drivers.tty.jobctl import disassociate_ctty
from pygos.fs.binfmt_elf import ElfFormat
from pygos.fs.binfmt_script import ScriptFormat
from pygos.fs.exec import run_program
from pygos.fs.file_table import fput
from pygos.fs.setup import init_file_systems, mount_volume
from pygos.fs.super import VfsHooks
from pygos.host.clock import new_clock
from pygos.host.cpu import HostCpu, hwcaps
from pygos.host.entropy import HostEntropy, SeededEntropy
from pygos.host.files import HostFiles
from pygos.host.files_rw import HostFilesRw
from pygos.host.ram import HostRam
from pygos.include.dataclass import dataclass
from pygos.include.errno import Errno
from pygos.include.linux.cred import CAP_FULL, Cred
from pygos.include.linux.fs import FilesStruct, FsStruct
from pygos.include.linux.machine import Machine
from pygos.include.linux.platform import PAGE_SIZE
from pygos.include.linux.sched import PidTable, SigInfo, Task, TaskState
from pygos.include.linux.timer import TimerQueue
from pygos.include.uapi.version import UTS_RELEASE
from pygos.init.calls import build_table
from pygos.init.namespaces import NS_MODULES
from pygos.ipc.boot import init_ipc
from pygos.kernel.entry_work import SYSCALL_WORK_TRACE, set_syscall_work
from pygos.kernel.exit import do_exit, release_task
from pygos.kernel.fork import (
    CloneArgs,
    copy_process,
    new_kernel_task,
    new_nsproxy,
)
from pygos.kernel.pid import attach_pid, change_pgrp, change_session
from pygos.kernel.printk import Printk
from pygos.kernel.resource import default_rlimits
from pygos.kernel.sched import Sched
from pygos.kernel.signal import send_sig_info
from pygos.kernel.sysctl import default_sysctls
from pygos.mm.init import mm_init
from pygos.net.proc import init_net

if TYPE_CHECKING:
    from pygos.include.linux.sched import SignalStruct

_SIGKILL = 9
#: The most tasks that --pids may ask for: each is a process of the host.
_MAX_TASKS = 30_000


@dataclass(slots=True)
class BootConfig:
    """What the owner of the machine asks for; sizes in bytes."""

    memory: int = 1 << 30
    cpus: int = 1
    #: CPU time of all in each 100 ms, ns; None: what the CPUs give.
    cpu_quota: int | None = None
    #: Tasks at once; None: no limit but the kernel's own.
    pids: int | None = None
    #: "host" (copy-on-write over the host's files) or a directory of the host.
    root: str = "host"
    hostname: str = "pygos"
    #: (host directory, guest path, read-only)
    volumes: tuple[tuple[str, str, bool], ...] = ()
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    #: A text sink with write(str): every call is printed to it as strace does.
    strace: Any = None
    #: Three host streams (or None for a closed descriptor).
    stdio: tuple[Any, Any, Any] = (None, None, None)
    #: The host terminal, if the machine's console is one.
    terminal: Any = None
    #: Let programs ask that terminal (drivers/tty/answers.py).
    tty_raw: bool = False
    #: For reproducible entropy.
    entropy_seed: int | None = None
    #: Guest paths that look absent.
    hidden: tuple[str, ...] = ()
    #: "auto", or a name of pygos.arch.um.registry.
    platform: str = "auto"
    #: Answer calls in the stub where the platform can (um-systrap).
    fast: bool = True
    #: Turn `syscall` instructions that trap often into jumps where the platform can.
    patch: bool = True
    #: After so many traps; None: as the platform thinks best.
    patch_after: int | None = None


class KernelHooks(VfsHooks):
    """FsHooks with the drivers' part."""

    __slots__ = ()

    def task_exit(self, task: Task) -> None:
        """See FsHooks: a session leader gives its terminal up."""
        if task.group.session_leader:
            disassociate_ctty(task)


def boot(config: BootConfig) -> Machine:
    """Make a machine. HostError with one clear line if the host can't carry it."""
    machine = Machine()
    machine.config = config
    machine.in_stub = config.fast
    machine.hostname = config.hostname
    machine.nr_cpus = config.cpus
    machine.clock = new_clock()
    machine.entropy = (
        HostEntropy() if config.entropy_seed is None else SeededEntropy(config.entropy_seed)
    )
    machine.boot_time = machine.clock.realtime()
    machine.printk = Printk(machine.clock)
    machine.printk.notice(f"Linux version {UTS_RELEASE} (pygos) #1 SMP")
    ram = HostRam(config.memory // PAGE_SIZE)
    machine.ram = ram
    try:
        machine.platform = new_platform(config.platform, ram, config.cpus)
        if config.patch and machine.platform.patch_entry:
            machine.platform.hot_site = hot_site
            if config.patch_after is not None:
                machine.platform.patch_after = config.patch_after
        _boot_kernel(machine)
        _boot_files(machine, config)
    except BaseException:
        shutdown(machine)
        raise
    return machine


def _boot_kernel(machine: Machine) -> None:
    mm_init(machine)
    machine.timers = TimerQueue()
    machine.pids = PidTable()
    machine.sysctl = default_sysctls(machine.ram.pages)
    machine.sched = Sched(machine)
    machine.misc["hwcap"], machine.misc["hwcap2"] = hwcaps()
    machine.syscalls = build_table()
    machine.binfmts = [ElfFormat(), ScriptFormat()]
    pages, platform = machine.ram.pages, machine.platform.name
    machine.printk.info(f"Memory: {pages * 4}K available; platform {platform}")


def _boot_files(machine: Machine, config: BootConfig) -> None:
    idle = new_kernel_task(machine, 0, b"swapper", None)
    idle.cred = Cred()
    idle.group.rlim = default_rlimits(machine)
    idle.files = FilesStruct()
    idle.cpus_allowed = (1 << machine.nr_cpus) - 1
    machine.init_task = idle
    machine.ns_modules = NS_MODULES
    directory = "/" if config.root == "host" else config.root
    machine.host["files"] = HostFiles(directory)
    if directory != "/":
        machine.host["host"] = HostFiles("/")  # to know what is secret, whatever leads to it
    machine.host["cpu"] = HostCpu()
    machine.host["stdio"] = config.stdio
    machine.host["terminal"] = config.terminal
    machine.fs_hooks = KernelHooks()
    root = init_file_systems(machine, idle)
    idle.fs = FsStruct(root, root)
    idle.nsproxy = new_nsproxy(machine)
    init_drivers(machine)
    init_net(machine)
    init_ipc(machine)
    _mount_volumes(machine, config, idle)
    init = new_kernel_task(machine, 1, b"init", idle)
    init.files = FilesStruct()
    init.cpus_allowed = idle.cpus_allowed
    machine.pid1 = init
    machine.pids.last = 1
    init.group.pgrp = init.group.session = 1
    attach_pid(machine.pids, init)
    if config.pids is not None or config.cpu_quota is not None:
        from pygos.kernel.cgroup.limits import limit_machine

        limit_machine(machine, init, config.pids, config.cpu_quota)
        # Who asks for more tasks than a machine has by default shall have them.
        most = int(machine.sysctl["kernel.threads-max"])
        machine.sysctl["kernel.threads-max"] = max(most, min((config.pids or 0) + 2, _MAX_TASKS))


def _mount_volumes(machine: Machine, config: BootConfig, task: Task) -> None:
    for number, (directory, place, read_only) in enumerate(config.volumes):
        name = f"volume{number}"
        machine.host[name] = (HostFiles if read_only else HostFilesRw)(directory)
        mount_volume(task, name, place.encode("utf-8", "surrogateescape"), read_only)


def user_cred(config: BootConfig) -> Cred:
    """The credentials the command runs with: root has every capability, others none."""
    caps = CAP_FULL if config.uid == 0 else 0
    uid, gid = config.uid, config.gid
    return Cred(
        uid, gid, uid, gid, uid, gid, uid, gid, tuple(config.groups), 0, caps, caps, CAP_FULL
    )


def run_init(
    machine: Machine,
    argv: list[bytes],
    envp: list[bytes],
    cwd: bytes,
    timeout_ns: int | None,
) -> int:
    """Run a command as a child of pid 1 until it ends; its wait status as of waitpid(2).

    ``machine.exit_status`` is None, or the run shall not begin.
    An errno exception if it can't be started, BadWorkingDirectory if not there. After the
    timeout it is killed and TimeoutError raised. All processes it leaves behind are killed.
    """
    task = _spawn(machine, cwd)
    try:
        program = _find_program(task, argv[0], envp)
        run_program(task, program, argv, envp)
        if task.trace is not None:
            task.trace.started(task, program, argv, envp)
    except BaseException:
        do_exit(task, 0)
        raise
    machine.main_group = task.group
    deadline = timer = None
    if timeout_ns is not None:
        deadline = machine.clock.monotonic() + timeout_ns
        timer = machine.timers.add(deadline, _Timeout(task.group))
    machine.sched.add(task)
    try:
        status = machine.sched.run()
    finally:
        if timer is not None:
            timer.cancel()
        kill_all(machine)
    if deadline is not None and machine.clock.monotonic() >= deadline and status & 0x7F == 9:
        raise TimeoutError
    return status


class BadWorkingDirectory(Exception):
    """The command's working directory can't be entered; `error` says why."""

    def __init__(self, error: Errno) -> None:
        super().__init__(error)
        self.error = error


class _Timeout:
    """Kills the command when its time is over, and says so in the log."""

    __slots__ = ("group",)

    def __init__(self, group: SignalStruct) -> None:
        self.group = group

    def expire(self, now: int) -> None:
        leader = self.group.leader
        name = leader.comm.decode("utf-8", "replace")
        log = leader.machine.printk
        log.notice(f"time limit of the run reached: killing {leader.pid} ({name})")
        send_sig_info(leader, SigInfo(_SIGKILL, 0x80), group=True)


def _spawn(machine: Machine, cwd: bytes) -> Task:
    """A new process of its own session, with the standard files open."""
    from pygos.fs.namei import LOOKUP_DIRECTORY, LOOKUP_FOLLOW, path_lookup

    init = machine.pid1
    assert init is not None
    task = copy_process(init, CloneArgs(0))
    task.cred = user_cred(machine.config)
    task.state = TaskState.RUNNING
    change_session(machine.pids, task, task.pid)
    change_pgrp(machine.pids, task, task.pid)
    task.group.session_leader = True
    try:
        try:
            task.fs.pwd = path_lookup(task, -100, cwd, LOOKUP_FOLLOW | LOOKUP_DIRECTORY)
        except Errno as error:
            raise BadWorkingDirectory(error) from None
        if machine.config.strace is not None:
            from pygos.kernel.trace import Strace

            task.trace = Strace(machine.config.strace)
            set_syscall_work(task, SYSCALL_WORK_TRACE)
        open_std_files(task)
    except BaseException:
        do_exit(task, 0)
        raise
    return task


def _find_program(task: Task, name: bytes, envp: list[bytes]) -> bytes:
    """The path of a command as execvp(3) finds it, seen from inside."""
    from pygos.fs.namei import LOOKUP_FOLLOW, path_lookup
    from pygos.include.errno import EACCES, ENOENT, ENOTDIR

    if b"/" in name or not name:
        return name
    path = next((item[5:] for item in envp if item.startswith(b"PATH=")), b"/usr/bin:/bin")
    error: type[Errno] = ENOENT
    for directory in path.split(b":"):
        candidate = (directory or b".") + b"/" + name
        try:
            inode = path_lookup(task, -100, candidate, LOOKUP_FOLLOW).inode
        except (ENOENT, ENOTDIR):
            continue
        except EACCES:
            error = EACCES
            continue
        if inode.is_reg and inode.i_mode & 0o111:
            return candidate
        error = EACCES
    raise error


def kill_all(machine: Machine) -> None:
    """Kill every process but pid 1, as the end of a pid namespace does."""
    init = machine.pid1
    for task in sorted(machine.pids.tasks.values(), key=_by_pid, reverse=True):
        if task is init:
            continue
        if task.alive:
            task.exiting = _SIGKILL  # no stop for a tracer
            do_exit(task, _SIGKILL)
        if task.state is TaskState.ZOMBIE:
            release_task(task)
    machine.main_group = None


def _by_pid(task: Task) -> int:
    return task.pid


def shutdown(machine: Machine) -> None:
    """End all processes and give the host's resources back. May be called at any time."""
    if getattr(machine, "pid1", None) is not None:
        kill_all(machine)
        for file in tuple(machine.init_task.files.fd.values()):
            fput(file)
    for service in machine.host.values():
        if isinstance(service, HostFiles):
            service.close_all()
    if getattr(machine, "platform", None) is not None:
        machine.platform.close()
    machine.clock.unpublish()
    machine.ram.close()
