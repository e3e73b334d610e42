# SPDX-License-Identifier: Apache-2.0
"""The page cache: reading, writing and mapping files through ``Mapping.pages``.

A Mapping owns its frames (one reference each). Page table entries for them hold no reference:
before a page leaves the cache it is unmapped everywhere through ``i_mmap``
(mm/truncate.py). Mappings with ``keep`` (tmpfs, shared memory) are the only copy of their
data: a page that isn't there is a hole. Others read what is missing from their store, ahead
of a sequential reader, into runs of frames.

A call that works on a mapping sets ``zone.active_mapping``, so that reclaim in the middle of
the call leaves it alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import ENOSPC, Errno
from pygos.include.linux.mm import VM_RAND_READ
from pygos.mm.fault import SigBus
from pygos.mm.oom import OutOfMemory
from pygos.mm.truncate import (
    drop_mapping,
    drop_windows,
    invalidate_mapping,
    pagecache_isize_extended,
    truncate_pagecache,
    truncate_pagecache_range,
    unmap_mapping_range,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import IoBuffer, Mapping, Vma
    from pygos.include.linux.sched import Task
    from pygos.mm.page_alloc import Zone

__all__ = [
    "drop_mapping", "file_mmap", "filemap_fault", "filemap_fill", "filemap_read", "filemap_write",
    "invalidate_mapping", "pagecache_isize_extended", "read_into", "truncate_pagecache",
    "truncate_pagecache_range", "unmap_mapping_range",
]  # fmt: skip

#: Read-ahead in pages: at the start of a file, when reading on, around a fault.
_RA_FIRST: Final = 32
_RA_MAX: Final = 128
_RA_FAULT: Final = 64
#: New pages of shared anonymous memory at a fault, and where they are used in order.
_HOLE_AROUND: Final = 16
_HOLE_GROWING: Final = 64
#: What one step of a write covers.
_WRITE_CHUNK: Final = 128
_ZEROS: Final = bytes(1 << 16)


# -- getting pages


def add_to_page_cache(mapping: Mapping, index: int, pfn: int, count: int) -> None:
    """Enter a run of frames; their references now belong to the mapping."""
    zone = mapping.machine.zone
    if not mapping.pages and not mapping.keep:
        zone.lru[mapping] = None
    mapping.pages.update(zip(range(index, index + count), range(pfn, pfn + count), strict=True))
    zone.nr_file += count
    if mapping.keep:
        zone.nr_shmem += count


def alloc_cache_run(mapping: Mapping, count: int, zero: bool) -> tuple[int, int]:
    """zone.alloc_run() for a page cache, charged to the group that is at work. OutOfMemory."""
    zone = mapping.machine.zone
    if zone.page_memcg is None:
        return zone.alloc_run(count, zero=zero)
    from pygos.mm.memcontrol import cache_run

    return cache_run(mapping, count, zero)


def balance_memcg_cache(zone: Zone, want: int) -> None:
    """Make room for pages of a cache below the limits of the group that is at work."""
    from pygos.mm.memcontrol import balance_cache

    balance_cache(zone, want)


def _alloc_runs(mapping: Mapping, count: int, need: int) -> list[tuple[int, int]]:
    """Runs of zeroed frames, `count` in all, at least `need`. OutOfMemory."""
    zone = mapping.machine.zone
    runs: list[tuple[int, int]] = []
    got = 0
    if zone.nr_free - count < zone.low_wmark:
        count = need
    try:
        while got < count:
            pfn, size = alloc_cache_run(mapping, count - got, True)
            runs.append((pfn, size))
            got += size
    except OutOfMemory:
        if got < need:
            free_runs(mapping, runs)
            raise
    return runs


def free_runs(mapping: Mapping, runs: list[tuple[int, int]]) -> None:
    """Give frames back that didn't make it into the cache."""
    for pfn, size in runs:
        mapping.machine.zone.put_many(range(pfn, pfn + size))


def _read_run(mapping: Mapping, index: int, count: int, need: int) -> int:
    """Read absent pages from the store; how many were. Errors of a_ops.read_pages."""
    zone = mapping.machine.zone
    zone.active_mapping = mapping
    runs = _alloc_runs(mapping, count, need)
    mem = zone.mem
    try:
        views = [mem[pfn << 12 : (pfn + size) << 12] for pfn, size in runs]
        mapping.a_ops.read_pages(mapping, index, views)
    except BaseException:
        free_runs(mapping, runs)
        raise
    done = 0
    for pfn, size in runs:
        add_to_page_cache(mapping, index + done, pfn, size)
        done += size
    mm = zone.current
    if mm is not None and mm.owner is not None:
        mm.owner.io_read += done << 12
    return done


def filemap_fill(mapping: Mapping, start: int, end: int, need: int = 1) -> None:
    """Read the pages of [start, end) that aren't cached, the first `need` in any case.

    The others only as long as there is memory to spare.
    """
    pages = mapping.pages
    if mapping.keep:
        return
    must = start + need
    while start < end:
        if start in pages:
            start += 1
            continue
        stop = start + 1
        limit = min(end, start + 1024)
        while stop < limit and stop not in pages:
            stop += 1
        count = stop - start
        done = _read_run(mapping, start, count, min(max(must - start, 1), count))
        start += done
        if done < count and start >= must:
            return


def _eof_page(mapping: Mapping) -> int:
    """The first page index that is entirely beyond the end of the file."""
    return (mapping.host.i_size + 4095) >> 12


def filemap_fault(mapping: Mapping, index: int, vma: Vma) -> int:
    """The frame of page `index` for a mapping of it. SigBus beyond the end or on errors."""
    pfn = mapping.pages.get(index)
    if pfn is not None:
        if index < _eof_page(mapping):
            return pfn
        raise SigBus
    if index >= _eof_page(mapping):
        raise SigBus
    try:
        if mapping.keep:
            # Holes of files are visible, those of shared anonymous memory aren't.
            return (_new_hole_page if vma.file is not None else _new_hole_run)(mapping, index)
        _fault_around(mapping, index, vma)
    except OutOfMemory:
        raise
    except Errno:
        raise SigBus from None
    mapping.referenced = True
    return mapping.pages[index]


def _new_hole_page(mapping: Mapping, index: int) -> int:
    """A page for a hole of memory-backed files (shmem_fault)."""
    mapping.a_ops.reserve(mapping, 1)
    try:
        zone = mapping.machine.zone
        if zone.page_memcg is None:
            pfn = zone.alloc_zeroed()
        else:
            pfn, _ = alloc_cache_run(mapping, 1, True)
    except OutOfMemory:
        mapping.a_ops.unreserve(mapping, 1)
        raise
    add_to_page_cache(mapping, index, pfn, 1)
    return pfn


def _new_hole_run(mapping: Mapping, index: int) -> int:
    """Pages for the holes around `index`, more of them where memory is used upwards."""
    pages, zone = mapping.pages, mapping.machine.zone
    lo = index & -_HOLE_AROUND
    size = _HOLE_AROUND if lo - 1 not in pages or lo - _HOLE_AROUND not in pages else _HOLE_GROWING
    hi = min(lo + size, _eof_page(mapping))
    if not pages.keys().isdisjoint(range(lo, hi)):
        lo = end = index
        while end < hi and end not in pages:
            end += 1
        hi = end
    if hi - lo < 2 or zone.nr_free < zone.high_wmark or zone.page_memcg is not None:
        return _new_hole_page(mapping, index)
    pfn, count = zone.alloc_run(hi - lo, zero=True, near=pages.get(lo - 1, -1) + 1)
    mapping.a_ops.reserve(mapping, count)  # there is no limit for these
    if count < hi - lo:
        lo = max(lo, index - count + 1)
    add_to_page_cache(mapping, lo, pfn, count)
    return pages[index]


def _fault_around(mapping: Mapping, index: int, vma: Vma) -> None:
    """Read the aligned window around a page that isn't cached, or only the page."""
    vma.mm.read_in = True
    mapping.machine.zone.active_mapping = mapping
    if vma.flags & VM_RAND_READ:
        _read_run(mapping, index, 1, 1)
        return
    start = index & -_RA_FAULT
    end = min(start + _RA_FAULT, _eof_page(mapping))
    pages = mapping.pages
    while start < index and start in pages:
        start += 1
    if start < index and not pages.keys().isdisjoint(range(start, index)):
        start = index
    if mapping.machine.zone.nr_free < mapping.machine.zone.high_wmark:
        start, end = index, index + 1
    filemap_fill(mapping, start, end, index - start + 1)


# -- read


def filemap_read(task: Task, file: File, buf: IoBuffer, pos: int) -> int:
    """Read through the page cache; bytes read. EFAULT, EIO and what the store raises."""
    mapping = file.f_inode.i_mapping
    assert mapping is not None
    left = file.f_inode.i_size - pos
    if left > buf.length:
        left = buf.length
    if left <= 0:
        return 0
    zone = mapping.machine.zone
    zone.active_mapping = mapping
    zone.current = task.mm
    mapping.referenced = True
    if zone.nr_free < zone.low_wmark:
        zone.balance()
    pages = mapping.pages
    mem = zone.mem
    done = 0
    try:
        while left > 0:
            index = pos >> 12
            pfn = pages.get(index)
            if pfn is None:
                pfn = _read_ahead(mapping, file, index, left)
            skip = pos & 0xFFF
            size = 4096 - skip
            if size < left and pfn is not None:
                index += 1
                following = pfn + 1
                while size < left and pages.get(index) == following:
                    size += 4096
                    index += 1
                    following += 1
            if size > left:
                size = left
            if pfn is None:
                moved = buf.put(_ZEROS[:size])
            else:
                at = (pfn << 12) + skip
                moved = buf.put(mem[at : at + size])
            pos += moved
            done += moved
            left -= moved
            if moved < size:
                break
    except Errno:
        if not done:
            raise
    file.f_ra = (pos + 4095) >> 12
    return done


def _read_ahead(mapping: Mapping, file: File, index: int, left: int) -> int | None:
    """Read page `index` and what will be wanted next; None for a hole."""
    if mapping.keep:
        return None
    zone = mapping.machine.zone
    zone.balance(_RA_MAX)
    if zone.page_memcg is not None:
        balance_memcg_cache(zone, _RA_MAX)
    eof = _eof_page(mapping)
    need = min(((left + 4095) >> 12) + 1, _RA_MAX)
    if index == 0 and eof <= _RA_MAX:
        size = eof
    elif index == file.f_ra or index == file.f_ra - 1:
        size = _RA_MAX if index else max(_RA_FIRST, need)
        file.f_ra = index + size  # this call goes on reading in sequence
    else:
        size = need
    filemap_fill(mapping, index, min(index + size, eof))
    return mapping.pages[index]


def read_into(mapping: Mapping, pos: int, count: int) -> bytes:
    """Up to `count` bytes at `pos`, for the kernel's own use; short at the end of the file."""
    count = min(count, mapping.host.i_size - pos)
    if count <= 0:
        return b""
    first, last = pos >> 12, (pos + count + 4095) >> 12
    filemap_fill(mapping, first, last, last - first)
    mem = mapping.machine.zone.mem
    parts = []
    while count > 0:
        skip = pos & 0xFFF
        size = min(4096 - skip, count)
        pfn = mapping.pages.get(pos >> 12)
        at = (pfn << 12) + skip if pfn is not None else -1
        parts.append(mem[at : at + size].tobytes() if pfn is not None else bytes(size))
        pos += size
        count -= size
    return b"".join(parts)


# -- write


def filemap_write(task: Task, file: File, buf: IoBuffer, pos: int) -> int:
    """Write through the page cache, extending the file; bytes written. Times are the
    caller's business.

    ENOSPC, EFAULT, and errors of reading pages that are only partly overwritten.
    """
    inode = file.f_inode
    mapping = inode.i_mapping
    assert mapping is not None
    zone = mapping.machine.zone
    zone.active_mapping = mapping
    zone.current = task.mm
    if zone.nr_free < zone.low_wmark:
        zone.balance()
    if zone.page_memcg is not None:
        balance_memcg_cache(zone, _WRITE_CHUNK)
    mapping.referenced = True
    if mapping.windows and pos + buf.length > inode.i_size:
        drop_windows(mapping)
    if pos > inode.i_size:
        pagecache_isize_extended(mapping, inode.i_size)
    skip = pos & 0xFFF
    if buf.length + skip <= 4096 and (pfn := mapping.pages.get(pos >> 12)) is not None:
        done = _write_page(task, mapping, buf, pos, (pfn << 12) + skip)
        if pos + done > inode.i_size:
            inode.i_size = pos + done
        return done
    done = 0
    clean = len(mapping.dirty)
    chunk = _WRITE_CHUNK << 12
    try:
        while buf.length > 0:
            want = min(buf.length, chunk - (pos & 0xFFF))
            try:
                moved = _write_chunk(mapping, buf, pos, want)
            except ENOSPC:
                if chunk == 4096 or want <= 4096 - (pos & 0xFFF):
                    raise
                chunk = 4096  # use what room there is
                continue
            pos += moved
            done += moved
            if pos > inode.i_size:
                inode.i_size = pos
            if moved < want:
                break
    except Errno:
        if not done:
            raise
    task.io_write += len(mapping.dirty) - clean << 12
    return done


def _write_page(task: Task, mapping: Mapping, buf: IoBuffer, pos: int, target: int) -> int:
    """Write within one cached page, whose byte `pos` is at `target` in RAM. EFAULT."""
    data = buf.take(buf.length)
    count = len(data)
    mapping.machine.zone.mem[target : target + count] = data
    if not mapping.keep and count and pos >> 12 not in mapping.dirty:
        mapping.dirty.add(pos >> 12)
        task.io_write += 4096
    return count


def _write_chunk(mapping: Mapping, buf: IoBuffer, pos: int, want: int) -> int:
    """Write within pages prepared for it; bytes moved."""
    fresh = _prepare_write(mapping, pos, pos + want)
    try:
        moved = _copy_in(mapping, buf, pos, want)
    except BaseException:
        _abandon(mapping, fresh, pos)
        raise
    if moved < want and fresh:
        _abandon(mapping, fresh, pos + moved)
    if not mapping.keep:
        mapping.dirty.update(range(pos >> 12, (pos + moved + 4095) >> 12))
    return moved


def _copy_in(mapping: Mapping, buf: IoBuffer, pos: int, want: int) -> int:
    """Copy from the buffer into cached pages."""
    mem = mapping.machine.zone.mem
    pages = mapping.pages
    moved = 0
    for view in buf.slices(want):
        size = len(view)
        at = 0
        while at < size:
            skip = pos & 0xFFF
            pfn = pages[pos >> 12]
            step = 4096 - skip
            index = (pos >> 12) + 1
            following = pfn + 1
            while step < size - at and pages.get(index) == following:
                step += 4096
                index += 1
                following += 1
            if step > size - at:
                step = size - at
            target = (pfn << 12) + skip
            mem[target : target + step] = view[at : at + step]
            at += step
            pos += step
        moved += size
    buf.advance(moved)
    return moved


def _prepare_write(mapping: Mapping, pos: int, end: int) -> list[tuple[int, int]]:
    """Cache every page of [pos, end). Returns new ones (index, pfn) not known to be zero."""
    first, last = pos >> 12, (end - 1) >> 12
    pages = mapping.pages
    if first in pages and (first == last or all(map(pages.__contains__, range(first, last + 1)))):
        return []
    for index in (first, last):
        covered = pos <= index << 12 and (index + 1) << 12 <= end
        if not covered and index not in pages and not mapping.keep and index < _eof_page(mapping):
            filemap_fill(mapping, index, index + 1)
    fresh: list[tuple[int, int]] = []
    index = first
    try:
        while index <= last:
            if index in pages:
                index += 1
                continue
            stop = index + 1
            while stop <= last and stop not in pages:
                stop += 1
            _new_pages(mapping, index, stop - index, fresh)
            index = stop
    except BaseException:
        _abandon(mapping, fresh, 0)
        raise
    return [(i, p) for i, p in fresh if not _zero_edge(mapping, i, p, pos, end)]


def _zero_edge(mapping: Mapping, index: int, pfn: int, pos: int, end: int) -> bool:
    """Zero a new page that won't be overwritten as a whole; True if it was one."""
    if pos <= index << 12 and (index + 1) << 12 <= end:
        return False
    mapping.machine.zone.mem[pfn << 12 : (pfn + 1) << 12] = _ZEROS[:4096]
    return True


def _new_pages(
    mapping: Mapping, index: int, count: int, fresh: list[tuple[int, int]]
) -> None:
    """New pages of any content in the cache, noted in `fresh`. ENOSPC, OutOfMemory."""
    mapping.a_ops.reserve(mapping, count)
    end = index + count
    try:
        while index < end:
            pfn, size = alloc_cache_run(mapping, end - index, False)
            add_to_page_cache(mapping, index, pfn, size)
            fresh += zip(range(index, index + size), range(pfn, pfn + size), strict=True)
            index += size
    except OutOfMemory:
        mapping.a_ops.unreserve(mapping, end - index)
        raise


def _abandon(mapping: Mapping, fresh: list[tuple[int, int]], pos: int) -> None:
    """New pages that were not written from file position `pos` on get what the file has."""
    mem = mapping.machine.zone.mem
    for index, pfn in fresh:
        skip = max(pos - (index << 12), 0)
        if skip < 4096:
            rest = bytearray(4096)
            if not mapping.keep and index < _eof_page(mapping):
                mapping.a_ops.read_pages(mapping, index, [memoryview(rest)])
            mem[(pfn << 12) + skip : (pfn + 1) << 12] = rest[skip:]


# -- mmap


def file_mmap(file: File, vma: Vma) -> None:
    """FileOperations.mmap of files with a page cache."""
    vma.mapping = file.f_inode.i_mapping
