# SPDX-License-Identifier: Apache-2.0
"""Sockets: linux/socket.h, linux/net.h, asm/socket.h, linux/un.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import CStruct, c_int, c_ptr, c_size_t, c_uint, u16, u32, zeroed

PF_UNSPEC: Final = 0
PF_LOCAL: Final = 1
PF_UNIX: Final = 1
PF_FILE: Final = 1
PF_INET: Final = 2
PF_AX25: Final = 3
PF_IPX: Final = 4
PF_APPLETALK: Final = 5
PF_NETROM: Final = 6
PF_BRIDGE: Final = 7
PF_ATMPVC: Final = 8
PF_X25: Final = 9
PF_INET6: Final = 10
PF_ROSE: Final = 11
PF_DECnet: Final = 12
PF_NETBEUI: Final = 13
PF_SECURITY: Final = 14
PF_KEY: Final = 15
PF_NETLINK: Final = 16
PF_ROUTE: Final = 16
PF_PACKET: Final = 17
PF_ASH: Final = 18
PF_ECONET: Final = 19
PF_ATMSVC: Final = 20
PF_RDS: Final = 21
PF_SNA: Final = 22
PF_IRDA: Final = 23
PF_PPPOX: Final = 24
PF_WANPIPE: Final = 25
PF_LLC: Final = 26
PF_IB: Final = 27
PF_MPLS: Final = 28
PF_CAN: Final = 29
PF_TIPC: Final = 30
PF_BLUETOOTH: Final = 31
PF_IUCV: Final = 32
PF_RXRPC: Final = 33
PF_ISDN: Final = 34
PF_PHONET: Final = 35
PF_IEEE802154: Final = 36
PF_CAIF: Final = 37
PF_ALG: Final = 38
PF_NFC: Final = 39
PF_VSOCK: Final = 40
PF_KCM: Final = 41
PF_QIPCRTR: Final = 42
PF_SMC: Final = 43
PF_XDP: Final = 44
PF_MCTP: Final = 45
PF_MAX: Final = 46

AF_UNSPEC: Final = 0
AF_LOCAL: Final = 1
AF_UNIX: Final = 1
AF_FILE: Final = 1
AF_INET: Final = 2
AF_AX25: Final = 3
AF_IPX: Final = 4
AF_APPLETALK: Final = 5
AF_NETROM: Final = 6
AF_BRIDGE: Final = 7
AF_ATMPVC: Final = 8
AF_X25: Final = 9
AF_INET6: Final = 10
AF_ROSE: Final = 11
AF_DECnet: Final = 12
AF_NETBEUI: Final = 13
AF_SECURITY: Final = 14
AF_KEY: Final = 15
AF_NETLINK: Final = 16
AF_ROUTE: Final = 16
AF_PACKET: Final = 17
AF_ASH: Final = 18
AF_ECONET: Final = 19
AF_ATMSVC: Final = 20
AF_RDS: Final = 21
AF_SNA: Final = 22
AF_IRDA: Final = 23
AF_PPPOX: Final = 24
AF_WANPIPE: Final = 25
AF_LLC: Final = 26
AF_IB: Final = 27
AF_MPLS: Final = 28
AF_CAN: Final = 29
AF_TIPC: Final = 30
AF_BLUETOOTH: Final = 31
AF_IUCV: Final = 32
AF_RXRPC: Final = 33
AF_ISDN: Final = 34
AF_PHONET: Final = 35
AF_IEEE802154: Final = 36
AF_CAIF: Final = 37
AF_ALG: Final = 38
AF_NFC: Final = 39
AF_VSOCK: Final = 40
AF_KCM: Final = 41
AF_QIPCRTR: Final = 42
AF_SMC: Final = 43
AF_XDP: Final = 44
AF_MCTP: Final = 45
AF_MAX: Final = 46

SOCK_STREAM: Final = 1
SOCK_DGRAM: Final = 2
SOCK_RAW: Final = 3
SOCK_RDM: Final = 4
SOCK_SEQPACKET: Final = 5
SOCK_DCCP: Final = 6
SOCK_PACKET: Final = 10
SOCK_CLOEXEC: Final = 0o2000000
SOCK_NONBLOCK: Final = 0o0004000

SOL_SOCKET: Final = 1
SOL_RAW: Final = 255
SOL_DECNET: Final = 261
SOL_X25: Final = 262
SOL_PACKET: Final = 263
SOL_ATM: Final = 264
SOL_AAL: Final = 265
SOL_IRDA: Final = 266
SOL_NETBEUI: Final = 267
SOL_LLC: Final = 268
SOL_DCCP: Final = 269
SOL_NETLINK: Final = 270
SOL_TIPC: Final = 271
SOL_RXRPC: Final = 272
SOL_PPPOL2TP: Final = 273
SOL_BLUETOOTH: Final = 274
SOL_PNPIPE: Final = 275
SOL_RDS: Final = 276
SOL_IUCV: Final = 277
SOL_CAIF: Final = 278
SOL_ALG: Final = 279
SOL_NFC: Final = 280
SOL_KCM: Final = 281
SOL_TLS: Final = 282
SOL_XDP: Final = 283
SOL_MPTCP: Final = 284
SOL_MCTP: Final = 285
SOL_SMC: Final = 286
SOMAXCONN: Final = 4096

MSG_OOB: Final = 0x01
MSG_PEEK: Final = 0x02
MSG_DONTROUTE: Final = 0x04
MSG_TRYHARD: Final = 0x4
MSG_CTRUNC: Final = 0x08
MSG_PROXY: Final = 0x10
MSG_TRUNC: Final = 0x20
MSG_DONTWAIT: Final = 0x40
MSG_EOR: Final = 0x80
MSG_WAITALL: Final = 0x100
MSG_FIN: Final = 0x200
MSG_SYN: Final = 0x400
MSG_CONFIRM: Final = 0x800
MSG_RST: Final = 0x1000
MSG_ERRQUEUE: Final = 0x2000
MSG_NOSIGNAL: Final = 0x4000
MSG_MORE: Final = 0x8000
MSG_WAITFORONE: Final = 0x10000
MSG_BATCH: Final = 0x40000
MSG_ZEROCOPY: Final = 0x4000000
MSG_FASTOPEN: Final = 0x20000000
MSG_CMSG_CLOEXEC: Final = 0x40000000

SCM_RIGHTS: Final = 0x01
SCM_CREDENTIALS: Final = 2

SHUT_RD: Final = 0
SHUT_WR: Final = 1
SHUT_RDWR: Final = 2

SO_DEBUG: Final = 1
SO_REUSEADDR: Final = 2
SO_TYPE: Final = 3
SO_ERROR: Final = 4
SO_DONTROUTE: Final = 5
SO_BROADCAST: Final = 6
SO_SNDBUF: Final = 7
SO_RCVBUF: Final = 8
SO_SNDBUFFORCE: Final = 32
SO_RCVBUFFORCE: Final = 33
SO_KEEPALIVE: Final = 9
SO_OOBINLINE: Final = 10
SO_NO_CHECK: Final = 11
SO_PRIORITY: Final = 12
SO_LINGER: Final = 13
SO_BSDCOMPAT: Final = 14
SO_REUSEPORT: Final = 15
SO_PASSCRED: Final = 16
SO_PEERCRED: Final = 17
SO_RCVLOWAT: Final = 18
SO_SNDLOWAT: Final = 19
SO_RCVTIMEO_OLD: Final = 20
SO_SNDTIMEO_OLD: Final = 21
SO_SECURITY_AUTHENTICATION: Final = 22
SO_SECURITY_ENCRYPTION_TRANSPORT: Final = 23
SO_SECURITY_ENCRYPTION_NETWORK: Final = 24
SO_BINDTODEVICE: Final = 25
SO_ATTACH_FILTER: Final = 26
SO_DETACH_FILTER: Final = 27
SO_GET_FILTER: Final = 26
SO_PEERNAME: Final = 28
SO_ACCEPTCONN: Final = 30
SO_PEERSEC: Final = 31
SO_PASSSEC: Final = 34
SO_MARK: Final = 36
SO_PROTOCOL: Final = 38
SO_DOMAIN: Final = 39
SO_RXQ_OVFL: Final = 40
SO_WIFI_STATUS: Final = 41
SCM_WIFI_STATUS: Final = 41
SO_PEEK_OFF: Final = 42
SO_NOFCS: Final = 43
SO_LOCK_FILTER: Final = 44
SO_SELECT_ERR_QUEUE: Final = 45
SO_BUSY_POLL: Final = 46
SO_MAX_PACING_RATE: Final = 47
SO_BPF_EXTENSIONS: Final = 48
SO_INCOMING_CPU: Final = 49
SO_ATTACH_BPF: Final = 50
SO_DETACH_BPF: Final = 27
SO_ATTACH_REUSEPORT_CBPF: Final = 51
SO_ATTACH_REUSEPORT_EBPF: Final = 52
SO_CNX_ADVICE: Final = 53
SCM_TIMESTAMPING_OPT_STATS: Final = 54
SO_MEMINFO: Final = 55
SO_INCOMING_NAPI_ID: Final = 56
SO_COOKIE: Final = 57
SCM_TIMESTAMPING_PKTINFO: Final = 58
SO_PEERGROUPS: Final = 59
SO_ZEROCOPY: Final = 60
SO_TXTIME: Final = 61
SCM_TXTIME: Final = 61
SO_BINDTOIFINDEX: Final = 62
SO_TIMESTAMP_OLD: Final = 29
SO_TIMESTAMPNS_OLD: Final = 35
SO_TIMESTAMPING_OLD: Final = 37
SO_TIMESTAMP_NEW: Final = 63
SO_TIMESTAMPNS_NEW: Final = 64
SO_TIMESTAMPING_NEW: Final = 65
SO_RCVTIMEO_NEW: Final = 66
SO_SNDTIMEO_NEW: Final = 67
SO_DETACH_REUSEPORT_BPF: Final = 68
SO_PREFER_BUSY_POLL: Final = 69
SO_BUSY_POLL_BUDGET: Final = 70
SO_NETNS_COOKIE: Final = 71
SO_BUF_LOCK: Final = 72
SO_RESERVE_MEM: Final = 73
SO_TXREHASH: Final = 74
SO_RCVMARK: Final = 75
SO_TIMESTAMP: Final = 29
SO_TIMESTAMPNS: Final = 35
SO_TIMESTAMPING: Final = 37
SO_RCVTIMEO: Final = 20
SO_SNDTIMEO: Final = 21
SCM_TIMESTAMP: Final = 29
SCM_TIMESTAMPNS: Final = 35
SCM_TIMESTAMPING: Final = 37

SO_PASSPIDFD: Final = 76
SO_PEERPIDFD: Final = 77
SCM_TS_OPT_ID: Final = 81
SO_RCVPRIORITY: Final = 82
SO_PASSRIGHTS: Final = 83
SCM_SECURITY: Final = 3
SCM_PIDFD: Final = 4

IPPROTO_IP: Final = 0
IPPROTO_ICMP: Final = 1
IPPROTO_IGMP: Final = 2
IPPROTO_IPIP: Final = 4
IPPROTO_TCP: Final = 6
IPPROTO_EGP: Final = 8
IPPROTO_PUP: Final = 12
IPPROTO_UDP: Final = 17
IPPROTO_IDP: Final = 22
IPPROTO_TP: Final = 29
IPPROTO_DCCP: Final = 33
IPPROTO_IPV6: Final = 41
IPPROTO_RSVP: Final = 46
IPPROTO_GRE: Final = 47
IPPROTO_ESP: Final = 50
IPPROTO_AH: Final = 51
IPPROTO_MTP: Final = 92
IPPROTO_BEETPH: Final = 94
IPPROTO_ENCAP: Final = 98
IPPROTO_PIM: Final = 103
IPPROTO_COMP: Final = 108
IPPROTO_SCTP: Final = 132
IPPROTO_UDPLITE: Final = 136
IPPROTO_MPLS: Final = 137
IPPROTO_ETHERNET: Final = 143
IPPROTO_RAW: Final = 255
IPPROTO_MPTCP: Final = 262
IPPROTO_MAX: Final = 263
IPPROTO_HOPOPTS: Final = 0
IPPROTO_ROUTING: Final = 43
IPPROTO_FRAGMENT: Final = 44
IPPROTO_ICMPV6: Final = 58
IPPROTO_NONE: Final = 59
IPPROTO_DSTOPTS: Final = 60
IPPROTO_MH: Final = 135

NETLINK_ROUTE: Final = 0
NETLINK_UNUSED: Final = 1
NETLINK_USERSOCK: Final = 2
NETLINK_FIREWALL: Final = 3
NETLINK_SOCK_DIAG: Final = 4
NETLINK_NFLOG: Final = 5
NETLINK_XFRM: Final = 6
NETLINK_SELINUX: Final = 7
NETLINK_ISCSI: Final = 8
NETLINK_AUDIT: Final = 9
NETLINK_FIB_LOOKUP: Final = 10
NETLINK_CONNECTOR: Final = 11
NETLINK_NETFILTER: Final = 12
NETLINK_IP6_FW: Final = 13
NETLINK_DNRTMSG: Final = 14
NETLINK_KOBJECT_UEVENT: Final = 15
NETLINK_GENERIC: Final = 16
NETLINK_SCSITRANSPORT: Final = 18
NETLINK_ECRYPTFS: Final = 19
NETLINK_RDMA: Final = 20
NETLINK_CRYPTO: Final = 21
NETLINK_SMC: Final = 22
NETLINK_INET_DIAG: Final = 4
NETLINK_ADD_MEMBERSHIP: Final = 1
NETLINK_DROP_MEMBERSHIP: Final = 2
NETLINK_PKTINFO: Final = 3
NETLINK_BROADCAST_ERROR: Final = 4
NETLINK_NO_ENOBUFS: Final = 5
NETLINK_RX_RING: Final = 6
NETLINK_TX_RING: Final = 7
NETLINK_LISTEN_ALL_NSID: Final = 8
NETLINK_LIST_MEMBERSHIPS: Final = 9
NETLINK_CAP_ACK: Final = 10
NETLINK_EXT_ACK: Final = 11
NETLINK_GET_STRICT_CHK: Final = 12
NETLINK_UNCONNECTED: Final = 0
NETLINK_CONNECTED: Final = 1

UNIX_PATH_MAX: Final = 108


class Sockaddr(CStruct):
    """struct sockaddr."""

    sa_family: u16 = 0
    sa_data: Annotated[bytes, 14] = b""


class SockaddrUn(CStruct):
    """struct sockaddr_un."""

    sun_family: u16 = 0
    sun_path: Annotated[bytes, 108] = b""


class SockaddrIn(CStruct):
    """struct sockaddr_in; port and address are bytes in network order."""

    sin_family: u16 = 0
    sin_port: Annotated[bytes, 2] = b""
    sin_addr: Annotated[bytes, 4] = b""
    sin_zero: Annotated[bytes, 8] = b""


class SockaddrIn6(CStruct):
    """struct sockaddr_in6; port, flow and address are bytes in network order."""

    sin6_family: u16 = 0
    sin6_port: Annotated[bytes, 2] = b""
    sin6_flowinfo: Annotated[bytes, 4] = b""
    sin6_addr: Annotated[bytes, 16] = b""
    sin6_scope_id: u32 = 0


class SockaddrNl(CStruct):
    """struct sockaddr_nl."""

    nl_family: u16 = 0
    nl_pad: u16 = 0
    nl_pid: u32 = 0
    nl_groups: u32 = 0


class Msghdr(CStruct):
    """struct user_msghdr of sendmsg(2) and recvmsg(2)."""

    msg_name: c_ptr = 0
    msg_namelen: c_int = 0
    msg_iov: c_ptr = 0
    msg_iovlen: c_size_t = 0
    msg_control: c_ptr = 0
    msg_controllen: c_size_t = 0
    msg_flags: c_uint = 0


class Mmsghdr(CStruct):
    """struct mmsghdr of sendmmsg(2) and recvmmsg(2)."""

    msg_hdr: Msghdr = zeroed(Msghdr)
    msg_len: c_uint = 0


class Cmsghdr(CStruct):
    """struct cmsghdr: the head of a control message."""

    cmsg_len: c_size_t = 0
    cmsg_level: c_int = 0
    cmsg_type: c_int = 0


class Ucred(CStruct):
    """struct ucred of SO_PEERCRED and SCM_CREDENTIALS."""

    pid: c_int = 0
    uid: c_uint = 0
    gid: c_uint = 0


class Linger(CStruct):
    """struct linger of SO_LINGER."""

    l_onoff: c_int = 0
    l_linger: c_int = 0
