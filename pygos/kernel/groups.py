# SPDX-License-Identifier: Apache-2.0
"""Supplementary groups: getgroups(2), setgroups(2)."""

from __future__ import annotations

from struct import pack, unpack
from typing import TYPE_CHECKING

from pygos.include.dataclass import replace
from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.syscalls import Int, UserAddr, syscall
from pygos.include.uapi.capability import CAP_SETGID
from pygos.include.uapi.limits import NGROUPS_MAX

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


@syscall
def getgroups(task: Task, size: Int, groups: UserAddr) -> int:
    """The supplementary groups; size 0 only counts. getgroups(2). Errors: EINVAL, EFAULT."""
    mine = task.cred.groups
    if size < 0:
        raise EINVAL
    if size:
        if len(mine) > size:
            raise EINVAL
        assert task.mm is not None
        task.mm.write(groups, pack(f"<{len(mine)}I", *mine))
    return len(mine)


@syscall
def setgroups(task: Task, size: Int, groups: UserAddr) -> int:
    """Replace the supplementary groups. setgroups(2). Errors: EINVAL, EPERM, EFAULT."""
    if not task.cred.capable(CAP_SETGID):
        raise EPERM
    if not 0 <= size <= NGROUPS_MAX:
        raise EINVAL
    assert task.mm is not None
    new = unpack(f"<{size}I", task.mm.read(groups, size * 4)) if size else ()
    if 0xFFFF_FFFF in new:
        raise EINVAL
    task.cred = replace(task.cred, groups=tuple(sorted(new)))
    return 0
