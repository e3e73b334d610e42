# SPDX-License-Identifier: Apache-2.0
"""What a program sees of its own code when its `syscall` instructions become jumps.

tests/abi/programs/patched_sites.c has all that looks as it does on Linux; here is what doesn't,
and that ``patch=False`` keeps even that as it is on disk.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import pygos

pytestmark = pytest.mark.boots

#: Compares its text, as loads, the kernel, debuggers and core files show it, with the file's.
_PROGRAM = r"""
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
asm(".text\n.balign 4096\nsites: mov $110, %eax\nsyscall\nret\n"
    ".balign 16\nany: mov %rdi, %rax\nsyscall\nret\n.byte 0x0f, 0x1f, 0x44, 0, 0\n.balign 4096\n");
extern char sites[];
extern long any(long);
static char before[4096], page[4096];
static void tell(const char *what)
{
    printf("%s %s\n", what, memcmp(page, before, 4096) ? "changed" : "same");
    fflush(stdout);
    memset(page, 0, 4096);
}
static void core(void)
{
    static char data[1 << 24];
    struct rlimit most = { 1 << 24, 1 << 24 };
    int status, i, fd;
    Elf64_Ehdr *head = (void *)data;
    pid_t pid = fork();
    if (!pid) {
        setrlimit(RLIMIT_CORE, &most);
        abort();
    }
    waitpid(pid, &status, 0);
    if (!WCOREDUMP(status))
        puts("no core");
    fd = open("core", O_RDONLY);
    if (read(fd, data, sizeof(data)) < 4096)
        puts("no core file");
    Elf64_Phdr *area = (void *)(data + head->e_phoff);
    memcpy(page, before, 4096);
    for (i = 0; i < head->e_phnum; i++)
        if (area[i].p_vaddr <= (long)sites && area[i].p_vaddr + area[i].p_filesz > (long)sites)
            memcpy(page, data + area[i].p_offset + (long)sites - area[i].p_vaddr, 4096);
}
int main(void)
{
    struct iovec to = { page, 4096 }, from = { sites, 4096 };
    int i, fd = open("/proc/self/mem", O_RDONLY), pair[2];
    char line[512];
    FILE *maps;
    long word;
    pid_t pid;
    memcpy(before, sites, 4096);
    for (i = 0; i < 200; i++) {
        ((long (*)(void))sites)();
        any(SYS_getppid);
    }
    memcpy(page, sites, 4096);
    tell("load");
    pipe(pair);
    write(pair[1], sites, 4096);
    read(pair[0], page, 4096);
    tell("write");
    pread(fd, page, 4096, (long)sites);
    tell("mem");
    process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    tell("readv");
    if (!(pid = fork())) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        memcpy(page, sites, 4096);
        tell("traced load");
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    for (i = 0; i < 4096; i += 8) {
        word = ptrace(PTRACE_PEEKTEXT, pid, sites + i, 0);
        memcpy(page + i, &word, 8);
    }
    tell("peek");
    ptrace(PTRACE_CONT, pid, 0, 0);
    waitpid(pid, NULL, 0);
    core();
    tell("core");
    maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof(line), maps))
        if (strstr(line, "[pygos]"))
            puts("pool");
    return 0;
}
"""


#: A call that the stub can answer: is its site patched after 5000 of them?
_ANSWERED = r"""
#include <stdio.h>
#include <unistd.h>
asm(".text\n.balign 64\nsite: mov $39, %eax\nsyscall\nret\n.balign 64\n");
extern unsigned char site[];
int main(void)
{
    int i;
    for (i = 0; i < 5000; i++)
        if (((long (*)(void))site)() != getpid())
            return 1;
    puts(site[0] == 0xb8 ? "as it was" : "patched");
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("patching")
    source = directory / "views.c"
    source.write_text(_PROGRAM)
    subprocess.run(["gcc", "-O1", "-w", "-o", directory / "views", source], check=True)
    return directory / "views"


def views(program: Path, platform: str, patch: bool) -> list[str]:
    with pygos.Machine(platform=platform, patch=patch, memory="256m") as machine:
        result = machine.run([program], cwd=program.parent, timeout=60, check=True)
    return result.stdout.decode().splitlines()


SAME = ["load", "write", "mem", "readv", "peek", "traced load", "core"]


def test_only_the_programs_own_loads_see_patches(program: Path, platform: str) -> None:
    lines = views(program, platform, True)
    patched = platform == "systrap"
    expected = [f"{view} same" for view in ("mem", "readv", "traced load", "peek", "core")]
    loads = "changed" if patched else "same"
    assert lines[:2] == [f"load {loads}", f"write {loads}"]
    assert sorted(lines[2:7]) == sorted(expected)
    assert set(lines[7:]) == ({"pool"} if patched else set())


def test_without_patching_nothing_is_changed(program: Path, platform: str) -> None:
    assert sorted(views(program, platform, False)) == sorted(f"{view} same" for view in SAME)


def test_calls_that_the_stub_answers_are_patched_too(tmp_path: Path, platform: str) -> None:
    source = tmp_path / "answered.c"
    source.write_text(_ANSWERED)
    subprocess.run(["gcc", "-O1", "-w", "-o", tmp_path / "answered", source], check=True)
    for patch in (True, False):
        with pygos.Machine(platform=platform, patch=patch, memory="256m") as machine:
            result = machine.run([tmp_path / "answered"], timeout=60, check=True)
        patched = patch and platform == "systrap"
        assert result.stdout == (b"patched\n" if patched else b"as it was\n")


def test_every_frame_comes_back(program: Path, platform: str) -> None:
    with pygos.Machine(platform=platform, memory="256m") as machine:
        free = []
        for _ in range(3):
            machine.run([program], cwd=program.parent, timeout=60, check=True)
            machine.run(["rm", "-f", program.parent / "core"], check=True)
            assert machine._kernel is not None
            free.append(machine._kernel.zone.nr_free)
    assert free[1] == free[2]
