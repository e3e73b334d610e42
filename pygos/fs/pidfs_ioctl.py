# SPDX-License-Identifier: Apache-2.0
"""ioctl(2) of pidfds: what a process is, how it ended, its namespaces (fs/pidfs.c)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from pygos.fs.nsfs import open_ns
from pygos.fs.proc.namespaces import NS_LINKS
from pygos.include.errno import EACCES, EINVAL, ENOENT, ENOTTY, ESRCH
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.ptrace import PTRACE_MODE_READ_FSCREDS, ptrace_may_access
from pygos.include.linux.user_namespace import show_gid, show_uid
from pygos.include.uapi import pidfd as uapi

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.pid import PidRef

#: struct pidfd_info: mask, cgroupid; pid, tgid, ppid; eight ids; exit_code; coredump_mask.
_INFO: Final = Struct("<QQ" + "I" * 11 + "iI4x")
_WCOREFLAG: Final = 0x80
_READ_WRITE: Final = 3


def pidfd_ioctl(task: Task, ref: PidRef, cmd: int, arg: int) -> int:
    """PIDFD_GET_INFO and PIDFD_GET_*_NAMESPACE.

    Errors: ENOTTY, EINVAL, EFAULT, ESRCH (it is gone, or not in the caller's pid namespace),
    EACCES (namespaces of a process that the caller may not look at).
    """
    number, size = cmd & 0xFF, cmd >> 16 & 0x3FFF
    if cmd >> 8 & 0xFF != uapi.PIDFS_IOCTL_MAGIC:
        raise ENOTTY
    if number == uapi.PIDFD_GET_INFO_NR and cmd >> 30 == _READ_WRITE:
        if size < uapi.PIDFD_INFO_SIZE_VER0:
            raise ENOTTY
        return _get_info(task, ref, arg, size)
    if cmd >> 16 or not 1 <= number <= len(NS_LINKS):
        raise ENOTTY
    return _get_namespace(task, ref, number, arg)


def _get_namespace(task: Task, ref: PidRef, number: int, arg: int) -> int:
    if ref.gone:
        raise ESRCH
    if arg:
        raise EINVAL
    target = ref.task
    if not target.alive:
        raise ESRCH
    if not ptrace_may_access(task, target, PTRACE_MODE_READ_FSCREDS):
        raise EACCES
    try:
        return open_ns(task, NS_LINKS[number - 1].namespace(target))
    except ENOENT:
        raise ESRCH from None


def _get_info(task: Task, ref: PidRef, addr: int, size: int) -> int:
    if not addr:
        raise EINVAL
    mm = task.mm
    assert mm is not None
    asked = mm.read_u64(addr)
    target = ref.task
    mask = coredump = status = 0
    cgroup = 1 if target.cgroups is None else target.cgroups.id
    numbers: tuple[int, ...] = (0,) * 11
    if asked & uapi.PIDFD_INFO_COREDUMP:
        mask |= uapi.PIDFD_INFO_COREDUMP
        coredump = _coredump_mask(ref)
    if ref.gone:
        if not asked & uapi.PIDFD_INFO_EXIT:
            raise ESRCH
        mask |= uapi.PIDFD_INFO_EXIT | uapi.PIDFD_INFO_CGROUPID
        status = _exit_status(ref)
    else:
        mask |= uapi.PIDFD_INFO_PID | uapi.PIDFD_INFO_CREDS | uapi.PIDFD_INFO_CGROUPID
        numbers = _numbers(task, target)
    info = _INFO.pack(mask, cgroup, *numbers, status, coredump)
    mm.write(addr, info[:size] + bytes(max(0, size - len(info))))
    return 0


def _numbers(task: Task, target: Task) -> tuple[int, ...]:
    """pid, tgid, ppid; uids and gids, each real, effective, saved and of file systems."""
    pid, tgid = pid_vnr(task, target.pid), pid_vnr(task, target.tgid)
    ppid = pid_vnr(task, target.real_parent.tgid)
    if not pid or not tgid or (not ppid and pid != 1):
        raise ESRCH
    cred = target.cred
    uids = [show_uid(task, uid) for uid in (cred.uid, cred.euid, cred.suid, cred.fsuid)]
    gids = [show_gid(task, gid) for gid in (cred.gid, cred.egid, cred.sgid, cred.fsgid)]
    pairs = [number for pair in zip(uids, gids, strict=True) for number in pair]
    return (pid, tgid, ppid, *pairs)


def _exit_status(ref: PidRef) -> int:
    """The wait status of what has been waited for."""
    group = ref.group
    return group.exit_code if group.group_exit and ref.own is None else ref.task.exit_code


def _coredump_mask(ref: PidRef) -> int:
    """How a core would be dumped; of the dead whether one was."""
    if not ref.task.alive:
        dumped = _exit_status(ref) & _WCOREFLAG
        return uapi.PIDFD_COREDUMPED | uapi.PIDFD_COREDUMP_USER if dumped else 0
    kinds = (uapi.PIDFD_COREDUMP_SKIP, uapi.PIDFD_COREDUMP_USER, uapi.PIDFD_COREDUMP_ROOT)
    return kinds[ref.task.dumpable] if ref.task.dumpable < len(kinds) else 0
