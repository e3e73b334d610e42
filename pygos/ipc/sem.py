# SPDX-License-Identifier: Apache-2.0
"""semget(2), semop(2), semtimedop(2), semctl(2). The sets are ipc/semarray.py's."""

from __future__ import annotations

from array import array
from struct import Struct
from typing import TYPE_CHECKING, cast

from pygos.include.errno import E2BIG, EAGAIN, EINTR, EINVAL, ENOSPC, ERANGE
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.sched import SemUndoList
from pygos.include.linux.syscalls import Flags, InOrNull, Int, Size, UserAddr, syscall
from pygos.include.linux.wait import wait_on
from pygos.include.uapi.ipc import (
    GETALL,
    GETNCNT,
    GETPID,
    GETVAL,
    GETZCNT,
    IPC_INFO,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    SEM_INFO,
    SEM_STAT,
    SEM_STAT_ANY,
    SEM_UNDO,
    SEMAEM,
    SEMMAP,
    SEMMNU,
    SEMUME,
    SEMUSZ,
    SEMVMX,
    SETALL,
    SETVAL,
    Semid64Ds,
    Seminfo,
)
from pygos.include.uapi.time import Timespec
from pygos.ipc.namespace import IpcNamespace, ipc_ns, ipc_state
from pygos.ipc.semarray import (
    UNDO_SIZE,
    SemArray,
    SemOp,
    SemQueue,
    SemUndo,
    check_numbers,
    count_waiters,
    dequeue,
    enqueue,
    free_array,
    perform_ops,
    update_queue,
)
from pygos.ipc.util import (
    S_IRUGO,
    S_IWUGO,
    IpcObject,
    check_owner,
    fill_perm,
    ipcget,
    ipcperms,
    now_seconds,
    update_perm,
)
from pygos.kernel.time.timespec import timespec_ns

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: struct sembuf.
_ONE = Struct("<Hhh")
_OF_ONE = (GETVAL, GETPID, GETNCNT, GETZCNT)


# -- semget


@syscall
def semget(task: Task, key: Int, nsems: Int, semflg: Flags) -> int:
    """The id of a semaphore set. semget(2).

    Errors: EINVAL, ENOENT, EEXIST, EACCES, ENOSPC, ENOMEM.
    """
    ns = ipc_ns(task)
    if not 0 <= nsems <= ns.semmsl:
        raise EINVAL
    return ipcget(task, ns, ns.sem, key, semflg, _new_array, _check_size, nsems)


def _check_size(obj: IpcObject, nsems: int) -> None:
    if nsems > cast("SemArray", obj).nsems:
        raise EINVAL


def _new_array(task: Task, ns: IpcNamespace, key: int, flags: int, nsems: int) -> SemArray:
    if not nsems:
        raise EINVAL
    if ns.used_sems + nsems > ns.semmns:
        raise ENOSPC
    state = ipc_state(task.machine)
    sma = SemArray(task, key, flags, nsems)
    state.charge(sma.cost)
    try:
        ns.sem.add(sma)
    except ENOSPC:
        state.uncharge(sma.cost)
        raise
    ns.used_sems += nsems
    return sma


def remove_array(machine: Machine, ns: IpcNamespace, sma: SemArray) -> None:
    """IPC_RMID, and the end of a namespace."""
    ns.sem.remove(sma)
    ns.used_sems -= sma.nsems
    ipc_state(machine).uncharge(sma.cost)
    free_array(sma)


def sem_obtain(ns: IpcNamespace, semid: int) -> SemArray:
    """The set with an id. EINVAL."""
    return cast("SemArray", ns.sem.by_id(semid))


# -- semop


@syscall
def semop(task: Task, semid: Int, tsops: UserAddr, nsops: Size) -> int:
    """Operate on semaphores of a set, all at once. semop(2).

    Errors: EINVAL, E2BIG, EFAULT, EFBIG, EACCES, EAGAIN, ERANGE, EIDRM, EINTR, ENOMEM.
    """
    return _do_semop(task, semid, tsops, nsops & 0xFFFF_FFFF, None)


@syscall
def semtimedop(
    task: Task, semid: Int, tsops: UserAddr, nsops: Size, timeout: InOrNull[Timespec]
) -> int:
    """As semop(2), for a limited time: EAGAIN then. semtimedop(2)."""
    return _do_semop(task, semid, tsops, nsops & 0xFFFF_FFFF, timeout)


def _do_semop(task: Task, semid: int, tsops: int, nsops: int, timeout: Timespec | None) -> int:
    queue = task.restart
    if queue is not None:
        assert isinstance(queue, SemQueue)
        return _resume(task, queue)
    ns = ipc_ns(task)
    if nsops > ns.semopm:
        raise E2BIG
    if nsops < 1:
        raise EINVAL
    assert task.mm is not None
    data = task.mm.read(tsops, 6 * nsops)
    if nsops == 1 and timeout is None and _simple_op(task, ns, semid, *_ONE.unpack(data)):
        return 0
    ops: list[SemOp] = list(_ONE.iter_unpack(data))
    if semid < 0:
        raise EINVAL
    limit = timespec_ns(timeout) if timeout is not None else None
    sma = sem_obtain(ns, semid)
    undo = None
    if any(op[2] & SEM_UNDO for op in ops):
        undo = _find_undo(task, sma)
    check_numbers(sma, ops)
    ipcperms(task, ns, sma, S_IWUGO if any(op[1] for op in ops) else S_IRUGO)
    queue = SemQueue(task, sma, ops, undo)
    if perform_ops(sma, queue):
        sma.otime = now_seconds(task)
        if sma.waiting:
            update_queue(sma, [op[0] for op in ops if op[1]])
        return 0
    if limit is not None:
        queue.deadline = task.machine.clock.monotonic() + limit
    enqueue(sma, queue)
    task.restart = queue
    return _resume(task, queue)


def _simple_op(task: Task, ns: IpcNamespace, semid: int, num: int, change: int, flags: int) -> bool:
    """One operation that can be done at once, nothing to be undone: the usual case.

    False, with nothing done, if it isn't that simple.
    """
    if semid < 0 or flags & SEM_UNDO:
        return False
    sma = sem_obtain(ns, semid)
    if num >= sma.nsems:
        return False
    ipcperms(task, ns, sma, S_IWUGO if change else S_IRUGO)
    value = sma.vals[num] + change
    if not 0 <= value <= SEMVMX or (not change and value):
        return False
    sma.vals[num] = value
    sma.pids[num] = task.tgid
    sma.otime = now_seconds(task)
    if change and sma.waiting:
        update_queue(sma, [num])
    return True


def _resume(task: Task, queue: SemQueue) -> int:
    """A sleeper runs again: it was served, or a signal came, or time is up."""
    if queue.done:
        error = queue.error
        if error is None:
            return 0
        raise error  # type: ignore[misc]
    deadline = queue.deadline
    if task.signal_pending():
        dequeue(queue.sma, queue)
        raise EINTR
    if deadline is not None and task.machine.clock.monotonic() >= deadline:
        dequeue(queue.sma, queue)
        raise EAGAIN
    wait_on(task, deadline=deadline, why="do_semtimedop")


def _find_undo(task: Task, sma: SemArray) -> SemUndo:
    """The undo structure of the process for a set, made at the first use. ENOMEM."""
    owner = task.sysvsem
    if owner is None:
        owner = task.sysvsem = SemUndoList()
    undo: SemUndo | None = owner.undos.get(sma)
    if undo is None:
        state = ipc_state(task.machine)
        state.charge(UNDO_SIZE)
        undo = owner.undos[sma] = SemUndo(state, owner, sma)
        sma.undos[undo] = None
    return undo


# -- semctl


@syscall
def semctl(task: Task, semid: Int, semnum: Int, cmd: Int, arg: UserAddr) -> int:
    """Ask about, set or remove a semaphore set. semctl(2).

    Errors: EINVAL, EACCES, EPERM, ERANGE, EFAULT, EIDRM.
    """
    if semid < 0:
        raise EINVAL
    ns = ipc_ns(task)
    if cmd in (IPC_INFO, SEM_INFO):
        return _info(task, ns, cmd, arg)
    if cmd in (IPC_STAT, SEM_STAT, SEM_STAT_ANY):
        return _stat(task, ns, semid, cmd, arg)
    if cmd == SETVAL:
        return _setval(task, ns, semid, semnum, ((arg & 0xFFFF_FFFF) ^ 0x8000_0000) - 0x8000_0000)
    if cmd in (GETALL, SETALL):
        return _getall(task, ns, semid, arg) if cmd == GETALL else _setall(task, ns, semid, arg)
    if cmd in _OF_ONE:
        return _get_one(task, ns, semid, semnum, cmd)
    if cmd in (IPC_SET, IPC_RMID):
        return _down(task, ns, semid, cmd, arg)
    raise EINVAL


def _info(task: Task, ns: IpcNamespace, cmd: int, arg: int) -> int:
    info = Seminfo()
    info.semmni, info.semmns, info.semmsl, info.semopm = (
        ns.sem.limit, ns.semmns, ns.semmsl, ns.semopm,
    )  # fmt: skip
    info.semvmx, info.semmnu, info.semmap, info.semume = SEMVMX, SEMMNU, SEMMAP, SEMUME
    if cmd == SEM_INFO:
        info.semusz, info.semaem = len(ns.sem), ns.used_sems
    else:
        info.semusz, info.semaem = SEMUSZ, SEMAEM
    assert task.mm is not None
    task.mm.write(arg, info.to_bytes())
    return max(ns.sem.max_idx, 0)


def _stat(task: Task, ns: IpcNamespace, semid: int, cmd: int, arg: int) -> int:
    sma = cast("SemArray", (ns.sem.by_id if cmd == IPC_STAT else ns.sem.by_index)(semid))
    if cmd != SEM_STAT_ANY:
        ipcperms(task, ns, sma, S_IRUGO)
    ds = Semid64Ds()
    ds.sem_perm = fill_perm(task, sma)
    ds.sem_otime, ds.sem_ctime, ds.sem_nsems = sma.otime, sma.ctime, sma.nsems
    assert task.mm is not None
    task.mm.write(arg, ds.to_bytes())
    return 0 if cmd == IPC_STAT else sma.id


def _setval(task: Task, ns: IpcNamespace, semid: int, semnum: int, value: int) -> int:
    if not 0 <= value <= SEMVMX:
        raise ERANGE
    sma = sem_obtain(ns, semid)
    if not 0 <= semnum < sma.nsems:
        raise EINVAL
    ipcperms(task, ns, sma, S_IWUGO)
    for undo in sma.undos:
        undo.forget(semnum)
    sma.vals[semnum] = value
    sma.pids[semnum] = task.tgid
    sma.ctime = now_seconds(task)
    update_queue(sma, [semnum])
    return 0


def _getall(task: Task, ns: IpcNamespace, semid: int, arg: int) -> int:
    sma = sem_obtain(ns, semid)
    ipcperms(task, ns, sma, S_IRUGO)
    assert task.mm is not None
    task.mm.write(arg, sma.vals.tobytes())
    return 0


def _setall(task: Task, ns: IpcNamespace, semid: int, arg: int) -> int:
    sma = sem_obtain(ns, semid)
    ipcperms(task, ns, sma, S_IWUGO)
    assert task.mm is not None
    values = array("H", task.mm.read(arg, 2 * sma.nsems))
    if max(values) > SEMVMX:
        raise ERANGE
    sma.vals = values
    sma.pids = array("i", [task.tgid]) * sma.nsems
    for undo in sma.undos:
        for num in tuple(undo.adj):
            undo.forget(num)
    sma.ctime = now_seconds(task)
    update_queue(sma, sorted(sma.waiting))
    return 0


def _get_one(task: Task, ns: IpcNamespace, semid: int, semnum: int, cmd: int) -> int:
    sma = sem_obtain(ns, semid)
    ipcperms(task, ns, sma, S_IRUGO)
    if not 0 <= semnum < sma.nsems:
        raise EINVAL
    if cmd == GETVAL:
        return sma.vals[semnum]
    if cmd == GETPID:
        return pid_vnr(task, sma.pids[semnum])
    return count_waiters(sma, semnum, cmd == GETZCNT)


def _down(task: Task, ns: IpcNamespace, semid: int, cmd: int, arg: int) -> int:
    """IPC_SET and IPC_RMID."""
    ds = None
    if cmd == IPC_SET:
        assert task.mm is not None
        ds = Semid64Ds.from_bytes(task.mm.read(arg, Semid64Ds.SIZE))
    sma = sem_obtain(ns, semid)
    check_owner(task, ns, sma)
    if ds is None:
        remove_array(task.machine, ns, sma)
    else:
        update_perm(task, sma, ds.sem_perm)
        sma.ctime = now_seconds(task)
    return 0
