# SPDX-License-Identifier: Apache-2.0
"""process_vm_readv(2), process_vm_writev(2) (mm/process_vm_access.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EFAULT, EINVAL, EPERM, ESRCH
from pygos.include.linux.pid_namespace import find_task_by_vpid
from pygos.include.linux.ptrace import PTRACE_MODE_ATTACH_REALCREDS, ptrace_may_access
from pygos.include.linux.syscalls import IovIn, IovOut, Pid, Size, ULongFlags, UserAddr, syscall
from pygos.include.uapi.uio import UIO_MAXIOV
from pygos.mm.uaccess import UserBuffer

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_STEP: Final = 1 << 20


@syscall
def process_vm_readv(
    task: Task, pid: Pid, local: IovOut, remote: UserAddr, count: Size, flags: ULongFlags
) -> int:
    """Copy from another process' memory. process_vm_readv(2).

    Errors: EINVAL, ESRCH, EPERM, EFAULT. Stops early at memory that can't be read.
    """
    mm, segments = _remote(task, pid, remote, count, flags)
    return _transfer(mm, local, segments, False)


@syscall
def process_vm_writev(
    task: Task, pid: Pid, local: IovIn, remote: UserAddr, count: Size, flags: ULongFlags
) -> int:
    """Copy to another process' memory. process_vm_writev(2). Errors: as process_vm_readv(2)."""
    mm, segments = _remote(task, pid, remote, count, flags)
    return _transfer(mm, local, segments, True)


def _remote(
    task: Task, pid: int, vector: int, count: int, flags: int
) -> tuple[Mm, list[tuple[int, int]]]:
    """The other mm, checked for access, and the remote segments."""
    if flags:
        raise EINVAL
    if count > UIO_MAXIOV:
        raise EINVAL
    assert task.mm is not None
    words = memoryview(task.mm.read(vector, 16 * count)).cast("Q") if count else ()
    segments = [(words[at], words[at + 1]) for at in range(0, 2 * count, 2)]
    if any(size >> 63 for _, size in segments):
        raise EINVAL
    other = find_task_by_vpid(task, pid)
    if other is None or other.mm is None:
        raise ESRCH
    if not may_access(task, other):
        raise EPERM
    return other.mm, segments


def may_access(task: Task, other: Task) -> bool:
    """May `task` change `other` as a debugger?"""
    return ptrace_may_access(task, other, PTRACE_MODE_ATTACH_REALCREDS)


def _transfer(mm: Mm, local: IoBuffer, segments: list[tuple[int, int]], write: bool) -> int:
    """Copy segment by segment; bytes moved. EFAULT if none could be."""
    done = 0
    try:
        for addr, size in segments:
            moved = _copy_segment(mm, local, addr, min(size, local.length), write)
            done += moved
            if moved < size:
                break
    except EFAULT:
        if not done:
            raise
    return done


def _copy_segment(mm: Mm, local: IoBuffer, addr: int, size: int, write: bool) -> int:
    """Bytes moved before memory on either side ended."""
    remote = UserBuffer(mm, addr, size, write)
    source, target = (local, remote) if write else (remote, local)
    done = 0
    while done < size:
        try:
            data = source.take(min(size - done, _STEP))
            if mm.patches is not None and not write:
                data = mm.patches.original(addr + done, data)
            moved = target.put(data)
        except EFAULT:
            if not done:
                raise
            break
        done += moved
        if moved < len(data) or not data:
            break
    return done
