# SPDX-License-Identifier: Apache-2.0
"""The socket system calls (net/socket.c). Options are in sockopt.py, batches in mmsg.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.file_table import alloc_fd, fd_install, fput, put_unused_fd
from pygos.include.errno import EAFNOSUPPORT, EINVAL, ENOTSOCK
from pygos.include.linux.syscalls import FileArg, Flags, Int, Size, UserAddr, fetch_first, syscall
from pygos.include.uapi.fcntl import O_NONBLOCK
from pygos.include.uapi.socket import (
    MSG_CMSG_CLOEXEC,
    MSG_DONTWAIT,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOMAXCONN,
)
from pygos.mm.uaccess import UserBuffer
from pygos.net.message import (
    Message,
    export_incoming,
    get_sockaddr,
    import_incoming,
    import_outgoing,
    put_sockaddr,
)
from pygos.net.netns import NPROTO, sock_create
from pygos.net.sock import Socket
from pygos.net.sockfs import SOCKET_FOPS, sock_alloc_file

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.sched import Task

_SOCK_TYPE_MASK: Final = 0xF
_SOCK_MAX: Final = 11
_TYPE_FLAGS: Final = SOCK_CLOEXEC | SOCK_NONBLOCK
_FAMILIES: Final = "families: AF_UNIX, AF_INET and AF_INET6 (TCP and UDP over lo)"


def sockfd_lookup(file: File) -> Socket:
    """The socket behind an open file. ENOTSOCK."""
    if file.f_op is not SOCKET_FOPS:
        raise ENOTSOCK
    socket: Socket = file.private_data
    return socket


def file_flags(file: File, flags: int) -> int:
    """MSG_* `flags` of a call, with MSG_DONTWAIT for a file in non-blocking mode."""
    return flags | MSG_DONTWAIT if file.f_flags & O_NONBLOCK else flags


def _check_type(type_: int) -> None:
    if (type_ & ~_SOCK_TYPE_MASK) & ~_TYPE_FLAGS:
        raise EINVAL


def _create(task: Task, family: int, type_: int, protocol: int) -> Socket:
    if not 0 <= family < NPROTO:
        raise EAFNOSUPPORT
    if type_ & _SOCK_TYPE_MASK >= _SOCK_MAX:
        raise EINVAL
    return sock_create(task, family, type_ & _SOCK_TYPE_MASK, protocol)


@syscall(partial=_FAMILIES)
def socket(task: Task, family: Int, type_: Int, protocol: Int) -> int:
    """Make a socket. socket(2).

    Errors: EAFNOSUPPORT, EINVAL (type, flags), EPROTONOSUPPORT, ESOCKTNOSUPPORT, EMFILE,
    ENFILE.
    """
    _check_type(type_)
    file = sock_alloc_file(task, _create(task, family, type_, protocol), type_)
    try:
        fd = alloc_fd(task, 0, bool(type_ & SOCK_CLOEXEC))
    except BaseException:
        fput(file)
        raise
    fd_install(task, fd, file)
    return fd


@syscall(partial=_FAMILIES)
def socketpair(task: Task, family: Int, type_: Int, protocol: Int, sv: UserAddr) -> int:
    """Make two connected sockets. socketpair(2). Errors: as socket; EFAULT, EOPNOTSUPP."""
    _check_type(type_)
    mm: Any = task.mm
    cloexec = bool(type_ & SOCK_CLOEXEC)
    fds: list[int] = []
    files: list[File] = []
    try:
        fds.append(alloc_fd(task, 0, cloexec))
        fds.append(alloc_fd(task, 0, cloexec))
        mm.write_u32(sv, fds[0])
        mm.write_u32(sv + 4, fds[1])
        one = _create(task, family, type_, protocol)
        files.append(sock_alloc_file(task, one, type_))
        other = _create(task, family, type_, protocol)
        files.append(sock_alloc_file(task, other, type_))
        one.ops.socketpair(task, one, other)
    except BaseException:
        for file in files:
            fput(file)
        for fd in fds:
            put_unused_fd(task, fd)
        raise
    for fd, file in zip(fds, files, strict=True):
        fd_install(task, fd, file)
    return 0


@syscall
def bind(task: Task, file: FileArg, addr: UserAddr, addrlen: Int) -> int:
    """Give a socket an address. bind(2).

    Errors: EBADF, ENOTSOCK, EINVAL, EFAULT, EADDRINUSE, and those of a path walk.
    """
    sock = sockfd_lookup(file)
    sock.ops.bind(task, sock, get_sockaddr(task, addr, addrlen))
    return 0


@syscall
def listen(task: Task, file: FileArg, backlog: Int) -> int:
    """Wait for connections. listen(2). Errors: EBADF, ENOTSOCK, EINVAL, EOPNOTSUPP."""
    sock = sockfd_lookup(file)
    most: int = task.machine.sysctl.get("net.core.somaxconn", SOMAXCONN)
    sock.ops.listen(task, sock, backlog if 0 <= backlog <= most else most)
    return 0


@syscall
def accept4(task: Task, file: FileArg, addr: UserAddr, addrlen: UserAddr, flags: Flags) -> int:
    """Take a connection. accept4(2).

    Errors: EBADF, EINVAL (flags, not listening), EMFILE, ENOTSOCK, EAGAIN, ECONNABORTED,
    EINTR, EOPNOTSUPP.
    """
    fetch_first(file)
    if flags & ~_TYPE_FLAGS:
        raise EINVAL
    fd = alloc_fd(task, 0, bool(flags & SOCK_CLOEXEC))
    try:
        sock = sockfd_lookup(file)
        sock.ops.accept_wait(task, sock, file.f_flags)
        new = sock.ops.accept(task, sock)
        new_file = sock_alloc_file(task, new, flags)
        try:
            if addr:
                put_sockaddr(task, new.ops.getname(task, new, True), addr, addrlen)
        except BaseException:
            fput(new_file)
            raise
    except BaseException:  # also when it sleeps: the number isn't kept for it
        put_unused_fd(task, fd)
        raise
    fd_install(task, fd, new_file)
    return fd


@syscall
def accept(task: Task, file: FileArg, addr: UserAddr, addrlen: UserAddr) -> int:
    """Take a connection. accept(2). Errors: see accept4."""
    return accept4(task, file, addr, addrlen, 0)


@syscall
def connect(task: Task, file: FileArg, addr: UserAddr, addrlen: Int) -> int:
    """Connect to an address. connect(2).

    Errors: EBADF, ENOTSOCK, EINVAL, EFAULT, EAGAIN, ECONNREFUSED, EISCONN, EPROTOTYPE, EPERM,
    and those of a path walk.
    """
    raw = get_sockaddr(task, addr, addrlen)
    sock = sockfd_lookup(file)
    sock.ops.connect(task, sock, raw, file.f_flags)
    return 0


@syscall
def getsockname(task: Task, file: FileArg, addr: UserAddr, addrlen: UserAddr) -> int:
    """The own address. getsockname(2). Errors: EBADF, ENOTSOCK, EFAULT, EINVAL."""
    sock = sockfd_lookup(file)
    put_sockaddr(task, sock.ops.getname(task, sock, False), addr, addrlen)
    return 0


@syscall
def getpeername(task: Task, file: FileArg, addr: UserAddr, addrlen: UserAddr) -> int:
    """The other side's address. getpeername(2). Errors: as getsockname; ENOTCONN."""
    sock = sockfd_lookup(file)
    put_sockaddr(task, sock.ops.getname(task, sock, True), addr, addrlen)
    return 0


@syscall
def sendto(
    task: Task, file: FileArg, buf: UserAddr, size: Size, flags: Flags, addr: UserAddr, addrlen: Int
) -> int:
    """Send a message. sendto(2).

    Errors: EBADF, ENOTSOCK, EAGAIN, ECONNREFUSED, ECONNRESET, EFAULT, EISCONN, EMSGSIZE,
    ENOTCONN, EOPNOTSUPP, EPIPE.
    """
    mm: Any = task.mm
    data = UserBuffer(mm, buf, size, False)
    sock = sockfd_lookup(file)
    msg = Message(get_sockaddr(task, addr, addrlen) or None) if addr else None
    return sock.ops.sendmsg(task, sock, data, file_flags(file, flags), msg)


@syscall
def recvfrom(
    task: Task,
    file: FileArg,
    buf: UserAddr,
    size: Size,
    flags: Flags,
    addr: UserAddr,
    addrlen: UserAddr,
) -> int:
    """Receive a message. recvfrom(2).

    Errors: EBADF, ENOTSOCK, EAGAIN, ECONNRESET, EFAULT, EINVAL, ENOTCONN, EOPNOTSUPP.
    """
    mm: Any = task.mm
    data = UserBuffer(mm, buf, size, True)
    sock = sockfd_lookup(file)
    msg = Message() if addr else None
    count = sock.ops.recvmsg(task, sock, data, file_flags(file, flags), msg)
    if msg is not None:
        put_sockaddr(task, msg.name or b"", addr, addrlen)
    return count


def do_sendmsg(task: Task, file: File, addr: int, flags: int) -> int:
    """Send the message described at `addr`."""
    sock = sockfd_lookup(file)
    msg, buf = import_outgoing(task, addr)
    return sock.ops.sendmsg(task, sock, buf, file_flags(file, flags), msg)


def do_recvmsg(task: Task, file: File, addr: int, flags: int) -> int:
    """Receive a message into what is described at `addr`."""
    sock = sockfd_lookup(file)
    header, msg, buf = import_incoming(task, addr)
    count = sock.ops.recvmsg(task, sock, buf, file_flags(file, flags), msg)
    export_incoming(task, header, msg, flags & MSG_CMSG_CLOEXEC)
    return count


@syscall
def sendmsg(task: Task, file: FileArg, msg: UserAddr, flags: Flags) -> int:
    """Send a message in pieces, with control messages. sendmsg(2).

    Errors: as sendto; EINVAL (control messages), EMSGSIZE (pieces), ENOBUFS, ETOOMANYREFS.
    """
    return do_sendmsg(task, file, msg, flags)


@syscall
def recvmsg(task: Task, file: FileArg, msg: UserAddr, flags: Flags) -> int:
    """Receive a message in pieces, with control messages. recvmsg(2).

    Errors: as recvfrom; EMSGSIZE (pieces).
    """
    return do_recvmsg(task, file, msg, flags)


@syscall
def shutdown(task: Task, file: FileArg, how: Int) -> int:
    """Close one direction or both. shutdown(2). Errors: EBADF, ENOTSOCK, EINVAL."""
    sock = sockfd_lookup(file)
    sock.ops.shutdown(task, sock, how)
    return 0
