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
)

#: Calls that few programs make: their modules are imported at the first one.
_LAZY: Final = {
    "pygos.mm.msync": "msync",
    "pygos.mm.mincore": "mincore",
    "pygos.mm.mlock": "mlock mlock2 munlock mlockall munlockall",
    "pygos.mm.mseal": "mseal",
    "pygos.mm.readahead": "readahead fadvise64 cachestat",
    "pygos.mm.process_vm_access": "process_vm_readv process_vm_writev",
}
SYSCALLS_LAZY: Final = {name: module for module, names in _LAZY.items() for name in names.split()}
