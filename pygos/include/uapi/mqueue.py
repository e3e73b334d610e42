# SPDX-License-Identifier: Apache-2.0
"""POSIX message queues: linux/mqueue.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import CStruct, c_long

MQ_PRIO_MAX: Final = 32768
MQ_BYTES_MAX: Final = 819200
NOTIFY_NONE: Final = 0
NOTIFY_WOKENUP: Final = 1
NOTIFY_REMOVED: Final = 2
NOTIFY_COOKIE_LEN: Final = 32


class MqAttr(CStruct):
    """struct mq_attr, 64 bytes."""

    mq_flags: c_long = 0
    mq_maxmsg: c_long = 0
    mq_msgsize: c_long = 0
    mq_curmsgs: c_long = 0
    reserved: Annotated[tuple[int, ...], c_long, 4] = (0,) * 4
