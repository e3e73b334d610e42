# SPDX-License-Identifier: Apache-2.0
"""Interfaces as ioctl(2) shows them: netdevice(7). There is one, the loopback ``lo``."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import EADDRNOTAVAIL, EFAULT, ENODEV, ENOTTY, EOPNOTSUPP, EPERM
from pygos.include.uapi import ioctls as cmds
from pygos.include.uapi.capability import CAP_NET_ADMIN
from pygos.include.uapi.if_ import IFF_LOOPBACK, IFF_RUNNING, IFF_UP, IFNAMSIZ
from pygos.include.uapi.socket import AF_INET
from pygos.net.ipv4.inet import inet_net
from pygos.net.netns import task_net

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: struct ifreq: a name, and a union of 24 bytes.
_IFREQ_SIZE: Final = 40
_IFCONF: Final = Struct("<i4xQ")
_NAME: Final = b"lo"
_INDEX, _MTU, _TXQLEN = 1, 65536, 1000
_ARPHRD_LOOPBACK: Final = 772
_SIOCGIFTXQLEN, _SIOCGIFMAP = 0x8942, 0x8970
#: What only says something (SIOCG...), and its answer as bytes of the union.
_FLAGS: Final = (IFF_UP | IFF_LOOPBACK | IFF_RUNNING).to_bytes(2, "little")
_FAMILY: Final = AF_INET.to_bytes(2, "little") + bytes(2)


def _address(ip: bytes) -> bytes:
    return (_FAMILY + ip).ljust(16, b"\0")


_ANSWERS: Final = {
    cmds.SIOCGIFFLAGS: _FLAGS,
    cmds.SIOCGIFADDR: _address(b"\x7f\0\0\1"),
    cmds.SIOCGIFDSTADDR: _address(b"\x7f\0\0\1"),
    cmds.SIOCGIFBRDADDR: _address(bytes(4)),
    cmds.SIOCGIFNETMASK: _address(b"\xff\0\0\0"),
    cmds.SIOCGIFMETRIC: bytes(4),
    cmds.SIOCGIFMTU: _MTU.to_bytes(4, "little"),
    cmds.SIOCGIFHWADDR: _ARPHRD_LOOPBACK.to_bytes(2, "little") + bytes(14),
    cmds.SIOCGIFINDEX: _INDEX.to_bytes(4, "little"),
    _SIOCGIFTXQLEN: _TXQLEN.to_bytes(4, "little"),
    _SIOCGIFMAP: bytes(24),
}
_SETTERS: Final = frozenset((
    cmds.SIOCSIFADDR, cmds.SIOCSIFDSTADDR, cmds.SIOCSIFBRDADDR,
    cmds.SIOCSIFNETMASK, cmds.SIOCSIFMETRIC, cmds.SIOCSIFMTU, cmds.SIOCSIFNAME,
    cmds.SIOCSIFHWADDR, cmds.SIOCSIFMEM, cmds.SIOCADDRT, cmds.SIOCDELRT,
))  # fmt: skip


def dev_ioctl(task: Task, cmd: int, arg: int) -> int:
    """A command about interfaces. Errors: EFAULT, ENODEV, EPERM, EOPNOTSUPP, ENOTTY."""
    mm: Any = task.mm
    if cmd == cmds.SIOCGIFCONF:
        return _list(mm, arg, inet_net(task.machine, task_net(task)).lo_up)
    if cmd == cmds.SIOCGIFNAME:
        if mm.read_u32(arg + IFNAMSIZ) != _INDEX:
            raise ENODEV
        mm.write(arg, _NAME.ljust(IFNAMSIZ, b"\0"))
        return 0
    if cmd == cmds.SIOCSIFFLAGS:
        return _set_flags(task, arg)
    if cmd in _SETTERS:
        if not task.cred.ns_capable(task_net(task).user_ns, CAP_NET_ADMIN):
            raise EPERM
        _check_name(mm, arg)
        raise EOPNOTSUPP
    answer = _ANSWERS.get(cmd)
    if answer is None:
        mm.read(arg, IFNAMSIZ)
        raise ENOTTY
    _check_name(mm, arg)
    if not inet_net(task.machine, task_net(task)).lo_up:
        answer = _down(cmd, answer)
    mm.write(arg + IFNAMSIZ, answer)
    return 0


def _down(cmd: int, answer: bytes) -> bytes:
    """What lo says before it is taken up for the first time: it has no address."""
    if cmd in (cmds.SIOCGIFADDR, cmds.SIOCGIFDSTADDR, cmds.SIOCGIFBRDADDR, cmds.SIOCGIFNETMASK):
        raise EADDRNOTAVAIL
    return IFF_LOOPBACK.to_bytes(2, "little") if cmd == cmds.SIOCGIFFLAGS else answer


def _set_flags(task: Task, arg: int) -> int:
    """Take lo up or down. EPERM."""
    if not task.cred.ns_capable(task_net(task).user_ns, CAP_NET_ADMIN):
        raise EPERM
    mm: Any = task.mm
    _check_name(mm, arg)
    flags = int.from_bytes(mm.read(arg + IFNAMSIZ, 2), "little")
    inet_net(task.machine, task_net(task)).lo_up = bool(flags & IFF_UP)
    return 0


def _check_name(mm: Any, arg: int) -> None:
    """ENODEV unless the request is about lo; EFAULT."""
    request = mm.read(arg, _IFREQ_SIZE)
    if len(request) < _IFREQ_SIZE:
        raise EFAULT
    if request[:IFNAMSIZ].split(b"\0")[0].split(b":")[0] != _NAME:
        raise ENODEV


def _list(mm: Any, arg: int, up: bool) -> int:
    """SIOCGIFCONF: all interfaces with addresses; without a buffer only the size."""
    room, at = _IFCONF.unpack(mm.read(arg, _IFCONF.size))
    if not at:
        mm.write_u32(arg, _IFREQ_SIZE)
        return 0
    size = 0
    if up and room >= _IFREQ_SIZE:
        entry = _NAME.ljust(IFNAMSIZ, b"\0") + _address(b"\x7f\0\0\1")
        mm.write(at, entry.ljust(_IFREQ_SIZE, b"\0"))
        size = _IFREQ_SIZE
    mm.write_u32(arg, size)
    return 0
