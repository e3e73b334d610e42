# SPDX-License-Identifier: Apache-2.0
"""membarrier(2).

A guest thread that isn't running guest code has passed a full barrier when it stopped. So a
barrier on all threads means: every thread that runs guest code now must stop once. Those are
interrupted, and the caller waits until each has been through the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL, EPERM, ERESTARTNOINTR
from pygos.include.linux.syscalls import Int, UInt, syscall
from pygos.include.linux.wait import wait_on
from pygos.include.uapi import membarrier as uapi

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_REGISTER: Final = {
    uapi.MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED: uapi.MEMBARRIER_CMD_GLOBAL_EXPEDITED,
    uapi.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED,
    uapi.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: (
        uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE
    ),
    uapi.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ: (
        uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ
    ),
}
_PRIVATE: Final = (
    uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED,
    uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
    uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
)
_EVERYBODY: Final = (uapi.MEMBARRIER_CMD_GLOBAL, uapi.MEMBARRIER_CMD_GLOBAL_EXPEDITED)
_ALL: Final = (
    uapi.MEMBARRIER_CMD_GLOBAL
    | uapi.MEMBARRIER_CMD_GLOBAL_EXPEDITED
    | uapi.MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED
    | uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED
    | uapi.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
    | uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE
    | uapi.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
    | uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ
    | uapi.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ
    | uapi.MEMBARRIER_CMD_GET_REGISTRATIONS
)
#: How long to wait before looking again whether the interrupted threads have stopped, ns.
_LOOK_AGAIN: Final = 50_000


class _Barrier:
    """task.restart: the threads still in guest code, with the time each was resumed."""

    __slots__ = ("rseq", "running")

    def __init__(self, running: dict[Task, int], rseq: bool) -> None:
        self.running = running
        #: It isn't enough that they stop: their critical sections are to be restarted.
        self.rseq = rseq

    def passed(self) -> bool:
        """Has each of them stopped since?"""
        if self.rseq:
            return not any(t.on_cpu and t.rseq is not None and t.rseq.event for t in self.running)
        return not any(t.on_cpu and t.last_run == when for t, when in self.running.items())


@syscall
def membarrier(task: Task, cmd: Int, flags: UInt, cpu_id: Int) -> int:
    """A memory barrier on other threads. membarrier(2). Errors: EINVAL, EPERM (register)."""
    rseq = cmd == uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ
    if flags and not (rseq and flags == uapi.MEMBARRIER_CMD_FLAG_CPU):
        raise EINVAL
    if cmd == uapi.MEMBARRIER_CMD_QUERY:
        return _ALL
    mm = task.mm
    assert mm is not None
    if cmd == uapi.MEMBARRIER_CMD_GET_REGISTRATIONS:
        # Registering for any private kind counts as registering for the plain one.
        private = mm.membarrier & ~uapi.MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED
        plain = uapi.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
        return mm.membarrier | (plain if private else 0)
    if cmd in _REGISTER:
        mm.membarrier |= cmd
        return 0
    if cmd in _PRIVATE:
        if not mm.membarrier & _needed(cmd):
            raise EPERM
        if mm.users == 1 and cmd != uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
            return 0
    elif cmd not in _EVERYBODY:
        raise EINVAL
    return _barrier(task, cmd in _EVERYBODY, rseq, cpu_id if flags else -1)


def _needed(cmd: int) -> int:
    return next(register for register, command in _REGISTER.items() if command == cmd)


def _barrier(task: Task, everybody: bool, rseq: bool, cpu: int) -> int:
    """Wait until all threads that run now (or the one on CPU number `cpu`) have stopped once."""
    state = task.restart
    machine = task.machine
    if state is None:
        state = task.restart = _Barrier(
            {
                other: other.last_run
                for other in machine.sched.running
                if other is not task
                and (everybody or other.mm is task.mm)
                and (cpu < 0 or other.cpu_nr == cpu)
            },
            rseq,
        )
        for other in state.running:
            if rseq and other.rseq is not None:
                other.rseq.event = True
            machine.sched.kick(other)
    if state.passed():
        return 0
    deadline = machine.clock.monotonic() + _LOOK_AGAIN
    wait_on(task, deadline=deadline, restart=ERESTARTNOINTR, why="membarrier")
