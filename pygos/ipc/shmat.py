# SPDX-License-Identifier: Apache-2.0
"""Attaching and detaching shared memory: shmat(2), shmdt(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from pygos.fs.file_table import alloc_file, fput
from pygos.include.errno import EINVAL
from pygos.include.linux.fs import (
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_READ,
    FMODE_WRITE,
    Dentry,
    DentryOperations,
    File,
    FileOperations,
    Inode,
    Path,
)
from pygos.include.linux.mm_types import VmOperations
from pygos.include.linux.platform import TASK_SIZE
from pygos.include.linux.syscalls import Flags, Int, UserAddr, syscall
from pygos.include.uapi import mman
from pygos.include.uapi.fcntl import O_RDONLY, O_RDWR
from pygos.include.uapi.ipc import SHM_EXEC, SHM_RDONLY, SHM_REMAP, SHM_RND
from pygos.ipc.namespace import ipc_ns
from pygos.ipc.shm import SHM_DEST, ShmSegment, destroy_segment, may_destroy, shm_obtain
from pygos.ipc.util import S_IRUGO, S_IWUGO, S_IXUGO, ipcperms, now_seconds
from pygos.mm.mmap import do_mmap, unmap_vmas
from pygos.mm.shmem import shm_super
from pygos.mm.vma import vmas_in

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import Vma
    from pygos.include.linux.sched import Task

#: machine.misc: the mount that segments' files are seen through.
_MOUNT: Final = "shm_mnt"
_PAGE: Final = 4096


class ShmVmOperations(VmOperations):
    """Attachments come and go; the segment is the VMA's private."""

    __slots__ = ()

    def open(self, vma: Vma) -> None:
        _touched(vma, attached=True)

    def close(self, vma: Vma) -> None:
        segment: ShmSegment = vma.private
        _touched(vma, attached=False)
        if may_destroy(segment):
            destroy_segment(vma.mm.machine, segment)


def _touched(vma: Vma, attached: bool) -> None:
    """Stamp the segment: when and by whom it was attached or detached last."""
    segment: ShmSegment = vma.private
    task = vma.mm.owner
    if task is None:
        return
    segment.lpid = task.tgid
    if attached:
        segment.atime = now_seconds(task)
    else:
        segment.dtime = now_seconds(task)


class ShmFileOperations(FileOperations):
    """A segment's file, which only mappings have."""

    __slots__ = ()

    def mmap(self, task: Task, file: File, vma: Vma) -> None:
        if _is_last(file.private_data, vma):
            raise EINVAL
        vma.mapping = file.f_inode.i_mapping
        vma.vm_ops = SHM_VM_OPS
        vma.private = file.private_data
        _touched(vma, attached=True)


def _is_last(segment: ShmSegment, vma: Vma) -> bool:
    """remap_file_pages(2): would the mapping replace all that keeps a removed segment?"""
    mapping = segment.inode.i_mapping
    if not segment.mode & SHM_DEST or mapping is None or not mapping.i_mmap:
        return False
    return all(
        old.mm is vma.mm and vma.start <= old.start and old.end <= vma.end for old in mapping.i_mmap
    )


class ShmDentryOperations(DentryOperations):
    """The name as /proc shows it."""

    __slots__ = ()

    def d_dname(self, dentry: Dentry) -> bytes | None:
        return b"/" + dentry.d_name + b" (deleted)"


SHM_VM_OPS: Final = ShmVmOperations()
_FOPS: Final = ShmFileOperations()
_DENTRY_OPS: Final = ShmDentryOperations()


def _shm_mount(machine: Machine) -> Any:
    mnt = machine.misc.get(_MOUNT)
    if mnt is None:
        sb = shm_super(machine)
        root = Dentry(sb, None, b"/")
        root.d_inode = Inode(sb, sb.new_ino(), 0o041777)
        mnt = machine.misc[_MOUNT] = machine.new_mount(root, "tmpfs")
    return mnt


def _shm_file(task: Task, segment: ShmSegment, flags: int, mode: int) -> File:
    """An open file of the segment for one attachment. ENFILE."""
    mnt = _shm_mount(task.machine)
    dentry = Dentry(mnt.mnt_sb, None, segment.name)
    dentry.d_op = _DENTRY_OPS
    dentry.d_inode = segment.inode
    dentry.d_unhashed = True
    file = alloc_file(Path(mnt, dentry), segment.inode, flags, mode, task.cred, _FOPS)
    file.private_data = segment
    return file


@syscall
def shmat(task: Task, shmid: Int, shmaddr: UserAddr, shmflg: Flags) -> int:
    """Attach a segment; the address. shmat(2). Errors: EINVAL, EACCES, ENOMEM, ENFILE."""
    if shmid < 0:
        raise EINVAL
    addr, map_flags = _place(shmaddr, shmflg)
    prot, wanted = mman.PROT_READ, S_IRUGO
    flags, mode = O_RDONLY, FMODE_READ | FMODE_PREAD
    if not shmflg & SHM_RDONLY:
        prot |= mman.PROT_WRITE
        wanted |= S_IWUGO
        flags, mode = O_RDWR, mode | FMODE_WRITE | FMODE_PWRITE
    if shmflg & SHM_EXEC:
        prot |= mman.PROT_EXEC
        wanted |= S_IXUGO
    ns = ipc_ns(task)
    segment = shm_obtain(ns, shmid)
    ipcperms(task, ns, segment, wanted)
    mm = task.mm
    assert mm is not None
    size = segment.segsz
    if addr and not shmflg & SHM_REMAP:
        end = addr + size
        if end > 1 << 64 or vmas_in(mm, addr, min(end, TASK_SIZE)):
            raise EINVAL
    file = _shm_file(task, segment, flags, mode)
    try:
        return do_mmap(mm, task, file, addr, size, prot, mman.MAP_SHARED | map_flags, 0)
    finally:
        fput(file)
        if may_destroy(segment):
            destroy_segment(task.machine, segment)


def _place(addr: int, flags: int) -> tuple[int, int]:
    """The address meant and the flags to map there. EINVAL."""
    if not addr:
        if flags & SHM_REMAP:
            raise EINVAL
        return 0, 0
    if addr % _PAGE:
        if not flags & SHM_RND:
            raise EINVAL
        addr -= addr % _PAGE
        if not addr and flags & SHM_REMAP:
            raise EINVAL
    return addr, mman.MAP_FIXED


@syscall
def shmdt(task: Task, shmaddr: UserAddr) -> int:
    """Detach the segment attached at an address. shmdt(2). Errors: EINVAL."""
    if shmaddr % _PAGE:
        raise EINVAL
    mm = task.mm
    assert mm is not None
    found = vmas_in(mm, shmaddr, TASK_SIZE)
    first = next((vma for vma in found if _is_at(vma, shmaddr)), None)
    if first is None:
        raise EINVAL
    segment = cast("ShmSegment", first.private)
    end = shmaddr + segment.pages * _PAGE
    for vma in vmas_in(mm, shmaddr, min(end, TASK_SIZE)):
        if vma.private is segment and _is_at(vma, shmaddr):
            unmap_vmas(mm, [vma])
    return 0


def _is_at(vma: Vma, addr: int) -> bool:
    """Is the VMA (a part of) an attachment that begins at `addr`?"""
    return vma.vm_ops is SHM_VM_OPS and vma.start - vma.pgoff * _PAGE == addr
