# SPDX-License-Identifier: Apache-2.0
"""Constants of include/linux/mm.h that only memory management uses.

The VM_* flags that other rooms look at are in ``mm_types``; here are the rest, and the masks
made of them.
"""

from __future__ import annotations

from typing import Final

from pygos.include.linux.mm_types import (
    VM_EXEC,
    VM_GROWSDOWN,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
)

VM_PFNMAP: Final = 0x400
VM_IO: Final = 0x4000
VM_SEQ_READ: Final = 0x8000
VM_RAND_READ: Final = 0x10000
VM_LOCKONFAULT: Final = 0x80000
VM_HUGEPAGE: Final = 0x20000000
VM_NOHUGEPAGE: Final = 0x40000000
VM_SEALED: Final = 1 << 42

#: Any of these: the area can be touched at all.
VM_ACCESS_FLAGS: Final = VM_READ | VM_WRITE | VM_EXEC
VM_STACK: Final = VM_GROWSDOWN
VM_SPECIAL: Final = VM_IO | VM_PFNMAP | 0x40000  # VM_DONTEXPAND
#: Private and writable memory counts as data (RLIMIT_DATA).
VM_DATA_MASK: Final = VM_WRITE | VM_SHARED | VM_STACK

#: Pages kept free below a stack.
STACK_GUARD_GAP: Final = 256
#: sysctl defaults.
DEFAULT_MAX_MAP_COUNT: Final = 65530
DEFAULT_MMAP_MIN_ADDR: Final = 65536
DEFAULT_OVERCOMMIT_RATIO: Final = 50

#: si_code of SIGSEGV and SIGBUS for page faults (asm-generic/siginfo.h).
SEGV_MAPERR: Final = 1
SEGV_ACCERR: Final = 2
BUS_ADRERR: Final = 2

#: Bits of Mm.flags (MMF_*), and those that a new program or child takes over.
MMF_DISABLE_THP: Final = 1
MMF_HAS_MDWE: Final = 2
MMF_HAS_MDWE_NO_INHERIT: Final = 4
#: Mappings go bottom-up; decided anew by each exec.
MMF_LEGACY_LAYOUT: Final = 8


def mmf_init_flags(flags: int) -> int:
    """The flags of the mm of a child, or of the next program, of one with `flags`."""
    if flags & MMF_HAS_MDWE_NO_INHERIT:
        flags &= ~(MMF_HAS_MDWE | MMF_HAS_MDWE_NO_INHERIT)
    return flags
