# SPDX-License-Identifier: Apache-2.0
"""Memory is given back at exit to the last page: frames counted over 1,000 process lifetimes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import pygos

pytestmark = pytest.mark.boots

_PROGRAM = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
static void *thread(void *arg) { memset(arg, 1, 4096); return 0; }
static void child(int kind)
{
    char *own = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *shared = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(own, 1, 65536);
    memset(shared, 2, 40000);
    if (kind == 1) {
        pthread_t id;
        pthread_create(&id, 0, thread, own);
        pthread_join(id, 0);
    }
    if (kind == 2)
        execl(EXEC, "true", (char *)0);
    if (kind == 3)
        abort();
    _exit(0);
}
int main(int argc, char **argv)
{
    for (int i = 0; i < atoi(argv[1]); i++) {
        pid_t pid = fork();
        if (!pid)
            child(i % 4);
        waitpid(pid, 0, 0);
    }
}
"""


def test_no_frame_is_lost_over_a_thousand_lifetimes(tmp_path: Path) -> None:
    source, binary = tmp_path / "p.c", str(tmp_path / "p")
    source.write_text(_PROGRAM)
    options = ["-w", "-O1", "-pthread", '-DEXEC="/bin/true"']
    subprocess.run(["gcc", *options, "-o", binary, str(source)], check=True)
    with pygos.Machine(memory="128m", cpus=1) as machine:
        machine.run([binary, "8"], timeout=30, check=True)
        kernel = machine._kernel
        assert kernel is not None
        tasks, free = len(kernel.pids.tasks), kernel.zone.nr_free
        assert machine.run([binary, "1000"], timeout=55).returncode == 0
        assert kernel.zone.nr_free == free
        assert len(kernel.pids.tasks) == tasks
        assert kernel.commit_pages == 0
