# SPDX-License-Identifier: Apache-2.0
"""Making AF_INET6 sockets (net/ipv6/af_inet6.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.uapi.socket import AF_INET6
from pygos.net.ipv4.af_inet import inet_create
from pygos.net.ipv4.inet import InetSock

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.net.sock import Socket


def create(task: Task, type_: int, protocol: int) -> Socket:
    """A new AF_INET6 socket, IPv4 included unless net.ipv6.bindv6only says no."""
    socket = inet_create(task, AF_INET6, type_, protocol)
    sk = socket.sk
    assert isinstance(sk, InetSock)
    sk.v6only = bool(int(task.machine.sysctl.get("net.ipv6.bindv6only", 0)))
    return socket
