# SPDX-License-Identifier: Apache-2.0
"""T-ESC: reaching the host's processes, or the stub that carries the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pygos
from tests.security.conftest import Compiler
from tests.security.tracing import host_calls

pytestmark = pytest.mark.boots

_OTHER_PROCESSES = r"""
static char secret[16];
int main(int argc, char **argv)
{
    struct iovec mine = {secret, 16};
    for (int i = 1; i < argc; i++) {
        pid_t pid = atoi(argv[i]);
        struct iovec theirs = {(void *)strtoul(argv[i + 1], 0, 16), 16};
        i++;
        long result = kill(pid, 0);
        printf("kill %ld %d\n", result, errno);
        result = ptrace(PTRACE_ATTACH, pid, 0, 0);
        printf("attach %ld %s\n", result,
               errno == ESRCH || errno == EPERM || errno == ENOSYS ? "refused" : "?");
        result = process_vm_readv(pid, &mine, 1, &theirs, 1, 0);
        printf("readv %ld %d\n", result, errno);
        char path[64];
        sprintf(path, "/proc/%d/mem", pid);
        printf("mem %d\n", open(path, O_RDONLY));
        printf("pidfd %ld\n", syscall(SYS_pidfd_open, pid, 0));
    }
    printf("secret %s\n", secret);
}
"""


def test_t_esc_02_host_processes_are_not_there(machine: pygos.Machine, compile_c: Compiler) -> None:
    """A process of the host with a known text in its memory can't be seen by any call."""
    victim = subprocess.Popen(["sleep", "600"])
    try:
        pids = [victim.pid, os.getpid()]
        args = [word for pid in pids for word in (str(pid), f"{id(machine):x}")]
        result = machine.run([compile_c(_OTHER_PROCESSES), *args], timeout=30)
        expected = "kill -1 3\nattach -1 refused\nreadv -1 3\nmem -1\npidfd -1\n" * 2
        assert result.stdout.decode() == expected + "secret \n"
    finally:
        victim.kill()
        victim.wait()


_STUB_MAPPINGS = r"""
#define STUB 0x7fff80000000UL
static const unsigned long places[] = {
    STUB, STUB + 0x1000, STUB + 0x2000, STUB + 0x10000, 0x7ffffffff000UL, 0x7fffffffe000UL,
    0x800000000000UL, 0xffffffffff600000UL, 0x7fffffff0000UL, 1UL << 56,
};
int main(void)
{
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        void *at = (void *)places[i];
        void *got = mmap(at, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        printf("%d%d%d", got == MAP_FAILED, mprotect(at, 4096, 7) == -1,
               munmap(at, 4096) == -1);
        got = mmap(at, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        printf("%d\n", got != MAP_FAILED && (unsigned long)got < STUB);
    }
}
"""


def test_t_esc_06_stub_pages_cannot_be_mapped_over(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    result = machine.run([compile_c(_STUB_MAPPINGS)], timeout=30)
    lines = result.stdout.decode().splitlines()
    assert len(lines) == 10
    assert set(lines) == {"1111"}


_JUMP = r"""
static void jump(void) { ((void (*)(void))0x7fff80000000UL)(); }
static void jump2(void) { ((void (*)(void))0x7fff80000003UL)(); }
static void read_list(void) { volatile long x = *(long *)0x7fff80011000UL; (void)x; }
static void write_stub(void) { *(volatile long *)0x7fff80000000UL = 0; }
int main(void)
{
    void (*attacks[])(void) = {jump, jump2, write_stub};
    for (int i = 0; i < 3; i++) {
        int status = in_child(attacks[i]);
        /* The stub's first call is PTRACE_TRACEME: made by a guest it is the guest's. */
        printf("%d\n", WIFSIGNALED(status) || WIFEXITED(status) || WIFSTOPPED(status));
    }
    puts("alive");
}
"""


def test_t_esc_06_jumps_into_the_stub_harm_only_the_program(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    result = machine.run([compile_c(_JUMP)], timeout=30)
    assert result.stdout == b"1\n1\n1\nalive\n"


_FDS = r"""
int main(void)
{
    int open_files = 0;
    for (int fd = 0; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) != -1)
            open_files++;
    printf("%d\n", open_files);
}
"""


def test_t_esc_05_programs_hold_only_what_they_were_given(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    assert machine.run([compile_c(_FDS)], timeout=30).stdout == b"3\n"


_EXECVE = 59
#: By number: what a stub is made with (execve, ptrace, close, dup2, close_range, prctl, setrlimit,
#: seccomp), what it does (mmap, mprotect, munmap, clone, setitimer), what the watcher does (poll).
_STUB_CALLS = {_EXECVE, 101, 3, 33, 436, 157, 160, 302, 317, 9, 10, 11, 13, 14, 56, 38, 7}
#: Guest threads that run without ptrace: sigreturn, getppid, sigaltstack, futex, arch_prctl.
_STUB_CALLS |= {15, 110, 131, 202, 158}


def test_stubs_make_no_host_call_but_their_own(tmp_path: Path) -> None:
    """The host's own trace of every system call of a run: those of the stubs are few kinds."""
    pygos_command = str(Path(sys.executable).with_name("pygos"))
    guest = "ls -l / | wc; cat /etc/passwd >/tmp/x; (exec true); kill -0 $$; sleep 0.01"
    kernel, status, trace = host_calls(tmp_path, [pygos_command, "run", "--", "sh", "-c", guest])
    assert status == 0
    calls: dict[int, set[int]] = {}
    for call in trace:
        if call.number == _EXECVE:  # what came before was the kernel's, not the stub's
            calls[call.pid] = set()
        calls.setdefault(call.pid, set()).add(call.number)
    assert len(calls[kernel]) > 20, "the trace must see the kernel itself"
    stubs = {pid: numbers for pid, numbers in calls.items() if pid != kernel}
    assert len(stubs) >= 3
    for pid, numbers in stubs.items():
        assert numbers <= _STUB_CALLS, f"stub {pid} made {sorted(numbers - _STUB_CALLS)}"
