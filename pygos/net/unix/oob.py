# SPDX-License-Identifier: Apache-2.0
"""MSG_OOB on AF_UNIX streams: one byte out of band, and the mark it leaves in the stream.

The byte is a message of its own in the queue, and ``sk.oob`` while it waits. Read by MSG_OOB
it stays in the queue, empty, as the mark where an ordinary read stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.fasync import OWNER_TID
from pygos.include.linux.sched import SigInfo
from pygos.include.uapi.signal import SI_KERNEL, SIGURG
from pygos.include.uapi.socket import MSG_PEEK, SO_OOBINLINE
from pygos.kernel.signal import kill_pgrp, send_sig_info
from pygos.net.unix.sock import Skb, UnixSock, kfree_skb

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task


def _inline(sk: UnixSock) -> bool:
    return bool(sk.options and sk.options.get(SO_OOBINLINE))


def consumed(skb: Skb) -> bool:
    """Has it no bytes left? In the queue of a stream only read out of band bytes are so."""
    return skb.off >= len(skb.data)


def deliver_oob(task: Task, other: UnixSock, skb: Skb) -> None:
    """Queue the byte and send SIGURG to the owner of the receiving file."""
    other.oob = skb
    other.queue.append(skb)
    if other.socket is not None and other.socket.file is not None:
        send_sigurg(task.machine, other.socket.file)
    other.data_ready()


def send_sigurg(machine: Machine, file: File) -> None:
    """Tell the owner of a socket's file (F_SETOWN) that urgent data is there."""
    owner = file.f_owner
    if not owner:
        return
    info = SigInfo(SIGURG, SI_KERNEL)
    if owner < 0:
        kill_pgrp(machine, -owner, info)
        return
    target = machine.pids.tasks.get(owner & ~OWNER_TID)
    if target is not None:
        send_sig_info(target, info, not owner & OWNER_TID)


def urgent(sk: UnixSock) -> Skb | None:
    """The byte that recv(MSG_OOB) gets."""
    return None if _inline(sk) else sk.oob


def take_urgent(sk: UnixSock, skb: Skb) -> None:
    """It was received: an older mark right before it goes."""
    sk.oob = None
    skb.off += 1
    before = None
    for one in sk.queue:
        if one is skb:
            break
        before = one
    if before is not None and consumed(before):
        sk.queue.remove(before)
        kfree_skb(before)


def at_mark(sk: UnixSock) -> bool:
    """SIOCATMARK: is the next byte the one out of band, or was it here?"""
    queue = sk.queue
    if not queue:
        return False
    first = queue[0]
    if first is sk.oob:
        return True
    if not consumed(first):
        return False
    return sk.oob is None or (len(queue) > 1 and queue[1] is sk.oob)


def next_skb(sk: UnixSock, flags: int, done: int, place: int) -> tuple[Skb | None, int]:
    """What an ordinary read takes next from queue[place:], and its place (manage_oob).

    `done`: bytes read so far: the read stops at the mark. Marks and unread out of band bytes
    that are passed go away, unless it peeks.
    """
    queue = sk.queue
    peek = flags & MSG_PEEK
    if place >= len(queue):
        return None, place
    skb = queue[place]
    if consumed(skb):
        if done and (sk.oob is None or skb is sk.oob):
            return None, place
        place = _pass(sk, skb, place, bool(peek))
        if place >= len(queue):
            return None, place
        skb = queue[place]
    if skb is not sk.oob:
        return skb, place
    if done:
        return None, place
    inline = _inline(sk)
    if not peek:
        sk.oob = None
    if not inline:
        place = _pass(sk, skb, place, bool(peek))
        return (queue[place] if place < len(queue) else None), place
    return skb, place


def _pass(sk: UnixSock, skb: Skb, place: int, peek: bool) -> int:
    """Go on behind a message, which goes away unless the read only peeks."""
    if peek:
        return place + 1
    del sk.queue[place]
    kfree_skb(skb)
    return place
