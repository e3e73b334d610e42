# SPDX-License-Identifier: Apache-2.0
"""sysinfo(2): linux/sysinfo.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import CStruct, c_long, c_ulong, u16, u32

#: Scale of the load averages in struct sysinfo: 1.0 is 1 << SI_LOAD_SHIFT.
SI_LOAD_SHIFT: Final = 16


class Sysinfo(CStruct):
    """struct sysinfo, 112 bytes; memory in units of mem_unit bytes, uptime in seconds."""

    uptime: c_long = 0
    loads: Annotated[tuple[int, ...], c_ulong, 3] = (0, 0, 0)
    totalram: c_ulong = 0
    freeram: c_ulong = 0
    sharedram: c_ulong = 0
    bufferram: c_ulong = 0
    totalswap: c_ulong = 0
    freeswap: c_ulong = 0
    procs: u16 = 0
    pad: u16 = 0
    totalhigh: c_ulong = 0
    freehigh: c_ulong = 0
    mem_unit: u32 = 0
