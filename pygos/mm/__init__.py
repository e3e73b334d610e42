# SPDX-License-Identifier: Apache-2.0
"""Memory management: physical frames, address spaces, faults and the page cache.

``page_alloc`` owns every frame of the machine's RAM. An ``Mm`` owns its VMAs, its page table
(``pt``: page number to entry) and the anonymous frames in it; a ``Mapping`` owns the frames of
one file's page cache. The host mappings behind ``mm.space`` are only a cache of the page
table: an entry with PTE_HOSTED is in it, everything else is put there by a fault.

Nothing here knows of files beyond the types in ``include/linux/fs.py``; what the rooms above
must do (drop a file reference, kill a task) goes through ``mm/hooks.py``, filled in at boot.
Everybody above may call in; system calls are in the modules named after them.
"""

from __future__ import annotations

from typing import Final

#: Modules with system call handlers.
SYSCALL_MODULES: Final = (
    "pygos.mm.mmap",
    "pygos.mm.mprotect",
    "pygos.mm.mremap",
    "pygos.mm.madvise",
    "pygos.mm.msync",
    "pygos.mm.mincore",
    "pygos.mm.mlock",
    "pygos.mm.mseal",
    "pygos.mm.readahead",
    "pygos.mm.process_vm_access",
)
