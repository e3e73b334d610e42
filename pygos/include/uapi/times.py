# SPDX-License-Identifier: Apache-2.0
"""times(2): linux/times.h."""

from __future__ import annotations

from pygos.include.uapi.cstruct import CStruct, c_long


class Tms(CStruct):
    """struct tms, in USER_HZ ticks."""

    tms_utime: c_long = 0
    tms_stime: c_long = 0
    tms_cutime: c_long = 0
    tms_cstime: c_long = 0
