# SPDX-License-Identifier: Apache-2.0
"""sockfs: inodes of sockets, and what a descriptor of a socket can do (net/socket.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.attr import simple_setattr
from pygos.fs.file_table import alloc_file
from pygos.include.errno import EINVAL, ENODATA, ENODEV, ENOIOCTLCMD, ENOTTY, ESPIPE
from pygos.include.linux.fs import (
    ATTR_UID,
    FMODE_READ,
    FMODE_STREAM,
    FMODE_WRITE,
    S_IFDIR,
    S_IFSOCK,
    Dentry,
    DentryOperations,
    File,
    FileOperations,
    FileSystemType,
    Iattr,
    Inode,
    InodeOperations,
    Path,
    SuperBlock,
    SuperOperations,
)
from pygos.include.uapi.fcntl import O_NONBLOCK, O_RDWR
from pygos.include.uapi.ioctls import (
    FIOGETOWN,
    FIOSETOWN,
    SIOCGIFNAME,
    SIOCGPGRP,
    SIOCSPGRP,
)
from pygos.include.uapi.magic import SOCKFS_MAGIC
from pygos.include.uapi.socket import AF_INET, AF_UNIX, MSG_DONTWAIT, MSG_EOR, SOCK_SEQPACKET
from pygos.net.netns import net_of

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task
    from pygos.include.linux.wait import WaitQueue
    from pygos.net.sock import Socket

_PROTONAME: Final = b"system.sockprotoname"
#: ioctl commands about interfaces (linux/sockios.h).
_SIOC_FIRST: Final = SIOCGIFNAME
_SIOC_LAST: Final = 0x89FF


class SockDentryOperations(DentryOperations):
    """sockfs names its objects by inode number."""

    __slots__ = ()

    def d_dname(self, dentry: Dentry) -> bytes | None:
        inode = dentry.d_inode
        assert inode is not None
        return b"socket:[%d]" % inode.i_ino


class SockFsType(FileSystemType):
    """sockfs: internal."""

    __slots__ = ()
    name = "sockfs"


class SockInodeOperations(InodeOperations):
    """Attributes can be changed; the protocol's name is an extended attribute."""

    __slots__ = ()

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        simple_setattr(inode, attr)
        if attr.valid & ATTR_UID:
            socket: Socket = inode.i_private
            socket.sk.uid = attr.uid

    def getxattr(self, task: Task, inode: Inode, name: bytes) -> bytes:
        if name != _PROTONAME:
            raise ENODATA
        socket: Socket = inode.i_private
        return protocol_name(socket) + b"\0"

    def listxattr(self, task: Task, inode: Inode) -> list[bytes]:
        return [_PROTONAME]


def protocol_name(socket: Socket) -> bytes:
    """Linux's name of a socket's protocol (struct proto)."""
    stream = socket.type == 1
    if socket.sk.family == AF_UNIX:
        return b"UNIX-STREAM" if stream else b"UNIX"
    name = b"TCP" if stream else b"UDP"
    return name if socket.sk.family == AF_INET else name + b"v6"


_SOCKFS: Final = SockFsType()
_DENTRY_OPS: Final = SockDentryOperations()
_INODE_OPS: Final = SockInodeOperations()


def sockfs_sb(machine: Machine) -> SuperBlock:
    """The super block of sockfs, made at the first use."""
    net = net_of(machine)
    sb = net.sockfs
    return sb if sb is not None else _init_sockfs(machine)


def _init_sockfs(machine: Machine) -> SuperBlock:
    sb = SuperBlock(machine, _SOCKFS, SuperOperations())
    sb.s_magic = SOCKFS_MAGIC
    sb.s_d_op = _DENTRY_OPS
    sb.s_root = Dentry(sb, None, b"/")
    sb.s_root.d_inode = Inode(sb, sb.new_ino(), S_IFDIR)
    sb.s_fs_info = machine.new_mount(sb.s_root, "sockfs")
    net_of(machine).sockfs = sb
    return sb


def sock_alloc_file(task: Task, socket: Socket, flags: int) -> File:
    """The open file of a new socket; `flags` may have O_NONBLOCK. ENFILE (it is released)."""
    machine = task.machine
    sb = sockfs_sb(machine)
    cred = task.cred
    inode = Inode(sb, sb.new_ino(), S_IFSOCK | 0o777)
    inode.i_count = 0  # only its file holds it
    inode.i_uid = cred.fsuid
    inode.i_gid = cred.fsgid
    inode.i_op = _INODE_OPS
    inode.i_private = socket
    inode.i_atime = inode.i_mtime = inode.i_ctime = inode.i_btime = machine.clock.realtime()
    dentry = Dentry(sb, None, b"")
    dentry.d_inode = inode
    mode = FMODE_READ | FMODE_WRITE | FMODE_STREAM
    flags = O_RDWR | flags & O_NONBLOCK
    try:
        file = alloc_file(Path(sb.s_fs_info, dentry), inode, flags, mode, cred, SOCKET_FOPS)
    except BaseException:
        socket.ops.release(socket)
        raise
    file.private_data = socket
    socket.file = file
    return file


class SocketFileOperations(FileOperations):
    """socket_file_ops."""

    __slots__ = ()
    supports_fasync = True

    def open(self, task: Task, inode: Inode, file: File) -> None:
        from pygos.include.errno import ENXIO

        raise ENXIO

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        raise ESPIPE

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        if not buf.length:
            return 0
        socket: Socket = file.private_data
        flags = MSG_DONTWAIT if file.f_flags & O_NONBLOCK else 0
        return socket.ops.recvmsg(task, socket, buf, flags, None)

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        socket: Socket = file.private_data
        flags = MSG_DONTWAIT if file.f_flags & O_NONBLOCK else 0
        if socket.type == SOCK_SEQPACKET:
            flags |= MSG_EOR
        return socket.ops.sendmsg(task, socket, buf, flags, None)

    def poll(self, task: Task, file: File) -> int:
        socket: Socket = file.private_data
        return socket.ops.poll(task, file, socket)

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...]:
        return (file.private_data.sk.wq,)

    def ioctl(self, task: Task, file: File, cmd: int, arg: int) -> int:
        socket: Socket = file.private_data
        mm: Any = task.mm
        if cmd in (FIOSETOWN, SIOCSPGRP):
            from pygos.fs.fcntl import f_setown

            f_setown(task, file, _signed(mm.read_u32(arg)))
            return 0
        if cmd in (FIOGETOWN, SIOCGPGRP):
            from pygos.fs.fcntl import f_getown

            mm.write_u32(arg, f_getown(task, file) & 0xFFFF_FFFF)
            return 0
        try:
            return socket.ops.ioctl(task, socket, cmd, arg)
        except ENOIOCTLCMD:
            if _SIOC_FIRST <= cmd <= _SIOC_LAST:
                from pygos.net.dev_ioctl import dev_ioctl

                return dev_ioctl(task, cmd, arg)
            raise ENOTTY from None

    def mmap(self, task: Task, file: File, vma: object) -> None:
        raise ENODEV

    def fsync(self, task: Task, file: File, datasync: bool) -> None:
        raise EINVAL

    def release(self, file: File) -> None:
        socket: Socket | None = file.private_data
        if socket is not None:
            socket.ops.release(socket)


def _signed(value: int) -> int:
    return (value ^ 0x8000_0000) - 0x8000_0000


SOCKET_FOPS: Final = SocketFileOperations()
