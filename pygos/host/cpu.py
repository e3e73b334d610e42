# SPDX-License-Identifier: Apache-2.0
"""What the host's CPU offers to programs: the words that go into their auxiliary vector."""

from __future__ import annotations

import ctypes

_AT_HWCAP, _AT_HWCAP2 = 16, 26


def hwcaps() -> tuple[int, int]:
    """AT_HWCAP and AT_HWCAP2 as the host gives them. getauxval(3)."""
    libc = ctypes.CDLL(None)
    libc.getauxval.restype = ctypes.c_ulong
    libc.getauxval.argtypes = [ctypes.c_ulong]
    return int(libc.getauxval(_AT_HWCAP)), int(libc.getauxval(_AT_HWCAP2))
