# SPDX-License-Identifier: Apache-2.0
"""What execve needs of memory management: the stack, and segments mapped ahead of faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import ENOMEM, Errno
from pygos.include.linux.mm_types import (
    VM_ACCOUNT,
    VM_GROWSDOWN,
    VM_MAYEXEC,
    VM_MAYREAD,
    VM_MAYWRITE,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    Vma,
)
from pygos.mm.fault import anon_populate, map_cached
from pygos.mm.filemap import filemap_fill
from pygos.mm.mmap import may_expand_vm
from pygos.mm.overcommit import vm_enough_memory
from pygos.mm.populate import copy_segment
from pygos.mm.vma import account, insert_vma, vma_lookup

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

#: A segment up to this many pages is read as a whole when it is mapped.
_READ_PAGES: Final = 1024
#: Pages of a new stack that are there from the start.
_STACK_PAGES: Final = 8
_STACK_FLAGS: Final = (
    VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_GROWSDOWN | VM_ACCOUNT
)


def setup_stack(mm: Mm, task: Task, top: int, size: int, executable: bool = False) -> Vma:
    """A stack of `size` bytes that ends at `top`; it grows down by itself. ENOMEM."""
    pages = size >> 12
    flags = _STACK_FLAGS | mm.def_flags | (4 if executable else 0)
    if not may_expand_vm(mm, flags, pages):
        raise ENOMEM
    vm_enough_memory(mm, pages)
    vma = Vma(mm, top - size, top, flags)
    vma.pgoff = vma.start >> 12
    insert_vma(mm, vma)
    account(mm, flags, pages)
    last = top >> 12
    first = max(last - _STACK_PAGES, vma.start >> 12)
    anon_populate(mm, vma, last - 1, first, last, True)  # arguments, and the program's first frames
    return vma


def populate_segment(mm: Mm, start: int, end: int) -> None:
    """Map the cached pages of a program's segment, reading a small one as a whole.

    Errors are left for the program's own faults.
    """
    vma = vma_lookup(mm, start)
    if vma is None or vma.mapping is None:
        return
    mapping = vma.mapping
    first = vma.pgoff + ((start - vma.start) >> 12)
    last = min(first + ((end - start) >> 12), (mapping.host.i_size + 4095) >> 12)
    try:
        if last - first <= _READ_PAGES:
            filemap_fill(mapping, first, last)
    except Errno:
        return
    lo, hi = start >> 12, end >> 12
    if vma.flags & (VM_WRITE | VM_SHARED) == VM_WRITE:
        copy_segment(mm, vma, lo, hi)
    elif not all(map(mm.pt.__contains__, range(lo, hi))):  # not premapped
        map_cached(mm, vma, lo, hi, True)
