# SPDX-License-Identifier: Apache-2.0
"""T-RACE-02: no process of the host still maps a frame when it is given to somebody else.

The kernel can't know whether a guest thread is at rest, so what it thinks of that must not count.
Here each freed frame is looked for in the mappings of all stubs, as the host tells them.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import pygos
from pygos.mm.page_alloc import Zone
from tests.security.conftest import Compiler

pytestmark = [pytest.mark.boots, pytest.mark.timeout(200)]

#: Everything that gives pages back, with a thread that keeps running meanwhile.
_WORK = r"""
#include <pthread.h>
static char b[65536];
static void *computes(void *a)
{
    for (;;)
        for (int i = 0; i < 64; i++)
            ((volatile char *)a)[i * 4096];
}
static char *fresh(int pages)
{
    char *p = mmap(0, pages * 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 1, pages * 4096);
    return p;
}
static void anonymous(void)
{
    char *p = fresh(64);
    madvise(p, 16 * 4096, MADV_DONTNEED);
    munmap(p + 32 * 4096, 8 * 4096);
    char *q = mremap(p, 16 * 4096, 64 * 4096, MREMAP_MAYMOVE);
    memset(q, 2, 64 * 4096);
    mprotect(q, 4096, PROT_READ);
    mmap(q + 8 * 4096, 8 * 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    munmap(q, 64 * 4096);
}
static void file(int n, char *shared)
{
    int fd = open("/tmp/f", O_CREAT | O_RDWR | O_TRUNC, 0600);
    for (int i = 0; i < 8; i++)
        write(fd, b, sizeof b);
    char *f = mmap(0, 1 << 19, 3, MAP_SHARED, fd, 0), *g = mmap(0, 1 << 19, 3, MAP_PRIVATE, fd, 0);
    for (int i = 0; i < 128; i++)
        b[0] += f[i * 4096] + g[i * 4096];
    g[0] = g[40 * 4096] = f[4096] = 2;
    for (int i = 0; i < 50; i++)
        pread(fd, b, 4096, i * 4096);
    if (n % 2) {
        pid_t child = fork();
        if (!child) {
            memset(shared, 5, 64 * 4096);
            ftruncate(fd, 8192);
            _exit(0);
        }
        memset(shared, 6, 32 * 4096);
        waitpid(child, 0, 0);
    } else
        ftruncate(fd, 4096);
    munmap(g, 1 << 19);
    munmap(f, 1 << 18);
    close(fd);
    unlink("/tmp/f");
}
static void memory(void)
{
    int fd = memfd_create("x", 0);
    ftruncate(fd, 1 << 20);
    char *p = mmap(0, 1 << 20, 3, MAP_SHARED, fd, 0);
    memset(p, 7, 1 << 20);
    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 1 << 16);
    madvise(p + (1 << 18), 1 << 16, MADV_REMOVE);
    close(fd);
    munmap(p, 1 << 20);
}
int main(int argc, char **argv)
{
    char *shared = fresh(64);
    pthread_t thread;
    pthread_create(&thread, 0, computes, shared);
    for (int n = 0; n < 6; n++) {
        anonymous();
        file(n, shared);
        memory();
    }
    /* The page cache must shrink. */
    int sum = 0, fd = open(argv[1], O_RDONLY);
    ul size = lseek(fd, 0, SEEK_END);
    for (int i = 0; i < 3; i++) {
        char *all = fresh(6144), *text = mmap(0, size, PROT_READ, MAP_PRIVATE, fd, 0);
        for (ul at = 0; at < size; at += 4096)
            sum += text[at];
        munmap(all, 6144 * 4096);
    }
    puts("done");
}
"""


def _mapped(pid: str) -> Iterator[tuple[int, int]]:
    """Frames [first, end) that a host process maps."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if "pygos-ram" in line:
            span, _, offset = line.split()[:3]
            low, high = (int(word, 16) for word in span.split("-"))
            first = int(offset, 16) >> 12
            yield first, first + (high - low >> 12)


def _seen_by(frames: set[int]) -> Iterator[str]:
    """Children of this process that map one of the frames."""
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            if any(any(first <= pfn < end for pfn in frames) for first, end in _mapped(pid)):
                yield pid


def test_t_race_02_freed_frames_are_mapped_nowhere(
    compile_c: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []
    checked: list[int] = []
    put_many = Zone.put_many

    def check(zone: Zone, pfns: Iterable[int]) -> None:
        frames = list(pfns)
        put_many(zone, frames)
        freed = {pfn for pfn in frames if zone.refcount[pfn] == 0}
        if freed:
            checked.append(len(freed))
            where = [frame.name for frame in traceback.extract_stack(limit=8)]
            found.extend(f"{pid}: {where}" for pid in _seen_by(freed))

    monkeypatch.setattr(Zone, "put_many", check)
    text = "typedef unsigned long ul;\n" + _WORK
    with pygos.Machine(memory="64m", cpus=2, user="0", platform="systrap") as machine:
        result = machine.run([compile_c(text), "/usr/bin/python3"], timeout=150)
        assert result.stdout == b"done\n"
        shell = "for i in 1 2 3; do ls / | wc -l; done; x=$(echo hi); (exec true); echo $x"
        assert machine.run(["/bin/bash", "-c", shell], timeout=60).stdout.endswith(b"hi\n")
    assert not found
    assert len(checked) > 50
