# SPDX-License-Identifier: Apache-2.0
"""Listing directories: getdents(2), getdents64(2)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from pygos.fs.inode import touch_atime
from pygos.fs.libfs import FIRST_COOKIE
from pygos.include.errno import EINVAL, ENOENT, ENOTDIR
from pygos.include.linux.fs import S_DEAD, S_IFDIR, S_IFMT, DirContext, Listing
from pygos.include.linux.syscalls import FileArg, UserOut, syscall
from pygos.include.uapi.dirent import DIRENT64_NAME, DIRENT_NAME
from pygos.include.uapi.fcntl import O_NOATIME
from pygos.include.uapi.limits import NAME_MAX

if TYPE_CHECKING:
    from pygos.include.linux.fs import DirEntry, File
    from pygos.include.linux.sched import Task

#: pack() of a whole struct linux_dirent64, by its size / 8: the name fills up with NULs.
_RECORD64 = tuple(
    [Struct(f"<QqHB{max(size - DIRENT64_NAME, 0)}s").pack for size in range(0, NAME_MAX + 32, 8)]
)
_HEAD = Struct("<QqH").pack
#: One call returns no more bytes than this, however large the buffer.
_MAX_ROOM = 1 << 20


class Getdents64(DirContext):
    """Records of struct linux_dirent64 until `room` bytes are used."""

    __slots__ = ("full", "records", "room")

    def __init__(self, pos: int, room: int) -> None:
        self.pos = pos
        self.room = room
        #: An entry was refused.
        self.full = False
        self.records: list[bytes] = []

    def emit(self, name: bytes, ino: int, d_type: int, next_pos: int) -> bool:
        size = (DIRENT64_NAME + len(name) + 8) & ~7
        if size > self.room:
            self.full = True
            return False
        self.records.append(_RECORD64[size >> 3](ino, next_pos, size, d_type, name))
        self.room -= size
        self.pos = next_pos
        return True

    def emit_list(self, entries: list[DirEntry], base: int) -> None:
        """emit() of many: big directories are listed by this loop."""
        pos, room, put = self.pos, self.room, self.records.append
        first = len(self.records)
        listing = None
        if pos == base == FIRST_COOKIE and isinstance(entries, Listing):
            listing = entries
            packed = listing.packed
            if packed is not None and len(packed) <= room:
                put(packed)
                self.pos, self.room = pos + len(entries), room - len(packed)
                return
        for name, ino, d_type in entries[pos - base :] if pos > base else entries:
            size = (DIRENT64_NAME + len(name) + 8) & ~7
            if size > room:
                self.full = True
                break
            pos += 1
            room -= size
            put(_RECORD64[size >> 3](ino, pos, size, d_type, name))
        else:
            if listing is not None:
                listing.packed = b"".join(self.records[first:])
        self.pos, self.room = pos, room


class Getdents(Getdents64):
    """Records of the old struct linux_dirent: the type is the last byte."""

    __slots__ = ()

    emit_list = DirContext.emit_list

    def emit(self, name: bytes, ino: int, d_type: int, next_pos: int) -> bool:
        size = (DIRENT_NAME + len(name) + 2 + 7) & ~7
        if size > self.room:
            self.full = True
            return False
        record = _HEAD(ino, next_pos, size) + name
        self.records.append(record.ljust(size - 1, b"\0") + bytes((d_type,)))
        self.room -= size
        self.pos = next_pos
        return True


def iterate_dir(task: Task, file: File, ctx: DirContext) -> None:
    """Let the file system emit entries from f_pos on. ENOTDIR; ENOENT in a removed one."""
    inode = file.f_inode
    if inode.i_mode & S_IFMT != S_IFDIR:
        raise ENOTDIR
    if inode.i_flags & S_DEAD:
        raise ENOENT
    file.f_op.iterate(task, file, ctx)
    file.f_pos = ctx.pos
    if not file.f_flags & O_NOATIME:
        touch_atime(file.f_path.mnt, inode)


def _list(task: Task, file: File, dirent: UserOut, ctx: Getdents64) -> int:
    start = file.f_pos
    iterate_dir(task, file, ctx)
    if not ctx.records:
        if ctx.full:
            raise EINVAL
        return 0
    try:
        return dirent.put(b"".join(ctx.records))
    except BaseException:
        file.f_pos = start
        raise


@syscall
def getdents64(task: Task, file: FileArg, dirent: UserOut) -> int:
    """Directory entries as struct linux_dirent64; 0 at the end. getdents64(2).

    Errors: EBADF, EFAULT, EINVAL (not even one fits), ENOENT (removed), ENOTDIR.
    """
    return _list(task, file, dirent, Getdents64(file.f_pos, min(dirent.length, _MAX_ROOM)))


@syscall
def getdents(task: Task, file: FileArg, dirent: UserOut) -> int:
    """Directory entries as the old struct linux_dirent. getdents(2). Errors: see getdents64."""
    return _list(task, file, dirent, Getdents(file.f_pos, min(dirent.length, _MAX_ROOM)))
