# SPDX-License-Identifier: Apache-2.0
"""struct net: what one network namespace owns, and which protocol families there are."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import EAFNOSUPPORT
from pygos.include.linux.ns_common import NsCommon
from pygos.include.uapi.sched import CLONE_NEWNET
from pygos.include.uapi.socket import AF_INET, AF_INET6, AF_UNIX
from pygos.kernel.nsproxy import NsOps, charge_namespace

if TYPE_CHECKING:
    from pygos.include.linux.fs import FsStruct, SuperBlock
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace
    from pygos.net.sock import Socket

#: machine.misc: the machine's first network namespace.
_NET: Final = "net"
#: Families by number, and the modules that have their ``create()``.
FAMILIES: Final = {
    AF_UNIX: "pygos.net.unix.af_unix",
    AF_INET: "pygos.net.ipv4.af_inet",
    AF_INET6: "pygos.net.ipv6.af_inet6",
}
NPROTO: Final = 46


class Net(NsCommon):
    """One network namespace."""

    __slots__ = ("cookies", "families", "sockfs")
    ns_name = "net"
    ns_flag = CLONE_NEWNET

    def __init__(self, user_ns: UserNamespace | None = None) -> None:
        super().__init__(user_ns)
        self.sockfs: SuperBlock | None = None
        #: What the families keep, by number.
        self.families: dict[int, Any] = {}
        #: The last cookie given out (SO_COOKIE).
        self.cookies = 0

    def next_cookie(self) -> int:
        self.cookies += 1
        return self.cookies


def net_of(machine: Machine) -> Net:
    """The machine's first network namespace, made at the first use."""
    net: Net | None = machine.misc.get(_NET)
    if net is None:
        net = machine.misc[_NET] = Net()
    return net


def task_net(task: Task) -> Net:
    """The network namespace of a task."""
    net: Net | None = task.nsproxy.net
    return net if net is not None else net_of(task.machine)


class NetNsOps(NsOps):
    """netns_operations. A new one has no devices and no names."""

    __slots__ = ()
    name = "net"
    flag = CLONE_NEWNET

    def make_first(self, machine: Machine) -> NsCommon:
        return net_of(machine)

    def copy(self, task: Task, old: Any, user_ns: UserNamespace | None, fs: FsStruct) -> NsCommon:
        ns = Net(user_ns)
        charge_namespace(task, ns, user_ns, "net")
        return ns


NS_OPS: Final = NetNsOps()


def sock_create(task: Task, family: int, type_: int, protocol: int) -> Socket:
    """A new socket without a file. What its family says; EAFNOSUPPORT for an unknown one."""
    module = FAMILIES.get(family)
    if module is None:
        raise EAFNOSUPPORT
    socket: Socket = import_module(module).create(task, type_, protocol)
    return socket
