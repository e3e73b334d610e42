# SPDX-License-Identifier: Apache-2.0
"""memory.stat: what a group's memory is. Values in bytes, then counts of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.mm.memcontrol import ANON, FILE, SHMEM, MemCgroup, cache_stat

if TYPE_CHECKING:
    from pygos.mm.page_alloc import Zone


def stat_lines(memcg: MemCgroup) -> list[tuple[str, int]]:
    """Of a group and those below.

    Kernel memory is Python's and isn't taken from the machine's RAM: `kernel` and its parts
    are 0. Anonymous and shared memory can't be swapped out: all of it is inactive_anon.
    """
    stat = memcg.stat
    anon, shmem = stat[ANON], stat[SHMEM]
    dirty, active = cache_stat(memcg)
    return _lines(anon, stat[FILE], shmem, dirty, active, memcg.pgscan, memcg.pgsteal)


def root_stat(zone: Zone) -> list[tuple[str, int]]:
    """Of the whole machine."""
    dirty = active = 0
    for mapping in zone.lru:
        dirty += len(mapping.dirty)
        if mapping.referenced:
            active += len(mapping.pages)
    anon = zone.pages - zone.nr_free - zone.nr_file
    cache = zone.nr_file - zone.nr_shmem
    return _lines(anon, cache, zone.nr_shmem, dirty, active, 0, 0)


def _lines(
    anon: int, cache: int, shmem: int, dirty: int, active: int, pgscan: int, pgsteal: int
) -> list[tuple[str, int]]:
    pages = (
        ("anon", anon), ("file", cache + shmem), ("kernel", 0), ("kernel_stack", 0),
        ("pagetables", 0), ("percpu", 0), ("sock", 0), ("vmalloc", 0), ("shmem", shmem),
        ("file_dirty", dirty), ("file_writeback", 0), ("swapcached", 0), ("anon_thp", 0),
        ("file_thp", 0), ("shmem_thp", 0), ("inactive_anon", anon + shmem), ("active_anon", 0),
        ("inactive_file", max(cache - active, 0)), ("active_file", min(active, cache)),
        ("unevictable", 0), ("slab_reclaimable", 0), ("slab_unreclaimable", 0), ("slab", 0),
    )  # fmt: skip
    lines = [(name, value << 12) for name, value in pages]
    return [*lines, ("pgscan", pgscan), ("pgscan_direct", pgscan), ("pgsteal", pgsteal),
            ("pgsteal_direct", pgsteal)]  # fmt: skip
