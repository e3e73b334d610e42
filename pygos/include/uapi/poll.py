# SPDX-License-Identifier: Apache-2.0
"""poll(2): asm-generic/poll.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, c_int, c_short

POLLIN: Final = 0x0001
POLLPRI: Final = 0x0002
POLLOUT: Final = 0x0004
POLLERR: Final = 0x0008
POLLHUP: Final = 0x0010
POLLNVAL: Final = 0x0020
POLLRDNORM: Final = 0x0040
POLLRDBAND: Final = 0x0080
POLLWRNORM: Final = 0x0100
POLLWRBAND: Final = 0x0200
POLLMSG: Final = 0x0400
POLLREMOVE: Final = 0x1000
POLLRDHUP: Final = 0x2000
POLLFREE: Final = 0x4000
POLL_BUSY_LOOP: Final = 0x8000


class Pollfd(CStruct):
    """struct pollfd."""

    fd: c_int = 0
    events: c_short = 0
    revents: c_short = 0
