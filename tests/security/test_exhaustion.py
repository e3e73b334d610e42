# SPDX-License-Identifier: Apache-2.0
"""T-DOS: a program that takes all it can get hurts itself only, in bounded memory and time."""

from __future__ import annotations

import pytest

import pygos
from tests.security.conftest import Compiler

pytestmark = pytest.mark.boots

_FORK_BOMB = r"""
int main(void)
{
    int children = 0;
    for (;;) {
        pid_t pid = fork();
        if (pid == 0)
            pause();
        if (pid < 0)
            break;
        children++;
    }
    printf("%d %d\n", errno == EAGAIN || errno == ENOMEM, children > 50);
}
"""


def test_t_dos_01_fork_bomb_ends_in_eagain(compile_c: Compiler) -> None:
    with pygos.Machine(memory="64m") as machine:
        result = machine.run([compile_c(_FORK_BOMB)], timeout=50)
        assert result.stdout == b"1 1\n"
        again = machine.run(["echo", "alive"], timeout=30)
        assert again.stdout == b"alive\n"


_THREAD_BOMB = r"""
#include <pthread.h>
static void *rest(void *unused) { pause(); return 0; }
int main(void)
{
    pthread_attr_t small;
    pthread_t thread;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    int error, threads = 0;
    while (!(error = pthread_create(&thread, &small, rest, 0)))
        threads++;
    printf("%d %d\n", error == EAGAIN || error == ENOMEM, threads > 50);
}
"""


def test_t_dos_01_thread_bomb_ends_in_eagain(compile_c: Compiler) -> None:
    with pygos.Machine(memory="64m") as machine:
        assert machine.run([compile_c(_THREAD_BOMB)], timeout=50).stdout == b"1 1\n"
        assert machine.run(["echo", "alive"], timeout=30).stdout == b"alive\n"


_DESCRIPTORS = r"""
int main(void)
{
    int files = 0, pipes = 0, ends[2];
    while (open("/dev/null", O_RDONLY) >= 0)
        files++;
    printf("%d %d\n", errno == EMFILE, files > 100);
    for (int fd = 3; fd < files + 3; fd++)
        close(fd);
    while (!pipe(ends))
        pipes++;
    printf("%d %d\n", errno == EMFILE || errno == ENFILE, pipes > 100);
}
"""


def test_t_dos_01_descriptors_end_in_emfile(machine: pygos.Machine, compile_c: Compiler) -> None:
    result = machine.run([compile_c(_DESCRIPTORS)], timeout=50)
    assert result.stdout == b"1 1\n1 1\n"


_MEMORY = r"""
int main(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        for (;;) {
            char *page = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                              -1, 0);
            if (page == MAP_FAILED)
                _exit(42);
            memset(page, 1, 1 << 20);
        }
    waitpid(pid, &status, 0);
    printf("%d\n", (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
                   || (WIFEXITED(status) && WEXITSTATUS(status) == 42));
}
"""


def test_t_dos_01_memory_hog_is_ended_and_others_live(compile_c: Compiler) -> None:
    with pygos.Machine(memory="64m") as machine:
        result = machine.run([compile_c(_MEMORY)], timeout=50)
        assert result.stdout == b"1\n"
        assert machine.run(["echo", "alive"], timeout=30).stdout == b"alive\n"


def test_t_dos_01_files_fill_the_machine_not_the_host() -> None:
    with pygos.Machine(memory="64m") as machine:
        script = "head -c 1G /dev/zero >/tmp/big; echo $?; rm /tmp/big; echo alive"
        result = machine.run(["sh", "-c", script], timeout=50)
        assert result.stdout.split() == [b"1", b"alive"]
        assert b"No space left" in result.stderr


_LOOPS = r"""
#include <sys/stat.h>
int main(void)
{
    char name[64];
    symlink("loop", "/tmp/loop");
    printf("%d\n", open("/tmp/loop", O_RDONLY) < 0 && errno == ELOOP);
    int depth = 0;
    chdir("/tmp");
    while (depth < 3000 && !mkdir("d", 0755) && !chdir("d"))
        depth++;
    printf("%d\n", depth == 3000);
    char *where = getcwd(0, 100000);
    printf("%d\n", where != 0 || errno == ENAMETOOLONG || errno == ERANGE);
    char *huge = malloc(1 << 24);
    memset(huge, 'x', (1 << 24) - 1);
    huge[(1 << 24) - 1] = 0;
    char *args[] = {"true", huge, 0};
    execv("/bin/true", args);
    printf("%d\n", errno == E2BIG);
}
"""


def test_t_dos_01_loops_depths_and_arguments_are_bounded(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    assert machine.run([compile_c(_LOOPS)], timeout=50).stdout == b"1\n" * 4


_HOG = r"""
static volatile long counter;
int main(void)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            counter++;
    struct timespec soon = {0, 30000000};
    nanosleep(&soon, 0);
    kill(pid, SIGTERM);
    int status;
    waitpid(pid, &status, 0);
    printf("%d\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
"""


@pytest.mark.parametrize("cpus", [1, 2])
def test_t_dos_04_cpu_hog_is_preempted_and_can_be_killed(cpus: int, compile_c: Compiler) -> None:
    with pygos.Machine(memory="64m", cpus=cpus) as machine:
        assert machine.run([compile_c(_HOG)], timeout=30).stdout == b"1\n"


def test_t_dos_04_the_time_limit_ends_a_hog() -> None:
    with pygos.Machine(memory="64m", cpus=1) as machine:
        with pytest.raises(pygos.TimeoutExpired):
            machine.run(["sh", "-c", "while :; do :; done"], timeout=0.3)
        assert machine.run(["echo", "alive"], timeout=30).stdout == b"alive\n"
