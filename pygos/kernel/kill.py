# SPDX-License-Identifier: Apache-2.0
"""Sending signals by system call: kill, tkill, tgkill, rt_sigqueueinfo and who may."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

from pygos.include.dataclass import replace
from pygos.include.errno import E2BIG, EAGAIN, EINVAL, EPERM, ESRCH, Errno
from pygos.include.linux.pid_namespace import find_task_by_vpid, find_vpid, pid_nr_ns, pid_vnr
from pygos.include.linux.sched import SigInfo
from pygos.include.linux.syscalls import In, Pid, Signo, syscall
from pygos.include.linux.user_namespace import make_kuid, show_uid
from pygos.include.uapi.capability import CAP_KILL
from pygos.include.uapi.signal import SI_TKILL, SI_USER, SIGCONT, Siginfo
from pygos.kernel.siginfo import known_siginfo_layout
from pygos.kernel.sigqueue import valid_signal
from pygos.kernel.sigsend import send_sig_info

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: sizeof(struct kernel_siginfo): what the kernel keeps of siginfo_t.
_KEPT = 48
_INT_MIN = -(1 << 31)


def kill_ok_by_cred(task: Task, target: Task) -> bool:
    """The user ids allow `task` to signal `target`. kill(2)."""
    mine, theirs = task.cred, target.cred
    return (
        mine.euid in (theirs.suid, theirs.uid)
        or mine.uid in (theirs.suid, theirs.uid)
        or mine.ns_capable(theirs.user_ns, CAP_KILL)
    )


def check_kill_permission(task: Task, signo: int, target: Task) -> None:
    """EINVAL for a bad number, EPERM."""
    if not valid_signal(signo):
        raise EINVAL
    if target.group is task.group or kill_ok_by_cred(task, target):
        return
    if signo == SIGCONT and target.group.session == task.group.session:
        return
    raise EPERM


def send_checked(task: Task, target: Task, info: SigInfo, group: bool) -> None:
    """Send to a process or one thread, with the permission check; signal 0 only checks.

    Errors: EAGAIN, EINVAL, EPERM.
    """
    check_kill_permission(task, info.signo, target)
    if target.pid_ns is not task.pid_ns or target.cred.user_ns is not task.cred.user_ns:
        info = _translated(task, target, info)
        # Out of an outer namespace even its init is stopped and killed.
        force = not pid_nr_ns(task.pid, target.pid_ns)
    else:
        force = False
    if info.signo and not send_sig_info(target, info, group, force):
        raise EAGAIN


def _translated(task: Task, target: Task, info: SigInfo) -> SigInfo:
    """The siginfo as the receiver's namespaces have it: no pid of a sender outside of them."""
    mine, theirs = task.cred.user_ns, target.cred.user_ns
    info = replace(info)
    if mine is not theirs:
        kuid = make_kuid(task, info.uid)
        info.uid = kuid if theirs is None else theirs.from_kuid_munged(kuid)
    if not pid_nr_ns(task.pid, target.pid_ns):
        info.pid = 0
    if info.raw is not None:
        raw = bytearray(info.raw)
        raw[16:24] = pack("<iI", info.pid, info.uid)
        info.raw = bytes(raw)
    return info


def group_send_sig_info(task: Task, target: Task, info: SigInfo) -> None:
    """Send to a process with the permission check; signal 0 only checks. EAGAIN, EPERM."""
    send_checked(task, target, info, True)


def user_info(task: Task, signo: int, code: int) -> SigInfo:
    """The siginfo of a signal that `task` sends."""
    if task.pid_ns is None and task.cred.user_ns is None:
        return SigInfo(signo, code, pid=task.tgid, uid=task.cred.uid)
    pid, uid = pid_vnr(task, task.tgid), show_uid(task, task.cred.uid)
    return SigInfo(signo, code, pid=pid, uid=uid)


@syscall
def kill(task: Task, pid: Pid, sig: Signo) -> int:
    """Send a signal to a process, a process group or everybody. kill(2).

    Errors: EINVAL, EPERM, ESRCH.
    """
    info = user_info(task, sig, SI_USER)
    if pid > 0:
        target = find_task_by_vpid(task, pid)
        if target is None:
            raise ESRCH
        group_send_sig_info(task, target, info)
    elif pid == _INT_MIN:
        raise ESRCH
    elif pid == -1:
        _kill_everybody(task, info)
    else:
        kill_pgrp_checked(task, find_vpid(task, -pid) if pid else task.group.pgrp, info)
    return 0


def kill_pgrp_checked(task: Task, pgrp: int, info: SigInfo) -> None:
    """Success if one member could be signalled, else the last error; ESRCH if there is none."""
    error: type[Errno] | None = ESRCH
    for leader in tuple(task.machine.pids.pgrps.get(pgrp, ())):
        try:
            group_send_sig_info(task, leader, replace(info))
            error = None
        except Errno as failure:
            if error is not None:
                error = type(failure)
    if error is not None:
        raise error


def _kill_everybody(task: Task, info: SigInfo) -> None:
    """All processes but init and the caller's; EPERM of single ones doesn't count."""
    tasks = tuple(task.machine.pids.tasks.values())
    targets = [
        t for t in tasks
        if pid_vnr(task, t.pid) > 1 and t.group.leader is t and t.group is not task.group
    ]  # fmt: skip
    if not targets:
        raise ESRCH
    error: type[Errno] | None = None
    for target in targets:
        try:
            group_send_sig_info(task, target, replace(info))
            error = None
        except EPERM:
            pass
        except Errno as failure:
            error = type(failure)
    if error is not None:
        raise error


@syscall
def tgkill(task: Task, tgid: Pid, pid: Pid, sig: Signo) -> int:
    """Send a signal to one thread of a process. tgkill(2). Errors: EINVAL, EPERM, ESRCH."""
    if pid <= 0 or tgid <= 0:
        raise EINVAL
    _send_to_thread(task, tgid, pid, user_info(task, sig, SI_TKILL))
    return 0


@syscall
def tkill(task: Task, pid: Pid, sig: Signo) -> int:
    """Send a signal to a thread. tkill(2). Errors: EINVAL, EPERM, ESRCH."""
    if pid <= 0:
        raise EINVAL
    _send_to_thread(task, 0, pid, user_info(task, sig, SI_TKILL))
    return 0


def _send_to_thread(task: Task, tgid: int, pid: int, info: SigInfo) -> None:
    target = find_task_by_vpid(task, pid)
    if target is None or (tgid > 0 and target.tgid != find_vpid(task, tgid)):
        raise ESRCH
    send_checked(task, target, info, False)


def raw_info(sig: int, info: Siginfo) -> SigInfo:
    """A signal with the siginfo that a program wrote.

    E2BIG: its code has no layout that the kernel knows, and there is something behind the
    bytes that the kernel keeps.
    """
    data = info.to_bytes()
    raw = data[:_KEPT] + bytes(len(data) - _KEPT)
    if raw != data and not known_siginfo_layout(sig, info.si_code):
        raise E2BIG
    return SigInfo(
        sig, info.si_code, info.si_errno, info.si_pid, info.si_uid, value=info.si_value, raw=raw
    )


def _check_forgery(task: Task, pid: int, info: Siginfo) -> None:
    """Only to itself may a process pretend that kill(2) or the kernel sent a signal."""
    if (info.si_code >= 0 or info.si_code == SI_TKILL) and pid != pid_vnr(task, task.pid):
        raise EPERM


@syscall
def rt_sigqueueinfo(task: Task, pid: Pid, sig: Signo, uinfo: In[Siginfo]) -> int:
    """Queue a signal with a siginfo to a process. rt_sigqueueinfo(2).

    Errors: EAGAIN when RLIMIT_SIGPENDING is reached; EINVAL, EPERM, ESRCH.
    """
    info = raw_info(sig, uinfo)
    _check_forgery(task, pid, uinfo)
    target = find_task_by_vpid(task, pid)
    if target is None:
        raise ESRCH
    group_send_sig_info(task, target, info)
    return 0


@syscall
def rt_tgsigqueueinfo(task: Task, tgid: Pid, pid: Pid, sig: Signo, uinfo: In[Siginfo]) -> int:
    """Queue a signal with a siginfo to one thread. rt_sigqueueinfo(2)."""
    info = raw_info(sig, uinfo)
    if pid <= 0 or tgid <= 0:
        raise EINVAL
    _check_forgery(task, pid, uinfo)
    _send_to_thread(task, tgid, pid, info)
    return 0
