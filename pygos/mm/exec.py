# SPDX-License-Identifier: Apache-2.0
"""What execve needs of memory management: the stack, and segments mapped ahead of faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EACCES, ENOMEM, Errno
from pygos.include.linux.mm import MMF_HAS_MDWE
from pygos.include.linux.mm_types import (
    VM_ACCOUNT,
    VM_EXEC,
    VM_GROWSDOWN,
    VM_MAYEXEC,
    VM_MAYREAD,
    VM_MAYWRITE,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    Vma,
)
from pygos.include.uapi import mman
from pygos.mm.fault import anon_populate, map_cached
from pygos.mm.filemap import filemap_fill
from pygos.mm.mmap import call_mmap, file_flags, may_expand_vm
from pygos.mm.overcommit import vm_enough_memory
from pygos.mm.populate import copy_segment
from pygos.mm.vma import account, insert_vma, merge_at, vma_lookup

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import Mapping
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_VM_MAY: Final = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
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


def map_segment(
    mm: Mm, task: Task, file: File, start: int, end: int, prot: int, pgoff: int
) -> None:
    """A program's segment where nothing is mapped yet, as a fixed private mapping of its file.

    Page aligned, within the address space. What is cached of it is mapped at once, and a small
    file is read as a whole. ENOMEM and what the file raises.
    """
    pages = (end - start) >> 12
    flags = file_flags(file, pgoff, end - start, mman.MAP_PRIVATE, prot | _VM_MAY)
    if flags & (VM_WRITE | VM_EXEC) == VM_WRITE | VM_EXEC and mm.flags & MMF_HAS_MDWE:
        raise EACCES
    if not may_expand_vm(mm, flags, pages):
        raise ENOMEM
    if flags & VM_WRITE:
        vm_enough_memory(mm, pages)
        flags |= VM_ACCOUNT
    vma = Vma(mm, start, end, flags)
    vma.pgoff = pgoff
    call_mmap(task, vma, file)
    insert_vma(mm, vma)
    account(mm, flags, pages)
    if vma.mapping is not None:
        _populate(mm, vma, vma.mapping, True)
    merge_at(mm, start)


def _populate(mm: Mm, vma: Vma, mapping: Mapping, fresh: bool) -> None:
    """Map the cached pages of a segment, reading a small one as a whole.

    Errors are left for the program's own faults.
    """
    lo, hi = vma.start >> 12, vma.end >> 12
    first = vma.pgoff
    last = min(first + hi - lo, (mapping.host.i_size + 4095) >> 12)
    try:
        if last - first <= _READ_PAGES:
            filemap_fill(mapping, first, last)
    except Errno:
        return
    if vma.flags & VM_WRITE:
        copy_segment(mm, vma, lo, hi)
    else:
        map_cached(mm, vma, lo, hi, True, fresh)


def populate_segment(mm: Mm, start: int) -> None:
    """The same for a segment that is mapped already."""
    vma = vma_lookup(mm, start)
    if vma is not None and vma.mapping is not None and not vma.flags & VM_SHARED:
        _populate(mm, vma, vma.mapping, False)
