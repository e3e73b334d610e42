# SPDX-License-Identifier: Apache-2.0
"""epoll(7): linux/eventpoll.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, u8, u16, u32, u64

EPOLL_CLOEXEC: Final = 0o2000000
EPOLL_CTL_ADD: Final = 1
EPOLL_CTL_DEL: Final = 2
EPOLL_CTL_MOD: Final = 3
EPOLL_URING_WAKE: Final = 0o1000000000

EPOLLIN: Final = 0x1
EPOLLPRI: Final = 0x2
EPOLLOUT: Final = 0x4
EPOLLERR: Final = 0x8
EPOLLHUP: Final = 0x10
EPOLLNVAL: Final = 0x20
EPOLLRDNORM: Final = 0x40
EPOLLRDBAND: Final = 0x80
EPOLLWRNORM: Final = 0x100
EPOLLWRBAND: Final = 0x200
EPOLLMSG: Final = 0x400
EPOLLRDHUP: Final = 0x2000
EPOLLEXCLUSIVE: Final = 0x10000000
EPOLLWAKEUP: Final = 0x20000000
EPOLLONESHOT: Final = 0x40000000
EPOLLET: Final = 0x80000000

EPIOCSPARAMS: Final = 0x40088A01
EPIOCGPARAMS: Final = 0x80088A02


class EpollEvent(CStruct, packed=True):
    """struct epoll_event: 12 bytes on x86-64."""

    events: u32 = 0
    data: u64 = 0


class EpollParams(CStruct):
    """struct epoll_params of EPIOCSPARAMS and EPIOCGPARAMS."""

    busy_poll_usecs: u32 = 0
    busy_poll_budget: u16 = 0
    prefer_busy_poll: u8 = 0
    pad: u8 = 0
