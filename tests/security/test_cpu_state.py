# SPDX-License-Identifier: Apache-2.0
"""T-ENT: odd states of the CPU at the entry of the kernel, and registers it must keep."""

from __future__ import annotations

import pytest

import pygos
from tests.security.conftest import Compiler

pytestmark = pytest.mark.boots

# Code for 32-bit mode lies below 4 GiB: write(1, "out\n", 4) by both of its entries.
_MODE32 = r"""
static unsigned char *low;
static const unsigned char code32[] = {
    0xb8, 4, 0, 0, 0, 0xbb, 1, 0, 0, 0, 0xb9, 0, 0, 0, 0, 0xba, 4, 0, 0, 0,
    0xcd, 0x80,                             /* int 0x80 */
    0xb8, 4, 0, 0, 0, 0x89, 0xe5, 0x0f, 0x34, /* sysenter */
    0xb8, 4, 0, 0, 0, 0x0f, 0x05,           /* syscall */
    0x0f, 0x0b,
};
static void prepare(void)
{
    low = mmap((void *)0x10000000, 8192, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    memcpy(low, code32, sizeof code32);
    memcpy(low + 4096, "out\n", 4);
    *(unsigned *)(low + 11) = (unsigned)(long)low + 4096;
}
static void far_return(void)
{
    prepare();
    asm volatile("movl $0x10002000, %%esp\n pushq $0x23\n pushq $0x10000000\n lretq" ::: "memory");
}
static void interrupt_return(void)
{
    prepare();
    asm volatile("pushq $0x2b\n pushq $0x10001800\n pushfq\n pushq $0x23\n pushq $0x10000000\n"
                 "iretq" ::: "memory");
}
static void far_jump(void)
{
    struct __attribute__((packed)) { unsigned at; unsigned short cs; } to = {0x10000000, 0x23};
    prepare();
    asm volatile("ljmpl *%0" :: "m"(to));
}
static void enter(void)
{
    prepare();
    asm volatile("sysenter" :: "a"(4), "b"(1), "c"(0x10001000), "d"(4) : "memory");
}
static void frame(int signo, siginfo_t *info, void *context)
{
    ((unsigned short *)&((ucontext_t *)context)->uc_mcontext.gregs[REG_CSGSFS])[0] = 0x23;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = 0x10000000;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RSP] = 0x10001800;
}
static void by_sigreturn(void)
{
    struct sigaction sa = {.sa_sigaction = frame, .sa_flags = SA_SIGINFO};
    prepare();
    sigaction(SIGUSR1, &sa, 0);
    raise(SIGUSR1);
}
int main(void)
{
    void (*attacks[])(void) = {far_return, interrupt_return, far_jump, enter, by_sigreturn};
    for (int i = 0; i < 5; i++) {
        int status = in_child(attacks[i]);
        printf("%d\n", WIFSIGNALED(status));
    }
    puts("alive");
}
"""


def test_t_ent_03_32_bit_mode_makes_no_call(machine: pygos.Machine, compile_c: Compiler) -> None:
    result = machine.run([compile_c(_MODE32)], timeout=30)
    assert result.stdout == b"1\n" * 5 + b"alive\n"


_EDGES = r"""
static sigjmp_buf back;
static siginfo_t seen;
static void handler(int signo, siginfo_t *info, void *context)
{
    seen = *info;
    siglongjmp(back, 1);
}
static long call(void *at, long nr)
{
    long result;
    asm volatile("call *%1" : "=a"(result) : "r"(at), "a"(nr) : "rcx", "r11", "memory");
    return result;
}
static void report(const char *what)
{
    printf("%s: signal %d code %d addr %lx\n", what, seen.si_signo, seen.si_code,
           (long)seen.si_addr & 0xffff);
    memset(&seen, 0, sizeof seen);
}
static void page_end(void)
{
    char *page = mmap((void *)0x20000000, 8192, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    munmap(page + 4096, 4096);
    memcpy(page + 4094, "\x0f\x05", 2);
    if (!sigsetjmp(back, 1))
        call(page + 4094, 39);
    report("page end");
    page[4095] = 0x0f;
    if (!sigsetjmp(back, 1))
        call(page + 4095, 39);
    report("half an instruction");
    mmap(page + 4096, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    memcpy(page + 4096, "\x05\xc3", 2);
    printf("across pages: %d\n", call(page + 4095, 39) == getpid());
    memcpy(page + 4094, "\x0f\x05", 2);
    page[4096] = 0xc3;
    printf("return on the next page: %d\n", call(page + 4094, 39) == getpid());
    mprotect(page + 4096, 4096, PROT_READ | PROT_WRITE);
    if (!sigsetjmp(back, 1))
        call(page + 4094, 39);
    report("next page not executable");
}
static void alignment_check(void)
{
    static long words[2];
    long result;
    asm volatile("pushfq\n orl $0x40000, (%%rsp)\n popfq\n syscall\n"
                 "pushfq\n andl $~0x40000, (%%rsp)\n popfq"
                 : "=a"(result) : "a"(39) : "rcx", "r11", "memory");
    printf("with AC: %d\n", result == getpid());
    if (!sigsetjmp(back, 1)) {
        asm volatile("pushfq\n orl $0x40000, (%%rsp)\n popfq\n syscall\n movl 1(%1), %%eax"
                     :: "a"(39), "r"(words) : "rcx", "r11", "memory");
    }
    asm volatile("pushfq\n andl $~0x40000, (%%rsp)\n popfq" ::: "memory");
    printf("AC is kept: signal %d code %d\n", seen.si_signo, seen.si_code);
    memset(&seen, 0, sizeof seen);
}
static void direction(void)
{
    long result, flags;
    asm volatile("std\n syscall\n pushfq\n pop %1\n cld" : "=a"(result), "=r"(flags)
                 : "a"(39) : "rcx", "r11", "memory");
    printf("with DF: %d %d\n", result == getpid(), !!(flags & 0x400));
}
static void far_away(void)
{
    if (!sigsetjmp(back, 1))
        ((void (*)(void))0x800000000000)();
    report("not canonical");
    if (!sigsetjmp(back, 1))
        ((void (*)(void))0xffff888000001000)();
    report("kernel half");
}
static void bad_frame(int signo, siginfo_t *info, void *context)
{
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = 0x800000000000;
}
static void by_frame(void)
{
    struct sigaction sa = {.sa_sigaction = bad_frame, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &sa, 0);
    if (!sigsetjmp(back, 1))
        raise(SIGUSR1);
    report("sigreturn");
}
static void top(void)
{
    /* The return address of a call at the end of the program's part. */
    for (unsigned long at = 0x7fff80000000; at >= 0x7fff7e000000; at -= 4096) {
        char *page = mmap((void *)(at - 4096), 4096, 7,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (page != (char *)(at - 4096))
            continue;
        memcpy(page + 4094, "\x0f\x05", 2);
        call(page + 4094, 39);
        _exit(9);
    }
}
int main(void)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &sa, 0);
    sigaction(SIGBUS, &sa, 0);
    page_end();
    alignment_check();
    direction();
    far_away();
    by_frame();
    signal(SIGSEGV, SIG_DFL);
    int status = in_child(top);
    printf("top: %d\n", status != 0);
}
"""
_EDGES_SAY = b"""page end: signal 11 code 1 addr 1000
half an instruction: signal 11 code 1 addr 1000
across pages: 1
return on the next page: 1
next page not executable: signal 11 code 2 addr 1000
with AC: 1
AC is kept: signal 7 code 1
with DF: 1 1
not canonical: signal 11 code 128 addr 0
kernel half: signal 11 code 1 addr 1000
sigreturn: signal 11 code 128 addr 0
top: 1
"""


def test_t_ent_07_calls_from_odd_places(machine: pygos.Machine, compile_c: Compiler) -> None:
    result = machine.run([compile_c(_EDGES)], timeout=30)
    assert result.stdout.decode() == _EDGES_SAY.decode()


_BASES = r"""
#include <asm/prctl.h>
static long arch_prctl(int code, unsigned long at) { return syscall(SYS_arch_prctl, code, at); }
static void write_gs(unsigned long base) { asm volatile("wrgsbase %0" :: "r"(base)); }
static unsigned long read_gs(void)
{
    unsigned long base;
    asm volatile("rdgsbase %0" : "=r"(base));
    return base;
}
static void not_canonical(void) { write_gs(0x800000000000); }
static void load_kernel(void)
{
    write_gs(0xffff888000000000);
    asm volatile("movq %%gs:0, %%rax" ::: "rax");
}
/* The CPU allows the base, ptrace doesn't: the program dies at its next call at the latest. */
static void call_kernel(void)
{
    write_gs(0xffff888000000000);
    syscall(SYS_getpid);
    raise(SIGSEGV);
}
static void load_selector(void) { asm volatile("movw %w0, %%gs" :: "r"(0x10)); }
static void load_ldt(void) { asm volatile("movw %w0, %%gs" :: "r"(7)); }
int main(void)
{
    static const unsigned long bases[] = {1UL << 47, ~0UL, 0xffff888000000000, (1UL << 47) - 4096};
    struct { unsigned nr; unsigned long base; unsigned limit, flags; } entry = {0};
    unsigned long got = 0, i;
    for (i = 0; i < 4; i++)
        printf("%ld%ld ", arch_prctl(ARCH_SET_GS, bases[i]), arch_prctl(ARCH_SET_FS, bases[i]));
    for (i = 0; i < 3; i++)
        printf("%ld ", syscall(SYS_modify_ldt, i, &entry, sizeof entry));
    printf("%ld\n", syscall(SYS_set_thread_area, &entry));
    for (i = 0; i < 100; i++) {
        unsigned long base = i % 2 ? 0x7fff00000000 + i : i;
        write_gs(base);
        sched_yield();
        usleep(i % 10 == 0);
        arch_prctl(ARCH_GET_GS, (unsigned long)&got);
        if (read_gs() != base || got != base)
            printf("lost %lx %lx %lx\n", base, read_gs(), got);
    }
    void (*attacks[])(void) = {not_canonical, load_kernel, call_kernel, load_selector, load_ldt};
    for (i = 0; i < 5; i++) {
        int status = in_child(attacks[i]);
        printf("%d ", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
    }
    puts("alive");
}
"""


def test_t_ent_09_segment_bases(machine: pygos.Machine, compile_c: Compiler) -> None:
    result = machine.run([compile_c(_BASES)], timeout=30)
    assert result.stdout == b"-1-1 -1-1 -1-1 -1-1 -1 -1 -1 -1\n11 11 11 11 11 alive\n"


_VECTORS = r"""
#include <immintrin.h>
#include <pthread.h>
static int p[2], q[2];
static volatile int storm = 1;
static void on_alarm(int signo) { asm volatile("vzeroall"); }
__attribute__((target("avx"))) static void fill(unsigned char *to, int seed)
{
    for (int i = 0; i < 16 * 32; i++)
        to[i] = i * 7 + seed;
    asm volatile(
        "vmovups 0(%0),%%ymm0\n vmovups 32(%0),%%ymm1\n vmovups 64(%0),%%ymm2\n"
        "vmovups 96(%0),%%ymm3\n vmovups 128(%0),%%ymm4\n vmovups 160(%0),%%ymm5\n"
        "vmovups 192(%0),%%ymm6\n vmovups 224(%0),%%ymm7\n vmovups 256(%0),%%ymm8\n"
        "vmovups 288(%0),%%ymm9\n vmovups 320(%0),%%ymm10\n vmovups 352(%0),%%ymm11\n"
        "vmovups 384(%0),%%ymm12\n vmovups 416(%0),%%ymm13\n vmovups 448(%0),%%ymm14\n"
        "vmovups 480(%0),%%ymm15" :: "r"(to) : "memory");
}
__attribute__((target("avx"))) static int same(const unsigned char *want)
{
    static _Thread_local unsigned char got[16 * 32];
    asm volatile(
        "vmovups %%ymm0,0(%0)\n vmovups %%ymm1,32(%0)\n vmovups %%ymm2,64(%0)\n"
        "vmovups %%ymm3,96(%0)\n vmovups %%ymm4,128(%0)\n vmovups %%ymm5,160(%0)\n"
        "vmovups %%ymm6,192(%0)\n vmovups %%ymm7,224(%0)\n vmovups %%ymm8,256(%0)\n"
        "vmovups %%ymm9,288(%0)\n vmovups %%ymm10,320(%0)\n vmovups %%ymm11,352(%0)\n"
        "vmovups %%ymm12,384(%0)\n vmovups %%ymm13,416(%0)\n vmovups %%ymm14,448(%0)\n"
        "vmovups %%ymm15,480(%0)" :: "r"(got) : "memory");
    return !memcmp(got, want, sizeof got);
}
/* System calls without a function that might touch the registers. */
static long raw(long nr, long a, long b, long c)
{
    register long d asm("r10") = 0;
    long result;
    asm volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(d)
                 : "rcx", "r11", "memory");
    return result;
}
static int rounds(int seed, int in, int out)
{
    static _Thread_local unsigned char want[16 * 32];
    char byte = 0;
    int lost = 0;
    for (int i = 0; i < 200; i++) {
        fill(want, seed + i);
        raw(SYS_write, out, (long)&byte, 1);
        while (raw(SYS_read, in, (long)&byte, 1) != 1)
            ;
        lost += !same(want);
        if (i % 50 == 0) {
            fill(want, i);
            long pid = raw(SYS_fork, 0, 0, 0);
            int kept = same(want);
            if (pid == 0)
                raw(SYS_exit_group, kept ? 0 : 1, 0, 0);
            int status = 1;
            while (raw(SYS_wait4, pid, (long)&status, 0) != pid)
                ;
            lost += !kept + (status != 0);
        }
    }
    return lost;
}
static void *other(void *arg) { return (void *)(long)rounds(100, p[0], q[1]); }
int main(void)
{
    struct itimerval timer = {{0, 700}, {0, 700}};
    pthread_t thread;
    void *lost;
    if (!__builtin_cpu_supports("avx")) {
        puts("0 0");
        return 0;
    }
    pipe(p);
    pipe(q);
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &timer, 0);
    pthread_create(&thread, 0, other, 0);
    int mine = rounds(3, q[0], p[1]);
    pthread_join(thread, &lost);
    printf("%d %ld\n", mine, (long)lost);
}
"""


def test_t_ent_10_vector_registers_survive(machine: pygos.Machine, compile_c: Compiler) -> None:
    """Across calls that block, signals whose handlers clear them, and forks; on two CPUs."""
    result = machine.run([compile_c(_VECTORS)], timeout=60)
    assert result.stdout == b"0 0\n"
