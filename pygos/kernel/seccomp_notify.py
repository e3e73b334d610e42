# SPDX-License-Identifier: Apache-2.0
"""SECCOMP_RET_USER_NOTIF: a call waits until the program that holds the filter's listener
answers for it. seccomp_unotify(2). The listener's descriptor is in fs/seccomp.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import ENOSYS, ERESTARTSYS
from pygos.include.linux.wait import WaitQueue, wait_killable, wait_on
from pygos.include.uapi.poll import POLLIN, POLLRDNORM
from pygos.include.uapi.seccomp import SECCOMP_USER_NOTIF_FLAG_CONTINUE

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.kernel.seccomp import SeccompFilter

#: Not yet read by the listener; read; answered.
INIT, SENT, REPLIED = range(3)


class Notification:
    """One call that waits (struct seccomp_knotif)."""

    __slots__ = ("data", "error", "filter", "flags", "id", "queue", "state", "task", "val")

    def __init__(self, task: Task, filter: SeccompFilter, number: int, data: bytes) -> None:
        self.task = task
        self.filter = filter
        #: The cookie that the listener knows it by.
        self.id = number
        #: struct seccomp_data.
        self.data = data
        self.state = INIT
        self.error = 0
        self.val = 0
        self.flags = 0
        #: The caller waits here.
        self.queue = WaitQueue()

    def reply(self, error: int, val: int, flags: int) -> None:
        """Answer: the caller goes on."""
        self.state = REPLIED
        self.error, self.val, self.flags = error, val, flags
        self.queue.wake_all()


class Notifier:
    """What a listener has to answer (struct notification)."""

    __slots__ = ("flags", "next_id", "waiting")

    def __init__(self, next_id: int) -> None:
        #: By id, in the order of arrival.
        self.waiting: dict[int, Notification] = {}
        self.next_id = next_id
        #: SECCOMP_USER_NOTIF_FD_*.
        self.flags = 0

    def close(self) -> None:
        """The listener is gone: whoever waits gets ENOSYS."""
        for item in self.waiting.values():
            if item.state != REPLIED:
                item.reply(-ENOSYS.errno, 0, 0)


def ask_listener(task: Task, filter: SeccompFilter) -> int | None:
    """Wait for the answer of the listener. None: go on with the call; else its result.

    Called again after each wake-up, with the notification in ``task.restart``.
    """
    item = task.restart
    if not isinstance(item, Notification):
        item = _notify(task, filter)
        if item is None:
            return -ENOSYS.errno
    if item.state != REPLIED:
        _wait(task, item)
    _forget(task, item)
    if item.flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE:
        return None
    return item.error if item.error else item.val


def _notify(task: Task, filter: SeccompFilter) -> Notification | None:
    from pygos.kernel.seccomp import data_bytes

    notif = filter.notif
    if notif is None:
        return None
    item = Notification(task, filter, notif.next_id, data_bytes(task))
    notif.next_id = (notif.next_id + 1) & (1 << 64) - 1
    notif.waiting[item.id] = item
    task.restart = item
    filter.wqh.wake_all(POLLIN | POLLRDNORM)
    return item


def _wait(task: Task, item: Notification) -> None:
    """Sleep, or leave because of a signal; the call is then made again after its handler."""
    if item.filter.wait_killable and item.state == SENT:
        if not task.fatal_signal_pending():
            wait_killable(task, item.queue, why="seccomp_do_user_notification")
    elif not task.signal_pending():
        wait_on(task, item.queue, why="seccomp_do_user_notification")
    _forget(task, item)
    raise ERESTARTSYS


def _forget(task: Task, item: Notification) -> None:
    task.restart = None
    notif = item.filter.notif
    if notif is not None:
        notif.waiting.pop(item.id, None)


def forget_waiting(task: Task) -> None:
    """The task dies while it waits: its id isn't valid any more."""
    if isinstance(task.restart, Notification):
        _forget(task, task.restart)
