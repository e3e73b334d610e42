# SPDX-License-Identifier: Apache-2.0
"""adjtimex(2): linux/timex.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import CStruct, c_int, c_long, c_uint, zeroed
from pygos.include.uapi.time import Timeval

ADJ_OFFSET: Final = 0x0001
ADJ_FREQUENCY: Final = 0x0002
ADJ_MAXERROR: Final = 0x0004
ADJ_ESTERROR: Final = 0x0008
ADJ_STATUS: Final = 0x0010
ADJ_TIMECONST: Final = 0x0020
ADJ_TAI: Final = 0x0080
ADJ_SETOFFSET: Final = 0x0100
ADJ_MICRO: Final = 0x1000
ADJ_NANO: Final = 0x2000
ADJ_TICK: Final = 0x4000
ADJ_OFFSET_SINGLESHOT: Final = 0x8001
ADJ_OFFSET_SS_READ: Final = 0xA001
STA_PLL: Final = 0x0001
STA_PPSFREQ: Final = 0x0002
STA_PPSTIME: Final = 0x0004
STA_FLL: Final = 0x0008
STA_INS: Final = 0x0010
STA_DEL: Final = 0x0020
STA_UNSYNC: Final = 0x0040
STA_FREQHOLD: Final = 0x0080
STA_PPSSIGNAL: Final = 0x0100
STA_PPSJITTER: Final = 0x0200
STA_PPSWANDER: Final = 0x0400
STA_PPSERROR: Final = 0x0800
STA_CLOCKERR: Final = 0x1000
STA_NANO: Final = 0x2000
STA_MODE: Final = 0x4000
STA_CLK: Final = 0x8000
STA_RONLY: Final = 0xFF00
TIME_OK: Final = 0
TIME_INS: Final = 1
TIME_DEL: Final = 2
TIME_OOP: Final = 3
TIME_WAIT: Final = 4
TIME_ERROR: Final = 5
TIME_BAD: Final = 0x5


class Timex(CStruct):
    """struct timex, 208 bytes."""

    modes: c_uint = 0
    offset: c_long = 0
    freq: c_long = 0
    maxerror: c_long = 0
    esterror: c_long = 0
    status: c_int = 0
    constant: c_long = 0
    precision: c_long = 0
    tolerance: c_long = 0
    time: Timeval = zeroed(Timeval)
    tick: c_long = 0
    ppsfreq: c_long = 0
    jitter: c_long = 0
    shift: c_int = 0
    stabil: c_long = 0
    jitcnt: c_long = 0
    calcnt: c_long = 0
    errcnt: c_long = 0
    stbcnt: c_long = 0
    tai: c_int = 0
    rest: Annotated[bytes, 44] = b""
