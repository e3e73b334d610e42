# SPDX-License-Identifier: Apache-2.0
"""inotify(7): linux/inotify.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, i32, u32

IN_ACCESS: Final = 0x00000001
IN_MODIFY: Final = 0x00000002
IN_ATTRIB: Final = 0x00000004
IN_CLOSE_WRITE: Final = 0x00000008
IN_CLOSE_NOWRITE: Final = 0x00000010
IN_OPEN: Final = 0x00000020
IN_MOVED_FROM: Final = 0x00000040
IN_MOVED_TO: Final = 0x00000080
IN_CREATE: Final = 0x00000100
IN_DELETE: Final = 0x00000200
IN_DELETE_SELF: Final = 0x00000400
IN_MOVE_SELF: Final = 0x00000800
IN_UNMOUNT: Final = 0x00002000
IN_Q_OVERFLOW: Final = 0x00004000
IN_IGNORED: Final = 0x00008000
IN_CLOSE: Final = 0x18
IN_MOVE: Final = 0xC0
IN_ONLYDIR: Final = 0x01000000
IN_DONT_FOLLOW: Final = 0x02000000
IN_EXCL_UNLINK: Final = 0x04000000
IN_MASK_CREATE: Final = 0x10000000
IN_MASK_ADD: Final = 0x20000000
IN_ISDIR: Final = 0x40000000
IN_ONESHOT: Final = 0x80000000
IN_ALL_EVENTS: Final = 0xFFF
IN_CLOEXEC: Final = 0x80000
IN_NONBLOCK: Final = 0x800
INOTIFY_IOC_SETNEXTWD: Final = 0x40044900


class InotifyEvent(CStruct):
    """The head of struct inotify_event; `len` bytes of name with NULs follow."""

    wd: i32 = 0
    mask: u32 = 0
    cookie: u32 = 0
    len: u32 = 0
