# SPDX-License-Identifier: Apache-2.0
"""Any sequence of mapping calls, forks, loads and stores behaves as a simple model of memory.

After every step the host's mappings agree with the page tables, and every frame is owned by
exactly those who hold it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pygos.include.errno import EFAULT, ENOMEM
from pygos.include.linux.mm_types import PTE_ANON
from pygos.include.linux.sched import Task
from pygos.include.uapi import mman
from pygos.mm.fault import BusFault, SegvFault
from pygos.mm.fork import dup_mm
from pygos.mm.madvise import do_madvise
from pygos.mm.mm import Mm, mmput
from pygos.mm.mmap import do_mmap, do_munmap
from pygos.mm.mprotect import do_mprotect
from pygos.mm.mremap import mremap
from pygos.mm.truncate import drop_mapping, filemap_fdatawrite, invalidate_mapping
from tests.support.fakes import (
    check_host,
    fake_file,
    fake_machine,
    fake_task,
    guest_read,
    guest_write,
)

BASE = 0x10_0000_0000
PAGES = 14
FRAMES = 3000
FILE_PAGES = 9
R, W, X = 1, 2, 4

pages = st.integers(0, PAGES - 1)
lengths = st.integers(1, 8)
prots = st.sampled_from([R | W, R | W, R | W, R | W | X, R, R | X, W, 0])


class Object:
    """Something shared: page index -> bytes."""

    def __init__(self, content: dict[int, bytes], size: int) -> None:
        self.content = content
        self.size = size

    def get(self, index: int) -> bytes:
        return self.content.get(index, bytes(4096))


class Page:
    """One page of a process in the model."""

    def __init__(self, prot: int, backing: Object | None, index: int, shared: bool) -> None:
        self.prot = prot
        self.backing = backing
        self.index = index
        self.shared = shared
        self.own: bytes | None = None

    def copy(self) -> Page:
        new = Page(self.prot, self.backing, self.index, self.shared)
        new.own = self.own
        return new

    def beyond(self) -> bool:
        return self.backing is not None and self.index >= self.backing.size

    def read(self) -> bytes:
        if self.own is not None:
            return self.own
        return self.backing.get(self.index) if self.backing is not None else bytes(4096)

    def write(self, offset: int, data: bytes) -> None:
        old = self.read()
        new = old[:offset] + data + old[offset + len(data) :]
        if self.shared:
            assert self.backing is not None
            self.backing.content[self.index] = new
        else:
            self.own = new


class Process:
    def __init__(self, task: Task, mm: Mm, memory: dict[int, Page]) -> None:
        self.task = task
        self.mm = mm
        self.memory = memory


class MemoryMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.machine = fake_machine(FRAMES)
        task = fake_task(self.machine)
        assert task.mm is not None
        self.procs = [Process(task, task.mm, {})]
        text = b"".join(bytes([65 + i]) * 4096 for i in range(FILE_PAGES))
        self.store = fake_file(self.machine, text)
        stored = {i: text[i << 12 : (i + 1) << 12] for i in range(FILE_PAGES)}
        self.tmp = fake_file(self.machine, None, FILE_PAGES << 12)
        self.files = [(self.store, Object(stored, FILE_PAGES)), (self.tmp, Object({}, FILE_PAGES))]
        self.next_pid = 200
        #: Within one step a private page may have been copied before or after a shared write.
        self.lenient = False

    def pick(self, which: int) -> Process:
        return self.procs[which % len(self.procs)]

    # -- mapping calls

    @rule(who=pages, page=pages, count=lengths, prot=prots, shared=st.booleans())
    def map_anon(self, who: int, page: int, count: int, prot: int, shared: bool) -> None:
        proc = self.pick(who)
        flags = mman.MAP_FIXED | mman.MAP_ANONYMOUS
        flags |= mman.MAP_SHARED if shared else mman.MAP_PRIVATE
        do_mmap(proc.mm, proc.task, None, BASE + (page << 12), count << 12, prot, flags, 0)
        backing = Object({}, count) if shared else None
        for i in range(count):
            proc.memory[page + i] = Page(prot, backing, i, shared)

    @rule(
        who=pages, page=pages, count=lengths, prot=prots, shared=st.booleans(),
        which=st.integers(0, 1), offset=st.integers(0, FILE_PAGES),
    )  # fmt: skip
    def map_file(
        self, who: int, page: int, count: int, prot: int, shared: bool, which: int, offset: int
    ) -> None:
        proc = self.pick(who)
        file, backing = self.files[which]
        flags = mman.MAP_FIXED | (mman.MAP_SHARED if shared else mman.MAP_PRIVATE)
        do_mmap(proc.mm, proc.task, file, BASE + (page << 12), count << 12, prot, flags, offset)
        for i in range(count):
            proc.memory[page + i] = Page(prot, backing, offset + i, shared)

    @rule(who=pages, page=pages, count=lengths)
    def unmap(self, who: int, page: int, count: int) -> None:
        proc = self.pick(who)
        do_munmap(proc.mm, BASE + (page << 12), count << 12)
        for i in range(count):
            proc.memory.pop(page + i, None)

    @rule(who=pages, page=pages, count=lengths, prot=prots)
    def protect(self, who: int, page: int, count: int, prot: int) -> None:
        proc = self.pick(who)
        try:
            do_mprotect(proc.mm, proc.task, BASE + (page << 12), count << 12, prot)
            hole = False
        except ENOMEM:
            hole = True
        for i in range(page, page + count):
            if i not in proc.memory:
                assert hole
                return
            proc.memory[i].prot = prot
        assert not hole

    @rule(who=pages, page=pages, count=lengths)
    def dontneed(self, who: int, page: int, count: int) -> None:
        proc = self.pick(who)
        try:
            do_madvise(proc.mm, BASE + (page << 12), count << 12, mman.MADV_DONTNEED)
        except ENOMEM:
            assert not all(i in proc.memory for i in range(page, page + count))
        for i in range(page, page + count):
            if i in proc.memory:
                proc.memory[i].own = None

    @rule(who=pages, page=pages, count=lengths, to=pages)
    def move(self, who: int, page: int, count: int, to: int) -> None:
        proc = self.pick(who)
        if page < to + count and to < page + count:
            return
        old, new = BASE + (page << 12), BASE + (to << 12)
        size = count << 12
        flags = mman.MREMAP_MAYMOVE | mman.MREMAP_FIXED
        try:
            proc.task.mm = proc.mm
            mremap(proc.task, old, size, size, flags, new)
        except EFAULT:
            # Not one mapping; but the target was unmapped already if the start is mapped.
            if page in proc.memory:
                for i in range(count):
                    proc.memory.pop(to + i, None)
            return
        for i in range(count):
            proc.memory[to + i] = proc.memory.pop(page + i)

    # -- processes

    @precondition(lambda self: len(self.procs) < 4)
    @rule(who=pages)
    def fork(self, who: int) -> None:
        parent = self.pick(who)
        mm = dup_mm(parent.mm, None)  # type: ignore[arg-type]
        task = fake_task(self.machine, self.next_pid)
        assert task.mm is not None
        mmput(task.mm)
        self.next_pid += 1
        task.mm = mm
        mm.owner = task
        memory = {page: entry.copy() for page, entry in parent.memory.items()}
        self.procs.append(Process(task, mm, memory))

    @precondition(lambda self: len(self.procs) > 1)
    @rule(who=pages)
    def exit(self, who: int) -> None:
        proc = self.pick(who)
        self.procs.remove(proc)
        del self.machine.pids.tasks[proc.task.pid]
        mmput(proc.mm)

    # -- accesses

    @rule(
        who=pages, page=pages, offset=st.integers(0, 4095), data=st.binary(min_size=1, max_size=9),
        kernel=st.booleans(), exact=st.booleans(),
    )  # fmt: skip
    def write(
        self, who: int, page: int, offset: int, data: bytes, kernel: bool, exact: bool
    ) -> None:
        proc = self.pick(who)
        data = data[: 4096 - offset]
        entry = proc.memory.get(page)
        ok = entry is not None and entry.prot & W and not entry.beyond()
        addr = BASE + (page << 12) + offset
        try:
            if kernel:
                proc.mm.write(addr, data)
            else:
                guest_write(proc.mm, addr, data, exact)
            assert ok
        except (EFAULT, SegvFault, BusFault):
            assert not ok
        if ok:
            assert entry is not None
            entry.write(offset, data)

    @rule(who=pages, page=pages, kernel=st.booleans(), exact=st.booleans())
    def read(self, who: int, page: int, kernel: bool, exact: bool) -> None:
        proc = self.pick(who)
        entry = proc.memory.get(page)
        ok = entry is not None and entry.prot and not entry.beyond()
        addr = BASE + (page << 12)
        try:
            if kernel:
                found = proc.mm.read(addr, 4096)
            else:
                found = guest_read(proc.mm, addr, 4096, exact)
            assert ok
            assert entry is not None
            assert found == entry.read()
        except (EFAULT, SegvFault, BusFault):
            assert not ok

    @rule(who=pages, page=pages, count=lengths, mark=st.integers(1, 255))
    def kernel_copy(self, who: int, page: int, count: int, mark: int) -> None:
        """A long copy writes up to the first page that can't be written.

        A private page of a file may be copied before anybody writes to it: mmap(2) leaves open
        whether later changes of the file show there.
        """
        proc = self.pick(who)
        data = bytes([mark]) * (count << 12)
        self.lenient = True
        try:
            proc.mm.write(BASE + (page << 12), data)
        except EFAULT:
            pass
        for i in range(page, page + count):
            entry = proc.memory.get(i)
            if entry is None or not entry.prot & W or entry.beyond():
                break
            entry.write(0, data[:4096])

    # -- the page cache

    @rule()
    def writeback(self) -> None:
        mapping = self.store.f_inode.i_mapping
        assert mapping is not None
        filemap_fdatawrite(mapping)
        assert not mapping.dirty
        ops: Any = mapping.a_ops
        content = self.files[0][1]
        for i in range(FILE_PAGES):
            assert bytes(ops.data[i << 12 : (i + 1) << 12]) == content.get(i)

    @rule()
    def invalidate(self) -> None:
        mapping = self.store.f_inode.i_mapping
        assert mapping is not None
        invalidate_mapping(mapping)

    @rule(frames=st.integers(1, 50))
    def reclaim(self, frames: int) -> None:
        self.machine.zone.reclaim(frames, direct=False)

    # -- invariants

    @invariant()
    def host_agrees(self) -> None:
        for proc in self.procs:
            check_host(proc.mm)

    @invariant()
    def contents_agree(self) -> None:
        for proc in self.procs:
            mem = proc.mm.mem
            for vpn, pte in proc.mm.pt.items():
                page = proc.memory[vpn - (BASE >> 12)]
                found = mem[pte & ~0xFFF : (pte & ~0xFFF) + 4096]
                early = bool(pte & PTE_ANON) and page.own is None
                if not (early and self.lenient):
                    assert found == page.read()
                if early and page.backing is not None:
                    page.own = bytes(found)
        self.lenient = False

    @invariant()
    def vmas_are_sorted(self) -> None:
        for proc in self.procs:
            mm = proc.mm
            assert mm.starts == [vma.start for vma in mm.vmas]
            end = 0
            for vma in mm.vmas:
                assert end <= vma.start < vma.end
                end = vma.end
                if vma.mapping is not None:
                    assert vma in vma.mapping.i_mmap
            mapped = sum(vma.end - vma.start for vma in mm.vmas) >> 12
            assert mapped == mm.total_vm == len(proc.memory)
            anon = sum(1 for pte in mm.pt.values() if pte & PTE_ANON)
            assert anon == mm.rss_anon
            assert mm.rss == len(mm.pt)

    @invariant()
    def frames_are_owned(self) -> None:
        zone = self.machine.zone
        owners = Counter(
            pte >> 12 for proc in self.procs for pte in proc.mm.pt.values() if pte & PTE_ANON
        )
        mappings = {v.mapping for p in self.procs for v in p.mm.vmas if v.mapping is not None}
        for file in (self.store, self.tmp):
            assert file.f_inode.i_mapping is not None
            mappings.add(file.f_inode.i_mapping)
        cached = [pfn for mapping in mappings for pfn in mapping.pages.values()]
        assert len(set(cached)) == len(cached) == zone.nr_file
        owners.update(cached)
        assert zone.nr_free == FRAMES - 1 - len(owners)
        for pfn, count in owners.items():
            assert zone.refcount[pfn] == count

    def teardown(self) -> None:
        for proc in self.procs:
            mmput(proc.mm)
        for file in (self.store, self.tmp):
            assert file.f_count == 1
            mapping = file.f_inode.i_mapping
            assert mapping is not None
            assert not mapping.i_mmap
            drop_mapping(mapping)
        zone = self.machine.zone
        zone.drain()
        assert zone.nr_free == FRAMES - 1
        assert zone.nr_file == zone.nr_shmem == 0
        assert self.machine.commit_pages == 0


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
