# SPDX-License-Identifier: Apache-2.0
"""Internet addresses: as bytes in network order, 4 of them or 16.

An IPv4 address that an AF_INET6 socket gives as ``::ffff:a.b.c.d`` is kept as 4 bytes.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from pygos.include.errno import EAFNOSUPPORT, EINVAL
from pygos.include.uapi.socket import AF_INET, AF_INET6, AF_UNSPEC

ANY4: Final = bytes(4)
ANY6: Final = bytes(16)
LOOPBACK4: Final = b"\x7f\0\0\1"
LOOPBACK6: Final = bytes(15) + b"\1"
BROADCAST: Final = b"\xff" * 4
_MAPPED: Final = bytes(10) + b"\xff\xff"
_IN: Final = Struct("<H2s4s8x")
_IN6: Final = Struct("<H2sI16sI")
#: sizeof(struct sockaddr_in), and of sockaddr_in6 without its last field (RFC 2133).
IN_SIZE: Final = 16
IN6_MIN: Final = 24


class Endpoint(NamedTuple):
    """An address and a port."""

    ip: bytes
    port: int


def is_any(ip: bytes) -> bool:
    return not any(ip)


def is_loopback(ip: bytes) -> bool:
    return ip[0] == 127 if len(ip) == 4 else ip == LOOPBACK6


def is_multicast(ip: bytes) -> bool:
    return ip[0] & 0xF0 == 0xE0 if len(ip) == 4 else ip[0] == 0xFF


def family_of(raw: bytes) -> int:
    """sa_family. EINVAL if there is none."""
    if len(raw) < 2:
        raise EINVAL
    return raw[0] | raw[1] << 8


def parse(family: int, raw: bytes) -> Endpoint:
    """The endpoint in a struct sockaddr_in or sockaddr_in6. EINVAL, EAFNOSUPPORT."""
    if family == AF_INET:
        if len(raw) < IN_SIZE:
            raise EINVAL
        kind, port, ip = _IN.unpack_from(raw)
        if kind != AF_INET:
            raise EAFNOSUPPORT
        return Endpoint(ip, int.from_bytes(port, "big"))
    if len(raw) < IN6_MIN:
        raise EINVAL
    kind, port, _, ip, _ = _IN6.unpack_from(raw.ljust(28, b"\0"))
    if kind != AF_INET6:
        raise EAFNOSUPPORT
    if ip[:12] == _MAPPED:
        ip = ip[12:]
    return Endpoint(ip, int.from_bytes(port, "big"))


def parse_bind(family: int, raw: bytes) -> Endpoint:
    """As parse(); bind(2) also takes AF_UNSPEC for INADDR_ANY, as old programs give it."""
    if family == AF_INET and len(raw) >= IN_SIZE and family_of(raw) == AF_UNSPEC:
        if raw[4:8] != ANY4:
            raise EAFNOSUPPORT
        raw = AF_INET.to_bytes(2, "little") + raw[2:]
    return parse(family, raw)


def widen(ip: bytes) -> bytes:
    """16 bytes, as an AF_INET6 socket shows it."""
    if len(ip) == 16:
        return ip
    return ANY6 if ip == ANY4 else _MAPPED + ip


def sockaddr(family: int, ip: bytes, port: int) -> bytes:
    """The struct that programs of this family see."""
    number = port.to_bytes(2, "big")
    if family == AF_INET:
        return _IN.pack(AF_INET, number, ip)
    return _IN6.pack(AF_INET6, number, 0, widen(ip), 0)
