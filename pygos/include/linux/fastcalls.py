# SPDX-License-Identifier: Apache-2.0
"""Pages in which the kernel leaves what a stub needs to answer calls by itself.

All are arrays of u64. The *thread page* and the *process page* can be written by the kernel
alone, the *position page* by the guest too (Documentation/in-stub-calls.rst).
"""

from __future__ import annotations

from typing import Final

# -- thread page: word numbers
#: 0: every call goes to the kernel. Else bits: the ids below are right; descriptors are those
#: of the process page.
F_ENABLE: Final = 0
F_PID: Final = 1
F_TID: Final = 2
F_UID: Final = 3
F_EUID: Final = 4
F_GID: Final = 5
F_EGID: Final = 6

FAST_PID: Final = 1
FAST_UID: Final = 2
FAST_FILES: Final = 4
FAST_FUTEX: Final = 8

# -- process page: four words for each of the first descriptors
FAST_FDS: Final = 96
S_SEQ: Final = 0  # 0: not here; another number each time the slot gets a file
S_VA: Final = 1  # where byte 0 of the file is mapped
S_LIMIT: Final = 2  # how many bytes of it are
S_SIZE: Final = 3  # how long the file is
SLOT_WORDS: Final = 4
SLOT_SHIFT: Final = 5

# -- position page: one word for each of these descriptors: sequence number << 48 | position
POS_BITS: Final = 48
POS_MASK: Final = (1 << 48) - 1
SEQ_MASK: Final = 0x7FFF
#: The upper half of a position that the kernel has taken.
POS_TAKEN: Final = 0x8000_0000

#: The answer that has the kernel answer.
SLOW: Final = -(1 << 62)
