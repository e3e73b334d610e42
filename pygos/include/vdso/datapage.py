# SPDX-License-Identifier: Apache-2.0
"""The two pages of [vvar], as arch/x86/vdso/vdso.S reads them; host/clock.S writes the second.

Each clock is a straight line: at the counter value TSC it showed SEC and NSEC (below 10**9),
and gains MULT / 2**64 ns a cycle. SEQ is odd while the lines change.
"""

from __future__ import annotations

from typing import Final

#: Both pages, u32 each.
VD_SEQ: Final = 0x00
#: Bit n: clock n may be read here. A clock must have its bit in both pages.
VD_MASK: Final = 0x04
#: The machine's page: u64; two i32 (west, dst); u32.
VD_TSC: Final = 0x08
VD_ZONE: Final = 0x10
VD_NR_CPUS: Final = 0x18
#: Both pages: for each clock MULT, SEC, NSEC, unused (u64). In the page of the time namespace
#: SEC and NSEC are added to what the clock shows.
VD_CLOCKS: Final = 0x40
VD_CLOCK_SIZE: Final = 32
VD_NR_CLOCKS: Final = 12

#: CLOCK_REALTIME, MONOTONIC, MONOTONIC_RAW, both COARSE, BOOTTIME, TAI.
VD_ALL_CLOCKS: Final = 0x8F3

#: In [vvar], from its start: namespace, machine. The image of the vDSO follows.
VVAR_PAGES: Final = 2
