# SPDX-License-Identifier: Apache-2.0
"""uname(2): linux/utsname.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import CStruct

UTS_LEN: Final = 64


class NewUtsname(CStruct):
    """struct new_utsname; NUL-terminated strings."""

    sysname: Annotated[bytes, 65] = b""
    nodename: Annotated[bytes, 65] = b""
    release: Annotated[bytes, 65] = b""
    version: Annotated[bytes, 65] = b""
    machine: Annotated[bytes, 65] = b""
    domainname: Annotated[bytes, 65] = b""
