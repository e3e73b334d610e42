# SPDX-License-Identifier: Apache-2.0
"""membarrier(2), and rseq(2), which isn't there.

A guest thread that isn't running guest code has passed a full barrier when it stopped. So a
barrier on all threads means: every thread that runs guest code now must stop once. Those are
interrupted, and the caller waits until each has been through the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL, ENOSYS, EPERM, ERESTARTNOINTR
from pygos.include.linux.syscalls import Int, UInt, UserAddr, syscall
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
}
_PRIVATE: Final = (
    uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED,
    uapi.MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
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
    | uapi.MEMBARRIER_CMD_GET_REGISTRATIONS
)
#: How long to wait before looking again whether the interrupted threads have stopped, ns.
_LOOK_AGAIN: Final = 50_000


class _Barrier:
    """task.restart: the threads still in guest code, with the time each was resumed."""

    __slots__ = ("running",)

    def __init__(self, running: dict[Task, int]) -> None:
        self.running = running

    def passed(self) -> bool:
        """Has each of them stopped since?"""
        return not any(t.on_cpu and t.last_run == when for t, when in self.running.items())


@syscall(partial="the RSEQ commands are refused with EINVAL, as without CONFIG_RSEQ")
def membarrier(task: Task, cmd: Int, flags: UInt, cpu_id: Int) -> int:
    """A memory barrier on other threads. membarrier(2). Errors: EINVAL, EPERM (register)."""
    if flags:
        raise EINVAL
    if cmd == uapi.MEMBARRIER_CMD_QUERY:
        return _ALL
    group = task.group
    if cmd == uapi.MEMBARRIER_CMD_GET_REGISTRATIONS:
        return group.membarrier
    if cmd in _REGISTER:
        group.membarrier |= cmd
        return 0
    if cmd in _PRIVATE:
        if not group.membarrier & _needed(cmd):
            raise EPERM
    elif cmd not in _EVERYBODY:
        raise EINVAL
    return _barrier(task, cmd in _EVERYBODY)


def _needed(cmd: int) -> int:
    return next(register for register, command in _REGISTER.items() if command == cmd)


def _barrier(task: Task, everybody: bool) -> int:
    state = task.restart
    machine = task.machine
    if state is None:
        state = task.restart = _Barrier(
            {
                other: other.last_run
                for other in machine.pids.tasks.values()
                if other.on_cpu and other is not task and (everybody or other.mm is task.mm)
            }
        )
        for other in state.running:
            machine.sched.kick(other)
    if state.passed():
        return 0
    deadline = machine.clock.monotonic() + _LOOK_AGAIN
    wait_on(task, deadline=deadline, restart=ERESTARTNOINTR, why="membarrier")


@syscall(partial="restartable sequences aren't supported; the C library does without")
def rseq(task: Task, area: UserAddr, length: UInt, flags: Int, sig: UInt) -> int:
    """Register restartable sequences: ENOSYS, as without CONFIG_RSEQ. rseq(2)."""
    raise ENOSYS
