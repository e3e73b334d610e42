# SPDX-License-Identifier: Apache-2.0
"""The page cache: read-ahead, writes, holes, truncation, reclaim; user buffers and faults."""

from __future__ import annotations

from typing import Any

import pytest

from pygos.include import errno as e
from pygos.include.linux.fs import File
from pygos.include.linux.mm_types import Mapping
from pygos.include.linux.platform import Access
from pygos.include.linux.sched import Task
from pygos.include.uapi import mman as m
from pygos.mm.fault import BusFault, handle_fault
from pygos.mm.filemap import filemap_read, filemap_write, read_into
from pygos.mm.mm import Mm
from pygos.mm.mmap import do_mmap, do_munmap
from pygos.mm.process_vm_access import process_vm_readv
from pygos.mm.readahead import fadvise64, readahead
from pygos.mm.shmem import ShmemLimit, ShmemOperations
from pygos.mm.truncate import (
    drop_mapping,
    filemap_fdatawrite,
    invalidate_mapping,
    truncate_pagecache,
    truncate_pagecache_range,
)
from pygos.mm.uaccess import KernelBuffer, UserBuffer, UserIovec, import_iovec
from tests.support.fakes import (
    check_host,
    fake_file,
    fake_machine,
    fake_task,
    guest_read,
    guest_write,
)

PAGE = 4096
RW = m.PROT_READ | m.PROT_WRITE
ANON = m.MAP_PRIVATE | m.MAP_ANONYMOUS


@pytest.fixture
def task() -> Task:
    return fake_task(fake_machine(4096))


def mm_of(task: Task) -> Mm:
    assert task.mm is not None
    return task.mm


def mapping_of(file: File) -> Mapping:
    assert file.f_inode.i_mapping is not None
    return file.f_inode.i_mapping


def pattern(size: int) -> bytes:
    return b"".join(i.to_bytes(4, "little") for i in range((size + 3) // 4))[:size]


def read(task: Task, file: File, pos: int, count: int) -> bytes:
    data = bytearray(count)
    return bytes(data[: filemap_read(task, file, KernelBuffer(data), pos)])


def user(task: Task, size: int, prot: int = RW) -> int:
    return do_mmap(mm_of(task), task, None, 0, size, prot, ANON, 0)


# -- reading


def test_read_returns_what_the_store_has(task: Task) -> None:
    data = pattern(300_000)
    file = fake_file(task.machine, data)
    for pos, count in ((0, 10), (4090, 20), (0, 300_000), (299_990, 100), (300_000, 5), (9, 0)):
        assert read(task, file, pos, count) == data[pos : pos + count]


def test_small_files_are_read_with_one_call_to_the_store(task: Task) -> None:
    file = fake_file(task.machine, pattern(400_000))
    read(task, file, 0, 100)
    store: Any = mapping_of(file).a_ops
    assert store.reads == [(0, 98)]


def test_sequential_reads_read_ahead_and_random_ones_dont(task: Task) -> None:
    file = fake_file(task.machine, bytes(4 << 20))
    store: Any = mapping_of(file).a_ops
    for pos in range(0, 1 << 20, 4096):
        read(task, file, pos, 4096)
    assert len(store.reads) <= 4
    assert max(count for _, count in store.reads) == 128
    store.reads.clear()
    read(task, file, 3 << 20, 100)
    assert sum(count for _, count in store.reads) <= 2


def test_cached_frames_are_contiguous(task: Task) -> None:
    file = fake_file(task.machine, bytes(1 << 18))
    read(task, file, 0, 1)
    pages = mapping_of(file).pages
    assert [pages[i] - pages[0] for i in range(64)] == list(range(64))


def test_read_into_user_memory_that_ends(task: Task) -> None:
    """A short buffer gives a short read; a bad one EFAULT."""
    mm = mm_of(task)
    file = fake_file(task.machine, pattern(3 * PAGE))
    addr = user(task, 3 * PAGE)
    do_munmap(mm, addr + PAGE, PAGE)
    buf = UserBuffer(mm, addr + 100, 2 * PAGE)
    assert filemap_read(task, file, buf, 0) == PAGE - 100
    assert buf.length == PAGE + 100
    assert mm.read(addr + 100, PAGE - 100) == pattern(PAGE - 100)
    with pytest.raises(e.EFAULT):
        filemap_read(task, file, UserBuffer(mm, addr + PAGE, 10), 0)
    with pytest.raises(e.EFAULT):
        UserBuffer(mm, (1 << 64) - 10, 5)


def test_eio_reaches_the_reader_and_sigbus_the_mapper(task: Task) -> None:
    file = fake_file(task.machine, pattern(3 * PAGE))
    store: Any = mapping_of(file).a_ops

    def fail(*_: object) -> None:
        raise e.EIO

    store.read_pages = fail
    with pytest.raises(e.EIO):
        read(task, file, 0, 10)
    addr = do_mmap(mm_of(task), task, file, 0, PAGE, m.PROT_READ, m.MAP_PRIVATE, 0)
    with pytest.raises(BusFault):
        handle_fault(mm_of(task), addr, Access.READ)
    assert task.machine.zone.nr_free == 4095


# -- writing


def test_write_extends_and_overwrites(task: Task) -> None:
    for data in (b"0123456789" * 1000, None):
        file = fake_file(task.machine, data)
        filemap_write(task, file, KernelBuffer(b"ABC"), 5000)
        assert file.f_inode.i_size == (10000 if data else 5003)
        expect = bytearray(data or bytes(5003))
        expect[5000:5003] = b"ABC"
        assert read(task, file, 0, 20000) == bytes(expect)
        assert mapping_of(file).dirty == (set() if data is None else {1})


def test_writes_through_mappings_and_calls_are_coherent(task: Task) -> None:
    mm = mm_of(task)
    for data in (bytes(2 * PAGE), None):
        file = fake_file(task.machine, data, 2 * PAGE)
        shared = do_mmap(mm, task, file, 0, 2 * PAGE, RW, m.MAP_SHARED, 0)
        guest_write(mm, shared + 10, b"mapped")
        assert read(task, file, 10, 6) == b"mapped"
        filemap_write(task, file, KernelBuffer(b"called"), PAGE + 20)
        assert guest_read(mm, shared + PAGE + 20, 6) == b"called"
        check_host(mm)


def test_a_bad_source_leaves_zeroes_not_old_memory(task: Task) -> None:
    """Frames of a write that fails half way must not show what was in them before."""
    zone = task.machine.zone
    frames = zone.alloc_run(512)
    zone.mem[frames[0] << 12 : (frames[0] + 512) << 12] = b"S" * (512 << 12)
    zone.put_many(range(frames[0], frames[0] + 512))
    mm = mm_of(task)
    addr = user(task, 2 * PAGE)
    mm.write(addr, b"w" * 2 * PAGE)
    do_munmap(mm, addr + PAGE, PAGE)
    file = fake_file(task.machine, None, 64 * PAGE)
    moved = filemap_write(task, file, UserBuffer(mm, addr, 16 * PAGE, False), 100)
    assert moved == PAGE
    content = read(task, file, 0, 64 * PAGE)
    assert content == bytes(100) + b"w" * PAGE + bytes(63 * PAGE - 100)


def test_a_full_file_system_takes_what_fits(task: Task) -> None:
    file = fake_file(task.machine, None)
    limit = ShmemLimit(5)
    mapping_of(file).a_ops = ShmemOperations(limit)
    assert filemap_write(task, file, KernelBuffer(bytes(20 * PAGE)), 100) == 5 * PAGE - 100
    with pytest.raises(e.ENOSPC):
        filemap_write(task, file, KernelBuffer(b"x"), 5 * PAGE)
    filemap_write(task, file, KernelBuffer(b"x"), 0)
    truncate_pagecache(mapping_of(file), 2 * PAGE)
    assert limit.used == 2
    drop_mapping(mapping_of(file))
    assert limit.used == 0


def test_holes_take_no_memory_to_read(task: Task) -> None:
    file = fake_file(task.machine, None, 1 << 30)
    free = task.machine.zone.nr_free
    assert read(task, file, 1 << 29, 100_000) == bytes(100_000)
    assert task.machine.zone.nr_free == free


def test_writeback_gathers_runs(task: Task) -> None:
    file = fake_file(task.machine, bytes(8 * PAGE))
    filemap_write(task, file, KernelBuffer(b"x" * 3 * PAGE), PAGE)
    filemap_fdatawrite(mapping_of(file))
    store: Any = mapping_of(file).a_ops
    assert [index for index, _ in store.writes] == [1, 2, 3]
    assert bytes(store.data) == bytes(PAGE) + b"x" * 3 * PAGE + bytes(4 * PAGE)


# -- truncation


def test_truncate_unmaps_and_zeroes_the_tail(task: Task) -> None:
    mm = mm_of(task)
    file = fake_file(task.machine, b"x" * 4 * PAGE)
    inode = file.f_inode
    shared = do_mmap(mm, task, file, 0, 4 * PAGE, RW, m.MAP_SHARED, 0)
    private = do_mmap(mm, task, file, 0, 4 * PAGE, RW, m.MAP_PRIVATE, 0)
    guest_write(mm, private + 3 * PAGE, b"own")
    guest_read(mm, shared, 4 * PAGE)
    inode.i_size = PAGE + 100
    truncate_pagecache(mapping_of(file), inode.i_size)
    check_host(mm)
    assert guest_read(mm, shared + PAGE, 200) == b"x" * 100 + bytes(100)
    for addr in (shared + 2 * PAGE, private + 3 * PAGE):
        with pytest.raises(BusFault):
            guest_read(mm, addr, 1)
    with pytest.raises(e.EFAULT):
        mm.read(shared + 2 * PAGE, 1)


def test_punched_holes_read_as_zero(task: Task) -> None:
    mm = mm_of(task)
    file = fake_file(task.machine, None, 4 * PAGE)
    filemap_write(task, file, KernelBuffer(b"x" * 4 * PAGE), 0)
    shared = do_mmap(mm, task, file, 0, 4 * PAGE, RW, m.MAP_SHARED, 0)
    guest_read(mm, shared, 4 * PAGE)
    truncate_pagecache_range(mapping_of(file), 100, 3 * PAGE + 5)
    expect = b"x" * 100 + bytes(3 * PAGE - 95) + b"x" * (PAGE - 5)
    assert guest_read(mm, shared, 4 * PAGE) == expect
    truncate_pagecache_range(mapping_of(file), 3 * PAGE + 10, 3 * PAGE + 12)
    assert read(task, file, 3 * PAGE + 9, 4) == b"x\0\0x"


def test_a_changed_store_shows_after_invalidation(task: Task) -> None:
    mm = mm_of(task)
    file = fake_file(task.machine, b"old" * 100)
    addr = do_mmap(mm, task, file, 0, PAGE, m.PROT_READ, m.MAP_PRIVATE, 0)
    assert guest_read(mm, addr, 3) == b"old"
    store: Any = mapping_of(file).a_ops
    store.data[:3] = b"new"
    invalidate_mapping(mapping_of(file))
    check_host(mm)
    assert guest_read(mm, addr, 3) == b"new"
    assert read_into(mapping_of(file), 1, 4) == b"ewol"


# -- reclaim and TLB


def test_reclaim_takes_clean_cached_pages_oldest_file_first(task: Task) -> None:
    zone = task.machine.zone
    files = [fake_file(task.machine, bytes(100 * PAGE)) for _ in range(3)]
    for file in files:
        read(task, file, 0, 100 * PAGE)
        mapping_of(file).referenced = False
    mapping_of(files[0]).referenced = True
    zone.reclaim(150, direct=False)
    assert [len(mapping_of(file).pages) for file in files] == [100, 0, 50]


def test_direct_reclaim_leaves_mapped_and_dirty_pages(task: Task) -> None:
    mm = mm_of(task)
    zone = task.machine.zone
    mapped = fake_file(task.machine, bytes(10 * PAGE))
    addr = do_mmap(mm, task, mapped, 0, 10 * PAGE, m.PROT_READ, m.MAP_PRIVATE, 0)
    guest_read(mm, addr, 10 * PAGE)
    dirty = fake_file(task.machine, bytes(10 * PAGE))
    filemap_write(task, dirty, KernelBuffer(b"x"), 0)
    read(task, dirty, 0, 10 * PAGE)
    zone.active_mapping = None
    zone.clean_min = 0
    zone.reclaim(1000, direct=True)
    assert len(mapping_of(mapped).pages) == 10
    assert set(mapping_of(dirty).pages) == {0}
    zone.reclaim(1000, direct=False)
    assert not mapping_of(mapped).pages
    check_host(mm)
    assert guest_read(mm, addr, 10) == bytes(10)


def test_files_larger_than_memory_can_be_read(task: Task) -> None:
    file = fake_file(task.machine, bytes(30 << 20))
    total = 0
    while part := read(task, file, total, 1 << 20):
        total += len(part)
    assert total == 30 << 20


def test_frames_are_freed_only_after_running_cpus_were_told(task: Task) -> None:
    mm = mm_of(task)
    space: Any = mm.space
    addr = user(task, 16 * PAGE)
    guest_write(mm, addr, b"x" * 16 * PAGE)
    space.running_cpus = 1
    order: list[str] = []
    zone = mm.zone

    class Spy:
        def __getattr__(self, name: str) -> Any:
            return getattr(space, name)

        def shootdown(self) -> None:
            order.append("shootdown")
            assert zone.refcount[pfn] == 1

    pfn = mm.pt[addr >> 12] >> 12
    mm.space = Spy()
    do_munmap(mm, addr, 16 * PAGE)
    assert order == ["shootdown"]
    assert zone.refcount[pfn] == 0


# -- advice


def test_readahead_and_fadvise(task: Task) -> None:
    file = fake_file(task.machine, bytes(100 * PAGE))
    readahead(task, file, 10 * PAGE, 5 * PAGE)
    assert set(mapping_of(file).pages) == set(range(10, 15))
    fadvise64(task, file, 0, 0, 3)
    assert len(mapping_of(file).pages) == 100
    fadvise64(task, file, 0, 50 * PAGE, 4)
    assert set(mapping_of(file).pages) == set(range(50, 100))
    with pytest.raises(e.EINVAL):
        fadvise64(task, file, 0, 0, 9)


# -- user memory


def test_iovecs_are_one_buffer(task: Task) -> None:
    mm = mm_of(task)
    addr = user(task, 4 * PAGE)
    parts = ((addr, 3), (addr + PAGE - 2, 10), (0, 0), (addr + 2 * PAGE, 5))
    vector = b"".join(a.to_bytes(8, "little") + n.to_bytes(8, "little") for a, n in parts)
    mm.write(addr + 3 * PAGE, vector)
    buf = import_iovec(mm, addr + 3 * PAGE, 4)
    assert buf.length == 18
    assert buf.put(b"abcdefghijklmnopqrstuvw") == 18
    assert mm.read(addr, 3) == b"abc"
    assert mm.read(addr + PAGE - 2, 10) == b"defghijklm"
    buf = import_iovec(mm, addr + 3 * PAGE, 4, False)
    assert buf.take(7) == b"abcdefg"
    assert b"".join(buf.slices(100)) == b"hijklmnopqr"
    buf.advance(8)
    assert buf.take(100) == b"pqr"


@pytest.mark.parametrize(
    ("count", "size", "error"),
    [(1025, 1, e.EINVAL), (2, 1 << 63, e.EINVAL), (2, 1 << 50, e.EFAULT)],
)
def test_bad_iovecs(task: Task, count: int, size: int, error: type[Exception]) -> None:
    mm = mm_of(task)
    addr = user(task, PAGE)
    mm.write(addr, (addr.to_bytes(8, "little") + size.to_bytes(8, "little")) * 2)
    with pytest.raises(error):
        import_iovec(mm, addr, count)


def test_iovec_stops_at_the_first_bad_segment(task: Task) -> None:
    mm = mm_of(task)
    addr = user(task, PAGE)
    buf = UserIovec(mm, [(addr, 10), (0x1000, 10), (addr + 20, 10)])
    assert buf.put(b"x" * 30) == 10
    assert buf.length == 20
    with pytest.raises(e.EFAULT):
        buf.put(b"y")


def test_strings_across_pages(task: Task) -> None:
    mm = mm_of(task)
    addr = user(task, 2 * PAGE)
    mm.write(addr + PAGE - 3, b"hello\0")
    assert mm.read_cstr(addr + PAGE - 3, 4096) == b"hello"
    assert mm.read_cstr(addr + PAGE - 3, 6) == b"hello"
    with pytest.raises(e.ENAMETOOLONG):
        mm.read_cstr(addr + PAGE - 3, 5)
    mm.write(addr + 2 * PAGE - 3, b"abc")
    with pytest.raises(e.EFAULT):
        mm.read_cstr(addr + 2 * PAGE - 3, 4096)


def test_words_at_any_address(task: Task) -> None:
    mm = mm_of(task)
    addr = user(task, 2 * PAGE)
    for at in (addr + 8, addr + 3, addr + PAGE - 1):
        mm.write_u64(at, 0x1122334455667788)
        assert mm.read_u64(at) == 0x1122334455667788
        mm.write_u32(at, -2)
        assert mm.read_u32(at) == 0xFFFFFFFE
    offset = mm.word_offset(addr + 8, True)
    assert mm.ram.mem32[offset >> 2] == mm.read_u32(addr + 8)
    with pytest.raises(e.EFAULT):
        mm.word_offset(0, False)


def test_kernel_copies_of_read_only_memory_fault(task: Task) -> None:
    mm = mm_of(task)
    addr = user(task, PAGE, m.PROT_READ)
    assert mm.read(addr, 4) == bytes(4)
    for call in (mm.write, lambda a, d: UserBuffer(mm, a, 3).put(d)):
        with pytest.raises(e.EFAULT):
            call(addr, b"abc")
    none = user(task, PAGE, m.PROT_NONE)
    with pytest.raises(e.EFAULT):
        mm.read(none, 1)


def test_process_vm_readv(task: Task) -> None:
    other = fake_task(task.machine, 101)
    theirs = user(other, 2 * PAGE)
    mm_of(other).write(theirs, b"secret")
    mine = user(task, PAGE)
    mm_of(task).write(mine, theirs.to_bytes(8, "little") + (6).to_bytes(8, "little"))
    local = UserBuffer(mm_of(task), mine + 100, 50)
    assert process_vm_readv(task, 101, local, mine, 1, 0) == 6
    assert mm_of(task).read(mine + 100, 6) == b"secret"
    with pytest.raises(e.ESRCH):
        process_vm_readv(task, 999, local, mine, 1, 0)


def test_what_a_mapping_wrote_behind_the_end_is_gone_when_the_file_grows(task: Task) -> None:
    mm = mm_of(task)
    for data in (b"x" * 100, None):
        file = fake_file(task.machine, data, 100)
        shared = do_mmap(mm, task, file, 0, PAGE, RW, m.MAP_SHARED, 0)
        guest_write(mm, shared + 200, b"behind")
        filemap_write(task, file, KernelBuffer(b"new"), 1000)
        assert read(task, file, 200, 6) == bytes(6)
