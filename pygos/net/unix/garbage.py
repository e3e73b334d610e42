# SPDX-License-Identifier: Apache-2.0
"""Descriptors in flight (net/unix/garbage.c).

Files in queued messages are referenced by them. Sockets sent to each other and closed would
keep each other for ever: when an AF_UNIX socket is released, those that only messages of
unreachable sockets refer to are found and the messages dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import ETOOMANYREFS
from pygos.include.uapi.capability import CAP_SYS_ADMIN, CAP_SYS_RESOURCE
from pygos.include.uapi.resource import RLIMIT_NOFILE
from pygos.include.uapi.socket import AF_UNIX
from pygos.net.sock import TCP_LISTEN, Socket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task
    from pygos.net.unix.sock import Skb, UnixNet, UnixSock


def unix_sock_of(file: File) -> UnixSock | None:
    """The AF_UNIX socket behind a file, if it is one."""
    socket = file.private_data
    if type(socket) is Socket and socket.sk.family == AF_UNIX:
        sk: UnixSock = socket.sk  # type: ignore[assignment]
        return sk
    return None


def check_inflight(task: Task, unet: UnixNet) -> None:
    """May the user send more descriptors? ETOOMANYREFS."""
    cred = task.cred
    limit = task.group.rlim[RLIMIT_NOFILE][0]
    if unet.user_inflight.get(cred.uid, 0) > limit and not (
        cred.capable(CAP_SYS_RESOURCE) or cred.capable(CAP_SYS_ADMIN)
    ):
        raise ETOOMANYREFS


def attach_files(task: Task, skb: Skb, files: list[File]) -> None:
    """Put files into a message that is about to be queued; it takes their references."""
    unet = skb.sk.unet
    uid = task.cred.uid
    skb.fp = files
    skb.fp_uid = uid
    unet.user_inflight[uid] = unet.user_inflight.get(uid, 0) + len(files)
    for file in files:
        if unix_sock_of(file) is not None:
            unet.inflight[file] = unet.inflight.get(file, 0) + 1


def notinflight(unet: UnixNet, files: list[File], uid: int) -> None:
    """Files have left a message."""
    left = unet.user_inflight[uid] - len(files)
    if left:
        unet.user_inflight[uid] = left
    else:
        del unet.user_inflight[uid]
    for file in files:
        count = unet.inflight.get(file)
        if count is not None:
            if count > 1:
                unet.inflight[file] = count - 1
            else:
                del unet.inflight[file]


def _messages(sk: UnixSock) -> Iterator[Skb]:
    """What waits in a socket, and in the ends that a listener hasn't given out."""
    for skb in sk.queue:
        if sk.state == TCP_LISTEN:
            yield from skb.sk.queue
        else:
            yield skb


def _carried(file: File) -> Iterator[File]:
    sk = unix_sock_of(file)
    if sk is not None:
        for skb in _messages(sk):
            yield from skb.fp or ()


def collect(unet: UnixNet) -> None:
    """Drop the messages of sockets that nobody can reach any more."""
    # Those with no reference but from messages may be garbage.
    inside = {file: count for file, count in unet.inflight.items() if file.f_count == count}
    if not inside:
        return
    for file in tuple(inside):
        for carried in _carried(file):
            if carried in inside:
                inside[carried] -= 1
    # What other messages than those of candidates refer to is reachable, and what it holds.
    reachable = [file for file, count in inside.items() if count > 0]
    for file in reachable:
        del inside[file]
    while reachable:
        held = _carried(reachable.pop())
        reachable += [one for one in held if inside.pop(one, None) is not None]
    if inside:
        _purge(unet, inside)


def _purge(unet: UnixNet, garbage: dict[File, int]) -> None:
    from pygos.net.unix.sock import detach_files

    doomed: list[File] = []
    for file in garbage:
        sk = unix_sock_of(file)
        assert sk is not None
        for skb in tuple(_messages(sk)):
            doomed += detach_files(skb) or ()
    if doomed:
        unet.drop_files(doomed)
