# SPDX-License-Identifier: Apache-2.0
"""What the network shows in /proc/net; called at boot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygos.fs.proc.net import proc_net_init
from pygos.fs.synthetic import synthetic

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task


@synthetic("unix")
def unix(task: Task, target: Any) -> str:
    """AF_UNIX sockets."""
    from pygos.net.unix.proc import unix_text

    return unix_text(task)


@synthetic("tcp")
def tcp(task: Task, target: Any) -> str:
    """TCP over IPv4."""
    from pygos.net.ipv4.proc import AF_INET, tcp_text

    return tcp_text(task, AF_INET)


@synthetic("tcp6")
def tcp6(task: Task, target: Any) -> str:
    """TCP over IPv6."""
    from pygos.net.ipv4.proc import AF_INET6, tcp_text

    return tcp_text(task, AF_INET6)


@synthetic("udp")
def udp(task: Task, target: Any) -> str:
    """UDP over IPv4."""
    from pygos.net.ipv4.proc import AF_INET, udp_text

    return udp_text(task, AF_INET)


@synthetic("udp6")
def udp6(task: Task, target: Any) -> str:
    """UDP over IPv6."""
    from pygos.net.ipv4.proc import AF_INET6, udp_text

    return udp_text(task, AF_INET6)


@synthetic("if_inet6")
def if_inet6(task: Task, target: Any) -> str:
    """The IPv6 addresses of interfaces: that of lo."""
    from pygos.net.ipv4.proc import if_inet6_text

    return if_inet6_text()


def init_net(machine: Machine) -> None:
    """Show the files of the network."""
    proc_net_init(machine, unix, tcp, tcp6, udp, udp6, if_inet6)
