# SPDX-License-Identifier: Apache-2.0
"""setns(2): enter namespaces by their files, or those of a process (kernel/nsproxy.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EBADF, EINVAL, EPERM, ESRCH
from pygos.include.linux.fs import FsStruct
from pygos.include.linux.ns_common import NsSet
from pygos.include.linux.syscalls import Fd, Flags, syscall
from pygos.include.uapi import sched as uapi
from pygos.kernel.nsproxy import get_set, ns_flag, ns_of, ns_ops, switch_namespaces

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: The order in which setns(2) enters those of a pidfd.
_ENTER_ORDER: Final = (
    uapi.CLONE_NEWUSER, uapi.CLONE_NEWNS, uapi.CLONE_NEWUTS, uapi.CLONE_NEWIPC, uapi.CLONE_NEWPID,
    uapi.CLONE_NEWCGROUP, uapi.CLONE_NEWNET, uapi.CLONE_NEWTIME,
)  # fmt: skip


@syscall
def setns(task: Task, fd: Fd, flags: Flags) -> int:
    """Enter a namespace, or several of a process. setns(2).

    Errors: EBADF, EINVAL, EPERM, ESRCH, EUSERS, ENOMEM.
    """
    file = task.files.fd.get(fd)
    if file is None or file.f_mode & 0x80:  # O_PATH
        raise EBADF
    ns = task.machine.fs_hooks.ns_of_file(file)
    if ns is not None:
        flag = ns_flag(ns)
        if flags and flags != flag:
            raise EINVAL
        nsset = _prepare(task, flag)
        ops = ns_ops(task.machine, flag)
        assert ops is not None
        ops.install(task, nsset, ns)
    else:
        nsset = _enter_process(task, fd, flags)
    _commit(task, nsset)
    return 0


def _enter_process(task: Task, fd: int, flags: int) -> NsSet:
    """setns(2) with a pidfd: those of its namespaces that `flags` name."""
    try:
        ref, _ = task.machine.fs_hooks.pidfd_target(task, fd)
    except EBADF:
        raise EINVAL from None
    known = 0
    for flag in task.machine.ns_modules:
        known |= flag
    if not flags or flags & ~known:
        raise EINVAL
    nsset = _prepare(task, flags)
    if ref.gone:
        raise ESRCH
    target = ref.task
    from pygos.include.linux.ptrace import PTRACE_MODE_READ_REALCREDS, ptrace_may_access

    if not ptrace_may_access(task, target, PTRACE_MODE_READ_REALCREDS):
        raise EPERM
    if not target.alive:
        raise ESRCH
    for flag in _ENTER_ORDER:
        if flags & flag:
            ops = ns_ops(task.machine, flag)
            assert ops is not None
            ops.install(task, nsset, ns_of(target, ops))
    return nsset


def _prepare(task: Task, flags: int) -> NsSet:
    fs = task.fs
    if flags & uapi.CLONE_NEWNS and flags != uapi.CLONE_NEWNS:
        fs = FsStruct(fs.root, fs.pwd, fs.umask)
    return NsSet(flags, get_set(task), task.cred, fs)


def _commit(task: Task, nsset: NsSet) -> None:
    """Nothing can fail any more."""
    if nsset.cred is not task.cred:
        from pygos.kernel.cred import commit_creds

        commit_creds(task, nsset.cred)
    if nsset.fs is not task.fs:
        task.fs.root, task.fs.pwd = nsset.fs.root, nsset.fs.pwd
    if nsset.flags & uapi.CLONE_NEWIPC and task.sysvsem is not None:
        task.sysvsem.release(task)
        task.sysvsem = None
    if nsset.flags & ~uapi.CLONE_NEWUSER:
        switch_namespaces(task, nsset.nsproxy)
