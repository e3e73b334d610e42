# SPDX-License-Identifier: Apache-2.0
"""Addresses of AF_UNIX: pathnames, abstract names, autobind; who has an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.inode import iget, touch_atime
from pygos.fs.namei import (
    filename_create,
    inode_permission,
    path_lookup,
    prepare_mode,
    vfs_mknod,
    vfs_unlink,
)
from pygos.include.errno import EADDRINUSE, ECONNREFUSED, EEXIST, EINVAL, ENOSPC, EPROTOTYPE
from pygos.include.linux.fs import MAY_WRITE, S_IFMT, S_IFSOCK, Path
from pygos.include.uapi.fcntl import AT_FDCWD
from pygos.include.uapi.socket import AF_UNIX
from pygos.net.unix.sock import UNNAMED, UnixAddr, UnixSock

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: offsetof(struct sockaddr_un, sun_path), sizeof(struct sockaddr_un).
PATH_OFFSET: Final = 2
ADDR_SIZE: Final = 110
_AUTOBIND_MASK: Final = 0xFFFFF


def validate(addr: bytes) -> None:
    """EINVAL unless it is an AF_UNIX address with a name."""
    if not PATH_OFFSET < len(addr) <= ADDR_SIZE or addr[:2] != UNNAMED:
        raise EINVAL


def _pathname(addr: bytes) -> bytes:
    return addr[PATH_OFFSET:].split(b"\0", 1)[0]


def bind(task: Task, sk: UnixSock, addr: bytes) -> None:
    """Give a socket a name. Errors: EINVAL (bad, or it has one), EADDRINUSE, the walk's."""
    if addr == UNNAMED:
        autobind(task, sk)
        return
    validate(addr)
    if addr[PATH_OFFSET]:
        _bind_path(task, sk, _pathname(addr))
    else:
        _bind_abstract(sk, addr)


def _bind_path(task: Task, sk: UnixSock, name: bytes) -> None:
    try:
        parent, dentry = filename_create(task, AT_FDCWD, name)
        mode = sk.socket.file.f_inode.i_mode if sk.socket and sk.socket.file else 0o777
        mode = prepare_mode(task, parent.inode, S_IFSOCK | mode & ~S_IFMT)
        vfs_mknod(task, parent.inode, dentry, mode, 0)
    except EEXIST:
        raise EADDRINUSE from None
    if sk.addr is not None:
        vfs_unlink(task, parent.inode, dentry)
        raise EINVAL
    path = Path(parent.mnt, dentry)
    sk.addr = UnixAddr(UNNAMED + name + b"\0", path)
    sk.bound = True
    sk.bound_inode = iget(path.inode)
    sk.unet.inodes[path.inode] = sk


def _bind_abstract(sk: UnixSock, addr: bytes) -> None:
    if sk.addr is not None:
        raise EINVAL
    key = (sk.type, addr[PATH_OFFSET:])
    if key in sk.unet.abstract:
        raise EADDRINUSE
    sk.unet.abstract[key] = sk
    sk.addr = UnixAddr(addr, None)
    sk.bound = True


def autobind(task: Task, sk: UnixSock) -> None:
    """Give a nameless socket a free abstract name of five hex digits. ENOSPC."""
    if sk.addr is not None:
        return
    unet = sk.unet
    if not unet.autobind:
        unet.autobind = int.from_bytes(task.machine.entropy.bytes(3), "little")
    for _ in range(_AUTOBIND_MASK + 1):
        unet.autobind = (unet.autobind + 1) & _AUTOBIND_MASK
        name = b"\0%05x" % unet.autobind
        if (sk.type, name) not in unet.abstract:
            _bind_abstract(sk, AF_UNIX.to_bytes(2, "little") + name)
            return
    raise ENOSPC


def find_other(task: Task, sk: UnixSock, addr: bytes) -> UnixSock:
    """Who has an address. Errors: ECONNREFUSED, EPROTOTYPE, EACCES, the walk's."""
    if not addr[PATH_OFFSET]:
        found = sk.unet.abstract.get((sk.type, addr[PATH_OFFSET:]))
        if found is None:
            raise ECONNREFUSED
        return found
    path = path_lookup(task, AT_FDCWD, _pathname(addr))
    inode = path.inode
    inode_permission(task, inode, MAY_WRITE)
    if inode.i_mode & S_IFMT != S_IFSOCK:
        raise ECONNREFUSED
    found = sk.unet.inodes.get(inode)
    if found is None:
        raise ECONNREFUSED
    if found.type != sk.type:
        raise EPROTOTYPE
    touch_atime(path.mnt, inode)
    return found
