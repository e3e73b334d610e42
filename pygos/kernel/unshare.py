# SPDX-License-Identifier: Apache-2.0
"""unshare(2): give up what is shared with others; and the namespaces that there are.

Of namespaces only UTS ones can be made; the others are refused as by a kernel that is built
without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.fs import FsStruct
from pygos.include.linux.sched import NsProxy, UtsNamespace
from pygos.include.linux.syscalls import ULongFlags, syscall
from pygos.include.uapi import sched as uapi
from pygos.include.uapi.capability import CAP_SYS_ADMIN

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_ABSENT: Final = (
    uapi.CLONE_NEWNS | uapi.CLONE_NEWCGROUP | uapi.CLONE_NEWIPC | uapi.CLONE_NEWPID
    | uapi.CLONE_NEWNET
)  # fmt: skip
_NEW_NAMESPACES: Final = _ABSENT | uapi.CLONE_NEWUTS
_KNOWN: Final = (
    _NEW_NAMESPACES | uapi.CLONE_NEWUSER | uapi.CLONE_NEWTIME | uapi.CLONE_THREAD
    | uapi.CLONE_FS | uapi.CLONE_SIGHAND | uapi.CLONE_VM | uapi.CLONE_FILES | uapi.CLONE_SYSVSEM
)  # fmt: skip


def check_namespaces(task: Task, flags: int) -> None:
    """May the namespaces that `flags` name be made? EPERM, EINVAL, in this order."""
    if flags & uapi.CLONE_NEWUSER:
        raise EINVAL
    if not flags & (_NEW_NAMESPACES | uapi.CLONE_NEWTIME):
        return
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise EPERM
    if flags & (_ABSENT | uapi.CLONE_NEWTIME):
        raise EINVAL


def copy_namespaces(old: NsProxy, flags: int) -> NsProxy:
    """The namespaces of a task that shares all but those in `flags` with `old`."""
    if not flags & uapi.CLONE_NEWUTS:
        return old
    return NsProxy(UtsNamespace(old.uts.nodename, old.uts.domainname), old.mnt)


@syscall(partial="of namespaces only CLONE_NEWUTS; the others are refused with EINVAL")
def unshare(task: Task, flags: ULongFlags) -> int:
    """Stop sharing what `flags` name. unshare(2). Errors: EINVAL, EPERM."""
    if flags & uapi.CLONE_NEWUSER:
        flags |= uapi.CLONE_THREAD | uapi.CLONE_FS
    if flags & uapi.CLONE_VM:
        flags |= uapi.CLONE_SIGHAND
    if flags & uapi.CLONE_SIGHAND:
        flags |= uapi.CLONE_THREAD
    if flags & uapi.CLONE_NEWNS:
        flags |= uapi.CLONE_FS
    _check_alone(task, flags)
    check_namespaces(task, flags)
    if flags & uapi.CLONE_FS and task.fs.users > 1:
        task.fs.users -= 1
        task.fs = FsStruct(task.fs.root, task.fs.pwd, task.fs.umask)
    if flags & uapi.CLONE_FILES and task.files.count > 1:
        task.files.count -= 1
        task.files = task.machine.fs_hooks.dup_files(task.files)
    task.nsproxy = copy_namespaces(task.nsproxy, flags)
    return 0


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
