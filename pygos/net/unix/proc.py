# SPDX-License-Identifier: Apache-2.0
"""The text of /proc/net/unix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.net.netns import task_net
from pygos.net.sock import TCP_ESTABLISHED, TCP_LISTEN
from pygos.net.unix.sock import UnixSock, unix_net

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_HEADER: Final = "Num       RefCount Protocol Flags    Type St Inode Path\n"
_SO_ACCEPTCON: Final = 0x10000
#: socket_state (linux/net.h).
_SS_UNCONNECTED, _SS_CONNECTING, _SS_CONNECTED, _SS_DISCONNECTING = 1, 2, 3, 4


def _state(sk: UnixSock) -> int:
    connected = sk.state == TCP_ESTABLISHED
    if sk.socket is not None:
        return _SS_CONNECTED if connected else _SS_UNCONNECTED
    return _SS_CONNECTING if connected else _SS_DISCONNECTING


def _line(number: int, sk: UnixSock) -> str:
    flags = _SO_ACCEPTCON if sk.state == TCP_LISTEN else 0
    file = sk.socket.file if sk.socket is not None else None
    ino = file.f_inode.i_ino if file is not None else 0
    users = 3 if sk.peer is not None else 2
    text = f"{number:016x}: {users:08X} 00000000 {flags:08X}"
    text += f" {sk.type:04X} {_state(sk):02X} {ino:5d}"
    if sk.addr is not None:
        name = sk.addr.name
        if name[0]:
            name = name.rstrip(b"\0")
        shown = name.replace(b"\0", b"@").decode("utf-8", "surrogateescape")
        text += f" {shown}"
    return text + "\n"


def unix_text(task: Task) -> str:
    """All sockets. The first column is a number instead of an address of the kernel's."""
    socks = unix_net(task_net(task)).socks
    return _HEADER + "".join(_line(number, sk) for number, sk in enumerate(socks, 1))
