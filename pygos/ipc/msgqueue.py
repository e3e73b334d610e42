# SPDX-License-Identifier: Apache-2.0
"""Message queues of System V: messages, and those who wait (ipc/msg.c).

A message for which a receiver waits is given to it at once, not queued. Sleepers' task.restart
are ``Receiver`` and ``Sender``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from pygos.include.errno import E2BIG, EIDRM, Errno
from pygos.include.uapi.ipc import MSG_COPY, MSG_EXCEPT
from pygos.ipc.util import IpcObject, now_seconds

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.ipc.namespace import IpcNamespace, IpcState

#: What a message costs beyond its text, what a queue costs; bytes.
MSG_SIZE: Final = 160
QUEUE_SIZE: Final = 1024
_LONG_MAX: Final = (1 << 63) - 1


class Msg:
    """One message."""

    __slots__ = ("text", "type")

    def __init__(self, type: int, text: bytes) -> None:
        self.type = type
        self.text = text


class Search(IntEnum):
    """How msgrcv(2) chooses."""

    ANY = 0
    EQUAL = 1
    NOTEQUAL = 2
    LESSEQUAL = 3
    NUMBER = 4


def convert_mode(type: int, flags: int) -> tuple[Search, int]:
    """What msgtyp and msgflg of msgrcv(2) mean."""
    if flags & MSG_COPY:
        return Search.NUMBER, type
    if type == 0:
        return Search.ANY, 0
    if type < 0:
        return Search.LESSEQUAL, min(-type, _LONG_MAX)
    return (Search.NOTEQUAL if flags & MSG_EXCEPT else Search.EQUAL), type


class Receiver:
    """A sleeping msgrcv(2). `result`: a message, an error, or None while it waits."""

    __slots__ = ("limit", "mode", "queue", "result", "task", "type")

    result: Msg | type[Errno] | None

    def __init__(self, task: Task, queue: MsgQueue, mode: Search, type: int, limit: int) -> None:
        self.task = task
        self.queue = queue
        self.mode = mode
        self.type = type
        #: The longest message it takes, bytes.
        self.limit = limit
        self.result = None

    def wants(self, msg: Msg) -> bool:
        mode = self.mode
        if mode is Search.EQUAL:
            return msg.type == self.type
        if mode is Search.NOTEQUAL:
            return msg.type != self.type
        return mode is not Search.LESSEQUAL or msg.type <= self.type


class Sender:
    """A sleeping msgsnd(2)."""

    __slots__ = ("msg", "queue", "size", "task")

    def __init__(self, task: Task, queue: MsgQueue, msg: Msg) -> None:
        self.task = task
        self.queue = queue
        self.msg = msg


class MsgQueue(IpcObject):
    """struct msg_queue. Times in s, sizes in bytes."""

    __slots__ = (
        "cbytes", "ctime", "lrpid", "lspid", "messages", "qbytes", "receivers", "rtime",
        "senders", "stime",
    )  # fmt: skip

    def __init__(self, task: Task, key: int, mode: int, qbytes: int) -> None:
        super().__init__(task, key, mode)
        self.stime = self.rtime = 0
        self.ctime = now_seconds(task)
        self.cbytes = 0
        self.qbytes = qbytes
        self.lspid = self.lrpid = 0
        #: In the order of arrival.
        self.messages: dict[Msg, None] = {}
        self.receivers: dict[Receiver, None] = {}
        self.senders: dict[Sender, None] = {}

    def fits(self, size: int) -> bool:
        """Is there room for a message of `size` bytes?"""
        return self.cbytes + size <= self.qbytes and len(self.messages) + 1 <= self.qbytes

    def find(self, mode: Search, type: int) -> Msg | None:
        """The message that msgrcv(2) would take."""
        if mode is Search.ANY:
            return next(iter(self.messages), None)
        if mode is Search.NUMBER:
            return _nth(self.messages, type)
        if mode is Search.LESSEQUAL:
            # The first of the lowest type.
            lowest = min(self.messages, key=_type_of, default=None)
            return lowest if lowest is not None and lowest.type <= type else None
        wanted = mode is Search.EQUAL
        for msg in self.messages:
            if (msg.type == type) is wanted:
                return msg
        return None

    def put(self, ns: IpcNamespace, state: IpcState, msg: Msg) -> None:
        """Queue a message. ENOMEM."""
        state.charge(MSG_SIZE + len(msg.text))
        self.messages[msg] = None
        self.cbytes += len(msg.text)
        ns.msg_bytes += len(msg.text)
        ns.msg_hdrs += 1

    def take(self, ns: IpcNamespace, state: IpcState, msg: Msg) -> None:
        """A message leaves the queue."""
        del self.messages[msg]
        self.cbytes -= len(msg.text)
        ns.msg_bytes -= len(msg.text)
        ns.msg_hdrs -= 1
        state.uncharge(MSG_SIZE + len(msg.text))

    def hand_over(self, task: Task, msg: Msg) -> bool:
        """Give a message to the first receiver that waits for such; False if there is none."""
        for receiver in tuple(self.receivers):
            if not receiver.task.alive:
                del self.receivers[receiver]
            elif receiver.wants(msg):
                del self.receivers[receiver]
                if receiver.limit < len(msg.text):
                    receiver.result = E2BIG
                else:
                    receiver.result = msg
                    self.lrpid = receiver.task.tgid
                    self.rtime = now_seconds(task)
                receiver.task.machine.sched.wake_up(receiver.task)
                if receiver.result is msg:
                    return True
        return False

    def wake_senders(self) -> None:
        """There may be room now: those who wait try, the oldest first."""
        room, slots = self.qbytes - self.cbytes, self.qbytes - len(self.messages)
        for sender in tuple(self.senders):
            if not sender.task.alive:
                del self.senders[sender]
                continue
            size = len(sender.msg.text)
            if size > room or slots < 1:
                continue
            room, slots = room - size, slots - 1
            sender.task.machine.sched.wake_up(sender.task)

    def wake_all(self) -> None:
        """The queue has changed or is gone: everybody looks again."""
        for task in [waiter.task for waiter in self.receivers] + [w.task for w in self.senders]:
            task.machine.sched.wake_up(task)

    def destroy(self, ns: IpcNamespace, state: IpcState) -> None:
        """The queue is removed: sleepers get EIDRM."""
        for receiver in self.receivers:
            receiver.result = EIDRM
        self.wake_all()
        self.receivers.clear()
        self.senders.clear()
        for msg in tuple(self.messages):
            self.take(ns, state, msg)


def _type_of(msg: Msg) -> int:
    return msg.type


def _nth(messages: dict[Msg, None], number: int) -> Msg | None:
    if not 0 <= number < len(messages):
        return None
    for place, msg in enumerate(messages):
        if place == number:
            return msg
    return None
