# SPDX-License-Identifier: Apache-2.0
"""Descriptors of processes: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2).

A pidfd keeps meaning the process (or, with PIDFD_THREAD, the thread) it was made for, also
when its number is used again. It becomes readable when the process has ended and hangs up when
it has been waited for. What it refers to is a ``kernel.pid.PidRef``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.anon_inodes import AnonFileOperations, anon_inode_getfd
from pygos.fs.file_table import alloc_fd, fd_install, fget, get_file
from pygos.include.errno import EBADF, EINVAL, ENOENT, EPERM, ESRCH
from pygos.include.linux.pid_namespace import find_task_by_vpid
from pygos.include.linux.syscalls import Fd, Flags, InOrNull, Pid, Signo, UInt, syscall
from pygos.include.uapi.fcntl import O_NONBLOCK, O_RDWR
from pygos.include.uapi.pidfd import (
    PIDFD_NONBLOCK,
    PIDFD_SELF_THREAD,
    PIDFD_SELF_THREAD_GROUP,
    PIDFD_SIGNAL_PROCESS_GROUP,
    PIDFD_SIGNAL_THREAD,
    PIDFD_SIGNAL_THREAD_GROUP,
    PIDFD_THREAD,
)
from pygos.include.uapi.poll import POLLHUP, POLLIN, POLLRDNORM
from pygos.include.uapi.signal import SI_TKILL, SI_USER, Siginfo
from pygos.kernel.kill import kill_pgrp_checked, raw_info, send_checked, user_info
from pygos.kernel.pid import PidRef
from pygos.mm.process_vm_access import may_access

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import SigInfo, Task
    from pygos.include.linux.wait import WaitQueue

_SCOPES: Final = (
    0, PIDFD_SIGNAL_THREAD, PIDFD_SIGNAL_THREAD_GROUP, PIDFD_SIGNAL_PROCESS_GROUP,
)  # fmt: skip


class PidfdOperations(AnonFileOperations):
    """pidfs_file_operations."""

    __slots__ = ()

    def poll(self, task: Task, file: File) -> int:
        pid: PidRef = file.private_data
        if pid.gone:
            return POLLIN | POLLRDNORM | POLLHUP
        return POLLIN | POLLRDNORM if pid.ended else 0

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...]:
        pid: PidRef = file.private_data
        return (pid.group.poll_queue,)

    def fdinfo(self, file: File) -> str:
        pid: PidRef = file.private_data
        if pid.gone:
            return "Pid:\t-1\nNSpid:\t-1\n"
        target = pid.task
        numbers = str(target.pid)
        ns = target.pid_ns
        inner = ""
        while ns is not None:
            inner = f"\t{ns.to_local.get(target.pid, 0)}{inner}"
            ns = ns.parent
        return f"Pid:\t{numbers}\nNSpid:\t{numbers}{inner}\n"


PIDFD_FOPS: Final = PidfdOperations()


def pidfd_create(task: Task, target: Task, flags: int) -> int:
    """A new descriptor of `target`, always close-on-exec. Errors: EMFILE, ENFILE."""
    ref = PidRef(target, bool(flags & PIDFD_THREAD))
    mode = O_RDWR | flags & O_NONBLOCK
    return anon_inode_getfd(task, b"[pidfd]", PIDFD_FOPS, ref, mode, True)


def pidfd_pid(task: Task, fd: int) -> PidRef:
    """What a descriptor refers to. EBADF for anything but a pidfd."""
    file = get_file(task, fd)
    if file.f_op is not PIDFD_FOPS:
        raise EBADF
    ref: PidRef = file.private_data
    return ref


def _signal_target(task: Task, fd: int) -> PidRef:
    """As pidfd_pid(); a descriptor of /proc/PID does as well."""
    from pygos.fs.proc.base import proc_pid_dir_target

    target = proc_pid_dir_target(get_file(task, fd))
    return pidfd_pid(task, fd) if target is None else PidRef(target, False)


@syscall
def pidfd_open(task: Task, pid: Pid, flags: UInt) -> int:
    """A descriptor of a process, or with PIDFD_THREAD of a thread. pidfd_open(2).

    Errors: EINVAL, EMFILE, ENFILE, ESRCH; ENOENT for a thread that is no leader.
    """
    if flags & ~(PIDFD_NONBLOCK | PIDFD_THREAD) or pid <= 0:
        raise EINVAL
    target = find_task_by_vpid(task, pid)
    if target is None:
        raise ESRCH
    if not flags & PIDFD_THREAD and target.group.leader is not target:
        raise ENOENT
    return pidfd_create(task, target, flags)


@syscall
def pidfd_send_signal(
    task: Task, pidfd: Fd, sig: Signo, info: InOrNull[Siginfo], flags: UInt
) -> int:
    """Send a signal to what a pidfd refers to. pidfd_send_signal(2).

    Errors: EAGAIN, EBADF, EINVAL, EPERM, ESRCH.
    """
    if flags not in _SCOPES:
        raise EINVAL
    if pidfd == PIDFD_SELF_THREAD:
        ref = PidRef(task, True)
    elif pidfd == PIDFD_SELF_THREAD_GROUP:
        ref = PidRef(task.group.leader, False)
    else:
        ref = _signal_target(task, pidfd)
    if not flags:
        flags = PIDFD_SIGNAL_THREAD if ref.thread else PIDFD_SIGNAL_THREAD_GROUP
    _send(task, ref, _signal_info(task, ref, sig, info, flags), flags)
    return 0


def _signal_info(
    task: Task, ref: PidRef, sig: int, info: Siginfo | None, scope: int
) -> SigInfo:
    """The siginfo: the caller's, which only for itself may look like kill(2)'s."""
    if info is None:
        return user_info(task, sig, SI_TKILL if scope == PIDFD_SIGNAL_THREAD else SI_USER)
    if sig != info.si_signo:
        raise EINVAL
    other = ref.task is not task or scope == PIDFD_SIGNAL_PROCESS_GROUP
    if other and (info.si_code >= 0 or info.si_code == SI_TKILL):
        raise EPERM
    return raw_info(sig, info)


def _send(task: Task, ref: PidRef, info: SigInfo, scope: int) -> None:
    if scope == PIDFD_SIGNAL_PROCESS_GROUP:
        kill_pgrp_checked(task, ref.task.pid, info)
        return
    if ref.gone:
        raise ESRCH
    send_checked(task, ref.task, info, scope == PIDFD_SIGNAL_THREAD_GROUP)


@syscall
def pidfd_getfd(task: Task, pidfd: Fd, fd: Fd, flags: Flags) -> int:
    """Duplicate a descriptor of another process. pidfd_getfd(2).

    Errors: EBADF, EINVAL, EMFILE, EPERM, ESRCH.
    """
    if flags:
        raise EINVAL
    ref = pidfd_pid(task, pidfd)
    if ref.gone:
        raise ESRCH
    target = ref.task
    if not may_access(task, target):
        raise EPERM
    if not target.alive:
        raise ESRCH
    file = target.files.fd.get(fd)
    if file is None:
        raise EBADF
    new = alloc_fd(task, 0, True)
    fd_install(task, new, fget(file))
    return new
