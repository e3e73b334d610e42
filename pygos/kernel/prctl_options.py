# SPDX-License-Identifier: Apache-2.0
"""The options of prctl(2), one small function each.

``OPTIONS`` maps an option to a function of (task, arg2, arg3, arg4, arg5). Options that
aren't there give EINVAL, as in a kernel built without what they need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.dataclass import replace
from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.ptrace import set_ptracer
from pygos.include.linux.sched import PF_NOTSC
from pygos.include.uapi import prctl as uapi
from pygos.include.uapi.capability import (
    CAP_LAST_CAP,
    CAP_SETPCAP,
    SECBIT_KEEP_CAPS,
    SECBIT_KEEP_CAPS_LOCKED,
    SECBIT_NO_CAP_AMBIENT_RAISE,
    SECURE_ALL_BITS,
    SECURE_ALL_LOCKS,
    SECURE_ALL_UNPRIVILEGED,
)
from pygos.kernel import prctl_task as other
from pygos.kernel.cpu_traps import set_trap
from pygos.kernel.prctl_mm import get_auxv, set_mm, set_vma
from pygos.kernel.seccomp_calls import prctl_get_seccomp, prctl_set_seccomp
from pygos.kernel.sigqueue import valid_signal
from pygos.kernel.syscall_user_dispatch import set_user_dispatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm


_BITS: Final = SECURE_ALL_BITS | SECURE_ALL_UNPRIVILEGED
_LOCKS: Final = SECURE_ALL_LOCKS | SECURE_ALL_UNPRIVILEGED << 1


def _mm(task: Task) -> Mm:
    assert task.mm is not None
    return task.mm


def _no_args(*args: int) -> None:
    if any(args):
        raise EINVAL


def _set_pdeathsig(task: Task, signo: int, *_: int) -> int:
    if not valid_signal(signo):
        raise EINVAL
    task.pdeath_signal = signo
    return 0


def _get_pdeathsig(task: Task, addr: int, *_: int) -> int:
    _mm(task).write_u32(addr, task.pdeath_signal)
    return 0


def _set_ptracer(task: Task, pid: int, *_: int) -> int:
    return set_ptracer(task, pid)


def _get_dumpable(task: Task, *_: int) -> int:
    return _mm(task).dumpable


def _set_dumpable(task: Task, value: int, *_: int) -> int:
    if value not in (0, 1):
        raise EINVAL
    _mm(task).dumpable = task.dumpable = value
    return 0


def _get_timing(task: Task, *_: int) -> int:
    return uapi.PR_TIMING_STATISTICAL


def _set_timing(task: Task, value: int, *_: int) -> int:
    if value != uapi.PR_TIMING_STATISTICAL:
        raise EINVAL
    return 0


def _set_name(task: Task, addr: int, *_: int) -> int:
    name = bytearray()
    mm = _mm(task)
    while len(name) < uapi.TASK_COMM_LEN - 1:
        byte = mm.read(addr + len(name), 1)
        if byte == b"\0":
            break
        name += byte
    task.comm = bytes(name)
    return 0


def _get_name(task: Task, addr: int, *_: int) -> int:
    _mm(task).write(addr, task.comm[:15].ljust(uapi.TASK_COMM_LEN, b"\0"))
    return 0


def _get_keepcaps(task: Task, *_: int) -> int:
    return int(bool(task.cred.securebits & SECBIT_KEEP_CAPS))


def _set_keepcaps(task: Task, value: int, *_: int) -> int:
    bits = task.cred.securebits
    if value > 1:
        raise EINVAL
    if bits & SECBIT_KEEP_CAPS_LOCKED:
        raise EPERM
    bits = bits | SECBIT_KEEP_CAPS if value else bits & ~SECBIT_KEEP_CAPS
    task.cred = replace(task.cred, securebits=bits)
    return 0


def _capbset_read(task: Task, cap: int, *_: int) -> int:
    if cap > CAP_LAST_CAP:
        raise EINVAL
    return task.cred.cap_bset >> cap & 1


def _capbset_drop(task: Task, cap: int, *_: int) -> int:
    if not task.cred.cap_effective >> CAP_SETPCAP & 1:
        raise EPERM
    if cap > CAP_LAST_CAP:
        raise EINVAL
    task.cred = replace(task.cred, cap_bset=task.cred.cap_bset & ~(1 << cap))
    return 0


def _get_tsc(task: Task, addr: int, *_: int) -> int:
    on = not task.flags & PF_NOTSC
    _mm(task).write_u32(addr, uapi.PR_TSC_ENABLE if on else uapi.PR_TSC_SIGSEGV)
    return 0


def _set_tsc(task: Task, value: int, *_: int) -> int:
    if value not in (uapi.PR_TSC_ENABLE, uapi.PR_TSC_SIGSEGV):
        raise EINVAL
    set_trap(task, PF_NOTSC, value == uapi.PR_TSC_SIGSEGV)
    return 0


def _get_securebits(task: Task, *_: int) -> int:
    return task.cred.securebits


def _set_securebits(task: Task, bits: int, *_: int) -> int:
    cred = task.cred
    old = cred.securebits
    locked = (old & _LOCKS) >> 1
    if locked & (old ^ bits) or old & _LOCKS & ~bits or bits & ~(_BITS | _LOCKS):
        raise EPERM
    if not cred.cap_effective >> CAP_SETPCAP & 1:
        changed = old ^ bits
        if not changed or changed & ~(SECURE_ALL_UNPRIVILEGED | SECURE_ALL_UNPRIVILEGED << 1):
            raise EPERM
    task.cred = replace(cred, securebits=bits)
    return 0


def _set_timerslack(task: Task, value: int, *_: int) -> int:
    if not task.prio:  # real-time tasks have none
        task.timer_slack = value or task.default_timer_slack
    return 0


def _get_timerslack(task: Task, *_: int) -> int:
    return task.timer_slack - (1 << 64) if task.timer_slack >> 63 else task.timer_slack


def _set_child_subreaper(task: Task, value: int, *_: int) -> int:
    task.group.is_child_subreaper = bool(value)
    if value:
        _mark_descendants(task)
    return 0


def _mark_descendants(task: Task) -> None:
    """From now on orphans below here look for a subreaper."""
    todo = list(task.group.threads)
    while todo:
        for child in todo.pop().children:
            if not child.group.has_child_subreaper:
                child.group.has_child_subreaper = True
                todo += child.group.threads


def _get_child_subreaper(task: Task, addr: int, *_: int) -> int:
    _mm(task).write_u32(addr, int(task.group.is_child_subreaper))
    return 0


def _set_no_new_privs(task: Task, value: int, *rest: int) -> int:
    _no_args(value != 1, *rest)
    task.no_new_privs = True
    return 0


def _get_no_new_privs(task: Task, *args: int) -> int:
    _no_args(*args)
    return int(task.no_new_privs)


def _get_tid_address(task: Task, addr: int, *_: int) -> int:
    _mm(task).write_u64(addr, task.clear_child_tid)
    return 0


def _cap_ambient(task: Task, what: int, cap: int, *rest: int) -> int:
    _no_args(*rest)
    cred = task.cred
    if what == uapi.PR_CAP_AMBIENT_CLEAR_ALL:
        _no_args(cap)
        task.cred = replace(cred, cap_ambient=0)
        return 0
    if cap > CAP_LAST_CAP:
        raise EINVAL
    bit = 1 << cap
    if what == uapi.PR_CAP_AMBIENT_IS_SET:
        return int(bool(cred.cap_ambient & bit))
    if what == uapi.PR_CAP_AMBIENT_RAISE:
        no_raise = cred.securebits & SECBIT_NO_CAP_AMBIENT_RAISE
        if no_raise or not cred.cap_permitted & cred.cap_inheritable & bit:
            raise EPERM
        task.cred = replace(cred, cap_ambient=cred.cap_ambient | bit)
        return 0
    if what == uapi.PR_CAP_AMBIENT_LOWER:
        task.cred = replace(cred, cap_ambient=cred.cap_ambient & ~bit)
        return 0
    raise EINVAL


def _get_auxv(task: Task, addr: int, size: int, *rest: int) -> int:
    _no_args(*rest)
    return get_auxv(task, addr, size)


OPTIONS: Final[dict[int, Callable[[Task, int, int, int, int], int]]] = {
    uapi.PR_SET_PDEATHSIG: _set_pdeathsig,
    uapi.PR_GET_PDEATHSIG: _get_pdeathsig,
    uapi.PR_SET_PTRACER: _set_ptracer,
    uapi.PR_GET_DUMPABLE: _get_dumpable,
    uapi.PR_SET_DUMPABLE: _set_dumpable,
    uapi.PR_GET_KEEPCAPS: _get_keepcaps,
    uapi.PR_SET_KEEPCAPS: _set_keepcaps,
    uapi.PR_GET_TIMING: _get_timing,
    uapi.PR_SET_TIMING: _set_timing,
    uapi.PR_SET_NAME: _set_name,
    uapi.PR_GET_NAME: _get_name,
    uapi.PR_GET_SECCOMP: prctl_get_seccomp,
    uapi.PR_SET_SECCOMP: prctl_set_seccomp,
    uapi.PR_CAPBSET_READ: _capbset_read,
    uapi.PR_CAPBSET_DROP: _capbset_drop,
    uapi.PR_GET_TSC: _get_tsc,
    uapi.PR_SET_TSC: _set_tsc,
    uapi.PR_GET_SECUREBITS: _get_securebits,
    uapi.PR_SET_SECUREBITS: _set_securebits,
    uapi.PR_SET_TIMERSLACK: _set_timerslack,
    uapi.PR_GET_TIMERSLACK: _get_timerslack,
    uapi.PR_SET_MM: set_mm,
    uapi.PR_SET_CHILD_SUBREAPER: _set_child_subreaper,
    uapi.PR_GET_CHILD_SUBREAPER: _get_child_subreaper,
    uapi.PR_SET_NO_NEW_PRIVS: _set_no_new_privs,
    uapi.PR_GET_NO_NEW_PRIVS: _get_no_new_privs,
    uapi.PR_GET_TID_ADDRESS: _get_tid_address,
    uapi.PR_TASK_PERF_EVENTS_DISABLE: other.perf_events,
    uapi.PR_TASK_PERF_EVENTS_ENABLE: other.perf_events,
    uapi.PR_MCE_KILL: other.set_mce_kill,
    uapi.PR_MCE_KILL_GET: other.get_mce_kill,
    uapi.PR_SET_THP_DISABLE: other.set_thp_disable,
    uapi.PR_GET_THP_DISABLE: other.get_thp_disable,
    uapi.PR_SET_IO_FLUSHER: other.set_io_flusher,
    uapi.PR_GET_IO_FLUSHER: other.get_io_flusher,
    uapi.PR_GET_SPECULATION_CTRL: other.get_speculation_ctrl,
    uapi.PR_SET_SPECULATION_CTRL: other.set_speculation_ctrl,
    uapi.PR_SET_MDWE: other.set_mdwe,
    uapi.PR_GET_MDWE: other.get_mdwe,
    uapi.PR_TIMER_CREATE_RESTORE_IDS: other.timer_create_restore_ids,
    uapi.PR_CAP_AMBIENT: _cap_ambient,
    uapi.PR_GET_AUXV: _get_auxv,
    uapi.PR_SET_VMA: set_vma,
    uapi.PR_SET_SYSCALL_USER_DISPATCH: set_user_dispatch,
}
