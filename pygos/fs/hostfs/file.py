# SPDX-License-Identifier: Apache-2.0
"""Reading files and directories of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.generic_file import GenericFileOperations
from pygos.fs.hostfs.hidden import HIDDEN, below
from pygos.fs.libfs import FIRST_COOKIE, DirFileOperations, dir_emit_dots
from pygos.include.errno import EIO, Errno
from pygos.include.linux.fs import Listing
from pygos.include.linux.mm_types import MappingOperations
from pygos.include.linux.platform import PAGE_SHIFT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pygos.fs.hostfs.inode import HostInode
    from pygos.fs.hostfs.super import HostSuper
    from pygos.include.linux.fs import DirContext, DirEntry, File, Inode
    from pygos.include.linux.mm_types import Mapping
    from pygos.include.linux.sched import Task


class HostMappingOperations(MappingOperations):
    """Fills pages by reading straight into the machine's memory."""

    __slots__ = ()

    def read_pages(self, mapping: Mapping, index: int, views: Sequence[memoryview]) -> None:
        from pygos.fs.hostfs.inode import HostInode, file_handle

        inode = mapping.host
        assert isinstance(inode, HostInode)
        info: HostSuper = inode.i_sb.s_fs_info
        offset = index << PAGE_SHIFT
        left = clip_views(views, inode.i_size - offset)
        try:
            handle = file_handle(inode)
            while left:
                count = info.files.pread_into(handle, offset, left)
                if not count:
                    return
                offset += count
                left = skip_bytes(left, count)
        except Errno as error:
            raise EIO from error


def clip_views(views: Sequence[memoryview], limit: int) -> list[memoryview]:
    """The views up to `limit` bytes in all: what lies past the end of a file stays zero."""
    clipped = []
    for view in views:
        if limit <= 0:
            break
        clipped.append(view if len(view) <= limit else view[:limit])
        limit -= len(view)
    return clipped


def skip_bytes(views: list[memoryview], count: int) -> list[memoryview]:
    """What is left of the views after `count` bytes."""
    for place, view in enumerate(views):
        if count < len(view):
            return [view[count:], *views[place + 1 :]]
        count -= len(view)
    return []


class HostFileOperations(GenericFileOperations):
    """A regular file of the host."""

    __slots__ = ()
    in_stub = True

    def open(self, task: Task, inode: Inode, file: File) -> None:
        host: HostInode = inode  # type: ignore[assignment]
        now = task.machine.clock.monotonic()
        if host.h_handle is None or now - host.h_checked >= VALID_FOR:
            from pygos.fs.hostfs.inode import open_host_file

            open_host_file(host)


class HostDirFileOperations(DirFileOperations):
    """An open directory: one listing from its first entry on, until it is rewound."""

    __slots__ = ()

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        if ctx.pos < FIRST_COOKIE and not dir_emit_dots(file, ctx):
            return
        entries: list[DirEntry] | None = file.private_data
        if entries is None or ctx.pos == FIRST_COOKIE:
            entries = file.private_data = list_directory(file.f_inode)
        ctx.emit_list(entries, FIRST_COOKIE)

    def listing(self, inode: Inode) -> list[DirEntry] | None:
        return list_directory(inode)


def list_directory(inode: Inode) -> Listing:
    """The entries of a directory of the host that may be seen: (name, inode, DT_*)."""
    from pygos.fs.hostfs.inode import HostInode, dir_handle

    assert isinstance(inode, HostInode)
    info: HostSuper = inode.i_sb.s_fs_info
    rules = inode.h_rules
    if isinstance(rules, str):
        return Listing()
    entries: list[DirEntry] = info.files.readdir(dir_handle(inode))
    dev = inode.h_key[0]
    if info.devices.get(dev):
        entries = [(name, info.ino(dev, ino), kind) for name, ino, kind in entries]
    if rules is not None:
        seen = [entry for entry in entries if below(rules, entry[0]) is not HIDDEN]
        if len(seen) != len(entries):
            entries = seen
    if info.hidden_ids:
        entries = _without_hidden(inode, info, entries)
    return entries if isinstance(entries, Listing) else Listing(entries)


def _without_hidden(
    inode: HostInode, info: HostSuper, entries: list[DirEntry]
) -> list[DirEntry]:
    """Leave out what is hidden by identity."""
    hidden = info.hidden_inos(inode.h_key[0])
    known = isinstance(entries, Listing)
    if hidden and not (known and entries.without is hidden):  # type: ignore[attr-defined]
        left = [entry for entry in entries if entry[1] not in hidden]
        if len(left) != len(entries):
            return left
        if known:
            entries.without = hidden  # type: ignore[attr-defined]
    return entries


#: How long a name is believed without asking the host, ns.
VALID_FOR: Final = 1_000_000_000
HOST_AOPS: Final = HostMappingOperations()
HOST_FILE_FOPS: Final = HostFileOperations()
HOST_DIR_FOPS: Final = HostDirFileOperations()
