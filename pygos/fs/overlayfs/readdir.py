# SPDX-License-Identifier: Apache-2.0
"""Listings of merged directories.

A directory that is only above is listed by its own names. Of others one listing is made when
the reader begins (again), and kept with the open file, so that offsets stay what they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygos.fs.libfs import FIRST_COOKIE, DirFileOperations, SimpleDir, dir_emit_dots
from pygos.fs.overlayfs.inode import LAYER_BITS, OvlInode, child_of, is_whiteout
from pygos.include.linux.fs import Dentry, DirContext, File, Listing, Path
from pygos.include.uapi.dirent import DT_CHR
from pygos.include.uapi.fcntl import O_RDONLY

if TYPE_CHECKING:
    from pygos.fs.overlayfs.super import OvlSuper
    from pygos.include.linux.fs import DirEntry, SuperBlock
    from pygos.include.linux.sched import Task


class _Collector(DirContext):
    """Takes all entries but "." and ".."."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        super().__init__(0)
        self.entries: list[DirEntry] = []

    def emit(self, name: bytes, ino: int, d_type: int, next_pos: int) -> bool:
        self.pos = next_pos
        if name not in (b".", b".."):
            self.entries.append((name, ino, d_type))
        return True


def real_entries(task: Task, sb: SuperBlock, dentry: Dentry) -> list[DirEntry]:
    """All entries of a real directory."""
    inode = dentry.d_inode
    assert inode is not None
    names: Any = inode.i_private
    ctx = _Collector()
    if type(names) is SimpleDir:
        ctx.pos = FIRST_COOKIE
        names.emit(ctx)
        return ctx.entries
    fop = inode.i_fop
    if isinstance(fop, DirFileOperations) and (entries := fop.listing(inode)) is not None:
        return entries
    info: OvlSuper = sb.s_fs_info
    file = File(Path(info.upper_mnt, dentry), inode, O_RDONLY, 1, task.cred)
    fop.open(task, inode, file)
    fop.iterate(task, file, ctx)
    fop.release(file)
    return ctx.entries


def upper_entries(task: Task, dentry: Dentry) -> list[bytes]:
    """The names in an upper directory, whiteouts too."""
    return [entry[0] for entry in real_entries(task, dentry.d_sb, dentry)]


def _hidden(task: Task, dir: Dentry, entry: DirEntry) -> bool:
    """Is an entry of a real directory a whiteout?"""
    if entry[2] != DT_CHR:
        return False
    child = child_of(task, dir, entry[0])
    return child is not None and child.d_inode is not None and is_whiteout(child.d_inode)


def visible_entries(task: Task, dir: OvlInode, limit: int = 0) -> list[DirEntry]:
    """What the merged directory shows; `limit`: stop after that many entries (0: never)."""
    sb = dir.i_sb
    uppers = [dir.o_upper] if dir.o_upper is not None else []
    if not uppers and len(dir.o_lowers) == 1:
        return _only_lower(task, sb, dir.o_lowers[0])
    seen: set[bytes] = set()
    found: list[DirEntry] = []
    for dentry in (*uppers, *dir.o_lowers):
        shift = _layer(sb, dentry) << LAYER_BITS
        for entry in real_entries(task, sb, dentry):
            name = entry[0]
            if name in seen:
                continue
            seen.add(name)
            if _hidden(task, dentry, entry):
                continue
            found.append((name, entry[1] | shift, entry[2]) if shift else entry)
            if len(found) == limit:
                return found
    return found


def _only_lower(task: Task, sb: SuperBlock, dentry: Dentry) -> list[DirEntry]:
    """A directory of one lower layer; whiteouts in it (of another overlay) don't show."""
    shift = _layer(sb, dentry) << LAYER_BITS
    entries = real_entries(task, sb, dentry)
    if isinstance(entries, Listing):
        special = entries.special
    else:
        special = DT_CHR in [kind for _, _, kind in entries]
    if special:
        entries = [entry for entry in entries if not _hidden(task, dentry, entry)]
    return [(name, ino | shift, kind) for name, ino, kind in entries] if shift else entries


def _layer(sb: SuperBlock, dentry: Dentry) -> int:
    info: OvlSuper = sb.s_fs_info
    return info.layers.get(dentry.d_sb, 0)


class OvlDirFileOperations(DirFileOperations):
    """An open directory of the overlay."""

    __slots__ = ()

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        if ctx.pos < FIRST_COOKIE and not dir_emit_dots(file, ctx):
            return
        dir = file.f_inode
        assert isinstance(dir, OvlInode)
        entries: list[DirEntry] | None = file.private_data
        if entries is None and not dir.o_lowers and dir.o_upper is not None:
            upper = dir.o_upper.d_inode
            names = upper.i_private if upper is not None else None
            if type(names) is SimpleDir:
                names.emit(ctx)
                return
        if entries is None or ctx.pos == FIRST_COOKIE:
            entries = file.private_data = visible_entries(task, dir)
        ctx.emit_list(entries, FIRST_COOKIE)
