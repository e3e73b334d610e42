# SPDX-License-Identifier: Apache-2.0
"""seccomp(2), the seccomp options of prctl(2), and what ptrace(2) tells of filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import (
    EACCES,
    EBUSY,
    EINVAL,
    ENOENT,
    ENOMEM,
    EOPNOTSUPP,
    ESRCH,
    Errno,
)
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.syscalls import UInt, UserAddr, syscall
from pygos.include.uapi import seccomp as uapi
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.filter import BPF_MAXINSNS

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.seccomp import Seccomp, SeccompFilter

_TSYNC: Final = uapi.SECCOMP_FILTER_FLAG_TSYNC
_TSYNC_ESRCH: Final = uapi.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
_NEW_LISTENER: Final = uapi.SECCOMP_FILTER_FLAG_NEW_LISTENER
_WAIT_KILLABLE: Final = uapi.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
_ALL_FLAGS: Final = (
    _TSYNC
    | uapi.SECCOMP_FILTER_FLAG_LOG
    | uapi.SECCOMP_FILTER_FLAG_SPEC_ALLOW
    | _NEW_LISTENER
    | _TSYNC_ESRCH
    | _WAIT_KILLABLE
)
#: The programs of a chain may have so many instructions; each but the newest counts 4 more.
_MAX_INSNS_PER_PATH: Final = (1 << 18) // 8
_PENALTY: Final = 4
_INSN_SIZE: Final = 8
#: struct seccomp_notif, seccomp_notif_resp, seccomp_data.
_NOTIF_SIZES: Final = (80, 24, 64)
_EXITING: Final = 5  # from TaskState.ZOMBIE on


@syscall
def seccomp(task: Task, operation: UInt, flags: UInt, args: UserAddr) -> int:
    """Restrict the calls that a thread may make from now on. seccomp(2).

    Errors: EACCES without no_new_privs or CAP_SYS_ADMIN; EBUSY for a second listener; EFAULT;
    EINVAL; ENOMEM for too long a chain; EOPNOTSUPP for unknown actions; ESRCH.
    """
    if operation == uapi.SECCOMP_SET_MODE_STRICT:
        if flags or args:
            raise EINVAL
        return set_strict(task)
    if operation == uapi.SECCOMP_SET_MODE_FILTER:
        return set_filter(task, flags, args)
    if operation == uapi.SECCOMP_GET_ACTION_AVAIL:
        return _action_avail(task, flags, args)
    if operation == uapi.SECCOMP_GET_NOTIF_SIZES:
        if flags:
            raise EINVAL
        assert task.mm is not None
        sizes = uapi.SeccompNotifSizes(*_NOTIF_SIZES)
        task.mm.write(args, sizes.to_bytes())
        return 0
    raise EINVAL


def _action_avail(task: Task, flags: int, addr: int) -> int:
    from pygos.kernel.seccomp import ACTION_NAMES

    if flags:
        raise EINVAL
    assert task.mm is not None
    if task.mm.read_u32(addr) not in ACTION_NAMES:
        raise EOPNOTSUPP
    return 0


def prctl_set_seccomp(task: Task, mode: int, filter: int, *_: int) -> int:
    """PR_SET_SECCOMP."""
    if mode == uapi.SECCOMP_MODE_STRICT:
        return set_strict(task)
    if mode == uapi.SECCOMP_MODE_FILTER:
        return set_filter(task, 0, filter)
    raise EINVAL


def prctl_get_seccomp(task: Task, *_: int) -> int:
    """PR_GET_SECCOMP: the mode (who is in strict mode doesn't live to be told)."""
    return task.seccomp.mode if task.seccomp is not None else 0


def _may_assign(task: Task, mode: int) -> bool:
    return task.seccomp is None or task.seccomp.mode == mode


def set_strict(task: Task) -> int:
    """Strict mode: read, write, exit and sigreturn are left; the TSC is off limits too."""
    from pygos.include.linux.sched import PF_NOTSC
    from pygos.kernel.cpu_traps import set_trap
    from pygos.kernel.seccomp import Seccomp, set_mode

    if not _may_assign(task, uapi.SECCOMP_MODE_STRICT):
        raise EINVAL
    set_trap(task, PF_NOTSC, True)
    set_mode(task, Seccomp(uapi.SECCOMP_MODE_STRICT))
    return 0


def set_filter(task: Task, flags: int, addr: int) -> int:
    """Attach a filter. 0, the listener's descriptor, or the thread that TSYNC failed for."""
    if flags & ~_ALL_FLAGS:
        raise EINVAL
    if flags & _TSYNC and flags & _NEW_LISTENER and not flags & _TSYNC_ESRCH:
        raise EINVAL
    if flags & _WAIT_KILLABLE and not flags & _NEW_LISTENER:
        raise EINVAL
    filter = _prepare(task, addr)
    if not flags & _NEW_LISTENER:
        return _attach(task, filter, flags)
    hooks = task.machine.fs_hooks
    fd = hooks.seccomp_listener(task, filter)
    try:
        failed = _attach(task, filter, flags)
    except Errno:
        filter.notif = None
        hooks.close_fd(task, fd)
        raise
    assert not failed
    return fd


def _prepare(task: Task, addr: int) -> SeccompFilter:
    """Copy the program and check it. EFAULT, EINVAL, EACCES."""
    from pygos.kernel.seccomp import DATA_SIZE, SeccompFilter
    from pygos.lib.cbpf import check, parse

    assert task.mm is not None
    fprog = uapi.SockFprog.from_bytes(task.mm.read(addr, uapi.SockFprog.SIZE))
    if not 0 < fprog.len <= BPF_MAXINSNS:
        raise EINVAL
    if not task.no_new_privs and not task.cred.cap_effective >> CAP_SYS_ADMIN & 1:
        raise EACCES
    prog = bytes(task.mm.read(fprog.filter, fprog.len * _INSN_SIZE))
    if not check(parse(prog), DATA_SIZE):
        raise EINVAL
    return SeccompFilter(prog, task.seccomp.filter if task.seccomp is not None else None)


def _attach(task: Task, filter: SeccompFilter, flags: int) -> int:
    from pygos.kernel.seccomp import Seccomp, set_mode

    if not _may_assign(task, uapi.SECCOMP_MODE_FILTER):
        raise EINVAL
    _check_chain(filter)
    if flags & _TSYNC:
        thread = _cannot_sync(task)
        if thread is not None:
            if flags & _TSYNC_ESRCH:
                raise ESRCH
            return pid_vnr(task, thread.pid)
    filter.log = bool(flags & uapi.SECCOMP_FILTER_FLAG_LOG)
    filter.wait_killable = bool(flags & _WAIT_KILLABLE)
    count = task.seccomp.count if task.seccomp is not None else 0
    # The task's use of the older filter becomes the newer filter's.
    set_mode(task, Seccomp(uapi.SECCOMP_MODE_FILTER, filter, count + 1))
    if flags & _TSYNC:
        _sync_threads(task)
    return 0


def _check_chain(filter: SeccompFilter) -> None:
    """One listener, and no more instructions than a call should cost. EBUSY, ENOMEM."""
    total = filter.length
    older = filter.prev
    while older is not None:
        if filter.notif is not None and older.notif is not None:
            raise EBUSY
        total += older.length + _PENALTY
        older = older.prev
    if total > _MAX_INSNS_PER_PATH:
        raise ENOMEM


def _other_threads(task: Task) -> list[Task]:
    return [t for t in task.group.threads if t is not task and t.state < _EXITING]


def _cannot_sync(task: Task) -> Task | None:
    """A thread whose filters aren't ones that the caller had too."""
    for thread in _other_threads(task):
        state = thread.seccomp
        if state is None:
            continue
        if state.mode != uapi.SECCOMP_MODE_FILTER or not _is_ancestor(state, task.seccomp):
            return thread
    return None


def _is_ancestor(older: Seccomp, newer: Seccomp | None) -> bool:
    filter = newer.filter if newer is not None else None
    while filter is not None:
        if filter is older.filter:
            return True
        filter = filter.prev
    return older.filter is None


def _sync_threads(task: Task) -> None:
    """All threads get the caller's filters, and its promise of no new privileges."""
    from pygos.kernel.seccomp import put_users, set_mode

    state = task.seccomp
    for thread in _other_threads(task):
        old = thread.seccomp
        state.filter.users += 1
        set_mode(thread, state)
        if old is not None:
            put_users(old.filter)
        if task.no_new_privs:
            thread.no_new_privs = True


def get_filter(task: Task, target: Task, offset: int) -> SeccompFilter:
    """The filter of a traced task by number, 0 the oldest. EACCES, EINVAL, ENOENT."""
    state = target.seccomp
    if not task.cred.capable(CAP_SYS_ADMIN) or task.seccomp is not None:
        raise EACCES
    if state is None or state.mode != uapi.SECCOMP_MODE_FILTER:
        raise EINVAL
    if offset >= state.count:
        raise ENOENT
    filter: SeccompFilter = state.filter
    for _ in range(state.count - offset - 1):
        assert filter.prev is not None
        filter = filter.prev
    return filter


def ptrace_get_filter(task: Task, target: Task, offset: int, addr: int) -> int:
    """PTRACE_SECCOMP_GET_FILTER: its number of instructions; copied out unless `addr` is 0."""
    filter = get_filter(task, target, offset)
    if addr:
        assert task.mm is not None
        task.mm.write(addr, filter.prog)
    return len(filter.prog) // _INSN_SIZE


def ptrace_get_metadata(task: Task, target: Task, size: int, addr: int) -> int:
    """PTRACE_SECCOMP_GET_METADATA: u64 filter_off (in), u64 flags (out). EINVAL, EFAULT."""
    state = target.seccomp
    if not task.cred.capable(CAP_SYS_ADMIN) or task.seccomp is not None:
        raise EACCES
    if size < 8:
        raise EINVAL
    assert task.mm is not None
    offset = task.mm.read_u64(addr)
    if state is None:
        raise EINVAL
    filter = get_filter(task, target, offset)
    flags = uapi.SECCOMP_FILTER_FLAG_LOG if filter.log else 0
    size = min(size, 16)
    data = offset.to_bytes(8, "little") + flags.to_bytes(8, "little")
    task.mm.write(addr, data[:size])
    return size


# -- forking, exiting: only called for tasks that have a state


def seccomp_fork(child: Task) -> None:
    """A child shares its parent's filters."""
    filter = child.seccomp.filter
    if filter is not None:
        filter.users += 1


def seccomp_release(task: Task) -> None:
    """A task exits: it gives its filters up (seccomp_filter_release)."""
    from pygos.kernel.seccomp import Seccomp, put_users
    from pygos.kernel.seccomp_notify import forget_waiting

    state = task.seccomp
    if state.filter is not None:
        forget_waiting(task)
        task.seccomp = Seccomp(state.mode)
        put_users(state.filter)
