# SPDX-License-Identifier: Apache-2.0
"""Making AF_UNIX sockets: what socket(2) and socketpair(2) come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import ENFILE, EPROTONOSUPPORT, ESOCKTNOSUPPORT
from pygos.include.uapi.socket import (
    PF_UNIX,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_SEQPACKET,
    SOCK_STREAM,
)
from pygos.net.netns import task_net
from pygos.net.sock import Socket
from pygos.net.unix.dgram import UnixDgramOps, UnixSeqpacketOps
from pygos.net.unix.sock import UnixSock, unix_net
from pygos.net.unix.stream import UnixStreamOps

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_STREAM: Final = UnixStreamOps()
_DGRAM: Final = UnixDgramOps()
_SEQPACKET: Final = UnixSeqpacketOps()


def create(task: Task, type_: int, protocol: int) -> Socket:
    """A new socket. Errors: EPROTONOSUPPORT, ESOCKTNOSUPPORT, ENFILE (far too many)."""
    if protocol not in (0, PF_UNIX):
        raise EPROTONOSUPPORT
    if type_ == SOCK_STREAM:
        ops: UnixStreamOps | UnixDgramOps | UnixSeqpacketOps = _STREAM
    elif type_ in (SOCK_DGRAM, SOCK_RAW):
        ops, type_ = _DGRAM, SOCK_DGRAM
    elif type_ == SOCK_SEQPACKET:
        ops = _SEQPACKET
    else:
        raise ESOCKTNOSUPPORT
    if len(unix_net(task_net(task)).socks) > 2 * task.machine.file_max:
        raise ENFILE
    return Socket(type_, ops, UnixSock(task, type_))
