# SPDX-License-Identifier: Apache-2.0
"""mincore(2) (mm/mincore.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EFAULT, EINVAL, ENOMEM
from pygos.include.linux.fs import FMODE_WRITE
from pygos.include.linux.mm_types import Vma
from pygos.include.linux.platform import TASK_SIZE
from pygos.include.linux.syscalls import Size, UserAddr, syscall
from pygos.mm.uaccess import access_ok
from pygos.mm.vma import vma_lookup

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_CHUNK: Final = 4096


@syscall
def mincore(task: Task, start: UserAddr, length: Size, vec: UserAddr) -> int:
    """Which pages are resident: one byte each. mincore(2).

    Errors: EINVAL (alignment), ENOMEM (holes), EFAULT.
    """
    mm = task.mm
    assert mm is not None
    if start & 0xFFF:
        raise EINVAL
    if not access_ok(start, length):
        raise ENOMEM
    pages = (length + 4095) >> 12
    if not access_ok(vec, pages):
        raise EFAULT
    at = start
    while pages > 0:
        vma = vma_lookup(mm, at)
        if vma is None:
            raise ENOMEM
        count = min(pages, (vma.end - at) >> 12, _CHUNK)
        mm.write(vec, _residency(mm, vma, at >> 12, count))
        vec += count
        pages -= count
        at += count << 12
    assert at <= TASK_SIZE
    return 0


def _residency(mm: Mm, vma: Vma, vpn: int, count: int) -> bytes:
    """Is each page in the page table or, for files one may write or owns, in the page cache?"""
    pt = mm.pt
    mapping = vma.mapping
    if mapping is None:
        return bytes(page in pt for page in range(vpn, vpn + count))
    if not _can_do_mincore(mm, vma):
        return bytes([1]) * count
    delta = vma.pgoff - (vma.start >> 12)
    cached = mapping.pages
    return bytes(page in pt or page + delta in cached for page in range(vpn, vpn + count))


def _can_do_mincore(mm: Mm, vma: Vma) -> bool:
    """What is cached of somebody else's file is nobody's business."""
    file, owner = vma.file, mm.owner
    if file is None or owner is None:
        return True
    cred = owner.cred
    if cred.fsuid == file.f_inode.i_uid or cred.capable(3):  # CAP_FOWNER
        return True
    return bool(file.f_mode & FMODE_WRITE)
