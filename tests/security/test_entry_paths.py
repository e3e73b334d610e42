# SPDX-License-Identifier: Apache-2.0
"""T-ENT: ways into a kernel other than the 64-bit `syscall` with a known number."""

from __future__ import annotations

import pytest

import pygos
from tests.security.conftest import Compiler

pytestmark = pytest.mark.boots

_INT80 = r"""
static long int80(long nr)
{
    long result;
    asm volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(0), "c"(0), "d"(0) : "memory");
    return result;
}
int main(void)
{
    int other = 0;
    for (long nr = 0; nr <= 450; nr++) {
        long result = int80(nr);
        if (result != -ENOSYS) {
            other++;
            printf("%ld: %ld\n", nr, result);
        }
    }
    printf("%d answered\n", other);
}
"""


def test_t_ent_01_int80_answers_nothing(machine: pygos.Machine, compile_c: Compiler) -> None:
    result = machine.run([compile_c(_INT80)], timeout=30)
    assert (result.returncode, result.stdout) == (0, b"0 answered\n")


_X32 = r"""
int main(void)
{
    int other = 0;
    for (long nr = 0; nr <= 600; nr++)
        if (syscall(0x40000000 + nr, 0, 0, 0, 0, 0, 0) != -1 || errno != ENOSYS)
            other++;
    printf("%d answered\n", other);
}
"""


def test_t_ent_02_x32_numbers_are_not_there(machine: pygos.Machine, compile_c: Compiler) -> None:
    result = machine.run([compile_c(_X32)], timeout=30)
    assert (result.returncode, result.stdout) == (0, b"0 answered\n")


_VSYSCALL = r"""
static struct timeval tv;
static unsigned cpu;
static void gettime(void) { ((long (*)(void *, void *))0xffffffffff600000)(&tv, 0); }
static void seconds(void) { ((long (*)(void *))0xffffffffff600400)(0); }
static void getcpu_(void) { ((long (*)(void *, void *, void *))0xffffffffff600800)(&cpu, 0, 0); }
int main(void)
{
    void (*calls[])(void) = {gettime, seconds, getcpu_};
    for (int i = 0; i < 3; i++) {
        int status = in_child(calls[i]);
        printf("%d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
    }
}
"""


def test_t_ent_04_vsyscall_page_never_tells_host_time(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    result = machine.run([compile_c(_VSYSCALL)], timeout=30)
    assert result.stdout == b"11\n11\n11\n"


_STRANGE = r"""
static const unsigned long numbers[] = {
    -1UL, 0xffffffffUL, 1UL << 31, 0x1ffffffffUL, 0x80000000000003e8UL, 336, 423, 468, 1000, 65536,
};
static long raw(unsigned long nr)
{
    long result;
    asm volatile("syscall" : "=a"(result) : "a"(nr), "D"(0), "S"(0), "d"(0)
                 : "rcx", "r11", "memory");
    return result;
}
int main(void)
{
    int other = 0;
    /* Linux 6.18 lets no seccomp filter see uprobe(2), 336: without ptrace it refuses by itself. */
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        long result = raw(numbers[i]);
        other += result != -ENOSYS && !(numbers[i] == 336 && result == -ENXIO);
    }
    for (unsigned long nr = 512; nr <= 547; nr++)
        other += raw(nr) != -ENOSYS;
    printf("%d answered\n", other);
    /* Of the number only 32 bits count. */
    other = raw(1UL << 32 | 39) != getpid() || raw(1UL << 63 | 39) != getpid();
    printf("%d\n", other);
}
"""


def test_t_ent_06_strange_numbers_are_not_there(
    machine: pygos.Machine, compile_c: Compiler
) -> None:
    result = machine.run([compile_c(_STRANGE)], timeout=30)
    assert (result.returncode, result.stdout) == (0, b"0 answered\n0\n")
