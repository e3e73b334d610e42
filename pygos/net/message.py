# SPDX-License-Identifier: Apache-2.0
"""struct msghdr: what sendmsg(2) brings and what recvmsg(2) takes away."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import EFAULT, EINVAL, EMSGSIZE, ENOBUFS
from pygos.include.uapi.socket import MSG_CTRUNC, SCM_TIMESTAMP, SCM_TIMESTAMPNS, SOL_SOCKET
from pygos.include.uapi.uio import UIO_MAXIOV
from pygos.mm.uaccess import import_iovec

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task
    from pygos.net.sock import Sock

#: sizeof(struct sockaddr_storage).
SOCKADDR_MAX: Final = 128
_INT_MAX: Final = 0x7FFF_FFFF
#: name, namelen, iov, iovlen, control, controllen, flags
MSGHDR: Final = Struct("<Qi4xQQQQI4x")
_CMSGHDR: Final = Struct("<Qii")
#: sizeof(struct cmsghdr), which is aligned.
CMSG_HEAD: Final = 16
#: net.core.optmem_max.
OPTMEM_MAX: Final = 131072


class Message:
    """One message beside its bytes, either way.

    Going out `name` is the raw address it goes to (or None), `control` the control messages.
    Coming in the protocol puts the sender's address in `name` and MSG_* in `flags`;
    `ctl_addr` and `ctl_left` are the room for control messages that is left.
    """

    __slots__ = ("control", "ctl_addr", "ctl_left", "flags", "name")

    def __init__(self, name: bytes | None = None, control: bytes = b"") -> None:
        self.name = name
        self.control = control
        self.flags = 0
        self.ctl_addr = 0
        self.ctl_left = 0

    def put_cmsg(self, task: Task, level: int, kind: int, data: bytes) -> None:
        """Give the program a control message, cut to the room there is (MSG_CTRUNC)."""
        left = self.ctl_left
        if not self.ctl_addr or left < CMSG_HEAD:
            self.flags |= MSG_CTRUNC
            return
        size = CMSG_HEAD + len(data)
        if left < size:
            self.flags |= MSG_CTRUNC
            size = left
        image = _CMSGHDR.pack(size, level, kind) + data
        mm: Any = task.mm
        try:
            mm.write(self.ctl_addr, image[:size])
        except EFAULT:
            return  # as Linux: the message is received all the same
        self.advance(len(image))

    def put_timestamp(self, task: Task, sk: Sock, tstamp: int) -> None:
        """When it was sent, if the receiver asked (SO_TIMESTAMP, SO_TIMESTAMPNS).

        `tstamp`: realtime ns; 0: nobody asked then, so it is now.
        """
        if not sk.timestamp:
            return
        sec, ns = divmod(tstamp or task.machine.clock.realtime(), 1_000_000_000)
        kind, rest = (SCM_TIMESTAMPNS, ns) if sk.timestamp == 2 else (SCM_TIMESTAMP, ns // 1000)
        image = sec.to_bytes(8, "little") + rest.to_bytes(8, "little")
        self.put_cmsg(task, SOL_SOCKET, kind, image)

    def advance(self, size: int) -> None:
        """A control message of `size` bytes has been put; the next one is aligned."""
        step = min((size + 7) & ~7, self.ctl_left)
        self.ctl_addr += step
        self.ctl_left -= step


def parse_cmsgs(control: bytes) -> list[tuple[int, int, bytes]]:
    """Control messages as (level, type, data). EINVAL for a malformed one."""
    found = []
    at = 0
    size = len(control)
    while at + CMSG_HEAD <= size:
        length, level, kind = _CMSGHDR.unpack_from(control, at)
        if not CMSG_HEAD <= length <= size - at:
            raise EINVAL
        found.append((level, kind, control[at + CMSG_HEAD : at + length]))
        at += (length + 7) & ~7
    return found


# -- addresses


def get_sockaddr(task: Task, addr: int, length: int) -> bytes:
    """An address from user memory (move_addr_to_kernel). EINVAL, EFAULT."""
    if not 0 <= length <= SOCKADDR_MAX:
        raise EINVAL
    if not length:
        return b""
    mm: Any = task.mm
    data: bytes = mm.read(addr, length)
    return data


def put_sockaddr(task: Task, name: bytes, addr: int, lenaddr: int) -> None:
    """Give a program an address, cut to its room, and the whole length. EINVAL, EFAULT."""
    mm: Any = task.mm
    room = mm.read_u32(lenaddr)
    if room >> 31:
        raise EINVAL
    if room:
        mm.write(addr, name[:room])
    mm.write_u32(lenaddr, len(name))


# -- struct msghdr


class MsgHeader:
    """A struct msghdr as it was copied in."""

    __slots__ = ("addr", "control", "controllen", "iov", "iovlen", "name", "namelen")

    def __init__(self, task: Task, addr: int) -> None:
        mm: Any = task.mm
        fields = MSGHDR.unpack(mm.read(addr, MSGHDR.size))
        self.addr = addr
        self.name, self.namelen, self.iov, self.iovlen, self.control, self.controllen, _ = fields
        if not self.name:
            self.namelen = 0
        if self.namelen < 0:
            raise EINVAL
        self.namelen = min(self.namelen, SOCKADDR_MAX)
        if self.iovlen > UIO_MAXIOV:
            raise EMSGSIZE

    def buffer(self, task: Task, write: bool) -> IoBuffer:
        """The bytes of the message. EFAULT, EINVAL."""
        mm: Any = task.mm
        return import_iovec(mm, self.iov, self.iovlen, write)


def import_outgoing(task: Task, addr: int) -> tuple[Message, IoBuffer]:
    """What sendmsg(2) is given. Errors: EFAULT, EINVAL, EMSGSIZE, ENOBUFS."""
    header = MsgHeader(task, addr)
    mm: Any = task.mm
    name = mm.read(header.name, header.namelen) if header.namelen else None
    buf = header.buffer(task, False)
    if header.controllen > _INT_MAX:
        raise ENOBUFS
    control = b""
    if header.controllen:
        if header.controllen > task.machine.sysctl.get("net.core.optmem_max", OPTMEM_MAX):
            raise ENOBUFS
        if header.control:
            control = mm.read(header.control, header.controllen)
    return Message(name, control), buf


def import_incoming(task: Task, addr: int) -> tuple[MsgHeader, Message, IoBuffer]:
    """What recvmsg(2) is given. Errors: EFAULT, EINVAL, EMSGSIZE."""
    header = MsgHeader(task, addr)
    msg = Message()
    msg.ctl_addr = header.control
    msg.ctl_left = header.controllen if header.control else 0
    return header, msg, header.buffer(task, True)


def export_incoming(task: Task, header: MsgHeader, msg: Message, extra: int) -> None:
    """Write back address, flags and the room used for control messages. EFAULT."""
    mm: Any = task.mm
    at = header.addr
    if header.name:
        name = msg.name or b""
        if name and header.namelen:
            mm.write(header.name, name[: header.namelen])
        mm.write_u32(at + 8, len(name))
    used = header.controllen - msg.ctl_left if header.control else 0
    mm.write_u32(at + 48, msg.flags | extra)
    mm.write_u64(at + 40, used)
