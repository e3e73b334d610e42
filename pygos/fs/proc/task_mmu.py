# SPDX-License-Identifier: Apache-2.0
"""/proc/PID/maps, smaps, smaps_rollup and mem (fs/proc/task_mmu.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.dcache import d_path
from pygos.fs.proc.access import mm_of, require_access
from pygos.fs.synthetic import Synthetic, SyntheticFileOperations, synthetic
from pygos.include.errno import EFAULT, EIO
from pygos.include.linux.mm_types import (
    PTE_ANON,
    PTE_DIRTY,
    VM_ACCOUNT,
    VM_DONTCOPY,
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
from pygos.include.uapi.kdev_t import major, minor
from pygos.mm.tlb import present

if TYPE_CHECKING:
    from pygos.include.linux.fs import File, Inode
    from pygos.include.linux.mm_types import IoBuffer, Vma
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

#: Where a mapping's name begins in its line.
_NAME_COLUMN: Final = 73
_VSYSCALL: Final = (
    b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
)
_FLAG_NAMES: Final = (
    (VM_READ, "rd"), (VM_WRITE, "wr"), (VM_EXEC, "ex"), (VM_SHARED, "sh"), (VM_MAYREAD, "mr"),
    (VM_MAYWRITE, "mw"), (VM_MAYEXEC, "me"), (VM_MAYSHARE, "ms"), (VM_GROWSDOWN, "gd"),
    (VM_LOCKED, "lo"), (VM_DONTCOPY, "dc"), (VM_DONTEXPAND, "de"), (VM_ACCOUNT, "ac"),
    (VM_NORESERVE, "nr"), (VM_WIPEONFORK, "wf"),
)  # fmt: skip


def vma_name(task: Task, mm: Mm, vma: Vma) -> bytes:
    """What is mapped, as the last column of maps shows it."""
    if vma.file is not None:
        return d_path(vma.file.f_path, task.fs.root).replace(b"\n", b"\\012")
    if vma.mapping is not None:
        return b"/dev/zero (deleted)"
    if vma.name:
        return vma.name.encode("utf-8", "surrogateescape")
    if vma.vm_ops is None:
        if vma.start < mm.brk and vma.end > mm.start_brk:
            return b"[heap]"
        if vma.start <= mm.start_stack < vma.end:
            return b"[stack]"
    return b""


def _inode(vma: Vma) -> Inode | None:
    if vma.file is not None:
        return vma.file.f_inode
    return vma.mapping.host if vma.mapping is not None else None


def map_line(task: Task, mm: Mm, vma: Vma) -> bytes:
    """One line of maps."""
    flags = vma.flags
    inode = _inode(vma)
    dev, ino, offset = 0, 0, 0
    if inode is not None:
        dev, ino, offset = inode.i_sb.s_dev, inode.i_ino, vma.pgoff << 12
    perms = (
        ("r" if flags & VM_READ else "-") + ("w" if flags & VM_WRITE else "-")
        + ("x" if flags & VM_EXEC else "-") + ("s" if flags & VM_SHARED else "p")
    )  # fmt: skip
    head = (
        f"{vma.start:08x}-{vma.end:08x} {perms} {offset:08x} "
        f"{major(dev):02x}:{minor(dev):02x} {ino} "
    ).encode()
    name = vma_name(task, mm, vma)
    return head.ljust(_NAME_COLUMN) + name + b"\n" if name else head + b"\n"


@synthetic("maps", 0o444, require_access)
def maps(task: Task, target: Any) -> bytes:
    """The mappings, by address."""
    mm = mm_of(target)
    if mm is None:
        return b""
    return b"".join([map_line(task, mm, vma) for vma in mm.vmas]) + _VSYSCALL


# -- smaps


class Usage:
    """Kilobytes of one or more mappings."""

    __slots__ = (
        "anonymous", "locked", "private_clean", "private_dirty", "pss", "pss_dirty", "rss",
        "shared_clean", "shared_dirty",
    )  # fmt: skip

    def __init__(self) -> None:
        self.rss = self.anonymous = self.locked = 0
        self.pss = self.pss_dirty = 0.0
        self.shared_clean = self.shared_dirty = self.private_clean = self.private_dirty = 0

    def add(self, mm: Mm, vma: Vma) -> None:
        """Count the pages of a mapping that are there."""
        users = _users(vma)
        refcount = mm.zone.refcount
        for vpn in present(mm, vma.start >> 12, vma.end >> 12):
            pte = mm.pt[vpn]
            anon = pte & PTE_ANON
            sharers = refcount[pte >> 12] if anon else users
            self._page(bool(anon), bool(anon or pte & PTE_DIRTY), max(sharers, 1))
        if vma.flags & VM_LOCKED:
            self.locked += (vma.end - vma.start) >> 10

    def _page(self, anon: bool, dirty: bool, sharers: int) -> None:
        self.rss += 4
        self.pss += 4 / sharers
        if dirty:
            self.pss_dirty += 4 / sharers
        if anon:
            self.anonymous += 4
        name = ("shared" if sharers > 1 else "private") + ("_dirty" if dirty else "_clean")
        setattr(self, name, getattr(self, name) + 4)

    def lines(self) -> str:
        """As smaps has them."""
        rows = (
            ("Rss", self.rss), ("Pss", int(self.pss)), ("Pss_Dirty", int(self.pss_dirty)),
            ("Shared_Clean", self.shared_clean), ("Shared_Dirty", self.shared_dirty),
            ("Private_Clean", self.private_clean), ("Private_Dirty", self.private_dirty),
            ("Referenced", self.rss), ("Anonymous", self.anonymous), ("KSM", 0), ("LazyFree", 0),
            ("AnonHugePages", 0), ("ShmemPmdMapped", 0), ("FilePmdMapped", 0),
            ("Shared_Hugetlb", 0), ("Private_Hugetlb", 0), ("Swap", 0), ("SwapPss", 0),
            ("Locked", self.locked),
        )  # fmt: skip
        return "".join([f"{name + ':':<16}{value:8d} kB\n" for name, value in rows])


def _users(vma: Vma) -> int:
    """How many address spaces map the same file."""
    mapping = vma.mapping
    return len({id(other.mm) for other in mapping.i_mmap}) if mapping is not None else 1


def _details(mm: Mm, vma: Vma) -> str:
    usage = Usage()
    usage.add(mm, vma)
    size = (vma.end - vma.start) >> 10
    flags = "".join([f"{name} " for flag, name in _FLAG_NAMES if vma.flags & flag])
    return (
        f"{'Size:':<16}{size:8d} kB\n{'KernelPageSize:':<16}{4:8d} kB\n"
        f"{'MMUPageSize:':<16}{4:8d} kB\n{usage.lines()}"
        f"THPeligible:           0\nVmFlags: {flags}\n"
    )


@synthetic("smaps", 0o444, require_access)
def smaps(task: Task, target: Any) -> bytes:
    """The mappings with what they use."""
    mm = mm_of(target)
    if mm is None:
        return b""
    return b"".join([map_line(task, mm, vma) + _details(mm, vma).encode() for vma in mm.vmas])


@synthetic("smaps_rollup", 0o444, require_access)
def smaps_rollup(task: Task, target: Any) -> bytes:
    """The sum of all mappings."""
    mm = mm_of(target)
    if mm is None or not mm.vmas:
        return b""
    usage = Usage()
    for vma in mm.vmas:
        usage.add(mm, vma)
    head = f"{mm.vmas[0].start:08x}-{mm.vmas[-1].end:08x} ---p 00000000 00:00 0 "
    return f"{head:<{_NAME_COLUMN}}[rollup]\n{usage.lines()}".encode()


# -- mem


class MemFileOperations(SyntheticFileOperations):
    """The memory of the process, at its own addresses."""

    __slots__ = ()

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        mm = self._mm(file)
        done = 0
        while mm is not None and buf.length:
            step = min(buf.length, 4096 - (pos & 0xFFF))
            try:
                data = mm.read(pos, step)
            except EFAULT:
                if done:
                    break
                raise EIO from None
            moved = buf.put(data)
            done += moved
            pos += moved
            if moved < step:
                break
        return done

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        mm = self._mm(file)
        done = 0
        while mm is not None and buf.length:
            data = buf.take(min(buf.length, 4096 - (pos & 0xFFF)))
            try:
                mm.write(pos, data)
            except EFAULT:
                if done:
                    break
                raise EIO from None
            done += len(data)
            pos += len(data)
        return done

    @staticmethod
    def _mm(file: File) -> Mm | None:
        """The address space as it was at open; None once nobody lives in it."""
        mm: Mm | None = file.private_data
        return mm if mm is not None and mm.users > 0 else None

    def open(self, task: Task, inode: Inode, file: File) -> None:
        super().open(task, inode, file)
        subject: Any = inode
        file.private_data = mm_of(subject.target)

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        file.f_pos = super().llseek(task, file, offset, whence)
        return file.f_pos


MEM: Final = Synthetic("mem", 0o600, None, None, require_access, MemFileOperations())
