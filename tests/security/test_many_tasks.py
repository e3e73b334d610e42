# SPDX-License-Identifier: Apache-2.0
"""T-DOS: many tasks, and many signals: what isn't one of them goes on; kill works."""

from __future__ import annotations

import pytest

import pygos
from tests.security.conftest import Compiler

pytestmark = pytest.mark.boots

_CROWD = r"""
int main(void)
{
    int made = 0, ended = 0, there[2], back[2];
    char c;

    while (made < 400) {
        pid_t pid = fork();
        if (pid == 0)
            for (;;)
                pause();
        if (pid < 0)
            break;
        made++;
    }
    /* Beside them others work as usual, in parallel. */
    if (pipe(there) || pipe(back))
        return 1;
    pid_t echo = fork();
    if (echo == 0) {
        while (read(there[0], &c, 1) == 1)
            if (write(back[1], &c, 1) != 1)
                break;
        _exit(0);
    }
    for (int i = 0; i < 200; i++)
        if (write(there[1], "x", 1) != 1 || read(back[0], &c, 1) != 1)
            return 2;
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    while (waitpid(-1, 0, 0) > 0)
        ended++;
    printf("%d %d\n", made, ended);
}
"""


def test_t_dos_01_hundreds_of_tasks_sleep_and_are_killed(compile_c: Compiler) -> None:
    with pygos.Machine(memory="512m", cpus=2) as machine:
        result = machine.run([compile_c(_CROWD)], timeout=50)
        assert result.stdout == b"400 401\n"
        assert machine.run(["echo", "alive"], timeout=30).stdout == b"alive\n"


_BOMB = r"""
int main(void)
{
    pid_t last = 0;
    for (;;) {
        pid_t pid = fork();
        if (pid < 0)
            break;
        if (pid == 0)
            for (;;)
                pause();
        last = pid;
    }
    printf("%d %d\n", errno == EAGAIN, last > 0);
}
"""


def test_t_dos_06_the_log_says_why_a_fork_failed(compile_c: Compiler) -> None:
    with pygos.Machine(memory="64m", user="0") as machine:
        machine.run(["sh", "-c", "echo 100 >/proc/sys/kernel/threads-max"], timeout=30)
        assert machine.run([compile_c(_BOMB)], timeout=50).stdout == b"1 1\n"
        assert "fork: rejected, kernel.threads-max is 100" in machine.dmesg()


_STORM = r"""
static volatile int count;
static void handler(int sig) { count += sig == SIGUSR1; }
int main(void)
{
    struct sigaction action = {.sa_handler = handler};
    union sigval value = {0};

    sigaction(SIGUSR1, &action, 0);
    pid_t target = fork();
    if (target == 0)
        for (;;)
            pause();
    pid_t flood = fork();
    if (flood == 0) {
        /* The queue of a stopped process fills up to its limit and no further. */
        kill(target, SIGSTOP);
        while (sigqueue(target, SIGRTMIN, value) == 0)
            ;
        _exit(errno == EAGAIN);
    }
    int status;
    waitpid(flood, &status, 0);
    for (int i = 0; i < 20000; i++)
        kill(i & 1 ? getpid() : target, SIGUSR1);
    kill(target, SIGKILL);
    waitpid(target, 0, 0);
    printf("%d %d\n", WEXITSTATUS(status), count);
}
"""


def test_t_dos_05_a_storm_of_signals_is_bounded(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    result = machine.run([compile_c(_STORM)], timeout=50)
    assert result.stdout == b"1 10000\n"
