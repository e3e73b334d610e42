# SPDX-License-Identifier: Apache-2.0
"""Semaphore sets: values, sleepers, and what is undone when a process ends (ipc/sem.c).

A sleeper is kept with the semaphore that stops it: only a change of that one can let it go on.
A sleeper's operations are done for it by whoever makes them possible, in the order in which the
sleepers came; when it runs again it finds the outcome in its ``SemQueue``.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

from pygos.include.errno import EAGAIN, EFBIG, EIDRM, ERANGE, Errno
from pygos.include.uapi.ipc import IPC_NOWAIT, SEM_UNDO, SEMAEM, SEMVMX
from pygos.ipc.util import IpcObject, now_seconds

if TYPE_CHECKING:
    from pygos.include.linux.sched import SemUndoList, Task
    from pygos.ipc.namespace import IpcState

#: What a semaphore costs: its value and the last process that touched it, bytes.
SEM_SIZE: Final = 6
_SET_SIZE: Final = 1024
#: What an adjustment of SEM_UNDO costs, bytes.
UNDO_SIZE: Final = 128

#: One operation: semaphore, change, flags.
SemOp = tuple[int, int, int]


class SemArray(IpcObject):
    """struct sem_array."""

    __slots__ = ("complex", "ctime", "nsems", "otime", "pids", "serial", "undos", "vals", "waiting")

    def __init__(self, task: Task, key: int, mode: int, nsems: int) -> None:
        super().__init__(task, key, mode)
        self.nsems = nsems
        self.vals = array("H", bytes(2 * nsems))
        #: The process that last changed each one; 0: none.
        self.pids = array("i", bytes(4 * nsems))
        self.otime = 0
        self.ctime = now_seconds(task)
        #: Sleepers by the semaphore that stops them, in the order of their arrival.
        self.waiting: dict[int, dict[SemQueue, None]] = {}
        #: The undo structures of processes, one each.
        self.undos: dict[SemUndo, None] = {}
        self.serial = 0
        #: Sleepers with more than one operation.
        self.complex = 0

    @property
    def cost(self) -> int:
        """Bytes of kernel memory."""
        return _SET_SIZE + SEM_SIZE * self.nsems


class SemUndo:
    """What the end of one process does to one set (struct sem_undo)."""

    __slots__ = ("adj", "owner", "sma", "state")

    def __init__(self, state: IpcState, owner: SemUndoList, sma: SemArray) -> None:
        self.state = state
        #: The list of the process, by set.
        self.owner = owner
        self.sma = sma
        #: Semaphore -> what is added to it.
        self.adj: dict[int, int] = {}

    def drop(self) -> None:
        """Give the memory back."""
        self.state.uncharge(UNDO_SIZE * (len(self.adj) + 1))
        self.adj = {}
        self.sma.undos.pop(self, None)
        self.owner.undos.pop(self.sma, None)

    def forget(self, num: int) -> None:
        """SETVAL and SETALL: nothing is undone for that semaphore."""
        if self.adj.pop(num, None) is not None:
            self.state.uncharge(UNDO_SIZE)

    def apply(self, task: Task) -> None:
        """The process ends: put back what it took."""
        sma = self.sma
        if not sma.deleted:
            for num, adj in self.adj.items():
                sma.vals[num] = min(max(sma.vals[num] + adj, 0), SEMVMX)
                sma.pids[num] = task.tgid
            if self.adj:
                sma.otime = now_seconds(task)
                update_queue(sma, list(self.adj))
        self.drop()


class SemQueue:
    """A sleeping semop(2); its task.restart."""

    __slots__ = ("deadline", "error", "num", "ops", "serial", "sma", "task", "undo")

    def __init__(self, task: Task, sma: SemArray, ops: list[SemOp], undo: SemUndo | None) -> None:
        self.task = task
        self.sma = sma
        self.ops = ops
        self.undo = undo
        #: Set when it is over: None for success, or the error.
        self.error: type[Errno] | bool | None = False
        #: The semaphore that stops it.
        self.num = 0
        self.serial = 0
        self.deadline: int | None = None

    @property
    def done(self) -> bool:
        return self.error is not False


def perform_ops(sma: SemArray, queue: SemQueue) -> bool:
    """Do all operations at once, or none: False if they must wait (for `queue.num`).

    Errors: EAGAIN (IPC_NOWAIT), ERANGE.
    """
    ops, vals = queue.ops, sma.vals
    new: dict[int, int] = {}
    for num, change, flags in ops:
        value = new.get(num)
        if value is None:
            value = vals[num]
        if change == 0:
            blocked = value != 0
        else:
            value += change
            blocked = value < 0
        if blocked:
            queue.num = num
            if flags & IPC_NOWAIT:
                raise EAGAIN
            return False
        if value > SEMVMX:
            raise ERANGE
        new[num] = value
    if queue.undo is not None:
        _note_undo(queue.undo, ops)
    pid = queue.task.tgid
    for num, value in new.items():
        vals[num] = value
        sma.pids[num] = pid
    return True


def _note_undo(undo: SemUndo, ops: list[SemOp]) -> None:
    """Remember the opposite of the operations that have SEM_UNDO. ERANGE, ENOMEM."""
    adj: dict[int, int] = {}
    for num, change, flags in ops:
        if flags & SEM_UNDO and change:
            left = adj.get(num, undo.adj.get(num, 0)) - change
            if not -SEMAEM - 1 <= left <= SEMAEM:
                raise ERANGE
            adj[num] = left
    undo.state.charge(UNDO_SIZE * len(adj.keys() - undo.adj.keys()))
    undo.adj.update(adj)


def enqueue(sma: SemArray, queue: SemQueue) -> None:
    """The operations must wait for ``queue.num``."""
    if not queue.serial:
        sma.serial += 1
        queue.serial = sma.serial
    sma.complex += len(queue.ops) > 1
    waiters = sma.waiting.setdefault(queue.num, {})
    last = next(reversed(waiters), None)
    waiters[queue] = None
    if last is not None and last.serial > queue.serial:
        sma.waiting[queue.num] = dict.fromkeys(sorted(waiters, key=_by_serial))


def dequeue(sma: SemArray, queue: SemQueue, num: int | None = None) -> None:
    """The sleeper gives up, is served, or waits for another semaphore than `num` now."""
    place = queue.num if num is None else num
    waiters = sma.waiting.get(place)
    if waiters is not None and queue in waiters:
        sma.complex -= len(queue.ops) > 1
        del waiters[queue]
        if not waiters:
            del sma.waiting[place]


def _by_serial(queue: SemQueue) -> int:
    return queue.serial


def update_queue(sma: SemArray, changed: list[int]) -> None:
    """Values have changed: let sleepers go on as far as they can, the oldest first."""
    todo = set(changed)
    while todo:
        todo = _serve(sma, todo)


def _serve(sma: SemArray, nums: set[int]) -> set[int]:
    """Go through the sleepers of some semaphores; the semaphores to look at again then."""
    queues = [queue for num in nums for queue in sma.waiting.get(num, ())]
    if len(nums) > 1:
        queues.sort(key=_by_serial)
    # Those who wait for zero only look, so they go first.
    queues.sort(key=_alters)
    for queue in queues:
        if not queue.task.alive:
            dequeue(sma, queue)
            continue
        before = {op[0]: sma.vals[op[0]] for op in queue.ops}
        num = queue.num
        try:
            if not perform_ops(sma, queue):
                if queue.num != num:
                    dequeue(sma, queue, num)
                    enqueue(sma, queue)
                continue
        except Errno as error:
            _finish(sma, queue, num, type(error))
            continue
        _finish(sma, queue, num, None)
        changed = [n for n, old in before.items() if _matters(sma, old, sma.vals[n])]
        if changed:
            # Those before it may be able to go on now: begin anew.
            return nums.union(changed)
    return set()


def _matters(sma: SemArray, old: int, new: int) -> bool:
    """Can the change of a value let others go on? Less helps only those who want zero."""
    return new > old or (new != old and (new == 0 or sma.complex > 0))


def _alters(queue: SemQueue) -> bool:
    return any(op[1] for op in queue.ops)


def _finish(sma: SemArray, queue: SemQueue, num: int, error: type[Errno] | None) -> None:
    """A sleeper has its outcome: wake it."""
    dequeue(sma, queue, num)
    queue.error = error
    if error is None:
        sma.otime = now_seconds(queue.task)
    queue.task.machine.sched.wake_up(queue.task)


def count_waiters(sma: SemArray, num: int, zero: bool) -> int:
    """GETNCNT, GETZCNT: who sleeps because of this semaphore, as things are now."""
    count = 0
    for waiters in sma.waiting.values():
        for queue in waiters:
            stop = _stopped_by(sma, queue.ops)
            if stop is not None and stop[0] == num and (stop[1] == 0) is zero:
                count += queue.task.alive
    return count


def _stopped_by(sma: SemArray, ops: list[SemOp]) -> SemOp | None:
    """The first operation that can't be done."""
    new: dict[int, int] = {}
    for op in ops:
        num, change, _ = op
        value = new.get(num, sma.vals[num])
        if value + change < 0 or (change == 0 and value):
            return op
        new[num] = value + change
    return None


def free_array(sma: SemArray) -> None:
    """The set is removed: sleepers get EIDRM, nothing is left to undo."""
    for waiters in tuple(sma.waiting.values()):
        for queue in tuple(waiters):
            queue.error = EIDRM
            queue.task.machine.sched.wake_up(queue.task)
    sma.waiting.clear()
    sma.complex = 0
    for undo in tuple(sma.undos):
        undo.drop()


def check_numbers(sma: SemArray, ops: list[SemOp]) -> None:
    """EFBIG for a semaphore that the set doesn't have."""
    if max(op[0] for op in ops) >= sma.nsems:
        raise EFBIG
