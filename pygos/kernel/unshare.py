# SPDX-License-Identifier: Apache-2.0
"""unshare(2): give up what is shared with others (the end of kernel/fork.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL
from pygos.include.linux.fs import FsStruct
from pygos.include.linux.syscalls import ULongFlags, syscall
from pygos.include.uapi import sched as uapi
from pygos.kernel.nsproxy import (
    NEW_NAMESPACES,
    check_new,
    create_new_namespaces,
    switch_namespaces,
)

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_KNOWN: Final = (
    NEW_NAMESPACES | uapi.CLONE_NEWUSER | uapi.CLONE_THREAD | uapi.CLONE_FS | uapi.CLONE_SIGHAND
    | uapi.CLONE_VM | uapi.CLONE_FILES | uapi.CLONE_SYSVSEM
)  # fmt: skip


def _implied(flags: int) -> int:
    """What can't be unshared alone brings more."""
    if flags & uapi.CLONE_NEWUSER:
        flags |= uapi.CLONE_THREAD | uapi.CLONE_FS
    if flags & uapi.CLONE_VM:
        flags |= uapi.CLONE_SIGHAND
    if flags & uapi.CLONE_SIGHAND:
        flags |= uapi.CLONE_THREAD
    if flags & uapi.CLONE_NEWNS:
        flags |= uapi.CLONE_FS
    return flags


@syscall
def unshare(task: Task, flags: ULongFlags) -> int:
    """Stop sharing what `flags` name. unshare(2). Errors: EINVAL, EPERM, ENOSPC, EUSERS."""
    flags = _implied(flags)
    _check_alone(task, flags)
    fs = task.fs
    if flags & uapi.CLONE_FS and fs.users > 1:
        fs = FsStruct(fs.root, fs.pwd, fs.umask)
    cred, nsproxy = task.cred, None
    if flags & uapi.CLONE_NEWUSER:
        from pygos.kernel.user_namespace import create_user_ns

        cred = create_user_ns(task, cred)
    if flags & NEW_NAMESPACES:
        check_new(task, flags, cred.user_ns)
        nsproxy = create_new_namespaces(task, flags, cred.user_ns, fs)
    if flags & uapi.CLONE_FILES and task.files.count > 1:
        task.files.count -= 1
        task.files = task.machine.fs_hooks.dup_files(task.files)
    if fs is not task.fs:
        task.fs.users -= 1
        task.fs = fs
    _give_up_semaphores(task, flags)
    if nsproxy is not None:
        switch_namespaces(task, nsproxy)
    if cred is not task.cred:
        from pygos.kernel.cred import commit_creds

        commit_creds(task, cred)
    return 0


def _give_up_semaphores(task: Task, flags: int) -> None:
    """The adjustments of SEM_UNDO are made now: the ids will mean others, or nothing."""
    if flags & (uapi.CLONE_NEWIPC | uapi.CLONE_SYSVSEM) and task.sysvsem is not None:
        task.sysvsem.release(task)
        task.sysvsem = None
    if flags & uapi.CLONE_NEWIPC and task.sysvshm is not None:
        task.sysvshm.exit(task)
        task.sysvshm = None


def _check_alone(task: Task, flags: int) -> None:
    """Memory, handlers and the thread group can't be unshared, only be one's own already."""
    if flags & ~_KNOWN:
        raise EINVAL
    mm = task.mm
    others = any(other is not task and other.alive for other in task.group.threads)
    if flags & uapi.CLONE_THREAD and others:
        raise EINVAL
    if flags & uapi.CLONE_SIGHAND and task.sighand.count > 1:
        raise EINVAL
    if flags & uapi.CLONE_VM and mm is not None and mm.users > 1:
        raise EINVAL
