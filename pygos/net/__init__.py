# SPDX-License-Identifier: Apache-2.0
"""Sockets, as Linux's net/: the layer between system calls and protocol families.

socket.py    the system calls
sockfs.py    the file system that holds sockets' inodes; what a descriptor of a socket can do
sock.py      struct sock: buffers, errors, waiting; the operations of a protocol
sockopt.py   options of SOL_SOCKET
scm.py       control messages: descriptors, credentials
message.py   struct msghdr coming in and going out
netns.py     struct net: what a network namespace owns; the registry of protocol families
proc.py      /proc/net
dev_ioctl.py interfaces as ioctl(2) shows them
unix/        AF_UNIX
ipv4/        AF_INET: TCP and UDP over the loopback; ipv6/: the same with longer addresses

Who may call: init and drivers. The VFS below reaches sockets only through the operations of
their files and inodes; pathname sockets are made with its vfs_mknod().
Who owns what: a file owns its Socket, the Socket its Sock; a Sock is known to the tables of
its family until it is released. A queued message owns a reference of each file it carries.
"""

from typing import Final

#: System calls, whose modules are imported at the first one, for init/calls.py.
_LAZY: Final = {
    "pygos.net.socket": (
        "socket socketpair bind listen accept4 accept connect getsockname getpeername sendto "
        "recvfrom sendmsg recvmsg shutdown"
    ),
    "pygos.net.mmsg": "sendmmsg recvmmsg",
    "pygos.net.sockopt": "setsockopt getsockopt",
}
SYSCALLS_LAZY: Final = {name: module for module, names in _LAZY.items() for name in names.split()}
