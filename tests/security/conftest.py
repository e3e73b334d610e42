# SPDX-License-Identifier: Apache-2.0
"""Attack tests, by the ids of Documentation/security.rst: a program inside tries to get out."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pygos

Compiler = Callable[[str], str]

_HEADER = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
static int in_child(void (*attack)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        attack();
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    return status;
}
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[pygos.Machine]:
    with pygos.Machine(memory="256m", cpus=2, user="0") as machine:
        yield machine


@pytest.fixture
def compile_c(tmp_path: Path) -> Compiler:
    """Compiles the text of a C program (after the common headers); the path of the binary."""

    def build(text: str) -> str:
        source, binary = tmp_path / "attack.c", tmp_path / "attack"
        source.write_text(_HEADER + text)
        command = ["gcc", "-std=gnu17", "-O1", "-w", "-pthread", "-o", str(binary), str(source)]
        subprocess.run(command, check=True)
        return str(binary)

    return build
