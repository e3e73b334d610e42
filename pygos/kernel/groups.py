# SPDX-License-Identifier: Apache-2.0
"""Supplementary groups: getgroups(2), setgroups(2)."""

from __future__ import annotations

from struct import pack, unpack
from typing import TYPE_CHECKING

from pygos.include.dataclass import replace
from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.syscalls import Int, UserAddr, syscall
from pygos.include.linux.user_namespace import INVALID_ID, make_kgid, show_gid
from pygos.include.uapi.capability import CAP_SETGID
from pygos.include.uapi.limits import NGROUPS_MAX
from pygos.kernel.capability import capable_here
from pygos.kernel.cred import commit_creds

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
        if task.cred.user_ns is not None:
            mine = tuple([show_gid(task, gid) for gid in mine])
        task.mm.write(groups, pack(f"<{len(mine)}I", *mine))
    return len(mine)


def may_setgroups(task: Task) -> bool:
    """CAP_SETGID, in a user namespace that maps groups and doesn't deny it."""
    if not capable_here(task, CAP_SETGID):
        return False
    ns = task.cred.user_ns
    return ns is None or (bool(ns.gid_map) and ns.setgroups)


@syscall
def setgroups(task: Task, size: Int, groups: UserAddr) -> int:
    """Replace the supplementary groups. setgroups(2). Errors: EINVAL, EPERM, EFAULT."""
    if not may_setgroups(task):
        raise EPERM
    if not 0 <= size <= NGROUPS_MAX:
        raise EINVAL
    assert task.mm is not None
    new = unpack(f"<{size}I", task.mm.read(groups, size * 4)) if size else ()
    if task.cred.user_ns is not None:
        new = tuple([make_kgid(task, gid) for gid in new])
    if INVALID_ID in new:
        raise EINVAL
    commit_creds(task, replace(task.cred, groups=tuple(sorted(new))))
    return 0
