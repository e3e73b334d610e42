# SPDX-License-Identifier: Apache-2.0
"""memfd_create(2): anonymous files in memory, and the seals of F_ADD_SEALS.

They are tmpfs files of an internal instance without limits. A file's seals are a number in
``i_private``; what they forbid gives EPERM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.file_table import alloc_fd, alloc_file, fd_install, put_unused_fd
from pygos.fs.inode import iput
from pygos.fs.tmpfs import TmpfsInodeOperations, TmpfsSuper, TmpfsType, fill_super, new_inode
from pygos.fs.tmpfs_file import TmpfsFileOperations
from pygos.include.errno import EBUSY, EINVAL, ENAMETOOLONG, ENOSYS, EPERM
from pygos.include.linux.fs import (
    ATTR_MODE,
    ATTR_SIZE,
    FMODE_LSEEK,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_READ,
    FMODE_WRITE,
    S_IFREG,
    Dentry,
    DentryOperations,
    File,
    Iattr,
    Inode,
    Path,
)
from pygos.include.linux.mm_types import VM_MAYWRITE, VM_SHARED, VM_WRITE
from pygos.include.linux.syscalls import UInt, UserAddr, syscall
from pygos.include.uapi.fcntl import (
    F_SEAL_EXEC,
    F_SEAL_FUTURE_WRITE,
    F_SEAL_GROW,
    F_SEAL_SEAL,
    F_SEAL_SHRINK,
    F_SEAL_WRITE,
    O_LARGEFILE,
    O_RDWR,
)
from pygos.include.uapi.fs import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
from pygos.include.uapi.magic import TMPFS_MAGIC
from pygos.include.uapi.memfd import (
    MFD_ALLOW_SEALING,
    MFD_CLOEXEC,
    MFD_EXEC,
    MFD_HUGE_MASK,
    MFD_HUGE_SHIFT,
    MFD_HUGETLB,
    MFD_NAME_MAX_LEN,
    MFD_NOEXEC_SEAL,
)

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer, Vma
    from pygos.include.linux.sched import Task

_ALL_SEALS: Final = (
    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC
)
_NO_WRITE: Final = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
_FLAGS: Final = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC
_MODE: Final = FMODE_READ | FMODE_WRITE | FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE
_MOUNT: Final = "memfd_mount"


def _seals(inode: Inode) -> int:
    seals: int = inode.i_private
    return seals


def _writably_mapped(inode: Inode) -> bool:
    """Is there a shared mapping that may be written?"""
    mapping = inode.i_mapping
    assert mapping is not None
    return any(
        vma.flags & VM_SHARED and vma.flags & (VM_WRITE | VM_MAYWRITE) for vma in mapping.i_mmap
    )


class MemfdFileOperations(TmpfsFileOperations):
    """A tmpfs file that minds its seals."""

    __slots__ = ()

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        seals = _seals(file.f_inode)
        if seals & _NO_WRITE:
            raise EPERM
        size = file.f_inode.i_size
        if seals & F_SEAL_GROW and pos + buf.length > size:
            if pos >= size:
                raise EPERM
            buf.length = size - pos
        return super().write(task, file, buf, pos)

    def mmap(self, task: Task, file: File, vma: Vma) -> None:
        if _seals(file.f_inode) & _NO_WRITE and vma.flags & VM_SHARED:
            if vma.flags & VM_WRITE:
                raise EPERM
            vma.flags &= ~VM_MAYWRITE
        super().mmap(task, file, vma)

    def fallocate(self, task: Task, file: File, mode: int, offset: int, length: int) -> None:
        seals = _seals(file.f_inode)
        if mode & FALLOC_FL_PUNCH_HOLE:
            if seals & _NO_WRITE:
                raise EPERM
        elif (
            not mode & FALLOC_FL_KEEP_SIZE
            and seals & F_SEAL_GROW
            and offset + length > file.f_inode.i_size
        ):
            raise EPERM
        super().fallocate(task, file, mode, offset, length)

    def add_seals(self, task: Task, file: File, seals: int) -> None:
        """F_ADD_SEALS. Errors: EPERM (sealed, or not writable), EINVAL, EBUSY (mapped)."""
        inode = file.f_inode
        if not file.f_mode & FMODE_WRITE:
            raise EPERM
        if seals & ~_ALL_SEALS:
            raise EINVAL
        if _seals(inode) & F_SEAL_SEAL:
            raise EPERM
        if seals & F_SEAL_WRITE and not _seals(inode) & F_SEAL_WRITE and _writably_mapped(inode):
            raise EBUSY
        if seals & F_SEAL_EXEC and inode.i_mode & 0o111:
            seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
        inode.i_private = _seals(inode) | seals

    def get_seals(self, file: File) -> int:
        """F_GET_SEALS."""
        return _seals(file.f_inode)


class MemfdInodeOperations(TmpfsInodeOperations):
    """Attributes of a file with seals."""

    __slots__ = ()

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        seals = _seals(inode)
        if attr.valid & ATTR_SIZE and (
            (seals & F_SEAL_SHRINK and attr.size < inode.i_size)
            or (seals & F_SEAL_GROW and attr.size > inode.i_size)
        ):
            raise EPERM
        if attr.valid & ATTR_MODE and seals & F_SEAL_EXEC and (attr.mode ^ inode.i_mode) & 0o111:
            raise EPERM
        super().setattr(task, dentry, inode, attr)


class MemfdDentryOperations(DentryOperations):
    """The name as /proc shows it."""

    __slots__ = ()

    def d_dname(self, dentry: Dentry) -> bytes | None:
        return b"/memfd:" + dentry.d_name + b" (deleted)"


_FOPS: Final = MemfdFileOperations()
_IOPS: Final = MemfdInodeOperations()
_DENTRY_OPS: Final = MemfdDentryOperations()


def _memfd_mount(machine: Machine) -> Any:
    """The internal instance's mount, made at the first memfd."""
    mnt = machine.misc.get(_MOUNT)
    if mnt is None:
        info = TmpfsSuper()
        sb = fill_super(machine.init_task, TmpfsType(), TMPFS_MAGIC, info)
        sb.s_d_op = _DENTRY_OPS
        mnt = machine.misc[_MOUNT] = machine.new_mount(sb.s_root, "tmpfs")
    return mnt


def _memfd_file(task: Task, name: bytes, flags: int) -> File:
    mnt = _memfd_mount(task.machine)
    sb = mnt.mnt_sb
    seals = 0 if flags & MFD_ALLOW_SEALING else F_SEAL_SEAL
    mode = 0o777
    if flags & MFD_NOEXEC_SEAL:
        seals = F_SEAL_EXEC
        mode = 0o666
    inode = new_inode(task, sb, None, S_IFREG | mode, 0)
    inode.i_nlink = 0
    inode.i_op, inode.i_fop, inode.i_private = _IOPS, _FOPS, seals
    dentry = Dentry(sb, None, name)
    dentry.d_inode = inode
    dentry.d_unhashed = True
    try:
        return alloc_file(Path(mnt, dentry), inode, O_RDWR | O_LARGEFILE, _MODE, task.cred)
    finally:
        iput(inode)


@syscall(partial="MFD_HUGETLB gives ENOSYS.")
def memfd_create(task: Task, uname: UserAddr, flags: UInt) -> int:
    """A file in memory without a name in any directory. memfd_create(2).

    Errors: EINVAL (flags, or the name is longer than 249 bytes), EFAULT, EMFILE, ENFILE, ENOSYS.
    """
    huge = flags & MFD_HUGETLB
    if flags & ~(_FLAGS | MFD_HUGETLB | (MFD_HUGE_MASK << MFD_HUGE_SHIFT if huge else 0)):
        raise EINVAL
    if flags & MFD_EXEC and flags & MFD_NOEXEC_SEAL:
        raise EINVAL
    assert task.mm is not None
    try:
        name = task.mm.read_cstr(uname, MFD_NAME_MAX_LEN + 1)
    except ENAMETOOLONG:
        raise EINVAL from None
    if huge:
        raise ENOSYS
    fd = alloc_fd(task, 0, flags & MFD_CLOEXEC != 0)
    try:
        fd_install(task, fd, _memfd_file(task, name, flags))
    except BaseException:
        put_unused_fd(task, fd)
        raise
    return fd
