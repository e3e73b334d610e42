# SPDX-License-Identifier: Apache-2.0
"""The text of /proc/PID/maps, smaps, smaps_rollup and statm (fs/proc/task_mmu.c).

Paths come from above: `path_of(file)` gives what the reader may see of a file's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from pygos.include.linux.mm import (
    VM_HUGEPAGE,
    VM_IO,
    VM_NOHUGEPAGE,
    VM_RAND_READ,
    VM_SEALED,
    VM_SEQ_READ,
)
from pygos.include.linux.mm_types import (
    PTE_ANON,
    PTE_DIRTY,
    VM_ACCOUNT,
    VM_DONTCOPY,
    VM_DONTDUMP,
    VM_DONTEXPAND,
    VM_EXEC,
    VM_GROWSDOWN,
    VM_LOCKED,
    VM_MAYEXEC,
    VM_MAYREAD,
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_NORESERVE,
    VM_READ,
    VM_SHARED,
    VM_WIPEONFORK,
    VM_WRITE,
)
from pygos.mm.tlb import present

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import Vma
    from pygos.mm.mm import Mm

PathOf = Callable[["File"], bytes]
#: Names start in this column.
_NAME_COLUMN: Final = 73
_FLAG_NAMES: Final = (
    (VM_READ, "rd"), (VM_WRITE, "wr"), (VM_EXEC, "ex"), (VM_SHARED, "sh"), (VM_MAYREAD, "mr"),
    (VM_MAYWRITE, "mw"), (VM_MAYEXEC, "me"), (VM_MAYSHARE, "ms"), (VM_GROWSDOWN, "gd"),
    (VM_LOCKED, "lo"), (VM_IO, "io"), (VM_SEQ_READ, "sr"), (VM_RAND_READ, "rr"),
    (VM_DONTCOPY, "dc"), (VM_DONTEXPAND, "de"), (VM_ACCOUNT, "ac"), (VM_NORESERVE, "nr"),
    (VM_DONTDUMP, "dd"), (VM_WIPEONFORK, "wf"), (VM_HUGEPAGE, "hg"), (VM_NOHUGEPAGE, "nh"),
    (VM_SEALED, "sl"),
)  # fmt: skip


def vma_name(vma: Vma, path_of: PathOf) -> bytes:
    """The last column: a path, [heap], [stack], a name given by prctl, or nothing."""
    mm = vma.mm
    if vma.file is not None:
        return path_of(vma.file)
    if vma.mapping is not None:
        return vma.name.encode() or b"/dev/zero (deleted)"
    if vma.start < mm.brk and vma.end > mm.start_brk:
        return b"[heap]"
    if vma.start <= mm.start_stack < vma.end:
        return b"[stack]"
    return vma.name.encode()


def vma_line(vma: Vma, path_of: PathOf) -> bytes:
    """One line of maps, without the newline."""
    flags = vma.flags
    dev = ino = pgoff = 0
    if vma.mapping is not None:
        inode = vma.file.f_inode if vma.file is not None else vma.mapping.host
        dev, ino = inode.i_sb.s_dev, inode.i_ino
        pgoff = vma.pgoff
    elif vma.file is not None:
        dev, ino = vma.file.f_inode.i_sb.s_dev, vma.file.f_inode.i_ino
        pgoff = vma.pgoff
    line = (
        f"{vma.start:08x}-{vma.end:08x} "
        f"{'r' if flags & VM_READ else '-'}{'w' if flags & VM_WRITE else '-'}"
        f"{'x' if flags & VM_EXEC else '-'}{'s' if flags & VM_MAYSHARE else 'p'} "
        f"{pgoff << 12:08x} {dev >> 20:02x}:{dev & 0xFFFFF:02x} {ino} "
    ).encode()
    name = vma_name(vma, path_of)
    if not name:
        return line
    return line.ljust(_NAME_COLUMN) + name.replace(b"\n", b"\\012")


def show_maps(mm: Mm, path_of: PathOf) -> bytes:
    """The whole of /proc/PID/maps."""
    return b"".join([vma_line(vma, path_of) + b"\n" for vma in mm.vmas])


# -- smaps


#: Counted in kB, not in pages; all but the first are in smaps_rollup alone.
_PSS: Final = ("Pss", "Pss_Anon", "Pss_File", "Pss_Shmem")


def smap_counts(vma: Vma) -> dict[str, int]:
    """Resident memory of one VMA in kB by the names of smaps."""
    mm = vma.mm
    pt = mm.pt
    refcount = mm.zone.refcount
    rss = anon = shared_clean = shared_dirty = private_clean = private_dirty = pss = pss_anon = 0
    shmem = vma.mapping is not None and vma.mapping.keep
    sharers = max(len(vma.mapping.i_mmap), 1) if vma.mapping is not None else 1
    for vpn in present(mm, vma.start >> 12, vma.end >> 12):
        pte = pt[vpn]
        rss += 1
        if pte & PTE_ANON:
            anon += 1
            count = refcount[pte >> 12]
            pss_anon += 4096 // count
            dirty = True
        else:
            count = sharers
            dirty = bool(pte & PTE_DIRTY)
        pss += 4096 // count
        if count > 1:
            shared_dirty, shared_clean = shared_dirty + dirty, shared_clean + (not dirty)
        else:
            private_dirty, private_clean = private_dirty + dirty, private_clean + (not dirty)
    counts = {
        "Rss": rss, "Pss": pss >> 10, "Pss_Dirty": (shared_dirty + private_dirty),
        "Pss_Anon": pss_anon >> 10, "Pss_File": 0 if shmem else (pss - pss_anon) >> 10,
        "Pss_Shmem": (pss - pss_anon) >> 10 if shmem else 0,
        "Shared_Clean": shared_clean, "Shared_Dirty": shared_dirty,
        "Private_Clean": private_clean, "Private_Dirty": private_dirty,
        "Referenced": rss, "Anonymous": anon,
    }  # fmt: skip
    return {name: value if name in _PSS else value * 4 for name, value in counts.items()}


#: Names of smaps whose value is always 0 here: no swap, no huge pages.
_ZERO_FIELDS: Final = (
    "KSM", "LazyFree", "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb",
    "Private_Hugetlb", "Swap", "SwapPss",
)  # fmt: skip


def _field(name: str, kbytes: int) -> str:
    return f"{name + ':':<16}{kbytes:8d} kB\n"


def _smap_fields(counts: dict[str, int], locked: int) -> str:
    text = "".join(_field(name, value) for name, value in counts.items())
    text += "".join(_field(name, 0) for name in _ZERO_FIELDS)
    return text + _field("Locked", locked)


def show_smaps(mm: Mm, path_of: PathOf) -> Iterator[bytes]:
    """/proc/PID/smaps, VMA by VMA."""
    for vma in mm.vmas:
        counts = smap_counts(vma)
        size = (vma.end - vma.start) >> 10
        locked = counts["Pss"] if vma.flags & VM_LOCKED else 0
        names = "".join(f"{name} " for bit, name in _FLAG_NAMES if vma.flags & bit)
        text = _field("Size", size) + _field("KernelPageSize", 4) + _field("MMUPageSize", 4)
        for name in _PSS[1:]:
            del counts[name]
        text += _smap_fields(counts, locked)
        text += f"{'THPeligible:':<16}{0:8d}\nVmFlags: {names}\n"
        yield vma_line(vma, path_of) + b"\n" + text.encode()


def show_smaps_rollup(mm: Mm) -> bytes:
    """/proc/PID/smaps_rollup: the sums over all VMAs."""
    if not mm.vmas:
        return b""
    total: dict[str, int] = {}
    locked = 0
    for vma in mm.vmas:
        counts = smap_counts(vma)
        for name, value in counts.items():
            total[name] = total.get(name, 0) + value
        if vma.flags & VM_LOCKED:
            locked += counts["Pss"]
    head = f"{mm.vmas[0].start:08x}-{mm.vmas[-1].end:08x} ---p 00000000 00:00 0 "
    text = head.ljust(_NAME_COLUMN) + "[rollup]\n" + _smap_fields(total, locked)
    return text.encode()


def statm(mm: Mm) -> tuple[int, int, int, int, int, int, int]:
    """The numbers of /proc/PID/statm, in pages: size resident shared text lib data dt."""
    text = ((mm.end_code + 4095) >> 12) - (mm.start_code >> 12)
    shared = mm.rss_file + mm.rss_shmem
    data = mm.data_vm + mm.stack_vm
    return mm.total_vm, shared + mm.rss_anon, shared, text, 0, data, 0
