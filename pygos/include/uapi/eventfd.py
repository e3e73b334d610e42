# SPDX-License-Identifier: Apache-2.0
"""eventfd(2): linux/eventfd.h."""

from __future__ import annotations

from typing import Final

EFD_SEMAPHORE: Final = 1 << 0
EFD_CLOEXEC: Final = 0o2000000
EFD_NONBLOCK: Final = 0o4000

#: The largest value of a counter; a read can take no more.
EFD_MAX: Final = 0xFFFFFFFFFFFFFFFE
