# SPDX-License-Identifier: Apache-2.0
"""Files about one process: arguments, environment, names, scores (fs/proc/base.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.arch.x86.regs import ORIG_RAX, RIP, RSP, SYSCALL_ARGS
from pygos.fs.libfs import kstrtoint
from pygos.fs.proc.access import living, may_access, mm_of, require_access, require_attach
from pygos.fs.proc.array import rss
from pygos.fs.proc_namespace import mountinfo_text, mounts_text
from pygos.fs.synthetic import Synthetic, SyntheticFileOperations, synthetic
from pygos.include.errno import EACCES, EFAULT, EINVAL, EPERM, ESRCH
from pygos.include.linux.fs import File, Inode
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.sched import TaskState
from pygos.include.uapi.capability import (
    CAP_AUDIT_CONTROL,
    CAP_SYS_ADMIN,
    CAP_SYS_NICE,
    CAP_SYS_RESOURCE,
)
from pygos.include.uapi.poll import POLLERR, POLLIN, POLLPRI, POLLRDNORM
from pygos.kernel.task_io_accounting import FIELDS, group_io

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.include.linux.wait import WaitQueue
    from pygos.mm.mm import Mm

#: The bits of coredump_filter.
_DUMP_FILTER: Final = 0x1FF
#: Arguments and environment are shown up to this, bytes.
_AREA_MAX: Final = 1 << 22


def _read_area(mm: Mm, start: int, end: int) -> bytes:
    """User memory from start to end, as far as it can be read."""
    end = min(end, start + _AREA_MAX)
    parts = []
    while start < end:
        step = min(end - start, 4096 - (start & 0xFFF))
        try:
            parts.append(mm.read(start, step))
        except EFAULT:
            break
        start += step
    return b"".join(parts)


@synthetic("cmdline")
def cmdline(task: Task, target: Any) -> bytes:
    """The arguments; a program that wrote its title over them shows that."""
    mm = mm_of(target)
    if mm is None or mm.arg_start >= mm.arg_end:
        return b""
    data = _read_area(mm, mm.arg_start, mm.arg_end)
    if data.endswith(b"\0"):
        return data
    if mm.env_start == mm.arg_end and mm.env_end > mm.env_start:
        data += _read_area(mm, mm.env_start, mm.env_end)
    return data.split(b"\0")[0]


@synthetic("environ", 0o400, require_access)
def environ(task: Task, target: Any) -> bytes:
    """The environment the program was started with; nothing once it has gone."""
    mm = target.mm
    return _read_area(mm, mm.env_start, mm.env_end) if mm is not None else b""


@synthetic("auxv", 0o400, require_access)
def auxv(task: Task, target: Any) -> bytes:
    """The ELF auxiliary vector; nothing once the program has gone."""
    mm = target.mm
    found: bytes = mm.auxv if mm is not None else b""
    return found


@synthetic("comm", 0o644)
def comm(task: Task, target: Any) -> bytes:
    """The name of the thread."""
    return living(target).comm + b"\n"


@comm.setter
def _set_comm(task: Task, target: Any, data: bytes) -> None:
    if living(target).group is not task.group:
        raise EINVAL
    target.comm = data.split(b"\0")[0].rstrip(b"\n")[:15]


@synthetic("personality", 0o400)
def personality(task: Task, target: Any) -> str:
    """As personality(2) has it."""
    require_attach(task, target)
    return f"{living(target).personality:08x}\n"


@synthetic("syscall", 0o400)
def syscall(task: Task, target: Any) -> str:
    """The call that a sleeping or stopped task is in or comes from."""
    require_attach(task, target)
    living(target)
    if target.state is TaskState.RUNNING:
        return "running\n"
    if target.cpu is None:
        return "-1 0x0 0x0\n"
    regs = target.regs
    if target.mm is not None and target.mm.patches is not None:
        target.mm.patches.settle(target.mm)
    in_call = target.in_syscall or target.restart_class is not None
    nr = target.syscall_nr if in_call else regs[ORIG_RAX]
    if nr >> 31:
        return f"-1 {regs[RSP]:#x} {regs[RIP]:#x}\n"
    words = " ".join([f"{regs[place]:#x}" for place in SYSCALL_ARGS])
    return f"{nr} {words} {regs[RSP]:#x} {regs[RIP]:#x}\n"


def _sleeps_in(target: Task) -> str:
    """The function of the kernel that the task waits in; empty: it doesn't."""
    state = target.state
    if state is TaskState.TRACED:
        return "ptrace_stop"
    if state is TaskState.STOPPED:
        return "do_signal_stop"
    if state in (TaskState.INTERRUPTIBLE, TaskState.UNINTERRUPTIBLE):
        return target.wchan
    return ""


@synthetic("wchan")
def wchan(task: Task, target: Any) -> str:
    """Where a sleeping task waits."""
    if not may_access(task, living(target)):
        return "0"
    return _sleeps_in(target) or "0"


@synthetic("stack", 0o400)
def stack(task: Task, target: Any) -> str:
    """There are no kernel stacks; only where it waits."""
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise EACCES
    require_attach(task, living(target))
    where = _sleeps_in(target)
    return f"[<0>] {where}\n" if where else ""


@synthetic("children")
def children(task: Task, target: Any) -> str:
    """Processes that this thread has made."""
    pids = sorted([pid_vnr(task, child.pid) for child in living(target).children])
    return "".join(f"{pid} " for pid in pids)


@synthetic("cpuset")
def cpuset(task: Task, target: Any) -> bytes:
    """The group whose CPUs count. cpuset(7)"""
    cgroups = living(target).cgroups
    if cgroups is None or cgroups.cpuset is None:
        return b"/\n"
    from pygos.kernel.cgroup.core import cgroup_path
    from pygos.kernel.cgroup.namespace import ns_root

    return cgroup_path(cgroups.cpuset.cgroup, ns_root(task)) + b"\n"


@synthetic("cgroup")
def cgroup(task: Task, target: Any) -> bytes:
    """The place in the (version 2) hierarchy."""
    if task.machine.cgroups is None:
        return b"0::/\n"
    from pygos.kernel.cgroup.namespace import proc_cgroup_text

    return proc_cgroup_text(task, living(target))


# -- the OOM killer's scores


@synthetic("oom_score")
def oom_score(task: Task, target: Any) -> str:
    """Who is killed first; proc_pid_oom_score(5)."""
    mm = mm_of(target)
    total = target.machine.ram.pages
    points = rss(mm) + len(mm.pt) // 512 if mm is not None else 0
    points += target.group.oom_score_adj * total // 1000
    return f"{max(0, (1000 + points * 1000 // total) * 2 // 3)}\n"


@synthetic("oom_score_adj", 0o644)
def oom_score_adj(task: Task, target: Any) -> str:
    """-1000 (never) to 1000."""
    return f"{living(target).group.oom_score_adj}\n"


def _int(data: bytes) -> int:
    try:
        return int(data.strip(b" \t\n\0"), 10)
    except ValueError:
        raise EINVAL from None


def _adjust(task: Task, target: Task, value: int, legacy: bool) -> None:
    """Set it for the process and all that share its memory (CLONE_VM). EACCES."""
    group = living(target).group
    privileged = task.cred.capable(CAP_SYS_RESOURCE)
    floor = group.oom_score_adj if legacy else group.oom_score_adj_min
    if value < floor and not privileged:
        raise EACCES
    groups = {group: None}
    if target.mm is not None and target.mm.users > len(group.threads):
        tasks = task.machine.pids.tasks.values()
        groups.update({one.group: None for one in tasks if one.mm is target.mm})
    for one in groups:
        one.oom_score_adj = value
        if privileged and not legacy:
            one.oom_score_adj_min = value


@oom_score_adj.setter
def _set_oom_score_adj(task: Task, target: Any, data: bytes) -> None:
    value = kstrtoint(data, -(1 << 31), (1 << 31) - 1)
    if not -1000 <= value <= 1000:
        raise EINVAL
    _adjust(task, target, value, False)


@synthetic("oom_adj", 0o644)
def oom_adj(task: Task, target: Any) -> str:
    """The old scale: -17 to 15."""
    value = living(target).group.oom_score_adj
    return f"{15 if value == 1000 else int(value * 17 / 1000)}\n"


#: In machine.misc: somebody has been told.
_WARNED: Final = "oom_adj_warned"


@oom_adj.setter
def _set_oom_adj(task: Task, target: Any, data: bytes) -> None:
    value = kstrtoint(data, -(1 << 31), (1 << 31) - 1)
    if not -17 <= value <= 15:
        raise EINVAL
    if _WARNED not in task.machine.misc:
        task.machine.misc[_WARNED] = True
        task.machine.printk.warn(
            f"{task.comm.decode('utf-8', 'replace')} ({task.tgid}): /proc/{target.tgid}/oom_adj "
            f"is deprecated, please use /proc/{target.tgid}/oom_score_adj instead."
        )
    _adjust(task, target, 1000 if value == 15 else int(value * 1000 / 17), True)


# -- ids


_NOBODY: Final = 0xFFFF_FFFF


@synthetic("loginuid", 0o644)
def loginuid(task: Task, target: Any) -> str:
    """Who logged in; whatever the process does later."""
    return f"{living(target).loginuid}"


@loginuid.setter
def _set_loginuid(task: Task, target: Any, data: bytes) -> None:
    """Once for everybody, again with a privilege; begins a session of its own."""
    if living(target) is not task:
        raise EPERM
    text = data.strip(b" \t\n\0")
    if not text.isdigit() or int(text) > _NOBODY:
        raise EINVAL
    if task.loginuid != _NOBODY and not task.cred.capable(CAP_AUDIT_CONTROL):
        raise EPERM
    task.loginuid = int(text)
    if task.loginuid == _NOBODY:
        task.sessionid = _NOBODY
        return
    misc = task.machine.misc
    task.sessionid = misc["audit_sessions"] = misc.get("audit_sessions", 0) + 1


@synthetic("sessionid")
def sessionid(task: Task, target: Any) -> str:
    """The number of that login."""
    return f"{living(target).sessionid}"


@synthetic("coredump_filter", 0o644)
def coredump_filter(task: Task, target: Any) -> str:
    """What kinds of memory a core file has. core(5)"""
    mm = mm_of(target)
    return f"{mm.coredump_filter:08x}\n" if mm is not None else ""


@coredump_filter.setter
def _set_coredump_filter(task: Task, target: Any, data: bytes) -> None:
    mm = mm_of(target)
    if mm is None:
        raise ESRCH
    try:
        value = int(data.strip(b" \t\n\0"), 0)
    except ValueError:
        raise EINVAL from None
    mm.coredump_filter = value & _DUMP_FILTER


@synthetic("timerslack_ns", 0o666)
def timerslack_ns(task: Task, target: Any) -> str:
    """See prctl(2), PR_SET_TIMERSLACK."""
    if target is not task and not task.cred.capable(CAP_SYS_NICE):
        raise EPERM
    return f"{living(target).timer_slack}\n"


@timerslack_ns.setter
def _set_timerslack(task: Task, target: Any, data: bytes) -> None:
    if target is not task and not task.cred.capable(CAP_SYS_NICE):
        raise EPERM
    value = _int(data)
    if value < 0:
        raise EINVAL
    target = living(target)
    target.timer_slack = value or target.default_timer_slack


@synthetic("io", 0o400, require_access)
def io(task: Task, target: Any) -> str:
    """Bytes and calls of a process; read_bytes is what came from the host."""
    return _io_text(group_io(living(target).group))


@synthetic("io", 0o400, require_access)
def thread_io(task: Task, target: Any) -> str:
    """The same of one thread."""
    return _io_text([getattr(living(target), name) for name in FIELDS])


def _io_text(values: list[int]) -> str:
    names = ("rchar", "wchar", "syscr", "syscw", "read_bytes", "write_bytes")
    lines = [f"{name}: {value}\n" for name, value in zip(names, values, strict=True)]
    return "".join(lines) + "cancelled_write_bytes: 0\n"


# -- mounts


class MountsFileOperations(SyntheticFileOperations):
    """A list of mounts; poll(2) tells by POLLPRI that it has changed."""

    __slots__ = ()

    def text(self, task: Task, file: File) -> bytes:
        inode: Any = file.f_inode
        target = living(inode.target)
        ns = target.nsproxy.mnt
        if inode.i_private is MOUNTINFO:
            return mountinfo_text(ns, target.fs.root, task)
        return mounts_text(ns, target.fs.root)

    def open(self, task: Task, inode: Inode, file: File) -> None:
        file.f_ra = self._event(file)

    @staticmethod
    def _event(file: File) -> int:
        inode: Any = file.f_inode
        event: int = inode.target.nsproxy.mnt.event
        return event

    def poll(self, task: Task, file: File) -> int:
        mask = POLLIN | POLLRDNORM
        event = self._event(file)
        if event != file.f_ra:
            file.f_ra = event
            mask |= POLLERR | POLLPRI
        return mask

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...] | None:
        inode: Any = file.f_inode
        return (inode.target.nsproxy.mnt.poll,)


_MOUNTS_FOPS: Final = MountsFileOperations()
MOUNTS: Final = Synthetic("mounts", 0o444, None, fop=_MOUNTS_FOPS)
MOUNTINFO: Final = Synthetic("mountinfo", 0o444, None, fop=_MOUNTS_FOPS)
