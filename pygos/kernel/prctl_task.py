# SPDX-License-Identifier: Apache-2.0
"""prctl(2)'s options about what the kernel may do to a task, and how it treats its memory.

Memory failures, I/O flushers, transparent huge pages, memory that is writable or executable but
never both, speculation, timer numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL, ENODEV, ENXIO, EPERM, ERANGE
from pygos.include.linux.mm import MMF_DISABLE_THP, MMF_HAS_MDWE, MMF_HAS_MDWE_NO_INHERIT
from pygos.include.linux.sched import PF_IO_FLUSHER, PF_MCE_EARLY, PF_MCE_PROCESS
from pygos.include.uapi import prctl as uapi
from pygos.include.uapi.capability import CAP_SYS_RESOURCE

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_MDWE: Final = uapi.PR_MDWE_REFUSE_EXEC_GAIN
_MDWE_NO_INHERIT: Final = uapi.PR_MDWE_NO_INHERIT


def _none_of(*args: int) -> None:
    if any(args):
        raise EINVAL


# -- memory failures (there are none to report)


def set_mce_kill(task: Task, what: int, policy: int, arg4: int, arg5: int) -> int:
    """PR_MCE_KILL: when SIGBUS tells of a broken page."""
    _none_of(arg4, arg5)
    if what == uapi.PR_MCE_KILL_CLEAR:
        _none_of(policy)
        task.flags &= ~PF_MCE_PROCESS
        return 0
    if what != uapi.PR_MCE_KILL_SET:
        raise EINVAL
    task.flags |= PF_MCE_PROCESS
    if policy == uapi.PR_MCE_KILL_EARLY:
        task.flags |= PF_MCE_EARLY
    elif policy == uapi.PR_MCE_KILL_LATE:
        task.flags &= ~PF_MCE_EARLY
    elif policy == uapi.PR_MCE_KILL_DEFAULT:
        task.flags &= ~(PF_MCE_EARLY | PF_MCE_PROCESS)
    else:
        raise EINVAL
    return 0


def get_mce_kill(task: Task, *args: int) -> int:
    """PR_MCE_KILL_GET."""
    _none_of(*args)
    if not task.flags & PF_MCE_PROCESS:
        return uapi.PR_MCE_KILL_DEFAULT
    return uapi.PR_MCE_KILL_EARLY if task.flags & PF_MCE_EARLY else uapi.PR_MCE_KILL_LATE


# -- I/O


def set_io_flusher(task: Task, value: int, *rest: int) -> int:
    """PR_SET_IO_FLUSHER: the task serves I/O, which its own allocations must not wait for."""
    if not task.cred.capable(CAP_SYS_RESOURCE):
        raise EPERM
    _none_of(*rest)
    if value > 1:
        raise EINVAL
    task.flags = task.flags | PF_IO_FLUSHER if value else task.flags & ~PF_IO_FLUSHER
    return 0


def get_io_flusher(task: Task, *args: int) -> int:
    """PR_GET_IO_FLUSHER."""
    if not task.cred.capable(CAP_SYS_RESOURCE):
        raise EPERM
    _none_of(*args)
    return int(bool(task.flags & PF_IO_FLUSHER))


# -- memory


def set_thp_disable(task: Task, value: int, *rest: int) -> int:
    """PR_SET_THP_DISABLE: remembered for the process and its children; there are no huge pages."""
    _none_of(*rest)
    assert task.mm is not None
    flags = task.mm.flags
    task.mm.flags = flags | MMF_DISABLE_THP if value else flags & ~MMF_DISABLE_THP
    return 0


def get_thp_disable(task: Task, *args: int) -> int:
    """PR_GET_THP_DISABLE."""
    _none_of(*args)
    assert task.mm is not None
    return int(bool(task.mm.flags & MMF_DISABLE_THP))


def get_mdwe(task: Task, *args: int) -> int:
    """PR_GET_MDWE."""
    _none_of(*args)
    assert task.mm is not None
    flags = task.mm.flags
    bits = _MDWE if flags & MMF_HAS_MDWE else 0
    return bits | (_MDWE_NO_INHERIT if flags & MMF_HAS_MDWE_NO_INHERIT else 0)


def set_mdwe(task: Task, bits: int, *rest: int) -> int:
    """PR_SET_MDWE: from now on no memory becomes executable that isn't when it is mapped."""
    _none_of(*rest)
    if bits & ~(_MDWE | _MDWE_NO_INHERIT) or bits == _MDWE_NO_INHERIT:
        raise EINVAL
    current = get_mdwe(task, 0)
    if current and current != bits:
        raise EPERM
    assert task.mm is not None
    if bits & _MDWE_NO_INHERIT:
        task.mm.flags |= MMF_HAS_MDWE_NO_INHERIT
    if bits & _MDWE:
        task.mm.flags |= MMF_HAS_MDWE
    return 0


# -- speculation: the kernel switches no mitigation for its guests, as with mitigations=off


def get_speculation_ctrl(task: Task, which: int, *rest: int) -> int:
    """PR_GET_SPECULATION_CTRL: what leaks is there, and can't be switched off."""
    _none_of(*rest)
    if which in (uapi.PR_SPEC_STORE_BYPASS, uapi.PR_SPEC_INDIRECT_BRANCH):
        return uapi.PR_SPEC_ENABLE
    if which == uapi.PR_SPEC_L1D_FLUSH:
        return uapi.PR_SPEC_FORCE_DISABLE
    raise ENODEV


def set_speculation_ctrl(task: Task, which: int, what: int, *rest: int) -> int:
    """PR_SET_SPECULATION_CTRL. ENXIO, EPERM: there is no such control; ERANGE."""
    _none_of(*rest)
    if which == uapi.PR_SPEC_STORE_BYPASS:
        raise ENXIO
    if which == uapi.PR_SPEC_L1D_FLUSH:
        raise EPERM
    if which != uapi.PR_SPEC_INDIRECT_BRANCH:
        raise ENODEV
    if what == uapi.PR_SPEC_ENABLE:
        return 0
    if what in (uapi.PR_SPEC_DISABLE, uapi.PR_SPEC_FORCE_DISABLE):
        raise EPERM
    raise ERANGE


# -- the rest


def perf_events(task: Task, *_: int) -> int:
    """PR_TASK_PERF_EVENTS_*: switch the task's own counters on or off; it can have none."""
    return 0


def timer_create_restore_ids(task: Task, what: int, *rest: int) -> int:
    """PR_TIMER_CREATE_RESTORE_IDS: timer_create(2) takes the numbers that it is given."""
    _none_of(*rest)
    group = task.group
    if what == uapi.PR_TIMER_CREATE_RESTORE_IDS_GET:
        return int(group.timer_create_restore_ids)
    if what not in (uapi.PR_TIMER_CREATE_RESTORE_IDS_OFF, uapi.PR_TIMER_CREATE_RESTORE_IDS_ON):
        raise EINVAL
    group.timer_create_restore_ids = bool(what)
    return 0
