# SPDX-License-Identifier: Apache-2.0
"""A debugger's access to another process' memory (access_remote_vm, FOLL_FORCE; mm/memory.c).

It may read what the program itself can't, and write where the program can't: into private
mappings, whose pages are copied first. So a breakpoint in a program's text is seen by that
process alone, neither by the page cache nor by others who run the same file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EFAULT
from pygos.include.linux.mm import VM_IO
from pygos.include.linux.mm_types import (
    PTE_ANON,
    PTE_WRITE,
    VM_EXEC,
    VM_MAYREAD,
    VM_MAYWRITE,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
)
from pygos.include.linux.platform import Access
from pygos.mm.fault import Fault, _anon_fault, _backed_fault, _cow_anon, _cow_backed, fault_page
from pygos.mm.oom import OutOfMemory
from pygos.mm.tlb import sync
from pygos.mm.vma import vma_lookup

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import Vma
    from pygos.mm.mm import Mm


def access_remote_vm(mm: Mm, addr: int, count: int, data: bytes | None = None) -> bytes:
    """Read `count` bytes, or write `data`: what was read or written before memory ended."""
    done = bytearray()
    if mm.patches is not None and data is not None:
        mm.patches.undo(mm, addr, addr + len(data))
    while len(done) < count:
        at = addr + len(done)
        step = min(count - len(done), 4096 - (at & 0xFFF))
        try:
            frame = _page(mm, at, data is not None)
        except (Fault, EFAULT, OutOfMemory):
            break
        start = frame + (at & 0xFFF)
        part = mm.mem[start : start + step]
        if data is not None:
            part[:] = data[len(done) : len(done) + step]
        done += part
    return bytes(done) if mm.patches is None else mm.patches.original(addr, bytes(done))


def _page(mm: Mm, addr: int, write: bool) -> int:
    """Byte offset in RAM of the page at `addr`. EFAULT, Fault, OutOfMemory."""
    vma = vma_lookup(mm, addr)
    if vma is None:
        raise EFAULT
    flags = vma.flags
    if flags & VM_IO:
        raise EFAULT
    if write and flags & VM_WRITE:
        if not mm.pt.get(addr >> 12, 0) & PTE_WRITE:
            fault_page(mm, addr, Access.WRITE, False)
    elif write:
        if flags & (VM_SHARED | VM_MAYWRITE) != VM_MAYWRITE:
            raise EFAULT
        _own_copy(mm, vma, addr)
    elif not flags & VM_READ and not flags & VM_MAYREAD:
        raise EFAULT
    elif addr >> 12 not in mm.pt:
        _present(mm, vma, addr)
    return mm.pt[addr >> 12] & ~0xFFF


def _present(mm: Mm, vma: Vma, addr: int) -> None:
    """Fault a page in for reading, even where the protection forbids all access."""
    if vma.flags & (VM_READ | VM_WRITE | VM_EXEC):
        fault_page(mm, addr, Access.READ, False)
    elif vma.mapping is None and vma.vm_ops is None:
        _anon_fault(mm, vma, addr >> 12, False)
    else:
        _backed_fault(mm, vma, addr >> 12, Access.READ, False)


def _own_copy(mm: Mm, vma: Vma, addr: int) -> None:
    """Make the page the process' own, without making it writable for the process."""
    vpn = addr >> 12
    if vpn not in mm.pt:
        _present(mm, vma, addr)
    pte = mm.pt[vpn]
    if not pte & PTE_ANON:
        _cow_backed(mm, vma, vpn, False)
    elif mm.zone.refcount[pte >> 12] > 1:
        _cow_anon(mm, vma, vpn, False)
    else:
        return
    # Other threads of the process may run: they have to see the copy.
    sync(mm)
