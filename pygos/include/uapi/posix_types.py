# SPDX-License-Identifier: Apache-2.0
"""Sizes of select(2) and of signal sets."""

from __future__ import annotations

from typing import Final

#: Bits of the C library's fd_set; the kernel itself takes any number up to the table's size.
FD_SETSIZE: Final = 1024

#: Bytes of the kernel's sigset_t.
SIGSET_SIZE: Final = 8
