# SPDX-License-Identifier: Apache-2.0
"""/proc/PID/stat, status, statm and limits (fs/proc/array.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.proc.access import living, may_access
from pygos.fs.synthetic import Synthetic, SyntheticFileOperations, synthetic
from pygos.include.linux.pid_namespace import pid_nr_ns
from pygos.include.linux.sched import NSIG, STATE_LETTERS, TaskState
from pygos.include.linux.user_namespace import show_gid, show_uid
from pygos.include.uapi.kdev_t import makedev
from pygos.include.uapi.resource import RLIM_INFINITY, RLIMIT_RSS, RLIMIT_SIGPENDING
from pygos.include.uapi.time import USER_HZ
from pygos.kernel.sigqueue import sigpending_count
from pygos.kernel.time.cputime import group_cputime, task_cputime

if TYPE_CHECKING:
    from collections.abc import Callable

    from pygos.include.linux.fs import File
    from pygos.include.linux.pid_namespace import PidNamespace
    from pygos.include.linux.sched import SigAction, Task
    from pygos.mm.mm import Mm

_TICK: Final = 1_000_000_000 // USER_HZ
_STATE_NAMES: Final = {
    "R": "running", "S": "sleeping", "D": "disk sleep", "T": "stopped", "t": "tracing stop",
    "Z": "zombie", "X": "dead",
}  # fmt: skip
_FAIR_PRIO: Final = 20
_PF_EXITING: Final = 0x4
_PF_FORKNOEXEC: Final = 0x40
_PF_DUMPCORE: Final = 0x200
_PF_SIGNALED: Final = 0x400
_PF_RANDOMIZE: Final = 0x400000


def state_letter(task: Task) -> str:
    """The letter that ps shows."""
    if task.state is TaskState.INTERRUPTIBLE and task.wait_killable:
        return "D"
    return STATE_LETTERS[task.state]


def signal_sets(target: Task) -> tuple[int, int]:
    """Masks of ignored and of caught signals, bit signo-1."""
    ignored = caught = 0
    actions: list[SigAction] = target.sighand.action
    for signo in range(1, NSIG + 1):
        handler = actions[signo].handler
        if handler == 1:
            ignored |= 1 << signo - 1
        elif handler:
            caught |= 1 << signo - 1
    return ignored, caught


def _terminal(target: Task, ns: PidNamespace | None) -> tuple[int, int]:
    """Device number of the controlling terminal and its foreground group; (0, -1): none."""
    tty = target.group.ctty
    if tty is None:
        return 0, -1
    pgrp = pid_nr_ns(tty.pgrp, ns)
    return makedev(tty.major, tty.minor), pgrp or -1


def _parent(target: Task, ns: PidNamespace | None) -> int:
    """The parent's number in `ns`; 0 if it is outside."""
    leader = target if target.alive else target.group_leader
    return pid_nr_ns(leader.real_parent.tgid, ns)


class PidSynthetic(Synthetic):
    """A file with process numbers: those of the pid namespace that the procfs shows."""

    __slots__ = ("show_ns",)

    def __init__(self, name: str, show: Callable[[Task, Task, Any], str | bytes]) -> None:
        super().__init__(name, 0o444, None, fop=_PID_FOPS)
        self.show_ns = show


class PidSyntheticOperations(SyntheticFileOperations):
    """Reading such a file."""

    __slots__ = ()

    def text(self, task: Task, file: File) -> bytes:
        inode: Any = file.f_inode
        node: PidSynthetic = inode.i_private
        text = node.show_ns(task, living(inode.target), inode.i_sb.s_ns)
        return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


_PID_FOPS: Final = PidSyntheticOperations()


def pid_synthetic(
    name: str,
) -> Callable[[Callable[[Task, Task, Any], str | bytes]], PidSynthetic]:
    """As synthetic(), for functions that also take the pid namespace (None: the first)."""

    def make(show: Callable[[Task, Task, Any], str | bytes]) -> PidSynthetic:
        return PidSynthetic(name, show)

    return make


def rss(mm: Mm) -> int:
    """Resident pages."""
    return mm.rss_anon + mm.rss_file + mm.rss_shmem


def _started(task: Task, target: Task) -> int:
    """When it was made, ns after boot as the reader counts."""
    timens = task.nsproxy.time
    return target.start_boottime + (timens.boottime if timens is not None else 0)


def _faults_and_times(target: Task, whole: bool) -> tuple[int, int, int, int]:
    """Minor and major faults, user and system ns, of a group or of one thread."""
    if not whole:
        return target.min_flt, target.maj_flt, *task_cputime(target)
    group = target.group
    minor = group.min_flt + sum(thread.min_flt for thread in group.threads)
    major = group.maj_flt + sum(thread.maj_flt for thread in group.threads)
    return minor, major, *group_cputime(group)


def _task_flags(target: Task) -> int:
    """PF_* as far as they can be told: forked but not yet exec'd, exiting, randomized."""
    flags = _PF_RANDOMIZE if target.group.did_exec else _PF_RANDOMIZE | _PF_FORKNOEXEC
    if target.group.coredump is not None:
        flags |= _PF_DUMPCORE | _PF_SIGNALED
    return flags if target.alive else flags | _PF_EXITING


def stat_text(task: Task, target: Task, whole: bool, ns: PidNamespace | None) -> bytes:
    """The one line of stat; proc_pid_stat(5) names its 52 fields."""
    group, mm = target.group, target.mm
    permitted = may_access(task, target)
    minor, major, utime, stime = _faults_and_times(target, whole)
    device, tpgid = _terminal(target, ns)
    priority = -1 - target.rt_priority if target.policy in (1, 2) else _FAIR_PRIO + target.nice
    mask = 0x7FFF_FFFF
    ignored, caught = signal_sets(target)
    sleeping = int(target.state in (TaskState.INTERRUPTIBLE, TaskState.UNINTERRUPTIBLE))
    first = [
        state_letter(target), _parent(target, ns), pid_nr_ns(group.pgrp, ns),
        pid_nr_ns(group.session, ns), device, tpgid,
        _task_flags(target), minor, group.cmin_flt, major, group.cmaj_flt,
        utime // _TICK, stime // _TICK, group.children_utime // _TICK,
        group.children_stime // _TICK, priority, target.nice, len(group.threads), 0,
        _started(task, target) // _TICK,
    ]  # fmt: skip
    memory = [mm.total_vm << 12, rss(mm)] if mm is not None else [0, 0]
    limit = group.rlim[RLIMIT_RSS][0]
    code = [0, 0, 0]
    data = [0] * 7
    if mm is not None and not permitted:
        code = [1, 1, 0]
    elif mm is not None:
        code = [mm.start_code, mm.end_code, mm.start_stack]
        data = [mm.start_data, mm.end_data, mm.start_brk, mm.arg_start, mm.arg_end,
                mm.env_start, mm.env_end]  # fmt: skip
    rest = [
        0, 0, target.pending.mask & mask, target.blocked & mask, ignored & mask, caught & mask,
        sleeping, 0, 0, target.exit_signal, target.cpu_nr, target.rt_priority, target.policy,
        0, 0, 0,
    ]  # fmt: skip
    fields = [*first, *memory, limit, *code, *rest, *data, group.exit_code if permitted else 0]
    line = " ".join(map(str, fields)).encode()
    return b"%d (%s) %s\n" % (pid_nr_ns(target.pid, ns), target.comm, line)


@pid_synthetic("stat")
def stat(task: Task, target: Task, ns: Any) -> bytes:
    """Everything ps wants, on one line."""
    return stat_text(task, target, True, ns)


@pid_synthetic("stat")
def thread_stat(task: Task, target: Task, ns: Any) -> bytes:
    """The same of one thread."""
    return stat_text(task, target, False, ns)


@synthetic("statm")
def statm(task: Task, target: Any) -> str:
    """Sizes in pages."""
    mm = living(target).mm
    if mm is None:
        return "0 0 0 0 0 0 0\n"
    text = ((mm.end_code + 4095) >> 12) - (mm.start_code >> 12)
    shared = mm.rss_file + mm.rss_shmem
    return f"{mm.total_vm} {rss(mm)} {shared} {text} 0 {mm.data_vm + mm.stack_vm} 0\n"


# -- status


def _escape(name: bytes) -> str:
    return name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").decode("utf-8", "surrogateescape")


def _fdsize(target: Task) -> int:
    """What Linux's table would have room for: 64, 256, then doubling."""
    top = max(target.files.fd, default=0) + 1
    size = 64
    while size < top:
        size *= 2 if size > 64 else 4
    return size


def _levels(target: Task, ns: PidNamespace | None) -> list[PidNamespace | None]:
    """The pid namespaces from `ns` (which sees the task) down to the task's own."""
    found: list[PidNamespace | None] = []
    level = target.pid_ns
    while level is not ns and level is not None:
        found.append(level)
        level = level.parent
    return [ns, *reversed(found)]


def _identity(task: Task, target: Task, ns: PidNamespace | None) -> list[str]:
    """Names, numbers and ids, as the reader sees them."""
    cred, leader = target.cred, target.group_leader
    group = target.group
    tracer = pid_nr_ns(target.ptracer.pid, ns) if target.ptracer is not None else 0
    levels = _levels(target, ns)
    numbers = (
        ("NStgid", leader.pid), ("NSpid", target.pid), ("NSpgid", group.pgrp),
        ("NSsid", group.session),
    )  # fmt: skip
    uids = (cred.uid, cred.euid, cred.suid, cred.fsuid)
    gids = (cred.gid, cred.egid, cred.sgid, cred.fsgid)
    letter = state_letter(target)
    lines = [f"Name:\t{_escape(target.comm)}"]
    if target.alive and target.mm is not None:
        lines.append(f"Umask:\t{target.fs.umask:04o}")
    return [
        *lines,
        f"State:\t{letter} ({_STATE_NAMES[letter]})",
        f"Tgid:\t{pid_nr_ns(leader.pid, ns)}", "Ngid:\t0",
        f"Pid:\t{pid_nr_ns(target.pid, ns)}", f"PPid:\t{_parent(target, ns)}",
        f"TracerPid:\t{tracer}",
        "Uid:" + "".join([f"\t{show_uid(task, uid)}" for uid in uids]),
        "Gid:" + "".join([f"\t{show_gid(task, gid)}" for gid in gids]),
        f"FDSize:\t{_fdsize(target) if target.alive else 0}",
        "Groups:\t" + " ".join([f"{show_gid(task, gid)}" for gid in cred.groups]) + " ",
        *[
            f"{name}:" + "".join([f"\t{pid_nr_ns(number, level)}" for level in levels])
            for name, number in numbers
        ],
        f"Kthread:\t{int(target.mm is None and target.pid <= 1)}",
    ]  # fmt: skip


def _memory(target: Task) -> list[str]:
    mm = target.mm
    if mm is None:
        return []
    resident = rss(mm)
    text = ((mm.end_code + 4095) >> 12) - (mm.start_code >> 12)
    sizes = (
        ("VmPeak", max(mm.hiwater_vm, mm.total_vm)), ("VmSize", mm.total_vm),
        ("VmLck", mm.locked_vm), ("VmPin", 0),
        ("VmHWM", max(mm.hiwater_rss, resident)), ("VmRSS", resident), ("RssAnon", mm.rss_anon),
        ("RssFile", mm.rss_file), ("RssShmem", mm.rss_shmem), ("VmData", mm.data_vm),
        ("VmStk", mm.stack_vm), ("VmExe", text), ("VmLib", max(mm.exec_vm - text, 0)),
        ("VmPTE", -(-len(mm.pt) // 512)), ("VmSwap", 0),
    )  # fmt: skip
    lines = [f"{name}:\t{pages << 2:8d} kB" for name, pages in sizes]
    dumping = int(target.group.coredump is not None)
    return [
        *lines, f"HugetlbPages:\t{0:8d} kB", f"CoreDumping:\t{dumping}", "THP_enabled:\t0",
        "untag_mask:\t0xffffffffffffffff",
    ]  # fmt: skip


def _signals(target: Task) -> list[str]:
    group = target.group
    ignored, caught = signal_sets(target)
    limit = group.rlim[RLIMIT_SIGPENDING][0]
    queued = sigpending_count(target.machine, target.cred.uid, target.cred.user_ns)
    masks = (
        ("SigPnd", target.pending.mask), ("ShdPnd", group.shared_pending.mask),
        ("SigBlk", target.blocked), ("SigIgn", ignored), ("SigCgt", caught),
    )  # fmt: skip
    return [
        f"Threads:\t{len(group.threads)}", f"SigQ:\t{queued}/{limit}",
        *(f"{name}:\t{mask:016x}" for name, mask in masks),
    ]  # fmt: skip


def cpu_list(mask: int) -> str:
    """A CPU mask as ranges: 0-3,5."""
    parts = []
    cpu = 0
    while mask >> cpu:
        if mask >> cpu & 1:
            start = cpu
            while mask >> cpu + 1 & 1:
                cpu += 1
            parts.append(f"{start}-{cpu}" if cpu > start else f"{start}")
        cpu += 1
    return ",".join(parts)


def _rest(target: Task) -> list[str]:
    cred = target.cred
    allowed = target.cpus_allowed or (1 << target.machine.nr_cpus) - 1
    digits = -(-target.machine.nr_cpus // 4)
    seccomp = target.seccomp
    caps = (
        ("CapInh", cred.cap_inheritable), ("CapPrm", cred.cap_permitted),
        ("CapEff", cred.cap_effective), ("CapBnd", cred.cap_bset), ("CapAmb", cred.cap_ambient),
    )  # fmt: skip
    return [
        *(f"{name}:\t{mask:016x}" for name, mask in caps),
        f"NoNewPrivs:\t{int(target.no_new_privs)}",
        f"Seccomp:\t{seccomp.mode if seccomp is not None else 0}",
        f"Seccomp_filters:\t{seccomp.count if seccomp is not None else 0}",
        "Speculation_Store_Bypass:\tvulnerable",
        "SpeculationIndirectBranch:\talways enabled",
        f"Cpus_allowed:\t{allowed:0{digits}x}", f"Cpus_allowed_list:\t{cpu_list(allowed)}",
        "Mems_allowed:\t00000000,00000001", "Mems_allowed_list:\t0",
        f"voluntary_ctxt_switches:\t{target.nvcsw}",
        f"nonvoluntary_ctxt_switches:\t{target.nivcsw}",
    ]  # fmt: skip


@pid_synthetic("status")
def status(task: Task, target: Task, ns: Any) -> str:
    """The same for people."""
    lines = _identity(task, target, ns) + _memory(target) + _signals(target) + _rest(target)
    return "\n".join(lines) + "\n"


# -- limits

_LIMITS: Final = (
    ("Max cpu time", "seconds"), ("Max file size", "bytes"), ("Max data size", "bytes"),
    ("Max stack size", "bytes"), ("Max core file size", "bytes"), ("Max resident set", "bytes"),
    ("Max processes", "processes"), ("Max open files", "files"),
    ("Max locked memory", "bytes"), ("Max address space", "bytes"), ("Max file locks", "locks"),
    ("Max pending signals", "signals"), ("Max msgqueue size", "bytes"), ("Max nice priority", ""),
    ("Max realtime priority", ""), ("Max realtime timeout", "us"),
)  # fmt: skip


def _limit(value: int) -> str:
    return "unlimited" if value == RLIM_INFINITY else str(value)


@synthetic("limits")
def limits(task: Task, target: Any) -> str:
    """Resource limits."""
    lines = [f"{'Limit':<25} {'Soft Limit':<20} {'Hard Limit':<20} {'Units':<10}"]
    for (name, unit), (soft, hard) in zip(_LIMITS, living(target).group.rlim, strict=False):
        line = f"{name:<25} {_limit(soft):<20} {_limit(hard):<20} "
        lines.append(line + f"{unit:<10}" if unit else line)
    return "\n".join(lines) + "\n"
