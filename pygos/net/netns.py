# SPDX-License-Identifier: Apache-2.0
"""struct net: what one network namespace owns, and which protocol families there are."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import EAFNOSUPPORT
from pygos.include.uapi.socket import AF_UNIX

if TYPE_CHECKING:
    from pygos.include.linux.fs import SuperBlock
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.net.sock import Socket

#: machine.misc: the machine's only network namespace.
_NET: Final = "net"
#: Families by number, and the modules that have their ``create()``.
FAMILIES: Final = {AF_UNIX: "pygos.net.unix.af_unix"}
NPROTO: Final = 46


class Net:
    """One network namespace."""

    __slots__ = ("cookies", "families", "sockfs")

    def __init__(self) -> None:
        self.sockfs: SuperBlock | None = None
        #: What the families keep, by number.
        self.families: dict[int, Any] = {}
        #: The last cookie given out (SO_COOKIE).
        self.cookies = 0

    def next_cookie(self) -> int:
        self.cookies += 1
        return self.cookies


def net_of(machine: Machine) -> Net:
    """The machine's network namespace, made at the first use."""
    net: Net | None = machine.misc.get(_NET)
    if net is None:
        net = machine.misc[_NET] = Net()
    return net


def sock_create(task: Task, family: int, type_: int, protocol: int) -> Socket:
    """A new socket without a file. What its family says; EAFNOSUPPORT for an unknown one."""
    module = FAMILIES.get(family)
    if module is None:
        raise EAFNOSUPPORT
    socket: Socket = import_module(module).create(task, type_, protocol)
    return socket
