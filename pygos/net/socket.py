# SPDX-License-Identifier: Apache-2.0
"""The socket system calls (net/socket.c), while no protocol family is registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from pygos.include.errno import EAFNOSUPPORT, EINVAL, ENOTSOCK
from pygos.include.linux.syscalls import FileArg, Flags, Int, Size, UserAddr, syscall
from pygos.include.uapi.socket import SOCK_CLOEXEC, SOCK_NONBLOCK

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task

_SOCK_TYPE_MASK: Final = 0xF
_SOCK_MAX: Final = 11
_TYPE_FLAGS: Final = SOCK_CLOEXEC | SOCK_NONBLOCK
_NO_FAMILY: Final = "no protocol family is there yet: EAFNOSUPPORT"
_NO_SOCKET: Final = "there are no sockets yet: ENOTSOCK"


def _no_family(type_: int) -> NoReturn:
    """What Linux answers for a family that isn't registered. EINVAL for a wrong type."""
    if (type_ & ~_SOCK_TYPE_MASK) & ~_TYPE_FLAGS or (type_ & _SOCK_TYPE_MASK) >= _SOCK_MAX:
        raise EINVAL
    raise EAFNOSUPPORT


def sockfd_lookup(file: File) -> NoReturn:
    """The socket behind an open file. ENOTSOCK: no file is one."""
    raise ENOTSOCK


@syscall(partial=_NO_FAMILY)
def socket(task: Task, family: Int, type_: Int, protocol: Int) -> int:
    """Make a socket. socket(2). Errors: EAFNOSUPPORT; EINVAL for an unknown type or flag."""
    _no_family(type_)


@syscall(partial=_NO_FAMILY)
def socketpair(task: Task, family: Int, type_: Int, protocol: Int, sv: UserAddr) -> int:
    """Make two connected sockets. socketpair(2). Errors: as socket."""
    _no_family(type_)


@syscall(partial=_NO_SOCKET)
def bind(task: Task, file: FileArg, addr: UserAddr, addrlen: Int) -> int:
    """Give a socket an address. bind(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def listen(task: Task, file: FileArg, backlog: Int) -> int:
    """Wait for connections. listen(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def accept(task: Task, file: FileArg, addr: UserAddr, addrlen: UserAddr) -> int:
    """Take a connection. accept(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def accept4(task: Task, file: FileArg, addr: UserAddr, addrlen: UserAddr, flags: Flags) -> int:
    """Take a connection. accept4(2). Errors: EBADF, EINVAL (flags), ENOTSOCK."""
    if flags & ~_TYPE_FLAGS:
        raise EINVAL
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def connect(task: Task, file: FileArg, addr: UserAddr, addrlen: Int) -> int:
    """Connect to an address. connect(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def getsockname(task: Task, file: FileArg, addr: UserAddr, addrlen: UserAddr) -> int:
    """The own address. getsockname(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def getpeername(task: Task, file: FileArg, addr: UserAddr, addrlen: UserAddr) -> int:
    """The other side's address. getpeername(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def sendto(
    task: Task, file: FileArg, buf: UserAddr, size: Size, flags: Flags, addr: UserAddr, addrlen: Int
) -> int:
    """Send a message. sendto(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def recvfrom(
    task: Task,
    file: FileArg,
    buf: UserAddr,
    size: Size,
    flags: Flags,
    addr: UserAddr,
    addrlen: UserAddr,
) -> int:
    """Receive a message. recvfrom(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def sendmsg(task: Task, file: FileArg, msg: UserAddr, flags: Flags) -> int:
    """Send a message in pieces. sendmsg(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def recvmsg(task: Task, file: FileArg, msg: UserAddr, flags: Flags) -> int:
    """Receive a message in pieces. recvmsg(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def shutdown(task: Task, file: FileArg, how: Int) -> int:
    """Close one direction. shutdown(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def setsockopt(
    task: Task, file: FileArg, level: Int, optname: Int, optval: UserAddr, optlen: Int
) -> int:
    """Set an option. setsockopt(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)


@syscall(partial=_NO_SOCKET)
def getsockopt(
    task: Task, file: FileArg, level: Int, optname: Int, optval: UserAddr, optlen: UserAddr
) -> int:
    """Read an option. getsockopt(2). Errors: EBADF, ENOTSOCK."""
    sockfd_lookup(file)
