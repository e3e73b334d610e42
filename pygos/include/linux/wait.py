# SPDX-License-Identifier: Apache-2.0
"""Wait queues and the only way to sleep.

The kernel has one thread and no kernel stacks. A call that must wait calls ``wait_on()``,
which raises ``WouldSleep`` out of the handler; ``kernel/entry.py`` puts the task to sleep on
the queues. When one of them is woken *the same call is invoked again* with the same
registers. What the call has done so far (bytes moved, an absolute deadline) must be kept in
``task.restart`` (any plain object; None when a call starts), never in a Python frame.

    def read(task, pipe, buf):
        if pipe.empty():
            if nonblocking: raise EAGAIN
            wait_on(task, pipe.readers)          # never returns
        ...

``wait_on`` raises the given restart error instead of sleeping when a signal is pending, so a
handler that has moved some bytes must not call it but return them (see fs/pipe.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

from pygos.include.errno import ERESTARTSYS, Restart

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


class WouldSleep(Exception):
    """The handler must be invoked again after a wake-up. Not an error; never catch it."""


class Waiter(Protocol):
    """What may stand in a queue: a Task, an epoll item, a kernel object that wants to know."""

    def wake(self, queue: WaitQueue, key: int) -> None:
        """`queue` was woken; `key` is a poll mask (0: unknown). Must not raise."""


class WaitQueue:
    """Waiters in order of arrival. ``key`` passes the poll mask of the event, 0 if unknown."""

    __slots__ = ("waiters",)

    def __init__(self) -> None:
        self.waiters: dict[Waiter, None] = {}

    def add(self, waiter: Waiter) -> None:
        self.waiters[waiter] = None

    def remove(self, waiter: Waiter) -> None:
        self.waiters.pop(waiter, None)

    def wake_all(self, key: int = 0) -> None:
        if self.waiters:
            for waiter in tuple(self.waiters):
                waiter.wake(self, key)

    def wake(self, count: int, key: int = 0) -> int:
        """Wake up to `count` waiters in order; returns how many were."""
        woken = tuple(self.waiters)[:count] if self.waiters else ()
        for waiter in woken:
            waiter.wake(self, key)
        return len(woken)


def wait_on(
    task: Task,
    *queues: WaitQueue,
    deadline: int | None = None,
    restart: type[Restart] = ERESTARTSYS,
    why: str = "",
) -> NoReturn:
    """Sleep until a queue is woken, a signal comes or `deadline` (monotonic ns) passes.

    Never returns: the handler is invoked again. The caller checks the deadline itself at the
    next invocation (``task.machine.clock.monotonic() >= deadline``). `restart` says what
    happens if a signal interrupts: ERESTARTSYS, ERESTARTNOHAND, ERESTART_RESTARTBLOCK, or
    raise EINTR yourself when ``task.signal_pending()``. `why` is shown in /proc/PID/wchan.
    """
    if task.signal_pending():
        raise restart
    for queue in queues:
        queue.waiters[task] = None
    task.waiting = queues
    task.wait_deadline = deadline
    task.wchan = why
    raise WouldSleep


def wait_killable(task: Task, *queues: WaitQueue, why: str = "") -> NoReturn:
    """Sleep until a queue is woken; of signals only SIGKILL ends it (TASK_KILLABLE)."""
    if task.fatal_signal_pending():
        raise ERESTARTSYS
    for queue in queues:
        queue.waiters[task] = None
    task.waiting = queues
    task.wait_deadline = None
    task.wait_killable = True
    task.wchan = why
    raise WouldSleep
