# SPDX-License-Identifier: Apache-2.0
"""AF_UNIX: sockets between processes of one machine, unix(7).

sock.py      UnixSock, messages, tables, release
names.py     addresses: bind, finding who has one
ops.py       what stream and datagram sockets have in common
stream.py    SOCK_STREAM; dgram.py: SOCK_DGRAM and SOCK_SEQPACKET
af_unix.py   making sockets
garbage.py   descriptors in flight, and sockets that only messages refer to
proc.py      the text of /proc/net/unix

Names live in the machine: pathnames in its VFS (a socket inode of the host's directory tree
has nobody behind it: ECONNREFUSED), abstract names in its own table.
"""
