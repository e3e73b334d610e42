# SPDX-License-Identifier: Apache-2.0
"""Making AF_INET sockets: what socket(2) comes to (net/ipv4/af_inet.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL, EPERM, EPROTONOSUPPORT, ESOCKTNOSUPPORT
from pygos.include.uapi.capability import CAP_NET_RAW
from pygos.include.uapi.in_ import IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE
from pygos.include.uapi.socket import AF_INET, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM
from pygos.net.ipv4.tcp import TcpOps
from pygos.net.ipv4.tcp_sock import TcpSock
from pygos.net.ipv4.udp import UdpOps, UdpSock
from pygos.net.netns import task_net
from pygos.net.sock import Socket

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

_TCP: Final = TcpOps()
_UDP: Final = UdpOps()
_IPPROTO_MAX: Final = 263


def inet_create(task: Task, family: int, type_: int, protocol: int) -> Socket:
    """A new socket. Errors: EINVAL, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EPERM.

    Raw sockets and ICMP's aren't there: EPROTONOSUPPORT for who may have them.
    """
    if not 0 <= protocol < _IPPROTO_MAX:
        raise EINVAL
    if type_ == SOCK_STREAM and protocol in (IPPROTO_IP, IPPROTO_TCP):
        return Socket(type_, _TCP, TcpSock(task, family))
    if type_ == SOCK_DGRAM and protocol in (IPPROTO_IP, IPPROTO_UDP):
        return Socket(type_, _UDP, UdpSock(task, family, IPPROTO_UDP))
    if type_ == SOCK_DGRAM and protocol == IPPROTO_UDPLITE:
        return Socket(type_, _UDP, UdpSock(task, family, IPPROTO_UDPLITE))
    if type_ in (SOCK_STREAM, SOCK_DGRAM):
        raise EPROTONOSUPPORT
    if type_ == SOCK_RAW:
        if protocol and not task.cred.ns_capable(task_net(task).user_ns, CAP_NET_RAW):
            raise EPERM
        raise EPROTONOSUPPORT
    raise ESOCKTNOSUPPORT


def create(task: Task, type_: int, protocol: int) -> Socket:
    """A new AF_INET socket; see inet_create()."""
    return inet_create(task, AF_INET, type_, protocol)
