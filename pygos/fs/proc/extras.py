# SPDX-License-Identifier: Apache-2.0
"""Files about one process that few programs read: timers, numa_maps, pagemap, attr ..."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING, Any, Final

from pygos.fs.dcache import d_path
from pygos.fs.proc.access import living, mm_of, require_access
from pygos.fs.synthetic import (
    Synthetic,
    SyntheticFileOperations,
    synthetic,
)
from pygos.include.errno import EINVAL, ESRCH
from pygos.include.linux.mm_types import PTE_ANON, PTE_DIRTY, VM_SHARED
from pygos.include.linux.pid_namespace import pid_nr_ns
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.mm.tlb import present
from pygos.mm.vma import find_vma

if TYPE_CHECKING:
    from pygos.include.linux.fs import File, Inode
    from pygos.include.linux.mm_types import IoBuffer, Vma
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

#: End of user addresses.
_TASK_SIZE: Final = 0x7FFF_FFFF_F000


@synthetic("arch_status")
def arch_status(task: Task, target: Any) -> str:
    """When AVX-512 was last used: nobody counts."""
    return "AVX512_elapsed_ms:\t-1\n" if mm_of(target) is not None else ""


@synthetic("mountstats", 0o400)
def mountstats(task: Task, target: Any) -> bytes:
    """The mounts of the process."""
    from pygos.fs.proc_namespace import mounts_text

    subject = living(target)
    lines = []
    for line in mounts_text(subject.nsproxy.mnt, subject.fs.root).splitlines():
        device, place, kind = line.split(b" ")[:3]
        lines.append(b"device %b mounted on %b with fstype %b\n" % (device, place, kind))
    return b"".join(lines)


# -- POSIX timers

_NOTIFY: Final = ("signal", "none", "thread")


@synthetic("timers", 0o444, require_access)
def timers(task: Task, target: Any) -> str:
    """timer_create(2)'s timers of the process."""
    group = living(target).group
    lines = []
    for number, timer in sorted(group.posix_timers.items()):
        info, thread = timer.info, timer.thread
        signo, value = (info.signo, info.value) if info is not None else (0, 0)
        whom = "tid" if thread is not None else "pid"
        who = pid_nr_ns(thread.pid if thread is not None else group.tgid, None)
        lines.append(
            f"ID: {number}\nsignal: {signo}/{value:016x}\n"
            f"notify: {_NOTIFY[info is None]}/{whom}.{who}\nClockID: {timer.clockid}\n"
        )
    return "".join(lines)


# -- memory


def _numa_line(task: Task, vma: Vma) -> bytes:
    mm = vma.mm
    pages = anon = dirty = 0
    for vpn in present(mm, vma.start >> 12, vma.end >> 12):
        pte = mm.pt[vpn]
        pages += 1
        anon += bool(pte & PTE_ANON)
        dirty += bool(pte & (PTE_ANON | PTE_DIRTY))
    line = b"%x default" % vma.start
    if vma.file is not None:
        line += b" file=" + d_path(vma.file.f_path, task.fs.root)
    elif vma.start < mm.brk and vma.end > mm.start_brk:
        line += b" heap"
    elif vma.start <= mm.start_stack < vma.end:
        line += b" stack"
    if not pages:
        return line + b"\n"
    if anon:
        line += b" anon=%d" % anon
    if dirty:
        line += b" dirty=%d" % dirty
    if pages not in (anon, dirty):
        line += b" mapped=%d" % pages
    if anon:
        line += b" active=0"
    return line + b" N0=%d kernelpagesize_kB=4\n" % pages


@synthetic("numa_maps", 0o444, require_access)
def numa_maps(task: Task, target: Any) -> bytes:
    """The mappings by memory node; there is one node. numa(7)"""
    mm = mm_of(target)
    return b"".join([_numa_line(task, vma) for vma in mm.vmas]) if mm is not None else b""


@synthetic("clear_refs", 0o200)
def clear_refs(task: Task, target: Any) -> str:
    """Write only."""
    raise EINVAL


@clear_refs.setter
def _clear_refs(task: Task, target: Any, data: bytes) -> None:
    """1-4 forget which pages were used and written, which isn't recorded; 5: the peak RSS."""
    words = data.split()
    if len(words) != 1 or not words[0].isdigit() or not 1 <= int(words[0]) <= 5:
        raise EINVAL
    mm = mm_of(target)
    if mm is None:
        raise ESRCH
    if int(words[0]) == 5:
        mm.hiwater_rss = mm.rss_anon + mm.rss_file + mm.rss_shmem


_PM_PRESENT, _PM_FILE, _PM_EXCLUSIVE, _PM_SOFT_DIRTY = 1 << 63, 1 << 61, 1 << 56, 1 << 55


class PagemapFileOperations(SyntheticFileOperations):
    """Eight bytes for each page: is it there, whose is it, and for root where."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        super().open(task, inode, file)
        subject: Any = inode
        file.private_data = mm_of(subject.target)

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        mm: Mm | None = file.private_data
        if mm is None or mm.users <= 0:
            return 0
        if pos & 7 or buf.length & 7:
            raise EINVAL
        first = pos >> 3
        count = min(buf.length >> 3, 4096, (_TASK_SIZE >> 12) - first)
        if count <= 0:
            return 0
        show = task.cred.capable(CAP_SYS_ADMIN)
        entries = [_pagemap_entry(mm, vpn, show) for vpn in range(first, first + count)]
        return buf.put(pack(f"<{count}Q", *entries))

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        file.f_pos = super().llseek(task, file, offset, whence)
        return file.f_pos


def _pagemap_entry(mm: Mm, vpn: int, show_pfn: bool) -> int:
    vma = find_vma(mm, vpn << 12)
    soft = _PM_SOFT_DIRTY if vma is not None and vma.start <= vpn << 12 else 0
    pte = mm.pt.get(vpn, 0)
    if not pte:
        return soft
    entry = _PM_PRESENT | soft | (pte >> 12 if show_pfn else 0)
    if not pte & PTE_ANON or (vma is not None and vma.flags & VM_SHARED):
        return entry | _PM_FILE
    return entry | (_PM_EXCLUSIVE if mm.zone.refcount[pte >> 12] == 1 else 0)


PAGEMAP: Final = Synthetic("pagemap", 0o400, None, None, require_access, PagemapFileOperations())


# -- security modules: there are none, so no file has a value


def _no_attr(task: Task, target: Any) -> str:
    living(target)
    raise EINVAL


def _set_no_attr(task: Task, target: Any, data: bytes) -> None:
    raise EINVAL


ATTR_NODES: Final = (
    Synthetic("current", 0o666, _no_attr, _set_no_attr),
    Synthetic("prev", 0o444, _no_attr),
    *(
        Synthetic(name, 0o666, _no_attr, _set_no_attr)
        for name in ("exec", "fscreate", "keycreate", "sockcreate")
    ),
)
